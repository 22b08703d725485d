"""What is said of a layer, against layers made by hand and closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from metaact.adaptation.diagnostics import (
    dormant_share,
    effective_rank,
    layer_figures,
    saturated_share,
)

DOUBLE = torch.float64


def test_effective_rank_of_known_matrices() -> None:
    same = torch.ones(8, 5, dtype=DOUBLE)
    outer = torch.outer(torch.arange(1.0, 9), torch.tensor([1.0, -2, 3])).double()
    alike = torch.eye(8, dtype=DOUBLE)[:, :5]
    two = torch.diag_embed(torch.tensor([3.0, 1.0], dtype=DOUBLE))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert float(effective_rank(same)) == pytest.approx(1)
    assert float(effective_rank(outer)) == pytest.approx(1)
    assert float(effective_rank(alike)) == pytest.approx(5)
    assert float(effective_rank(torch.eye(7, dtype=DOUBLE))) == pytest.approx(7)
    assert float(effective_rank(two)) == pytest.approx(math.exp(entropy))
    assert float(effective_rank(torch.zeros(8, 5))) == 0
    assert math.isnan(float(effective_rank(torch.full((8, 5), torch.nan))))


def test_a_feature_is_dormant_beside_its_layer_and_whatever_its_sign() -> None:
    draw = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (50, 4), generator=draw).double() * 2 - 1
    sizes = torch.tensor([1.0, 1.0, 1.0, 0.07], dtype=DOUBLE)
    # the mean size of the layer is 0.7675: a share of it is 0.0912
    assert float(dormant_share(signs * sizes)) == 0
    assert float(dormant_share(signs * sizes, at_most=0.091)) == 0
    assert float(dormant_share(signs * sizes, at_most=0.0913)) == 0.25
    assert float(dormant_share(1e-9 * signs * sizes, at_most=0.0913)) == 0.25, "a scale is none"
    assert float(dormant_share(torch.zeros(3, 4))) == 1


def test_a_unit_is_saturated_that_passes_little_on_on_average() -> None:
    x = torch.tensor([[0.0, 6.0, -6.0], [0.0, 6.0, 0.0]], dtype=DOUBLE)
    slopes = 1 - torch.tanh(x).square()  # the second is flat everywhere, the third half the time
    assert float(saturated_share(slopes)) == pytest.approx(1 / 3)
    leaky = torch.full((4, 3), 0.01, dtype=DOUBLE)
    assert float(saturated_share(leaky)) == 0, "a slope of 0.01 is not less than it"
    assert float(saturated_share(0.9 * leaky)) == 1, "and none of these is 0"


def test_layers_side_by_side_are_each_by_itself() -> None:
    draw = torch.Generator().manual_seed(1)
    features = torch.randn(3, 16, 6, generator=draw, dtype=DOUBLE)
    features[1, :, 2] = 0
    slopes = features.abs() * (features.abs() > 0.5)
    together = layer_figures(features, slopes)
    for number in range(3):
        alone = layer_figures(features[number], slopes[number])
        assert {k: float(v) for k, v in alone.items()} == pytest.approx(
            {k: float(v[number]) for k, v in together.items()}
        )
    assert together["dormant_units"].tolist() == pytest.approx([0, 1 / 6, 0])
