"""Equal tuning: the grid, the choice on validation, the budget, and the two readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metaact import experiments, reports
from metaact.errors import UsageError
from metaact.experiments import CONVERGE, MAML, TRANSFER, MamlConfig
from metaact.experiments.tuning import (
    Trial,
    budget,
    choose,
    combinations,
    parse_grid,
    refuse_without_validation,
)
from metaact.runs import RunStore


def trial(
    arm: str, rates: Mapping[str, float], validation: list[float], *, asked: int | None = None
) -> Trial:
    return Trial(
        arm=arm,
        rates=dict(rates),
        validation=dict(enumerate(validation)),
        asked=len(validation) if asked is None else asked,
        runs=len(validation) if asked is None else asked,
    )


def test_a_part_without_a_name_goes_on_with_the_rate_before() -> None:
    found = parse_grid(" inner-lr=0.005, 0.02,0.1,meta-lr=1e-3,5e-3", MAML.rates)
    assert found == {"inner_lr": [0.005, 0.02, 0.1], "meta_lr": [0.001, 0.005]}
    # The older name of the rate is understood, and `_` is as good as `-`.
    assert parse_grid({"inner_lr": [0.1], "lr": 0.2}, MAML.rates) == {
        "inner_lr": [0.1],
        "meta_lr": [0.2],
    }


def test_every_rate_of_an_experiment_can_be_tuned() -> None:
    names = {e.name: [rate.name for rate in e.rates] for e in (MAML, CONVERGE, TRANSFER)}
    assert {name: set(rates) for name, rates in names.items()} == {
        "maml": {"inner_lr", "meta_lr", "outer_step"},
        "converge": {"lr"},
        "transfer": {"lr", "pretrain_lr"},
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "rates: inner-lr, meta-lr"),
        ("0.1,0.2", "rates: inner-lr, meta-lr"),
        ("inner-lr", "rates: inner-lr, meta-lr"),
        ("outer-lr=0.1", "one of inner-lr, meta-lr"),
        ("=0.1", "one of inner-lr, meta-lr"),
        ("iner-lr=0.1", "Did you mean 'inner-lr'?"),
        ("lr=0.1,lr=0.2", "allowed: inner-lr, meta-lr"),
        ("lr=0.1,meta-lr=0.2", "meta-lr twice"),
        ("lr=0.1,inner-lr=0.1,lr=0.2", "lr twice"),
        ("lr=0.02,2e-2", "2e-2 twice"),
        ("lr=", "got ''"),
        ("lr=0.1,", "got ''"),
        ("lr=0.1,,0.2", "got ''"),
        ("lr=0", "finite number > 0 (a value of lr); got 0.0"),
        ("lr=-0.1", "got -0.1"),
        ("lr=nan", "got nan"),
        ("lr=inf", "got inf"),
        ("lr=fast", "got 'fast'"),
    ],
)
def test_a_grid_that_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(UsageError, match="`tune` must") as raised:
        parse_grid(text, MAML.rates)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_ordinary_value_joins_the_grid_once() -> None:
    joined = combinations({"inner_lr": [0.05], "meta_lr": [0.01]}, {"inner_lr": [0.1, 0.05]})
    assert [tuple(rates.values()) for rates in joined] == [(0.05, 0.01), (0.1, 0.01)]
    both = combinations({"inner_lr": [1], "meta_lr": [1]}, {"inner_lr": [2, 3], "meta_lr": [4]})
    assert len(both) == 6
    assert combinations({"lr": [1, 2]}) == [{"lr": 1.0}, {"lr": 2.0}]


def test_there_must_be_a_validation_part() -> None:
    refuse_without_validation("held-out", validated=True)
    for protocol in ("paper", "paper-text"):
        with pytest.raises(UsageError, match="no validation part is left to choose on"):
            refuse_without_validation(protocol)
    with pytest.raises(UsageError, match="they have no validation part"):
        refuse_without_validation("held-out", validated=False)


def test_the_choice_is_the_best_mean_over_seeds() -> None:
    trials = [
        trial("a", {"lr": 0.1}, [0.9, 0.1]),
        trial("b", {"lr": 0.1}, [0.2, 0.2]),
        trial("a", {"lr": 0.2}, [0.6, 0.6]),
        trial("b", {"lr": 0.2}, [0.1, 0.1]),
    ]
    assert [(c.arm, c.index, c.score) for c in choose(trials)] == [
        ("a", 2, pytest.approx(0.6)),
        ("b", 1, pytest.approx(0.2)),
    ]
    # Where less is better, the least is chosen.
    assert [c.index for c in choose(trials, higher=False)] == [0, 3]


def test_a_seed_that_diverged_or_is_missing_disqualifies_its_rate() -> None:
    trials = [
        trial("a", {"lr": 0.1}, [0.99], asked=2),
        trial("a", {"lr": 0.2}, [0.3, 0.3]),
        trial("b", {"lr": 0.1}, [0.9], asked=2),
        trial("b", {"lr": 0.2}, [], asked=2),
    ]
    first, second = choose(trials)
    assert first.index == 1
    assert (second.index, second.score, second.edge) == (None, None, {})
    found = budget(trials, [first, second])
    assert found is not None
    assert found.without == ("b",)
    assert "At no rate all seeds that choose are there: b." in found.notes()


def test_of_equal_ones_the_smaller_rate_in_any_order() -> None:
    rates = [(0.2, 0.1), (0.1, 0.2), (0.1, 0.1), (0.2, 0.2)]
    for shift in range(4):
        turned = rates[shift:] + rates[:shift]
        trials = [trial("a", {"inner_lr": i, "meta_lr": m}, [0.5]) for i, m in turned]
        (choice,) = choose(trials)
        assert choice.index == turned.index((0.1, 0.1))


def test_the_edge_of_the_grid_is_named_by_rate() -> None:
    def score(inner: float, meta: float) -> float:
        return 1 - abs(inner - 2) / 10 - meta / 10

    trials = [
        trial("a", {"inner_lr": i, "meta_lr": m}, [score(i, m)]) for i in (1, 2, 3) for m in (1, 2)
    ]
    (choice,) = choose(trials)
    assert choice.edge == {"meta_lr": "lower"}
    found = budget(trials, [choice])
    assert found is not None
    sentences = found.notes()
    assert "a: best at the edge of the grid (meta lr 1): try lower." in sentences
    assert not any("inner lr" in sentence for sentence in sentences)
    up = [trial("a", {"lr": lr}, [lr]) for lr in (0.1, 0.2)]
    assert choose(up)[0].edge == {"lr": "higher"}
    assert choose(up[:1]) == []


def test_the_budget_is_said() -> None:
    trials = [trial(arm, {"lr": lr}, [lr, lr]) for arm in ("a", "b") for lr in (0.3, 0.1, 0.2)]
    found = budget(trials, choose(trials))
    assert found is not None
    assert found.grid == {"lr": [0.1, 0.2, 0.3]}
    assert (found.combinations, found.seeds, found.runs_per_arm) == (3, 2, 6)
    assert found.equal is True
    assert found.chosen == {"a": {"lr": 0.3}, "b": {"lr": 0.3}}
    assert found.notes()[0].startswith(
        "Same budget for every arm: 3 combinations of rates x 2 seeds = 6 runs."
    )
    uneven = budget(trials[:-1], choose(trials[:-1]))
    assert uneven is not None
    assert uneven.equal is False
    assert any("budgets differ" in sentence for sentence in uneven.notes())
    assert budget(trials[:1], choose(trials[:1])) is None


@pytest.fixture(scope="module")
def tuned(maml_config: MamlConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Two arms at four combinations of rates, and the document of their store."""
    few: dict[str, Any] = {
        "tasks": 2,
        "iterations": 2,
        "inner_steps": 1,
        "test_inner_steps": 1,
        "test_episodes": 6,
    }
    grid = combinations(
        {"inner_lr": [1e-6], "meta_lr": [1e-3]}, {"inner_lr": [0.1], "meta_lr": [1e-2]}
    )
    configs = [
        replace(maml_config, activation=name, **few, **rates)
        for name in ("arelu", "relu")
        for rates in grid
    ]
    store = tmp_path_factory.mktemp("tuned")
    outcome = experiments.run(MAML, configs, store)
    assert len(outcome.report.done) == 8
    return store, reports.answer(outcome)


