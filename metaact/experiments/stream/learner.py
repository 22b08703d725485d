"""One network on its stream, and a bin of several of them side by side."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from metaact import activations
from metaact.adaptation.diagnostics import Layers, summary
from metaact.experiments.loop import Finished, Record, Step
from metaact.randomness import isolated_rng
from metaact.runs import finite
from metaact.tasks.streams.stream import Stream

from . import measured
from .config import StreamConfig
from .course import Course, State
from .recovery import Recovery


class OnlineLearner:
    """One network on its stream.

    Args:
        config: Its settings.
        course: What computes it, also beside others.
        stream: What it learns from.
    """

    def __init__(self, config: StreamConfig, course: Course, stream: Stream) -> None:
        self.config, self.course, self.stream = config, course, stream
        self.score = measured(config.stream)
        self.done = 0
        self.seen = ""
        self.recovery = Recovery(config.task_steps)
        self.state: State = course.fresh(config)

    def begin(self) -> list[Record]:
        """The activations' own parameters before the first step."""
        return [{"bin": 0, "step": 0, "attention": self._attention(self._network())}]

    def after(self, scores: Tensor, layers: Layers, figures: Mapping[str, float]) -> Step:
        """What a bin left behind.

        Args:
            scores: Online, of its examples.
            layers: What its layers are like now.
            figures: What it is like now as a whole.
        """
        score = float(scores.double().mean())
        finished = all(v.isfinite().all() for v in self.state.values()) and math.isfinite(score)
        if not finished:
            bad = int(scores.isfinite().logical_not().nonzero()[:1].sum()) + 1
            step = (self.done - 1) * self.config.bin + bad
            return Step(records=[], ended=self._ended("diverged", {"bin": self.done, "step": step}))
        recovery = self.recovery.see(scores if self.score == "error" else 1 - scores)
        task, network = self.config.task_steps, self._network()
        own = self.course.own(self.state)
        record = {
            "bin": self.done,
            "step": self.done * self.config.bin,
            f"test_{self.score}": score,
            f"validation_{self.score}": score,
            "recovery": recovery,
            "recovery_steps": fmean(task if t is None else t for t in recovery or [math.nan]),
            **figures,
            **summary(layers),
            "stuck_alpha": activations.stuck_count(network),
            "stream_sha256": self.seen,
            "attention": self._attention(network),
            "layers": {name: {**found, **own.get(name, {})} for name, found in layers.items()},
        }
        return Step(records=[_as_record(record)])

    def finish(self, last: Record) -> Finished:
        """The figures of the last bin, and the weights."""
        names = (f"test_{self.score}", f"validation_{self.score}", "stream_sha256", "step")
        figures = {"bins": self.config.length, **{name: last[name] for name in names}}
        ended = self._ended("complete", figures)
        return Finished(result=ended.result, weights=self.course.weights(self.state))

    def _ended(self, outcome: str, figures: Mapping[str, object]) -> Finished:
        network = self._network()
        attention = self._attention(network)
        return Finished(
            result={
                "outcome": outcome,
                **figures,
                "parameters": self.course.parameters,
                "attention": attention,
                "stuck_alpha": activations.stuck_count(network),
                "attention_layers": len(attention),
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next bin depends on."""
        recovery = self.recovery.state_dict()
        kept = {"done": self.done, "seen": self.seen, "state": dict(self.state)}
        return {**kept, "recovery": recovery}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        found = state["state"]
        if {k: v.shape for k, v in found.items()} != {k: v.shape for k, v in self.state.items()}:
            raise ValueError("its networks have other numbers")
        self.done, self.seen, self.state = int(state["done"]), str(state["seen"]), dict(found)
        self.recovery.load_state_dict(state["recovery"])

    def _network(self) -> nn.Module:
        return self.course.network(self.state)

    @staticmethod
    def _attention(network: nn.Module) -> dict[str, dict[str, float]]:
        found = finite(activations.attention_values(network))
        assert isinstance(found, dict)
        return found


def advance(learners: Sequence[OnlineLearner]) -> list[Step]:
    """One bin of several networks, side by side.

    Args:
        learners: Of one arm and optimizer, which share their `course`; they have done equally many
            bins.
    """
    first = learners[0]
    config, course = first.config, first.course
    streams = {one.config.seed: one.stream for one in learners}
    with isolated_rng("stream", config.seed, first.done):
        scores, hashes = learn(learners, streams)
        of = _places(learners, streams)
        found = course.look(list(streams.values()), (first.done + 1) * config.bin, of)
    steps = []
    for number, (one, state) in enumerate(zip(learners, course.states, strict=True)):
        one.state = state
        one.done += 1
        seen = one.seen + hashes[one.config.seed]
        one.seen = hashlib.sha256(seen.encode()).hexdigest()
        layers = {name: _of(number, figures) for name, figures in found.layers.items()}
        steps.append(one.after(scores[:, number], layers, _of(number, found.figures)))
    return steps


def _of(number: int, figures: Mapping[str, Tensor]) -> dict[str, float]:
    """The figures of one of several networks."""
    return {name: float(value[number]) for name, value in figures.items()}


def _as_record(found: Mapping[str, object]) -> Record:
    """What a bin left behind, as it is written: of what is no number, null."""
    record = finite(found)
    assert isinstance(record, dict)
    return record


def learn(
    learners: Sequence[OnlineLearner], streams: Mapping[int, Stream]
) -> tuple[Tensor, dict[int, str]]:
    """The steps of a bin: the score of each example [examples, networks], a hash for each seed.

    Args:
        learners: As for `advance`.
        streams: By seed.
    """
    first = learners[0]
    course, start = first.course, first.done * first.config.bin
    of = _places(learners, streams)
    course.take(
        [one.config.lr for one in learners], [one.state for one in learners], examples=start
    )
    hashes = {seed: hashlib.sha256() for seed in streams}
    scores: list[Tensor] = []
    for begin in range(start, start + first.config.bin, course.block):
        end = min(begin + course.block, start + first.config.bin)
        for parts in zip(*(s.blocks(begin, end) for s in streams.values()), strict=True):
            for digest, part in zip(hashes.values(), parts, strict=True):
                digest.update(part.sha256().encode())
            scores.append(course.learn(parts, of))
    return torch.cat(scores), {seed: digest.hexdigest() for seed, digest in hashes.items()}


def _places(learners: Sequence[OnlineLearner], streams: Mapping[int, Stream]) -> list[int]:
    """Which of the streams each learner is on."""
    place = {seed: number for number, seed in enumerate(streams)}
    return [place[one.config.seed] for one in learners]
