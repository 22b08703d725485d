"""The checks of `gpu.py`: each a number, and what it may be at most."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from gpu_parts import (
    ADAM,
    SGD,
    Size,
    Table,
    apart,
    few,
    gradient,
    learner,
    meta_batch,
    meta_gradient,
    ordinary,
    trainer,
    weights,
)
from torch import Tensor
from torch.nn.functional import cosine_similarity

from metaact import tasks
from metaact.adaptation import (
    MetaLearner,
    MetaStack,
    Recipe,
    Trainer,
    evaluate,
    stacked_epoch,
)
from metaact.randomness import isolated_rng

GRADIENT = {torch.float64: 1e-9, torch.float32: 5e-3}
"""By how much of its norm a meta-gradient may differ between devices: sums in another order.

In float32 such a difference now and then takes a number to the other side of a kink, or another
maximum from a pool, and grows from there. float64 says whether the computation is the same."""

TRAINING = {torch.float64: 1e-7, torch.float32: 2e-2}
"""The same, of what eight updates change."""

SAME = 1e-5
"""By how much between two ways that do the same kernels: 0 but for sums in no fixed order."""


def agreement(table: Table, data: tasks.Images, size: Size) -> None:
    """The GPU against the CPU."""
    table.title(f"agreement of the CPU and {table.device}")
    cpu = torch.device("cpu")
    cases = [("maml", name) for name in ("arelu", "relu", "pau", "elu")]
    cases += [(name, "arelu") for name in ("fomaml", "metasgd", "maml++", "protonet")]

    def meta(algorithm: str, activation: str, dtype: torch.dtype) -> float:
        sides = []
        for device in (cpu, table.device):
            one = learner(algorithm, activation, size, device, dtype)
            sides.append(meta_gradient(one, meta_batch(data, size, cpu).to(dtype).to(device)))
        return apart(*sides)

    def trained(recipe: Recipe, dtype: torch.dtype) -> float:
        sides = []
        for device in (cpu, table.device):
            one = trainer(
                few(data, size), replace(recipe, batch_size=size.batch), device, dtype=dtype
            )
            before = weights(one.model)
            one.epoch()
            sides.append(weights(one.model) - before)
        return apart(*sides)

    for dtype in GRADIENT:
        kind = str(dtype).removeprefix("torch.")
        for algorithm, activation in cases:
            work = partial(meta, algorithm, activation, dtype)
            name = f"meta-gradient of {algorithm}, {activation}, {kind}"
            table.check(name, work, GRADIENT[dtype])
        for name, recipe in (("sgd, whole recipe", SGD), ("adam", ADAM)):
            work = partial(trained, recipe, dtype)
            table.check(f"what an epoch changes, {name}, {kind}", work, TRAINING[dtype])

    def stacked(dtype: torch.dtype) -> float:
        """Of two activations, each run alone on the CPU."""
        teams = [
            [learner("maml", name, size, device, dtype) for name in ("arelu", "arelu", "relu")]
            for device in (cpu, table.device)
        ]
        batches = [meta_batch(data, size, cpu).to(dtype) for _ in teams[0]]
        MetaStack(teams[1]).backward([batch.to(table.device) for batch in batches])
        alone = [meta_gradient(one, batch) for one, batch in zip(teams[0], batches, strict=True)]
        together = [gradient(one) for one in teams[1]]
        return apart(torch.cat(alone), torch.cat(together))

    for dtype, most in GRADIENT.items():
        kind = str(dtype).removeprefix("torch.")
        table.check(f"meta-gradients of a stack, {kind}", partial(stacked, dtype), most)

    def answers() -> float:
        one = trainer(data, replace(ADAM, batch_size=size.batch), cpu)
        one.epoch()
        there = copy.deepcopy(one.model).to(table.device)
        left = evaluate(one.model, one.images, normalisation=one.normalisation)
        right = evaluate(there, data.to(table.device), normalisation=one.normalisation)
        return float((left.right != right.right).double().mean())

    def episodes() -> float:
        drawn = tasks.frozen(data, ways=5, shots=1, queries=1, episodes=8 * size.tasks, seed=1)
        sides = []
        for device in (cpu, table.device):
            one = learner("maml", "arelu", size, device, torch.float32)
            found = [one.test(batch.to(device)) for batch in drawn.batches(size.tasks)]
            sides.append(torch.cat(found).double().cpu())
        return float((sides[0] - sides[1]).abs().mean())

    table.check("share of images that are answered otherwise", answers, 2e-3)
    table.check("accuracy of an adapted network, mean difference", episodes, 5e-3)


def waiting(table: Table, data: tasks.Images, size: Size) -> None:
    """Steps in which PyTorch raises an error where the host waits."""
    table.title("waiting for the GPU (0: never)")

    def trains(name: str) -> float:
        one = trainer(data, replace(SGD, batch_size=size.batch), table.device, activation=name)
        one.model.train()
        given = [one._share_models(), one._signature()]
        indices = torch.arange(size.batch, device=table.device)
        crops = one.crops()
        assert crops is not None
        with isolated_rng("waiting"):
            one._step(indices, *given, crops[: size.batch])
            with unwaited():
                one._step(indices, *given, crops[: size.batch])
        return 0.0

    def learns(name: str) -> float:
        one = learner("maml", name, size, table.device, torch.float32)
        batch = meta_batch(data, size, table.device)
        with isolated_rng("waiting"), ordinary():
            one.backward(batch)
            with unwaited():
                one.backward(batch)
        return 0.0

    for name in ("arelu", "relu", "rrelu", "pau", "maxout", "swish-beta"):
        table.check(f"an update, {name}", partial(trains, name), 0, cuda=True)
        table.check(f"a meta-gradient, {name}", partial(learns, name), 0, cuda=True)


@contextmanager
def unwaited() -> Iterator[None]:
    """Inside, an op that waits raises."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def epochs(one: Trainer, count: int = 2) -> Tensor:
    """What some epochs make of the weights."""
    for _ in range(count):
        one.epoch()
    return weights(one.model)


