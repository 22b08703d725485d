"""Streams of labelled images: their pixels permuted, their labels drawn anew, or class by class."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaact.errors import UsageError, check_choice, check_int

from .stream import Numbers, below, check_transition, generator, late, order

HEADS = ("grow", "task")

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """Consecutive examples of one task, in its transition some of the task before.

    Attributes:
        images: Which image each example is [examples].
        labels: What is to be said of it [examples].
        late: Whether it is still of the task before, 1, or not, 0 [examples].
        places: For this task and the one before, which pixel of an image stands in each place
            [2, pixels of a channel]; None where all stand in their own.
        outputs: Likewise, which classes there are to choose from [2, classes]; None where all are.
    """

    images: Numbers
    labels: Numbers
    late: Numbers
    places: Numbers | None = None
    outputs: Mask | None = None

    def __len__(self) -> int:
        return len(self.images)

    def sha256(self) -> str:
        """Hash of the examples; what the images look like is not in it."""
        digest = hashlib.sha256()
        for numbers in (self.images, self.labels, self.late, self.places):
            if numbers is not None:
                digest.update(numbers.astype("<i8").tobytes())
        if self.outputs is not None:
            digest.update(self.outputs.tobytes())
        return digest.hexdigest()

    def part(self, start: int, stop: int) -> Lesson:
        """The examples from `start` to before `stop`."""
        return Lesson(
            images=self.images[start:stop],
            labels=self.labels[start:stop],
            late=self.late[start:stop],
            places=self.places,
            outputs=self.outputs,
        )


class ImageStream:
    """What the streams below have in common: without an end, any part can be had at any time.

    A task passes over its images in an order drawn anew for each pass, until it has `every`
    examples.

    Args:
        labels: The label of each image that there is [images].
        seed: Which stream.
        every: Examples of a task.
        transition: Examples over which a task takes the place of the one before, see `stream.late`.

    Raises:
        UsageError: If the transition is longer than a task.
    """

    name: str

    def __init__(
        self, labels: Numbers, *, seed: int, every: int = 10_000, transition: int = 0
    ) -> None:
        check_transition(transition, every)
        self.labels, self.seed, self.every, self.transition = labels, seed, every, transition
        self._tasks: dict[int, Lesson] = {}

    def task(self, number: int) -> Lesson:
        """A whole task, counted from 0."""
        if number not in self._tasks:
            images, labels = self._examples(number, "own")
            some = np.zeros(self.every, dtype=bool)
            before = max(0, number - 1)
            if number and self.transition:
                some = late(self.every, self.transition, self.name, self.seed, number)
                old_images, old_labels = self._examples(before, "late")
                images = np.where(some, old_images, images)
                labels = np.where(some, old_labels, labels)
            whole = Lesson(
                images=images,
                labels=labels,
                late=some.astype(np.int64),
                places=_pair(self._places, before, number),
                outputs=_pair(self._outputs, before, number),
            )
            self._tasks = {number: whole}  # a stream is read in order: one is enough
        return self._tasks[number]

    def blocks(self, start: int, stop: int) -> list[Lesson]:
        """The examples from `start` to before `stop`, cut where the task changes."""
        found = []
        while start < stop:
            number, place = divmod(start, self.every)
            end = min(stop - number * self.every, self.every)
            found.append(self.task(number).part(place, end))
            start = number * self.every + end
        return found

    def _examples(self, number: int, part: str) -> tuple[Numbers, Numbers]:
        """Images and labels of so many examples of a task as it has."""
        pool = self._pool(number)
        draw = self._draw("order", part, number)
        passes = -(-self.every // len(pool))
        images = np.concatenate([pool[order(draw, len(pool))] for _ in range(passes)])[: self.every]
        return images, self._told(number)[images]

    def _draw(self, *parts: int | str) -> np.random.PCG64:
        return generator(self.name, self.seed, *parts)

    def _pool(self, number: int) -> Numbers:
        """The images of a task."""
        return np.arange(len(self.labels))

    def _told(self, number: int) -> Numbers:
        """What a task says of every image that there is."""
        return self.labels

    def _places(self, number: int) -> Numbers | None:
        """Where a task has the pixels of its images."""
        return None

    def _outputs(self, number: int) -> Mask | None:
        """The classes that there are to choose from in a task."""
        return None


def _pair(of: Callable[[int], Any], before: int, number: int) -> Any:
    """What a function gives for a task and for the one before it, if it gives anything."""
    found = [of(number), of(before)]
    return None if found[0] is None else np.stack(found)


class Permuted(ImageStream):
    """The same images with their pixels in another order in each task, the first one too.

    Args:
        labels: As for `ImageStream`.
        pixels: Pixels of a channel; those of all channels are permuted alike.
        more: As for `ImageStream`.

    References:
        Dohare et al., "Loss of plasticity in deep continual learning", Nature 632, 2024, online
        permuted MNIST: a permutation for each 60,000 examples, each image once.
    """

    name = "permuted"

    def __init__(self, labels: Numbers, *, pixels: int, **more: int) -> None:
        super().__init__(labels, **more)
        self.pixels = pixels

    def _places(self, number: int) -> Numbers:
        return order(self._draw("places", number), self.pixels)


class RandomLabels(ImageStream):
    """The same images in all tasks, their labels drawn anew for each, every class equally likely.

    Args:
        labels: As for `ImageStream`; only how many there are counts.
        classes: Labels to draw from.
        more: As for `ImageStream`.

    References:
        Lyle et al., "Understanding plasticity in neural networks", 2023,
        https://arxiv.org/abs/2303.01486; Kumar et al., "Maintaining plasticity in continual
        learning via regenerative regularization", 2023, https://arxiv.org/abs/2308.11958.
    """

    name = "random-labels"

    def __init__(self, labels: Numbers, *, classes: int, **more: int) -> None:
        super().__init__(labels, **more)
        self.classes = classes

    def _told(self, number: int) -> Numbers:
        return below(self._draw("labels", number), self.classes, len(self.labels))


class Classes(ImageStream):
    """A group of new classes in each task, in an order drawn for the seed.

    When all classes have come, they come again, in another order and other groups.

    Args:
        labels: As for `ImageStream`.
        classes: How many there are.
        group: Classes of a task; where they do not come out even, some tasks have one more.
        head: "grow": all classes that have come so far are to choose from. "task": those of the
            task alone, as if each task had outputs of its own.
        cumulative: Whether a task has the images of all classes that have come so far, not only
            those of its own.
        more: As for `ImageStream`.

    Raises:
        UsageError: If a group does not have 2 classes at least, or there are not so many.

    References:
        Dohare et al., 2024, class-incremental CIFAR-100: five more classes at a time, cumulative.
    """

    name = "classes"

    def __init__(
        self,
        labels: Numbers,
        *,
        classes: int,
        group: int = 2,
        head: str = "grow",
        cumulative: bool = False,
        **more: int,
    ) -> None:
        super().__init__(labels, **more)
        check_choice("head", head, HEADS)
        why = f"the data have {classes} classes"
        check_int("group", group, minimum=2, maximum=classes, why=why)
        if cumulative and head == "task":
            raise UsageError(
                "`head` must be grow with cumulative tasks (their images are of all classes so "
                "far); got 'task'."
            )
        self.classes, self.head, self.cumulative = classes, head, cumulative
        self.groups = classes // group

    def group(self, number: int) -> Numbers:
        """The classes of a task."""
        turn, place = divmod(number, self.groups)
        return np.array_split(order(self._draw("classes", turn), self.classes), self.groups)[place]

    def come(self, number: int) -> Mask:
        """Which classes have come by the end of a task [classes]."""
        found = np.zeros(self.classes, dtype=bool)
        found[np.concatenate([self.group(n) for n in range(min(number + 1, self.groups))])] = True
        return found

    def rivals(self, number: int) -> Mask:
        """For each class that has come, which classes its images are told from [classes, classes].

        Those among which it was learned last; none for a class that has not come.
        """
        found = np.zeros((self.classes, self.classes), dtype=bool)
        if self.head == "grow":
            come = self.come(number)
            found[come] = come
            return found
        for task in range(max(0, number - 2 * self.groups), number + 1):
            own = self.group(task)
            found[own] = False
            found[np.ix_(own, own)] = True
        return found

    def _pool(self, number: int) -> Numbers:
        wanted = self.come(number)
        if not self.cumulative:
            wanted = np.isin(np.arange(self.classes), self.group(number))
        return np.flatnonzero(wanted[self.labels])

    def _outputs(self, number: int) -> Mask:
        if self.head == "grow":
            return self.come(number)
        return np.isin(np.arange(self.classes), self.group(number))
