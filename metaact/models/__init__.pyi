from ._conv4 import Conv4 as Conv4
from ._conv4 import conv4 as conv4
from ._mnist_conv import MNISTConv as MNISTConv
from ._mnist_conv import mnist_conv as mnist_conv
from .table import BATCH_NORM as BATCH_NORM
from .table import NETWORKS as NETWORKS
from .table import Network as Network
from .table import create as create

__all__ = [
    "BATCH_NORM",
    "NETWORKS",
    "Conv4",
    "MNISTConv",
    "Network",
    "conv4",
    "create",
    "mnist_conv",
]
