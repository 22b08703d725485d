"""Transfer: pre-training on a source, fine-tuning on a target at a small rate, two baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metaact.experiments.experiment import Column, Experiment, Measure
from metaact.experiments.form import Facts, RunForm
from metaact.experiments.images import image_form, image_measure
from metaact.runs import read_run
from metaact.settings import Setting, completed, counted, settings_of, shown

from .config import TransferConfig as TransferConfig

if TYPE_CHECKING:
    from metaact.experiments.evidence import Arm, Study

_USUAL = TransferConfig()

TARGET_ONLY, NEVER_TUNED = "target only", "never fine-tuned"
"""The two baselines, as tables call them."""

RECORDED = {
    "pretrained": Setting(
        name="pretrained",
        help="Epochs of pre-training behind a fine-tuning.",
        role="training",
        default=_USUAL.pretrain_epochs,
        kind=int,
        words=lambda n: counted("epoch", "after {} on the source")(n) if n else TARGET_ONLY,
        always=True,
    ),
    "epochs": Setting(
        name="epochs",
        help="Epochs of a run.",
        role="training",
        default=max(_USUAL.epochs),
        kind=int,
        words=counted("epoch"),
        always=True,
        contains=True,
    ),
    "keeps_head": Setting(
        name="keeps_head",
        help="Whether the classifier of the source is kept.",
        role="data",
        default=True,
        kind=bool,
        words={True: "head kept", False: "new head"},
    ),
    "form": Setting(
        name="form",
        help="Channels, height and width of the images.",
        role="data",
        kind=int,
        many=True,
        words=lambda form: f"images {'x'.join(shown(side) for side in form)}",
    ),
}
"""What a run of a transfer records that no one sets."""


def measure(settings: Mapping[str, Any], data: Mapping[str, Any]) -> Measure:
    """Accuracy on the test images of the target, or of the source in pre-training."""
    return image_measure(data, "target_test" if "target" in settings else "source_test")


def is_baseline(settings: Mapping[str, Any]) -> bool:
    """Whether a study is the baseline "target only"."""
    return settings.get("pretrained") == 0


_OF_THE_PLAN = ("protocol", "pretrain_epochs", "text_epochs")
"""Settings that say which stages there are; each stage records its own length."""

_OF_PRE_TRAINING = (
    *("source", "pretrain_lr", "source_train_sha256", "keeps_head"),
    *("weights", "weights_sha256", "trained_with", "swap"),
)
"""Settings on which the baseline does not depend."""

_OF_FINE_TUNING = (
    *("target", "lr", "optimizer", "nesterov", "weight_decay", "decay", "clip_norm"),
    *("schedule", "milestones", "lr_factor", "warmup_epochs", "augmentation", "precision"),
    *("train_layers", "layer_lrs", "freeze_activations"),
    *("pretrained", "keeps_head", "target_train_sha256", "target_test_sha256"),
)
"""Settings on which pre-training does not depend."""


def unused(kind: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings of the stages that a run does not have behind it."""
    if kind == "source":
        return (*_OF_THE_PLAN, *_OF_FINE_TUNING)
    if is_baseline(settings):
        return (*_OF_THE_PLAN, *_OF_PRE_TRAINING, "source_test_sha256")
    if settings.get("weights") is not None:
        never = ("pretrained", "source", "pretrain_lr", "source_train_sha256")
        return (*_OF_THE_PLAN, *never, "source_test_sha256")
    return (*_OF_THE_PLAN, "source_test_sha256")


def form(facts: Facts) -> RunForm:
    """A fine-tuning is tested before its first update, too."""
    tested = {facts.measure.test: facts.score} if facts.kind == "transfer" else {}
    return image_form(facts, start=tested)


