"""The help of the verbs is ordered by headings, and none of their options is lost in it."""

from __future__ import annotations

import click
import pytest

from metaact.cli.groups import GROUPS, grouped
from metaact.cli.main import cli
from metaact.experiments.table import EXPERIMENTS

HEADINGS = [f"{group} options" for group in GROUPS]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_option_of_a_verb_stands_under_one_of_the_six_headings(name: str) -> None:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    found = grouped(command, context)
    assert list(found) == [*HEADINGS, "Other options"]
    others = [p for p in found["Other options"] if isinstance(p, click.Option)]
    assert [option.opts[-1] for option in others] == ["--help"]
    listed = [param for params in found.values() for param in params]
    assert len(listed) == len(command.get_params(context))
    text = command.get_help(context)
    assert [text.index(f"\n{heading}:") for heading in HEADINGS] == sorted(
        text.index(f"\n{heading}:") for heading in HEADINGS
    )


def test_a_command_with_few_options_has_one_list() -> None:
    context = click.Context(cli)
    command = cli.get_command(context, "activations")
    assert isinstance(command, click.Group)
    plot = command.get_command(context, "plot")
    assert plot is not None
    assert list(grouped(plot, context)) == ["Options"]


def test_the_list_of_commands_has_full_first_lines() -> None:
    assert "..." not in cli.get_help(click.Context(cli)).partition("Commands:")[2]


def test_the_shell_completes_choices_also_within_a_list() -> None:
    command = cli.get_command(click.Context(cli), "converge")
    assert command is not None
    context = click.Context(command)
    option = next(param for param in command.params if param.name == "schedule")
    assert [item.value for item in option.shell_complete(context, "co")] == ["constant", "cosine"]
    assert [item.value for item in option.shell_complete(context, "step,cos")] == ["step,cosine"]
