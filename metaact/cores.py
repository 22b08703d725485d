"""How many cores this process may use, and how many of them are free. No torch.

A container's limit, an affinity or a batch system's share is less than the machine has; and what
others are using now is not free. Both are asked for, none is assumed.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path, PurePosixPath

THREADS = "METAACT_THREADS"
"""Environment variable: threads of one process. A sweep sets it to 1 in its workers."""

LIBRARY_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""The same for the libraries below PyTorch; they read it when they are loaded."""

WINDOW = 0.2
"""Seconds over which the load is measured: 20 ticks of the system's clock."""

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def free_cores() -> int:
    """Cores that this process may use and nothing else is using now, at least 1.

    Measured over `WINDOW` seconds, the load of this process itself left out. Where the system does
    not tell the load, all usable cores are taken for free.
    """
    usable = usable_cores()
    if usable == 1:
        return 1
    busy = busy_cores()
    return usable if busy is None else max(1, min(usable, round(_present() - busy)))


def usable_cores() -> int:
    """Cores that this process may use at most: affinity, cgroup limit, share of a SLURM task."""
    return max(1, int(min(_present(), _quota(), _share())))


def launched() -> int:
    """Processes that `torchrun` started as one program; 1 outside of it."""
    number = os.environ.get("WORLD_SIZE", "") if "TORCHELASTIC_RUN_ID" in os.environ else ""
    return max(1, int(number)) if number.isdigit() else 1


def busy_cores(*, window: float = WINDOW) -> float | None:
    """How many cores of this process's affinity other processes keep busy; None if not known.

    Args:
        window: Seconds to look at.
    """
    before, mine, start = _jiffies(), _own_seconds(), time.monotonic()
    if before is None:
        return None
    time.sleep(window)
    after, passed = _jiffies(), time.monotonic() - start
    if after is None:
        return None
    own = _own_seconds() - mine
    busy = (after - before) / os.sysconf("SC_CLK_TCK")
    return max(0.0, busy - own) / passed


def _present() -> int:
    """Cores that this process may be put on."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _share() -> float:
    """What the batch system gave to this task; infinite outside one."""
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return int(given) if given.isdigit() and int(given) else math.inf


def _own_seconds() -> float:
    """Processor time of this process."""
    spent = os.times()
    return spent.user + spent.system


def _jiffies() -> int | None:
    """Clock ticks in which a core of the affinity was at work, since the start of the machine."""
    try:
        rows = (PROC / "stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    total = 0
    for core in os.sched_getaffinity(0):
        row = next((row.split() for row in rows if row.startswith(f"cpu{core} ")), None)
        if row is None:
            return None
        # user nice system idle iowait irq softirq steal; the guests are in user and nice
        user, nice, system, _, _, irq, softirq, steal = (int(v) for v in row[1:9])
        total += user + nice + system + irq + softirq + steal
    return total


def _quota(proc: Path = PROC, root: Path = CGROUP) -> float:
    """Cores that the control groups of this process allow, in parts too; infinite without a limit.

    A limit of a group holds for all groups in it, so the least one counts, from the process's own
    up to the root. Inside a container the path may be one of the machine outside: then its root is
    what is seen here.

    Args:
        proc: Where processes are described.
        root: Where control groups are mounted.
    """
    try:
        rows = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    least = math.inf
    for row in rows:
        number, controllers, path = row.split(":", 2)
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            inside = str(group).lstrip("/")
            if number == "0" and not controllers:
                for mount in (root, root / "unified"):
                    least = min(least, _limit_2(mount / inside))
            elif "cpu" in controllers.split(","):
                for mount in (root / "cpu", root / controllers):
                    least = min(least, _limit_1(mount / inside))
    return least


def _limit_2(group: Path) -> float:
    """The limit of a group of version 2: `cpu.max` holds "quota period" or "max period"."""
    words = _words(group / "cpu.max")
    return _ratio(*words) if len(words) == 2 else math.inf


def _limit_1(group: Path) -> float:
    """The limit of a group of version 1, in two files; a quota of -1 is none."""
    quota, period = _words(group / "cpu.cfs_quota_us"), _words(group / "cpu.cfs_period_us")
    return _ratio(*quota, *period) if len(quota) == len(period) == 1 else math.inf


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []


def _ratio(quota: str, period: str) -> float:
    if not (quota.isdigit() and period.isdigit() and int(quota) and int(period)):
        return math.inf
    return int(quota) / int(period)
