"""The algorithms by name: where each is, what it reads, which engines carry it out. No torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metaact.errors import UsageError, check_choice

BOTH = ("vectorised", "loop")
THREE = (*BOTH, "learn2learn")

DESCENT = ("inner_lr", "inner_steps", "test_inner_steps", "inner_clip")
"""What every algorithm reads that takes gradient steps on a task."""

META = (*DESCENT, "meta_lr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of an algorithm before it is imported.

    Attributes:
        place: "module:Class", the module within this package.
        words: Its name as a reader sees it.
        reads: Settings of `metaact maml` that it reads, of those that not every algorithm does.
        engines: Those that carry it out.
        implies: Settings that its name stands for: others of their values are another algorithm.
    """

    place: str
    words: str
    reads: tuple[str, ...]
    engines: tuple[str, ...] = BOTH
    implies: Mapping[str, Any] = field(default_factory=dict)


ALGORITHMS: dict[str, Row] = {
    "maml": Row(
        place="maml:Maml",
        words="MAML",
        reads=(*META, "first_order", "head_only"),
        engines=THREE,
        implies={"first_order": False, "head_only": False},
    ),
    "fomaml": Row(
        place="maml:Maml",
        words="first-order MAML",
        reads=(*META, "first_order"),
        engines=THREE,
        implies={"first_order": True, "head_only": False},
    ),
    "anil": Row(
        place="anil:Anil",
        words="ANIL",
        reads=(*META, "first_order", "head_only"),
        engines=THREE,
        implies={"head_only": True},
    ),
    "boil": Row(place="boil:Boil", words="BOIL", reads=(*META, "first_order")),
    "metasgd": Row(place="metasgd:MetaSGD", words="Meta-SGD", reads=(*META, "first_order")),
    "maml++": Row(
        place="mamlpp:MamlPlusPlus",
        words="MAML++",
        reads=(*META, "first_order", "multi_step"),
    ),
    "reptile": Row(place="reptile:Reptile", words="Reptile", reads=(*DESCENT, "outer_step")),
    "protonet": Row(place="protonet:ProtoNet", words="prototypical networks", reads=("meta_lr",)),
    "finetune": Row(
        place="finetune:FineTune",
        words="fine-tuning",
        reads=(*META, "head_only"),
    ),
}
"""Each algorithm's name, and what is known of it."""


def readers(setting: str) -> tuple[str, ...]:
    """The algorithms that read a setting.

    Examples:
        >>> readers("outer_step")
        ('reptile',)
    """
    return tuple(name for name, row in ALGORITHMS.items() if setting in row.reads)


def check_engine(algorithm: str, engine: str, *, inner_clip: float = 0.0) -> None:
    """Refuse an engine that does not carry out an algorithm, or does not clip its gradients.

    Raises:
        UsageError: If it does not; the message names those that do.
    """
    row = ALGORITHMS[check_choice("algorithm", algorithm, ALGORITHMS)]
    if engine not in row.engines:
        known = ", ".join(name for name, other in ALGORITHMS.items() if engine in other.engines)
        raise UsageError(
            f"`engine` must be {' or '.join(map(repr, row.engines))} with algorithm {algorithm!r} "
            f"({engine} computes {known} alone); got {engine!r}."
        )
    if inner_clip and engine not in BOTH:
        raise UsageError(
            f"`engine` must be {' or '.join(map(repr, BOTH))} with `inner_clip` ({engine} clips no "
            f"gradients); got {engine!r}."
        )


def find(name: str) -> Any:
    """The class of an algorithm, which is imported here.

    Raises:
        UsageError: If there is none of that name; the message names the nearest.
    """
    check_choice("algorithm", name, ALGORITHMS)
    module, _, attribute = ALGORITHMS[name].place.partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
