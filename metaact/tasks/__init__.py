"""Data sources, verified splits, and the episodes drawn from them."""

from metaact.catalogue import DATASETS as DATASETS
from metaact.catalogue import Dataset as Dataset

from ._images import Images as Images
from ._images import Provenance as Provenance
from .datasets import check_shares_classes as check_shares_classes
from .datasets import is_path as is_path
from .datasets import split as split
from .digits import printed_digits as printed_digits
from .digits import street_digits as street_digits
from .duplicates import shared_images as shared_images
from .episodic import Episodes as Episodes
from .episodic import episodes as episodes
from .folders import read_folder as read_folder
from .frozen_episodes import FrozenEpisodes as FrozenEpisodes
from .frozen_episodes import frozen as frozen
from .glyphs import glyphs as glyphs
from .learn2learn import from_taskset as from_taskset
from .learn2learn import to_taskset as to_taskset
from .meta_batch import MetaBatch as MetaBatch
from .normalisation import statistics as statistics
from .omniglot import with_rotations as with_rotations
from .packs import read_pack as read_pack
from .packs import write_pack as write_pack
from .roots import data_root as data_root
from .sources import is_here as is_here
from .sources import load as load
from .splits import Split as Split
from .transfer import TransferPair as TransferPair
from .transfer import pair as pair
