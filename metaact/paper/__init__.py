"""The paper's tables as data, and the settings behind them.

References:
    Chen and Xu, AReLU: Attention-based Rectified Linear Unit, 2020,
    https://arxiv.org/abs/2006.13858.
"""

from .protocols import CONVERGENCE as CONVERGENCE
from .protocols import TRANSFER as TRANSFER
from .protocols import Convergence as Convergence
from .protocols import Transfer as Transfer
from .protocols import column as column
from .tables import TABLES as TABLES
from .tables import table as table
