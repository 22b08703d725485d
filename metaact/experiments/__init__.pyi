from .converge import CONVERGE as CONVERGE
from .converge import ConvergeConfig as ConvergeConfig
from .evidence import Arm as Arm
from .evidence import Record as Record
from .evidence import Study as Study
from .experiment import Axis as Axis
from .experiment import Column as Column
from .experiment import Example as Example
from .experiment import Experiment as Experiment
from .experiment import Measure as Measure
from .experiment import Member as Member
from .experiment import Planned as Planned
from .experiment import Prepared as Prepared
from .experiment import Selected as Selected
from .experiment import Signature as Signature
from .loop import Finished as Finished
from .loop import Step as Step
from .loop import train as train
from .maml import MAML as MAML
from .maml import MamlConfig as MamlConfig
from .preview import Preview as Preview
from .segment import SEGMENT as SEGMENT
from .segment import SegmentConfig as SegmentConfig
from .stream import STREAM as STREAM
from .stream import StreamConfig as StreamConfig
from .study import Outcome as Outcome
from .study import Ready as Ready
from .study import prepare as prepare
from .study import run as run
from .table import find as find
from .table import register as register
from .trained import Trained as Trained
from .trained import load as load
from .transfer import TRANSFER as TRANSFER
from .transfer import TransferConfig as TransferConfig

__all__ = [
    "CONVERGE",
    "MAML",
    "SEGMENT",
    "STREAM",
    "TRANSFER",
    "Arm",
    "Axis",
    "Column",
    "ConvergeConfig",
    "Example",
    "Experiment",
    "Finished",
    "MamlConfig",
    "Measure",
    "Member",
    "Outcome",
    "Planned",
    "Prepared",
    "Preview",
    "Ready",
    "Record",
    "SegmentConfig",
    "Selected",
    "Signature",
    "Step",
    "StreamConfig",
    "Study",
    "Trained",
    "TransferConfig",
    "find",
    "load",
    "prepare",
    "register",
    "run",
    "train",
]
