"""One complete run read back: what it was, how it was tested, and its course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from metaact.errors import RunError
from metaact.runs import Run, unpack_bits

Array: TypeAlias = NDArray[np.float64]

EXPERIMENTS = {"maml": "maml", "converge": "converge", "transfer": "transfer"}
"""Kinds of runs that hold evidence, and the command that makes them."""

RATES = {
    "maml": ("inner_lr", "meta_lr"),
    "converge": ("lr",),
    "transfer": ("lr", "pretrain_lr"),
}
"""Settings that may differ between the arms of one study: each arm may have its own best. (What
was never pre-trained has no `pretrain_lr`.)"""

UNITS = {"maml": "test episodes", "converge": "test images", "transfer": "test images"}
"""What the test scores of an experiment are per."""

SOURCE_DIVERGED = "source diverged"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """One complete run.

    Attributes:
        run: Its directory.
        experiment: "maml", "converge" or "transfer".
        activation: The arm's activation.
        seed: Its training seed.
        rates: The learning rates that may differ between arms, by name.
        settings: All other settings and the hashes of the data.
        result: What the run finished with.
        environment: Versions, machine, data and their provenance.
        metrics: Its course, one mapping a record.
        at: Epoch at which it is read; None is its end.
        diverged: Whether it left the finite numbers before that.
        accuracy: Test accuracy in 0..1; None if it diverged.
        scores: The same per test episode, or 1 and 0 per test image [units]; None if it diverged
            or did not keep them.
        validation: Accuracy on the validation part there; None without one.
    """

    run: Run
    experiment: str
    activation: str
    seed: int
    rates: Mapping[str, float]
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    environment: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...] = field(repr=False)
    at: int | None
    diverged: bool
    accuracy: float | None
    scores: Array | None = field(repr=False)
    validation: float | None

    @property
    def course(self) -> tuple[Mapping[str, Any], ...]:
        """The metrics up to where the run is read."""
        if self.at is None or self.experiment == "maml":
            return self.metrics
        return tuple(m for m in self.metrics if m["epoch"] <= self.at)


def read_record(run: Run, *, at: int | None = None) -> Record:
    """Read a complete run of one of the three experiments.

    Args:
        run: The run.
        at: Epoch at which a supervised run is read; None is its end.

    Raises:
        RunError: If it is not complete, damaged, or shorter than `at`.
    """
    result = run.result()
    experiment = EXPERIMENTS[run.kind]
    config = dict(run.config)
    rates = {name: float(config.pop(name)) for name in RATES[experiment] if name in config}
    activation, seed = str(config.pop("activation")), int(config.pop("seed"))
    metrics = tuple(run.metrics())
    read = _read_episodes if experiment == "maml" else _read_images
    diverged, accuracy, scores, validation = read(run, result, metrics, at)
    return Record(
        run=run,
        experiment=experiment,
        activation=activation,
        seed=seed,
        rates=rates,
        settings=config,
        result=result,
        environment=run.environment(),
        metrics=metrics,
        at=at,
        diverged=diverged,
        accuracy=accuracy,
        scores=scores,
        validation=validation,
    )


_Reading: TypeAlias = tuple[bool, float | None, Array | None, float | None]


def _read_episodes(
    run: Run, result: Mapping[str, Any], metrics: tuple[Mapping[str, Any], ...], at: int | None
) -> _Reading:
    if result["outcome"] != "complete":
        return True, None, None, None
    scores = np.array([episode["accuracy"] for episode in run.episodes()], dtype=np.float64)
    if len(scores) != run.config["test_episodes"]:
        raise RunError(
            f"`{run.directory}` holds {len(scores)} of {run.config['test_episodes']} test "
            "episodes; delete it and run the same command again."
        )
    validation = metrics[-1].get("validation_accuracy") if metrics else None
    return False, float(scores.mean()), scores, validation


def _read_images(
    run: Run, result: Mapping[str, Any], metrics: tuple[Mapping[str, Any], ...], at: int | None
) -> _Reading:
    epochs = int(run.config["epochs"])
    if at is not None and at > epochs:
        raise RunError(f"`{run.directory}` has {epochs} epochs, and is asked for at epoch {at}.")
    epoch = epochs if at is None else at
    record = next((m for m in metrics if m["epoch"] == epoch), None)
    if record is None or record.get("test_accuracy") is None:
        return True, None, None, None
    scores = None
    if "test_right" in record and "test_images" in result:
        scores = unpack_bits(record["test_right"], result["test_images"]).astype(np.float64)
    return False, float(record["test_accuracy"]), scores, record.get("validation_accuracy")
