"""Equal tuning: the grid, the choice on validation, and the two readings of all three verbs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from metaact.experiments.config import MamlConfig
from metaact.experiments.rates import (
    CONVERGE_RATES,
    MAML_RATES,
    parse_grid,
    plan,
    refuse_without_validation,
)

from metaact.errors import UsageError
from metaact.experiments import maml, maml_figures, maml_report, tuning, tuning_report
from metaact.experiments.sweep import sweep
from metaact.experiments.tuning import Trial, choose
from metaact.runs import RunStore


def trial(
    arm: str,
    rates: Mapping[str, float],
    validation: list[float],
    *,
    test: float = 0.5,
    asked: int | None = None,
) -> Trial:
    return Trial(
        arm=arm,
        rates=dict(rates),
        validation=dict(enumerate(validation)),
        test=dict.fromkeys(range(len(validation)), test),
        asked=len(validation) if asked is None else asked,
    )


def test_a_part_without_a_name_goes_on_with_the_rate_before() -> None:
    found = parse_grid(" inner-lr=0.005, 0.02,0.1,lr=1e-3,5e-3", MAML_RATES)
    assert found == {"inner_lr": [0.005, 0.02, 0.1], "meta_lr": [0.001, 0.005]}
    assert parse_grid({"inner_lr": [0.1], "lr": 0.2}, MAML_RATES) == {
        "inner_lr": [0.1],
        "meta_lr": [0.2],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "rates: inner-lr, lr"),
        ("0.1,0.2", "rates: inner-lr, lr"),
        ("inner-lr", "rates: inner-lr, lr"),
        ("outer-lr=0.1", "one of inner-lr, lr"),
        ("=0.1", "one of inner-lr, lr"),
        ("iner-lr=0.1", "Did you mean 'inner-lr'?"),
        ("lr=0.1,lr=0.2", "allowed: inner-lr, lr"),
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
        parse_grid(text, MAML_RATES)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_ordinary_value_joins_the_grid_once() -> None:
    joined = plan({"inner_lr": [0.05], "meta_lr": [0.01]}, {"inner_lr": [0.1, 0.05]})
    assert joined.shared == ({"inner_lr": 0.05, "meta_lr": 0.01},)
    assert [tuple(rates.values()) for rates in joined.every] == [(0.05, 0.01), (0.1, 0.01)]
    both = plan({"inner_lr": [1], "meta_lr": [1]}, {"inner_lr": [2, 3], "meta_lr": [4]})
    assert len(both.every) == 6
    assert plan({"lr": [1, 2]}).shared == plan({"lr": [1, 2]}).every


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


def test_no_test_accuracy_plays_a_part() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        scores = random.random((3, 2)).tolist()
        for _ in range(5):
            trials = [
                trial("a", {"lr": i + 1.0}, score, test=float(random.random()))
                for i, score in enumerate(scores)
            ]
            (choice,) = choose(trials)
            assert choice.index == int(np.argmax(np.mean(scores, axis=1)))


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
    found = tuning.document(trials, [first, second], rates=CONVERGE_RATES)
    assert found is not None
    assert found["without"] == ["b"]
    assert "At no rate all seeds are there: b." in tuning.notes(found, CONVERGE_RATES)


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
    found = tuning.document(trials, [choice], rates=MAML_RATES)
    assert found is not None
    sentences = tuning.notes(found, MAML_RATES)
    assert "a: best at the edge of the grid (lr 1): try lower." in sentences
    assert not any("inner lr" in sentence for sentence in sentences)
    up = [trial("a", {"lr": lr}, [lr]) for lr in (0.1, 0.2)]
    assert choose(up)[0].edge == {"lr": "higher"}
    assert choose(up[:1]) == []


def test_the_document_says_the_budget() -> None:
    trials = [trial(arm, {"lr": lr}, [lr, lr]) for arm in ("a", "b") for lr in (0.3, 0.1, 0.2)]
    found = tuning.document(trials, choose(trials), rates=CONVERGE_RATES, shared=[{"lr": 0.3}])
    assert found is not None
    assert found["grid"] == {"lr": [0.1, 0.2, 0.3]}
    assert (found["combinations"], found["seeds"], found["runs_per_arm"]) == (3, 2, 6)
    assert found["equal_budget"] is True
    assert found["shared"] == [{"lr": 0.3}]
    assert [c["rates"] for c in found["chosen"]] == [{"lr": 0.3}, {"lr": 0.3}]
    uneven = trials[:-1]
    found = tuning.document(uneven, choose(uneven), rates=CONVERGE_RATES)
    assert found is not None
    assert found["equal_budget"] is False
    assert any("budgets differ" in sentence for sentence in tuning.notes(found, CONVERGE_RATES))
    assert tuning.document(trials[:1], choose(trials[:1]), rates=CONVERGE_RATES) is None


def drawn(monkeypatch: pytest.MonkeyPatch, trials: list[Trial], path: Path) -> list[tuple]:
    """What the pictures of `trials` show: title, axis and curves of each."""
    found, curves = [], tuning_report.analysis.learning_curves

    def spy(arms: dict[str, tuple], **options: object) -> object:
        found.append((options["title"], options["xlabel"], arms))
        return curves(arms, **options)

    monkeypatch.setattr(tuning_report.analysis, "learning_curves", spy)
    written = tuning_report.draw(trials, MAML_RATES, path=path, title="study", chance=0.2)
    assert len(written) == 2 * len(found)
    assert all(file.stat().st_size > 1000 for file in written)
    return found


def test_a_picture_for_each_rate_at_the_best_of_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trials = [
        trial("a", {"inner_lr": i, "meta_lr": m}, [v, v], test=t)
        for i, m, v, t in [
            (0.2, 0.01, 0.9, 0.11),
            (0.1, 0.01, 0.5, 0.12),
            (0.2, 0.03, 0.4, 0.13),
            (0.1, 0.03, 0.3, 0.14),
        ]
    ]
    lost = [replace(t, arm="b", validation={}, test={}) for t in trials]
    inner, meta = drawn(monkeypatch, trials + lost, tmp_path / "p")
    assert inner[0].startswith(
        "study: accuracy against inner lr, each arm at its best lr; without b"
    )
    assert meta[0].startswith("study: accuracy against lr, each arm at its best inner lr")
    assert list(inner[2]) == list(meta[2]) == ["a"]
    x, mean, _, _ = inner[2]["a"]
    assert (x.tolist(), mean.tolist()) == ([0.1, 0.2], [0.12, 0.11])
    x, mean, low, high = meta[2]["a"]
    assert (x.tolist(), mean.tolist()) == ([0.01, 0.03], [0.11, 0.13])
    assert low is not None
    assert high is not None


def test_no_point_where_a_seed_is_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trials = [
        trial("a", {"inner_lr": 0.1, "meta_lr": 1.0}, [0.5, 0.5], test=0.4),
        trial("a", {"inner_lr": 0.2, "meta_lr": 1.0}, [0.9], test=0.9, asked=2),
    ]
    ((_, xlabel, curves),) = drawn(monkeypatch, trials, tmp_path / "p")
    assert "no point where a seed diverged" in xlabel
    np.testing.assert_array_equal(curves["a"][1], [0.4, np.nan])


@pytest.fixture(scope="module")
def config(pack: Path) -> MamlConfig:
    return MamlConfig(
        dataset=str(pack),
        ways=3,
        tasks=2,
        iterations=2,
        queries=2,
        test_queries=3,
        test_episodes=6,
        validation_episodes=4,
    )


def test_two_rates_and_two_readings(config: MamlConfig, tmp_path: Path) -> None:
    """Both rates are tuned; the first reading compares at the shared rates only."""
    shared, store = maml.study(config), RunStore(tmp_path)
    grid = plan({"inner_lr": [1e-6], "meta_lr": [1e-3]}, {"inner_lr": [0.1], "meta_lr": [1e-2]})
    configs = [
        replace(config, activation=name, **rates)
        for name in ("arelu", "relu")
        for rates in grid.every
    ]
    report = sweep(
        [maml.job(c, shared, store) for c in configs], tick=lambda n: None, say=lambda line: None
    )
    assert len(report.done) == 8
    summary = maml_report.summarise(configs, shared, store, report, shared_rates=grid.shared)
    json.dumps(summary, allow_nan=False)
    assert summary["tuning"]["grid"] == {"inner_lr": [1e-6, 0.1], "meta_lr": [1e-3, 1e-2]}
    assert summary["tuning"]["runs_per_arm"] == 4
    assert "meta_lr" not in summary["settings"]
    differing = [
        (r["activation"], r["inner_lr"], r["meta_lr"]) for r in summary["arms"] if "difference" in r
    ]
    assert differing == [("relu", 1e-6, 1e-3)]
    for row, chosen in zip(summary["tuned"], summary["tuning"]["chosen"], strict=True):
        mine = [r for r in summary["arms"] if r["activation"] == row["activation"]]
        assert row["validation_accuracy"] == max(r["validation_accuracy"] for r in mine)
        assert {k: row[k] for k in ("inner_lr", "meta_lr")} == chosen["rates"]
    first, _, rest = maml_report.table(summary).partition(f"\n\n{tuning_report.OWN}\n")
    own, _, every = rest.partition("\n\nEvery arm")
    assert "At the shared rate inner lr 1e-06, lr 0.001" in first
    assert sum(line.startswith(("arelu ", "relu ")) for line in first.splitlines()) == 2
    assert "Same budget for every arm: 4 combinations of rates x 1 seed = 4 runs." in own
    assert every.count("*") == 3  # one for each arm, and the footnote
    written = maml_figures.draw(
        configs, shared, store, tmp_path / "figures", shared_rates=grid.shared
    )
    names = [path.name for path in written if path.suffix == ".png"]
    assert sum("accuracy-against-inner-lr" in name for name in names) == 1
    assert sum("accuracy-against-lr" in name for name in names) == 1
