"""What a layer of a network is like on a probe: units that do nothing, rank, norms."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

DORMANT = 0.025
"""A feature is dormant whose mean size is at most this share of the mean over its layer."""

FLAT = 0.01
"""A unit is saturated that passes on less than this share of a change of its input, on average."""

Layers = Mapping[str, Mapping[str, float]]
"""What was found, by layer and name."""


def dormant_share(features: Tensor, *, at_most: float = DORMANT) -> Tensor:
    """Share of features [...] of [..., examples, features] that are dormant.

    Formula: s_i = E|h_i| / mean_k E|h_k| ≤ τ, over examples; all are where all are 0.

    References:
        G. Sokar, R. Agarwal, P. S. Castro and U. Evci, "The dormant neuron phenomenon in deep
        reinforcement learning", ICML 2023, https://arxiv.org/abs/2302.12902, definition 3.1.

    Examples:
        >>> float(dormant_share(torch.tensor([[1.0, 0.0, -1.0, 0.01], [1.0, 0.0, 1.0, 0.01]])))
        0.5
    """
    size = features.double().abs().mean(dim=-2)
    return (size <= at_most * size.mean(dim=-1, keepdim=True)).double().mean(dim=-1)


def saturated_share(slopes: Tensor, *, below: float = FLAT) -> Tensor:
    """Share of units [...] whose mean |derivative| over [..., examples, units] is less than that.

    An exact 0 would mean nothing: a leaky activation passes something on everywhere.

    Examples:
        >>> float(saturated_share(torch.tensor([[0.0, 1.0], [0.01, 0.0]])))
        0.5
    """
    return (slopes.double().abs().mean(dim=-2) < below).double().mean(dim=-1)


def effective_rank(features: Tensor) -> Tensor:
    """Exp of the entropy of the normalised singular values of [..., examples, features].

    Formula: exp(−Σ p log p), p the singular values over their sum; 0 where all features are 0 and
    not a number where one is none.

    References:
        O. Roy and M. Vetterli, "The effective rank", EUSIPCO 2007.
    """
    finite = features.isfinite().all(dim=-1).all(dim=-1)
    values = torch.linalg.svdvals(torch.nan_to_num(features, 0.0, 0.0, 0.0).double())
    total = values.sum(dim=-1, keepdim=True)
    shares = values / total.clamp(min=1e-300)
    rank = torch.exp(torch.special.entr(shares).sum(dim=-1))
    rank = torch.where(total.squeeze(-1) > 0, rank, torch.zeros_like(rank))
    return torch.where(finite, rank, torch.full_like(rank, torch.nan))


def layer_figures(features: Tensor, slopes: Tensor) -> dict[str, Tensor]:
    """What a hidden layer is like on a probe, each [...].

    Args:
        features: What its activation gives [..., examples, features].
        slopes: |derivative| of the features by the units [..., examples, units], added up where a
            unit gives two features.
    """
    return {
        "dormant_units": dormant_share(features),
        "saturated_units": saturated_share(slopes),
        "effective_rank": effective_rank(features),
    }


def own_parameters(activation: nn.Module) -> dict[str, float]:
    """The trained numbers of an activation by name, α, β or others; of several in one their place.

    Examples:
        >>> from metaact.activations import create
        >>> own_parameters(create("prelu"))
        {'weight': 0.25}
        >>> list(own_parameters(create("apl(a=(0.5,0.2,),b=(0,1,))")))
        ['a.0', 'a.1', 'b.0', 'b.1']
    """
    found: dict[str, float] = {}
    for name, parameter in activation.named_parameters():
        if not parameter.requires_grad:
            continue
        numbers = parameter.detach().flatten().tolist()
        names = [name] if len(numbers) == 1 else [f"{name}.{i}" for i in range(len(numbers))]
        found |= dict(zip(names, numbers, strict=True))
    return found


def summary(layers: Layers) -> dict[str, float]:
    """The figures of a network from those of its layers, from the first to the last.

    Shares are means over hidden layers, the rank is that of the last one, and norms are those of
    everything.

    Examples:
        >>> hidden = {"dormant_units": 0.5, "effective_rank": 2.0, "weight_norm": 3.0}
        >>> summary({"hidden": hidden, "output": {"weight_norm": 4.0}})
        {'dormant_units': 0.5, 'effective_rank': 2.0, 'weight_norm': 5.0}
    """
    names = dict.fromkeys(name for layer in layers.values() for name in layer)
    found = {}
    for name in names:
        values = [layer[name] for layer in layers.values() if name in layer]
        if name.endswith("_units"):
            found[name] = sum(values) / len(values)
        elif name == "effective_rank":
            found[name] = values[-1]
        elif name.endswith("_norm"):
            found[name] = sum(value**2 for value in values) ** 0.5
    return found
