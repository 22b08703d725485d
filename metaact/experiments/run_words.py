"""A run's settings in words: what it is of, and in what it differs from the defaults. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from metaact.errors import UsageError
from metaact.tasks import DATASETS

from .config import MamlConfig
from .converge_config import ConvergeConfig
from .transfer_config import TransferConfig

Settings = Mapping[str, Any]

RATES = {
    "maml": ("inner_lr", "meta_lr"),
    "converge": ("lr",),
    "transfer": ("lr",),
    "source": ("pretrain_lr",),
}
"""By kind of run, the settings over which arms are tuned."""

VARYING = ("activation", "activation_sha256", "seed", "first_epoch_points")
"""What differs between the runs of one comparison, or is of no matter to it."""

OPTIONS = {"inner_steps": "steps", "test_inner_steps": "test_steps", "meta_lr": "outer_lr"}
"""Settings whose name in Python is not the one to be read."""

MOST_SPANS = 5
"""Ranges of numbers that are written out."""


def data_of(config: Settings) -> str:
    """What it trains and is tested on.

    Examples:
        >>> data_of({"source": "mnist", "target": "svhn"})
        'mnist → svhn'
    """
    names = (config.get("dataset"), config.get("source"), config.get("target"))
    return " → ".join(str(name) for name in names if name)


def defaults(kind: str, config: Settings) -> dict[str, Any]:
    """What each setting would have been, given the few that others follow; {} for other kinds."""
    make = _DEFAULTS.get(kind)
    return {} if make is None else make(config)


def _maml(config: Settings) -> dict[str, Any]:
    leading = ("protocol", "model", "shots", "inner_steps")
    kept = {name: config[name] for name in leading if name in config}
    known = {data.name: data.hold_out for data in DATASETS}
    return {
        **_fields(MamlConfig, kept),
        **{name: getattr(MamlConfig(), name) for name in leading},
        "hold_out": known.get(str(config.get("dataset")), "classes"),
    }


def _converge(config: Settings) -> dict[str, Any]:
    kept = {"lr": config["lr"]} if "lr" in config else {}
    return {**_fields(ConvergeConfig, kept), "lr": ConvergeConfig().lr}


def _transfer(_: Settings) -> dict[str, Any]:
    usual = TransferConfig()
    return {
        **usual.fields(),
        "pretrained": usual.pretrain_epochs,
        "epochs": max(usual.epochs),
        "keeps_head": True,
    }


def _source(_: Settings) -> dict[str, Any]:
    usual = TransferConfig()
    return {**usual.fields(), "epochs": usual.pretrain_epochs}


_DEFAULTS: Mapping[str, Callable[[Settings], dict[str, Any]]] = {
    "maml": _maml,
    "converge": _converge,
    "transfer": _transfer,
    "source": _source,
}


def _fields(
    config: type[MamlConfig] | type[ConvergeConfig], kept: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        return config(**kept).fields()
    except (UsageError, TypeError):  # a value of another version of metaact
        return config().fields()


def differing(kind: str, config: Settings) -> dict[str, Any]:
    """The settings that are not the defaults', without the data and what tells arms apart."""
    usual = defaults(kind, config)
    aside = {*VARYING, *RATES.get(kind, ()), *_HEADLINES.get(kind, ()), *_DATA}
    return {
        name: value
        for name, value in config.items()
        if name not in aside and not name.endswith("_sha256") and value != usual.get(name)
    }


_DATA = ("dataset", "source", "target", "form")

_HEADLINES: Mapping[str, tuple[str, ...]] = {
    "maml": ("ways", "shots", "iterations"),
    "converge": ("optimizer", "epochs"),
    "transfer": ("pretrained", "optimizer", "epochs"),
    "source": ("epochs",),
}
"""Settings that are always said."""


def headline(kind: str, config: Settings) -> str:
    """The settings that matter, in a few words.

    Examples:
        >>> headline("maml", {"ways": 5, "shots": 1, "iterations": 100, "first_order": True})
        '5-way 1-shot, 100 iterations, first order'
    """
    get = config.get
    words = {
        "maml": [f"{get('ways')}-way {get('shots')}-shot", f"{get('iterations')} iterations"],
        "converge": [f"{get('optimizer')}", f"{get('epochs')} epochs"],
        "transfer": [_start(get("pretrained")), f"{get('optimizer')}", f"{get('epochs')} epochs"],
        "source": ["pre-training", f"{get('epochs')} epochs"],
    }.get(kind, [])
    return ", ".join([*words, *(in_words(n, v) for n, v in differing(kind, config).items())])


def _start(pretrained: object) -> str:
    return f"after {pretrained} on the source" if pretrained else "target only"


def in_words(name: str, value: object) -> str:
    """One setting as a reader sees it.

    Examples:
        >>> in_words("batch_norm", "off"), in_words("replacement", False), in_words("lr", 1e-5)
        ('batch norm off', 'no replacement', 'lr 1e-05')
    """
    plain = OPTIONS.get(name, name).replace("_", " ")
    if isinstance(value, bool):
        return plain if value else f"no {plain}"
    return f"{plain} {shown(value)}"


def shown(value: object) -> str:
    """A value without Python's quotes and brackets."""
    if isinstance(value, list | tuple):
        return ",".join(shown(item) for item in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def spans(numbers: Iterable[int]) -> str:
    """Whole numbers, runs of them as ranges; how many, where that would be long.

    Examples:
        >>> spans([0, 1, 2, 3, 7]), spans(range(0, 100, 2))
        ('0-3,7', '50 of 0-98')
    """
    found: list[list[int]] = []
    ordered = sorted(set(numbers))
    for number in ordered:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    if len(found) > MOST_SPANS:
        return f"{len(ordered)} of {ordered[0]}-{ordered[-1]}"
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in found)


def size_in_words(size: float) -> str:
    """Bytes in units of 1000.

    Examples:
        >>> size_in_words(512), size_in_words(163_825), size_in_words(5.2e9)
        ('512 B', '164 kB', '5.2 GB')
    """
    power = 0
    while size >= 999.5 and power < 3:
        size, power = size / 1000, power + 1
    unit = ("B", "kB", "MB", "GB")[power]
    return f"{size:.1f} {unit}" if power and size < 10 else f"{size:.0f} {unit}"


def moment(seconds: float) -> str:
    """A time, in the reader's time zone, to the minute."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
