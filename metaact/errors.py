"""What metaact raises, and the one sentence every message is made of.

A message says what is wrong, what is allowed, why, and what was seen:
"`ways` must be an int in [2, 10] (the split has 10 classes); got 12."
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable


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
        maximum: Largest allowed value, or None for no upper bound.
        why: The reason for the bounds, shown in brackets.

    Returns:
        The value itself.

    Raises:
        UsageError: If it is anything else.
    """
    allowed = f">= {minimum}" if maximum is None else f"in [{minimum}, {maximum}]"
    highest = math.inf if maximum is None else maximum
    if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= highest:
        return value
    reason = f" ({why})" if why else ""
    raise UsageError(f"`{name}` must be an int {allowed}{reason}; got {value!r}.")


def check_rate(name: str, value: object, *, maximum: float = math.inf, why: str = "") -> float:
    """Return `value` as a float if it is a finite number in (0, maximum].

    Raises:
        UsageError: If it is zero, negative, NaN, infinite, too large or no number.
    """
    is_bool = isinstance(value, bool)
    if (
        isinstance(value, int | float)
        and not is_bool
        and 0 < value <= min(maximum, sys.float_info.max)
    ):
        return float(value)
    allowed = "> 0" if maximum == math.inf else f"in (0, {maximum:g}]"
    reason = f" ({why})" if why else ""
    raise UsageError(f"`{name}` must be a finite number {allowed}{reason}; got {value!r}.")


def check_choice(name: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`; else raise with the nearest suggestion.

    Raises:
        UsageError: If it is not among them.
    """
    known = list(choices)
    if value in known:
        return value
    near = difflib.get_close_matches(str(value).lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"`{name}` must be one of {', '.join(known)}; got {value!r}.{hint}")
