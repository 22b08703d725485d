"""Equal tuning: each arm at its own best rate, chosen on the validation part. No torch.

A single rate for all arms favours those whose gain suits it. Here every arm has the same budget:
every combination of the grid with the same seeds. What chooses is the mean over seeds of the final
validation accuracy; a test figure is never read for a choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rates import Rate, Rates, in_words

CHOSEN_ON = "mean over seeds of the final validation accuracy"
TIES = "of equal ones the smaller rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One arm at one combination of rates.

    Attributes:
        arm: What is tuned: "arelu", or "arelu adam" where optimizers are compared, too.
        rates: The combination.
        validation: Final validation accuracy by seed, of the runs that ended with finite numbers.
        test: Test accuracy of the same, by seed: shown, never read for a choice.
        asked: Seeds asked for.
    """

    arm: str
    rates: Rates
    validation: Mapping[int, float]
    test: Mapping[int, float]
    asked: int

    @property
    def score(self) -> float | None:
        """Mean validation accuracy; None if a seed diverged, failed or has none."""
        if not self.asked or len(self.validation) < self.asked:
            return None
        return float(np.mean(list(self.validation.values())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen for one arm.

    Attributes:
        arm: Its name.
        index: Which of the trials; None if at no rate all seeds are there.
        score: Its mean validation accuracy.
        edge: By rate, "lower" or "higher": the best lies at that end of the grid, and a better one
            may lie beyond.
    """

    arm: str
    index: int | None
    score: float | None
    edge: dict[str, str]


def choose(trials: Sequence[Trial]) -> list[Choice]:
    """Each arm's best combination on the validation part; of equal ones that of the smaller rates.

    Args:
        trials: All arms at all combinations.

    Returns:
        One choice for each arm that has more than one trial, in the order of the trials.

    Examples:
        >>> def trial(lr, accuracy):
        ...     return Trial(
        ...         arm="relu", rates={"lr": lr}, validation={0: accuracy}, test={}, asked=1
        ...     )
        >>> (found,) = choose([trial(0.1, 0.5), trial(0.2, 0.8), trial(0.3, 0.7)])
        >>> found.index, found.edge
        (1, {})
    """
    groups: dict[str, list[int]] = {}
    for index, trial in enumerate(trials):
        groups.setdefault(trial.arm, []).append(index)
    return [_choice(arm, trials, group) for arm, group in groups.items() if len(group) > 1]


def _choice(arm: str, trials: Sequence[Trial], group: Sequence[int]) -> Choice:
    scored = [(score, i) for i in group if (score := trials[i].score) is not None]
    if not scored:
        return Choice(arm=arm, index=None, score=None, edge={})
    score, index = min(scored, key=lambda pair: (-pair[0], *trials[pair[1]].rates.values()))
    edge = {}
    for name, value in trials[index].rates.items():
        grid = {trials[i].rates[name] for i in group}
        if len(grid) > 1 and value in (min(grid), max(grid)):
            edge[name] = "lower" if value == min(grid) else "higher"
    return Choice(arm=arm, index=index, score=score, edge=edge)


def document(
    trials: Sequence[Trial],
    choices: Sequence[Choice],
    *,
    rates: Sequence[Rate],
    shared: Sequence[Rates] | None = None,
) -> dict[str, Any] | None:
    """What was tried and what was chosen, as strict JSON.

    Args:
        trials: All arms at all combinations.
        choices: From `choose`.
        rates: The rates of the verb.
        shared: The combinations of the reading at shared rates; None: every one.

    Returns:
        The document; None where nothing was chosen, for want of a choice or of a validation part.
    """
    if not choices:
        return None
    budgets = [sum(t.asked for t in trials if t.arm == choice.arm) for choice in choices]
    return {
        "grid": {rate.field: sorted({t.rates[rate.field] for t in trials}) for rate in rates},
        "shared": [dict(s) for s in (every(trials) if shared is None else shared)],
        "combinations": len(every(trials)),
        "seeds": max(trial.asked for trial in trials),
        "runs_per_arm": max(budgets),
        "equal_budget": len(set(budgets)) == 1,
        "chosen_on": CHOSEN_ON,
        "ties": TIES,
        "chosen": [
            {
                "arm": choice.arm,
                "rates": dict(trials[choice.index].rates),
                "validation_accuracy": choice.score,
                "edge": choice.edge,
            }
            for choice in choices
            if choice.index is not None
        ],
        "without": [choice.arm for choice in choices if choice.index is None],
    }


def every(trials: Sequence[Trial]) -> list[Rates]:
    """The distinct combinations, in the order of the trials."""
    return list({tuple(trial.rates.values()): trial.rates for trial in trials}.values())


def is_shared(rates: Rates, shared: Sequence[Rates] | None) -> bool:
    """Whether a combination belongs to the reading at shared rates."""
    return shared is None or rates in shared


def notes(tuning: Mapping[str, Any], rates: Sequence[Rate]) -> list[str]:
    """What a reader of the second reading must know, one sentence each."""
    arms = "" if tuning["equal_budget"] else " at most"
    seeds = "seed" if tuning["seeds"] == 1 else "seeds"
    sentences = [
        f"Same budget for every arm: {tuning['combinations']} combinations of rates x "
        f"{tuning['seeds']} {seeds} = {tuning['runs_per_arm']} runs{arms}. Chosen by the "
        f"{tuning['chosen_on']}, {tuning['ties']}; no test figure played a part."
    ]
    if not tuning["equal_budget"]:
        sentences.append("The arms were not tried at the same rates: the budgets differ.")
    for chosen in tuning["chosen"]:
        for name, way in chosen["edge"].items():
            at = in_words({name: chosen["rates"][name]}, rates)
            sentences.append(f"{chosen['arm']}: best at the edge of the grid ({at}): try {way}.")
    if tuning["without"]:
        sentences.append(f"At no rate all seeds are there: {', '.join(tuning['without'])}.")
    return sentences
