"""A stream of tasks: does a network still learn after many of them?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from metaact import analysis
from metaact.experiments.experiment import DIFFERENCE, Axis, Column, Experiment, Measure
from metaact.experiments.form import FIGURE, LAYERS, PART, SIZES, Facts, RunForm, usual
from metaact.runs.form import COUNT, Fields, Items

from .config import REGRESSION
from .config import StreamConfig as StreamConfig

if TYPE_CHECKING:
    from metaact.experiments.evidence import Arm, Record, Study

AXIS = Axis(name="bin", key="bin")

WINDOW = 5
"""Error or accuracy is compared between fifths of a run."""

AREA = "area under the curve"

CHANCES = 10
"""Classes of data whose provenance does not say how many they have."""


def measured(stream: str) -> str:
    """What is measured of each example before it is learned from."""
    return "error" if stream == REGRESSION else "accuracy"


def measure(settings: Mapping[str, Any], data: Mapping[str, Any]) -> Measure:
    """Squared error, or accuracy, of the examples of the last bin before they are learned from."""
    stream = settings.get("stream", REGRESSION)
    if stream != REGRESSION:
        classes = int(data.get("stream", {}).get("classes") or CHANCES)
        if settings.get("head") == "task":
            classes = int(settings["new_classes"])
        chance = 1 / classes
        return Measure(
            name=measured(stream), unit="", units=0, failed=chance, chance=chance, axis=AXIS
        )
    return Measure(
        name="error",
        unit="",
        units=0,
        direction="lower",
        bounds=(0.0, math.inf),
        failed=None,
        axis=AXIS,
    )


def form(facts: Facts) -> RunForm:
    """A record after each bin with its score and those of its parts, and the hidden layers."""
    test, validation = facts.measure.test, facts.measure.validation
    return usual(
        facts,
        every=True,
        start={"attention": LAYERS},
        needed={"step": COUNT, "attention": LAYERS, validation: facts.score},
        may={
            "part_steps": COUNT,
            "parts": Items(facts.score),
            **{name: FIGURE for name, _, _ in DIAGNOSTICS},
        },
        throughout=tuple(name for name, _, _ in DIAGNOSTICS),
        result={test: facts.score, validation: facts.score, **SIZES},
        failed={facts.measure.axis.key: COUNT},
    )


def columns(study: Study, baseline: Study | None, arm: Arm) -> list[Column]:
    """What was lost since the best bins, how long tasks take, and the hidden layer in the end."""
    found = []
    measure = study.measure
    scores = {record.seed: _scores(record) for record in arm.scored}
    if scores and min(map(len, scores.values())) > 1:
        length, best, lost = _lost(list(scores.values()), sign=measure.sign)
        bins = "bin" if length == 1 else f"{length} bins"
        higher = measure.sign > 0
        note = (
            f"Best: mean {measure.name} of the {bins} in a row in which the arm's mean over seeds "
            f"is {'greatest' if higher else 'least'}. Lost: how much "
            f"{'less' if higher else 'more'} that of the last {bins} is; above 0, plasticity was "
            "lost."
        )
        area = {seed: fmean(own) for seed, own in scores.items()}
        whole = f"Area under the curve: mean {measure.name} over all steps of the run."
        found = [
            Column(name="best", scores=dict(zip(scores, best, strict=True)), note=note),
            Column(
                name="lost",
                scores=dict(zip(scores, lost, strict=True)),
                bounds=DIFFERENCE if measure.is_share else (-math.inf, math.inf),
                better="lower",
            ),
            Column(name=AREA, scores=area, note=whole, better=measure.direction, apart=True),
        ]
    found += _recovery(arm)
    last = {record.seed: record.seen[-1] for record in arm.scored}
    for name, bounds, note in DIAGNOSTICS:
        known = {s: r[name] for s, r in last.items() if r.get(name) is not None}
        if known:
            label = name.replace("_", " ")
            found.append(Column(name=label, scores=known, bounds=bounds, note=note, apart=True))
    return found


def _recovery(arm: Arm) -> list[Column]:
    """How long the network of each seed takes to recover from a change of task."""
    tasks = {r.seed: [one for m in r.seen for one in m.get("recovery", ())] for r in arm.scored}
    known = {seed: own for seed, own in tasks.items() if own}
    if not known:
        return []
    task = int(arm.scored[0].run.config["task_steps"])
    times = {
        seed: analysis.restricted_mean(own, censored_at=task, limit=task)
        for seed, own in known.items()
    }
    never = {seed: own.count(None) / len(own) for seed, own in known.items()}
    note = (
        "Recovery: examples after a change of task until the mean error of a twentieth of a task "
        "is at most 1.1 times that of the last quarter of the task before; mean up to the length "
        f"of a task (Kaplan and Meier), {task}, by when those under `unrecovered` have not."
    )
    return [
        Column(
            name="recovery",
            scores=times,
            note=note,
            bounds=(0.0, task),
            better="lower",
            apart=True,
        ),
        Column(name="unrecovered", scores=never, bounds=(0.0, 1.0), apart=True),
    ]


DIAGNOSTICS = (
    (
        "seen_accuracy",
        (0.0, 1.0),
        "Seen accuracy: share of test images of all classes that have come that are classified "
        "rightly in the end.",
    ),
    (
        "dormant_units",
        (0.0, 1.0),
        "Dormant units: share of hidden features whose mean size on a probe, inputs of the last "
        "task, is at most 0.025 of the mean of their layer.",
    ),
    (
        "saturated_units",
        (0.0, 1.0),
        "Saturated units: share of hidden units that pass on less than 0.01 of a change of their "
        "input on average over the probe.",
    ),
    (
        "dead_units",
        (0.0, 1.0),
        "Dead units, of runs of an earlier version: share of hidden units that pass on less than "
        "0.01 of a change of their input on every input of the last task.",
    ),
    (
        "effective_rank",
        (0.0, math.inf),
        "Effective rank: exp of the entropy of the normalised singular values of the hidden "
        "features on the probe.",
    ),
)
"""Columns of what a run records of its hidden layers, their bounds, and what they are."""


def _scores(record: Record) -> list[float]:
    """The online score of each bin that was seen."""
    known = (m.get(record.measure.test) for m in record.seen)
    return [float(score) for score in known if score is not None]


def _lost(
    scores: Sequence[Sequence[float]], *, sign: int = -1
) -> tuple[int, list[float], list[float]]:
    """How many bins are averaged, each seed's score in the arm's best ones, and what it lost since.

    Averaged over a fifth of the bins, as one bin holds few tasks. The best are chosen for all seeds
    together: each at its own best bin would have lost something by chance alone.

    Args:
        scores: Of each seed, one a bin.
        sign: 1 where a higher score is better, -1 where a lower one is.

    Examples:
        >>> length, best, lost = _lost([[3.0, 1.0, 2.0], [3.0, 2.0, 2.5]])
        >>> length, best, lost
        (1, [1.0, 2.0], [1.0, 0.5])
    """
    bins = min(map(len, scores))
    length = max(1, bins // WINDOW)
    means = [
        [fmean(own[start : start + length]) for start in range(bins - length + 1)] for own in scores
    ]
    best = max(range(len(means[0])), key=lambda start: sign * fmean(own[start] for own in means))
    return length, [own[best] for own in means], [sign * (own[best] - own[-1]) for own in means]


HELP = """Learn from a stream of tasks with each activation, and see whether it keeps learning.

