"""Which modules lose second-order terms: each kind is refused by name, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from metaact import activations
from metaact.adaptation import MAML
from metaact.adaptation.episodic.second_order import check_second_order, lost_terms
from metaact.errors import UsageError
from metaact.randomness import preserved_rng
from metaact.tasks import MetaBatch


def _function(backward: Callable[..., Any], *, kept: Callable[..., Any] | None = None) -> Any:
    """`sin` with a backward pass of its own."""

    class Own(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            ctx.kept = kept(x) if kept else None
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            return backward(ctx, g)

    return Own.apply


def _numpy(ctx: Any, g: Tensor) -> Tensor:
    return g * torch.from_numpy(ctx.saved_tensors[0].detach().numpy()).cos()


class Blind(Function):
    """It has no backward pass at all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()


EXACT = _function(lambda ctx, g: g * ctx.saved_tensors[0].cos())


class Straight(Function):
    """Rounding, with the gradient passed straight through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g.clone()


LOSSY = {
    "once differentiable": _function(
        once_differentiable(lambda c, g: g * c.saved_tensors[0].cos())
    ),
    "detached backward": _function(lambda ctx, g: (g * ctx.saved_tensors[0].cos()).detach()),
    "slope detached": _function(lambda ctx, g: g * ctx.saved_tensors[0].detach().cos()),
    "slope computed in the forward pass": _function(
        lambda ctx, g: g * ctx.kept, kept=lambda x: x.cos()
    ),
    "backward in NumPy": _function(_numpy),
    "no double backward": _function(lambda c, g: Blind.apply(g * c.saved_tensors[0].cos())),
    ".item() of the data": lambda x: x * torch.sigmoid(x / x.std().item()),
    "a detached factor": lambda x: x * torch.sigmoid(x.detach()),
}


class Own(nn.Module):
    """A user's activation: a learned slope times a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.slope = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * self.function(x)


X = torch.linspace(-3, 3, 72).reshape(2, 4, 3, 3)
EVERY = {
    "exact": EXACT,
    "straight through": Straight.apply,
    "kinks": lambda x: x.clamp(-1, 1) + nn.functional.relu(x),
    "steps": lambda x: x + (x.detach().round() - x.detach()),
    "random": lambda x: x * torch.rand_like(x),
    "in place": lambda x: x.mul_(2).sin_(),
    "float32 alone": lambda x: x.float().sin(),
    "float32, or an error": lambda x: (x @ torch.eye(3)).sin(),
    "mixes images": lambda x: x - x.mean(dim=0, keepdim=True).tanh(),
    "not finite": lambda x: x.log(),
}


@pytest.mark.parametrize("kind", LOSSY)
def test_each_way_to_lose_terms_is_seen(kind: str) -> None:
    assert lost_terms(Own(LOSSY[kind]), X)


@pytest.mark.parametrize("kind", EVERY)
def test_what_loses_none_is_taken(kind: str) -> None:
    assert lost_terms(Own(EVERY[kind]), X) == ""


def test_no_activation_of_ours_loses_any() -> None:
    with preserved_rng():
        arms = [activations.create(name) for name in activations.names()]
    found = {type(arm).__name__: lost_terms(arm, X) for arm in arms}
    assert not {name: why for name, why in found.items() if why}


def _batch() -> MetaBatch:
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(3, 4, 6, generator=draw)
    labels = torch.tensor([0, 1, 0, 1]).expand(3, 4)
    return MetaBatch(support=images, support_labels=labels, query=-images, query_labels=labels)


@pytest.mark.draws_globally
@pytest.mark.parametrize("engine", ["vectorised", "loop"])
@pytest.mark.parametrize("kind", LOSSY)
def test_maml_refuses_it_by_name_where_it_matters(kind: str, engine: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), Own(LOSSY[kind]), nn.Linear(5, 2))

    def maml(**more: Any) -> MAML:
        return MAML(model, inner_lr=0.1, inner_steps=1, engine=engine, **more)

    with pytest.raises(UsageError, match=r"`first_order` must be given .* `1` \(Own\)"):
        maml().backward(_batch())
    if engine == "loop":
        maml().test(_batch())
        maml(first_order=True).backward(_batch())
        maml().adapt(_batch().support[0], _batch().support_labels[0])


def test_the_gradient_would_have_been_wrong() -> None:
    """Against central differences of the loss: exact as it should be, lossy as it would be."""

    def slopes(function: Callable[[Tensor], Tensor], *, look: bool) -> tuple[float, float]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 5), Own(function), nn.Linear(5, 2)).double()
        parts = (getattr(_batch(), n) for n in ("support", "support_labels", "query"))
        support, labels, query = parts
        batch = MetaBatch(
            support=support.double(),
            support_labels=labels,
            query=query.double(),
            query_labels=labels,
        )
        maml = MAML(model, inner_lr=1.0, inner_steps=2, engine="loop")
        maml._differentiated = not look
        maml.backward(batch)
        weight = model[0].weight
        assert isinstance(weight, nn.Parameter)
        assert weight.grad is not None
        values = []
        with torch.no_grad():
            for step in (1e-5, -2e-5):
                weight += step
                values.append(float(maml.evaluate(batch).loss))
        return float(weight.grad.sum()), (values[0] - values[1]) / 2e-5

    with preserved_rng():
        found, expected = slopes(EXACT, look=True)
        assert found == pytest.approx(expected, rel=1e-4)
        for kind in ("once differentiable", "detached backward", "slope detached"):
            found, expected = slopes(LOSSY[kind], look=False)
            assert found != pytest.approx(expected, rel=1e-3), kind


@pytest.mark.draws_globally
def test_looking_changes_no_buffer_of_the_model() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1  # type: ignore[operator]  # a buffer
            return x.sin()

    model = nn.Sequential(nn.Linear(6, 5), Counts(), nn.Linear(5, 2))
    with pytest.raises(UsageError, match=r"`1\.calls` of the model changes"):
        MAML(model, inner_lr=0.1, inner_steps=1, engine="loop").backward(_batch())
    check_second_order(model, _batch().support[0])
    assert float(model.state_dict()["1.calls"]) == 0
