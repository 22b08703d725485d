"""Workers on the nodes of a Ray cluster, one core each (or one GPU).

A node that sees the store (a shared file system) writes the runs there itself, under their locks,
as a process of this machine does. To another the runs are lent: they stay locked here while it
makes them in a store of its own, and their files come back, `result.json` last. How a node knows:
it looks for a file that was just written into the store.
"""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import queue
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from metaact import __version__
from metaact.errors import (
    MetaactError,
    MissingDependencyError,
    RunError,
    UsageError,
    named_reason,
    reason_of,
)
from metaact.runs import Run, RunBusyError
from metaact.runs.atomic import make_folder, write_atomically
from metaact.tasks import data_root

from . import node
from .job import Ended
from .pool import Batch
from .processes import Events
from .worker import Item, Order, Recipe, Reply

CONNECT_SECONDS = 10.0
"""So long a machine may take to answer at all."""

TRIAL = "import logging, sys, ray; ray.init(address=sys.argv[1], logging_level=logging.ERROR)"
"""A program that connects to a cluster."""

TRIAL_SECONDS = 45.0
"""So long it may take."""

PATIENCE_SECONDS = 10.0
"""A worker that has no place by then says that it waits for one."""

MOST_PLACES = 5
"""So many places may be lost before a worker has begun."""

SYNC_SECONDS = 60.0
"""What a node does in a store of its own is brought back so often: what its loss can cost."""

CLOSE_SECONDS = 10.0
"""So long a node may take to put away what it had."""

ALLOWED = "HOST:PORT of a cluster that this machine is a node of, ray://HOST:PORT, or auto"


class Cluster:
    """A Ray cluster, and what its nodes must know to make the runs of a comparison.

    Args:
        address: Where it is, as `ray.init` takes it.
        recipe: How a worker makes the data and the plan.
        store: Where the runs belong.

    Attributes:
        ray: The library.
        address: As given.
        size: How many workers it has room for, now.
        node: Makes a place on a node.
        lost: What is raised where a node is lost.

    Raises:
        MissingDependencyError: If Ray is not installed.
        UsageError: If there is no such cluster.
    """

    def __init__(self, address: str, recipe: Recipe, *, store: Path) -> None:
        self.address = address
        self.ray = _ray()
        self.store = store.absolute()
        on_gpu = recipe.device.startswith("cuda")
        # A node shows a worker its own GPU alone.
        self._recipe = replace(recipe, device="cuda") if on_gpu else recipe
        self._root = str(data_root(recipe.root).absolute())
        self._token: Path | None = None
        self._lock = threading.Lock()
        self._mine = not self.ray.is_initialized()
        if self._mine:
            _connect(self.ray, address)
        self.size = int(self.ray.cluster_resources().get("GPU" if on_gpu else "CPU", 0))
        self.ray.cloudpickle.register_pickle_by_value(node)
        remote = self.ray.remote(num_cpus=1, num_gpus=int(on_gpu), max_concurrency=4)
        self.node: Any = remote(node.Node)
        self.lost = self.ray.exceptions.RayError, ConnectionError

    def start(self, events: Events) -> Remote:
        """Start a worker as soon as there is room for it."""
        return Remote(self, events)

    def settle(self, actor: Any) -> str:
        """Start the worker of a node that has what it needs; returns the node's name.

        Raises:
            RunError: If the figures of that node would not be those of this machine.
        """
        get = self.ray.get
        here = [str(Path(place).absolute()) for place in sys.path]
        there = get(actor.look.remote(path=here, folder=str(Path.cwd()), root=self._root))
        name = str(there["name"])
        check_versions(name, there["versions"])
        root = Path(self._root) if there["root"] else None
        get(
            actor.start.remote(
                pickle.dumps(replace(self._recipe, root=root, worker=f"node {name}"))
            )
        )
        return name

    def is_shared_with(self, actor: Any) -> bool:
        """Whether a node sees the store."""
        with self._lock:
            if self._token is None:
                make_folder(self.store)
                content = uuid.uuid4().hex
                self._token = self.store / f".cluster-{content}"
                write_atomically(self._token, content.encode())
        content = self._token.name.removeprefix(".cluster-")
        return bool(self.ray.get(actor.sees.remote(str(self._token), content)))

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *raised: object) -> None:
        """Leave the cluster."""
        if self._token is not None:
            with suppress(OSError):
                self._token.unlink()
        if self._mine:
            self.ray.shutdown()


