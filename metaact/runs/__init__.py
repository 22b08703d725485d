"""Run directories: identity, checkpoint, resume, reading back.

A run is one arm with one seed. Its directory is named by a hash over every field of its config;
`result.json` is written last and atomically, so its presence means that the run is complete.
"""

from .bits import pack_bits as pack_bits
from .bits import unpack_bits as unpack_bits
from .environment import environment as environment
from .identity import identity as identity
from .jsons import Json as Json
from .jsons import finite as finite
from .listing import STATUSES as STATUSES
from .listing import Entry as Entry
from .listing import entries as entries
from .listing import entry as entry
from .run import Run as Run
from .run import RunBusyError as RunBusyError
from .store import Damaged as Damaged
from .store import Listing as Listing
from .store import RunStore as RunStore
from .store import read_run as read_run
