"""The help of the verbs is ordered by headings, and none of their options is lost in it."""

from __future__ import annotations

import re

import click
import pytest

from metaact.cli.groups import GROUPS, Option, grouped
from metaact.cli.main import cli
from metaact.experiments.table import EXPERIMENTS

HEADINGS = [f"{group} options" for group in GROUPS]


READERS = ["table", "figure", "compare", "report", "gradcam", "featuremaps"]


@pytest.mark.parametrize("name", [*EXPERIMENTS, *READERS])
def test_every_option_stands_under_one_of_the_six_headings(name: str) -> None:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    found = grouped(command, context)
    headings = [heading for heading in HEADINGS if heading in found]
    assert list(found) == headings
    if name not in READERS:
        assert headings == HEADINGS
    plain = [p for params in found.values() for p in params if not isinstance(p, Option)]
    assert [param.opts[-1] for param in plain] == ["--help"]
    listed = [param for params in found.values() for param in params]
    options = [p for p in command.get_params(context) if isinstance(p, click.Option)]
    assert len(listed) == len(options)
    text = command.get_help(context)
    places = [text.index(f"\n{heading}:") for heading in headings]
    assert places == sorted(places)
    assert text.rindex("--help") > places[-1]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_settings_that_help_names_are_the_commands_own(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    flags = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    named = {
        word
        for param in command.params
        if isinstance(param, click.Option)
        for word in re.findall(r"(?<![\w-])--[a-z][a-z-]+", param.help or "")
    }
    assert named <= flags


def test_a_command_with_few_options_has_one_list() -> None:
    context = click.Context(cli)
    command = cli.get_command(context, "activations")
    assert isinstance(command, click.Group)
    plot = command.get_command(context, "plot")
    assert plot is not None
    assert list(grouped(plot, context)) == ["Options"]


def test_the_list_of_commands_has_full_first_lines() -> None:
    groups = [command for command in cli.commands.values() if isinstance(command, click.Group)]
    assert len(groups) == 3
    for group in (cli, *groups):
        assert "..." not in group.get_help(click.Context(group)).partition("Commands:")[2]


def test_the_shell_completes_choices_also_within_a_list() -> None:
    command = cli.get_command(click.Context(cli), "converge")
    assert command is not None
    context = click.Context(command)
    option = next(param for param in command.params if param.name == "schedule")
    assert [item.value for item in option.shell_complete(context, "co")] == ["constant", "cosine"]
    assert [item.value for item in option.shell_complete(context, "step,cos")] == ["step,cosine"]
