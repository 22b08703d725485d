"""No step waits for a GPU: steps of all activations, on a device without numbers.

On PyTorch's device "meta" tensors have shapes and no numbers, and the code takes the way of a GPU:
whatever would ask the device for a number fails. What Python's numbers are sent there is seen below
autograd; on a GPU the host would wait for that, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from metaact import activations, models
from metaact.adaptation import (
    ALGORITHMS,
    MAML,
    Dice,
    MetaLearner,
    MetaStack,
    Normalisation,
    Recipe,
    Trainer,
    refusal,
)
from metaact.adaptation.episodic.algorithms.table import find
from metaact.adaptation.online import UNROLLED, OnlineNets, layout_of
from metaact.adaptation.supervised.stacked import _Stack
from metaact.tasks import MetaBatch

META = torch.device("meta")
DRAW = torch.Generator()

ASKING = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
INDEX = torch.ops.aten.index.Tensor
"""Its shape depends on numbers where it is given masks."""

COPY = torch.ops.aten._to_copy.default
"""Nothing waits for it, if it says so."""


class Unsent(TorchFunctionMode):
    """Fails where numbers of Python are sent to the device, which is not seen below autograd."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        is_sent = func in MAKING and made.device == META
        assert not is_sent, "numbers of Python are sent to the device"
        return made


MAKING = (torch.tensor, torch.as_tensor, torch.asarray, torch.scalar_tensor, Tensor.new_tensor)


class Resident(TorchDispatchMode):
    """Fails where an op's number or shape depends on numbers, or a tensor comes or goes."""

    def __init__(self) -> None:
        super().__init__()
        self.ops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.ops += 1
        given = [t for t in tree_leaves((args, kwargs or {})) if isinstance(t, Tensor)]
        asks = any(tag in func.tags for tag in ASKING) and any(t.device == META for t in given)
        masked = any(t.dtype in (torch.bool, torch.uint8) for t in given[1:])
        assert not asks or (func is INDEX and not masked), f"{func} waits for the device"
        results = func(*args, **(kwargs or {}))
        everything = (*given, *tree_leaves(results))
        places = {t.device for t in everything if isinstance(t, Tensor) and t.ndim}
        sent = func is COPY and (kwargs or {}).get("non_blocking")
        assert len(places) < 2 or sent, f"{func} has tensors on {places}"
        return results


@contextmanager
def resident() -> Iterator[Resident]:
    with Resident() as seen, Unsent():
        yield seen
    assert seen.ops > 50


@dataclass(frozen=True, eq=False)
class Labelled:
    pixels: Tensor
    labels: Tensor


def images(*, masks: bool = False) -> Labelled:
    pixels = torch.empty((20, 1, 28, 28), dtype=torch.uint8, device=META)
    labels = torch.empty((20,), dtype=torch.int64, device=META)
    return Labelled(pixels, torch.empty_like(pixels) if masks else labels)


def network(name: str) -> nn.Module:
    return models.mnist_conv(activations.resolve(name), classes=5, generator=DRAW).to(META)


def small(name: str) -> nn.Module:
    entry = activations.resolve(name)
    first, last = nn.Linear(784, entry.before(8), device=META), nn.Linear(8, 5, device=META)
    return nn.Sequential(nn.Flatten(), first, entry.factory().to(META), last)


RECIPES = {
    "sgd": Recipe(lr=0.1, batch_size=8),
    "adam": Recipe(lr=0.1, batch_size=8, optimizer="adam"),
    "all": Recipe(
        lr=0.1,
        batch_size=8,
        nesterov=True,
        weight_decay=0.1,
        clip_norm=1.0,
        schedule="cosine",
        warmup_epochs=1,
        epochs=3,
        augmentation="crop-flip",
    ),
}
NORMALISED = Normalisation(mean=(0.3,), std=(0.2,))


def updates(one: Trainer) -> None:
    """Two updates as `epoch` makes them, the second of them watched."""
    indices = torch.empty(8, dtype=torch.int64, device=META)
    crops = one.crops()
    given = indices, one._share_models(), one._signature(), None if crops is None else crops[:8]
    one.model.train()
    one._set_rates(0)
    one._graphed(*given)  # makes what is made once: momentum, what normalises
    with resident():
        one._set_rates(1)
        one._graphed(*given)


CASES = [*((name, "all") for name in activations.names()), ("arelu", "sgd"), ("arelu", "adam")]


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_no_update_waits(name: str, recipe: str) -> None:
    given = {"recipe": RECIPES[recipe], "normalisation": NORMALISED}
    updates(Trainer(network(name), images(), seed=0, **given))


@pytest.mark.parametrize("name", ["resnet18", "conv4"])
def test_no_update_of_a_network_with_running_statistics_waits(name: str) -> None:
    model = models.create(name, activations.resolve("arelu"), classes=5, channels=1, generator=DRAW)
    updates(Trainer(model.to(META), images(), recipe=RECIPES["all"], seed=0))


