"""Our figures beside published ones: cells, a document, a plain-text table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from metaact import activations, analysis, paper

from .replication import Agreement, over_seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One cell of a table of the paper: ours beside it.

    Attributes:
        activation: The arm.
        column: The paper's column ("sgd_1e-3").
        accuracies: Ours, one per seed that has the figure.
        asked: Seeds asked for.
        diverged: Seeds whose run diverged before.
        interval: Ours with its interval; None if no seed has the figure.
        agreement: The comparison; None where the paper has no such cell or we have no figure.
    """

    activation: str
    column: str
    accuracies: tuple[float, ...]
    asked: int
    diverged: int
    interval: analysis.Interval | None
    agreement: Agreement | None


def paper_row(activation: str) -> str:
    """The name of an arm's row in the paper's tables: the authors' form has the plain name's.

    Examples:
        >>> paper_row("slaf-paper"), paper_row("arelu-frozen") in paper.table(1)
        ('SLAF', False)
    """
    entry = activations.resolve(activation)
    plain = (e.title for e in activations.entries() if e.paper_form == entry.name)
    return next(plain, entry.title)


def line(
    activation: str,
    column: str,
    values: Sequence[float],
    published: Mapping[str, Mapping[str, float]],
    *,
    asked: int,
    diverged: int,
    images: int,
    compare: Callable[..., Agreement],
    runs: int,
) -> Line:
    """One cell: ours, the published figure if there is one, and how they compare.

    Args:
        activation: The arm; its title names the row of the paper.
        column: The paper's column.
        values: Ours, one per seed that has the figure.
        published: The paper's table, in percent.
        asked: Seeds asked for.
        diverged: Seeds whose run diverged before.
        images: Size of the test set.
        compare: `agreement_of_mean` or `agreement_of_best`.
        runs: Runs behind the published figure.
    """
    percent = published.get(paper_row(activation), {}).get(column)
    agreement = None
    if values and percent is not None:
        agreement = compare(values, percent / 100, images=images, runs=runs)
    interval = over_seeds(values, images) if values else None
    return Line(
        activation=activation,
        column=column,
        accuracies=tuple(values),
        asked=asked,
        diverged=diverged,
        interval=interval if agreement is None else agreement.interval,
        agreement=agreement,
    )


def document(
    number: int, lines: Sequence[Line], *, notes: Sequence[str], missing: Sequence[str]
) -> dict[str, Any]:
    """The comparison as strict JSON; all accuracies in 0..1."""
    compared = [line.agreement for line in lines if line.agreement is not None]
    judged = [a.plausible for a in compared if a.plausible is not None]
    return {
        "experiment": "table",
        "table": number,
        "caption": paper.TABLES[number].caption,
        "cells": [asdict(line) for line in lines],
        "compared": len(compared),
        "inside": sum(a.inside for a in compared),
        "judged_for_new_runs": len(judged),
        "plausible": sum(judged),
        "notes": list(notes),
        "missing": list(missing),
    }


def render(found: Mapping[str, Any]) -> str:
    """The comparison as a plain-text table."""
    names = ["column", "activation", "seeds", "ours", "paper", "difference", "inside"]
    judged = bool(found["judged_for_new_runs"])
    names += ["5 new runs of ours"] if judged else []
    notes = [
        f"Inside: whether the paper's figure lies in our interval: {found['inside']} of "
        f"{found['compared']} cells."
    ]
    if any(len(cell["accuracies"]) == 1 and cell["agreement"] for cell in found["cells"]):
        notes.append(
            "With one seed an interval does not hold the spread between runs: --seeds 3 or more."
        )
    if judged:
        notes.append(
            "5 new runs of ours: where 95 % of such figures of five new runs would lie, which is "
            "the fairer question, as the paper's figure has run-to-run noise of its own: "
            f"{found['plausible']} of {found['judged_for_new_runs']} cells lie there."
        )
    intervals = (cell["interval"] for cell in found["cells"])
    varies = sorted({interval["varies"] for interval in intervals if interval})
    notes += [f"95 % intervals over {' / '.join(varies)}."] if varies else []
    return analysis.render_table(
        [analysis.Column(name) for name in names],
        [_cells(cell) for cell in found["cells"]],
        title=f"Table {found['table']}: {found['caption']} (paper), in %",
        footnotes=[*notes, *found["notes"]],
    )


def _cells(cell: Mapping[str, Any]) -> dict[str, str]:
    interval, agreement = cell["interval"], cell["agreement"]
    ours = str(analysis.Interval(**interval)) if interval else "–"
    if cell["diverged"]:
        ours += f" ({cell['diverged']} diverged)"
    lacking = cell["asked"] - len(cell["accuracies"]) - cell["diverged"]
    if lacking:
        ours += f" ({lacking} missing)"
    shown = {
        "column": cell["column"],
        "activation": cell["activation"],
        "seeds": str(cell["asked"]),
        "ours": ours,
    }
    if agreement:
        difference = agreement["ours"] - agreement["published"]
        shown |= {
            "paper": f"{100 * agreement['published']:.2f}",
            "difference": f"{100 * difference:+.1f}",
            "inside": "yes" if agreement["inside"] else "no",
        }
        if expected := agreement["expected"]:
            low, high = expected
            verdict = "yes" if agreement["plausible"] else "no"
            shown["5 new runs of ours"] = f"{verdict} [{100 * low:.1f}, {100 * high:.1f}]"
    return shown
