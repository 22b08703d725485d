"""Kill the workers of a sweep at random: `python benchmarks/killed_workers.py`.

A transfer of some arms and seeds (pre-trainings, fine-tunings that start from them, baselines) by
two worker processes, of which one is killed with SIGKILL at random moments, twenty times. A run
whose worker dies twice at one point is reported as failed: then the same command is given again, as
a user would. The store must end byte for byte as that of one process that nobody killed. Prints
what happened; exits with 1 if a byte differs.

Linux only: the workers are found in /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import metaact
from metaact.runs import Run, RunStore

PROGRAM = (
    "from metaact.experiments import loop; loop.CHECKPOINT_SECONDS = {seconds}\n"
    "from metaact.cli import main; main()"
)
SWEEP = (
    *("transfer", "--activation", "arelu,relu,rrelu", "--seeds", "2", "--epochs", "6"),
    *("--pretrain-epochs", "6", "--pretrain-lr", "0.01", "--lr", "1e-3", "--batch-size", "64"),
)
FILES = ("config.json", "metrics.jsonl", "scores.jsonl")


def start(out: Path, *, workers: int, seconds: float, log: Path) -> subprocess.Popen[bytes]:
    """Begin the sweep, or continue it."""
    root = str(Path(metaact.__file__).parents[1])
    words = [*SWEEP, "--workers", str(workers), "--out", str(out)]
    with log.open("ab") as talk:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(seconds=seconds), *words],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root},
            stdout=subprocess.DEVNULL,
            stderr=talk,
        )


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(ppid) == parent and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def content(store: Path) -> dict[str, object]:
    """What the runs hold: the bytes of their records, and the numbers of their weights."""
    found: dict[str, object] = {}
    for run in RunStore(store).runs():
        for name in FILES:
            found[f"{run.directory.name}/{name}"] = (run.directory / name).read_bytes()
        found[f"{run.directory.name}/result"] = run.result()  # without its seal over the machine
        found[f"{run.directory.name}/weights"] = weights(run)
    return found


def weights(run: Run) -> list[tuple[str, bytes]]:
    """Every tensor that a run kept, by its path."""
    flat: list[tuple[str, bytes]] = []
    stack = [("", run.weights())]
    while stack:
        path, values = stack.pop()
        for name, value in sorted(values.items()):
            if isinstance(value, dict):
                stack.append((f"{path}{name}/", value))
            else:
                flat.append((path + name, value.numpy().tobytes()))
    return sorted(flat)


def killed(out: Path, log: Path, *, kills: int, seed: int, seconds: float) -> dict[str, object]:
    """Do the sweep under fire; how it went."""
    draw = random.Random(seed)
    done = commands = 0
    begin = time.monotonic()
    while commands < 50:
        commands += 1
        process = start(out, workers=2, seconds=seconds, log=log)
        while done < kills and process.poll() is None:
            time.sleep(draw.uniform(0.2, 3.0))
            victims = children(process.pid)
            if victims:
                os.kill(draw.choice(victims), signal.SIGKILL)
                done += 1
        if process.wait() == 0:
            break
    talk = log.read_text(errors="replace")
    return {
        "kills": done,
        "commands": commands,
        "deaths amid a run": len(re.findall("its worker died", talk)),
        "given up, then continued": len(re.findall(r"^metaact: failed", talk, re.MULTILINE)),
        "seconds": round(time.monotonic() - begin, 1),
    }


def main() -> None:
    """Run both sweeps and compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--checkpoint-seconds", type=float, default=0.05)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        seconds = given.checkpoint_seconds
        alone = start(out / "whole", workers=1, seconds=seconds, log=out / "whole.log")
        if alone.wait():
            sys.exit((out / "whole.log").read_text())
        found = killed(
            out / "killed", out / "killed.log", kills=given.kills, seed=given.seed, seconds=seconds
        )
        expected, there = content(out / "whole"), content(out / "killed")
        differing = sorted(n for n in expected.keys() | there if expected.get(n) != there.get(n))
    found |= {"runs": len(expected) // (len(FILES) + 1), "files that differ": differing}
    print(json.dumps(found, indent=2))
    sys.exit(bool(differing) or found["kills"] != given.kills)


if __name__ == "__main__":
    main()