def test_two_rates_and_two_readings(tuned: tuple[Path, Any]) -> None:
    store, document = tuned
    (study,) = document.studies
    assert study.tuned.budget.grid == {"inner_lr": [1e-6, 0.1], "meta_lr": [1e-3, 1e-2]}
    assert study.tuned.budget.runs_per_arm == 4
    assert "meta_lr" not in study.settings
    validation = {
        (r.config["activation"], r.config["inner_lr"], r.config["meta_lr"]): r.metrics()[-1][
            "validation_accuracy"
        ]
        for r in RunStore(store).runs()
    }
    # The first reading: at every shared combination, each arm with the reference there.
    pairs = [(study.arm(c.first), study.arm(c.second)) for c in study.comparisons]
    assert len(pairs) == 4
    assert all(a.rates == b.rates and b.value == "arelu" for a, b in pairs)
    # The second: each at its own best, of equal ones at the smaller rates.
    for value, name in study.tuned.chosen.items():
        mine = {k[1:]: v for k, v in validation.items() if k[0] == value}
        best = min(mine, key=lambda k: (-mine[k], *k))
        assert tuple(study.arm(name).rates.values()) == best
    shown = reports.text.plain(document)
    assert "Same budget for every arm: 4 combinations of rates x 1 seed = 4 runs." in shown
    assert "no test figure played a part" in shown


