"""Where a network has activations: by type of module, by number of calls, and in functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from metaact.activations.entry import is_marked
from metaact.activations.functions.apl import APL
from metaact.activations.functions.arelu import AReLU
from metaact.activations.functions.comb import Comb
from metaact.activations.functions.elsa import ELSA, WithELSA
from metaact.activations.functions.frozen_arelu import FrozenAReLU
from metaact.activations.functions.gelu import PaperGELU
from metaact.activations.functions.maxout import Maxout
from metaact.activations.functions.pau import PAU, PaperPAU
from metaact.activations.functions.prelu import PReLU
from metaact.activations.functions.rrelu import RReLU
from metaact.activations.functions.scaled_leaky_relu import ScaledLeakyReLU
from metaact.activations.functions.slaf import SLAF
from metaact.activations.functions.unit_arelu import UnitAReLU

from .call_sites import CallSites

# Elementwise activations; subclasses count as well (nn.ReLU6 is an nn.Hardtanh).
ACTIVATIONS: tuple[type[nn.Module], ...] = (
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.Hardshrink,
    nn.Hardswish,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.Mish,
    nn.PReLU,
    nn.RReLU,
    nn.ReLU,
    nn.SELU,
    nn.SiLU,
    nn.Softplus,
    nn.Softshrink,
    nn.Softsign,
    nn.Tanh,
    nn.Tanhshrink,
    nn.Threshold,
    APL,
    AReLU,
    CallSites,
    Comb,
    ELSA,
    FrozenAReLU,
    Maxout,
    PAU,
    PReLU,
    PaperGELU,
    PaperPAU,
    RReLU,
    SLAF,
    ScaledLeakyReLU,
    UnitAReLU,
    WithELSA,
)

# Squashing functions are mostly gates (squeeze-and-excitation) or outputs (a probability, a pixel).
GATES: tuple[type[nn.Module], ...] = (nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid)

# These hold a string or a function for their activation, and compute a fused kernel from it.
FUSED: tuple[type[nn.Module], ...] = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)

# Activations as functions or tensor methods, by name without a trailing "_" (in-place form).
FUNCTIONS = frozenset(
    (
        "celu",
        "elu",
        "gelu",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "mish",
        "prelu",
        "relu",
        "relu6",
        "rrelu",
        "selu",
        "silu",
        "softplus",
        "softsign",
    )
)


def inside_activations(model: nn.Module) -> set[nn.Module]:
    """Every module of a network that is an activation or a part of one.

    It follows from what a module is: one of the types known here, or made by `module:factory` as
    the user's own activation. What its parameters look like does not matter: a user's activation
    may hold a linear layer, and a layer of the user's own a single number.

    Args:
        model: Any network, also an activation alone.

    Examples:
        >>> inside_activations(nn.Sequential(nn.Linear(2, 2), nn.PReLU()))
        {PReLU(num_parameters=1)}
    """
    known = (*ACTIVATIONS, *GATES)
    return {
        part
        for module in model.modules()
        if isinstance(module, known) or is_marked(module)
        for part in module.modules()
    }


def find(model: nn.Module, types: Sequence[type[nn.Module]]) -> Iterator[tuple[str, nn.Module]]:
    """Path and module of every place of the given types, a shared instance at each of its paths.

    Activations inside an activation (in `WithELSA`) are part of it and not listed.
    """
    inside: str | None = None
    modules: Iterator[tuple[str, nn.Module]] = model.named_modules(remove_duplicate=False)
    for path, module in modules:
        if inside is not None and path.startswith(inside):
            continue
        if isinstance(module, tuple(types)):
            inside = f"{path}."
            yield path, module
