"""Settings that several experiments share, each declared here once. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metaact.adaptation.choices import DECAYS, OPTIMIZERS
from metaact.models.table import BATCH_NORM, NETWORKS, network_of
from metaact.settings import LONGEST, Config, check, count, fill, setting

PROTOCOLS = ("held-out", "paper")

END = "a run must end"

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
        "module:factory, or `all` for the paper's nineteen. The first is the reference.",
        role="arm",
    )


def seed(of: str) -> Any:
    """The training seed; on the command line it is given by --seeds or --seed."""
    return count(0, f"Seed of {of}.", role="seed", least=0)


def dataset(default: str) -> Any:
    """What is trained and tested on."""
    return setting(
        default,
        "A name from `metaact data list`, a folder of class folders, or an .npz pack.",
        role="data",
        path=True,
    )


def model() -> Any:
    """The network."""
    return setting(
        "mnist-conv",
        f"Network: {', '.join(NETWORKS)}; torchvision:NAME or timm:NAME for one of theirs; or your "
        "own module:factory, called with classes, channels and size=(height, width).",
        role="training",
        known=network_of,
        words="{}",
        always=True,
    )


def batch_norm(usual: str, *, choices: tuple[str, ...] = BATCH_NORM, why: str = "") -> Any:
    """Normalisation within the network; left out, it follows the network.

    Args:
        usual: What it is for a network with BatchNorm.
        choices: What is allowed.
        why: The reason for that.
    """
    meanings = {
        "running": "running: BatchNorm, in evaluation by the running statistics of training.",
        "batch": "batch: BatchNorm by the statistics of the current batch, in evaluation too.",
        "group": "group: GroupNorm in its place.",
        "off": "off: none.",
    }
    without = ", ".join(name for name, network in NETWORKS.items() if not network.normalised)
    return setting(
        None,
        " ".join(meanings[choice] for choice in choices),
        role="training",
        choices=choices,
        why=why,
        unset=f"{usual}; off for {without}",
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


def length(default: int, help: str, *, role: Any = "training", **more: Any) -> Any:
    """How long a run is."""
    return count(default, help, role=role, most=LONGEST, why_most=END, **more)


def rate(default: float, help: str) -> Any:
    """A learning rate: every arm is run at each that is given, and it can be tuned."""
    return setting(default, help, role="rate", kind=float)


def protocol(choices: tuple[str, ...], help: str) -> Any:
    """Whether choices are made on data of their own, or as the paper made them."""
    return setting(choices[0], help, role="data", choices=choices, words="{} protocol", always=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig(Config):
    """Settings of a network that is trained in the ordinary way.

    Attributes:
        activation: Name of the arm, as `metaact.activations.resolve` understands it.
        seed: Seed of the weights, of the batch order and of random layers.
        model: A network, as `metaact.models.create` names it.
        batch_norm: One of `metaact.models.BATCH_NORM`; None is "running" for a network with
            BatchNorm, and "off" for one without.
        optimizer: "sgd" or "adam".
        lr: Learning rate.
        momentum: Momentum of SGD.
        weight_decay: L2 penalty.
        decay: What the penalty applies to: "all", or "weights", which spares activations.
        batch_size: Images per update.
        train_layers: Layer names that are trained: "all", "weights", "activations", or a path.
        layer_lrs: Pairs (layer name, learning rate) that differ from `lr`.
        freeze_activations: Keep α, β and all other parameters of activations at their start.
        stack: Largest number of runs trained in one vectorised call; None decides by the device.
    """

    activation: str = activation()
    seed: int = seed("the weights, of the batch order and of random layers")
    model: str = model()
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
        only=("optimizer", "sgd"),
    )
    weight_decay: float = setting(0.0, "L2 penalty.", role="training", minimum=0)
    decay: str = setting(
        "all",
        "What the penalty applies to; `weights` spares activations (decay pushes α to 0).",
        role="training",
        choices=DECAYS,
        words={"weights": "decay of weights alone", "all": "decay of all"},
    )
    batch_size: int = count(128, "Images per update.", role="training")
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
    stack: int | None = count(
        None,
        "Largest number of runs trained in one vectorised call.",
        role="computation",
        unset="1 on a CPU, 32 on a GPU",
    )

    def __post_init__(self) -> None:
        check(self)
        fill_batch_norm(self, "running")
