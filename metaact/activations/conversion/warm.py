"""Start values with which a converted network still computes what it was trained to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from metaact.activations.attention import stuck_count
from metaact.randomness import preserved_rng

from .examine import Input
from .fold import FEW, LARGEST_GAIN, Linear, readers
from .report import WarmStart, Warmth
from .survey import Spot, Survey, rebuilt

SAMPLES = 4096
"""Inputs of each place that are kept for its fit."""

BATCH = 64
"""Images per forward pass."""

INTERIOR = {"alpha": (0.05, 0.95), "beta": (-4.0, 4.0)}
"""Bounds of a fit, by the name of the parameter in AReLU, ELSA and their kin.

The best α for ReLU is the least allowed, 0.01, next to which a step leaves the range in which α
learns; the best β without a gain is −∞, where its gradient is zero as well. In a ResNet-18 that was
trained, swapped and fine-tuned by 50 steps of SGD at 0.01, 16 of 17 α were stuck from 0.0101, 11
from 0.02, 5 from 0.05 and 1 from 0.1, while the outputs drifted by 0.17, 0.19, 0.26 and 0.39 of
their size (`benchmarks/warm_start.py`).
"""

MOST_PARAMETERS = 32
"""An activation with more keeps its start values: so many need not be determined by the fit."""

TIE = 1e-3
"""Weight of the distance from the start values: it decides where the fit does not.

With a gain, any β of AReLU fits as well as any other. At this weight the error of a fit to ReLU or
GELU for normal inputs grows by at most 0.01 (PAU), for the others by less than 0.005.
"""


class Recorder(nn.Module):
    """Computes the old activation at one place, and keeps inputs that reach it.

    Attributes:
        old: The old activation.
        scale: What its result is multiplied by.
        kept: Inputs, one tensor a forward pass.
        share: How many are kept of a forward pass; 0 for none.
    """

    def __init__(self, old: nn.Module) -> None:
        super().__init__()
        self.old = old
        self.scale = 1.0
        self.kept: list[Tensor] = []
        self.share = 0

    def forward(self, x: Tensor) -> Tensor:
        """The old activation, scaled."""
        if self.share:
            flat = x.detach().flatten()
            generator = torch.Generator().manual_seed(len(self.kept))
            places = torch.randint(len(flat), (self.share,), generator=generator)
            self.kept.append(flat[places.to(flat.device)].double().cpu())
        result: Tensor = self.old(x.clone())
        return result if self.scale == 1.0 else result * self.scale


def warm_start(
    model: nn.Module,
    converted: nn.Module,
    found: Survey,
    images: Input,
    *,
    make: Callable[[Spot], nn.Module],
) -> WarmStart:
    """Give every place of a converted network the parameters that fit its old activation best.

    At each place the sum of (g·f(x; θ) − old(x))² over inputs x that reach it is minimised. The
    gain g goes into the layers that read the place, where that is exact; elsewhere it is 1.

    Args:
        model: A copy of the network as it was, which is taken apart.
        converted: The converted network, whose parameters are set.
        found: What the conversion found.
        images: Inputs of the network.
        make: Makes a new activation with its start values.

    Returns:
        What was fitted, and how far the outputs are from those of the old network.
    """
    recorders = {spot: Recorder(copy.deepcopy(spot.old)) for spot in found.spots}
    recording = rebuilt(model, found, recorders.__getitem__, guarded=False).eval()
    parts = list(batches(images))
    for recorder in recorders.values():
        recorder.share = -(-SAMPLES // len(parts))
    before = outputs(recording, parts)
    for recorder in recorders.values():
        recorder.share = 0
    with evaluating(converted):
        plain = distance(outputs(converted, parts), before)
        places = []
        few = tuple(x[:FEW] if isinstance(x, Tensor) else x for x in parts[0])
        run = partial(outputs, recording, [few])
        for spot, recorder in recorders.items():
            if not recorder.kept:
                continue
            layers = readers(recording, recorder, run)
            warmth, values = fitted(spot, recorder, make(spot).eval(), gain=bool(layers))
            place = converted.get_submodule(spot.path)
            fill(place, values)
            for layer in layers:
                scale(converted.get_submodule(layer), warmth.gain)
            places.append(replace(warmth, into=layers))
        warm = distance(outputs(converted, parts), before)
    return WarmStart(
        places=tuple(places), drift=warm, plain_drift=plain, stuck=stuck_count(converted)
    )


def fitted(
    spot: Spot, recorder: Recorder, activation: nn.Module, *, gain: bool
) -> tuple[Warmth, dict[str, Tensor]]:
    """The best gain and parameters for one place, and how well they fit.

    Args:
        spot: The place.
        recorder: Its old activation and inputs.
        activation: A new activation with its start values.
        gain: Whether there may be a gain.
    """
    activation = activation.double().cpu()
    x = torch.cat(recorder.kept)
    with torch.no_grad(), preserved_rng():
        y = copy.deepcopy(recorder.old).eval().double().cpu()(x.clone()).numpy()
    start = {name: p.detach() for name, p in activation.named_parameters()}
    theta = np.concatenate([p.numpy().ravel() for p in start.values()] or [np.empty(0)])
    norm = float(np.sqrt((y**2).mean())) or 1.0

    def values(theta: np.ndarray[Any, Any]) -> dict[str, Tensor]:
        parts = torch.split(torch.from_numpy(theta), [p.numel() for p in start.values()])
        return {
            name: part.reshape(p.shape)
            for part, (name, p) in zip(parts, start.items(), strict=True)
        }

    def computed(theta: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.no_grad(), preserved_rng():
            result: Tensor = functional_call(activation, values(theta), (x,))
        return result.numpy()

    def best_gain(f: np.ndarray[Any, Any]) -> float:
        energy = float(f @ f)
        if not gain or energy == 0 or float(f @ y) <= 0:
            return 1.0
        return float(np.clip(f @ y / energy, 1 / LARGEST_GAIN, LARGEST_GAIN))

    def error(f: np.ndarray[Any, Any], g: float) -> float:
        return float(np.sqrt(((g * f - y) ** 2).mean())) / norm

    def residuals(at: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        f = computed(at)
        off = np.sqrt(TIE) * (at - theta) / (1 + np.abs(theta))
        residual = (best_gain(f) * f - y) / (norm * np.sqrt(len(y)))
        return np.concatenate([np.nan_to_num(residual, nan=1e6, posinf=1e6, neginf=-1e6), off])

    best = theta
    if 0 < len(theta) <= MOST_PARAMETERS:
        low, high = bounds(activation)
        inside = np.clip(theta, low + 1e-6, high - 1e-6)
        best = least_squares(residuals, inside, bounds=(low, high), max_nfev=200).x
    f = computed(best)
    return (
        Warmth(
            path=spot.path,
            was=spot.was,
            gain=best_gain(f),
            error=error(f, best_gain(f)),
            plain_error=error(computed(theta), 1.0),
            parameters={name: value.tolist() for name, value in values(best).items()},
        ),
        values(best),
    )


def bounds(activation: nn.Module) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Least and greatest value of each parameter in a fit."""
    low, high = [], []
    for name, parameter in activation.named_parameters():
        owner, _, own = name.rpartition(".")
        known = type(activation.get_submodule(owner)).__module__.startswith("metaact.")
        limits = INTERIOR.get(own, (-np.inf, np.inf)) if known else (-np.inf, np.inf)
        low += [limits[0]] * parameter.numel()
        high += [limits[1]] * parameter.numel()
    return np.array(low), np.array(high)


