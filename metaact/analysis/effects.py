"""The interval of an effect size."""

from __future__ import annotations

import math

from scipy import special

from .bounds import Array, moments
from .crossed import TwoWay

_LARGE = 1000.0  # from here on only the standard deviation is uncertain, not the mean


def effect_interval(values: Array, *, level: float) -> tuple[float, float]:
    """Exact interval of Cohen's d_z, for normal differences [n] that are not all equal.

    Formula: t = d·sqrt(n) has a noncentral t distribution with n - 1 degrees of freedom around
    δ·sqrt(n); the ends are the δ at which the observed t is its (1 ± level)/2 quantile.

    References:
        J. H. Steiger, "Beyond the F test: effect size confidence intervals and tests of close fit
        in the analysis of variance and contrast analysis", Psychological Methods 9, 2004.
    """
    n = len(values)
    t = float(values.mean() / values.std(ddof=1)) * math.sqrt(n)
    tails = (1 + level) / 2, (1 - level) / 2
    if abs(t) < _LARGE:
        ends = [float(special.nctdtrinc(n - 1, tail, t)) for tail in tails]
    else:
        ends = sorted(t * math.sqrt(special.chdtri(n - 1, tail) / (n - 1)) for tail in tails)
    return ends[0] / math.sqrt(n), ends[1] / math.sqrt(n)


def crossed_effect_interval(found: TwoWay, by_unit: Array, *, level: float) -> tuple[float, float]:
    """Approximate interval of d_z where seeds vary too: mean over the units' standard deviation.

    Formula: half-width = sqrt(q²·Var(mean)/s² + z²·d²/(2·degrees)), with q from `TwoWay.quantile`:
    the error of the mean, and that of the standard deviation s of the units' mean differences,
    whose degrees of freedom allow for their kurtosis (see `moments`).

    Args:
        found: The analysis of the differences.
        by_unit: Differences averaged over seeds [units], not all equal.
        level: Confidence level.
    """
    spread = float(by_unit.std(ddof=1))
    effect = float(by_unit.mean()) / spread
    degrees = float(moments(by_unit)[2])
    of_mean = float(found.quantile(level)) ** 2 * float(found.variance) / spread**2
    of_spread = float(special.ndtri(0.5 + level / 2)) ** 2 * effect**2 / (2 * degrees)
    half = math.sqrt(of_mean + of_spread)
    return effect - half, effect + half
