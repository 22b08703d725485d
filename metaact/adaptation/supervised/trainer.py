"""Supervised training with the data resident on the device as bytes.

There is no data loader: a batch is one gather from a uint8 tensor, scaled to [0, 1] where it is
used. The order of the images depends on the seed and the epoch alone, so all arms of a seed see the
same batches, and an interrupted run continues bit for bit from any epoch with no sampler state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, partial, reduce
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase

from metaact.adaptation.graphs import Graphs
from metaact.adaptation.known import keeps_state, signature
from metaact.adaptation.program import Program, Programs
from metaact.adaptation.recording import Results
from metaact.adaptation.shares import copies, in_order, in_shares
from metaact.devices import sent
from metaact.display import brief
from metaact.randomness import Streams, derived_seed, isolated_rng

from . import augmentation as augmenting
from .objectives import Classification, Objective
from .optimizers import load_optimizer, make_optimizer, set_rates
from .recipe import Recipe, rate_factor

Result = TypeVar("Result")

SHARE_IMAGES = 64
"""Images of a batch that one thread works on, at least: fewer take longer to be asked for."""

TOP = 5
"""The answer counts as right in top-5 if it is among so many."""

EVALUATION_BATCH = 500
"""Images per forward pass in evaluation. Beyond 1000 they leave a core's cache: half as fast."""


CLASSIFICATION = Classification()
"""What networks are trained for unless asked otherwise."""


