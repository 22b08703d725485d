"""From what a user writes to an activation."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from metaact.errors import UsageError, check_choice, named_reason
from metaact.randomness import preserved_rng

from .entry import Entry
from .functions.elsa import WithELSA
from .slopes import ALPHA_START, BETA_START
from .specs import Part, Value, parse, render
from .table import CHEN, MODERN_ACTIVATIONS, PAPER_ACTIVATIONS, TABLE
from .user import user_entry

PAPER: tuple[str, ...] = tuple(entry.name for entry in PAPER_ACTIVATIONS)
"""Names of the paper's nineteen activations, in the order of its table 1."""
MODERN: tuple[str, ...] = tuple(entry.name for entry in MODERN_ACTIVATIONS)
"""Names of the activations of today, by year."""
GROUPS = {"paper": PAPER, "modern": MODERN, "all": PAPER + MODERN}
"""What stands for several activations."""
PROTOCOLS = ("held-out", "paper")


def entries() -> tuple[Entry, ...]:
    """Every entry of the table: the paper's nineteen, today's, the paper's forms, the controls."""
    return TABLE


def names() -> tuple[str, ...]:
    """The canonical names, in the order of `entries`."""
    return tuple(entry.name for entry in TABLE)


def expanded(specs: Iterable[str]) -> tuple[str, ...]:
    """Specs as given, without repeats, and the names of a group in its place.

    Args:
        specs: Specs, "paper" for the paper's nineteen, "modern" for those of today, or "all" for
            both.

    Examples:
        >>> expanded(["arelu", "paper"])[:3]
        ('arelu', 'celu', 'elu')
    """
    every = (name for spec in specs for name in GROUPS.get(spec, (spec,)))
    return tuple(dict.fromkeys(every))


def resolve(spec: str, protocol: str = "held-out") -> Entry:
    """Look up an activation.

    Args:
        spec: A name or alias in any case, with literal keyword arguments where the entry has
            options ("arelu(alpha=0.25,beta=1)"), with "+elsa" if ELSA is to be added, or
            "module:factory" for the user's own.
        protocol: "held-out", or "paper" for what the paper's own code computes under the name.

    Returns:
        The entry; its name is the canonical spelling of the spec.

    Raises:
        UsageError: If the name is unknown (with the nearest suggestion), an argument is not one
            of the entry's options, or the user's factory cannot be used.

    Examples:
        >>> resolve("Mixture").name, resolve("slaf", protocol="paper").name
        ('comb', 'slaf-paper')
        >>> resolve("SiLU+ELSA").learnable
        2
    """
    check_choice("protocol", protocol, PROTOCOLS)
    parsed = parse(spec)
    base = resolve_part(parsed.base, protocol=protocol)
    return base if parsed.elsa is None else with_elsa(base, parsed.elsa)


def create(spec: str, protocol: str = "held-out") -> nn.Module:
    """A fresh instance of an activation.

    Args:
        spec: As for `resolve`.
        protocol: As for `resolve`.

    Raises:
        UsageError: As `resolve` does.

    Examples:
        >>> create("arelu(alpha=0.25,beta=1)")
        AReLU(alpha=0.25, beta=1)
    """
    return resolve(spec, protocol).factory()


def resolve_part(part: Part, *, protocol: str) -> Entry:
    """The entry of one name with its arguments."""
    if ":" in part.name:
        entry = user_entry(part.name)
    else:
        entry = look_up(part.name)
        if protocol == "paper" and entry.paper_form is not None:
            entry = look_up(entry.paper_form)
    return with_arguments(entry, part) if part.arguments else entry


def look_up(name: str) -> Entry:
    """The entry of a bare name or alias."""
    known = {alias: entry for entry in TABLE for alias in (entry.name, *entry.aliases)}
    wanted = name.lower().replace("_", "-")
    if wanted in known:
        return known[wanted]
    if wanted == "elsa":
        raise UsageError(
            "`activation` 'elsa' must be added to an activation, as in 'relu+elsa' (alone it is "
            "the attention and no activation); got 'elsa'."
        )
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"`activation` must be one of {', '.join(names())}, one of them +elsa, or "
        f"module:factory; got {name!r}.{hint}"
    )


def with_arguments(entry: Entry, part: Part) -> Entry:
    """The entry with other start values."""
    arguments = ordered_arguments(entry.name, entry.options, part)
    factory = partial(entry.factory, **arguments)
    inside = render(Part(name="", arguments=arguments))
    return replace(
        entry,
        name=f"{entry.name}{inside}",
        title=f"{entry.title}{inside}",
        factory=factory,
        learnable=count(factory, name=f"{entry.name}{inside}"),
        start=inside.strip("()").replace(",", ", "),
        aliases=(),
        paper_form=None,
    )


def with_elsa(base: Entry, part: Part) -> Entry:
    """The entry plus ELSA."""
    if base.width_factor != 1:
        raise UsageError(
            f"`activation` must keep the number of channels for ELSA to be added ({base.name!r} "
            f"gives {base.width_factor} for each that it gets); got '{base.name}+elsa'."
        )
    arguments = ordered_arguments("elsa", ("alpha", "beta"), part)
    suffix = render(Part(name="elsa", arguments=arguments))
    factory = partial(make_with_elsa, base.factory, arguments)
    name = f"{base.name}+{suffix}"
    slopes = {"alpha": ALPHA_START, "beta": BETA_START} | arguments
    elsa_start = f"ELSA: α = {slopes['alpha']:g}, β = {slopes['beta']:g}"
    return replace(
        base,
        name=name,
        title=f"{base.title}+{suffix.replace('elsa', 'ELSA')}",
        factory=factory,
        learnable=count(factory, name=name),
        kind=base.kind if base.kind in ("user", "control") else "learnable",
        citation=f"{base.citation}; {CHEN}",
        formula=f"({base.formula}) + ELSA(x)",
        start="; ".join(filter(None, (base.start, elsa_start))),
        aliases=(),
        paper_form=None,
        options=(),
    )


def ordered_arguments(name: str, options: tuple[str, ...], part: Part) -> dict[str, Value]:
    """The arguments of a spec in the entry's own order, so that equal specs get equal names."""
    for key in part.arguments:
        if key not in options:
            allowed = ", ".join(options) or "no arguments"
            raise UsageError(
                f"`activation` {name!r} takes {allowed} (its start values); got {key!r}."
            )
    return {key: part.arguments[key] for key in options if key in part.arguments}


def make_with_elsa(base: Callable[[], nn.Module], start: dict[str, Any]) -> nn.Module:
    """A fresh activation with a fresh ELSA."""
    return WithELSA(base(), **start)


def count(factory: Callable[[], nn.Module], *, name: str) -> int:
    """Learnable scalars of one instance; building and calling it also checks the arguments."""
    try:
        # A user's own module may draw its start values: only to look at it, so it is undone.
        with preserved_rng(), torch.no_grad():
            made = factory().eval()
            usable = bool(made(torch.linspace(-1, 1, 8).reshape(2, 4)).isfinite().all())
    except (TypeError, RuntimeError) as error:
        raise bad_arguments(name, named_reason(error)) from error
    if not usable:
        raise bad_arguments(name, "with these the function is not finite on [-1, 1]")
    return sum(p.numel() for p in made.parameters() if p.requires_grad)


def bad_arguments(name: str, why: str) -> UsageError:
    """The error for arguments that do not fit the activation."""
    reason = " ".join(why.split())
    return UsageError(
        "`activation` arguments must be numbers like the start values they replace, or tuples "
        f"where those are several ({reason}); got {name!r}."
    )
