"""The torch-free table of controls agrees with what the activations compute."""

from __future__ import annotations

import pytest
import torch

from metaact import activations
from metaact.activations.controls import CONTROLS, KINDS, controls_of, is_control


def test_every_control_is_an_arm_of_the_table() -> None:
    known = {entry.name: entry for entry in activations.entries()}
    for name, by_kind in CONTROLS.items():
        assert known[name].kind != "control"
        assert set(by_kind) <= set(KINDS)
        assert all(known[control].kind == "control" for control in by_kind.values())


@pytest.mark.parametrize("name", ["arelu", "arelu(alpha=0.25,beta=1)"])
def test_the_frozen_twin_is_the_same_function_with_nothing_to_learn(name: str) -> None:
    twin = controls_of(name)["frozen"]
    assert twin is not None
    assert activations.resolve(twin).name == twin
    x = torch.linspace(-3, 3, 41)
    assert torch.equal(activations.create(twin)(x), activations.create(name)(x))
    assert activations.resolve(twin).learnable == 0 < activations.resolve(name).learnable


def test_the_gain_twin_differs_in_its_initialisation_only() -> None:
    twin = controls_of("relu")["gain"]
    assert twin is not None
    x = torch.linspace(-3, 3, 41)
    assert torch.equal(activations.create(twin)(x), activations.create("relu")(x))
    assert activations.resolve(twin).init_gain > 2 > activations.resolve("relu").init_gain


@pytest.mark.parametrize("name", ["prelu", "relu+elsa", "arelu+elsa(alpha=0.5)", "own:Relu"])
def test_others_have_none(name: str) -> None:
    assert controls_of(name) == {"frozen": None, "gain": None}
    assert not is_control(name)
