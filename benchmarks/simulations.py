"""Simulated experiments with a truth known by construction, for `benchmarks/calibration.py`.

Each function describes one kind of experiment and returns a simulation: from a generator and a
number of repetitions to one boolean each, whether the interval held the truth, or whether equal
arms were called different. The formulas of metaact.analysis are applied in one batch where that is
the same to rounding (tests/analysis/test_calibration.py compares them), else one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from scipy import special, stats

from metaact.analysis.bounds import NOTHING, Array, moments, student
from metaact.analysis.crossed import crossed_bounds, two_way
from metaact.analysis.estimates import estimate
from metaact.analysis.failures import failure_share, with_failures
from metaact.analysis.intervals import episode_bounds
from metaact.analysis.paired import CAUTION, difference, family_of
from metaact.analysis.variation import Variation, what_varies
from metaact.experiments.tuning import divide

LEVEL = 0.95

Simulation = Callable[[np.random.Generator, int], Array]


def inside(bounds: tuple[Array, Array], truth: float) -> Array:
    """Whether each interval holds the truth."""
    low, high = bounds
    return (low <= truth + 1e-12) & (truth - 1e-12 <= high)


# One arm ------------------------------------------------------------------------------------------


def episodes(mean: float, correlation: float, number: int, trials: int) -> Simulation:
    """Beta-binomial accuracies of one network: the answers within an episode are alike."""
    strength = (1 - correlation) / correlation

    def simulate(generator: np.random.Generator, n: int) -> Array:
        easy = generator.beta(mean * strength, (1 - mean) * strength, (n, number))
        values = generator.binomial(trials, easy) / trials
        return inside(episode_bounds(values, trials=trials, level=LEVEL), mean)

    return simulate


def seeds_alone(seeds: int, *, method: str, logit: tuple[float, float] | None = None) -> Simulation:
    """Accuracies of several networks on one test set; normal, or logit-normal near an edge."""

    def simulate(generator: np.random.Generator, n: int) -> Array:
        noise = generator.standard_normal((n, seeds))
        values = 0.8 + 0.02 * noise if logit is None else special.expit(logit[0] + logit[1] * noise)
        truth = 0.8 if logit is None else logit_mean(*logit)
        return inside(seed_bounds(values, method), truth)

    return simulate


def seed_bounds(values: Array, method: str) -> tuple[Array, Array]:
    """Bounds over the last axis by "t", "wilson" or "bca"."""
    if method == "wilson":
        return episode_bounds(values, trials=math.inf, level=LEVEL)
    if method == "bca":
        found = stats.bootstrap(
            (values,), np.mean, axis=-1, n_resamples=999, rng=np.random.default_rng(0)
        ).confidence_interval
        return found.low, found.high
    n = values.shape[-1]
    half = student(n - 1, LEVEL) * values.std(axis=-1, ddof=1) / math.sqrt(n)
    return values.mean(axis=-1) - half, values.mean(axis=-1) + half


def logit_mean(centre: float, spread: float) -> float:
    """Mean accuracy where its logit is normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return float((special.expit(centre + spread * nodes) * weights).sum() / weights.sum())


def both_bounds(
    matrix: Array, *, trials: float = math.inf, level: float = LEVEL
) -> tuple[Array, Array]:
    """Bounds over both of accuracies [n, seeds, units], no narrower than over one alone.

    The formulas of `estimate` in one batch.
    """
    seeds, units = matrix.shape[1:]
    found = [
        crossed_bounds(matrix, trials=trials, level=level),
        episode_bounds(matrix.mean(axis=2), trials=trials * units, level=level),
        episode_bounds(matrix.mean(axis=1), trials=trials * seeds, level=level),
    ]
    low = np.min([low for low, _ in found], axis=0)
    high = np.max([high for _, high in found], axis=0)
    for i in np.flatnonzero(still(matrix)):
        known = int(trials) if math.isfinite(trials) else None
        one = estimate(matrix[i], unit="test episodes", trials_per_unit=known, level=level)
        low[i], high[i] = one.low, one.high
    return low, high


