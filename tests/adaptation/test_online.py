"""Networks side by side beside the same networks one at a time, by autograd and torch.optim."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from metaact import activations
from metaact.adaptation.diagnostics import layer_figures
from metaact.adaptation.draws import Given, draws_of
from metaact.adaptation.online import OnlineNets, columns, initial, layout_of

NAMES = ("relu", "tanh", "arelu", "arelu-frozen", "prelu", "crelu", "maxout", "pau", "swish-beta")


def nets_of(name: str, count: int, optimizer: str = "sgd") -> tuple[OnlineNets, dict[str, Tensor]]:
    """Networks of different seeds in float64, and their state."""
    entry = activations.resolve(name)
    activation = entry.factory().double()
    hidden = entry.before(5) if entry.width_factor < 1 else 5
    layout = layout_of(entry.factory(), inputs=20, hidden=hidden)
    states = []
    for seed in range(count):
        numbers = initial(activation, layout, gain=1.4, seed=seed).double()
        moments = {k: torch.zeros_like(numbers) for k in ("first", "second")}
        states.append({"numbers": numbers, **(moments if optimizer == "adam" else {})})
    return OnlineNets(activation, layout, optimizer=optimizer), columns(states)


def examples(steps: int, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randint(0, 2, (steps, 21, count), generator=draw).double()
    inputs[:, -1] = 1
    return inputs, torch.randn(steps, count, generator=draw, dtype=torch.float64)


class Plain(nn.Module):
    """The same network as anyone would write it."""

    def __init__(self, name: str, nets: OnlineNets, numbers: Tensor) -> None:
        super().__init__()
        layout = nets.layout
        self.first = nn.Linear(layout.inputs, layout.hidden).double()
        self.activation = activations.resolve(name).factory().double()
        self.second = nn.Linear(layout.features, 1).double()
        first = numbers[: layout.first].view(layout.inputs + 1, layout.hidden)
        second = numbers[layout.first : layout.second]
        with torch.no_grad():
            self.first.weight.copy_(first[:-1].t())
            self.first.bias.copy_(first[-1])
            self.second.weight.copy_(second[None, :-1])
            self.second.bias.copy_(second[-1:])

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(self.activation(self.first(x)))
        return found

    def column(self) -> Tensor:
        parts = [self.first.weight.t(), self.first.bias, self.second.weight, self.second.bias]
        parts += [p for p in self.activation.parameters() if p.requires_grad]
        return torch.cat([part.detach().reshape(-1) for part in parts])

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        values = dict(self.named_parameters())
        trained = {n: p for n, p in values.items() if p.requires_grad}
        loss = (functional_call(self, trained, (x[None],)).squeeze() - y).square()
        found = dict(zip(trained, torch.autograd.grad(loss, list(trained.values())), strict=True))
        order = ["first.weight", "first.bias", "second.weight", "second.bias"]
        order += [n for n in trained if n.startswith("activation")]
        parts = [found[n].t() if n == "first.weight" else found[n] for n in order]
        return torch.cat([part.reshape(-1) for part in parts])


@pytest.mark.draws_globally
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_autograd(name: str) -> None:
    nets, state = nets_of(name, 4)
    nets.take(torch.full((4,), 0.01, dtype=torch.float64), state)
    x, y = examples(1, nets.width)
    filled = nets._columns["numbers"]
    errors, found = nets.gradient(filled, x[0], y[0])
    for number in range(4):
        plain = Plain(name, nets, state["numbers"][:, number])
        expected = plain.gradient(x[0, :-1, number], y[0, number])
        torch.testing.assert_close(found[:, number], expected, rtol=1e-10, atol=1e-12)
        off = plain(x[:1, :-1, number]).squeeze() - y[0, number]
        assert float(errors[number]) == pytest.approx(float(off.detach().square()))


@pytest.mark.draws_globally
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["relu", "arelu"])
def test_steps_are_those_of_torch_optim(name: str, optimizer: str) -> None:
    rates = torch.tensor([0.01, 0.003, 0.001], dtype=torch.float64)
    nets, state = nets_of(name, 3, optimizer)
    nets.take(rates, state)
    x, y = examples(65, 3)
    errors = torch.cat([nets.learn(x[:33], y[:33]), nets.learn(x[33:], y[33:])])
    for number, rate in enumerate(rates.tolist()):
        plain = Plain(name, nets, state["numbers"][:, number])
        kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam
        steps = kind(plain.parameters(), lr=rate)
        seen = []
        for inputs, target in zip(x[:, :-1, number], y[:, number], strict=True):
            steps.zero_grad()
            loss = (plain(inputs[None]).squeeze() - target).square()
            loss.backward()
            steps.step()
            seen.append(loss.detach())
        torch.testing.assert_close(errors[:, number], torch.stack(seen), rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(
            nets.state["numbers"][:, number], plain.column(), rtol=1e-8, atol=1e-10
        )


@pytest.mark.parametrize("name", ["arelu", "tanh", "gelu", "elu", "crelu"])
def test_companions_change_no_bit(name: str) -> None:
    """In float32, as runs are: alone, or as the 5th of 37."""
    x, y = (value.float() for value in examples(300, 37))
    rates = torch.full((37,), 0.01)
    _, state = nets_of(name, 37, "adam")
    state = {key: value.float() for key, value in state.items()}
    found = []
    for chosen in (slice(0, 37), slice(4, 5)):
        entry = activations.resolve(name)
        layout = layout_of(entry.factory(), inputs=20, hidden=5)
        nets = OnlineNets(entry.factory(), layout, optimizer="adam")
        nets.take(rates[chosen], {key: value[:, chosen] for key, value in state.items()})
        errors = nets.learn(x[..., chosen], y[:, chosen])
        place = 4 - chosen.start
        found.append((errors[:, place], nets.state["numbers"][:, place]))
    (errors, numbers), (alone_errors, alone) = found
    assert torch.equal(errors, alone_errors)
    assert torch.equal(numbers, alone)


def test_moments_of_a_dead_unit_become_0_and_not_subnormal() -> None:
    """They would slow down every later step, and say nothing; outside it stays as it was."""
    nets, state = nets_of("relu", 3, "adam")
    state = {key: value.float() for key, value in state.items()}
    biases = slice(20 * 5, 21 * 5)
    state["numbers"][biases] = -100
    state["first"][biases] = state["second"][biases] = 1e-30
    plain = {key: value.clone() for key, value in state.items()}
    nets.take(torch.full((3,), 0.0), state)
    x, y = (value.float() for value in examples(1000, 3))
    nets.learn(x, y)
    assert torch.count_nonzero(nets.state["first"][biases]) == 0
    stays = torch.full((1,), 1e-39)
    assert torch.count_nonzero(stays * 0.9) == 1
    torch.testing.assert_close(nets.state["numbers"][biases], plain["numbers"][biases])


class Coins(nn.Module):
    """Draws in another way."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.bernoulli(torch.full_like(x, 0.5))


