"""Dice: closed forms of the loss and the score, empty masks, the largest component."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from metaact import tasks
from metaact.adaptation import (
    Dice,
    Normalisation,
    Recipe,
    Trainer,
    dice,
    evaluate_volumes,
    largest_component,
)
from metaact.adaptation.supervised.trainer import epoch_order
from metaact.errors import UsageError


def volumes(*slices: int, size: int = 8, seed: int = 0) -> tasks.Volumes:
    """A patient for each number of slices, with a bright square that is its mask."""
    draw = torch.Generator().manual_seed(seed)
    count = sum(slices)
    masks = torch.zeros(count, 1, size, size, dtype=torch.uint8)
    for number in range(count):
        top, left = torch.randint(size // 2, (2,), generator=draw).tolist()
        masks[number, 0, top : top + 3, left : left + 3] = 1
    noise = torch.randint(60, masks.shape, dtype=torch.uint8, generator=draw)
    return tasks.Volumes(
        pixels=noise + 150 * masks,
        masks=masks,
        patient=torch.arange(len(slices)).repeat_interleave(torch.tensor(slices)),
        patients=tuple(f"p{number}" for number in range(len(slices))),
        provenance=tasks.Provenance(dataset="squares", split="all", official=False),
    )


class Fixed(nn.Module):
    """Logits that say what the images show: bright pixels are marked."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(threshold))

    def forward(self, images: Tensor) -> Tensor:
        return 100 * (images - self.threshold)


def test_the_loss_in_closed_form() -> None:
    """p = 1/2 everywhere, n pixels of which a are marked: 1 - (a + 1)/(n/2 + a + 1)."""
    masks = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    masks[0, 0, :2] = 1
    loss = Dice().loss(torch.zeros(2, 1, 4, 4), masks)
    assert float(loss) == pytest.approx(1 - (8 + 1) / (16 + 8 + 1))


def test_the_loss_of_a_batch_is_not_the_mean_of_its_images() -> None:
    draw = torch.Generator().manual_seed(0)
    logits, masks = torch.randn(3, 1, 4, 4, generator=draw), torch.zeros(3, 1, 4, 4)
    masks[0] = 1
    whole = Dice().loss(logits, masks)
    likely = logits.sigmoid()
    sums = [float((2 * (likely * masks).sum() + 1) / (likely.sum() + masks.sum() + 1))]
    assert float(whole) == pytest.approx(1 - sums[0], rel=1e-6)
    apart = [Dice().loss(logits[i : i + 1], masks[i : i + 1]) for i in range(3)]
    assert float(torch.stack(apart).mean()) != pytest.approx(float(whole), rel=1e-2)


def test_the_gradient_by_finite_differences() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 3, 3, dtype=torch.float64, generator=draw).requires_grad_()
    masks = torch.randint(2, (2, 1, 3, 3), generator=draw)
    assert torch.autograd.gradcheck(lambda x: Dice().loss(x, masks), logits)


def test_half_precision_is_summed_in_single() -> None:
    """Half a million pixels: their sum is no number of float16."""
    logits = torch.full((1, 1, 720, 720), 9.0, dtype=torch.float16)
    loss = Dice().loss(logits, torch.ones(1, 1, 720, 720, dtype=torch.uint8))
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (2, 1, 4, 5), (2, 4)])
def test_outputs_of_another_form_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="one logit a pixel"):
        Dice().outputs(torch.zeros(shape), torch.zeros(2, 3, 4, 4))


def test_dice_in_closed_form() -> None:
    marked, truth = np.zeros((2, 4, 4), bool), np.zeros((2, 4, 4), bool)
    marked[0, :2], truth[0, 1:3] = True, True
    assert dice(marked, truth) == 2 * 4 / (8 + 8)
    assert dice(truth, truth) == 1