A network learns online, and its error or accuracy on each example before it learned from it is
averaged in bins. A network that loses plasticity does worse late than early. All arms of a seed see
the same stream and start from the same weights.

regression: inputs of 20 bits, of which 15 change now and then, a fixed target and a small network;
no data are needed. permuted, random-labels, classes: images whose pixels are permuted anew in each
task, whose labels are drawn anew, or of new classes in each task, and an MLP or any network.

\b
    metaact stream --activation arelu,relu
    metaact stream --activation relu,tanh --lr 0.01,0.003,0.001 --bins 50 --seeds 20
    metaact stream --activation arelu,relu --controls --tune lr=0.001,0.01 --seeds 10
    metaact stream permuted --dataset mnist --activation arelu,relu --controls --seeds 3
    metaact stream random-labels --dataset mnist --activation arelu,relu,lrelu
    metaact stream classes --dataset cifar10 --model conv4 --head task --activation arelu,relu
"""

STREAM = Experiment(
    name="stream",
    config=StreamConfig,
    implementation="metaact.experiments.stream.run",
    help=HELP,
    title="Online learning on",
    asks="make a network keep adapting better",
    measure=measure,
    kinds={"stream": "trained on a stream"},
    hashes=("stream_sha256",),
    data=Fields(needed={"stream": PART}),
    form=form,
    arguments=("stream",),
    columns=columns,
    traces=("seen_accuracy", "recovery_steps"),
)
"""A stream of tasks: the experiment of `metaact stream`."""
