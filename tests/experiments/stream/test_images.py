"""`stream` on images: beside a plain loop, pairing, resuming, what is told and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from metaact import experiments, models, reports, tasks
from metaact.errors import UsageError
from metaact.experiments import STREAM, StreamConfig
from metaact.experiments import stream as declared
from metaact.experiments.networks import weights_generator
from metaact.experiments.stream import run as stream
from metaact.experiments.stream.recovery import Recovery
from metaact.experiments.stream.regression import examples
from metaact.runs import RunStore
from metaact.tasks.streams.images import Classes, ImageStream, Permuted, RandomLabels
from metaact.tasks.streams.regression import SlowlyChanging

ARMS = ("relu", "arelu")


@pytest.fixture(scope="module")
def config(
    tmp_path_factory: pytest.TempPathFactory, make_pack: Callable[..., Path]
) -> StreamConfig:
    path = make_pack(tmp_path_factory.mktemp("packs") / "stripes.npz", seed=0, channels=3)
    return StreamConfig(
        stream="permuted",
        dataset=str(path),
        size=8,
        task_steps=48,
        bin_steps=24,
        bins=5,
        batch_size=4,
        hidden=6,
        layers=2,
        lr=0.05,
        transition=12,
    )


def of(config: StreamConfig, name: str, **more: Any) -> StreamConfig:
    """The same for another stream."""
    return replace(config, stream=name, **{"images": None, **more})


def arms_of(config: StreamConfig, arms: tuple[str, ...] = ARMS, seeds: int = 2) -> list[Any]:
    return [replace(config, activation=arm, seed=seed) for arm in arms for seed in range(seeds)]


def content(store: Path) -> dict[str, Any]:
    """Records, results and weights, by run."""
    found: dict[str, Any] = {}
    for run in RunStore(store).runs():
        result = {k: v for k, v in run.result().items() if k not in ("seal", "files")}
        weights = {k: v.tolist() for k, v in run.weights().items()}
        found[run.directory.name] = list(run.metrics()), result, weights
    return found


@pytest.fixture(scope="module")
def store(config: StreamConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    for name in ("permuted", "classes"):
        assert experiments.run(STREAM, arms_of(of(config, name)), path).report.is_complete
    return path


def own_stream(config: StreamConfig, labels: Any) -> ImageStream:
    """The stream of a run, made by hand."""
    more = {"seed": config.seed, "every": 48, "transition": 12}
    if config.stream == "permuted":
        return Permuted(labels, pixels=64, **more)
    if config.stream == "random-labels":
        return RandomLabels(labels, classes=4, **more)
    return Classes(labels, classes=4, group=2, head=str(config.head), **more)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("permuted", {}),
        ("random-labels", {"optimizer": "adam", "lr": 0.003}),
        ("classes", {}),
        ("classes", {"head": "task"}),
    ],
)
def test_a_run_is_what_a_plain_loop_gives(
    config: StreamConfig, name: str, more: dict[str, Any], tmp_path: Path
) -> None:
    config = replace(of(config, name, **more), activation="arelu", seed=1)
    experiments.run(STREAM, [config], tmp_path / "runs")
    (run,) = RunStore(tmp_path / "runs").runs()
    split = tasks.split(str(config.dataset), hold_out="images", validation=0, size=8)
    labels = split.train.labels.numpy()
    lessons = own_stream(config, labels)
    model = models.mlp(
        "arelu",
        classes=4,
        channels=3,
        size=8,
        width=6,
        layers=2,
        init=math.sqrt(2),
        generator=weights_generator(1),
    )
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.SGD
    optimizer = kind(model.parameters(), lr=config.lr)
    right: list[float] = []
    recovery, recovered = Recovery(48), []
    records = list(run.metrics())
    for number in range(5 * 24 // 4):
        (part,) = lessons.blocks(number * 4, number * 4 + 4)
        x = split.train.pixels[part.images] / 255
        for place in range(4):
            if part.places is not None:
                flat = x[place].flatten(1)
                x[place] = flat[:, part.places[part.late[place]]].view(3, 8, 8)
        y = torch.from_numpy(part.labels)
        logits = model(x)
        if part.outputs is not None:
            allowed = torch.from_numpy(part.outputs[part.late])
            logits = logits.masked_fill(~allowed, -math.inf)
        right += (logits.argmax(dim=1) == y).double().tolist()
        optimizer.zero_grad()
        functional.cross_entropy(logits, y).backward()
        optimizer.step()
    for record, start in zip(records[1:], range(0, 120, 24), strict=True):
        seen = right[start : start + 24]
        assert record["test_accuracy"] == pytest.approx(np.mean(seen))
        recovered += recovery.see(1 - torch.tensor(seen))
    assert [t for record in records[1:] for t in record["recovery"]] == recovered
    assert len(recovered) == 1
    for key, value in run.weights().items():
        torch.testing.assert_close(value, model.state_dict()[key], rtol=1e-3, atol=1e-4)
    if name == "classes":
        assert isinstance(lessons, Classes)
        rivals = torch.from_numpy(lessons.rivals(2))[split.test.labels]
        known = rivals.any(dim=1)
        with torch.no_grad():
            logits = model.eval()(split.test.pixels[known] / 255).masked_fill(~rivals[known], -9e9)
        seen_accuracy = (logits.argmax(dim=1) == split.test.labels[known]).double().mean()
        assert records[-1]["seen_accuracy"] == pytest.approx(float(seen_accuracy))


def test_arms_of_a_seed_see_the_same_stream_and_seeds_do_not(store: Path) -> None:
    hashes: dict[tuple[str, int], set[str]] = {}
    for run in RunStore(store).runs():
        key = str(run.config["stream"]), int(run.config["seed"])
        hashes.setdefault(key, set()).add(str(list(run.metrics())[-1]["stream_sha256"]))
    assert all(len(found) == 1 for found in hashes.values())
    assert len(set.union(*hashes.values())) == 4


def test_a_run_is_the_same_alone_and_beside_others(
    config: StreamConfig, store: Path, tmp_path: Path
) -> None:
    experiments.run(STREAM, [replace(config, activation="arelu", seed=1)], tmp_path / "alone")
    (found,) = content(tmp_path / "alone").items()
    assert content(store)[found[0]] == found[1]


@pytest.mark.parametrize(
    ("name", "more", "arm"),
    [
        ("permuted", {}, "arelu"),
        ("random-labels", {"optimizer": "adam", "lr": 0.003}, "relu"),
        ("classes", {"head": "task"}, "rrelu"),
    ],
)
def test_a_killed_sweep_continues_bit_for_bit(
    config: StreamConfig,
    name: str,
    more: dict[str, Any],
    arm: str,
    tmp_path: Path,
    run_killed: Callable[..., Any],
) -> None:
    """In the middle of a task; then one by itself, then the rest."""
    configs = arms_of(of(config, name, **more), arms=(arm,))
    assert run_killed(STREAM, configs, tmp_path / "killed", after=3) is None
    experiments.run(STREAM, configs[:1], tmp_path / "killed")
    experiments.run(STREAM, configs, tmp_path / "killed")
    experiments.run(STREAM, configs, tmp_path / "whole")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_the_answer_says_what_it_is_of(config: StreamConfig, store: Path) -> None:
    outcome = experiments.run(STREAM, arms_of(of(config, "classes", head="grow")), store)
    (study,) = reports.answer(outcome).studies
    assert study.measure.chance == 0.25
    assert study.title.startswith("Online learning on stripes.npz: new classes in each task")
    assert {"lost", "seen accuracy", "recovery", "effective rank"} <= set(study.arms[0].columns)
    assert "output" in study.arms[0].diagnostics
    text = " ".join(reports.text.plain(reports.answer(outcome)).split())
    assert "mixed over 12 examples" in text
    assert "Gain of initial weights: 1.41 for relu, arelu." in text
    reports.page(reports.answer(outcome))


def test_what_guessing_gives(config: StreamConfig) -> None:
    data = {"stream": {"classes": 20}}
    chances = {
        ("permuted", "mlp"): (of(config, "permuted"), 1 / 20),
        ("classes", "grow"): (of(config, "classes"), 1 / 20),
        ("classes", "task"): (of(config, "classes", head="task", new_classes=5), 1 / 5),
    }
    for one, chance in chances.values():
        assert declared.measure(one.fields(), data).chance == pytest.approx(chance)


def test_lost_accuracy_is_how_much_less_there_is() -> None:
    falling = [[0.5, 0.9, 0.7], [0.5, 0.8, 0.7]]
    length, best, lost = declared._lost(falling, sign=1)
    assert (length, best) == (1, [0.9, 0.8])
    assert lost == pytest.approx([0.2, 0.1])


@pytest.mark.parametrize("model", ["conv4", "mnist-conv"])
def test_other_networks_learn_too(config: StreamConfig, model: str, tmp_path: Path) -> None:
    size = {"conv4": 16, "mnist-conv": 28}[model]
    wide = replace(config, model=model, size=size, hidden=None, layers=None, bins=1, lr=0.01)
    assert experiments.run(STREAM, [wide], tmp_path / "runs").report.is_complete
    (run,) = RunStore(tmp_path / "runs").runs()
    assert "hidden" not in run.config
    assert run.config["model"] == model
    layers = list(run.metrics())[-1]["layers"]
    assert len(layers) == {"conv4": 5, "mnist-conv": 4}[model]


def test_a_user_s_network_that_keeps_statistics_is_refused(
    config: StreamConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keeping.py").write_text(
        "from torch import nn\n"
        "class Counts(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        import torch\n"
        "        self.register_buffer('seen', torch.zeros(1))\n"
        "    def forward(self, x):\n"
        "        self.seen += 1\n"
        "        return x\n"
        "def make(classes, channels, size):\n"
        "    inputs = channels * size[0] * size[1]\n"
        "    return nn.Sequential(\n"
        "        nn.Flatten(), Counts(), nn.Linear(inputs, 5), nn.ReLU(), nn.Linear(5, classes)\n"
        "    )\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    own = replace(config, model="keeping:make", hidden=None, layers=None, init="default")
    with pytest.raises(UsageError, match=r"its buffer .*seen changes"):
        stream.prepare([own])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"stream": "permuted", "change": "redraw"}, "`change` must be left out with stream"),
        ({"dataset": "mnist"}, "`dataset` must be left out with stream 'regression'"),
        ({"batch_size": 4}, "`batch_size` must be left out with stream 'regression'"),
        ({"model": "conv4"}, "`model` must be left out with stream 'regression'"),
        ({"layers": 2}, "`layers` must be left out with stream 'regression'"),
        ({"stream": "permuted", "head": "task"}, "`head` must be left out with stream 'permuted'"),
        ({"stream": "permuted", "cumulative": True}, "`cumulative` must be left out"),
        ({"stream": "permuted", "model": "conv4", "hidden": 5}, "`hidden` must be left out with"),
        ({"stream": "permuted", "task_steps": 100}, "`task_steps` must be a multiple of `batch"),
        ({"stream": "permuted", "bin_steps": 100}, "`bin_steps` must be a multiple of `batch"),
        ({"transition": 10_001}, "`transition` must be at most `task_steps`, 10000"),
        ({"stream": "classes", "head": "task", "cumulative": True}, "`head` must be grow"),
        ({"stream": "mnist"}, "`stream` must be one of"),
    ],
)
def test_what_a_stream_has_no_use_for_is_refused(given: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        StreamConfig(**given)


def test_what_only_one_stream_has_is_not_recorded_by_others(config: StreamConfig) -> None:
    assert not {"dataset", "layers", "head", "transition"} & set(StreamConfig().fields())
    fields = of(config, "permuted").fields()
    assert not {"change", "target", "head", "new_classes", "cumulative"} & set(fields)
    assert fields["dataset"] == "stripes.npz"
    assert StreamConfig(stream="permuted").dataset == "printed-digits"


def test_commands_say_what_a_stream_has_no_use_for(cli: Any) -> None:
    ended = cli("stream", "--dataset", "mnist")
    assert ended.code == 2
    assert "--dataset must be left out" in ended.err
    ended = cli("stream", "permuted", "--target", "text")
    assert ended.code == 2
    assert "--target must be left out" in ended.err


def test_a_stream_whose_images_differ_is_another_run(
    config: StreamConfig, tmp_path: Path, make_pack: Callable[..., Path]
) -> None:
    other = make_pack(tmp_path / "stripes.npz", seed=1, channels=3)
    found = []
    for path in (config.dataset, str(other)):
        one = replace(config, dataset=path)
        (planned,) = stream.plan([one], stream.prepare([one]))
        found.append(planned.identity)
    assert found[0]["stream_sha256"] != found[1]["stream_sha256"]
    assert found[0]["dataset"] == found[1]["dataset"]


def test_an_estimate_counts_looks_and_companions(config: StreamConfig) -> None:
    seconds = []
    for seeds in (1, 4):
        configs = arms_of(of(config, "classes"), arms=("relu",), seeds=seeds)
        shared = stream.prepare(configs)
        seconds.append(stream.estimate(stream.plan(configs, shared)[0], shared))
    assert all(0 < one < 60 for one in seconds)


def test_mixed_examples_of_the_regression_are_of_two_tasks() -> None:
    slow = SlowlyChanging(0, every=100, change="redraw", transition=100)
    (block,) = slow.blocks(100, 200)
    inputs, targets = examples([block])
    assert block.late is not None
    for step in range(100):
        bits = inputs[step, :20, 0].numpy().astype(np.uint8)
        assert bits[:15].tolist() == slow.slow(0 if block.late[step] else 1).tolist()
        assert float(targets[step, 0]) == slow.target(bits[None])[0]


def test_an_mlp_is_among_the_networks_of_all_experiments() -> None:
    draw = weights_generator(0)
    model = models.create("mlp", "arelu", classes=3, channels=1, size=(4, 6), generator=draw)
    assert isinstance(model, nn.Module)
    assert model(torch.zeros(2, 1, 4, 6)).shape == (2, 3)
