"""`kill -9` at random moments ends where an uninterrupted run ends, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import metaact
from metaact.runs import RunBusyError, RunStore

TOY = Path(__file__).with_name("toy.py")
CONFIG = {"seed": 3, "steps": 120}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")


def _toy(store: Path, kills: int) -> list[int]:
    root = Path(metaact.__file__).parents[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, str(TOY), str(store), str(kills)],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    reached: list[int] = json.loads(done.stdout)
    return reached


def test_twenty_kills_end_bit_equal(tmp_path: Path) -> None:
    assert _toy(tmp_path / "whole", kills=0) == []
    reached = _toy(tmp_path / "killed", kills=20)
    assert len(reached) >= 10, "too few children were killed before they had finished"
    assert len(set(reached)) >= 3, "the kills hit one moment only"
    (whole,) = RunStore(tmp_path / "whole").runs("toy")
    (killed,) = RunStore(tmp_path / "killed").runs("toy")
    assert whole.is_complete
    for name in ("config.json", "metrics.jsonl", "scores.jsonl", "result.json"):
        assert (killed.directory / name).read_bytes() == (whole.directory / name).read_bytes()
    assert [record["step"] for record in killed.metrics()] == list(range(120))
    assert not list(killed.directory.glob("*.tmp"))


def test_a_killed_process_lets_go_of_the_lock(tmp_path: Path) -> None:
    holder = (
        "import sys, time\n"
        "from metaact.runs import RunStore\n"
        "run = RunStore(sys.argv[1]).open(kind='toy', name='toy', config={'seed': 1})\n"
        "with run.lock():\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    run = RunStore(tmp_path).open(kind="toy", name="toy", config={"seed": 1})
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RunBusyError, match=run.directory.name), run.lock():
            pass
        process.kill()
        process.wait()
    deadline = time.monotonic() + 5
    while True:
        try:
            with run.lock():
                return
        except RunBusyError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
