"""Streams of images: networks that learn to classify."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metaact import activations, models, tasks
from metaact.adaptation import refusal
from metaact.adaptation.classifiers import Lessons, OnlineClassifiers, check_keeps_nothing
from metaact.adaptation.diagnostics import own_parameters
from metaact.adaptation.draws import is_same_function
from metaact.experiments.networks import form_notes, gain_notes, size_for, weights_generator
from metaact.experiments.supervised import check_classes
from metaact.tasks import Images
from metaact.tasks.streams.images import (
    Classes,
    ImageStream,
    Lesson,
    Permuted,
    RandomLabels,
)

from .config import CLASSES, StreamConfig
from .course import Found, Own, State
from .gains import gain_of, published

BLOCK = 1000
"""Examples at most that are laid out in memory at a time."""

SEEN = 256
"""Examples at most, the last of the task, on which a network is looked at."""

TESTED = 2000
"""Test images at most that classes which have come are told by."""


class Pictures:
    """The images that the streams of one comparison are made of, and networks that learn them.

    Args:
        configs: Runs that share data, stream and tasks.
        root: Data root; None for the default.
        device: Where to compute.

    Raises:
        UsageError: If an activation is unknown, the network does not fit the images, or the data
            have too few classes.
        DataError: If the data cannot be had.
    """

    def __init__(self, configs: Sequence[StreamConfig], *, root: Path | None, device: str) -> None:
        first = configs[0]
        dataset = str(first.dataset)
        tasks.check_shares_classes("dataset", dataset)
        split = tasks.split(
            dataset,
            root=root,
            hold_out="images",
            validation=0,
            size=size_for(configs),
            channels=first.channels,
        )
        check_classes("dataset", dataset, split.train)
        train = tasks.thinned(split.train, first.images) if first.images else split.train
        self.device, self.train = device, train.to(device)
        self.test = tasks.thinned(split.test, TESTED).to(device)
        self.labels = train.labels.numpy()
        pixels = train.sha256()
        blocks = self.stream(replace(first, seed=0)).blocks(0, 2 * first.task_steps)
        whole = "".join([pixels, *(block.sha256() for block in blocks)])
        self.sha256 = hashlib.sha256(whole.encode()).hexdigest()
        about = {"images": len(train), "classes": train.classes, "sha256": pixels}
        self.data = {
            "official": train.provenance.official,
            "stream": {**asdict(train.provenance), **about},
        }
        self.notes = (*form_notes(train), *gain_notes(configs, gain_of))
        self._draws = {}
        for config in {replace(c, seed=0, lr=1.0): c for c in configs}.values():
            model = self.build(config)
            inputs = self.train.pixels[:2] / 255
            check_keeps_nothing(model, inputs)
            another = self.build(replace(config, seed=config.seed + 1))
            alike = is_same_function(model, another, inputs)
            self._draws[config.activation] = not alike or refusal(model, self.train) is not None

    def stream(self, config: StreamConfig) -> ImageStream:
        """The stream of a run's seed."""
        common = {
            "seed": config.seed,
            "every": config.task_steps,
            "transition": config.transition,
        }
        classes = self.train.classes
        if config.stream == "permuted":
            height, width = self.train.size
            return Permuted(self.labels, pixels=height * width, **common)
        if config.stream == "random-labels":
            return RandomLabels(self.labels, classes=classes, **common)
        assert config.new_classes is not None
        return Classes(
            self.labels,
            classes=classes,
            group=config.new_classes,
            head=str(config.head),
            cumulative=config.cumulative,
            **common,
        )

    def course(self, config: StreamConfig) -> Classifiers:
        """What computes all runs of an arm."""
        return Classifiers(config, self)

    def alone(self, config: StreamConfig) -> bool:
        """Whether the arm draws random numbers, when made or later, or cannot be vectorised."""
        return self._draws[config.activation]

    def build(self, config: StreamConfig) -> nn.Module:
        """The network of one seed before its first step."""
        entry = activations.resolve(config.activation)
        foreign = models.is_foreign(config.model)
        given = config.init == "published" and not foreign
        common: dict[str, Any] = {
            "classes": self.train.classes,
            "channels": self.train.channels,
            "size": self.train.size,
            "init": published(entry) if given else config.init,
            "generator": weights_generator(config.seed),
        }
        model: nn.Module
        if config.hidden is not None and config.layers is not None:
            model = models.mlp(entry, width=config.hidden, layers=config.layers, **common)
        else:
            model = models.create(config.model, entry, batch_norm=config.batch_norm, **common)
        return model.to(self.device)


