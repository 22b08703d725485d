"""Settings: each declared once, and everything else derived from that one line."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import pytest

from metaact.cli.config_file import read_config
from metaact.cli.options import setting_options
from metaact.errors import UsageError
from metaact.experiments import find
from metaact.experiments.commands import command
from metaact.experiments.declared import activation, rate, seed
from metaact.experiments.evidence import shared_settings, study_key
from metaact.experiments.experiment import Experiment, Measure
from metaact.experiments.words import headline
from metaact.settings import (
    Config,
    Setting,
    by_name,
    check_recorded,
    completed,
    count,
    defaults,
    quiet,
    setting,
    settings_of,
    settle,
)

NAMES = ("maml", "converge", "transfer")
EVERY = [(name, one.name) for name in NAMES for one in settings_of(find(name).config)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Config):
    """One setting of each role and of each kind."""

    activation: str = activation()
    seed: int = seed("everything")
    lr: float = rate(0.1, "Rate.")
    place: str = setting("here", "Data.", role="data", path=True)
    depth: int = count(3, "Layers.", role="training", words="{} layers", always=True)
    noisy: bool = setting(False, "Noise.", role="training", off="--quiet")
    widths: tuple[int, ...] = count((8,), "Widths.", role="training")  # type: ignore[arg-type]
    rates: tuple[tuple[str, float], ...] = setting((), "Rates of layers.", role="training")
    momentum: float = setting(0.9, "Of SGD.", role="training", minimum=0, below=1)
    every: int = count(5, "Steps between two looks.", role="observation")
    chunk: int | None = count(None, "Bound of memory.", role="computation", unset="chosen")


def _measure(config: Any, data: Any) -> Measure:
    return Measure(unit="guesses", units=1)


TOY = Experiment(
    name="maml",  # its verb: `merged` and words look at the config alone
    config=Example,
    implementation="none",
    help="A toy.",
    title="Toy on",
    asks="play better",
    measure=_measure,
    kinds={"maml": "played"},
)

OTHER: dict[str, Any] = {
    "activation": "relu",
    "seed": 1,
    "lr": 0.2,
    "place": "there",
    "depth": 4,
    "noisy": True,
    "widths": (8, 9),
    "rates": (("head", 0.5),),
    "momentum": 0.5,
    "every": 6,
    "chunk": 7,
}


def _key(experiment: Experiment, recorded: dict[str, Any], *, by: str = "activation") -> str:
    """What runs of one study have in common."""
    return study_key(experiment, shared_settings(experiment, recorded, by=by))


@pytest.mark.parametrize("name", list(OTHER))
def test_the_role_decides_what_names_a_run_and_what_is_one_study(name: str) -> None:
    usual_, other = Example(), Example(**{name: OTHER[name]})
    role = by_name(Example)[name].role
    named_alike = usual_.fields() == other.fields()
    one_study = _key(TOY, usual_.fields()) == _key(TOY, other.fields())
    assert named_alike == (role == "computation")
    assert one_study == (role in ("arm", "seed", "rate", "observation", "computation"))
    # An arm may be a value of any setting that is asked about.
    by = _key(TOY, usual_.fields(), by=name) == _key(TOY, other.fields(), by=name)
    assert by
    if role in ("data", "training"):
        arms = {"activation": "arelu"}, {"activation": "relu"}
        keys = {_key(TOY, Example(**arm).fields(), by=name) for arm in arms}
        assert len(keys) == 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Later(Example):
    """The same in a later version, with settings that came after runs were made."""

    widening: float = setting(1.0, "Widening.", role="training", added=True)
    marks: tuple[int, ...] = setting((), "Marks.", role="data", added=True)


def test_a_setting_that_was_added_names_no_run_at_its_default() -> None:
    later = replace(TOY, config=Later)
    assert Later().fields() == Example().fields()
    for change in ({"widening": 2.0}, {"marks": (3,)}):
        changed = Later(**change)  # type: ignore[arg-type]
        assert changed.fields() == {**Example().fields(), **json.loads(json.dumps(change))}
        assert _key(later, changed.fields()) != _key(later, Later().fields())
        (name,) = change
        keys = {_key(later, one.fields(), by=name) for one in (changed, Later())}
        assert len(keys) == 1
    assert completed(Later, Example().fields()) == {
        **Example().fields(),
        "widening": 1.0,
        "marks": [],
    }
    assert completed(Later, Later(widening=2.0).fields())["widening"] == 2.0


WITH: dict[str, dict[str, Any]] = {
    "milestones": {"schedule": "step"},
    "lr_factor": {"schedule": "step", "milestones": (1,)},
    "schedule": {"milestones": (1,)},
    "trained_with": {"weights": "other"},
    "swap": {"weights": "other"},
    "multi_step": {"algorithm": "maml++"},
    "outer_step": {"algorithm": "reptile"},
}
"""Settings without which a setting contradicts the others."""


@pytest.mark.parametrize(("name", "field"), EVERY)
def test_roles_of_the_experiments(name: str, field: str) -> None:
    """The same of every setting that there is, for any value that it may have."""
    experiment = find(name)
    one = by_name(experiment.config)[field]
    config: Any = experiment.config()
    value = _another(one, getattr(config, field))
    other = replace(config, **{field: value}, **WITH.get(field, {}))
    recorded = {
        **config.fields(),
        **{k: 1 for k in experiment.recorded if k not in config.fields()},
    }
    changed = {**recorded, **{k: v for k, v in other.fields().items() if k == field}}
    assert (field in other.fields()) == (one.role != "computation")
    assert (field in config.fields()) == (one.role != "computation" and not one.added)
    same = _key(experiment, recorded) == _key(experiment, changed)
    assert same == (one.role not in ("data", "training"))
    assert (field in shared_settings(experiment, changed)) == (one.role in ("data", "training"))


def _another(one: Setting, value: Any) -> Any:
    if one.choices:
        known = (value, *one.implies)  # what stands for others is recorded as these
        return next(choice for choice in one.choices if choice not in known)
    if one.kind is bool:
        return not value
    if one.layers:
        return (("head", 0.5),)
    if one.many:
        return (7,) if one.kind is int else ("head",)
    if one.kind is int:
        return (value or 2) + 1
    if one.kind is float:
        return (value or 1.0) / 2
    return "conv4" if one.name == "model" else "other"


ODD: tuple[object, ...] = (True, -1, 0.5, 1e308, 10**30, "", "x", [], {}, [[1]], [["head"]], [{}])
"""Values as JSON, of which no setting may record most."""


@pytest.mark.parametrize(("name", "field"), EVERY)
def test_what_runs_record_is_accepted_and_other_types_are_refused_in_one_sentence(
    name: str, field: str
) -> None:
    experiment = find(name)
    one = by_name(experiment.config)[field]
    config: Any = experiment.config()
    other = replace(config, **{field: _another(one, getattr(config, field))}, **WITH.get(field, {}))
    recorded = experiment.settings
    for made in (config, other):
        fields = {k: v for k, v in made.fields().items() if k not in experiment.recorded}
        check_recorded(recorded, json.loads(json.dumps(fields)))
    of_its_kind = {bool: [True], str: ["", "x"], int: [-1, 10**30], float: [-1, 0.5, 1e308, 10**30]}
    for value in ODD:
        if value in of_its_kind[one.kind] and type(value) is not bool and not one.layers:
            continue  # its bounds may allow it
        if (value is True and one.kind is bool) or (value == [] and one.many):
            continue
        with pytest.raises(UsageError, match=f"^`{field}` must "):
            check_recorded({field: one}, {field: value})


@pytest.mark.parametrize(("name", "field"), EVERY)
def test_every_setting_has_one_option_with_its_default_and_help(name: str, field: str) -> None:
    experiment = find(name)
    one = by_name(experiment.config)[field]
    options = {
        option.name: option
        for option in setting_options(experiment.config, arguments=experiment.arguments)
    }
    if one.role == "seed":
        assert field not in options
        return
    option = options[field]
    if field in experiment.arguments:
        assert isinstance(option, click.Argument)
        assert option.default == one.default
        return
    assert isinstance(option, click.Option)
    assert {one.flag, *one.aliases} <= set(option.opts)
    assert (option.help or "").startswith(one.help)
    assert one.help.endswith(".")
    assert not one.unset or one.unset in (option.help or "")
    if one.off:
        assert one.off in option.secondary_opts


@pytest.mark.parametrize("field", [n for n in OTHER if n not in ("activation", "seed", "place")])
def test_option_file_command_and_words_come_from_the_declaration(
    field: str, tmp_path: Path
) -> None:
    one, value = by_name(Example)[field], OTHER[field]
    config = Example(**{field: value})
    recorded = command(TOY, config)["options"]
    assert one.flag in recorded
    words = [one.flag, recorded[one.flag]] if recorded[one.flag] else [one.flag]

    def parsed(*arguments: str) -> Any:
        file = click.Option(
            ["--config"],
            type=click.Path(path_type=Path),
            callback=read_config,
            is_eager=True,
            expose_value=False,
        )
        made = click.Command("toy", params=[*setting_options(Example), file])
        return made.make_context("toy", list(arguments)).params[field]

    written = {k: v for k, v in {"rates": "{head = 0.5}", "noisy": "true"}.items() if k == field}
    text = written.get(field) or json.dumps(list(value) if isinstance(value, tuple) else value)
    option = one.flag.lstrip("-")
    (tmp_path / "settings.toml").write_text(f"{option} = {text}\n")
    by_line, by_file = parsed(*words), parsed("--config", str(tmp_path / "settings.toml"))
    assert by_line == by_file
    assert by_line == value or by_line == (value,)
    if one.role == "training":
        said = headline(TOY, config.fields())
        assert one.in_words(value) in said or one.in_words(config.fields()[field]) in said
        assert one.always or one.in_words(value) not in headline(TOY, Example().fields())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth": 0}, "`depth` must be an int >= 1"),
        ({"depth": True}, "`depth` must be"),
        ({"depth": 2.0}, "`depth` must be"),
        ({"lr": 0.0}, "`lr` must be a finite number > 0"),
        ({"lr": math.nan}, "`lr` must be"),
        ({"momentum": 1}, "`momentum` must be a number in [0, 1); got 1."),
        ({"momentum": math.nan}, "`momentum` must be"),
        ({"momentum": "much"}, "`momentum` must be"),
        ({"widths": ()}, "`widths` must hold at least one number; got none."),
        ({"widths": (0,)}, "`widths` must be"),
        ({"widths": 8}, "`widths` must be a tuple of values; got 8."),
        ({"rates": (("head", -1.0),)}, "the learning rate of head"),
    ],
)
def test_what_is_not_allowed_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        Example(**change)
    assert words in str(raised.value)


def test_defaults_that_follow_others_are_found() -> None:
    maml, converge = find("maml"), find("converge")
    assert defaults(maml.config, {"shots": 5, "protocol": "paper"})["queries"] == 5
    assert defaults(maml.config, {"shots": 5})["queries"] == 15
    assert defaults(maml.config, {"model": "conv4"})["batch_norm"] == "batch"
    assert defaults(converge.config, {"lr": 1e-4})["first_epoch_points"] == 4
    # A value that another version knew and this does not is no error.
    assert defaults(maml.config, {"model": "of-another-version"})["model"] == "mnist-conv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled(Example):
    """Settings of which one was added that stands for an older one, and others that it reads."""

    rule: str | None = setting(
        None,
        "Rule.",
        role="training",
        choices=("plain", "narrow", "other"),
        implies={"plain": {"narrowed": False}, "narrow": {"narrowed": True}},
        added=True,
    )
    narrowed: bool = setting(
        False, "Narrowed.", role="training", only=("rule", ("plain", "narrow"))
    )
    speed: float = setting(1.0, "Speed.", role="rate", only=("rule", ("plain", "narrow")))

    def __post_init__(self) -> None:
        settle(self, "rule")


def test_a_setting_that_stands_for_others_and_those_that_it_does_not_read() -> None:
    assert Ruled().rule == "plain"
    assert Ruled(narrowed=True).rule == "narrow"
    assert Ruled(rule="narrow") == Ruled(narrowed=True) == Ruled(rule="plain", narrowed=True)
    assert Ruled(rule="narrow").fields() == {**Example().fields(), "narrowed": True, "speed": 1.0}
    other = Ruled(rule="other").fields()
    assert other == {**Example().fields(), "rule": "other"}
    assert completed(Ruled, Ruled(narrowed=True).fields())["rule"] == "narrow"
    for more in ({"narrowed": True}, {"speed": 2.0}):
        with pytest.raises(UsageError, match=f"`{next(iter(more))}` must be left out with rule"):
            Ruled(rule="other", **more)  # type: ignore[arg-type]
    given = {"rule": "other", "narrowed": True, "speed": 2.0}
    assert quiet(Ruled, given) == {"rule": "other", "narrowed": False, "speed": 1.0}
    assert quiet(Ruled, {**given, "rule": None}) == {**given, "rule": None}
