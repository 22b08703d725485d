"""Reach through `vmap`: the physical tensors of a vectorised forward pass, all tasks at once.

An `autograd.Function` with a `vmap` rule is the public way to do this and costs about 0.15 ms of
Python for every call. These are the functions of PyTorch that such a rule is built on; all of this
package's use of them is in this file.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch._C._functorch import (
    _add_batch_dim,
    _unwrap_batched,
    is_functorch_wrapped_tensor,
    peek_interpreter_stack,
)
from torch._functorch.pyfunctorch import (
    VmapInterpreter,
    retrieve_current_functorch_interpreter,
)


def over_tasks(
    physical: Callable[[int, list[tuple[Tensor, int | None]]], Tensor | None], *tensors: Tensor
) -> Tensor | None:
    """Call `physical` once for all tasks, below the present `vmap`.

    Args:
        physical: Gets the number of tasks and each tensor with its dimension of tasks (None for
            one that all tasks share); returns a tensor whose first dimension is the tasks, or None
            to decline.
        tensors: As a vectorised function sees them.

    Returns:
        The result as the vectorised function sees it, or None if there is no `vmap` around, none
        of the tensors depends on the task, another transform is around too, or `physical` declined.
    """
    if peek_interpreter_stack() is None:
        return None
    interpreter = retrieve_current_functorch_interpreter()
    if not isinstance(interpreter, VmapInterpreter):
        return None
    level = interpreter.level()
    operands = [_unwrap_batched(tensor, level) for tensor in tensors]
    batched = [dim is not None for _, dim in operands]
    if not any(batched) or any(is_functorch_wrapped_tensor(tensor) for tensor, _ in operands):
        return None
    with interpreter.lower():
        result = physical(interpreter.batch_size(), operands)
    return None if result is None else _add_batch_dim(result, 0, level)


def tasks_first(operand: tuple[Tensor, int | None], tasks: int) -> Tensor:
    """Put the dimension of tasks first, or give one to a tensor that all tasks share."""
    tensor, dim = operand
    if dim is None:
        return tensor.expand(tasks, *tensor.shape)
    return tensor if dim == 0 else tensor.movedim(dim, 0)
