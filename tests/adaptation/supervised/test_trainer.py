"""The supervised trainer against plain PyTorch, itself after an interruption, and closed forms."""

import io
import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metaact.adaptation.supervised import trainer as supervised
from metaact.adaptation.supervised.optimizers import Recipe
from metaact.adaptation.supervised.trainer import Trainer, epoch_order, evaluate

SGD = Recipe(lr=0.05, batch_size=16)
ADAM = Recipe(lr=0.01, batch_size=16, optimizer="adam", weight_decay=0.01)


@dataclass(frozen=True, eq=False)
class Labelled:
    pixels: Tensor
    labels: Tensor


@pytest.fixture
def images() -> Labelled:
    draw = torch.Generator().manual_seed(5)
    labels = torch.randint(3, (60,), generator=draw)
    pixels = torch.randint(128, (60, 1, 8, 8), dtype=torch.uint8, generator=draw)
    pixels += (labels * 40).to(torch.uint8).view(-1, 1, 1, 1)
    return Labelled(pixels, labels)


def network(activation: type[nn.Module] = nn.ReLU, *, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), activation(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(144, 3)
        )


def values(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("recipe", [SGD, ADAM])
def test_training_is_the_plain_loop_of_pytorch(images: Labelled, recipe: Recipe) -> None:
    model, plain = (network(nn.Softplus).double() for _ in range(2))
    model[2].p = plain[2].p = 0.0
    trainer = Trainer(model, images, recipe=recipe, seed=3)
    outcome = trainer.epoch()

    if recipe is SGD:
        optimizer: torch.optim.Optimizer = torch.optim.SGD(plain.parameters(), 0.05, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(plain.parameters(), 0.01, weight_decay=0.01)
    total = 0.0
    for chosen in epoch_order(60, seed=3, epoch=0).split(16):
        loss = functional.cross_entropy(
            plain(images.pixels[chosen].double() / 255), images.labels[chosen]
        )
        total += float(loss.detach()) * len(chosen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(values(model), values(plain), rtol=1e-12, atol=1e-12)
    assert outcome.loss == pytest.approx(total / 60, rel=1e-12)
    assert outcome.diverged_at is None


def test_order_is_a_permutation_of_seed_and_epoch_alone() -> None:
    order = epoch_order(100, seed=1, epoch=2)
    assert torch.equal(order.sort().values, torch.arange(100))
    assert torch.equal(order, epoch_order(100, seed=1, epoch=2))
    assert not torch.equal(order, epoch_order(100, seed=1, epoch=3))
    assert not torch.equal(order, epoch_order(100, seed=2, epoch=2))


@pytest.mark.parametrize("recipe", [SGD, ADAM])
@pytest.mark.parametrize("activation", [nn.RReLU, nn.PReLU])
def test_interrupted_training_ends_bit_for_bit_the_same(
    images: Labelled, recipe: Recipe, activation: type[nn.Module]
) -> None:
    whole = Trainer(network(activation), images, recipe=recipe, seed=1)
    for _ in range(3):
        whole.epoch()
    killed = Trainer(network(activation), images, recipe=recipe, seed=1)
    killed.epoch()
    saved = io.BytesIO()
    torch.save(killed.state_dict(), saved)
    saved.seek(0)
    continued = Trainer(network(activation, seed=9), images, recipe=recipe, seed=1)
    continued.load_state_dict(torch.load(saved, weights_only=True))
    for _ in range(2):
        continued.epoch()
    assert continued.epochs == 3
    assert torch.equal(values(continued.model), values(whole.model))


def test_global_generator_is_left_alone(images: Labelled) -> None:
    trainer = Trainer(network(nn.RReLU), images, recipe=SGD, seed=0)
    before = torch.get_rng_state()
    trainer.epoch()
    evaluate(trainer.model, images)
    assert torch.equal(torch.get_rng_state(), before)


def test_random_layers_draw_anew_in_each_epoch(images: Labelled) -> None:
    losses = []
    for epoch in (0, 1):
        trainer = Trainer(network(nn.RReLU), images, recipe=Recipe(lr=1e-30), seed=0)
        trainer.epochs = epoch
        losses.append(trainer.epoch().loss)
    assert losses[0] != losses[1]


def test_observing_changes_nothing(images: Labelled) -> None:
    alone = Trainer(network(nn.RReLU), images, recipe=SGD, seed=0)
    alone.epoch()
    watched = Trainer(network(nn.RReLU), images, recipe=SGD, seed=0)
    seen: list[int] = []

    def observe(step: int) -> None:
        seen.append(step)
        watched.model.eval()
        evaluate(watched.model, images)

    watched.epoch(observe_at=(1, 3, 99), observe=observe)
    assert seen == [1, 3]
    assert torch.equal(values(watched.model), values(alone.model))
    assert alone.steps == 4


def test_divergence_names_its_first_step(images: Labelled) -> None:
    trainer = Trainer(network(), images, recipe=Recipe(lr=1e30, batch_size=16), seed=0)
    outcome = trainer.epoch()
    assert outcome.diverged_at in (1, 2)
    assert not math.isfinite(outcome.loss)


@pytest.mark.parametrize("size", [1, 7, 500])
def test_score_is_the_mean_over_images_for_any_batch_size(
    images: Labelled, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "EVALUATION_BATCH", size)
    model = network(nn.RReLU).double()
    score = evaluate(model, images)
    assert model.training
    with torch.no_grad():
        logits = model.eval()(images.pixels.double() / 255)
    picked = logits.log_softmax(1)[torch.arange(60), images.labels]
    right = int((logits.argmax(1) == images.labels).sum())
    assert score.loss == pytest.approx(-float(picked.mean()), rel=1e-10)
    assert (int(score.right.sum()), len(score.right), score.accuracy) == (right, 60, right / 60)


def test_pixels_are_scaled_as_torchvision_scales_them() -> None:
    everything = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1)
    images = Labelled(everything, torch.zeros(256, dtype=torch.int64))
    scaled, _ = supervised.batch(images, torch.arange(256), like=torch.zeros(()))
    assert scaled.dtype == torch.float32
    assert torch.equal(scaled, everything.to(torch.float32).div(255))
