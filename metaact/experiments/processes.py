"""Workers that do the runs of a sweep side by side, one thread each.

Those of this machine are processes, programs of their own and no forks: they share no state with
this process, so it matters neither what threads it has nor whether it holds a GPU, and a script
needs no guard around its main part. A worker is started when there is work for it, and lives as
long as there is more. Workers on other machines are in `cluster`.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from metaact.cores import LIBRARY_THREADS, THREADS
from metaact.errors import WARNING, one_line_warnings

from .pool import Batch, Finish, Tick
from .worker import PROGRAM, STOP, Item, Order, Recipe, Reply

STOP_SECONDS = 20.0
"""So long a worker may take to come to the end of a step and save it, when it is told to stop."""

LAST_LINES = 3
"""Of what a worker that died had written to stderr, so many lines are looked at."""


class Worker(Protocol):
    """One who does runs, somewhere, as the pool sees it.

    Attributes:
        batch: What it works on; empty if it is free.
        begun: Whether it has begun the runs of the batch: before, it loads the data.
    """

    batch: Batch
    begun: bool

    @property
    def is_free(self) -> bool:
        """Whether it lives and has nothing to do."""

    @property
    def is_waiting(self) -> bool:
        """Whether it has no place to work yet, which another may hold who is free."""

    def take(self, batch: Batch, order: Order) -> None:
        """Have it work on a batch."""

    def stop(self) -> None:
        """Have it save what it does at the end of the step, and end."""

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, at most so long."""

    def cause_of_death(self) -> str:
        """Why it died, in a few words."""

    def end(self) -> None:
        """End it now, if it has not ended."""


Events = queue.Queue[tuple[Worker, Reply | str | None]]
"""What workers tell: a reply, a line that they wrote to stderr, or None at their end."""

Start = Callable[[Events], Worker]
"""Starts a worker that tells of itself there."""


class WorkerPool:
    """Workers, each of whom does one batch at a time.

    Args:
        start: Starts one.
        size: How many there are at most.
        group_of: Which group of the recipe a job is of.
        tick: Told of progress.
        say: Told a line: what a worker wrote to stderr.
    """

    def __init__(
        self,
        start: Start,
        *,
        size: int,
        group_of: Callable[[Any], int],
        tick: Tick,
        say: Callable[[str], None],
    ) -> None:
        self.size = size
        self._start = start
        self._group_of = group_of
        self._tick, self._say = tick, say
        self._workers: list[Worker] = []
        self._events: Events = queue.Queue()
        self._said: set[str] = set()
        self._warn = one_line_warnings(say)

    def begin(self, batch: Batch, *, timing: bool = False) -> None:
        """Give a batch to a worker that has none; a new one is started if there is none."""
        items = tuple(Item(run=job.run, needs=job.needs, label=job.label) for job in batch)
        order = Order(group=self._group_of(batch[0]), items=items, timing=timing)
        worker = next((one for one in self._workers if one.is_free), None)
        if worker is None:
            worker = self._start(self._events)
            self._workers.append(worker)
        worker.take(batch, order)

    def wait(self) -> Finish:
        """Wait until a batch has ended or its worker died."""
        if any(one.is_waiting for one in self._workers):
            for free in [one for one in self._workers if one.is_free]:
                self._workers.remove(free)
                free.end()
        while True:
            worker, what = self._events.get()
            if isinstance(what, str):
                self._pass_on(what)
            elif what is None:
                self._workers = [one for one in self._workers if one is not worker]
                why = worker.cause_of_death()
                worker.end()
                if worker.batch:
                    return Finish(batch=worker.batch, died=why, begun=worker.begun)
            elif what.begins:
                worker.begun = True
            elif what.at_once:
                self._tick(worker.batch, what.ticks)
            elif not what.is_last:
                for _ in range(what.ticks):
                    self._tick(worker.batch, 1)
            else:
                batch, worker.batch = worker.batch, ()
                return Finish(batch=batch, ended=what.ended, seconds=what.seconds)

    def _pass_on(self, line: str) -> None:
        """Every worker says, and warns of, the same things: once is enough."""
        if line.startswith(WARNING):
            self._warn(line.removeprefix(WARNING))
        elif line.strip() and line not in self._said:
            self._said.add(line)
            self._say(line)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *raised: object) -> None:
        """End the workers; where something was raised, what they are doing is saved first."""
        try:
            if raised and raised[0] is not None and any(one.batch for one in self._workers):
                self._stop()
        finally:
            for worker in self._workers:
                worker.end()

    def _stop(self) -> None:
        self._say("stopping: each run is saved at the end of its step; Ctrl-C again stops at once")
        for worker in self._workers:
            worker.stop()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            worker.wait(max(0.0, deadline - time.monotonic()))