def still(matrix: Array) -> Array:
    """Where seeds or units of [n, seeds, units] do not vary at all [n]."""
    means = (matrix.mean(axis=2), matrix.mean(axis=1))
    return np.any([np.ptp(values, axis=1) ** 2 <= NOTHING for values in means], axis=0)


def crossed_normal(seeds: int, ratio: float, number: int = 100) -> Simulation:
    """Seeds and episodes; `ratio`: variance that seeds add to the mean, over all else's."""
    spread = math.sqrt(ratio * seeds * (0.12**2 + 0.08**2 / seeds) / number)

    def simulate(generator: np.random.Generator, n: int) -> Array:
        matrix = 0.7 + _normal(generator, n, seeds, number, spread=spread, unit=0.12, rest=0.08)
        return inside(both_bounds(matrix), 0.7)

    return simulate


def crossed_answers(
    seeds: int, number: int, *, trials: int, centre: float, seed_spread: float, unit_spread: float
) -> Simulation:
    """Right answers whose logit is centre + seed + unit; images have one trial a unit."""
    truth = logit_mean(centre, math.hypot(seed_spread, unit_spread))

    def simulate(generator: np.random.Generator, n: int) -> Array:
        logit = centre + _normal(
            generator, n, seeds, number, spread=seed_spread, unit=unit_spread, rest=0
        )
        matrix = generator.binomial(trials, special.expit(logit)) / trials
        return inside(both_bounds(matrix, trials=trials), truth)

    return simulate


def _normal(
    generator: np.random.Generator,
    n: int,
    seeds: int,
    number: int,
    *,
    spread: float,
    unit: float,
    rest: float,
) -> Array:
    """Normal effects of seeds, of units and of cells [n, seeds, units]."""
    matrix = spread * generator.standard_normal((n, seeds, 1))
    matrix = matrix + unit * generator.standard_normal((n, 1, number))
    return matrix + rest * generator.standard_normal((n, seeds, number)) if rest else matrix


# Two arms that are equal --------------------------------------------------------------------------


def alarms(differences: Array) -> Array:
    """Whether each of [n, seeds, units] or [n, values] differs from 0 at the level.

    The formulas of `error_model` in one batch: with no variation at all nothing is called.
    """
    return np.asarray(own_p(differences) < 1 - LEVEL)


def own_p(differences: Array) -> Array:
    """P-values of no difference for each of [n, seeds, units] or [n, values]; 1 if none varies."""
    if differences.ndim == 3:
        found = two_way(differences)
        return np.where(found.variance > 1e-24, found.p_value(), 1.0)
    mean, variance, degrees = moments(differences)
    error = np.sqrt(np.where(variance > 1e-24, variance, 1.0))
    return np.where(variance > 1e-24, 2 * special.stdtr(degrees, -np.abs(mean) / error), 1.0)


def difference_bounds(first: Array, second: Array) -> tuple[Array, Array]:
    """Intervals of two arms' differences [n, seeds, units], cut to what the arms' own allow.

    The formulas of `Difference.interval` in one batch.
    """
    found = two_way(first - second)
    half = found.half_width(LEVEL)
    own = [both_bounds(arm, level=1 - (1 - LEVEL) / CAUTION) for arm in (first, second)]
    low = np.maximum(found.mean - half, np.maximum(own[0][0] - 1, -own[1][1]))
    high = np.minimum(found.mean + half, np.minimum(own[0][1], 1 - own[1][0]))
    variation = what_varies(first.shape[1:], unit="test episodes", over="both")
    for i in np.flatnonzero(still(first - second)):
        one = difference(first[i], second[i], variation, trials=None).interval(LEVEL, named=LEVEL)
        low[i], high[i] = one.low, one.high
    return low, high


