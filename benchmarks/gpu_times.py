"""The times of `gpu.py`: medians, each beside the first of its group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from gpu_parts import (
    Size,
    Table,
    images,
    network,
    ordinary,
    trainer,
)

from metaact import activations, tasks
from metaact.adaptation import (
    MAML,
    Maml,
    MetaLearner,
    MetaStack,
    Recipe,
    Trainer,
    stacked_epoch,
)
from metaact.adaptation.episodic import vectorised
from metaact.adaptation.online import OnlineNets, columns, initial, layout_of
from metaact.adaptation.program import ASKED_FOR


def meta_times(table: Table, data: tasks.Images, size: Size) -> None:
    """One meta-iteration: sampling, meta-gradient, Adam."""

    def iteration(
        shots: int, device: torch.device, engine: str = "vectorised"
    ) -> Callable[[], object]:
        model = network(classes=5).to(device)
        maml = MAML(model, inner_lr=0.01, inner_steps=size.steps, engine=engine)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        drawn = tasks.Episodes(data, ways=5, shots=shots, queries=shots, seed=0, device=device)

        def work() -> None:
            optimizer.zero_grad()
            maml.backward(drawn.sample(size.tasks))
            optimizer.step()

        return work

    for shots in (1, 5):
        table.title(f"a meta-iteration, 5-way {shots}-shot, {size.tasks} tasks, {size.steps} steps")
        cpu = partial(iteration, shots, torch.device("cpu"))
        table.time("CPU", cpu, size.cpu_repeats, warm=ASKED_FOR + 1)
        make = partial(iteration, shots, table.device)
        for more, way in (("", nullcontext), (", patch products", products)):
            with way():
                with ordinary():
                    table.time(f"ordinary calls{more}", make, size.repeats)
                table.time(f"CUDA graph{more}", make, size.repeats, cuda=True)
        table.time("learn2learn", partial(make, "learn2learn"), min(3, size.repeats), warm=1)


@contextmanager
def products() -> Iterator[None]:
    """Convolutions of tasks as patch products, in place of grouped convolutions."""
    before, vectorised.by_products = vectorised.by_products, lambda device: True
    try:
        yield
    finally:
        vectorised.by_products = before


def training_times(table: Table, data: tasks.Images, size: Size) -> None:
    """Epochs."""
    colour = images(size, channels=3, side=32, count=size.resnet)
    ways: tuple[tuple[str, dict[str, Any]], ...] = (
        ("CUDA graph", {}),
        ("CUDA graph, bfloat16", {"precision": "bfloat16"}),
        ("the same, channels last", {"precision": "bfloat16", "channels_last": True}),
    )
    few = max(1, size.repeats // 3)

    def epoch(
        name: str, part: tasks.Images, device: torch.device, **given: Any
    ) -> Callable[[], object]:
        recipe = Recipe(lr=0.01, batch_size=size.batch, **given)
        form = {"channels": part.channels, "size": part.size[0]}
        return trainer(part, recipe, device, name=name, **form).epoch

    for name, part in (("mnist-conv", data), ("resnet18", colour)):
        table.title(f"an epoch of {len(part)} images, {name}, batches of {size.batch}")
        if name == "mnist-conv":
            table.time("CPU", partial(epoch, name, part, torch.device("cpu")), 1)
        make = partial(epoch, name, part, table.device)
        with ordinary():
            table.time("ordinary calls", make, few)
        for label, given in ways:
            table.time(label, partial(make, **given), few, cuda=True)


def sweep_times(table: Table, data: tasks.Images, size: Size) -> None:
    """Runs side by side."""
    part = data.take(torch.arange(min(len(data), 20 * size.batch))).to(table.device)

    def team() -> list[Trainer]:
        rates = (1e-3, 3e-3, 1e-2, 3e-2)
        return [
            trainer(part, Recipe(lr=rates[n % 4], batch_size=size.batch), table.device, seed=n // 4)
            for n in range(size.stack)
        ]

    def alone() -> Callable[[], object]:
        made = team()
        return lambda: [one.epoch() for one in made]

    def stacked() -> Callable[[], object]:
        made = team()
        return lambda: stacked_epoch(made)

    table.title(f"an epoch of {len(part)} images, {size.stack} runs of rates x seeds, MNIST-Conv")
    with ordinary():
        table.time("one after the other, ordinary calls", alone, 1)
    table.time("one after the other, CUDA graphs", alone, 1, cuda=True)
    with ordinary():
        table.time("stacked, ordinary calls", stacked, 1)
    table.time("stacked, CUDA graph", stacked, 1, cuda=True)

    def meta_team() -> tuple[list[MetaLearner], list[torch.optim.Optimizer]]:
        arms = ("arelu", "relu", "prelu", "elu")
        learners = [
            MetaLearner(
                network(classes=5, seed=n, activation=arms[4 * n // size.meta_stack]).to(
                    table.device
                ),
                Maml(inner_lr=0.01),
                inner_steps=size.steps,
            )
            for n in range(size.meta_stack)
        ]
        return learners, [torch.optim.Adam(one.parameters(), 1e-3) for one in learners]

    drawn = tasks.Episodes(data, ways=5, shots=1, queries=1, seed=0, device=table.device)

    def meta(*, stacked: bool) -> Callable[[], object]:
        learners, optimizers = meta_team()
        stack = MetaStack(learners) if stacked else None

        def work() -> None:
            for optimizer in optimizers:
                optimizer.zero_grad()
            batches = [drawn.sample(size.tasks) for _ in learners]
            if stack is not None:
                stack.backward(batches)
            else:
                for one, batch in zip(learners, batches, strict=True):
                    one.backward(batch)
            for optimizer in optimizers:
                optimizer.step()

        return work

    table.title(
        f"a meta-iteration of each of {size.meta_stack} runs of four activations, 5-way 1-shot, "
        f"{size.tasks} tasks, {size.steps} steps"
    )
    few = max(1, size.repeats // 3)
    for name, way in (("one after the other", False), ("stacked", True)):
        with ordinary():
            table.time(f"{name}, ordinary calls", lambda w=way: meta(stacked=w), few)
        table.time(f"{name}, CUDA graphs", lambda w=way: meta(stacked=w), few, cuda=True)

    def stream(networks: int) -> Callable[[], object]:
        activation = activations.resolve("arelu").factory()
        layout = layout_of(activation, inputs=20, hidden=5)
        nets = OnlineNets(activation.to(table.device), layout, optimizer="adam")
        numbers = [initial(activation.cpu(), layout, gain=1.4, seed=s) for s in range(networks)]
        activation.to(table.device)
        zero = torch.zeros_like(numbers[0])
        state = columns([{"numbers": n, "first": zero, "second": zero} for n in numbers])
        there = {name: value.to(table.device) for name, value in state.items()}
        nets.take(torch.full((networks,), 0.01, device=table.device), there)
        x = torch.ones(200, 21, networks, device=table.device)
        return lambda: nets.learn(x, x[:, 0])

    table.title("200 steps of a stream, networks side by side")
    for count in (30, size.networks):
        with ordinary():
            table.time(f"{count} networks, ordinary calls", lambda c=count: stream(c), size.repeats)
        table.time(
            f"{count} networks, CUDA graph", lambda c=count: stream(c), size.repeats, cuda=True
        )
