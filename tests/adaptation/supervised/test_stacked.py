"""Models trained in a stack against the same models trained alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from metaact.adaptation.supervised.recipe import Recipe
from metaact.adaptation.supervised.stacked import stacked_epoch, stacks_by_default
from metaact.adaptation.supervised.trainer import Normalisation, Trainer
from metaact.errors import UsageError

SGD = Recipe(lr=0.05, batch_size=16, weight_decay=0.02, decay="weights")
ADAM = replace(SGD, optimizer="adam", lr=0.01, layer_lrs=(("activations", 0.1),))


FULL = replace(
    SGD,
    nesterov=True,
    schedule="step",
    milestones=(2,),
    warmup_epochs=1,
    epochs=3,
    clip_norm=0.5,
    augmentation="crop-flip",
)
COSINE = replace(ADAM, schedule="cosine", epochs=3, clip_norm=0.5)


@dataclass(frozen=True, eq=False)
class Labelled:
    pixels: Tensor
    labels: Tensor


class Attention(nn.Module):
    """Two learnable slopes, one of them without a dimension as in AReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(0.9))
        self.beta = nn.Parameter(torch.tensor([2.0]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x >= 0, (1 + self.beta.sigmoid()) * x, self.alpha.clamp(0.01, 0.99) * x)


@pytest.fixture
def images() -> Labelled:
    draw = torch.Generator().manual_seed(5)
    labels = torch.randint(3, (60,), generator=draw)
    pixels = torch.randint(256, (60, 2, 8, 8), dtype=torch.uint8, generator=draw)
    return Labelled(pixels, labels)


def trainer(images: Labelled, *, seed: int, recipe: Recipe, layer: type[nn.Module]) -> Trainer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), layer(), nn.Flatten(), nn.Linear(36, 3)
        )
    normalisation = Normalisation(mean=(0.4, 0.5), std=(0.3, 0.2))
    return Trainer(model.double(), images, recipe=recipe, seed=seed, normalisation=normalisation)


def team(
    images: Labelled, recipe: Recipe, seeds: Sequence[int], rates: Sequence[float]
) -> list[Trainer]:
    return [
        trainer(images, seed=s, recipe=replace(recipe, lr=r), layer=Attention)
        for s, r in zip(seeds, rates, strict=True)
    ]


def values(one: Trainer) -> Tensor:
    return torch.cat([p.detach().flatten() for p in one.model.parameters()])


def train_both(stack: Sequence[Trainer], alone: Sequence[Trainer]) -> None:
    """Three epochs of each, with the same losses."""
    for _ in range(3):
        together = stacked_epoch(stack)
        apart = [one.epoch() for one in alone]
        for a, b in zip(together, apart, strict=True):
            assert a.loss == pytest.approx(b.loss, rel=1e-10)


@pytest.mark.parametrize("recipe", [SGD, ADAM, FULL, COSINE])
def test_stacked_and_alone_agree(images: Labelled, recipe: Recipe) -> None:
    seeds, rates = (0, 1, 0), (0.05, 0.02, 0.1)
    alone, stack = (team(images, recipe, seeds, rates) for _ in range(2))
    train_both(stack, alone)
    for one, other in zip(stack, alone, strict=True):
        torch.testing.assert_close(values(one), values(other), rtol=1e-10, atol=1e-10)
    assert not torch.allclose(values(stack[0]), values(stack[2]))


