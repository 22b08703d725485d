"""Settings that several experiments share, each declared here once. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from metaact.adaptation.choices import (
    AUGMENTATIONS,
    DECAYS,
    NORMALISATIONS,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
)
from metaact.adaptation.supervised.recipe import FACTOR, Recipe
from metaact.errors import UsageError
from metaact.models.gains import INITS
from metaact.models.table import BATCH_NORM, NETWORKS, Network, network_of
from metaact.settings import LONGEST, Config, check, count, counted, fill, setting, shown

PROTOCOLS = ("held-out", "paper")

END = "a run must end"

AUGMENTED = (
    "What is done to every training image, anew in every epoch and for all arms of a seed alike. "
    "crop-flip: padded by 4 pixels, cropped at random and flipped or not. scale-turn-flip: scaled "
    "by up to 5 %, turned by up to 15 degrees and flipped or not."
)

CHANGES = {
    "crop-flip": "random crops and flips",
    "scale-turn-flip": "random scales, turns and flips",
    "none": "no augmentation",
}

_BATCH_NORM = {
    "running": "BatchNorm",
    "batch": "BatchNorm of the current batch",
    "group": "GroupNorm",
    "off": "no BatchNorm",
}


def activation() -> Any:
    """The arm, unless another setting is the question."""
    return setting(
        "arelu",
        "Arms to compare: names from `metaact activations list`, NAME+elsa, your own "
        "module:factory; `paper` for the paper's nineteen, `modern` for those of today, `all` for "
        "both. The first is the reference.",
        role="arm",
    )


def seed(of: str) -> Any:
    """The training seed; on the command line it is given by --seeds or --seed."""
    return count(0, f"Seed of {of}.", role="seed", least=0)


def dataset(default: str | None, **more: Any) -> Any:
    """What is trained and tested on."""
    return setting(
        default,
        "A name from `metaact data list`, a folder of class folders, or an .npz pack.",
        role="data",
        path=True,
        **more,
    )


def size(**more: Any) -> Any:
    """Height and width of the images."""
    needed = ", ".join(f"{known.size} for {name}" for name, known in NETWORKS.items() if known.size)
    return count(
        None,
        "Height and width that images are brought to: those that are larger by a seventh at most "
        "are cropped at the centre, all others resized whole.",
        role="data",
        unset=f"as they are; {needed}; one that suits both sides of a transfer",
        words=lambda size: f"images {size}x{size}",
        added=True,
        **more,
    )


def channels(**more: Any) -> Any:
    """Colour channels of the images."""
    return count(
        None,
        "Colour channels that images are brought to: 1 (made grey) or 3 (grey repeated).",
        role="data",
        unset="as they are; in a transfer 3 if either side has 3",
        words={1: "in grey", 3: "in RGB"},
        added=True,
        **more,
    )


def model(default: str = "mnist-conv", **more: Any) -> Any:
    """The network."""
    return setting(
        default,
        f"Network: {', '.join(NETWORKS)}; torchvision:NAME or timm:NAME for one of theirs; or your "
        "own module:factory, called with classes, channels and size=(height, width).",
        role="training",
        group="Network",
        known=network_of,
        words="{}",
        always=True,
        **more,
    )


def init(default: str = "default", more: Mapping[str, str] | None = None, why: str = "") -> Any:
    """The gain of initial weights.

    Args:
        default: What it is.
        more: Further choices, and what they are.
        why: What they are in the help.
    """
    known = {**INITS, **(more or {})}
    return setting(
        default,
        "Initial weights of layers that feed an activation: default: PyTorch's; relu: by Kaiming's "
        f"rule with ReLU's gain; measured: with the gain that each arm was measured to have{why}.",
        role="training",
        group="Network",
        choices=tuple(known),
        words={name: f"initialisation: {words}" for name, words in known.items()},
        notes={name: f"Initialisation: {words}." for name, words in known.items()},
        added=True,
    )


def batch_norm(
    usual: str,
    *,
    choices: tuple[str, ...] = BATCH_NORM,
    why: str = "",
    networks: Mapping[str, Network] = NETWORKS,
) -> Any:
    """Normalisation within the network; left out, it follows the network.

    Args:
        usual: What it is for a network with BatchNorm.
        choices: What is allowed.
        why: The reason for that.
        networks: Those that there are to choose from.
    """
    meanings = {
        "running": "running: BatchNorm, in evaluation by the running statistics of training.",
        "batch": "batch: BatchNorm by the statistics of the current batch, in evaluation too.",
        "group": "group: GroupNorm in its place.",
        "off": "off: none.",
    }
    without = ", ".join(name for name, network in networks.items() if not network.normalised)
    return setting(
        None,
        " ".join(meanings[choice] for choice in choices),
        role="training",
        group="Network",
        choices=choices,
        why=why,
        unset=f"{usual}; off for {without}" if without else usual,
        words=_BATCH_NORM,
        always=True,
        notes={"batch": "BatchNorm uses the statistics of the current batch, also in evaluation."},
    )


def fill_batch_norm(config: Any, usual: str) -> None:
    """Let normalisation that was left out follow the network; while a config is made.

    Args:
        config: It has `model` and `batch_norm`.
        usual: As for `batch_norm`.
    """
    fill(config, "batch_norm", usual if network_of(config.model).normalised else "off")


def length(default: int | None, help: str, *, role: Any = "training", **more: Any) -> Any:
    """How long a run is."""
    return count(default, help, role=role, most=LONGEST, why_most=END, **more)


def rate(default: float, help: str) -> Any:
    """A learning rate: every arm is run at each that is given, and it can be tuned."""
    return setting(default, help, role="rate", kind=float)


def protocol(choices: tuple[str, ...], help: str) -> Any:
    """Whether choices are made on data of their own, or as the paper made them."""
    return setting(
        choices[0],
        help,
        role="data",
        choices=choices,
        words="{} protocol",
        always=True,
        group="Fairness",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AloneConfig(Config):
    """Settings of a network that is trained in the ordinary way, alone.

    Attributes:
        activation: Name of the arm, as `metaact.activations.resolve` understands it.
        seed: Seed of the weights, of the batch order and of random layers.
        size: Height and width that images are brought to; None for what the network takes.
        channels: Colour channels that images are brought to, 1 or 3; None for theirs.
        model: A network, as `metaact.models.create` names it.
        init: One of `metaact.models.INITS`: with which gain layers that feed an activation start.
        batch_norm: One of `metaact.models.BATCH_NORM`; None is "running" for a network with
            BatchNorm, and "off" for one without.
        optimizer: "sgd" or "adam".
        lr: Learning rate.
        momentum: Momentum of SGD.
        nesterov: Whether SGD takes Nesterov's form of momentum.
        weight_decay: L2 penalty.
        decay: What the penalty applies to: "weights", which spares activations, or "all"; None is
            "weights".
        schedule: "constant", "step" or "cosine".
        milestones: Numbers of epochs after which a step schedule multiplies the rate.
        lr_factor: By what.
        warmup_epochs: First epochs, in which the rate rises linearly, update by update.
        clip_norm: Largest norm of the gradient; 0 scales none.
        batch_size: Images per update.
        normalisation: "none": pixels in 0..1. "fitted": by mean and deviation of each channel of
            the training part. "published": by those published for the data set.
        augmentation: "none"; "crop-flip": each training image is padded by 4 pixels, cropped at
            random to its old size, and flipped or not, anew in every epoch; "scale-turn-flip":
            scaled by up to 5 %, turned by up to 15 degrees, and flipped or not.
        precision: "float32", or "bfloat16" where that is safe, on a GPU.
        train_layers: Layer names that are trained: "all", "weights", "activations", or a path.
        layer_lrs: Pairs (layer name, learning rate) that differ from `lr`.
        freeze_activations: Keep α, β and all other parameters of activations at their start.
        channels_last: Keep weights in channels-last order on a GPU; without effect on a CPU, where
            they always are.
        stack: Largest number of runs trained in one vectorised call; None decides by the device.
    """

    activation: str = activation()
    seed: int = seed("the weights, of the batch order and of random layers")
    size: int | None = size()
    channels: int | None = channels()
    model: str = model()
    init: str = init()
    batch_norm: str | None = batch_norm("running")
    optimizer: str = setting(
        "sgd",
        "Optimizer: sgd (with momentum) or adam.",
        role="training",
        choices=OPTIMIZERS,
        words={"sgd": "by SGD", "adam": "by Adam"},
        always=True,
    )
    lr: float = rate(1e-4, "Learning rate.")
    momentum: float = setting(
        0.9,
        "Momentum of SGD.",
        role="training",
        minimum=0,
        below=1,
        only=("optimizer", ("sgd",)),
    )
    nesterov: bool = setting(
        False, "Nesterov's form of SGD's momentum.", role="training", added=True
    )
    weight_decay: float = setting(0.0, "L2 penalty.", role="training", minimum=0)
    decay: str | None = setting(
        None,
        "What the penalty applies to: `weights` spares the parameters of activations (decay pushes "
        "α to 0), `all` does not.",
        role="training",
        choices=DECAYS,
        unset="weights",
        words={"weights": "decay of weights alone", "all": "decay of all"},
    )
    schedule: str = setting(
        "constant",
        "Learning rate over a run: constant; step: times --lr-factor after each of --milestones; "
        "cosine: down to zero at the planned end.",
        role="training",
        choices=SCHEDULES,
        words="{} schedule",
        undivided=("cosine",),
        added=True,
    )
    milestones: tuple[int, ...] = setting(
        (),
        "Epochs after which a step schedule multiplies the rate.",
        role="training",
        minimum=1,
        added=True,
    )
    lr_factor: float = setting(
        FACTOR,
        "What a milestone multiplies the rate by.",
        role="training",
        minimum=0,
        below=1,
        only=("schedule", ("step",)),
        added=True,
    )
    warmup_epochs: int = count(
        0,
        "First epochs, in which the rate rises linearly from update to update.",
        role="training",
        least=0,
        words=counted("epoch", "{} of warm-up"),
        added=True,
    )
    clip_norm: float = setting(
        0.0,
        "Largest norm of the gradient, which is scaled to it; 0: as it is.",
        role="training",
        minimum=0,
        added=True,
    )
    batch_size: int = count(128, "Images per update.", role="training")
    normalisation: str = setting(
        "none",
        "What pixels in 0..1 are normalised by: none; fitted: mean and deviation of each channel "
        "over the training part; published: those published for the data set.",
        role="data",
        choices=NORMALISATIONS,
        words="{} normalisation",
        added=True,
    )
    augmentation: str = setting(
        "none",
        AUGMENTED,
        role="training",
        choices=AUGMENTATIONS,
        words=CHANGES,
        added=True,
    )
    precision: str = setting(
        "float32",
        "bfloat16: mixed precision, on a GPU; refused on a CPU.",
        role="training",
        group="Computation",
        choices=PRECISIONS,
        added=True,
    )
    train_layers: tuple[str, ...] = setting(
        ("all",),
        "What is trained: all, weights, activations, or layers by name (head, conv3).",
        role="training",
    )
    layer_lrs: tuple[tuple[str, float], ...] = setting(
        (),
        "Rates other than --lr: head=1e-3,activations=1e-4; the first that fits wins.",
        role="training",
    )
    freeze_activations: bool = setting(
        False, "Keep α, β and all other parameters of activations as they are.", role="training"
    )
    channels_last: bool = setting(
        False,
        "On a GPU, keep weights and images channels last in memory; on a CPU they always are.",
        role="computation",
    )

    def __post_init__(self) -> None:
        check(self)
        fill_batch_norm(self, "running")
        fill_decay(self)


def stack() -> Any:
    """How many runs are trained in one vectorised call."""
    return count(
        None,
        "Largest number of runs trained in one vectorised call.",
        role="computation",
        unset="1 on a CPU, 32 on a GPU",
    )


def fill_decay(config: AloneConfig) -> None:
    """Let a penalty that was given spare activations; while a config is made."""
    fill(config, "decay", "weights" if config.weight_decay else "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig(AloneConfig):
    """Settings of a network that is trained in the ordinary way, perhaps beside others.

    Attributes:
        stack: Largest number of runs trained in one vectorised call; None decides by the device.
    """

    stack: int | None = stack()


def recipe(config: AloneConfig, *, epochs: int | None) -> Recipe:
    """The settings of supervised training; for a transfer those of fine-tuning.

    Args:
        config: The settings of a run.
        epochs: Its planned length.

    Raises:
        UsageError: If settings contradict each other.
    """
    names = [item.name for item in fields(Recipe) if item.name != "epochs"]
    return Recipe(**{name: getattr(config, name) for name in names}, epochs=epochs)


def check_recipe(config: AloneConfig, lengths: Sequence[int]) -> None:
    """Refuse settings of training that contradict each other; while a config is made.

    Args:
        config: The settings.
        lengths: Numbers of epochs at which one run is read; it is trained for the greatest.

    Raises:
        UsageError: If some do.
    """
    recipe(config, epochs=max(lengths))
    if config.schedule == "cosine" and len(lengths) > 1:
        raise UsageError(
            "`epochs` must be one number with a cosine schedule (each length has a course of its "
            f"own); got {shown(tuple(lengths))}."
        )
