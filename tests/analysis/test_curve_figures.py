"""Curves: one look per activation, long lines thinned, plain numbers on logarithmic axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metaact import analysis
from metaact.analysis import CurvePanel


def _ending(ends: dict[str, float], width: float, x_last: int = 40) -> Figure:
    """Curves that rise to given ends."""
    x = np.arange(1, x_last + 1)
    arms = {name: (x, end * (1 - np.exp(-x / 10)), None, None) for name, end in ends.items()}
    return analysis.learning_curves(arms, xlabel="epoch", ylabel="accuracy", width=width)


@pytest.mark.parametrize("width", [7.2, 4.0])
def test_names_stand_at_the_ends_of_the_lines_in_their_order_and_apart(width: float) -> None:
    figure = _ending({"relu": 0.2, "arelu": 0.9, "arelu-frozen": 0.9, "gelu": 0.89}, width)
    assert not figure.legends
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = [note for note in figure.axes[0].texts if note.get_text() != "chance"]
    boxes = {n.get_text(): n.get_window_extent(canvas.get_renderer()) for n in names}
    assert set(boxes) == {"relu", "arelu", "arelu-frozen", "gelu"}
    order = sorted(boxes, key=lambda name: -boxes[name].y0)
    assert order[2:] == ["gelu", "relu"]
    inside = figure.bbox
    for box in boxes.values():
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1  # noqa: PT018
    for upper, lower in itertools.pairwise(order):
        assert boxes[lower].y0 + 7 < boxes[upper].y0  # no letters over letters


def test_without_room_at_the_ends_a_legend_has_their_order() -> None:
    long = "a.very_long_module_name.with_parts:and_a_factory"
    (legend,) = _ending({"relu": 0.2, long: 0.9, "gelu": 0.5}, 4.0).legends
    shown = [entry.get_text()[:4] for entry in legend.get_texts()]
    assert shown == ["a.ve", "gelu", "relu"]
    x = np.arange(1, 41)
    arms = {"diverged": (x, np.full(40, np.nan), None, None), "relu": (x, x / 40, None, None)}
    for width in (7.2, 4.0):
        figure = analysis.learning_curves(arms, xlabel="epoch", ylabel="accuracy", width=width)
        (legend,) = figure.legends
        assert [entry.get_text() for entry in legend.get_texts()] == ["relu", "diverged"]


@pytest.mark.parametrize("width", [7.2, 4.0])
def test_past_four_arms_each_has_a_panel_with_its_band_before_all_others(width: float) -> None:
    x = np.arange(1, 11)
    names = ["arelu", "relu", "selu", "elu", "gelu"]
    arms = dict.fromkeys(names, (x, x / 10, x / 10 - 0.02, x / 10 + 0.02))
    arms["arelu, target only"] = (x, x / 20, None, None)
    figure = analysis.learning_curves(arms, xlabel="epoch", ylabel="accuracy", width=width)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == names
    assert not figure.legends
    shown = analysis.looks(list(arms))
    for axes, name in zip(panels, names, strict=True):
        assert len(axes.collections) == 1  # one band
        coloured = [line.get_color() for line in axes.lines if line.get_color() != "0.75"]
        assert coloured == [shown[name].color] * (2 if name == "arelu" else 1)
        assert len(axes.lines) == len(arms)
    four = dict(list(arms.items())[:4])
    assert len(analysis.learning_curves(four, xlabel="e", ylabel="a", width=width).axes) == 1


def _lines(axes: Axes) -> list[Line2D]:
    """The arms' lines, without that of guessing and rings."""
    return [line for line in axes.lines if len(np.asarray(line.get_xdata())) > 2]


def test_an_activation_has_one_look_in_every_picture() -> None:
    x = np.arange(1, 31)
    names = ["relu, target only", "swish", "arelu-frozen", "arelu"]
    curves = dict.fromkeys(names, (x, 1 - 1 / x, None, None))
    single = analysis.learning_curves(curves, xlabel="epoch", ylabel="accuracy")
    panel = CurvePanel(title="t", curves={"arelu": curves["arelu"]}, marks={}, percent=True)
    panels = analysis.curve_panels([panel], xlabel="epoch")
    assert panels is not None
    shown = analysis.looks(names)
    for line, name in zip(_lines(single.axes[0]), names, strict=True):
        look = shown[name]
        found = (line.get_color(), line.get_marker(), line.get_linestyle(), line.get_fillstyle())
        assert found == (look.color, look.marker, look.linestyle, look.fillstyle)
    (line,) = _lines(panels.axes[0])
    assert (line.get_color(), line.get_marker()) == (shown["arelu"].color, shown["arelu"].marker)


@pytest.mark.parametrize("width", [7.2, 4.0])
def test_long_lines_are_thinned_from_the_first_to_the_last(width: float) -> None:
    x = np.arange(100_001)
    arms = {"relu": (x, x / 1e5, None, None)}
    even = analysis.learning_curves(arms, xlabel="step", ylabel="accuracy", width=width)
    log = analysis.learning_curves(arms, xlabel="step", ylabel="accuracy", logx=True, width=width)
    for figure, first in ((even, 0), (log, 1)):
        (line,) = _lines(figure.axes[0])
        drawn = np.asarray(line.get_xdata())
        assert (drawn[0], drawn[-1]) == (first, 100_000)
        assert 50 < len(drawn) <= 25 * width
    assert np.asarray(_lines(log.axes[0])[0].get_xdata())[:4].tolist() == [1, 2, 3, 4]


