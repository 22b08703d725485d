"""What may be averaged with what: every other directory is named and left out, or refused."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from metaact.errors import RunError, UsageError
from metaact.experiments import CONVERGE, TRANSFER, ConvergeConfig, TransferConfig
from metaact.experiments.evidence import read_record
from metaact.experiments.recorded import check
from metaact.reports import compare, gather
from metaact.runs import Run, RunStore, entries

FOUR = [0.5, 0.6, 0.7, 0.8]


@pytest.fixture
def store(tmp_path: Path, synthetic: ModuleType) -> Path:
    """Two arms of two seeds."""
    for activation in ("arelu", "relu"):
        for seed in (0, 1):
            synthetic.maml(tmp_path / "runs", activation, seed, FOUR)
    return tmp_path / "runs"


def test_one_study_with_its_arms_and_scores(store: Path) -> None:
    evidence = gather([store])
    (study,) = evidence.studies
    assert [(arm.name, arm.seeds) for arm in study.arms] == [("relu", (0, 1)), ("arelu", (0, 1))]
    assert study.arm("relu").matrix().tolist() == [FOUR, FOUR]
    assert study.arm("relu").matrix(per_unit=False) == pytest.approx(np.full((2, 1), 0.65))
    assert (study.measure.unit, study.trials_per_unit) == ("test episodes", 75)
    assert evidence.left_out == ()


@pytest.mark.parametrize("name", ["", "maml"])
def test_a_store_and_a_folder_of_one_kind_are_read_alike(store: Path, name: str) -> None:
    (study,) = gather([store / name]).studies
    assert len(study.records) == 4


def test_single_runs_can_be_named(store: Path) -> None:
    chosen = sorted((store / "maml").iterdir())[:3]
    (study,) = gather(chosen).studies
    assert {arm.name: arm.seeds for arm in study.arms} == {"relu": (0,), "arelu": (0, 1)}


@pytest.mark.parametrize(
    "change",
    [
        {"shots": 5},
        {"iterations": 6},
        {"protocol": "paper"},
        {"replacement": False},
        {"hashes": {"test_episodes_sha256": "f" * 64}},
        {"hashes": {"train_sha256": "f" * 64}},
    ],
    ids=lambda change: str(*change),
)
def test_runs_of_other_settings_or_data_are_another_study(
    store: Path, synthetic: ModuleType, change: dict[str, object]
) -> None:
    synthetic.maml(store, "prelu", 0, FOUR, **change)
    studies = gather([store]).studies
    assert sorted(len(study.records) for study in studies) == [1, 4]


def test_rates_are_arms_of_one_study(store: Path, synthetic: ModuleType) -> None:
    synthetic.maml(store, "arelu", 0, FOUR, inner_lr=0.02)
    (study,) = gather([store]).studies
    names = {arm.name: arm.seeds for arm in study.arms}
    assert names["arelu inner lr 0.02"] == (0,)
    assert names["arelu inner lr 0.005"] == (0, 1)


def test_an_edited_activation_is_another_arm(
    tmp_path: Path, synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for factor in (1, 2):
        source = f"from torch import nn\n\ndef act():\n    return nn.LeakyReLU({factor})\n"
        (tmp_path / "edited_leaky_relu.py").write_text(source)
        synthetic.maml(tmp_path / "runs", "edited_leaky_relu:act", 0, FOUR)
    monkeypatch.delitem(sys.modules, "edited_leaky_relu")
    (study,) = gather([tmp_path / "runs"]).studies
    names = [arm.name for arm in study.arms]
    assert len(set(names)) == 2
    assert all(name.startswith("edited_leaky_relu:act (source ") for name in names)


def test_a_diverged_seed_is_kept_apart(store: Path, synthetic: ModuleType) -> None:
    synthetic.maml(store, "prelu", 0, None)
    arm = gather([store]).studies[0].arm("prelu")
    assert (arm.seeds, arm.failed, len(arm.records)) == ((), (0,), 1)


def _unfinished(run: Path) -> None:
    (run / "result.json").unlink()


def _edited_result(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps({**result, "test_accuracy": 0.99}))


def _cut_scores(run: Path) -> None:
    (run / "scores.jsonl").write_bytes((run / "scores.jsonl").read_bytes()[:-20])


def _other_scores(run: Path) -> None:
    """Of the same length, which the seal does not see."""
    text = (run / "scores.jsonl").read_text()
    (run / "scores.jsonl").write_text(text.replace("score", "scare"))


def _edited_config(run: Path) -> None:
    text = (run / "config.json").read_text()
    (run / "config.json").write_text(text.replace('"seed": 0', '"seed": 7'))


def _no_measure(run: Path) -> None:
    stored = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**stored, "measure": {"name": "accuracy"}}))


def _no_environment(run: Path) -> None:
    (run / "environment.json").unlink()


def _foreign(run: Path) -> None:
    shutil.rmtree(run)
    run.mkdir()
    (run / "config.json").write_text("[]")


FAULTS = (_unfinished, _edited_result, _cut_scores, _other_scores)
FAULTS += (_edited_config, _no_environment, _no_measure, _foreign)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_cannot_be_used_is_left_out_of_a_store_with_its_reason(
    store: Path, fault: object
) -> None:
    bad = sorted((store / "maml").glob("*-relu-seed0*"))[0]
    fault(bad)  # type: ignore[operator]
    evidence = gather([store])
    assert [item.directory for item in evidence.left_out] == [str(bad)]
    assert evidence.left_out[0].why
    assert evidence.studies[0].arm("relu").seeds == (1,)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_cannot_be_used_is_refused_where_it_is_named(store: Path, fault: object) -> None:
    bad = sorted((store / "maml").glob("*-relu-seed0*"))[0]
    fault(bad)  # type: ignore[operator]
    with pytest.raises(RunError, match="relu-seed0"):
        gather([bad])


def test_a_copy_counts_once(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "copy")
    evidence = gather([store, tmp_path / "copy"])
    assert len(evidence.studies[0].records) == 4
    assert len(evidence.left_out) == 4
    assert "same run" in evidence.left_out[0].why


def test_a_second_run_that_is_only_watched_otherwise_is_left_out(
    store: Path, synthetic: ModuleType
) -> None:
    other = synthetic.maml(store, "relu", 0, FOUR, validation_every=7)
    evidence = gather([store])
    (item,) = evidence.left_out
    assert item.directory.startswith(str(other.directory)[:-10])
    assert "recorded otherwise" in item.why
    assert evidence.studies[0].arm("relu").seeds == (0, 1)


def test_other_kinds_of_runs_are_named(store: Path) -> None:
    run = RunStore(store).open(kind="toy", name="t", config={"seed": 0})
    with run.lock():
        run.start({})
        run.resume()
        run.finish({})
    (item,) = gather([store]).left_out
    assert "'toy'" in item.why


def test_pre_trainings_are_no_evidence_and_need_no_word(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    run = synthetic.source(tmp_path, TransferConfig(), RIGHT)
    assert gather([tmp_path]).left_out == ()
    with pytest.raises(RunError, match="it is pre-trained, for fine-tunings"):
        gather([run.directory])


def test_a_foreign_folder_beside_runs_is_named_and_pictures_are_not(store: Path) -> None:
    (store / "maml" / "mine").mkdir()
    (store / "maml" / "mine" / "data.csv").write_text("1")
    for name in ("figures", "examples"):
        (store / name).mkdir()
        (store / name / "a.png").write_text("")
    (item,) = gather([store]).left_out
    assert item.directory == str(store / "maml" / "mine")
    assert "no run directory" in item.why


@pytest.mark.parametrize("place", ["missing", "empty", "file"])
def test_a_path_without_runs_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises((RunError, UsageError), match=place):
        gather([tmp_path / place])


def test_only_the_arms_asked_for(store: Path) -> None:
    assert [arm.name for arm in gather([store], arms=["relu"]).studies[0].arms] == ["relu"]
    with pytest.raises(UsageError, match="arelu, relu"):
        gather([store], arms=["rellu"])


RIGHT = [[True, False, False, False], [True, True, False, False], [True, True, True, False]]


def test_supervised_runs_are_read_per_image(tmp_path: Path, synthetic: ModuleType) -> None:
    synthetic.converge(tmp_path, ConvergeConfig(activation="relu"), RIGHT)
    (study,) = gather([tmp_path]).studies
    assert study.arm("relu").matrix().tolist() == [[1, 1, 1, 0]]
    assert gather([tmp_path], at=1).studies[0].arm("relu").matrix().tolist() == [[1, 0, 0, 0]]


def test_runs_of_other_lengths_compare_at_a_shared_epoch_only(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    synthetic.converge(tmp_path, ConvergeConfig(activation="relu"), RIGHT)
    synthetic.converge(tmp_path, ConvergeConfig(activation="selu"), RIGHT[:2])
    assert len(gather([tmp_path]).studies) == 2
    assert len(gather([tmp_path], at=2).studies) == 1
    longer = gather([tmp_path], at=3)
    assert [arm.name for arm in longer.studies[0].arms] == ["relu"]
    assert "epoch 3" in longer.left_out[0].why


def test_runs_without_answers_per_image_have_means_only(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    config = TransferConfig(activation="relu", source="mnist", target="svhn")
    synthetic.transfer(tmp_path, config, RIGHT, pretrained=5)
    old = replace(config, seed=1)
    synthetic.transfer(tmp_path, old, RIGHT, pretrained=5, keep_right=False)
    (study,) = gather([tmp_path]).studies
    assert not study.per_unit
    assert study.arm("relu").matrix(per_unit=False).tolist() == [[0.75], [0.75]]


def test_arms_are_the_values_of_the_setting_asked_about(store: Path, synthetic: ModuleType) -> None:
    for seed in (0, 1):
        synthetic.maml(store, "relu", seed, FOUR, first_order=True)
    assert len(gather([store]).studies) == 2
    found = {
        study.settings["activation"]: study for study in gather([store], by="first_order").studies
    }
    assert [arm.name for arm in found["relu"].arms] == ["first order", "no first order"]
    assert [arm.name for arm in found["arelu"].arms] == ["no first order"]
    with pytest.raises(UsageError, match=r"`by` must be one of .*first_order"):
        gather([store], by="fist_order")


def test_a_setting_that_some_runs_lack_leaves_them_out(store: Path, synthetic: ModuleType) -> None:
    lacking = synthetic.converge(store, ConvergeConfig(), RIGHT)
    evidence = gather([store], by="shots")
    assert {item.directory: item.why for item in evidence.left_out} == {
        str(lacking.directory): "it has no setting 'shots'"
    }
    assert [study.by for study in evidence.studies] == ["shots", "shots"]


def test_two_rates_of_pre_training_are_one_study(tmp_path: Path, synthetic: ModuleType) -> None:
    for rate in (0.01, 0.02):
        synthetic.transfer(tmp_path, TransferConfig(pretrain_lr=rate), RIGHT, pretrained=5)
    (study,) = gather([tmp_path]).studies
    assert [arm.name for arm in study.arms] == ["arelu pretrain lr 0.01", "arelu pretrain lr 0.02"]


def test_what_follows_from_the_setting_asked_about_may_differ_with_it(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    """conv4 has BatchNorm and mnist-conv has none unless asked otherwise."""
    synthetic.maml(tmp_path, "relu", 0, FOUR)
    synthetic.maml(tmp_path, "relu", 0, FOUR, model="conv4")
    assert len(gather([tmp_path]).studies) == 2
    (study,) = gather([tmp_path], by="model").studies
    assert sorted(arm.name for arm in study.arms) == ["conv4", "mnist-conv"]
    assert "batch_norm" not in study.settings
    # Where runs share it, those are compared.
    synthetic.maml(tmp_path, "relu", 0, FOUR, model="conv4", batch_norm="off")
    studies = gather([tmp_path], by="model").studies
    assert sorted((len(s.arms), s.settings["batch_norm"]) for s in studies) == [
        (1, "batch"),
        (2, "off"),
    ]


ABSENT = object()
"""In place of a value: the name is left out."""


def written_again(made: Run, part: str, name: str, value: object) -> Run:
    """A run with one value changed in its config, its first record or its result, and resealed."""
    config, result, metrics = dict(made.config), made.result(), made.metrics()
    changed = {"config": config, "record": metrics[0], "result": result}[part]
    changed[name] = value
    if value is ABSENT:
        del changed[name]
    scores, environment = made.scores(), made.environment()
    shutil.rmtree(made.directory)
    store = RunStore(made.directory.parent.parent)
    again = store.open(kind=made.kind, name=made.name, config=config, about=made.about)
    with again.lock():
        again.start(environment)
        again.resume()
        for record in metrics:
            again.append(record)
        again.finish(result, scores)
    return again


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("stuck_alpha", [], "`stuck_alpha` must be a whole number >= 0; got []"),
        ("attention_layers", {"x": 1}, "`attention_layers` must be a whole number"),
        ("parameters", "many", "`parameters` must be a whole number"),
        ("best_training_accuracy", True, "`best_training_accuracy` must be a number in [0, 1]"),
        ("validation_accuracy", "0.5", "record 1: `validation_accuracy` must be a number"),
        ("train_loss", "low", "record 1: `train_loss` must be a number; got 'low'"),
        ("attention", [1], "record 1: `attention` must be a mapping"),
        ("attention", {"act1": {"alpha": 1, "beta": "2"}}, "record 1: `attention.act1.beta` must"),
        ("iteration", "first", "a record holds no iteration"),
    ],
)
def test_a_sealed_run_that_records_something_else_is_left_out(
    name: str, value: object, words: str, tmp_path: Path, synthetic: ModuleType
) -> None:
    made = synthetic.maml(tmp_path, "relu", 0, [0.5, 0.75])
    synthetic.maml(tmp_path, "arelu", 0, [0.5, 0.75])
    in_record = "record" in words
    written_again(made, "record" if in_record else "result", name, value)
    evidence = gather([tmp_path])
    (item,) = evidence.left_out
    assert words in item.why
    assert compare(evidence).studies[0].arms[0].value == "arelu"


@pytest.mark.parametrize(
    ("name", "value"), [("seed", {}), ("shots", "five"), ("meta_lr", []), ("activation", None)]
)
def test_settings_of_another_type_are_named_and_the_run_is_left_out(
    name: str, value: object, tmp_path: Path, synthetic: ModuleType
) -> None:
    made = synthetic.maml(tmp_path, "relu", 0, [0.5, 0.75])
    synthetic.maml(tmp_path, "arelu", 0, [0.5, 0.75])
    again = written_again(made, "config", name, value)
    evidence = gather([tmp_path])
    (item,) = evidence.left_out
    assert f"`{name}` must " in item.why
    assert compare(evidence).studies[0].arms[0].value == "arelu"
    listed = list(entries(RunStore(tmp_path), check=check))
    assert sorted(one.status for one in listed) == ["complete", "damaged"]
    assert [one.why for one in listed if one.why] == [item.why]
    with pytest.raises(RunError, match=f"`{name}` must "):
        gather([again.directory])


RATES = [
    ("source", None, {"pretrain_lr"}),
    ("transfer", 3, {"pretrain_lr", "lr"}),
    ("transfer", 0, {"lr"}),
    ("transfer", -1, {"lr"}),
]
"""Kind of run, pre-training behind it (-1: weights that were given), and the rates it records."""


@pytest.mark.parametrize("name", ["lr", "pretrain_lr"])
@pytest.mark.parametrize(("kind", "pretrained", "expected"), RATES)
def test_each_kind_of_run_records_the_rates_it_has_and_no_others(
    kind: str,
    pretrained: int | None,
    expected: set[str],
    name: str,
    tmp_path: Path,
    synthetic: ModuleType,
) -> None:
    if pretrained is None:
        made = synthetic.source(tmp_path, TransferConfig(), RIGHT)
    else:
        config = TransferConfig(weights="trained.pt" if pretrained < 0 else None)
        made = synthetic.transfer(tmp_path, config, RIGHT, pretrained=pretrained)
    assert made.kind == kind
    assert {*read_record(made, TRANSFER).rates} == expected
    changed = written_again(made, "config", name, ABSENT if name in expected else 0.5)
    with pytest.raises(RunError, match=f"`{name}`"):
        read_record(changed, TRANSFER)


def test_a_run_that_diverged_in_its_last_epoch_has_no_score_there(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    made = synthetic.converge(tmp_path, ConvergeConfig(), RIGHT)
    last = len(RIGHT)
    made = written_again(made, "result", "outcome", "diverged")
    with pytest.raises(RunError, match="must hold `epoch`"):
        read_record(made, CONVERGE)
    made = written_again(made, "result", "epoch", last)
    assert read_record(made, CONVERGE).failed
    before = read_record(made, CONVERGE, at=last - 1)
    assert before.score == np.mean(RIGHT[-2])


def test_a_transfer_that_does_not_say_what_it_starts_from_is_damaged(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    made = synthetic.transfer(tmp_path, TransferConfig(), RIGHT, pretrained=3)
    changed = written_again(made, "config", "pretrained", ABSENT)
    with pytest.raises(RunError, match="a run of kind transfer has a `pretrained`"):
        read_record(changed, TRANSFER)


def test_a_file_is_named_once(tmp_path: Path, synthetic: ModuleType) -> None:
    made = synthetic.maml(tmp_path, "relu", 0, [0.5, 0.75])
    synthetic.maml(tmp_path, "arelu", 0, [0.5, 0.75])
    again = written_again(made, "result", "parameters", "many")
    (item,) = gather([tmp_path]).left_out
    assert item.said.count(str(again.directory / "result.json")) == 1
    assert item.said.startswith("`")
    with pytest.raises(RunError, match=r"^`[^`]*result.json` is damaged"):
        gather([again.directory])
