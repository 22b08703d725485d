"""The two pictures: maps over images (figure 5 of the paper), and maps before and after (1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from metaact.analysis.figures.maps import MapColumn, map_sheet

from .cam import ALL_AGAINST, CamMaps
from .features import FeatureMaps
from .scene import UNKNOWN, Scene, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIGHT, WRONG = "✓", "✗"

LETTERS = 12
"""Of the name of a class below a map."""


def cam_picture(
    drawn: Scene,
    maps: Mapping[str, Mapping[str, CamMaps]],
    *,
    count: int,
    seeds: Mapping[str, int],
) -> Figure:
    """Grad-CAM over the first images of a scene, a column for each layer and arm.

    Args:
        drawn: The images.
        maps: By layer and arm.
        count: Images shown.
        seeds: Training seed of the network of each arm.
    """
    every = [one for arms in maps.values() for one in arms.values()]
    signed = any(one.signed for one in every)
    size = (drawn.pixels.shape[2], drawn.pixels.shape[3])
    columns = [
        MapColumn(
            title=arm,
            group=_layer_name(layer, arms),
            maps=one.over(size)[:count].cpu().numpy(),
            captions=[_caption(drawn, one, i) for i in range(count)],
            blank=[_reason(one.blank[i], signed) for i in range(count)],
        )
        for layer, arms in maps.items()
        for arm, one in arms.items()
    ]
    names = [
        f"{drawn.names[i]}\nexplained:\n{_truth(drawn, i) or 'the answer'}" for i in range(count)
    ]
    meaning = (
        "red speaks for the class explained, blue against it"
        if signed
        else ("bright speaks for the class explained")
    )
    return map_sheet(
        drawn.pixels[:count].cpu().numpy(),
        columns,
        names=names,
        over=True,
        signed=signed,
        outlines=None if drawn.boxes is None else drawn.boxes[:count],
        title=f"Grad-CAM{_seeds(seeds)}",
        note=f"{meaning}; max is the largest of each map. Below each map: the network's answer, "
        f"{RIGHT} right or {WRONG} wrong, and the probability of the class explained.",
    )


def feature_picture(
    drawn: Scene,
    maps: Mapping[str, FeatureMaps],
    *,
    channels: Sequence[int],
    seeds: Mapping[str, int],
) -> Figure:
    """Maps before and after an activation, a row for each image and channel.

    Args:
        drawn: The images.
        maps: By arm.
        channels: Channels shown.
        seeds: Training seed of the network of each arm.
    """
    rows = [(i, channel) for i in range(len(drawn)) for channel in channels]
    columns = []
    for arm, one in maps.items():
        group = one.before.shape[1] // one.after.shape[1]  # Maxout takes several maps for one
        before = torch.stack([one.before[i, channel * group] for i, channel in rows])
        after = torch.stack([one.after[i, channel] for i, channel in rows])
        scales = torch.maximum(_largest(before), _largest(after)).tolist()
        for title, values in (("before", before), ("after", after)):
            columns.append(
                MapColumn(
                    title=title,
                    group=arm,
                    maps=values.cpu().numpy(),
                    blank=[
                        "dead: all of it is 0" if flat else ""
                        for flat in (_largest(values) == 0).tolist()
                    ],
                    captions=[_answered(drawn, one.predictions, i) for i, _ in rows]
                    if title == "after"
                    else [],
                    scales=scales,
                )
            )
    paths = ", ".join(dict.fromkeys(one.layer for one in maps.values()))
    return map_sheet(
        drawn.pixels[[i for i, _ in rows]].cpu().numpy(),
        columns,
        names=[f"{drawn.names[i]}\n{_truth(drawn, i)}\nchannel {c}" for i, c in rows],
        over=False,
        signed=True,
        title=f"Maps before and after the activation {paths}{_seeds(seeds)}",
        note="red is above 0, blue below; max is the largest of a pair of maps, before and after. "
        f"Below each pair: the network's answer, {RIGHT} right or {WRONG} wrong.",
    )


def _largest(maps: Tensor) -> Tensor:
    return maps.abs().flatten(1).amax(dim=1)


def _layer_name(layer: str, arms: Mapping[str, CamMaps]) -> str:
    paths = ", ".join(dict.fromkeys(one.layer for one in arms.values()))
    return layer if paths == layer else f"{layer} ({paths})"


def _caption(drawn: Scene, one: CamMaps, i: int) -> str:
    return f"{_answered(drawn, one.predictions, i)} {float(one.probabilities[i]):.2f}"


def _answered(drawn: Scene, predictions: Tensor, i: int) -> str:
    label = int(drawn.labels[i])
    mark = "" if label == UNKNOWN else RIGHT if int(predictions[i]) == label else WRONG
    return f"{shortened(drawn.name_of(int(predictions[i])), LETTERS)} {mark}".rstrip()


def _truth(drawn: Scene, i: int) -> str:
    label = int(drawn.labels[i])
    return "" if label == UNKNOWN else drawn.name_of(label)


def _reason(blank: str, signed: bool) -> str:
    """Why a map is blank; one that is all against the class is not, where signs are shown."""
    return "" if signed and blank == ALL_AGAINST else blank


def _seeds(seeds: Mapping[str, int]) -> str:
    several = dict.fromkeys(seeds.values())
    return f", training seed {next(iter(several))}" if len(several) == 1 else ""
