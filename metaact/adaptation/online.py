"""Many small networks that learn online, one example a step each, computed side by side.

Each has one hidden layer, an activation and a linear output; the loss is the squared error. All
numbers of a network lie in one column of a matrix, so that an op does a step of all of them. What
a network computes does not depend on its companions: no op mixes columns, and there are as many
columns as fill whole vectors of the processor.

Forward and backward of the linear layers are written out; the derivative of the activation is that
of `torch.func`. On a CPU, steps are recorded once and then run without Python (`program.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from metaact.devices import sent
from metaact.errors import UsageError
from metaact.randomness import preserved_rng

from .diagnostics import layer_figures
from .draws import Given
from .graphs import Graphs
from .known import signature
from .program import Program, recorded
from .recording import Results
from .shares import one_thread_inside, small_steps

LANES = 64
"""Networks are filled up to a multiple of this, four of the longest vectors of a processor: what is
left over is added up in another order, and its last bits differ."""

UNROLLED = 10
"""Steps in one program: what calling it costs is shared by so many."""

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's, as published and as PyTorch has them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """Which rows of a column are what.

    Attributes:
        inputs: Numbers of inputs, without the bias.
        hidden: Units before the activation.
        features: What the activation makes of them.
        shapes: Trained parameters of the activation, by name.
    """

    inputs: int
    hidden: int
    features: int
    shapes: Mapping[str, torch.Size]

    @property
    def first(self) -> int:
        """Numbers of the first layer: for each input and then the bias, one a unit."""
        return (self.inputs + 1) * self.hidden

    @property
    def second(self) -> int:
        """Where the numbers of the output end: one for each feature and the bias."""
        return self.first + self.features + 1

    @property
    def rows(self) -> int:
        """All numbers of a network."""
        return self.second + sum(shape.numel() for shape in self.shapes.values())

    def parameters(self, columns: Tensor) -> dict[str, Tensor]:
        """The activation's parameters in columns [rows, networks], each [networks, *shape]."""
        found, start = {}, self.second
        for name, shape in self.shapes.items():
            own = columns[start : start + shape.numel()]
            found[name] = own.t().reshape(columns.shape[1], *shape)
            start += shape.numel()
        return found


def layout_of(activation: nn.Module, *, inputs: int, hidden: int) -> Layout:
    """How the numbers of a network with this activation lie in a column.

    Raises:
        UsageError: If the activation does not take [examples, units] and give as much.
    """
    try:
        with torch.no_grad(), preserved_rng():
            made = activation(torch.zeros(1, hidden))
    except (RuntimeError, ValueError, IndexError) as error:
        raise UsageError(
            f"`activation` must take {hidden} units (give another number by --hidden); "
            f"{type(activation).__name__} does not ({error})."
        ) from error
    return Layout(
        inputs=inputs,
        hidden=hidden,
        features=made.shape[1],
        shapes={n: p.shape for n, p in activation.named_parameters() if p.requires_grad},
    )


def initial(activation: nn.Module, layout: Layout, *, gain: float, seed: int) -> Tensor:
    """A network before its first step [rows]: uniform by Kaiming's rule, biases 0.

    Formula: weights of a layer with n inputs are uniform in ±gain·sqrt(3/n), with gain 1 for the
    output. Networks of a seed draw the same numbers.
    """
    draw = torch.Generator().manual_seed(seed)

    def uniform(rows: int, columns: int, gain: float, fan_in: int) -> Tensor:
        numbers = torch.rand(rows, columns, generator=draw)
        return (2 * numbers - 1) * gain * math.sqrt(3 / fan_in)

    first = uniform(layout.inputs, layout.hidden, gain, layout.inputs)
    second = uniform(layout.features, 1, 1.0, layout.features)
    named = dict(activation.named_parameters())
    parts = [first, torch.zeros(layout.hidden), second, torch.zeros(1)]
    parts += [named[name].detach() for name in layout.shapes]
    return torch.cat([part.reshape(-1) for part in parts])


