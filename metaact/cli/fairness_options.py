"""`--tune` and `--controls` of the verbs that run experiments: equal tuning, and what it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from metaact.experiments.rates import Plan, Rate, parse_grid, plan, refuse_without_validation

from .base import F
from .parameters import Grid

if TYPE_CHECKING:
    from metaact.experiments.controls import Config


def fairness_options(rates: Sequence[Rate]) -> Callable[[F], F]:
    """The two options, for a verb with these rates."""
    names = " and ".join(f"--{rate.option}" for rate in rates)
    example = ",".join(f"{rate.option}=1e-3,1e-2" for rate in rates)
    tune = click.option(
        "--tune",
        type=Grid(),
        help=f"Rates to tune every arm over, as in {example}: each combination with each seed, "
        f"the same for all arms. The values of {names} are the shared rate and join the "
        "grid. Each arm's best is chosen on the validation part.",
    )
    controls = click.option(
        "--controls",
        is_flag=True,
        help="Add the controls of each arm: arelu-frozen to arelu (nothing is learned), relu-gain "
        "to relu (its gain at the start is AReLU's).",
    )

    def decorate(command: F) -> F:
        return tune(controls(command))

    return decorate


def planned(
    tune: str | Mapping[str, object] | None,
    rates: Sequence[Rate],
    *,
    protocol: str,
    **ordinary: Sequence[float],
) -> Plan:
    """The rates of every arm, from `--tune` and from the ordinary options.

    Args:
        tune: What the user wrote, if anything.
        rates: The rates of the verb.
        protocol: Of the runs.
        ordinary: The values of each rate's ordinary option, by field.

    Raises:
        UsageError: If the grid cannot be read, or the protocol leaves nothing to choose on.
    """
    if tune is None:
        return plan(ordinary)
    grid = parse_grid(tune, rates)
    refuse_without_validation(protocol)
    return plan(ordinary, grid)


def controlled(configs: Sequence[Config]) -> list[Config]:
    """The runs with those of their controls; arms without one are named on stderr."""
    from metaact.experiments.controls import with_controls

    found, without = with_controls(configs)
    if without:
        click.echo(
            f"note: no control for {', '.join(without)} (arelu and relu have one); compared as "
            "they are.",
            err=True,
        )
    return found
