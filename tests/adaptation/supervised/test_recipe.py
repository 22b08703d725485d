"""Schedules against those of PyTorch, and what contradicts what."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
)

from metaact.adaptation.supervised.recipe import Recipe, rate_factor
from metaact.errors import UsageError

EPOCHS, STEPS = 12, 5


def plain() -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)


def followed(scheduler: LRScheduler | ChainedScheduler, optimizer: torch.optim.SGD) -> list[float]:
    """The rate of each epoch under a scheduler of PyTorch that is stepped once an epoch."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR steps with an epoch number
        for _ in range(EPOCHS):
            found.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            scheduler.step()
    return found


def rates(recipe: Recipe) -> list[float]:
    """The rate of the first update of each epoch."""
    return [
        recipe.lr * rate_factor(recipe, epoch=epoch, step=0, steps=STEPS) for epoch in range(EPOCHS)
    ]


def test_step_schedule_is_multi_step_lr() -> None:
    recipe = Recipe(lr=0.4, schedule="step", milestones=(3, 4, 9), lr_factor=0.2, epochs=EPOCHS)
    optimizer = plain()
    expected = followed(MultiStepLR(optimizer, [3, 4, 9], gamma=0.2), optimizer)
    assert rates(recipe) == pytest.approx(expected, rel=1e-12)
    assert len(set(expected)) == 4


def test_cosine_is_cosine_annealing_lr() -> None:
    recipe = Recipe(lr=0.4, schedule="cosine", epochs=EPOCHS)
    optimizer = plain()
    expected = followed(CosineAnnealingLR(optimizer, T_max=EPOCHS), optimizer)
    assert rates(recipe) == pytest.approx(expected, rel=1e-9)


def test_cosine_begins_where_warm_up_ends() -> None:
    recipe = Recipe(lr=0.4, schedule="cosine", epochs=EPOCHS, warmup_epochs=3)
    optimizer = plain()
    both = SequentialLR(
        optimizer,
        [
            ConstantLR(optimizer, factor=1.0, total_iters=3),
            CosineAnnealingLR(optimizer, T_max=EPOCHS - 3),
        ],
        milestones=[3],
    )
    assert rates(recipe)[3:] == pytest.approx(followed(both, optimizer)[3:], rel=1e-9)


@pytest.mark.parametrize("more", [{}, {"schedule": "cosine"}])
def test_warm_up_is_linear_lr_over_its_updates(more: dict[str, Any]) -> None:
    recipe = Recipe(lr=0.4, epochs=EPOCHS, warmup_epochs=2, **more)
    optimizer = plain()
    updates = 2 * STEPS
    scheduler = LinearLR(optimizer, start_factor=1 / updates, total_iters=updates - 1)
    for update in range(updates):
        epoch, step = divmod(update, STEPS)
        ours = recipe.lr * rate_factor(recipe, epoch=epoch, step=step, steps=STEPS)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        scheduler.step()
    assert rate_factor(recipe, epoch=2, step=0, steps=STEPS) == 1.0


def test_without_a_schedule_the_rate_is_untouched() -> None:
    assert rates(Recipe(lr=0.4)) == [0.4] * EPOCHS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimizer": "adam", "nesterov": True}, "`nesterov` must be left out .*got adam"),
        ({"momentum": 0.0, "nesterov": True}, "`nesterov` must be left out .*got momentum 0"),
        ({"schedule": "step"}, "`milestones` must be .* from 1 .*got none"),
        ({"schedule": "step", "milestones": (0,)}, "`milestones` must be .* got 0"),
        ({"schedule": "step", "milestones": (5, 5)}, "`milestones` must be rising"),
        ({"schedule": "step", "milestones": (5, 3)}, "`milestones` must be rising"),
        (
            {"schedule": "step", "milestones": (5, 10), "epochs": 10},
            "`milestones` must be .* from 1 to 9 .*got 5, 10",
        ),
        (
            {"schedule": "step", "milestones": (2,), "warmup_epochs": 3, "epochs": 9},
            "from 3 to 8",
        ),
        ({"schedule": "step", "milestones": (5,), "lr_factor": 0.0}, "`lr_factor` must be"),
        ({"schedule": "step", "milestones": (5,), "lr_factor": 1.0}, "`lr_factor` must be"),
        ({"milestones": (5,)}, "`milestones` must be left out unless `schedule` is step"),
        (
            {"schedule": "cosine", "epochs": 9, "milestones": (5,)},
            "`milestones` must be left out .* cosine",
        ),
        ({"lr_factor": 0.5}, "`lr_factor` must be left out"),
        ({"schedule": "cosine"}, "`epochs` must be given"),
        ({"schedule": "linear"}, "`schedule` must be"),
        ({"warmup_epochs": 10, "epochs": 10}, "`warmup_epochs` must be less than the 10"),
        ({"warmup_epochs": -1}, "`warmup_epochs` must be"),
        ({"clip_norm": -1.0}, "`clip_norm` must be"),
        ({"clip_norm": float("inf")}, "`clip_norm` must be"),
        ({"augmentation": "flip"}, "`augmentation` must be"),
        ({"precision": "float16"}, "`precision` must be"),
    ],
)
def test_contradictions_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        Recipe(**{"lr": 0.1, **change})
    assert str(raised.value).count("\n") == 0


def test_a_milestone_may_stand_where_warm_up_ends() -> None:
    recipe = Recipe(lr=1.0, schedule="step", milestones=(3,), warmup_epochs=3, epochs=4)
    assert rate_factor(recipe, epoch=3, step=0, steps=STEPS) == pytest.approx(0.1)
