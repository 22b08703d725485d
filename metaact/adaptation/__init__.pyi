from .episodic.algorithms.anil import Anil as Anil
from .episodic.algorithms.boil import Boil as Boil
from .episodic.algorithms.finetune import FineTune as FineTune
from .episodic.algorithms.maml import Maml as Maml
from .episodic.algorithms.mamlpp import MamlPlusPlus as MamlPlusPlus
from .episodic.algorithms.metasgd import MetaSGD as MetaSGD
from .episodic.algorithms.protonet import ProtoNet as ProtoNet
from .episodic.algorithms.reptile import Reptile as Reptile
from .episodic.algorithms.rule import Descent as Descent
from .episodic.algorithms.rule import Rule as Rule
from .episodic.algorithms.table import ALGORITHMS as ALGORITHMS
from .episodic.learn2learn import import_learn2learn as import_learn2learn
from .episodic.learner import Evaluation as Evaluation
from .episodic.learner import MetaLearner as MetaLearner
from .episodic.maml import MAML as MAML
from .episodic.stacked import MetaStack as MetaStack
from .graphs import set_graphs as set_graphs
from .shares import set_threads as set_threads
from .shares import threads as threads
from .stateless import head_of as head_of
from .supervised.objectives import Dice as Dice
from .supervised.objectives import Objective as Objective
from .supervised.optimizers import make_optimizer as make_optimizer
from .supervised.recipe import Recipe as Recipe
from .supervised.recipe import rate_factor as rate_factor
from .supervised.stacked import misfit as misfit
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
from .supervised.volumes import VolumeScore as VolumeScore
from .supervised.volumes import dice as dice
from .supervised.volumes import evaluate_volumes as evaluate_volumes
from .supervised.volumes import largest_component as largest_component
from .supervised.volumes import predicted as predicted

__all__ = [
    "ALGORITHMS",
    "MAML",
    "Anil",
    "Boil",
    "Descent",
    "Dice",
    "EpochLoss",
    "Evaluation",
    "FineTune",
    "Labelled",
    "Maml",
    "MamlPlusPlus",
    "MetaLearner",
    "MetaSGD",
    "MetaStack",
    "Normalisation",
    "Objective",
    "ProtoNet",
    "Recipe",
    "Reptile",
    "Rule",
    "Score",
    "SwapCost",
    "SwapCourse",
    "Trainer",
    "VolumeScore",
    "dice",
    "evaluate",
    "evaluate_volumes",
    "head_of",
    "import_learn2learn",
    "largest_component",
    "make_optimizer",
    "misfit",
    "predicted",
    "rate_factor",
    "refusal",
    "set_graphs",
    "set_threads",
    "stacked_epoch",
    "stacks_by_default",
    "swap_cost",
    "threads",
]
