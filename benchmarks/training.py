"""Supervised training measured: `python benchmarks/training.py`.

1. One epoch of MNIST, ours against the usual loop (DataLoader, torchvision's ToTensor, the same
   network, optimizer and threads), in turns, medians; for MNIST-Conv and for Conv4, 64 filters.
2. An epoch and an evaluation alone, and beside a process that keeps one core busy.
3. What an activation costs: time of a step and memory kept for the way back, as ratios to ReLU, in
   MNIST-Conv and in torchvision's ResNet-18, in turns.
4. Runs per minute of a table-1 sweep: build, one epoch, evaluation on the 10,000 test images.
5. Two single-threaded processes side by side against one process with two threads.
6. Independent models stacked in one vectorised call against one after the other, on this device.

The arithmetic is the same on both sides: same initial weights, batches of 128 and SGD with
momentum; only the batch order differs. Prints one table, or one JSON document with --json. Reads
MNIST from --data-root (METAACT_DATA).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measuring import contended, timed
from torch.nn import functional

from metaact import models, tasks
from metaact.adaptation import set_threads
from metaact.adaptation.supervised.optimizers import Recipe
from metaact.adaptation.supervised.stacked import stacked_epoch
from metaact.adaptation.supervised.trainer import Trainer, evaluate

RECIPE = Recipe(lr=1e-3)
SWEEP = ("relu", "arelu", "prelu", "elu", "swish", "pau-paper")


NETWORKS = {"mnist_conv": models.mnist_conv, "conv4": models.conv4}


def network(
    activation: str = "arelu", seed: int = 0, *, name: str = "mnist_conv"
) -> torch.nn.Module:
    """A network, the same weights for the same seed."""
    build: Callable[..., torch.nn.Module] = NETWORKS[name]
    return build(activation, classes=10, generator=torch.Generator().manual_seed(seed))


def beside(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Medians of `contended`, and their ratio."""
    quiet, shared = (statistics.median(times) for times in contended(work, repeats))
    return {"alone_s": quiet, "beside_a_busy_process_s": shared, "ratio": shared / quiet}


def dataloader_epoch(root: Path, steps: int, name: str = "mnist_conv") -> float:
    """One epoch (or its first steps) as the tutorials write it."""
    import torchvision

    data = torchvision.datasets.MNIST(
        str(root), train=True, transform=torchvision.transforms.ToTensor()
    )
    loader = torch.utils.data.DataLoader(data, batch_size=128, shuffle=True)
    model = network(name=name)
    optimizer = torch.optim.SGD(model.parameters(), lr=RECIPE.lr, momentum=RECIPE.momentum)

    def epoch() -> None:
        for step, (images, labels) in enumerate(loader):
            if step == steps:
                return
            optimizer.zero_grad()
            functional.cross_entropy(model(images), labels).backward()
            optimizer.step()

    return timed(epoch)


def our_epoch(images: tasks.Images, steps: int, name: str = "mnist_conv") -> float:
    """The same number of steps with the trainer."""
    part = images.take(torch.arange(min(len(images), 128 * steps)))
    trainer = Trainer(network(name=name), part, recipe=RECIPE, seed=0)
    return timed(trainer.epoch)


def cost_of_activations(name: str, **settings: Any) -> dict[str, object]:
    """Step time and kept memory of each activation, as ratios to ReLU; see `models.costs`."""
    relu, prelu, arelu = models.costs(name, ("relu", "prelu", "arelu"), classes=10, **settings)
    beside = models.costs(name, ("prelu", "arelu"), classes=10, **settings)
    return {
        one.activation: {"time": one.step_ratio, "kept": one.kept_ratio}
        for one in (relu, prelu, arelu)
    } | {"arelu_to_prelu_time": beside[1].step_ratio}


def sweep_rate(train: tasks.Images, test: tasks.Images) -> float:
    """Runs per minute of a table-1 sweep, over cheap and dear activations."""

    def runs() -> None:
        for name in SWEEP:
            trainer = Trainer(network(name), train, recipe=RECIPE, seed=0)
            trainer.epoch()
            evaluate(trainer.model, test)

    return 60 * len(SWEEP) / timed(runs)


