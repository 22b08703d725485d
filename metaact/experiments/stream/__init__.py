"""A stream of tasks: does a network still learn after many of them?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from metaact import analysis
from metaact.experiments.experiment import Axis, Column, Experiment, Measure

from .config import StreamConfig as StreamConfig

if TYPE_CHECKING:
    from metaact.experiments.evidence import Arm, Record, Study

AXIS = Axis(name="bin", key="bin")

WINDOW = 5
"""Error is compared between fifths of a run."""

AREA = "area under the curve"


def measure(settings: Mapping[str, Any], data: Mapping[str, Any]) -> Measure:
    """Squared error of each example before it is learned from, averaged over the last bin."""
    return Measure(
        name="error",
        unit="",
        units=0,
        direction="lower",
        bounds=(0.0, math.inf),
        failed=None,
        axis=AXIS,
    )


def columns(study: Study, baseline: Study | None, arm: Arm) -> list[Column]:
    """What was lost since the best bins, how long tasks take, and the hidden layer in the end."""
    found = []
    errors = {record.seed: _errors(record) for record in arm.scored}
    if errors and min(map(len, errors.values())) > 1:
        length, best, lost = _lost(list(errors.values()))
        bins = "bin" if length == 1 else f"{length} bins"
        note = (
            f"Best: mean error of the {bins} in a row in which the arm's mean over seeds is least. "
            f"Lost: error of the last {bins} minus that; above 0, plasticity was lost."
        )
        area = {seed: fmean(own) for seed, own in errors.items()}
        whole = "Area under the curve: mean error over all steps of the run."
        found = [
            Column(name="best", scores=dict(zip(errors, best, strict=True)), note=note),
            Column(
                name="lost",
                scores=dict(zip(errors, lost, strict=True)),
                bounds=(-math.inf, math.inf),
                better="lower",
            ),
            Column(name=AREA, scores=area, note=whole, better="lower", apart=True),
        ]
    found += _recovery(arm)
    last = {record.seed: record.seen[-1] for record in arm.scored}
    for name, bounds, note in DIAGNOSTICS:
        known = {s: r[name] for s, r in last.items() if isinstance(r.get(name), int | float)}
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
        "Recovery: steps after a change of task until the mean error of a twentieth of a task is "
        "at most 1.1 times that of the last quarter of the task before; mean up to the length of a "
        f"task (Kaplan and Meier), {task} steps, by when those under `unrecovered` have not."
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


def _errors(record: Record) -> list[float]:
    """The error of each bin that was seen."""
    known = (m.get(record.measure.test) for m in record.seen)
    return [float(error) for error in known if isinstance(error, float)]


def _lost(errors: Sequence[Sequence[float]]) -> tuple[int, list[float], list[float]]:
    """How many bins are averaged, each seed's error in the arm's best ones, and what it lost since.

    Averaged over a fifth of the bins, as one bin holds few tasks. The best are chosen for all seeds
    together: each at its own best bin would have lost something by chance alone.

    Examples:
        >>> length, best, lost = _lost([[3.0, 1.0, 2.0], [3.0, 2.0, 2.5]])
        >>> length, best, lost
        (1, [1.0, 2.0], [1.0, 0.5])
    """
    bins = min(map(len, errors))
    length = max(1, bins // WINDOW)
    means = [
        [fmean(own[start : start + length]) for start in range(bins - length + 1)] for own in errors
    ]
    best = min(range(len(means[0])), key=lambda start: fmean(own[start] for own in means))
    return length, [own[best] for own in means], [own[-1] - own[best] for own in means]


HELP = """Learn from a stream of tasks with each activation, and see whether it keeps learning.

Slowly changing regression: inputs of 20 bits, of which 15 change now and then, and a fixed target.
A small network learns from one example a step, and its error on each before it learned from it is
averaged in bins. A network that loses plasticity has more error late than early. All arms of a seed
see the same stream and start from the same weights. No data are needed.

\b
    metaact stream --activation arelu,relu
    metaact stream --activation relu,tanh --lr 0.01,0.003,0.001 --bins 50 --seeds 20
    metaact stream --activation arelu,relu --controls --tune lr=0.001,0.01 --seeds 10
    metaact stream --activation paper --change redraw --optimizer adam --lr 0.001
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
    arguments=("stream",),
    columns=columns,
    traces=("recovery_steps",),
)
"""A stream of tasks: the experiment of `metaact stream`."""
