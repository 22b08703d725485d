"""Networks from elsewhere: torchvision's, timm's and the user's own, converted for each arm."""

from __future__ import annotations

import copy
import difflib
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from metaact import activations
from metaact.activations.user import check_not_lazy, file_sha256, named, tried
from metaact.errors import MissingDependencyError, UsageError
from metaact.randomness import isolated_rng, preserved_rng

from .blocks import groups
from .table import TIMM, TORCHVISION, is_foreign

IMAGES = 2
"""Images that a network is tried on: the least of which a batch has statistics."""


def foreign(
    name: str,
    activation: activations.Entry | None,
    *,
    classes: int,
    channels: int,
    size: tuple[int, int],
    batch_norm: str,
    generator: torch.Generator,
    dense: bool = False,
) -> nn.Module:
    """Build a network of another's, convert it, and try it on two images.

    Its weights are what its own code draws with all global streams seeded by the generator's seed:
    all arms of a seed start from the same ones. The streams themselves stay as they were.

    Args:
        name: "torchvision:NAME", "timm:NAME" or "module:factory", see `metaact.models.create`.
        activation: What stands in every place; None leaves what it was designed with.
        classes: Outputs.
        channels: Input channels.
        size: Height and width of the images.
        batch_norm: As for `normalised`.
        generator: Its seed is that of the weights.
        dense: Whether it gives logits of every pixel, not of an image.

    Raises:
        UsageError: If there is no such network, it cannot be built or converted, does not take such
            images, or does not give logits of the classes.
        MissingDependencyError: If timm is asked for and not installed.
    """
    images = torch.linspace(-1, 1, IMAGES * channels * math.prod(size)).view(
        IMAGES, channels, *size
    )
    with isolated_rng("weights", generator.initial_seed()):
        plain = _build(name, classes=classes, channels=channels, size=size)
        _check(name, plain, images, (classes, *size) if dense else (classes,))
        model = plain
        if activation is not None:
            model = activations.convert(plain, activation, example=images)
    normalised(model, batch_norm, name=name)
    return model


def source_identity(name: str) -> dict[str, str]:
    """A hash of the file behind `module:factory`, for the identity of a run.

    A network that was edited must not be answered with the runs of its earlier self. What the file
    imports is not hashed.

    Args:
        name: As for `metaact.models.create`.

    Returns:
        {"model_sha256": 64 hex digits}; {} for a network of metaact's, torchvision's or timm's.

    Raises:
        UsageError: If the module cannot be imported.
    """
    if not is_foreign(name) or name.partition(":")[0] in (TORCHVISION, TIMM):
        return {}
    named(name, refused)
    found = file_sha256(name)
    return {} if found is None else {"model_sha256": found}


def _build(name: str, **form: Any) -> nn.Module:
    source, _, own = name.partition(":")
    if source == TORCHVISION:
        return _torchvision(own, **form)
    if source == TIMM:
        return _timm(own, **form)
    factory = named(name, refused)
    made: object = tried(lambda: factory(**form), name, refused)
    if not isinstance(made, nn.Module):
        raise refused(name, f"it returned a {type(made).__name__}")
    check_not_lazy(name, made, refused)
    return made