def side_by_side(root: Path, steps: int) -> tuple[float, float]:
    """Seconds per epoch of one process with two threads, and of two with one thread each."""
    command = [sys.executable, __file__, "--data-root", str(root), "--steps", str(steps)]

    def run(threads: int, processes: int) -> float:
        started = [
            subprocess.Popen(
                [*command, "--only-ours", "--threads", str(threads)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]
        times = [float(process.communicate()[0]) for process in started]
        return max(times) / processes

    return run(2, 1), run(1, 2)


def stacked_times(
    images: tasks.Images, models_: int, steps: int, device: str
) -> tuple[float, float]:
    """Seconds for so many models, one after the other and stacked, after a warm-up."""
    part = images.take(torch.arange(128 * steps)).to(device)

    def team(size: int) -> list[Trainer]:
        return [
            Trainer(network(seed=seed).to(device), part, recipe=RECIPE, seed=seed)
            for seed in range(size)
        ]

    wait = torch.cuda.synchronize if device == "cuda" else bool
    stacked_epoch(team(models_))
    together, apart = team(models_), team(models_)
    apart[0].epoch()
    alone = timed(lambda: [*(trainer.epoch() for trainer in apart), wait()])
    return alone, timed(lambda: [stacked_epoch(together), wait()])


def measure(root: Path, steps: int, repeats: int) -> dict[str, object]:
    """All figures, as JSON."""
    split = tasks.split("mnist", root=root, validation=0)
    epoch = -(-len(split.train) // 128)
    our_epoch(split.train, 20)
    found: dict[str, object] = {"threads": torch.get_num_threads()}
    for name, some in (("mnist_conv", steps), ("conv4", max(1, steps // 10))):
        usual, ours = [], []
        for _ in range(repeats):
            usual.append(dataloader_epoch(root, some, name) * epoch / some)
            ours.append(our_epoch(split.train, some, name) * epoch / some)
        found[name] = {
            "epoch_dataloader_s": statistics.median(usual),
            "epoch_ours_s": statistics.median(ours),
            "ratio": statistics.median(usual) / statistics.median(ours),
        }
    found["contended_epoch"] = beside(lambda: our_epoch(split.train, steps), repeats)
    model = network()
    found["contended_evaluation"] = beside(lambda: evaluate(model, split.test), repeats)
    found["cost_mnist_conv"] = cost_of_activations(
        "mnist-conv", channels=1, size=28, batch_size=128
    )
    found["cost_resnet18"] = cost_of_activations("torchvision:resnet18", size=64, batch_size=16)
    found["sweep_runs_per_minute"] = sweep_rate(split.train, split.test)
    one, two = side_by_side(root, steps)
    found |= {"one_process_two_threads_s": one * epoch / steps}
    found |= {"two_processes_one_thread_each_s": two * epoch / steps}
    devices = {"cpu": (2, 4, 8)} | ({"cuda": (8, 32, 128)} if torch.cuda.is_available() else {})
    for device, sizes in devices.items():
        for size in sizes:
            few = 20 if device == "cpu" else 100
            alone, together = stacked_times(split.train, size, few, device)
            found[f"stacked_{device}_{size}"] = {
                "one_after_the_other_s": alone,
                "stacked_s": together,
                "ratio": alone / together,
            }
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data-root", type=Path, help="folder of the data sets (METAACT_DATA)")
    parser.add_argument("--steps", type=int, default=469, help="steps timed per epoch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only-ours", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    set_threads(arguments.threads)
    arguments.data_root = tasks.data_root(arguments.data_root)
    if arguments.only_ours:
        split = tasks.split("mnist", root=arguments.data_root, validation=0)
        our_epoch(split.train, 20)
        print(our_epoch(split.train, arguments.steps))
        return
    found = measure(arguments.data_root, arguments.steps, arguments.repeats)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:32} {value:.2f}" if isinstance(value, float) else f"{name:32} {value}")


if __name__ == "__main__":
    main()
