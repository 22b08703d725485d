"""Several processes that share the tasks of meta-batches, as `torchrun` starts them.

Rank 0 runs the program. The others run none of it: they carry out what rank 0 hands to them until
it ends, so that nothing is decided, written or drawn twice. What comes of a share depends on the
share alone (see `shares`), and rank 0 adds the shares in their order: the result is that of one
process, to the bit.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from metaact.errors import named_reason

FOREVER = timedelta(days=365)
"""So long the others wait for work: rank 0 may do something else meanwhile."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What came of work that raised an error.

    Attributes:
        reason: Which.
    """

    reason: str


@dataclass(slots=True)
class _Group:
    """The processes, as rank 0 sees them.

    Attributes:
        size: How many there are; 1 where there is no other, or none that answers.
        handed: How often work was handed out.
        amid: Whether it is out now.
    """

    size: int = 1
    handed: int = 0
    amid: bool = False


_group = _Group()


def size() -> int:
    """How many processes share work; 1 in all but rank 0."""
    return _group.size


def handed() -> int:
    """How often work was shared."""
    return _group.handed


@contextmanager
def joined() -> Iterator[bool]:
    """Join the processes that `torchrun` started with this one.

    Yields:
        Whether this is rank 0. To the others it is yielded at the end, when they have done all that
        rank 0 handed to them.
    """
    # First imported amid a group (torch.func may), functions of this module keep it as default: it
    # would outlive its end, and its threads would abort the process when Python ends.
    importlib.import_module("torch.distributed.nn")
    dist.init_process_group("gloo", timeout=FOREVER)
    try:
        if dist.get_rank():
            _follow()
            yield False
            return
        _group.size = dist.get_world_size()
        try:
            yield True
        finally:
            if not _group.amid:
                _hand_out([None] * _group.size)
            _group.size = 1
    finally:
        dist.destroy_process_group()


def each(work: Callable[[Any], Any], parts: Sequence[Any], *, here: Callable[[], Any]) -> list[Any]:
    """Have each process do its part.

    Args:
        work: A function that every process can import.
        parts: What is handed to it, one for each rank.
        here: Does the part of rank 0, which is this process.

    Returns:
        What came of each part, in the order of the ranks: a `Failed` where another process raised
        an error, or the part cannot be handed out.

    Raises:
        Exception: What `here` raised.
    """
    try:
        orders = [pickle.dumps((work, part)) for part in parts[1:]]
    except Exception as error:  # noqa: BLE001  # what a user's class raises when it is pickled
        return [Failed(named_reason(error))] * len(parts)
    _group.amid = True
    _hand_out([None, *orders])
    own: Any = None
    failure: Exception | None = None
    try:
        own = here()
    except Exception as error:  # noqa: BLE001  # raised below, when all have answered
        failure = error
    answers: list[Any] = [None] * _group.size
    dist.gather_object(None, answers)
    _group.amid = False
    _group.handed += 1
    if failure is not None:
        raise failure
    return [own, *(pickle.loads(answer) for answer in answers[1:])]


def _hand_out(orders: list[bytes | None]) -> None:
    dist.scatter_object_list([None], orders)


def _follow() -> None:
    """Do what rank 0 hands out, until it hands out nothing or is gone."""
    with suppress(RuntimeError, KeyboardInterrupt):
        while True:
            order: list[Any] = [None]
            dist.scatter_object_list(order, None)
            if order[0] is None:
                return
            dist.gather_object(_answer(order[0]), None)


def _answer(order: bytes) -> bytes:
    try:
        work, part = pickle.loads(order)
        return pickle.dumps(work(part))
    except Exception as error:  # noqa: BLE001  # rank 0 does it itself, and says what is wrong
        return pickle.dumps(Failed(named_reason(error)))
