"""Training from scratch at small learning rates: how fast does a network learn?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metaact import paper
from metaact.experiments.experiment import Experiment, Measure
from metaact.experiments.images import image_form, image_measure
from metaact.settings import completed, with_role

from .config import ConvergeConfig as ConvergeConfig
from .selection import selected


def measure(settings: Mapping[str, Any], data: Mapping[str, Any]) -> Measure:
    """Accuracy on the test images: each is right or wrong."""
    return image_measure(data, "test")


def cell(
    settings: Mapping[str, Any], rates: Mapping[str, float], at: int
) -> tuple[int, str] | None:
    """The cell of table 1 (after one epoch) or 6 (the best of twenty).

    Examples:
        >>> paper_run = ConvergeConfig(dataset="mnist", protocol="paper", optimizer="adam")
        >>> cell(paper_run.fields(), {"lr": 1e-4}, 1)
        (1, 'adam_1e-4')
    """
    usual = ConvergeConfig(dataset="mnist", protocol="paper").fields()
    expected = completed(ConvergeConfig, usual)
    settings = completed(ConvergeConfig, settings)
    aside = {s.name for s in with_role(ConvergeConfig, "arm", "seed", "rate", "observation")}
    aside |= {"epochs", "optimizer"}
    number = {1: 1, 20: 6}.get(at)
    same = all(settings.get(k) == v for k, v in expected.items() if k not in aside)
    if number is None or not same:
        return None
    return number, paper.column(str(settings.get("optimizer")), rates["lr"])


HELP = """Train a network from scratch with each activation, and compare how fast it learns.

Every arm, learning rate and seed is one run in the store. All arms of a seed see the same batches
in the same order and, where shapes agree, start from the same weights, so that differences are
paired. A killed command continues where it was when it is given again, and several processes may
share one sweep.

\b
    metaact converge --activation arelu,relu,arelu-frozen
    metaact converge --activation arelu,relu --tune lr=1e-3,1e-2 --controls --seeds 3
    metaact converge --dataset mnist --lr 1e-4,1e-5 --optimizer sgd,adam --activation all
    metaact converge --activation arelu --alpha 0.25,0.5,0.75 --beta 0,1,2
"""

CONVERGE = Experiment(
    name="converge",
    config=ConvergeConfig,
    implementation="metaact.experiments.converge.run",
    help=HELP,
    title="Training from scratch on",
    asks="make a network learn better from scratch at these rates",
    measure=measure,
    kinds={"converge": "trained from scratch"},
    hashes=("train_sha256", "test_sha256"),
    form=image_form,
    selected=selected,
    cell=cell,
)
"""Training from scratch at small learning rates: the experiment of `metaact converge`."""
