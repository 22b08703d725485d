"""Intervals and ranks in rows: what is filled, what is joined, and room for every label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metaact import analysis
from metaact.analysis.figures.looks import MARKERS
from metaact.errors import UsageError

LONG = "a.very_long_module_name.with_parts:and_a_factory$name"
RATES = "arelu inner lr 0.02 meta lr 0.005"


def _names(count: int) -> list[str]:
    return [*(f"arm-{i}" for i in range(count - 2)), RATES, LONG]


def _intervals(width: float, count: int, *, differences: bool = False) -> Figure:
    found = {
        name: analysis.Interval(
            mean=0.02 * i, low=0.02 * i - 0.03, high=0.02 * i + 0.03, n=3, varies="training seeds"
        )
        for i, name in enumerate(_names(count))
    }
    return analysis.interval_plot(
        found,
        xlabel="difference in points",
        title="t",
        differences=differences,
        margin=0.01,
        chance=0.1,
        width=width,
    )


def _ranks(width: float, count: int, seeds: int = 10) -> Figure:
    generator = np.random.default_rng(0)
    arms = {
        name: np.clip(0.3 + 0.01 * i + 0.03 * generator.standard_normal((seeds, 1)), 0, 1)
        for i, name in enumerate(_names(count))
    }
    ranks = analysis.rank_arms(arms, unit="test images", over="seeds")
    return analysis.rank_plot(ranks, title="t", width=width)


def _differences(width: float, count: int) -> Figure:
    return _intervals(width, count, differences=True)


def _forest(width: float, count: int) -> Figure:
    groups: dict[str, list[analysis.ForestRow]] = {}
    for study in ("maml: glyphs, against relu", "transfer: printed-digits → street-digits " * 3):
        groups[study] = [
            analysis.ForestRow(
                arm=name,
                interval=analysis.Interval(
                    mean=0.02 * i, low=0.02 * i - 0.03, high=0.02 * i + 0.03, n=3, varies="seeds"
                ),
                settled=i > 1,
            )
            for i, name in enumerate(_names(count))
        ]
    panels = {"difference in points": groups}
    return analysis.forest_plot(panels, margin=0.01, width=width)


def _points(axes: Axes) -> list[Line2D]:
    """One marker a row."""
    return [line for line in axes.lines if line.get_marker() in MARKERS]


@pytest.mark.parametrize("count", [2, 5, 20])
@pytest.mark.parametrize("width", [7.2, 4.0])
@pytest.mark.parametrize("draw", [_intervals, _differences, _ranks])
def test_nothing_is_clipped(draw: object, width: float, count: int) -> None:
    figure = draw(width, count)  # type: ignore[operator]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = figure.get_tightbbox(canvas.get_renderer())  # in inches, of all that is visible
    assert figure.get_figwidth() == width
    assert min(drawn.x0, drawn.y0) >= -0.01
    assert drawn.x1 <= width + 0.01
    assert drawn.y1 <= figure.get_figheight() + 0.01
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert RATES in labels  # two rates stand in full
    assert len(labels) == count == len(_points(axes))
    assert axes.get_position().width * width > 1.0  # the names leave room for what they name


@pytest.mark.parametrize("draw", [_differences, _ranks])
def test_saved_twice_it_is_the_same(draw: object, tmp_path: Path) -> None:
    first, second = (
        analysis.save_figure(draw(7.2, 5), tmp_path / name)  # type: ignore[operator]
        for name in ("a", "b")
    )
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_differences_that_hold_0_are_hollow() -> None:
    (axes,) = _differences(7.2, 18).axes
    faces = [line.get_markerfacecolor() for line in _points(axes)]
    assert faces[:2] == ["white", "white"]
    assert "white" not in faces[2:]
    assert axes.texts[0].get_text() == "0.0 points [-3.0, 3.0]"
    assert "white" not in [p.get_markerfacecolor() for p in _points(_intervals(7.2, 18).axes[0])]


def test_the_verdict_fills_a_point_whatever_its_interval() -> None:
    """After Holm's correction an interval without 0 may be open; within a margin one is settled."""
    apart = analysis.Interval(mean=0.05, low=0.01, high=0.09, n=3, varies="training seeds")
    around = analysis.Interval(mean=0.0, low=-0.01, high=0.01, n=3, varies="training seeds")
    figure = analysis.interval_plot(
        {"arelu": apart, "selu": around},
        xlabel="difference in points",
        differences=True,
        settled={"arelu": False, "selu": True, "relu": True},
    )
    open_, settled = _points(figure.axes[0])
    shown = analysis.looks(["arelu", "selu"])
    assert open_.get_markerfacecolor() == "white"
    assert settled.get_markerfacecolor() == settled.get_color() == shown["selu"].color
    assert (open_.get_color(), open_.get_marker()) == (shown["arelu"].color, shown["arelu"].marker)


def test_a_narrow_picture_has_no_figures_at_the_right() -> None:
    assert len(_differences(7.2, 5).axes[0].texts) == 5
    assert not _differences(4.0, 5).axes[0].texts
    assert len(_ranks(7.2, 5).axes[0].texts) == 6
    assert len(_ranks(4.0, 5).axes[0].texts) == 1  # the critical difference


