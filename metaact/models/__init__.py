"""Networks of the experiments, each built with any activation.

Reference:
    Chen, Xu. AReLU: Attention-based Rectified Linear Unit, 2020. https://arxiv.org/abs/2006.13858
    Finn, Abbeel, Levine. Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks, 2017.
    https://arxiv.org/abs/1703.03400
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
