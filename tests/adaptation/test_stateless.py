"""Networks whose modules or parameters stand at several places, and networks with attention."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metaact.activations import convert
from metaact.adaptation import MAML
from metaact.adaptation.stateless import Stateless
from metaact.errors import UsageError

ENGINES = ("vectorised", "loop", "learn2learn")


class _Once(nn.Module):
    """Each module at one path: what the others must compute, too."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.act = nn.PReLU()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.linear(self.act(self.linear(x)))))


class _TwoPaths(_Once):
    """The same, with the layer and the activation also in a `Sequential`."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(self.linear, self.act)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.linear(self.body(x))))


class _SharedParameter(nn.Module):
    """The same, with the parameters in two modules."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.act, self.head = nn.Linear(6, 6), nn.PReLU(), nn.Linear(6, 3)
        self.second, self.again = nn.Linear(6, 6), nn.PReLU()
        self.second.weight, self.second.bias = self.linear.weight, self.linear.bias
        self.again.weight = self.act.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.again(self.second(self.act(self.linear(x)))))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("build", [_TwoPaths, _SharedParameter])
def test_a_module_at_two_paths_is_one_module(
    build: type[nn.Module],
    engine: str,
    episodes: Callable,
    gradient: Callable,
    seeded: Callable,
    request: pytest.FixtureRequest,
) -> None:
    if engine == "learn2learn":
        request.getfixturevalue("learn2learn")
    reference = seeded(_Once)
    model = seeded(build)
    for part in ("linear", "act", "head"):
        model.get_submodule(part).load_state_dict(reference.get_submodule(part).state_dict())
    batch = episodes(shape=(6,))
    maml = MAML(model, inner_lr=0.3, inner_steps=3, engine=engine)
    before = maml.test(batch)
    result, slopes = gradient(maml, batch)
    wanted, expected = gradient(MAML(reference, inner_lr=0.3, inner_steps=3), batch)
    assert float(result.loss) == pytest.approx(float(wanted.loss), rel=1e-12)
    torch.testing.assert_close(slopes, expected, rtol=1e-9, atol=1e-12)
    assert slopes.abs().min() > 0
    assert torch.equal(maml.test(batch), before)
    assert all(isinstance(p, nn.Parameter) and p.is_leaf for p in model.parameters())


def test_the_head_is_found_by_any_of_its_names(seeded: Callable) -> None:
    maml = MAML(seeded(_TwoPaths), inner_lr=0.1, inner_steps=1, head_only=["body.1"])
    assert maml.adapted == ("act.weight",)


def test_what_convert_makes_of_a_network_with_two_names_adapts(
    episodes: Callable, gradient: Callable, seeded: Callable
) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()
            self.body = nn.Sequential(nn.Linear(6, 6), self.act, nn.Linear(6, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x)

    model = convert(seeded(Named), "arelu")
    assert model.act is model.body[1]  # the second name stays one
    slopes = [
        gradient(MAML(copy.deepcopy(model), inner_lr=0.2, inner_steps=2, engine=engine), batch)[1]
        for batch in [episodes(shape=(6,))]
        for engine in ("vectorised", "loop")
    ]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-9, atol=1e-12)
    assert slopes[0].abs().max() > 0


