"""What is said on a terminal, and how: colours, the next command, quiet and verbose."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from metaact import reports
from metaact.cli.next_step import after_runs
from metaact.cli.output import echo

WORDS = ("--dataset", "printed-digits", "--lr", "1e-3", "--epochs", "1", "--images", "100")


def shown(monkeypatch: pytest.MonkeyPatch, *lines: str) -> str:
    """What a terminal is sent for some lines."""
    outer, inner = os.openpty()
    with os.fdopen(inner, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        for line in lines:
            echo(line)
        stdout.flush()
        text = ""
        while select.select([outer], [], [], 0.1)[0]:
            text += os.read(outer, 100_000).decode()
    os.close(outer)
    return text.replace("\r\n", "\n")


LINES = ("arelu  3  87.0 %  better", "relu is worse than arelu by 3.2 points.", "a better day")


def test_verdicts_have_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown(monkeypatch, *LINES)
    assert "\x1b[32mbetter\x1b[0m\n" in text
    assert "\x1b[31mis worse than\x1b[0m" in text
    assert "a better day\n" in text  # no verdict
    assert re.sub(r"\x1b\[\d+m", "", text) == "\n".join([*LINES, ""])


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(monkeypatch, *LINES) == "\n".join([*LINES, ""])


def test_what_a_terminal_would_obey_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert shown(monkeypatch, "a\x1b[2Jb [red]c[/red] :smile:") == (
        "a\\x1b[2Jb [red]c[/red] :smile:\n"
    )


def test_quiet_leaves_the_result_alone_and_verbose_names_the_runs(cli: Callable[..., Any]) -> None:
    loud = cli("converge", *WORDS, "--verbose")
    assert loud.code == 0
    assert re.search(r"^arelu .*: runs/converge", loud.err, re.MULTILINE)
    assert "PyTorch" in loud.err
    assert "next: the same command with `--activation arelu,relu`" in loud.err
    assert "Guessing gives 10 %." in loud.out
    quiet = cli("converge", *WORDS, "--quiet")
    assert (quiet.code, quiet.err, quiet.out) == (0, "", loud.out)
    failing = cli("converge", "--dataset", "nowhere", "--quiet")
    assert failing.code == 2
    assert failing.err.startswith("metaact: ")


def test_each_result_names_the_command_that_makes_sense_next(cli: Callable[..., Any]) -> None:
    arms = ("--activation", "arelu,relu")
    assert "`--seeds 3`" in cli("converge", *WORDS, *arms).err
    assert "`--controls`" in cli("converge", *WORDS, *arms, "--seeds", "3").err
    controlled = cli("converge", *WORDS, *arms, "--seeds", "3", "--controls")
    assert "`metaact report runs`" in controlled.err
    assert "`metaact report runs`" in cli("compare", "runs").err


def test_an_arm_that_always_diverges_is_given_other_rates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], synthetic: ModuleType
) -> None:
    for seed in range(3):
        synthetic.maml(tmp_path, "arelu", seed, None)
        synthetic.maml(tmp_path, "relu", seed, [0.2, 0.4, 0.5, 0.3 + 0.1 * seed])
    after_runs(reports.compare(reports.gather([tmp_path])), tmp_path)
    said = capsys.readouterr().err
    assert "next: arelu diverged with every seed" in said
    assert "`--tune inner-lr=0.0005,0.002`" in said
