"""Small data, small configs, runs that are killed, and stores as version 0.1.0 wrote them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from metaact import experiments
from metaact.experiments import (
    ConvergeConfig,
    Experiment,
    MamlConfig,
    Outcome,
    SegmentConfig,
    StreamConfig,
    TransferConfig,
    loop,
)
from metaact.runs import Run
from metaact.settings import Config


def write_pack(path: Path, *, seed: int, channels: int, classes: int = 4) -> Path:
    """A pack of striped images, 24 a class, which a network tells apart in an epoch or two."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), 24)
    shape = (len(labels), 28, 28, 3) if channels == 3 else (len(labels), 28, 28)
    images = draw.integers(0, 120, shape).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[6 * label : 6 * label + 6] += 120
    about = {"dataset": path.stem, "split": "all", "official": False, "note": "made by a test"}
    np.savez(path, images=images, labels=labels, provenance=json.dumps(about))
    return path


@pytest.fixture(scope="session")
def make_pack() -> Callable[..., Path]:
    return write_pack


@pytest.fixture(scope="session")
def maml_config(pack: Path) -> MamlConfig:
    return MamlConfig(
        dataset=str(pack),
        tasks=4,
        iterations=6,
        inner_lr=0.05,
        queries=2,
        test_queries=5,
        test_episodes=12,
        validation_episodes=4,
        validation_every=2,
        ways=3,
    )


@pytest.fixture(scope="session")
def converge_config(pack: Path) -> ConvergeConfig:
    return ConvergeConfig(dataset=str(pack), lr=0.02, batch_size=32, epochs=3, first_epoch_points=2)


@pytest.fixture(scope="session")
def transfer_config(tmp_path_factory: pytest.TempPathFactory) -> TransferConfig:
    folder = tmp_path_factory.mktemp("packs")
    return TransferConfig(
        source=str(write_pack(folder / "grey.npz", seed=0, channels=1)),
        target=str(write_pack(folder / "colour.npz", seed=1, channels=3)),
        pretrain_epochs=2,
        pretrain_lr=0.05,
        lr=0.01,
        batch_size=16,
        epochs=(1, 3),
    )


