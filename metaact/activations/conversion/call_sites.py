"""One activation for each call of a module that a network calls several times in a forward."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from metaact.errors import UsageError


class CallSites(nn.Module):
    """Stands where one activation module was called several times: every call has its own.

    Call number k of a forward pass of the converted network goes to activation k, whose parameters
    are named `<path>.0.alpha`, `<path>.1.alpha`, … The network restarts the count at every forward
    (`restart_at_forward`). In a part of it that is called alone
    the count wraps around.

    Args:
        activations: One instance per call, in the order of the calls.
    """

    def __init__(self, activations: Iterable[nn.Module]) -> None:
        super().__init__()
        for number, activation in enumerate(activations):
            self.add_module(str(number), activation)
        self.next_call = 0
        self.inside_forward = False

    def __len__(self) -> int:
        return len(self._modules)

    def restart(self, *, inside_forward: bool) -> None:
        """Begin again at the first activation.

        Args:
            inside_forward: Whether a forward of the whole network begins, or has ended.
        """
        self.next_call = 0
        self.inside_forward = inside_forward

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation of this call.

        Raises:
            UsageError: If one forward of the network calls more often than was seen at conversion.
        """
        if self.inside_forward and self.next_call >= len(self):
            raise UsageError(
                f"A converted activation must be called at most {len(self)} times in a forward (so "
                f"often `convert` saw it called); got call {self.next_call + 1}. Pass `convert` an "
                "`example` input that takes this path, or give the module one activation per call."
            )
        activation = self.get_submodule(str(self.next_call % len(self)))
        self.next_call += 1
        result: Tensor = activation(x)
        return result


def restart_at_forward(model: nn.Module) -> None:
    """Make every forward of a network restart the counts of its call sites.

    The hooks are functions of this module and look for the call sites at run time, so the network
    can be copied, pickled and put into another one.
    """
    model.register_forward_pre_hook(begin)
    model.register_forward_hook(end, always_call=True)


def begin(model: nn.Module, inputs: tuple[object, ...]) -> None:
    """Restart all call sites of a network whose forward begins."""
    for site in call_sites(model):
        site.restart(inside_forward=True)


def end(model: nn.Module, inputs: tuple[object, ...], output: object) -> None:
    """Restart all call sites of a network whose forward has ended."""
    for site in call_sites(model):
        site.restart(inside_forward=False)


def call_sites(model: nn.Module) -> list[CallSites]:
    """All call sites in a network."""
    return [module for module in model.modules() if isinstance(module, CallSites)]


def restarts(model: nn.Module) -> bool:
    """Whether a network already restarts its call sites."""
    return begin in model._forward_pre_hooks.values()