def test_no_update_of_a_network_for_masks_waits() -> None:
    model = models.create_dense(
        "unet", activations.resolve("arelu"), channels=1, size=(32, 32), features=2, generator=DRAW
    )
    recipe = replace(RECIPES["all"], augmentation="scale-turn-flip")
    one = Trainer(
        nn.Sequential(nn.ZeroPad2d(2), model, nn.ZeroPad2d(-2)).to(META),
        images(masks=True),
        recipe=recipe,
        seed=0,
        normalisation=NORMALISED,
        objective=Dice(),
    )
    updates(one)


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_no_update_of_a_stack_waits(name: str, recipe: str) -> None:
    data = images()
    why = refusal(small(name), data)
    if why is not None:  # what draws is trained alone
        assert "random" in why
        return
    given = {"recipe": RECIPES[recipe], "normalisation": NORMALISED}
    stack = _Stack([Trainer(small(name), data, seed=seed, **given) for seed in (0, 1)])
    indices = torch.empty((2, 8), dtype=torch.int64, device=META)
    stack.step(0, indices)
    with resident():
        stack.step(1, indices)


def test_no_update_of_a_stack_of_several_activations_waits() -> None:
    data, given = images(), {"recipe": RECIPES["all"], "normalisation": NORMALISED}
    arms = [network(name) for name in ("arelu", "arelu", "pau", "relu")]
    stack = _Stack([Trainer(arm, data, seed=seed, **given) for seed, arm in enumerate(arms)])
    indices = torch.empty((4, 8), dtype=torch.int64, device=META)
    stack.step(0, indices)
    with resident():
        stack.step(1, indices)


def meta_batch() -> MetaBatch:
    pixels = torch.empty((3, 5, 1, 28, 28), device=META)
    labels = torch.empty((3, 5), dtype=torch.int64, device=META)
    return MetaBatch(support=pixels, support_labels=labels, query=pixels, query_labels=labels)


def meta_gradient(learner: MetaLearner) -> None:
    """A meta-gradient and an adaptation, after what is looked at once."""
    batch = meta_batch()
    learner.test(batch, inner_steps=0)
    with resident():
        learner.backward(batch, iteration=1)
        learner.test(batch)


@pytest.mark.parametrize("name", activations.names())
def test_no_meta_gradient_waits(name: str) -> None:
    meta_gradient(MAML(small(name), inner_lr=0.1, inner_steps=1))


@pytest.mark.parametrize(
    "settings", [{}, {"engine": "loop"}, {"recompute": True}, {"chunk_size": 2}]
)
def test_no_way_to_compute_it_waits(settings: dict[str, Any]) -> None:
    meta_gradient(MAML(network("arelu"), inner_lr=0.1, inner_steps=2, **settings))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_algorithm_waits(name: str) -> None:
    rule = find(name)
    given = {"inner_lr": 0.1, "classes": 5, "multi_step": 6, "inner_clip": 1.0}
    known = {field.name for field in fields(rule) if field.init}
    made = rule(**{key: value for key, value in given.items() if key in known})
    meta_gradient(MetaLearner(network("arelu"), made, inner_steps=2))


@pytest.mark.parametrize("name", [n for n in ALGORITHMS if find(n).stacks])
def test_no_meta_gradient_of_a_stack_waits(name: str) -> None:
    arms = ("arelu", "arelu") if name == "metasgd" else ("arelu", "arelu", "pau", "relu")
    rule = find(name)(inner_lr=0.1, inner_clip=1.0)  # type: ignore[call-arg]
    stack = MetaStack([MetaLearner(network(arm), rule) for arm in arms])
    batches = [meta_batch() for _ in arms]
    stack.backward(batches)
    with resident():
        stack.backward(batches)


class Asking(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * float(x.detach().mean())


class Masking(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, x[x < 0].mean())


class Sending(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.tensor(2.0, device=x.device)


@pytest.mark.parametrize("layer", [Asking, Masking, Sending])
def test_a_step_that_waits_would_be_seen(layer: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.PReLU(), layer()).to(META)
    x = torch.empty((2, 784), device=META)
    with (
        pytest.raises((AssertionError, RuntimeError), match=r"waits|meta|sent to the device"),
        resident(),
    ):
        model(x)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_no_step_of_a_stream_waits(optimizer: str) -> None:
    activation = activations.resolve("arelu").factory()
    layout = layout_of(activation, inputs=20, hidden=5)
    nets = OnlineNets(activation.to(META), layout, optimizer=optimizer)
    numbers = torch.empty(layout.rows, 3, device=META)
    moments = ("first", "second") if optimizer == "adam" else ()
    nets.take(torch.empty(3, device=META), dict.fromkeys(("numbers", *moments), numbers))
    x = torch.empty(UNROLLED, 21, 3, device=META)
    with resident():
        nets.learn(x, x[:, 0])
