"""Tables 7 and 8 and figure 4 from short runs of a small network on stripes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from metaact import experiments, paper, reports
from metaact.errors import UsageError
from metaact.experiments import CONVERGE, Outcome
from metaact.experiments.paper.figures import paper_figure
from metaact.experiments.paper.networks import NetworkTable, network_table
from metaact.reports import agreement, paper_figures
from metaact.reports.document import TableReport
from metaact.reports.network_table import network_report

SMALL: dict[str, Any] = {"models": ("conv4",), "quick": True, "dataset": "svhn"}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three epochs in place of hundreds, with a milestone within."""
    for number, readings in paper.NETWORKS.items():
        small = {
            name: replace(one, epochs=3, milestones=(1, 2), quick_epochs=3, batch_size=64)
            for name, one in readings.items()
        }
        monkeypatch.setitem(paper.NETWORKS, number, small)


def made(
    number: int, root: Path, store: Path, **settings: Any
) -> tuple[NetworkTable, Outcome, TableReport]:
    table = network_table(number, **settings)
    outcome = experiments.run(CONVERGE, table.configs, store, root=root)
    return table, outcome, network_report(table, outcome)


def recorded(outcome: Outcome, name: str, entry: str) -> dict[int, list[float]]:
    """A figure of an arm after each epoch, by seed."""
    return {
        run.config["seed"]: [m[entry] for m in run.metrics() if "train_loss" in m]
        for run in outcome.report.done
        if run.config["activation"] == name
    }


@pytest.mark.usefixtures("short")
def test_best_epoch_and_last_epoch_stand_side_by_side(striped_root: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "names": ("relu", "arelu"), "seeds": (0, 1)}
    table, outcome, found = made(8, striped_root, tmp_path, **settings)
    assert outcome.report.is_complete
    assert [(cell.activation, cell.column) for cell in found.cells] == [
        ("relu", "conv4 mean"),
        ("relu", "conv4 best run"),
        ("arelu", "conv4 mean"),
        ("arelu", "conv4 best run"),
    ]
    for cell in found.cells:
        curves = recorded(outcome, cell.activation, "test_accuracy")
        assert cell.by_seed == {seed: max(curve) for seed, curve in curves.items()}
        assert cell.agreement is None  # these are not the paper's runs
        if cell.column == "conv4 mean":
            assert cell.held_out is not None
            assert cell.held_out.mean == pytest.approx(np.mean([c[-1] for c in curves.values()]))
        else:
            assert cell.held_out is None
    shown = agreement.render(found)
    assert shown.startswith("As table 8 on svhn, 3 epochs x0.1 at 1,2, in %; scaled down")
    assert "at most 1000 images of each part, 3 of 3 epochs, batches of 16 in place of 64" in shown
    assert "paper's figure" not in shown
    assert "held out" in shown
    assert "the last epoch, which nothing selected" in shown
    assert table.configs[0].images == 1000
    json.dumps(replace(reports.answer(outcome), tables=[found]).as_json(), allow_nan=False)


@pytest.mark.usefixtures("short")
def test_a_validation_part_chooses_the_epoch_where_one_is_held_out(
    striped_root: Path, tmp_path: Path
) -> None:
    settings = {**SMALL, "names": ("relu",), "protocol": "held-out"}
    _, outcome, found = made(7, striped_root, tmp_path, **settings)
    top1, top5 = found.cells
    validated = recorded(outcome, "relu", "validation_accuracy")[0]
    tests = recorded(outcome, "relu", "test_accuracy")[0]
    fives = recorded(outcome, "relu", "test_top5_accuracy")[0]
    at = validated.index(max(validated))
    best = tests.index(max(tests))
    assert (top1.column, top5.column) == ("conv4 top-1", "conv4 top-5")
    assert top1.by_seed == {0: tests[best]}
    assert top5.by_seed == {0: fives[best]}  # in top-5 where top-1 is best
    assert top1.held_out is not None
    assert top5.held_out is not None
    assert (top1.held_out.mean, top5.held_out.mean) == pytest.approx((tests[at], fives[at]))
    assert "the epoch best on validation" in agreement.render(found)


