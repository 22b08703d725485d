"""Which patients train, validate and test: never one in two parts."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch

from metaact.display import brief
from metaact.errors import DataError, UsageError, check_int
from metaact.randomness import derived_seed

from .volumes import Volumes

FOLDS = 3
"""Parts into which patients are divided, unless asked otherwise."""

VALIDATING = 6
"""One of so many patients that do not test validates."""

PORT_SEED = 42
"""By which the published port draws its held-out patients, with Python's own generator."""

PORT_SHARE = 10 / 110
"""Of all patients, those that the port holds out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """The parts of one training, by the numbers of patients.

    Attributes:
        train: Patients that train.
        validation: Patients on which choices are made; () where there are none.
        test: Patients that are scored.

    Raises:
        DataError: If a patient is in two parts, or none trains or is tested.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def __repr__(self) -> str:
        sizes = {name: len(getattr(self, name)) for name in ("train", "validation", "test")}
        return brief(self, **sizes)

    def __post_init__(self) -> None:
        everyone = [*self.train, *self.validation, *self.test]
        shared = sorted({number for number in everyone if everyone.count(number) > 1})
        if shared:
            raise DataError(f"patient {shared[0]} must be in one part of a fold; got it in two.")
        if not (self.train and self.test):
            raise DataError("a fold must have patients that train and others that are tested.")


def cross_validation(volumes: Volumes, folds: int | None = None) -> tuple[Fold, ...]:
    """Every patient is tested once, by a network that never saw it.

    The division is fixed: it depends on the number of patients and of folds, not on a run's seed.
    Patients are shuffled; blocks of one volume keep their order, so that what is held out is
    contiguous. Of the patients that a fold does not test every sixth, drawn by the fold, validates.
    Data that come in parts have one fold, of these.

    Args:
        volumes: The patients.
        folds: How many; None is three, or as many as there are parts given.

    Raises:
        UsageError: If there are too few patients, or `folds` is given for data with parts.
    """
    count = len(volumes.patients)
    if volumes.parts:
        return (_given(volumes, folds, validated=True),)
    folds = FOLDS if folds is None else folds
    name = volumes.provenance.dataset
    check_int("folds", folds, minimum=2, maximum=count, why=f"{name} has {count} patients")
    order = list(range(count)) if volumes.blocks else _shuffled(count, "folds", folds)
    tested = [tuple(sorted(part.tolist())) for part in torch.tensor(order).tensor_split(folds)]
    return tuple(_fold(count, part, number, name) for number, part in enumerate(tested))


def paper_fold(volumes: Volumes, folds: int | None = None) -> tuple[Fold, ...]:
    """The published port's: ten of 110 patients held out, all others train, none validates.

    They are drawn as there, by Python's generator with seed 42 from the sorted patients; of other
    numbers of patients an eleventh, at least one. Data that come in parts test theirs.

    Raises:
        UsageError: If there are fewer than two patients, or `folds` is given.
    """
    if volumes.parts:
        return (_given(volumes, folds, validated=False),)
    if folds is not None:
        raise UsageError(
            f"`folds` must be left out in the paper's protocol (its held-out patients are fixed); "
            f"got {folds}."
        )
    count = len(volumes.patients)
    if count < 2:
        raise UsageError(
            "`dataset` must have at least 2 patients (one is held out); "
            f"{volumes.provenance.dataset} has {count}."
        )
    held_out = random.Random(PORT_SEED).sample(range(count), k=max(1, round(count * PORT_SHARE)))
    train = tuple(number for number in range(count) if number not in held_out)
    return (Fold(train=train, validation=(), test=tuple(sorted(held_out))),)


def _fold(count: int, tested: tuple[int, ...], number: int, name: str) -> Fold:
    others = [patient for patient in range(count) if patient not in tested]
    if len(others) < 2:
        raise UsageError(
            f"`folds` must leave a patient to train on and one to validate on ({name} has {count} "
            f"patients); a fold tests {len(tested)}."
        )
    drawn = [others[place] for place in _shuffled(len(others), "validation", number)]
    validation = drawn[: max(1, round(len(others) / VALIDATING))]
    train = tuple(patient for patient in others if patient not in validation)
    return Fold(train=train, validation=tuple(sorted(validation)), test=tested)


def _given(volumes: Volumes, folds: int | None, *, validated: bool) -> Fold:
    """The parts in which the data come."""
    if folds is not None:
        raise UsageError(
            f"`folds` must be left out for {volumes.provenance.dataset} (it comes in parts, train "
            f"and test); got {folds}."
        )
    by_part = {
        part: tuple(number for number, own in enumerate(volumes.parts) if own == part)
        for part in ("train", "validation", "test")
    }
    train, validation = by_part["train"], by_part["validation"]
    if not validated:
        train, validation = tuple(sorted((*train, *validation))), ()
    elif not validation:
        if len(train) < 2:
            raise UsageError(
                f"`dataset` must have at least 2 patients in train (one of them validates); "
                f"{volumes.provenance.dataset} has {len(train)}."
            )
        drawn = [train[place] for place in _shuffled(len(train), "validation", 0)]
        validation = tuple(sorted(drawn[: max(1, round(len(train) / VALIDATING))]))
        train = tuple(number for number in train if number not in validation)
    return Fold(train=train, validation=validation, test=by_part["test"])


def _shuffled(count: int, *what: int | str) -> list[int]:
    draw = torch.Generator().manual_seed(derived_seed("dense", *what))
    order: list[int] = torch.randperm(count, generator=draw).tolist()
    return order
