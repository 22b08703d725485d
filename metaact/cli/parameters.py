"""Kinds of option values: lists of numbers and of names, rates per layer, grids, paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from metaact.settings import split_list


class Several(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.3 on only
    """A comma-separated list of numbers, as a tuple.

    Args:
        kind: `int` or `float`.
    """

    name = "numbers"

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.name = f"{kind.__name__},..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Parse "1e-4,1e-5"; a number or a list (from a config file) is taken as it is."""
        if value == ():
            return ()  # a default: none are given
        values = value if isinstance(value, list | tuple) else split_list(str(value))
        try:
            numbers: tuple[Any, ...] = tuple(self.kind(v) for v in values)
        except ValueError:
            what = "whole numbers" if self.kind is int else "numbers"
            self.fail(f"expected {what} separated by commas; got {value!r}.", param, ctx)
        if not numbers:
            self.fail(f"expected at least one number; got {value!r}.", param, ctx)
        return tuple(dict.fromkeys(numbers))


class Names(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.3 on only
    """A comma-separated list of names, as a tuple; commas inside brackets do not split."""

    name = "name,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Parse "arelu,relu"; a list (from a config file) is taken as it is."""
        names = value if isinstance(value, list | tuple) else split_list(str(value))
        if not names:
            self.fail("expected at least one name; got none.", param, ctx)
        return tuple(dict.fromkeys(str(name) for name in names))


class LayerRates(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.3 on only
    """`head=1e-3,activations=1e-4`, or a table in a config file, as pairs."""

    name = "layer=rate,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, float], ...]:
        """Parse the pairs, in their order: the first that fits a parameter wins."""
        if isinstance(value, tuple):
            return value
        if isinstance(value, dict):
            pairs = [(str(layer), str(rate)) for layer, rate in value.items()]
        else:
            cut = [part.rpartition("=") for part in split_list(str(value))]
            pairs = [(layer.strip(), rate) for layer, _, rate in cut]
        try:
            rates = tuple((layer, float(rate)) for layer, rate in pairs)
        except ValueError:
            self.fail(f"expected layer=rate separated by commas; got {value!r}.", param, ctx)
        if not rates or not all(layer for layer, _ in rates):
            self.fail(f"expected layer=rate separated by commas; got {value!r}.", param, ctx)
        return rates


class Grid(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.3 on only
    """`rate=value,value,rate=value`, or a table in a config file: read by the verb.

    Which rates there are is the verb's to know, so the text or the table is kept as it is.
    """

    name = "rate=value,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | dict[str, object]:
        """Keep what was written."""
        return value if isinstance(value, dict) else str(value)


class Folder(click.Path):
    """A folder, which need not exist."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse an empty text, which would mean the current folder, and a path below a file."""
        path = Path(_path_text(self, value, param, ctx))
        for place in (path, *path.parents):
            if place.exists() and not place.is_dir():
                self.fail(
                    f"expected a folder; got {str(path)!r}, and {place} is a file.", param, ctx
                )
        return path


class FileStem(click.Path):
    """Where to write files, without their suffix."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse what has no last part that files could be named after."""
        path = Path(_path_text(self, value, param, ctx))
        if path.name in ("", ".."):
            self.fail(f"expected a file name without suffix; got {str(value)!r}.", param, ctx)
        return path


class Place(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.3 on only
    """A name or a path, as a text."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no system takes for a path; an empty text is left to who reads it."""
        return _fitting(self, str(value), param, ctx)


class File(click.Path):
    """A file that is there."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse what no system takes for a path, and what is no file."""
        path = Path(_path_text(self, value, param, ctx))
        super().convert(str(path), param, ctx)
        return path


class Runs(click.Path):
    """A folder of runs, or a run."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse what no system takes for a path."""
        return Path(_path_text(self, value, param, ctx))


LONGEST_PATH, LONGEST_NAME = 4095, 255
"""Bytes of a path, and of each part, that systems take."""


def _path_text(
    kind: click.Path, value: Any, param: click.Parameter | None, ctx: click.Context | None
) -> str:
    if not str(value):
        kind.fail(f"expected a path; got {str(value)!r}.", param, ctx)
    return _fitting(kind, str(value), param, ctx)


def _fitting(
    kind: click.ParamType,  # type: ignore[type-arg]  # generic from click 8.3 on only
    text: str,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> str:
    if "\0" in text:
        kind.fail(f"expected a path; got {text!r}.", param, ctx)
    written = os.fsencode(text)
    longest = max(len(part) for part in written.split(os.fsencode(os.sep)))
    if len(written) > LONGEST_PATH or longest > LONGEST_NAME:
        kind.fail(
            f"expected a path of at most {LONGEST_PATH} bytes, {LONGEST_NAME} in each part; got "
            f"{text[:40]!r}... of {len(written)}.",
            param,
            ctx,
        )
    return text
