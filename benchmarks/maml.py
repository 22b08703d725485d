"""metaact against learn2learn 0.2.0 and torch.func: the same weights, tasks, threads, arithmetic.

For each number of shots the sides take turns, and the medians are compared:

    sampling   32 fresh tasks: `Episodes.sample` against learn2learn's MetaDataset and transforms
    compute    one meta-gradient of given tasks: 5 second-order steps, MNIST-Conv; torch.func takes
               part as `vmap(grad(...))` over a loop of `grad`, as its tutorials write it; so does
               metaact without a recorded program, as in the first few iterations of a run
    whole      sampling, meta-gradient, Adam step: one iteration of learn2learn's meta_mnist example

and what share of the time matrix products of the same size would take (the GEMM bound). Then each
side computes in a process of its own for its peak memory. With --contended our side is measured
alone, and then beside a process that keeps one core busy. Run it on an idle machine:

    python benchmarks/maml.py --repeats 15 --threads 2
    python benchmarks/maml.py --contended

MNIST is read from --data-root (METAACT_DATA); without it both sides get the built-in glyphs.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from measuring import contended, high_water
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from metaact import models, tasks
from metaact.adaptation import MAML, set_threads
from metaact.adaptation.episodic.learn2learn import import_learn2learn
from metaact.adaptation.program import ASKED_FOR, Program, Programs
from metaact.errors import DataError

WAYS, INNER_LR, META_LR = 5, 0.005, 0.005  # the paper's settings


class Pixels(torch.utils.data.Dataset):
    """Images one by one, as a torchvision data set with ToTensor and Normalize hands them out."""

    def __init__(self, images: tasks.Images, mean: float, std: float) -> None:
        self.pixels, self.labels = images.pixels, images.labels.tolist()
        self.mean, self.std = mean, std

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return (self.pixels[index].float().div(255) - self.mean) / self.std, self.labels[index]


def data_source(root: Path | None) -> tuple[str, tasks.Images, torch.utils.data.Dataset]:
    """Our images and learn2learn's view of the same: real MNIST where it is, else glyphs."""
    try:
        images = tasks.split("mnist", hold_out="images", root=root).train
    except DataError as error:
        images = tasks.split("glyphs").train
        return f"built-in glyphs ({error})", images, Pixels(images, 0.13, 0.31)
    from torchvision import datasets, transforms

    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    try:
        theirs = datasets.MNIST(tasks.data_root(root), transform=transforms.Compose(steps))
    except RuntimeError:
        return "mnist, packed", images, Pixels(images, 0.1307, 0.3081)
    return "mnist", images, theirs


class Learn2Learn:
    """One iteration as learn2learn's meta_mnist example does it."""

    def __init__(
        self,
        library: ModuleType,
        model: nn.Module,
        data: torch.utils.data.Dataset,
        args: argparse.Namespace,
        shots: int,
    ) -> None:
        self.shots, self.args = shots, args
        self.maml = library.algorithms.MAML(model, lr=INNER_LR)
        self.optimizer = torch.optim.Adam(self.maml.parameters(), META_LR)
        meta = library.data.MetaDataset(data)
        steps = library.data.transforms
        self.taskset = library.data.TaskDataset(
            meta,
            task_transforms=[
                steps.NWays(meta, WAYS),
                steps.KShots(meta, 2 * shots),
                steps.LoadData(meta),
                steps.RemapLabels(meta),
                steps.ConsecutiveLabels(meta),
            ],
            num_tasks=-1,
        )

    def sample(self) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Fresh tasks, every second image of a class for adaptation."""
        drawn = [self.taskset.sample() for _ in range(self.args.tasks)]
        return [(x[::2], y[::2], x[1::2], y[1::2]) for x, y in drawn]

    def compute(self, batch: list[tuple[Tensor, Tensor, Tensor, Tensor]]) -> None:
        """The meta-gradient: one graph of all tasks, then backward."""
        self.optimizer.zero_grad()
        total = torch.zeros(())
        for support, labels, query, query_labels in batch:
            learner = self.maml.clone()
            for _ in range(self.args.steps):
                learner.adapt(functional.cross_entropy(learner(support), labels))
            total = total + functional.cross_entropy(learner(query), query_labels)
        (total / len(batch)).backward()

    def whole(self) -> None:
        """One meta-iteration."""
        self.compute(self.sample())
        self.optimizer.step()


class Unrecorded(Programs):
    """None, ever."""

    def find(self, *_: object) -> Program | None:
        """None."""
        return None


class Ours:
    """One iteration of metaact, recorded before it is measured, as a run is after a few of them."""

    def __init__(
        self, model: nn.Module, images: tasks.Images, args: argparse.Namespace, shots: int
    ) -> None:
        self.args = args
        self.maml = MAML(model, inner_lr=INNER_LR, inner_steps=args.steps, chunk_size=args.chunk)
        self.optimizer = torch.optim.Adam(model.parameters(), META_LR)
        mean, std = tasks.statistics(images)
        self.episodes = tasks.Episodes(
            images, ways=WAYS, shots=shots, queries=shots, seed=0, mean=mean, std=std
        )

    def sample(self) -> tasks.MetaBatch:
        """Fresh tasks."""
        return self.episodes.sample(self.args.tasks)

    def compute(self, batch: tasks.MetaBatch) -> None:
        """The meta-gradient."""
        self.optimizer.zero_grad()
        self.maml.backward(batch)

    def record(self, batch: tasks.MetaBatch) -> None:
        """Ask for the meta-gradient and the test until both are recorded."""
        for _ in range(ASKED_FOR):
            self.compute(batch)
            self.maml.test(batch)

    def whole(self) -> None:
        """One meta-iteration."""
        self.compute(self.sample())
        self.optimizer.step()


def network(activation: str = "arelu") -> nn.Module:
    """MNIST-Conv, always from the same weights."""
    generator = torch.Generator().manual_seed(0)
    return models.mnist_conv(activation, classes=WAYS, generator=generator)


def torch_func(model: nn.Module, batch: tasks.MetaBatch, steps: int) -> dict[str, Tensor]:
    """The meta-gradient by PyTorch's own transforms."""

    def loss(own: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(model, own, (images,)), labels)

    def task(own: dict[str, Tensor], s: Tensor, s_l: Tensor, q: Tensor, q_l: Tensor) -> Tensor:
        for _ in range(steps):
            slopes = grad(loss)(own, s, s_l)
            own = {name: value - INNER_LR * slopes[name] for name, value in own.items()}
        return loss(own, q, q_l)

    start = {name: p.detach() for name, p in model.named_parameters()}
    over = vmap(grad(task), in_dims=(None, 0, 0, 0, 0))
    each = over(start, batch.support, batch.support_labels, batch.query, batch.query_labels)
    return {name: slope.mean(dim=0) for name, slope in each.items()}


