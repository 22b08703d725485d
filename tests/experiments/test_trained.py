"""`metaact.load`: the network of a run, held against what the run recorded; what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import metaact
from metaact import experiments, tasks
from metaact.errors import RunError, UsageError
from metaact.experiments import ConvergeConfig, MamlConfig, TransferConfig, find
from metaact.runs import Run, RunStore, unpack_bits
from metaact.settings import Config


@pytest.fixture(scope="module")
def store(configs: Mapping[str, Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the runs of all three experiments; to be read only."""
    path = tmp_path_factory.mktemp("store")
    for name, config in configs.items():
        assert experiments.run(find(name), [config], path).report.is_complete
    return path


def run_of(store: Path, kind: str, **settings: object) -> Run:
    (run,) = (
        run
        for run in RunStore(store).runs(kind)
        if all(run.config[name] == value for name, value in settings.items())
    )
    return run


def _right(trained: nn.Module, images: tasks.Images) -> list[bool]:
    return (trained(images.pixels).argmax(dim=1) == images.labels).tolist()


def _packed(run: Run) -> list[bool]:
    record = run.metrics()[-1]
    return unpack_bits(record["test_right"], run.result()["test_images"]).tolist()


def test_a_trained_network_answers_as_its_run_recorded(
    store: Path, converge_config: ConvergeConfig
) -> None:
    run, test = (
        run_of(store, "converge"),
        tasks.split(converge_config.dataset, hold_out="images").test,
    )
    trained = metaact.load(run.directory)
    assert not trained.training
    assert trained.class_names == test.class_names
    assert (trained.signature.channels, trained.signature.size) == (1, (28, 28))
    assert trained.run.identity == run.identity
    assert _right(trained, test) == _packed(run)
    assert np.mean(_packed(run)) == pytest.approx(run.result()["test_accuracy"])


@pytest.mark.parametrize("kind", ["source", "transfer"])
def test_both_stages_of_a_transfer(kind: str, store: Path, transfer_config: TransferConfig) -> None:
    pair = tasks.pair(transfer_config.source, transfer_config.target)
    domain = pair.source if kind == "source" else pair.target
    run = run_of(store, kind, **({"pretrained": 2} if kind == "transfer" else {}))
    trained = metaact.load(run.directory)
    assert trained.signature.channels == 3
    assert trained.class_names == domain.test.class_names
    assert _right(trained, domain.test) == _packed(run)


@pytest.mark.parametrize("model", ["mnist-conv", "conv4"])
def test_an_adapted_network_scores_as_the_episode_of_the_run(
    model: str, maml_config: MamlConfig, tmp_path: Path
) -> None:
    """Every recorded episode again, from bytes; conv4 has BatchNorm, by the images at hand."""
    config = replace(
        maml_config, model=model, batch_norm=None, test_inner_steps=3, head_only=model == "conv4"
    )
    experiments.run(experiments.MAML, [config], tmp_path)
    run = run_of(tmp_path, "maml")
    learned = metaact.load(run.directory)
    assert learned.class_names == ()
    split = tasks.split(config.dataset)
    from metaact.experiments.maml.run import TEST_SEED

    episodes = tasks.frozen(split.test, ways=3, shots=1, queries=5, episodes=12, seed=TEST_SEED)
    found = []
    for chosen in episodes.indices:
        support, query = chosen[:, 0], chosen[:, 1:].flatten()
        learner = learned.adapt(split.test.pixels[support], torch.arange(3))
        right = learner(split.test.pixels[query]).argmax(dim=1) == torch.arange(
            3
        ).repeat_interleave(5)
        found.append(float(right.float().mean()))
    assert found == pytest.approx(run.scores())
    assert len(set(found)) > 1


def test_bytes_and_floats_are_the_same(store: Path) -> None:
    learned = metaact.load(run_of(store, "maml").directory)
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (4, 1, 28, 28), generator=draw, dtype=torch.uint8)
    torch.testing.assert_close(learned(images), learned(images.float() / 255))
    # By hand, from what the run says of its normalisation.
    about = run_of(store, "maml").environment()["normalisation"]
    by_hand = (images.float() / 255 - about["mean"][0]) / about["std"][0]
    torch.testing.assert_close(learned(images), learned.network(by_hand))
    exported = torch.export.export(learned, (images.float() / 255,))
    torch.testing.assert_close(exported.module()(images.float() / 255), learned(images))


def test_images_that_do_not_fit_are_refused(store: Path) -> None:
    trained = metaact.load(run_of(store, "converge").directory)
    images = torch.zeros(2, 1, 28, 28)
    for wrong, message in (
        (images[:, :, :14], r"`images` must be \[images, 1, 28, 28\].*got \[2, 1, 14, 28\]"),
        (images[0], r"got \[1, 28, 28\]"),
        (images + 255, r"floats in 0..1 .*got floats in \[255, 255\]"),
        (images - 0.5, r"got floats in \[-0.5, -0.5\]"),
        (images * torch.nan, r"got floats in \[nan, nan\]"),
        (images.long(), "got torch.int64"),
    ):
        with pytest.raises(UsageError, match=message):
            trained(wrong)


