"""Streams of tasks measured: `python benchmarks/stream.py`.

What a step of one network takes, ours against the usual loop of PyTorch (one network, one example
or batch, `zero_grad`, `backward`, `step`), on one core and in CPU time, which other processes on
the machine change little:

1. Slowly changing regression: 300 networks of 5 hidden units side by side.
2. Images of 28x28: MLPs of three layers, several networks by the same recorded steps, from one
   example and from batches of 16; and the same vectorised, 16 networks in one call.

Prints one table, or one JSON document with --json. No data are needed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from metaact import activations, models
from metaact.adaptation.classifiers import Lessons, OnlineClassifiers
from metaact.adaptation.online import OnlineNets, columns, initial, layout_of

ARMS = ("relu", "arelu", "prelu")


def seconds(work: Callable[[], object], *, repeats: int = 3) -> float:
    """CPU seconds, the least of some repeats after one that warms up and records."""
    work()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def usual(
    model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, loss: Callable[..., torch.Tensor]
) -> float:
    """Microseconds of a step as the tutorials write it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def steps() -> None:
        for x, y in zip(inputs, targets, strict=True):
            optimizer.zero_grad()
            made = loss(model(x), y)
            made.backward()
            optimizer.step()

    return seconds(steps) / len(inputs) * 1e6


def regression(arm: str, *, networks: int, steps: int) -> dict[str, float]:
    """Microseconds of a step and network, ours and the usual loop's."""
    activation = activations.create(arm)
    layout = layout_of(activation, inputs=20, hidden=5)
    nets = OnlineNets(activation, layout, optimizer="sgd")
    states = [{"numbers": initial(activation, layout, gain=1.4, seed=s)} for s in range(networks)]
    nets.take(torch.full((networks,), 0.01), columns(states))
    inputs, targets = torch.rand(steps, 21, networks), torch.rand(steps, networks)
    ours = seconds(lambda: nets.learn(inputs, targets)) / steps / networks * 1e6
    plain = nn.Sequential(nn.Linear(20, 5), activations.create(arm), nn.Linear(5, 1))
    theirs = usual(plain, inputs[:, None, :20, 0], targets[:, :1, None], functional.mse_loss)
    return {"ours_us": ours, "usual_us": theirs, "ratio": theirs / ours}


def images(arm: str, *, batch: int, width: int, networks: int, steps: int) -> dict[str, float]:
    """Microseconds of a step and network: ours, vectorised, and the usual loop's."""
    model = models.mlp(arm, width=width)
    kind = type(activations.create(arm))
    x, y = torch.rand(steps, batch, 1, 28, 28), torch.randint(10, (steps, batch))
    lessons = [Lessons(images=x, labels=y)]
    found = {}
    for name, stacked in (("ours_us", False), ("vectorised_us", True)):
        nets = OnlineClassifiers(model, activation=kind, optimizer="sgd", stacked=stacked)
        nets.take([0.01] * networks, [nets.fresh(model) for _ in range(networks)])
        taken = seconds(lambda nets=nets: nets.learn(lessons, [0] * networks))
        found[name] = taken / steps / networks * 1e6
    found["usual_us"] = usual(model, x, y, functional.cross_entropy)
    return {**found, "ratio": found["usual_us"] / found["ours_us"]}


def measure(steps: int) -> dict[str, dict[str, float]]:
    """All figures, as JSON."""
    found = {f"regression {arm}": regression(arm, networks=300, steps=steps) for arm in ARMS[:2]}
    for width in (100, 20):
        for batch in (1, 16):
            for arm in ARMS if width == 100 else ARMS[:1]:
                found[f"mlp 3x{width}, batches of {batch}, {arm}"] = images(
                    arm, batch=batch, width=width, networks=16, steps=steps // 2
                )
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=200, help="steps timed")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = measure(arguments.steps)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for name, figures in found.items():
        print(f"{name:36}", *(f"{key} {value:.3g}" for key, value in figures.items()), sep="  ")


if __name__ == "__main__":
    main()
