"""The network that a fine-tuning starts from, where its weights were trained before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from metaact import activations
from metaact.activations.conversion.checks import check_swappable
from metaact.adaptation import Normalisation, head_of
from metaact.adaptation.supervised.trainer import batch
from metaact.errors import UsageError
from metaact.experiments.networks import network
from metaact.models import is_foreign
from metaact.randomness import derived_seed
from metaact.tasks import Images

from .config import TransferConfig
from .weights import Weights

SAMPLE = 256
"""Images that a warm swap is fitted on, or as many as there are."""

COUNTERS = "num_batches_tracked"
"""Entry of BatchNorm that old files lack, and that its output does not depend on."""


def started(
    config: TransferConfig,
    weights: Weights,
    images: Images,
    *,
    normalisation: Normalisation | None,
    device: str,
) -> nn.Module:
    """The trained network with the arm's activation, and a new head where the classes differ.

    In a plain swap all but the parameters of activations is carried over; those have their start
    values. In a warm swap they start where they fit the old activation best on images of the
    target, see `metaact.convert`. A network that was trained with the very activation of the arm
    stays as it is.

    Args:
        config: The settings of the arm.
        weights: What was trained.
        images: The training part of the target, in the network's form.
        normalisation: What the network is fed with.
        device: Where the network is to be.

    Raises:
        UsageError: If the weights are of another network than the settings say, or the activation
            cannot take the place of another.
    """
    before = trained_with(config, weights)
    model = _trained(config, weights, images, device=device)
    if config.activation == before:
        return model
    entry = activations.resolve(config.activation, config.forms)
    check_swappable(entry)
    new = network(config, images, classes=images.classes, device=device)
    carried = _outside(model)
    if carried.keys() != _outside(new).keys():
        raise UsageError(
            f"`activation` must be one that leaves all other layers of {config.model} as they are; "
            f"got {config.activation!r}."
        )
    if config.swap == "warm":
        sample = _sample(images, normalisation, like=model)
        carried = activations.convert(model, entry, warm_start=sample).state_dict()
    new.load_state_dict({**new.state_dict(), **carried})
    return new


def _sample(images: Images, normalisation: Normalisation | None, *, like: nn.Module) -> Tensor:
    """Training images that a warm swap is fitted on, the same for all arms and seeds."""
    generator = torch.Generator().manual_seed(derived_seed("warm swap"))
    chosen = torch.randperm(len(images), generator=generator)[:SAMPLE]
    parameter = next(like.parameters())
    pixels, _ = batch(
        images, chosen.to(parameter.device), like=parameter, normalisation=normalisation
    )
    return pixels


def check_network(config: TransferConfig, weights: Weights) -> None:
    """Refuse settings of another network than the one that was trained, where that is known.

    Raises:
        UsageError: If they are.
    """
    for name in ("model", "batch_norm"):
        known, asked = getattr(weights, name), getattr(config, name)
        if known and asked != known:
            raise UsageError(f"`{name}` must be {known}, as in {weights.name}; got {asked}.")


def trained_with(config: TransferConfig, weights: Weights) -> str:
    """The activation of the trained network, as a canonical name.

    It is "" for another's network with the activations that it was designed with.

    Raises:
        UsageError: If nothing says it, or the settings say another than the weights.
    """
    said = config.trained_with
    if said is not None:
        said = activations.resolve(said, config.forms).name
    if weights.activation and said not in (None, weights.activation):
        raise UsageError(
            f"`trained_with` must be {weights.activation} (as {weights.name} says; with "
            f"another it would compute something else); got {said}."
        )
    found = weights.activation or said or ""
    if not found and not is_foreign(config.model):
        raise UsageError(
            f"`trained_with` must name the activation of the network in {weights.name} (the file "
            "does not say it); got none."
        )
    return found


def keeps_head(config: TransferConfig, weights: Weights, images: Images) -> bool:
    """Whether the trained network has as many outputs as the target has classes."""
    if weights.signature is not None:
        return weights.signature.outputs == images.classes
    model = _as_trained(config, weights, images, device="cpu")
    head = weights.state.get(f"{head_of(model)}.weight")
    return head is None or len(head) == images.classes


def _as_trained(
    config: TransferConfig, weights: Weights, images: Images, *, device: str
) -> nn.Module:
    """The network with the activation that it was trained with, for the target's classes."""
    before = trained_with(config, weights)
    return network(
        replace(config, activation=before or config.activation),
        images,
        classes=images.classes,
        device=device,
        as_designed=not before,
    )


def _trained(config: TransferConfig, weights: Weights, images: Images, *, device: str) -> nn.Module:
    """The same with the trained weights, but for a head of other classes.

    Raises:
        UsageError: If they are not those of the network.
    """
    model = _as_trained(config, weights, images, device=device)
    left = "" if keeps_head(config, weights, images) else f"{head_of(model)}."

    def asked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {n: v for n, v in state.items() if not (left and n.startswith(left))}

    own, given = asked(model.state_dict()), asked(weights.state)
    why = next(_differences(own, given), None)
    if why is not None:
        form = "x".join(map(str, images.pixels.shape[1:]))
        before = trained_with(config, weights) or "its own activations"
        raise UsageError(
            f"`weights` must be those of {config.model} with {before} for images of {form} "
            f"({why}); got {weights.name}."
        )
    model.load_state_dict({**model.state_dict(), **given})
    return model


def _differences(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterator[str]:
    for name, value in own.items():
        if name not in given:
            if not name.endswith(COUNTERS):
                yield f"they lack `{name}`"
        elif given[name].shape != value.shape:
            yield (
                f"`{name}` is {list(given[name].shape)} in them and {list(value.shape)} in the "
                "network"
            )
    yield from (f"the network has no `{name}`" for name in given if name not in own)


def _outside(model: nn.Module) -> dict[str, Tensor]:
    """What of a state dict does not belong to activations."""
    inside = activations.inside_activations(model)
    paths = tuple(f"{path}." for path, module in model.named_modules() if module in inside)
    return {n: v for n, v in model.state_dict().items() if not n.startswith(paths)}
