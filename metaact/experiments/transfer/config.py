"""The settings of one arm and seed of `metaact transfer`; every default is written here only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metaact.errors import UsageError
from metaact.experiments import declared
from metaact.runs import read_run
from metaact.runs.checkpoint import WEIGHTS
from metaact.runs.config_file import NAME as CONFIG_FILE
from metaact.settings import by_name, counted, setting

PROTOCOLS = ("held-out", "paper", "paper-text")

SWAPS = ("plain", "warm")

TEXT_EPOCHS = 100
"""Epochs of fine-tuning in the paper's text (section 4.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferConfig(declared.TrainingConfig):
    """One activation and one seed, pre-trained on a source and fine-tuned on a target.

    The defaults are the paper's where the paper has one (section 4.4 and its authors' code). What
    other ways of training share stands in `TrainingConfig` and is meant of the fine-tuning;
    `momentum`, `batch_size`, `model` and `batch_norm` hold in both stages.

    Attributes:
        source: What to pre-train on: a data set's name or a path.
        target: What to fine-tune and test on, likewise.
        weights: Trained weights to start from in place of a source: a run directory or a file.
        trained_with: The activation that they were trained with; None is what they say.
        swap: "plain" or "warm": where the parameters of another activation start.
        pretrain_lr: Learning rate of pre-training, by SGD with momentum.
        pretrain_epochs: Epochs of pre-training; under "paper-text" the greatest of `epochs`.
        lr: Learning rate of fine-tuning.
        epochs: Numbers of fine-tuning epochs at which the target's test accuracy is reported;
            under "paper-text" numbers of pre-training epochs.
        text_epochs: Epochs of fine-tuning under "paper-text"; else without effect.
        protocol: "held-out": the caption's reading, and a validation part is taken out of the
            target's training images. "paper": the same reading on all training images, with the
            authors' form of contested activations. "paper-text": the text's reading.
    """

    source: str = setting("printed-digits", "What to pre-train on.", role="data", path=True)
    weights: str | None = setting(
        None,
        "A trained network to fine-tune, in place of SOURCE: a run directory, which says its "
        "--model; a file of weights for --model (a state dict of PyTorch, or .safetensors); "
        "torchvision:NAME or timm:NAME for the library's own, which are downloaded.",
        role="data",
        path=True,
        option="--pretrained",
        stands_for="source",
        words="from {}",
        added=True,
    )
    target: str = setting("street-digits", "What to fine-tune and test on.", role="data", path=True)
    trained_with: str | None = setting(
        None,
        "The activation of the network in --pretrained.",
        role="data",
        unset="what the run or the file says, or the network's own",
        words="trained with {}",
        added=True,
    )
    swap: str = setting(
        "plain",
        "Where the parameters of an activation start that takes the place of the one in "
        "--pretrained. plain: at their start values. warm: where they fit the old one best.",
        role="training",
        choices=SWAPS,
        words={"plain": "plain swap", "warm": "warm swap"},
        added=True,
    )
    pretrain_lr: float = declared.rate(1e-2, "Rate on the source, by SGD with momentum.")
    pretrain_epochs: int = declared.length(20, "Epochs on the source.")
    lr: float = declared.rate(1e-5, "Learning rate of fine-tuning.")
    epochs: tuple[int, ...] = declared.length(
        (5, 10, 20),  # type: ignore[arg-type]  # a tuple of lengths
        "Fine-tuning epochs at which the target is tested; one run serves all. Under paper-text: "
        "epochs of pre-training.",
        words=counted("epoch"),
        always=True,
        contains=True,
    )
    text_epochs: int = declared.length(TEXT_EPOCHS, "Fine-tuning epochs of --protocol paper-text.")
    protocol: str = declared.protocol(
        PROTOCOLS,
        "held-out: fine-tuned for --epochs, as table 2's caption says; a validation part is held "
        "out. paper: the same on all training images. paper-text: pre-trained for --epochs, then "
        "fine-tuned for --text-epochs, as the paper's text says.",
    )

    def __post_init__(self) -> None:
        if self.weights is not None and self.model == _usual_model():
            object.__setattr__(self, "model", _model_of(self.weights) or self.model)
        declared.TrainingConfig.__post_init__(self)
        object.__setattr__(self, "epochs", tuple(sorted(set(self.epochs))))
        self._check_weights()
        text = self.protocol == "paper-text"
        declared.check_recipe(self, (self.text_epochs,) if text else self.epochs)
        if text:
            object.__setattr__(self, "pretrain_epochs", max(self.epochs))

    def _check_weights(self) -> None:
        """Refuse settings that say nothing, as there is or is no pre-training."""
        given = self.weights is not None
        silent = ("source", "pretrain_lr", "pretrain_epochs") if given else ("trained_with", "swap")
        for name in silent:
            if getattr(self, name) != by_name(TransferConfig)[name].default:
                which = "with" if given else "without"
                why = "nothing is pre-trained" if given else "nothing was trained before"
                raise UsageError(
                    f"`{name}` must be left out {which} `weights` ({why}); got "
                    f"{getattr(self, name)!r}."
                )
        if given and self.protocol == "paper-text":
            raise UsageError(
                "`protocol` must be held-out or paper with `weights` (the rows of paper-text "
                "differ in pre-training); got 'paper-text'."
            )

    @property
    def reading(self) -> str:
        """Which of the paper's two readings of table 2 this is, in words."""
        if self.weights is not None:
            return _epochs(self.epochs)
        if self.protocol == "paper-text":
            return (
                f"text: pre-trained for {_epochs(self.epochs)}, then fine-tuned for "
                f"{self.text_epochs}"
            )
        return (
            f"caption: pre-trained for {_epochs([self.pretrain_epochs])}, then fine-tuned for "
            f"{_numbers(self.epochs)}"
        )


LIBRARIES = ("torchvision:", "timm:")
"""How weights begin that name their network."""


def _model_of(weights: str) -> str | None:
    """The network that a library's weights or a run belong to; None where nothing says it."""
    if weights.startswith(LIBRARIES):
        return weights
    path = Path(weights)
    place = path.parent if path.name == WEIGHTS else path
    if not (place / CONFIG_FILE).is_file():
        return None
    model = read_run(place).config.get("model")
    return model if isinstance(model, str) else None


def _usual_model() -> object:
    return by_name(TransferConfig)["model"].default


def _epochs(values: Sequence[int]) -> str:
    return f"{_numbers(values)} epoch{'' if list(values) == [1] else 's'}"


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(str(value) for value in values)
