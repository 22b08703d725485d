"""The supervised trainer against plain PyTorch, itself after an interruption, and closed forms."""

import copy
import io
import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import v2

from metaact.adaptation import set_threads
from metaact.adaptation.supervised import trainer as supervised
from metaact.adaptation.supervised.augmentation import crop_and_flip, draw_crops
from metaact.adaptation.supervised.recipe import Recipe
from metaact.adaptation.supervised.trainer import Normalisation, Trainer, epoch_order, evaluate

SGD = Recipe(lr=0.05, batch_size=16)
ADAM = Recipe(lr=0.01, batch_size=16, optimizer="adam", weight_decay=0.01)
FULL = Recipe(
    lr=0.2,
    batch_size=16,
    nesterov=True,
    weight_decay=0.02,
    schedule="step",
    milestones=(2,),
    warmup_epochs=1,
    epochs=3,
    clip_norm=1.9,
    augmentation="crop-flip",
)
"""Everything at once."""

NORMALISED = Normalisation(mean=(0.3,), std=(0.2,))


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


def test_the_whole_recipe_is_the_plain_loop_of_pytorch(images: Labelled) -> None:
    """Groups, Nesterov, schedulers, clipping and transforms of PyTorch and torchvision."""
    model, plain = (network(nn.PReLU).double() for _ in range(2))
    model[2].p = plain[2].p = 0.0
    trainer = Trainer(model, images, recipe=FULL, seed=3, normalisation=NORMALISED)

    slope = [plain[1].weight]
    weights = [p for p in plain.parameters() if p is not slope[0]]
    groups = [{"params": weights, "weight_decay": 0.02}, {"params": slope, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.2, momentum=0.9, nesterov=True)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 4, total_iters=3)
    transform = v2.Compose(
        [v2.ToDtype(torch.float64, scale=True), v2.Normalize(mean=[0.3], std=[0.2])]
    )
    clipped = []
    for epoch in range(3):
        trainer.epoch()
        crops = draw_crops(60, seed=3, epoch=epoch)
        if epoch == 2:
            for group in optimizer.param_groups:
                group["lr"] = 0.02
        for chosen in epoch_order(60, seed=3, epoch=epoch).split(16):
            seen = transform(crop_and_flip(images.pixels[chosen], crops[chosen]))
            optimizer.zero_grad()
            functional.cross_entropy(plain(seen), images.labels[chosen]).backward()
            norm = nn.utils.clip_grad_norm_(plain.parameters(), 1.9)
            clipped.append(float(norm))
            optimizer.step()
            if epoch == 0:
                warmup.step()
        torch.testing.assert_close(values(model), values(plain), rtol=1e-10, atol=1e-10)
        assert trainer.lr == pytest.approx([0.2, 0.2, 0.02][epoch])
    assert min(clipped) < 1.9 < max(clipped)


def test_sums_over_shares_are_those_of_the_whole_batch() -> None:
    draw = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (256, 1, 8, 8), dtype=torch.uint8, generator=draw)
    images = Labelled(pixels, torch.randint(3, (256,), generator=draw))
    recipe = replace(FULL, batch_size=128)
    ends = []
    for shares in (1, 2):
        model = network().double()
        model[2].p = 0.0
        trainer = Trainer(model, images, recipe=recipe, seed=0, normalisation=NORMALISED)
        assert trainer.shares == 2
        with pytest.MonkeyPatch.context() as patch:
            if shares == 1:
                patch.setattr(Trainer, "shares", 1)
            for _ in range(3):
                trainer.epoch()
        ends.append(values(model))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-10, atol=1e-10)


def test_the_recipe_is_the_same_on_any_number_of_threads() -> None:
    draw = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (256, 1, 8, 8), dtype=torch.uint8, generator=draw)
    images = Labelled(pixels, torch.randint(3, (256,), generator=draw))
    ends = []
    for count in (1, 2):
        set_threads(count)
        model = network()
        model[2].p = 0.0
        recipe = replace(FULL, batch_size=128)
        trainer = Trainer(model, images, recipe=recipe, seed=0, normalisation=NORMALISED)
        for _ in range(2):
            trainer.epoch()
        ends.append(values(model))
    set_threads(None)
    assert torch.equal(*ends)


def test_top_5_is_counted_image_by_image(images: Labelled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "EVALUATION_BATCH", 7)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        seven, five = (nn.Sequential(nn.Flatten(), nn.Linear(64, n)).double() for n in (7, 5))
    assert evaluate(five, images).top5 is None
    with torch.no_grad():
        logits = seven(images.pixels.double() / 255)
    order = logits.argsort(dim=1, descending=True).tolist()
    right = sum(int(c) in best[:5] for c, best in zip(images.labels, order, strict=True))
    assert evaluate(seven, images).top5 == right / 60
    assert 0 < right < 60


def test_evaluation_normalises_as_training_does(images: Labelled) -> None:
    model = network().double().eval()
    with torch.no_grad():
        logits = model((images.pixels.double() / 255 - 0.3) / 0.2)
    loss = float(functional.cross_entropy(logits, images.labels))
    assert evaluate(model, images, normalisation=NORMALISED).loss == pytest.approx(loss, rel=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights(images: Labelled) -> None:
    seen: list[torch.dtype] = []
    model = network().cuda()
    model[4].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    there = Labelled(images.pixels.cuda(), images.labels.cuda())
    recipe = replace(FULL, precision="bfloat16", channels_last=True)
    trainer = Trainer(model, there, recipe=recipe, seed=0, normalisation=NORMALISED)
    assert math.isfinite(trainer.epoch().loss)
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_order_is_a_permutation_of_seed_and_epoch_alone() -> None:
    order = epoch_order(100, seed=1, epoch=2)
    assert torch.equal(order.sort().values, torch.arange(100))
    assert torch.equal(order, epoch_order(100, seed=1, epoch=2))
    assert not torch.equal(order, epoch_order(100, seed=1, epoch=3))
    assert not torch.equal(order, epoch_order(100, seed=2, epoch=2))


@pytest.mark.parametrize(
    "recipe", [SGD, ADAM, FULL, Recipe(lr=0.1, batch_size=16, schedule="cosine", epochs=3)]
)
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


def with_statistics(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.PReLU(), nn.Flatten(), nn.Linear(144, 3)
        )


def test_running_statistics_are_those_of_the_plain_loop(images: Labelled) -> None:
    """Also after so many updates that ops would be recorded, and when a run continues there."""
    recipe = Recipe(lr=0.05, batch_size=4)
    model, plain = with_statistics().double(), with_statistics().double()
    trainer = Trainer(model, images, recipe=recipe, seed=3)
    optimizer = torch.optim.SGD(plain.parameters(), 0.05, momentum=0.9)
    for epoch in range(2):
        trainer.epoch()
        for chosen in epoch_order(60, seed=3, epoch=epoch).split(4):
            optimizer.zero_grad()
            outputs = plain(images.pixels[chosen].double() / 255)
            functional.cross_entropy(outputs, images.labels[chosen]).backward()
            optimizer.step()
        continued = Trainer(with_statistics(1).double(), images, recipe=recipe, seed=3)
        continued.load_state_dict(copy.deepcopy(trainer.state_dict()))
        trainer = continued
    for (name, ours), theirs in zip(
        continued.model.state_dict().items(), plain.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9, msg=name)


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
