"""The document: what is compared with what, the verdicts, and what is read beside them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from metaact import analysis
from metaact.errors import UsageError
from metaact.experiments import ConvergeConfig, TransferConfig
from metaact.reports import ArmReport, Document, compare, gather, pictures, text

ARMS = {"arelu": 0.80, "arelu-frozen": 0.79, "relu-gain": 0.72, "relu": 0.60}


def scores(mean: float, seed: int, episodes: int = 60) -> list[float]:
    """Accuracies around a mean: what an episode adds is shared by all arms, the rest is not."""
    hard = np.random.default_rng(1).normal(0, 0.05, episodes)
    rest = np.random.default_rng([seed, round(1000 * mean)]).normal(0, 0.02, episodes)
    return list(np.clip(mean + hard + rest, 0, 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, synthetic: ModuleType) -> Path:
    """Four arms of three seeds under the paper's protocol."""
    path = tmp_path_factory.mktemp("runs")
    for arm, mean in ARMS.items():
        for seed in range(3):
            synthetic.maml(
                path,
                arm,
                seed,
                scores(mean, seed),
                protocol="paper",
                validation=None,
                iterations=100,
            )
    return path


@pytest.fixture(scope="module")
def document(store: Path) -> Document:
    return compare(gather([store]), margin=0.03)


def _arm(document: Document, name: str) -> ArmReport:
    return document.studies[0].arm(name)


def test_figures_are_those_of_the_runs(document: Document) -> None:
    (study,) = document.studies
    measure = study.measure
    assert (measure.unit, measure.units, measure.chance) == ("test episodes", 60, 0.2)
    matrix = [scores(0.8, seed) for seed in range(3)]
    arm = _arm(document, "arelu")
    assert arm.score.mean == pytest.approx(np.mean(matrix), abs=1e-12)
    assert arm.by_seed == pytest.approx({s: np.mean(m) for s, m in enumerate(matrix)})
    crossed = analysis.estimate(matrix, unit="test episodes", trials_per_unit=75)
    assert arm.intervals["both"].low == pytest.approx(crossed.low)
    widths = {k: v.high - v.low for k, v in arm.intervals.items()}
    assert widths["units"] < widths["both"]


def test_everyone_is_compared_with_the_reference(store: Path, document: Document) -> None:
    (study,) = document.studies
    assert study.reference == "relu"
    found = {c.first: c for c in study.comparisons}
    assert set(found) == set(ARMS) - {"relu"}
    assert {c.verdict for c in found.values()} == {"better"}
    for name, comparison in found.items():
        assert comparison.second == "relu"
        assert comparison.interval.mean == pytest.approx(ARMS[name] - 0.6, abs=0.02)
        assert comparison.p_value >= comparison.p_alone
        assert comparison.interval.low < comparison.alone.low
    other = compare(gather([store]), reference="arelu").studies[0]
    assert {c.verdict for c in other.comparisons if c.first == "relu"} == {"worse"}


def test_a_difference_falls_into_its_parts(document: Document) -> None:
    found = document.studies[0].learned
    means = {p.name: p.difference.interval.mean for p in found.parts}
    assert list(means) == ["total", "learning", "shape", "gain"]
    assert means["total"] == pytest.approx(sum(means[n] for n in ("learning", "shape", "gain")))
    verdicts = {p.name: p.difference.verdict for p in found.parts}
    assert verdicts == {
        "total": "better",
        "learning": "equivalent",
        "shape": "better",
        "gain": "better",
    }
    assert "changes nothing beyond the margin" in found.answer
    assert "the function it starts as and its gain" in found.answer
    layer = found.parameters["act1"]["alpha"]
    assert (layer.start, layer.end) == (pytest.approx(0.9), pytest.approx(-0.09))