def agreeing(seeds: int, number: int, often: float) -> Simulation:
    """Two arms whose answers nearly all agree, in every seed: the first is right more often.

    On a share `often` of the images one arm alone is right, the first on 7 of 10 of them, drawn
    anew for every seed.
    """

    def simulate(generator: np.random.Generator, n: int) -> Array:
        second = np.repeat(generator.random((n, 1, number)) < 0.6, seeds, axis=1).astype(float)
        kind = generator.random((n, seeds, number))
        ahead, behind = kind < 0.7 * often, kind > 1 - 0.3 * often
        first = np.where(ahead, 1.0, second)
        second = np.where(ahead, 0.0, second)
        first, second = np.where(behind, 0.0, first), np.where(behind, 1.0, second)
        return inside(difference_bounds(first, second), 0.4 * often)

    return simulate


def unlike_arms(seeds: int, spreads: tuple[float, float]) -> Simulation:
    """The difference of two arms with logits 5 and 2.2 whose seeds spread, on 1,000 images."""
    centres = (5.0, 2.2)
    truth = float(
        np.subtract(
            *[logit_mean(c, math.hypot(s, 1.5)) for c, s in zip(centres, spreads, strict=True)]
        )
    )

    def simulate(generator: np.random.Generator, n: int) -> Array:
        unit = 1.5 * generator.standard_normal((n, 1, 1000))
        arms = []
        for centre, spread in zip(centres, spreads, strict=True):
            logit = centre + unit + spread * generator.standard_normal((n, seeds, 1))
            arms.append((generator.random((n, seeds, 1000)) < special.expit(logit)).astype(float))
        return inside(difference_bounds(*arms), truth)

    return simulate


def skewed_seeds(seeds: int) -> Simulation:
    """Equal arms, the seeds of one logit-normal around 99 % and wide, of the other normal."""
    truth = logit_mean(5.0, 1.0)

    def simulate(generator: np.random.Generator, n: int) -> Array:
        one = special.expit(5.0 + generator.standard_normal((n, seeds)))
        return alarms(one - truth - 0.002 * generator.standard_normal((n, seeds)))

    return simulate


def equal_answers(
    seeds: int,
    number: int,
    *,
    trials: int,
    centre: float,
    spreads: tuple[float, float],
    unit_spread: float = 1.0,
    over: str = "both",
) -> Simulation:
    """Two arms with one true mean on the same units, whose seeds spread differently.

    Unequal spreads of a logit shift its mean accuracy: the second centre makes up for it.
    """
    centres = [
        _centre(logit_mean(centre, math.hypot(spreads[0], unit_spread)), spread, unit_spread)
        for spread in spreads
    ]

    def simulate(generator: np.random.Generator, n: int) -> Array:
        unit = unit_spread * generator.standard_normal((n, 1, number))
        arms = []
        for middle, spread in zip(centres, spreads, strict=True):
            logit = middle + unit + spread * generator.standard_normal((n, seeds, 1))
            arms.append(generator.binomial(trials, special.expit(logit)) / trials)
        d = arms[0] - arms[1]
        if over == "both":
            return alarms(d if seeds > 1 else d[:, 0])
        return alarms(d.mean(axis=2 if over == "seeds" else 1))

    return simulate


def _centre(mean: float, spread: float, unit_spread: float) -> float:
    """The centre at which answers with these spreads of the logit have the mean accuracy."""
    from scipy import optimize

    total = math.hypot(spread, unit_spread)
    return float(optimize.brentq(lambda c: logit_mean(c, total) - mean, -20, 20))


def equal_normal(seeds: int, spreads: tuple[float, float]) -> Simulation:
    """Two equal arms over seeds and 100 episodes, on the scale of accuracies."""

    def simulate(generator: np.random.Generator, n: int) -> Array:
        arms = [
            _normal(generator, n, seeds, 100, spread=spread, unit=0, rest=0.08)
            for spread in spreads
        ]
        unit = 0.1 * generator.standard_normal((n, 1, 100))  # an arm's own easy and hard episodes
        return alarms(arms[0] - arms[1] + unit)

    return simulate


