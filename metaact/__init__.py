"""Does this activation function make networks adapt better?

`metaact` compares activation functions where networks must adapt fast: in meta-learning (MAML), in
transfer (fine-tuning at a tiny learning rate) and in training at small learning rates. AReLU is the
activation it was built for; eighteen others and your own are compared on equal terms.

Attributes are loaded on first use, so that `metaact --help` starts without importing PyTorch.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# A library leaves it to the program whether log records are shown.
logging.getLogger(__name__).addHandler(logging.NullHandler())

if TYPE_CHECKING:
    from metaact import activations as activations
    from metaact import adaptation as adaptation
    from metaact import analysis as analysis
    from metaact import errors as errors
    from metaact import models as models
    from metaact import runs as runs
    from metaact import tasks as tasks
    from metaact.activations import convert as convert
    from metaact.adaptation import MAML as MAML

_PACKAGES = ("activations", "adaptation", "analysis", "errors", "models", "runs", "tasks")
_OBJECTS = {"MAML": "metaact.adaptation", "convert": "metaact.activations"}
__all__ = ["MAML", "activations", "adaptation", "analysis", "convert"]
__all__ += ["errors", "models", "runs", "tasks"]


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return importlib.import_module(f"metaact.{name}")
    if name in _OBJECTS:
        return getattr(importlib.import_module(_OBJECTS[name]), name)
    raise AttributeError(f"module 'metaact' has no attribute {name!r}")
