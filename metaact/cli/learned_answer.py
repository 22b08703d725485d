"""What a verb says after its table where arms and their controls ran: learned, or only scaled?"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from metaact.activations import controls_of, is_control
from metaact.errors import MetaactError
from metaact.experiments.rates import Plan, Rate, in_words

if TYPE_CHECKING:
    from pathlib import Path

    from metaact.runs import Run

WIDTH = 100


def with_answers(
    summary: dict[str, Any],
    table: Callable[[Mapping[str, Any]], str],
    *,
    runs: Sequence[Run],
    plan: Plan,
    rates: Sequence[Rate],
    at: int | None = None,
) -> Callable[[Mapping[str, Any]], str]:
    """Add "learned" to a summary, and to its table what it says.

    Args:
        summary: The summary of a verb; gets the entry "learned".
        table: Renders it.
        runs: The complete runs.
        plan: The rates they were made at.
        rates: The rates of the verb.
        at: Epoch at which supervised runs are read; None is their end.

    Returns:
        A renderer of the table and the answers.
    """
    try:
        summary["learned"] = answers(runs, plan, rates, at=at)
    except MetaactError as error:  # the table stands without it
        click.echo(f"note: no answer on what was learned: {error}", err=True)
        summary["learned"] = []
    return lambda found: "\n\n".join([table(found), *map(_shown, found["learned"])])


def answers(
    runs: Sequence[Run], plan: Plan, rates: Sequence[Rate], *, at: int | None = None
) -> list[dict[str, Any]]:
    """The answer for each study, at each shared rate and with each arm at its own best.

    Empty where no arm is there together with its frozen control.
    """
    asked = [run for run in runs if run.kind != "source" and _in_question(_name(run))]
    names = {_name(run) for run in asked}
    if not any(controls_of(name)["frozen"] in names for name in names):
        return []
    found = []
    for values in plan.shared:
        here = [run.directory for run in asked if _is_at(run, values)]
        reading = f"at {in_words(values, rates)}"
        found += [_answer(study, study["learned"], reading) for study in _studies(here, at)]
    if len(plan.every) > 1:
        every = _studies([run.directory for run in asked], at)
        tuned = [(study, (study["tuned"] or {}).get("learned")) for study in every]
        found += [_answer(study, part, "each arm at its own best rate") for study, part in tuned]
    return [answer for answer in found if answer is not None]


def _studies(directories: Sequence[Path], at: int | None) -> list[dict[str, Any]]:
    from metaact.reports import compare, gather

    if not directories:
        return []
    studies: list[dict[str, Any]] = compare(gather(directories, at=at))["studies"]
    # A baseline that was never pre-trained answers another question.
    return [study for study in studies if study["settings"].get("pretrained") != 0]


def _answer(
    study: Mapping[str, Any], part: Mapping[str, Any] | None, reading: str
) -> dict[str, Any] | None:
    if part is None:
        return None
    return {
        "study": study["title"],
        "reading": reading,
        "answer": part["answer"],
        "parts": [{"name": p["name"], "sentence": p["sentence"]} for p in part["parts"]],
    }


def _shown(answer: Mapping[str, Any]) -> str:
    lines = textwrap.wrap(f"{answer['study']}, {answer['reading']}: {answer['answer']}", WIDTH)
    for part in answer["parts"]:
        lines += textwrap.wrap(
            part["sentence"], WIDTH, initial_indent="  ", subsequent_indent="    "
        )
    return "\n".join(["Learned, or only scaled?", *lines])


def _name(run: Run) -> str:
    return str(run.config["activation"])


def _in_question(name: str) -> bool:
    return is_control(name) or any(controls_of(name).values())


def _is_at(run: Run, values: Mapping[str, float]) -> bool:
    """Whether a run is at these rates; one that does not depend on a rate is at any."""
    return all(run.config.get(field, value) == value for field, value in values.items())
