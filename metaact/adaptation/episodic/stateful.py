"""Modules that cannot be adapted task by task: refused by name, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from metaact.adaptation.stateless import changed, check_callable, missed, reads
from metaact.errors import UsageError


def check_modules(model: nn.Module) -> None:
    """Refuse modules whose state would leak between tasks or that have no parameters yet.

    Layers that only draw random numbers (dropout, RReLU) are fine: in training mode every task
    draws its own. BatchNorm is fine without running statistics (it then normalises every task by
    the task's own images) and in eval mode (its statistics are constants).

    Raises:
        UsageError: If there is one; the message names it and says what to do.
    """
    check_callable(model)
    for name, module in model.named_modules():
        shown = f"`{name or 'model'}` ({type(module).__name__})"
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():  # type: ignore[misc]
            raise UsageError(f"{shown} has no parameters yet; run the model once on an image.")
        if isinstance(module, nn.SyncBatchNorm):
            raise UsageError(f"{shown} mixes the images of several processes, so of several tasks.")
        if isinstance(module, _NormBase) and module.track_running_stats and module.training:
            raise UsageError(
                f"{shown} must not keep running statistics in training mode (they would leak from "
                "task to task); build it with track_running_stats=False to use each task's own "
                "statistics, or put it in eval mode to freeze them."
            )
        if module.training and _estimates_norm(module):
            raise UsageError(
                f"{shown} must not estimate its spectral norm in training mode (every forward "
                "pass changes the estimate, so it would leak from task to task); put this module "
                "in eval mode to freeze the estimate."
            )


def _estimates_norm(module: nn.Module) -> bool:
    """Whether a module has spectral norm in either of PyTorch's two forms."""
    hooks = module._forward_pre_hooks.values()
    return isinstance(module, _SpectralNorm) or any(isinstance(h, SpectralNorm) for h in hooks)


def fresh_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the model's buffers, so that no forward pass can change the model."""
    return {name: buffer.detach().clone() for name, buffer in model.named_buffers()}


def check_unchanged(buffers: dict[str, Tensor]) -> None:
    """Refuse a model whose forward pass wrote into one of its `fresh_buffers`.

    Raises:
        UsageError: If there is one; the message names it.
    """
    for name, buffer in buffers.items():
        if buffer._version:
            raise changed(name)


@contextmanager
def held_buffers(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Inside, the model has `fresh_buffers` in place of its own."""
    fresh = fresh_buffers(model)
    stand_in = {id(buffer): fresh[name] for name, buffer in model.named_buffers()}
    own = [(module._buffers, dict(module._buffers)) for module in model.modules()]
    for there, before in own:
        there.update({name: stand_in.get(id(buffer)) for name, buffer in before.items()})
    try:
        yield fresh
    finally:
        for there, before in own:
            there.update(before)


def check_reads(model: nn.Module, adapted: Sequence[str], images: Tensor) -> None:
    """Refuse a model that computes with its own parameters where those of a task should stand.

    Args:
        model: The model.
        adapted: Names of the parameters that adapt.
        images: The support images of one task.

    Raises:
        UsageError: If it does; the message names the parameter.
    """
    for name in missed(model, adapted, images):
        raise UsageError(
            "`model` must read each parameter that adapts from the module that it belongs to; it "
            f"read `{name}` from elsewhere (a plain list, a closure, a tensor computed beforehand "
            "or kept from an earlier call): use nn.ParameterList, or compute it in the forward "
            "pass."
        )


def check_copy(model: nn.Module, made: nn.Module, images: Tensor) -> None:
    """Refuse a model of which a copy still computes with parameters that it has replaced.

    Args:
        model: The model.
        made: A copy with other values of parameters.
        images: Support images.

    Raises:
        UsageError: If it is one; the message names the parameter.
    """
    kept = {id(parameter) for parameter in made.parameters()}
    replaced = {name: p for name, p in model.named_parameters() if id(p) not in kept}
    (shared,) = reads(lambda: made(images), replaced)
    for name in sorted(shared):
        raise UsageError(
            "`model` must be one whose copy is a network of its own, to hold what it has adapted "
            f"to; a copy reads the model's own `{name}`, reached by a closure: make what calls it "
            "a method of the module."
        )
