"""The settings of supervised training, what of them contradicts what, and the schedule. No torch.

References:
    Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017,
    https://arxiv.org/abs/1608.03983, equation 5, without restarts.
    Goyal et al., Accurate, Large Minibatch SGD, 2017, https://arxiv.org/abs/1706.02677, section 2.2
    (gradual warm-up).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from metaact.adaptation.choices import AUGMENTATIONS, DECAYS, OPTIMIZERS, PRECISIONS, SCHEDULES
from metaact.display import brief, unusual
from metaact.errors import UsageError, check_choice, check_int, check_rate

FACTOR = 0.1
"""What a milestone multiplies the learning rate by, unless asked otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of supervised training.

    A *layer name* is a prefix of parameter names on whole words ("head", "conv1", "layer4.0"), or
    one of "all", "activations" (α and β, slopes, coefficients: whatever lies in a module that is an
    activation, see `metaact.activations.inside_activations`) and "weights" (every other parameter).

    Attributes:
        lr: Learning rate.
        optimizer: "sgd" or "adam".
        momentum: Of SGD.
        nesterov: Whether SGD takes Nesterov's form of momentum.
        weight_decay: L2 penalty.
        decay: What the penalty applies to: "weights" only, or "all". Decay pushes α to zero
            (section 3.4 of the paper), so "weights" spares activation parameters. Biases and the
            parameters of BatchNorm are decayed by both, as in the recipes that are published.
        batch_size: Images per step; the last batch of an epoch may be smaller.
        train_layers: Layer names that are trained; the others keep their values.
        layer_lrs: Pairs (layer name, learning rate); the first that fits a parameter wins.
        freeze_activations: Keep the parameters of activations (α and β) at their values.
        schedule: "constant"; "step": times `lr_factor` at each of `milestones`; "cosine": down to
            zero over the planned epochs. All rates follow it, those of `layer_lrs` too.
        milestones: Numbers of epochs after which the rate is multiplied.
        lr_factor: By what.
        warmup_epochs: First epochs, in which the rate rises linearly, update by update.
        epochs: Planned length; needed by a cosine.
        clip_norm: Largest norm of the whole gradient: a longer one is scaled to it; 0 scales none.
        augmentation: "none", "crop-flip" or "scale-turn-flip", see `augmentation`.
        precision: "float32", or "bfloat16" where that is safe (autocast), on a GPU only.
        channels_last: On a GPU, keep weights and images in that order in memory; on a CPU they
            always are, and it has no effect.

    Raises:
        UsageError: If a setting is not allowed, or contradicts another.
    """

    lr: float
    optimizer: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    decay: str = "weights"
    batch_size: int = 128
    train_layers: tuple[str, ...] = ("all",)
    layer_lrs: tuple[tuple[str, float], ...] = ()
    freeze_activations: bool = False
    schedule: str = "constant"
    milestones: tuple[int, ...] = ()
    lr_factor: float = FACTOR
    warmup_epochs: int = 0
    epochs: int | None = None
    clip_norm: float = 0.0
    augmentation: str = "none"
    precision: str = "float32"
    channels_last: bool = False

    def __post_init__(self) -> None:
        check_rate("lr", self.lr)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("decay", self.decay, DECAYS)
        check_int("batch_size", self.batch_size, minimum=1)
        for name, rate in self.layer_lrs:
            check_rate(f"layer_lrs: {name}", rate)
        if not 0 <= self.momentum < 1:
            raise UsageError(f"`momentum` must be a number in [0, 1); got {self.momentum!r}.")
        for name in ("weight_decay", "clip_norm"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise UsageError(f"`{name}` must be a finite number >= 0; got {value!r}.")
        if not self.train_layers:
            raise UsageError("`train_layers` must name at least one layer (or 'all'); got none.")
        check_choice("augmentation", self.augmentation, AUGMENTATIONS)
        check_choice("precision", self.precision, PRECISIONS)
        self._check_nesterov()
        self._check_schedule()

    def __repr__(self) -> str:
        return brief(self, **unusual(self))

    def _check_nesterov(self) -> None:
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            seen = "momentum 0" if self.optimizer == "sgd" else self.optimizer
            raise UsageError(
                f"`nesterov` must be left out without SGD's momentum (it is a form of it); got "
                f"{seen}."
            )

    def _check_schedule(self) -> None:
        check_choice("schedule", self.schedule, SCHEDULES)
        check_int("warmup_epochs", self.warmup_epochs, minimum=0)
        if self.epochs is not None and self.warmup_epochs >= self.epochs > 0 < self.warmup_epochs:
            raise UsageError(
                f"`warmup_epochs` must be less than the {self.epochs} planned epochs; got "
                f"{self.warmup_epochs}."
            )
        if self.schedule == "cosine" and self.epochs is None:
            raise UsageError("`epochs` must be given with a cosine schedule, which ends there.")
        if self.schedule == "step":
            self._check_milestones()
            return
        for name, value in (
            ("milestones", ",".join(map(str, self.milestones))),
            ("lr_factor", "" if self.lr_factor == FACTOR else f"{self.lr_factor:g}"),
        ):
            if value:
                raise UsageError(
                    f"`{name}` must be left out unless `schedule` is step; got {value} with a "
                    f"{self.schedule} one."
                )

    def _check_milestones(self) -> None:
        if not 0 < self.lr_factor < 1:
            raise UsageError(f"`lr_factor` must be a number in (0, 1); got {self.lr_factor!r}.")
        bounds = [max(0, self.warmup_epochs - 1), *self.milestones]
        rising = all(a < b for a, b in pairwise(bounds))
        inside = self.epochs is None or not self.milestones or self.milestones[-1] < self.epochs
        if not (self.milestones and rising and inside):
            least = max(1, self.warmup_epochs)
            most = "" if self.epochs is None else f" to {self.epochs - 1}"
            raise UsageError(
                f"`milestones` must be rising numbers of epochs from {least}{most} (within the "
                f"run, after its warm-up); got {', '.join(map(str, self.milestones)) or 'none'}."
            )


def rate_factor(recipe: Recipe, *, epoch: int, step: int, steps: int) -> float:
    """What the learning rates are multiplied by in one update.

    Formula: in warm-up (epoch < W) (epoch·steps + step + 1)/(W·steps); then 1, or
    factor^(milestones <= epoch), or (1 + cos(π·(epoch - W)/(E - W)))/2 of E planned epochs.

    Args:
        recipe: The settings.
        epoch: Epochs done before it.
        step: Updates of this epoch done before it.
        steps: Updates in an epoch.

    Examples:
        >>> recipe = Recipe(lr=0.1, schedule="step", milestones=(2, 3), epochs=4)
        >>> [round(rate_factor(recipe, epoch=e, step=0, steps=10), 6) for e in range(4)]
        [1.0, 1.0, 0.1, 0.01]
    """
    warm = recipe.warmup_epochs
    if epoch < warm:
        return (epoch * steps + step + 1) / (warm * steps)
    if recipe.schedule == "step":
        return recipe.lr_factor ** sum(epoch >= milestone for milestone in recipe.milestones)
    if recipe.schedule == "cosine":
        assert recipe.epochs is not None
        return (1 + math.cos(math.pi * (epoch - warm) / (recipe.epochs - warm))) / 2
    return 1.0
