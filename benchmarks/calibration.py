"""Do 95 % intervals cover 95 %, and are equal arms called different 5 % of the time at most?

    python benchmarks/calibration.py --repetitions 5000 --seed 0

Every experiment is simulated with a truth known by construction, and goes through the formulas of
metaact.analysis in one batch. It prints the tables of docs/statistics.md; tests/analysis/
test_calibration.py runs the same simulations with fewer repetitions.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from metaact.analysis.bounds import Array, moments, student
from metaact.analysis.crossed import crossed_bounds, two_way
from metaact.analysis.error_models import error_model
from metaact.analysis.estimates import estimate
from metaact.analysis.failures import failure_share, with_failures
from metaact.analysis.family import family
from metaact.analysis.intervals import episode_bounds
from metaact.analysis.paired import CAUTION
from metaact.analysis.variation import what_varies
from metaact.experiments.tuning import divide

LEVEL = 0.95
CHUNK = 500
"""Repetitions drawn at once: 500 matrices of 3 seeds and 1,000 images are 12 MB."""

Simulation = Callable[[np.random.Generator, int], Array]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One simulated situation.

    Attributes:
        table: Heading of the table that it belongs to.
        row: What is simulated, for the reader.
        column: Heading of its column.
        simulate: From a generator and a number of repetitions to one boolean each: whether the
            interval held the truth, or whether equal arms were called different.
        allowed: Range in which the share of true ones is promised to lie.
        share: Part of the repetitions that is enough (slow ones).
    """

    table: str
    row: str
    column: str
    simulate: Simulation
    allowed: tuple[float, float]
    share: float = 1.0


COVERS = (0.93, 0.97)
ALARMS = (0.0, 0.05)
NO_PROMISE = (0.0, 1.0)
"""Of a case that is measured to show where intervals do not hold."""

SEEDS = (2, 3, 5, 10, 20)


def rate(case: Case, repetitions: int, seed: int) -> float:
    """Share of repetitions in which the case's event happened."""
    generator = np.random.default_rng([seed, *case_key(case)])
    wanted = max(1, round(repetitions * case.share))
    sizes = [min(CHUNK, wanted - done) for done in range(0, wanted, CHUNK)]
    return float(np.concatenate([case.simulate(generator, n) for n in sizes]).mean())


def case_key(case: Case) -> list[int]:
    """Numbers from the case's names, so that each has draws of its own in any order."""
    return list(f"{case.table}|{case.row}|{case.column}".encode())


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


def crossed_normal(seeds: int, ratio: float, number: int = 100) -> Simulation:
    """Seeds and episodes; `ratio`: variance that seeds add to the mean, over all else's."""
    spread = math.sqrt(ratio * seeds * (0.12**2 + 0.08**2 / seeds) / number)

    def simulate(generator: np.random.Generator, n: int) -> Array:
        matrix = 0.7 + _normal(generator, n, seeds, number, spread=spread, unit=0.12, rest=0.08)
        return inside(crossed_bounds(matrix, trials=math.inf, level=LEVEL), 0.7)

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
        return inside(crossed_bounds(matrix, trials=trials, level=LEVEL), truth)

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
    d = first - second
    found = two_way(d)
    half = found.half_width(LEVEL)
    same = np.flatnonzero(found.variance <= 1e-24)
    if len(same):
        variation = what_varies(d.shape[1:], unit="test images", over="both")
        half[same] = error_model(d[same[0]], variation).half_width(LEVEL)
    level = 1 - (1 - LEVEL) / CAUTION
    own = [crossed_bounds(arm, trials=math.inf, level=level) for arm in (first, second)]
    low = np.maximum(found.mean - half, np.maximum(own[0][0] - 1, -own[1][1]))
    high = np.minimum(found.mean + half, np.minimum(own[0][1], 1 - own[1][0]))
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


