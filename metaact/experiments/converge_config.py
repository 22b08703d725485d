"""The settings of one run of `metaact converge`; every default is written here and nowhere else."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from metaact.errors import UsageError, check_choice, check_count, check_int, check_rate

from .config import BATCH_NORM, MODELS, PROTOCOLS, check_length

OPTIMIZERS = ("sgd", "adam")
DECAYS = ("all", "weights")

SMALL_RATE = 1e-3
"""At this rate and below, training is also watched within the first epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvergeConfig:
    """One activation, one learning rate, one optimizer, one seed, trained from scratch.

    The defaults are the paper's where the paper has one (section 4.2 and its authors' code).

    Attributes:
        activation: Name of the arm, as `metaact.activations.resolve` understands it.
        seed: Seed of the weights, of the batch order and of random layers.
        dataset: Built-in or downloadable name, folder of class folders, or `.npz` pack.
        model: "mnist-conv" or "conv4".
        batch_norm: "off", or "batch": statistics of the batch at hand, also in evaluation.
        optimizer: "sgd" or "adam".
        lr: Learning rate.
        momentum: Of SGD.
        weight_decay: L2 penalty.
        decay: What the penalty applies to: "all", or "weights", which spares activations.
        batch_size: Images per update.
        epochs: Passes over the training part.
        first_epoch_points: Evaluations within the first epoch; None is 4 at a rate of 1e-3 or
            below and 0 above it.
        train_layers: Layer names that are trained: "all", "weights", "activations", or a path.
        layer_lrs: Pairs (layer name, learning rate) that differ from `lr`.
        freeze_activations: Keep α, β and all other parameters of activations at their start.
        protocol: "held-out": a validation part is taken out of training, and the best epoch is
            chosen there. "paper": all training images train, the best test accuracy over epochs
            is reported by that name, and contested activations take the authors' form.
    """

    activation: str = "arelu"
    seed: int = 0
    dataset: str = "printed-digits"
    model: str = "mnist-conv"
    batch_norm: str = "off"
    optimizer: str = "sgd"
    lr: float = 1e-4
    momentum: float = 0.9
    weight_decay: float = 0.0
    decay: str = "all"
    batch_size: int = 128
    epochs: int = 20
    first_epoch_points: int | None = None
    train_layers: tuple[str, ...] = ("all",)
    layer_lrs: tuple[tuple[str, float], ...] = ()
    freeze_activations: bool = False
    protocol: str = "held-out"

    def __post_init__(self) -> None:
        check_int("seed", self.seed, minimum=0)
        check_int("batch_size", self.batch_size, minimum=1)
        check_length("epochs", self.epochs)
        check_rate("lr", self.lr)
        check_choice("model", self.model, MODELS)
        check_choice("batch_norm", self.batch_norm, BATCH_NORM)
        check_choice("protocol", self.protocol, PROTOCOLS)
        check_training(self.optimizer, self.decay, self.momentum, self.weight_decay)
        check_layers(self.train_layers, self.layer_lrs)
        if self.first_epoch_points is None:
            object.__setattr__(self, "first_epoch_points", 4 if self.lr <= SMALL_RATE else 0)
        check_int("first_epoch_points", self.first_epoch_points, minimum=0)

    def fields(self) -> dict[str, object]:
        """All settings by name, as they enter the run's identity."""
        return {
            **asdict(self),
            "dataset": Path(self.dataset).name,
            "train_layers": list(self.train_layers),
            "layer_lrs": [list(pair) for pair in self.layer_lrs],
        }


def check_training(optimizer: str, decay: str, momentum: float, weight_decay: float) -> None:
    """Refuse settings of an optimizer that are out of their range.

    Raises:
        UsageError: If one is.
    """
    check_choice("optimizer", optimizer, OPTIMIZERS)
    check_choice("decay", decay, DECAYS)
    if not 0 <= momentum < 1:
        raise UsageError(f"`momentum` must be a number in [0, 1); got {momentum!r}.")
    if not 0 <= weight_decay < float("inf"):
        raise UsageError(f"`weight_decay` must be a finite number >= 0; got {weight_decay!r}.")


def check_batch_size(batch_size: int, images: int) -> None:
    """Refuse batches that are larger than the training part, and than the default.

    Raises:
        UsageError: If they are.
    """
    most = max(images, ConvergeConfig().batch_size)
    why = f"the training part has {images} images"
    check_count("batch_size", batch_size, most=most, why=why)


def check_layers(train_layers: tuple[str, ...], layer_lrs: tuple[tuple[str, float], ...]) -> None:
    """Refuse an empty list of layers and rates out of range; names need the network.

    Raises:
        UsageError: If the list is empty or a rate is not finite and positive.
    """
    if not train_layers:
        raise UsageError("`train_layers` must name at least one layer (or `all`); got none.")
    for name, rate in layer_lrs:
        check_rate("layer_lrs", rate, why=f"the learning rate of {name}")
