"""A published figure of meta-learning stands only beside the settings that it was published for."""

from __future__ import annotations

from typing import Any

import pytest

from metaact import paper
from metaact.experiments import MamlConfig
from metaact.experiments.maml import cell

RATES = {"inner_lr": 0.005, "meta_lr": 0.005}


@pytest.mark.parametrize("shots", [1, 5])
def test_the_papers_maml_has_a_cell(shots: int) -> None:
    settings = MamlConfig(dataset="mnist", protocol="paper", shots=shots).fields()
    found = cell(settings, RATES, 100)
    assert found is not None
    assert found[1] in paper.table(found[0])["AReLU"]


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "omniglot"}, {"protocol": "held-out"}, {"ways": 3}, {"queries": 15},
        {"inner_steps": 1}, {"tasks": 2}, {"iterations": 99}, {"first_order": True},
        {"head_only": True}, {"task_pool": 0}, {"batch_norm": "batch"}, {"model": "conv4"},
    ],
    ids=str,
)  # fmt: skip
def test_other_meta_learning_has_none(change: dict[str, Any]) -> None:
    settings = MamlConfig(dataset="mnist", protocol="paper").fields() | change
    assert cell(settings, RATES, 100) is None


@pytest.mark.parametrize("name", ["inner_lr", "meta_lr"])
def test_other_rates_have_none(name: str) -> None:
    settings = MamlConfig(dataset="mnist", protocol="paper").fields()
    assert cell(settings, RATES | {name: 0.02}, 100) is None
