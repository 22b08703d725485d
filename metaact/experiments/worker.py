"""A worker process of a sweep: it takes runs from its parent until there are no more.

`python -P -c PROGRAM PATH` starts one. It reads orders from stdin and writes replies to what was
its stdout; whatever else it prints goes to stderr. When stdin ends, its parent is done or dead, and
it ends at once: a run continues from its last checkpoint.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import pickle
import queue
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from metaact.errors import DataError, named_reason, one_line_warnings
from metaact.runs import Run
from metaact.runs.strict_json import canonical, plain

from . import loop
from .experiment import Experiment, Planned, Prepared
from .job import Ended, Job, attempt
from .timing import estimate

logger = logging.getLogger(__name__)

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from metaact.experiments.worker import main; main()"
)
"""What the interpreter is told; PATH is the parent's `sys.path`, as JSON."""

TICK_SECONDS = 0.1
"""Progress is told no more often than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the data and the plan of a comparison are made again in another process.

    Attributes:
        place: Where the experiment is declared: "module:NAME".
        groups: The settings of the runs that share data, a mapping a run.
        root: Data root.
        device: Where to compute.
        given: What else `prepare` takes.
        checkpoint_seconds: Wall time between checkpoints.
        data: A hash of what the data of each group are.
        worker: What the worker is called where something goes wrong there.
    """

    place: str
    groups: tuple[tuple[Mapping[str, Any], ...], ...]
    root: Path | None
    device: str
    given: Mapping[str, Any]
    checkpoint_seconds: float
    data: tuple[str, ...]
    worker: str = "a worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A run of an order: its directory, those it starts from, and what the user calls it."""

    run: Run
    needs: tuple[Run, ...]
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Runs to be done.

    Attributes:
        group: Which group of the recipe they are of.
        items: The runs.
        timing: Whether only the time of the first is to be estimated.
    """

    group: int
    items: tuple[Item, ...]
    timing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How far an order is, or what became of it.

    Attributes:
        ticks: Steps since the last reply.
        at_once: Whether they passed at once, as they turned out to be needless.
        begins: Whether the data are there and the runs are begun now.
        ended: How the runs ended.
        seconds: How long the first run would take, where that was asked.
        is_last: Whether the order is carried out.
    """

    ticks: int = 0
    at_once: bool = False
    begins: bool = False
    ended: Sequence[Ended] = ()
    seconds: float | None = None
    is_last: bool = False


STOP = "stop"
"""In place of an order: save what is being done, between two of its steps, and end."""


def main() -> None:
    """Work until there is nothing more to do; see the module."""
    replies = os.fdopen(os.dup(1), "wb")
    orders = os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)  # what a user's code prints is no reply
    warnings.showwarning = one_line_warnings(lambda line: sys.stderr.write(f"{line}\n"))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    recipe: Recipe = pickle.load(orders)
    loop.CHECKPOINT_SECONDS = recipe.checkpoint_seconds
    _Worker(recipe, orders, replies).work()


class _Worker:
    def __init__(self, recipe: Recipe, orders: IO[bytes], replies: IO[bytes]) -> None:
        self.recipe = recipe
        self.replies = replies
        self.stopping, self.busy = threading.Event(), threading.Event()
        self.orders: queue.Queue[Order | None] = queue.Queue()
        self.prepared: dict[int, tuple[Prepared, dict[str, Planned]]] = {}
        threading.Thread(target=self._listen, args=(orders,), daemon=True).start()

    def _listen(self, orders: IO[bytes]) -> None:
        """Take in orders while others are carried out; the end of them is the end."""
        while True:
            try:
                order = pickle.load(orders)
            except (EOFError, OSError, pickle.UnpicklingError):
                os._exit(0)  # the parent is gone
            if order == STOP:
                self.stopping.set()
                if not self.busy.is_set():
                    os._exit(0)  # there is nothing to save
                order = None
            self.orders.put(order)

    def work(self) -> None:
        """Carry out orders until told to stop."""
        while (order := self.orders.get()) is not None and not self.stopping.is_set():
            try:
                self._send(self._carry_out(order))
            except loop.StoppedError:
                break
        self.replies.flush()
        os._exit(0)  # the listening thread cannot be ended

    def _carry_out(self, order: Order) -> Reply:
        try:
            jobs = self._jobs(order)
        except Exception as error:  # the data are gone, or a user's module cannot be imported
            logger.debug("while preparing the data", exc_info=True)
            reason = f"{named_reason(error)} (while {self.recipe.worker} prepared the data)"
            ended = [
                Ended(identity=item.run.identity, state="failed", reason=reason)
                for item in order.items
            ]
            return Reply(ended=ended, is_last=True)
        if order.timing:
            return Reply(seconds=estimate(jobs[0]), is_last=True)
        told = _Told(self._send, self.stopping)
        self._send(Reply(begins=True))
        self.busy.set()
        ended = attempt(jobs, told)
        self.busy.clear()
        told.flush()
        return Reply(ended=ended, is_last=True)

    def _jobs(self, order: Order) -> list[Job]:
        module, _, name = self.recipe.place.partition(":")
        experiment: Experiment = getattr(importlib.import_module(module), name)
        computes: Any = experiment.computes()
        if order.group not in self.prepared:
            recipe = self.recipe
            configs = [experiment.config(**values) for values in recipe.groups[order.group]]
            _one_thread()
            shared = computes.prepare(
                configs, root=recipe.root, device=recipe.device, **recipe.given
            )
            if hash_of(shared.data) != recipe.data[order.group]:
                raise DataError("the data are not those that the command read")
            planned = {_identity(one): one for one in computes.plan(configs, shared)}
            self.prepared[order.group] = shared, planned
        shared, planned = self.prepared[order.group]
        return [
            Job(
                planned=planned[item.run.identity],
                run=item.run,
                needs=item.needs,
                shared=shared,
                computes=computes,
                label=item.label,
            )
            for item in order.items
        ]

    def _send(self, reply: Reply) -> None:
        try:
            pickle.dump(reply, self.replies)
            self.replies.flush()
        except OSError:
            os._exit(0)  # the parent is gone


class _Told:
    """Tells the parent of progress, in portions; stops the run where it was told to stop."""

    def __init__(self, send: Callable[[Reply], None], stopping: threading.Event) -> None:
        self.send, self.stopping = send, stopping
        self.ticks, self.sent = 0, time.monotonic()

    def __call__(self, steps: int) -> None:
        if steps == 1:
            self.ticks += 1
        elif steps:
            self.flush()
            self.send(Reply(ticks=steps, at_once=True))
        if self.stopping.is_set():
            raise loop.StoppedError
        if time.monotonic() - self.sent > TICK_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.ticks:
            self.send(Reply(ticks=self.ticks))
        self.ticks, self.sent = 0, time.monotonic()


def hash_of(data: Mapping[str, Any]) -> str:
    """A hash of what is recorded of data: their files, their parts."""
    return hashlib.sha256(canonical(plain(data, "data"))).hexdigest()


def _identity(planned: Planned) -> str:
    """The name of a run, as its directory has it."""
    return Run(Path(), kind=planned.kind, name=planned.name, config=planned.identity).identity


def _one_thread() -> None:
    """The environment says so, too; not every build of PyTorch reads it."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
