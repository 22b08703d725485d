"""Slowly changing regression: small networks, one column each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from metaact import activations
from metaact.adaptation.diagnostics import own_parameters
from metaact.adaptation.draws import draws_of, is_same_function
from metaact.adaptation.online import (
    Layout,
    OnlineNets,
    columns,
    initial,
    layout_of,
)
from metaact.experiments.networks import gain_notes
from metaact.randomness import derived_seed, isolated_rng
from metaact.tasks.streams.regression import FAST, PATTERNS, SLOW, Block, SlowlyChanging

from .config import StreamConfig
from .course import Found, Own, State
from .gains import gain_of

BLOCK = 500
"""Steps whose inputs are laid out in memory at a time."""

CHECKED = 20_000
"""Examples of the first stream whose hash names every run."""


class Regression:
    """Slowly changing regression, and networks with one hidden layer that learn it.

    Args:
        configs: Runs of one comparison.
        device: Where to compute.

    Raises:
        UsageError: If an activation is unknown or does not fit the number of units.
    """

    def __init__(self, configs: Sequence[StreamConfig], *, device: str) -> None:
        self.device = device
        self.layouts: dict[str, Layout] = {}
        self._draws: dict[str, int | None] = {}
        for config in {c.activation: c for c in configs}.values():
            activation, layout = network(config)
            self.layouts[config.activation] = layout
            units = torch.linspace(-1, 1, 2 * layout.hidden).view(2, layout.hidden)
            another = made(replace(config, seed=config.seed + 1))
            alike = is_same_function(activation, another, units)
            self._draws[config.activation] = draws_of(activation, layout.hidden) if alike else None
        blocks = self.stream(replace(configs[0], seed=0)).blocks(0, CHECKED)
        self.sha256 = blocks[0].sha256()
        self.data = {
            "official": True,
            "stream": {
                "dataset": "slowly changing regression",
                "official": True,
                "note": "made as Dohare et al. (2024) describe it",
                "sha256": self.sha256,
            },
        }
        self.notes = (*gain_notes(configs, gain_of), *self._widths())

    def _widths(self) -> list[str]:
        return [
            f"{name}: {layout.hidden} units give {layout.features} features."
            for name, layout in self.layouts.items()
            if layout.features != layout.hidden
        ]

    def stream(self, config: StreamConfig) -> SlowlyChanging:
        """The stream of a run's seed."""
        return SlowlyChanging(
            config.seed,
            every=config.task_steps,
            change=str(config.change),
            target=str(config.target),
            transition=config.transition,
        )

    def course(self, config: StreamConfig) -> Columns:
        """What computes all runs of an arm."""
        return Columns(config, draws=self._draws[config.activation], device=self.device)

    def alone(self, config: StreamConfig) -> bool:
        """Whether each network of the arm is computed by itself."""
        return self._draws[config.activation] is None


def network(config: StreamConfig) -> tuple[nn.Module, Layout]:
    """A fresh activation and the layout of a network with it.

    Where the activation joins units, as Maxout does, as many are made as give `hidden`.
    """
    assert config.hidden is not None
    entry = activations.resolve(config.activation)
    width = entry.before(config.hidden) if entry.width_factor < 1 else config.hidden
    activation = made(config)
    return activation, layout_of(activation, inputs=SLOW + FAST, hidden=width)


def made(config: StreamConfig) -> nn.Module:
    """A fresh activation; what a user's own draws for its start depends on the seed alone."""
    with isolated_rng("start values", config.seed):
        return activations.resolve(config.activation).factory()


