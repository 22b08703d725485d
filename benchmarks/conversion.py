"""Whether `convert` swaps every activation of 48 networks of torchvision and timm.

For each network, built without weights:

- the activations are counted by the operations that PyTorch dispatches in a forward pass, which
  knows nothing of modules, functions and traces;
- it is converted to AReLU, and the calls of AReLU are counted: as many;
- the same count on the converted network finds none that is not kept;
- converted to the activations that it had, it computes what it computed;
- one step of training leaves a gradient at every place that was called.

python benchmarks/conversion.py [NAME ...]        needs timm (pip install timm)
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from metaact.activations import AReLU, convert
from metaact.activations.conversion.survey import Spot, prepared, rebuilt, survey
from metaact.errors import UsageError

TORCHVISION: dict[str, int] = {
    "alexnet": 96,
    "vgg11_bn": 64,
    "resnet18": 64,
    "resnext50_32x4d": 64,
    "densenet121": 64,
    "googlenet": 96,
    "inception_v3": 299,
    "squeezenet1_1": 64,
    "shufflenet_v2_x1_0": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "mnasnet1_0": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_s": 64,
    "regnet_y_400mf": 64,
    "convnext_tiny": 64,
    "vit_b_32": 224,
    "swin_t": 64,
    "swin_v2_t": 64,
    "maxvit_t": 224,
}

TIMM: dict[str, int] = {
    "resnetv2_50": 64,
    "resnest14d": 64,
    "skresnet18": 64,
    "res2net50_26w_4s": 64,
    "ecaresnet26t": 64,
    "nfnet_l0": 64,
    "mobilenetv4_conv_small": 64,
    "ghostnet_100": 64,
    "hrnet_w18_small": 64,
    "dla34": 64,
    "dpn48b": 64,
    "cspdarknet53": 64,
    "ese_vovnet19b_dw": 64,
    "rexnet_100": 64,
    "xception41": 96,
    "inception_v4": 128,
    "repvgg_a0": 64,
    "convnextv2_atto": 64,
    "mixer_s32_224": 224,
    "deit_tiny_patch16_224": 224,
    "cait_xxs24_224": 224,
    "xcit_nano_12_p16_224": 64,
    "pvt_v2_b0": 64,
    "poolformer_s12": 64,
    "caformer_s18": 64,
    "mobilevit_xxs": 64,
    "edgenext_xx_small": 64,
    "levit_128s": 224,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was found for one network."""

    network: str
    modules: int
    functions: int
    kept: int
    before: int
    swapped: int
    after: int
    difference: float
    gradients: str
    traced: bool

    @property
    def complete(self) -> bool:
        """Whether everything agrees."""
        return self.before == self.swapped and not self.after and self.difference < 1e-4


