"""MAML on whole meta-batches, and supervised training and fine-tuning."""

from .maml import MAML as MAML
from .maml import Evaluation as Evaluation
