"""How long `metaact compare` and `metaact report` take on many run directories.

    python benchmarks/report.py --runs 1000

The runs are made up but as large as real ones (600 test episodes and 100 iterations, or 10,000
test images and 20 epochs), written and sealed by the same code. Two commands are timed as a user
types them, start of Python included.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metaact.experiments import CONVERGE, MAML, ConvergeConfig, Experiment, MamlConfig
from metaact.experiments.commands import command
from metaact.runs import Run, RunStore, pack_bits

ARMS = ("relu", "arelu", "arelu-frozen", "relu-gain", "prelu", "elu", "selu", "gelu", "tanh", "pau")
SEEDS = 5
LAYERS = ("act1", "act2", "act3")
PART = {"dataset": "MNIST", "split": "test", "official": True, "note": "", "images": 10_000}
DATA = {"official": True, "test": {**PART, "classes": 10}}


def main() -> None:
    """Write the runs, time both commands, print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder to write to, and leave there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        store = folder / "runs"
        start = time.perf_counter()
        write(RunStore(store), options.runs, np.random.default_rng(0))
        print(f"{options.runs} runs written in {time.perf_counter() - start:.1f} s")
        page = folder / "report.html"
        for words in (["compare", str(store)], ["report", str(store), "-o", str(page)]):
            seconds = min(timed(words) for _ in range(options.repeats))
            print(f"metaact {words[0]}: {seconds:.1f} s")
        print(f"page: {page.stat().st_size / 1e6:.2f} MB")


def timed(words: list[str]) -> float:
    """Seconds of one command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "metaact.cli", *words], check=True, capture_output=True)
    return time.perf_counter() - start


def write(store: RunStore, runs: int, generator: np.random.Generator) -> None:
    """Studies of ten arms with five seeds, meta-learning and training in turn."""
    for number in range(runs):
        study, place = divmod(number, len(ARMS) * SEEDS)
        arm, seed = divmod(place, SEEDS)
        make = meta if study % 2 else training
        make(store, ARMS[arm], seed, study, generator)


def meta(
    store: RunStore, activation: str, seed: int, study: int, generator: np.random.Generator
) -> None:
    """A run of `metaact maml`."""
    config = replace(MamlConfig(dataset="mnist", shots=1 + study), activation=activation, seed=seed)
    fields = {**config.fields(), "train_sha256": "a" * 64, "test_episodes_sha256": "b" * 64}
    run = begin(store, MAML, config, fields, study, config.iterations)
    height = 0.5 + 0.03 * ARMS.index(activation)
    metrics = [
        {
            "iteration": i,
            "train_loss": 1.6 / (i + 1),
            "train_accuracy": float(height * (1 - np.exp(-i / 20)) + 0.05 * generator.random()),
            "attention": attention(activation, i),
        }
        for i in range(config.iterations)
    ]
    scores = generator.binomial(75, height, size=config.test_episodes) / 75
    result = {"test_accuracy": float(scores.mean()), "best_training_accuracy": height + 0.05}
    seal(run, result, metrics, scores.tolist())


def training(
    store: RunStore, activation: str, seed: int, study: int, generator: np.random.Generator
) -> None:
    """A run of `metaact converge`."""
    config = replace(
        ConvergeConfig(dataset="mnist", epochs=20, batch_size=32 + study),
        activation=activation,
        seed=seed,
    )
    fields = {**config.fields(), "train_sha256": "a" * 64, "test_sha256": "c" * 64}
    run = begin(store, CONVERGE, config, fields, study, config.epochs)
    metrics = []
    for epoch in range(1, config.epochs + 1):
        height = (0.5 + 0.03 * ARMS.index(activation)) * (1 - np.exp(-epoch / 5))
        right = generator.random(10_000) < height
        metrics.append(
            {
                "epoch": epoch,
                "train_loss": 2.0 / epoch,
                "test_accuracy": float(right.mean()),
                "test_right": pack_bits(right),
                "attention": attention(activation, epoch),
            }
        )
    seal(run, {"test_images": 10_000}, metrics, [])


def attention(activation: str, step: int) -> dict[str, dict[str, float]]:
    """α and β that move, of the one arm that learns them."""
    if activation != "arelu":
        return {}
    return {layer: {"alpha": 0.9 - 0.002 * step, "beta": 2 + 0.001 * step} for layer in LAYERS}


def begin(
    store: RunStore,
    experiment: Experiment,
    config: MamlConfig | ConvergeConfig,
    fields: dict[str, object],
    study: int,
    length: int,
) -> Run:
    """A run with what the experiments record of it."""
    about = {
        "command": command(experiment, config),
        "measure": experiment.measure(fields, DATA).as_json(),
        "length": length,
    }
    name = f"mnist-{study}-{config.activation}-seed{config.seed}"
    return store.open(kind=experiment.name, name=name, config=fields, about=about)


def seal(run: Run, result: dict[str, Any], metrics: list[Any], scores: list[float]) -> None:
    """Write one run as the experiments do, all records in one step."""
    sizes = {"parameters": 12725, "stuck_alpha": 0, "attention_layers": 3, "attention": {}}
    with run.lock():
        run.start({"metaact": "0.1.0", "data": DATA})
        run.resume()
        for record in metrics:
            run.append(record)
        run.finish({"outcome": "complete", **result, **sizes}, scores)


if __name__ == "__main__":
    main()
