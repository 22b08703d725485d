"""Where a network has activations: by type of module, by number of calls, and in functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import nn

from metaact.activations.entry import is_marked
from metaact.activations.functions.apl import APL
from metaact.activations.functions.arelu import AReLU
from metaact.activations.functions.comb import Comb
from metaact.activations.functions.doubling import CReLU, DeepFourier
from metaact.activations.functions.elsa import ELSA, WithELSA
from metaact.activations.functions.frozen_arelu import FrozenAReLU
from metaact.activations.functions.gelu import PaperGELU
from metaact.activations.functions.golu import GoLU
from metaact.activations.functions.maxout import Maxout
from metaact.activations.functions.pau import PAU, PaperPAU
from metaact.activations.functions.prelu import PReLU
from metaact.activations.functions.random_smooth_leaky import RandomSmoothLeaky
from metaact.activations.functions.rrelu import RReLU
from metaact.activations.functions.scaled_leaky_relu import ScaledLeakyReLU
from metaact.activations.functions.slaf import SLAF
from metaact.activations.functions.smooth_leaky import SmoothLeaky
from metaact.activations.functions.squared_relu import SquaredReLU
from metaact.activations.functions.swish_beta import SwishBeta
from metaact.activations.functions.telu import TeLU
from metaact.activations.functions.unit_arelu import UnitAReLU
from metaact.activations.functions.xielu import XIELU

from .sites import CallSites

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
    CReLU,
    CallSites,
    Comb,
    DeepFourier,
    ELSA,
    FrozenAReLU,
    GoLU,
    Maxout,
    PAU,
    PReLU,
    PaperGELU,
    PaperPAU,
    RReLU,
    RandomSmoothLeaky,
    SLAF,
    ScaledLeakyReLU,
    SmoothLeaky,
    SquaredReLU,
    SwishBeta,
    TeLU,
    UnitAReLU,
    WithELSA,
    XIELU,
)

# Squashing functions are mostly gates (squeeze-and-excitation) or outputs (a probability, a pixel).
GATES: tuple[type[nn.Module], ...] = (nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid)

# They mix elements, so that no activation can stand for them.
MIXING: tuple[type[nn.Module], ...] = (
    nn.GLU,
    nn.LogSoftmax,
    nn.Softmax,
    nn.Softmax2d,
    nn.Softmin,
)

# Activations of other libraries, which are not imported: the start of the module, and the types
# (None: all that are not gates).
LIBRARIES: tuple[tuple[str, frozenset[str] | None], ...] = (
    ("timm.layers.activations", None),
    ("timm.models.metaformer", frozenset(("SquaredReLU", "StarReLU"))),
    ("transformers.activations", None),
    ("open_clip.transformer", frozenset(("QuickGELU",))),
    ("clip.model", frozenset(("QuickGELU",))),
    ("efficientnet_pytorch.utils", frozenset(("MemoryEfficientSwish", "Swish"))),
)
LIBRARY_GATES = frozenset(("HardSigmoid", "HardSigmoidMe", "Sigmoid"))
LIBRARY_OTHERS = frozenset(("LinearActivation",))

# A norm and an activation in one formula: nothing in them can be swapped.
FUSED = frozenset(
    (
        *("ABN", "InPlaceABN", "InPlaceABNSync", "InplaceAbn"),
        *("EvoNorm2dB0", "EvoNorm2dB1", "EvoNorm2dB2", "FilterResponseNormTlu2d"),
        *("EvoNorm2dS0", "EvoNorm2dS0a", "EvoNorm2dS1", "EvoNorm2dS1a"),
        *("EvoNorm2dS2", "EvoNorm2dS2a"),
    )
)


def is_fused(module: nn.Module) -> bool:
    """Whether a module is a norm with an activation in its formula."""
    return type(module).__name__ in FUSED and vars(module).get("apply_act", True) is not False


def is_activation(module: nn.Module) -> bool:
    """Whether a module is of a type known to be an elementwise activation, of any library."""
    kind = type(module)
    return (
        isinstance(module, ACTIVATIONS)
        or is_marked(module)
        or (kind.__name__ not in LIBRARY_GATES | LIBRARY_OTHERS and from_library(kind))
    )


def is_gate(module: nn.Module) -> bool:
    """Whether a module is of a type known to squash, of any library."""
    kind = type(module)
    return isinstance(module, GATES) or (kind.__name__ in LIBRARY_GATES and from_library(kind))


def from_library(kind: type[nn.Module]) -> bool:
    """Whether a type is an activation or a gate of another library."""
    return any(
        kind.__module__.startswith(start) and (names is None or kind.__name__ in names)
        for start, names in LIBRARIES
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
    return {
        part
        for module in model.modules()
        if is_activation(module) or is_gate(module)
        for part in module.modules()
    }


def find(model: nn.Module, wanted: Callable[[nn.Module], bool]) -> Iterator[tuple[str, nn.Module]]:
    """Path and module of every place that is wanted, a shared instance at each of its paths.

    Activations inside an activation (in `WithELSA`) are part of it and not listed.
    """
    inside: str | None = None
    modules: Iterator[tuple[str, nn.Module]] = model.named_modules(remove_duplicate=False)
    for path, module in modules:
        if inside is not None and path.startswith(inside):
            continue
        if wanted(module):
            inside = f"{path}."
            yield path, module
