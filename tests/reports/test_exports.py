"""`metaact runs export`, read back by the programs that it is for; none asks the network."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from metaact.experiments import ConvergeConfig
from metaact.runs import Run

Cli = Callable[..., Any]

RIGHT = [[(i + j) % 3 > 0 for i in range(20)] for j in range(3)]


@pytest.fixture
def runs(tmp_path: Path, synthetic: ModuleType) -> list[Run]:
    """One run of training, one of meta-learning; the first took 100 seconds."""
    config = ConvergeConfig(activation="arelu", seed=1, dataset="mnist", lr=0.01)
    found = [
        synthetic.converge(tmp_path / "runs", config, RIGHT),
        synthetic.maml(tmp_path / "runs", "relu", 0, [0.5, 0.75]),
    ]
    os.utime(found[0].directory / "environment.json", (1e9, 1e9))
    os.utime(found[0].directory / "result.json", (1e9 + 90, 1e9 + 90))
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_csv(cli: Cli, runs: list[Run], tmp_path: Path) -> None:
    ended = cli("runs", "export", "--to", "csv", "-o", tmp_path / "tidy")
    assert (ended.code, ended.out.strip(), ended.err) == (0, str(tmp_path / "tidy"), "")
    table = {row["run"]: row for row in _rows(tmp_path / "tidy" / "runs.csv")}
    assert set(table) == {str(run.directory.relative_to(tmp_path)) for run in runs}
    row = table[str(runs[0].directory.relative_to(tmp_path))]
    assert (row["arm"], row["seed"], row["lr"]) == ("arelu", "1", "0.01")
    assert float(row["score"]) == sum(RIGHT[-1]) / 20
    epochs = [r for r in _rows(tmp_path / "tidy" / "epochs.csv") if r["run"] == row["run"]]
    scores = [float(r["test_accuracy"]) for r in epochs if r["test_accuracy"]]
    assert scores == [sum(right) / 20 for right in RIGHT]
    units = [r for r in _rows(tmp_path / "tidy" / "units.csv") if r["run"] == row["run"]]
    assert [float(r["score"]) for r in units] == [float(right) for right in RIGHT[-1]]


def test_tensorboard(cli: Cli, runs: list[Run], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    ended = cli("runs", "export", "runs", "--to", "tensorboard")
    assert (ended.code, ended.out.strip()) == (0, "tensorboard"), ended.err
    run = runs[0]
    place = tmp_path / "tensorboard" / "converge" / run.directory.name
    read = EventAccumulator(str(place))
    read.Reload()
    events = read.Scalars("test_accuracy")
    assert [event.step for event in events] == [1, 2, 3]
    assert [event.value for event in events] == pytest.approx([sum(r) / 20 for r in RIGHT])
    assert [event.wall_time for event in events] == pytest.approx([1e9 + 30, 1e9 + 60, 1e9 + 90])
    alphas = [event.value for event in read.Scalars("attention/act1/alpha")]
    recorded = [record["attention"]["act1"]["alpha"] for record in run.metrics()]
    assert alphas == pytest.approx(recorded)
    text = read.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| lr | 0.01 |" in text
    assert "| command | metaact converge" in text
    content = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    values = HParamsPluginData.FromString(content).session_start_info.hparams
    assert values["activation"].string_value == "arelu"
    assert values["lr"].number_value == 0.01

    before = sorted((tmp_path / "tensorboard").rglob("*"))
    cli("runs", "export", "--to", "tensorboard")
    assert sorted((tmp_path / "tensorboard").rglob("*")) == before  # nothing is written twice


PROGRAM = """
import json
from metaact.cli.main import cli

for _ in range(2):  # the second time adds nothing
    cli.main(["runs", "export", "runs", "--to", "trackio"], standalone_mode=False)

import trackio
from trackio.sqlite_storage import SQLiteStorage

found = {}
for project in ("metaact-converge", "metaact-maml"):
    for run in trackio.Api().runs(project):
        found[run.name] = (SQLiteStorage.get_logs(project, run.name), run.config)
print(json.dumps(found, default=str))
"""


@pytest.mark.skipif(find_spec("trackio") is None, reason="trackio is not installed")
def test_trackio(runs: list[Run], tmp_path: Path) -> None:
    folder = tmp_path / "trackio"
    env = os.environ | {"TRACKIO_DIR": str(folder), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *places, read = done.stdout.splitlines()
    assert places == [str(folder)] * 2
    found = json.loads(read)
    assert set(found) == {run.directory.name for run in runs}
    logs, config = found[runs[0].directory.name]
    scores = [(log["step"], log["test_accuracy"]) for log in logs if "test_accuracy" in log]
    assert scores == [(number, sum(r) / 20) for number, r in enumerate(RIGHT, start=1)]
    assert next(log["timestamp"] for log in logs if log["step"] == 1) == "2001-09-09T01:47:10+00:00"
    assert logs[-1]["final/test_accuracy"] == sum(RIGHT[-1]) / 20
    assert (config["activation"], config["lr"]) == ("arelu", 0.01)


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--to", "wandb"], "--to", 2),
        ([], "--to", 2),
        (["--to", "trackio", "-o", "x"], "--output must not be given with --to trackio", 2),
        (["no-such-folder", "--to", "csv"], "no-such-folder", 1),
    ],
)
def test_bad_input_is_one_line(
    cli: Cli, runs: list[Run], words: list[str], said: str, code: int
) -> None:
    ended = cli("runs", "export", *words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1), ended.err
    assert said in ended.err


@pytest.mark.parametrize(
    ("to", "module"), [("tensorboard", "torch.utils.tensorboard"), ("trackio", "trackio")]
)
def test_what_is_missing_is_said_with_the_command(
    cli: Cli, runs: list[Run], to: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    ended = cli("runs", "export", "--to", to)
    assert (ended.code, ended.out) == (1, "")
    assert f"pip install 'metaact[{to}]'" in ended.err
    assert not Path(to).exists()
