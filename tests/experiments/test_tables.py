"""The paper's tables and figures from runs on small stand-ins for MNIST and SVHN."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from metaact.experiments.replication import agreement_of_mean

from metaact import paper
from metaact.errors import UsageError
from metaact.experiments import comparison, figures, tables
from metaact.experiments.sweep import Job, SweepReport, sweep
from metaact.runs import RunStore


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose mnist and svhn are a few hundred striped pictures."""
    folder = tmp_path_factory.mktemp("root")
    draw = np.random.default_rng(0)
    for name, size in (("mnist", 28), ("svhn", 32)):
        for part, each in (("train", 20), ("test", 6)):
            labels = np.repeat(np.arange(10), each)
            images = draw.integers(0, 120, (len(labels), size, size)).astype(np.uint8)
            for image, label in zip(images, labels, strict=True):
                image[2 * label : 2 * label + 4] += 120
            about = {"dataset": name, "split": part, "official": False, "note": "stripes"}
            names = np.array([str(k) for k in range(10)])
            np.savez(
                folder / f"{name}-{part}.npz",
                images=images,
                labels=labels,
                class_names=names,
                provenance=json.dumps(about),
            )
    return folder


def run(jobs: list[Job]) -> SweepReport:
    return sweep(jobs, tick=lambda n: None, say=lambda line: None)


Prepare = Callable[..., tables.Prepared]


@pytest.fixture
def prepare(root: Path, tmp_path: Path) -> Prepare:
    def call(number: int, **settings: object) -> tables.Prepared:
        return tables.prepare(number, RunStore(tmp_path), root=root, **settings)  # type: ignore[arg-type]

    return call


def test_table_1_stands_beside_the_papers(prepare: Prepare) -> None:
    prepared = prepare(
        1, names=("arelu", "LReLU", "arelu-frozen"), lrs=(1e-3,), optimizers=("sgd",), seeds=(0, 1)
    )
    report = run(prepared.jobs)
    assert report.is_complete
    lines = prepared.lines()
    assert [(line.activation, line.column) for line in lines] == [
        ("arelu", "sgd_1e-3"),
        ("lrelu", "sgd_1e-3"),
        ("arelu-frozen", "sgd_1e-3"),
    ]
    first = lines[0].agreement
    assert first is not None
    assert first.published == pytest.approx(0.9313)
    assert first.ours == pytest.approx(np.mean(lines[0].accuracies))
    assert lines[1].agreement is not None
    assert lines[1].agreement.published == pytest.approx(0.3590)
    assert lines[2].agreement is None  # the paper has no controls
    found = comparison.document(1, lines, notes=prepared.notes, missing=report.complaints())
    assert found["compared"] == 2
    shown = comparison.render(found)
    assert "93.13" in shown
    assert "stripes" in shown
    json.dumps(found, allow_nan=False)


def test_runs_of_twenty_epochs_serve_all_four_tables(prepare: Prepare) -> None:
    chosen = {"names": ("arelu",), "lrs": (1e-2,), "optimizers": ("sgd",), "seeds": (0, 1)}
    longest = prepare(6, **chosen)
    run(longest.jobs)
    mean = longest.lines()[0]
    for number in (1, 4, 5):
        again = prepare(number, **chosen)
        assert run(again.jobs).reused == 2
        (line,) = again.lines()
        assert line.agreement is not None
        if number == 5:
            assert line.accuracies == mean.accuracies
        if number == 4:
            assert line.agreement.ours == max(line.accuracies)


def test_all_nineteen_find_their_row(root: Path, tmp_path: Path) -> None:
    prepared = tables.prepare(
        1, RunStore(tmp_path), names=("all",), lrs=(1e-2,), optimizers=("sgd",), root=root
    )
    assert run(prepared.jobs).is_complete
    lines = prepared.lines()
    assert len(lines) == 19
    assert all(line.agreement is not None or line.diverged for line in lines)


@pytest.mark.parametrize("text", [False, True])
def test_table_2_says_its_reading(
    prepare: Prepare, text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = paper.Transfer(pretrain_epochs=2, epochs=(1, 2), text_epochs=2)
    monkeypatch.setattr("metaact.experiments.tables.paper.TRANSFER", small)
    prepared = prepare(2, names=("arelu",), text=text)
    assert run(prepared.jobs).is_complete
    columns = [line.column for line in prepared.lines()]
    assert columns == ["no_pretrain", "no_finetune", "finetune_1_epochs", "finetune_2_epochs"]
    assert prepared.lines()[0].agreement is not None
    assert ("text: pre-trained" if text else "caption: pre-trained") in prepared.notes[0]


def test_quick_is_small(prepare: Prepare) -> None:
    assert len(prepare(1, quick=True).jobs) == 8
    assert sum(job.steps for job in prepare(6, quick=True).jobs) == 40
    assert len(prepare(1, quick=True, names=("arelu",), lrs=(1e-5,)).jobs) == 1


@pytest.mark.parametrize(
    ("number", "settings"),
    [
        (3, {}),
        (1, {"lrs": (0.5,)}),
        (1, {"optimizers": ("rmsprop",)}),
        (1, {"names": ("arleu",)}),
        (2, {"optimizers": ("sgd",)}),
        (2, {"lrs": (1e-3, 1e-4)}),
    ],
)
def test_what_a_table_does_not_have_is_refused(
    prepare: Prepare, number: int, settings: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        prepare(number, **settings)


def test_missing_seeds_are_shown() -> None:
    line = comparison.line(
        "relu",
        "sgd_1e-3",
        [0.36],
        paper.table(1),
        asked=3,
        diverged=1,
        images=10_000,
        compare=agreement_of_mean,
        runs=5,
    )
    shown = comparison.render(comparison.document(1, [line], notes=(), missing=()))
    assert "(1 diverged) (1 missing)" in shown
    assert "With one seed" in shown


@pytest.mark.parametrize(("number", "panels"), [(3, 2), (7, 4), (8, 4), (2, 1)])
def test_figures_quick(root: Path, tmp_path: Path, number: int, panels: int) -> None:
    prepared = figures.prepare(
        number,
        RunStore(tmp_path),
        names=("arelu",) if number == 2 else ("arelu", "relu"),
        quick=True,
        root=root,
    )
    assert run(prepared.jobs).is_complete
    written = prepared.draw(tmp_path / "figures")
    assert {path.suffix for path in written} == {".png", ".svg"}
    assert len(written) == (8 if number == 2 else 2)
    assert [n for n, _ in prepared.tables()] == ([] if number == 2 else [1])
    rates = {job.label.split(" seed")[0].split(" ", 1)[1] for job in prepared.jobs}
    assert len(rates) == panels


def test_figure_2_takes_another_arm_and_only_one(root: Path, tmp_path: Path) -> None:
    def labels(*names: str) -> set[str]:
        prepared = figures.prepare(2, RunStore(tmp_path), names=names, quick=True, root=root)
        return {job.label.split("(")[0] for job in prepared.jobs}

    assert labels("all") == {"arelu"}
    assert labels("arelu-unit") == {"arelu-unit"}
    with pytest.raises(UsageError, match="one arm"):
        labels("arelu", "relu")
    with pytest.raises(UsageError, match="relu"):
        labels("relu")


def test_unknown_figure(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="figures"):
        figures.prepare(4, RunStore(tmp_path), root=root)