class Drawn(nn.Module):
    """A slope that is drawn when it is made, and no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = float(torch.rand(()))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope * x)


@pytest.mark.parametrize("recipe", [SGD, ADAM, FULL, COSINE])
def test_runs_of_several_activations_agree_with_those_alone(
    images: Labelled, recipe: Recipe
) -> None:
    """Each has its own rate and decay, and one of them a layer less to train."""
    layers = nn.ReLU, Attention, nn.PReLU, Attention, Drawn, Drawn
    alone, stack = (
        [
            trainer(
                images,
                seed=seed,
                recipe=replace(
                    recipe,
                    lr=recipe.lr / (1 + seed),
                    weight_decay=0.01 * seed,
                    train_layers=("all",) if seed != 3 else ("4", "activations"),
                ),
                layer=layer,
            )
            for seed, layer in enumerate(layers)
        ]
        for _ in range(2)
    )
    train_both(stack, alone)
    for one, other in zip(stack, alone, strict=True):
        torch.testing.assert_close(values(one), values(other), rtol=1e-9, atol=1e-10)
        for parameter in one.model.parameters():
            for value in one.optimizer.state[parameter].values():
                assert value.shape in (parameter.shape, ())


@pytest.mark.parametrize("recipe", [SGD, ADAM, FULL, COSINE])
def test_companions_make_no_difference(images: Labelled, recipe: Recipe) -> None:
    ends = []
    for seeds, rates in [((4,), (0.03,)), ((4, 5), (0.03, 0.1)), ((9, 4, 4), (1e38, 0.03, 1.0))]:
        stack = team(images, recipe, seeds, rates)
        if rates[0] > 1:  # a float64 model does not diverge within an epoch at any rate allowed
            next(stack[0].model.parameters()).data.fill_(float("nan"))
        outcomes = stacked_epoch(stack)
        assert (outcomes[0].diverged_at is None) == (rates[0] < 1)
        ends.append(values(stack[rates.index(0.03)]))
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ends[2], ends[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("recipe", [SGD, ADAM, FULL, COSINE])
def test_a_run_may_leave_and_join_a_stack(images: Labelled, recipe: Recipe) -> None:
    (steady,) = team(images, recipe, [3], [0.05])
    (moving, companion) = team(images, recipe, [3, 8], [0.05, 0.01])
    for _ in range(3):
        steady.epoch()
    stacked_epoch([moving, companion])
    state = moving.state_dict()
    (fresh,) = team(images, recipe, [3], [0.05])
    fresh.load_state_dict(state)
    fresh.epoch()
    companion.epoch()
    stacked_epoch([companion, fresh])
    torch.testing.assert_close(values(fresh), values(steady), rtol=1e-10, atol=1e-10)


def test_observer_sees_the_models_as_they_are(images: Labelled) -> None:
    stack = team(images, SGD, (0, 1), (0.05, 0.05))
    before = values(stack[1])
    seen: list[tuple[int, bool]] = []
    stacked_epoch(
        stack,
        observe_at=(1, 3),
        observe=lambda step: seen.append((step, torch.equal(values(stack[1]), before))),
    )
    assert seen == [(1, False), (3, False)]


def test_frozen_layers_stay(images: Labelled) -> None:
    recipe = replace(SGD, freeze_activations=True, train_layers=("4",))
    stack = team(images, recipe, (0, 1), (0.05, 0.05))
    before = stack[0].model.state_dict()["0.weight"].clone()
    stacked_epoch(stack)
    assert torch.equal(stack[0].model.state_dict()["0.weight"], before)
    assert float(stack[0].model.state_dict()["2.alpha"]) == pytest.approx(0.9)


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


@pytest.mark.parametrize("layer", [Noise, nn.Dropout, lambda: nn.BatchNorm2d(4)])
def test_layers_that_would_mix_runs_are_refused(images: Labelled, layer: type[nn.Module]) -> None:
    stack = [trainer(images, seed=s, recipe=SGD, layer=layer) for s in (0, 1)]
    with pytest.raises(UsageError, match=r"random|running statistics"):
        stacked_epoch(stack)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 8},
        {"momentum": 0.5},
        {"optimizer": "adam"},
        {"nesterov": True},
        {"clip_norm": 1.0},
        {"augmentation": "crop-flip"},
        {"schedule": "cosine", "epochs": 3},
    ],
)
def test_trainers_that_do_not_fit_together_are_refused(images: Labelled, change: dict) -> None:  # type: ignore[type-arg]
    stack = team(images, SGD, (0, 1), (0.05, 0.05))
    stack[1] = trainer(images, seed=1, recipe=replace(SGD, **change), layer=Attention)
    with pytest.raises(UsageError, match="number 1 differs"):
        stacked_epoch(stack)


def test_cpu_trains_one_after_the_other() -> None:
    assert not stacks_by_default("cpu")
    assert stacks_by_default("cuda:0")


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return x / self.seen


class Replacing(Counting):
    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + 1
        return x / self.seen


class Numbering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x / self.calls


class ByClosure(nn.Module):
    """A copy of it computes with the slope of the original."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.PReLU()
        self.body = lambda x: self.inner(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Counting, "changes its buffer .*seen"),
        (Numbering, "changes its attributes"),
        (Replacing, "seen` of the model changes"),
        (ByClosure, "reads .*inner.weight elsewhere"),
    ],
)
def test_what_a_stack_would_compute_otherwise_is_refused(
    images: Labelled, layer: type[nn.Module], message: str
) -> None:
    stack = [trainer(images, seed=s, recipe=SGD, layer=layer) for s in (0, 1)]
    with pytest.raises(UsageError, match=message):
        stacked_epoch(stack)
