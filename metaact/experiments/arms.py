"""From what a user asks to compare to configs: names of activations, start values, controls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from metaact import activations
from metaact.activations.controls import controls_of, is_control
from metaact.errors import UsageError
from metaact.settings import Config

C = TypeVar("C", bound=Config)


def canonical(
    configs: Sequence[C], *, alphas: Sequence[float] = (), betas: Sequence[float] = ()
) -> list[C]:
    """Configs with canonical activation names; "paper", "modern" and "all" stand for several.

    Under the paper's protocol a name stands for what the paper's own code computes.

    Args:
        configs: The runs asked for.
        alphas: Start values of α: each arm that has one is tried with each (figure 2a).
        betas: Start values of β, likewise.

    Returns:
        The runs, without repeats.

    Raises:
        UsageError: If a name is unknown, or start values are given and no arm takes them; nothing
            has run by then.
    """
    for name, starts in (("alphas", alphas), ("betas", betas)):
        for start in starts:
            if not math.isfinite(start):
                raise UsageError(f"`{name}` must be finite numbers; got {start!r}.")
    entries: list[activations.Entry] = []
    expanded: list[C] = []
    for config in configs:
        asked: str = _activation(config)
        for name in activations.expanded((asked,)):
            entry = activations.resolve(name, config.forms)
            entries.append(entry)
            starts_of = _grid(entry, alphas, betas)
            expanded += [_with_activation(config, started) for started in starts_of]
    if (alphas or betas) and not any(_takes_starts(entry) for entry in entries):
        raise UsageError(
            "`alphas` and `betas` need an arm that takes them, such as arelu; got "
            f"{', '.join(dict.fromkeys(_activation(c) for c in configs))}."
        )
    return list(dict.fromkeys(expanded))


def _activation(config: Any) -> str:
    return str(config.activation)


def _with_activation(config: C, name: str) -> C:
    changed: Any = replace(config, activation=name)  # type: ignore[type-var]  # all are dataclasses
    found: C = changed
    return found


def _takes_starts(entry: activations.Entry) -> bool:
    """Whether the arm has α and β whose start values are not given yet."""
    return {"alpha", "beta"} <= set(entry.options) and "(" not in entry.name


def _grid(entry: activations.Entry, alphas: Sequence[float], betas: Sequence[float]) -> list[str]:
    """The arm at each combination of start values; itself if it has none or they are given."""
    if not _takes_starts(entry) or not (alphas or betas):
        return [entry.name]
    starts = [
        ",".join(f"{k}={v:g}" for k, v in (("alpha", a), ("beta", b)) if v is not None)
        for a in (alphas or (None,))
        for b in (betas or (None,))
    ]
    return [activations.resolve(f"{entry.name}({start})").name for start in starts]


def with_controls(configs: Sequence[C]) -> tuple[list[C], list[str]]:
    """The runs asked for and, after them, those of their controls with the same settings.

    Args:
        configs: The runs, with canonical activation names.

    Returns:
        All runs without repeats, and the arms that have no control and are none.

    Examples:
        >>> from metaact.experiments.maml import MamlConfig
        >>> found, without = with_controls([MamlConfig(activation=a) for a in ("arelu", "prelu")])
        >>> [config.activation for config in found], without
        (['arelu', 'prelu', 'arelu-frozen'], ['prelu'])
    """
    names = dict.fromkeys(_activation(config) for config in configs)
    controls = {name: [c for c in controls_of(name).values() if c is not None] for name in names}
    added = [
        _with_activation(config, control)
        for name, its in controls.items()
        for control in its
        for config in configs
        if _activation(config) == name
    ]
    without = [name for name, its in controls.items() if not its and not is_control(name)]
    return list(dict.fromkeys([*configs, *added])), without