class Remote:
    """A worker on a node, as the pool sees it; see `processes.Worker`.

    One thread here waits for the node and speaks with it.
    """

    def __init__(self, cluster: Cluster, events: Events) -> None:
        self.batch: Batch = ()
        self.begun = False
        self._cluster, self._events = cluster, events
        self._get = cluster.ray.get
        self._actor = cluster.node.remote()
        self._orders: queue.Queue[Order | None] = queue.Queue()
        self._name = self._why = ""
        self._ending = False
        self._fault: MetaactError | None = None
        self._sent: set[str] = set()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def is_free(self) -> bool:
        """Whether it lives and has nothing to do."""
        return not self.batch and self._thread.is_alive()

    @property
    def is_waiting(self) -> bool:
        """Whether no node has room for it yet."""
        return bool(self.batch) and not self._name

    def take(self, batch: Batch, order: Order) -> None:
        """Have it work on a batch."""
        self.batch, self.begun = batch, False
        self._orders.put(order)

    def stop(self) -> None:
        """Have it save what it does at the end of the step, and end."""
        if self.batch and self._name:
            self._actor.stop.remote()
        elif self.batch:
            self._kill()
        else:
            self._orders.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, at most so long."""
        self._thread.join(seconds)

    def cause_of_death(self) -> str:
        """Why it died, in a few words.

        Raises:
            MetaactError: If no other on that node could do better.
        """
        if self._fault is not None:
            raise self._fault
        return self._why

    def end(self) -> None:
        """End it now, if it has not ended."""
        if self.batch:
            self._kill()
        self._orders.put(None)
        self._thread.join(CLOSE_SECONDS)
        self._kill()

    def _kill(self) -> None:
        self._ending = True
        with suppress(*self._cluster.lost):
            self._cluster.ray.kill(self._actor)

    def _work(self) -> None:
        lost = self._cluster.lost
        try:
            self._find_place()
            while (order := self._orders.get()) is not None and self._carry_out(order):
                pass
        except MetaactError as error:
            self._fault = error
        except lost:
            logging.getLogger(__name__).debug("%s", self._name, exc_info=True)
            self._why = f"{self._name or 'its node'} was lost"
        except Exception as error:  # noqa: BLE001  # else the sweep would wait for it for ever
            where = self._name or self._cluster.address
            self._fault = RunError(f"{where} could not be worked with ({named_reason(error)}).")
        else:
            with suppress(*lost):
                self._get(self._actor.close.remote(), timeout=CLOSE_SECONDS)
        self._events.put((self, None))

    def _find_place(self) -> None:
        """Start a worker on a node; it takes a while until a lost one is no longer chosen."""
        for left in reversed(range(MOST_PLACES)):
            try:
                ready = self._actor.__ray_ready__.remote()
                while not self._cluster.ray.wait([ready], timeout=PATIENCE_SECONDS)[0]:
                    self._tell(f"no node of {self._cluster.address} has room for a worker; waiting")
                self._get(ready)
                self._name = f"node {self._cluster.settle(self._actor)}"
                return
            except self._cluster.lost:
                if self._ending or not left:
                    raise
                self._actor = self._cluster.node.remote()

    def _tell(self, what: Reply | str) -> None:
        self._events.put((self, what))

    def _carry_out(self, order: Order) -> bool:
        """Have an order carried out; whether the worker is there for another."""
        # Where times alone are asked for, nothing is written to the store.
        shared = not order.timing and self._cluster.is_shared_with(self._actor)
        with ExitStack() as held:
            ended: list[Ended] = []
            if shared:
                order = _in(self._cluster.store, order)
            else:
                order, ended = self._lend(order, held)
            lent = [] if shared or order.timing else [item.run for item in order.items]
            last = self._follow(order, lent) if order.items else Reply(is_last=True)
            self._bring_back(lent)
        if last is None:
            self._why = f"{self._get(self._actor.cause_of_death.remote())} on {self._name}"
            return False
        self._tell(replace(last, ended=[*ended, *last.ended]))
        return True

    def _follow(self, order: Order, lent: Sequence[Run]) -> Reply | None:
        """Pass on what is told of an order; the last of it, None if the worker died."""
        self._get(self._actor.send.remote(order))
        synced = time.monotonic()
        while True:
            for what in self._get(self._actor.poll.remote()):
                if what is None or (isinstance(what, Reply) and what.is_last):
                    return what
                self._tell(what)
            if time.monotonic() - synced > SYNC_SECONDS:
                self._bring_back(lent)
                synced = time.monotonic()

    def _lend(self, order: Order, held: ExitStack) -> tuple[Order, list[Ended]]:
        """Lock the runs here and send what is known of them, and what they start from."""
        items: list[Item] = []
        ended: list[Ended] = []
        wanted: dict[str, Path] = {}
        for item in order.items:
            identity = item.run.identity
            if not order.timing:
                try:
                    held.enter_context(item.run.lock())
                except RunBusyError:
                    ended.append(Ended(identity=identity, state="busy"))
                    continue
                if item.run.is_complete:
                    ended.append(Ended(identity=identity, state="done"))
                    continue
                wanted[_place(item.run)] = item.run.directory
            for need in item.needs:
                if need.identity not in self._sent and need.is_complete:
                    self._sent.add(need.identity)
                    wanted[_place(need)] = need.directory
            items.append(item)
        files = node.read(self._cluster.store, wanted)
        store = self._get(self._actor.receive.remote(files))
        return _in(Path(store), replace(order, items=tuple(items))), ended

    def _bring_back(self, runs: Sequence[Run]) -> None:
        """Put what a node has of runs that are lent to it where it belongs."""
        if runs:
            files = self._get(self._actor.collect.remote([_place(run) for run in runs]))
            put(files, self._cluster.store)


def put(files: Mapping[str, bytes], store: Path) -> None:
    """Write the files of runs into a store, so that a kill at any moment loses nothing.

    Records come before the checkpoint that counts them, and all before the result.

    Args:
        files: By their path in the store.
        store: Its folder.

    Raises:
        RunError: If one cannot be written.
    """
    late = [node.SECOND, node.FIRST]

    def order(name: str) -> int:
        file = Path(name).name
        return late.index(file) + 1 if file in late else 0

    for name in sorted(files, key=order):
        write_atomically(store / name, files[name])


def check_versions(name: str, there: Mapping[str, str | None]) -> None:
    """Refuse a node whose figures might not be those of this machine.

    Args:
        name: What it is called.
        there: What is installed on it.

    Raises:
        RunError: If anything is missing or another version.
    """
    here = node.versions()
    for package, version in here.items():
        found = there.get(package)
        if found == version:
            continue
        if package == "metaact":
            what = f"no metaact that its Python finds, and needs {__version__}"
            if found is not None:
                what = f"another metaact than this machine's {__version__} (its code differs)"
        else:
            what = f"{package} {found or 'not at all'} where this machine has {version}"
        raise RunError(
            f"node {name} of the cluster has {what}: figures could depend on where a run is made; "
            "install the same on all nodes."
        )


def _place(run: Run) -> str:
    """Where a run lies in any store."""
    return f"{run.kind}/{run.directory.name}"


def _in(store: Path, order: Order) -> Order:
    """The order, its runs in another store."""

    def moved(run: Run) -> Run:
        directory = store / _place(run)
        return Run(directory, kind=run.kind, name=run.name, config=run.config, about=run.about)

    items = (
        replace(item, run=moved(item.run), needs=tuple(map(moved, item.needs)))
        for item in order.items
    )
    return replace(order, items=tuple(items))


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingDependencyError(
            f"`ray` needs Ray ({error}); install it by: pip install 'metaact[ray]'"
        ) from error


def _connect(ray: Any, address: str) -> None:
    """Connect to a cluster, unless none answers there.

    Ray itself tries for minutes, and then ends the program: the first to try is another.
    """
    found = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    parts = re.fullmatch(r"(ray://)?\[?([^/\[\]]+?)\]?:(\d{1,5})", found)
    if parts is None and found != "auto":
        raise UsageError(f"`ray` must be {ALLOWED}; got {address!r}.")
    try:
        if parts is not None:
            with socket.create_connection((parts[2], int(parts[3])), CONNECT_SECONDS):
                pass
        if parts is not None and not parts[1]:
            words = [sys.executable, "-c", TRIAL, found]
            subprocess.run(words, check=True, capture_output=True, timeout=TRIAL_SECONDS)
        ray.init(address=found, log_to_driver=False, logging_level=logging.ERROR)
    except (subprocess.SubprocessError, SystemExit) as error:
        raise UsageError(
            f"`ray` must be {ALLOWED}; what answers at {address!r} is none, or of another version."
        ) from error
    except Exception as error:  # Ray has errors of many kinds
        raise UsageError(
            f"`ray` must be {ALLOWED}; {address!r} could not be reached ({_short(error)})."
        ) from error
    # It would report the loss of a node in twenty lines, on stdout.
    sys.modules["ray._private.worker"].__dict__["_worker_logs_enabled"] = False


def _short(error: BaseException) -> str:
    """The first sentence of what Ray says."""
    return re.split(r"(?<=[a-z])[.:] ", reason_of(error), maxsplit=1)[0].rstrip(".")
