"""A folder of runs: opening one by its config, reading all of them back."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaact.display import brief
from metaact.errors import RunError, UsageError

from ._identity import SHORT, check_kind, folder_name, identity
from .config_file import NAME as CONFIG
from .form import ABOUT, Fields
from .run import ENVIRONMENT, RESULT, Run
from .strict_json import damaged, read_document, unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A directory that cannot be read as a run.

    Attributes:
        directory: Which.
        reason: One sentence: what is wrong and how to fix it.
    """

    directory: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a store holds.

    Attributes:
        runs: Complete and incomplete runs, by kind and directory name.
        damaged: What could not be read; a caller must show it.
    """

    runs: tuple[Run, ...]
    damaged: tuple[Damaged, ...]

    def __repr__(self) -> str:
        return brief(self, runs=len(self.runs), damaged=len(self.damaged))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A run and what it wrote.

    Attributes:
        run: The run.
        environment: With what it was computed.
        result: What it finished with; None before the end.
        metrics: Its records so far.
        scores: One per test unit; [] before the end, and where they lie in the records.
    """

    run: Run
    environment: dict[str, Any]
    result: dict[str, Any] | None
    metrics: list[dict[str, Any]]
    scores: list[float]


Check = Callable[[Reading], object]
"""Refuses a run that holds something else than it should, by a `RunError`."""