class Branches(nn.Module):
    """Asks for a value, which no vectorised call has."""

    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


def test_what_an_activation_draws_is_known_before() -> None:
    for name in activations.names():
        expected = 1 if name in ("rrelu", "random-smooth-leaky") else 0
        hidden = 10 if name.startswith("maxout") else 5
        assert draws_of(activations.create(name), hidden) == expected, name
    assert draws_of(Coins(), 5) is None
    assert draws_of(Branches(), 5) is None


def drawing(name: str, count: int) -> tuple[OnlineNets, dict[str, Tensor]]:
    """Networks whose activation draws one number for a unit, in float32, and their state."""
    _, state = nets_of(name, count, "adam")
    entry = activations.resolve(name)
    layout = layout_of(entry.factory(), inputs=20, hidden=5)
    nets = OnlineNets(entry.factory(), layout, optimizer="adam", draws=1)
    return nets, {key: value.float() for key, value in state.items()}


@pytest.mark.draws_globally
@pytest.mark.parametrize("name", ["rrelu", "random-smooth-leaky"])
def test_networks_that_draw_learn_side_by_side_what_each_does_alone(name: str) -> None:
    """To the bit; and what autograd and Adam make of it one after the other, with its draws."""
    x, y = (value.float() for value in examples(45, 7))
    drawn = torch.rand(45, 1, 5, 7, generator=torch.Generator().manual_seed(1))
    found = []
    for chosen in (slice(0, 7), slice(4, 5)):
        nets, state = drawing(name, 7)
        rates = torch.full((7,), 0.01)[chosen]
        nets.take(rates, {key: value[:, chosen] for key, value in state.items()})
        errors = nets.learn(x[..., chosen], y[:, chosen], drawn[..., chosen])
        looked = nets.diagnose(x[:8, :, chosen], y[:8, chosen], drawn[:8, ..., chosen])
        place = 4 - chosen.start
        found.append([errors[:, place], nets.state["numbers"][:, place]])
        found[-1] += [figures[key][place] for figures in looked.values() for key in figures]
    assert all(torch.equal(side_by_side, alone) for side_by_side, alone in zip(*found, strict=True))

    nets, state = nets_of(name, 7, "adam")
    plain = Plain(name, nets, state["numbers"][:, 4])
    steps = torch.optim.Adam(plain.parameters(), lr=0.01)
    for step in range(45):
        steps.zero_grad()
        with Given([drawn[step, 0, None, :, 4].double()]) as given:
            loss = (plain(x[step, None, :-1, 4].double()).squeeze() - y[step, 4].double()).square()
        assert given.taken == 1
        loss.backward()
        steps.step()
        assert float(found[0][0][step]) == pytest.approx(float(loss.detach()), rel=1e-3, abs=1e-5)


