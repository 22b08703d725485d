"""The page "Commands" of the documentation, from the commands themselves.

    python -m metaact.cli.reference > docs/commands.md

A test compares the page with this, so that it cannot go stale.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

import click

from .groups import grouped
from .main import cli

HEAD = """\
# Commands

Every command with every option, as `--help` prints it. This page is written by
`python -m metaact.cli.reference > docs/commands.md`, and a test compares the two. The result of a
command goes to stdout, progress and warnings go to stderr; it exits with 0 (done), 1 (failed),
2 (wrong usage) or 130 (stopped by Ctrl-C).
"""


def page() -> str:
    """The whole page, in Markdown."""
    sections = [section(command, path) for path, command in commands(cli, "metaact")]
    return "\n".join([HEAD, *sections])


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, each with the words that call it, in alphabetical order."""
    yield path, command
    for name, below in _below(command):
        yield from commands(below, f"{path} {name}")


def _below(command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """The commands of a group by name, those of the experiments too; none of a command."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in sorted(command.list_commands(context)):
            found = command.get_command(context, name)
            assert found is not None, name
            yield name, found


def section(command: click.Command, path: str) -> str:
    """One command: how it is called, what it does, its options."""
    context = click.Context(command, info_name=path, max_content_width=90)
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    parts = [f"## `{path}`", f"```text\n{usage}\n```", *_paragraphs(command)]
    if isinstance(command, click.Group):
        paths = [f"{path} {name}" for name, _ in _below(command)]
        links = (f"[`{below}`](#{_anchor(below)})" for below in paths)
        parts.append(f"Below it: {', '.join(links)}.")
    for heading, params in grouped(command, context).items():
        own = [param for param in params if param in command.params]
        rows = [r for p in own if (r := p.get_help_record(context)) and r[1]]
        if rows and not isinstance(command, click.Group):
            lines = [f"| {_code(names)} | {_cell(text)} |" for names, text in rows]
            parts.append("\n".join([f"| {heading} | |", "| --- | --- |", *lines]))
    return "\n\n".join(parts) + "\n"


def _paragraphs(command: click.Command) -> Iterator[str]:
    """The help text; what it shows indented are commands."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        text = paragraph.removeprefix("\b\n")
        if text.startswith("    "):
            yield f"```bash\n{textwrap.dedent(text)}\n```"
        else:
            yield " ".join(text.split())


def _anchor(title: str) -> str:
    return title.replace(" ", "-")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("  [", " [")


if __name__ == "__main__":
    click.echo(page(), nl=False)
