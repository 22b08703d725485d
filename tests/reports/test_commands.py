"""The printed command parses back to the settings of the runs it claims to make."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from metaact.cli.converge import converge
from metaact.cli.maml import maml
from metaact.cli.transfer import transfer
from metaact.experiments.config import MamlConfig
from metaact.experiments.converge_config import ConvergeConfig
from metaact.experiments.transfer_config import TransferConfig
from metaact.reports.commands import command

from metaact.reports import gather

RIGHT = [[True, False], [True, True]]


def _parsed(store: Path, verb: Any) -> tuple[dict[str, Any], list[str]]:
    (study,) = [s for s in gather([store]).studies if s.settings.get("pretrained", 1)]
    words = shlex.split(command(study))
    assert words[:2] == ["metaact", verb.name]
    return verb.make_context(verb.name, words[2:]).params, words


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"protocol": "paper"},
        {"protocol": "paper", "queries": 15, "task_pool": 0},
        {"shots": 5, "ways": 10, "first_order": True},
        {"model": "conv4", "batch_norm": "off", "test_inner_steps": 10},
        {"meta_lr": 1e-3, "inner_lr": 0.02, "replacement": False, "head_only": True},
    ],
    ids=str,
)
def test_maml(tmp_path: Path, synthetic: ModuleType, settings: dict[str, Any]) -> None:
    for seed in (0, 2):
        synthetic.maml(tmp_path, "arelu", seed, [0.5, 0.6], **settings)
    params, words = _parsed(tmp_path, maml)
    assert params["seeds"] == 3
    assert params["activation"] == ("arelu",)
    names = ("activation", "inner_lr", "seeds", "device", "data_root", "out", "as_json")
    other = ("without_replacement", "chunk_size", "config", "tune", "controls")
    own = {k: v for k, v in params.items() if k not in (*names, *other)}
    parsed = MamlConfig(
        inner_lr=params["inner_lr"][0], replacement=not params["without_replacement"], **own
    )
    made = MamlConfig(dataset="mnist", iterations=5, test_episodes=2, **settings)
    fields = parsed.fields() | {"hold_out": None, "test_inner_steps": made.test_inner_steps}
    assert fields == made.fields(), words


def test_several_rates_name_each(tmp_path: Path, synthetic: ModuleType) -> None:
    for inner, meta in ((0.005, 0.005), (0.02, 0.005), (0.02, 0.001)):
        synthetic.maml(tmp_path, "arelu", 0, [0.5, 0.6], inner_lr=inner, meta_lr=meta)
    text = command(gather([tmp_path]).studies[0])
    assert "--inner-lr 0.005,0.02" in text
    assert "--tune lr=0.005,0.001" in text


def test_converge(tmp_path: Path, synthetic: ModuleType) -> None:
    config = ConvergeConfig(
        activation="selu", dataset="mnist", lr=1e-3, optimizer="adam", protocol="paper", epochs=2
    )
    synthetic.supervised(tmp_path, config, RIGHT)
    params, _ = _parsed(tmp_path, converge)
    assert (params["dataset"], params["epochs"], params["protocol"]) == ("mnist", 2, "paper")
    assert (params["lr"], params["optimizer"]) == ((1e-3,), ("adam",))


def test_transfer(tmp_path: Path, synthetic: ModuleType) -> None:
    config = TransferConfig(source="mnist", target="svhn", layer_lrs=(("head", 1e-3),))
    synthetic.supervised(tmp_path, config, RIGHT, pretrained=5)
    synthetic.supervised(tmp_path, config, RIGHT, pretrained=0)
    params, _ = _parsed(tmp_path, transfer)
    assert (params["source"], params["target"], params["pretrain_epochs"]) == ("mnist", "svhn", 5)
    assert params["epochs"] == (1,)
    assert params["layer_lrs"] == (("head", 1e-3),)
    assert params["protocol"] == "held-out"


def test_a_transfer_without_validation_was_the_papers(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    config = TransferConfig(source="mnist", target="svhn")
    synthetic.supervised(tmp_path, config, RIGHT, pretrained=5, validation=None)
    assert _parsed(tmp_path, transfer)[0]["protocol"] == "paper"