class OnlineNets:
    """Networks of one activation in training, side by side.

    Args:
        activation: Their activation; its own trained parameters count as start values only.
        layout: How their numbers lie.
        optimizer: "sgd" or "adam".
        draws: How many random numbers the activation needs for a unit (`draws_of`); None: it is
            not vectorised over networks, and there is one.

    Attributes:
        steps: Steps done.
    """

    def __init__(
        self, activation: nn.Module, layout: Layout, *, optimizer: str, draws: int | None = 0
    ) -> None:
        self.activation, self.layout, self.optimizer = activation.train(), layout, optimizer
        self.stacked, self.draws, self.steps = draws is not None, draws or 0, 0
        trained = set(layout.shapes)
        held = {**dict(activation.named_parameters()), **dict(activation.named_buffers())}
        self._held = {n: value.detach() for n, value in held.items() if n not in trained}
        self._programs: dict[int, Program | None] = {}
        self._graphs, self._known = Graphs(), signature(activation) if self.stacked else None
        self._columns: dict[str, Tensor] = {}

    def take(self, rates: Tensor, state: Mapping[str, Tensor], *, steps: int = 0) -> None:
        """Take networks into training.

        Args:
            rates: The learning rate of each [networks].
            state: "numbers" [rows, networks], and for Adam "first" and "second" moments alike.
            steps: Steps that they have done.
        """
        self.count, self.steps = len(rates), steps
        self.width = -(-self.count // LANES) * LANES if self.stacked else 1
        self.rates = self._filled(rates)
        self._columns = {name: self._filled(value) for name, value in state.items()}
        self._held = {name: value.to(rates.device) for name, value in self._held.items()}

    @property
    def state(self) -> dict[str, Tensor]:
        """As it is now."""
        return {name: value[:, : self.count].clone() for name, value in self._columns.items()}

    def _filled(self, values: Tensor) -> Tensor:
        """Values with more networks like the last, so that all vectors are whole."""
        more = values[..., -1:].expand(*values.shape[:-1], self.width - self.count)
        return torch.cat([values, more], dim=-1).contiguous()

    def learn(self, inputs: Tensor, targets: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Learn from examples, one after the other.

        Args:
            inputs: [steps, inputs + 1, networks], the last input 1.
            targets: [steps, networks].
            drawn: What the activation draws, in [0, 1) [steps, draws, hidden, networks]; None where
                it draws nothing, or by itself.

        Returns:
            The squared error of each before it was learned from [steps, networks].
        """
        x, y = self._filled(inputs), self._filled(targets)
        r = [] if drawn is None else [self._filled(drawn)]
        on_cpu = x.device.type == "cpu"
        errors = []
        names = list(self._columns)
        with small_steps(x.device):
            for start in range(0, len(x), UNROLLED):
                now = slice(start, min(start + UNROLLED, len(x)))
                given = [*self._columns.values(), self.rates, x[now], y[now]]
                given += [value[now] for value in r] + self._scales(now)
                given += self._held.values()
                self.steps += now.stop - now.start
                whole = now.stop - now.start == UNROLLED
                program = self._programmed(given) if whole and on_cpu and self.stacked else None
                if program is None:
                    with torch.no_grad():
                        results = self._graphs.run(self._known, self._again, given)
                else:
                    results = program(given)
                made = [value for value in results if value is not None]
                errors.append(made[0])
                self._columns = dict(zip(names, made[1:], strict=True))
        return torch.cat(errors)[:, : self.count]

    def _scales(self, now: slice) -> list[Tensor]:
        """Adam's corrections of the steps that come: 1/(1 − β1^t) and sqrt(1 − β2^t)."""
        if self.optimizer == "sgd":
            return []
        numbers = range(self.steps + 1, self.steps + 1 + now.stop - now.start)
        found = [[1 / (1 - BETA1**t), math.sqrt(1 - BETA2**t)] for t in numbers]
        return [sent(torch.tensor(found, dtype=self.rates.dtype), self.rates.device)]

    def _programmed(self, given: Sequence[Tensor]) -> Program | None:
        if self.width not in self._programs:
            with torch.no_grad():
                made = [tensor.clone() for tensor in given]
                self._programs[self.width] = recorded(lambda: self._several(made), made)
        return self._programs[self.width]

    def _again(self, *given: Tensor) -> Results:
        return self._several(given)

    def _several(self, given: Sequence[Tensor]) -> list[Tensor]:
        """Several steps: the errors of each, and the state after them."""
        kept, held = len(self._columns), len(given) - len(self._held)
        state, (rates, x, y, *more) = list(given[:kept]), given[kept:held]
        drawn, scales = more[: self.draws > 0], more[self.draws > 0 :]
        self._held = dict(zip(self._held, given[held:], strict=True))
        errors = []
        for step in range(len(x)):
            scale = scales[0][step] if scales else None
            given_now = drawn[0][step] if drawn else None
            error, state = self._step(state, rates, x[step], y[step], given_now, scale)
            errors.append(error)
        return [torch.stack(errors), *state]

    def _step(
        self,
        state: list[Tensor],
        rates: Tensor,
        x: Tensor,
        y: Tensor,
        drawn: Tensor | None,
        scale: Tensor | None,
    ) -> tuple[Tensor, list[Tensor]]:
        numbers, moments = state[0], state[1:]
        error, gradient = self.gradient(numbers, x, y, drawn)
        if scale is None:
            return error, [torch.addcmul(numbers, gradient, rates, value=-1)]
        first = torch.lerp(moments[0], gradient, 1 - BETA1)
        second = torch.addcmul(moments[1] * BETA2, gradient, gradient, value=1 - BETA2)
        spread = second.sqrt() / scale[1] + EPSILON
        numbers = torch.addcdiv(numbers, first * (rates * scale[0]), spread, value=-1)
        return error, [numbers, first, second]

    def gradient(
        self, numbers: Tensor, x: Tensor, y: Tensor, drawn: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The squared error of one example of each network, and its gradient.

        Args:
            numbers: [rows, networks].
            x: [inputs + 1, networks].
            y: [networks].
            drawn: What the activation draws [draws, hidden, networks].

        Returns:
            Errors [networks], gradients [rows, networks].
        """
        layout = self.layout
        first = numbers[: layout.first].view(layout.inputs + 1, layout.hidden, -1)
        second = numbers[layout.first : layout.second]
        units = (first * x.unsqueeze(1)).sum(dim=0)
        features, pull = self._activated(units, layout.parameters(numbers), drawn)
        off = (second[:-1] * features).sum(dim=0) + second[-1] - y
        slope = 2 * off
        to_units, to_own = pull(slope * second[:-1])
        parts = [
            (x.unsqueeze(1) * to_units).flatten(0, 1),
            slope * features,
            slope.unsqueeze(0),
            *(value.reshape(len(value), -1).t() for value in to_own.values()),
        ]
        return off.square(), torch.cat(parts)

    def _activated(
        self, units: Tensor, own: dict[str, Tensor], drawn: Tensor | None
    ) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]]:
        """Features [features, networks] of units [units, networks], and what pulls back to both."""
        given = None if drawn is None else drawn.permute(2, 0, 1).unsqueeze(2)
        made, back = _pulled(self._calling(given), units.t().unsqueeze(1), own)

        def pull(gradient: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            to_units, to_own = back(gradient.t().unsqueeze(1))
            return to_units.squeeze(1).t(), to_own

        return made.squeeze(1).t(), pull

    def _calling(self, drawn: Tensor | None) -> Callable[..., Tensor]:
        """The activation of units [networks, examples, hidden], each network with its own numbers.

        Args:
            drawn: What it draws [networks, draws, examples, hidden]; None as for `learn`.
        """

        def alone(units: Tensor, own: dict[str, Tensor], *given: Tensor) -> Tensor:
            with Given(given[0].unbind()) if given else nullcontext():
                made: Tensor = functional_call(self.activation, {**self._held, **own}, (units,))
            return made

        def one(units: Tensor, own: dict[str, Tensor]) -> Tensor:
            return alone(units[0], {name: value[0] for name, value in own.items()}).unsqueeze(0)

        def all_(units: Tensor, own: dict[str, Tensor]) -> Tensor:
            made: Tensor = vmap(alone)(units, own, *([] if drawn is None else [drawn]))
            return made

        return all_ if self.stacked else one

    def diagnose(
        self, inputs: Tensor, targets: Tensor, drawn: Tensor | None = None
    ) -> dict[str, dict[str, Tensor]]:
        """What the networks are like on given inputs, without learning from them.

        Args:
            inputs: [examples, inputs + 1, networks].
            targets: [examples, networks].
            drawn: As for `learn` [examples, draws, hidden, networks].

        Returns:
            By layer, "hidden" and "output", and name, each [networks]: what `layer_figures` says of
            the hidden one, and of both "weight_norm", with the bias, and "gradient_norm", that of
            the gradient of the mean error.
        """
        x, y = self._filled(inputs), self._filled(targets)
        r = None if drawn is None else self._filled(drawn)
        layout, numbers = self.layout, next(iter(self._columns.values()))
        one_thread = one_thread_inside() if x.device.type == "cpu" else nullcontext()
        with one_thread, torch.no_grad():
            first = numbers[: layout.first].view(layout.inputs + 1, layout.hidden, -1)
            units = (first * x.unsqueeze(2)).sum(dim=1).permute(2, 0, 1)
            given = None if r is None else r.permute(3, 1, 0, 2)
            features, back = _pulled(self._calling(given), units, layout.parameters(numbers))
            slopes = torch.zeros_like(units)
            for feature in range(layout.features):
                chosen = torch.zeros_like(features)
                chosen[..., feature] = 1
                slopes += back(chosen)[0].abs()
            gradients = [
                self.gradient(numbers, x[i], y[i], None if r is None else r[i])[1]
                for i in range(len(x))
            ]
            gradient = torch.stack(gradients).mean(dim=0)
            rows = {"hidden": slice(layout.first), "output": slice(layout.first, layout.second)}
            found = {"hidden": layer_figures(features, slopes), "output": {}}
            for layer, own in rows.items():
                found[layer]["weight_norm"] = numbers[own].norm(dim=0)
                found[layer]["gradient_norm"] = gradient[own].norm(dim=0)
        return {
            layer: {name: value[: self.count].double() for name, value in figures.items()}
            for layer, figures in found.items()
        }


def _pulled(call: Callable[..., Tensor], *given: Any) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """The value of a function, and what pulls gradients back to its arguments."""
    found: Any = vjp(call, *given)
    return found[0], found[1]


def columns(states: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """The states of networks [rows] by name as columns [rows, networks]."""
    return {name: torch.stack([one[name] for one in states], dim=-1) for name in states[0]}