class Operations(TorchDispatchMode):
    """Counts activations by the operations that are dispatched."""

    NAMES = frozenset(
        (
            *("celu", "elu", "gelu", "hardshrink", "hardswish", "hardtanh", "leaky_relu", "mish"),
            *("prelu", "relu", "relu6", "selu", "silu", "softplus", "softshrink", "tanh"),
            *("threshold", "rrelu"),
        )
    )

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count and call."""
        name = (
            func._schema.name.removeprefix("aten::")
            .rstrip("_")
            .removeprefix("_")
            .removesuffix("_kernel")
        )
        bounds = [*args[1:3], None, None][:2]
        if name in self.NAMES or (name in ("clamp", "clamp_min") and bounds[0] == 0):
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))


def counted(model: nn.Module, x: Tensor) -> tuple[Counter[str], Any]:
    """Activations that a forward pass dispatches, and its output."""
    operations = Operations()
    with torch.no_grad(), operations:
        output = model(x)
    return operations.seen, output


def calls_of_arelu(model: nn.Module, x: Tensor) -> int:
    """How often a forward pass calls an AReLU."""
    seen: list[int] = []
    hooks = [
        module.register_forward_hook(lambda *_: seen.append(1))
        for module in model.modules()
        if isinstance(module, AReLU)
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return len(seen)


def difference(one: Any, other: Any) -> float:
    """The largest relative difference of two outputs."""
    pairs = zip(pytree.tree_leaves(one), pytree.tree_leaves(other), strict=True)
    return max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-12)) for a, b in pairs)


def as_it_was(model: nn.Module, x: Tensor) -> nn.Module:
    """The network converted to the activations that it had."""
    copied = prepared(model)
    found = survey(copied, example=x, gates=False, keep=(), also=())

    def same(spot: Spot) -> nn.Module:
        return spot.old

    return rebuilt(copied, found, same)


def gradients(model: nn.Module, x: Tensor) -> str:
    """How many α have a gradient that is not zero after one backward pass, of all."""
    torch.manual_seed(0)
    outputs = pytree.tree_leaves(model.train()(x))
    sum(out.float().square().mean() for out in outputs).backward()
    alphas = [p.grad for name, p in model.named_parameters() if name.endswith("beta")]
    return f"{sum(g is not None and bool(g != 0) for g in alphas)}/{len(alphas)}"


def measured(name: str, build: Callable[[], nn.Module], size: int) -> Row:
    """Convert one network and compare."""
    torch.manual_seed(0)
    model = build().eval()
    for parameter in model.parameters():  # what starts at zero could hide a difference
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    x = torch.randn(2, 3, size, size)
    before, output = counted(model, x)
    converted, report = convert(model, "arelu", example=x, report=True)
    after, _ = counted(converted, x)
    functions = sum(".functional." in f".{place.path}" for place in report.places)
    try:
        traced, _ = convert(model, "arelu", report=True)
        same = sum(isinstance(m, AReLU) for m in traced.modules())
        by_trace = same == sum(isinstance(m, AReLU) for m in converted.modules())
    except UsageError:
        by_trace = False
    return Row(
        network=name,
        modules=len(report.places) - functions,
        functions=functions,
        kept=len(report.kept),
        before=before.total(),
        swapped=calls_of_arelu(converted, x),
        after=after.total(),
        difference=difference(counted(as_it_was(model, x), x)[1], output),
        gradients=gradients(converted, x),
        traced=by_trace,
    )


def networks() -> dict[str, tuple[Callable[[], nn.Module], int]]:
    """All networks, each with its size of image."""
    import timm
    from torchvision import models

    def of_torchvision(name: str) -> Callable[[], nn.Module]:
        more = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        return lambda: models.get_model(name, weights=None, **more)

    def of_timm(name: str) -> Callable[[], nn.Module]:
        return lambda: timm.create_model(name, pretrained=False)

    found = {
        f"torchvision:{name}": (of_torchvision(name), size) for name, size in TORCHVISION.items()
    }
    return found | {f"timm:{name}": (of_timm(name), size) for name, size in TIMM.items()}


def main(wanted: Sequence[str]) -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}; called: in one forward pass in evaluation")
    head = (
        f"{'network':34} {'modules':>7} {'functions':>9} {'kept':>5} {'called':>6} {'swapped':>7}"
    )
    print(f"{head} {'left':>4} {'difference':>10} {'gradients':>9} {'traced':>6}  result")
    complete = refused = 0
    for name, (build, size) in networks().items():
        if wanted and not any(part in name for part in wanted):
            continue
        start = time.perf_counter()
        try:
            row = measured(name, build, size)
        except UsageError as error:
            refused += 1
            print(f"{name:34} refused: {error}", flush=True)
            continue
        except Exception as error:  # noqa: BLE001  # a failure is a row, and the next network follows
            print(f"{name:34} FAILED: {type(error).__name__}: {str(error)[:300]}", flush=True)
            continue
        complete += row.complete
        print(
            f"{name:34} {row.modules:7} {row.functions:9} {row.kept:5} {row.before:6} "
            f"{row.swapped:7} {row.after:4} {row.difference:10.1e} {row.gradients:>9} "
            f"{'yes' if row.traced else 'no':>6}  {'complete' if row.complete else 'DIFFERS'}"
            f"  {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    print(f"{complete} complete, {refused} refused")


if __name__ == "__main__":
    main(sys.argv[1:])
