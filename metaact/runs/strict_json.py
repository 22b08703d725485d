"""Strict JSON: what may stand in a run's files, and how it is written and read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from metaact.errors import UNREADABLE, RunError, UsageError, reason_of

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What strict JSON can hold: no NaN, no infinity, no other type."""


def plain(value: object, where: str) -> Json:
    """Return `value` as strict JSON: tuples become lists, nothing else is converted.

    Args:
        value: Nested mappings, lists, tuples, strings, numbers, booleans and None.
        where: Name of the value, for messages.

    Returns:
        A fresh structure of dicts and lists.

    Raises:
        UsageError: If it holds NaN, an infinity, a key that is no string, or another type.

    Examples:
        >>> plain({"steps": (1, 5)}, "config")
        {'steps': [1, 5]}
    """
    if value is None or isinstance(value, bool | str):
        return value
    if type(value) is int:
        return value
    if type(value) is float:
        if math.isfinite(value):
            return value
        raise UsageError(
            f"`{where}` must be finite (JSON has no NaN or infinity; pass it through "
            f"`runs.finite` and record an outcome); got {value!r}."
        )
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_key(key, where): plain(item, f"{where}.{key}") for key, item in value.items()}
    raise UsageError(
        f"`{where}` must be JSON: None, bool, int, float, str, a list or a mapping "
        f"(call float() or .tolist() on numbers of other libraries); got {type(value).__name__}."
    )


def _key(key: object, where: str) -> str:
    if isinstance(key, str):
        return key
    raise UsageError(f"`{where}` must have text keys (JSON has no others); got {key!r}.")


def finite(value: object) -> object:
    """Return `value` with every NaN and infinity, at any depth, replaced by None.

    A diverged run is recorded, not hidden: write the record through this function and state what
    happened in a field of its own.

    Examples:
        >>> record = {"iteration": 7, "loss": float("nan"), "outcome": "diverged"}
        >>> finite(record)
        {'iteration': 7, 'loss': None, 'outcome': 'diverged'}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def canonical(value: Json) -> bytes:
    """The one spelling of `value` that is hashed: sorted keys, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def document(value: Json) -> bytes:
    """`value` as a readable file."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode("ascii")


def line(value: Json) -> bytes:
    """`value` as one line of a `.jsonl` file."""
    return (json.dumps(value, allow_nan=False) + "\n").encode("ascii")


def read_document(path: Path) -> dict[str, Any]:
    """Read a `.json` file that holds one object.

    Raises:
        RunError: If it is missing, unreadable or anything else.
    """
    try:
        value = json.loads(path.read_bytes(), parse_constant=_no_number, parse_float=_finite)
    except OSError as error:
        raise unreadable(path, error) from error
    except UNREADABLE as error:
        raise damaged(path, reason_of(error)) from error
    if not isinstance(value, dict):
        raise damaged(path, "it does not hold a JSON object")
    return value


def read_lines(path: Path, *, unfinished: bool) -> list[dict[str, Any]]:
    """Read a `.jsonl` file of objects; a missing file holds none.

    Args:
        path: The file.
        unfinished: Whether a last line without its end is dropped (a killed writer leaves one).

    Raises:
        RunError: If a line is no JSON object.
    """
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    except OSError as error:
        raise unreadable(path, error) from error
    rest = lines.pop()
    if rest and not unfinished:
        raise damaged(path, "its last line is cut off")
    records = _all_at_once(lines)
    if records is None:
        records = [_record(path, number, text) for number, text in enumerate(lines, start=1)]
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise damaged(path, f"line {number} does not hold a JSON object")
    return records


def _all_at_once(lines: list[bytes]) -> list[Any] | None:
    """The lines' values by one call of the parser, several times faster; None if they have none."""
    try:
        values: list[Any] = json.loads(b"[" + b",".join(lines) + b"]", parse_constant=_no_number)
    except UNREADABLE:
        return None
    return values if len(values) == len(lines) else None


def _record(path: Path, number: int, text: bytes) -> object:
    try:
        return json.loads(text, parse_constant=_no_number)
    except UNREADABLE as error:
        raise damaged(path, f"line {number}: {reason_of(error)}") from error


def _no_number(name: str) -> None:
    """Refuse what Python's parser takes beyond JSON."""
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    """Refuse a number that is too large to be one here."""
    if math.isinf(number := float(text)):
        raise ValueError(f"{text} is too large")
    return number


def unreadable(path: Path, error: OSError) -> RunError:
    """The error for a file or folder of a run that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return damaged(path, "it is not there")
    return RunError(
        f"`{path}` could not be read ({error.strerror or error}); it must be a file or folder that "
        "you may read."
    )


def damaged(path: Path, reason: str) -> RunError:
    """The error for a file of a run that cannot be used; it says how to repair the run."""
    return RunError(
        f"`{path}` is damaged ({reason}); delete the directory `{path.parent}` "
        "and run the same command again."
    )
