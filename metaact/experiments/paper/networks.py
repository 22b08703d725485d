"""The runs behind the paper's tables 7 and 8 and figure 4. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from metaact import paper
from metaact.errors import UsageError, check_choice
from metaact.experiments import declared
from metaact.experiments.converge import CONVERGE, ConvergeConfig
from metaact.experiments.experiment import Experiment
from metaact.paper import Networks
from metaact.settings import shown

from .tables import QUICK

QUICK_IMAGES = 1000
"""Images of each part of a first look."""

QUICK_SHARE = 4
"""A first look takes batches of a quarter of the size, at a quarter of the rate."""

QUICK_MODELS = {7: ("squeezenet",), 8: ("mobilenet",)}
"""The networks of a first look: the quickest of each table on a CPU."""

FIGURE_4 = ("arelu", "relu", "lrelu", "prelu", "selu", "pau")
"""Arms of figure 4: the paper compares there with those that it calls representative."""

Figure = Literal["best", "mean", "top1", "top5"]
"""What a column reports: of table 8 the best run and the mean, of table 7 means of top-1 and 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTable:
    """Table 7 or 8, or the runs of figure 4.

    Attributes:
        number: The table.
        reading: Name of the schedule.
        settings: The paper's settings in that reading.
        dataset: What is trained on.
        protocol: "paper": all training images train. "held-out": a validation part is taken out.
        quick: Whether it is a first look, scaled down.
        configs: The runs.
    """

    number: int
    reading: str
    settings: Networks
    dataset: str
    protocol: str
    quick: bool
    configs: tuple[ConvergeConfig, ...] = field(repr=False)

    @property
    def experiment(self) -> Experiment:
        """What its runs are."""
        return CONVERGE

    @property
    def runs(self) -> int:
        """Runs behind each published figure."""
        return self.settings.runs

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What is reported of each network and activation."""
        return ("top1", "top5") if self.number == 7 else ("mean", "best")

    @property
    def is_papers(self) -> bool:
        """Whether the runs are those of the paper, so that its figures may stand beside them."""
        return not self.quick and self.dataset == self.settings.dataset

    @property
    def heading(self) -> str:
        """What the table shows, and how it differs from the paper's."""
        first = self.configs[0]
        schedule = f"{first.epochs} epochs x{first.lr_factor:g} at {shown(first.milestones)}"
        if self.is_papers:
            caption = paper.TABLES[self.number].caption
            return f"Table {self.number}: {caption} ({schedule}), in %"
        what = f"As table {self.number} on {self.dataset}, {schedule}, in %"
        if not self.quick:
            return f"{what}; no published figure"
        whole = self.settings
        return (
            f"{what}; scaled down, so no published figure: at most {first.images} images of each "
            f"part, {first.epochs} of {whole.epochs} epochs, batches of {first.batch_size} in "
            f"place of {whole.batch_size}, rate {first.lr:g} in place of {whole.lr:g}"
        )

    def published(self, model: str, activation: str, figure: Figure) -> float | None:
        """The paper's figure in percent; None where it has none, or the runs are not its.

        Args:
            model: The network.
            activation: The paper's name of the activation.
            figure: Which.

        Examples:
            >>> table = network_table(8, names=("arelu",))
            >>> table.published("vgg11", "AReLU", "mean")
            91.59
        """
        if not self.is_papers:
            return None
        if self.number == 8:
            return paper.table(8).get(activation, {}).get(f"{model}_{figure}")
        rows = {name.replace("_", ""): row for name, row in paper.table(7).items()}
        return rows.get(model, {}).get(f"{activation.lower()}_{figure}")


def network_table(
    number: int,
    *,
    names: Sequence[str] = ("all",),
    models: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    reading: str | None = None,
    dataset: str | None = None,
    protocol: str = "paper",
    quick: bool = False,
) -> NetworkTable:
    """Table 7 or 8 with the runs behind it.

    Args:
        number: 7 or 8.
        names: Activations; "all" is the table's.
        models: Networks; None for the table's.
        seeds: Training seeds; the paper took five.
        reading: The schedule by name; None for the first of the table's.
        dataset: Other data than the table's.
        protocol: "paper", or "held-out".
        quick: A first look in minutes: fewer arms and networks, fewer images and epochs.

    Raises:
        UsageError: If an argument is not allowed.
    """
    if number not in paper.NETWORKS:
        raise UsageError(f"`number` must be 7 or 8 (tables of networks); got {number!r}.")
    readings = paper.NETWORKS[number]
    name = next(iter(readings)) if reading is None else check_choice("reading", reading, readings)
    check_choice("protocol", protocol, declared.PROTOCOLS)
    settings = readings[name]
    return NetworkTable(
        number=number,
        reading=name,
        settings=settings,
        dataset=dataset or settings.dataset,
        protocol=protocol,
        quick=quick,
        configs=_configs(
            settings,
            names=_names(settings, names, quick=quick),
            models=models or (QUICK_MODELS[number] if quick else settings.models),
            seeds=seeds,
            dataset=dataset or settings.dataset,
            protocol=protocol,
            quick=quick,
        ),
    )


def _names(settings: Networks, names: Sequence[str], *, quick: bool) -> Sequence[str]:
    whole = QUICK if quick and settings.activations == ("paper",) else settings.activations
    return [each for name in names for each in (whole if name == "all" else (name,))]


def _configs(
    settings: Networks,
    *,
    names: Sequence[str],
    models: Sequence[str],
    seeds: Sequence[int],
    dataset: str,
    protocol: str,
    quick: bool,
) -> tuple[ConvergeConfig, ...]:
    """One run for each network, activation and seed."""
    share = QUICK_SHARE if quick else 1
    epochs = settings.quick_epochs if quick else settings.epochs
    return tuple(
        ConvergeConfig(
            activation=name,
            seed=seed,
            dataset=dataset,
            images=QUICK_IMAGES if quick else 0,
            model=model,
            lr=settings.lr / share,
            batch_size=settings.batch_size // share,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
            decay="all",
            epochs=epochs,
            schedule="step",
            milestones=tuple(round(m * epochs / settings.epochs) for m in settings.milestones),
            lr_factor=settings.lr_factor,
            normalisation="fitted",
            augmentation="crop-flip",
            first_epoch_points=0,
            protocol=protocol,
        )
        for model in models
        for name in names
        for seed in seeds
    )
