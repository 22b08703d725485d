"""Complete run directories with made-up results, planned and written by the package itself.

The data are made up (hashes and provenance alone) and so are the records. What a run is called, its
identity, its measure, what it records of itself, and every file of it come from where those of real
runs come from: `plan` of the experiment, `open_jobs` and the one training loop.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from metaact.experiments import (
    CONVERGE,
    MAML,
    SEGMENT,
    STREAM,
    TRANSFER,
    Experiment,
    Finished,
    MamlConfig,
    Prepared,
    SegmentConfig,
    Step,
    StreamConfig,
    TransferConfig,
    train,
)
from metaact.experiments.converge.config import ConvergeConfig
from metaact.experiments.converge.run import ImageData
from metaact.experiments.maml.episodes import EpisodeData
from metaact.experiments.reuse import Library
from metaact.experiments.segment.run import VolumeData
from metaact.experiments.stream import measured
from metaact.experiments.stream.run import Streams
from metaact.experiments.study import open_jobs
from metaact.experiments.supervised import described
from metaact.experiments.sweep import Job
from metaact.experiments.transfer.domains import DomainData
from metaact.runs import Run, RunStore, environment, pack_bits


def sizes(layers: Mapping[str, Any]) -> dict[str, Any]:
    """What a result holds of its network."""
    found = {"parameters": 12725, "stuck_alpha": 0, "attention_layers": len(layers)}
    return {**found, "attention": dict(layers)}


def provenance(
    *names: str,
    dataset: str = "MNIST",
    images: int = 100,
    classes: int = 10,
    official: bool = True,
    note: str = "",
) -> dict[str, Any]:
    """Where made-up data are from, by part."""
    part = {"dataset": dataset, "official": official, "note": note}
    sizes = {"images": images, "classes": classes}
    return {name: {**part, **sizes, "split": name.rpartition("_")[2]} for name in names}


def attention(activation: str, step: float) -> dict[str, Any]:
    """α and β of two layers: of arelu the first one learns."""
    learns = activation == "arelu"
    first = {"alpha": 0.9 - 0.01 * learns * step, "beta": 2.0 + 0.01 * learns * step}
    if activation.startswith("arelu"):
        return {"act1": first, "act2": {"alpha": 0.9, "beta": 2.0}}
    return {}


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a run is to write.

    Attributes:
        begin: Records before the first step.
        steps: Records of each step.
        scores: One per test unit, where they are not in the records.
        result: What it ends with; one that diverged ends in the step after the last.
    """

    steps: Sequence[Mapping[str, Any]]
    result: Mapping[str, Any]
    begin: Sequence[Mapping[str, Any]] = ()
    scores: Sequence[float] = ()


@dataclass
class Scripted:
    """A learner that learns nothing: each step leaves the record that it was told to leave."""

    script: Script
    done: int = 0
    weights: dict[str, Any] = field(default_factory=dict)

    def begin(self) -> Sequence[Mapping[str, Any]]:
        return self.script.begin

    def step(self) -> Step:
        self.done += 1
        if self.done > len(self.script.steps):
            return Step(records=[], ended=Finished(result=self.script.result))
        return Step(records=[self.script.steps[self.done - 1]])

    def finish(self, last: Mapping[str, object]) -> Finished:
        script = self.script
        return Finished(result=script.result, scores=script.scores, weights=self.weights)

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.done = int(state["done"])


@cache
def _machine() -> dict[str, Any]:
    return dict(environment("cpu", {}))


def planned(store: Path, experiment: Experiment, config: Any, shared: Prepared) -> list[Job]:
    """The runs behind a config, opened in the store as `metaact.experiments.run` opens them."""
    plan = experiment.computes().plan([config], shared)
    library = Library(RunStore(store), experiment)
    return open_jobs(experiment, [(one, shared) for one in plan], library)


def perform(job: Job, script: Script) -> Run:
    """Write a run from its start to its result."""
    shared = job.shared
    about = {**_machine(), "data": dict(shared.data), "normalisation": dict(shared.normalisation)}
    with job.run.lock():
        job.run.start(about)
        train(
            [job.member],
            lambda _: Scripted(script),
            lambda learners: [learner.step() for learner in learners],
            tick=lambda: None,
        )
    return job.run