def gemm_bound(shots: int, args: argparse.Namespace) -> float:
    """Seconds that the products of a meta-gradient's convolutions take as one large product.

    A step has 9 products a convolution (forward, both gradients, and both derivatives of each);
    the first layer's images need no gradient, which leaves 4. The query pass has 3, and 2.
    """
    layers = [(25, 10, 24), (250, 20, 8), (180, 40, 2)]
    flops = 0.0
    for number, (rows, filters, side) in enumerate(layers):
        products = args.steps * (4 if number == 0 else 9) + (2 if number == 0 else 3)
        flops += products * 2 * rows * filters * side**2 * WAYS * shots * args.tasks
    size = 1024
    a, b = torch.randn(size, size), torch.randn(size, size)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - start)
    return flops / (2 * size**3 / statistics.median(times))


def as_list(batch: tasks.MetaBatch) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Our tasks in the form that learn2learn's loop takes."""
    parts = (batch.support, batch.support_labels, batch.query, batch.query_labels)
    return list(zip(*parts, strict=True))


def check_same(ours: Ours, theirs: Learn2Learn, batch: tasks.MetaBatch) -> float:
    """The largest relative difference of the two meta-gradients, in float64."""
    sides = [copy.deepcopy(ours), copy.deepcopy(theirs)]
    slopes = []
    for side, given in zip(sides, (batch.to(torch.float64), None), strict=True):
        side.maml.model.double() if given is not None else side.maml.module.double()
        side.compute(given if given is not None else as_list(batch.to(torch.float64)))
        model = side.maml.model if given is not None else side.maml.module
        slopes.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    return float((slopes[0] - slopes[1]).abs().max() / slopes[1].abs().max())


