"""`config.json`: what a directory says it is, and whether that is what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from metaact.errors import RunError

from .strict_json import Json, document, read_document

NAME = "config.json"


def content(
    kind: str, name: str, identity: str, config: Mapping[str, Json], about: Mapping[str, Json]
) -> bytes:
    """The file's bytes.

    Args:
        kind: Kind of run.
        name: Readable name.
        identity: Hash over kind and config.
        config: Every field that makes the run what it is.
        about: What else is recorded of it: the command that makes it, its measure, ...
    """
    named: dict[str, Json] = {"kind": kind, "name": name, "identity": identity}
    return document({**named, "config": dict(config), **about})


def check(directory: Path, kind: str, identity: str, config: Mapping[str, Json]) -> None:
    """Compare a directory's config, if there is one, with the one asked for.

    Raises:
        RunError: If they differ, with the names of the fields, or if the file is damaged.
    """
    path = directory / NAME
    if not path.exists():
        return
    stored = read_document(path)
    found = list(_differences(stored.get("config"), dict(config), ""))
    named = {key: stored[key] for key in ("kind", "identity") if key in stored}
    found += _differences(named, {"kind": kind, "identity": identity}, "")
    if found:
        raise RunError(
            f"`{path}` must hold the config that its directory is named after; it differs: "
            f"{'; '.join(found[:5])}. Delete that directory or choose another results folder."
        )


def _differences(there: object, asked: object, where: str) -> Iterator[str]:
    """Name every field in which two JSON values differ, with both values."""
    if isinstance(there, dict) and isinstance(asked, dict):
        for key in sorted(there.keys() | asked.keys()):
            name = f"{where}.{key}" if where else key
            if key not in there:
                yield f"`{name}` is missing there"
            elif key not in asked:
                yield f"`{name}` is {there[key]!r} there and not asked for"
            else:
                yield from _differences(there[key], asked[key], name)
    elif type(there) is not type(asked) or there != asked:
        yield f"`{where or 'config'}` is {there!r} there, {asked!r} asked"