def form(channels: int) -> SimpleNamespace:
    """What is asked of images that nobody looks at: their form and their classes."""
    return SimpleNamespace(
        channels=channels,
        size=(28, 28),
        pixels=np.empty((0, channels, 28, 28)),
        classes=2,
        class_names=("0", "1"),
    )


def maml(
    store: Path,
    activation: str,
    seed: int,
    accuracies: Sequence[float] | None,
    *,
    iterations: int = 5,
    validation: float | None = 0.5,
    losses: Sequence[float] | None = None,
    data: Mapping[str, Any] | None = None,
    hashes: Mapping[str, str] | None = None,
    **settings: Any,
) -> Run:
    """A run of `metaact maml`; `accuracies` of None diverged in its last iteration."""
    episodes = len(accuracies) if accuracies is not None else settings.pop("test_episodes", 4)
    asked = {"dataset": "mnist", "iterations": iterations, "test_episodes": episodes} | settings
    config = MamlConfig(activation=activation, seed=seed, **asked)
    made_up: Any = SimpleNamespace(held_out=config.hold_out or "images", train=form(1))
    nothing: Any = None
    shared = EpisodeData(
        data=data or {"official": True, **provenance("train", "test")},
        device="cpu",
        normalisation={"mean": [0.1], "std": [0.3], "scale": "pixels in 0..1"},
        validated=validation is not None,
        split=made_up,
        mean=(0.1,),
        std=(0.3,),
        test=nothing,
        validation=None,
        identity={
            "train_sha256": "a" * 64,
            "test_episodes_sha256": "b" * 64,
            **(hashes or {}),
        },
    )
    records: list[dict[str, Any]] = [
        {
            "iteration": i,
            "train_loss": losses[i] if losses else max(0.2, 1.6 - 0.1 * i),
            "train_accuracy": min(0.9, 0.2 + 0.1 * i),
            "attention": attention(activation, i),
        }
        for i in range(iterations)
    ]
    if validation is not None:
        records[-1]["validation_accuracy"] = validation
    (job,) = planned(store, MAML, config, shared)
    learned = sizes(attention(activation, iterations - 1))
    if accuracies is None:
        result = {"outcome": "diverged", "iteration": iterations - 1, **learned}
        return perform(job, Script(steps=records[:-1], result=result))
    mean = float(np.mean(accuracies))
    result = {
        "outcome": "complete",
        "test_accuracy": mean,
        "best_training_accuracy": min(1.0, mean + 0.05),
        **learned,
    }
    scores = [float(accuracy) for accuracy in accuracies]
    return perform(job, Script(steps=records, result=result, scores=scores))


def converge(
    store: Path,
    config: ConvergeConfig,
    right: Sequence[Sequence[bool]],
    *,
    data: Mapping[str, Any] | None = None,
    **more: Any,
) -> Run:
    """A run of `metaact converge`; `right` [epochs, images] from its first epoch."""
    config = replace(config, epochs=len(right))
    nothing: Any = None
    made_up: Any = form(1)
    shared = ImageData(
        data=data or {"official": True, **provenance("train", "test", images=len(right[0]))},
        device="cpu",
        normalisation=described(None),
        validated=True,
        train=made_up,
        validation=None,
        test=nothing,
        fitted=None,
        identity={"train_sha256": "a" * 64, "test_sha256": "c" * 64},
    )
    (job,) = planned(store, CONVERGE, config, shared)
    records = _epochs(config.activation, right, first=1, **more)
    begin = [{"epoch": 0, "step": 0, "attention": attention(config.activation, 0)}]
    return perform(job, _supervised(begin, records, len(right[0]), **more))


