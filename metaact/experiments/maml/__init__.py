"""Meta-learning on N-way K-shot episodes, scored on frozen held-out episodes."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Any

from metaact.experiments.experiment import Axis, Experiment, Measure, Selected
from metaact.experiments.form import FIGURE, SIZES, Facts, RunForm, usual
from metaact.runs.form import COUNT, Maybe
from metaact.settings import completed, defaults, with_role

from .config import MamlConfig as MamlConfig

if TYPE_CHECKING:
    from metaact.experiments.evidence import Arm, Study

_FREE = ("hold_out", "test_episodes", "test_queries", "replacement")
"""Settings of the held-out test: the paper's figure has none of them."""


def measure(settings: Mapping[str, Any], data: Mapping[str, Any]) -> Measure:
    """Accuracy on a frozen test episode: that many of ways x test_queries query images."""
    return Measure(
        unit="test episodes",
        units=int(settings["test_episodes"]),
        resolution=1 / (int(settings["ways"]) * int(settings["test_queries"])),
        failed=1 / int(settings["ways"]),
        chance=1 / int(settings["ways"]),
        replacement=bool(settings["replacement"]),
        axis=Axis(name="meta-iteration", key="iteration", first=0),
        along=False,
    )


def form(facts: Facts) -> RunForm:
    """A record of each iteration, of which some hold the validation accuracy."""
    return usual(
        facts,
        every=True,
        needed={"train_loss": FIGURE, "train_accuracy": FIGURE},
        throughout=("attention",),
        result={
            facts.measure.test: facts.score,
            "best_training_accuracy": Maybe(facts.score),
            **SIZES,
        },
        failed={facts.measure.axis.key: COUNT},
    )


def title(settings: Mapping[str, Any], by: str) -> str:
    """What is done: MAML, in one of its forms, unless another algorithm is named or asked about."""
    return "Meta-learning on" if "algorithm" in (*settings, by) else "MAML on"


def selected(study: Study, arm: Arm) -> Selected | None:
    """The best training iteration, which the paper reports, beside the held-out figure."""
    recorded = {r.seed: r.result.get("best_training_accuracy") for r in arm.scored}
    bests = {seed: float(best) for seed, best in recorded.items() if best is not None}
    if len(bests) < len(recorded):
        return None
    return Selected(
        by_seed=bests,
        held_out=fmean(r.score for r in arm.scored if r.score is not None),
        selected_on="training tasks, best iteration",
        held_out_is="frozen test episodes",
    )


def cell(
    settings: Mapping[str, Any], rates: Mapping[str, float], at: int
) -> tuple[int, str] | None:
    """The cell of table 3 for a run's settings; None for other settings than the paper's.

    Examples:
        >>> paper = MamlConfig(dataset="mnist", protocol="paper", shots=5)
        >>> rates = {"inner_lr": 0.005, "meta_lr": 0.005}
        >>> cell(paper.fields(), rates, 100)
        (3, 'ways5_shots5')
        >>> cell(paper.fields() | {"first_order": True}, rates, 100) is None
        True
    """
    paper = {"dataset": "mnist", "protocol": "paper", "shots": settings.get("shots")}
    expected = defaults(MamlConfig, paper) | paper
    settings = completed(MamlConfig, settings)
    aside = {s.name for s in with_role(MamlConfig, "arm", "seed", "rate", "observation")}
    same = all(settings.get(k) == v for k, v in expected.items() if k not in {*aside, *_FREE})
    if same and all(expected[name] == value for name, value in rates.items()):
        return 3, f"ways5_shots{settings['shots']}"
    return None


HELP = """Meta-learn with each activation and compare them on held-out episodes.

Every arm and seed is one run in the store. All are tested on the same frozen episodes, so that
differences are paired. A killed command continues where it was when it is given again. MAML is one
of nine algorithms: --algorithm names others.

\b
    metaact maml --activation arelu
    metaact maml --dataset omniglot --activation arelu,relu,arelu-frozen --seeds 3
    metaact maml --activation arelu,relu --tune inner-lr=0.02,0.1,meta-lr=0.001 --controls
    metaact maml --dataset mnist --protocol paper --activation all
    metaact maml --by algorithm --algorithm maml,anil,protonet --seeds 3
"""

MAML = Experiment(
    name="maml",
    config=MamlConfig,
    implementation="metaact.experiments.maml.run",
    help=HELP,
    title=title,
    asks="adapt better to new tasks",
    measure=measure,
    kinds={"maml": "meta-learned"},
    hashes=("train_sha256", "test_episodes_sha256"),
    form=form,
    selected=selected,
    cell=cell,
)
"""Meta-learning on few-shot episodes: the experiment of `metaact maml`."""
