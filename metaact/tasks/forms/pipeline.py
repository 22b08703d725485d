"""A visible chain of steps that brings the images of one domain into the form of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metaact.errors import UsageError
from metaact.tasks._images import Images
from metaact.tasks.forms.steps import CentreCrop, Pad, Resize, Step, ToChannels


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Steps applied one after the other; immutable, so a change gives another pipeline.

    Attributes:
        domain: Name of the data it is made for.
        shape: Channels, height and width of the images it takes.
        steps: The steps, first to last; () leaves the images as they are.

    Examples:
        >>> from metaact.tasks.forms.steps import CentreCrop, Resize, ToChannels
        >>> pipeline = Pipeline(domain="svhn", shape=(1, 32, 32), steps=(CentreCrop(28),))
        >>> print(pipeline.then(ToChannels(3)))
        svhn: 1x32x32 -> 3x28x28
          CentreCrop(size=28)      1x32x32 -> 1x28x28
          ToChannels(channels=3)   1x28x28 -> 3x28x28
        >>> pipeline.replace(CentreCrop(28), Resize(28)).steps
        (Resize(size=28),)
    """

    domain: str
    shape: tuple[int, int, int]
    steps: tuple[Step, ...] = ()

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Run all steps on uint8 [images, channels, height, width] and int64 [images].

        Raises:
            UsageError: If a step does not fit the images or returns something else.
        """
        for step in self.steps:
            count = len(pixels)
            pixels, labels = step(pixels, labels)
            if pixels.dtype != torch.uint8 or pixels.ndim != 4 or len(pixels) != count:
                raise UsageError(
                    f"step {step!r} must return uint8 pixels [{count}, channels, height, width]; "
                    f"it returned {pixels.dtype} {list(pixels.shape)}."
                )
        return pixels, labels

    def apply(self, images: Images) -> Images:
        """The images after all steps; `provenance.form` says what they did.

        Labels reach the steps as the digits that the class names say, where all names are whole
        numbers; else as the positions of the classes, which no step may change.

        Raises:
            UsageError: If the images are not of this pipeline's shape, or a step does not fit.
        """
        seen = (images.channels, *images.size)
        if seen != self.shape:
            raise UsageError(
                f"the pipeline for {self.domain} takes images of {_x(self.shape)}; got {_x(seen)}."
            )
        if not self.steps:
            return images
        done = ", ".join(text for text in (images.provenance.form, self.told()) if text)
        images = replace(images, provenance=replace(images.provenance, form=done))
        if not all(_is_number(name) for name in images.class_names):
            pixels, labels = self(images.pixels, images.labels)
            return replace(images, pixels=pixels.contiguous(), labels=labels)
        digits = torch.tensor([int(n) for n in images.class_names], device=images.labels.device)
        pixels, values = self(images.pixels, digits[images.labels])
        if torch.equal(values, digits[images.labels]):
            return replace(images, pixels=pixels.contiguous())
        _, each = self(images.pixels[:1].expand(len(digits), *images.pixels.shape[1:]), digits)
        kept, labels = torch.unique(torch.cat([each, values]), return_inverse=True)
        return replace(
            images,
            pixels=pixels.contiguous(),
            labels=labels[len(each) :],
            class_names=tuple(str(value) for value in kept.tolist()),
            class_groups=(),
        )

    def then(self, *steps: Step) -> Pipeline:
        """This pipeline with more steps at its end."""
        return replace(self, steps=self.steps + steps)

    def replace(self, old: Step, *new: Step) -> Pipeline:
        """This pipeline with step `old` exchanged for `new`, or left out if `new` is none.

        Raises:
            UsageError: If it has no such step.
        """
        if old not in self.steps:
            have = ", ".join(map(repr, self.steps)) or "none"
            raise UsageError(f"`old` must be a step of the pipeline ({have}); got {old!r}.")
        at = self.steps.index(old)
        return replace(self, steps=self.steps[:at] + new + self.steps[at + 1 :])

    def shapes(self) -> tuple[tuple[int, int, int], ...]:
        """Channels, height and width before the first step and after each."""
        shapes = [self.shape]
        pixels = torch.zeros((1, *self.shape), dtype=torch.uint8)
        labels = torch.zeros(1, dtype=torch.int64)
        for step in self.steps:
            pixels, labels = step(pixels, labels)
            channels, height, width = pixels.shape[1:]
            shapes.append((channels, height, width))
        return tuple(shapes)

    def told(self) -> str:
        """What it does to images, in words.

        Examples:
            >>> steps = CentreCrop(28), ToChannels(1)
            >>> Pipeline(domain="svhn", shape=(3, 32, 32), steps=steps).told()
            'cropped from 32x32 to 28x28, made grey'
        """
        shapes = self.shapes()
        return ", ".join(map(_word, self.steps, shapes, shapes[1:]))

    def __str__(self) -> str:
        """One line per step, with the shapes before and after."""
        shapes = self.shapes()
        lines = [f"{self.domain}: {_x(shapes[0])} -> {_x(shapes[-1])}"]
        for step, before, after in zip(self.steps, shapes, shapes[1:], strict=False):
            lines.append(f"  {step!r:<24} {_x(before)} -> {_x(after)}")
        return "\n".join(lines if self.steps else [*lines, "  (no step)"])


def _is_number(name: str) -> bool:
    return name.isdecimal() and len(name) < 10


def _word(step: Step, before: tuple[int, int, int], after: tuple[int, int, int]) -> str:
    change = f"from {_x(before[1:])} to {_x(after[1:])}"
    match step:
        case CentreCrop():
            return f"cropped {change}"
        case Resize():
            return f"resized {change}"
        case Pad():
            return f"padded {change}"
        case ToChannels():
            return "made grey" if after[0] == 1 else "made RGB"
    return repr(step)


def _x(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
