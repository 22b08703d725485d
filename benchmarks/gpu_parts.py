"""What the check of a GPU is made of: sizes, the table, images, networks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from metaact import activations, models, tasks
from metaact.adaptation import (
    MetaLearner,
    Normalisation,
    Recipe,
    Trainer,
    set_graphs,
)
from metaact.adaptation.episodic.algorithms.table import find
from metaact.errors import MissingDependencyError
from metaact.tasks._images import Provenance


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of everything."""

    tasks: int = 32
    steps: int = 5
    images: int = 12_800
    epoch: int = 8
    batch: int = 128
    repeats: int = 10
    cpu_repeats: int = 3
    stack: int = 32
    meta_stack: int = 20
    networks: int = 3000
    resnet: int = 2560


QUICK = Size(
    tasks=2,
    steps=1,
    images=120,
    batch=8,
    repeats=1,
    cpu_repeats=1,
    stack=2,
    meta_stack=4,
    networks=3,
    resnet=8,
)
"""Little of everything."""


class Table:
    """Rows, printed as they come.

    Args:
        device: Where the other side of each comparison is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.failed = device, 0
        self.cuda = device.type == "cuda"
        self.first: float | None = None

    def check(
        self, name: str, work: Callable[[], float], most: float, *, cuda: bool = False
    ) -> None:
        """A number that may be at most so much."""
        if cuda and not self.cuda:
            self.row(name, "needs CUDA")
            return
        try:
            found = work()
        except Exception as error:  # noqa: BLE001  # the other rows are wanted whatever fails
            self.row(name, f"FAILED: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
            self.failed += 1
            return
        good = found <= most
        self.failed += not good
        self.row(name, f"{found:.1e}", f"at most {most:.0e}", "ok" if good else "FAILED")

    def time(
        self,
        name: str,
        make: Callable[[], Callable[[], object]],
        repeats: int,
        *,
        warm: int = 6,
        cuda: bool = False,
    ) -> None:
        """The median time of a call, after those that it takes to be fast; against the first."""
        if cuda and not self.cuda:
            self.row(name, "needs CUDA")
            return
        try:
            work = make()
            for _ in range(warm if repeats > 1 else 1):
                work()
            found = statistics.median(self._seconds(work) for _ in range(repeats))
        except MissingDependencyError:
            self.row(name, "not installed")
        except Exception as error:  # noqa: BLE001  # as above
            self.row(name, f"FAILED: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
            self.failed += 1
        else:
            self.first = self.first or found
            self.row(name, f"{1e3 * found:.2f} ms", f"{self.first / found:.2f}x")

    def _seconds(self, work: Callable[[], object]) -> float:
        self.wait()
        start = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        """Until the device has done what it was asked for."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def row(self, *cells: str) -> None:
        """One line."""
        print(f"{cells[0]:58} " + "  ".join(f"{cell:>12}" for cell in cells[1:]), flush=True)

    def title(self, text: str) -> None:
        """A line above others, the first of which is what times are compared with."""
        self.first = None
        print(f"\n{text}", flush=True)


def images(size: Size, *, channels: int = 1, side: int = 28, count: int = 0) -> tasks.Images:
    """Ten classes, each a pattern of its own under noise."""
    draw = torch.Generator().manual_seed(0)
    patterns = torch.rand(10, channels, side, side, generator=draw)
    labels = torch.arange(count or size.images) % 10
    noise = torch.rand(len(labels), channels, side, side, generator=draw)
    pixels = ((patterns[labels] + 2 * noise) * 85).to(torch.uint8)
    made = Provenance(dataset="patterns", split="train", official=False)
    return tasks.Images(
        pixels=pixels, labels=labels, class_names=tuple("0123456789"), provenance=made
    )


def network(
    name: str = "mnist-conv", activation: str = "arelu", seed: int = 0, **form: int
) -> nn.Module:
    """The same weights for the same seed."""
    given = {"classes": 10, "channels": 1, **form}
    draw = torch.Generator().manual_seed(seed)
    return models.create(name, activations.resolve(activation), generator=draw, **given)


def trainer(
    data: tasks.Images,
    recipe: Recipe,
    device: torch.device,
    *,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    **named: Any,
) -> Trainer:
    """One on a device, before its first update."""
    model = network(seed=seed, **named).to(device, dtype)
    there = data if data.pixels.device == device else data.to(device)
    normalisation = Normalisation(mean=(0.5,) * data.channels, std=(0.3,) * data.channels)
    return Trainer(model, there, recipe=recipe, seed=seed, normalisation=normalisation)


def few(data: tasks.Images, size: Size) -> tasks.Images:
    """Images for an epoch of eight updates."""
    return data.take(torch.arange(size.epoch * size.batch))


def weights(model: nn.Module) -> Tensor:
    """All of them, on the CPU."""
    return torch.cat([p.detach().double().flatten().cpu() for p in model.parameters()])


def apart(one: Tensor, other: Tensor) -> float:
    """The norm of a difference as a share of the first one's norm; bits that agree give 0."""
    return float((one - other).norm() / one.norm())


@contextmanager
def ordinary() -> Iterator[None]:
    """Without CUDA graphs."""
    set_graphs(False)
    try:
        yield
    finally:
        set_graphs(True)


SGD = Recipe(
    lr=2**-7,  # rates on a GPU are float32: of this one, and its parts in a warm-up, exactly
    nesterov=True,
    weight_decay=1e-4,
    clip_norm=5.0,
    augmentation="crop-flip",
    schedule="cosine",
    warmup_epochs=1,
    epochs=9,
)
ADAM = Recipe(lr=2**-10, optimizer="adam")


def meta_batch(
    data: tasks.Images, size: Size, device: torch.device, shots: int = 1
) -> tasks.MetaBatch:
    """Tasks of five ways."""
    drawn = tasks.Episodes(data, ways=5, shots=shots, queries=shots, seed=0, device=device)
    return drawn.sample(size.tasks, index=0)


def learner(
    algorithm: str, activation: str, size: Size, device: torch.device, dtype: torch.dtype
) -> MetaLearner:
    """A network that is meta-learned."""
    rule = find(algorithm)
    known = {field.name for field in fields(rule) if field.init}
    given = {"inner_lr": 0.01, "multi_step": 100, "classes": 10}
    model = network(activation=activation, classes=5).to(device, dtype)
    made = rule(**{name: value for name, value in given.items() if name in known})
    return MetaLearner(model, made, inner_steps=size.steps)


def meta_gradient(one: MetaLearner, batch: tasks.MetaBatch) -> Tensor:
    """Of all that is learned, on the CPU."""
    for parameter in one.parameters():
        parameter.grad = None
    one.backward(batch, iteration=3)
    return gradient(one)


def gradient(one: MetaLearner) -> Tensor:
    """What is there by now, on the CPU."""
    found = [p.grad.double().flatten().cpu() for p in one.parameters() if p.grad is not None]
    return torch.cat(found)
