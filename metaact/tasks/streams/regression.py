"""Slowly changing regression: a fixed network of threshold units, of whose inputs most stay put."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaact.errors import check_choice

from .stream import Bits, below, bits, check_transition, generator, late, uniform

SLOW, FAST = 15, 5
"""Bits that stay as they are for the length of a task, and bits that are drawn anew each step."""

INPUTS = SLOW + FAST

PATTERNS = 2**FAST
"""Inputs that a task has: all values of the fast bits."""

UNITS, BETA = 100, 0.7
"""Of the target: its threshold units, and the share of matching bits above which one fires."""

CHANGES = ("flip-one", "redraw")

TARGETS = ("code", "text")

NAME = "slowly changing regression"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Consecutive examples of one task.

    Attributes:
        slow: The bits that all of them share [15], 0 or 1.
        fast: Of each example the number whose bits, lowest first, are its fast bits [steps].
        targets: The target of each value of the fast bits [32].
        late: Which examples are still of the task before [steps]; None if none is.
        before: That task; None where none is.
        seed: The stream's.
        first: The number of its first example in the stream, counted from 0.
    """

    slow: Bits
    fast: Bits
    targets: NDArray[np.float32]
    late: NDArray[np.bool_] | None = None
    before: Block | None = None
    seed: int = 0
    first: int = 0

    def __len__(self) -> int:
        return len(self.fast)

    def inputs(self) -> Bits:
        """All inputs that the task has, in the order of the fast bits' values [32, 20]."""
        fast = np.arange(PATTERNS)[:, None] >> np.arange(FAST) & 1
        slow = np.broadcast_to(self.slow, (PATTERNS, SLOW))
        return np.concatenate([slow, fast], axis=1).astype(np.uint8)

    def sha256(self) -> str:
        """Hash of the examples and their targets."""
        digest = hashlib.sha256(self.slow.tobytes())
        digest.update(self.fast.tobytes())
        digest.update(self.targets.astype("<f4").tobytes())
        if self.late is not None and self.before is not None:
            digest.update(self.late.tobytes())
            digest.update(self.before.sha256().encode())
        return digest.hexdigest()

    def drawn(self, examples: int, numbers: int, *purpose: str) -> NDArray[np.float64]:
        """Numbers from 0 to below 1 for what a network draws at each example [examples, numbers].

        Those of an example are the same however the stream is cut.

        Args:
            examples: How many, from the first on.
            numbers: How many for each.
            purpose: What they are for.
        """
        draw = generator(NAME, "draws", *purpose, self.seed, numbers)
        draw.advance(self.first * numbers)
        return uniform(draw, examples * numbers).reshape(examples, numbers)

    def part(self, start: int, stop: int) -> Block:
        """The examples from `start` to before `stop`."""
        some = None if self.late is None else self.late[start:stop]
        mixed = some is not None and some.any()
        return replace(
            self,
            fast=self.fast[start:stop],
            late=some if mixed else None,
            before=self.before if mixed else None,
            first=self.first + start,
        )


class SlowlyChanging:
    """The stream of one seed, without an end; any part of it can be had at any time.

    An input has 20 bits: 15 slow ones, which change after every `every` examples, and 5 fast ones,
    drawn anew for each example. The target is a network of 100 threshold units whose weights and
    biases are +1 or -1 and never change.

    Formula: unit i fires where v·x + b > θ, θ = 0.7·21 − S. In the paper's text S is how many of
    its 20 weights and its bias are −1: it fires where more than 0.7 of the 21 bits, the bias with
    them, are as its weights would have them. In the published code S = (20 − Σv + b)/2, with b of
    the other sign: units with a bias of −1 fire at 17 matching bits in place of 15, and targets
    vary a quarter less. y = w·(fires) + c, with w and c of +1 and −1.

    Args:
        seed: Which stream.
        every: Examples between changes.
        change: "flip-one": one of the slow bits, drawn at random, is flipped. "redraw": all 15 are
            drawn anew.
        target: "code" or "text": whose S it is.
        transition: Examples over which a task takes the place of the one before, see `stream.late`:
            meanwhile each has the slow bits of one or of the other.

    Raises:
        UsageError: If the kind of change or of target is unknown, or the transition too long.

    References:
        Dohare et al., "Loss of plasticity in deep continual learning", Nature 632, 2024, Methods:
        the text and the caption flip one bit; the published code
        (https://github.com/shibhansh/loss-of-plasticity) redraws all unless told otherwise.
    """

    def __init__(
        self,
        seed: int,
        *,
        every: int = 10_000,
        change: str = "flip-one",
        target: str = "code",
        transition: int = 0,
    ) -> None:
        check_choice("change", change, CHANGES)
        check_choice("target", target, TARGETS)
        check_transition(transition, every)
        self.seed, self.every, self.change = seed, every, change
        self.transition = transition
        draw = generator(NAME, "target", seed)
        self.first = _signs(draw, UNITS, INPUTS + 1)
        self.second = _signs(draw, UNITS + 1)
        if target == "text":
            minus = (self.first < 0).sum(axis=1).astype(np.float64)
        else:
            minus = (INPUTS - self.first[:, :-1].sum(axis=1) + self.first[:, -1]) / 2
        self.thresholds = BETA * (INPUTS + 1) - minus
        self._slow = [bits(generator(NAME, "slow bits", seed, 0), SLOW)]
        self._tasks: dict[int, Block] = {}

    def target(self, inputs: Bits) -> NDArray[np.float32]:
        """The targets [n] of inputs [n, 20]."""
        whole = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
        fires = whole @ self.first.T > self.thresholds
        return np.asarray(fires @ self.second[:-1] + self.second[-1], dtype=np.float32)

    def slow(self, task: int) -> Bits:
        """The slow bits [15] of a task, counted from 0."""
        while len(self._slow) <= task:
            draw = generator(NAME, "slow bits", self.seed, len(self._slow))
            now = self._slow[-1].copy()
            if self.change == "flip-one":
                now[below(draw, SLOW, 1)[0]] ^= 1
            else:
                now = bits(draw, SLOW)
            self._slow.append(now)
        return self._slow[task]

    def task(self, number: int) -> Block:
        """A whole task: `every` examples."""
        if number not in self._tasks:
            draw = generator(NAME, "fast bits", self.seed, number)
            fast = (draw.random_raw(-(-self.every // 8)).astype("<u8").view(np.uint8)) % PATTERNS
            task = self._alone(number, fast[: self.every])
            if number and self.transition:
                some = late(self.every, self.transition, NAME, self.seed, number)
                task = replace(task, late=some, before=self._alone(number - 1, fast[:0]))
            self._tasks = {number: task}  # a stream is read in order: one is enough
        return self._tasks[number]

    def _alone(self, number: int, fast: Bits) -> Block:
        """Examples of a task whose slow bits none of another has."""
        task = Block(
            slow=self.slow(number),
            fast=fast,
            targets=np.zeros(PATTERNS, np.float32),
            seed=self.seed,
            first=number * self.every,
        )
        return replace(task, targets=self.target(task.inputs()))

    def blocks(self, start: int, stop: int) -> list[Block]:
        """The examples from `start` to before `stop`, cut where the task changes."""
        found = []
        while start < stop:
            number, place = divmod(start, self.every)
            end = min(stop - number * self.every, self.every)
            found.append(self.task(number).part(place, end))
            start = number * self.every + end
        return found


def _signs(draw: np.random.PCG64, *shape: int) -> NDArray[np.int64]:
    return 2 * bits(draw, int(np.prod(shape))).astype(np.int64).reshape(shape) - 1
