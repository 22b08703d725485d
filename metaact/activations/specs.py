"""What a user may write: `swish`, `arelu(alpha=0.25)`, `elu+elsa`, `my.file:Mine`."""

from __future__ import annotations

import ast
import contextlib
import math
import re
from dataclasses import dataclass

from metaact.errors import UNREADABLE, UsageError
from metaact.settings import cut

Value = float | tuple[float, ...]

# A name, then at most one bracket of arguments.
CALL = re.compile(r"(?P<name>[^()]*?)\s*(?:\((?P<arguments>.*)\))?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One name with its literal keyword arguments."""

    name: str
    arguments: dict[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A parsed spec: the activation, and ELSA where it is added."""

    base: Part
    elsa: Part | None


def parse(text: str) -> Spec:
    """Read one spec.

    Raises:
        UsageError: If it is not of the form `name`, `name(key=number)` or either with `+elsa`.

    Examples:
        >>> parse("elu(alpha=0.5)+elsa").base
        Part(name='elu', arguments={'alpha': 0.5})
    """
    base, *added = (part.strip() for part in cut(text, "+"))
    if len(added) > 1:
        raise malformed(text, "ELSA is added once")
    parsed = parse_part(base, whole=text)
    if not added:
        return Spec(base=parsed, elsa=None)
    elsa = parse_part(added[0], whole=text)
    if elsa.name.lower() != "elsa":
        raise malformed(text, "only ELSA can be added to an activation")
    return Spec(base=parsed, elsa=elsa)


def parse_part(text: str, *, whole: str) -> Part:
    """Read `name` or `name(key=number, ...)`."""
    match = CALL.fullmatch(text)
    if match is None or not match["name"].strip():
        raise malformed(whole, "a name comes first, then at most one pair of brackets")
    name = match["name"].strip()
    if match["arguments"] is None:
        return Part(name=name, arguments={})
    return Part(name=name, arguments=parse_arguments(match["arguments"], whole=whole))


def parse_arguments(text: str, *, whole: str) -> dict[str, Value]:
    """Read `key=number, key=(number, ...)`."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except UNREADABLE as error:
        raise malformed(whole, "the brackets hold key=number, separated by commas") from error
    if not isinstance(call, ast.Call) or call.args:
        raise malformed(whole, "arguments are given by keyword")
    arguments: dict[str, Value] = {}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in arguments:
            raise malformed(whole, "each keyword is given once")
        arguments[keyword.arg] = literal(keyword.value, whole=whole)
    return arguments


def literal(node: ast.expr, *, whole: str) -> Value:
    """The number, or the tuple of numbers, that an expression writes out."""
    try:
        value = ast.literal_eval(node)
    except UNREADABLE as error:
        raise malformed(whole, "values are numbers or tuples of numbers") from error
    if isinstance(value, tuple | list):
        return tuple(number(item, whole=whole) for item in value)
    return number(value, whole=whole)


def number(value: object, *, whole: str) -> float:
    """The value as a float, if it is a finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            if math.isfinite(value):
                return float(value)
    raise malformed(whole, "values are finite numbers or tuples of them")


def render(part: Part) -> str:
    """The canonical spelling of a part."""
    inside = ",".join(f"{key}={spell(value)}" for key, value in part.arguments.items())
    return f"{part.name}({inside})" if inside else part.name


def spell(value: Value) -> str:
    """The shortest spelling that reads back as the same value: 1 for 1.0."""
    if isinstance(value, tuple):
        return "(" + "".join(f"{spell(item)}," for item in value) + ")"
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def malformed(text: str, why: str) -> UsageError:
    """The error for a spec that cannot be read."""
    return UsageError(
        "`activation` must be a name, name(key=number), module:factory, or one of these with "
        f"+elsa ({why}); got {text!r}."
    )
