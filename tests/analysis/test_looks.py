"""One look per activation: the same in every picture, told apart in each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from metaact import activations
from metaact.activations import controls
from metaact.activations.table import CONTROLS as CONTROL_ENTRIES
from metaact.activations.table import PAPER_ACTIVATIONS, PAPER_FORMS
from metaact.analysis import Look, looks
from metaact.analysis.figures.canvas import COLOURS
from metaact.analysis.figures.looks import ACTIVATIONS, CONTROLS, FREE, MARKERS

LEADS = ("arelu", "relu", "selu", "prelu", "elu", "gelu", "swish")


def _look(name: str) -> Look:
    return looks([name])[name]


def _pair(name: str) -> tuple[str, str]:
    return _look(name).color, _look(name).marker


def test_every_activation_of_the_paper_has_a_row() -> None:
    assert list(ACTIVATIONS) != []
    assert set(ACTIVATIONS) == {entry.name for entry in PAPER_ACTIVATIONS}
    assert len(set(ACTIVATIONS.values())) == len(ACTIVATIONS) == 19
    assert {color for color, _ in ACTIVATIONS.values()} <= set(COLOURS)
    assert {marker for _, marker in ACTIVATIONS.values()} <= set(MARKERS)
    assert len({ACTIVATIONS[name][0] for name in LEADS}) == len(LEADS)
    assert len({ACTIVATIONS[name][1] for name in LEADS}) == len(LEADS)


def test_the_controls_are_those_of_the_product() -> None:
    """The table here is a copy, as statistics know nothing of activations."""
    pairs = {
        control: base for base, kinds in controls.CONTROLS.items() for control in kinds.values()
    }
    assert pairs.items() <= CONTROLS.items()
    assert set(CONTROLS) == {entry.name for entry in (*CONTROL_ENTRIES, *PAPER_FORMS)}
    forms = {e.paper_form: e.name for e in PAPER_ACTIVATIONS if e.paper_form}
    assert forms.items() <= CONTROLS.items()
    assert CONTROLS["leakyrelu-scaled"] == activations.resolve("leakyrelu").name


@pytest.mark.parametrize("name", ["arelu", "relu", "selu", "my.module:Factory", "relu+elsa"])
def test_the_company_does_not_matter(name: str) -> None:
    alone = _look(name)
    assert looks([*LEADS[3:], "x:y", name])[name] == alone
    assert looks([name, *reversed(ACTIVATIONS)])[name] == alone


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_differs_from_its_activation_by_its_line(name: str) -> None:
    base = CONTROLS[name]
    assert _pair(name) == _pair(base)
    assert (_look(base).linestyle, _look(name).linestyle) == ("-", "--")


@pytest.mark.parametrize(
    "name",
    [
        "arelu lr 0.01",
        "arelu inner lr 0.02 meta lr 0.005",
        "arelu inner lr 0.02, lr 0.005",
        "arelu (0.02, 0.005)",
        "arelu(alpha=0.25,beta=1)",
        "arelu(alpha=0.25,beta=1) lr 0.1, target only",
        "arelu, target only",
        "arelu-frozen(alpha=0.25,beta=1)",
    ],
)
def test_rates_start_values_and_baselines_keep_colour_and_marker(name: str) -> None:
    assert _pair(name) == _pair("arelu")
    lines = {"target only": ":", "frozen": "--"}
    assert _look(name).linestyle == next((v for k, v in lines.items() if k in name), "-")


def test_nested_brackets_are_start_values_too() -> None:
    assert _pair("pau(numerator=(0.1,1,),denominator=(1,))") == _pair("pau")


def test_elsa_keeps_the_colour_and_has_a_free_marker() -> None:
    for base in ACTIVATIONS:
        color, marker = _pair(f"{base}+elsa")
        assert color == _pair(base)[0]
        assert (color, marker) in FREE
    assert _pair("elu(alpha=0.5)+elsa(alpha=0.1)") == _pair("elu+elsa")
    assert _pair("arelu-frozen+elsa") == _pair("arelu+elsa")
    assert _look("arelu-frozen+elsa").linestyle == "--"


def test_a_name_of_the_users_has_a_pair_of_no_row() -> None:
    assert len(FREE) == len(COLOURS) * len(MARKERS) - len(ACTIVATIONS)
    for name in ("my.module:Factory", "folder/file.py:Mine", "maml", "conv4"):
        assert _pair(name) in FREE


def test_a_name_of_the_users_looks_alike_in_every_process() -> None:
    code = "from metaact.analysis import looks; print(looks(['my.module:Factory']))"
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            cwd=root,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {f"{looks(['my.module:Factory'])}\n".encode()}


def test_up_to_eighteen_of_one_activation_are_told_apart() -> None:
    names = [f"arelu lr {rate}" for rate in range(18)]
    found = looks(names)
    assert len(set(found.values())) == 18
    assert len({look.fillstyle for look in list(found.values())[:6]}) == 6
    assert {(look.color, look.marker) for look in found.values()} == {_pair("arelu")}


def test_all_arms_of_the_paper_are_told_apart() -> None:
    names = [*ACTIVATIONS, *CONTROLS, *(f"{name}, target only" for name in ACTIVATIONS)]
    assert len(set(looks(names).values())) == len(names)


def test_matplotlib_takes_it() -> None:
    from matplotlib.lines import Line2D

    line = Line2D([0], [0], **looks(["relu lr 1", "relu lr 2"])["relu lr 2"].as_plot())
    assert (line.get_marker(), line.get_fillstyle(), line.get_color()) == ("s", "none", COLOURS[0])