@pytest.mark.parametrize("width", [7.2, 4.0])
def test_bars_join_what_is_not_told_apart(width: float) -> None:
    """Three arms, one far from the two others in all of 40 blocks."""
    generator = np.random.default_rng(0)
    arms = {
        n: m + 0.01 * generator.random((40, 1)) for n, m in (("a", 0.9), ("b", 0.5), ("c", 0.5))
    }
    ranks = analysis.rank_arms(arms, unit="test images", over="seeds")
    (axes,) = analysis.rank_plot(ranks, width=width).axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == list(ranks.mean_ranks)
    assert rows[0] == "a"
    (bar,) = [line for line in axes.lines if line.get_linewidth() > 2.5]
    low, high = sorted(np.asarray(bar.get_ydata()))
    assert 0.5 < low < 1  # from the second row
    assert 2 < high < 2.5  # to the third
    assert min(np.asarray(bar.get_xdata())) > max(ranks.mean_ranks.values())
    drawn = [float(np.asarray(line.get_xdata())[0]) for line in _points(axes)]
    assert drawn == list(ranks.mean_ranks.values())
    assert any(note.get_text().startswith("critical difference 0.5") for note in axes.texts)


def test_bars_of_several_groups_do_not_touch_each_other_or_the_points() -> None:
    (axes,) = _ranks(4.0, 20, seeds=20).axes
    bars = [line for line in axes.lines if line.get_linewidth() > 2.5]
    places = [float(np.asarray(bar.get_xdata())[0]) for bar in bars]
    assert len(places) > 3
    assert min(np.diff(places)) > 0.3
    assert places[-1] < axes.get_xlim()[1]
    for bar, place in zip(bars, places, strict=True):
        top, bottom = sorted(np.asarray(bar.get_ydata()))
        for point in _points(axes):
            if top < float(np.asarray(point.get_ydata())[0]) < bottom:
                assert float(np.asarray(point.get_xdata())[0]) < place


def test_a_critical_difference_longer_than_the_ranks_says_so() -> None:
    (axes,) = _ranks(7.2, 5, seeds=2).axes
    assert axes.texts[-1].get_text().endswith("more than all ranks")


@pytest.mark.parametrize("width", [7.2, 4.0])
def test_a_forest_has_a_heading_a_study_and_a_row_an_arm_all_within_the_picture(
    width: float,
) -> None:
    figure = _forest(width, 4)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert [place for place, name in enumerate(rows) if not name] == [0, 5]
    points = _points(axes)
    assert [float(np.asarray(point.get_ydata())[0]) for point in points] == [1, 2, 3, 4, 6, 7, 8, 9]
    assert [point.get_markerfacecolor() == "white" for point in points[:4]] == [
        True,
        True,
        False,
        False,
    ]
    heads = [note for note in axes.texts if note.get_fontweight() == "bold"]
    assert [head.get_text()[:4] for head in heads] == ["maml", "tran"]
    for words in (*axes.texts, *axes.get_yticklabels(), axes.xaxis.label):
        box = words.get_window_extent(canvas.get_renderer())
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.y1
    same = {
        name: [point.get_color() for point in points][i % 4] for i, name in enumerate(rows[1:5])
    }
    assert list(same.values()) == [point.get_color() for point in points[4:]]  # in both studies


@pytest.mark.parametrize("width", [7.2, 4.0])
def test_each_unit_has_an_axis_and_an_arm_one_colour_on_all(width: float) -> None:
    def row(arm: str, mean: float, *, share: bool) -> analysis.ForestRow:
        interval = analysis.Interval(
            mean=mean, low=mean - 0.03, high=mean + 0.03, n=3, varies="seeds", share=share
        )
        return analysis.ForestRow(arm=arm, interval=interval, settled=True)

    figure = analysis.forest_plot(
        {
            "in points": {"maml": [row("arelu", 0.05, share=True)]},
            "in error (right: less)": {"stream": [row("arelu", 0.25, share=False)]},
            "of nothing": {"empty": []},
        },
        margin=0.01,
        width=width,
    )
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    points, error = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == ["in points", "in error (right: less)"]
    assert "+4" in {tick.get_text() for tick in points.get_xticklabels()}
    assert "+0.2" in {tick.get_text() for tick in error.get_xticklabels()}
    assert len(points.patches) == 1  # the margin is in points
    assert not error.patches
    assert _points(points)[0].get_color() == _points(error)[0].get_color()
    drawn = figure.get_tightbbox(canvas.get_renderer())
    assert drawn.x1 <= width + 0.01
    assert drawn.y1 <= figure.get_figheight() + 0.01


def test_refusals() -> None:
    with pytest.raises(UsageError, match="`panels`"):
        analysis.forest_plot({"x": {"a study": []}})
    with pytest.raises(UsageError, match="`intervals`"):
        analysis.interval_plot({}, xlabel="x")
    one = analysis.Interval(mean=0.5, low=0.4, high=0.6, n=3, varies="training seeds")
    with pytest.raises(UsageError, match=r"`settled`.*elu"):
        analysis.interval_plot({"relu": one, "elu": one}, xlabel="x", settled={"relu": True})