def write_masked(folder: Path, *, patients: int = 6, slices: int = 2, size: int = 16) -> Path:
    """Images with masks, a folder a patient: a bright square on a dim ground, which is its mask."""
    draw = np.random.default_rng(0)
    for patient in range(patients):
        for number in range(slices):
            image = draw.integers(0, 120, (size, size)).astype(np.uint8)
            mask = np.zeros_like(image)
            top, left = draw.integers(1, size // 2, 2)
            mask[top : top + size // 3, left : left + size // 3] = 255
            image[mask > 0] += 120
            for kind, pixels in (("images", image), ("masks", mask)):
                place = folder / kind / f"p{patient}" / f"{number}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(place)
    return folder


@pytest.fixture(scope="session")
def make_masked() -> Callable[..., Path]:
    return write_masked


@pytest.fixture(scope="session")
def segment_config(tmp_path_factory: pytest.TempPathFactory) -> SegmentConfig:
    """Two folds of six patients, two slices each: a second an epoch."""
    folder = write_masked(tmp_path_factory.mktemp("masked") / "squares")
    return SegmentConfig(dataset=str(folder), features=2, folds=2, epochs=3, lr=0.01, batch_size=4)


@pytest.fixture(scope="session")
def stream_config() -> StreamConfig:
    return StreamConfig(bins=3, bin_steps=60, task_steps=25)


@pytest.fixture(scope="session")
def configs(
    maml_config: MamlConfig,
    converge_config: ConvergeConfig,
    transfer_config: TransferConfig,
    segment_config: SegmentConfig,
    stream_config: StreamConfig,
) -> dict[str, Config]:
    """A small config of each experiment, by its name."""
    return {
        "maml": maml_config,
        "converge": converge_config,
        "transfer": transfer_config,
        "segment": segment_config,
        "stream": stream_config,
    }


@pytest.fixture(scope="session")
def striped_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose mnist and svhn are a few hundred striped pictures."""
    folder = tmp_path_factory.mktemp("root")
    draw = np.random.default_rng(0)
    for name, size in (("mnist", 28), ("svhn", 32)):
        for part, each in (("train", 20), ("test", 6)):
            labels = np.repeat(np.arange(10), each)
            images = draw.integers(0, 120, (len(labels), size, size)).astype(np.uint8)
            for image, label in zip(images, labels, strict=True):
                image[2 * label : 2 * label + 4] += 120
            about = {"dataset": name, "split": part, "official": False, "note": "stripes"}
            names = np.array([str(k) for k in range(10)])
            np.savez(
                folder / f"{name}-{part}.npz",
                images=images,
                labels=labels,
                class_names=names,
                provenance=json.dumps(about),
            )
    return folder


class KilledError(BaseException):
    """As sudden as a kill: no one catches it."""


Killed = Callable[..., Outcome | None]


@pytest.fixture
def run_killed(monkeypatch: pytest.MonkeyPatch) -> Killed:
    """Run a comparison and stop it dead; returns None if it was, else the outcome."""

    def call(
        experiment: Experiment,
        configs: Sequence[Config],
        store: Path,
        *,
        after: int | None = None,
        finishing: int | None = None,
        checkpoints: bool = True,
    ) -> Outcome | None:
        """`after` so many steps of all runs, or while the `finishing`-th run writes its result."""
        ticks = finished = 0
        finish = Run.finish

        def tick(steps: int) -> None:
            nonlocal ticks
            ticks += steps
            if ticks == after:
                raise KilledError

        def stop(run: Run, *arguments: Any) -> None:
            nonlocal finished
            finished += 1
            if finished == finishing:
                raise KilledError
            finish(run, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Run, "finish", stop)
            patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0 if checkpoints else 1e9)
            try:
                return experiments.run(experiment, configs, store, tick=tick)
            except KilledError:
                return None

    return call


def content_of(store: Path) -> dict[str, bytes]:
    """What the runs of a store hold, byte for byte, the weights as numbers."""
    found = {}
    for directory in sorted(path.parent for path in store.glob("*/*/config.json")):
        where = f"{directory.parent.name}/{directory.name}"
        for name in ("config.json", "metrics.jsonl", "scores.jsonl", "result.json"):
            found[f"{where}/{name}"] = (directory / name).read_bytes()
        if (directory / "weights.pt").exists():
            weights = _run(directory).weights()
            found[f"{where}/weights"] = b"".join(_bytes(weights))
    return found


def _run(directory: Path) -> Run:
    stored = json.loads((directory / "config.json").read_text())
    return Run(directory, kind=stored["kind"], name=stored["name"], config=stored["config"])


def _bytes(weights: Any) -> list[bytes]:
    if isinstance(weights, Mapping):
        return [b for name in sorted(weights) for b in (name.encode(), *_bytes(weights[name]))]
    return [weights.numpy().tobytes()]


@pytest.fixture(scope="session")
def content() -> Callable[[Path], dict[str, bytes]]:
    return content_of


def write_old(
    store: Path,
    *,
    kind: str,
    name: str,
    config: Mapping[str, Any],
    data: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any],
    accuracies: Sequence[float] = (),
) -> Path:
    """A complete run directory as version 0.1.0 wrote it, file by file.

    Written down from directories that version 0.1.0 made; nothing of the package is used.
    """
    identity = _sha256({"config": config, "kind": kind})
    directory = store / kind / f"{name}-{identity[:10]}"
    directory.mkdir(parents=True)

    def write(file: str, text: str) -> int:
        (directory / file).write_bytes(text.encode())
        return len(text.encode())

    def lines(records: Sequence[Mapping[str, Any]]) -> str:
        return "".join(json.dumps(record) + "\n" for record in records)

    named = {"kind": kind, "name": name, "identity": identity, "config": config}
    write("config.json", json.dumps(named, indent=2) + "\n")
    environment = {
        "python": "3.11.7",
        "metaact": "0.1.0",
        "packages": {"torch": "2.14.1"},
        "device": "cpu",
        "git": None,
        "data": data,
    }
    write("environment.json", json.dumps(environment, indent=2) + "\n")
    lengths = {
        "metrics.jsonl": write("metrics.jsonl", lines(metrics)),
        "episodes.jsonl": write(
            "episodes.jsonl",
            lines([{"episode": i, "accuracy": a} for i, a in enumerate(accuracies)]),
        ),
    }
    seal = {"sha256": _sha256(result), **lengths}
    write("result.json", json.dumps({**result, "seal": seal}, indent=2) + "\n")
    return directory


def _sha256(value: Mapping[str, Any]) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@pytest.fixture(scope="session")
def write_old_run() -> Callable[..., Path]:
    return write_old
