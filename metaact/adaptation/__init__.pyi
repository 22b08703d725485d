from .episodic.learn2learn import import_learn2learn as import_learn2learn
from .episodic.maml import MAML as MAML
from .episodic.maml import Evaluation as Evaluation
from .shares import set_threads as set_threads
from .shares import threads as threads
from .stateless import head_of as head_of
from .supervised.optimizers import make_optimizer as make_optimizer
from .supervised.recipe import Recipe as Recipe
from .supervised.recipe import rate_factor as rate_factor
from .supervised.stacked import refusal as refusal
from .supervised.stacked import stacked_epoch as stacked_epoch
from .supervised.stacked import stacks_by_default as stacks_by_default
from .supervised.swaps import SwapCost as SwapCost
from .supervised.swaps import SwapCourse as SwapCourse
from .supervised.swaps import swap_cost as swap_cost
from .supervised.trainer import EpochLoss as EpochLoss
from .supervised.trainer import Labelled as Labelled
from .supervised.trainer import Normalisation as Normalisation
from .supervised.trainer import Score as Score
from .supervised.trainer import Trainer as Trainer
from .supervised.trainer import evaluate as evaluate

__all__ = [
    "MAML",
    "EpochLoss",
    "Evaluation",
    "Labelled",
    "Normalisation",
    "Recipe",
    "Score",
    "SwapCost",
    "SwapCourse",
    "Trainer",
    "evaluate",
    "head_of",
    "import_learn2learn",
    "make_optimizer",
    "rate_factor",
    "refusal",
    "set_threads",
    "stacked_epoch",
    "stacks_by_default",
    "swap_cost",
    "threads",
]
