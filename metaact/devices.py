"""Sending to a device what was made on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU, on a device; the host does not wait for a GPU to have it."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # from other memory it would wait
    return tensor.to(device, non_blocking=device.type != "cpu")
