"""One run of `metaact segment` in training: a network for each fold, an epoch of all at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from metaact import activations
from metaact.adaptation import EpochLoss, Trainer, VolumeScore, evaluate_volumes
from metaact.experiments.loop import Finished, Record, Step
from metaact.experiments.networks import counts
from metaact.randomness import isolated_rng
from metaact.runs import finite
from metaact.tasks import Fold, Volumes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One fold in training.

    Attributes:
        fold: Its patients.
        trainer: The network and its training.
    """

    fold: Fold
    trainer: Trainer


class CrossValidation:
    """The networks of all folds, evaluated after every epoch.

    Records hold the Dice of every patient, in the order of the patients, each by the network that
    was trained without it; losses and validation scores are means over folds.

    Args:
        parts: The folds.
        volumes: All patients.
        epochs: Length of the run.
        largest: Whether only the largest component counts.
    """

    def __init__(
        self, parts: Sequence[Part], volumes: Volumes, *, epochs: int, largest: bool
    ) -> None:
        self.parts = parts
        self.volumes = volumes
        self.epochs = epochs
        self.largest = largest
        tested = [number for part in parts for number in part.fold.test]
        self.order = np.argsort(tested)
        self.tested = [volumes.patients[number] for number in sorted(tested)]
        folds = [number for number, part in enumerate(parts, start=1) for _ in part.fold.test]
        self.fold_of = [folds[place] for place in self.order]

    @property
    def done(self) -> int:
        """Epochs done."""
        return self.parts[0].trainer.epochs

    def begin(self) -> list[Record]:
        """What is known before the first update."""
        return [{"epoch": 0, "step": 0, "attention": self._attention()}]

    def advance(self) -> Step:
        """One epoch of every fold."""
        outcomes = [part.trainer.epoch() for part in self.parts]
        if any(outcome.diverged_at is not None for outcome in outcomes):
            return Step(records=[], ended=self._diverged())
        record = self._record(outcomes)
        losses = [v for name, v in record.items() if name.endswith("_loss")]
        lost = not all(isinstance(loss, float) and math.isfinite(loss) for loss in losses)
        return Step(records=[record], ended=self._diverged() if lost else None)

    def finish(self, last: Record) -> Finished:
        """The weights of every fold, and the figures of the last epoch."""
        figures = {k: v for k, v in last.items() if k.endswith(("_loss", "_dice"))}
        weights = {
            f"fold-{number}": part.trainer.model.state_dict()
            for number, part in enumerate(self.parts, start=1)
        }
        result = {
            "outcome": "complete",
            "epochs": self.epochs,
            **figures,
            "patients": self.tested,
            "fold_of": self.fold_of,
            **self._counts(),
        }
        return Finished(result=result, weights=weights)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {"folds": [part.trainer.state_dict() for part in self.parts]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        for part, kept in zip(self.parts, state["folds"], strict=True):
            part.trainer.load_state_dict(kept)

    def _record(self, outcomes: Sequence[EpochLoss]) -> dict[str, object]:
        tests = [self._evaluate(part, part.fold.test, "test") for part in self.parts]
        scores = np.concatenate([score.dice for score in tests])[self.order]
        record: dict[str, object] = {
            "epoch": self.done,
            "step": sum(part.trainer.steps for part in self.parts) * self.done,
            "attention": self._attention(),
            "train_loss": fmean(outcome.loss for outcome in outcomes),
            "lr": self.parts[0].trainer.lr,
            "test_loss": fmean(score.loss for score in tests),
            "test_dice": float(scores.mean()),
            "test_scores": scores.tolist(),
        }
        checks = [
            self._evaluate(part, part.fold.validation, "validation")
            for part in self.parts
            if part.fold.validation
        ]
        if checks:
            dice = [float(score.dice.mean()) for score in checks]
            record |= {
                "validation_loss": fmean(score.loss for score in checks),
                "validation_dice": fmean(dice),
                "validation_dice_by_fold": dice,
            }
        return record

    def _evaluate(self, part: Part, patients: Sequence[int], name: str) -> VolumeScore:
        trainer = part.trainer
        with isolated_rng(name, trainer.seed, trainer.epochs, 0):
            return evaluate_volumes(
                trainer.model,
                self.volumes,
                patients=patients,
                normalisation=trainer.normalisation,
                largest=self.largest,
            )

    def _diverged(self) -> Finished:
        steps = sum(part.trainer.steps for part in self.parts) * self.done
        result = {"outcome": "diverged", "epoch": self.done, "step": steps, **self._counts()}
        return Finished(result=result)

    def _attention(self) -> object:
        """α and β of each layer, means over the networks of the folds."""
        found = [activations.attention_values(part.trainer.model) for part in self.parts]
        return finite(
            {
                layer: {name: fmean(one[layer][name] for one in found) for name in values}
                for layer, values in found[0].items()
            }
        )

    def _counts(self) -> dict[str, object]:
        """Parameters of one network, α and β as means, stuck α of all networks."""
        found = [counts(part.trainer.model) for part in self.parts]
        stuck = sum(int(str(one["stuck_alpha"])) for one in found)
        layers = sum(int(str(one["attention_layers"])) for one in found)
        return {
            **found[0],
            "attention": self._attention(),
            "stuck_alpha": stuck,
            "attention_layers": layers,
        }
