"""What metaact raises, and the one sentence every message is made of.

A message says what is wrong, what is allowed, why, and what was seen:
"`ways` must be an int in [2, 10] (the split has 10 classes); got 12."
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

LARGEST_FLOAT = 3.4e38
"""About the largest number of float32, in which networks compute."""

LARGEST_INT = 2**63 - 1
"""What tensors, generators and files can count to: a larger int can only be a typing mistake."""


UNREADABLE = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)
"""What parsers raise of a text that they cannot read, or that is too large or nested for them."""


class MetaactError(Exception):
    """Root of every error that metaact raises on purpose; the command line exits with 1."""

    exit_code = 1


class UsageError(MetaactError, ValueError):
    """An argument is not one of the allowed; the command line exits with 2."""

    exit_code = 2


class DataError(MetaactError, RuntimeError):
    """A data set is missing, damaged or not what it says it is."""


class RunError(MetaactError, RuntimeError):
    """A run directory cannot be used: damaged, of another config, or not writable."""


class MissingDependencyError(MetaactError, ImportError):
    """An optional package is needed and not installed; the message holds the command."""


def check_int(
    name: str, value: object, *, minimum: int, maximum: int | None = None, why: str = ""
) -> int:
    """Return `value` if it is an int in [minimum, maximum].

    Args:
        name: The argument's name as the user wrote it.
        value: What was seen; a bool is refused.
        minimum: Smallest allowed value.
        maximum: Largest allowed value, or None for no bound but that of 64 bits.
        why: The reason for the bounds, shown in brackets.

    Returns:
        The value itself.

    Raises:
        UsageError: If it is anything else.
    """
    highest = LARGEST_INT if maximum is None else maximum
    if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= highest:
        return value
    too_large = isinstance(value, int) and value > highest
    allowed = f"an int in [{minimum}, {highest}]"
    if maximum is None and not too_large:
        allowed = f"an int >= {minimum}"
    elif highest == minimum:
        allowed = str(minimum)
    reason = f" ({why})" if why else ""
    raise UsageError(f"`{name}` must be {allowed}{reason}; got {value!r}.")


def check_count(name: str, value: int, *, most: int, why: str) -> int:
    """Return `value` if it is an int in [1, most].

    Args:
        name: The argument's name as the user wrote it.
        value: What was seen.
        most: A bound that only a typing mistake exceeds; the message names it only then.
        why: The reason for it.

    Raises:
        UsageError: If it is anything else.

    Examples:
        >>> check_count("epochs", 0, most=100, why="a run must come to an end")
        Traceback (most recent call last):
        ...
        metaact.errors.UsageError: `epochs` must be an int >= 1; got 0.
    """
    if isinstance(value, int) and value > most:
        return check_int(name, value, minimum=1, maximum=most, why=why)
    return check_int(name, value, minimum=1)


def check_rate(name: str, value: object, *, maximum: float = math.inf, why: str = "") -> float:
    """Return `value` as a float if it is a finite number in (0, maximum].

    Raises:
        UsageError: If it is zero, negative, NaN, infinite, too large (also for float32) or no
            number.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and 0 < value <= min(maximum, LARGEST_FLOAT):  # type: ignore[operator]  # a number
        return float(value)  # type: ignore[arg-type]
    too_large = number and LARGEST_FLOAT < value < math.inf  # type: ignore[operator]
    if maximum == math.inf and too_large:
        maximum, why = LARGEST_FLOAT, why or "networks compute in float32"
    allowed = "> 0" if maximum == math.inf else f"in (0, {maximum:g}]"
    reason = f" ({why})" if why else ""
    raise UsageError(f"`{name}` must be a finite number {allowed}{reason}; got {value!r}.")


def check_choice(name: str, value: str, choices: Iterable[str], *, why: str = "") -> str:
    """Return `value` if it is one of `choices`; else raise with the nearest suggestion.

    Args:
        name: The argument's name as the user wrote it.
        value: What was seen.
        choices: What is allowed.
        why: The reason for the choices, shown in brackets.

    Raises:
        UsageError: If it is not among them.
    """
    known = list(choices)
    if value in known:
        return value
    near = difflib.get_close_matches(str(value).lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    allowed = known[0] if len(known) == 1 else f"one of {', '.join(known)}"
    reason = f" ({why})" if why else ""
    raise UsageError(f"`{name}` must be {allowed}{reason}; got {value!r}.{hint}")


_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)
"""Control characters, those that turn the direction of writing, and what is no character at all."""


def visible(text: str) -> str:
    r"""A text that a terminal can only show: what it would obey, or cannot encode, is escaped.

    File names and notes come from strangers. Line breaks and tabs stay.

    Examples:
        >>> print(visible("a\x1b[31mb\udcff"))
        a\x1b[31mb\udcff
    """
    return _UNSEEN.sub(lambda m: ascii(m[0])[1:-1], text)


def one_line(name: str) -> str:
    """A stranger's name in a sentence: visible, and without line breaks."""
    return visible(" ".join(name.split()))


def number_of(count: int, noun: str, nouns: str = "") -> str:
    """A number of things, one of them without the plural.

    Examples:
        >>> number_of(1, "image"), number_of(2, "class", "classes")
        ('1 image', '2 classes')
    """
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"


WARNING = "metaact: warning: "
"""How the line of a warning begins."""


def one_line_warnings(say: Callable[[str], object]) -> Callable[..., None]:
    """For `warnings.showwarning`: a warning as one line, whichever library gives it, and once.

    One that differs from another in numbers alone is the same: what a network says at each of its
    calls is said once.

    Args:
        say: Prints a line.
    """
    said: set[str] = set()

    def show(message: Warning | str, *where: object, **more: object) -> None:
        line = f"{WARNING}{' '.join(str(message).split())}"
        bare = re.sub(r"\d+", "", line)
        if bare not in said:
            said.add(bare)
            say(line)

    return show


def reason_of(error: BaseException) -> str:
    """What an error from elsewhere says, in one line; its type where it says nothing.

    Examples:
        >>> from tokenize import TokenError
        >>> reason_of(TokenError("EOF in statement", (2, 0)))
        'EOF in statement'
        >>> reason_of(RecursionError())
        'RecursionError'
    """
    try:
        said = str(error)
        if len(error.args) > 1 and said == str(error.args):  # as Exception shows several arguments
            said = ", ".join(part for part in error.args if isinstance(part, str))
    except Exception:  # noqa: BLE001  # whoever raises anything may also fail to say what
        said = ""
    return " ".join(said.split()) or type(error).__name__


def named_reason(error: BaseException) -> str:
    """The type of an error from elsewhere, and what it says."""
    name, reason = type(error).__name__, reason_of(error)
    return name if name == reason else f"{name}: {reason}"


@contextmanager
def renamed(**names: str) -> Iterator[None]:
    """Let a `UsageError` from inside name its arguments as the caller's are called.

    Args:
        names: The caller's name of an argument by the name it has inside.

    Examples:
        >>> with renamed(queries="test_queries"):
        ...     check_int("queries", 0, minimum=1)
        Traceback (most recent call last):
        ...
        metaact.errors.UsageError: `test_queries` must be an int >= 1; got 0.
    """
    try:
        yield
    except UsageError as error:
        message = re.sub(r"`(\w+)`", lambda m: f"`{names.get(m[1], m[1])}`", str(error))
        raise UsageError(message) from error
