"""The command of an experiment: options from its settings, runs from its plan, one document."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from metaact.errors import UsageError, check_choice
from metaact.experiments.experiment import Experiment
from metaact.experiments.tuning import combinations, parse_grid, refuse_without_validation
from metaact.settings import by_name, quiet, text_of, usual

from .base import Command, check_seeds, common_options, open_store, pick_device, seeds_of
from .groups import Option
from .next_step import after_runs
from .options import setting_options, values_of
from .output import conclude, note
from .parameters import Grid, Several
from .reading_options import by_option, name_looks, reading_of, reading_options
from .sweeping import do_all, sweep_options

if TYPE_CHECKING:
    from metaact.settings import Config


FEW = 2
"""Alternatives that a sentence names before its reason."""


def verb(experiment: Experiment) -> click.Command:
    """The command that runs an experiment and prints its document."""

    def callback(**given: Any) -> None:
        run(experiment, given)

    params = [
        *setting_options(experiment.config, arguments=experiment.arguments),
        *_question_options(experiment),
        *reading_options(),
        *sweep_options(),
        *common_options(),
    ]
    return _Verb(
        experiment.name,
        experiment=experiment,
        callback=callback,
        params=params,
        help=experiment.help,
        short_help=experiment.help.partition("\n")[0],
    )


class _Verb(Command):
    """The command of an experiment, whose arguments others may stand in place of."""

    def __init__(self, name: str, *, experiment: Experiment, **more: Any) -> None:
        super().__init__(name, **more)
        self.experiment = experiment

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words, and give the arguments to the settings that they are meant for."""
        left = super().parse_args(ctx, args)
        with self.in_one_line(ctx):
            _replace_arguments(self.experiment, ctx)
        return left


def _question_options(experiment: Experiment) -> list[click.Option]:
    """What is compared, over which rates, and beside which controls."""
    known = by_name(experiment.config)
    several = (
        "model --model mnist-conv,conv4" if "model" in known else "optimizer --optimizer sgd,adam"
    )
    names = " and ".join(rate.flag for rate in experiment.rates)
    example = ",".join(f"{rate.flag.lstrip('-')}=1e-3,1e-2" for rate in experiment.rates)
    found = [
        by_option(
            "The setting whose values are the arms; give that setting several values: --by "
            f"{several}. Several values of any other setting make several studies."
        ),
        Option(
            ["--plan-seeds"],
            group="Fairness",
            type=int,
            help="Write into the store, before the first run, that every arm gets so many seeds; "
            "every later report says whether that was kept, or looked at early. Without --seeds "
            "they are all run.",
        ),
    ]
    if experiment.rates:
        found.append(
            Option(
                ["--tune"],
                group="Fairness",
                type=Grid(),
                help=f"Rates to tune every arm over, as in {example}: each combination with each "
                f"seed, the same for all arms. The values of {names} are the shared rate and join "
                "the grid. Each arm's best is chosen on the validation part by a third of the "
                "seeds; the others score it.",
            )
        )
    if "activation" in known:
        found += [
            Option(
                ["--controls"],
                group="Fairness",
                is_flag=True,
                help="Add the controls of each arm: arelu-frozen to arelu (nothing is learned), "
                "relu-gain to relu (its gain at the start is AReLU's).",
            ),
            Option(
                ["alphas", "--alpha"],
                group="Network",
                type=Several(float),
                help="Start values of α: a grid with --beta (figure 2a).",
            ),
            Option(
                ["betas", "--beta"],
                group="Network",
                type=Several(float),
                help="Start values of β, likewise.",
            ),
        ]
    return found


def run(experiment: Experiment, given: dict[str, Any]) -> None:
    """Run what was asked for, and print the result."""
    _refuse_what_says_nothing(experiment, given)
    tune, by = given.pop("tune", None), given.pop("by")
    controls, out = given.pop("controls", False), given.pop("out")
    planned = given.pop("plan_seeds", None)
    if planned is not None:
        check_seeds("plan_seeds", planned)
        if _is_default("seeds"):
            given["seeds"] = planned
    configs = configs_of(experiment, given, by=by, tune=tune)
    starts = {name: given.get(name) or () for name in ("alphas", "betas")}
    reading = reading_of(given)
    device = pick_device(given["device"])

    from metaact import reports
    from metaact.experiments import arms, plans, study

    chosen = arms.canonical(configs, **starts)
    if controls:
        chosen = _with_controls(chosen)
    reports.Options(**reading)  # whatever is refused is refused before hours of training
    if reading["reference"] is not None:
        one = by_name(experiment.config)[by]
        there = dict.fromkeys(text_of(one, getattr(config, by)) for config in chosen)
        check_choice("reference", reading["reference"], there, why="the arms")
    ready = study.prepare(
        experiment, chosen, open_store(out), root=given["data_root"], device=device
    )
    if tune is not None:
        protocol = getattr(configs[0], "protocol", "held-out")
        refuse_without_validation(protocol, validated=ready.validated)
    if planned is not None and not (given["dry_run"] or given["list_commands"]):
        plans.plan_seeds(ready, planned, by=by)
    outcome = do_all(ready, given)
    document = reports.answer(outcome, by=by, **reading)
    name_looks(document)
    conclude(document, out / "figures", as_json=given["as_json"])
    after_runs(document, out)


