"""Whether a module has the second derivatives that second-order MAML needs.

`torch.autograd.grad` passes by what has none, and leaves its terms out without a word.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from metaact.adaptation.known import is_known
from metaact.adaptation.stateless import Stateless, differentiable_kernels
from metaact.errors import UsageError, reason_of
from metaact.randomness import isolated_rng

from .stateful import fresh_buffers

TRIES = 5
"""Points that are tried: a module is refused if it is wrong at most, as a kink is near to some."""

OUTPUTS = 64
"""Outputs that are looked at; of more, some would be beside a kink at every point."""

IMAGES = 2
"""Images of a batch that are tried."""

STEPS = {torch.float64: 1e-4, torch.float32: 1e-2}
"""Half the distance of the two points of a difference, where rounding and curvature are small."""

RELATIVE, ABSOLUTE = 1e-3, 1e-3
"""How far a derivative may be from the difference, by the size of both and of what changes."""

REMEDY = "no once_differentiable, nothing detached, by .item() or computed without gradients"
"""What a backward pass that is differentiable does without."""


@differentiable_kernels()
def lost_terms(module: nn.Module, x: Tensor) -> str:
    """What is wrong with the second derivatives of a module, or nothing.

    Let G be the gradient of a weighted sum of outputs, in the input and in the parameters. It is a
    function of input, parameters and weights. Along each of the three, its derivative as autograd
    takes it must be that of central differences of G itself, wherever that is not 0. That holds for
    whatever first gradient the module defines, that of a rounding passed straight through included.

    Args:
        module: From one tensor to one tensor; it is not changed.
        x: An input, of the module's dtype.

    Returns:
        The reason; "" if nothing is wrong, or the module has no first derivative here either.
    """
    try:
        probe = _Probe(copy.deepcopy(module).double(), x.detach().double())
    except Exception:  # noqa: BLE001  # a module that computes in float32 alone, or has no copy
        try:
            probe = _Probe(copy.deepcopy(module), x.detach())
        except Exception:  # noqa: BLE001  # then it cannot be tried, as one that counts its calls
            return ""
    try:
        wrong = [probe.wrong(number) for number in range(TRIES)]
    except Exception as error:  # noqa: BLE001  # whatever its backward pass raises is told
        return reason_of(error)
    found = [why for why in wrong if why]
    return found[0] if 2 * len(found) > TRIES else ""


class _Probe:
    """One module, and its gradient as a function of input, parameters and weights."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.call = Stateless(module)
        self.parameters = {n: p.detach() for n, p in module.named_parameters() if p.requires_grad}
        self.x = x
        with torch.no_grad():
            self.output = self._output(x, self.parameters)
            if not torch.equal(self.output, self._output(x, self.parameters)):
                raise RuntimeError("it gives something else every time")
        self.step = STEPS[self.output.dtype]

    def wrong(self, number: int) -> str:
        """In what the derivative of G is not that of G, at one point; "" if in nothing."""
        draw = torch.Generator().manual_seed(number)

        def like(tensor: Tensor) -> Tensor:
            drawn = torch.randn(tensor.shape, generator=draw, dtype=tensor.dtype)
            return drawn.to(tensor.device)

        kept = torch.randperm(self.output.numel(), generator=draw)[:OUTPUTS].to(self.x.device)
        some = torch.zeros_like(self.output).view(-1).index_fill(0, kept, 1.0)
        point = {
            "the input": [self.x + like(self.x) / 2],
            "the gradient of the output": [like(self.output) * some.view_as(self.output)],
            "the parameters": [p + like(p) / 20 for p in self.parameters.values()],
        }
        order = list(point)
        leaves = {of: [t.clone().requires_grad_() for t in point[of]] for of in order}
        cotangents = [like(t) for of in (order[0], order[2]) for t in point[of]]

        def gradient(at: dict[str, list[Tensor]]) -> Tensor:
            with torch.enable_grad():
                (x,), (weights,), parameters = (at[of] for of in order)
                output = self._output(
                    x.clone(), dict(zip(self.parameters, parameters, strict=True))
                )
                slopes = torch.autograd.grad(
                    (output * weights).sum(), [x, *parameters], create_graph=True, allow_unused=True
                )
                pairs = zip(slopes, cotangents, strict=True)
                return torch.stack([(s * c).sum() for s, c in pairs if s is not None]).sum()

        value = gradient(leaves)
        if not bool(value.isfinite()):  # at such a point nothing can be said
            return ""
        if value.requires_grad:
            torch.autograd.backward(value)  # it visits all of the graph, and says what has none
        for of in order:
            way = [like(t) * (t != 0 if of == order[1] else 1) for t in point[of]]
            taken = sum(
                float((leaf.grad * w).sum())
                for leaf, w in zip(leaves[of], way, strict=True)
                if leaf.grad is not None
            )
            expected = self._difference(gradient, point, of, way)
            small = ABSOLUTE * (1 + abs(float(value.detach())))
            lost = abs(taken - expected) > RELATIVE * (abs(taken) + abs(expected)) + small
            if lost and abs(expected) > small:  # else there is nothing to lose
                return f"its gradient changes with {of}, and autograd does not see how"
        return ""

    def _difference(
        self,
        gradient: Callable[[dict[str, list[Tensor]]], Tensor],
        point: dict[str, list[Tensor]],
        of: str,
        way: list[Tensor],
    ) -> float:
        """The derivative of G along a way, by two values of it."""
        values = []
        for sign in (1, -1):
            moved = {name: [t.clone() for t in tensors] for name, tensors in point.items()}
            for tensor, w in zip(moved[of], way, strict=True):
                tensor += sign * self.step * w
            leaves = {n: [t.requires_grad_() for t in tensors] for n, tensors in moved.items()}
            values.append(float(gradient(leaves).detach()))
        return (values[0] - values[1]) / (2 * self.step)

    def _output(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """What is drawn in it is the same at every call."""
        with isolated_rng("second order"):
            return self.call(parameters, x)


def check_second_order(model: nn.Module, images: Tensor) -> None:
    """Refuse a model that has a module of a user's own without its second derivatives.

    Tried are modules without children that are not torch's, torchvision's or metaact's, and map one
    tensor to one of floats.

    Args:
        model: The model.
        images: An input.

    Raises:
        UsageError: If there is one; the message names it.
    """
    held = [(parameter, parameter.grad) for parameter in model.parameters()]
    for name, module, x in _inputs(model, images):
        for parameter, _ in held:
            parameter.grad = None
        why = lost_terms(module, x)
        for parameter, gradient in held:  # a copy may reach parameters of the model by a closure
            parameter.grad = gradient
        if why:
            raise UsageError(
                f"`first_order` must be given for a model whose `{name or 'model'}` "
                f"({type(module).__name__}) has no exact second derivative ({why}); or write its "
                f"backward pass of differentiable operations ({REMEDY})."
            )


def _inputs(model: nn.Module, images: Tensor) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Each module that is tried, and what it is given first."""
    seen: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, given: tuple[object, ...], result: object) -> None:
        if len(given) == 1 and isinstance(given[0], Tensor) and isinstance(result, Tensor):
            floats = given[0].is_floating_point() and result.is_floating_point()
            if floats and module not in seen:
                seen[module] = given[0][:IMAGES].detach().clone()

    own = {m: n for n, m in model.named_modules() if not is_known(m) and not any(m.children())}
    if not own:
        return
    hooks = [module.register_forward_hook(note) for module in own]
    try:
        with torch.no_grad(), isolated_rng("second order"):
            Stateless(model)(fresh_buffers(model), images)  # no buffer of its own may change
    finally:
        for hook in hooks:
            hook.remove()
    for module, x in seen.items():
        yield own[module], module, x
