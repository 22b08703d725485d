from .protocols import CONVERGENCE as CONVERGENCE
from .protocols import MAML as MAML
from .protocols import NETWORKS as NETWORKS
from .protocols import TRANSFER as TRANSFER
from .protocols import Convergence as Convergence
from .protocols import Maml as Maml
from .protocols import Networks as Networks
from .protocols import Transfer as Transfer
from .protocols import column as column
from .tables import TABLES as TABLES
from .tables import table as table

__all__ = [
    "CONVERGENCE",
    "MAML",
    "NETWORKS",
    "TABLES",
    "TRANSFER",
    "Convergence",
    "Maml",
    "Networks",
    "Transfer",
    "column",
    "table",
]
