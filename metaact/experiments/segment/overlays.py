"""What the networks of runs mark in the patients that they never saw, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from metaact import analysis
from metaact.adaptation import largest_component, predicted
from metaact.errors import RunError, UsageError, check_choice
from metaact.experiments.recorded import check
from metaact.runs import Run
from metaact.runs.store import read_written
from metaact.settings import read_back

from .config import SegmentConfig
from .run import VolumeData, build, prepare

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marked:
    """One run, and what it marks.

    Attributes:
        name: "arelu seed 0".
        run: The run.
        config: Its settings.
        shared: Its data.
        dice: Dice of each tested patient as the run recorded it, by name.
    """

    name: str
    run: Run
    config: SegmentConfig
    shared: VolumeData
    dice: dict[str, float]


def read_marked(
    runs: Sequence[Run], *, dataset: str | None = None, device: str = "cpu"
) -> list[Marked]:
    """Finished runs of `metaact segment` with the data that they were tested on.

    Args:
        runs: The runs.
        dataset: Where the folder is that they were trained on; None for built-in data.
        device: Where to compute.

    Raises:
        UsageError: If one is of another experiment.
        RunError: If one is not finished, or the data are not those that it was trained on.
    """
    found: list[Marked] = []
    for run in runs:
        if run.kind != "segment":
            raise UsageError(f"`run` must be of `metaact segment`; got one of kind {run.kind!r}.")
        written = read_written(run)
        check(written)
        result = run.result() if written.result is None else written.result
        if result["outcome"] != "complete":
            raise RunError(
                f"`{run.directory}` must have trained its networks; its outcome is "
                f"{result['outcome']!r}."
            )
        config: SegmentConfig = read_back(SegmentConfig, run.config)
        config = replace(config, dataset=dataset or config.dataset)
        known = [one.shared for one in found if _data(one.config) == _data(config)]
        shared = known[0] if known else prepare([config], device=device)
        if shared.sha256 != run.config["volumes_sha256"]:
            raise RunError(
                f"the data of {config.dataset} are not those that `{run.directory}` was trained on."
            )
        scores = written.metrics[-1]["test_scores"]
        found.append(
            Marked(
                name=f"{config.activation} seed {config.seed}",
                run=run,
                config=config,
                shared=shared,
                dice=dict(zip(result["patients"], scores, strict=True)),
            )
        )
    return found


def _data(config: SegmentConfig) -> SegmentConfig:
    """What two runs have in common that share their data."""
    return SegmentConfig(
        dataset=config.dataset,
        size=config.size,
        channels=config.channels,
        blocks=config.blocks,
        folds=config.folds,
        protocol=config.protocol,
        components=config.components,
        normalisation=config.normalisation,
    )


def typical(marked: Sequence[Marked]) -> list[str]:
    """The patients with the least, the median and the greatest mean Dice over the runs.

    Raises:
        UsageError: If the runs have no tested patient in common.
    """
    shared = [name for name in marked[0].dice if all(name in one.dice for one in marked)]
    if not shared:
        raise UsageError("`run` must have tested patients in common with the others; got none.")
    order = sorted(shared, key=lambda name: float(np.mean([one.dice[name] for one in marked])))
    places = dict.fromkeys((0, len(order) // 2, len(order) - 1))
    return [order[place] for place in places]


def draw(marked: Sequence[Marked], patients: Sequence[str]) -> Figure:
    """The slice with the most of the object of each patient, and what each run marks there.

    Args:
        marked: Runs that share their data.
        patients: Names of tested patients.

    Raises:
        UsageError: If one was not tested.
    """
    for name in patients:
        for one in marked:
            check_choice("patient", name, one.dice, why=f"tested in {one.name}")
    volumes = marked[0].shared.volumes
    numbers = [volumes.patients.index(name) for name in patients]
    best = []
    for number in numbers:
        own = volumes.slices_of(number)
        best.append(int(own[volumes.masks[own].sum(dim=(1, 2, 3)).argmax()]))
    return analysis.overlays(
        volumes.pixels[best].cpu().numpy(),
        volumes.masks[best, 0].cpu().numpy().astype(bool),
        {one.name: _slices(one, numbers, best) for one in marked},
        rows=patients,
        scores={one.name: [one.dice[name] for name in patients] for one in marked},
        title="Truth green, prediction red; Dice of the patient's volume",
    )


def _slices(one: Marked, numbers: Sequence[int], best: Sequence[int]) -> NDArray[np.bool_]:
    """What a run marks in one slice of each patient: bool [patients, height, width]."""
    weights = one.run.weights()
    found = []
    for number, place in zip(numbers, best, strict=True):
        fold = next(f for f, own in enumerate(one.shared.folds) if number in own.test)
        model = build(one.config, one.shared, fold)
        model.load_state_dict(weights[f"fold-{fold + 1}"])
        volume = mark(one.shared, fold, model, number)
        first = int(one.shared.volumes.slices_of(number)[0])
        found.append(volume[place - first])
    return np.stack(found)


def mark(shared: VolumeData, fold: int, model: nn.Module, number: int) -> NDArray[np.bool_]:
    """What a network marks in a patient, as its score is made: bool [slices, height, width]."""
    logits, _ = predicted(
        model,
        shared.volumes,
        number,
        normalisation=shared.fitted[fold],
    )
    marked: NDArray[np.bool_] = (logits > 0)[:, 0].cpu().numpy()
    return largest_component(marked) if shared.largest else marked
