"""Do 95 % intervals cover 95 %, and are equal arms called different 5 % of the time at most?

    python benchmarks/calibration.py --repetitions 5000 --seed 0

What is simulated is in `simulations.py`. It prints the tables of docs/statistics.md;
tests/analysis/test_calibration.py runs the same simulations with fewer repetitions.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from simulations import (
    Simulation,
    agreeing,
    any_false,
    at_the_margin,
    at_the_shared_rate,
    crossed_answers,
    crossed_normal,
    episodes,
    equal_answers,
    equal_normal,
    failing,
    seeds_alone,
    skewed_seeds,
    superiority,
    tuned,
    unlike_arms,
)

from metaact.analysis import family

CHUNK = 500
"""Repetitions drawn at once: 500 matrices of 3 seeds and 1,000 images are 12 MB."""


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
    yield from _shared_rates()
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


def _shared_rates() -> Iterator[Case]:
    rows = {
        "all": ("with the differences to relu at all rates as one family (as printed)", ALARMS),
        "picked": ("the questions at the picked rate are one family", NO_PROMISE),
    }
    for seeds in SEEDS:
        for method, (label, allowed) in rows.items():
            yield Case(
                table="Any false one of the four statements at the best of four shared rates (%)",
                row=label,
                column=f"{seeds} seeds",
                simulate=at_the_shared_rate(seeds, method=method),
                allowed=allowed,
                share=0.2 if seeds < 6 else 0.1,
            )


def _families() -> Iterator[Case]:
    name = "Any false statement of a family where all arms are equal (%)"
    rows = {
        "four": "learned, or only scaled: four statements and the differences to relu",
        "five": "five arms against a sixth",
        "four over both": "the four and the differences, over seeds and episodes",
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
                share=1.0 if seeds < 6 else 0.1 if "both" in questions else 0.2,
            )
        for method, label in (("alone", "each at 5 %"), ("bootstrap", "max-T bootstrap")):
            yield Case(
                table=name,
                row=f"the four statements, {label}",
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
    family.DRAWS = 0  # 5,000 draws a family, so that 1,000 families take seconds
    start = time.perf_counter()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for case in cases():
        value = rate(case, options.repetitions, options.seed)
        print(f"{case.table}|{case.row}|{case.column}: {value:.4f}", file=sys.stderr, flush=True)
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