class RunStore:
    """A folder of runs, `<path>/<kind>/<name>-<first 10 hex of the identity>/`.

    Nothing is created before the first write.

    Args:
        path: The folder; it need not exist.

    Raises:
        UsageError: If the path is a file or is itself a run.

    Examples:
        >>> run = RunStore("results").open(kind="maml", name="arelu-seed0", config={"seed": 0})
        >>> run.directory.name
        'arelu-seed0-8067e3d18c'
        >>> run.is_complete
        False
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            _check_place(self.path)
        except OSError as error:
            raise RunError(
                f"`{self.path}` could not be read ({error.strerror or error}); "
                "choose another results folder."
            ) from error

    def __repr__(self) -> str:
        return f"RunStore({str(self.path)!r})"

    def open(
        self,
        *,
        kind: str,
        name: str,
        config: Mapping[str, object],
        about: Mapping[str, object] | None = None,
    ) -> Run:
        """Return the run of this config, new, unfinished or complete.

        Args:
            kind: Kind of experiment ("maml"): lower-case letters, digits, hyphens.
            name: Readable name ("arelu-seed0"); no part of the identity.
            config: Every field that the result depends on, the seed included; leave out the
                device and paths.
            about: What else is recorded of a new run and names nothing: the command that makes it,
                what it is scored by. One that is there keeps what it recorded.

        Raises:
            UsageError: If the kind or the config cannot be stored.
            RunError: If the directory holds another config (it was edited), with the fields.
        """
        digest = identity(check_kind(kind), config)
        directory = self.path / kind / folder_name(name, digest)
        run = Run(directory, kind=kind, name=name, config=config, about=about)
        run.check_config()
        return run

    def check_writable(self) -> None:
        """Refuse a folder in which nothing can be written, before any work for it; none is made.

        Raises:
            UsageError: If it is one.
        """
        place = next(p for p in (self.path, *self.path.absolute().parents) if p.is_dir())
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            raise UsageError(
                f"`store` must be a folder for results that can be written ({error.strerror}); "
                f"got {str(self.path)!r}."
            ) from error

    def runs(self, kind: str | None = None) -> list[Run]:
        """All runs, complete and incomplete, by kind and directory name.

        Raises:
            RunError: If any directory is damaged, naming each; `scan` reads past them.
        """
        listing = self.scan(kind)
        if listing.damaged:
            raise RunError(" ".join(item.reason for item in listing.damaged))
        return list(listing.runs)

    def scan(
        self,
        kind: str | None = None,
        *,
        records: bool = True,
        check: Check = lambda found: None,
    ) -> Listing:
        """All runs, and beside them every directory that cannot be read as one.

        A run directory is one that holds `config.json` or is named like one; a run that was
        locked but never started holds nothing and is left out. A run whose records cannot be read
        is damaged, too.

        Args:
            kind: Only these.
            records: Whether what each run wrote is read and checked; if not, the caller does.
            check: What it refuses of that is damaged.
        """
        runs, broken = [], []
        for directory in self.directories(kind):
            try:
                run = read_run(directory)
                if records:
                    check(read_written(run))
                runs.append(run)
            except RunError as error:
                broken.append(Damaged(directory=directory, reason=str(error)))
        return Listing(runs=tuple(runs), damaged=tuple(broken))

    def directories(self, kind: str | None = None) -> Iterator[Path]:
        """The run directories, readable as such or not, by kind and name."""
        kinds = [self.path / kind] if kind is not None else sorted(_folders(self.path))
        for folder in kinds:
            yield from (place for place in sorted(_folders(folder)) if looks_like_run(place))


def is_named_like_run(directory: Path) -> bool:
    """Whether the name ends with the beginning of an identity."""
    return re.search(rf"-[0-9a-f]{{{SHORT}}}$", directory.name) is not None


def looks_like_run(directory: Path) -> bool:
    """Whether it holds `config.json`, or is named like a run and not empty."""
    try:
        if (directory / CONFIG).exists():
            return True
        named = is_named_like_run(directory)
        return named and any(not path.name.startswith(".") for path in directory.iterdir())
    except OSError:
        return True  # it may be one: whoever reads it says why it cannot be read


def read_checked(directory: Path) -> Reading:
    """Read one run back with its result, if it has one, and its records.

    Raises:
        RunError: If anything is missing, damaged or edited.
    """
    return read_written(read_run(directory))


def read_written(run: Run) -> Reading:
    """Read what a run wrote: its result, if it has one, and its records.

    Raises:
        RunError: If anything is missing, damaged or edited.
    """
    ended = (run.directory / RESULT).exists()
    return Reading(
        run=run,
        environment=run.environment(),
        result=run.result() if ended else None,
        metrics=run.metrics(),
        scores=run.scores() if ended else [],
    )


def read_run(directory: str | Path) -> Run:
    """Read one run back from its directory.

    Raises:
        RunError: If its config is missing, damaged or edited.
    """
    directory = Path(directory)
    path = directory / CONFIG
    try:
        there = path.is_file()
    except OSError as error:
        raise unreadable(directory, error) from error
    if not there:
        raise RunError(f"`{directory}` is no run directory (it holds no {CONFIG}).")
    stored = read_document(path)
    kind, name, config = (stored.get(key) for key in ("kind", "name", "config"))
    if not (isinstance(kind, str) and isinstance(name, str) and isinstance(config, dict)):
        raise RunError(
            f"`{directory}` is no run of metaact (its {CONFIG} must hold kind, name and config); "
            "move it out of the results folder."
        )
    aside = {"kind", "name", "identity", "config"}
    about = {key: value for key, value in stored.items() if key not in aside}
    if fault := Fields(may=ABOUT).fault(about, ""):
        raise damaged(path, fault)
    run = Run(directory, kind=kind, name=name, config=config, about=about)
    run.check_config()
    return run


def _check_place(path: Path) -> None:
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise UsageError(
                f"`path` must be a folder for results; got {str(path)!r}, and {place} is a file."
            )
        if (place / CONFIG).exists() and (place / ENVIRONMENT).exists():
            which = "itself one run" if place == path else f"inside one run, {place}"
            raise UsageError(
                f"`path` must be a folder of runs; got {str(path)!r}, which is {which}. "
                f"Name its results folder, {str(place.parent.parent)!r}, or another."
            )


def _folders(path: Path) -> list[Path]:
    """The folders in `path`; none where it is not there.

    Raises:
        RunError: If it may not be read.
    """
    try:
        return [place for place in path.iterdir() if place.is_dir()] if path.is_dir() else []
    except OSError as error:
        raise unreadable(path, error) from error
