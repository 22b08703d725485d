"""Times until a network is back where it was, on curves made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metaact import analysis
from metaact.experiments.stream.recovery import Recovery

TASK = 200  # a window has 10 examples, the level is that of the last 50


def curve(*parts: tuple[float, int]) -> torch.Tensor:
    """Errors: each so many times."""
    return torch.cat([torch.full((count,), value, dtype=torch.float64) for value, count in parts])


FIRST = curve((5.0, 100), (1.0, 100))
RECOVERS = curve((3.0, 60), (1.05, 140))  # within 10 % of 1 from the 7th window on
BARELY_NOT = curve((3.0, 100), (1.16, 100))  # 1.1 times 1.05 is 1.155
AT_ONCE = curve((1.2, 200))


def test_a_task_recovers_at_the_end_of_a_window_or_is_censored() -> None:
    watch = Recovery(TASK)
    assert watch.see(FIRST) == [], "nothing was before the first task"
    assert watch.see(RECOVERS) == [70.0]
    assert watch.see(BARELY_NOT) == [None]
    assert watch.see(AT_ONCE) == [10.0]


def test_one_low_error_is_no_recovery() -> None:
    watch = Recovery(TASK)
    watch.see(FIRST)
    errors = curve((3.0, 200))
    errors[5] = 0.0
    assert watch.see(errors) == [None]


@pytest.mark.parametrize("size", [1, 7, 60, 333])
def test_it_does_not_matter_how_the_errors_arrive(size: int) -> None:
    whole = torch.cat([FIRST, RECOVERS, BARELY_NOT, AT_ONCE, curve((1.0, 50))])
    watch, found = Recovery(TASK), []
    for start in range(0, len(whole), size):
        found += watch.see(whole[start : start + size])
        again = Recovery(TASK)
        again.load_state_dict(watch.state_dict())  # as after a kill
        watch = again
    assert found == [70.0, None, 10.0]


@pytest.mark.parametrize("task", [1, 3, 25, 39, 41])
def test_tasks_of_any_length_end_where_they_end(task: int) -> None:
    watch = Recovery(task)
    found = watch.see(torch.ones(5 * task))
    assert found == [float(watch.window)] * 4
    falling = torch.linspace(2, 1, task)  # the level is least at the end
    assert all(t is None or t <= task for t in watch.see(falling) + watch.see(falling))


def test_the_restricted_mean_is_the_area_under_kaplan_and_meiers_curve() -> None:
    """By the definition, step by step, for times that are censored at different places."""
    draw = np.random.default_rng(0)
    arrive, ends = draw.exponential(5, 40), draw.uniform(2, 12, 40)
    times = [float(a) if a <= e else None for a, e in zip(arrive, ends, strict=True)]
    seen = [min(a, e) for a, e in zip(arrive, ends, strict=True)]
    limit, area, share, last = 8.0, 0.0, 1.0, 0.0
    for now in sorted(seen):
        if now > limit:
            break
        area += share * (now - last)
        last = now
        if now in times:
            share *= 1 - 1 / sum(one >= now for one in seen)
    area += share * (limit - last)
    found = analysis.restricted_mean(times, censored_at=ends.tolist(), limit=limit)
    assert found == pytest.approx(area)


def test_watched_to_the_same_end_it_is_a_mean_of_times_cut_there() -> None:
    times = [3.0, 8.0, None, 1.0, None]
    found = analysis.restricted_mean(times, censored_at=10, limit=10)
    assert found == pytest.approx((3 + 8 + 10 + 1 + 10) / 5)
    assert analysis.restricted_mean(times, censored_at=10, limit=2) == pytest.approx(
        (2 * 4 + 1) / 5
    )
    assert analysis.restricted_mean([None], censored_at=10, limit=10) == 10
