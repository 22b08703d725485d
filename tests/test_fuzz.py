"""A little of `tests/fuzz.py`: what was found by it must not come back."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).with_name("fuzz.py"))
assert spec is not None
assert spec.loader is not None
fuzz = importlib.util.module_from_spec(spec)
sys.modules["fuzz"] = fuzz
spec.loader.exec_module(fuzz)


RECORDS = ("records", "training", "transfer")

FOUND = [(1, 1), (1, 6), (2, 26), (3, 25)]
"""Runs recorded with values of other types under a right seal: raw errors once."""


@pytest.mark.parametrize("kind", sorted({*fuzz.CASES} - {*RECORDS}))
def test_a_mutated_input_gets_one_sentence_and_writes_nothing(kind: str) -> None:
    broken = [found for number in range(25) if (found := fuzz.attempt(kind, 0, number))]
    assert not broken


@pytest.mark.parametrize("kind", RECORDS)
def test_a_run_recorded_otherwise_is_named_and_left_out(kind: str, synthetic: ModuleType) -> None:
    cases = [*(FOUND if kind == "records" else ()), *((0, number) for number in range(8))]
    broken = [found for seed, n in cases if (found := fuzz.attempt(kind, seed, n))]
    assert not broken
