"""How time and memory of a meta-gradient grow: `python benchmarks/growth.py growth.png`.

One second-order meta-gradient of a small network with AReLU, on random images. In turn one of tasks
(1 to 256), inner steps (1 to 50), shots, ways and filters grows and the others stay at 32, 5, 1, 5
and 10. Each point is the median of three, recorded before, in a process of its own, whose peak
memory is that above its start; three modes: the graph of all steps kept, steps recomputed, and one
task at a time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import torch
from measuring import high_water, timed
from torch import nn

from metaact import tasks
from metaact.activations import AReLU
from metaact.adaptation import MAML, program, set_threads

BASE = {"tasks": 32, "steps": 5, "shots": 1, "ways": 5, "filters": 10}
GROWING = {
    "tasks": (1, 4, 16, 64, 256),
    "steps": (1, 5, 15, 50),
    "shots": (1, 5, 15),
    "ways": (2, 5, 20),
    "filters": (10, 32, 64),
}
MODES = {
    "graph kept": {"recompute": False},
    "steps recomputed": {"recompute": True},
    "one task at a time": {"engine": "loop"},
}


def network(filters: int, classes: int) -> nn.Module:
    """MNIST-Conv with so many filters in its first layer, twice and four times as many later."""
    wide = (1, filters, 2 * filters, 4 * filters)
    layers: list[nn.Module] = []
    for number, kernel in enumerate((5, 5, 3)):
        layers += [nn.Conv2d(wide[number], wide[number + 1], kernel), nn.MaxPool2d(2), AReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(wide[3], classes))


def measure(mode: str, size: dict[str, int], threads: int) -> dict[str, float]:
    """Seconds and MiB of one point, in this process."""
    torch.set_num_threads(threads)
    set_threads(threads)
    torch.manual_seed(0)
    images = torch.rand(size["tasks"], size["ways"] * size["shots"], 1, 28, 28)
    labels = torch.arange(size["ways"]).repeat_interleave(size["shots"]).repeat(size["tasks"], 1)
    batch = tasks.MetaBatch(
        support=images, support_labels=labels, query=images.clone(), query_labels=labels
    )
    options: dict[str, object] = dict(MODES[mode])
    model = network(size["filters"], size["ways"])
    maml = MAML(model, inner_lr=0.01, inner_steps=size["steps"], **options)  # type: ignore[arg-type]
    before, program.ASKED_FOR = high_water(), 1
    maml.backward(batch)
    found = [timed(partial(maml.backward, batch)) for _ in range(3)]
    return {"seconds": statistics.median(found), "mib": high_water() - before}


def apart(mode: str, size: dict[str, int], threads: int) -> dict[str, float]:
    """The same in a fresh process."""
    given = json.dumps({"mode": mode, "size": size, "threads": threads})
    call = [sys.executable, __file__, "--point", given]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def draw(found: dict[str, dict[str, list[dict[str, float]]]], path: Path) -> None:
    """Time above, memory below; a column for each size, a line for each mode."""
    import matplotlib.pyplot as plt

    shape = {"nrows": 2, "ncols": len(GROWING), "figsize": (15, 6)}
    figure, axes = plt.subplots(**shape, sharey="row", layout="constrained")
    for column, (name, values) in enumerate(GROWING.items()):
        for row, (key, label) in enumerate((("seconds", "seconds"), ("mib", "MiB above start"))):
            axis = axes[row][column]
            for mode, points in found[name].items():
                axis.plot(values, [max(p[key], 1e-3) for p in points], marker="o", label=mode)
            axis.set(xscale="log", yscale="log", xlabel=name)
            axis.set_xticks(values, [str(value) for value in values])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
            if column == 0:
                axis.set_ylabel(label)
    axes[1][0].set_yticks((200, 300, 500, 1000), ("200", "300", "500", "1000"))
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.suptitle("One meta-gradient: 32 tasks, 5 steps, 1 shot, 5 ways, 10 filters, but for one")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure all points and draw them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        print(json.dumps(measure(**json.loads(arguments.point))))
        return
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for name, values in GROWING.items():
        found[name] = {mode: [] for mode in MODES}
        for value in values:
            cells = []
            for mode in MODES:
                point = apart(mode, {**BASE, name: value}, arguments.threads)
                found[name][mode].append(point)
                cells.append(f"{mode} {point['seconds']:.3f} s {point['mib']:.0f} MiB")
            print(f"{name} {value}: " + "; ".join(cells), flush=True)
    if arguments.picture:
        draw(found, arguments.picture)


if __name__ == "__main__":
    main()
