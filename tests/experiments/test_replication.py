"""Intervals beside published figures: coverage on simulated runs, and the edges."""

import numpy as np
import pytest
from metaact.experiments.replication import agreement_of_best, agreement_of_mean, over_seeds


def test_one_seed_and_equal_seeds_never_have_zero_width() -> None:
    for accuracies in ([0.1135], [0.1135, 0.1135, 0.1135], [1.0], [0.0, 0.0]):
        interval = over_seeds(accuracies, 10_000)
        assert interval.low < interval.high
        assert "test images" in interval.varies


@pytest.mark.parametrize("accuracies", [[0.9], [0.9, 0.9, 0.9]])
def test_no_spread_says_nothing_about_new_runs(accuracies: list[float]) -> None:
    for compare in (agreement_of_mean, agreement_of_best):
        found = compare(accuracies, 0.9, images=10_000, runs=5)
        assert found.inside
        assert found.expected is None
        assert found.plausible is None


@pytest.mark.parametrize("compare", [agreement_of_mean, agreement_of_best])
def test_same_population_is_plausible_95_percent_of_the_time(compare) -> None:  # type: ignore[no-untyped-def]
    draw = np.random.default_rng(1)
    combine = np.mean if compare is agreement_of_mean else np.max
    hits = 0
    for _ in range(400):
        ours, theirs = draw.normal(0.5, 0.02, 4), draw.normal(0.5, 0.02, 5)
        found = compare(list(ours), float(combine(theirs)), images=10_000, runs=5)
        hits += bool(found.plausible)
    # Binomial(400, 0.95): standard deviation 4.4, so 380 ± 3 of them.
    assert 366 <= hits <= 394


def test_other_population_is_not_plausible() -> None:
    ours = [0.50, 0.51, 0.49, 0.50]
    assert agreement_of_mean(ours, 0.6, images=10_000, runs=5).plausible is False
    assert agreement_of_best(ours, 0.6, images=10_000, runs=5).plausible is False
    assert agreement_of_mean(ours, 0.6, images=10_000, runs=5).difference == pytest.approx(-0.1)


def test_best_is_our_best_and_lies_in_its_interval() -> None:
    found = agreement_of_best([0.3, 0.5, 0.4], 0.45, images=10_000, runs=5)
    assert found.ours == 0.5
    assert found.interval.low <= 0.5 <= found.interval.high
