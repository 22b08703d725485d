"""What an activation costs in a network: parameters, time of a training step, memory kept."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from metaact import activations
from metaact.errors import UsageError, check_int
from metaact.randomness import isolated_rng

from .table import create

WARM_UP = 1
"""Turns that are not timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one activation costs in one network, beside the first of those that were measured.

    Attributes:
        model: The network.
        activation: The activation.
        parameters: Trainable numbers of the whole network.
        of_activations: Those of them that belong to activations.
        step_ms: Milliseconds of a forward pass, the loss and the backward pass; median of the
            turns.
        step_ratio: Time of that over that of the first activation, the median of the ratios within
            each turn. On a CPU it is processor time, in which waiting for other programs does not
            count.
        kept_mib: MiB that the forward pass keeps for the backward pass, parameters left out.
        kept_ratio: The same over that of the first activation.
    """

    model: str
    activation: str
    parameters: int
    of_activations: int
    step_ms: float
    step_ratio: float
    kept_mib: float
    kept_ratio: float


def costs(
    model: str,
    names: Sequence[str],
    *,
    classes: int = 100,
    channels: int = 3,
    size: int = 32,
    batch_size: int = 32,
    turns: int = 9,
    batch_norm: str | None = None,
    device: str = "cpu",
) -> list[Cost]:
    """Measure activations in one network, in turns within one run.

    Seconds are those of the machine and of what else it does; ratios compare what was measured
    one right after the other. Images are random numbers.

    Args:
        model: A network, as `create` names it.
        names: Activations, as `metaact.activations.expanded` understands them; the
            others are compared with the first.
        classes: Outputs.
        channels: Channels of the images.
        size: Their height and width.
        batch_size: Images of a step, at least 2.
        turns: Timed steps of each, in turns.
        batch_norm: As for `create`.
        device: Where.

    Returns:
        One for each of the names, in their order.

    Raises:
        UsageError: If an argument is not allowed.

    Examples:
        >>> relu, arelu = costs(
        ...     "mnist-conv", ["relu", "arelu"], channels=1, size=28, batch_size=2, turns=1
        ... )
        >>> arelu.parameters - relu.parameters, arelu.of_activations, relu.step_ratio
        (6, 6, 1.0)
    """
    check_int("turns", turns, minimum=1)
    check_int("batch_size", batch_size, minimum=2, why="BatchNorm needs two images")
    names = activations.expanded(names)
    if not names:
        raise UsageError("`activation` must name at least one; got none.")
    networks = []
    for name in names:
        made = create(
            model,
            name,
            classes=classes,
            channels=channels,
            size=size,
            batch_norm=batch_norm,
            generator=torch.Generator().manual_seed(0),
        )
        networks.append(made.to(device).train())
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, channels, size, size, generator=draw).to(device)
    labels = (torch.arange(batch_size) % classes).to(device)
    with isolated_rng("cost"):
        kept = [kept_bytes(network, images) for network in networks]
        times = _times(networks, images, labels, turns)
    return [
        Cost(
            model=model,
            activation=name,
            parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
            of_activations=_of_activations(network),
            step_ms=1000 * statistics.median(step.wall for step in own),
            step_ratio=statistics.median(
                a.work / b.work for a, b in zip(own, times[0], strict=True)
            ),
            kept_mib=size_kept / 2**20,
            kept_ratio=size_kept / kept[0],
        )
        for name, network, own, size_kept in zip(names, networks, times, kept, strict=True)
    ]


def kept_bytes(model: nn.Module, images: Tensor) -> int:
    """Memory of what a forward pass keeps for its derivative, parameters left out."""
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(images)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    del output
    return sum(size for key, size in found.items() if key not in own)


class _Step(NamedTuple):
    """Seconds of one step, and those that were spent on it alone."""

    wall: float
    work: float


def _times(
    networks: Sequence[nn.Module], images: Tensor, labels: Tensor, turns: int
) -> list[list[_Step]]:
    """A step of each network in each turn; who begins changes from turn to turn."""
    times: list[list[_Step]] = [[] for _ in networks]
    trained = [[p for p in network.parameters() if p.requires_grad] for network in networks]
    for turn in range(WARM_UP + turns):
        for place in range(len(networks)):
            which = (place + turn) % len(networks)
            _wait(images)
            start, processor = time.perf_counter(), time.process_time()
            loss = functional.cross_entropy(networks[which](images), labels)
            torch.autograd.grad(loss, trained[which])
            _wait(images)
            if turn >= WARM_UP:
                wall, work = time.perf_counter() - start, time.process_time() - processor
                times[which].append(_Step(wall, wall if images.is_cuda else work))
    return times


def _wait(tensor: Tensor) -> None:
    """Until a GPU has done what it was asked for."""
    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)


def _of_activations(model: nn.Module) -> int:
    inside = activations.inside_activations(model)
    own = {id(p): p for module in inside for p in module.parameters() if p.requires_grad}
    return sum(parameter.numel() for parameter in own.values())