def alternate(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of all sides, taking turns; the first turn of each is thrown away."""
    seconds: dict[str, list[float]] = {side: [] for side in works}
    for turn in range(repeats + 1):
        for side, work in works.items():
            start = time.perf_counter()
            work()
            if turn:
                seconds[side].append(time.perf_counter() - start)
    return seconds


def peak_memory(engine: str, shots: int, args: argparse.Namespace) -> dict[str, float]:
    """MiB of a fresh process: the most it ever held, and that less what it held before."""
    call = [sys.executable, __file__, "--peak", engine, "--shots", str(shots)]
    call += ["--threads", str(args.threads), "--tasks", str(args.tasks)]
    call += ["--steps", str(args.steps)] + (["--chunk", str(args.chunk)] if args.chunk else [])
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def report_peak(args: argparse.Namespace) -> None:
    """Compute a few meta-gradients of random images and print this process's peak memory."""
    (shots,) = args.shots
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(args.tasks, WAYS * shots, 1, 28, 28, generator=generator)
    labels = torch.arange(WAYS).repeat_interleave(shots).repeat(args.tasks, 1)
    batch = tasks.MetaBatch(
        support=images, support_labels=labels, query=images.clone(), query_labels=labels
    )
    library, model = import_learn2learn(), network()  # both sides hold the same libraries
    maml = MAML(model, inner_lr=INNER_LR, inner_steps=args.steps, chunk_size=args.chunk)
    theirs = Learn2Learn.__new__(Learn2Learn)
    theirs.args, theirs.maml = args, library.algorithms.MAML(model, lr=INNER_LR)
    theirs.optimizer = torch.optim.Adam(model.parameters(), META_LR)
    before = high_water()
    for _ in range(ASKED_FOR + 2):
        maml.backward(batch) if args.peak == "metaact" else theirs.compute(as_list(batch))
    peak = high_water()
    print(json.dumps({"peak": peak, "above_start": peak - before}))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--tasks", type=int, default=32, help="tasks per iteration (32)")
    parser.add_argument("--steps", type=int, default=5, help="inner steps (5)")
    parser.add_argument("--repeats", type=int, default=9, help="turns of each side (9)")
    parser.add_argument("--threads", type=int, default=2, help="threads of both sides (2)")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets (METAACT_DATA)")
    parser.add_argument("--contended", action="store_true", help="beside a busy process, ours only")
    parser.add_argument("--chunk", type=int, default=None, help="our tasks at a time (automatic)")
    parser.add_argument("--peak", choices=["metaact", "learn2learn"], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    args = parsed()
    torch.set_num_threads(args.threads)
    set_threads(args.threads)
    warnings.filterwarnings("ignore")
    if args.peak:
        report_peak(args)
        return
    name, images, dataset = data_source(args.data_root)
    if args.contended:
        report_contended(images, args)
        return
    library = import_learn2learn()
    print(f"torch {torch.__version__}, {args.threads} threads, {args.tasks} tasks, ", end="")
    print(f"{args.steps} second-order steps, data: {name}; medians of {args.repeats}")
    for shots in args.shots:
        ours = Ours(network(), images, args, shots)
        theirs = Learn2Learn(library, network(), dataset, args, shots)
        batch = ours.sample()
        plain = Ours(network(), images, args, shots)
        plain.maml.programs = Unrecorded()
        ours.record(batch)
        same = check_same(ours, theirs, batch)
        print(f"\n{WAYS}-way {shots}-shot: meta-gradients in float64 differ by {same:.0e}")
        jobs: dict[str, dict[str, Callable[[], object]]] = {
            "sampling": {"metaact": ours.sample, "learn2learn": theirs.sample},
            "compute": {
                "metaact": partial(ours.compute, batch),
                "unrecorded": partial(plain.compute, batch),
                "torch.func": partial(torch_func, network(), batch, args.steps),
                "learn2learn": partial(theirs.compute, as_list(batch)),
            },
            "whole": {"metaact": ours.whole, "learn2learn": theirs.whole},
        }
        for job, works in jobs.items():
            seconds = alternate(works, args.repeats)
            show(job, seconds)
            if job == "compute":
                share = gemm_bound(shots, args) / statistics.median(seconds["metaact"])
                print(f"{'':10} of it {100 * share:.0f} % is the GEMM bound")
        peaks = [peak_memory(engine, shots, args) for engine in ("metaact", "learn2learn")]
        for key, label in (("peak", "peak RSS"), ("above_start", "- at start")):
            mine_mib, other_mib = (peak[key] for peak in peaks)
            print(f"{label:10} {mine_mib:16.0f} MiB {other_mib:16.0f} MiB", end="")
            print(f" {other_mib / max(mine_mib, 1e-9):6.1f}x")


def show(job: str, seconds: dict[str, list[float]]) -> None:
    """A line a side: median in ms with the range, and its ratio to ours."""
    for side, times in seconds.items():
        middle = statistics.median(times)
        ratio = middle / statistics.median(seconds["metaact"])
        spread = f"({1e3 * min(times):.1f}-{1e3 * max(times):.1f})"
        print(f"{job:10} {side:12} {1e3 * middle:9.1f} ms {spread:>20} {ratio:6.1f}x", flush=True)


def report_contended(images: tasks.Images, args: argparse.Namespace) -> None:
    """A meta-gradient and an evaluation, alone and beside a busy process."""
    for shots in args.shots:
        ours = Ours(network(), images, args, shots)
        batch = ours.sample()
        ours.record(batch)
        works = {"compute": partial(ours.compute, batch), "test": partial(ours.maml.test, batch)}
        for job, work in works.items():
            quiet, beside = contended(work, args.repeats)
            ratio = statistics.median(beside) / statistics.median(quiet)
            print(
                f"{WAYS}-way {shots}-shot {job:8} {1e3 * statistics.median(quiet):8.1f} ms, ",
                end="",
            )
            print(f"beside a busy process {1e3 * statistics.median(beside):8.1f} ms {ratio:5.2f}x")


if __name__ == "__main__":
    main()
