"""The learning rates that a verb can tune, and the grid over them. Imports neither torch nor NumPy.

Every arm is run at every combination with the same seeds: the same budget for all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metaact.errors import UsageError, check_choice, check_rate

Rates = dict[str, float]
"""One combination: the value of each rate by its field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A learning rate of a verb.

    Attributes:
        option: What a user types: "inner-lr".
        field: The field of the config: "inner_lr".
        title: How tables and pictures name it: "inner lr".
    """

    option: str
    field: str
    title: str


MAML_RATES = (
    Rate(option="inner-lr", field="inner_lr", title="inner lr"),
    Rate(option="lr", field="meta_lr", title="lr"),
)
CONVERGE_RATES = (Rate(option="lr", field="lr", title="lr"),)
TRANSFER_RATES = (
    Rate(option="lr", field="lr", title="lr"),
    Rate(option="pretrain-lr", field="pretrain_lr", title="pre-training lr"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """At which rates every arm is run.

    Attributes:
        shared: The rates that the verb's ordinary options name: the readings at one rate for all.
        every: All combinations, the shared ones among them.
    """

    shared: tuple[Rates, ...]
    every: tuple[Rates, ...]


def parse_grid(text: str | Mapping[str, object], rates: Sequence[Rate]) -> dict[str, list[float]]:
    """Read `inner-lr=0.005,0.02,lr=0.001`: a part with `=` starts a rate, one without goes on.

    Args:
        text: What the user wrote, or a table of numbers from a config file.
        rates: The rates of the verb.

    Returns:
        The values of each rate, by its field.

    Raises:
        UsageError: If a rate is unknown or given twice, or a value is missing, repeated or not a
            finite number above 0.

    Examples:
        >>> parse_grid("inner-lr=0.005,0.02,lr=0.001", MAML_RATES)
        {'inner_lr': [0.005, 0.02], 'meta_lr': [0.001]}
    """
    known = {rate.option: rate.field for rate in rates}
    grid: dict[str, list[float]] = {}
    for name, values in _named(text, known):
        option = check_choice("tune", name, known, why="the rates that can be tuned")
        if known[option] in grid:
            raise UsageError(
                f"`tune` must name each rate once, as in {option}=0.01,0.1 (allowed: "
                f"{', '.join(known)}); got {option} twice."
            )
        grid[known[option]] = _numbers(option, values)
    return grid


def _named(
    text: str | Mapping[str, object], known: Iterable[str]
) -> list[tuple[str, list[object]]]:
    """Each rate's name with what is listed for it, in the order written."""
    if isinstance(text, Mapping):
        return [
            (str(name).replace("_", "-"), list(v) if isinstance(v, list) else [v])
            for name, v in text.items()
        ]
    found: list[tuple[str, list[object]]] = []
    for part in text.split(","):
        name, equals, value = part.rpartition("=")
        if equals:
            found.append((name.strip().replace("_", "-"), [value.strip()]))
        elif found:
            found[-1][1].append(value.strip())
        else:
            allowed = ", ".join(known)
            raise UsageError(
                f"`tune` must be rate=value,value,... (rates: {allowed}); got {text!r}."
            )
    return found


def _numbers(option: str, values: Sequence[object]) -> list[float]:
    numbers: list[float] = []
    for value in values:
        try:
            number = float(value) if isinstance(value, str) else value
        except ValueError:
            number = value
        rate = check_rate("tune", number, why=f"a value of {option}")
        if rate in numbers:
            raise UsageError(
                f"`tune` must list each value of {option} once (a repeat is no more tuning); got "
                f"{value} twice."
            )
        numbers.append(rate)
    if not numbers:
        raise UsageError(f"`tune` must list at least one value of {option}; got none.")
    return numbers


def plan(
    ordinary: Mapping[str, Sequence[float]], grid: Mapping[str, Sequence[float]] | None = None
) -> Plan:
    """The combinations of all rates: what the ordinary options name, and the grid.

    Args:
        ordinary: The values of each rate's ordinary option, by field.
        grid: Further values, from `--tune`, by field.

    Examples:
        >>> plan({"lr": [0.1]}, {"lr": [0.01, 0.1]}).every
        ({'lr': 0.1}, {'lr': 0.01})
    """
    more = grid or {}
    every = {name: [*values, *more.get(name, ())] for name, values in ordinary.items()}
    return Plan(shared=_combinations(ordinary), every=_combinations(every))


def _combinations(values: Mapping[str, Sequence[float]]) -> tuple[Rates, ...]:
    lists = [list(dict.fromkeys(float(v) for v in row)) for row in values.values()]
    return tuple(dict(zip(values, row, strict=True)) for row in itertools.product(*lists))


def refuse_without_validation(protocol: str, *, validated: bool = True) -> None:
    """Refuse tuning where nothing but the test part could choose.

    Args:
        protocol: Of the runs.
        validated: Whether the data have a validation part, where that is known already.

    Raises:
        UsageError: If there is no validation part to choose on.
    """
    if protocol != "held-out":
        raise UsageError(
            f"`tune` must be left out with `protocol` {protocol} (it trains on every training "
            "image, so no validation part is left to choose on, and the test part must not); "
            "use `protocol` held-out."
        )
    if not validated:
        raise UsageError(
            "`tune` must be left out for these data (they have no validation part to choose on, "
            "and the test part must not)."
        )


def at_rates(fields: Mapping[str, object], rates: Sequence[Rate]) -> Rates:
    """The rates among a config's fields or a row's values.

    Examples:
        >>> at_rates({"lr": 0.1, "seed": 0}, CONVERGE_RATES)
        {'lr': 0.1}
    """
    return {rate.field: float(str(fields[rate.field])) for rate in rates}


def in_words(values: Mapping[str, float], rates: Sequence[Rate]) -> str:
    """A combination as a reader sees it.

    Examples:
        >>> in_words({"inner_lr": 0.02, "meta_lr": 0.005}, MAML_RATES)
        'inner lr 0.02, lr 0.005'
    """
    return ", ".join(f"{r.title} {values[r.field]:g}" for r in rates if r.field in values)