def test_initial_weights_are_uniform_by_kaimings_rule() -> None:
    layout = layout_of(nn.ReLU(), inputs=20, hidden=400)
    numbers = initial(nn.ReLU(), layout, gain=math.sqrt(2), seed=0)
    weights, biases = numbers[: 20 * 400], numbers[20 * 400 : layout.first]
    assert float(weights.std()) == pytest.approx(math.sqrt(2 / 20), rel=0.03)
    assert float(weights.abs().max()) <= math.sqrt(2) * math.sqrt(3 / 20)
    assert not biases.any()
    assert not numbers[layout.second - 1]


def test_what_a_network_made_by_hand_is_like() -> None:
    layout = layout_of(nn.ReLU(), inputs=20, hidden=5)
    nets = OnlineNets(nn.ReLU(), layout, optimizer="sgd")
    numbers = torch.zeros(layout.rows)
    bias = numbers[20 * 5 : layout.first]
    bias[:2], bias[2:] = -1, 1  # two units are negative whatever comes in
    numbers[layout.first : layout.second - 1] = 1
    nets.take(torch.tensor([0.01]), {"numbers": numbers[:, None]})
    inputs = torch.ones(4, 21, 1)
    found = nets.diagnose(inputs, torch.zeros(4, 1))
    hidden, output = found["hidden"], found["output"]
    assert float(hidden["dormant_units"]) == pytest.approx(0.4)
    assert float(hidden["saturated_units"]) == pytest.approx(0.4)
    assert float(hidden["effective_rank"]) == pytest.approx(1)
    assert float(hidden["weight_norm"]) == pytest.approx(math.sqrt(5))
    assert float(output["weight_norm"]) == pytest.approx(math.sqrt(5))
    # output 3, slope 6: on 3 live units' 21 weights; on 3 features of 1 and on the bias
    assert float(hidden["gradient_norm"]) == pytest.approx(6 * math.sqrt(3 * 21))
    assert float(output["gradient_norm"]) == pytest.approx(6 * math.sqrt(3 + 1))


@pytest.mark.draws_globally
@pytest.mark.parametrize("name", ["tanh", "crelu", "arelu"])
def test_diagnoses_are_those_of_the_plain_network(name: str) -> None:
    nets, state = nets_of(name, 3)
    nets.take(torch.full((3,), 0.01, dtype=torch.float64), state)
    x, y = examples(32, 3)
    found = nets.diagnose(x, y)
    for number in range(3):
        plain = Plain(name, nets, state["numbers"][:, number])
        inputs = x[:, :-1, number]
        units = plain.first(inputs).detach().requires_grad_()
        features = plain.activation(units)
        slopes = torch.stack(
            [
                torch.autograd.grad(features[:, i].sum(), units, retain_graph=True)[0].abs()
                for i in range(features.shape[1])
            ]
        ).sum(dim=0)
        for key, value in layer_figures(features.detach(), slopes).items():
            assert float(found["hidden"][key][number]) == pytest.approx(float(value))
        loss = (plain(inputs).squeeze(1) - y[:, number]).square().mean()
        loss.backward()
        squares = [plain.first.weight.grad, plain.first.bias.grad]
        norm = sum(float(one.square().sum()) for one in squares if one is not None) ** 0.5
        assert float(found["hidden"]["gradient_norm"][number]) == pytest.approx(norm)