def at_the_margin(seeds: int, spread: float) -> Simulation:
    """A true difference of exactly the margin: how often it is called equivalent."""

    def simulate(generator: np.random.Generator, n: int) -> Array:
        d = 0.02 + _normal(generator, n, seeds, 100, spread=spread, unit=0.02, rest=0.02)
        found = two_way(d)
        return np.asarray(np.abs(found.mean) + found.half_width(LEVEL) < 0.02)

    return simulate


# The probability of superiority, failures, tuning, families ---------------------------------------


def superiority(seeds: int, size: float) -> Simulation:
    """The probability that one arm scores higher than another in a cell."""
    truth = float(special.ndtr(size / math.hypot(0.05, 0.01)))

    def simulate(generator: np.random.Generator, n: int) -> Array:
        d = size + _normal(generator, n, seeds, 100, spread=0.01, unit=0, rest=0.05)
        found = [
            estimate((one > 0).astype(float), unit="test episodes", trials_per_unit=None)
            for one in d
        ]
        return np.array([truth in interval for interval in found])

    return simulate


def failing(seeds: int, *, method: str) -> Simulation:
    """Scores around 90 % of seeds of which one in five fails and then counts 10 %."""
    truth = 0.8 * 0.9 + 0.2 * 0.1

    def simulate(generator: np.random.Generator, n: int) -> Array:
        failed = generator.random((n, seeds)) < 0.2
        values = 0.9 + 0.01 * generator.standard_normal((n, seeds))
        if method == "t":
            return inside(seed_bounds(np.where(failed, 0.1, values), "t"), truth)
        if method == "share":
            return np.array([0.2 in failure_share(int(one.sum()), seeds) for one in failed])
        found = [
            with_failures(value[~one], int(one.sum()), value=0.1)
            for value, one in zip(values, failed, strict=True)
        ]
        return np.array([interval is not None and truth in interval for interval in found])

    return simulate


def tuned(seeds: int, *, method: str, alarm: bool) -> Simulation:
    """An arm at the best of four rates that are all alike, and one at a fixed rate.

    Scores of a network are normal; its validation score agrees with its test score by 0.8.

    Args:
        seeds: How many, for every rate.
        method: "same": the seeds that chose are scored; "crossed": each seed is scored at the rate
            that all others chose; "divided": as `divide` has it.
        alarm: Whether it is asked if the two are called different, or else whether the interval of
            the tuned arm holds its true mean.
    """

    def simulate(generator: np.random.Generator, n: int) -> Array:
        test = generator.standard_normal((n, seeds, 4))
        validation = 0.8 * test + 0.6 * generator.standard_normal((n, seeds, 4))
        other = generator.standard_normal((n, seeds))
        if method == "divided":
            choosing, scoring = divide(range(seeds))
            rate = validation[:, choosing].mean(axis=1).argmax(axis=1)[:, None, None]
            scores, other = np.take_along_axis(test[:, scoring], rate, 2)[..., 0], other[:, scoring]
        elif method == "same":
            rate = validation.mean(axis=1).argmax(axis=1)[:, None, None]
            scores = np.take_along_axis(test, rate, 2)[..., 0]
        else:
            others = validation.sum(axis=1, keepdims=True) - validation
            scores = np.take_along_axis(test, others.argmax(axis=2)[..., None], 2)[..., 0]
        return alarms(scores - other) if alarm else ~alarms(scores)

    return simulate


PARTS = {"total": (0, 3), "learning": (0, 1), "shape": (1, 2), "gain": (2, 3), "rest": (1, 3)}
"""The statements of "learned, or only scaled?" about arelu, arelu-frozen, relu-gain and relu, and
the one difference to relu that is in none of them."""