def any_false(seeds: int, *, questions: str, method: str = "family") -> Simulation:
    """Whether any statement of a family is false where all arms are equal.

    Args:
        seeds: How many.
        questions: "four": total, learning, shape and gain of four arms; "five": five arms against
            a sixth; with " over both" 40 episodes vary, too.
        method: "family" as the package has it; "alone": each at 5 %; "bootstrap": max-T over
            resampled seeds.
    """
    count = 4 if questions.startswith("four") else 6
    first, second = ((0, 0, 1, 2), (3, 1, 2, 3)) if count == 4 else (range(1, 6), [0] * 5)
    over = "both" if questions.endswith("both") else "seeds"
    units = 40 if over == "both" else 1
    variation = what_varies((seeds, max(units, 2)), unit="test episodes", over=over)

    def simulate(generator: np.random.Generator, n: int) -> Array:
        arms = 0.02 * generator.standard_normal((n, count, seeds, 1))
        if units > 1:
            arms = arms + 0.08 * generator.standard_normal((n, count, 1, units))
            arms = arms + 0.08 * generator.standard_normal((n, count, seeds, units))
        d = arms[:, list(first)] - arms[:, list(second)]
        flat = d.reshape(-1, seeds, units)
        p = own_p(flat if units > 1 else flat[..., 0]).reshape(n, -1)
        if method == "alone":
            return np.asarray(p.min(axis=1) < 1 - LEVEL)
        if method == "bootstrap":
            return np.array([max_t_bootstrap(one[..., 0], generator) for one in d])
        shares = [[seeds - 1.0] * len(one) for one in d]
        return np.array(
            [
                family(list(one), [variation] * len(one), degrees).p_value(least) < 1 - LEVEL
                for one, degrees, least in zip(d, shares, p.min(axis=1), strict=True)
            ]
        )

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


# The tables ---------------------------------------------------------------------------------------


def cases() -> Iterator[Case]:
    """All situations, table by table."""
    yield from _one_arm()
    yield from _many_seeds()
    yield from _equal_arms()
    yield from _others()


_SEED_METHODS = {"t": SEEDS, "wilson": SEEDS, "bca": (3, 5, 10, 20, 50)}


def _one_arm() -> Iterator[Case]:
    name = "Coverage over test episodes (one network; % of intervals that hold the truth)"
    for mean in (0.5, 0.8, 0.95, 0.99, 0.998):
        for number, trials in ((100, 25), (600, 75)):
            for correlation in (0.02, 0.15):
                yield Case(
                    table=name,
                    row=f"{100 * mean:g} % right",
                    column=f"{number} x {trials}, ρ = {correlation:g}",
                    simulate=episodes(mean, correlation, number, trials),
                    allowed=COVERS if mean < 0.998 else (0.93, 1.0),
                )
    name = "Coverage over training seeds (the same test set)"
    shapes: dict[str, tuple[float, float] | None] = {
        "normal around 80 %": None,
        "logit-normal around 99 %": (4.6, 0.3),
        "logit-normal around 99 %, wide": (5.0, 1.0),
    }
    for label, logit in shapes.items():
        for method, numbers in _SEED_METHODS.items():
            for seeds in numbers:
                kept = method != "bca" and "wide" not in label
                yield Case(
                    table=name,
                    row=f"{method}, {label}",
                    column=f"{seeds} seeds",
                    simulate=seeds_alone(seeds, method=method, logit=logit),
                    allowed=COVERS if kept else NO_PROMISE,
                    share=0.2 if method == "bca" else 1.0,
                )


def _many_seeds() -> Iterator[Case]:
    name = "Coverage over training seeds and test episodes or images together"
    for seeds in SEEDS:
        wide = (0.93, 0.99) if seeds == 2 else (0.93, 0.975)
        for ratio in (0.0, 0.3, 1.0, 3.0, 10.0):
            yield Case(
                table=name,
                row=f"episodes, seeds add {ratio:g} of the rest's variance",
                column=f"{seeds} seeds",
                simulate=crossed_normal(seeds, ratio),
                allowed=wide,
            )
        for label, centre, seed_spread in (
            ("images, about 90 %, like seeds", 2.9, 0.02),
            ("images, about 90 %, unlike seeds", 2.9, 0.3),
            ("images, about 99.4 %, like seeds", 6.7, 0.02),
            ("images, about 99.4 %, unlike seeds", 6.7, 0.3),
        ):
            yield Case(
                table=name,
                row=label,
                column=f"{seeds} seeds",
                simulate=crossed_answers(
                    seeds, 1000, trials=1, centre=centre, seed_spread=seed_spread, unit_spread=1.5
                ),
                allowed=(0.93, 1.0) if seeds < 5 or "99" in label else (0.93, 0.98),
                share=0.4,
            )
        for label, centre in (("episodes x 25, about 99.4 %", 5.5), ("about 99.9 %", 7.3)):
            yield Case(
                table=name,
                row=label.replace("about 99.9", "episodes x 25, about 99.9"),
                column=f"{seeds} seeds",
                simulate=crossed_answers(
                    seeds, 100, trials=25, centre=centre, seed_spread=0.3, unit_spread=0.8
                ),
                allowed=(0.93, 1.0),
            )


