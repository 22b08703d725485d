"""What several benchmarks measure by: time of a call, alone and beside a busy process; memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def contended(work: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of one work, alone and beside a process that never rests, in turns."""
    quiet: list[float] = []
    beside: list[float] = []
    work()
    for _ in range(repeats):
        quiet.append(timed(work))
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            time.sleep(0.3)
            beside.append(timed(work))
        finally:
            busy.kill()
            busy.wait()
    return quiet, beside


def high_water() -> float:
    """The most memory this process has held so far, in MiB (Linux)."""
    # `ru_maxrss` would not do: a child inherits its parent's, and the parent is the larger one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
