"""The table of all activations: a new one adds a row here, and one to `docs/activations.md`."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from torch import nn

from .entry import Entry
from .functions.apl import APL
from .functions.arelu import AReLU
from .functions.comb import Comb
from .functions.doubling import CReLU, DeepFourier
from .functions.frozen_arelu import FrozenAReLU
from .functions.gelu import PaperGELU
from .functions.golu import GoLU
from .functions.maxout import Maxout
from .functions.pau import PAU, PaperPAU
from .functions.prelu import PReLU
from .functions.random_smooth_leaky import RandomSmoothLeaky
from .functions.rrelu import RReLU
from .functions.scaled_leaky_relu import ScaledLeakyReLU
from .functions.slaf import SLAF
from .functions.smooth_leaky import SmoothLeaky
from .functions.squared_relu import SquaredReLU
from .functions.swish_beta import SwishBeta
from .functions.telu import TeLU
from .functions.unit_arelu import UnitAReLU
from .functions.xielu import XIELU
from .slopes import RELU_GAIN

CHEN = "Chen and Xu 2020"
SLOPES = ("alpha", "beta")

# The nineteen in the order of the paper's table 1.
PAPER_ACTIVATIONS: tuple[Entry, ...] = (
    Entry(
        name="celu",
        title="CELU",
        factory=nn.CELU,
        learnable=0,
        kind="fixed",
        citation="Barron 2017",
        formula="max(0, x) + min(0, α(exp(x/α) − 1))",
        start="α = 1",
        options=("alpha",),
    ),
    Entry(
        name="elu",
        title="ELU",
        factory=nn.ELU,
        learnable=0,
        kind="fixed",
        citation="Clevert et al. 2015",
        formula="x<0: α(exp(x) − 1); x≥0: x",
        start="α = 1",
        options=("alpha",),
    ),
    Entry(
        name="gelu",
        title="GELU",
        factory=nn.GELU,
        learnable=0,
        kind="fixed",
        citation="Hendrycks and Gimpel 2016",
        formula="x·Φ(x), Φ by erf",
        paper_form="gelu-paper",
    ),
    Entry(
        name="lrelu",
        title="LReLU",
        factory=nn.LeakyReLU,
        learnable=0,
        kind="fixed",
        citation="Maas et al. 2013",
        formula="max(0, x) + s·min(0, x)",
        start="s = 0.01",
        aliases=("leakyrelu", "leaky-relu"),
        options=("negative_slope",),
    ),
    Entry(
        name="maxout",
        title="Maxout",
        factory=Maxout,
        learnable=0,
        kind="fixed",
        citation="Goodfellow et al. 2013",
        formula="max(x₁, x₂) over pairs of channels",
        start="2 channels a group",
        paper_form="maxout-paper",
        width_factor=Fraction(1, 2),
    ),
    Entry(
        name="relu",
        title="ReLU",
        factory=nn.ReLU,
        learnable=0,
        kind="fixed",
        citation="Nair and Hinton 2010",
        formula="max(0, x)",
    ),
    Entry(
        name="relu6",
        title="ReLU6",
        factory=nn.ReLU6,
        learnable=0,
        kind="fixed",
        citation="Krizhevsky and Hinton 2010",
        formula="min(max(0, x), 6)",
    ),
    Entry(
        name="rrelu",
        title="RReLU",
        factory=RReLU,
        learnable=0,
        kind="fixed",
        citation="Xu et al. 2015",
        formula="max(0, x) + r·min(0, x), r ~ U(l, u) in training, (l + u)/2 in eval",
        start="l = 1/8, u = 1/3",
        options=("lower", "upper"),
    ),
    Entry(
        name="selu",
        title="SELU",
        factory=nn.SELU,
        learnable=0,
        kind="fixed",
        citation="Klambauer et al. 2017",
        formula="λ·(x<0: α(exp(x) − 1); x≥0: x)",
        start="λ = 1.0507, α = 1.6733",
    ),
    Entry(
        name="sigmoid",
        title="Sigmoid",
        factory=nn.Sigmoid,
        learnable=0,
        kind="fixed",
        citation="classical",
        formula="σ(x) = 1/(1 + exp(−x))",
        aliases=("logistic",),
    ),
    Entry(
        name="softplus",
        title="Softplus",
        factory=nn.Softplus,
        learnable=0,
        kind="fixed",
        citation="Glorot et al. 2011",
        formula="log(1 + exp(βx))/β",
        start="β = 1",
        options=("beta",),
    ),
    Entry(
        name="swish",
        title="Swish",
        factory=nn.SiLU,
        learnable=0,
        kind="fixed",
        citation="Ramachandran et al. 2017",
        formula="x·σ(x)",
        aliases=("silu",),
    ),
    Entry(
        name="tanh",
        title="Tanh",
        factory=nn.Tanh,
        learnable=0,
        kind="fixed",
        citation="classical",
        formula="tanh(x)",
    ),
    Entry(
        name="apl",
        title="APL",
        factory=APL,
        learnable=2,
        kind="learnable",
        citation="Agostinelli et al. 2014",
        formula="max(0, x) + Σ_s a_s·max(0, b_s − x)",
        start="S = 1, a = 0.2, b = 0.5",
        options=("a", "b"),
    ),
    Entry(
        name="comb",
        title="Comb",
        factory=Comb,
        learnable=1,
        kind="learnable",
        citation="Manessi and Rozza 2018",
        formula="p·x + (1 − p)·max(0, x)",
        start="p = 0",
        aliases=("mixture",),
        options=("p",),
    ),
    Entry(
        name="pau",
        title="PAU",
        factory=PAU,
        learnable=10,
        kind="learnable",
        citation="Molina et al. 2019",
        formula="Σ_{k≤5} a_k x^k / (1 + |Σ_{1≤k≤4} b_k x^k|)",
        start="our fit of leaky ReLU 0.01 on [−3, 3]",
        paper_form="pau-paper",
        options=("numerator", "denominator"),
    ),
    Entry(
        name="prelu",
        title="PReLU",
        factory=PReLU,
        learnable=1,
        kind="learnable",
        citation="He et al. 2015",
        formula="max(0, x) + a·min(0, x)",
        start="a = 0.25",
        options=("init",),
    ),
    Entry(
        name="slaf",
        title="SLAF",
        factory=SLAF,
        learnable=4,
        kind="learnable",
        citation="Goyal et al. 2019",
        formula="Σ_{k<4} c_k x^k",
        start="c = (h, ½, h, 0), h = 1/(2√(2π)): the cubic nearest to ReLU",
        paper_form="slaf-paper",
        options=("coefficients",),
    ),
    Entry(
        name="arelu",
        title="AReLU",
        factory=AReLU,
        learnable=2,
        kind="learnable",
        citation=CHEN,
        formula="x<0: clamp(α, .01, .99)·x; x≥0: (1 + σ(β))·x",
        start="α = 0.9, β = 2",
        options=SLOPES,
    ),
)

# Those of today, by year. PAU, rational and from 2019, is among the paper's.
MODERN_ACTIVATIONS: tuple[Entry, ...] = (
    Entry(
        name="crelu",
        title="CReLU",
        factory=CReLU,
        learnable=0,
        kind="fixed",
        citation="Shang et al. 2016",
        formula="max(0, x) and max(0, −x), two channels",
        width_factor=Fraction(2),
    ),
    Entry(
        name="swish-beta",
        title="Swish (β learned)",
        factory=SwishBeta,
        learnable=1,
        kind="learnable",
        citation="Ramachandran et al. 2017",
        formula="x·σ(βx)",
        start="β = 1",
        options=("beta",),
    ),
    Entry(
        name="squared-relu",
        title="Squared ReLU",
        factory=SquaredReLU,
        learnable=0,
        kind="fixed",
        citation="So et al. 2021",
        formula="max(0, x)²",
        aliases=("relu-squared", "relu2"),
    ),
    Entry(
        name="telu",
        title="TeLU",
        factory=TeLU,
        learnable=0,
        kind="fixed",
        citation="Fernandez and Mali 2024",
        formula="x·tanh(exp(x))",
    ),
    Entry(
        name="fourier",
        title="Deep Fourier",
        factory=DeepFourier,
        learnable=0,
        kind="fixed",
        citation="Lewandowski et al. 2024",
        formula="sin x and cos x, two channels",
        aliases=("deep-fourier",),
        width_factor=Fraction(2),
    ),
    Entry(
        name="xielu",
        title="xIELU",
        factory=XIELU,
        learnable=2,
        kind="learnable",
        citation="Huang and Schlag 2024",
        formula="x>0: a·x² + x/2; x≤0: b·(exp(x) − 1 − x) + x/2",
        start="a = b = 0.8",
        options=("positive", "negative", "beta"),
    ),
    Entry(
        name="golu",
        title="GoLU",
        factory=GoLU,
        learnable=0,
        kind="fixed",
        citation="Das et al. 2025",
        formula="x·exp(−exp(−x))",
    ),
    Entry(
        name="smooth-leaky",
        title="Smooth-Leaky",
        factory=SmoothLeaky,
        learnable=0,
        kind="fixed",
        citation="Lillo and Cheney 2025",
        formula="αx + (1 − α)·x·σ(kx)",
        start="α = 0.1, k = 5/3",
        options=("alpha", "sharpness"),
    ),
    Entry(
        name="random-smooth-leaky",
        title="Random Smooth-Leaky",
        factory=RandomSmoothLeaky,
        learnable=0,
        kind="fixed",
        citation="Lillo and Cheney 2025",
        formula="rx + (1 − r)·x·σ(kx), r ~ U(l, u) in training, (l + u)/2 in eval",
        start="l = 1/8, u = 1/3, k = 5/3",
        aliases=("rand-smooth-leaky",),
        options=("lower", "upper", "sharpness"),
    ),
)

# What the authors' code computes under four of those names.
PAPER_FORMS: tuple[Entry, ...] = (
    Entry(
        name="gelu-paper",
        title="GELU (paper)",
        factory=PaperGELU,
        learnable=0,
        kind="fixed",
        citation=CHEN,
        formula="x/2·(1 + tanh(0.7979946·(x + 0.044715x³)))",
    ),
    Entry(
        name="maxout-paper",
        title="Maxout (paper)",
        factory=partial(Maxout, pool=1),
        learnable=0,
        kind="fixed",
        citation=CHEN,
        formula="x, the identity",
        start="1 channel a group",
    ),
    Entry(
        name="pau-paper",
        title="PAU (paper)",
        factory=PaperPAU,
        learnable=10,
        kind="learnable",
        citation=CHEN,
        formula="Σ_{k≤5} a_k x^k / (1 + Σ_{1≤k≤4} |b_k| |x|^k)",
        start="the authors' fit of leaky ReLU 0.01",
        options=("numerator", "denominator"),
    ),
    Entry(
        name="slaf-paper",
        title="SLAF (paper)",
        factory=partial(SLAF, coefficients=(1.0, 1.0)),
        learnable=2,
        kind="learnable",
        citation=CHEN,
        formula="c₀ + c₁x, affine",
        start="c = (1, 1)",
        options=("coefficients",),
    ),
)

CONTROLS: tuple[Entry, ...] = (
    Entry(
        name="arelu-frozen",
        title="AReLU (frozen)",
        factory=FrozenAReLU,
        learnable=0,
        kind="control",
        citation="metaact",
        formula="AReLU, α and β constant",
        start="α = 0.9, β = 2",
        aliases=("frozen-arelu",),
        options=SLOPES,
    ),
    Entry(
        name="leakyrelu-scaled",
        title="LReLU (scaled)",
        factory=ScaledLeakyReLU,
        learnable=0,
        kind="control",
        citation="metaact",
        formula="x<0: s·x; x≥0: g·x",
        start="s = 0.9, g = 1 + σ(2) ≈ 1.8808",
        aliases=("lrelu-scaled", "scaled-leakyrelu"),
        options=("negative", "positive"),
    ),
    Entry(
        name="relu-gain",
        title="ReLU (gain)",
        factory=nn.ReLU,
        learnable=0,
        kind="control",
        citation="metaact",
        formula="max(0, x) after weights times √(g² + C²)",
        start="√(1.8808² + 0.9²) ≈ 2.0850",
        init_gain=RELU_GAIN,
    ),
    Entry(
        name="arelu-unit",
        title="AReLU (unit gain)",
        factory=UnitAReLU,
        learnable=2,
        kind="control",
        citation="metaact",
        formula="AReLU(x)/(1 + σ(β₀))",
        start="α = 0.9, β = β₀ = 2",
        options=SLOPES,
    ),
)

TABLE: tuple[Entry, ...] = PAPER_ACTIVATIONS + MODERN_ACTIVATIONS + PAPER_FORMS + CONTROLS
