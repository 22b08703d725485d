"""An experiment in one file, outside the package: nothing learns in it, so that it takes no time.

`register()` adds it; `python tests/toy_experiment.py toy --help` is the command line with it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaact import experiments
from metaact.errors import UsageError
from metaact.experiments import (
    Axis,
    Experiment,
    Finished,
    Measure,
    Member,
    Planned,
    Prepared,
    Step,
)
from metaact.settings import Config, count, setting

UNITS = 40
LENGTH = "METAACT_TOY_SECONDS"
"""Environment variable: how long a step takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyConfig(Config):
    """A network that answers more and more of 40 questions."""

    activation: str = setting("arelu", "Arms to compare.", role="arm")
    seed: int = count(0, "Seed of the answers.", role="seed", least=0)
    questions: str = setting(
        "easy", "What is asked.", role="data", choices=("easy", "hard"), words="{} questions"
    )
    lr: float = setting(0.1, "How fast it learns.", role="rate")
    steps: int = count(6, "Steps.", role="training", words="{} steps", always=True)
    loudness: int = count(1, "How much is recorded.", role="observation")
    patience: int = count(1, "Of no consequence.", role="computation")


def measure(settings: Mapping[str, Any], data: Mapping[str, Any]) -> Measure:
    """The share of questions that are answered."""
    return Measure(
        name="recall",
        unit="test questions",
        units=UNITS,
        resolution=1.0,
        chance=0.25,
        axis=Axis(name="step", key="step", first=1),
        along=False,
    )


def prepare(
    configs: Sequence[ToyConfig], *, root: Path | None = None, device: str = "cpu"
) -> Prepared:
    """There are no data; hard questions are refused at a high rate."""
    if any(config.questions == "hard" and config.lr > 1 for config in configs):
        raise UsageError("`lr` must be at most 1 (hard questions); got more.")
    part = {"dataset": "toy", "split": "test", "official": True, "note": "", "images": UNITS}
    return Prepared(
        data={"official": True, "test": part},
        device=device,
        normalisation={"mean": [0.5], "std": [0.5]},
        validated=True,
    )


def plan(configs: Sequence[ToyConfig], shared: Prepared) -> list[Planned]:
    """One run a config."""
    return [
        Planned(
            config=config,
            kind="toy",
            name=f"{config.activation}-seed{config.seed}",
            label=f"{config.activation} lr {config.lr:g} seed {config.seed}",
            identity=config.fields(),
            measure=measure(config.fields(), shared.data),
            length=config.steps,
            group=(config.questions, config.steps),
            together=2,
        )
        for config in configs
    ]


def execute(
    members: Sequence[Member], shared: Prepared, *, tick: Callable[[], None] = lambda: None
) -> None:
    """Answer, step by step; two runs in one call."""
    experiments.train(
        members,
        lambda member: Learner(member.planned.config),
        lambda learners: [learner.step() for learner in learners],
        tick=tick,
    )


class Learner:
    """What one run trains: the number of steps is all that it knows."""

    def __init__(self, config: ToyConfig) -> None:
        self.config = config
        self.done = 0

    def begin(self) -> list[Mapping[str, object]]:
        return []

    def step(self) -> Step:
        time.sleep(float(os.environ.get(LENGTH, "0")))
        self.done += 1
        if self.config.activation == "tanh" and self.done == 3:
            ended = Finished(result={"outcome": "diverged", "step": self.done})
            return Step(records=[], ended=ended)
        known = sum(self._answers()) / UNITS
        return Step(records=[{"step": self.done, "validation_recall": known}])

    def finish(self, last: Mapping[str, object]) -> Finished:
        scores = self._answers()
        result = {"outcome": "complete", "test_recall": sum(scores) / UNITS}
        return Finished(result=result, scores=scores)

    def _answers(self) -> list[float]:
        known = 1 - (1 - min(self.config.lr, 1)) ** self.done
        names = (f"{self.config.activation} {self.config.seed} {n}" for n in range(UNITS))
        draws = [hashlib.sha256(name.encode()).digest()[0] / 255 for name in names]
        return [float(draw < known) for draw in draws]

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.done = int(state["done"])


TOY = Experiment(
    name="toy",
    config=ToyConfig,
    implementation="toy_experiment",
    help="Answer questions with each activation.\n\nNothing is learned.",
    title="Toy on",
    asks="answer more questions",
    measure=measure,
    kinds={"toy": "made up"},
)


def register() -> None:
    """Add it to the experiments."""
    experiments.register(TOY, "toy_experiment:TOY")


if __name__ == "__main__":
    sys.modules["toy_experiment"] = sys.modules["__main__"]
    register()
    from metaact.cli import main

    main()
