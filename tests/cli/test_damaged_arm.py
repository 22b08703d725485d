"""One damaged run costs one figure, not the report: it is missing and named, the exit code 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metaact.runs import RunStore

Cli = Callable[..., Any]

VERBS = {
    "maml": [
        *("--iterations", "1", "--tasks", "2", "--test-episodes", "4", "--ways", "2"),
        *("--test-queries", "2", "--queries", "2", "--steps", "1", "--validation-episodes", "2"),
    ],
    "converge": ["--epochs", "1", "--batch-size", "64", "--lr", "1e-2"],
    "transfer": ["--epochs", "1", "--batch-size", "64", "--lr", "1e-2", "--pretrain-epochs", "1"],
}

DAMAGES = {
    "garbage": lambda text: b"\xff" * (len(text) - 1) + b"\n",
    "another record": lambda text: b'{"x":1}\n' + b" " * (len(text) - 11) + b"{}\n",
}


@pytest.mark.parametrize(
    ("verb", "damage"),
    [
        ("maml", "garbage"),
        ("converge", "garbage"),
        ("converge", "another record"),
        ("transfer", "another record"),
    ],
)
def test_a_damaged_run_counts_as_missing(
    verb: str, damage: str, cli: Cli, pack: Path, tmp_path: Path
) -> None:
    data = [pack, pack] if verb == "transfer" else ["--dataset", pack]
    words = [verb, *data, *VERBS[verb], "--activation", "relu,arelu", "--seeds", "2"]
    assert cli(*words).code == 0
    runs = RunStore(tmp_path / "runs").runs(verb)
    broken = next(r for r in runs if (r.config["activation"], r.config["seed"]) == ("arelu", 1))
    metrics = broken.directory / "metrics.jsonl"
    before = metrics.read_bytes()
    metrics.write_bytes(DAMAGES[damage](before))
    assert len(metrics.read_bytes()) == len(before)

    ended = cli(*words, "--json")
    assert ended.code == 1
    (line,) = (row for row in ended.err.splitlines() if row.startswith("metaact: failed: arelu "))
    assert f"{broken.directory.name}/metrics.jsonl` is damaged" in line
    assert "delete the directory" in line
    assert ended.json["missing"] == [line.removeprefix("metaact: ")]
    studies = ended.json["studies"]
    arms = [(arm["value"], arm["seeds"]) for study in studies for arm in study["arms"]]
    if verb == "transfer" and not broken.config["pretrained"]:
        (study,) = studies
        assert [arm["columns"]["target only"]["by_seed"].keys() for arm in study["arms"]] == [
            {"0", "1"},
            {"0"},
        ]
    else:
        assert arms == [("relu", [0, 1]), ("arelu", [0])]
        assert any("Seeds without a run: arelu 1." in note for note in studies[0]["notes"])

    metrics.write_bytes(before)
    assert cli(*words).code == 0
