"""Which cell of the paper's tables a run stands beside: only one whose settings it has. No torch.

Each function takes the settings as a run's config holds them and the learning rates, and returns
the number of the table and its column; None for settings that the paper did not report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .config import MamlConfig
from .converge_config import ConvergeConfig
from .transfer_config import TransferConfig

Cell = tuple[int, str] | None

_MAML_FREE = (
    *("activation", "seed", "hold_out", "test_episodes", "test_queries", "replacement"),
    *("validation_episodes", "validation_every", "engine", "inner_lr", "meta_lr"),
)
"""Settings of the held-out test, or that compute the same: the paper's figure has none of them."""

_CONVERGE_FREE = ("activation", "seed", "lr", "epochs", "first_epoch_points", "optimizer")


def maml_cell(settings: Mapping[str, Any], rates: Mapping[str, float]) -> Cell:
    """The cell of table 3.

    Examples:
        >>> paper = MamlConfig(dataset="mnist", protocol="paper", shots=5)
        >>> rates = {"inner_lr": 0.005, "meta_lr": 0.005}
        >>> maml_cell(paper.fields(), rates)
        (3, 'ways5_shots5')
        >>> maml_cell(paper.fields() | {"first_order": True}, rates) is None
        True
    """
    usual = MamlConfig(dataset="mnist", protocol="paper", shots=settings["shots"])
    same = all(getattr(usual, name) == rate for name, rate in rates.items())
    if same and _agree(settings, usual.fields(), _MAML_FREE):
        return 3, f"ways5_shots{settings['shots']}"
    return None


def converge_cell(settings: Mapping[str, Any], rates: Mapping[str, float], epochs: int) -> Cell:
    """The cell of table 1 (after one epoch) or 6 (the best of twenty).

    Examples:
        >>> paper = ConvergeConfig(dataset="mnist", protocol="paper", optimizer="adam")
        >>> converge_cell(paper.fields(), {"lr": 1e-4}, 1)
        (1, 'adam_1e-4')
    """
    usual = ConvergeConfig(dataset="mnist", protocol="paper").fields()
    number = {1: 1, 20: 6}.get(epochs)
    if number is None or not _agree(settings, usual, _CONVERGE_FREE):
        return None
    return number, f"{settings['optimizer']}_{rates['lr']:.0e}".replace("e-0", "e-")


def transfer_cell(settings: Mapping[str, Any], rates: Mapping[str, float], epochs: int) -> Cell:
    """The cell of table 2; how long the paper pre-trained for it, it does not say."""
    usual = TransferConfig(source="mnist", target="svhn").fields()
    named = (
        *("source", "target", "model", "batch_norm", "momentum", "batch_size", "optimizer"),
        *("weight_decay", "train_layers", "layer_lrs", "freeze_activations"),
    )
    same = all(settings.get(name) == usual[name] for name in named)
    if same and all(usual[name] == rate for name, rate in rates.items()):
        return 2, f"finetune_{epochs}_epochs"
    return None


def _agree(settings: Mapping[str, Any], usual: Mapping[str, Any], free: tuple[str, ...]) -> bool:
    return all(settings.get(k) == value for k, value in usual.items() if k not in free)