class Labelled(Protocol):
    """Images and labels, such as `metaact.tasks.Images`."""

    @property
    def pixels(self) -> Tensor:
        """uint8 [images, channels, height, width]."""

    @property
    def labels(self) -> Tensor:
        """int64 [images]; or masks uint8 [images, 1, height, width]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """What pixels in 0..1 are made of before a network sees them: (pixel - mean)/std.

    Attributes:
        mean: One number per channel.
        std: Likewise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels [..., channels, height, width], normalised."""
        mean, std = (_column(values, like=pixels) for values in (self.mean, self.std))
        return (pixels - mean) / std


def _column(values: tuple[float, ...], *, like: Tensor) -> Tensor:
    """One number per channel, [channels, 1, 1]."""
    if like.device.type == "cpu":
        return like.new_tensor(values).view(-1, 1, 1)
    return _resident(values, like.dtype, like.device)


@cache
def _resident(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Sent to a GPU once: in every step, the step would wait for it."""
    return torch.tensor(values, dtype=dtype, device=device).view(-1, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """How well a model does on a set of images.

    Attributes:
        loss: Mean cross-entropy.
        right: Which images are classified correctly: bool [images], on the CPU.
        top5: Share of images whose class is among the five likeliest, in 0..1; None where there
            are no more than five.
    """

    loss: float
    right: Tensor
    top5: float | None = None

    def __repr__(self) -> str:
        return brief(self, loss=self.loss, accuracy=self.accuracy, images=len(self.right))

    @property
    def accuracy(self) -> float:
        """Share of images classified correctly, in 0..1."""
        return int(self.right.sum()) / len(self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochLoss:
    """What one epoch of training left behind.

    Attributes:
        loss: Mean training loss over the epoch's images, each measured before its own update.
        diverged_at: Step (from 0) of the first loss that is not a finite number; None if none is.
    """

    loss: float
    diverged_at: int | None


class Trainer:
    """One model in training, an epoch at a time.

    Two trainers with the same seed see the same batches in the same order, whatever their model.
    Random layers (RReLU, dropout) draw from a stream that depends on the seed and the epoch only,
    augmentation from another; the global generator is left as it was.

    Attributes:
        model: The model, changed in place.
        images: Training images, on the model's device.
        recipe: The settings.
        seed: Seed of the batch order, of augmentation and of random layers.
        normalisation: What is done to every batch of pixels in 0..1; None leaves them so.
        objective: What it is trained for: cross-entropy of labels, unless asked otherwise.
        weights: How likely each image is to be drawn, [images] of sum 1: an epoch draws as many as
            have a weight above 0, with replacement. None takes every image once.
        count: Images in an epoch.
        optimizer: The optimizer, with its state.
        rates: Learning rate of each of its groups before the schedule.
        epochs: Epochs done.

    Examples:
        >>> from types import SimpleNamespace
        >>> draw = torch.Generator().manual_seed(0)
        >>> pixels = torch.randint(256, (64, 1, 4, 4), dtype=torch.uint8, generator=draw)
        >>> images = SimpleNamespace(pixels=pixels, labels=(pixels[:, 0, 0, 0] > 127).long())
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
        >>> trainer = Trainer(model, images, recipe=Recipe(lr=0.1, batch_size=8), seed=0)
        >>> losses = [trainer.epoch().loss for _ in range(20)]
        >>> losses[-1] < losses[0] and evaluate(model, images).accuracy > 0.9
        True
    """

    def __init__(
        self,
        model: nn.Module,
        images: Labelled,
        *,
        recipe: Recipe,
        seed: int,
        normalisation: Normalisation | None = None,
        objective: Objective | None = None,
        weights: Tensor | None = None,
    ) -> None:
        self.model = prepared(model, channels_last=recipe.channels_last)
        self.images = images
        self.recipe = recipe
        self.seed = seed
        self.normalisation = normalisation
        self.objective = objective or CLASSIFICATION
        self.weights = None if weights is None else weights.cpu()
        self.count = len(images.labels)
        if self.weights is not None:
            self.count = int((self.weights > 0).sum())
        self.optimizer = make_optimizer(model, recipe)
        self.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.epochs = 0
        self.programs = Programs()
        self.graphs = Graphs()

    def __repr__(self) -> str:
        return brief(
            self,
            type(self.model).__name__,
            images=len(self.images.labels),
            seed=self.seed,
            epochs=self.epochs,
        )

    @property
    def steps(self) -> int:
        """Updates in an epoch."""
        return math.ceil(self.count / self.recipe.batch_size)

    @property
    def lr(self) -> float:
        """The learning rate `recipe.lr` as the schedule had it in the last update."""
        done = max(self.epochs, 1) - 1
        steps = self.steps
        return self.recipe.lr * rate_factor(self.recipe, epoch=done, step=steps - 1, steps=steps)

    def epoch(
        self, *, observe_at: Collection[int] = (), observe: Callable[[int], None] | None = None
    ) -> EpochLoss:
        """Train one epoch.

        Args:
            observe_at: Numbers of updates after which `observe` is called, from 1.
            observe: Told the number of updates done; may evaluate the model.

        Returns:
            The epoch's loss. After a step that diverged the epoch goes on to its end: testing each
            loss would make a GPU wait at every step.
        """
        drawn = epoch_order(
            len(self.images.labels), seed=self.seed, epoch=self.epochs, weights=self.weights
        )
        order = sent(drawn, self.images.labels.device)
        batches = torch.split(order, self.recipe.batch_size)
        changes = self._changes(order)
        losses: list[Tensor] = []
        self.model.train()
        models, known = self._share_models(), self._signature()
        with isolated_rng("layers", self.seed, self.epochs):
            for step, indices in enumerate(batches, start=1):
                self._set_rates(step - 1)
                losses.append(self._graphed(indices, models, known, changes[step - 1]))
                if observe is not None and step in observe_at:
                    observe(step)
                    self.model.train()
        self.epochs += 1
        return summarise(torch.stack(losses), batches)

    def crops(self) -> Tensor | None:
        """What augmentation does to each image in the next epoch [images, 3]; None without it."""
        if self.recipe.augmentation == "none":
            return None
        drawn = augmenting.draw_changes(
            self.recipe.augmentation,
            self.count,
            seed=self.seed,
            epoch=self.epochs,
        )
        return sent(drawn, self.images.labels.device)

    def _changes(self, order: Tensor) -> Sequence[Tensor | None]:
        """What augmentation does to the images of each batch, in the order of the epoch."""
        drawn = self.crops()
        if drawn is None:
            return [None] * self.steps
        if self.weights is None:
            drawn = drawn[order]
        return torch.split(drawn, self.recipe.batch_size)

    def _set_rates(self, step: int) -> None:
        """Give the optimizer the rates of an update of this epoch."""
        factor = rate_factor(self.recipe, epoch=self.epochs, step=step, steps=self.steps)
        set_rates(self.optimizer, [rate * factor for rate in self.rates])

    @property
    def shares(self) -> int:
        """In how many shares a full batch is worked on: on any machine the same."""
        most = min(self.recipe.batch_size, self.count) // SHARE_IMAGES
        divides = most > 1 and self.objective.separable
        return most if divides and _is_separable(self.model, self.images) else 1

    def _share_models(self) -> list[nn.Module]:
        """A module for each share, which sees the images of the others nowhere."""
        return copies(self.model, self.shares) or [self.model]

    def _trained(self) -> list[Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _signature(self) -> Hashable | None:
        """What the ops of a step depend on; None where that is not known."""
        known, own = signature(self.model), list(map(id, self.model.parameters()))
        if known is None:
            return None
        return known, tuple(own.index(id(parameter)) for parameter in self._trained())

    def _graphed(
        self,
        indices: Tensor,
        models: Sequence[nn.Module],
        known: Hashable | None,
        changes: Tensor | None,
    ) -> Tensor:
        """One update, on a GPU by its graph when it has one."""

        def compute(indices: Tensor, *changes: Tensor) -> Results:
            return (self._step(indices, models, known, next(iter(changes), None)),)

        given = [indices] if changes is None else [indices, changes]
        (loss,) = self.graphs.run(known, compute, given, self._held)
        assert loss is not None
        return loss

    def _held(self) -> list[Tensor]:
        """What an update reads and changes in place."""
        held = [*self.model.parameters(), *self.model.buffers()]
        held += [self.images.pixels, self.images.labels]
        groups, states = self.optimizer.param_groups, self.optimizer.state.values()
        held += [group["lr"] for group in groups if isinstance(group["lr"], Tensor)]
        return held + [v for state in states for v in state.values() if isinstance(v, Tensor)]

    def _step(
        self,
        indices: Tensor,
        models: Sequence[nn.Module],
        known: Hashable | None,
        changes: Tensor | None,
    ) -> Tensor:
        """One update by the mean gradient, those of the shares added in order."""
        trained = self._trained()
        parts = [part for part in torch.tensor_split(indices, len(models)) if len(part)]
        changed: list[tuple[Tensor, ...]] = [()] * len(parts)
        if changes is not None:
            changed = [(change,) for change in torch.tensor_split(changes, len(models))]

        def work(number: int) -> Results:
            part = parts[number]
            images, labels = batch(
                self.images,
                part,
                like=trained[0],
                changes=next(iter(changed[number]), None),
                augmentation=self.recipe.augmentation,
                normalisation=self.normalisation,
            )
            with self._precision():
                outputs = self.objective.outputs(models[number](images), images)
            outputs = outputs.float() if outputs.itemsize < 4 else outputs
            loss = self.objective.loss(outputs, labels)
            loss = loss * (len(part) / len(indices))
            return loss.detach(), *torch.autograd.grad(loss, trained, allow_unused=True)

        programs: list[Program] = []
        inputs = [*self.model.parameters(), *self.model.buffers()]
        inputs += [self.images.pixels, self.images.labels]
        # A recording of no use has been a step all the same, and another follows it.
        if known is not None and indices.device.type == "cpu" and not keeps_state(self.model):
            for number, part in enumerate(parts):
                program = self.programs.find(
                    (known, len(indices)), partial(work, number), [*inputs, part, *changed[number]]
                )
                programs += [] if program is None else [program]
        recorded = len(programs) == len(parts)

        def again(number: int) -> Results:
            return programs[number]([*inputs, parts[number], *changed[number]])

        losses, *gradients = zip(
            *_carried_out(again if recorded else work, range(len(parts)), device=indices.device),
            strict=True,
        )
        for parameter, each in zip(trained, gradients, strict=True):
            there = [gradient for gradient in each if gradient is not None]
            parameter.grad = reduce(torch.add, there) if there else None
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(trained, self.recipe.clip_norm)
        self.optimizer.step()
        return torch.stack(losses).sum()

    def _precision(self) -> AbstractContextManager[object]:
        """In it a forward pass is in bfloat16 where that is safe, if the recipe asks for it."""
        if self.recipe.precision == "float32":
            return nullcontext()
        return torch.autocast(self.images.labels.device.type, dtype=torch.bfloat16)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on: model, optimizer, number of epochs."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epochs": self.epochs,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            KeyError: If a part is missing.
            RuntimeError: If the model's part does not fit.
            ValueError: If the optimizer's part does not fit.
        """
        self.model.load_state_dict(state["model"])
        load_optimizer(self.optimizer, state["optimizer"])
        self.epochs = int(state["epochs"])


def epoch_order(images: int, *, seed: int, epoch: int, weights: Tensor | None = None) -> Tensor:
    """The order in which an epoch visits the images: int64 [images], on the CPU.

    Args:
        images: How many.
        seed: Seed of a run.
        epoch: Epochs done before.
        weights: How likely each is to be drawn, with replacement, as often as there are weights
            above 0; None takes each once.
    """
    generator = torch.Generator().manual_seed(derived_seed("order", seed, epoch))
    if weights is not None:
        chosen = weights.nonzero().flatten()
        likely, count = weights[chosen], len(chosen)
        return chosen[torch.multinomial(likely, count, replacement=True, generator=generator)]
    return torch.randperm(images, generator=generator)


def batch(
    images: Labelled,
    indices: Tensor,
    *,
    like: Tensor,
    changes: Tensor | None = None,
    augmentation: str = "none",
    normalisation: Normalisation | None = None,
) -> tuple[Tensor, Tensor]:
    """The images at `indices` as a network takes them, and their labels.

    Args:
        images: Bytes and labels.
        indices: Which, int64 of any shape.
        like: A tensor of the dtype that is wanted.
        changes: What augmentation does to each, [*indices, 3]; None does nothing.
        augmentation: Which it is.
        normalisation: Applied to pixels in 0..1; None leaves them so.
    """
    bytes_, labels = _at(images.pixels, indices), _at(images.labels, indices)
    if changes is not None:
        bytes_ = augmenting.change(augmentation, bytes_, changes)
        if images.labels.ndim > 1:
            labels = augmenting.change(augmentation, labels, changes, masks=True)
    if like.dtype != torch.get_default_dtype():
        bytes_ = bytes_.to(like.dtype)
    pixels = bytes_ / 255  # bytes to floats and scaled, in one pass
    return pixels if normalisation is None else normalisation(pixels), labels


def _at(rows: Tensor, indices: Tensor) -> Tensor:
    """`rows[indices]`, by an op that takes no masks: its shape is known without their values."""
    return rows.index_select(0, indices.flatten()).view(*indices.shape, *rows.shape[1:])


def prepared(model: nn.Module, *, channels_last: bool = False) -> nn.Module:
    """Put the weights in channels-last order, on a CPU always, which convolutions run on faster.

    MNIST-Conv trains 1.4 times as fast with it. Values do not change.
    """
    if channels_last or next(model.parameters()).device.type == "cpu":
        return model.to(memory_format=torch.channels_last)
    return model


def evaluate(
    model: nn.Module, images: Labelled, *, normalisation: Normalisation | None = None
) -> Score:
    """Loss and accuracy over all images, with random layers in their evaluation mode.

    Args:
        model: Left in the mode it came in.
        images: On the model's device.
        normalisation: That which it was trained with.

    Returns:
        The score; its loss is not finite if the model's outputs are not.
    """
    like = next(model.parameters())
    everything = torch.arange(len(images.labels), device=images.labels.device)
    parts = torch.split(everything, EVALUATION_BATCH)
    was_training = model.training
    model.eval()
    models = copies(model, len(parts))

    def work(number: int) -> tuple[Tensor, Tensor, Tensor | None]:
        inputs, labels = batch(images, parts[number], like=like, normalisation=normalisation)
        own = (models or [model] * len(parts))[number]
        logits = CLASSIFICATION.outputs(own(inputs), inputs)
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        return loss.double(), logits.argmax(dim=1) == labels, _among_likeliest(logits, labels)

    spread = _carried_out if models else in_order
    with torch.no_grad():
        losses, right, among = zip(
            *spread(work, range(len(parts)), device=like.device), strict=True
        )
    model.train(was_training)
    total = float(torch.stack(losses).sum())
    counted = [each.sum() for each in among if each is not None]
    return Score(
        loss=total / len(images.labels),
        right=torch.cat(right).cpu(),
        top5=int(torch.stack(counted).sum()) / len(images.labels) if counted else None,
    )


def _among_likeliest(logits: Tensor, labels: Tensor) -> Tensor | None:
    """Whether each label is among the five largest logits: bool [images]; None for five classes."""
    if logits.shape[1] <= TOP:
        return None
    return (logits.topk(TOP, dim=1).indices == labels[:, None]).any(dim=1)


def _carried_out(
    work: Callable[[int], Result], numbers: Sequence[int], *, device: torch.device
) -> list[Result]:
    """By threads on a CPU; a GPU is filled by one."""
    if device.type == "cpu":
        return in_shares(work, numbers)
    return in_order(work, numbers, device=device)


def _is_separable(model: nn.Module, images: Labelled) -> bool:
    """Whether a batch may be divided: no image's output depends on the others, nothing is drawn.

    BatchNorm is the usual reason against it, and random layers, whose numbers come from one stream.
    """
    probe = copies(model, 2)
    normalised = any(isinstance(module, _NormBase) for module in model.modules())
    if images.labels.device.type != "cpu" or probe is None or normalised:
        return False
    inputs, _ = batch(images, torch.arange(4), like=next(model.parameters()))
    before = Streams.now()
    with torch.no_grad():
        together = CLASSIFICATION.outputs(probe[1](inputs), inputs)
        apart = torch.cat(
            [CLASSIFICATION.outputs(probe[1](half), half) for half in torch.split(inputs, 2)]
        )
    drawn = Streams.now() != before
    before.restore()
    return not drawn and torch.allclose(together, apart, rtol=1e-3, atol=1e-5, equal_nan=True)


def summarise(losses: Tensor, batches: tuple[Tensor, ...]) -> EpochLoss:
    """The epoch's mean over images, from the mean over each batch: float [steps]."""
    bad = (~losses.isfinite()).nonzero()
    sizes = torch.tensor([b.shape[-1] for b in batches], dtype=torch.float64)
    mean = (losses.double().cpu() * sizes).sum() / sizes.sum()
    return EpochLoss(loss=float(mean), diverged_at=int(bad[0]) if len(bad) else None)