def test_only_meta_learned_networks_adapt(store: Path) -> None:
    images, labels = torch.zeros(3, 1, 28, 28), torch.arange(3)
    with pytest.raises(UsageError, match=r"must be of `metaact maml` to be adapted.*'converge'"):
        metaact.load(run_of(store, "converge")).adapt(images, labels)
    learned = metaact.load(run_of(store, "maml"))
    with pytest.raises(UsageError, match=r"every value in 0..2 .* got \[0, 1\]"):
        learned.adapt(images[:2], labels[:2])
    assert learned.adapt(images, labels, class_names=("a", "b", "c")).class_names == ("a", "b", "c")


BEND = """
import torch

class Bend(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.b = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return x + self.b * x.abs()
"""


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with a user's activation `bend_of_mine:Bend`."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "bend_of_mine.py").write_text(BEND)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "bend_of_mine", raising=False)
    return folder


def test_own_code_must_be_there_as_it_was(
    own_code: Path, converge_config: ConvergeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(converge_config, activation="bend_of_mine:Bend+elsa", epochs=1)
    experiments.run(experiments.CONVERGE, [config], tmp_path / "runs")
    run = run_of(tmp_path / "runs", "converge")
    test = tasks.split(config.dataset, hold_out="images").test
    assert _right(metaact.load(run.directory), test) == _packed(run)
    (own_code / "bend_of_mine.py").write_text(BEND + "# changed\n")
    with pytest.raises(RunError, match=r"must be as it was when .* it has changed since"):
        metaact.load(run.directory)
    (own_code / "bend_of_mine.py").unlink()
    monkeypatch.delitem(sys.modules, "bend_of_mine")
    with pytest.raises(RunError, match=r"cannot be built .*bend_of_mine.*must be importable"):
        metaact.load(run.directory)


@pytest.fixture
def copied(store: Path, tmp_path: Path) -> Path:
    """A run of converge that a test may damage."""
    directory = run_of(store, "converge").directory
    return Path(shutil.copytree(directory, tmp_path / "runs" / "converge" / directory.name))


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _code(path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return open, (str(path.parent / "was-run"), "w")

    torch.save({"conv1.weight": Evil()}, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "result.json").unlink(), "the run is not complete"),
        (lambda d: (d / "weights.pt").write_bytes(b"PK"), "changed after the end"),
        (lambda d: (d / "weights.pt").unlink(), "must hold its weights"),
        (lambda d: _code(d / "weights.pt"), "changed after the end"),
        (lambda d: (d / "metrics.jsonl").write_text(""), "changed after the end"),
        (lambda d: _edit(d / "config.json", lambda c: c["config"].update(lr=1.0)), "must hold"),
        (lambda d: _edit(d / "config.json", lambda c: c.pop("network")), "changed after the end"),
        (lambda d: (d / "config.json").unlink(), "is no run directory"),
    ],
)
def test_a_damaged_run_is_refused(
    damage: Callable[[Path], object], message: str, copied: Path
) -> None:
    damage(copied)
    with pytest.raises(RunError, match=message):
        metaact.load(copied)
    assert not (copied / "was-run").exists()


def _resealed(directory: Path) -> None:
    """Seal a run again, as if it had been written so."""
    run = metaact.runs.read_run(directory)
    result = json.loads((directory / "result.json").read_text())
    del result["seal"]
    (directory / "result.json").unlink()
    with run.lock():
        run.resume()
        run.finish(result, run.scores())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: _code(d / "weights.pt"), "UnpicklingError on loading"),
        (lambda d: torch.save({"x": torch.ones(1)}, d / "weights.pt"), "do not fit its network"),
        (lambda d: torch.save([1], d / "weights.pt"), "holds a list and no state_dict"),
        (
            lambda d: _edit(d / "config.json", lambda c: c.pop("network")),
            "does not record what its network takes",
        ),
        (
            lambda d: _edit(d / "config.json", lambda c: c["network"].pop("size")),
            "does not record what its network takes",
        ),
        (
            lambda d: _edit(d / "environment.json", lambda c: c.update(normalisation=None)),
            "does not record what its network takes",
        ),
    ],
)
def test_a_run_that_lacks_what_is_needed_is_refused(
    change: Callable[[Path], object], message: str, copied: Path
) -> None:
    change(copied)
    _resealed(copied)
    with pytest.raises(RunError, match=message):
        metaact.load(copied)
    assert not (copied / "was-run").exists()


def test_a_diverged_run_has_no_network(maml_config: MamlConfig, tmp_path: Path) -> None:
    wild = replace(maml_config, inner_lr=1e12, activation="slaf-paper", iterations=1)
    experiments.run(experiments.MAML, [wild], tmp_path)
    with pytest.raises(RunError, match="its outcome is 'diverged'"):
        metaact.load(run_of(tmp_path, "maml"))


def test_other_runs_are_refused_by_name(tmp_path: Path) -> None:
    run = RunStore(tmp_path).open(kind="mine", name="x", config={"seed": 0})
    with run.lock():
        run.start({})
        run.resume()
        run.finish({"outcome": "complete"})
    with pytest.raises(RunError, match="an experiment that is known here; got one of kind 'mine'"):
        metaact.load(run.directory)
    with pytest.raises(RunError, match="is no run directory"):
        metaact.load(tmp_path / "nothing")
