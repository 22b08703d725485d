"""On simulated data the intervals cover what they claim, and equal arms are called different no
more often than they claim: the simulations of benchmarks/calibration.py with fewer repetitions."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from metaact.analysis import Comparison, compare_pair, compare_pairs, estimate, family
from metaact.analysis.variation import what_varies

REPETITIONS = 1000
STANDARD_ERRORS = 3.5  # of a simulated share: about one in ten runs of 230 cases would exceed 3.5


BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _module(name: str) -> ModuleType:
    """One of benchmarks/, imported as `python benchmarks/calibration.py` imports it."""
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    return importlib.import_module(name)


calibration, simulations = _module("calibration"), _module("simulations")
CASES = {f"{c.table.split('(')[0]}/{c.row}/{c.column}": c for c in calibration.cases()}
BOUND = {name: case for name, case in CASES.items() if case.allowed != (0.0, 1.0)}


def _repetitions(case: object) -> int:
    return max(1, round(REPETITIONS * case.share))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", BOUND)
def test_it_is_what_is_promised(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "DRAWS", 0)  # as the benchmark has it
    case = BOUND[name]
    low, high = case.allowed
    found = calibration.rate(case, REPETITIONS, seed=1)
    edge = high if high < 0.5 else 0.95
    noise = STANDARD_ERRORS * math.sqrt(edge * (1 - edge) / _repetitions(case))
    assert low - noise <= found <= high + noise


def paired(first: np.ndarray, second: np.ndarray) -> Comparison:
    a, b = np.atleast_2d(first), np.atleast_2d(second)
    return compare_pair(a, b, names=("first", "second"), unit="test episodes")


def test_names_are_all_different() -> None:
    assert len(CASES) == len(list(calibration.cases()))


def test_bootstrap_is_too_narrow_for_few_seeds() -> None:
    """Why `estimate` refuses it there."""
    simulate = simulations.seeds_alone(3, method="bca")
    assert simulate(np.random.default_rng(0), 300).mean() < 0.85


@pytest.mark.parametrize("shape", [(40,), (3, 40)])
def test_the_batch_is_the_public_function(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(2)
    first = 0.5 + 0.1 * generator.standard_normal((60, *shape)) / 5
    second = 0.5 + 0.1 * generator.standard_normal((60, *shape)) / 5 + 0.008
    called = [0 not in paired(a, b).interval for a, b in zip(first, second, strict=True)]
    assert simulations.alarms(first - second).tolist() == called
    assert 0 < sum(called) < 60


def test_differences_in_a_batch_are_those_of_the_public_function() -> None:
    generator = np.random.default_rng(3)
    first = (generator.random((12, 3, 50)) < generator.random((12, 3, 1))).astype(float)
    second = (generator.random((12, 3, 50)) < 0.95).astype(float)
    first[0] = second[0]
    low, high = simulations.difference_bounds(first, second)
    for i in range(12):
        found = paired(first[i], second[i]).interval
        assert (low[i], high[i]) == pytest.approx((found.low, found.high), abs=1e-9)


@pytest.mark.parametrize("trials", [1, 25])
def test_intervals_in_a_batch_are_those_of_the_public_function(trials: int) -> None:
    generator = np.random.default_rng(4)
    chance = generator.beta(9, 1, (12, 1, 40)) * np.ones((1, 3, 1))
    arms = generator.binomial(trials, chance) / trials
    arms[0] = arms[0, :1]  # seeds that agree in every unit
    arms[1] = 1.0
    arms[2] = arms[2][:, generator.permutation(40)][:1].repeat(3, 0)
    low, high = simulations.both_bounds(arms, trials=trials)
    for i, arm in enumerate(arms):
        found = estimate(arm, unit="test episodes", trials_per_unit=trials)
        assert (low[i], high[i]) == pytest.approx((found.low, found.high), abs=1e-9)


def test_a_family_is_called_as_the_public_function_calls_it() -> None:
    generator = np.random.default_rng(5)
    for seeds in (3, 8):
        arms = np.clip(0.7 + 0.02 * generator.standard_normal((8, 3, seeds, 20)), 0, 1)
        arms[:4, 0] += 0.01
        variation = what_varies((seeds, 20), unit="test episodes", over="both")
        for one in arms:
            pairs = [(one[0], one[2]), (one[1], one[2])]
            cases = [(("a", "b"), first, second) for first, second in pairs]
            found = compare_pairs(cases, unit="test episodes")
            shown = any(c.verdict != "no difference shown" for c in found)
            assert simulations.shown(pairs, variation) == shown


def test_a_seed_gives_the_same_table_and_another_another() -> None:
    case = next(iter(CASES.values()))
    found = [calibration.rate(case, 200, seed) for seed in (0, 0, 1, 2)]
    assert found[0] == found[1]
    assert len(set(found)) > 1


def test_tables_are_markdown() -> None:
    found = calibration.markdown({"T": {"row": {"3 seeds": 0.95, "10 seeds": 0.9}}})
    assert "| row | 95.0 | 90.0 |" in found


def test_real_differences_are_found() -> None:
    """One point with 300 episodes of 25 answers: found in most repetitions, with its truth."""
    generator, repeats = np.random.default_rng(13), 300
    easy = generator.beta(14, 6, (repeats, 300))
    first = generator.binomial(25, np.clip(easy + 0.02, 0, 1)) / 25
    second = generator.binomial(25, easy) / 25
    truth = (np.clip(easy + 0.02, 0, 1) - easy).mean()
    found = [paired(a, b) for a, b in zip(first, second, strict=True)]
    assert np.mean([0 not in d.interval for d in found]) > 0.6
    assert 0.92 <= np.mean([truth in d.interval for d in found]) <= 0.98
