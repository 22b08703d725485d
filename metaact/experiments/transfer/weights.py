"""Trained weights that a fine-tuning may start from: a run, a file, or a library's own."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from torch import Tensor

from metaact.errors import DataError, MissingDependencyError, UsageError
from metaact.experiments.experiment import Signature
from metaact.experiments.trained import load
from metaact.models.table import TIMM, TORCHVISION
from metaact.runs.checkpoint import WEIGHTS, activation_of, fingerprint, is_dense, read_torch
from metaact.runs.config_file import NAME as CONFIG

SAFETENSORS = ".safetensors"

INSTALL = "pip install safetensors"

WITHIN = ("state_dict", "model_state_dict", "model")
"""Names under which programs keep a state dict beside other things."""

PREFIXES = ("module.", "_orig_mod.")
"""What wrappers (several GPUs, `torch.compile`) put before every name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """The weights of a trained network, on the CPU, and what is known of it.

    Attributes:
        name: How tables call them.
        state: The state dict.
        sha256: Hash of it.
        activation: What the network was trained with; "" where nothing says it.
        model: Name of the network; "" where nothing says it.
        batch_norm: How it is normalised; None where nothing says it.
        signature: What the network takes and gives; None where nothing says it.
        normalisation: Mean and standard deviation of each channel that it was fed with; None where
            nothing says it.
    """

    name: str
    state: Mapping[str, Tensor]
    sha256: str
    activation: str = ""
    model: str = ""
    batch_norm: str | None = None
    signature: Signature | None = None
    normalisation: Mapping[str, Any] | None = None


def read_weights(place: str) -> Weights:
    """Read trained weights, without running any code.

    Args:
        place: A run directory; a file that holds a state dict: `.safetensors`, or what
            `torch.save` wrote; or "torchvision:NAME" or "timm:NAME" for the library's own.

    Raises:
        UsageError: If there is no such thing.
        DataError: If the file is damaged, asks to run code, or holds no state dict, or a library's
            weights cannot be fetched.
        RunError: If the run is unfinished or damaged.
        MissingDependencyError: If safetensors is needed and not installed.
    """
    library, _, own = place.partition(":")
    if library in LIBRARIES:
        return _of_library(library, own)
    path = Path(place)
    if path.name == WEIGHTS and (path.parent / CONFIG).is_file():
        path = path.parent  # the run says what its weights are
    if path.is_dir():
        return _of_run(path)
    if not path.is_file():
        raise UsageError(
            "`weights` must be a run directory, a file of weights, torchvision:NAME or timm:NAME; "
            f"got {place!r}, which is not there."
        )
    found = _safetensors(path) if path.suffix == SAFETENSORS else _torch(path)
    state = _without_prefix(_state_of(path, found))
    return Weights(
        name=path.name,
        state=state,
        sha256=_hash(state),
        activation=activation_of(found),
    )


def _of_run(directory: Path) -> Weights:
    trained = load(directory)
    config: Any = trained.config
    state = trained.network.state_dict()
    return Weights(
        name=directory.resolve().name,
        state=state,
        sha256=_hash(state),
        activation=config.activation,
        model=config.model,
        batch_norm=config.batch_norm,
        signature=trained.signature,
        normalisation=trained.normalisation,
    )


def _hash(state: Mapping[str, Tensor]) -> str:
    return fingerprint(dict(sorted(state.items())))  # some files keep no order


def _of_library(library: str, own: str) -> Weights:
    """The weights that a library has by default for one of its networks; they are downloaded."""
    place = f"{library}:{own}"
    try:
        state, mean, std = LIBRARIES[library](own)
    except MissingDependencyError:
        raise
    except Exception as error:  # of the name, of the library, of the network
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"the weights of {place} could not be had ({reason}); fetch them where you are online, "
            f"and give the file: --model {place} --pretrained FILE."
        ) from error
    return Weights(
        name=place,
        state=state,
        sha256=_hash(state),
        model=place,
        normalisation={"mean": list(mean), "std": list(std), "scale": "pixels in 0..1"},
    )


def _of_torchvision(own: str) -> tuple[Mapping[str, Tensor], Sequence[float], Sequence[float]]:
    from torchvision import models

    weights = models.get_model_weights(own).DEFAULT
    form: Any = weights.transforms()
    return weights.get_state_dict(progress=False, check_hash=True), form.mean, form.std


def _of_timm(own: str) -> tuple[Mapping[str, Tensor], Sequence[float], Sequence[float]]:
    try:
        timm: Any = importlib.import_module("timm")
    except ImportError as error:
        raise MissingDependencyError(
            f"`weights` {TIMM}:{own} needs timm ({error}); install it by: pip install timm"
        ) from error
    model = timm.create_model(own, pretrained=True)
    return model.state_dict(), model.pretrained_cfg["mean"], model.pretrained_cfg["std"]


LIBRARIES = {TORCHVISION: _of_torchvision, TIMM: _of_timm}
"""Whose networks have weights that can be fetched by name."""


def _torch(path: Path) -> object:
    try:
        return read_torch(path)
    except UnpicklingError as error:
        raise DataError(
            f"{path} must hold a state dict, tensors alone (anything else could run code, which is "
            "refused; or it is truncated): save it by `torch.save(model.state_dict(), ...)`."
        ) from error
    except Exception as error:  # a damaged file raises whatever it happens to hit
        raise _unreadable(path, error) from error


def _safetensors(path: Path) -> object:
    try:
        reader: Any = importlib.import_module("safetensors.torch")
    except ImportError as error:
        raise MissingDependencyError(
            f"{path.name} needs safetensors to be read ({error}); install it by: {INSTALL}"
        ) from error
    try:
        return reader.load_file(path)
    except Exception as error:  # a damaged file raises whatever it happens to hit
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
    return DataError(f"{path} cannot be read as weights (truncated or damaged?): {reason}.")


def _state_of(path: Path, found: object) -> dict[str, Tensor]:
    """The state dict in what a file holds, by itself or beside other things."""
    inside = [found]
    if isinstance(found, dict):
        inside += [found[name] for name in WITHIN if name in found]
    for one in inside:
        if isinstance(one, dict) and one and all(is_dense(v) for v in one.values()):
            return {str(name): value for name, value in one.items()}
    raise DataError(
        f"{path} must hold a state dict of dense tensors, by itself or as 'state_dict' or "
        f"'model'; it holds {_what(found)}."
    )


def _what(found: object) -> str:
    if not isinstance(found, dict):
        return f"a {type(found).__name__}"
    names = [repr(name) for name in found][:5]
    return f"{', '.join(names)}, ..." if len(found) > len(names) else ", ".join(names) or "nothing"


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state
