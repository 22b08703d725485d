"""Batches that cannot be adapted to are named before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from metaact.adaptation import MAML
from metaact.errors import UsageError
from metaact.tasks import MetaBatch

CASES: list[tuple[str, Callable[[MetaBatch], dict[str, object]]]] = [
    (
        r"support_labels` must be int64 \[4, 3\]",
        lambda b: {"support_labels": b.support_labels.int()},
    ),
    ("query_labels` must be int64", lambda b: {"query_labels": b.query_labels.double()}),
    ("query_labels` must be int64", lambda b: {"query_labels": b.query_labels[:, 1:]}),
    ("support_labels` must be >= 0", lambda b: {"support_labels": b.support_labels - 1}),
    ("query` must be .*each of the 4 tasks; got", lambda b: {"query": b.query[:2]}),
    (
        "query` must be .*each of the 4 tasks; got",
        lambda b: {"query": b.query.repeat(2, 1, 1), "query_labels": b.query_labels.repeat(2, 1)},
    ),
    (
        "query` must be .*at least one image",
        lambda b: {"query": b.query[:, :0], "query_labels": b.query_labels[:, :0]},
    ),
    (
        "support` must be .*at least one image",
        lambda b: {"support": b.support[:, :0], "support_labels": b.support_labels[:, :0]},
    ),
]


@pytest.mark.parametrize("engine", ["vectorised", "loop", "learn2learn"])
@pytest.mark.parametrize(("message", "change"), CASES)
def test_a_batch_that_does_not_fit_is_named(
    message: str, change: Callable, engine: str, episodes: Callable, seeded: Callable
) -> None:
    batch = episodes(shape=(6,))
    maml = MAML(seeded(lambda: nn.Linear(6, 3)), inner_lr=0.1, inner_steps=1, engine=engine)
    for call in (maml.evaluate, maml.backward, maml.test):
        with pytest.raises(UsageError, match=message):
            call(replace(batch, **change(batch)))


def test_inference_mode_is_named(episodes: Callable, seeded: Callable) -> None:
    maml = MAML(seeded(lambda: nn.Linear(6, 3)), inner_lr=0.1, inner_steps=1)
    batch = episodes(shape=(6,))
    with torch.inference_mode(), pytest.raises(UsageError, match=r"use torch\.no_grad\(\)"):
        maml.test(batch)
    with torch.inference_mode():
        inside = episodes(shape=(6,))
    with pytest.raises(UsageError, match=r"`batch.support` must be made outside"):
        maml.test(inside)
