from ._conv4 import Conv4 as Conv4
from ._conv4 import conv4 as conv4
from ._mlp import MLP as MLP
from ._mlp import mlp as mlp
from ._mnist_conv import MNISTConv as MNISTConv
from ._mnist_conv import mnist_conv as mnist_conv
from .cost import Cost as Cost
from .cost import costs as costs
from .dense import DENSE as DENSE
from .dense import create_dense as create_dense
from .dense import dense_network_of as dense_network_of
from .foreign import source_identity as source_identity
from .gains import INITS as INITS
from .gains import gain_of as gain_of
from .table import BATCH_NORM as BATCH_NORM
from .table import NETWORKS as NETWORKS
from .table import Network as Network
from .table import create as create
from .table import is_foreign as is_foreign
from .table import network_of as network_of

__all__ = [
    "BATCH_NORM",
    "DENSE",
    "INITS",
    "MLP",
    "NETWORKS",
    "Conv4",
    "Cost",
    "MNISTConv",
    "Network",
    "conv4",
    "costs",
    "create",
    "create_dense",
    "dense_network_of",
    "gain_of",
    "is_foreign",
    "mlp",
    "mnist_conv",
    "network_of",
    "source_identity",
]
