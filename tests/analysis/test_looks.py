"""One look per activation: the same in every picture, told apart in each."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from metaact import activations
from metaact.activations import controls
from metaact.activations.table import CONTROLS as CONTROL_ENTRIES
from metaact.activations.table import MODERN_ACTIVATIONS, PAPER_ACTIVATIONS, PAPER_FORMS
from metaact.analysis import Look, looks
from metaact.analysis.figures.canvas import ALL_COLOURS, COLOURS, OWN_COLOURS
from metaact.analysis.figures.looks import ACTIVATIONS, CONTROLS, MARKERS

LEADS = ("arelu", "relu", "selu", "prelu", "elu", "gelu", "swish")


def _look(name: str) -> Look:
    return looks([name])[name]


def _pair(name: str) -> tuple[str, str]:
    return _look(name).color, _look(name).marker


def test_every_activation_has_a_row_and_a_colour_of_its_own() -> None:
    assert set(ACTIVATIONS) == {e.name for e in (*PAPER_ACTIVATIONS, *MODERN_ACTIVATIONS)}
    assert len({color for color, _ in ACTIVATIONS.values()}) == len(ACTIVATIONS)
    assert {color for color, _ in ACTIVATIONS.values()} == {*ALL_COLOURS} - {*OWN_COLOURS}
    assert len(set(ALL_COLOURS)) == len(ALL_COLOURS)
    assert {marker for _, marker in ACTIVATIONS.values()} <= set(MARKERS)
    assert {ACTIVATIONS[name][0] for name in LEADS} == set(COLOURS)
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


# Linear RGB as people without one kind of cone see it (G. Machado, M. Oliveira, L. Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009).
SIGHT = {
    "all": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def _lab(colours: Sequence[str], sight: ArrayLike) -> np.ndarray:
    """CIE L*a*b* (D65) of colours [colours, 3] as somebody sees them."""
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.asarray(sight).T, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    f = np.cbrt(np.maximum(seen @ to_xyz.T / to_xyz.sum(axis=1), 1e-4))
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


@pytest.mark.parametrize("sight", SIGHT)
def test_the_activations_seen_most_are_told_apart_by_all_kinds_of_colour_vision(sight: str) -> None:
    lab = _lab([ACTIVATIONS[name][0] for name in LEADS], SIGHT[sight])
    apart = [np.linalg.norm(one - other) for one, other in itertools.combinations(lab, 2)]
    assert min(apart) > 10  # CIE76; 2.3 is just noticeable


def test_all_colours_differ_for_those_who_see_them_all() -> None:
    lab = _lab(ALL_COLOURS, SIGHT["all"])
    apart = [np.linalg.norm(one - other) for one, other in itertools.combinations(lab, 2)]
    assert min(apart) > 10  # as above


OWN_NAMES = [f"my.module:Factory{number}" for number in range(12)]


@pytest.mark.parametrize("company", [(), tuple(ACTIVATIONS)])
def test_no_two_activations_of_a_picture_share_a_colour(company: tuple[str, ...]) -> None:
    room = len(ALL_COLOURS) - len(company)
    names = [*company, *OWN_NAMES[:room]]
    found = looks(names)
    assert len({look.color for look in found.values()}) == len(names)
    assert looks(list(reversed(names))) == found, "the order of the arms changes nothing"
    assert {name: found[name] for name in company} == looks(company)


def test_a_name_has_another_colour_only_beside_one_that_would_share_it() -> None:
    alone = {name: _pair(name)[0] for name in OWN_NAMES}
    first, second = next(
        pair for pair in itertools.combinations(OWN_NAMES, 2) if alone[pair[0]] == alone[pair[1]]
    )
    found = looks([second, first])
    assert found[first].color == alone[first]
    assert found[second].color != alone[second]
    assert looks([f"{second} lr 0.1", second, "relu"])[second].color == alone[second]


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
        assert marker != _pair(base)[1]
    assert _pair("elu(alpha=0.5)+elsa(alpha=0.1)") == _pair("elu+elsa")
    assert _pair("arelu-frozen+elsa") == _pair("arelu+elsa")
    assert _look("arelu-frozen+elsa").linestyle == "--"


def test_a_name_of_the_users_has_a_pair_of_no_row() -> None:
    for name in ("my.module:Factory", "folder/file.py:Mine", "maml", "conv4"):
        assert _pair(name)[0] in OWN_COLOURS


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


def test_a_control_is_told_from_its_activation_where_there_are_no_lines() -> None:
    names = ["arelu", "arelu-frozen", "relu", "relu-gain", "relu, target only"]
    points = [look.as_point() for look in looks(names).values()]
    kinds = {(p["color"], p["marker"], p["fillstyle"]) for p in points[:4]}
    assert len(kinds) == 4
    assert {p["linestyle"] for p in points} == {"none"}
