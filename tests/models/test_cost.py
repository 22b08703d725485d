"""What an activation costs: parameters by hand, memory by hand, ratios within one run."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from metaact import models
from metaact.cli import cli
from metaact.errors import UsageError
from metaact.models.cost import kept_bytes

SMALL = {"channels": 1, "size": 28, "classes": 5, "batch_size": 4, "turns": 3}


def test_parameters_and_ratios() -> None:
    found = models.costs("mnist-conv", ["relu", "arelu", "prelu", "maxout"], **SMALL)
    weights = 12_930 - 41 * 5
    assert [one.activation for one in found] == ["relu", "arelu", "prelu", "maxout"]
    assert [one.parameters - weights for one in found[:3]] == [0, 6, 3]
    assert [one.of_activations for one in found] == [0, 6, 3, 0]
    assert (found[0].step_ratio, found[0].kept_ratio) == (1.0, 1.0)
    assert all(one.step_ms > 0 and one.step_ratio > 0 for one in found)
    # Twice the channels before each activation.
    assert found[3].kept_ratio > 1.5


@pytest.mark.draws_globally
def test_what_is_kept_by_hand() -> None:
    """A linear layer keeps its input, tanh its output; weights are not counted."""
    model = nn.Sequential(nn.Linear(6, 5, bias=False), nn.Tanh())
    x = torch.zeros(3, 6, requires_grad=True)
    assert kept_bytes(model, x) == 4 * (3 * 6 + 3 * 5)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"turns": 0}, "`turns` must be"), ({"batch_size": 1}, "`batch_size` must be")],
)
def test_what_cannot_be_measured_is_refused(change: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        models.costs("mnist-conv", ["relu"], **SMALL | change)


def test_the_command_prints_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["activations", "cost", "--activation", "relu,arelu", "--turns", "1", "--channels", "1"]
    cli.main([*words, "--classes", "5", "--batch-size", "4"], standalone_mode=False)
    printed = capsys.readouterr().out
    assert "mnist-conv" in printed
    assert "12,731" in printed
    assert "1.00x" in printed
    assert "forward, loss and backward of 4 images" in printed
    cli.main([*words, "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert [one["activation"] for one in found] == ["relu", "arelu"]
