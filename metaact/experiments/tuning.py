"""Equal tuning: one grid of learning rates for all arms, each arm's best chosen on validation.

A single rate for all arms favours those whose gain suits it. Here every arm has the same budget:
every combination of the grid with the same seeds. What chooses is the mean over some of the seeds
of the final validation score; the other seeds score what was chosen. A test figure is never read
for a choice. Imports neither torch nor NumPy.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from metaact.errors import UsageError, check_choice, check_rate
from metaact.settings import Setting, counted, in_words

Rates = dict[str, float]
"""One combination: the value of each rate by its setting's name."""

CHOSEN_ON = "mean over seeds of the final validation score"
TIES = "of equal ones the smaller rate"


def divide(seeds: Iterable[int]) -> tuple[list[int], list[int]]:
    """The seeds that choose the rates, and those that score what was chosen.

    A network that is good by luck is good in validation and in testing: where the seeds that chose
    are scored, too, the best of several rates carries that luck along (the winner's curse). So a
    third of the seeds, the first, choose for all arms, at least one; the others score. To choose
    for each seed on all the others (cross-fitting) would lose none, but their scores then depend on
    each other: measured, equal arms are called different in 6 to 11 % of cases in place of 5.

    Args:
        seeds: All that were run.

    Returns:
        Both in order. One seed alone must do both, which flatters the tuned arm.

    Examples:
        >>> divide(range(10))
        ([0, 1, 2], [3, 4, 5, 6, 7, 8, 9])
        >>> divide([4]), divide([0, 1])
        (([4], [4]), ([0], [1]))
    """
    every = sorted(set(seeds))
    if len(every) < 2:
        return every, every
    count = max(1, len(every) // 3)
    return every[:count], every[count:]


def parse_grid(
    text: str | Mapping[str, object], rates: Sequence[Setting]
) -> dict[str, list[float]]:
    """Read `inner-lr=0.005,0.02,meta-lr=0.001`: a part with `=` starts a rate, others go on.

    Args:
        text: What the user wrote, or a table of numbers from a config file.
        rates: The rates of the experiment.

    Returns:
        The values of each rate, by its name.

    Raises:
        UsageError: If a rate is unknown or given twice, or a value is missing, repeated or not a
            finite number above 0.

    Examples:
        >>> from metaact.settings import Setting
        >>> rates = [Setting(help="", role="rate", name=n) for n in ("inner_lr", "meta_lr")]
        >>> parse_grid("inner-lr=0.005,0.02,meta-lr=0.001", rates)
        {'inner_lr': [0.005, 0.02], 'meta_lr': [0.001]}
    """
    known = {
        option.lstrip("-"): rate.name for rate in rates for option in (rate.flag, *rate.aliases)
    }
    main = [rate.flag.lstrip("-") for rate in rates]
    grid: dict[str, list[float]] = {}
    for name, values in _named(text, main):
        if name not in known:
            check_choice("tune", name, main, why="the rates that can be tuned")
        if known[name] in grid:
            raise UsageError(
                f"`tune` must name each rate once, as in {name}=0.01,0.1 (allowed: "
                f"{', '.join(main)}); got {name} twice."
            )
        grid[known[name]] = _numbers(name, values)
    return grid


def _named(
    text: str | Mapping[str, object], known: Iterable[str]
) -> list[tuple[str, list[object]]]:
    """Each rate's name with what is listed for it, in the order written."""
    if isinstance(text, Mapping):
        return [
            (str(name).replace("_", "-"), list(v) if isinstance(v, list) else [v])
            for name, v in text.items()
        ]
    found: list[tuple[str, list[object]]] = []
    for part in text.split(","):
        name, equals, value = part.rpartition("=")
        if equals:
            found.append((name.strip().replace("_", "-"), [value.strip()]))
        elif found:
            found[-1][1].append(value.strip())
        else:
            allowed = ", ".join(known)
            raise UsageError(
                f"`tune` must be rate=value,value,... (rates: {allowed}); got {text!r}."
            )
    return found


def _numbers(option: str, values: Sequence[object]) -> list[float]:
    numbers: list[float] = []
    for value in values:
        try:
            number = float(value) if isinstance(value, str) else value
        except ValueError:
            number = value
        rate = check_rate("tune", number, why=f"a value of {option}")
        if rate in numbers:
            raise UsageError(
                f"`tune` must list each value of {option} once (a repeat adds nothing); got "
                f"{value} twice."
            )
        numbers.append(rate)
    if not numbers:
        raise UsageError(f"`tune` must list at least one value of {option}; got none.")
    return numbers


def combinations(
    ordinary: Mapping[str, Sequence[float]], grid: Mapping[str, Sequence[float]] | None = None
) -> list[Rates]:
    """All combinations of rates: what the ordinary options name, and the grid.

    Args:
        ordinary: The values of each rate's ordinary option, by name.
        grid: Further values, from `--tune`, by name.

    Examples:
        >>> combinations({"lr": [0.1]}, {"lr": [0.01, 0.1]})
        [{'lr': 0.1}, {'lr': 0.01}]
    """
    more = grid or {}
    every = {name: [*values, *more.get(name, ())] for name, values in ordinary.items()}
    lists = [list(dict.fromkeys(float(v) for v in row)) for row in every.values()]
    return [dict(zip(every, row, strict=True)) for row in itertools.product(*lists)]


def refuse_without_validation(protocol: str, *, validated: bool = True) -> None:
    """Refuse tuning where nothing but the test part could choose.

    Args:
        protocol: Of the runs.
        validated: Whether the data have a validation part, where that is known already.

    Raises:
        UsageError: If there is no validation part to choose on.
    """
    if protocol != "held-out":
        raise UsageError(
            f"`tune` must be left out with `protocol` {protocol} (it trains on every training "
            "image, so no validation part is left to choose on, and the test part must not); "
            "use `protocol` held-out."
        )
    if not validated:
        raise UsageError(
            "`tune` must be left out for these data (they have no validation part to choose on, "
            "and the test part must not)."
        )


def rates_in_words(rates: Mapping[str, float]) -> str:
    """A combination as a reader sees it.

    Examples:
        >>> rates_in_words({"inner_lr": 0.02, "meta_lr": 0.005})
        'inner lr 0.02, meta lr 0.005'
    """
    return ", ".join(in_words(name, value) for name, value in rates.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One arm at one combination of rates.

    Attributes:
        arm: What is tuned: "arelu".
        rates: The combination.
        validation: Final validation score of each seed that chooses and has one.
        asked: Seeds that choose.
        runs: Seeds that ran, those that score included.
    """

    arm: str
    rates: Rates
    validation: Mapping[int, float]
    asked: int
    runs: int

    @property
    def score(self) -> float | None:
        """Mean validation score; None if a seed failed or has none."""
        if not self.asked or len(self.validation) < self.asked:
            return None
        return fmean(self.validation.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen for one arm.

    Attributes:
        arm: Its name.
        index: Which of the trials; None if at no rate all seeds that choose are there.
        score: Its mean validation score.
        edge: By rate, "lower" or "higher": the best lies at that end of the grid, and a better one
            may lie beyond.
    """

    arm: str
    index: int | None
    score: float | None
    edge: dict[str, str]


def choose(trials: Sequence[Trial], *, higher: bool = True) -> list[Choice]:
    """Each arm's best combination on the validation part; of equal ones that of the smaller rates.

    Args:
        trials: All arms at all combinations.
        higher: Whether a higher score is better.

    Returns:
        One choice for each arm, in the order of the trials; none where no arm has more than one
        trial. An arm with one trial, beside others with several, has that.

    Examples:
        >>> def trial(lr, score):
        ...     validation = {0: score}
        ...     return Trial(arm="relu", rates={"lr": lr}, validation=validation, asked=1, runs=2)
        >>> (found,) = choose([trial(0.1, 0.5), trial(0.2, 0.8), trial(0.3, 0.7)])
        >>> found.index, found.edge
        (1, {})
    """
    groups: dict[str, list[int]] = {}
    for index, trial in enumerate(trials):
        groups.setdefault(trial.arm, []).append(index)
    if all(len(group) == 1 for group in groups.values()):
        return []
    return [_choice(arm, trials, group, higher) for arm, group in groups.items()]


def _choice(arm: str, trials: Sequence[Trial], group: Sequence[int], higher: bool) -> Choice:
    scored = [(score, i) for i in group if (score := trials[i].score) is not None]
    if not scored:
        return Choice(arm=arm, index=None, score=None, edge={})
    sign = -1 if higher else 1
    score, index = min(scored, key=lambda pair: (sign * pair[0], *trials[pair[1]].rates.values()))
    edge = {}
    for name, value in trials[index].rates.items():
        grid = {trials[i].rates[name] for i in group}
        if len(grid) > 1 and value in (min(grid), max(grid)):
            edge[name] = "lower" if value == min(grid) else "higher"
    return Choice(arm=arm, index=index, score=score, edge=edge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What was tried, and what was chosen.

    Attributes:
        grid: The values of each rate.
        combinations: How many combinations of rates an arm was run at, at most.
        seeds: Most seeds at a combination.
        runs_per_arm: Most runs of an arm.
        equal: Whether every arm was tried equally often.
        chosen: For each arm that has one its best rates.
        scores: For each such arm its mean validation score there.
        edges: For each such arm the rates whose best value lies at an end of the grid.
        without: Arms of which at no rate all seeds that choose are there.
        chosen_on: What chose.
        ties: What decided between equals.
    """

    grid: dict[str, list[float]]
    combinations: int
    seeds: int
    runs_per_arm: int
    equal: bool
    chosen: dict[str, Rates]
    scores: dict[str, float | None]
    edges: dict[str, dict[str, str]]
    without: tuple[str, ...]
    chosen_on: str = CHOSEN_ON
    ties: str = TIES

    def notes(self) -> list[str]:
        """What a reader of each arm at its own best rate must know, one sentence each."""
        chosen = f"Chosen by the {self.chosen_on}, {self.ties}; no test figure played a part."
        found = [
            f"Same budget for every arm: {self.combinations} combinations of rates x "
            f"{counted('seed')(self.seeds)} = {self.runs_per_arm} runs. {chosen}"
            if self.equal
            else f"The arms were not tried at the same rates: the budgets differ, at most "
            f"{self.runs_per_arm} runs an arm. {chosen}"
        ]
        for arm, edges in self.edges.items():
            for name, way in edges.items():
                at = in_words(name, self.chosen[arm][name])
                found.append(f"{arm}: best at the edge of the grid ({at}): try {way}.")
        if self.without:
            found.append(f"At no rate all seeds that choose are there: {', '.join(self.without)}.")
        return found


def budget(trials: Sequence[Trial], choices: Sequence[Choice]) -> Budget | None:
    """What was tried and what was chosen; None where no arm was tried at several rates."""
    if not choices:
        return None
    runs = [sum(t.runs for t in trials if t.arm == choice.arm) for choice in choices]
    made = [(c, c.index) for c in choices]
    chosen = {c.arm: dict(trials[i].rates) for c, i in made if i is not None}
    names = list(dict.fromkeys(name for trial in trials for name in trial.rates))
    tried = [len([trial for trial in trials if trial.arm == choice.arm]) for choice in choices]
    return Budget(
        grid={name: sorted({t.rates[name] for t in trials if name in t.rates}) for name in names},
        combinations=max(tried),
        seeds=max(trial.runs for trial in trials),
        runs_per_arm=max(runs),
        equal=len(set(runs)) == 1,
        chosen=chosen,
        scores={c.arm: c.score for c in choices if c.index is not None},
        edges={c.arm: c.edge for c in choices if c.edge},
        without=tuple(choice.arm for choice in choices if choice.index is None),
    )
