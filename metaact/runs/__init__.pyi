from ._environment import environment as environment
from ._identity import identity as identity
from .listing import STATUSES as STATUSES
from .listing import Entry as Entry
from .listing import entries as entries
from .listing import entry as entry
from .packed import pack_bits as pack_bits
from .packed import unpack_bits as unpack_bits
from .run import Run as Run
from .run import RunBusyError as RunBusyError
from .store import Damaged as Damaged
from .store import Listing as Listing
from .store import RunStore as RunStore
from .store import read_run as read_run
from .strict_json import Json as Json
from .strict_json import finite as finite

__all__ = [
    "STATUSES",
    "Damaged",
    "Entry",
    "Json",
    "Listing",
    "Run",
    "RunBusyError",
    "RunStore",
    "entries",
    "entry",
    "environment",
    "finite",
    "identity",
    "pack_bits",
    "read_run",
    "unpack_bits",
]
