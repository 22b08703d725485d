"""Mixed precision on a CPU, where it is refused otherwise: against float32, for all activations.

bfloat16 has 8 bits of a number. What 64 images make of a loss and of its gradient differs by the
rounding of each layer; agreement is stated as shares of float32's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metaact import activations, models, tasks
from metaact.adaptation import Normalisation, Recipe, Trainer, evaluate
from metaact.adaptation.stateless import full_float32
from metaact.adaptation.supervised import optimizers
from metaact.adaptation.supervised.objectives import Classification
from metaact.errors import UsageError

LOSS = 0.01
"""A loss differs by at most this share."""

DIRECTION = 0.98
"""The cosine between gradients is at least this."""


@pytest.fixture(scope="module")
def images() -> tasks.Images:
    return tasks.printed_digits("test").take(torch.arange(64))


@pytest.fixture(autouse=True)
def allowed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "refused" not in request.node.name:
        monkeypatch.setattr(optimizers, "_check_precision", lambda model, recipe: None)


def trainer(name: str, images: tasks.Images, precision: str, **settings: Any) -> Trainer:
    """One that has made one update of all images."""
    model = models.create(
        "mnist-conv",
        activations.resolve(name),
        classes=10,
        channels=1,
        generator=torch.Generator().manual_seed(0),
    )
    recipe = Recipe(lr=1e-3, batch_size=64, precision=precision)
    normalisation = Normalisation(mean=(0.13,), std=(0.31,))
    return Trainer(model, images, recipe=recipe, seed=0, normalisation=normalisation, **settings)


def gradient(model: nn.Module) -> Tensor:
    found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    assert {g.dtype for g in found} == {torch.float32}
    return torch.cat(found)


@pytest.mark.parametrize("name", activations.names())
def test_bfloat16_agrees_with_float32(name: str, images: tasks.Images) -> None:
    exact, mixed = (trainer(name, images, p) for p in ("float32", "bfloat16"))
    whole, rounded = exact.epoch().loss, mixed.epoch().loss
    assert rounded == pytest.approx(whole, rel=LOSS)
    one, other = gradient(exact.model), gradient(mixed.model)
    assert not torch.equal(one, other)
    assert float(functional.cosine_similarity(one, other, dim=0)) > DIRECTION
    assert {p.dtype for p in mixed.model.parameters()} == {torch.float32}


@dataclass(frozen=True)
class Looking(Classification):
    """Notes what it is given."""

    seen: tuple[list[torch.dtype], list[torch.dtype]] = ((), ())  # type: ignore[assignment]

    def outputs(self, output: object, images: Tensor) -> Tensor:
        logits = super().outputs(output, images)
        self.seen[0].append(logits.dtype)
        return logits

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.seen[1].append(outputs.dtype)
        assert not torch.is_autocast_enabled("cpu")
        return super().loss(outputs, targets)


def test_the_loss_and_evaluations_are_in_float32(images: tasks.Images) -> None:
    objective = Looking(separable=False, seen=([], []))
    one = trainer("arelu", images, "bfloat16", objective=objective)
    one.epoch()
    assert set(objective.seen[0]) == {torch.bfloat16}
    assert set(objective.seen[1]) == {torch.float32}
    kinds = []
    one.model.register_forward_hook(lambda module, given, made: kinds.append(made.dtype))
    evaluate(one.model, images, normalisation=one.normalisation)
    assert set(kinds) == {torch.float32}


def test_it_learns_as_well(images: tasks.Images) -> None:
    ends = []
    for precision in ("float32", "bfloat16"):
        one = trainer("arelu", images, precision)
        for _ in range(60):
            one.epoch()
        ends.append(evaluate(one.model, images, normalisation=one.normalisation).loss)
    assert ends[1] == pytest.approx(ends[0], rel=0.05)
    assert ends[1] < 1.5


def test_it_is_refused_on_a_cpu(images: tasks.Images) -> None:
    with pytest.raises(UsageError, match="`precision` must be float32 on a CPU"):
        trainer("arelu", images, "bfloat16")


def test_convolutions_of_meta_gradients_are_in_all_digits() -> None:
    before = torch.backends.cudnn.allow_tf32
    with full_float32():
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
