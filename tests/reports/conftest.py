"""A document as `metaact compare --json` prints it, made by hand: two studies with every part."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

SEEDS = [0, 1, 2]
NASTY = "<script>alert(1)</script>"


def interval(mean: float, half: float, varies: str = "training seeds and test episodes") -> Any:
    """An interval as `dataclasses.asdict` gives it."""
    low, high = mean - half, mean + half
    return {"mean": mean, "low": low, "high": high, "level": 0.95, "n": 600, "varies": varies} | {
        "seeds": 3
    }


def comparison(first: str, second: str, mean: float, half: float, verdict: str) -> Any:
    """A comparison with its sentence."""
    summary = f"{100 * mean:+.1f} [{100 * (mean - half):.1f}, {100 * (mean + half):.1f}] points"
    return {
        "first": first,
        "second": second,
        "interval": interval(mean, half),
        "p_value": 0.002,
        "p_holm": 0.006,
        "effect": 0.8,
        "effect_interval": [0.1, 1.5],
        "probability": interval(0.7, 0.2),
        "needed": {"training seeds": 4, "test episodes": None},
        "p_equivalence": None,
        "verdict": verdict,
        "sentence": f"{first} against {second}: {verdict} ({summary}).",
    }


def _curve(x: list[float], name: str, height: float, slow: float) -> Any:
    mean = [height * (1 - np.exp(-place / slow)) + 0.1 for place in x]
    low, high = ([value + off for value in mean] for off in (-0.04, 0.04))
    return {"x": x, "x_name": name, "mean": mean, "low": low, "high": high, "seeds": 3}


def _attention(x: list[float], learns: bool) -> Any:
    found = {}
    for depth in range(1, 4):
        moves = [[0.01 * depth * seed * place / x[-1] * learns for place in x] for seed in (1, 2)]
        found[f"act{depth}"] = {
            "x": x,
            "alpha": [[0.9 + 4 * move for move in seed] for seed in moves],
            "beta": [[2.0 + 9 * move for move in seed] for seed in moves],
        }
    return found


def _arm(name: str, activation: str, rates: Any, mean: float | None, **more: Any) -> Any:
    known = mean is not None
    return {
        "name": name,
        "activation": activation,
        "rates": rates,
        "seeds": SEEDS if known else [],
        "diverged": [] if known else SEEDS,
        "runs": [f"runs/maml/{name.replace(' ', '-')}-seed{seed}" for seed in SEEDS],
        "parameters": 12725,
        "accuracy": interval(mean, 0.03) if known else None,
        "intervals": dict.fromkeys(("units", "seeds"), None),
        "by_seed": {str(seed): mean + 0.01 * (seed - 1) for seed in SEEDS} if known else {},
        "validation": mean,
        "baselines": {},
        "paper": None,
        "curves": {},
        "area": None,
        "times": [],
        "attention": {},
        "attention_inner": None,
        "stuck_alpha": 0,
        "attention_layers": 0,
    } | more


def _paper(figure: float | None, published: float | None, held_out: float) -> Any:
    gap = None if figure is None else figure - held_out
    return {
        "figure": figure,
        "published": published,
        "held_out": held_out,
        "gap": gap,
        "selected_on": "training tasks, best iteration",
        "held_out_is": "frozen test episodes",
    }


def _time(by_seed: list[float | None], median: float | None) -> Any:
    return {
        "threshold": 0.5,
        "curve": "validation_accuracy",
        "by_seed": by_seed,
        "censored_at": 100.0,
        "median": median,
    }


def _maml() -> Any:
    x = [float(i) for i in range(1, 101)]

    def rates(inner: float) -> Any:
        return {"inner_lr": inner, "meta_lr": 0.005}

    def arm(activation: str, inner: float, mean: float | None, slow: float, **more: Any) -> Any:
        curves = {"validation_accuracy": _curve(x, "meta-iteration", (mean or 0.3), slow)}
        name = f"{activation} inner lr {inner:g}"
        return _arm(name, activation, rates(inner), mean, curves=curves, **more)

    arms = [
        arm("relu", 0.005, 0.68, 30.0, paper=_paper(0.71, 0.70, 0.68)),
        arm("relu", 0.02, 0.72, 25.0, area=interval(0.5, 0.1, "training seeds")),
        arm(
            "arelu",
            0.005,
            0.78,
            10.0,
            paper=_paper(0.833, 0.925, 0.78),
            attention=_attention(x, True),
            stuck_alpha=1,
            attention_layers=9,
            area=interval(0.66, 0.04, "training seeds"),
            times=[_time([12.0, 20.0, 31.0], 20.0)],
        ),
        arm("arelu", 0.02, None, 10.0),
        arm("arelu-frozen", 0.005, 0.77, 12.0, attention=_attention(x, False)),
        arm("relu-gain", 0.005, 0.74, 20.0, times=[_time([88.0, None, None], None)]),
    ]
    shared = [
        comparison("arelu inner lr 0.005", "relu inner lr 0.005", 0.1, 0.05, "better"),
        comparison(
            "arelu-frozen inner lr 0.005", "relu inner lr 0.005", 0.09, 0.1, "no difference shown"
        ),
        comparison("relu-gain inner lr 0.005", "relu inner lr 0.005", -0.06, 0.02, "worse"),
    ]
    names = [a["name"] for a in arms]
    lines = {
        "relu": [_point(0.005, 0.68), _point(0.02, 0.72)],
        "arelu": [_point(0.005, 0.78), _point(0.02, None)],
    }
    own = [comparison(names[2], names[1], 0.06, 0.05, "better")]
    learning = comparison(names[2], names[4], 0.01, 0.04, "no difference shown")
    return {
        "id": "maml-1",
        "experiment": "maml",
        "title": "MAML on mnist: 5-way 1-shot, held-out images, mnist-conv, 100 iterations",
        "question": "Do arelu, arelu-frozen, relu-gain adapt better to new tasks than relu?",
        "unit": "test episodes",
        "units": 600,
        "replacement": True,
        "chance": 0.2,
        "protocol": "paper",
        "settings": {"dataset": "mnist", "ways": 5, "shots": 1, "train_sha256": "476b2f3d" * 8},
        "data": {
            "held_out": "images",
            "official": True,
            "train": _data("MNIST", "train", True, ""),
            "test": _data("MNIST", "test", True, ""),
        },
        "official": True,
        "environments": [_environment("dc2b126d" * 5)],
        "arms": arms,
        "reference": "relu",
        "comparisons": shared,
        "tuned": {
            "chosen": {"relu": names[1], "arelu": names[2]},
            "arms": [names[1], names[2]],
            "comparisons": own,
            "notes": ["Every activation was tried at 2 settings of its rates."],
        },
        "sensitivity": {"rate": "inner_lr", "lines": lines},
        "ranks": {
            "blocks": 600,
            "over": "test episodes",
            "critical_difference": 0.19,
            "p_value": 0.0001,
            "mean_ranks": {names[2]: 1.6, names[4]: 1.7, names[5]: 2.9, names[0]: 3.8},
            "groups": [[names[2], names[4]]],
        },
        "learned": {
            "first": names[2],
            "second": names[0],
            "parts": [
                {"name": "total", "sentence": "Together: +10.0.", "difference": shared[0]},
                {"name": "learning", "sentence": "Learning: +1.0.", "difference": learning},
            ],
            "answer": "arelu is better than relu; learning its parameters is not shown to matter.",
            "parameters": {
                f"act{depth}": {
                    "alpha": {"start": 0.9, "end": 0.94, "low": 0.91, "high": 0.98},
                    "beta": {"start": 2.0, "end": 2.1, "low": 2.0, "high": 2.2},
                }
                for depth in (1, 2, 3)
            },
        },
        "notes": ["arelu inner lr 0.02: seed 0, 1, 2 diverged and has no accuracy."],
        "reproduce": ["metaact maml --dataset mnist --activation relu,arelu --seeds 3"],
    }


def _point(rate: float, mean: float | None) -> Any:
    known = mean is not None
    return {
        "rate": rate,
        "accuracy": interval(mean, 0.03) if known else None,
        "diverged": 0 if known else 3,
    }


def _data(name: str, split: str, official: bool, note: str) -> Any:
    return {
        "dataset": name,
        "split": split,
        "official": official,
        "note": note,
        "images": 60000,
        "classes": 10,
        "sha256": "e117fb05" * 8,
    }


def _environment(commit: str) -> Any:
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
    }


def _transfer() -> Any:
    x = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
    study = copy.deepcopy(_maml())
    names = ["relu", "selu", NASTY]
    arms = []
    for name, mean in zip(names, (0.42, 0.41, 0.46), strict=True):
        curves = {"test_accuracy": _curve(x, "epoch", mean, 1.0)}
        base = {"target only": interval(0.19, 0.05, "training seeds"), "never fine-tuned": None}
        arms.append(
            _arm(name, name, {"lr": 1e-5}, mean, curves=curves, baselines=base)
            | {"paper": _paper(None, 0.78 if name == "relu" else None, mean)}
        )
    return study | {
        "id": "transfer-1",
        "experiment": "transfer",
        "title": "mnist to svhn: mnist-conv, pre-trained for 5 epochs, fine-tuned by ADAM",
        "question": f"Do selu, {NASTY} make a pre-trained network adapt better than relu?",
        "unit": "test images",
        "units": 26032,
        "replacement": None,
        "chance": 0.1,
        "settings": {"source": "mnist", "target": "svhn", "epochs": 20},
        "data": {"target": _data("SVHN", "test", False, "grey & a <part>")},
        "official": False,
        "arms": arms,
        "comparisons": [comparison(NASTY, "relu", 0.04, 0.05, "no difference shown")],
        "tuned": None,
        "sensitivity": None,
        "ranks": None,
        "learned": None,
        "notes": ["Not official data: SVHN (grey & a <part>)."],
        "reproduce": ["metaact transfer mnist svhn --seeds 3"],
    }


@pytest.fixture
def document() -> Any:
    """Two studies, a diverged arm, both readings, controls, ranks, and two left-out runs."""
    return {
        "experiment": "comparison",
        "version": "0.1.0",
        "level": 0.95,
        "margin": None,
        "over": "both",
        "method": "auto",
        "seed": 0,
        "studies": [_maml(), _transfer()],
        "left_out": [
            {"directory": "runs/maml/half", "why": "it is not complete"},
            {"directory": f"runs/maml/{NASTY}", "why": "its `result.json` is damaged"},
        ],
    }