def on_this_machine(recipe: Recipe) -> Start:
    """Starts workers that are processes of this machine.

    Args:
        recipe: How they make the data and the plan.
    """
    content = pickle.dumps(recipe)
    return lambda events: Process(content, events)


class Process:
    """A worker process of this machine, as its parent sees it; see `Worker`.

    Args:
        recipe: How it makes the data and the plan, pickled.
        events: What it tells.
    """

    is_waiting = False

    def __init__(self, recipe: bytes, events: Events) -> None:
        one = dict.fromkeys((THREADS, *LIBRARY_THREADS), "1")
        with _interrupts_held_back():
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **one},
            )
        self.batch: Batch = ()
        self.begun = False
        self._events = events
        self._last: list[str] = []
        self._errors = threading.Thread(target=self._read_errors, daemon=True)
        self._replies = threading.Thread(target=self._read_replies, daemon=True)
        self._errors.start()
        self._replies.start()
        self._write(recipe)

    @property
    def is_free(self) -> bool:
        """Whether it lives and has nothing to do."""
        return not self.batch and self.process.poll() is None

    def take(self, batch: Batch, order: Order) -> None:
        """Have it work on a batch."""
        self.batch, self.begun = batch, False
        self.send(order)

    def stop(self) -> None:
        """Have it save what it does at the end of the step, and end."""
        self.send(STOP)

    def send(self, what: object) -> None:
        """Send an order; that it died is noticed where its replies are read."""
        self._write(pickle.dumps(what))

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, at most so long."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def _write(self, content: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):
            self.process.stdin.write(content)
            self.process.stdin.flush()

    def _read_replies(self) -> None:
        assert self.process.stdout is not None
        while True:
            try:
                reply: Reply = pickle.load(self.process.stdout)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                break
            self._events.put((self, reply))
        self._events.put((self, None))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for row in self.process.stderr:
            line = row.decode(errors="replace").rstrip()
            self._last = [*self._last, line][-LAST_LINES:]
            self._events.put((self, line))

    def cause_of_death(self) -> str:
        """Why it died, in a few words."""
        code = self.process.wait()
        self._errors.join(1.0)
        if code >= 0:
            last = next((line for line in reversed(self._last) if line.strip()), "")
            return f"exit code {code}{': ' if last else ''}{last}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        if name == "SIGKILL":
            return "SIGKILL, which the system sends when memory runs out: try fewer --workers"
        return name

    def end(self) -> None:
        """End it now, if it has not ended."""
        self.process.kill()
        self.process.wait()
        with suppress(OSError):  # what could not be written any more
            if self.process.stdin is not None:
                self.process.stdin.close()
        readers = (self._replies, self.process.stdout), (self._errors, self.process.stderr)
        for reader, stream in readers:
            reader.join(1.0)
            if stream is not None and not reader.is_alive():
                stream.close()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C reaches every process of the terminal: a worker that starts here never sees it.

    It is its parent that tells it to stop. Here, Ctrl-C is only late.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def group_of(shared: Sequence[object]) -> Callable[[Any], int]:
    """Finds the group of a job by the data that it shares."""
    numbers = {id(one): number for number, one in enumerate(shared)}
    return lambda job: numbers[id(job.shared)]