class Classifiers:
    """Networks that classify images; see `metaact.adaptation.classifiers`.

    Args:
        config: One of their runs.
        pictures: What the streams are made of.
    """

    def __init__(self, config: StreamConfig, pictures: Pictures) -> None:
        self.config, self.pictures = config, pictures
        self.batch = config.batch
        self.block = max(1, BLOCK // self.batch) * self.batch
        self.model = pictures.build(config)
        kind = type(activations.resolve(config.activation).factory())
        self.nets = OnlineClassifiers(
            self.model,
            activation=kind,
            optimizer=config.optimizer,
            stacked=False if pictures.alone(config) else None,
        )

    @property
    def parameters(self) -> int:
        """Trained numbers of a network."""
        return self.nets.parameters

    def fresh(self, config: StreamConfig) -> dict[str, Tensor]:
        """A network before its first step."""
        return self.nets.fresh(self.pictures.build(config))

    def take(self, rates: Sequence[float], states: Sequence[State], *, examples: int) -> None:
        """Take networks into training that have learned from so many examples."""
        self.nets.take(rates, states, steps=examples // self.batch)

    def learn(self, parts: Sequence[Lesson], of: Sequence[int]) -> Tensor:
        """Learn from examples; whether each was classified rightly [examples, networks]."""
        lessons = [laid_out(part, self.pictures.train, batch=self.batch) for part in parts]
        return self.nets.learn(lessons, of).cpu()

    def look(self, streams: Sequence[ImageStream], at: int, of: Sequence[int]) -> Found:
        """What the layers are like on the last examples, and how much of all classes is known."""
        every = self.config.task_steps
        start = max(at - SEEN, (at - 1) // every * every)
        parts = [stream.blocks(start, at)[0] for stream in streams]
        found = self.nets.diagnose([laid_out(p, self.pictures.train, batch=1) for p in parts], of)
        if self.config.stream != CLASSES:
            return Found(layers=found)
        seen = self._seen(streams, (at - 1) // every, of)
        return Found(layers=found, figures={"seen_accuracy": seen})

    def _seen(self, streams: Sequence[ImageStream], task: int, of: Sequence[int]) -> Tensor:
        """Accuracy on test images of all classes that have come by a task [networks]."""
        test = self.pictures.test
        known = []
        for stream in streams:
            assert isinstance(stream, Classes)
            rivals = torch.from_numpy(stream.rivals(task)).to(test.labels.device)
            chosen = rivals.any(dim=1)[test.labels]
            labels = test.labels[chosen]
            known.append((test.pixels[chosen] / 255, labels, rivals[labels]))
        return self.nets.accuracies(known, of)

    @property
    def states(self) -> list[dict[str, Tensor]]:
        """The networks as they are now, on the CPU."""
        return self.nets.states

    def network(self, state: State) -> nn.Module:
        """The network with the numbers that it has by now."""
        with torch.no_grad():
            for name in self.nets.names:
                self.model.get_parameter(name).copy_(state[name])
        return self.model

    def own(self, state: State) -> Own:
        """The activations' own parameters, by their path in the network."""
        self.network(state)
        return {path: own_parameters(place) for path, place in self.nets.places.items()}

    def weights(self, state: State) -> dict[str, Tensor]:
        """The numbers of a network, as its module has them."""
        held = {n: v.detach().cpu() for n, v in self.model.state_dict().items()}
        return {**held, **{name: state[name] for name in self.nets.names}}


def laid_out(part: Lesson, images: Images, *, batch: int) -> Lessons:
    """Examples as networks take them, in steps of so many."""
    device = images.labels.device

    def tensor(numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(device)

    late = tensor(part.late)
    pixels = images.pixels[tensor(part.images)].flatten(2)
    if part.places is not None:
        new, old = tensor(part.places)
        before = late.bool()
        moved = pixels[:, :, new]
        if before.any():
            moved[before] = pixels[before][:, :, old]
        pixels = moved
    outputs = None if part.outputs is None else tensor(part.outputs)[late]
    return Lessons(
        images=(pixels / 255).view(-1, batch, images.channels, *images.size),
        labels=tensor(part.labels).view(-1, batch),
        outputs=None if outputs is None else outputs.view(-1, batch, images.classes),
    )
