"""What pictures tell in figures, and how studies are named in a few words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metaact import analysis
from metaact.reports import Document
from metaact.reports.describe import short_names
from metaact.reports.picture_values import along


def _drawn(names: list[str], points: int, *, log: bool = False) -> list[str]:
    """What is told of curves that rise by a hundredth a step."""
    x = np.arange(points)
    lines: dict[str, analysis.Curve] = {
        name: (x, (x + i) / 100, (x + i) / 100 - 0.01, (x + i) / 100 + 0.01)
        for i, name in enumerate(names)
    }
    figure = analysis.learning_curves(lines, xlabel="epoch", ylabel="accuracy")
    return [value.text for value in along(lines, figure, "epoch", log=log)]


def test_a_panel_tells_all_arms_at_some_places_from_the_first_to_the_last() -> None:
    told = _drawn(["arelu", "relu"], 51)
    assert len(told) == 6
    assert told[0] == "epoch 0\narelu: 0.0 [-1.0, 1.0] %\nrelu: 1.0 [0.0, 2.0] %"
    assert told[-1] == "epoch 50\narelu: 50.0 [49.0, 51.0] %\nrelu: 51.0 [50.0, 52.0] %"
    assert _drawn(["arelu"], 51, log=True)[0].startswith("epoch 1\n")
    assert len(_drawn(["arelu"], 3)) == 3


def test_each_of_many_panels_tells_its_own_arm() -> None:
    names = ["arelu", "relu", "selu", "elu", "gelu"]
    told = _drawn(names, 3)
    assert [text.partition("\n")[0] for text in told] == names
    assert told[1] == (
        "relu\nepoch 0: 1.0 [0.0, 2.0] %\nepoch 1: 2.0 [1.0, 3.0] %\nepoch 2: 3.0 [2.0, 4.0] %"
    )


def test_a_seed_without_a_value_is_a_dash_and_one_seed_has_no_band() -> None:
    lines: dict[str, analysis.Curve] = {"relu": ([1, 2], [0.5, np.nan], None, None)}
    figure = analysis.learning_curves(lines, xlabel="epoch", ylabel="accuracy")
    told = [value.text for value in along(lines, figure, "epoch", log=False)]
    assert told == ["epoch 1\nrelu: 50.0 %", "epoch 2\nrelu: –"]


def test_studies_have_short_names_that_tell_them_apart(document: Document) -> None:
    first, second = document.studies
    twin = replace(first, id="maml-2", settings=first.settings | {"shots": 5})
    names = short_names([first, twin, second])
    assert len(set(names.values())) == 3
    assert names["maml-1"].startswith("maml: mnist (")
    assert names[second.id].startswith("transfer: ")
    assert short_names([first])["maml-1"] == "maml: mnist"


@pytest.mark.parametrize("margin", [None, 0.01])
def test_a_picture_of_all_studies_tells_every_sentence(
    document: Document, margin: float | None
) -> None:
    from metaact.reports.summary import forest

    drawn = forest(replace(document, margin=margin))
    assert drawn is not None
    sentences = [c.sentence for study in document.studies for c in study.comparisons]
    assert [value.text for value in drawn.values] == sentences
    rows = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
    arms = [c.first for study in document.studies for c in study.comparisons]
    for value, arm in zip(drawn.values, arms, strict=True):
        assert value.y is not None
        assert rows[int(value.y)] == arm  # the words stand at the row of their arm
