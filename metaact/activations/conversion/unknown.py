"""Activation modules of types that nobody has named: recognised by what they compute."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor, nn

from metaact.randomness import preserved_rng

KNOWN_PACKAGES = ("torch.nn.", "metaact.")


def unknown_activations(
    model: nn.Module, known: Collection[str], functions: Sequence[tuple[str, nn.Module]]
) -> Iterator[tuple[str, nn.Module, bool]]:
    """Modules that compute a nonlinear function of each element alone, and are no known activation.

    A module that only passes on to one known activation inside it is none, nor is the network.

    Args:
        model: Any network.
        known: Paths of the known activations.
        functions: Those that are called as functions: path of the module whose code calls, and the
            call as a module.

    Yields:
        Path, module, and whether its values lie in [0, 1], as those of a gate.
    """
    done: list[str] = []
    for path, module in model.named_modules():
        inner = [model.get_submodule(k) for k in known if k.startswith(f"{path}.")]
        inner += [call for owner, call in functions if f"{owner}.".startswith(f"{path}.")]
        if not path or path in known or path.startswith(tuple(f"{p}." for p in (*known, *done))):
            continue
        if type(module).__module__.startswith(KNOWN_PACKAGES) or not small(module):
            continue
        values = elementwise(module)
        if values is None:
            continue
        x, y = values
        passed_on = elementwise(inner[0]) if len(inner) == 1 else None
        if passed_on is None or not torch.allclose(y, passed_on[1]):
            done.append(path)
            yield path, module, bool(y.min() >= 0 and y.max() <= 1 and x.abs().max() > 3)


def small(module: nn.Module) -> bool:
    """Whether no parameter or buffer of a module has more than one element."""
    return all(tensor.numel() == 1 for tensor in (*module.parameters(), *module.buffers()))


def elementwise(module: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Input and output [96] of a module that is elementwise and not linear; None for others."""
    x = 4 * torch.randn(2, 4, 3, 4, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(96, generator=torch.Generator().manual_seed(1))
    with preserved_rng(), torch.no_grad():
        try:
            trial = copy.deepcopy(module).eval().to(device="cpu", dtype=torch.float32)

            def at(x: Tensor) -> Tensor:
                result: Tensor = trial(x.clone())
                return result

            y, minus, double, zero = at(x), at(-x), at(2 * x), at(0 * x)
            mixed = at(x.flatten()[order].reshape(x.shape))
            if y.shape != x.shape or not torch.allclose(mixed.flatten(), y.flatten()[order]):
                return None
            affine = torch.allclose(y + minus, 2 * zero, atol=1e-5) and torch.allclose(
                double - zero, 2 * (y - zero), atol=1e-5
            )
        except Exception:  # noqa: BLE001  # a module that takes no such input is no activation
            return None
    return None if affine else (x.flatten(), y.flatten())