class Columns:
    """Networks with one hidden layer, each a column; see `metaact.adaptation.online`.

    Args:
        config: One of their runs.
        draws: How many random numbers the activation needs for a unit; None: they are not
            vectorised.
        device: Where they are computed.
    """

    block = BLOCK

    def __init__(self, config: StreamConfig, *, draws: int | None, device: str) -> None:
        activation, self.layout = network(config)
        self.config, self.device, self.activation = config, device, made(config)
        self.nets = OnlineNets(
            activation.to(device), self.layout, optimizer=config.optimizer, draws=draws
        )

    @property
    def parameters(self) -> int:
        """Trained numbers of a network."""
        return self.layout.rows

    def fresh(self, config: StreamConfig) -> dict[str, Tensor]:
        """A network before its first step: "numbers", and for Adam its moments."""
        numbers = initial(
            made(config),
            self.layout,
            gain=gain_of(activations.resolve(config.activation), config.init),
            seed=derived_seed("stream weights", config.seed),
        )
        adam = config.optimizer == "adam"
        moments = {k: torch.zeros_like(numbers) for k in ("first", "second") if adam}
        return {"numbers": numbers, **moments}

    def take(self, rates: Sequence[float], states: Sequence[State], *, examples: int) -> None:
        """Take networks into training that have learned from so many examples."""
        self.nets.take(
            torch.tensor(rates, device=self.device),
            {k: v.to(self.device) for k, v in columns(states).items()},
            steps=examples,
        )

    def learn(self, parts: Sequence[Block], of: Sequence[int]) -> Tensor:
        """Learn from examples; their squared errors [examples, networks]."""
        inputs, targets = examples(parts)
        drawn = self._drawn(parts, of, examples=len(inputs))
        return self.nets.learn(*self._for(inputs, targets, of), drawn).cpu()

    def look(self, streams: Sequence[SlowlyChanging], at: int, of: Sequence[int]) -> Found:
        """What the layers are like on all inputs of the task."""
        blocks = [stream.blocks(at - 1, at)[0] for stream in streams]
        inputs, targets = every(blocks)
        drawn = self._drawn(blocks, of, "to look", examples=PATTERNS)
        return Found(layers=self.nets.diagnose(*self._for(inputs, targets, of), drawn))

    def _drawn(
        self, blocks: Sequence[Block], of: Sequence[int], *purpose: str, examples: int
    ) -> Tensor | None:
        """What activations draw [examples, draws, hidden, networks]; None where it is nothing."""
        draws, hidden = self.nets.draws, self.layout.hidden
        if not draws:
            return None
        each = [block.drawn(examples, draws * hidden, *purpose) for block in blocks]
        numbers = torch.from_numpy(np.stack(each, axis=-1)).float()
        found = numbers.view(examples, draws, hidden, len(blocks))[..., list(of)]
        return found.to(self.device)

    def _for(self, inputs: Tensor, targets: Tensor, of: Sequence[int]) -> tuple[Tensor, Tensor]:
        chosen = list(of)
        return inputs[..., chosen].to(self.device), targets[..., chosen].to(self.device)

    @property
    def states(self) -> list[State]:
        """The networks as they are now, on the CPU."""
        now = {name: value.cpu() for name, value in self.nets.state.items()}
        return [
            {name: value[:, number].clone() for name, value in now.items()}
            for number in range(self.nets.count)
        ]

    def network(self, state: State) -> nn.Module:
        """The activation with the parameters that it has by now, as the hidden layer's."""
        own = self.layout.parameters(state["numbers"][:, None])
        with torch.no_grad():
            for name, value in own.items():
                self.activation.get_parameter(name).copy_(value[0])
        return nn.ModuleDict({"hidden": self.activation})

    def own(self, state: State) -> Own:
        """The activation's own parameters."""
        return {"hidden": own_parameters(self.network(state).get_submodule("hidden"))}

    def weights(self, state: State) -> dict[str, Tensor]:
        """The numbers of a network, by layer."""
        numbers, layout = state["numbers"], self.layout
        first = numbers[: layout.first].view(layout.inputs + 1, layout.hidden)
        second = numbers[layout.first : layout.second]
        own = {f"activation.{k}": v[0] for k, v in layout.parameters(numbers[:, None]).items()}
        found = {
            "first.weight": first[:-1].t(),
            "first.bias": first[-1],
            "second.weight": second[None, :-1],
            "second.bias": second[-1:],
            **own,
        }
        return {name: value.clone().contiguous() for name, value in found.items()}


def examples(blocks: Sequence[Block]) -> tuple[Tensor, Tensor]:
    """Examples of several streams: inputs [steps, 21, streams], the last 1; targets [steps, ...].

    Args:
        blocks: One of each stream, of equal length.
    """
    fast = torch.from_numpy(np.stack([block.fast for block in blocks], axis=1))
    inputs, targets = _laid_out(blocks, fast)
    for number, block in enumerate(blocks):
        if block.late is not None and block.before is not None:
            old = torch.from_numpy(block.late)
            inputs[old, :SLOW, number] = torch.from_numpy(block.before.slow).float()
            before = torch.from_numpy(block.before.targets)
            targets[old, number] = before[fast[old, number].long()]
    return inputs, targets


def every(blocks: Sequence[Block]) -> tuple[Tensor, Tensor]:
    """All inputs that the tasks have, likewise [32, 21, streams], and their targets."""
    fast = torch.arange(PATTERNS, dtype=torch.uint8)[:, None].expand(-1, len(blocks))
    return _laid_out(blocks, fast)


def _laid_out(blocks: Sequence[Block], fast: Tensor) -> tuple[Tensor, Tensor]:
    steps, streams = fast.shape
    inputs = torch.empty(steps, SLOW + FAST + 1, streams)
    inputs[:, :SLOW] = torch.from_numpy(np.stack([block.slow for block in blocks], axis=1))
    for bit in range(FAST):
        inputs[:, SLOW + bit] = fast >> bit & 1
    inputs[:, -1] = 1
    targets = torch.from_numpy(np.stack([block.targets for block in blocks], axis=1))
    return inputs, targets.gather(0, fast.long())
