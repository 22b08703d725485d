"""How long a network takes, after the task changed, until its error is what it was before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

WINDOWS = 20
"""The error is averaged over this part of a task: one example says little."""

BEFORE = 5
"""Windows at the end of a task whose mean is its level."""

BAND = 0.1
"""Recovered is what has at most so much more error than the level before, as a share of it."""


class Recovery:
    """Watches the errors of one network on its stream, task after task.

    Args:
        task: Examples of a task.
    """

    def __init__(self, task: int) -> None:
        self.task, self.window = task, max(1, task // WINDOWS)
        self.level: float | None = None
        self.means: list[float] = []
        self.place = 0
        self.rest = np.zeros(0)

    def see(self, errors: Tensor) -> list[float | None]:
        """Take the errors of the next examples.

        Args:
            errors: [examples].

        Returns:
            For each task that ends within them, but not for the first of the stream, the number of
            its examples after which the mean error of a window was at most 1.1 times that of the
            last quarter of the task before; None if it never was: what came after the task would
            have taken, nobody knows.
        """
        fresh: NDArray[np.float64] = errors.double().cpu().numpy()
        rest, found = np.concatenate([self.rest, fresh]), []
        while len(rest) >= (size := min(self.window, self.task - self.place)):
            count = max(1, min(len(rest), self.task - self.place) // self.window)
            self.means += rest[: count * size].reshape(count, size).mean(axis=1).tolist()
            rest, self.place = rest[count * size :], self.place + count * size
            if self.place == self.task:
                if self.level is not None:
                    found.append(self._recovered(self.level))
                self.level = float(np.mean(self.means[-BEFORE:]))
                self.means, self.place = [], 0
        self.rest = rest.copy()
        return found

    def _recovered(self, level: float) -> float | None:
        most = (1 + BAND) * level
        for number, mean in enumerate(self.means, start=1):
            if mean <= most:
                return float(min(number * self.window, self.task))
        return None

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next examples are judged by."""
        return {
            "level": self.level,
            "means": list(self.means),
            "place": self.place,
            "rest": self.rest.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.level, self.means = state["level"], list(state["means"])
        self.place, self.rest = int(state["place"]), np.array(state["rest"], dtype=np.float64)
