"""From the settings of a run to its network: what all experiments share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import nn

from metaact import activations, models
from metaact.adaptation import stacks_by_default
from metaact.errors import UsageError
from metaact.randomness import derived_seed
from metaact.runs import finite
from metaact.tasks import Images

from .experiment import Signature

STACK = 32
"""Runs in one vectorised call where stacking pays at all."""


class Sources(Protocol):
    """What a config says of code that may be the user's own."""

    @property
    def activation(self) -> str:
        """Name of the activation."""

    @property
    def model(self) -> str:
        """Name of the network."""


class Initialised(Protocol):
    """What a config says of the weights that an activation is fed by."""

    @property
    def activation(self) -> str:
        """Name of the activation."""

    @property
    def init(self) -> str:
        """With which gain weights start."""

    @property
    def forms(self) -> str:
        """What names of activations stand for."""


class NetworkSettings(Sources, Protocol):
    """What a config says of its network."""

    @property
    def size(self) -> int | None:
        """Height and width of its images; None for what it takes."""

    @property
    def init(self) -> str:
        """With which gain its weights start."""

    @property
    def batch_norm(self) -> str | None:
        """How it is normalised."""

    @property
    def seed(self) -> int:
        """Seed of the weights."""

    @property
    def forms(self) -> str:
        """What names of activations stand for."""


class Form(Protocol):
    """The form of images; `metaact.tasks.Images` has one."""

    @property
    def channels(self) -> int:
        """Number of colour channels."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""


def size_for(configs: Iterable[NetworkSettings]) -> int | None:
    """Height and width that the images of a comparison are brought to; None for theirs.

    What was asked for; else what a network takes that does not take any: the images of one
    comparison have one form. Networks are built for whatever channels the images have.

    Raises:
        UsageError: If something else is asked for than what a network takes.
    """
    found = None
    for config in configs:
        needed = models.network_of(config.model).size
        if None not in (needed, config.size) and needed != config.size:
            raise UsageError(
                f"`size` must be {needed} or left out ({config.model} takes no other images); got "
                f"{config.size}."
            )
        found = found or config.size or needed
    return found


def form_notes(images: Images) -> tuple[str, ...]:
    """What was done to the size and the channels of the images, a sentence."""
    done = images.provenance.form
    return (f"Images of {images.provenance.dataset} were {done}.",) if done else ()


def gain_notes(
    configs: Iterable[Initialised], gain: Callable[[activations.Entry, str], float] = models.gain_of
) -> tuple[str, ...]:
    """The gains of the arms, where they were measured or differ from arm to arm, a sentence.

    Args:
        configs: Runs that are compared.
        gain: The gain of an activation and a way of initialisation.
    """
    found: dict[str, list[str]] = {}
    for name, init, forms in dict.fromkeys((c.activation, c.init, c.forms) for c in configs):
        if init != "default":
            value = gain(activations.resolve(name, forms), init)
            found.setdefault(f"{value:.3g}", []).append(name)
    if len(found) < 2 and all(c.init == "relu" for c in configs):
        return ()
    told = "; ".join(f"{value} for {', '.join(names)}" for value, names in found.items())
    return (f"Gain of initial weights: {told}.",) if told else ()


def network(
    config: NetworkSettings, images: Form, *, classes: int, device: str, as_designed: bool = False
) -> nn.Module:
    """The network of one seed before training.

    All arms of a seed draw from the same generator state, so where shapes agree they start from
    the same weights.

    Args:
        config: The settings.
        images: What it is to take, or images of that form.
        classes: Its outputs.
        device: Where it is to be.
        as_designed: Whether another's network keeps the activations that it was designed with.
    """
    assert config.batch_norm is not None
    return models.create(
        config.model,
        None if as_designed else activations.resolve(config.activation, config.forms),
        classes=classes,
        channels=images.channels,
        size=images.size,
        batch_norm=config.batch_norm,
        init=config.init,
        generator=weights_generator(config.seed),
    ).to(device)


def weights_generator(seed: int) -> torch.Generator:
    """Where the weights of a seed are drawn from; the same for all arms."""
    return torch.Generator().manual_seed(derived_seed("weights", seed))


def most_together(stack: int | None, device: str) -> int:
    """Most runs that are trained in one vectorised call.

    Args:
        stack: What the user says; None leaves it to the device.
        device: Where they are trained.
    """
    if stack is not None:
        return stack
    return STACK if stacks_by_default(device) else 1


def source_identity(config: Sources) -> dict[str, str]:
    """Hashes of the user's own code that a run is made of, for its identity."""
    return {
        **activations.source_identity(config.activation),
        **models.source_identity(config.model),
    }


def signature(images: Images, *, ways: int | None = None) -> Signature:
    """What a network for these images takes and gives.

    Args:
        images: Images of the form that it takes.
        ways: Classes of a task, where tasks say what classes there are; None has those of the
            images.
    """
    names = images.class_names if ways is None else ()
    outputs = images.classes if ways is None else ways
    return Signature(channels=images.channels, size=images.size, outputs=outputs, class_names=names)


def counts(model: nn.Module) -> dict[str, object]:
    """Sizes and final α, β of a model, for `result.json`."""
    values = activations.attention_values(model)
    return {
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "attention": finite(values),
        "stuck_alpha": activations.stuck_count(model),
        "attention_layers": len(values),
    }


def run_name(*parts: object, activation: str, seed: int) -> str:
    """A readable name of a run: its data, the arm, the seed."""
    return "-".join([*map(str, parts), activation.replace(":", "."), f"seed{seed}"])
