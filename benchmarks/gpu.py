"""A GPU checked and measured: `python benchmarks/gpu.py`. It needs no installation and no data.

Checks, each a number beside what it may be at most:

    agreement    of meta-gradients, training and answers between the CPU and the GPU, in float64 and
                 float32 (convolutions without TF32)
    waiting      no step of converge, transfer, segment or maml waits for the GPU
    graphs       captured steps against ordinary ones, and that they were captured
    repetition   a second run, and one that continues from a checkpoint
    bfloat16     loss and direction of the gradient against float32

Then times, medians: a meta-iteration of 5 ways with 1 and 5 shots on the CPU, on the GPU by
ordinary calls, by a CUDA graph, and by learn2learn if it is installed; epochs of MNIST-Conv and
ResNet-18, with and without bfloat16; a sweep one run after the other and stacked; a stream.

It prints one table, and ends with 1 if a check fails. `--device cpu` runs the same with the CPU in
the place of the GPU: what needs CUDA says so.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from metaact import activations, models, tasks
from metaact.adaptation import (
    MAML,
    MetaLearner,
    Normalisation,
    Recipe,
    Trainer,
    evaluate,
    set_graphs,
    stacked_epoch,
)
from metaact.adaptation.episodic import vectorised
from metaact.adaptation.episodic.algorithms.table import find
from metaact.adaptation.online import OnlineNets, columns, initial, layout_of
from metaact.adaptation.program import ASKED_FOR
from metaact.adaptation.stateless import full_float32
from metaact.errors import MissingDependencyError
from metaact.randomness import isolated_rng
from metaact.tasks._images import Provenance

GRADIENT = {torch.float64: 1e-9, torch.float32: 5e-3}
"""By how much of its norm a meta-gradient may differ between devices: sums in another order.

In float32 such a difference now and then takes a number to the other side of a kink, or another
maximum from a pool, and grows from there. float64 says whether the computation is the same."""

TRAINING = {torch.float64: 1e-7, torch.float32: 2e-2}
"""The same, of what eight updates change."""

SAME = 1e-5
"""By how much between two ways that do the same kernels: 0 but for sums in no fixed order."""


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
    networks: int = 3000
    resnet: int = 2560


QUICK = Size(
    tasks=2, steps=1, images=120, batch=8, repeats=1, cpu_repeats=1, stack=2, networks=3, resnet=8
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
    found = [p.grad.double().flatten().cpu() for p in one.parameters() if p.grad is not None]
    return torch.cat(found)


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, measure, print; 1 if a check failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try this script")
    parser.add_argument("--quick", action="store_true", help="little of everything, in seconds")
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("CUDA is not available here; --device cpu runs what needs none.")
    size = QUICK if given.quick else Size()
    table = Table(device)
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    print(f"torch {torch.__version__}, Python {sys.version.split()[0]}, {named}")
    start = time.perf_counter()
    data = images(size)
    exact = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    with full_float32():
        for part in (agreement, waiting, graphs, repetition):
            part(table, data, size)
    torch.backends.cudnn.deterministic = exact
    for part in (precision, meta_times, training_times, sweep_times):
        part(table, data, size)
    failed = f"{table.failed} failed" if table.failed else "all checks passed"
    print(f"\n{failed}; {time.perf_counter() - start:.0f} seconds")
    return int(table.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
