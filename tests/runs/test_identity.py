"""The identity covers every field, and nothing but the fields."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaact.errors import UsageError
from metaact.runs import identity

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
CONFIGS = st.dictionaries(
    st.text(max_size=8),
    SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=4), SCALARS),
    min_size=1,
    max_size=6,
)


def test_golden() -> None:
    """`printf '{"config":{"seed":0,"ways":5},"kind":"maml"}' | sha256sum` of coreutils."""
    golden = "849f96de85fd88b7a0a25b47a520cd80b5d272f6e85f0e02264bbdebcec984af"
    assert identity("maml", {"ways": 5, "seed": 0}) == golden


@given(CONFIGS)
def test_order_of_keys_does_not_matter(config: dict[str, Any]) -> None:
    assert identity("k", config) == identity("k", dict(reversed(config.items())))


@given(CONFIGS, st.data())
def test_any_changed_field_changes_it(config: dict[str, Any], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(config)))
    changed = deepcopy(config)
    value = data.draw(SCALARS.filter(lambda v: repr(v) != repr(config[key])))
    changed[key] = value
    assert identity("k", changed) != identity("k", config)
    del changed[key]
    assert identity("k", changed) != identity("k", config)


def test_kind_types_and_depth_count() -> None:
    seen = [
        identity("a", {"x": 1}),
        identity("b", {"x": 1}),
        identity("a", {"x": 1.0}),
        identity("a", {"x": True}),
        identity("a", {"x": "1"}),
        identity("a", {"x": [1]}),
        identity("a", {"x": {"y": 1}}),
        identity("a", {"x": {"y": [1]}}),
    ]
    assert len(set(seen)) == len(seen)
    assert identity("a", {"x": (1,)}) == identity("a", {"x": [1]})


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"lr": float("nan")}, "config.lr"),
        ({"rates": [0.1, float("inf")]}, r"config.rates\[1\]"),
        ({"a": {1: 2}}, "text keys"),
        ({"device": object()}, "config.device"),
        ({"hash": hashlib.sha256()}, "HASH"),
    ],
)
def test_what_is_not_strict_json_is_refused(config: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        identity("k", config)
