from ._images import Images as Images
from ._images import Provenance as Provenance
from .builtin.digits import printed_digits as printed_digits
from .builtin.digits import street_digits as street_digits
from .builtin.digits import street_masks as street_masks
from .builtin.glyphs import glyphs as glyphs
from .dense.folds import Fold as Fold
from .dense.folds import cross_validation as cross_validation
from .dense.folds import paper_fold as paper_fold
from .dense.loading import load_volumes as load_volumes
from .dense.synthetic import synthetic_patients as synthetic_patients
from .dense.volumes import Volumes as Volumes
from .forms.pipeline import Pipeline as Pipeline
from .sampling.episodes import Episodes as Episodes
from .sampling.episodes import episodes as episodes
from .sampling.frozen_episodes import FrozenEpisodes as FrozenEpisodes
from .sampling.frozen_episodes import frozen as frozen
from .sampling.meta_batch import MetaBatch as MetaBatch
from .sampling.normalisation import statistics as statistics
from .sampling.tasksets import from_taskset as from_taskset
from .sampling.tasksets import to_taskset as to_taskset
from .sources.catalogue import DATASETS as DATASETS
from .sources.catalogue import Dataset as Dataset
from .sources.catalogue import find_dataset as find_dataset
from .sources.datasets import from_dataset as from_dataset
from .sources.folders import read_folder as read_folder
from .sources.folders import read_images as read_images
from .sources.loading import is_here as is_here
from .sources.loading import load as load
from .sources.packs import read_pack as read_pack
from .sources.packs import write_pack as write_pack
from .sources.roots import data_root as data_root
from .splits.by_name import check_shares_classes as check_shares_classes
from .splits.by_name import is_path as is_path
from .splits.by_name import split as split
from .splits.carving import thinned as thinned
from .splits.duplicates import shared_images as shared_images
from .splits.omniglot import with_rotations as with_rotations
from .splits.split import Split as Split
from .transfer.matching import match as match
from .transfer.pairs import Domain as Domain
from .transfer.pairs import TransferPair as TransferPair
from .transfer.pairs import pair as pair

__all__ = [
    "DATASETS",
    "Dataset",
    "Domain",
    "Episodes",
    "Fold",
    "FrozenEpisodes",
    "Images",
    "MetaBatch",
    "Pipeline",
    "Provenance",
    "Split",
    "TransferPair",
    "Volumes",
    "check_shares_classes",
    "cross_validation",
    "data_root",
    "episodes",
    "find_dataset",
    "from_dataset",
    "from_taskset",
    "frozen",
    "glyphs",
    "is_here",
    "is_path",
    "load",
    "load_volumes",
    "match",
    "pair",
    "paper_fold",
    "printed_digits",
    "read_folder",
    "read_images",
    "read_pack",
    "shared_images",
    "split",
    "statistics",
    "street_digits",
    "street_masks",
    "synthetic_patients",
    "thinned",
    "to_taskset",
    "with_rotations",
    "write_pack",
]
