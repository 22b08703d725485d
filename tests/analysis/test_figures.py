"""Figures: nothing clipped, nothing global touched, arms told apart, files whole or absent."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from metaact import analysis
from metaact.analysis.figures import canvas
from metaact.errors import RunError, UsageError

X = np.linspace(-3, 3, 31)
LONG = "a.very_long_module_name.with_parts:and_a_factory$name"


def _curves(width: float = 7.2, count: int = 22) -> Figure:
    x = np.arange(1, 41)
    arms = {}
    for i in range(count):
        mean = 0.2 + (0.03 * i) * (1 - np.exp(-x / 10))
        arms[f"arm-{i}"] = (x, mean, mean - 0.02, mean + 0.02) if i else (x, mean, None, None)
    arms[LONG] = (x, np.full(40, np.nan), None, None)
    return analysis.learning_curves(
        arms, xlabel="meta-iteration", ylabel="accuracy", title="t", chance=0.2, width=width
    )


def _trajectories(width: float = 7.2) -> Figure:
    x = np.arange(50)
    up = np.stack([0.9 + 0.004 * x, np.full(50, 0.9)])
    layers = {"act1": (x, up, 2 * up), LONG: (x, 0.5 * up, up)}
    return analysis.trajectories(layers, xlabel="meta-iteration", title="α and β", width=width)


def _gallery(width: float = 7.2) -> Figure:
    names = [f"activation {i}" for i in range(21)] + [LONG]
    curves = {n: (X, np.exp(X), np.exp(X)) for n in names}
    return analysis.activation_curves(curves, title="t", width=width)


def _range(width: float = 7.2) -> Figure:
    values = np.stack([s * np.maximum(X, 0) for s in (1.0, 1.2, 1.5)])
    layers = {f"act{i}": (X, values) for i in range(5)}
    return analysis.activation_range(layers, start=(X, X), title="AReLU", width=width)


def _heat(width: float = 7.2) -> Figure:
    values = np.linspace(0.1, 0.9, 12).reshape(3, 4)
    values[0, 0] = np.nan
    return analysis.heat_grid(
        values,
        rows=[0.1, 0.5, 0.9],
        columns=[-1, 0, 1, 2],
        title="MNIST",
        marked=(0.9, 2),
        width=width,
    )


def _contact(width: float = 7.2, channels: int = 1, classes: int = 30) -> Figure:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (classes * 3, channels, 12, 12)).astype(np.uint8)
    names = [f"images/{LONG}/{i}" for i in range(classes)]
    labels = np.arange(classes * 3) % classes
    return analysis.contact_sheet(images, labels, names, title="data", width=width)


def _episode(width: float = 7.2) -> Figure:
    generator = np.random.default_rng(0)
    support, query = generator.standard_normal((2, 10, 1, 12, 12))
    labels = np.arange(10) % 5
    title = "5-way 2-shot"
    return analysis.episode_sheet(support, labels, query, labels, title=title, width=width)


def _panels(width: float = 7.2, count: int = 19) -> Figure:
    x = np.arange(1, 21)
    curves = {f"arm-{i}": (x, 0.9 - 0.02 * i - 0.5 / x, None, None) for i in range(count)}
    panels = [
        analysis.CurvePanel(title=f"lr {lr:g}", curves=curves, marks=marks, percent=True)
        for lr, marks in ((0.1, {"arm-0": [(1, 0.5), (20, 0.9)]}), (0.01, {}), (0.001, {}))
    ]
    figure = analysis.curve_panels(panels, xlabel="epoch", title="Figure 3, ours", width=width)
    assert figure is not None
    return figure


DRAWN = [
    _curves,
    _panels,
    _trajectories,
    _gallery,
    _range,
    _heat,
    _contact,
    _episode,
]


@pytest.mark.parametrize("width", [7.2, 4.0])
@pytest.mark.parametrize("draw", DRAWN)
def test_nothing_is_clipped_and_nothing_global_changes(
    draw: Callable[[float], Figure], width: float
) -> None:
    before = dict(mpl.rcParams)
    figure = draw(width)
    if width < 5:
        for legend in list(figure.legends):  # as the page does, which sets it in HTML
            legend.remove()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert dict(mpl.rcParams) == before
    drawn = figure.get_tightbbox(canvas.get_renderer())  # in inches, of all that is visible
    inches, height = figure.get_size_inches()
    assert inches <= width + 0.01
    assert drawn.x0 >= -0.01
    assert drawn.y0 >= -0.01
    assert drawn.x1 <= inches + 0.01
    assert drawn.y1 <= height + 0.01


@pytest.mark.parametrize("draw", [_curves, _panels, _trajectories, _heat, _episode])
def test_saved_twice_it_is_the_same(draw: Callable[[], Figure], tmp_path: Path) -> None:
    first = analysis.save_figure(draw(), tmp_path / "new" / "a.b")
    second = analysis.save_figure(draw(), tmp_path / "c")
    assert [path.name for path in first] == ["a.b.png", "a.b.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("draw", [_curves, _gallery, _heat])
def test_pictures_are_in_full_colour_and_their_text_is_text(
    draw: Callable[[], Figure], tmp_path: Path
) -> None:
    png, svg = analysis.save_figure(draw(), tmp_path / "picture")
    header = png.read_bytes()[:26]
    assert header[12:16] == b"IHDR"
    assert header[24:26] in (
        b"\x08\x02",
        b"\x08\x06",
    )  # eight bits a channel; RGB or RGBA, no palette
    drawn = svg.read_text("utf-8")
    words = re.sub(r"<[^>]+>", " ", drawn[drawn.index("</metadata>") :])
    assert "MNIST" in words or " t " in words
    assert "<text" in drawn
    assert 'id="DejaVuSans' not in drawn  # no letter as an outline


def test_the_gallery_shows_where_relu6_stops(tmp_path: Path) -> None:
    from metaact.cli.activation_plot import RANGE

    assert RANGE > 6
    x = np.linspace(-RANGE, RANGE, 33)
    value = np.clip(x, 0, 6)
    (axes, *_) = analysis.activation_curves({"ReLU6": (x, value, (value > 0) * (value < 6))}).axes
    low, high = axes.get_ylim()
    assert low < 0
    assert 6 < high < 8  # the flat part is in sight, with room above
    assert axes.get_xlim()[1] > 6


def test_narrow_pictures_have_two_columns_of_panels() -> None:
    for draw, wide in ((_gallery, 4), (_range, 3)):
        for width, columns in ((7.2, wide), (4.0, 2)):
            grid = draw(width).axes[0].get_gridspec()
            assert grid is not None
            assert grid.ncols == columns


def test_a_narrow_grid_has_its_values_in_the_cells_only() -> None:
    assert len(_heat(7.2).axes) == 2
    (axes,) = _heat(4.0).axes
    assert axes.get_title() == "MNIST: test accuracy (%)"


def test_stuck_seeds_are_counted_and_marked() -> None:
    figure = _trajectories()
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "act1 (1 of 2 stuck)"
    alpha = figure.axes[0]
    crosses = [line for line in alpha.lines if line.get_marker() == "x" and len(line.get_xdata())]
    (line,) = crosses
    assert np.asarray(line.get_xdata())[0] == 23  # 0.9 + 0.004·23 > 0.99
    low, high = alpha.get_ylim()
    assert low < 0.01 < 0.99 < high


def test_contact_sheet_says_how_many_classes_it_leaves_out() -> None:
    assert _contact().axes[0].get_title() == "data: 20 of 30 classes"
    assert _contact(channels=3, classes=4).axes[0].get_title() == "data"


def test_importing_the_statistics_leaves_matplotlib_and_torch_alone() -> None:
    code = (
        "import sys, metaact.analysis\n"
        "assert not {'matplotlib', 'torch'} & set(sys.modules)\n"
        "from metaact import analysis\n"
        "analysis.heat_grid([[1.0]], rows=[1], columns=[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules\n"
    )
    root = Path(analysis.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_a_picture_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file"):
        analysis.save_figure(_heat(), tmp_path / "file" / "picture")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match="No space left"):
        analysis.save_figure(_heat(), tmp_path / "picture")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: analysis.learning_curves({}, xlabel="x", ylabel="y"),
        lambda: analysis.learning_curves({"a": ([1], [1, 2], None, None)}, xlabel="x", ylabel="y"),
        lambda: analysis.trajectories({"a": ([1, 2], [[1]], [[1, 2]])}, xlabel="x"),
        lambda: analysis.activation_curves({"a": ([1], [1, 2], [1])}),
        lambda: analysis.activation_range({"a": ([1], [1])}),
        lambda: analysis.heat_grid([[1.0]], rows=[1, 2], columns=[1]),
        lambda: analysis.contact_sheet(np.zeros((2, 1, 4, 4)), [0, 1], ["a", "b"]),
        lambda: analysis.contact_sheet(np.zeros((2, 1, 4, 4), np.uint8), [0], ["a", "b"]),
    ],
)
def test_refusals(draw: Callable[[], Figure]) -> None:
    with pytest.raises(UsageError, match="`"):
        draw()


def test_names_in_any_script_are_drawn_without_a_warning(tmp_path: Path) -> None:
    """A letter that no installed font has is written as its code; nothing reaches the terminal."""
    name = "\u9ce5\U00012000 \x1b[31m\u202e"
    written = canvas.text(name)
    assert written.isprintable()
    assert "\\U00012000" in written or "\U00012000" in written
    pixels = np.zeros((4, 1, 5, 5), dtype=np.uint8)
    sheet = analysis.contact_sheet(pixels, np.arange(4) % 2, [name, "b"], title=name)
    assert analysis.save_figure(sheet, tmp_path / "sheet")