@pytest.mark.usefixtures("short")
def test_published_figures_stand_beside_the_papers_runs_alone(
    striped_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {8: {"ReLU": {"conv4_mean": 50.0, "conv4_best": 60.0}}}
    monkeypatch.setattr(paper, "table", lambda number: known.get(number, {}))
    readings = paper.NETWORKS[8]
    own = {name: replace(one, dataset="svhn") for name, one in readings.items()}
    monkeypatch.setitem(paper.NETWORKS, 8, own)
    settings = {"models": ("conv4",), "names": ("relu",), "seeds": (0, 1)}
    table, _, found = made(8, striped_root, tmp_path, **settings)
    mean, best = found.cells
    assert mean.agreement is not None
    assert best.agreement is not None
    assert (mean.agreement.published, best.agreement.published) == (0.5, 0.6)
    assert best.agreement.ours == max(best.by_seed.values())
    assert mean.agreement.ours == pytest.approx(np.mean(list(mean.by_seed.values())))
    assert agreement.render(found).startswith("Table 8: CIFAR-10, test accuracy of 5 runs (3 ep")
    assert table.is_papers
    other = network_table(8, **settings, dataset="mnist")
    assert other.published("conv4", "ReLU", "mean") is None
    assert network_table(8, **settings, quick=True).published("conv4", "ReLU", "mean") is None


def test_published_figures_are_those_of_the_csv_files() -> None:
    eight = network_table(8)
    assert eight.published("resnet18", "PAU", "best") == 94.78
    assert eight.published("mobilenet", "Maxout", "mean") is None  # an empty cell
    seven = network_table(7)
    assert seven.published("shufflenetv2", "AReLU", "top5") == 91.37
    assert seven.published("vgg11", "ReLU", "top1") == 68.03
    assert seven.published("vgg11", "PReLU", "top1") is None


def test_settings_are_the_papers() -> None:
    eight = network_table(8, seeds=range(5))
    assert [c.model for c in eight.configs[::5]] == ["vgg11", "resnet18", "mobilenet"]
    assert {c.activation for c in eight.configs} == {"paper"}
    first = eight.configs[0]
    assert (first.lr, first.batch_size, first.epochs, first.milestones) == (0.1, 128, 100, (50, 75))
    assert (first.momentum, first.nesterov, first.weight_decay) == (0.9, True, 5e-4)
    assert (first.lr_factor, first.decay, first.protocol) == (0.1, "all", "paper")
    assert (first.normalisation, first.augmentation) == ("fitted", "crop-flip")
    seven = {name: network_table(7, reading=name).configs for name in paper.NETWORKS[7]}
    schedules = {
        name: (runs[0].epochs, runs[0].lr_factor, runs[0].milestones)
        for name, runs in seven.items()
    }
    assert schedules == {
        "200-epochs": (200, 0.2, (60, 120, 160)),
        "300-epochs": (300, 0.1, (150, 225)),
    }
    assert len(seven["200-epochs"]) == 12
    assert seven["200-epochs"][0].batch_size == 64
    assert not seven["200-epochs"][0].nesterov


@pytest.mark.parametrize(("number", "reading"), [(7, "200-epochs"), (7, "300-epochs"), (8, None)])
def test_quick_scales_the_schedule_with_the_length(number: int, reading: str | None) -> None:
    whole = network_table(number, reading=reading)
    quick = network_table(number, reading=reading, quick=True)
    share = quick.configs[0].epochs / whole.configs[0].epochs
    scaled = [m * share for m in whole.configs[0].milestones]
    assert list(quick.configs[0].milestones) == pytest.approx(scaled, abs=0.5)
    assert len(quick.configs) <= 4
    assert sum(c.epochs for c in quick.configs) <= 20
    assert "scaled down" in quick.heading


@pytest.mark.usefixtures("short")
def test_figure_4_has_a_panel_for_each_network(
    striped_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = paper_figure(4, names=("arelu", "relu"), models=("conv4", "mnist-conv"), quick=True)
    figure = replace(
        figure, configs=tuple(replace(c, dataset="mnist", images=60) for c in figure.configs)
    )
    outcome = experiments.run(CONVERGE, figure.configs, tmp_path, root=striped_root)
    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")
    (drawn, *_) = paper_figures.draw(figure, reports.answer(outcome), tmp_path / "figures")
    assert drawn.stem == "quick-figure-4"
    assert [panel.title for panel in figure.panels] == ["conv4", "mnist-conv"]
    assert {c.activation for c in paper_figure(4).configs} == {
        *("arelu", "relu", "lrelu", "prelu", "selu", "pau")
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"number": 6}, "`number` must be 7 or 8"),
        ({"number": 8, "reading": "200-epochs"}, "`reading` must be"),
        ({"number": 7, "protocol": "paper-text"}, "`protocol` must be"),
        ({"number": 7, "models": ("resnet81",)}, "`model` must be"),
    ],
)
def test_what_a_table_does_not_have_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        network_table(**settings)


def test_options_of_networks_are_for_figure_4_alone() -> None:
    with pytest.raises(UsageError, match="`dataset` must be left out"):
        paper_figure(3, dataset="mnist")
    with pytest.raises(UsageError, match="`lr` must be left out"):
        paper_figure(4, lrs=(0.1,))
