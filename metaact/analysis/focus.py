"""How well a map over an image points at what it should: energy in a box, areas under curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaact.errors import UsageError

from .bounds import Array
from .comparison import Comparison
from .comparisons import Pair, compare_pairs
from .interval import Interval
from .verdicts import sentence, verdict

Inside: TypeAlias = NDArray[np.bool_]
WithBaseline: TypeAlias = tuple[ArrayLike, ArrayLike]
Difference: TypeAlias = tuple[Pair, WithBaseline, WithBaseline]

SPREAD = 1 / 4
"""Standard deviation of the prior at the centre, as a share of each side."""


def energy_inside(maps: ArrayLike, inside: ArrayLike) -> Array:
    """Share of a map's positive values that lie inside the object.

    Formula: Σ over the object of max(map, 0) / Σ over the image of max(map, 0).

    A map without any positive value points nowhere: it counts as an even one, whose share is the
    object's share of the image.

    Args:
        maps: Values [images, height, width].
        inside: Whether each pixel belongs to the object, or to its box, same shape.

    Returns:
        Shares in 0..1 [images].

    Raises:
        UsageError: If the shapes differ or a value is not finite.

    Examples:
        >>> energy_inside([[[3.0, 1.0], [-5.0, 0.0]]], [[[True, False], [True, False]]])
        array([0.75])

    References:
        H. Wang et al., "Score-CAM: Score-weighted visual explanations for convolutional neural
        networks", 2020, https://arxiv.org/abs/1910.01279, section 4.4: the energy-based pointing
        game.
    """
    values, mask = np.asarray(maps, dtype=np.float64), np.asarray(inside, dtype=bool)
    if values.ndim != 3 or values.shape != mask.shape or not bool(np.isfinite(values).all()):
        raise UsageError(
            "`maps` and `inside` must have one shape [images, height, width], maps of finite "
            f"values; got {list(values.shape)} and {list(mask.shape)}."
        )
    positive = np.maximum(values, 0)
    blank = positive.sum(axis=(1, 2)) == 0
    positive[blank] = 1.0
    share = (positive * mask).sum(axis=(1, 2)) / positive.sum(axis=(1, 2))
    return np.asarray(np.clip(share, 0, 1))


def curve_area(curves: ArrayLike) -> Array:
    """Area under curves over the share of pixels that were changed, from 0 to 1 in even steps.

    Args:
        curves: Probabilities [..., points], at least 2 points.

    Examples:
        >>> float(curve_area([1.0, 0.5, 0.0]))
        0.5
    """
    values = np.asarray(curves, dtype=np.float64)
    return np.asarray(((values[..., 1:] + values[..., :-1]) / 2).mean(axis=-1))


def centre_prior(height: int, width: int) -> Array:
    """A map that knows nothing but that objects stand in the middle: a Gaussian.

    Returns:
        Values in 0..1 [height, width], largest in the middle.

    Examples:
        >>> centre_prior(3, 3).argmax()
        np.int64(4)
    """
    y, x = (((np.arange(side) + 0.5) / side - 0.5) / SPREAD for side in (height, width))
    return np.asarray(np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / 2))


def boxes_of(masks: ArrayLike) -> Inside:
    """The smallest upright box around each mask, as a mask [images, height, width].

    Args:
        masks: Whether each pixel belongs to the object [images, height, width].

    Examples:
        >>> boxes_of([[[1, 0, 0], [0, 1, 0], [0, 0, 0]]]).astype(int)
        array([[[1, 1, 0],
                [1, 1, 0],
                [0, 0, 0]]])
    """
    found = np.asarray(masks, dtype=bool)
    rows, columns = np.asarray(found.any(axis=2)), np.asarray(found.any(axis=1))
    return np.asarray(_between(rows)[:, :, None] & _between(columns)[:, None, :])


def _between(there: Inside) -> Inside:
    """From the first to the last that is there [n, places]."""
    begun = np.logical_or.accumulate(there, axis=1)
    ended = np.logical_or.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(begun & ended)


def compare_gains(
    gains: Sequence[tuple[Pair, ArrayLike, ArrayLike]],
    differences: Sequence[Difference],
    *,
    unit: str,
    over: str = "both",
    level: float = 0.95,
    margin: float | None = None,
    aligned: bool = True,
) -> tuple[list[Comparison], list[Comparison]]:
    """What arms gain over their baselines, and who gains more, as one family of questions.

    Formula: a gain is arm - baseline; a difference of gains is (first - its baseline) - (second -
    its baseline), which is twice the difference of (first + the other's baseline) / 2 and (second +
    the first's baseline) / 2, both scores again.

    Args:
        gains: Names (arm, baseline) and both matrices [seeds, units] of scores in 0..1, of which
            higher ones are better.
        differences: Names (first, second), and of each its scores and those of its baseline.
        unit: What the columns are.
        over: What varies, see `compare_pairs`.
        level: Confidence level of all intervals together.
        margin: Differences that do not matter.
        aligned: Whether the rows of all are the same seeds.

    Returns:
        The gains and the differences of gains, each in the order asked.
    """
    halves = [
        (names, _mean(first, other_base), _mean(second, base))
        for names, (first, base), (second, other_base) in differences
    ]
    cases = [*gains, *halves]
    found = compare_pairs(cases, unit=unit, over=over, level=level, margin=margin, aligned=aligned)
    return found[: len(gains)], [_doubled(one) for one in found[len(gains) :]]


def _mean(one: ArrayLike, other: ArrayLike) -> Array:
    return (np.asarray(one, dtype=np.float64) + np.asarray(other, dtype=np.float64)) / 2


def _doubled(found: Comparison) -> Comparison:
    interval = _twice(found.interval)
    whole = replace(
        found,
        interval=interval,
        alone=_twice(found.alone),
        verdict=verdict(interval, found.margin),
    )
    return replace(whole, sentence=sentence(whole))


def _twice(one: Interval) -> Interval:
    return replace(one, mean=2 * one.mean, low=2 * one.low, high=2 * one.high)
