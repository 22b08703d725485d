"""Work in shares, each carried out by one thread that computes on one core.

PyTorch spreads each single op over the cores, and all threads wait for each other at its end: on a
core that somebody else uses too, every small op then waits for the scheduler. Here the unit that is
spread is a share of the whole work, within which nothing waits for anything.

What a share computes depends on the share alone: it always runs with one thread inside its ops.
How many threads carry out the shares changes no bit of the result.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from typing import TypeVar

import torch
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from metaact.cores import THREADS, free_cores
from metaact.errors import check_int

from .known import is_known

Share = TypeVar("Share")
Result = TypeVar("Result")

_chosen: int | None = None


def set_threads(count: int | None) -> None:
    """Say how many threads carry out shares in this process.

    Args:
        count: At least 1; None takes the environment variable METAACT_THREADS, or else the cores
            that are free when the first share is worked on, within `torch.get_num_threads()`.

    Raises:
        UsageError: If it is not allowed.
    """
    global _chosen  # as torch.set_num_threads: one setting of the process
    _chosen = None if count is None else check_int("threads", count, minimum=1)


def threads() -> int:
    """How many threads carry out shares; see `set_threads`."""
    if _chosen is not None:
        return _chosen
    given = os.environ.get(THREADS, "")
    if given.isdigit() and int(given):
        return int(given)
    allowed = torch.get_num_threads()
    return 1 if allowed == 1 else min(allowed, _free())


@cache
def _free() -> int:
    return free_cores()


def in_shares(work: Callable[[Share], Result], shares: Sequence[Share]) -> list[Result]:
    """Call `work` on every share, several at a time.

    PyTorch's setting of gradients is that of the caller. Where the caller has set what belongs to
    one thread only (autocast, inference mode, function or dispatch modes), it does all shares.

    Args:
        work: Must not change what another share reads.
        shares: In any number.

    Returns:
        The results, in the order of the shares.

    Raises:
        BaseException: The first that `work` raised, in the order of the shares.
    """
    count = min(threads(), len(shares))
    with one_thread_inside():
        if count <= 1 or not is_plain():
            return [work(share) for share in shares]
        call = partial(_call, work, torch.is_grad_enabled())
        waiting = [_pool(count).submit(call, share) for share in shares]
        try:
            return [future.result() for future in waiting]
        finally:
            for future in waiting:  # after an error, nothing works on in the background
                if not future.cancel() and not future.done():
                    future.exception()


def in_order(
    work: Callable[[Share], Result], shares: Sequence[Share], *, device: torch.device
) -> list[Result]:
    """Call `work` on every share, one after the other: the same results as those of `in_shares`."""
    if device.type != "cpu":
        return [work(share) for share in shares]
    with one_thread_inside():
        return [work(share) for share in shares]


def _call(work: Callable[[Share], Result], gradients: bool, share: Share) -> Result:
    with torch.set_grad_enabled(gradients):
        return work(share)


@contextmanager
def one_thread_inside() -> Iterator[None]:
    """One thread for each op of this thread, and of all that ask from now on."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def small_steps(device: torch.device) -> Iterator[None]:
    """For many small steps one after the other: on a CPU one thread, and no subnormal numbers."""
    if device.type != "cpu":
        yield
        return
    with one_thread_inside(), without_subnormals():
        yield


@contextmanager
def without_subnormals() -> Iterator[None]:
    """In this thread, numbers too small for a full mantissa are 0 for ops on the CPU.

    The moments that Adam keeps of a unit that died shrink until they are such numbers, and stay
    there, as a tenth of the least of them rounds to nothing. Steps with them take a quarter longer
    and change nothing: a moment below 1e-38 is divided by at least Adam's epsilon.
    """
    before = bool(torch.full((1,), 1e-39).mul(1).count_nonzero() == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def is_plain() -> bool:
    """Whether nothing is set in this thread that the others would not know of."""
    return not (
        torch.is_inference_mode_enabled()
        or torch.is_autocast_enabled("cpu")
        or torch.is_anomaly_enabled()
        or _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
        or _get_current_dispatch_mode_stack()
    )


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "share", initializer=partial(torch.set_num_threads, 1))


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


def copies(model: nn.Module, count: int) -> list[nn.Module] | None:
    """The model, and copies of its modules that share all parameters and buffers.

    `torch.func.functional_call` puts tensors into a module while it runs, so two threads need two
    modules.

    Args:
        model: Any network.
        count: How many are needed.

    Returns:
        So many modules, the first of them `model`; None if a copy might not be what it is a copy
        of.
    """
    if not all(map(is_known, model.modules())):
        return None
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}
    try:
        return [model, *(copy.deepcopy(model, dict(tensors)) for _ in range(count - 1))]
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError):
        # What copying raises for a lock, a file, a tensor with a history, ...
        return None
