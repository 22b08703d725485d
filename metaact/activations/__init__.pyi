from .attention import attention_values as attention_values
from .attention import stuck_count as stuck_count
from .controls import controls_of as controls_of
from .controls import is_control as is_control
from .conversion.convert import convert as convert
from .conversion.places import inside_activations as inside_activations
from .conversion.report import Conversion as Conversion
from .conversion.report import Kept as Kept
from .conversion.report import Place as Place
from .conversion.report import WarmStart as WarmStart
from .conversion.report import Warmth as Warmth
from .conversion.sites import CallSites as CallSites
from .conversion.sites import FunctionSites as FunctionSites
from .entry import Entry as Entry
from .functions.apl import APL as APL
from .functions.arelu import AReLU as AReLU
from .functions.arelu import arelu as arelu
from .functions.comb import Comb as Comb
from .functions.doubling import CReLU as CReLU
from .functions.doubling import DeepFourier as DeepFourier
from .functions.elsa import ELSA as ELSA
from .functions.elsa import WithELSA as WithELSA
from .functions.elsa import elsa as elsa
from .functions.frozen_arelu import FrozenAReLU as FrozenAReLU
from .functions.gelu import PaperGELU as PaperGELU
from .functions.golu import GoLU as GoLU
from .functions.maxout import Maxout as Maxout
from .functions.pau import PAU as PAU
from .functions.pau import PaperPAU as PaperPAU
from .functions.prelu import PReLU as PReLU
from .functions.random_smooth_leaky import RandomSmoothLeaky as RandomSmoothLeaky
from .functions.rrelu import RReLU as RReLU
from .functions.scaled_leaky_relu import ScaledLeakyReLU as ScaledLeakyReLU
from .functions.slaf import SLAF as SLAF
from .functions.smooth_leaky import SmoothLeaky as SmoothLeaky
from .functions.squared_relu import SquaredReLU as SquaredReLU
from .functions.swish_beta import SwishBeta as SwishBeta
from .functions.telu import TeLU as TeLU
from .functions.unit_arelu import UnitAReLU as UnitAReLU
from .functions.xielu import XIELU as XIELU
from .registry import MODERN as MODERN
from .registry import PAPER as PAPER
from .registry import create as create
from .registry import entries as entries
from .registry import expanded as expanded
from .registry import names as names
from .registry import resolve as resolve
from .shape import Shape as Shape
from .shape import passed_on as passed_on
from .shape import shape_of as shape_of
from .shape import shape_record as shape_record
from .slopes import is_stuck as is_stuck
from .user import source_identity as source_identity

__all__ = [
    "APL",
    "ELSA",
    "MODERN",
    "PAPER",
    "PAU",
    "SLAF",
    "XIELU",
    "AReLU",
    "CReLU",
    "CallSites",
    "Comb",
    "Conversion",
    "DeepFourier",
    "Entry",
    "FrozenAReLU",
    "FunctionSites",
    "GoLU",
    "Kept",
    "Maxout",
    "PReLU",
    "PaperGELU",
    "PaperPAU",
    "Place",
    "RReLU",
    "RandomSmoothLeaky",
    "ScaledLeakyReLU",
    "Shape",
    "SmoothLeaky",
    "SquaredReLU",
    "SwishBeta",
    "TeLU",
    "UnitAReLU",
    "WarmStart",
    "Warmth",
    "WithELSA",
    "arelu",
    "attention_values",
    "controls_of",
    "convert",
    "create",
    "elsa",
    "entries",
    "expanded",
    "inside_activations",
    "is_control",
    "is_stuck",
    "names",
    "passed_on",
    "resolve",
    "shape_of",
    "shape_record",
    "source_identity",
    "stuck_count",
]
