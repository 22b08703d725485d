"""Checkpoints: tensors and plain containers, hashed, loaded without running any code."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaact.errors import UsageError
from metaact.runs.atomic import write_atomically

from .strict_json import damaged

if TYPE_CHECKING:
    from hashlib import _Hash

NAME, WEIGHTS = "checkpoint.pt", "weights.pt"


def save(path: Path, state: Mapping[str, Any], *, identity: str, metrics_bytes: int) -> None:
    """Write a checkpoint atomically.

    Args:
        path: The file.
        state: Tensors, numbers, texts, None, and dicts, lists and tuples of these.
        identity: The run's identity; a checkpoint of another run is refused on loading.
        metrics_bytes: Length of `metrics.jsonl` that belongs to this state.

    Raises:
        UsageError: If the state holds anything that cannot be loaded safely.
        RunError: If it cannot be written.
    """
    import torch

    payload = {
        "state": dict(state),
        "sha256": fingerprint(state),
        "identity": identity,
        "metrics_bytes": metrics_bytes,
    }
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path, *, identity: str) -> tuple[dict[str, Any], int]:
    """Read a checkpoint back onto the CPU.

    Returns:
        The state, and the length of `metrics.jsonl` that belongs to it.

    Raises:
        RunError: If the file is damaged or belongs to another run.
    """
    try:
        payload: Any = read_torch(path)
        state, length = payload["state"], payload["metrics_bytes"]
        intact = payload["sha256"] == fingerprint(state)
        own = payload["identity"] == identity
    except Exception as error:  # a damaged pickle or zip raises whatever it happens to hit
        raise damaged(path, f"{type(error).__name__} on loading") from error
    if not intact:
        raise damaged(path, "its content does not match its hash")
    if not own:
        raise damaged(path, "it belongs to another run")
    return state, length


ACTIVATION = "activation"
"""Entry of a state dict's metadata: what its network was trained with."""


def save_weights(path: Path, state: Mapping[str, Any], *, activation: str | None = None) -> None:
    """Write a model's `state_dict()` atomically, as plain as `torch.save` would.

    Args:
        path: The file.
        state: The state dict.
        activation: What its network was trained with: two activations without parameters have the
            same state dict. It is written where PyTorch keeps the versions of modules, which
            `load_state_dict` leaves alone; None writes nothing.

    Raises:
        UsageError: If it holds anything that cannot be loaded safely.
        RunError: If it cannot be written.
    """
    import torch

    fingerprint(state)
    written = OrderedDict(state)
    if activation is not None:
        versions = getattr(state, METADATA, {})
        own = {**versions.get("", {}), ACTIVATION: activation}
        setattr(written, METADATA, OrderedDict({**versions, "": own}))
    buffer = io.BytesIO()
    torch.save(written, buffer)
    write_atomically(path, buffer.getvalue())


def activation_of(state: object) -> str:
    """What the network of a state dict was trained with; "" where that is not written in it."""
    about = getattr(state, METADATA, None)
    own = about.get("") if isinstance(about, dict) else None
    named = own.get(ACTIVATION) if isinstance(own, dict) else None
    return named if isinstance(named, str) else ""


METADATA = "_metadata"
"""Attribute of a state dict that holds the versions of its modules, by path."""


def load_weights(path: Path) -> dict[str, Any]:
    """Read a `state_dict()` back onto the CPU.

    Raises:
        RunError: If the file is missing or damaged.
    """
    try:
        state = read_torch(path)
    except Exception as error:  # a damaged pickle or zip raises whatever it happens to hit
        raise damaged(path, f"{type(error).__name__} on loading") from error
    if not isinstance(state, dict):
        raise damaged(path, f"it holds a {type(state).__name__} and no state_dict")
    if not all(isinstance(name, str) for name in state):
        raise damaged(path, "it holds names that are no texts")
    return state


def read_torch(path: Path) -> object:
    """What `torch.save` wrote, on the CPU, without running code and without PyTorch's warnings.

    It warns of tensors that are refused here anyway.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: object = torch.load(path, map_location="cpu", weights_only=True)
    return found


def is_dense(value: object) -> bool:
    """Whether it is a tensor that has a real number in each place, as those of networks have."""
    import torch

    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        return False
    return not (value.is_meta or value.is_complex())


def fingerprint(state: object) -> str:
    """Hash a state by value, and refuse what `weights_only` loading would refuse.

    torch does not verify the checksums inside its files, so that a flipped bit in a weight would
    pass unseen.

    Raises:
        UsageError: If the state holds another type than `save` allows.
    """
    digest = hashlib.sha256()
    _add(digest, state, "state")
    return digest.hexdigest()


def _add(digest: _Hash, value: object, where: str) -> None:
    import torch

    if isinstance(value, torch.Tensor):
        content = value.detach().cpu().contiguous()
        digest.update(f"tensor {content.dtype} {list(content.shape)}".encode())
        digest.update(content.reshape(-1).view(torch.uint8).numpy().tobytes())
    elif value is None or type(value) in (bool, int, float, str, bytes):
        digest.update(f"{type(value).__name__} {value!r};".encode("utf-8", "surrogatepass"))
    elif type(value) in (dict, OrderedDict) and isinstance(value, dict):
        digest.update(f"dict {len(value)}:".encode())
        for key, item in value.items():
            _add(digest, key, f"{where} key")
            _add(digest, item, f"{where}[{key!r}]")
    elif type(value) in (list, tuple) and isinstance(value, list | tuple):
        digest.update(f"{type(value).__name__} {len(value)}:".encode())
        for index, item in enumerate(value):
            _add(digest, item, f"{where}[{index}]")
    else:
        raise UsageError(
            f"`{where}` must be a tensor, number, text, None, dict, list or tuple (a checkpoint "
            f"must load without running code); got {type(value).__name__}."
        )
