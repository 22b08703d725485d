"""The paper's tables as data, and the settings behind them.

References:
    Chen and Xu, AReLU: Attention-based Rectified Linear Unit, 2020,
    https://arxiv.org/abs/2006.13858.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
