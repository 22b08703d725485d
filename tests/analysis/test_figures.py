"""Figures: nothing clipped, nothing global touched, arms told apart, files whole or absent."""

from __future__ import annotations

import errno
import os
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
from metaact.analysis.figures.canvas import arm_style
from metaact.errors import RunError, UsageError

X = np.linspace(-3, 3, 31)
LONG = "a.very_long_module_name.with_parts:and_a_factory$name"


def _curves(count: int = 22) -> Figure:
    x = np.arange(1, 41)
    arms = {}
    for i in range(count):
        mean = 0.2 + (0.03 * i) * (1 - np.exp(-x / 10))
        arms[f"arm-{i}"] = (x, mean, mean - 0.02, mean + 0.02) if i else (x, mean, None, None)
    arms[LONG] = (x, np.full(40, np.nan), None, None)
    return analysis.learning_curves(
        arms, xlabel="meta-iteration", ylabel="accuracy", title="t", chance=0.2
    )


def _trajectories() -> Figure:
    x = np.arange(50)
    up = np.stack([0.9 + 0.004 * x, np.full(50, 0.9)])
    layers = {"act1": (x, up, 2 * up), LONG: (x, 0.5 * up, up)}
    return analysis.trajectories(layers, xlabel="meta-iteration", title="α and β per layer")


def _gallery() -> Figure:
    names = [f"activation {i}" for i in range(21)] + [LONG]
    return analysis.activation_curves({n: (X, np.exp(X), np.exp(X)) for n in names}, title="t")


def _range() -> Figure:
    values = np.stack([s * np.maximum(X, 0) for s in (1.0, 1.2, 1.5)])
    layers = {f"act{i}": (X, values) for i in range(5)}
    return analysis.activation_range(layers, start=(X, X), title="AReLU")


def _heat() -> Figure:
    values = np.linspace(0.1, 0.9, 12).reshape(3, 4)
    values[0, 0] = np.nan
    return analysis.heat_grid(
        values, rows=[0.1, 0.5, 0.9], columns=[-1, 0, 1, 2], title="MNIST", marked=(0.9, 2)
    )


def _contact(channels: int = 1, classes: int = 30) -> Figure:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (classes * 3, channels, 12, 12)).astype(np.uint8)
    names = [f"images/{LONG}/{i}" for i in range(classes)]
    return analysis.contact_sheet(images, np.arange(classes * 3) % classes, names, title="data")


def _episode() -> Figure:
    generator = np.random.default_rng(0)
    support, query = generator.standard_normal((2, 10, 1, 12, 12))
    labels = np.arange(10) % 5
    return analysis.episode_sheet(support, labels, query, labels, title="5-way 2-shot")


def _ranks(count: int = 19, seeds: int = 10) -> Figure:
    generator = np.random.default_rng(0)
    names = [f"arm-{i}" for i in range(count - 1)] + [LONG]
    arms = {
        name: np.clip(0.3 + 0.01 * i + 0.03 * generator.standard_normal((seeds, 1)), 0, 1)
        for i, name in enumerate(names)
    }
    return analysis.rank_plot(analysis.rank_arms(arms, unit="test images", over="seeds"), title="t")


def _two_ranks() -> Figure:
    return _ranks(2, 3)


def _intervals(differences: bool = False) -> Figure:
    found = {
        f"arm-{i}": analysis.Interval(
            mean=0.02 * i, low=0.02 * i - 0.03, high=0.02 * i + 0.03, n=3, varies="training seeds"
        )
        for i in range(18)
    }
    found[LONG] = found["arm-1"]
    return analysis.interval_plot(
        found, xlabel="points", title="t", differences=differences, margin=0.01, chance=0.1
    )


def _differences() -> Figure:
    return _intervals(differences=True)


DRAWN = [
    _ranks,
    _two_ranks,
    _intervals,
    _differences,
    _curves,
    _trajectories,
    _gallery,
    _range,
    _heat,
    _contact,
    _episode,
]


@pytest.mark.parametrize("draw", DRAWN)
def test_nothing_is_clipped_and_nothing_global_changes(draw: Callable[[], Figure]) -> None:
    before = dict(mpl.rcParams)
    figure = draw()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert dict(mpl.rcParams) == before
    drawn = figure.get_tightbbox(canvas.get_renderer())  # in inches, of all that is visible
    width, height = figure.get_size_inches()
    assert drawn.x0 >= -0.01
    assert drawn.y0 >= -0.01
    assert drawn.x1 <= width + 0.01
    assert drawn.y1 <= height + 0.01


@pytest.mark.parametrize("draw", [_trajectories, _heat, _episode, _ranks, _differences])
def test_saved_twice_it_is_the_same(draw: Callable[[], Figure], tmp_path: Path) -> None:
    first = analysis.save_figure(draw(), tmp_path / "new" / "a.b")
    second = analysis.save_figure(draw(), tmp_path / "c")
    assert [path.name for path in first] == ["a.b.png", "a.b.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.rglob("*.tmp"))


def test_arms_differ_without_colour_and_for_all_eyes() -> None:
    styles = [arm_style(i) for i in range(22)]
    assert len({(s["color"], s["linestyle"]) for s in styles}) == 22
    assert len({(s["linestyle"], s["marker"]) for s in styles}) == 22


def test_legend_follows_the_ends_of_the_lines() -> None:
    (legend,) = _curves(5).legends
    shown = [entry.get_text() for entry in legend.get_texts()]
    assert shown[:5] == ["arm-4", "arm-3", "arm-2", "arm-1", "arm-0"]
    assert len(shown) == 6


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


def test_bars_join_what_is_not_told_apart() -> None:
    """Three arms, one far from the two others in all of 40 blocks."""
    generator = np.random.default_rng(0)
    arms = {
        n: m + 0.01 * generator.random((40, 1)) for n, m in (("a", 0.9), ("b", 0.5), ("c", 0.5))
    }
    figure = analysis.rank_plot(analysis.rank_arms(arms, unit="test images", over="seeds"))
    bars = [line for line in figure.axes[0].lines if line.get_linewidth() > 2.5]
    (ends,) = [np.asarray(line.get_xdata()) for line in bars]
    assert 1.5 < ends.min() < 2.5 < ends.max() < 3
    shown = {note.get_text() for note in figure.axes[0].texts}
    assert "a  1.00" in shown
    assert any(words.startswith("critical difference 0.5") for words in shown)


def test_differences_that_hold_0_are_hollow() -> None:
    (axes,) = _differences().axes
    points = [line for line in axes.lines if line.get_marker() == "o"]
    faces = [line.get_markerfacecolor() for line in points]
    assert faces[:2] == ["white", "white"]
    assert "white" not in faces[2:18]
    assert axes.texts[0].get_text() == "+0.0 points [-3.0, 3.0]"


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
        lambda: analysis.interval_plot({}, xlabel="x"),
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
