from . import activations as activations
from . import adaptation as adaptation
from . import analysis as analysis
from . import errors as errors
from . import experiments as experiments
from . import focus as focus
from . import models as models
from . import paper as paper
from . import reports as reports
from . import runs as runs
from . import tasks as tasks
from ._version import __version__ as __version__
from .activations import convert as convert
from .adaptation import MAML as MAML
from .experiments import load as load
from .reports import frame as frame

__all__ = [
    "MAML",
    "__version__",
    "activations",
    "adaptation",
    "analysis",
    "convert",
    "errors",
    "experiments",
    "focus",
    "frame",
    "load",
    "models",
    "paper",
    "reports",
    "runs",
    "tasks",
]