def iterations(one: MetaLearner, data: tasks.Images, size: Size, device: torch.device) -> Tensor:
    """What some meta-iterations by Adam make of the weights."""
    drawn = tasks.Episodes(data, ways=5, shots=1, queries=1, seed=0, device=device)
    optimizer = torch.optim.Adam(one.parameters(), 1e-3)
    for iteration in range(8):
        optimizer.zero_grad()
        with isolated_rng("maml", iteration):
            one.backward(drawn.sample(size.tasks, index=iteration), iteration=iteration)
        optimizer.step()
    return weights(one.model)


def graphs(table: Table, data: tasks.Images, size: Size) -> None:
    """Captured steps against ordinary ones."""
    table.title("steps by CUDA graphs against ordinary ones")
    device = table.device

    def captured(one: Any, count: int = 1) -> None:
        if device.type == "cuda" and len(one.graphs) < count:
            raise RuntimeError("no graph was captured")

    def trains(name: str, activation: str, recipe: Recipe) -> float:
        recipe = replace(recipe, batch_size=size.batch)
        one, other = (
            trainer(few(data, size), recipe, device, name=name, activation=activation)
            for _ in range(2)
        )
        found = epochs(one)
        captured(one)
        with ordinary():
            return apart(epochs(other), found)

    def learns(algorithm: str, activation: str) -> float:
        one, other = (learner(algorithm, activation, size, device, torch.float32) for _ in range(2))
        found = iterations(one, data, size, device)
        captured(one)
        with ordinary():
            return apart(iterations(other, data, size, device), found)

    def stacks(recipe: Recipe) -> float:
        part = few(data, size).to(device)

        def team() -> list[Trainer]:
            return [
                trainer(
                    part,
                    replace(recipe, lr=rate, batch_size=size.batch),
                    device,
                    dtype=torch.float64,
                    seed=seed,
                )
                for seed in (0, 1)
                for rate in (2**-10, 2**-8)
            ]

        together, alone = team(), team()
        stacked_epoch(together)
        with ordinary():
            found = torch.cat([epochs(one, 1) for one in alone])
        return apart(found, torch.cat([weights(one.model) for one in together]))

    networks = (
        ("mnist-conv", "arelu", SGD),
        ("mnist-conv", "rrelu", ADAM),
        ("conv4", "arelu", ADAM),
    )
    for name, activation, recipe in networks:
        label = f"two epochs of {name}, {activation}, {recipe.optimizer}"
        table.check(label, partial(trains, name, activation, recipe), SAME, cuda=True)
    for algorithm, activation in (("maml", "arelu"), ("maml", "rrelu"), ("maml++", "arelu")):
        label = f"8 iterations of {algorithm}, {activation}"
        table.check(label, partial(learns, algorithm, activation), SAME, cuda=True)
    for recipe in (SGD, ADAM):
        label = f"rates x seeds stacked and alone, {recipe.optimizer}, float64"
        table.check(label, partial(stacks, recipe), TRAINING[torch.float64])


def repetition(table: Table, data: tasks.Images, size: Size) -> None:
    """The same run again, and continued."""
    table.title("repetition (0: to the bit)")

    def make() -> Trainer:
        recipe = replace(SGD, batch_size=size.batch)
        return trainer(few(data, size), recipe, table.device, activation="rrelu")

    def resumed() -> float:
        first, second = make(), make()
        first.epoch()
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        return apart(epochs(make(), 2), epochs(second, 1))

    table.check("a second run", lambda: apart(epochs(make()), epochs(make())), SAME)
    table.check("a run continued from its checkpoint", resumed, SAME)


def precision(table: Table, data: tasks.Images, size: Size) -> None:
    """bfloat16 against float32."""
    table.title("bfloat16 against float32")
    part = data.take(torch.arange(size.batch))

    def sides(name: str, activation: str) -> list[tuple[float, Tensor]]:
        found = []
        for kind in ("float32", "bfloat16"):
            recipe = Recipe(lr=1e-3, batch_size=size.batch, precision=kind)
            one = trainer(part, recipe, table.device, name=name, activation=activation)
            loss = one.epoch().loss
            slopes = [p.grad.flatten() for p in one.model.parameters() if p.grad is not None]
            found.append((loss, torch.cat(slopes)))
        return found

    def loss(name: str, activation: str) -> float:
        (one, _), (other, _) = sides(name, activation)
        return abs(one - other) / one

    def direction(name: str, activation: str) -> float:
        (_, one), (_, other) = sides(name, activation)
        return 1 - float(cosine_similarity(one, other, dim=0))

    for name, activation in (("mnist-conv", "arelu"), ("mnist-conv", "pau"), ("conv4", "arelu")):
        what = f"{name}, {activation}"
        table.check(f"loss, {what}", partial(loss, name, activation), 1e-2, cuda=True)
        work = partial(direction, name, activation)
        table.check(f"1 - cosine of gradients, {what}", work, 5e-2, cuda=True)
