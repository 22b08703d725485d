"""PAU, the Padé activation unit, in its safe form and in that of the AReLU authors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.activations.slopes import check_finite
from metaact.errors import UsageError

# Leaky ReLU (slope 0.01) on [-3, 3], fitted by `metaact.activations.pau_fit.fit`.
NUMERATOR = (0.0335803817, 0.505, 1.6520172986, 2.0064348039, 0.9293625551, 0.1518623935)
DENOMINATOR = (0.0, 3.9731382255, 0.0, 0.3007176108)

# The start values in the AReLU authors' code: the same fit for Q = 1 + Σ|b_k||x|^k.
PAPER_NUMERATOR = (0.0335583603, 0.505000375, 1.65343934, 2.01001052, 0.931901999, 0.152424124)
PAPER_DENOMINATOR = (3.30847488e-06, 3.98021568, 5.12471206e-07, 0.301830109)


class PAU(Plotted, nn.Module):
    r"""Padé activation unit, safe form: P(x)/Q(x), P of degree 5, Q(x) = 1 + |Σ_{k=1..4} b_k x^k|.

    Ten learnable scalars. Q ≥ 1, so there are no poles. At the start b₁ = b₃ = 0 and the function
    is smooth.

    Args:
        numerator: Start values a₀ … a₅.
        denominator: Start values b₁ … b₄.

    Raises:
        UsageError: If there are not 6 and 4 finite numbers.

    References:
        Molina, Schramowski and Kersting, Padé Activation Units, 2019,
        https://arxiv.org/abs/1907.06732, section 2 (the safe PAU).

    Deviation:
        Our own start values, a fit for this form of Q.
    """

    def __init__(
        self,
        *,
        numerator: Sequence[float] = NUMERATOR,
        denominator: Sequence[float] = DENOMINATOR,
    ) -> None:
        super().__init__()
        self.numerator, self.denominator = coefficients(numerator, denominator)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        inner = x * horner(x, self.denominator)
        return horner(x, self.numerator) / (1 + inner.abs())


class PaperPAU(Plotted, nn.Module):
    r"""Padé activation unit of the AReLU authors' code: Q(x) = 1 + Σ_{k=1..4} |b_k| |x|^k.

    Ten learnable scalars. The authors' CUDA code drops second-order terms; here they are exact.

    Args:
        numerator: Start values a₀ … a₅.
        denominator: Start values b₁ … b₄.

    Raises:
        UsageError: If there are not 6 and 4 finite numbers.

    References:
        Molina, Schramowski and Kersting, Padé Activation Units, 2019,
        https://arxiv.org/abs/1907.06732.

    Deviation:
        The absolute value is inside the sum, as in the AReLU authors' code.
    """

    def __init__(
        self,
        *,
        numerator: Sequence[float] = PAPER_NUMERATOR,
        denominator: Sequence[float] = PAPER_DENOMINATOR,
    ) -> None:
        super().__init__()
        self.numerator, self.denominator = coefficients(numerator, denominator)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        size = x.abs()
        return horner(x, self.numerator) / (1 + size * horner(size, self.denominator.abs()))


def horner(x: Tensor, polynomial: Tensor) -> Tensor:
    """Σ_k c_k x^k for coefficients [terms], lowest power first; the shape of `x`."""
    *lower, result = polynomial.unbind()
    for coefficient in reversed(lower):
        result = result * x + coefficient
    return result


def coefficients(
    numerator: Sequence[float], denominator: Sequence[float]
) -> tuple[nn.Parameter, nn.Parameter]:
    """Both polynomials as parameters [6] and [4].

    Raises:
        UsageError: If there are not 6 and 4 finite numbers.
    """
    if (len(numerator), len(denominator)) != (6, 4):
        raise UsageError(
            "`numerator` must hold 6 and `denominator` 4 numbers (PAU is of degree 5 over 4); "
            f"got {len(numerator)} and {len(denominator)}."
        )
    return (
        nn.Parameter(torch.tensor([check_finite("numerator", a) for a in numerator])),
        nn.Parameter(torch.tensor([check_finite("denominator", b) for b in denominator])),
    )
