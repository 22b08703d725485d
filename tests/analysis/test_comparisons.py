"""Comparisons: verdicts, equivalence against two one-sided tests, probabilities, sentences."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from metaact.analysis import Comparison, compare_pair, compare_pairs
from metaact.analysis.crossed import two_way
from metaact.errors import UsageError

EPISODES, IMAGES, SEEDS = "test episodes", "test images", "training seeds"
NAMES = ("arelu", "relu")


def _arms(
    shift: float = 0.0, *, seeds: int = 3, units: int = 200, spread: float = 0.01, key: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(key)
    base = 0.6 + 0.1 * generator.standard_normal((1, units))

    def arm(mean: float) -> np.ndarray:
        seed = spread * generator.standard_normal((seeds, 1))
        rest = 0.05 * generator.standard_normal((seeds, units))
        return np.clip(base + mean + seed + rest, 0, 1)

    return arm(shift), arm(0.0)


def _compare(first: object, second: object, **options: object) -> Comparison:
    options = {"names": NAMES, "unit": EPISODES, **options}
    return compare_pair(first, second, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("over", "axis"), [("units", 0), ("seeds", 1)])
def test_one_thing_varies_is_the_paired_t_test(over: str, axis: int) -> None:
    first, second = _arms(0.004, seeds=4)
    found = _compare(first, second, over=over)
    a, b = first.mean(axis=axis), second.mean(axis=axis)
    expected = stats.ttest_rel(a, b)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.05)
    assert found.mean == pytest.approx((a - b).mean())
    assert list(found.needed) == [SEEDS if over == "seeds" else EPISODES]
    assert found.interval.n == len(a)


def test_over_both_it_is_the_two_way_analysis() -> None:
    first, second = _arms(0.01)
    found = _compare(first, second, unit=IMAGES)
    model = two_way(first - second)
    half = float(model.half_width(0.95))
    assert found.interval.high - found.mean == pytest.approx(half)
    assert found.p_value == pytest.approx(float(model.p_value()))
    assert list(found.needed) == [SEEDS, IMAGES]
    assert found.interval.varies == "training seeds and test images"


@pytest.mark.parametrize("over", ["both", "seeds", "units"])
def test_p_at_the_edge_of_the_interval_is_its_level(over: str) -> None:
    first, second = _arms(0.0)
    low = _compare(first, second, over=over).interval.low
    shifted = _compare(first - low, second, over=over)
    assert shifted.p_value == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("over", ["both", "seeds", "units"])
def test_equivalence_is_the_interval_within_the_margin(over: str) -> None:
    first, second = _arms(0.002)
    interval = _compare(first, second, over=over).interval
    reach = max(abs(interval.low), abs(interval.high))
    for margin, equivalent in ((reach * 1.001, True), (reach * 0.999, False)):
        found = _compare(first, second, over=over, margin=margin)
        assert (found.verdict == "equivalent") == equivalent
        assert found.interval == interval


def test_equivalence_is_two_t_tests() -> None:
    """Schuirmann: two one-sided tests at half of 1 - level accept where the interval is inside."""
    first, second = _arms(0.003, seeds=1, units=400)
    d = (first - second)[0]
    for margin in np.linspace(0.006, 0.012, 40):
        lower = stats.ttest_1samp(d, -margin, alternative="greater").pvalue
        upper = stats.ttest_1samp(d, margin, alternative="less").pvalue
        p = max(lower, upper)
        if not 0.024 < p < 0.026:  # ours allows for the kurtosis of the sample
            found = _compare(first, second, margin=float(margin))
            assert (found.verdict == "equivalent") == (p < 0.025)


def test_a_mean_beyond_the_margin_is_never_equivalent() -> None:
    first, second = _arms(0.05, spread=0.0)
    assert _compare(first, second, margin=0.01).verdict == "better"


def test_verdicts() -> None:
    better, reference = _arms(0.03, spread=0.001)
    assert _compare(better, reference).verdict == "better"
    assert _compare(reference, better).verdict == "worse"
    same, reference = _arms(0.0, spread=0.03, key=1)
    assert _compare(same, reference).verdict == "no difference shown"
    assert _compare(same, reference, margin=0.01).verdict == "no difference shown"
    assert _compare(same, reference, margin=0.3).verdict == "equivalent"
    small = _compare(better, reference := better - 0.004 + 1e-3 * np.sin(better * 1e4), margin=0.01)
    assert small.p_value is not None
    assert small.p_value < 0.05
    assert small.verdict == "equivalent"
    assert "is better than relu by 0.4" in small.sentence
    assert "less than the margin of 1.0 points" in small.sentence


def test_all_against_the_reference_are_one_family() -> None:
    arms = {f"a{i}": _arms(0.01 * i, key=i)[0] for i in range(4)}
    cases = [((name, "a0"), arms[name], arms["a0"]) for name in ("a1", "a2", "a3")]
    found = compare_pairs(cases, unit=EPISODES, margin=0.02)
    assert [(c.first, c.second) for c in found] == [("a1", "a0"), ("a2", "a0"), ("a3", "a0")]
    alone = [_compare(arms[c.first], arms["a0"], margin=0.02) for c in found]
    assert [c.alone for c in found] == [c.interval for c in alone]
    assert {c.compared for c in found} == {3}
    assert "95 % simultaneous interval of 3 questions over" in found[-1].sentence
    assert "simultaneous" not in alone[-1].sentence
    pairs = [("a3", "a1"), ("a0", "a2")]
    found = compare_pairs([((a, b), arms[a], arms[b]) for a, b in pairs], unit=EPISODES)
    assert [(c.first, c.second) for c in found] == pairs
    assert compare_pairs([], unit=EPISODES) == []


def test_what_only_the_question_alone_would_show_is_said() -> None:
    first, second = np.array([[0.90], [0.92], [0.91]]), np.array([[0.85], [0.88], [0.84]])
    cases = [((f"a{i}", "b"), first, second) for i in range(8)]
    found = compare_pairs(cases, unit=EPISODES)[0]
    assert 0 in found.interval
    assert 0 not in found.alone
    assert found.verdict == "no difference shown"
    assert "asked alone it would be shown, among so many questions it is not" in found.sentence


def test_pairs_may_have_seeds_of_their_own() -> None:
    cases = [(NAMES, *_arms(seeds=2)), (("elu", "relu"), *_arms(seeds=5))]
    found = compare_pairs(cases, unit=EPISODES)
    assert [c.interval.seeds for c in found] == [2, 5]


def test_probability_counts_ties_half() -> None:
    first = np.array([[1, 1, 0, 1, 0, 1, 1, 0.0]])
    second = np.array([[0, 1, 0, 1, 1, 0, 0, 0.0]])
    found = _compare(first, second, unit=IMAGES).probability
    assert found.mean == pytest.approx((3 + 4 / 2) / 8)
    assert found.varies == "test images (one training seed)"
    crossed = _compare(*_arms(0.12), over="both").probability
    assert 0.9 < crossed.mean < 1
    assert crossed.varies == "training seeds and test episodes"


def test_identical_arms() -> None:
    first, _ = _arms()
    for over in ("both", "seeds", "units"):
        found = _compare(first, first, over=over, margin=0.05)
        assert (found.mean, found.p_value) == (0, 1)
        assert found.probability.mean == 0.5
        assert found.interval.low < 0 < found.interval.high
        assert found.sentence.startswith("arelu and relu are equivalent")
        assert ("free to differ" in found.sentence) == (over != "units")


def test_only_the_mean_of_each_seed_is_known() -> None:
    found = _compare([[0.9], [0.92], [0.91]], [[0.85], [0.88], [0.84]], unit=IMAGES, over="seeds")
    assert found.verdict == "better"
    assert found.interval.varies == SEEDS
    assert found.needed == {SEEDS: 0}


SENTENCES = {
    "better": (
        [[0.9], [0.92], [0.91]],
        [[0.85], [0.88], [0.84]],
        "arelu is better than relu by 5.3 points [1.5, 9.1] (p = 0.026; 95 % interval over "
        "training seeds).",
    ),
    "worse": (
        [[0.85], [0.88], [0.84]],
        [[0.9], [0.92], [0.91]],
        "arelu is worse than relu by 5.3 points [1.5, 9.1] (p = 0.026; 95 % interval over "
        "training seeds).",
    ),
    "not shown": (
        [[0.9], [0.92], [0.88]],
        [[0.85], [0.93], [0.87]],
        "No difference shown between arelu and relu: +1.7 points [-5.9, 9.3] (p = 0.44; 95 % "
        "interval over training seeds); about 14 more training seeds would settle a difference of "
        "this size (fix the number beforehand: adding until it shows makes false alarms).",
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_sentences(case: str) -> None:
    first, second, expected = SENTENCES[case]
    found = _compare(first, second, unit=IMAGES, over="seeds")
    assert found.sentence == str(found) == expected


def test_tiny_differences_are_not_0() -> None:
    generator = np.random.default_rng(0)
    first = 0.5 + 1e-5 * generator.standard_normal((1, 500))
    found = _compare(first + 2e-4, 0.5 + 0 * first)
    assert "better than relu by 0.0200 points" in found.sentence
    assert found.summary.startswith("+0.020")
    assert "-0.0 " not in _compare(first, 0.5 + 0 * first).sentence


def test_summary_and_json() -> None:
    found = _compare(*_arms(0.02), margin=0.01)
    assert found.summary.startswith("+")
    assert "points [" in found.summary
    assert ", p " in found.summary
    assert ", p " not in _compare(*_arms(0.02, seeds=1)).summary
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert {"first", "second", "interval", "alone", "p_value", "p_alone"} < set(document)
    assert document["probability"]["varies"] == "training seeds and test episodes"


def test_another_level_is_told() -> None:
    found = _compare(*_arms(0.02), level=0.99)
    assert "99 % interval" in found.sentence


def test_refusals() -> None:
    first, second = _arms()
    with pytest.raises(UsageError, match="`arelu` and `relu` must have one shape"):
        _compare(first[:2], second)
    with pytest.raises(UsageError, match="pairs"):
        _compare([[0.5]], [[0.6]])
    with pytest.raises(UsageError, match="relu"):
        _compare(first, second + 1)
    with pytest.raises(UsageError, match="margin"):
        _compare(first, second, margin=1.5)
    with pytest.raises(UsageError, match="over"):
        _compare(first, second, over="images")


def test_one_more_seed_is_singular() -> None:
    first = np.array([[0.70], [0.71], [0.73], [0.72]])
    for shift in np.linspace(0.015, 0.03, 60):
        found = _compare(first + shift, first + np.array([[0], [0.02], [-0.02], [0]]), over="seeds")
        if found.needed == {SEEDS: 1}:
            assert "about 1 more training seed would" in found.sentence
            return
    pytest.fail("no shift needs exactly one more seed")