class _Attention(nn.Module):
    def __init__(self, *, weights: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(2, 8), nn.Linear(8, 3)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        z = self.embed(x.view(-1, 3, 2))
        return self.head(self.attention(z, z, z, need_weights=self.weights)[0].mean(1))


class _Fused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(2, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.embed(x.view(-1, 3, 2))
        return self.head(functional.scaled_dot_product_attention(z, z, z).mean(1))


@pytest.mark.parametrize("engine", ["vectorised", "loop"])
@pytest.mark.parametrize("build", [lambda: _Attention(weights=False), _Fused])
def test_attention_has_second_derivatives(
    build: Callable, engine: str, episodes: Callable, seeded: Callable
) -> None:
    """Against central differences of the loss along one direction; and no op warns."""
    model = seeded(build)
    batch = episodes(shape=(6,), tasks=2)
    maml = MAML(model, inner_lr=0.5, inner_steps=2, engine=engine)
    maml.backward(batch)
    draw = torch.Generator().manual_seed(1)
    directions = [torch.randn(p.shape, generator=draw, dtype=p.dtype) for p in model.parameters()]
    slope = sum(
        float((p.grad * d).sum()) for p, d in zip(model.parameters(), directions, strict=True)
    )
    step, losses = 1e-6, []
    for sign in (1, -1):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for p, d in zip(moved.parameters(), directions, strict=True):
                p += sign * step * d
            moved_maml = MAML(moved, inner_lr=0.5, inner_steps=2, engine=engine)
            losses.append(float(moved_maml.evaluate(batch).loss))
    assert slope == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-5)


def test_no_warning_of_vmap_reaches_the_user(episodes: Callable, seeded: Callable) -> None:
    model = seeded(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MAML(model, inner_lr=0.1, inner_steps=1).backward(episodes(shape=(6,)))
    assert not caught


@pytest.mark.parametrize("engine", ["vectorised", "loop"])
@pytest.mark.parametrize(
    ("output", "kind"),
    [
        (lambda y: (y, y), "tuple"),
        (lambda y: {"logits": y}, "dict"),
        (lambda y: None, "NoneType"),
    ],
)
def test_other_outputs_are_named(
    output: Callable, kind: str, engine: str, episodes: Callable, seeded: Callable
) -> None:
    class Odd(nn.Linear):
        def forward(self, input: Tensor) -> object:  # type: ignore[override]
            return output(super().forward(input))

    model = seeded(lambda: Odd(6, 3))
    with pytest.raises(UsageError, match=f"one tensor of logits.*got a {kind}"):
        MAML(model, inner_lr=0.1, inner_steps=1, engine=engine).evaluate(episodes(shape=(6,)))


def test_the_network_itself_is_what_is_left_out(seeded: Callable) -> None:
    model = seeded(_TwoPaths)
    images = torch.ones(2, 6, dtype=torch.float64)
    weight = torch.zeros(3, 6, dtype=torch.float64)
    assert torch.equal(
        Stateless(model)({"head.weight": weight}, images), model.head.bias.expand(2, 3)
    )
    assert float(model.head.weight.detach().abs().sum()) > 0


class _ByList(_Once):
    """The same, with the layers reached by a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [self.linear, self.act, self.linear, self.act, self.head]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class _ByClosure(_Once):
    def __init__(self) -> None:
        super().__init__()
        self.body = lambda x: self.act(self.linear(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.body(x)))


class _ByMethod(_Once):
    def __init__(self) -> None:
        super().__init__()
        self.first = self.linear.forward

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.linear(self.act(self.first(x)))))


class _ByHook(_Once):
    def __init__(self) -> None:
        super().__init__()
        self.linear.register_forward_hook(lambda module, images, output: self.act(output))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.linear(self.linear(x)))


class _Unlike(nn.Linear):
    """Made otherwise than by its parent's arguments, so that learn2learn cannot clone it."""

    def __new__(cls, sizes: tuple[int, int]) -> _Unlike:
        return super().__new__(cls)

    def __init__(self, sizes: tuple[int, int]) -> None:
        super().__init__(*sizes)


class _NotClonable(_Once):
    def __init__(self) -> None:
        super().__init__()
        self.linear = _Unlike((6, 6))


def _compiled() -> nn.Module:
    return torch.compile(_Once(), backend="eager")  # type: ignore[return-value]


@pytest.mark.parametrize("build", [_ByList, _ByClosure, _ByMethod, _ByHook, _NotClonable])
def test_learn2learn_refuses_what_its_clones_would_share(
    build: type[nn.Module],
    episodes: Callable,
    gradient: Callable,
    seeded: Callable,
    learn2learn: ModuleType,
) -> None:
    """The other engines compute it rightly: as the network with its layers as attributes."""
    reference, model = seeded(_Once), seeded(build)
    model.load_state_dict(reference.state_dict())
    batch = episodes(shape=(6,))
    maml = MAML(model, inner_lr=0.3, inner_steps=2, engine="learn2learn")
    with pytest.raises(UsageError, match="'vectorised' or 'loop' for _"):
        maml.evaluate(batch)
    _, wanted = gradient(MAML(reference, inner_lr=0.3, inner_steps=2, engine="learn2learn"), batch)
    for engine in ("vectorised", "loop"):
        _, slopes = gradient(MAML(model, inner_lr=0.3, inner_steps=2, engine=engine), batch)
        torch.testing.assert_close(slopes, wanted, rtol=1e-9, atol=1e-12)


def test_learn2learn_cannot_clone_a_compiled_network(
    episodes: Callable, seeded: Callable, learn2learn: ModuleType
) -> None:
    maml = MAML(seeded(_compiled), inner_lr=0.3, inner_steps=1, engine="learn2learn")
    with pytest.raises(UsageError, match="cannot clone this one: RecursionError"):
        maml.evaluate(episodes(shape=(6,)))


class _OfTensors(nn.Module):
    """A layer by its parameters, which are read from `held`."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.held = [self.linear.weight, self.linear.bias]

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, *self.held)


class _Kept(_OfTensors):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if not self.kept:
            self.kept += [2 * self.linear.weight, 2 * self.linear.bias]
        return functional.linear(x, *self.kept)


class _Fixed(_OfTensors):
    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, *self.linear.parameters()) + self.held[1].detach()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("build", [_OfTensors, _Kept, _Fixed])
def test_parameters_read_past_their_modules_are_refused(
    build: type[nn.Module], engine: str, episodes: Callable, seeded: Callable
) -> None:
    maml = MAML(seeded(build), inner_lr=0.1, inner_steps=1, engine=engine)
    with pytest.raises(UsageError, match=r"it read `linear\.\w+` from elsewhere"):
        maml.evaluate(episodes(shape=(6,)))
    frozen = seeded(build)
    frozen.linear.requires_grad_(False)
    both = nn.Sequential(frozen, seeded(lambda: nn.Linear(3, 3)))
    assert MAML(both, inner_lr=0.1, inner_steps=1).evaluate(episodes(shape=(6,))).loss.isfinite()


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_recurrent_layers_read_the_stand_ins(kind: type[nn.RNNBase], seeded: Callable) -> None:
    model = seeded(lambda: kind(2, 3, batch_first=True))
    zeros = {name: torch.zeros_like(p) for name, p in model.named_parameters()}

    class Output(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = model

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x)[0]

    images = torch.ones(1, 4, 2, dtype=torch.float64)
    values = {f"body.{name}": value for name, value in zeros.items()}
    assert not Stateless(Output())(values, images).any()
    assert Output()(images).any()


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("build", [_ByList, _ByMethod, _ByClosure, _ByHook])
def test_a_network_that_adapted_computes_with_what_it_adapted_to(
    build: type[nn.Module], differentiable: bool, episodes: Callable, seeded: Callable
) -> None:
    """A copy of a closure would compute with the model itself, and is refused."""
    reference, model = seeded(_Once), seeded(build)
    model.load_state_dict(reference.state_dict())
    batch = episodes(shape=(6,))
    made = []
    for one in (reference, model):
        maml = MAML(one, inner_lr=0.3, inner_steps=2)
        if one is model and build in (_ByClosure, _ByHook):
            with pytest.raises(UsageError, match=r"a copy reads the model's own `\w+\.\w+`"):
                maml.adapt(batch.support[0], batch.support_labels[0], differentiable=differentiable)
            return
        made.append(
            maml.adapt(batch.support[0], batch.support_labels[0], differentiable=differentiable)
        )
    torch.testing.assert_close(made[1](batch.query[0]), made[0](batch.query[0]))
    assert not torch.equal(made[1](batch.query[0]), model(batch.query[0]))