def _equal_arms() -> Iterator[Case]:
    name = "Equal arms called different at the 5 % level (%)"
    spreads = {"equal seeds": (0.0, 0.0), "seeds spread alike": (0.02, 0.02)}
    spreads |= {"one arm's seeds spread 4 x": (0.005, 0.02), "the same, wide": (0.02, 0.08)}
    for seeds in SEEDS:
        for label, pair in spreads.items():
            yield Case(
                table=name,
                row=f"both, episodes: {label}",
                column=f"{seeds} seeds",
                simulate=equal_normal(seeds, pair),
                allowed=ALARMS if seeds > 2 else (0, 0.06),
            )
        for label, centre, over in (
            ("both, images, about 90 %", 2.9, "both"),
            ("both, images, about 99.4 %", 6.7, "both"),
            ("seeds, images, about 90 %", 2.9, "seeds"),
            ("seeds, images, about 99.4 %", 6.7, "seeds"),
        ):
            yield Case(
                table=name,
                row=f"{label}, one arm's seeds spread 4 x",
                column=f"{seeds} seeds",
                simulate=equal_answers(
                    seeds,
                    1000,
                    trials=1,
                    centre=centre,
                    spreads=(0.1, 0.4),
                    unit_spread=1.5,
                    over=over,
                ),
                allowed=(0, 0.06),
                share=0.4,
            )
    for label, centre in (("about 70 %", 1.0), ("about 99 %", 5.0), ("about 99.8 %", 6.7)):
        for kind, number, trials in (("episodes x 25", 300, 25), ("images", 1000, 1)):
            yield Case(
                table=name,
                row=f"units, {kind}, {label}",
                column="1 seed",
                simulate=equal_answers(
                    1, number, trials=trials, centre=centre, spreads=(0.0, 0.0), over="units"
                ),
                allowed=ALARMS,
                share=0.6,
            )


def _others() -> Iterator[Case]:
    yield from _differences()
    yield from _failures()
    yield from _tuned_arms()
    yield from _families()
    name = "A difference of exactly the margin called equivalent (%; 2.5 is allowed)"
    for seeds in SEEDS:
        for spread in (0.0, 0.003, 0.02):
            yield Case(
                table=name,
                row=f"seeds spread by {100 * spread:g} points",
                column=f"{seeds} seeds",
                simulate=at_the_margin(seeds, spread),
                allowed=(0, 0.025) if seeds > 2 else (0, 0.03),
            )
    name = "Coverage of the probability of superiority"
    for seeds in SEEDS:
        for size in (0.0, 0.08):
            yield Case(
                table=name,
                row=f"mean difference {100 * size:g} points",
                column=f"{seeds} seeds",
                simulate=superiority(seeds, size),
                allowed=(0.93, 1.0),
                share=0.2,
            )


def _differences() -> Iterator[Case]:
    name = "Coverage of differences over seeds and images together"
    for seeds in SEEDS:
        for label, often in (("1 in 1,000", 0.001), ("1 in 10,000", 0.0001)):
            yield Case(
                table=name,
                row=f"seeds agree: {label} answers differ",
                column=f"{seeds} seeds",
                simulate=agreeing(seeds, 1000, often),
                allowed=(0.93, 1.0) if often == 0.001 else NO_PROMISE,
                share=0.4,
            )
        for label, pair in (("alike", (0.1, 0.1)), ("wide", (0.5, 1.0)), ("very wide", (1.0, 2.0))):
            yield Case(
                table=name,
                row=f"about 97 and 85 %, seeds {label}",
                column=f"{seeds} seeds",
                simulate=unlike_arms(seeds, pair),
                allowed=(0.92, 1.0) if label == "alike" else NO_PROMISE,
                share=0.2,
            )
    name = "Equal arms called different where the seeds of one are skewed (%)"
    for seeds in SEEDS:
        yield Case(
            table=name,
            row="over seeds, one arm logit-normal around 99 %, wide",
            column=f"{seeds} seeds",
            simulate=skewed_seeds(seeds),
            allowed=NO_PROMISE,
        )