def columns(study: Study, baseline: Study | None, arm: Arm) -> list[Column]:
    """Accuracy on the source, and of the two baselines on the target."""
    if is_baseline(study.settings):
        return []
    found = _source(arm)
    only = baseline.like(arm) if baseline else None
    if only:
        scores = {r.seed: r.score if r.scores is None else r.scores for r in only.scored}
        note = "Target only: trained from scratch with the fine-tuning settings, as many epochs."
        found.append(Column(name=TARGET_ONLY, scores=scores, note=note))
    starts = {r.seed: r.test_scores(0) for r in arm.records}
    known = {seed: value for seed, value in starts.items() if value is not None}
    if known:
        note = "Never fine-tuned: the pre-trained network on the target as it is."
        if any(record.run.config.get("keeps_head") is False for record in arm.records):
            note = "Never fine-tuned: the pre-trained network with a new, random head."
        found.append(Column(name=NEVER_TUNED, scores=known, note=note))
    return found


def _source(arm: Arm) -> list[Column]:
    """Accuracy on the source after the pre-training, where the store still holds it."""
    from metaact.experiments.evidence import read_record

    scores: dict[int, Any] = {}
    for record in arm.records:
        store = record.run.directory.parent.parent
        for place in record.run.about.get("needs") or ():
            if (store / place / "result.json").is_file():
                source = read_record(read_run(store / place), TRANSFER)
                value = source.test_scores(record.run.config.get("pretrained"))
                scores |= {} if value is None else {record.seed: value}
    if not scores:
        return []
    note = "Source: the pre-trained network on the test images of the source."
    return [Column(name="source", scores=scores, note=note)]


def cell(
    settings: Mapping[str, Any], rates: Mapping[str, float], at: int
) -> tuple[int, str] | None:
    """The cell of table 2; how long the paper pre-trained for it, it does not say."""
    usual = TransferConfig(source="mnist", target="svhn").fields()
    expected = completed(TransferConfig, usual)
    settings = completed(TransferConfig, settings)
    named = (
        *(one.name for one in settings_of(TransferConfig) if one.added),
        *("source", "target", "model", "batch_norm", "momentum", "batch_size", "optimizer"),
        *("weight_decay", "train_layers", "layer_lrs", "freeze_activations"),
    )
    same = all(settings.get(name) == expected[name] for name in named)
    if same and all(expected[name] == rate for name, rate in rates.items()):
        return 2, f"finetune_{at}_epochs"
    return None


HELP = """Pre-train on SOURCE, fine-tune on TARGET at a small rate, and test on TARGET.

Beside it stand two baselines: trained on the target only, and never fine-tuned. Pre-trained
networks are kept in the store and serve every later fine-tuning. Without arguments the pair is the
built-in one, which needs no download. With --pretrained a trained network stands in place of
SOURCE.

\b
    metaact transfer --activation arelu,relu,arelu-frozen
    metaact transfer --activation arelu,relu --tune lr=1e-4,1e-3 --controls --seeds 3
    metaact transfer mnist svhn --epochs 5,10,20 --seeds 3
    metaact transfer mnist my-digits/ --lr 1e-3,1e-4,1e-5 --train-layers head
    metaact transfer my-digits/ --pretrained trained.pt --trained-with relu --activation arelu,relu
"""

TRANSFER = Experiment(
    name="transfer",
    config=TransferConfig,
    implementation="metaact.experiments.transfer.run",
    help=HELP,
    title="Transfer from",
    asks="make a pre-trained network adapt better to the target",
    measure=measure,
    kinds={
        "transfer": "fine-tuned",
        "source": "pre-trained, for fine-tunings to start from",
    },
    unused=unused,
    hashes=(
        *("source_train_sha256", "source_test_sha256"),
        *("target_train_sha256", "target_test_sha256"),
    ),
    form=form,
    arguments=("source", "target"),
    recorded=RECORDED,
    baseline=is_baseline,
    apart=("pretrained", "weights", "trained_with", "swap"),
    baseline_name=TARGET_ONLY,
    columns=columns,
    cell=cell,
)
"""Fine-tuning on a target at a small rate: the experiment of `metaact transfer`."""
