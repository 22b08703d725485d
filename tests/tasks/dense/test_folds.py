"""Folds partition the patients, and no patient is in two parts."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from metaact import tasks
from metaact.errors import DataError, UsageError
from metaact.tasks import Fold, Volumes


def patients(count: int, *, slices: int = 2, parts: tuple[str, ...] = ()) -> Volumes:
    """Patients with blank slices and one marked pixel each."""
    masks = torch.zeros(count * slices, 1, 4, 4, dtype=torch.uint8)
    masks[::slices, 0, 0, 0] = 1
    return Volumes(
        pixels=torch.zeros(count * slices, 1, 4, 4, dtype=torch.uint8),
        masks=masks,
        patient=torch.arange(count).repeat_interleave(slices),
        patients=tuple(f"p{number:03d}" for number in range(count)),
        parts=parts,
        provenance=tasks.Provenance(dataset="blank", split="all", official=False),
    )


@pytest.mark.parametrize(("count", "folds"), [(24, 3), (24, 5), (10, 10), (7, 3), (110, 22)])
def test_folds_partition_the_patients(count: int, folds: int) -> None:
    found = tasks.cross_validation(patients(count), folds)
    assert len(found) == folds
    assert sorted(number for fold in found for number in fold.test) == list(range(count))
    for fold in found:
        everyone = [*fold.train, *fold.validation, *fold.test]
        assert sorted(everyone) == list(range(count))
        assert fold.validation
    sizes = [len(fold.test) for fold in found]
    assert max(sizes) - min(sizes) <= 1


def test_the_division_is_fixed_and_shuffled() -> None:
    first = tasks.cross_validation(patients(24), 3)
    assert first == tasks.cross_validation(patients(24, slices=5), 3)
    assert first[0].test != tuple(range(8))


def test_blocks_of_one_volume_are_held_out_together() -> None:
    found = tasks.cross_validation(replace(patients(6), blocks=True), 3)
    assert [fold.test for fold in found] == [(0, 1), (2, 3), (4, 5)]


def test_no_slice_of_a_tested_patient_trains() -> None:
    volumes = patients(9, slices=3)
    for fold in tasks.cross_validation(volumes, 3):
        parts = [volumes.take(part) for part in (fold.train, fold.validation, fold.test)]
        names = [set(part.patients) for part in parts]
        assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]
        assert sum(len(part) for part in parts) == len(volumes)


def test_a_patient_in_two_parts_is_refused() -> None:
    with pytest.raises(DataError, match="patient 2 must be in one part"):
        Fold(train=(0, 1, 2), validation=(3,), test=(2, 4))
    with pytest.raises(DataError, match="patient 1 must be in one part"):
        Fold(train=(0, 1), validation=(1,), test=(2,))


def test_the_papers_ten_patients() -> None:
    """Those that Python's generator with seed 42 samples, as the port does."""
    (fold,) = tasks.paper_fold(patients(110))
    random_state = random.Random(42)
    assert fold.test == tuple(sorted(random_state.sample(range(110), k=10)))
    assert len(fold.train) == 100
    assert fold.validation == ()
    (small,) = tasks.paper_fold(patients(5))
    assert len(small.test) == 1


PARTS = ("train", "train", "train", "test", "test")


def test_parts_that_are_given_are_kept() -> None:
    (fold,) = tasks.cross_validation(patients(5, parts=PARTS))
    assert fold.test == (3, 4)
    assert sorted((*fold.train, *fold.validation)) == [0, 1, 2]
    (fold,) = tasks.paper_fold(patients(5, parts=PARTS))
    assert (fold.train, fold.test) == ((0, 1, 2), (3, 4))
    own = ("train", "train", "validation", "test", "test")
    (fold,) = tasks.cross_validation(patients(5, parts=own))
    assert (fold.train, fold.validation, fold.test) == ((0, 1), (2,), (3, 4))


@pytest.mark.parametrize(
    ("volumes", "folds", "said"),
    [
        (patients(2), 3, r"`folds` must be 2 \(blank has 2 patients\); got 3"),
        (patients(4), 1, r"`folds` must be an int in \[2, 4\]"),
        (patients(2), 2, "`folds` must leave a patient to train on and one to validate on"),
        (patients(5, parts=PARTS), 3, "`folds` must be left out for blank"),
    ],
)
def test_what_cannot_be_divided_is_refused(volumes: Volumes, folds: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tasks.cross_validation(volumes, folds)


def test_weights_by_mask_area_in_closed_form() -> None:
    """Patient 0 has areas 3 and 1 in two slices, patient 1 none in one: each half of the weight."""
    masks = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    masks[0, 0].view(-1)[:3] = 1
    masks[1, 0, 0, 0] = 1
    volumes = Volumes(
        pixels=torch.zeros(3, 1, 2, 2, dtype=torch.uint8),
        masks=masks,
        patient=torch.tensor([0, 0, 1]),
        patients=("a", "b"),
        provenance=tasks.Provenance(dataset="x", split="all", official=False),
    )
    share = 0.1 * 4 / 2
    expected = [(3 + share) / 4.4 / 2, (1 + share) / 4.4 / 2, 0.5]
    assert volumes.weights().tolist() == pytest.approx(expected)
    assert float(volumes.weights().sum()) == pytest.approx(1)
    alone = volumes.weights([0])
    assert alone.tolist() == pytest.approx([2 * expected[0], 2 * expected[1], 0])


def test_the_drawn_patients() -> None:
    """Every one has a lesion, and slices without; the same heads at any size; no two alike."""
    small, large = tasks.synthetic_patients(32), tasks.synthetic_patients(64)
    assert small.sha256() == tasks.synthetic_patients(32).sha256()
    for number in range(len(large.patients)):
        areas = large.masks[large.slices_of(number)].sum(dim=(1, 2, 3))
        assert int(areas.max()) > 20
        assert int(areas.min()) == 0
    grown = small.masks.float().mean(dim=(1, 2, 3)) - large.masks.float().mean(dim=(1, 2, 3))
    assert float(grown.abs().max()) < 0.02
    shown = {large.pixels[large.slices_of(n)].numpy().tobytes() for n in range(24)}
    assert len(shown) == 24


def test_no_threshold_of_one_channel_finds_the_drawn_lesions() -> None:
    """The best threshold of any channel, chosen on the answers, stays below half the Dice."""
    from metaact.adaptation import dice

    volumes = tasks.synthetic_patients(32)
    best = 0.0
    for channel in range(3):
        for threshold in range(80, 256, 8):
            scores = [
                dice(volumes.pixels[own, channel] > threshold, volumes.masks[own, 0])
                for own in map(volumes.slices_of, range(24))
            ]
            best = max(best, sum(scores) / 24)
    assert best < 0.5
