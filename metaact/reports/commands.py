"""The command line that makes the runs of a study, from their settings."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from metaact.experiments.config import MamlConfig
from metaact.experiments.converge_config import ConvergeConfig
from metaact.experiments.transfer_config import TransferConfig
from metaact.tasks import DATASETS

from .evidence import Study

_FLAGS = {
    "inner_steps": "--steps",
    "test_inner_steps": "--test-steps",
    "pretrained": "--pretrain-epochs",
}
"""Options that are not called as their setting is."""

_NO_OPTION = ("validation_episodes", "form", "keeps_head", "activation_sha256")


def command(study: Study) -> str:
    """The command that makes these runs again, or finds them in the store.

    A data set of the user's own is named as the runs know it, by its last part.

    Args:
        study: The runs.

    Examples:
        "metaact maml --activation arelu,relu --dataset mnist --protocol paper --seeds 3"
    """
    parts = _COMMANDS[study.experiment](study)
    names = dict.fromkeys(arm.activation for arm in study.arms)
    seeds = max((record.seed for record in study.records), default=0) + 1
    words = [*parts, "--activation", ",".join(names)]
    if seeds > 1:
        words += ["--seeds", str(seeds)]
    return shlex.join(["metaact", study.experiment, *words])


def _maml(study: Study) -> list[str]:
    s = study.settings
    default = MamlConfig(protocol=s["protocol"], model=s["model"], shots=s["shots"]).fields()
    typed = ("protocol", "model", "shots")
    default |= {name: getattr(MamlConfig(), name) for name in typed}
    default |= {"hold_out": _hold_out(s["dataset"]), "test_inner_steps": s["inner_steps"]}
    words = _options(s, default)
    if not s["replacement"]:
        words.append("--without-replacement")
    words += _rates(study, "inner_lr", "--inner-lr", MamlConfig().inner_lr)
    return words + _tuned(study, "meta_lr", "lr", MamlConfig().meta_lr)


def _converge(study: Study) -> list[str]:
    s = study.settings
    words = _options(s, ConvergeConfig().fields())
    return words + _rates(study, "lr", "--lr", ConvergeConfig().lr)


def _transfer(study: Study) -> list[str]:
    s = study.settings
    usual = TransferConfig()
    default = usual.fields() | {"pretrained": usual.pretrain_epochs, "epochs": max(usual.epochs)}
    settings = {k: v for k, v in s.items() if k not in ("source", "target")}
    if not s["pretrained"]:  # the baseline of any source
        del settings["pretrained"]
    words = [str(s.get("source", "SOURCE")), str(s["target"]), *_options(settings, default)]
    if all(record.validation is None for record in study.records):
        words += ["--protocol", "paper"]
    words += _rates(study, "lr", "--lr", usual.lr)
    if "pretrain_lr" in study.arms[0].rates:
        words += _tuned(study, "pretrain_lr", "pretrain-lr", usual.pretrain_lr)
    return words


_COMMANDS: Mapping[str, Callable[[Study], list[str]]] = {
    "maml": _maml,
    "converge": _converge,
    "transfer": _transfer,
}


def _options(settings: Mapping[str, Any], default: Mapping[str, Any]) -> list[str]:
    """The options whose value is not the default's."""
    words: list[str] = []
    for name, value in settings.items():
        skipped = name in _NO_OPTION or name.endswith("_sha256") or name == "replacement"
        if skipped or value == default.get(name):
            continue
        flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
        if isinstance(value, bool):
            words += [flag] if value else []
        elif isinstance(value, list):
            words += [flag, _list(value)]
        else:
            words += [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    return words


def _rates(study: Study, name: str, flag: str, default: float) -> list[str]:
    values = _values(study, name)
    return [] if values == [default] else [flag, _list(values)]


def _tuned(study: Study, name: str, option: str, default: float) -> list[str]:
    """A rate whose option takes one value; several are a matter of --tune."""
    values = _values(study, name)
    if len(values) > 1:
        return ["--tune", f"{option}={_list(values)}"]
    return [] if values == [default] else [f"--{option}", _list(values)]


def _values(study: Study, name: str) -> list[float]:
    return list(dict.fromkeys(arm.rates[name] for arm in study.arms))


def _list(values: Iterable[object]) -> str:
    def shown(value: object) -> str:
        if isinstance(value, list):  # a layer and its rate
            return f"{value[0]}={value[1]:g}"
        return f"{value:g}" if isinstance(value, float) else str(value)

    return ",".join(shown(value) for value in values)


def _hold_out(dataset: str) -> str:
    known = {data.name: data.hold_out for data in DATASETS}
    return known.get(dataset, "classes")