def fill(activation: nn.Module, values: dict[str, Tensor]) -> None:
    """Set the parameters of an activation."""
    with torch.no_grad():
        for name, parameter in activation.named_parameters():
            parameter.copy_(values[name])


def scale(layer: nn.Module, gain: float) -> None:
    """Multiply the weight of a linear layer; its bias stays."""
    assert isinstance(layer, Linear)
    with torch.no_grad():
        layer.weight.mul_(gain)


def batches(images: Input) -> Iterator[tuple[Any, ...]]:
    """Inputs in parts of at most `BATCH` images."""
    inputs = images if isinstance(images, tuple) else (images,)
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    for start in range(0, len(tensors[0]), BATCH):
        yield tuple(x[start : start + BATCH] if isinstance(x, Tensor) else x for x in inputs)


def outputs(model: nn.Module, parts: Sequence[tuple[Any, ...]]) -> Tensor:
    """All outputs of a network, flat."""
    with torch.no_grad(), preserved_rng():
        leaves = [leaf for part in parts for leaf in pytree.tree_leaves(model(*part))]
    return torch.cat([leaf.double().flatten().cpu() for leaf in leaves if isinstance(leaf, Tensor)])


def distance(one: Tensor, other: Tensor) -> float:
    """Root mean square of the difference, over that of the other."""
    return float((one - other).square().mean().sqrt() / other.square().mean().sqrt())


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards the modes that were."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
