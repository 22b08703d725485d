"""One run: its directory, its lock, and the way from start to result."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from filelock import FileLock, Timeout

from metaact.errors import LARGEST_FLOAT, RunError
from metaact.runs.atomic import make_folder, write_atomically

from . import checkpoint, config_file
from ._identity import identity
from .files import extend, remove_leftovers
from .strict_json import (
    Json,
    canonical,
    damaged,
    document,
    line,
    plain,
    read_document,
    read_lines,
    unreadable,
)

ENVIRONMENT, RESULT = "environment.json", "result.json"
METRICS, SCORES = "metrics.jsonl", "scores.jsonl"
LOCK = ".lock"

EPISODES = "episodes.jsonl"
"""Where version 0.1.0 kept the scores of test episodes."""

SEAL = "seal"
"""Field of `result.json` that says what belongs to it: its own hash and that of every record.

Earlier versions sealed the lengths of the records alone; such a run is read, and checked by them.
"""

SEALED = (config_file.NAME, ENVIRONMENT, METRICS, SCORES, checkpoint.WEIGHTS)
"""Files that nothing may change after the end; a checkpoint may be removed."""


class RunBusyError(RunError):
    """Another process works on this run."""


class Run:
    """One arm with one seed, kept in a directory; get one from `RunStore.open`.

    The way through it, which continues where a killed process stopped:

        with run.lock():
            run.start(environment)
            state = run.resume()
            for iteration in range(state["iteration"] if state else 0, iterations):
                run.append({"iteration": iteration, "loss": loss})
                run.checkpoint({"iteration": iteration + 1, "weights": weights})
            run.finish({"accuracy": accuracy}, scores)

    Everything that writes needs the lock; everything that reads does not.

    Attributes:
        directory: Where its files are, or will be.
        kind: Kind of experiment.
        name: Readable name, no part of the identity.
        config: Every field that makes the run what it is.
        about: What else is recorded of it and names nothing: the command that makes it ("command"),
            what it is scored by ("measure"), how many steps it takes ("length"), ...
        identity: 64 hex digits over kind and config.
    """

    def __init__(
        self,
        directory: Path,
        *,
        kind: str,
        name: str,
        config: Mapping[str, object],
        about: Mapping[str, object] | None = None,
    ) -> None:
        self.directory = directory
        self.kind = kind
        self.name = name
        self.config: dict[str, Any] = {key: plain(config[key], key) for key in config}
        self.about: dict[str, Any] = {
            key: plain(value, key) for key, value in (about or {}).items()
        }
        self.identity = identity(kind, self.config)
        self._locked = False
        self._pending: list[bytes] = []
        self._metrics_end: int | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r})"

    @property
    def is_complete(self) -> bool:
        """Whether `result.json` is there and readable."""
        try:
            self.result()
        except RunError:
            return False
        return True

    @property
    def is_started(self) -> bool:
        """Whether the directory holds this run's config."""
        return (self.directory / config_file.NAME).exists()

    @property
    def is_busy(self) -> bool:
        """Whether another process (or another `Run` in this one) holds the run."""
        return is_held(self.directory)

    @property
    def counter(self) -> str:
        """The entry of a record that counts its steps: "iteration" or "epoch", ..."""
        axis = self.about.get("measure", {}).get("axis", {})
        # Version 0.1.0 recorded no measure; its runs count iterations or epochs.
        return str(axis.get("key", "iteration" if "iterations" in self.config else "epoch"))

    @property
    def length(self) -> int | None:
        """How many steps it takes; None if that is not known."""
        found = self.about.get("length", self.config.get(f"{self.counter}s"))
        return found if isinstance(found, int) else None

    def steps(self, record: Mapping[str, Any]) -> float:
        """How many steps are done at a record.

        Raises:
            RunError: If the record does not say.
        """
        value = record.get(self.counter)
        if not _is_number(value):
            raise damaged(self.directory / METRICS, f"a record holds no {self.counter}")
        axis = self.about.get("measure", {}).get("axis", {})
        return value + 1 - int(axis.get("first", self.counter != "iteration"))

    def result(self) -> dict[str, Any]:
        """What `finish` was given.

        Raises:
            RunError: If the run is not complete, or its result or records are not as `finish`
                left them.
        """
        path = self.directory / RESULT
        if not path.exists():
            raise RunError(
                f"`{self.directory}` holds no result (the run is not complete); "
                "run the same command again to continue it."
            )
        result = read_document(path)
        seal = result.pop(SEAL, None)
        if not isinstance(seal, dict) or seal.get("sha256") != _hash(result):
            raise damaged(path, "it was changed after the end of the run")
        if "files" in seal:
            # The weights are large and seldom read: they are checked when they are.
            self._check_sealed(seal, (n for n in SEALED if n != checkpoint.WEIGHTS))
            return result
        scores = EPISODES if EPISODES in seal else SCORES
        for name in (METRICS, scores):
            if seal.get(name) != _length(self.directory / name):
                raise damaged(self.directory / name, "it was changed after the end of the run")
        return result

    @property
    def seal(self) -> str | None:
        """What the seal of a result holds of each record; None where there is no result.

        "hashes", or "lengths" where an earlier version wrote it: an edit of equal length is not
        noticed.

        Raises:
            RunError: If the result cannot be read.
        """
        path = self.directory / RESULT
        if not path.exists():
            return None
        return "hashes" if "files" in (read_document(path).get(SEAL) or {}) else "lengths"

    def environment(self) -> dict[str, Any]:
        """What `start` was given.

        Raises:
            RunError: If the run was never started or the file is damaged.
        """
        return read_document(self.directory / ENVIRONMENT)

    def scores(self) -> list[float]:
        """One score per test unit, or [] before the end and where they lie in the metrics.

        Raises:
            RunError: If the file is damaged.
        """
        new = (self.directory / SCORES).exists()
        path, key = self.directory / (SCORES if new else EPISODES), "score" if new else "accuracy"
        found = []
        for number, record in enumerate(read_lines(path, unfinished=False), start=1):
            value = record.get(key)
            if not _is_number(value):
                raise damaged(path, f"line {number} holds no {key}")
            found.append(float(value))
        return found

    def metrics(self) -> list[dict[str, Any]]:
        """The records appended so far; what a killed process left half-written is dropped.

        Raises:
            RunError: If the file is damaged.
        """
        unfinished = not (self.directory / RESULT).exists()
        return read_lines(self.directory / METRICS, unfinished=unfinished)

    def state(self) -> dict[str, Any] | None:
        """The last checkpoint's state on the CPU, or None; nothing is changed.

        Raises:
            RunError: If the checkpoint is damaged or belongs to another run.
        """
        path = self.directory / checkpoint.NAME
        return checkpoint.load(path, identity=self.identity)[0] if path.exists() else None

    @property
    def saved_at(self) -> int | None:
        """When the last checkpoint was written, in nanoseconds; None where there is none."""
        path = self.directory / checkpoint.NAME
        return path.stat().st_mtime_ns if path.exists() else None

    def weights(self) -> dict[str, Any]:
        """What `save_weights` was given, on the CPU.

        Raises:
            RunError: If the file is missing, damaged, or changed after the end of the run.
        """
        path = self.directory / RESULT
        seal = read_document(path).get(SEAL) if path.exists() else None
        if isinstance(seal, dict) and "files" in seal:
            self._check_sealed(seal, [checkpoint.WEIGHTS])
        return checkpoint.load_weights(self.directory / checkpoint.WEIGHTS)

    @contextlib.contextmanager
    def lock(self) -> Iterator[Run]:
        """Hold the run for this process; the system frees it when the process dies.

        Raises:
            RunBusyError: If another process (or another `Run` in this one) holds it.
            RunError: If the directory cannot be written.
        """
        make_folder(self.directory)
        lock = FileLock(self.directory / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise RunBusyError(
                f"`{self.directory}` is in use (another process works on this run); "
                "wait for it or stop it."
            ) from error
        except OSError as error:
            raise RunError(
                f"`{self.directory}` could not be locked ({error.strerror or error}); "
                "choose a results folder that can be written."
            ) from error
        self._locked = True
        try:
            remove_leftovers(self.directory)
            yield self
        finally:
            self._locked = False
            self._pending.clear()
            self._metrics_end = None
            lock.release()

    def start(self, environment: Mapping[str, object]) -> None:
        """Write `config.json` and `environment.json`; call it before every (re)start.

        Where the run continues in another environment, the earlier ones are kept under
        "earlier": a result of two machines says so.

        Raises:
            RunError: If the run is complete, was changed after its end, holds another config, or
                cannot be written.
            UsageError: If the environment is not strict JSON.
        """
        self._require_lock()
        if (self.directory / RESULT).exists():
            self.result()  # to go on with one that was changed would seal the change
            raise RunError(f"`{self.directory}` is complete; read it with `result()`.")
        self.check_config()
        now = {key: plain(environment[key], key) for key in environment}
        path = self.directory / ENVIRONMENT
        if self.is_started and path.exists():
            now = _with_earlier(now, read_document(path))
        write_atomically(path, document(now))
        if not self.is_started:
            stored = config_file.content(
                self.kind, self.name, self.identity, self.config, self.about
            )
            write_atomically(self.directory / config_file.NAME, stored)

    def check_config(self) -> None:
        """Compare the directory's config, if there is one, with this run's.

        Raises:
            RunError: If they differ, with the names of the fields, or if the file is damaged.
        """
        config_file.check(self.directory, self.kind, self.identity, self.config)

    def resume(self) -> dict[str, Any] | None:
        """The state to go on from, or None at the start; later metrics are cut off.

        Returns:
            What the last `checkpoint` was given, on the CPU.

        Raises:
            RunError: If the checkpoint or the metrics are damaged; the message says what to do.
        """
        self._require_lock()
        path, metrics = self.directory / checkpoint.NAME, self.directory / METRICS
        state, end = None, 0
        if path.exists():
            state, end = checkpoint.load(path, identity=self.identity)
        length = metrics.stat().st_size if metrics.exists() else 0
        if length < end:
            raise damaged(metrics, f"{length} bytes, {end} at the last checkpoint")
        self._pending.clear()
        self._metrics_end = extend(metrics, b"", at=end)
        return state

    def append(self, record: Mapping[str, object]) -> None:
        """Add a metrics record; it reaches the disk with the next `checkpoint` or `finish`.

        Raises:
            UsageError: If it is not strict JSON (see `runs.finite`).
            RunError: If the lock is not held.
        """
        self._require_lock()
        self._pending.append(line(plain(record, "record")))

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write the metrics, then the state, so that a kill at any moment loses neither.

        Args:
            state: Tensors, numbers, texts, None, and dicts, lists and tuples of these. To end
                bit for bit where an uninterrupted run would, it holds every generator's state.

        Raises:
            UsageError: If the state holds anything else.
            RunError: If it cannot be written, or `resume` was not called.
        """
        self._flush()
        path = self.directory / checkpoint.NAME
        checkpoint.save(path, state, identity=self.identity, metrics_bytes=self._require_resumed())

    def save_weights(self, state: Mapping[str, Any]) -> None:
        """Write a model's final `state_dict()` as a file that `torch.load` reads anywhere.

        It remembers the activation, if the run has one: two without parameters look alike.

        Raises:
            UsageError: If it holds anything but tensors and plain values.
            RunError: If it cannot be written, or the lock is not held.
        """
        self._require_lock()
        activation = self.config.get("activation")
        path = self.directory / checkpoint.WEIGHTS
        checkpoint.save_weights(path, state, activation=activation)

    def finish(self, result: Mapping[str, object], scores: Iterable[float] = ()) -> None:
        """Write the metrics, the scores, and last `result.json`: the run is complete.

        Args:
            result: What came out.
            scores: One per test unit, where they do not lie in the metrics.

        Raises:
            UsageError: If anything is not strict JSON; nothing is written then.
            RunError: If it cannot be written, or `resume` was not called.
        """
        content = {key: plain(result[key], f"result.{key}") for key in result}
        numbered = enumerate(scores)
        lines = b"".join(line(plain({"unit": n, "score": s}, "score")) for n, s in numbered)
        self._flush()
        write_atomically(self.directory / SCORES, lines)
        files: dict[str, Json] = {name: _digest(self.directory / name) for name in SEALED}
        seal: dict[str, Json] = {"sha256": _hash(content), "files": files}
        write_atomically(self.directory / RESULT, document({**content, SEAL: seal}))

    def _check_sealed(self, seal: Mapping[str, Any], names: Iterable[str]) -> None:
        files = seal["files"]
        for name in names:
            path = self.directory / name
            if not isinstance(files, dict) or files.get(name) != _digest(path):
                raise damaged(path, "it was changed after the end of the run")

    def _flush(self) -> None:
        end = self._require_resumed()
        path = self.directory / METRICS
        self._metrics_end = extend(path, b"".join(self._pending), at=end)
        self._pending.clear()

    def _require_lock(self) -> None:
        if not self._locked:
            raise RunError(f"`{self.directory}` must be locked before it is written: `run.lock()`.")

    def _require_resumed(self) -> int:
        self._require_lock()
        if self._metrics_end is None:
            raise RunError(f"`{self.directory}` must be resumed first: call `run.resume()`.")
        return self._metrics_end


def _hash(result: Mapping[str, Json]) -> str:
    return hashlib.sha256(canonical(dict(result))).hexdigest()


def _digest(path: Path) -> str | None:
    """Hash of a file; None if it is not there.

    Raises:
        RunError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number of the size of those that networks compute."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= LARGEST_FLOAT


def _length(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def is_held(directory: Path) -> bool:
    """Whether a process holds the lock of a run directory; nothing is created by asking."""
    path = directory / LOCK
    if not path.exists():
        return False
    probe = FileLock(path, timeout=0)
    try:
        probe.acquire()
    except Timeout:
        return True
    except OSError:
        return False  # who may not write here cannot tell; nor does it matter to a reader
    probe.release()
    return False


def _with_earlier(now: dict[str, Json], before: dict[str, Json]) -> dict[str, Json]:
    earlier = before.pop("earlier", [])
    if not isinstance(earlier, list):
        earlier = [earlier]
    if before != now:
        earlier = [*earlier, before]
    return {**now, "earlier": earlier} if earlier else now
