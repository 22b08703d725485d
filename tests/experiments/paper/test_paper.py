"""The paper's tables and figures from runs on small stand-ins for MNIST and SVHN."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metaact import experiments, paper, reports
from metaact.errors import UsageError
from metaact.experiments import CONVERGE, MamlConfig, Outcome
from metaact.experiments.paper.figures import PaperFigure, paper_figure
from metaact.experiments.paper.tables import PaperTable, convergence_table, paper_table
from metaact.reports import agreement, paper_figures
from metaact.reports.document import TableReport

Make = Callable[..., tuple[Outcome, TableReport]]


@pytest.fixture
def make(striped_root: Path, tmp_path: Path) -> Make:
    """A table of the paper beside ours, in one store for all calls of a test."""

    def call(number: int, **settings: Any) -> tuple[Outcome, TableReport]:
        table = paper_table(number, **settings)
        outcome = experiments.run(table.experiment, table.configs, tmp_path, root=striped_root)
        found = agreement.table_report(table, reports.answer(outcome), outcome.configs)
        return outcome, found

    return call


def test_table_1_stands_beside_the_papers(make: Make) -> None:
    outcome, found = make(
        1, names=("arelu", "LReLU", "arelu-frozen"), lrs=(1e-3,), optimizers=("sgd",), seeds=(0, 1)
    )
    assert outcome.report.is_complete
    assert [(cell.activation, cell.column) for cell in found.cells] == [
        ("arelu", "sgd_1e-3"),
        ("lrelu", "sgd_1e-3"),
        ("arelu-frozen", "sgd_1e-3"),
    ]
    ours = {
        (run.config["activation"], run.config["seed"]): run.metrics()[-1]["test_accuracy"]
        for run in outcome.report.done
    }
    first, second, control = found.cells
    assert first.agreement is not None
    assert first.agreement.published == pytest.approx(0.9313)
    assert first.by_seed == {seed: ours["arelu", seed] for seed in (0, 1)}
    assert first.agreement.ours == pytest.approx(np.mean(list(first.by_seed.values())))
    assert second.agreement is not None
    assert second.agreement.published == pytest.approx(0.3590)
    assert control.agreement is None  # the paper has no controls
    assert control.interval is not None
    shown = agreement.render(found)
    assert "93.13" in shown
    assert "stripes" in shown
    document = replace(reports.answer(outcome), tables=[found])
    json.dumps(document.as_json(), allow_nan=False)


def test_runs_of_twenty_epochs_serve_all_four_tables(make: Make) -> None:
    chosen = {"names": ("arelu",), "lrs": (1e-2,), "optimizers": ("sgd",), "seeds": (0, 1)}
    longest, means = make(6, **chosen)
    best, first = {}, {}
    for run in longest.report.done:
        whole = [r["test_accuracy"] for r in run.metrics() if "train_loss" in r]
        best[run.config["seed"]], first[run.config["seed"]] = max(whole), whole[0]
    assert means.cells[0].by_seed == best
    for number in (1, 4, 5):
        outcome, found = make(number, **chosen)
        assert outcome.report.reused == 2
        (cell,) = found.cells
        assert cell.agreement is not None
        assert cell.by_seed == (best if number == 5 else first)
        expected = np.mean(list(first.values())) if number == 1 else max(cell.by_seed.values())
        assert cell.agreement.ours == pytest.approx(expected)


def test_all_nineteen_find_their_row(make: Make) -> None:
    outcome, found = make(1, names=("all",), lrs=(1e-2,), optimizers=("sgd",))
    assert outcome.report.is_complete
    assert len(found.cells) == 19
    assert all(cell.agreement is not None or cell.diverged for cell in found.cells)


def test_table_3_is_run_as_metaact_maml_runs_the_papers_protocol() -> None:
    table = paper_table(3, seeds=range(5))
    assert len(table.configs) == 12 * 2 * 5
    first = table.configs[0]
    assert (first.ways, first.inner_steps, first.tasks, first.iterations) == (5, 5, 32, 100)
    assert (first.inner_lr, first.meta_lr, first.task_pool) == (0.005, 0.005, 1000)
    assert not first.first_order
    for config in table.configs:
        assert config.queries == config.shots
        assert config == MamlConfig(
            dataset="mnist",
            protocol="paper",
            activation=config.activation,
            shots=config.shots,
            seed=config.seed,
        )


@pytest.fixture
def make_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Table 3 of a few iterations and tasks, on stripes of which every class has 24 a part."""
    small = replace(paper.MAML, iterations=3, tasks=4, task_pool=8)
    monkeypatch.setattr(paper, "MAML", small)
    draw = np.random.default_rng(0)
    for part in ("train", "test"):
        labels = np.repeat(np.arange(10), 24)
        images = draw.integers(0, 120, (len(labels), 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 4] += 120
        about = {"dataset": "mnist", "split": part, "official": False, "note": "stripes"}
        where = tmp_path / f"mnist-{part}.npz"
        np.savez(where, images=images, labels=labels, provenance=json.dumps(about))

    def call(number: int, *, limit: int | None = None, **settings: Any) -> Any:
        table = paper_table(number, **settings)
        configs = [replace(config, test_episodes=6) for config in table.configs]
        outcome = experiments.run(
            table.experiment, configs, tmp_path / "runs", root=tmp_path, limit=limit
        )
        found = agreement.table_report(table, reports.answer(outcome), outcome.configs)
        return outcome, found

    return call


def test_table_3_has_the_best_iteration_and_held_out_tasks_side_by_side(make_3: Make) -> None:
    outcome, found = make_3(3, names=("arelu", "GELU", "arelu-frozen"), seeds=(0, 1))
    assert outcome.report.is_complete
    assert [(cell.column, cell.activation) for cell in found.cells] == [
        (column, name)
        for column in ("ways5_shots1", "ways5_shots5")
        for name in ("arelu", "gelu-paper", "arelu-frozen")
    ]
    published = {
        ("arelu", 1): 0.925,
        ("arelu", 5): 0.943,
        ("gelu-paper", 1): 0.8188,
        ("gelu-paper", 5): 0.6937,
    }
    for cell in found.cells:
        shots = int(cell.column[-1])
        of = [
            run
            for run in outcome.report.done
            if (run.config["activation"], run.config["shots"]) == (cell.activation, shots)
        ]
        best = {r.config["seed"]: max(m["train_accuracy"] for m in r.metrics()) for r in of}
        assert cell.by_seed == best
        assert cell.held_out is not None
        held = np.mean([score for run in of for score in run.scores()])
        assert cell.held_out.mean == pytest.approx(held)
        assert cell.gap == pytest.approx(np.mean(list(best.values())) - held)
        known = published.get((cell.activation, shots))
        assert (cell.agreement is None) == (known is None)  # the paper has no controls
        if cell.agreement is not None:
            assert cell.agreement.published == pytest.approx(known)
            assert cell.agreement.ours == pytest.approx(np.mean(list(best.values())))
            one, other = best.values()
            if one != other:  # one new run: variance s²(1/2 + 1), t of one degree of freedom
                assert cell.agreement.expected is not None
                half = 12.7062 * abs(one - other) / 2**0.5 * 1.5**0.5
                low = max(0.0, cell.agreement.ours - half)
                assert cell.agreement.expected[0] == pytest.approx(low, abs=1e-4)
    assert found.judged
    words = " ".join(agreement.render(found).split())
    assert "1 new run of ours" in words
    assert "that of one seed: the best of 100 training iterations" in words
    json.dumps(replace(reports.answer(outcome), tables=[found]).as_json(), allow_nan=False)


def test_one_seed_of_table_3_has_no_interval(make_3: Make) -> None:
    """Its best iteration was chosen by what it is measured on: no count of images tells."""
    _, found = make_3(3, names=("relu",), shots=(1,))
    (cell,) = found.cells
    assert cell.interval is None
    assert cell.held_out is not None
    assert cell.agreement is not None
    assert (cell.agreement.inside, cell.agreement.plausible) == (None, None)
    shown = agreement.render(found)
    assert f"{100 * cell.by_seed[0]:.1f} %" in shown
    assert f"{100 * (cell.by_seed[0] - 0.7):+.1f}" in shown
    assert "inside" not in shown.splitlines()[2]


def test_a_table_that_is_not_done_yet_says_how_far_it_is(make_3: Make) -> None:
    asked: Any = {"names": ("arelu", "relu", "selu"), "shots": (1,), "seeds": (0, 1)}
    outcome, none = make_3(3, **asked, limit=0)
    assert [(cell.activation, cell.missing) for cell in none.cells] == [
        *(("arelu", 2), ("relu", 2), ("selu", 2))
    ]
    assert "0 of 6 figures" in none.notes[0]
    outcome, found = make_3(3, **asked, limit=4)
    assert len(outcome.report.done) == 4
    assert [(cell.activation, cell.missing) for cell in found.cells] == [
        *(("arelu", 0), ("relu", 1), ("selu", 1))
    ]
    assert found.notes[0].startswith(
        "Not done yet: 4 of 6 figures (cells x seeds) are there. Of 3 cells, 1 have all"
    )
    assert "2 some and 0 none" in found.notes[0]
    outcome, whole = make_3(3, **asked)
    assert outcome.report.reused == 4
    assert not any("Not done yet" in note for note in whole.notes)


def test_a_sweep_begins_with_one_seed_of_every_cell() -> None:
    runs = paper_table(5, seeds=(0, 1)).configs
    first = runs[: len(runs) // 2]
    assert {config.seed for config in first} == {0}
    assert len({(config.optimizer, config.lr) for config in first}) == 8


@pytest.mark.parametrize("text", [False, True])
def test_table_2_says_its_reading(make: Make, text: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    small = paper.Transfer(pretrain_epochs=2, epochs=(1, 2), text_epochs=2)
    monkeypatch.setattr(paper, "TRANSFER", small)
    outcome, found = make(2, names=("arelu",), text=text)
    assert outcome.report.is_complete
    columns = {cell.column for cell in found.cells}
    assert columns == {
        "no_pretrain",
        "no_finetune",
        "finetune_1_epochs",
        "finetune_2_epochs",
    }
    by_column = {cell.column: cell for cell in found.cells}
    assert by_column["no_pretrain"].agreement is not None
    ends = {
        run.config.get("pretrained"): [r["test_accuracy"] for r in run.metrics()]
        for run in outcome.report.done
        if run.kind == "transfer"
    }
    assert by_column["no_pretrain"].by_seed == {0: pytest.approx(ends[0][-1])}
    last = ends[1][-1] if text else ends[2][1]
    assert by_column["finetune_1_epochs"].by_seed == {0: pytest.approx(last)}
    assert by_column["finetune_2_epochs"].by_seed == {0: pytest.approx(ends[2][-1])}
    reading = "text: pre-trained" if text else "caption: pre-trained"
    assert any(reading in note for note in found.notes)


def test_quick_is_small() -> None:
    assert len(paper_table(1, quick=True).configs) == 8
    assert sum(c.epochs for c in paper_table(6, quick=True).configs) == 40
    assert len(paper_table(1, quick=True, names=("arelu",), lrs=(1e-5,)).configs) == 1
    assert [c.shots for c in paper_table(3, quick=True).configs] == [1] * 4
    (first, *_) = paper_table(2, quick=True).configs
    assert (first.pretrain_epochs, first.epochs) == (2, paper.TRANSFER.epochs[:1])


@pytest.mark.parametrize(
    ("number", "settings"),
    [
        (7, {}),
        (1, {"lrs": (0.5,)}),
        (1, {"shots": (1,)}),
        (3, {"shots": (2,)}),
        (3, {"lrs": (0.005,)}),
        (3, {"optimizers": ("adam",)}),
        (1, {"optimizers": ("rmsprop",)}),
        (1, {"names": ("arleu",)}),
        (1, {"text": True}),
        (2, {"optimizers": ("sgd",)}),
        (2, {"lrs": (1e-3, 1e-4)}),
    ],
)
def test_what_a_table_does_not_have_is_refused(
    make: Make, number: int, settings: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        make(number, **settings)


@pytest.mark.parametrize(("number", "panels"), [(3, 2), (7, 4), (8, 4), (2, 1)])
def test_figures_quick(striped_root: Path, tmp_path: Path, number: int, panels: int) -> None:
    names = ("arelu",) if number == 2 else ("arelu", "relu")
    figure = paper_figure(number, names=names, quick=True)
    assert len(figure.panels) == panels
    outcome = experiments.run(CONVERGE, figure.configs, tmp_path / "runs", root=striped_root)
    assert outcome.report.is_complete
    document = reports.answer(outcome)
    found = {
        (study.settings["optimizer"], arm.rates["lr"])
        for study in document.studies
        for arm in study.arms
    }
    assert {panel.setting for panel in figure.panels} == {"optimizer"}
    assert found == {(panel.value, panel.lr) for panel in figure.panels}
    written = paper_figures.draw(figure, document, tmp_path / "figures")
    assert {path.suffix for path in written} == {".png", ".svg"}
    assert len(written) == len(set(written)) == (8 if number == 2 else 2)
    assert all(path.stat().st_size > 1000 for path in written)
    assert all(path.name.startswith(f"quick-figure-{number}") for path in written)
    assert figure.tables == (() if number == 2 else (1,))
    for beside in figure.tables:  # the table of the first epoch, of the same runs
        at = reports.answer(replace(outcome, at=1))
        cells = agreement.table_report(convergence_table(beside), at, outcome.configs).cells
        assert len(cells) == 2 * panels
        assert all(cell.agreement is not None for cell in cells)


def test_a_figure_that_is_not_done_yet_is_drawn_from_what_is_there(
    striped_root: Path, tmp_path: Path
) -> None:
    figure = paper_figure(7, names=("arelu", "relu"), quick=True)
    outcome = experiments.run(CONVERGE, figure.configs, tmp_path / "a", root=striped_root, limit=3)
    assert len(outcome.report.done) == 3
    written = paper_figures.draw(figure, reports.answer(outcome), tmp_path / "figures")
    assert {path.suffix for path in written} == {".png", ".svg"}
    at = reports.answer(replace(outcome, at=1))
    found = agreement.table_report(convergence_table(1), at, outcome.configs)
    assert sum(cell.missing for cell in found.cells) == len(figure.configs) - 3
    assert "3 of 8 figures" in found.notes[0]


def test_figure_2_takes_another_arm_and_only_one() -> None:
    def arms(*names: str) -> set[str]:
        figure = paper_figure(2, names=names, quick=True)
        return {config.activation.split("(")[0] for config in figure.configs}

    assert arms("all") == {"arelu"}
    assert arms("arelu-unit") == {"arelu-unit"}
    with pytest.raises(UsageError, match="one arm"):
        arms("arelu", "relu")


def test_figure_2_of_an_arm_without_start_values_is_refused(
    striped_root: Path, tmp_path: Path
) -> None:
    figure = paper_figure(2, names=("relu",), quick=True)
    with pytest.raises(UsageError, match="relu"):
        experiments.prepare(CONVERGE, figure.configs, tmp_path, root=striped_root)


def test_unknown_figure() -> None:
    with pytest.raises(UsageError, match="figures"):
        paper_figure(5)
    with pytest.raises(UsageError, match="the panels of figure 3"):
        paper_figure(3, lrs=(1e-2,))


def test_the_runs_are_as_the_paper_made_them() -> None:
    table: PaperTable = paper_table(1, names=("relu",), seeds=(0, 1))
    figure: PaperFigure = paper_figure(7, names=("relu",))
    assert len(table.configs) == 2 * 8
    for config in (*table.configs, *figure.configs):
        assert (config.dataset, config.model, config.batch_size) == ("mnist", "mnist-conv", 128)
        assert config.protocol == "paper"
    assert {config.epochs for config in figure.configs} == {20}
