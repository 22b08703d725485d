"""The settings of one run of `metaact stream`; every default is written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from metaact.adaptation.choices import OPTIMIZERS
from metaact.errors import UsageError
from metaact.experiments import declared
from metaact.models.table import is_foreign, network_of
from metaact.settings import (
    LONGEST,
    Config,
    check,
    count,
    counted,
    fill,
    refuse_unread,
    setting,
)

REGRESSION, CLASSES = "regression", "classes"

STREAMS = {
    REGRESSION: "slowly changing regression",
    "permuted": "pixels permuted anew in each task",
    "random-labels": "labels drawn anew in each task",
    CLASSES: "new classes in each task",
}
"""The streams, in words."""

IMAGES = tuple(name for name in STREAMS if name != REGRESSION)
"""Those of images."""

CHANGES = {
    "flip-one": "one slow bit flipped",
    "redraw": "all slow bits redrawn",
}
"""What happens to the slow bits between tasks, in words."""

HEADS = {
    "grow": "told from all classes so far",
    "task": "told from the task's classes",
}
"""Which classes there are to choose from, in words."""

PUBLISHED = {
    "published": "Kaiming's rule, with the gain that PyTorch names for tanh, sigmoid and leaky "
    "ReLU, and ReLU's for all others, as in the published code"
}
"""A way of initialisation, beside those of all experiments."""

_REGRESSION = "stream", (REGRESSION,)
_IMAGES = "stream", IMAGES
_CLASSES = "stream", (CLASSES,)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig(Config):
    """One activation, one learning rate and one seed, that is one network on one stream.

    The defaults of the regression are those of Dohare et al. (2024), but for the length: theirs is
    50 bins. Those of images are scaled down from theirs (60,000 examples a task, one a step, layers
    of 2,000, 800 tasks), so that an arm takes half a minute of a core.

    Attributes:
        stream: What the stream is of: "regression", "permuted", "random-labels" or "classes".
        activation: Name of the arm, as `metaact.activations.resolve` understands it.
        seed: Seed of the stream and of the weights.
        dataset: Built-in or downloadable name, folder of class folders, or `.npz` pack; None is
            "printed-digits" for a stream of images.
        size: Height and width that images are brought to; None for what the network takes.
        channels: Colour channels that images are brought to, 1 or 3; None for theirs.
        images: Most images that the stream is made of, in equal shares of the classes; 0 takes all;
            None is 500 for "random-labels", else 0.
        change: "flip-one": one of the 15 slow bits is flipped between tasks. "redraw": all are
            drawn anew. None is "flip-one" for the regression.
        target: "code" or "text": when a unit of the target fires, see `SlowlyChanging`. None is
            "code" for the regression.
        new_classes: Classes of a task of "classes"; None is 2.
        head: "grow": all classes that have come so far are to choose from. "task": those of the
            task. None is "grow" for "classes".
        cumulative: Whether a task has the images of all classes that have come so far.
        task_steps: Examples of each task.
        transition: Examples over which each task takes the place of the one before; 0: at once.
        bins: Length of a run; None is 10 for the regression, else 50.
        bin_steps: Examples over which the online error or accuracy is averaged; None is 20,000 for
            the regression, else those of a task.
        batch_size: Images of a step; None is 16 for a stream of images.
        model: The network for images, as `metaact.models.create` names it.
        hidden: Units of the hidden layer, or features of each of those of an MLP for images; None
            is 5 for the regression, else 100.
        layers: Hidden layers of an MLP for images; None is 3.
        init: One of `metaact.models.INITS`, or "published".
        optimizer: "sgd", without momentum, or "adam".
        lr: Learning rate.
        stack: Largest number of runs trained side by side.
    """

    stream: str = setting(
        REGRESSION,
        "What the stream is of. regression: slowly changing regression, which needs no data; "
        "permuted: images whose pixels are permuted anew in each task; random-labels: a few images "
        "whose labels are drawn anew in each task; classes: images of new classes in each task.",
        role="data",
        choices=tuple(STREAMS),
        words=STREAMS,
        always=True,
    )
    activation: str = declared.activation()
    seed: int = declared.seed("the stream and of the weights")
    dataset: str | None = declared.dataset(
        None, unset="printed-digits for a stream of images", only=_IMAGES, added=True
    )
    size: int | None = declared.size(only=_IMAGES)
    channels: int | None = declared.channels(only=_IMAGES)
    images: int | None = count(
        None,
        "Images that the stream is made of, every class with its share; 0: all.",
        role="data",
        least=0,
        unset="500 for random-labels, else 0",
        words=lambda images: f"{images} images" if images else "all images",
        only=_IMAGES,
        added=True,
    )
    change: str | None = setting(
        None,
        "Between tasks, flip-one: one of the 15 slow bits, drawn at random, is flipped; redraw: "
        "all 15 are drawn anew.",
        role="data",
        choices=tuple(CHANGES),
        words=CHANGES,
        always=True,
        unset="flip-one",
        only=_REGRESSION,
        added=True,
    )
    target: str | None = setting(
        None,
        "When a unit of the target fires: as in the published code, or as in the paper's text, "
        "where the bias counts with the other sign and targets vary more.",
        role="data",
        choices=("code", "text"),
        words={"code": "target as in the published code", "text": "target as in the paper's text"},
        unset="code",
        only=_REGRESSION,
        added=True,
    )
    new_classes: int | None = count(
        None,
        "Classes of each task; where they do not come out even, some tasks have one more. When all "
        "have come, they come again in other groups.",
        role="data",
        least=2,
        why="there must be something to tell apart",
        unset="2",
        words="{} new classes a task",
        always=True,
        only=_CLASSES,
        added=True,
    )
    head: str | None = setting(
        None,
        "What an image is told from. grow: all classes that have come so far, as if the head grew; "
        "task: the classes of its task.",
        role="data",
        choices=tuple(HEADS),
        words=HEADS,
        always=True,
        unset="grow",
        only=_CLASSES,
        added=True,
    )
    cumulative: bool = setting(
        False,
        "Each task has the images of all classes that have come so far, not only of the new ones.",
        role="data",
        words={True: "with the images of all classes so far", False: "of new images alone"},
        only=_CLASSES,
        added=True,
    )
    task_steps: int = count(
        10_000,
        "Examples of each task.",
        role="data",
        most=LONGEST,
        why_most=declared.END,
        words="{} examples a task",
        always=True,
    )
    transition: int = count(
        0,
        "Examples over which each task takes the place of the one before: they are of the new one "
        "with a probability that rises from 0 to 1; 0: the task changes at once.",
        role="data",
        least=0,
        words="mixed over {} examples",
        added=True,
    )
    bins: int | None = declared.length(
        None,
        "Length of a run in bins; the published figure of the regression has 50.",
        words=counted("bin"),
        always=True,
        contains=True,
        unset="10 for regression, else 50",
    )
    bin_steps: int | None = count(
        None,
        "Examples over which the online error or accuracy is averaged.",
        role="training",
        most=LONGEST,
        why_most=declared.END,
        words="{} examples a bin",
        always=True,
        unset="20000 for regression, else those of a task",
    )
    batch_size: int | None = count(
        None,
        "Images of a step.",
        role="training",
        words=counted("image", "{} a step"),
        always=True,
        unset="16 for a stream of images",
        only=_IMAGES,
        added=True,
    )
    model: str = declared.model("mlp", only=_IMAGES, added=True)
    hidden: int | None = count(
        None,
        "Units of the hidden layer; in an mlp for images, features of each hidden layer.",
        role="training",
        most=10_000,
        why_most="networks of a stream are small",
        words=counted("hidden unit"),
        always=True,
        unset="5 for regression, else 100",
        only=("model", ("mlp",)),
    )
    layers: int | None = count(
        None,
        "Hidden layers of an mlp for images.",
        role="training",
        most=100,
        why_most="networks of a stream are small",
        words=counted("hidden layer"),
        always=True,
        unset="3 for a stream of images",
        only=("model", ("mlp",)),
        added=True,
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
        refuse_unread(self, "stream")
        refuse_unread(self, "model")
        if self.of_images:
            self._fill_images()
        else:
            self._fill_regression()
        if self.transition > self.task_steps:
            raise UsageError(
                f"`transition` must be at most `task_steps`, {self.task_steps} (a task ends); got "
                f"{self.transition}."
            )

    def _fill_regression(self) -> None:
        if self.layers is not None:
            raise UsageError(
                f"`layers` must be left out with stream 'regression' (its networks have one hidden "
                f"layer); got {self.layers}."
            )
        filled = {"change": "flip-one", "target": "code", "bins": 10, "bin_steps": 20_000}
        for name, value in {**filled, "hidden": 5}.items():
            fill(self, name, value)

    def _fill_images(self) -> None:
        filled = {
            "dataset": "printed-digits",
            "images": 500 if self.stream == "random-labels" else 0,
            "bins": 50,
            "bin_steps": self.task_steps,
            "batch_size": 16,
        }
        filled |= {"hidden": 100, "layers": 3} if self.model == "mlp" else {}
        filled |= {"new_classes": 2, "head": "grow"} if self.stream == CLASSES else {}
        for name, value in filled.items():
            fill(self, name, value)
        for name in ("task_steps", "bin_steps"):
            if getattr(self, name) % self.batch:
                raise UsageError(
                    f"`{name}` must be a multiple of `batch_size`, {self.batch_size} (a step is of "
                    f"one task and of one bin); got {getattr(self, name)}."
                )
        if self.cumulative and self.head == "task":
            raise UsageError(
                "`head` must be grow with --cumulative (its tasks have images of all classes so "
                "far); got 'task'."
            )

    @property
    def of_images(self) -> bool:
        """Whether the stream is of images."""
        return self.stream != REGRESSION

    @property
    def batch(self) -> int:
        """Examples of a step."""
        return self.batch_size or 1

    @property
    def bin(self) -> int:
        """Examples of a bin."""
        assert self.bin_steps is not None
        return self.bin_steps

    @property
    def length(self) -> int:
        """Bins of a run."""
        assert self.bins is not None
        return self.bins

    @property
    def batch_norm(self) -> str:
        """Ours have GroupNorm, which keeps nothing and needs one image; others are as they are."""
        if is_foreign(self.model):
            return "running"
        return "group" if network_of(self.model).normalised else "off"
