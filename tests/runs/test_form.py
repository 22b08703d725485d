"""The form of what is written down: what fits, what does not, and where."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from metaact.errors import LARGEST_FLOAT
from metaact.runs import pack_bits
from metaact.runs.form import (
    COUNT,
    Either,
    Fields,
    Flag,
    Form,
    Items,
    Maybe,
    Named,
    Number,
    Packed,
    Plain,
    Text,
)

LAYERS = Named(Fields(needed={"alpha": Maybe(Number())}))

FITS: list[tuple[Form, list[Any], list[Any]]] = [
    (Number(), [0, -1.5, LARGEST_FLOAT], [None, True, "1", 1e39, 10**400, []]),
    (Number(low=0, high=1), [0, 1, 0.5], [-1e-9, 1.1]),
    (COUNT, [0, 7], [-1, 1.0, 2**63, False]),
    (Text(), ["", "x"], [None, 1, ["x"]]),
    (Text(choices=("a", "b")), ["a"], ["c", ""]),
    (Flag(), [True, False], [0, 1, None, "true"]),
    (Plain(), [None, 1, [], "x"], [{}]),
    (Maybe(COUNT), [None, 3], ["3", 0.5]),
    (Either(Text(), COUNT), ["x", 1], [None, -1]),
    (Items(COUNT, 2), [[1, 2]], [[], [1], [1, 2, 3], [1, "2"], {}, "ab"]),
    (Items(Items(Number())), [[], [[0.5], []]], [[1], [["x"]]]),
    (Named(), [{}, {"x": 1}], [[], None]),
    (
        LAYERS,
        [{}, {"act1": {"alpha": None}}],
        [{"act1": {}}, {"act1": {"alpha": "1"}}, {"act1": 1}],
    ),
    (Fields(needed={"a": COUNT}, may={"b": COUNT}), [{"a": 1}, {"a": 1, "c": []}], [{}, {"b": 1}]),
    (Fields(may={"b": COUNT}), [{}, {"b": 1}], [{"b": None}, []]),
    (Packed(9), [pack_bits([True] * 9)], [pack_bits([True] * 17), "x", None, 5, "é", ""]),
]


@pytest.mark.parametrize(("form", "good", "bad"), FITS)
def test_what_fits_and_what_does_not(form: Form, good: list[Any], bad: list[Any]) -> None:
    assert [form.fault(value, "it") for value in good] == [None] * len(good)
    for value in bad:
        assert (why := form.fault(value, "it")), value
        assert "it" in why
        assert len(why) < 200


def test_a_fault_says_where_it_is() -> None:
    record = {"layers": {"act1": {"alpha": [1]}}}
    why = Fields(needed={"layers": LAYERS}).fault(record, "")
    assert why == "`layers.act1.alpha` must be a number; got [1]"
    assert Fields(needed={"layers": LAYERS}).fault({}, "") == "it must hold `layers`"
    assert Items(COUNT).fault([0, "x"], "points") == (
        "`points[1]` must be a whole number >= 0; got 'x'"
    )


def test_a_value_fits_either_form_just_if_it_fits_one() -> None:
    values = [value for _, good, bad in FITS for value in (*good, *bad)]
    forms = [form for form, _, _ in FITS]
    for one, other in itertools.product(forms, forms):
        for value in values:
            fits = one.fault(value, "x") is None or other.fault(value, "x") is None
            assert (Either(one, other).fault(value, "x") is None) == fits