def _ticks(figure: Figure) -> list[str]:
    FigureCanvasAgg(figure).draw()
    low, high = figure.axes[0].get_xlim()
    major = figure.axes[0].xaxis.get_major_ticks()
    return [t.label1.get_text() for t in major if low <= t.get_loc() <= high]


def test_logarithmic_axes_have_plain_numbers() -> None:
    rates = [10.0**-k for k in range(12, 0, -1)]

    def drawn(width: float, ticks: list[float] | None, last: int = 12) -> list[str]:
        arms = {"relu": (rates[:last], np.full(last, 0.5), None, None)}
        figure = analysis.learning_curves(
            arms, xlabel="lr", ylabel="accuracy", logx=True, xticks=ticks, width=width
        )
        return _ticks(figure)

    assert drawn(7.2, rates) == [f"{rate:g}" for rate in rates]
    assert drawn(4.0, rates) == [f"{rate:g}" for rate in rates[::2]]
    assert drawn(4.0, None, last=2) == ["1e-12", "2e-12", "5e-12", "1e-11"]
    assert not any("$" in label for label in drawn(7.2, None))


def _settings(arms: int, panels: int = 3, *, long: str = "") -> list[CurvePanel]:
    """Panels of arms that end one below the other, with two published points of the first."""
    x = np.arange(1, 21)
    mean = {f"arm-{i}{long}": 0.9 - 0.08 * i - 0.5 / x for i in range(arms)}
    curves = {name: (x, y, y - 0.02, y + 0.02) for name, y in mean.items()}
    marks = {f"arm-0{long}": [(1.0, 0.5), (20.0, 0.9)]}
    return [
        CurvePanel(title=f"lr 1e-{n}", curves=curves, marks={} if n else marks, percent=True)
        for n in range(panels)
    ]


def _drawn(panels: list[CurvePanel], width: float = 7.2) -> Figure:
    figure = analysis.curve_panels(panels, xlabel="epoch", title="Figure 3", width=width)
    assert figure is not None
    return figure


def _seen(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible() and axes.axison]


def _ringed(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 1]


def test_a_few_arms_share_each_panel_with_their_names_at_the_ends() -> None:
    figure = _drawn(_settings(3))
    visible = _seen(figure)
    assert [axes.get_title() for axes in visible] == ["lr 1e-0", "lr 1e-1", "lr 1e-2"]
    assert not figure.legends
    for axes in visible:
        heights = {note.get_text(): note.xy[1] for note in axes.texts}  # type: ignore[attr-defined]
        assert sorted(heights, key=lambda name: -heights[name]) == ["arm-0", "arm-1", "arm-2"]
    rings = _ringed(visible[0])
    assert [(r.get_xdata()[0], r.get_ydata()[0]) for r in rings] == [(1, 0.5), (20, 0.9)]  # type: ignore[index]
    assert {r.get_color() for r in rings} == {_lines(visible[0])[0].get_color()}
    assert analysis.curve_panels([], xlabel="epoch") is None


@pytest.mark.parametrize("width", [7.2, 4.0])
@pytest.mark.parametrize("arms", [3, 7])
def test_small_panels_have_all_arms_and_one_legend(arms: int, width: float) -> None:
    figure = analysis.curve_panels(_settings(arms), xlabel="epoch", small=True, width=width)
    assert figure is not None
    (legend,) = figure.legends
    assert len(legend.get_texts()) == arms
    assert {len(_lines(axes)) for axes in _seen(figure)} == {arms}
    assert not [note for axes in _seen(figure) for note in axes.texts]


def test_names_too_long_for_a_panel_stand_in_one_legend_in_the_order_of_the_lines() -> None:
    panels = _settings(3, long=" of a very long name")
    reverse = [
        CurvePanel(title=p.title, curves=dict(reversed(p.curves.items())), marks={}, percent=True)
        for p in panels
    ]
    figure = _drawn(reverse)
    (legend,) = figure.legends
    assert [entry.get_text()[:5] for entry in legend.get_texts()] == ["arm-0", "arm-1", "arm-2"]
    assert not [note for axes in _seen(figure) for note in axes.texts]


@pytest.mark.parametrize(("arms", "width"), [(5, 7.2), (5, 4.0), (19, 7.2)])
def test_past_four_arms_every_panel_is_a_block_with_one_band_each(arms: int, width: float) -> None:
    panels = _settings(arms, 2)
    figure = _drawn(panels, width)
    visible = _seen(figure)
    assert [axes.get_title() for axes in visible] == [f"arm-{i}" for i in range(arms)] * 2
    assert not figure.legends
    assert [len(axes.collections) for axes in visible] == [1] * 2 * arms
    own = [[line for line in axes.lines if line.get_color() != "0.75"] for axes in visible]
    assert len(_ringed(visible[0])) == 2
    assert [len(lines) for lines in own] == [3] + [1] * (2 * arms - 1)
    assert len({lines[0].get_color() for lines in own[:arms]}) > 1
    FigureCanvasAgg(figure).draw()
    rows = {round(axes.get_window_extent().y0) for axes in visible}
    assert len(rows) == analysis.panel_rows(panels, width=width)


def test_a_setting_in_which_all_diverged_has_its_heading_alone() -> None:
    gone = CurvePanel(title="all diverged", curves={}, marks={}, percent=True)
    figure = _drawn([*_settings(5, 1), gone])
    assert len(_seen(figure)) == 5
    assert analysis.panel_rows([gone, *_settings(5, 1)]) == 1
