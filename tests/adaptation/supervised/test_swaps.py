"""The cost of a swap: what it counts is what a loop by hand counts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from metaact.activations import convert
from metaact.adaptation import Recipe, Trainer, evaluate, swap_cost
from metaact.errors import UsageError

RECIPE = Recipe(lr=0.05, batch_size=16)


def images(count: int, seed: int) -> SimpleNamespace:
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (count, 1, 4, 4), dtype=torch.uint8, generator=draw)
    labels = (pixels[:, 0, 0, 0].int() > pixels[:, 0, 1, 1].int()).long()
    return SimpleNamespace(pixels=pixels, labels=labels)


def trained(train: SimpleNamespace) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(),
            nn.Linear(32, 2),
        )  # fmt: skip
    trainer = Trainer(model, train, recipe=Recipe(lr=0.1, batch_size=16), seed=0)
    for _ in range(40):
        trainer.epoch()
    return model


def test_a_warm_swap_keeps_what_a_plain_one_loses() -> None:
    train, test = images(256, 1), images(200, 2)
    model = trained(train)
    cost = swap_cost(model, "arelu", train=train, test=test, recipe=RECIPE, steps=(0, 3, 20))
    assert cost.before == evaluate(model, test).accuracy > 0.9
    assert cost.warm.accuracies[0] > 0.97 * cost.before
    assert cost.warm.drift < 0.2 < cost.plain.drift
    by_hand = Trainer(convert(model, "arelu"), train, recipe=RECIPE, seed=0)
    seen = [evaluate(by_hand.model, test).accuracy]
    for epoch in range(2):  # of 16 steps
        by_hand.epoch(
            observe_at=[3 - 16 * epoch, 20 - 16 * epoch],
            observe=lambda _: seen.append(evaluate(by_hand.model, test).accuracy),
        )
    assert cost.plain.accuracies == tuple(seen)
    assert cost.plain.steps == (0, 3, 20)
    assert len(str(cost).splitlines()) == 4


@pytest.mark.parametrize("steps", [(), (3, 2), (1, 1), (-1, 2)])
def test_steps_are_increasing(steps: tuple[int, ...]) -> None:
    train = images(32, 1)
    with pytest.raises(UsageError, match="`steps` must be increasing"):
        swap_cost(nn.Identity(), "arelu", train=train, test=train, recipe=RECIPE, steps=steps)