def transfer(
    store: Path,
    config: TransferConfig,
    right: Sequence[Sequence[bool]],
    *,
    pretrained: int,
    data: Mapping[str, Any] | None = None,
    keeps_head: bool = True,
    **more: Any,
) -> Run:
    """A fine-tuning of `metaact transfer`; `right` [1 + epochs, images] from before the first.

    Its pre-training is not made; `source` makes it.

    Args:
        pretrained: Epochs of pre-training behind it; 0 is the baseline "target only", and -1
            starts from the given trained weights of the config.
    """
    if config.protocol != "paper-text":
        config = _transfer(config, len(right) - 1, max(pretrained, 0) or config.pretrain_epochs)
    jobs = _transfer_jobs(store, config, len(right[0]), data, keeps_head)
    job = next(j for j in jobs if j.planned.part and j.planned.part.pretrained == pretrained)
    records = _epochs(config.activation, right, first=0, **more)
    return perform(job, _supervised(records[:1], records[1:], len(right[0]), **more))


def source(
    store: Path,
    config: TransferConfig,
    right: Sequence[Sequence[bool]],
    *,
    epochs: int = 3,
    data: Mapping[str, Any] | None = None,
) -> Run:
    """The pre-training of as many epochs as `right` has rows, and `epochs` of fine-tuning."""
    config = _transfer(config, epochs, len(right))
    job = next(j for j in _transfer_jobs(store, config, len(right[0]), data, True) if not j.needs)
    records = _epochs(config.activation, right, first=1, validation=None)
    begin = [{"epoch": 0, "step": 0, "attention": attention(config.activation, 0)}]
    return perform(job, _supervised(begin, records, len(right[0])))


def _transfer(config: TransferConfig, epochs: int, pretrained: int) -> TransferConfig:
    places = config.epochs if max(config.epochs) == epochs else (epochs,)
    return replace(config, epochs=places, pretrain_epochs=pretrained)


def _transfer_jobs(
    store: Path,
    config: TransferConfig,
    images: int,
    data: Mapping[str, Any] | None,
    keeps_head: bool,
) -> list[Job]:
    parts = ("source_train", "source_test", "target_train", "target_test")
    domain: Any = SimpleNamespace(train=form(3))
    shared = DomainData(
        data=data or provenance(*parts, images=images),
        device="cpu",
        normalisation=described(None),
        validated=config.protocol == "held-out",
        source=domain,
        target=domain,
        keeps_head=keeps_head,
        weights=None,
        normalised={"source": None, "target": None, "trained": None},
        source_identity={"source_train_sha256": "a" * 64, "source_test_sha256": "c" * 64},
        target_identity={
            "source_train_sha256": "a" * 64,
            "target_train_sha256": "d" * 64,
            "target_test_sha256": "e" * 64,
        },
    )
    return planned(store, TRANSFER, config, shared)


def _epochs(
    activation: str,
    right: Sequence[Sequence[bool]],
    *,
    first: int,
    validation: float | None = 0.5,
    keep_right: bool = True,
    diverged: bool = False,
) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for epoch, answers in enumerate(right, start=first):
        record: dict[str, Any] = {
            "epoch": epoch,
            "step": 10 * epoch,
            "train_loss": 2.0 / (epoch + 1),
            "test_accuracy": float(np.mean(answers)),
            "attention": attention(activation, epoch),
        }
        if validation is not None:
            record["validation_accuracy"] = validation * (epoch + 1) / (len(right) + 1)
        if keep_right:
            record["test_right"] = pack_bits(answers)
        records.append(record)
    return records[:-1] if diverged else records


