"""`metaact.frame` against what `metaact compare` says of the same runs."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import metaact
from metaact.errors import MissingDependencyError, UsageError
from metaact.experiments import ConvergeConfig, TransferConfig

pd = pytest.importorskip("pandas")

Cli = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path, synthetic: ModuleType) -> Path:
    """Meta-learning at two rates with a diverged seed, and training with epochs."""
    path = tmp_path / "runs"
    for activation, shift in (("arelu", 0.1), ("relu", 0.0)):
        for seed in range(3):
            scores = [0.5 + shift + 0.01 * i + 0.001 * seed for i in range(12)]
            lost = (activation, seed) == ("relu", 2)
            more = {"test_episodes": 12} if lost else {}
            synthetic.maml(path, activation, seed, None if lost else scores, **more)
        synthetic.maml(path, activation, 0, [0.4 + shift] * 12, meta_lr=0.5)
        for seed in range(2):
            right = [[(i + j + seed) % 3 > 0 for i in range(20)] for j in range(4)]
            config = ConvergeConfig(activation=activation, seed=seed, dataset="mnist", lr=0.01)
            synthetic.converge(path, config, right)
    return path


@pytest.fixture
def document(cli: Cli, store: Path) -> Any:
    return cli("compare", store, "--json").json


def _arms(document: Any) -> dict[tuple[str, str], Any]:
    return {(s["id"], arm["name"]): arm for s in document["studies"] for arm in s["arms"]}


def test_runs_are_those_of_compare(store: Path, document: Any) -> None:
    found = metaact.frame(store)
    assert len(found) == 12
    arms = _arms(document)
    assert {tuple(key) for key in found[["study", "arm"]].to_numpy()} == set(arms)
    for key, rows in found.groupby(["study", "arm"]):
        arm = arms[key]
        scored = rows[~rows["failed"]]
        by_seed = {str(row.seed): row.score for row in scored.itertuples()}
        assert by_seed == arm["by_seed"]
        assert sorted(rows[rows["failed"]]["seed"]) == arm["failed"]
        assert sorted(rows["run"]) == sorted(arm["runs"])
        assert set(rows["parameters"]) == {arm["parameters"]}
        for name, rate in arm["rates"].items():
            assert set(rows[name]) == {rate}


def test_means_are_those_of_the_csv(cli: Cli, store: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("compare", store, "--csv").out)))
    means = metaact.frame(store).groupby(["study", "arm"])["score"].mean()
    assert len(rows) == len(means)
    for row in rows:
        assert means[row["study"], row["arm"]] == pytest.approx(float(row["score"]), rel=1e-12)


def test_every_setting_is_a_column(store: Path, document: Any) -> None:
    found = metaact.frame(store)
    for study in document["studies"]:
        rows = found[found["study"] == study["id"]]
        for name, value in study["settings"].items():
            cells = set(rows[name]) if value is not None else set(rows[name].dropna())
            wanted = ",".join(map(str, value)) or "none" if isinstance(value, list) else value
            assert cells == (set() if value is None else {wanted}), name


def test_epochs_are_the_curves_of_compare(store: Path, document: Any) -> None:
    found = metaact.frame(store, per="epoch")
    for (study, name), arm in _arms(document).items():
        rows = found[(found["study"] == study) & (found["arm"] == name)]
        for figure, curve in arm["curves"].items():
            means = rows.groupby("x")[figure].mean()
            for x, mean in zip(curve["x"], curve["mean"], strict=True):
                if mean is not None:
                    assert means[x] == pytest.approx(mean, rel=1e-12)
            assert set(rows["x_name"]) == {curve["x_name"]}
        for layer, values in arm["attention"].items():
            last = rows[rows["x"] == values["x"][-1]]
            assert sorted(last[f"attention.{layer}.alpha"].dropna()) == sorted(
                alphas[-1] for alphas in values["alpha"]
            )


def test_units_are_the_scores_behind_the_means(store: Path) -> None:
    runs, units = metaact.frame(store), metaact.frame(store, per="unit")
    means = units.groupby("run")["score"].mean()
    counts = units.groupby("run")["unit"].max() + 1
    for row in runs.itertuples():
        if row.failed:
            assert row.run not in means
        else:
            assert means[row.run] == pytest.approx(row.score, rel=1e-12)
            assert counts[row.run] == row.units


def test_a_baseline_is_marked(tmp_path: Path, synthetic: ModuleType) -> None:
    right = [[True, False, True, True]] * 3
    for pretrained in (0, 2):
        config = TransferConfig(activation="relu", source="mnist", target="svhn", epochs=(2,))
        synthetic.transfer(tmp_path / "runs", config, right, pretrained=pretrained)
    found = metaact.frame(tmp_path / "runs")
    assert sorted(found["baseline"]) == [False, True]
    assert set(found["study"]) == {"transfer-1"}


def test_a_place_along_the_way(store: Path) -> None:
    found = metaact.frame(store / "converge", per="epoch", at=2)
    assert found["x"].max() == 2
    early, late = (metaact.frame(store / "converge", at=at) for at in (2, None))
    assert list(early["score"]) == list(found[found["x"] == 2]["test_accuracy"])
    assert not early["score"].equals(late["score"])


def test_what_is_left_out_is_said(store: Path) -> None:
    lost = next((store / "converge").iterdir())
    (lost / "result.json").unlink()
    with pytest.warns(UserWarning, match="left out 1 directory, listed in frame.attrs"):
        found = metaact.frame(store)
    ((directory, why),) = found.attrs["left_out"]
    assert directory == str(lost)
    assert "not complete" in why
    assert len(found) == 11


def test_bad_calls(store: Path) -> None:
    with pytest.raises(UsageError, match="`per` must be one of run, epoch, unit; got 'epochs'"):
        metaact.frame(store, per="epochs")


def test_without_pandas_the_command_is_said(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'metaact\[frame\]'"):
        metaact.frame(store)
