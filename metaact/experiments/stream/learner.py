"""One network on its stream, and a bin of several of them side by side."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metaact import activations, models
from metaact.adaptation.diagnostics import Layers, own_parameters, summary
from metaact.adaptation.online import OnlineNets, columns, initial
from metaact.experiments.loop import Finished, Record, Step
from metaact.randomness import derived_seed, isolated_rng
from metaact.runs import finite
from metaact.tasks.streams.regression import FAST, PATTERNS, SLOW, Block, SlowlyChanging

from .config import StreamConfig
from .recovery import Recovery

BLOCK = 500
"""Steps whose inputs are laid out in memory at a time."""

GAINS = {"tanh": 5 / 3, "sigmoid": 1.0, "lrelu": math.sqrt(2 / (1 + 0.01**2))}
"""Kaiming gains as PyTorch has them; all others start with ReLU's, as in the published code."""


def gain_of(entry: activations.Entry, init: str) -> float:
    """The gain of the weights of the hidden layer at the start.

    Args:
        entry: The activation.
        init: One of `metaact.models.INITS`, or "published".
    """
    if init != "published":
        return models.gain_of(entry, init)
    return GAINS.get(entry.name, math.sqrt(2)) * entry.init_gain


class OnlineLearner:
    """One network on its stream.

    Args:
        config: Its settings.
        nets: What computes it, also beside others.
        stream: What it learns from.
        device: Where it is computed.
    """

    def __init__(
        self, config: StreamConfig, nets: OnlineNets, stream: SlowlyChanging, *, device: str
    ) -> None:
        self.config, self.nets, self.stream, self.device = config, nets, stream, device
        self.layout = nets.layout
        self.done = 0
        self.seen = ""
        self.recovery = Recovery(config.task_steps)
        self.activation = _fresh(config)
        numbers = initial(
            self.activation,
            self.layout,
            gain=gain_of(activations.resolve(config.activation), config.init),
            seed=derived_seed("stream weights", config.seed),
        )
        self.state = {"numbers": numbers}
        if config.optimizer == "adam":
            self.state |= {k: torch.zeros_like(numbers) for k in ("first", "second")}

    def begin(self) -> list[Record]:
        """The activation's own parameters before the first step."""
        return [{"bin": 0, "step": 0, "attention": self._attention()}]

    def after(self, errors: Tensor, found: Layers) -> Step:
        """What a bin left behind.

        Args:
            errors: Of its steps.
            found: What its layers are like now.
        """
        error = float(errors.double().mean())
        finished = self.state["numbers"].isfinite().all() and math.isfinite(error)
        if not finished:
            bad = int(errors.isfinite().logical_not().nonzero()[:1].sum()) + 1
            step = (self.done - 1) * self.config.bin_steps + bad
            return Step(records=[], ended=self._ended("diverged", {"bin": self.done, "step": step}))
        recovery = self.recovery.see(errors)
        task = self.config.task_steps
        record = {
            "bin": self.done,
            "step": self.done * self.config.bin_steps,
            "test_error": error,
            "validation_error": error,
            "recovery": recovery,
            "recovery_steps": fmean(task if t is None else t for t in recovery or [math.nan]),
            **summary(found),
            "stuck_alpha": activations.stuck_count(self._network()),
            "stream_sha256": self.seen,
            "attention": self._attention(),
            "layers": self._layers(found),
        }
        return Step(records=[_as_record(record)])

    def finish(self, last: Record) -> Finished:
        """The figures of the last bin, and the weights."""
        figures = {
            key: last[key] for key in ("test_error", "validation_error", "stream_sha256", "step")
        }
        ended = self._ended("complete", {"bins": self.config.bins, **figures})
        numbers, layout = self.state["numbers"], self.layout
        first = numbers[: layout.first].view(layout.inputs + 1, layout.hidden)
        second = numbers[layout.first : layout.second]
        own = {f"activation.{k}": v[0] for k, v in layout.parameters(numbers[:, None]).items()}
        weights = {
            "first.weight": first[:-1].t(),
            "first.bias": first[-1],
            "second.weight": second[None, :-1],
            "second.bias": second[-1:],
            **own,
        }
        return Finished(
            result=ended.result, weights={k: v.clone().contiguous() for k, v in weights.items()}
        )

    def _ended(self, outcome: str, figures: Mapping[str, object]) -> Finished:
        attention = self._attention()
        return Finished(
            result={
                "outcome": outcome,
                **figures,
                "parameters": self.layout.rows,
                "attention": attention,
                "stuck_alpha": activations.stuck_count(self._network()),
                "attention_layers": len(attention),
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next bin depends on."""
        recovery = self.recovery.state_dict()
        return {"done": self.done, "seen": self.seen, "state": self.state, "recovery": recovery}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        found = state["state"]
        if {k: v.shape for k, v in found.items()} != {k: v.shape for k, v in self.state.items()}:
            raise ValueError("its networks have other numbers")
        self.done, self.seen, self.state = int(state["done"]), str(state["seen"]), dict(found)
        self.recovery.load_state_dict(state["recovery"])

    def _network(self) -> nn.Module:
        """A module that holds the activation with the parameters that it has by now."""
        own = self.layout.parameters(self.state["numbers"][:, None])
        with torch.no_grad():
            for name, value in own.items():
                self.activation.get_parameter(name).copy_(value[0])
        return nn.ModuleDict({"hidden": self.activation})

    def _layers(self, found: Layers) -> Layers:
        """What the layers are like, with the activation's own parameters."""
        self._network()
        own = own_parameters(self.activation)
        return {**found, "hidden": {**found["hidden"], **own}}

    def _attention(self) -> dict[str, dict[str, float]]:
        found = finite(activations.attention_values(self._network()))
        assert isinstance(found, dict)
        return found


def _as_record(found: Mapping[str, object]) -> Record:
    """What a bin left behind, as it is written: of what is no number, null."""
    record = finite(found)
    assert isinstance(record, dict)
    return record


def _fresh(config: StreamConfig) -> nn.Module:
    return activations.resolve(config.activation).factory()


def advance(learners: Sequence[OnlineLearner]) -> list[Step]:
    """One bin of several networks, side by side.

    Args:
        learners: Of one activation and optimizer, which share their `nets`; they have done equally
            many bins.
    """
    first = learners[0]
    config, device = first.config, first.device
    start = first.done * config.bin_steps
    nets = first.nets
    nets.take(
        torch.tensor([one.config.lr for one in learners], device=device),
        {k: v.to(device) for k, v in columns([one.state for one in learners]).items()},
        steps=start,
    )
    streams = {one.config.seed: one.stream for one in learners}
    place = {seed: number for number, seed in enumerate(streams)}
    of = torch.tensor([place[one.config.seed] for one in learners])
    hashes = {seed: hashlib.sha256() for seed in streams}
    errors: list[Tensor] = []
    blocks: Sequence[Block] = ()
    with isolated_rng("stream", config.seed, first.done):
        for begin in range(start, start + config.bin_steps, BLOCK):
            end = min(begin + BLOCK, start + config.bin_steps)
            for blocks in zip(*(s.blocks(begin, end) for s in streams.values()), strict=True):
                for digest, block in zip(hashes.values(), blocks, strict=True):
                    digest.update(block.sha256().encode())
                inputs, targets = examples(blocks)
                made = nets.learn(inputs[..., of].to(device), targets[..., of].to(device))
                errors.append(made.cpu())
        inputs, targets = every(blocks)
        found = nets.diagnose(inputs[..., of].to(device), targets[..., of].to(device))
    state = {name: value.cpu() for name, value in nets.state.items()}
    whole = torch.cat(errors)
    steps = []
    for number, one in enumerate(learners):
        one.state = {name: value[:, number].clone() for name, value in state.items()}
        one.done += 1
        seen = one.seen + hashes[one.config.seed].hexdigest()
        one.seen = hashlib.sha256(seen.encode()).hexdigest()
        own = {
            layer: {name: float(value[number]) for name, value in figures.items()}
            for layer, figures in found.items()
        }
        steps.append(one.after(whole[:, number], own))
    return steps


def examples(blocks: Sequence[Block]) -> tuple[Tensor, Tensor]:
    """Examples of several streams: inputs [steps, 21, streams], the last 1; targets [steps, ...].

    Args:
        blocks: One of each stream, of equal length.
    """
    fast = torch.from_numpy(np.stack([block.fast for block in blocks], axis=1))
    return _laid_out(blocks, fast)


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
