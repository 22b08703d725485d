"""Does this activation function make networks adapt better?

`metaact` compares activation functions where networks must adapt fast: in meta-learning (MAML), in
transfer (fine-tuning at a tiny learning rate) and in training at small learning rates. AReLU is the
activation it was built for; eighteen others and your own are compared on equal terms.

Attributes are loaded on first use, so that `metaact --help` starts without importing PyTorch. What
this door and those of the packages offer is listed in the `__init__.pyi` beside each.
"""

import logging

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

# A library leaves it to the program whether log records are shown.
logging.getLogger(__name__).addHandler(logging.NullHandler())
