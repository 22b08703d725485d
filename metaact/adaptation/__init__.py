"""MAML on whole meta-batches, and supervised training and fine-tuning."""

from .maml import MAML as MAML
from .maml import Evaluation as Evaluation
from .optimizers import Recipe as Recipe
from .optimizers import make_optimizer as make_optimizer
from .stacked import stacked_epoch as stacked_epoch
from .supervised import EpochLoss as EpochLoss
from .supervised import Score as Score
from .supervised import Trainer as Trainer
from .supervised import evaluate as evaluate
