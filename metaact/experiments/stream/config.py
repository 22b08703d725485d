"""The settings of one run of `metaact stream`; every default is written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from metaact.adaptation.choices import OPTIMIZERS
from metaact.experiments import declared
from metaact.settings import LONGEST, Config, check, count, counted, setting

STREAMS = ("regression",)

CHANGES = {
    "flip-one": "one slow bit flipped",
    "redraw": "all slow bits redrawn",
}
"""What happens to the slow bits between tasks, in words."""

PUBLISHED = {
    "published": "Kaiming's rule, with the gain that PyTorch names for tanh, sigmoid and leaky "
    "ReLU, and ReLU's for all others, as in the published code"
}
"""A way of initialisation, beside those of all experiments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig(Config):
    """One activation, one learning rate and one seed, that is one network on one stream.

    The defaults are those of Dohare et al. (2024), slowly changing regression, but for the length:
    theirs is 50 bins.

    Attributes:
        stream: What the stream is of.
        activation: Name of the arm, as `metaact.activations.resolve` understands it.
        seed: Seed of the stream and of the weights.
        change: "flip-one": one of the 15 slow bits is flipped between tasks. "redraw": all are
            drawn anew.
        target: "code" or "text": when a unit of the target fires, see `SlowlyChanging`.
        task_steps: Examples, one a step, of each task.
        bins: Length of a run.
        bin_steps: Steps over which the error is averaged.
        hidden: Units of the hidden layer.
        init: One of `metaact.models.INITS`, or "published".
        optimizer: "sgd", without momentum, or "adam".
        lr: Learning rate.
        stack: Largest number of runs trained side by side.
    """

    stream: str = setting(
        "regression",
        "What the stream is of. regression: slowly changing regression, which needs no data.",
        role="data",
        choices=STREAMS,
        words={"regression": "slowly changing regression"},
        always=True,
    )
    activation: str = declared.activation()
    seed: int = declared.seed("the stream and of the weights")
    change: str = setting(
        "flip-one",
        "Between tasks, flip-one: one of the 15 slow bits, drawn at random, is flipped; redraw: "
        "all 15 are drawn anew.",
        role="data",
        choices=tuple(CHANGES),
        words=CHANGES,
        always=True,
    )
    target: str = setting(
        "code",
        "When a unit of the target fires: as in the published code, or as in the paper's text, "
        "where the bias counts with the other sign and targets vary more.",
        role="data",
        choices=("code", "text"),
        words={"code": "target as in the published code", "text": "target as in the paper's text"},
    )
    task_steps: int = count(
        10_000,
        "Examples of each task, one a step.",
        role="data",
        most=LONGEST,
        why_most=declared.END,
        words="{} steps a task",
        always=True,
    )
    bins: int = declared.length(
        10,
        "Length of a run in bins; the published figure has 50.",
        words=counted("bin"),
        always=True,
        contains=True,
    )
    bin_steps: int = count(
        20_000,
        "Steps over which the online error is averaged.",
        role="training",
        most=LONGEST,
        why_most=declared.END,
        words="{} steps a bin",
        always=True,
    )
    hidden: int = count(
        5,
        "Units of the hidden layer.",
        role="training",
        most=1000,
        why_most="networks of a stream are small",
        words=counted("hidden unit"),
        always=True,
    )
    init: str = declared.init("published", PUBLISHED, why="; published: as in the published code")
    optimizer: str = setting(
        "sgd",
        "Optimizer: sgd (without momentum) or adam.",
        role="training",
        choices=OPTIMIZERS,
        words={"sgd": "by SGD", "adam": "by Adam"},
        always=True,
    )
    lr: float = declared.rate(0.01, "Learning rate.")
    stack: int = count(
        1024, "Largest number of runs trained side by side, by the same steps.", role="computation"
    )

    def __post_init__(self) -> None:
        check(self)