def _failures() -> Iterator[Case]:
    name = "Coverage where one seed in five fails"
    rows = {
        "t": ("t-interval of the scores, failed at 10 %", NO_PROMISE),
        "counted": ("score with failures counted, as printed", (0.95, 1.0)),
        "share": ("share of failures (Clopper and Pearson)", (0.95, 1.0)),
    }
    for seeds in SEEDS:
        for method, (label, allowed) in rows.items():
            yield Case(
                table=name,
                row=label,
                column=f"{seeds} seeds",
                simulate=failing(seeds, method=method),
                allowed=allowed,
                share=1.0 if method == "t" else 0.4,
            )


def _tuned_arms() -> Iterator[Case]:
    names = {
        True: "An arm tuned over four equal rates called different from an equal one (%)",
        False: "Coverage of the tuned arm's score",
    }
    rows = {
        "same": "the seeds that chose are scored",
        "crossed": "each seed is scored at the rate that the others chose",
        "divided": "a third of the seeds choose, the others are scored (as printed)",
    }
    for seeds in SEEDS:
        for method, label in rows.items():
            if method == "divided" and seeds < 3:
                continue  # one seed is left to be scored
            for alarm in (True, False):
                kept = ALARMS if alarm else COVERS
                yield Case(
                    table=names[alarm],
                    row=label,
                    column=f"{seeds} seeds",
                    simulate=tuned(seeds, method=method, alarm=alarm),
                    allowed=kept if method == "divided" else NO_PROMISE,
                )


def _families() -> Iterator[Case]:
    name = "Any false statement of a family where all arms are equal (%)"
    rows = {
        "four": "learned, or only scaled: four statements",
        "five": "five arms against a sixth",
        "four over both": "four statements, over seeds and episodes",
        "five over both": "five arms against a sixth, over seeds and episodes",
    }
    for seeds in SEEDS:
        for questions, label in rows.items():
            yield Case(
                table=name,
                row=f"{label} (as printed)",
                column=f"{seeds} seeds",
                simulate=any_false(seeds, questions=questions),
                allowed=ALARMS,
                share=1.0 if seeds < 6 else 0.1,
            )
        for method, label in (("alone", "each at 5 %"), ("bootstrap", "max-T bootstrap")):
            yield Case(
                table=name,
                row=f"{rows['four']}, {label}",
                column=f"{seeds} seeds",
                simulate=any_false(seeds, questions="four", method=method),
                allowed=NO_PROMISE,
                share=1.0 if method == "alone" else 0.2,
            )


def markdown(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Tables of percentages by heading, row and column."""
    parts = []
    for heading, rows in found.items():
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        columns.sort(
            key=lambda name: float(name.split()[0]) if name.endswith(("seed", "seeds")) else 0
        )
        parts += [f"**{heading}**", ""]
        parts += ["| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
        for label, row in rows.items():
            cells = [f"{100 * row[c]:.1f}" if c in row else "" for c in columns]
            parts.append(f"| {label} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


def main() -> None:
    """Simulate all cases and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--repetitions", type=int, default=5000, help="simulated experiments a case"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulations")
    options = parser.parse_args()
    start = time.perf_counter()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for case in cases():
        value = rate(case, options.repetitions, options.seed)
        found.setdefault(case.table, {}).setdefault(case.row, {})[case.column] = value
    print(markdown(found))
    error = 100 * math.sqrt(0.05 * 0.95 / options.repetitions)
    seconds = time.perf_counter() - start
    print(
        f"{options.repetitions} repetitions (standard error {error:.1f}; images, failures, BCa, "
        f"families and probabilities a tenth to six tenths of them), seed {options.seed}, "
        f"{seconds:.0f} s."
    )


if __name__ == "__main__":
    main()