def _supervised(
    begin: Sequence[Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
    images: int,
    *,
    diverged: bool = False,
    **_: Any,
) -> Script:
    learned = sizes([*begin, *records][-1]["attention"])
    result: dict[str, Any] = {"outcome": "complete", "test_images": images, **learned}
    if diverged:
        result = {"outcome": "diverged", "epoch": len(records) + 1, **learned}
    elif records:
        result["test_accuracy"] = records[-1]["test_accuracy"]
    return Script(begin=begin, steps=records, result=result)


def segment(
    store: Path, config: SegmentConfig, dice: Sequence[Sequence[float]], *, folds: int = 2
) -> Run:
    """A run of `metaact segment`; `dice` [epochs, patients] from its first epoch."""
    config = replace(config, epochs=len(dice))
    part, patients = {"dataset": "lesions", "official": True, "note": ""}, len(dice[0])
    tested = {**part, "patients": patients, "images": 4 * patients, "folds": folds}
    nothing: Any = None
    shared = VolumeData(
        data={"held_out": "patients", "official": True, "all": part, "test": tested},
        device="cpu",
        normalisation={"mean": [[0.1]] * folds, "std": [[0.3]] * folds, "scale": "by fold"},
        validated=True,
        volumes=nothing,
        folds=(),
        fitted=(),
        largest=True,
        sha256="a" * 64,
    )
    (job,) = planned(store, SEGMENT, config, shared)
    records = [
        {
            "epoch": epoch,
            "step": 10 * epoch,
            "attention": attention(config.activation, epoch),
            **dict.fromkeys(("train_loss", "test_loss", "validation_loss"), 1.0 / epoch),
            "lr": config.lr,
            "test_dice": float(np.mean(scores)),
            "test_scores": list(scores),
            "validation_dice": 0.5,
            "validation_dice_by_fold": [0.5] * folds,
        }
        for epoch, scores in enumerate(dice, start=1)
    ]
    result = {
        "outcome": "complete",
        "epochs": len(dice),
        "test_dice": records[-1]["test_dice"],
        "patients": [f"patient {number}" for number in range(patients)],
        "fold_of": [1 + number % folds for number in range(patients)],
        **sizes(attention(config.activation, len(dice))),
    }
    begin = [{"epoch": 0, "step": 0, "attention": attention(config.activation, 0)}]
    return perform(job, Script(begin=begin, steps=records, result=result))


def stream(store: Path, config: StreamConfig, scores: Sequence[float]) -> Run:
    """A run of `metaact stream` with an error, or of images an accuracy, for each bin."""
    config = replace(config, bins=len(scores))
    about = {"dataset": "made up", "official": True, "note": "", "images": 100, "classes": 10}
    subject: Any = SimpleNamespace(sha256="a" * 64, alone=lambda config: False)
    name = measured(config.stream)
    shared = Streams(
        data={"official": True, "stream": about},
        device="cpu",
        normalisation={},
        validated=True,
        subject=subject,
        sizes=Counter(),
    )
    (job,) = planned(store, STREAM, config, shared)
    records = [
        {
            "bin": number,
            "step": number * config.bin,
            f"test_{name}": score,
            f"validation_{name}": score,
            **{"part_steps": config.bin // 2, "parts": [score, score]},
            **({"seen_accuracy": 0.5} if config.stream == "classes" else {}),
            **{"dead_units": 0.1 * number, "effective_rank": 3.0 - 0.1 * number},
            "stream_sha256": "a" * 64,
            "attention": attention(config.activation, number),
        }
        for number, score in enumerate(scores, start=1)
    ]
    figures = {f"test_{name}": scores[-1], f"validation_{name}": scores[-1]}
    learned = sizes(attention(config.activation, len(scores)))
    result = {"outcome": "complete", "bins": len(scores), **figures, **learned}
    begin = [{"bin": 0, "step": 0, "attention": attention(config.activation, 0)}]
    return perform(job, Script(begin=begin, steps=records, result=result))


def as_of_0_1_0(run: Run) -> None:
    """Make a run's files those of version 0.1.0: no words beside the config, a seal of lengths."""
    path = run.directory / "config.json"
    stored = json.loads(path.read_text("utf-8"))
    kept = {name: stored[name] for name in ("kind", "name", "identity", "config")}
    path.write_text(json.dumps(kept), "utf-8")
    path = run.directory / "result.json"
    result = json.loads(path.read_text("utf-8"))
    lengths = {
        name: (run.directory / name).stat().st_size for name in ("metrics.jsonl", "scores.jsonl")
    }
    result["seal"] = {"sha256": result["seal"]["sha256"], **lengths}
    path.write_text(json.dumps(result), "utf-8")
