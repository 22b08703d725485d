"""What all commands share: errors in one line, lists, the config file, common options."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from metaact.errors import MetaactError, check_int
from metaact.lists import split_list

F = TypeVar("F", bound=Callable[..., Any])


class Failure(click.ClickException):
    """An expected failure: one line on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        setattr(self, "exit_code", exit_code)  # noqa: B010 - a class variable in click's types


class Command(click.Command):
    """A command whose `MetaactError`s name the options of the command line, not Python fields."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn an expected error into a `Failure`."""
        try:
            return super().invoke(ctx)
        except MetaactError as error:
            options = {p.name: p.opts[0] for p in self.params if isinstance(p, click.Option)}
            message = re.sub(r"`(\w+)`", lambda m: options.get(m[1], m[0]), str(error))
            raise Failure(message, error.exit_code) from error


def defaults(config: type) -> dict[str, Any]:
    """The defaults of a config dataclass by field name: written once, shown in every help."""
    return {field.name: field.default for field in fields(config)}


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.3 on only
    """A comma-separated list of numbers, as a tuple.

    Args:
        kind: `int` or `float`.
    """

    name = "numbers"

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.kind = kind
        self.name = f"{kind.__name__},..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Parse "1e-4,1e-5"; a number or a list (from a config file) is taken as it is."""
        values = value if isinstance(value, list | tuple) else split_list(str(value))
        try:
            numbers = tuple(self.kind(v) for v in values)
        except ValueError:
            self.fail(f"expected numbers separated by commas; got {value!r}.", param, ctx)
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


def _read_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    """Take the file's values as defaults; options given on the command line win."""
    if value is None:
        return
    try:
        table = tomllib.loads(value.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.BadParameter(f"{value} cannot be read as TOML: {error}.", ctx, param) from error
    known = {p.opts[0].removeprefix("--"): p for p in ctx.command.params}
    taken = {}
    for key, entry in table.items():
        option = known.get(key.replace("_", "-"))
        if option is None or option is param:
            allowed = ", ".join(sorted(set(known) - {"config"}))
            raise click.BadParameter(
                f"{value}: unknown key {key!r}; allowed: {allowed}.", ctx, param
            )
        taken[option.name or key] = entry
    ctx.default_map = taken


def common_options(command: F) -> F:
    """Options of every verb that runs experiments."""
    decorators = [
        click.option(
            "--seeds",
            type=int,
            default=1,
            show_default=True,
            help="Number of training seeds (0, 1, ...).",
        ),
        click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
        click.option(
            "--data-root",
            type=click.Path(path_type=Path),
            envvar="METAACT_DATA",
            show_envvar=True,
            help="Folder of the data sets. [default: the user's cache folder]",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            default=Path("runs"),
            show_default=True,
            help="Folder of the run store; a run that is complete there is not run again.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout."),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            callback=_read_config,
            is_eager=True,
            expose_value=False,
            help="TOML file with values for these options; the command line wins.",
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def pick_device(name: str) -> str:
    """Return the device to use: cpu or cuda[:n]; auto takes CUDA where there is one.

    Raises:
        Failure: If the device is unknown or not there.
    """
    import torch

    cuda = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if cuda else "cpu"
    if name == "cpu" or (cuda and re.fullmatch(r"cuda(:\d+)?", name)):
        return name
    seen = "CUDA is not available here" if name.startswith("cuda") else "unknown device"
    raise Failure(f"--device must be auto, cpu or cuda ({seen}); got {name!r}.", 2)


def seed_range(seeds: int) -> range:
    """Seeds 0 to seeds - 1."""
    return range(check_int("seeds", seeds, minimum=1))
