"""What a runner needs of streams, and of the networks that learn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from metaact.tasks.streams.stream import Stream

from .config import StreamConfig

State = Mapping[str, Tensor]
"""The numbers of one network, and its optimizer's, by name."""

Own = Mapping[str, Mapping[str, float]]
"""The own parameters of activations, by layer and name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What networks are like.

    Attributes:
        layers: What was found of each layer, by its name and that of the figure, each [networks].
        figures: What was found of the whole, by name, each [networks].
    """

    layers: Mapping[str, Mapping[str, Tensor]]
    figures: Mapping[str, Tensor] = field(default_factory=dict)


class Course(Protocol):
    """What computes all runs of one arm and optimizer, at whatever rate and on whatever stream."""

    @property
    def parameters(self) -> int:
        """Trained numbers of a network."""

    @property
    def block(self) -> int:
        """Examples that are laid out in memory at a time; a multiple of those of a step."""

    def fresh(self, config: StreamConfig) -> dict[str, Tensor]:
        """A network before its first step."""

    def take(self, rates: Sequence[float], states: Sequence[State], *, examples: int) -> None:
        """Take networks into training that have learned from so many examples."""

    def learn(self, parts: Sequence[Any], of: Sequence[int]) -> Tensor:
        """Learn from examples.

        Args:
            parts: One of each stream, equally long.
            of: Which of them each network learns from.

        Returns:
            The error of each example before it was learned from, or whether it was classified
            rightly [examples, networks]; not a number where an output was none.
        """

    def look(self, streams: Sequence[Any], at: int, of: Sequence[int]) -> Found:
        """What the networks are like, without learning.

        Args:
            streams: All that there are.
            at: Examples that were learned from.
            of: As for `learn`.
        """

    @property
    def states(self) -> Sequence[State]:
        """The networks as they are now, on the CPU."""

    def network(self, state: State) -> nn.Module:
        """A module with the activations of a network, as they are by now."""

    def own(self, state: State) -> Own:
        """The activations' own parameters as they are by now."""

    def weights(self, state: State) -> dict[str, Tensor]:
        """The numbers of a network as they are kept."""


class Subject(Protocol):
    """What streams are made of: what the runs of one comparison share."""

    @property
    def data(self) -> Mapping[str, Any]:
        """Provenance, for the record."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, a sentence each."""

    @property
    def sha256(self) -> str:
        """Hash of the beginning of the stream of seed 0: another stream, another run."""

    def stream(self, config: StreamConfig) -> Stream:
        """The stream of a run's seed, from its beginning."""

    def course(self, config: StreamConfig) -> Course:
        """What computes all runs of the arm."""

    def alone(self, config: StreamConfig) -> bool:
        """Whether each network of the arm is computed by itself."""
