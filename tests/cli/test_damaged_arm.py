"""One damaged run costs one figure, not the report: it is missing and named, the exit code 1."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metaact.cli import main
from metaact.runs import RunStore

Call = Callable[..., tuple[int, str, str]]

VERBS = {
    "maml": [
        *("--iterations", "2", "--tasks", "2", "--test-episodes", "4", "--ways", "2"),
        *("--test-queries", "2", "--queries", "2"),
    ],
    "converge": ["--epochs", "1", "--batch-size", "64", "--lr", "1e-2"],
    "transfer": ["--epochs", "1", "--batch-size", "64", "--lr", "1e-2", "--pretrain-epochs", "1"],
}

DAMAGES = {
    "garbage": lambda text: b"\xff" * (len(text) - 1) + b"\n",
    "another record": lambda text: b'{"x":1}\n' + b" " * (len(text) - 11) + b"{}\n",
}


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["metaact", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_damaged_run_counts_as_missing(
    verb: str, damage: str, call: Call, pack: Path, tmp_path: Path
) -> None:
    data = [pack, pack] if verb == "transfer" else ["--dataset", pack]
    arguments = [verb, *data, *VERBS[verb], "--activation", "relu,arelu", "--seeds", "2"]
    assert call(*arguments)[0] == 0
    runs = RunStore(tmp_path / "runs").runs(verb)
    broken = next(r for r in runs if (r.config["activation"], r.config["seed"]) == ("arelu", 1))
    metrics = broken.directory / "metrics.jsonl"
    before = metrics.read_bytes()
    metrics.write_bytes(DAMAGES[damage](before))
    assert broken.is_complete, "the seal alone does not see it"

    code, out, err = call(*arguments)
    assert code == 1
    (line,) = (line for line in err.splitlines() if line.startswith("metaact: failed: arelu "))
    assert f"{broken.directory.name}/metrics.jsonl` is damaged" in line
    assert "delete the directory" in line
    assert out.count("(1 missing)") >= 1
    summary = json.loads(call(*arguments, "--json")[1])
    assert any("is damaged" in line for line in summary["missing"])
    assert [arm["activation"] for arm in summary["arms"]] == ["relu", "arelu"]

    metrics.write_bytes(before)
    assert call(*arguments)[0] == 0