_TORCHVISION: Mapping[str, Mapping[str, Any]] = {
    # Their auxiliary classifiers make the output of training a tuple.
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


def _torchvision(own: str, *, classes: int, channels: int, size: tuple[int, int]) -> nn.Module:
    from torchvision import models

    _check_listed(TORCHVISION, own, models.list_models(module=models))
    more = dict(_TORCHVISION.get(own, {}))
    if own.startswith("vit_"):
        more["image_size"] = size[0]
    elif own.startswith("maxvit"):
        more["input_size"] = size

    def make() -> nn.Module:
        made: nn.Module = models.get_model(own, weights=None, num_classes=classes, **more)
        return made

    model = tried(make, f"{TORCHVISION}:{own}", _unbuilt(size))
    if channels != 3:
        _take_channels(model, channels)
    return model


def _take_channels(model: nn.Module, channels: int) -> None:
    """Let the first convolution take other channels: its weights of 3 channels, over and over."""
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    turns = torch.arange(channels) % first.in_channels
    first.weight = nn.Parameter(first.weight.detach()[:, turns].clone())
    first.in_channels = channels


def _timm(own: str, *, classes: int, channels: int, size: tuple[int, int]) -> nn.Module:
    try:
        timm: Any = importlib.import_module("timm")
    except ImportError as error:
        raise MissingDependencyError(
            f"`model` {TIMM}:{own} needs timm ({error}); install it by: pip install timm"
        ) from error
    _check_listed(TIMM, own, timm.list_models())
    default = timm.get_pretrained_cfg(own)
    fixed = default is not None and default.fixed_input_size
    more = {"img_size": size} if fixed else {}

    def make() -> nn.Module:
        made: nn.Module = timm.create_model(
            own, pretrained=False, num_classes=classes, in_chans=channels, **more
        )
        return made

    return tried(make, f"{TIMM}:{own}", _unbuilt(size))


def _check_listed(library: str, own: str, known: Sequence[str]) -> None:
    """Refuse a name that a library does not list, with the nearest that it does."""
    if own not in known:
        near = difflib.get_close_matches(own, known, n=1)
        hint = f" Did you mean {library}:{near[0]}?" if near else ""
        raise UsageError(
            f"`model` must be one of the {len(known)} classifiers that {library} lists (by "
            f"list_models()); got '{library}:{own}'.{hint}"
        )


def _unbuilt(size: tuple[int, int]) -> Callable[[str, str], UsageError]:
    def error(name: str, why: str) -> UsageError:
        reason = " ".join(why.split())
        return UsageError(
            f"`model` must be a network that can be built for images of {size[0]}x{size[1]} "
            f"({reason}); got {name!r}."
        )

    return error


def refused(name: str, why: str) -> UsageError:
    """The error for a user's network that cannot be used."""
    reason = " ".join(why.split())
    return UsageError(
        "`model` module:factory must name a callable that returns a fresh torch.nn.Module and takes"
        f" the keywords classes, channels and size=(height, width) ({reason}); got {name!r}."
    )


def _check(name: str, model: nn.Module, images: Tensor, each: tuple[int, ...]) -> None:
    """Refuse a network that does not make logits [images, *each] of images, in either mode."""
    form = "x".join(map(str, images.shape[1:]))
    probe = copy.deepcopy(model)

    def fails(_: str, why: str) -> UsageError:
        reason = " ".join(why.split())
        return UsageError(
            f"`model` must take images of {form}, channels first ({reason}); got {name!r}, which "
            "may need larger ones (--size)."
        )

    for training in (True, False):
        probe.train(training)
        with preserved_rng(), torch.no_grad():
            output: object = tried(lambda: probe(images), name, fails)
        shown = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        if shown != [len(images), *each]:
            what = f"{each[0]} classes" if len(each) == 1 else "every pixel"
            raise UsageError(
                f"`model` must give logits {[len(images), *each]} for {len(images)} images of "
                f"{form} and {what}; got {shown} from {name!r}."
            )


def normalised(model: nn.Module, batch_norm: str, *, name: str) -> None:
    """Put another normalisation where a network has BatchNorm; see `metaact.models.BATCH_NORM`.

    Args:
        model: Changed in place. LayerNorm, GroupNorm and what else it has stays.
        batch_norm: "running" leaves it as it is. In "group" a GroupNorm takes over weight and bias
            of each channel.
        name: The network's, for messages.

    Raises:
        UsageError: If there is no BatchNorm to put "group" or "off" in the place of, or one that is
            more than that.
    """
    found = {path: m for path, m in model.named_modules() if isinstance(m, _BatchNorm)}
    if batch_norm in ("group", "off") and not found:
        raise UsageError(
            f"`batch_norm` must be left out for {name} (it has no BatchNorm); got {batch_norm!r}."
        )
    for path, old in found.items():
        if batch_norm == "batch":
            old.track_running_stats = False
            old.running_mean = old.running_var = old.num_batches_tracked = None
        elif batch_norm != "running":
            if not type(old).__module__.startswith("torch.nn."):
                raise UsageError(
                    f"`batch_norm` must be running or batch for {name} (its `{path}`, a "
                    f"{type(old).__name__}, may do more than normalise); got {batch_norm!r}."
                )
            model.set_submodule(path, _grouped(old) if batch_norm == "group" else nn.Identity())


def _grouped(old: _BatchNorm) -> nn.GroupNorm:
    width = old.num_features
    new = nn.GroupNorm(groups(width), width, eps=old.eps, affine=old.affine)
    if old.affine:
        new.weight, new.bias = old.weight, old.bias
    return new
