"""Networks of the experiments, each built with any activation.

Reference:
    Chen, Xu. AReLU: Attention-based Rectified Linear Unit, 2020. https://arxiv.org/abs/2006.13858
    Finn, Abbeel, Levine. Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks, 2017.
    https://arxiv.org/abs/1703.03400
"""

from .conv4 import Conv4 as Conv4
from .conv4 import conv4 as conv4
from .create import MODELS as MODELS
from .create import create as create
from .mnist_conv import MNISTConv as MNISTConv
from .mnist_conv import mnist_conv as mnist_conv
