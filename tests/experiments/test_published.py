"""A published figure stands only beside the settings that it was published for."""

from __future__ import annotations

from typing import Any

import pytest
from metaact.experiments.comparison import paper_row
from metaact.experiments.config import MamlConfig
from metaact.experiments.converge_config import ConvergeConfig
from metaact.experiments.published import converge_cell, maml_cell, transfer_cell
from metaact.experiments.transfer_config import TransferConfig
from metaact.reports.published import _TITLES

from metaact import activations, paper

RATES = {"inner_lr": 0.005, "meta_lr": 0.005}


@pytest.mark.parametrize("shots", [1, 5])
def test_the_papers_maml_has_a_cell(shots: int) -> None:
    found = maml_cell(MamlConfig(dataset="mnist", protocol="paper", shots=shots).fields(), RATES)
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
    assert maml_cell(settings, RATES) is None


@pytest.mark.parametrize("name", ["inner_lr", "meta_lr"])
def test_other_rates_have_none(name: str) -> None:
    settings = MamlConfig(dataset="mnist", protocol="paper").fields()
    assert maml_cell(settings, RATES | {name: 0.02}) is None


def test_convergence_has_the_cells_of_tables_1_and_6_only() -> None:
    settings = ConvergeConfig(dataset="mnist", protocol="paper", optimizer="sgd").fields()
    for epochs, number in ((1, 1), (20, 6)):
        found = converge_cell(settings, {"lr": 1e-4}, epochs)
        assert found == (number, "sgd_1e-4")
        assert found[1] in paper.table(number)["AReLU"]
    assert converge_cell(settings, {"lr": 1e-4}, 5) is None
    for change in ({"protocol": "held-out"}, {"weight_decay": 1e-4}, {"batch_size": 64}):
        assert converge_cell(settings | change, {"lr": 1e-4}, 1) is None


def test_transfer_has_the_cells_of_table_2_in_one_direction() -> None:
    settings = TransferConfig(source="mnist", target="svhn").fields()
    rates = {"lr": 1e-5, "pretrain_lr": 1e-2}
    found = transfer_cell(settings, rates, 10)
    assert found == (2, "finetune_10_epochs")
    assert found[1] in paper.table(2)["AReLU"]
    assert transfer_cell(settings, rates | {"lr": 1e-4}, 10) is None
    back = TransferConfig(source="svhn", target="mnist").fields()
    assert transfer_cell(back, rates, 10) is None


def test_reports_and_verbs_call_an_arm_by_the_same_row() -> None:
    """Reports know no registry, so they find the row by the name alone."""
    rows = {title for number in (1, 2, 3) for title in paper.table(number)}
    for entry in activations.entries():
        row = paper_row(entry.name)
        found = _TITLES.get(entry.name.removesuffix("-paper"))
        assert found == (row if row in rows else None), entry.name