def test_only_the_frozen_control_answers_half_the_question(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    for arm, mean in (("arelu", 0.8), ("arelu-frozen", 0.7)):
        for seed in range(3):
            synthetic.maml(tmp_path, arm, seed, scores(mean, seed))
    found = compare(gather([tmp_path])).studies[0].learned
    assert [p.name for p in found.parts] == ["learning"]
    assert found.answer.startswith("Learning arelu's parameters helps")


def test_optimism_stands_beside_the_held_out_figure(document: Document) -> None:
    paper = _arm(document, "arelu").paper
    assert paper.published == pytest.approx(0.925)
    assert paper.gap == pytest.approx(0.05, abs=1e-6)
    assert _arm(document, "arelu-frozen").paper.published is None


def test_published_figures_stand_beside_the_papers_settings_only(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    synthetic.maml(tmp_path, "arelu", 0, scores(0.8, 0), protocol="paper", first_order=True)
    (study,) = compare(gather([tmp_path])).studies
    assert study.arms[0].paper.published is None


def test_the_parts_add_up_on_the_seeds_that_all_have(tmp_path: Path, synthetic: ModuleType) -> None:
    lost = {("relu-gain", 0), ("arelu-frozen", 3)}
    for arm, mean in ARMS.items():
        for seed in range(4):
            values = None if (arm, seed) in lost else scores(mean, seed)
            more = {"test_episodes": 60} if values is None else {}
            synthetic.maml(tmp_path, arm, seed, values, **more)
    found = compare(gather([tmp_path])).studies[0].learned
    means = {p.name: p.difference.interval.mean for p in found.parts}
    assert means["total"] == pytest.approx(sum(means[n] for n in ("learning", "shape", "gain")))
    assert found.seeds == [1, 2]
    assert found.answer.startswith("On the seeds that all these arms have (1, 2): ")


def test_a_part_against_the_total_is_named(tmp_path: Path, synthetic: ModuleType) -> None:
    means = {"arelu": 0.8, "arelu-frozen": 0.79, "relu-gain": 0.9, "relu": 0.5}
    for arm, mean in means.items():
        for seed in range(3):
            synthetic.maml(tmp_path, arm, seed, scores(mean, seed))
    answer = compare(gather([tmp_path])).studies[0].learned.answer
    assert "its gain, against which works the function it starts as" in answer


def test_a_control_that_is_lost_is_named_and_the_rest_answered(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    for arm, mean in ARMS.items():
        for seed in range(3):
            values = None if arm == "relu-gain" else scores(mean, seed)
            more = {"test_episodes": 60} if values is None else {}
            synthetic.maml(tmp_path, arm, seed, values, **more)
    (study,) = compare(gather([tmp_path])).studies
    names = [part.name for part in study.learned.parts]
    assert names == ["total", "learning", "shape and gain"]
    assert any("The part of relu-gain has no answer" in note for note in study.notes)
    assert any("relu-gain cannot be compared with relu" in note for note in study.notes)
    assert study.ranks.left_out == ["relu-gain"]
    assert "relu-gain" not in study.ranks.found.mean_ranks


def test_one_seed_speaks_of_these_networks_only(tmp_path: Path, synthetic: ModuleType) -> None:
    for arm, mean in (("arelu", 0.8), ("relu", 0.6)):
        synthetic.maml(tmp_path, arm, 0, scores(mean, 0))
    (comparison,) = compare(gather([tmp_path])).studies[0].comparisons
    assert "one training seed" in comparison.sentence


def test_a_diverged_seed_is_named_in_the_verdict(tmp_path: Path, synthetic: ModuleType) -> None:
    for arm in ("arelu", "relu"):
        for seed in range(3):
            if (arm, seed) == ("arelu", 1):
                synthetic.maml(tmp_path, arm, seed, None, test_episodes=60)
            else:
                synthetic.maml(tmp_path, arm, seed, scores(0.7, seed))
    study = compare(gather([tmp_path])).studies[0]
    assert study.comparisons[0].sentence.endswith("not in it: seed 1 of arelu.")
    assert any("seed 1 diverged (at iteration" in note for note in study.notes)


def _rates(store: Path, synthetic: ModuleType) -> None:
    """AReLU is best at the small rate, ReLU at the large one; the test figures say otherwise."""
    accuracy = {("arelu", 0.005): 0.7, ("arelu", 0.02): 0.75, ("relu", 0.005): 0.6}
    accuracy[("relu", 0.02)] = 0.7
    watched = {("arelu", 0.005): 0.9, ("arelu", 0.02): 0.5}
    watched |= {("relu", 0.005): 0.4, ("relu", 0.02): 0.8}
    for (arm, rate), mean in accuracy.items():
        for seed in range(2):
            synthetic.maml(
                store, arm, seed, scores(mean, seed), inner_lr=rate, validation=watched[arm, rate]
            )


def test_both_readings_of_several_rates(tmp_path: Path, synthetic: ModuleType) -> None:
    _rates(tmp_path, synthetic)
    study = compare(gather([tmp_path])).studies[0]
    shared = {(c.first, c.second) for c in study.comparisons}
    assert shared == {(f"arelu inner lr {r}", f"relu inner lr {r}") for r in ("0.005", "0.02")}
    tuned = study.tuned
    assert tuned.chosen == {"arelu": "arelu inner lr 0.005", "relu": "relu inner lr 0.02"}
    assert [(c.first, c.second) for c in tuned.comparisons] == [
        ("arelu inner lr 0.005", "relu inner lr 0.02")
    ]
    assert tuned.budget.equal
    lines = study.sensitivity.lines
    assert [p.rate for p in lines["arelu"]] == [0.005, 0.02]
    assert lines["arelu"][1].score.mean == pytest.approx(0.75, abs=0.02)


def test_extra_seeds_at_one_rate_play_no_part_in_the_choice(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    _rates(tmp_path, synthetic)
    for seed in range(2, 7):  # with them its mean at 0.005 would be 0.83, above 0.8 at 0.02
        synthetic.maml(tmp_path, "relu", seed, scores(0.6, seed), inner_lr=0.005, validation=1.0)
    tuned = compare(gather([tmp_path])).studies[0].tuned
    assert tuned.chosen["relu"] == "relu inner lr 0.02"
    assert (tuned.budget.runs_per_arm, tuned.budget.equal) == (4, True)


def test_more_seeds_of_the_tuned_reading_are_seeds_that_score(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    for arm, mean in (("arelu", 0.72), ("relu", 0.70)):
        for seed in range(9):
            here = mean + 0.05 * np.sin(7 * seed + len(arm))
            for rate, validation in ((0.005, 0.5), (0.02, 0.9)):
                settings = {"inner_lr": rate, "validation": validation}
                synthetic.maml(tmp_path, arm, seed, scores(here, seed), **settings)
    document = compare(gather([tmp_path]))
    tuned = document.studies[0].tuned
    (found,) = tuned.comparisons
    assert found.verdict == "no difference shown"
    assert found.needed["scoring seeds"] > 0
    assert "more scoring seeds" in found.sentence
    assert "training seeds would" not in found.sentence
    assert "Of seeds that are added a third chooses" in " ".join(tuned.notes)
    plain = document.studies[0].comparisons[0]
    assert "more training seeds" in plain.sentence


def test_one_rate_has_one_reading(document: Document) -> None:
    (study,) = document.studies
    assert study.tuned is None
    assert study.sensitivity is None


def right(share: float, seed: int, epochs: int = 4, images: int = 200) -> list[list[bool]]:
    draw = np.random.default_rng([seed, round(1000 * share)]).random(images)
    return [list(draw < share * (epoch + 1) / epochs) for epoch in range(epochs)]


@pytest.fixture(scope="module")
def transfers(tmp_path_factory: pytest.TempPathFactory, synthetic: ModuleType) -> Path:
    path = tmp_path_factory.mktemp("transfers")
    for arm, share in (("arelu", 0.9), ("relu", 0.6), ("selu", 0.62)):
        for seed in range(3):
            config = TransferConfig(activation=arm, source="mnist", target="svhn", seed=seed)
            synthetic.transfer(path, config, right(share, seed), pretrained=5)
            synthetic.transfer(path, config, right(0.2, seed), pretrained=0)
    return path


def test_transfer_has_its_baselines_and_curves(transfers: Path) -> None:
    (study,) = compare(gather([transfers]), thresholds=(0.4, 0.95)).studies
    arm = study.arm("arelu")
    assert arm.columns["target only"].score.mean == pytest.approx(0.2, abs=0.05)
    assert arm.columns["never fine-tuned"].score.mean == pytest.approx(0.225, abs=0.05)
    curve = arm.curves["test_accuracy"]
    assert curve.x == [0, 1, 2, 3]
    assert curve.mean[-1] == pytest.approx(arm.score.mean)
    whole = np.mean([np.mean(right(0.9, s), axis=1) for s in range(3)], axis=0)
    assert arm.area.mean == pytest.approx(np.mean((whole[1:] + whole[:-1]) / 2), abs=1e-9)
    reached, never = arm.times
    assert reached.median == 1
    assert never.by_seed == [None] * 3
    assert never.median is None
    assert study.ranks.found.mean_ranks["arelu"] == 1


def test_published_figures_of_official_data_are_marked_beside_others(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    config = TransferConfig(source="mnist", target="svhn")
    answers = right(0.5, 0, epochs=21)
    data = synthetic.provenance(
        *("source_train", "source_test", "target_train", "target_test"),
        images=200,
        official=False,
        note="cut",
    )
    synthetic.transfer(tmp_path, config, answers, pretrained=5, data=data)
    shown = " ".join(text.plain(compare(gather([tmp_path]))).split())
    assert "78.5" in shown
    assert "published figures were measured on the official data; these runs were not" in shown
    assert "best on nothing" not in shown


def test_supervised_arms_are_paired_over_images(transfers: Path) -> None:
    (study,) = compare(gather([transfers]), over="units").studies
    assert "test images" in study.comparisons[0].interval.varies
    (over_seeds,) = compare(gather([transfers]), over="seeds").studies
    assert "seeds" in over_seeds.comparisons[0].interval.varies


def test_everything_is_read_at_the_epoch_asked_for(transfers: Path) -> None:
    (study,) = compare(gather([transfers], at=1)).studies
    arm = study.arm("arelu")
    assert arm.curves["test_accuracy"].x == [0, 1]
    assert arm.attention["act1"].x == [0, 1]
    assert arm.score.mean == pytest.approx(arm.curves["test_accuracy"].mean[1])


def test_optimism_is_of_the_epochs_up_to_the_one_asked_for(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    synthetic.converge(tmp_path, ConvergeConfig(activation="relu"), right(0.8, 0))
    arm = compare(gather([tmp_path], at=2)).studies[0].arms[0]
    assert arm.paper.figure == pytest.approx(np.mean(right(0.8, 0)[1]))


def test_a_run_that_diverged_at_once_does_not_hide_how_fast_others_are(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    for seed in range(2):
        synthetic.maml(tmp_path, "relu", seed, scores(0.6, seed), iterations=2)
    synthetic.maml(tmp_path, "arelu", 0, None, iterations=2, test_episodes=60)
    for path in tmp_path.glob("maml/*arelu*/metrics.jsonl"):
        assert path.read_text().count("\n") == 1
    study = compare(gather([tmp_path])).studies[0]
    assert study.arm("relu").area is None  # one point
    assert study.arm("relu").times


def test_an_exploded_run_is_named(tmp_path: Path, synthetic: ModuleType) -> None:
    synthetic.maml(tmp_path, "relu", 0, scores(0.6, 0))
    (study,) = compare(gather([tmp_path])).studies
    assert not any("exploded" in note for note in study.notes)
    losses = [1.6, 1e9, 1.6, 1.6, 1.6]
    synthetic.maml(tmp_path, "relu", 1, scores(0.6, 1), losses=losses)
    (study,) = compare(gather([tmp_path])).studies
    assert any("exploded in seed 1" in note for note in study.notes)


def test_a_reference_that_a_study_lacks_is_noted(tmp_path: Path, synthetic: ModuleType) -> None:
    for arm, shots in (("arelu", 1), ("relu", 1), ("arelu", 5), ("selu", 5)):
        synthetic.maml(tmp_path, arm, 0, scores(0.6, 0), shots=shots)
    evidence = gather([tmp_path])
    found = {s.settings["shots"]: s for s in compare(evidence, reference="relu").studies}
    assert {shots: study.reference for shots, study in found.items()} == {1: "relu", 5: "selu"}
    (note,) = [note for note in found[5].notes if "No arm here is relu" in note]
    assert note == "No arm here is relu: compared with selu."
    with pytest.raises(UsageError):
        compare(evidence, reference="swish")


def test_the_order_that_is_handed_on_names_the_reference(store: Path) -> None:
    evidence = gather([store])
    (plain,) = compare(evidence).studies
    (study,) = compare(evidence, order=["arelu-frozen", "arelu"]).studies
    assert (plain.reference, study.reference) == ("relu", "arelu-frozen")
    assert [arm.name for arm in study.arms][:2] == ["arelu-frozen", "arelu"]
    (other,) = compare(evidence, order=["arelu"], reference="relu-gain").studies
    assert other.reference == "relu-gain"


def test_chance_is_that_of_the_data(tmp_path: Path, synthetic: ModuleType) -> None:
    parts = ("source_train", "source_test", "target_train", "target_test")
    data = synthetic.provenance(*parts, images=200, classes=20)
    synthetic.transfer(tmp_path, TransferConfig(), right(0.6, 0), pretrained=5, data=data)
    data = {"official": True, **synthetic.provenance("train", "test", images=200, classes=20)}
    synthetic.converge(tmp_path, ConvergeConfig(), right(0.6, 0), data=data)
    assert [study.measure.chance for study in compare(gather([tmp_path])).studies] == [0.05, 0.05]


def test_the_source_is_a_column_where_its_run_is_there(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    config = TransferConfig(activation="relu", source="mnist", target="svhn")
    synthetic.transfer(tmp_path, config, right(0.6, 0), pretrained=5)
    (study,) = compare(gather([tmp_path])).studies
    assert "source" not in study.arm("relu").columns
    answers = right(0.9, 7, epochs=5)
    synthetic.source(tmp_path, config, answers)
    (study,) = compare(gather([tmp_path])).studies
    assert study.arm("relu").columns["source"].by_seed == {0: pytest.approx(np.mean(answers[-1]))}


def test_a_curve_has_a_gap_where_a_seed_diverged(tmp_path: Path, synthetic: ModuleType) -> None:
    for seed, lost in ((0, False), (1, True)):
        config = ConvergeConfig(activation="relu", seed=seed)
        synthetic.converge(tmp_path, config, right(0.6, seed), diverged=lost)
    arm = compare(gather([tmp_path])).studies[0].arms[0]
    assert arm.curves["test_accuracy"].mean[-1] is None
    assert arm.failed == [1]
    assert arm.area is None


@pytest.mark.parametrize(
    "options",
    [
        {"reference": "rellu"},
        {"over": "images"},
        {"method": "normal"},
        {"margin": 0.0},
        {"level": 1.0},
        {"seed": -1},
        {"thresholds": (2.0,)},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(store: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        compare(gather([store]), **options)


def test_the_document_is_strict_json_and_the_same_twice(store: Path, document: Document) -> None:
    json.dumps(document.as_json(), allow_nan=False)
    again = compare(gather([store]), margin=0.03)
    assert again == document
    assert again.as_json() == document.as_json()


def test_plain_text_holds_tables_and_verdicts(document: Document) -> None:
    shown = text.plain(document)
    assert "Learned, or only scaled?" in shown
    assert "arelu is better than relu by" in shown
    lines = [line for line in shown.splitlines() if line.startswith("arelu-frozen ")]
    assert "better" in lines[0]


def test_csv_has_a_row_per_arm_with_unrounded_numbers(document: Document) -> None:
    rows = list(csv.DictReader(io.StringIO(text.comma_separated(document))))
    assert {row["arm"] for row in rows} == set(ARMS)
    row = next(row for row in rows if row["arm"] == "arelu")
    assert float(row["score"]) == _arm(document, "arelu").score.mean
    assert row["verdict"] == "better"


def test_markdown_rows_have_as_many_cells_as_their_heading(document: Document) -> None:
    (study,) = document.studies
    document = replace(document, studies=[replace(study, title="MAML | <b> on")])
    assert "<b>" not in text.markdown(document)
    tables = [part for part in text.markdown(document).split("\n\n") if part.startswith("|")]
    assert tables
    for table in tables:
        counts = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(counts) == 1


def test_latex_is_balanced_and_escaped(document: Document) -> None:
    shown = text.latex(document)
    assert shown.count(r"\begin{table}") == shown.count(r"\end{table}") > 1
    assert shown.count("{") == shown.count("}")
    assert "%" not in shown.replace(r"\%", "")
    assert not set(shown) & set("±−→αβ")


def test_what_was_left_out_is_in_every_form_for_readers(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    synthetic.maml(tmp_path, "relu", 0, scores(0.6, 0))
    lost = synthetic.maml(tmp_path, "relu", 1, scores(0.6, 1)).directory
    (lost / "result.json").unlink()
    document = compare(gather([tmp_path]))
    assert [item.directory for item in document.left_out] == [str(lost)]
    for render in (text.plain, text.markdown):
        assert str(lost) in render(document)


def test_a_verdict_from_one_surviving_seed_says_so(tmp_path: Path, synthetic: ModuleType) -> None:
    for seed in range(3):
        synthetic.maml(tmp_path, "relu", seed, scores(0.6, seed))
        survives = seed == 2
        values = scores(0.8, seed) if survives else None
        synthetic.maml(
            tmp_path, "arelu", seed, values, **({} if survives else {"test_episodes": 60})
        )
    study = compare(gather([tmp_path])).studies[0]
    (comparison,) = study.comparisons
    assert comparison.sentence.startswith("On the one seed that both have: arelu is better")
    assert "seeds 0, 1 of arelu" in comparison.sentence
    assert any("seeds 0, 1 diverged" in note for note in study.notes)


def test_the_shared_rate_of_the_parts_is_the_one_that_suits_all(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    for arm in ("arelu", "arelu-frozen"):
        for rate, watched in ((0.001, 0.3), (0.005, 0.7), (0.02, 0.9)):
            for seed in range(2):
                lost = (arm, rate, seed) == ("arelu", 0.02, 1)
                synthetic.maml(
                    tmp_path,
                    arm,
                    seed,
                    None if lost else scores(0.7, seed),
                    inner_lr=rate,
                    validation=watched,
                    **({"test_episodes": 60} if lost else {}),
                )
    found = compare(gather([tmp_path])).studies[0].learned
    assert found.first == "arelu inner lr 0.005"


def _parts_at_rates(store: Path, synthetic: ModuleType, rates: Sequence[float]) -> None:
    arms = {"arelu": 0.8, "arelu-frozen": 0.78, "relu-gain": 0.75, "relu": 0.7}
    for arm, mean in arms.items():
        for rate in rates:
            for seed in range(3):
                values = scores(mean + rate, seed)
                synthetic.maml(
                    store, arm, seed, values, inner_lr=rate, validation=float(np.mean(values))
                )


def test_a_rate_that_was_picked_is_said_to_be(tmp_path: Path, synthetic: ModuleType) -> None:
    for rates in ([0.02], [0.005, 0.02]):
        store = tmp_path / str(len(rates))
        _parts_at_rates(store, synthetic, rates)
        study = compare(gather([store])).studies[0]
        parts = [part.difference for part in study.learned.parts]
        # At each rate three arms beside relu; learning and shape at the shared one.
        assert {c.compared for c in [*parts, *study.comparisons]} == {3 * len(rates) + 2}
        assert ("The shared rate is the one" in study.learned.answer) == (len(rates) > 1)
    assert "The shared rate" not in study.tuned.learned.answer


def test_points_at_the_best_other_rate_are_of_seeds_that_did_not_choose(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    lucky = {0.001: (0.9, 0.5, 0.5), 0.005: (0.6, 0.6, 0.6)}  # of the seeds; the first chooses
    for outer, means in lucky.items():
        for inner in (0.005, 0.02, 0.1):
            for seed, mean in enumerate(means):
                rates = {"inner_lr": inner, "meta_lr": outer}
                synthetic.maml(tmp_path, "relu", seed, scores(mean, seed), validation=mean, **rates)
    study = compare(gather([tmp_path])).studies[0]
    found = study.sensitivity
    assert found.rate == "inner_lr"
    assert [p.score.mean for p in found.lines["relu"]] == pytest.approx([0.5] * 3, abs=0.02)
    assert found.note.endswith("(chosen by seed 0, scored on seeds 1-2).")
    assert found.note in " ".join(text.plain(compare(gather([tmp_path]))).split())
    assert found.note in pictures.sensitivity(study).caption


def test_no_column_of_areas_where_there_are_none(tmp_path: Path, synthetic: ModuleType) -> None:
    synthetic.maml(tmp_path, "relu", 0, scores(0.7, 0))
    shown = text.plain(compare(gather([tmp_path])))
    assert "to 50 %" in shown
    assert "area under the curve" not in shown
    assert "Area:" not in shown


def test_a_band_without_width_says_what_it_assumes(tmp_path: Path, synthetic: ModuleType) -> None:
    answers = np.arange(100)
    for seed in range(3):
        config = ConvergeConfig(activation="relu", dataset="mnist", seed=seed)
        right = [list(answers < 20), list(answers < 60 + 2 * seed)]
        synthetic.converge(tmp_path, config, right)
    study = compare(gather([tmp_path])).studies[0]
    assert "it assumes that others do, too" in pictures.learning(study).caption