def test_empty_masks() -> None:
    """Nothing to be found: 1 if nothing is marked, else 0, however little."""
    empty, one = np.zeros((2, 3, 3), bool), np.zeros((2, 3, 3), bool)
    one[0, 0, 0] = True
    assert (dice(empty, empty), dice(one, empty), dice(empty, one)) == (1.0, 0.0, 0.0)


def test_the_largest_component_hangs_together_by_faces_through_slices() -> None:
    volume = np.zeros((3, 4, 4), bool)
    volume[0:3, 0, 0] = True  # three voxels through the slices
    volume[0, 2, 2] = volume[0, 3, 3] = volume[1, 3, 2] = True  # by edges only
    kept = largest_component(volume)
    assert kept.sum() == 3
    assert kept[:, 0, 0].all()
    assert not largest_component(np.zeros((2, 2, 2), bool)).any()


def test_scores_of_volumes_by_hand() -> None:
    data = volumes(2, 3)
    exact = evaluate_volumes(Fixed(0.5), data, largest=False)
    assert exact.dice.tolist() == [1, 1]
    assert exact.loss == pytest.approx(0, abs=1e-4)
    nothing = evaluate_volumes(Fixed(2.0), data)
    assert nothing.dice.tolist() == [0, 0]
    everything = evaluate_volumes(Fixed(-1.0), data)
    assert everything.dice == pytest.approx(data.all_marked())
    areas, pixels = (18, 27), (128, 192)
    expected = [2 * a / (a + n) for a, n in zip(areas, pixels, strict=True)]
    assert list(data.all_marked()) == pytest.approx(expected)


def test_only_the_largest_component_counts_if_asked() -> None:
    data = volumes(1)
    data.pixels[0, 0, 7, 7] = 255  # a bright speck apart
    assert evaluate_volumes(Fixed(0.5), data, largest=True).dice.tolist() == [1]
    assert evaluate_volumes(Fixed(0.5), data, largest=False).dice[0] == pytest.approx(18 / 19)


def test_a_patient_is_scored_alone() -> None:
    """Neither the other patients nor how many slices one has change a score."""
    data, normalised = volumes(2, 20, 1), Normalisation(mean=(0.3,), std=(0.2,))
    together = evaluate_volumes(Fixed(0.4), data, normalisation=normalised)
    for number, score in enumerate(together.dice):
        alone = evaluate_volumes(Fixed(0.4), data.take([number]), normalisation=normalised)
        assert alone.dice.tolist() == [score]


def test_slices_are_drawn_by_their_weights() -> None:
    """As many as have a weight, each share within four standard errors; the same for a seed."""
    weights = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
    many = weights.repeat(2500) / 2500
    drawn = epoch_order(10_000, seed=1, epoch=0, weights=many)
    shares = torch.bincount(drawn % 4, minlength=4) / 7500
    assert len(drawn) == 7500
    assert float((shares - weights).abs().max()) < 4 * 0.5 / 7500**0.5
    assert torch.equal(drawn, epoch_order(10_000, seed=1, epoch=0, weights=many))
    assert not torch.equal(drawn, epoch_order(10_000, seed=1, epoch=1, weights=many))


@pytest.mark.draws_globally
@pytest.mark.parametrize("augmentation", ["none", "scale-turn-flip", "crop-flip"])
def test_a_network_learns_to_mark(augmentation: str) -> None:
    data = volumes(4, 4, 4)
    model = nn.Conv2d(1, 1, 1)
    nn.init.constant_(model.weight, 0.1)
    assert model.bias is not None
    nn.init.zeros_(model.bias)
    recipe = Recipe(lr=0.3, optimizer="adam", batch_size=4, augmentation=augmentation)
    trainer = Trainer(model, data, recipe=recipe, seed=0, objective=Dice(), weights=data.weights())
    losses = [trainer.epoch().loss for _ in range(12)]
    assert losses[-1] < 0.6 * losses[0]
    assert evaluate_volumes(model, data, largest=False).dice.min() > 0.9
