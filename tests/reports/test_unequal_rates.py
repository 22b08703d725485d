"""Arms that were not run at the same rates, and a reference that is not there at any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from metaact.reports import compare, gather, page, text

Runs = Sequence[tuple[str, float, float | None]]

CASES: dict[str, Runs] = {
    "the reference at one rate": [("relu", 1e-2, 0.5), ("arelu", 1e-3, 0.6), ("arelu", 1e-2, 0.7)],
    "the reference diverged at all rates": [
        *(("relu", rate, None) for rate in (1e-3, 1e-2)),
        *(("arelu", rate, 0.6) for rate in (1e-3, 1e-2)),
    ],
    "no rate in common": [("relu", 1e-1, 0.5), ("arelu", 1e-3, 0.6), ("arelu", 1e-2, 0.7)],
    "another arm at one rate": [("relu", 1e-3, 0.5), ("relu", 1e-2, 0.5), ("arelu", 1e-2, 0.7)],
    "all diverged": [(arm, rate, None) for arm in ("relu", "arelu") for rate in (1e-3, 1e-2)],
}


@pytest.fixture
def make(tmp_path: Path, synthetic: ModuleType) -> Callable[[Runs], Path]:
    def made(runs: Runs) -> Path:
        for arm, rate, mean in runs:
            for seed in range(2):
                settings = {"meta_lr": rate, "validation": mean, "iterations": 10}
                if mean is None:
                    synthetic.maml(tmp_path, arm, seed, None, test_episodes=9, **settings)
                    continue
                values = [mean + 0.01 * seed + 0.001 * n for n in range(9)]
                synthetic.maml(tmp_path, arm, seed, values, **settings)
        return tmp_path

    return made


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("reference", [None, "relu", "arelu"])
def test_all_renderings_are_made(
    name: str, reference: str | None, make: Callable[[Runs], Path]
) -> None:
    document = compare(gather([make(CASES[name])]), reference=reference)
    for render in (text.plain, text.comma_separated, text.latex, text.markdown):
        assert render(document)
    assert page(document, pictures=0)
    assert document.as_json()


def test_the_arm_with_one_rate_is_compared_at_it_and_the_budgets_are_told(
    make: Callable[[Runs], Path],
) -> None:
    document = compare(gather([make(CASES["the reference at one rate"])]))
    (study,) = document.studies
    assert study.tuned is not None
    assert study.tuned.chosen == {"relu": "relu meta lr 0.01", "arelu": "arelu meta lr 0.01"}
    assert [c.second for c in study.tuned.comparisons] == ["relu meta lr 0.01"]
    assert not study.tuned.budget.equal
    assert "the budgets differ" in " ".join(study.tuned.notes)
    assert "Same budget" not in " ".join(study.tuned.notes)
    assert "relu has no run at the rates of arelu meta lr 0.001: not compared there." in study.notes


def test_a_reference_that_is_lost_at_all_rates_is_told(make: Callable[[Runs], Path]) -> None:
    document = compare(gather([make(CASES["the reference diverged at all rates"])]))
    (study,) = document.studies
    assert study.tuned is not None
    assert study.tuned.comparisons == []
    assert "At no rate all seeds that choose are there: relu." in study.tuned.notes
