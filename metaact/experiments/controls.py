"""Arms with their controls, so that one command answers: is it learned, or only scaled?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from metaact.activations import controls_of, is_control

from .config import MamlConfig
from .converge_config import ConvergeConfig
from .transfer_config import TransferConfig

Config = TypeVar("Config", MamlConfig, ConvergeConfig, TransferConfig)


def with_controls(configs: Sequence[Config]) -> tuple[list[Config], list[str]]:
    """The runs asked for and, after them, those of their controls with the same settings.

    Args:
        configs: The runs, with canonical activation names.

    Returns:
        All runs without repeats, and the arms that have no control and are none.

    Examples:
        >>> found, without = with_controls([MamlConfig(activation=a) for a in ("arelu", "prelu")])
        >>> [config.activation for config in found], without
        (['arelu', 'prelu', 'arelu-frozen'], ['prelu'])
    """
    names = dict.fromkeys(config.activation for config in configs)
    controls = {name: [c for c in controls_of(name).values() if c is not None] for name in names}
    added: list[Config] = [
        replace(config, activation=control)
        for name, its in controls.items()
        for control in its
        for config in configs
        if config.activation == name
    ]
    without = [name for name, its in controls.items() if not its and not is_control(name)]
    return list(dict.fromkeys(list(configs) + added)), without
