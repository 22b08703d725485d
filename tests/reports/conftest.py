"""A document made by hand: two studies with every part that the page can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from metaact.analysis import Comparison, Interval, Ranks
from metaact.experiments.experiment import Axis, Measure
from metaact.experiments.tuning import Budget
from metaact.reports.document import (
    ArmReport,
    Curve,
    Document,
    Layer,
    Learned,
    LeftOut,
    Optimism,
    Parameter,
    Part,
    Point,
    Ranking,
    Score,
    Sensitivity,
    StudyReport,
    Time,
    Tuned,
)

SEEDS = [0, 1, 2]
NASTY = "<script>alert(1)</script>"
BOTH = "training seeds and test episodes"


def interval(mean: float, half: float, varies: str = BOTH) -> Interval:
    """A mean with an interval about it."""
    return Interval(mean=mean, low=mean - half, high=mean + half, n=600, varies=varies, seeds=3)


def comparison(first: str, second: str, mean: float, half: float, verdict: str) -> Comparison:
    """A comparison with its sentence."""
    summary = f"{100 * mean:+.1f} [{100 * (mean - half):.1f}, {100 * (mean + half):.1f}] points"
    return Comparison(
        first=first,
        second=second,
        interval=interval(mean, half),
        alone=interval(mean, 0.8 * half),
        p_value=0.006,
        p_alone=0.002,
        probability=interval(0.7, 0.2),
        needed={"training seeds": 4, "test episodes": None},
        verdict=verdict,
        sentence=f"{first} against {second}: {verdict} ({summary}).",
        compared=3,
        corrected="Bonferroni",
    )


def arm(name: str, value: str, rates: dict[str, float], mean: float | None, **more: Any) -> Any:
    """An arm of three seeds; a mean of None lost them all."""
    known = mean is not None
    score = interval(mean, 0.03) if known else None
    units = interval(mean, 0.01, "test episodes") if known else None
    seeds = interval(mean, 0.02, "training seeds") if known else None
    found = ArmReport(
        name=name,
        value=value,
        rates=rates,
        seeds=SEEDS if known else [],
        failed=[] if known else SEEDS,
        runs=[f"runs/maml/{name.replace(' ', '-')}-seed{seed}" for seed in SEEDS],
        parameters=12725,
        score=score,
        intervals={"both": score, "seeds": seeds, "units": units},
        by_seed={seed: mean + 0.01 * (seed - 1) for seed in SEEDS} if known else {},
        validation=mean,
    )
    return replace(found, **more)


def _curve(x: list[float], name: str, height: float, slow: float) -> Curve:
    mean = [float(height * (1 - np.exp(-place / slow)) + 0.1) for place in x]
    low, high = ([value + off for value in mean] for off in (-0.04, 0.04))
    return Curve(x=x, x_name=name, mean=[*mean], low=[*low], high=[*high], seeds=3)


def _attention(x: list[float], alpha: float, beta: float, *, learns: bool) -> dict[str, Layer]:
    found = {}
    for depth in range(1, 4):
        step = 0.01 * depth * learns / (x[-1] - x[0])
        moves = [[step * seed * (place - x[0]) for place in x] for seed in (1, 2)]
        found[f"act{depth}"] = Layer(
            x=x,
            alpha=[[alpha + 4 * move for move in seed] for seed in moves],
            beta=[[beta + 9 * move for move in seed] for seed in moves],
        )
    return found


def _paper(figure: float | None, published: float | None, held_out: float) -> Optimism:
    return Optimism(
        figure=figure,
        by_seed={},
        published=published,
        held_out=held_out,
        gap=None if figure is None else figure - held_out,
        selected_on="training tasks, best iteration",
        held_out_is="frozen test episodes",
    )


def _time(by_seed: Sequence[float | None], median: float | None) -> Time:
    return Time(
        threshold=0.5,
        curve="validation_accuracy",
        by_seed=[*by_seed],
        censored_at=100.0,
        median=median,
    )


def _point(rate: float, mean: float | None) -> Point:
    known = mean is not None
    return Point(rate=rate, score=interval(mean, 0.03) if known else None, failed=0 if known else 3)


def _maml_arms() -> list[ArmReport]:
    x = [float(i) for i in range(1, 101)]

    def one(value: str, inner: float, mean: float | None, slow: float, **more: Any) -> Any:
        curves = {"validation_accuracy": _curve(x, "meta-iteration", (mean or 0.3), slow)}
        rates = {"inner_lr": inner, "meta_lr": 0.005}
        return arm(f"{value} inner lr {inner:g}", value, rates, mean, curves=curves, **more)

    return [
        one("relu", 0.005, 0.68, 30.0, paper=_paper(0.71, 0.70, 0.68)),
        one("relu", 0.02, 0.72, 25.0, area=interval(0.5, 0.1, "training seeds")),
        one(
            "arelu",
            0.005,
            0.78,
            10.0,
            paper=_paper(0.833, 0.925, 0.78),
            attention=_attention(x, 0.9, 2.0, learns=True),
            stuck_alpha=1,
            attention_layers=9,
            area=interval(0.66, 0.04, "training seeds"),
            times=[_time([12.0, 20.0, 31.0], 20.0)],
        ),
        one("arelu", 0.02, None, 10.0),
        one(
            "arelu-frozen",  # of other start values, so that those are drawn, too
            0.005,
            0.77,
            12.0,
            attention=_attention(x, 0.25, 1.0, learns=False),
        ),
        one("relu-gain", 0.005, 0.74, 20.0, times=[_time([88.0, None, None], None)]),
    ]


def _learned(names: list[str], total: Comparison) -> Learned:
    learning = comparison(names[2], names[4], 0.01, 0.04, "no difference shown")
    moved = {
        "alpha": Parameter(start=0.9, end=0.94, low=0.91, high=0.98),
        "beta": Parameter(start=2.0, end=2.1, low=2.0, high=2.2),
    }
    return Learned(
        first=names[2],
        second=names[0],
        seeds=SEEDS,
        parts=[
            Part(name="total", sentence="Together (+10.0).", difference=total),
            Part(name="learning", sentence="Learning α and β (+1.0).", difference=learning),
        ],
        answer="arelu is better than relu; learning its parameters is not shown to matter.",
        parameters={f"act{depth}": moved for depth in (1, 2, 3)},
    )


def _tuned(names: list[str], learned: Learned) -> Tuned:
    budget = Budget(
        grid={"inner_lr": [0.005, 0.02]},
        combinations=2,
        seeds=3,
        runs_per_arm=6,
        equal=True,
        chosen={"relu": {"inner_lr": 0.02}, "arelu": {"inner_lr": 0.005}},
        scores={"relu": 0.72, "arelu": 0.78},
        edges={},
        without=(),
    )
    return Tuned(
        chosen={"relu": names[1], "arelu": names[2]},
        comparisons=[comparison(names[2], names[1], 0.06, 0.05, "better")],
        arms=[],
        chosen_on=[0],
        scored_on=[1, 2],
        learned=replace(learned, answer="At its own best rate arelu is better than relu."),
        budget=budget,
        notes=["Every activation was tried at 2 settings of its rates."],
    )


def maml() -> StudyReport:
    """A study of arms at two rates, with a failed arm, controls, ranks, and both readings."""
    arms = _maml_arms()
    names = [one.name for one in arms]
    shared = [
        comparison(names[2], names[0], 0.1, 0.05, "better"),
        comparison(names[4], names[0], 0.09, 0.1, "no difference shown"),
        comparison(names[5], names[0], -0.06, 0.02, "worse"),
    ]
    learned = _learned(names, shared[0])
    tuned = _tuned(names, learned)
    ranks = Ranks(
        mean_ranks={names[2]: 1.6, names[4]: 1.7, names[5]: 2.9, names[0]: 3.8},
        blocks=600,
        over="test episodes",
        critical_difference=0.19,
        p_value=0.0001,
        groups=((names[2], names[4]),),
    )
    lines = {
        "relu": [_point(0.005, 0.68), _point(0.02, 0.72)],
        "arelu": [_point(0.005, 0.78), _point(0.02, None)],
    }
    return StudyReport(
        id="maml-1",
        experiment="maml",
        title="MAML on mnist: 5-way 1-shot, held-out images, mnist-conv, 100 iterations",
        question="Do arelu, arelu-frozen, relu-gain adapt better to new tasks than relu?",
        by="activation",
        measure=Measure(
            unit="test episodes",
            units=600,
            resolution=1 / 75,
            chance=0.2,
            axis=Axis(name="meta-iteration", key="iteration", first=0),
            along=False,
        ),
        settings={
            "dataset": "mnist",
            "ways": 5,
            "shots": 1,
            "protocol": "paper",
            "train_sha256": "476b2f3d" * 8,
        },
        data={
            "held_out": "images",
            "official": True,
            "train": _data("MNIST", "train", True, ""),
            "test": _data("MNIST", "test", True, ""),
        },
        official=True,
        environments=[_environment("dc2b126d" * 5)],
        arms=arms,
        reference="relu",
        comparisons=shared,
        tuned=replace(tuned, arms=[arms[1], arms[2]]),
        sensitivity=Sensitivity(rate="inner_lr", lines=lines),
        ranks=Ranking(found=ranks, left_out=[names[3]]),
        learned=learned,
        notes=[f"{names[3]}: every seed diverged."],
        data_notes=[],
        column_notes=[],
        examples=[],
        commands=["metaact maml --dataset mnist --activation relu,arelu --seeds 3"],
    )


def _data(name: str, split: str, official: bool, note: str) -> dict[str, Any]:
    return {
        "dataset": name,
        "split": split,
        "official": official,
        "note": note,
        "images": 60000,
        "classes": 10,
        "sha256": "e117fb05" * 8,
    }


def _environment(commit: str) -> dict[str, Any]:
    return {
        "python": "3.11.7",
        "metaact": "0.1.0",
        "packages": {"torch": "2.15.0+cu132", "numpy": "2.4.6"},
        "platform": "Linux-6.18",
        "cpu": "AMD EPYC",
        "cores": 2,
        "threads": 1,
        "device": "cpu",
        "device_name": None,
        "git": {"commit": commit, "modified": True},
        "normalisation": {"mean": [0.1307], "std": [0.3081]},
    }


def transfer() -> StudyReport:
    """A study at one rate on data that are not official, with baselines and a nasty name."""
    x = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
    base = {
        "target only": Score(score=interval(0.19, 0.05, "training seeds"), by_seed={0: 0.19}),
        "never fine-tuned": Score(score=None, by_seed={}),
    }
    arms = [
        arm(
            name,
            name,
            {"lr": 1e-5},
            mean,
            curves={"test_accuracy": _curve(x, "epoch", mean, 1.0)},
            columns=base,
            paper=_paper(None, 0.78 if name == "relu" else None, mean),
        )
        for name, mean in zip(("relu", "selu", NASTY), (0.42, 0.41, 0.46), strict=True)
    ]
    return replace(
        maml(),
        id="transfer-1",
        experiment="transfer",
        title="mnist to svhn: mnist-conv, pre-trained for 5 epochs, fine-tuned by ADAM",
        question=f"Do selu, {NASTY} make a pre-trained network adapt better than relu?",
        measure=Measure(unit="test images", units=26032, resolution=1.0, chance=0.1),
        settings={"source": "mnist", "target": "svhn", "epochs": 20},
        data={"target": _data("SVHN", "test", False, "grey & a <part>")},
        official=False,
        arms=arms,
        comparisons=[comparison(NASTY, "relu", 0.04, 0.05, "no difference shown")],
        tuned=None,
        sensitivity=None,
        ranks=None,
        learned=None,
        notes=[],
        data_notes=["Not official data: SVHN (grey & a <part>)."],
        column_notes=["Target only: trained from scratch with the fine-tuning settings."],
        commands=["metaact transfer mnist svhn --seeds 3"],
    )


@pytest.fixture
def document() -> Document:
    """Two studies, a failed arm, both readings, controls, ranks, and two left-out runs."""
    return Document(
        studies=[maml(), transfer()],
        left_out=[
            LeftOut(directory="runs/maml/half", why="it is not complete"),
            LeftOut(directory=f"runs/maml/{NASTY}", why="its `result.json` is damaged"),
        ],
        level=0.95,
        margin=None,
        over="both",
        method="auto",
        seed=0,
    )