def any_false(seeds: int, *, questions: str, method: str = "family") -> Simulation:
    """Whether any statement of a family is false where all arms are equal.

    Args:
        seeds: How many.
        questions: "four": total, learning, shape and gain of four arms, and the differences to
            relu; "five": five arms against a sixth; with " over both" 40 episodes vary, too.
        method: "family" as the package has it; "alone": each at 5 %; "bootstrap": max-T over
            resampled seeds; these of the four statements alone.
    """
    four = questions.startswith("four")
    pairs = list(PARTS.values()) if four else [(arm, 0) for arm in range(1, 6)]
    if method != "family":
        pairs = pairs[:4]
    count = 4 if four else 6
    over = "both" if questions.endswith("both") else "seeds"
    units = 40 if over == "both" else 1
    variation = what_varies((seeds, max(units, 2)), unit="test episodes", over=over)

    def simulate(generator: np.random.Generator, n: int) -> Array:
        arms = 0.02 * generator.standard_normal((n, count, seeds, 1))
        if units > 1:
            arms = arms + 0.08 * generator.standard_normal((n, count, 1, units))
            arms = arms + 0.08 * generator.standard_normal((n, count, seeds, units))
        if method == "family":
            return np.array(
                [shown([(one[a], one[b]) for a, b in pairs], variation) for one in arms]
            )
        first, second = zip(*pairs, strict=True)
        d = (arms[:, list(first)] - arms[:, list(second)])[..., 0]
        if method == "bootstrap":
            return np.array([max_t_bootstrap(one, generator) for one in d])
        return np.asarray(own_p(d.reshape(-1, seeds)).reshape(n, -1).min(axis=1) < 1 - LEVEL)

    return simulate


def shown(
    pairs: Iterable[tuple[Array, Array]], variation: Variation, *, told: slice = slice(None)
) -> bool:
    """Whether any of these differences is called one, as `compare_pairs` does it.

    Args:
        pairs: Both arms of each question of the family.
        variation: What varies.
        told: Which of the questions are looked at.
    """
    made = [difference(first, second, variation, trials=None) for first, second in pairs]
    own = family_of(made).own_level(LEVEL)
    return any(abs(d.model.mean) > d.model.half_width(own) for d in made[told])


def at_the_shared_rate(seeds: int, *, method: str) -> Simulation:
    """Whether any of the four statements is false at that of four equal rates that was picked.

    All arms are equal at all rates. The seeds of arelu spread four times as widely as those of the
    others, which is bad: the rate that suits all arms best then suits it by luck. A network's
    validation score agrees with its test score by 0.8.

    Args:
        seeds: How many, for every rate.
        method: "all": the family has the differences to relu at every rate, as the package has it;
            "picked": it has the questions at the rate that was picked alone.
    """
    spread = np.array([0.04, 0.01, 0.01, 0.01])[:, None]
    variation = what_varies((seeds, 2), unit="test episodes", over="seeds")
    to_relu = [pair for pair in PARTS.values() if pair[1] == 3]

    def simulate(generator: np.random.Generator, n: int) -> Array:
        test = generator.standard_normal((n, 4, 4, seeds))  # [n, rates, arms, seeds]
        validation = spread * (0.8 * test + 0.6 * generator.standard_normal(test.shape))
        picked = validation.mean(axis=(2, 3)).argmax(axis=1).tolist()
        called = []
        for scores, rate in zip((spread * test)[..., None], picked, strict=True):
            pairs = [(scores[rate, a], scores[rate, b]) for a, b in PARTS.values()]
            if method == "all":
                others = (scores[k] for k in range(4) if k != rate)
                pairs += [(one[a], one[b]) for one in others for a, b in to_relu]
            called.append(shown(pairs, variation, told=slice(4)))
        return np.array(called)

    return simulate


def max_t_bootstrap(differences: Array, generator: np.random.Generator) -> bool:
    """Whether the largest t of [questions, seeds] exceeds 95 % of those of resampled seeds."""
    seeds = differences.shape[-1]
    centred = differences - differences.mean(axis=1, keepdims=True)
    drawn = centred[:, generator.integers(seeds, size=(999, seeds))]
    spread = np.maximum(drawn.std(axis=-1, ddof=1), 1e-12)
    largest = (np.abs(drawn.mean(axis=-1)) / spread).max(axis=0)
    seen = (np.abs(differences.mean(axis=1)) / differences.std(axis=1, ddof=1)).max()
    return bool(seen > np.quantile(largest, LEVEL))
