"""metaact against learn2learn 0.2.0: the same weights, tasks, threads and arithmetic.

For each number of shots, the two sides take turns at three jobs, and the medians are compared:

    sampling   32 fresh tasks: `Episodes.sample` against learn2learn's MetaDataset and transforms
    compute    one meta-gradient of given tasks: 5 second-order steps, MNIST-Conv with AReLU
    whole      sampling, meta-gradient, Adam step: one iteration of learn2learn's meta_mnist example

Then each side computes in a process of its own for its peak memory. Run it on an idle machine:

    python benchmarks/maml.py --repeats 15 --threads 2

MNIST is read from the data root (METAACT_DATA); without it both sides get the built-in glyphs.
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
from torch import Tensor, nn
from torch.nn import functional

from metaact import models, tasks
from metaact.adaptation import MAML
from metaact.adaptation.episodic.learn2learn import import_learn2learn
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


def data_source() -> tuple[str, tasks.Images, torch.utils.data.Dataset]:
    """Our images and learn2learn's view of the same: real MNIST where it is, else glyphs."""
    try:
        images = tasks.split("mnist", hold_out="images").train
    except DataError as error:
        images = tasks.split("glyphs").train
        return f"built-in glyphs ({error})", images, Pixels(images, 0.13, 0.31)
    from torchvision import datasets, transforms

    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    try:
        theirs = datasets.MNIST(tasks.data_root(None), transform=transforms.Compose(steps))
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


class Ours:
    """One iteration of metaact."""

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

    def whole(self) -> None:
        """One meta-iteration."""
        self.compute(self.sample())
        self.optimizer.step()


def network() -> nn.Module:
    """MNIST-Conv with AReLU, always from the same weights."""
    generator = torch.Generator().manual_seed(0)
    return models.mnist_conv("arelu", classes=WAYS, generator=generator)


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


def alternate(
    mine: Callable[[], object], other: Callable[[], object], repeats: int
) -> tuple[list[float], list[float]]:
    """Seconds of both sides, taking turns; the first turn of each is thrown away."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for side, work in enumerate((mine, other)):
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
    for _ in range(4):
        maml.backward(batch) if args.peak == "metaact" else theirs.compute(as_list(batch))
    peak = high_water()
    print(json.dumps({"peak": peak, "above_start": peak - before}))


def high_water() -> float:
    """The most memory this process has held so far, in MiB (Linux)."""
    # `ru_maxrss` would not do: a child inherits its parent's, and the parent is the larger one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--tasks", type=int, default=32, help="tasks per iteration (32)")
    parser.add_argument("--steps", type=int, default=5, help="inner steps (5)")
    parser.add_argument("--repeats", type=int, default=9, help="turns of each side (9)")
    parser.add_argument("--threads", type=int, default=2, help="threads of both sides (2)")
    parser.add_argument("--chunk", type=int, default=None, help="our tasks at a time (automatic)")
    parser.add_argument("--peak", choices=["metaact", "learn2learn"], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    args = parsed()
    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")
    if args.peak:
        report_peak(args)
        return
    library = import_learn2learn()
    name, images, dataset = data_source()
    print(f"torch {torch.__version__}, {args.threads} threads, {args.tasks} tasks, ", end="")
    print(f"{args.steps} second-order steps, data: {name}; medians of {args.repeats}")
    for shots in args.shots:
        ours = Ours(network(), images, args, shots)
        theirs = Learn2Learn(library, network(), dataset, args, shots)
        batch = ours.sample()
        same = check_same(ours, theirs, batch)
        print(f"\n{WAYS}-way {shots}-shot: meta-gradients in float64 differ by {same:.0e}")
        print(f"{'':10} {'metaact':>20} {'learn2learn':>20} {'ratio':>7}")
        jobs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "sampling": (ours.sample, theirs.sample),
            "compute": (partial(ours.compute, batch), partial(theirs.compute, as_list(batch))),
            "whole": (ours.whole, theirs.whole),
        }
        for job, pair in jobs.items():
            mine, other = alternate(*pair, args.repeats)
            show(job, mine, other)
        peaks = [peak_memory(engine, shots, args) for engine in ("metaact", "learn2learn")]
        for key, label in (("peak", "peak RSS"), ("above_start", "- at start")):
            mine_mib, other_mib = (peak[key] for peak in peaks)
            print(f"{label:10} {mine_mib:16.0f} MiB {other_mib:16.0f} MiB", end="")
            print(f" {other_mib / max(mine_mib, 1e-9):6.1f}x")


def show(job: str, mine: list[float], other: list[float]) -> None:
    """One line: medians in ms with the range of each, and the ratio."""
    cells = []
    for seconds in (mine, other):
        low, high = 1e3 * min(seconds), 1e3 * max(seconds)
        cells.append(f"{1e3 * statistics.median(seconds):.1f} ({low:.1f}-{high:.1f})")
    ratio = statistics.median(other) / statistics.median(mine)
    print(f"{job:10} {cells[0]:>20} {cells[1]:>20} {ratio:6.1f}x", flush=True)


if __name__ == "__main__":
    main()