def test_score_against_the_rate_at_the_best_of_the_other(tuned: tuple[Path, Any]) -> None:
    _, document = tuned
    (study,) = document.studies
    found = study.sensitivity
    other = next(name for name in ("inner_lr", "meta_lr") if name != found.rate)
    for value, points in found.lines.items():
        for point in points:
            here = [
                arm
                for arm in study.arms
                if arm.value == value and arm.rates[found.rate] == point.rate
            ]
            assert {arm.rates[other] for arm in here} == set(study.tuned.budget.grid[other])
            best = max(here, key=lambda arm: arm.validation)
            assert point.score.mean == best.score.mean
    drawn = reports.pictures.sensitivity(study)
    assert drawn is not None
    heights = [np.asarray(line.get_ydata(), dtype=float) for line in drawn.figure.axes[0].lines]
    for points in found.lines.values():
        means = [point.score.mean for point in points]
        assert any(h.shape == (2,) and np.allclose(h, means) for h in heights)


def test_a_rate_without_a_score_is_a_gap(tuned: tuple[Path, Any]) -> None:
    _, document = tuned
    (study,) = document.studies
    found = study.sensitivity
    lost = {
        name: [replace(points[0], score=None, failed=1), *points[1:]] if name == "relu" else points
        for name, points in found.lines.items()
    }
    drawn = reports.pictures.sensitivity(replace(study, sensitivity=replace(found, lines=lost)))
    assert drawn is not None
    assert "Seeds that diverged: relu at" in drawn.caption
    heights = [np.asarray(line.get_ydata(), dtype=float) for line in drawn.figure.axes[0].lines]
    assert any(h.shape == (2,) and np.isnan(h[0]) and not np.isnan(h[1]) for h in heights)


def test_no_test_score_plays_a_part_in_a_choice(tuned: tuple[Path, Any]) -> None:
    """Trials hold none, and other test scores of the same runs choose the same."""
    assert not [name for name in Trial.__dataclass_fields__ if "test" in name]
    store, document = tuned
    evidence = reports.gather([store])
    spoiled = [
        replace(
            study,
            arms=tuple(
                replace(
                    arm,
                    records=tuple(
                        replace(r, scores=1 - r.scores, score=1 - r.score) for r in arm.records
                    ),
                )
                for arm in study.arms
            ),
        )
        for study in evidence.studies
    ]
    again = reports.compare(replace(evidence, studies=tuple(spoiled)), reference="arelu")
    chosen = document.studies[0].tuned.chosen
    assert again.studies[0].tuned is not None
    assert again.studies[0].tuned.chosen == chosen
    assert again.studies[0].arms[0].by_seed != document.studies[0].arms[0].by_seed
