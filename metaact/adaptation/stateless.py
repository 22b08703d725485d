"""Calling a network with values of its parameters that are not its own."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from metaact.errors import UsageError, reason_of
from metaact.randomness import preserved_rng

Values = Mapping[str, Tensor]


class Stateless:
    """A network as a function of its parameters, buffers and input.

    A module may be registered at several paths (`act` used twice, a layer that is also part of a
    `Sequential`), and several modules may share one parameter. `named_parameters` names each
    parameter once. This class sets it wherever a forward pass looks for it, and nowhere twice:
    `functional_call` alone would swap a module at two paths two times and, when it swaps back,
    leave the stand-in in the network.

    Args:
        model: The network; it is not changed.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        slots: dict[int, list[str]] = {}
        for path, module in model.named_modules():
            own = [
                *module.named_parameters(recurse=False, remove_duplicate=False),
                *module.named_buffers(recurse=False, remove_duplicate=False),
            ]
            for name, tensor in own:
                slots.setdefault(id(tensor), []).append(f"{path}.{name}" if path else name)
        tensors = [*model.named_parameters(), *model.named_buffers()]
        self._places = {name: slots[id(tensor)] for name, tensor in tensors}

    def __call__(self, values: Values, images: Tensor) -> Tensor:
        """Logits of images.

        Args:
            values: Stand-ins by the names of `named_parameters` and `named_buffers`; what is left
                out is the network's own.
            images: The input.

        Raises:
            UsageError: If the network does not return a tensor, or puts another in the place of a
                stand-in.
        """
        everywhere = {place: v for name, v in values.items() for place in self._places[name]}
        after = dict(everywhere)  # functional_call writes into it what stands there afterwards
        output: object = functional_call(self.model, after, (images,), tie_weights=False)
        check_same(everywhere, after)
        return logits_of(output)


def check_same(before: Values, after: Values) -> None:
    """Refuse a network that put other tensors in the place of its own while it was called.

    Raises:
        UsageError: If there is one; the message names it.
    """
    for name, tensor in before.items():
        if after[name] is not tensor:
            raise changed(name)


def changed(name: str) -> UsageError:
    """The error for a tensor of a network that changes when the network is called."""
    return UsageError(
        f"`{name}` of the model changes in every forward pass, so tasks would not be independent; "
        "put its module in eval mode or remove it."
    )


class _Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]  # in torch
    """Notes where in memory the tensors lie that ops are given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # in torch
        self.places: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Look at what an op is given, and do it."""
        kwargs = kwargs or {}
        given = (x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor))
        self.places |= {_place(tensor) for tensor in given} - {0}
        return func(*args, **kwargs)


def _place(tensor: Tensor) -> int:
    """Where the memory of a tensor begins; 0 if it has none of its own."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # a sparse tensor, or one that is only traced
        return 0


def reads(call: Callable[[], object], *groups: Values) -> list[set[str]]:
    """Which tensors a call reads, also through views of them; nothing is differentiated or drawn.

    Args:
        call: Is called once.
        groups: Tensors to be looked for, by name.

    Returns:
        The names of those of each group.
    """
    with torch.no_grad(), preserved_rng(), _Reads() as seen:
        call()
    return [
        {name for name, tensor in group.items() if _place(tensor) in seen.places}
        for group in groups
    ]


def missed(model: nn.Module, names: Iterable[str], images: Tensor) -> list[str]:
    """Parameters that a network does not read, or not only, where stand-ins are put.

    It is called twice. A parameter that it reads itself is held by a plain list, a closure, or a
    tensor computed from it beforehand; one whose stand-in is read in the first call alone is kept
    from there.

    Args:
        model: The network.
        names: Names of parameters, as in `named_parameters`.
        images: An input.
    """
    everything = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    own = {name: everything[name] for name in names}
    call = Stateless(model)

    def look() -> list[set[str]]:
        values = {name: tensor.detach().clone() for name, tensor in everything.items()}
        return reads(lambda: call(values, images), own, {name: values[name] for name in own})

    (past, first), (again, second) = look(), look()
    return [name for name in own if name in past | again | (first - second)]


def head_of(model: nn.Module) -> str | None:
    """Path of a network's last layer: the child `head`, else the last `nn.Linear`; None if none is.

    Args:
        model: Any network that registers its layers in their order.

    Examples:
        >>> head_of(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))
        '2'
    """
    if "head" in dict(model.named_children()):
        return "head"
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else None


def holding(model: nn.Module, values: Values, *, own: bool = False) -> nn.Module:
    """A copy of a network that holds other values in place of its parameters.

    Args:
        model: The network; it is not changed.
        values: One for each parameter, by the names of `named_parameters`.
        own: Whether the copy gets parameters of its own with these values; if not, it holds the
            very tensors, with the graph that made them.

    Raises:
        UsageError: If the network cannot be copied.
    """
    stand_ins: dict[int, Any] = {}
    for name, parameter in model.named_parameters():
        value = values[name]
        if own:
            value = nn.Parameter(value.detach().clone(), requires_grad=parameter.requires_grad)
        stand_ins[id(parameter)] = value
    # What is to be copied is looked up there first: wherever a parameter is registered.
    try:
        return copy.deepcopy(model, stand_ins)
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise UsageError(
            "`model` must be one that can be copied, to hold what it has adapted to "
            f"({reason_of(error)}); got a {type(model).__name__}."
        ) from error


def logits_of(output: object) -> Tensor:
    """What a network returned, if it is a tensor.

    Raises:
        UsageError: If it is a tuple, a dictionary or anything else.
    """
    if isinstance(output, Tensor):
        return output
    raise UsageError(
        "`model` must return one tensor of logits (wrap it in a module that picks them out); got "
        f"a {type(output).__name__}."
    )


@contextmanager
def differentiable_kernels() -> Iterator[None]:
    """Inside, attention is computed by the kernel that has derivatives of every order.

    The fused kernels of `scaled_dot_product_attention` have no second derivative, and `vmap` calls
    them once a task. What `vmap` says of ops that it calls so is for torch's developers: it is
    kept from the user, who can do nothing about it.
    """
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop because we have not")
        yield


@contextmanager
def exact_kernels() -> Iterator[None]:
    """`differentiable_kernels`, and on a GPU float32 convolutions in all of its digits.

    PyTorch's default there is TF32, with 10 bits of a product: second derivatives are sums of
    differences, and lose more by it than a loss does.
    """
    with differentiable_kernels(), full_float32() if torch.cuda.is_available() else nullcontext():
        yield


@contextmanager
def full_float32() -> Iterator[None]:
    """Inside, convolutions of cuDNN take no TF32."""
    cudnn = torch.backends.cudnn
    kept: dict[str, Any] = {n: getattr(cudnn, n) for n in ("enabled", "benchmark", "deterministic")}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Please use the new API settings to control TF32")
        with cudnn.flags(**kept, benchmark_limit=cudnn.benchmark_limit, allow_tf32=False):
            yield


def check_callable(model: nn.Module) -> None:
    """Refuse wrappers whose parameters cannot be replaced for a call.

    Raises:
        UsageError: If there is one; the message names it and says what to do.
    """
    for name, module in model.named_modules():
        shown = f"`{name or 'model'}` ({type(module).__name__})"
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            raise UsageError(
                f"{shown} must be a plain module (it copies its parameters to several devices, "
                "and tasks are adapted on one); pass its `.module`."
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise UsageError(
                f"{shown} must be a plain module (compiled by torch.jit, its parameters cannot be "
                "replaced task by task); pass the module that it was made from."
            )
