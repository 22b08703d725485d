"""A user's own network in each verb: its identity, its head, and what is refused before any run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from metaact import experiments
from metaact.errors import UsageError
from metaact.experiments import (
    CONVERGE,
    MAML,
    TRANSFER,
    ConvergeConfig,
    MamlConfig,
    TransferConfig,
)
from metaact.runs import Run, RunStore

SOURCE = """
import torch
from torch import nn

def small(classes, channels, size):
    return nn.Sequential(
        nn.AvgPool2d(4), nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(),
        nn.Linear(6 * (size[0] // 4 - 2) * (size[1] // 4 - 2), classes),
    )

class Branching(nn.Module):
    def forward(self, x):
        return x if bool((x > 0).any()) else -x
def branching(classes, channels, size):
    return nn.Sequential(Branching(), *small(classes, channels, size))

class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return 2 * g
class Straight(nn.Module):
    def forward(self, x):
        return Once.apply(x)
def once(classes, channels, size):
    return nn.Sequential(*small(classes, channels, size)[:-1], Straight(), nn.LazyLinear(classes))
def once_made(classes, channels, size):
    net = once(classes, channels, size)
    net(torch.zeros(2, channels, *size))
    return net
"""


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_nets.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_nets", raising=False)


def runs_of(store: Path) -> list[Run]:
    return list(RunStore(store).runs())


def test_it_is_trained_for_each_arm_and_named_by_its_file(
    converge_config: ConvergeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(converge_config, model="own_nets:small", batch_norm=None, epochs=2)
    arms = [replace(config, activation=name) for name in ("arelu", "relu")]
    assert experiments.run(CONVERGE, arms, tmp_path / "runs").report.is_complete
    found = runs_of(tmp_path / "runs")
    assert [run.result()["attention_layers"] for run in found] == [1, 0]
    assert {run.config["batch_norm"] for run in found} == {"running"}
    assert len({run.config["model_sha256"] for run in found}) == 1
    (tmp_path / "own_nets.py").write_text(SOURCE + "\n")
    monkeypatch.delitem(sys.modules, "own_nets")
    experiments.run(CONVERGE, arms, tmp_path / "runs")
    assert len(runs_of(tmp_path / "runs")) == 4


def test_its_head_is_replaced_for_other_classes(
    transfer_config: TransferConfig, make_pack: Callable[..., Path], tmp_path: Path
) -> None:
    target = make_pack(tmp_path / "three.npz", seed=2, channels=1, classes=3)
    config = replace(
        transfer_config, target=str(target), model="own_nets:small", batch_norm=None, epochs=(1,)
    )
    assert experiments.run(TRANSFER, [config], tmp_path / "runs").report.is_complete
    tuned = next(r for r in RunStore(tmp_path / "runs").runs("transfer") if r.config["pretrained"])
    assert tuned.weights()["5.weight"].shape[0] == 3


def test_it_is_meta_learned(maml_config: MamlConfig, tmp_path: Path) -> None:
    quick = replace(maml_config, iterations=1, inner_steps=1, model="own_nets:small")
    config = replace(quick, batch_norm=None, test_inner_steps=1)
    assert experiments.run(MAML, [config], tmp_path / "runs").report.is_complete
    (run,) = runs_of(tmp_path / "runs")
    assert run.config["batch_norm"] == "batch"
    assert not any("running" in name for name in run.weights())


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("branching", {}, "--engine loop"),
        (
            "once_made",
            {"engine": "loop"},
            r"`first_order` must be given .* \(Straight\) has no exact",
        ),
        ("once", {}, "has no parameters"),
    ],
)
def test_what_cannot_be_meta_learned_is_refused_with_the_remedy(
    name: str, change: dict[str, str], words: str, maml_config: MamlConfig, tmp_path: Path
) -> None:
    config = replace(maml_config, model=f"own_nets:{name}", batch_norm=None, **change)
    with pytest.raises(UsageError, match=words):
        experiments.run(MAML, [config], tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_remedies_help(maml_config: MamlConfig, tmp_path: Path) -> None:
    quick = replace(maml_config, iterations=1, inner_steps=1, test_inner_steps=1, engine="loop")
    configs = [
        replace(quick, model="own_nets:branching", batch_norm=None),
        replace(quick, model="own_nets:once_made", batch_norm=None, first_order=True),
    ]
    for config in configs:
        assert experiments.run(MAML, [config], tmp_path / "runs").report.is_complete
    assert all(
        torch.isfinite(torch.tensor(run.scores())).all() for run in runs_of(tmp_path / "runs")
    )


def test_networks_can_be_the_question(cli: Callable[..., Any], pack: Path, tmp_path: Path) -> None:
    words = ("converge", "--dataset", pack, "--epochs", "1", "--batch-size", "64", "--lr", "0.05")
    ended = cli(*words, "--by", "model", "--model", "own_nets:small,conv4", "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    assert [arm["value"] for arm in study["arms"]] == ["own_nets:small", "conv4"]
    (line,) = study["commands"]
    assert "--model own_nets:small,conv4" in line
    assert all(":" not in path.name for path in (tmp_path / "runs").rglob("*"))


ACTIVATIONS = """
import torch
from torch import nn

class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()
class Detached(Once):
    @staticmethod
    def backward(ctx, g):
        return (g * ctx.saved_tensors[0].cos()).detach()
class Exact(Once):
    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()
class Sine(nn.Module):
    function = Exact
    def forward(self, x):
        return self.function.apply(x)
class SineOnce(Sine):
    function = Once
class SineDetached(Sine):
    function = Detached
class Scaled(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x / (x.std().item() + 1))
"""


@pytest.mark.parametrize("own", ["SineOnce", "SineDetached", "Scaled"])
@pytest.mark.parametrize("engine", ["vectorised", "loop"])
def test_an_activation_that_loses_second_order_terms_is_refused(
    own: str, engine: str, maml_config: MamlConfig, tmp_path: Path
) -> None:
    (tmp_path / "own_nets.py").write_text(ACTIVATIONS)
    quick = replace(maml_config, iterations=1, inner_steps=1, test_inner_steps=1, engine=engine)
    lossy = replace(quick, activation=f"own_nets:{own}")
    with pytest.raises(UsageError, match=f"--first-order, or write its .*'own_nets:{own}'") as told:
        experiments.run(MAML, [lossy], tmp_path / "runs")
    assert "`activation` must have exact second derivatives" in str(told.value)
    assert not (tmp_path / "runs").exists()
    if (engine, own) == ("loop", "SineOnce"):
        for config in (
            replace(lossy, first_order=True),
            replace(lossy, activation="own_nets:Sine"),
        ):
            assert experiments.run(MAML, [config], tmp_path / "runs").report.is_complete
