"""Several networks as one function of their stacked parameters.

The networks have the same layers. Where they differ, in activations or in anything else (a module
of the user's own may keep what it drew in a plain attribute), the function has a `Bank`: all their
modules side by side, each applied to the numbers of its networks. What is the same in all is done
once for all.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.func import vmap

from metaact.errors import UsageError, reason_of

from .known import form_of
from .stateless import Stateless
from .vmap.task_dim import over_tasks, tasks_first


class Ensemble:
    """Networks of the same layers, and the network that stands for them all.

    Args:
        models: At least one. Networks that are equal but for their numbers lie side by side, so
            that they are computed together.

    Attributes:
        model: A network without numbers, on the device "meta", to be called by `torch.func.vmap`
            with those of `stacked`, or with several rows for each network, in the same order.
        names: For each network, the names in `model` of its parameters and buffers, by its own.

    Raises:
        UsageError: If the networks have other layers, or parameters that a differing module shares
            with others.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self._models = tuple(models)
        places = list(_places(models, ""))
        try:
            self.model = copy.deepcopy(models[0]).to("meta")
            banks = {
                place: Bank.of([model.get_submodule(place) for model in models]) for place in places
            }
        except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
            raise UsageError(
                f"models in a stack must be such that can be copied ({reason_of(error)})."
            ) from error
        for place, bank in banks.items():
            parent, _, name = place.rpartition(".")
            self.model.get_submodule(parent)._modules[name] = bank
        self.names = [
            {name: _renamed(name, banks, number) for name in _tensors(model)}
            for number, model in enumerate(models)
        ]
        if {new for own in self.names for new in own.values()} != set(_tensors(self.model)):
            raise UsageError(
                "models in a stack must not share parameters between what differs and the rest."
            )

    def __len__(self) -> int:
        """Number of networks."""
        return len(self._models)

    def stacked(self) -> dict[str, Tensor]:
        """The numbers of all networks by the names of `model`, [networks, ...], detached.

        Of what a network does not have it holds a row that nothing is computed from.
        """
        everything = [_tensors(model) for model in self._models]
        held = [
            {new: each[own] for own, new in names.items()}
            for names, each in zip(self.names, everything, strict=True)
        ]
        found = {}
        for name in _tensors(self.model):
            any_of = next(each[name] for each in held if name in each)
            found[name] = torch.stack([each.get(name, any_of).detach() for each in held])
        return found

    def trained(self) -> list[str]:
        """Names in `model` of the parameters that are trained."""
        return [name for name, p in self.model.named_parameters() if p.requires_grad]


class Bank(nn.Module):
    """Modules side by side, each applied to the rows of its networks, within a `vmap`.

    Args:
        arms: The modules.
        counts: How many networks in a row each is that of.
    """

    def __init__(self, arms: Sequence[nn.Module], counts: Sequence[int]) -> None:
        super().__init__()
        self.arms = nn.ModuleList(arms)
        self.counts = tuple(counts)

    @classmethod
    def of(cls, modules: Sequence[nn.Module]) -> Bank:
        """Those of networks in a row, equal neighbours as one."""
        alike = [_likeness(module) or number for number, module in enumerate(modules)]
        groups = [list(group) for _, group in groupby(range(len(modules)), lambda n: alike[n])]
        arms = [copy.deepcopy(modules[group[0]]).to("meta") for group in groups]
        return cls(arms, [len(group) for group in groups])

    def arm_of(self, network: int) -> int:
        """Which of the modules is that of a network."""
        return next(n for n in range(len(self.counts)) if network < sum(self.counts[: n + 1]))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to the numbers of every network its own module."""
        calls = [Stateless(arm) for arm in self.arms]
        values = [_tensors(arm) for arm in self.arms]
        tensors = [tensor for each in values for tensor in each.values()]

        def rows(count: int, operands: list[tuple[Tensor, int | None]]) -> Tensor:
            x, *own = (tasks_first(operand, count) for operand in operands)
            numbers = iter(own)
            each, start, found = count // sum(self.counts), 0, []
            for call, names, networks in zip(calls, values, self.counts, strict=True):
                part = slice(start, start + networks * each)
                start = part.stop
                mine = {name: next(numbers)[part] for name in names}
                found.append(vmap(call)(mine, x[part]))
            if len({part.shape[1:] for part in found}) > 1:
                raise UsageError(
                    "models in a stack must have layers of equal width; got "
                    f"{', '.join(str(list(part.shape[1:])) for part in found)}."
                )
            return torch.cat(found)

        y = over_tasks(rows, x, *tensors)
        if y is None:
            raise UsageError("models in a stack must be called through `torch.func.vmap` alone.")
        return y


def _places(modules: Sequence[nn.Module], path: str) -> Iterator[str]:
    """Where networks differ: as deep as they are the same above."""
    forms = [form_of(module) for module in modules]
    if len(modules) > 1 and (forms[0] is None or any(form != forms[0] for form in forms[1:])):
        if not path:
            raise UsageError(
                "models in a stack must have the same layers; "
                f"{', '.join(sorted({type(each).__name__ for each in modules}))} have not."
            )
        yield path
        return
    for name, child in modules[0]._modules.items():
        if child is not None:
            children = [module.get_submodule(name) for module in modules]
            yield from _places(children, f"{path}.{name}" if path else name)


def _likeness(module: nn.Module) -> Hashable | None:
    """Equal for two modules only if they differ in nothing but numbers; None if that is unknown."""
    forms = [(path, form_of(m)) for path, m in module.named_modules(remove_duplicate=False)]
    if any(form is None for _, form in forms):
        return None
    everywhere = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    first = {id(tensor): name for name, tensor in reversed(everywhere)}
    return (*forms, *((name, first[id(tensor)]) for name, tensor in everywhere))


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _renamed(name: str, banks: dict[str, Bank], network: int) -> str:
    for place, bank in banks.items():
        if name.startswith(f"{place}."):
            return f"{place}.arms.{bank.arm_of(network)}.{name.removeprefix(f'{place}.')}"
    return name
