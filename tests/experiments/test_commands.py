"""The command that makes a run: read by the command line it gives the run's settings back."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaact.cli.verb import configs_of, verb
from metaact.errors import UsageError
from metaact.experiments import MAML, Experiment, MamlConfig, find
from metaact.experiments.commands import command, merged, words
from metaact.settings import Config, Setting, settings_of

ARMS = ("arelu", "relu", "arelu(alpha=0.25,beta=1)", "swish+elsa", "my.module:make")
LAYERS = ("head", "activations", "conv3", "all")


def values(one: Setting, *, path: bool) -> st.SearchStrategy[Any]:
    """Values that a setting may have."""
    if one.role == "arm" or one.name == "trained_with":
        return st.sampled_from(ARMS)
    if path:
        return st.sampled_from(["mnist", "my data/digits.npz", "it's"])
    if one.role == "rate":
        return st.floats(1e-12, 1e6)
    if one.name == "model":
        return st.sampled_from(["conv4", "resnet18", "torchvision:resnet18", "my.module:network"])
    if one.layers:
        pairs = st.tuples(st.sampled_from(LAYERS), st.floats(1e-9, 10))
        return st.lists(pairs, max_size=2, unique_by=lambda pair: pair[0]).map(tuple)
    if one.choices:
        return st.sampled_from(one.choices)
    if one.kind is bool:
        return st.booleans()
    if one.kind is int:
        numbers = st.integers(int(one.minimum or 0), min(one.most or 1000, 1000))
        if not one.many:
            return numbers
        return st.lists(numbers, min_size=1, max_size=3).map(lambda k: tuple(sorted(set(k))))
    if one.kind is float:
        below = math.nextafter(one.below or 10.0, 0)
        return st.floats(one.minimum or 0.0, below)
    return st.lists(st.sampled_from(LAYERS), min_size=1, max_size=2, unique=True).map(tuple)


@st.composite
def random_configs(draw: st.DrawFn, experiment: Experiment) -> Config:
    """Any settings of an experiment: each is at its default, left out, or anything allowed.

    What contradicts the settings before it is left at its default.
    """
    config = experiment.config()
    for one in settings_of(experiment.config):
        value = draw(st.one_of([st.just(one.default), values(one, path=one.path)]))
        needs: dict[str, Any] = {}
        if (one.name, value) == ("schedule", "step"):
            needs = {"milestones": (1,)}
        with suppress(UsageError):
            config = replace(config, **{one.name: value}, **needs)  # type: ignore[type-var]
    return config


def parse(line: str) -> list[Config]:
    """The configs that the program makes of a command line."""
    program, name, *words = shlex.split(line)
    assert program == "metaact"
    experiment = find(name)
    context = verb(experiment).make_context(name, words)
    asked = dict(context.params)
    return configs_of(experiment, asked, by=asked["by"], tune=asked["tune"])


@pytest.mark.parametrize("name", ["maml", "converge", "transfer", "segment"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_recorded_command_gives_the_config_back(name: str, data: st.DataObject) -> None:
    config = data.draw(random_configs(find(name)))
    (line,) = merged([command(find(name), config)])
    assert parse(line) == [config]


@pytest.mark.parametrize("name", ["maml", "converge", "transfer", "segment"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_commands_of_many_runs_make_them_all(name: str, data: st.DataObject) -> None:
    """Whatever the runs differ in; runs that differ in their arms and seeds are one command."""
    experiment = find(name)
    some = data.draw(st.lists(random_configs(experiment), min_size=1, max_size=3))
    arms = data.draw(st.lists(st.sampled_from(ARMS), min_size=1, max_size=3, unique=True))
    seeds = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True))
    every = [
        replace(config, activation=arm, seed=seed)  # type: ignore[type-var,call-arg]
        for config in some
        for arm in arms
        for seed in seeds
    ]
    lines = merged([command(experiment, config) for config in every])
    assert len(lines) <= len(some)
    made = [config for line in lines for config in parse(line)]
    assert set(every) <= set(made)
    if len(some) == 1:
        assert len(made) == len(every)


def lines(configs: Sequence[MamlConfig]) -> list[str]:
    return merged([command(find("maml"), config) for config in configs])


def test_the_usual_is_left_out() -> None:
    assert lines([MamlConfig()]) == ["metaact maml"]
    assert lines([MamlConfig(seed=s) for s in range(3)]) == ["metaact maml --seeds 3"]
    assert lines([MamlConfig(seed=s) for s in (0, 2)]) == ["metaact maml --seed 0,2"]


def test_a_value_that_is_the_default_is_named_beside_others() -> None:
    arms = [MamlConfig(activation=name) for name in ("arelu", "relu")]
    assert lines(arms) == ["metaact maml --activation arelu,relu"]
    rates = [MamlConfig(meta_lr=rate) for rate in (0.005, 0.02)]
    assert lines(rates) == ["metaact maml --meta-lr 0.005,0.02"]


def test_what_one_command_cannot_say_makes_two() -> None:
    """Flags, data at two places, defaults that follow others, and how it was computed."""
    pairs: list[list[dict[str, Any]]] = [
        [{}, {"first_order": True}],
        [{"dataset": "a/x.npz"}, {"dataset": "b/x.npz"}],
        [{}, {"queries": 3}],
        [{"chunk_size": 1}, {"chunk_size": 2}],
    ]
    for pair in pairs:
        found = lines([MamlConfig(**change) for change in pair])
        assert len(found) == 2, found
        assert [parse(line) for line in found] == [[MamlConfig(**change)] for change in pair]


def test_the_old_name_of_a_rate_is_understood() -> None:
    assert parse("metaact maml --lr 0.02") == parse("metaact maml --meta-lr 0.02")
    (config,) = parse("metaact maml --steps 3 --test-steps 4 --without-replacement")
    assert config == MamlConfig(inner_steps=3, test_inner_steps=4, replacement=False)


def test_a_setting_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="settings that can be compared"):
        parse("metaact maml --by meta_lr")
    with pytest.raises(UsageError, match="must be one value"):
        parse("metaact maml --chunk-size 1,2")


def test_arms_may_be_values_of_another_setting() -> None:
    found = parse("metaact maml --by model --model mnist-conv,conv4 --seeds 2")
    assert [(c.model, c.seed) for c in found] == [  # type: ignore[attr-defined]
        ("mnist-conv", 0),
        ("mnist-conv", 1),
        ("conv4", 0),
        ("conv4", 1),
    ]


def test_what_an_algorithm_does_not_read_is_not_in_its_part_of_a_command() -> None:
    made = [
        command(MAML, MamlConfig(algorithm=name, **rates))
        for name, rates in (
            ("maml", {"inner_lr": 0.1}),
            ("boil", {"inner_lr": 0.1}),
            ("protonet", {}),
        )
    ]
    assert merged(made, by="algorithm") == [
        "metaact maml --algorithm maml,boil,protonet --inner-lr 0.1 --by algorithm"
    ]
    assert words(MAML, MamlConfig(algorithm="anil")) == ["maml", "--seed", "0", "--head-only"]
