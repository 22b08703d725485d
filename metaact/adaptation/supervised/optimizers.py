"""The optimizer of a recipe: learning rates per group of parameters, weight decay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from metaact.activations import inside_activations
from metaact.adaptation.stateless import head_of
from metaact.errors import UsageError, check_choice

from .recipe import Recipe

GROUPS = ("all", "weights", "activations")


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of `recipe`, one parameter group per learning rate and decay.

    Parameters that are not trained are set to `requires_grad=False`, which also saves their part
    of the backward pass; a parameter that comes so stays so.

    Args:
        model: Its parameters' `requires_grad` may be switched off.
        recipe: The settings.

    Returns:
        SGD or Adam with PyTorch's other defaults; on a GPU in the fused form, with rates there.

    Raises:
        UsageError: If a layer name fits no parameter, nothing is left to train, or mixed precision
            is asked for on a CPU.

    Examples:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.PReLU())
        >>> recipe = Recipe(lr=0.1, weight_decay=0.01)
        >>> [group["weight_decay"] for group in make_optimizer(model, recipe).param_groups]
        [0.01, 0.0]
    """
    _check_made(model)
    _check_names(model, recipe)
    _check_precision(model, recipe)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for names, parameter, of_activation in classified(model):
        frozen = recipe.freeze_activations and of_activation
        if frozen or not any(_fits(n, names, of_activation) for n in recipe.train_layers):
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            spared = of_activation and recipe.decay == "weights"
            decay = 0.0 if spared else recipe.weight_decay
            groups.setdefault((_rate(recipe, names, of_activation), decay), []).append(parameter)
    if not groups:
        raise UsageError(
            f"`train_layers` must leave something to train; {', '.join(recipe.train_layers)} "
            "leaves no parameter that is not frozen."
        )
    device = next(model.parameters()).device
    captured = is_captured(device)
    settings: list[dict[str, Any]] = [
        {
            "params": parameters,
            "lr": torch.tensor(lr, dtype=torch.float32, device=device) if captured else lr,
            "weight_decay": decay,
        }
        for (lr, decay), parameters in groups.items()
    ]
    fused = captured or None  # the form whose rates may be tensors
    if recipe.optimizer == "adam":
        return torch.optim.Adam(settings, lr=recipe.lr, fused=fused, capturable=captured)
    return torch.optim.SGD(
        settings, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=fused
    )


def is_captured(device: torch.device) -> bool:
    """Whether an optimizer there must fit into a CUDA graph: its rates and steps on the GPU."""
    return device.type == "cuda"


def set_rates(optimizer: torch.optim.Optimizer, rates: Sequence[float]) -> None:
    """Give each parameter group its learning rate, where the optimizer reads it."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Continue from a state of the same optimizer, perhaps on another device.

    Raises:
        KeyError: If a part is missing.
        ValueError: If it does not fit.
    """
    groups, own = state["param_groups"], optimizer.state_dict()["param_groups"]
    if len(groups) == len(own):
        of_device = [{k: o[k] for k in ("lr", "fused", "capturable") if k in o} for o in own]
        groups = [{**group, **kept} for group, kept in zip(groups, of_device, strict=True)]
    optimizer.load_state_dict({"state": state["state"], "param_groups": groups})


def classified(model: nn.Module) -> Iterator[tuple[list[str], nn.Parameter, bool]]:
    """Names, parameter, and whether it belongs to an activation, for every parameter.

    A parameter that several modules share, or of a module at several paths, comes once, with all
    its names. The last layer is called "head" in every network, whatever it is called there.
    """
    inside = inside_activations(model)
    of_activation = {id(p) for module in inside for p in module.parameters(recurse=False)}
    names: dict[int, list[str]] = {}
    head = f"{head_of(model)}."
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
        if name.startswith(head):
            names[id(parameter)].append(f"head.{name.removeprefix(head)}")
    for parameter in model.parameters():
        yield names[id(parameter)], parameter, id(parameter) in of_activation


def _fits(layer: str, names: Sequence[str], of_activation: bool) -> bool:
    if layer in GROUPS:
        return layer == "all" or (layer == "activations") == of_activation
    return any(name == layer or name.startswith(f"{layer}.") for name in names)


def _rate(recipe: Recipe, names: Sequence[str], of_activation: bool) -> float:
    fitting = (rate for layer, rate in recipe.layer_lrs if _fits(layer, names, of_activation))
    return next(fitting, recipe.lr)


def _check_made(model: nn.Module) -> None:
    """Refuse a network whose parameters are not there before its first call."""
    for path, module in model.named_modules():
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():  # type: ignore[misc]
            raise UsageError(
                f"`{path or 'model'}` ({type(module).__name__}) has no parameters yet; run the "
                "model once on an image."
            )


def _check_precision(model: nn.Module, recipe: Recipe) -> None:
    device = next(model.parameters()).device.type
    if recipe.precision != "float32" and device == "cpu":
        raise UsageError(
            f"`precision` must be float32 on a CPU (mixed precision is for a GPU); got "
            f"{recipe.precision!r}."
        )


def _check_names(model: nn.Module, recipe: Recipe) -> None:
    """A layer name without a layer is a typing mistake; a group may be empty (ReLU has no α)."""
    paths = [path for path, _ in model.named_modules(remove_duplicate=False) if path]
    paths += ["head"] * (head_of(model) is not None)
    given = [("train_layers", name) for name in recipe.train_layers]
    given += [("layer_lrs", name) for name, _ in recipe.layer_lrs]
    for option, layer in given:
        if layer not in paths:
            widest = dict.fromkeys(path for path in paths if "." not in path)
            why = "a part of a layer is named by its path, as model.named_modules() does"
            check_choice(option, layer, [*GROUPS, *widest], why=why)
