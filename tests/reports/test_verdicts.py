"""What the document says of failures, levels, tuning and plans: figures that cannot disagree."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from metaact.experiments import ConvergeConfig, TransferConfig
from metaact.reports import Document, compare, gather, page, pictures, text
from metaact.reports.render import study_tables


def scores(mean: float, seed: int, episodes: int = 60) -> list[float]:
    """Accuracies around a mean: what an episode adds is shared by all arms, the rest is not."""
    hard = np.random.default_rng(1).normal(0, 0.05, episodes)
    rest = np.random.default_rng([seed, round(1000 * mean)]).normal(0, 0.02, episodes)
    return list(np.clip(mean + hard + rest, 0, 1))


def _store(
    path: Path,
    synthetic: ModuleType,
    arms: dict[str, float],
    *,
    seeds: Sequence[int] = range(3),
    failed: Sequence[tuple[str, int]] = (),
    **settings: Any,
) -> Path:
    for arm, mean in arms.items():
        for seed in seeds:
            if (arm, seed) in failed:
                synthetic.maml(path, arm, seed, None, test_episodes=60, **settings)
            else:
                synthetic.maml(path, arm, seed, scores(mean, seed), **settings)
    return path


def _row(document: Document, arm: str) -> dict[str, str]:
    rows = csv.DictReader(io.StringIO(text.comma_separated(document)))
    return next(row for row in rows if row["arm"] == arm)


def _read(path: Path, **options: Any) -> Document:
    return compare(gather([path]), **options)


# Failures ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory, synthetic: ModuleType) -> Path:
    """Two of five seeds of arelu failed, none of relu."""
    return _store(
        tmp_path_factory.mktemp("failing"),
        synthetic,
        {"arelu": 0.8, "relu": 0.7},
        seeds=range(5),
        failed=[("arelu", 1), ("arelu", 3)],
    )


def test_failures_are_counted_with_their_intervals_and_a_paired_test(failing: Path) -> None:
    (study,) = _read(failing).studies
    arm = study.arm("arelu")
    assert arm.failure_share.mean == 0.4
    assert (round(arm.failure_share.low, 3), round(arm.failure_share.high, 3)) == (0.053, 0.853)
    survivors = [arm.by_seed[s] for s in (0, 2, 4)]
    assert arm.counted.mean == pytest.approx((sum(survivors) + 2 * 0.2) / 5)
    assert arm.interquartile == pytest.approx(np.mean(sorted([*survivors, 0.2, 0.2])[1:4]))
    (test,) = study.failures
    assert (test.first, test.second, test.only_first, test.only_second) == ("arelu", "relu", 2, 0)
    assert test.p_value == 0.5  # two of two on one side


def test_failures_stand_in_every_form(failing: Path) -> None:
    document = _read(failing)
    plain = text.plain(document)
    assert "Failed seeds, and scores that do not hang on single seeds" in plain
    assert "2 of 5" in plain
    assert "40.0 % [5.3, 85.3]" in plain
    assert "better (without failed seeds)" in plain
    assert "2 of 5" in page(document)
    row = _row(document, "arelu")
    assert (row["failed"], float(row["failed_share"])) == ("2", 0.4)
    assert float(row["score_counting_failed"]) < float(row["score"])


def test_without_failures_there_is_no_such_table(tmp_path: Path, synthetic: ModuleType) -> None:
    document = _read(_store(tmp_path, synthetic, {"arelu": 0.8, "relu": 0.7}))
    assert document.studies[0].failures == []
    assert "Failed seeds" not in text.plain(document)


def test_a_seed_far_from_the_others_is_named(tmp_path: Path, synthetic: ModuleType) -> None:
    for seed, mean in enumerate((0.8, 0.8, 0.8, 0.8, 0.25)):
        synthetic.maml(tmp_path, "relu", seed, scores(mean, seed))
    (study,) = _read(tmp_path).studies
    assert study.arm("relu").far == 4
    assert any("relu: seed 4 lies far from the others" in note for note in study.notes)


def test_agreeing_seeds_are_over_the_test_in_every_table(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    answers = [list(np.arange(1000) < right) for right in (700, 800, 850)]
    for activation, seeds in (("relu", 3), ("elu", 4)):
        for seed in range(seeds):
            config = ConvergeConfig(activation=activation, dataset="mnist", seed=seed)
            synthetic.converge(tmp_path, config, answers, diverged=seed == 3)
    document = _read(tmp_path)
    (study,) = document.studies
    area = study.arm("relu").area
    assert 0.01 < area.high - area.low < 0.08
    assert "assuming that other training seeds agree" in area.varies
    shown = " ".join(text.plain(document).split())
    assert "95 % interval over test images (assuming that other training seeds agree" in shown
    assert "of those that did not fail, test images (assuming that other" in shown


@pytest.mark.parametrize("last", ["diverged", "stuck"])
def test_a_diverged_seed_makes_no_arm_look_faster(
    last: str, tmp_path: Path, synthetic: ModuleType
) -> None:
    """Two seeds reach 50 % at epochs 5 and 7; the third never does: the median is 7 either way."""

    def right(arrives: int | None) -> list[list[bool]]:
        answers = np.arange(100)
        high = [epoch >= arrives if arrives else False for epoch in range(1, 9)]
        return [list(answers < (60 if there else 20)) for there in high]

    for seed, arrives in enumerate((5, 7, None)):
        lost = last == "diverged" and arrives is None
        config = ConvergeConfig(activation="relu", dataset="mnist", seed=seed)
        synthetic.converge(tmp_path, config, right(arrives), diverged=lost)
    (study,) = _read(tmp_path).studies
    half = next(time for time in study.arm("relu").times if time.threshold == 0.5)
    assert half.by_seed == [5.0, 7.0, None]
    assert (half.median, half.censored_at) == (7.0, 8.0)


def test_what_diverged_at_once_is_not_within_its_planned_end(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    right = [[True, False, False, False]] * 2
    for arm, lost in (("relu", False), ("selu", True)):
        config = ConvergeConfig(activation=arm, dataset="mnist")
        synthetic.converge(tmp_path, config, right if not lost else right[:1], diverged=lost)
    shown = text.plain(_read(tmp_path))
    assert "within 0" not in shown
    assert "not within" in shown


# Levels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["plain", "markdown", "latex"])
def test_every_table_with_intervals_says_their_level(
    form: str, failing: Path, tmp_path: Path
) -> None:
    document = _read(failing, level=0.8, margin=0.03)
    shown = getattr(text, form)(document)
    assert re.search(r"80 (\\)?% intervals over", shown)
    assert not re.search(r"95 (\\)?%", shown)
    if form == "latex":
        tables = shown.split(r"\begin{table}")[1:]
        captions = [t for t in tables if "[" in t.split(r"\midrule")[1]]
        assert captions
        assert all(r"80 \%" in table for table in captions)


def test_the_page_and_the_csv_say_the_level(failing: Path) -> None:
    document = _read(failing, level=0.8)
    shown = page(document)
    assert "80 %" in shown
    assert "95 %" not in shown
    rows = list(csv.DictReader(io.StringIO(text.comma_separated(document))))
    assert {row["level"] for row in rows} == {"0.8"}


def test_every_interval_of_the_document_has_its_level(failing: Path) -> None:
    found = set(re.findall(r'"level": ([\d.]+)', _as_text(_read(failing, level=0.8))))
    assert found == {"0.8"}


def _as_text(document: Document) -> str:
    return json.dumps(document.as_json())


# Families and sentences -------------------------------------------------------------------------


PARTS = {"arelu": 0.80, "arelu-frozen": 0.79, "relu-gain": 0.72, "relu": 0.60}


def test_the_four_statements_and_the_differences_are_one_family(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    (study,) = _read(_store(tmp_path, synthetic, PARTS)).studies
    parts = [part.difference for part in study.learned.parts]
    # Three arms beside relu, and of the four statements two more: learning and shape.
    assert [c.compared for c in [*parts, *study.comparisons]] == [5] * 7
    for c in parts:
        assert c.p_value == pytest.approx(min(1, 5 * c.p_alone))
    assert "asked alone" in text.plain(_read(tmp_path))


@pytest.mark.parametrize("reference", PARTS)
def test_there_are_five_questions_whichever_arm_is_the_reference(
    reference: str, tmp_path: Path, synthetic: ModuleType
) -> None:
    (study,) = _read(_store(tmp_path, synthetic, PARTS), reference=reference).studies
    parts = {frozenset((p.difference.first, p.difference.second)) for p in study.learned.parts}
    asked = parts | {frozenset((c.first, c.second)) for c in study.comparisons}
    found = [*study.comparisons, *(part.difference for part in study.learned.parts)]
    assert {c.compared for c in found} == {len(asked)}


def test_the_parts_say_that_failed_seeds_are_left_out(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    store = _store(tmp_path, synthetic, PARTS, seeds=range(4), failed=[("relu-gain", 1)])
    (study,) = _read(store).studies
    verdicts = [row["verdict"] for row in study_tables.learned(study).rows]
    assert len(verdicts) == 4
    assert all("without failed seeds" in verdict for verdict in verdicts)


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_pictures_name_their_level(tmp_path: Path, synthetic: ModuleType, level: float) -> None:
    (study,) = _read(_store(tmp_path, synthetic, PARTS), level=level).studies
    percents = f"{100 * level:g} %"
    drawn = pictures.differences(study, None)
    assert drawn is not None
    label = drawn.figure.axes[0].get_xlabel().replace("\n", " ")
    assert label == f"difference to relu in points, simultaneous {percents} intervals"
    ranks = pictures.ranks(study)
    assert ranks is not None
    assert percents in ranks.caption
    assert any(percents in words.get_text() for words in ranks.figure.axes[0].texts)
    assert "weaker question than that of the verdicts" in ranks.caption


def test_of_one_seed_no_p_value_is_spoken_of(tmp_path: Path, synthetic: ModuleType) -> None:
    document = _read(_store(tmp_path, synthetic, PARTS, seeds=[0]))
    shown = " ".join(text.plain(document).split())
    assert "No p-values: one seed says nothing about another." in shown
    assert "p likewise" not in shown


def test_a_difference_has_one_interval_on_a_page(tmp_path: Path, synthetic: ModuleType) -> None:
    (study,) = _read(_store(tmp_path, synthetic, PARTS)).studies
    by_pair: dict[tuple[str, str], set[tuple[float, float, str]]] = {}
    for c in [*study.comparisons, *(part.difference for part in study.learned.parts)]:
        found = by_pair.setdefault((c.first, c.second), set())
        found.add((c.interval.low, c.interval.high, c.verdict))
    assert ("arelu", "relu") in by_pair
    assert all(len(found) == 1 for found in by_pair.values())


def test_a_shown_difference_below_the_margin_is_not_called_none(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    arms = {"arelu": 0.62, "arelu-frozen": 0.615, "relu-gain": 0.61, "relu": 0.60}
    (study,) = _read(_store(tmp_path, synthetic, arms), margin=0.1).studies
    total = study.learned.parts[0].difference
    assert (total.verdict, total.interval.low > 0) == ("equivalent", True)
    assert study.learned.answer.startswith("arelu is better than relu by less than the margin (+")
    assert "No advantage" not in study.learned.answer


def test_where_nothing_could_be_learned_nothing_is_said_of_learning(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    shares = {"arelu": 0.8, "arelu-frozen": 0.8, "relu-gain": 0.7, "relu": 0.5}
    for arm, share in shares.items():
        for seed in range(3):
            right = list(np.random.default_rng([seed, round(1000 * share)]).random(200) < share)
            config = ConvergeConfig(
                activation=arm, dataset="mnist", seed=seed, freeze_activations=True
            )
            synthetic.converge(tmp_path, config, [right])
    (study,) = _read(tmp_path, margin=0.02).studies
    assert [part.name for part in study.learned.parts] == ["total", "shape", "gain"]
    assert "nothing could be learned and these runs say nothing of learning" in study.learned.answer
    assert "learning arelu's parameters" not in study.learned.answer


def test_one_seed_prints_no_p_value(tmp_path: Path, synthetic: ModuleType) -> None:
    document = _read(_store(tmp_path, synthetic, {"arelu": 0.9, "relu": 0.5}, seeds=[0]))
    (found,) = document.studies[0].comparisons
    assert (found.p_value, found.p_alone) == (None, None)
    assert "another seed may differ" in found.sentence
    assert "p <" not in text.plain(document)
    row = _row(document, "arelu")
    assert row["p_value"] == ""
    assert row["difference_varies"].startswith("test episodes (one training seed")


def test_differences_tell_of_replacement(tmp_path: Path, synthetic: ModuleType) -> None:
    (found,) = _read(_store(tmp_path, synthetic, {"arelu": 0.9, "relu": 0.5})).studies
    assert "drawn with replacement" in found.comparisons[0].sentence


def test_the_sentence_and_the_page_say_one_number_of_seeds(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    means = {("arelu", 0): 0.7, ("arelu", 1): 0.66, ("relu", 0): 0.63, ("relu", 1): 0.69}
    for (arm, seed), mean in means.items():
        synthetic.maml(tmp_path, arm, seed, scores(mean, seed))
    document = _read(tmp_path)
    (found,) = document.studies[0].comparisons
    said = re.search(r"about ([\d,]+) more training seeds", found.sentence)
    assert said is not None
    assert f"{said[1]} training seeds" in page(document)
    assert "fix the number beforehand" in found.sentence


def test_one_epoch_is_singular_and_has_one_column(tmp_path: Path, synthetic: ModuleType) -> None:
    for arm in ("relu", "selu"):
        config = ConvergeConfig(activation=arm, dataset="mnist")
        synthetic.converge(tmp_path, config, [[True, False, False, True, False]])
    document = _read(tmp_path)
    shown = text.plain(document)
    assert "1 epochs" not in shown + page(document)
    assert "selected figure" not in shown  # of one epoch none is selected
    heading = next(line for line in shown.splitlines() if line.startswith("arm"))
    assert len(heading.split()) == len(set(heading.split()))


def test_a_new_head_is_not_called_the_network_as_it_is(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    config = TransferConfig(activation="relu", source="mnist", target="svhn")
    right = [[True, False, True, False]] * 3
    for kept in (True, False):
        path = tmp_path / str(kept)
        synthetic.transfer(path, config, right, pretrained=5, keeps_head=kept)
        assert ("with a new, random head" in text.plain(_read(path))) != kept


# Tuning -----------------------------------------------------------------------------------------


def test_the_seeds_that_choose_do_not_score(tmp_path: Path, synthetic: ModuleType) -> None:
    """Validation of the scoring seeds says otherwise, their scores alone are averaged."""
    for arm in ("arelu", "relu"):
        for seed in range(6):
            for rate, better in ((0.005, seed < 2), (0.02, seed >= 2)):
                synthetic.maml(
                    tmp_path,
                    arm,
                    seed,
                    scores(0.5 + 0.01 * seed + 0.1 * better, seed),
                    inner_lr=rate,
                    validation=0.9 if better else 0.4,
                )
    (study,) = _read(tmp_path).studies
    tuned = study.tuned
    assert (tuned.chosen_on, tuned.scored_on) == ([0, 1], [2, 3, 4, 5])
    assert tuned.chosen["arelu"] == "arelu inner lr 0.005"
    assert [arm.seeds for arm in tuned.arms] == [[2, 3, 4, 5]] * 2
    mean = np.mean([np.mean(scores(0.5 + 0.01 * seed, seed)) for seed in range(2, 6)])
    assert tuned.arms[0].score.mean == pytest.approx(mean)
    assert tuned.comparisons[0].interval.seeds == 4
    shown = text.plain(_read(tmp_path))
    assert "chosen by seeds 0,1 and are scored on seeds 2-5" in shown.replace("0-1", "0,1")


def test_one_seed_that_chooses_and_scores_says_so(tmp_path: Path, synthetic: ModuleType) -> None:
    for rate in (0.005, 0.02):
        synthetic.maml(tmp_path, "relu", 0, scores(0.5, 0), inner_lr=rate)
    (study,) = _read(tmp_path).studies
    assert study.tuned.chosen_on == study.tuned.scored_on == [0]
    assert "the best of several flatters" in study.tuned.notes[0]
