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
from metaact.analysis.comparisons import compare_pair
from metaact.analysis.crossed import crossed_bounds, two_way
from metaact.analysis.effects import crossed_effect_interval, effect_interval
from metaact.analysis.intervals import episode_bounds

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
    if differences.ndim == 3:
        found = two_way(differences)
        return np.asarray((found.p_value() < 1 - LEVEL) & (found.variance > 1e-24))
    mean, variance, degrees = moments(differences)
    error = np.sqrt(np.where(variance > 1e-24, variance, 1.0))
    p_value = 2 * special.stdtr(degrees, -np.abs(mean) / error)
    return np.asarray((p_value < 1 - LEVEL) & (variance > 1e-24))


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
        halves = found.p_value(0.02) / 2, found.p_value(-0.02) / 2
        one = np.where(found.mean < 0.02, halves[0], 1 - halves[0])
        other = np.where(found.mean > -0.02, halves[1], 1 - halves[1])
        return np.maximum(one, other) < 1 - LEVEL

    return simulate


# Effect size and probability ----------------------------------------------------------------------


def effect(seeds: int, number: int, *, ratio: float, size: float) -> Simulation:
    """d_z with its interval: exact over one thing, approximate over both."""
    spread = math.sqrt(ratio * seeds * (1 + 1 / seeds) / number)
    truth = size / math.sqrt(1 + 1 / seeds)

    def simulate(generator: np.random.Generator, n: int) -> Array:
        d = size + _normal(generator, n, seeds, number, spread=spread, unit=1, rest=1)
        ends = [
            effect_interval(one[0], level=LEVEL)
            if seeds == 1
            else crossed_effect_interval(two_way(one), one.mean(axis=0), level=LEVEL)
            for one in d
        ]
        return np.array([low <= truth <= high for low, high in ends])

    return simulate


def superiority(seeds: int, size: float) -> Simulation:
    """The probability that one arm scores higher than another in a cell."""
    truth = float(special.ndtr(size / math.hypot(0.05, 0.01)))

    def simulate(generator: np.random.Generator, n: int) -> Array:
        d = size + _normal(generator, n, seeds, 100, spread=0.01, unit=0, rest=0.05)
        found = [
            compare_pair(
                np.clip(0.5 + one, 0, 1),
                np.full_like(one, 0.5),
                names=("a", "b"),
                unit="test episodes",
            ).probability
            for one in d
        ]
        return np.array([truth in interval for interval in found])

    return simulate


# The tables ---------------------------------------------------------------------------------------


def cases() -> Iterator[Case]:
    """All situations, table by table."""
    yield from _one_arm()
    yield from _many_seeds()
    yield from _equal_arms()
    yield from _others()


_SEED_METHODS = {"t": (2, 3, 5, 10), "wilson": (2, 3, 5, 10), "bca": (3, 5, 10, 20, 50)}


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
                    allowed=COVERS if kept else (0.0, 1.0),
                    share=0.2 if method == "bca" else 1.0,
                )


def _many_seeds() -> Iterator[Case]:
    name = "Coverage over training seeds and test episodes or images together"
    for seeds in (2, 3, 5, 10):
        wide = (0.93, 0.98) if seeds == 2 else COVERS
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
                allowed=(0.93, 0.985) if seeds == 2 or "99" in label else COVERS,
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
                allowed=(0.93, 0.99),
            )


def _equal_arms() -> Iterator[Case]:
    name = "Equal arms called different at the 5 % level (%)"
    spreads = {"equal seeds": (0.0, 0.0), "seeds spread alike": (0.02, 0.02)}
    spreads |= {"one arm's seeds spread 4 x": (0.005, 0.02), "the same, wide": (0.02, 0.08)}
    for seeds in (2, 3, 5, 10):
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
    name = "A difference of exactly the margin called equivalent at the 5 % level (%)"
    for seeds in (2, 3, 5, 10):
        for spread in (0.0, 0.003, 0.02):
            yield Case(
                table=name,
                row=f"seeds spread by {100 * spread:g} points",
                column=f"{seeds} seeds",
                simulate=at_the_margin(seeds, spread),
                allowed=ALARMS if seeds > 2 else (0, 0.06),
            )
    name = "Coverage of the effect size's and the probability's intervals"
    for seeds in (1, 2, 3, 5, 10):
        for size in (0.2, 1.0):
            for ratio in (0.0, 1.0) if seeds > 1 else (0.0,):
                yield Case(
                    table=name,
                    row=f"d_z, mean {size:g}, seeds add {ratio:g} of the rest's variance",
                    column=f"{seeds} seeds" if seeds > 1 else "1 seed",
                    simulate=effect(seeds, 100, ratio=ratio, size=size),
                    allowed=(0.93, 0.985 if seeds == 2 else 0.975),
                    share=0.3,
                )
        if seeds > 1:
            for size in (0.0, 0.08):
                yield Case(
                    table=name,
                    row=f"probability of superiority, mean {size:g}",
                    column=f"{seeds} seeds",
                    simulate=superiority(seeds, size),
                    allowed=(0.93, 0.985),
                    share=0.2,
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
        f"{options.repetitions} repetitions (standard error {error:.1f}; images, BCa, effect sizes "
        f"and probabilities a tenth to six tenths of them), seed {options.seed}, {seconds:.0f} s."
    )


if __name__ == "__main__":
    main()
