"""What an experiment loses when somebody else uses a core: `python benchmarks/contended.py`.

A small run of `maml`, `converge` and `transfer` each, from the data to the result, in a store of
its own: alone, and beside a process that never rests, in turns; medians. Built-in data.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from measuring import contended

from metaact import experiments
from metaact.adaptation import set_threads
from metaact.experiments import CONVERGE, MAML, TRANSFER, ConvergeConfig, MamlConfig, TransferConfig
from metaact.experiments.experiment import Experiment
from metaact.settings import Config

RUNS: dict[str, tuple[Experiment, Config]] = {
    "maml": (MAML, MamlConfig(iterations=60, test_episodes=200, validation_episodes=100)),
    "converge": (CONVERGE, ConvergeConfig(epochs=3)),
    "transfer": (TRANSFER, TransferConfig(pretrain_epochs=3, epochs=(3,), lr=1e-3)),
}


def whole(name: str) -> Callable[[], object]:
    """One run, in a store that is thrown away."""
    experiment, config = RUNS[name]

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            experiments.run(experiment, [config], Path(folder), workers=1)

    return work


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    set_threads(arguments.threads)
    for name in RUNS:
        alone, beside = map(statistics.median, contended(whole(name), arguments.repeats))
        print(f"{name:9} alone {alone:6.2f} s, beside a busy process {beside:6.2f} s", end="")
        print(f" {beside / alone:5.2f}x", flush=True)


if __name__ == "__main__":
    main()
