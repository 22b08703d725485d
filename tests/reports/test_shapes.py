"""Shapes of activations against what was measured, in any experiment with activations as arms."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from metaact import activations
from metaact.reports import compare, gather, page, pictures, text
from metaact.reports.document import StudyReport

SCORES = {"relu": 0.5, "lrelu": 0.55, "prelu": 0.6, "arelu": 0.7, "tanh": 0.3, "maxout": 0.4}
"""Made up: in the order of the slopes on the left, but for tanh; maxout has no shape."""


def made(store: Path, synthetic: ModuleType, scores: dict[str, float] = SCORES, **more: Any) -> Any:
    for name, score in scores.items():
        for seed in range(2):
            synthetic.maml(store, name, seed, [score + 0.01 * i for i in range(-3, 4)], **more)
    return compare(gather([store]))


@pytest.fixture
def study(tmp_path: Path, synthetic: ModuleType) -> StudyReport:
    found: StudyReport = made(tmp_path, synthetic).studies[0]
    return found


def test_the_correlation_is_that_of_shape_and_score(study: StudyReport) -> None:
    assert study.shapes is not None
    slope = next(m for m in study.shapes.measures if m.name == "negative_slope")
    for name, value in slope.values.items():
        shape = activations.shape_of(activations.create(name))
        assert value == pytest.approx(shape.negative_slope)
    # slopes 0, .01, .25, .9 and that of tanh, about .61, with ranks 1 2 3 5 4; scores 2 3 4 5 1
    assert slope.correlation is not None
    assert slope.correlation.mean == pytest.approx(1 - 6 * (1 + 1 + 1 + 0 + 9) / (5 * 24))
    assert study.shapes.without == ["maxout"]
    assert {n: s.mean for n, s in study.shapes.scores.items()} == pytest.approx(
        {n: s for n, s in SCORES.items() if n != "maxout"}
    )


def test_it_is_printed_and_drawn_with_names(study: StudyReport, tmp_path: Path) -> None:
    document = compare(gather([tmp_path]))
    plain = text.plain(document)
    assert "Shape of the activations against test accuracy" in plain
    assert "over 5 arms" in plain
    assert "Without maxout: no shape" in " ".join(plain.split())
    assert "figure-against-shape" in page(document)
    drawn = pictures.against_shape(study)
    assert drawn is not None
    panel = drawn.figure.axes[0]
    assert "ρ = " in panel.get_title()
    assert {"relu", "tanh", "arelu"} <= {label.get_text() for label in panel.texts}
    assert "relu: 0, 50.0" in drawn.values[0].text


def test_fewer_than_five_and_other_arms_have_none(tmp_path: Path, synthetic: ModuleType) -> None:
    few = {name: SCORES[name] for name in ("relu", "lrelu", "prelu", "arelu", "maxout")}
    document = made(tmp_path / "few", synthetic, few)
    assert document.studies[0].shapes is None
    assert pictures.against_shape(document.studies[0]) is None
    made(tmp_path / "all", synthetic)
    for found in compare(gather([tmp_path / "all"], by="iterations")).studies:
        assert found.shapes is None


def test_an_arm_that_lost_a_seed_has_no_place(tmp_path: Path, synthetic: ModuleType) -> None:
    made(tmp_path, synthetic)
    synthetic.maml(tmp_path, "gelu", 0, [0.5] * 7)
    synthetic.maml(tmp_path, "gelu", 1, None, test_episodes=7)
    (study,) = compare(gather([tmp_path])).studies
    assert study.shapes is not None
    assert "gelu" in study.shapes.without


def test_each_activation_counts_once_at_the_rates_that_most_have(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    made(tmp_path, synthetic)
    for seed in range(2):
        synthetic.maml(tmp_path, "arelu", seed, [0.1] * 7, meta_lr=0.5)
    (study,) = compare(gather([tmp_path]), margin=None).studies
    if study.tuned is None:
        assert study.shapes is not None
        assert "meta lr" in study.shapes.at
    assert study.shapes is not None
    assert len(study.shapes.scores) == 5


OWN = "from torch import nn\n\n\ndef act():\n    return nn.LeakyReLU(0.7)\n"


def test_the_shape_of_a_users_own_is_recorded_and_its_code_not_run_again(
    tmp_path: Path, synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "shaped_of_mine.py"
    module.write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = "shaped_of_mine:act"
    try:
        made(tmp_path / "runs", synthetic, {**SCORES, name: 0.65})
    finally:
        sys.modules.pop("shaped_of_mine", None)
    module.write_text("raise SystemExit('run again')\n")
    (study,) = compare(gather([tmp_path / "runs"])).studies
    assert study.shapes is not None
    slope = next(m for m in study.shapes.measures if m.name == "negative_slope")
    assert slope.values[name] == pytest.approx(0.7)
    for file in (tmp_path / "runs").glob("*/*/config.json"):
        found = json.loads(file.read_text())
        assert found.pop("shape", None) or "maxout" in file.parent.name
        file.write_text(json.dumps(found))
        result = json.loads(file.with_name("result.json").read_text())
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        result["seal"]["files"]["config.json"] = digest
        file.with_name("result.json").write_text(json.dumps(result))
    (before,) = compare(gather([tmp_path / "runs"])).studies
    assert before.shapes is not None, "those of the table have theirs"
    assert set(before.shapes.without) == {"maxout", name}