def _is_default(name: str) -> bool:
    """Whether an option has its default, because no one gave it."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.DEFAULT


def _replace_arguments(experiment: Experiment, ctx: click.Context) -> None:
    """Give the arguments of a command to the settings that they are meant for.

    Words are read from left to right; where an option stands in place of an argument, they are
    those of the others. Some of the arguments without the others are refused: what was meant for
    these?

    Raises:
        UsageError: If there are too few, or one too many.
    """
    known, given = by_name(experiment.config), ctx.params
    standing = (one for one in known.values() if one.stands_for and given[one.name])
    instead = {one.stands_for: one.name for one in standing}
    default = ParameterSource.DEFAULT
    typed = [n for n in experiment.arguments if ctx.get_parameter_source(n) is not default]
    wanted = [name for name in experiment.arguments if name not in instead]
    words = [given[name] for name in typed]
    if typed and len(words) < len(wanted):
        left = next(name for name in wanted if name not in typed)
        defaults = " ".join(str(known[name].default) for name in wanted)
        raise UsageError(
            f"`{left}` must be given with the others, or none of them (then they are "
            f"{defaults}); got none."
        )
    if len(words) > len(wanted):
        (name,) = instead
        raise UsageError(
            f"`{name}` must be left out with {known[instead[name]].flag} (which stands in its "
            f"place); got {words[0]!r}."
        )
    given.update(zip(wanted, words, strict=False))
    given.update({name: known[name].default for name in instead})


def _refuse_what_says_nothing(experiment: Experiment, given: Mapping[str, Any]) -> None:
    """Refuse a setting whose own other setting has no value that it belongs to."""
    known = by_name(experiment.config)
    for one in known.values():
        if one.only is None or _is_default(one.name):
            continue
        name, values = one.only
        got = given[name] if isinstance(given[name], tuple | list) else (given[name],)
        got = [usual(known[name], {}) if value is None else value for value in got]
        if not set(got) & set(values):
            had = f"{name} {', '.join(map(str, got))}"
            if len(values) > FEW:
                raise UsageError(
                    f"`{one.name}` must be left out with {had} (it is read with "
                    f"{', '.join(values)} alone); got it."
                )
            raise UsageError(
                f"`{one.name}` must be left out without {name} {' or '.join(values)} (nothing else "
                f"reads it); got it with {had}."
            )


def configs_of(
    experiment: Experiment,
    given: Mapping[str, Any],
    *,
    by: str = "activation",
    tune: str | Mapping[str, object] | None = None,
) -> list[Config]:
    """One config for every combination of what was given: arms in their order, then seeds.

    Args:
        experiment: What is to be run.
        given: The values of its options, by setting.
        by: The setting whose values are the arms.
        tune: Further rates, as the user wrote them.

    Raises:
        UsageError: If a value is not allowed, or the setting cannot be compared.
    """
    declared = by_name(experiment.config)
    can = [n for n, s in declared.items() if s.role not in ("seed", "rate", "computation")]
    typed = [name.replace("_", "-") for name in can]
    check_choice("by", by.replace("_", "-"), typed, why="settings that can be compared")
    values = {
        name: values_of(one, given[name]) for name, one in declared.items() if one.role != "seed"
    }
    ordinary = {rate.name: values.pop(rate.name) for rate in experiment.rates}
    grid = None
    if tune is not None:
        grid = parse_grid(tune, experiment.rates)
        for protocol in values.get("protocol", ("held-out",)):
            refuse_without_validation(protocol)
    for name, rates in ordinary.items():
        for rate in rates:
            declared[name].check(rate)
    every = combinations(ordinary, grid)
    arms = values.pop(by)
    _refuse_changes_in_computation(declared, values)
    names = list(values)

    def config(**settings: Any) -> Config:
        return experiment.config(**quiet(experiment.config, settings))

    found = [
        config(**dict(zip(names, row, strict=True)), **rates, **{by: arm, "seed": seed})
        for row in itertools.product(*values.values())
        for rates in every
        for arm in arms
        for seed in seeds_of(given)
    ]
    return list(dict.fromkeys(found))


def _refuse_changes_in_computation(
    declared: Mapping[str, Any], values: Mapping[str, Sequence[Any]]
) -> None:
    for name, given in values.items():
        if declared[name].role == "computation" and len(given) > 1:
            raise UsageError(f"`{name}` must be one value (it names no run); got {len(given)}.")


def _with_controls(configs: Sequence[Any]) -> list[Any]:
    """The runs with those of their controls; arms without one are named on stderr."""
    from metaact.experiments.arms import with_controls

    found, without = with_controls(configs)
    if without:
        note(
            f"note: no control for {', '.join(without)} (arelu and relu have one); compared as "
            "they are."
        )
    return found
