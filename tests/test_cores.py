"""Free cores: what the system allows, less what others are using now."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metaact import cores

LINUX = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="asks /proc")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("rows", "files", "allowed"),
    [
        ("0::/user/job\n", {"user/job/cpu.max": "250000 100000\n"}, 2.5),
        ("0::/user/job\n", {"user/job/cpu.max": "max 100000\n"}, math.inf),
        (
            "0::/user/job\n",
            {"user/job/cpu.max": "800000 100000", "user/cpu.max": "300000 100000"},
            3.0,
        ),
        ("0::/outside\n", {"cpu.max": "150000 100000"}, 1.5),  # a container sees its own root
        (
            "4:memory:/a\n3:cpu,cpuacct:/a/b\n0::/\n",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "400000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000",
            },
            4.0,
        ),
        (
            "1:cpu:/x\n",
            {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        ("0::/user\n", {"user/cpu.max": "garbage"}, math.inf),
        ("0::/user\n", {}, math.inf),
    ],
)
def test_the_least_limit_of_the_control_groups_counts(
    rows: str, files: dict[str, str], allowed: float, tmp_path: Path
) -> None:
    write(tmp_path / "proc/self/cgroup", rows)
    for name, text in files.items():
        write(tmp_path / "cgroup" / name, text)
    assert cores._quota(tmp_path / "proc", tmp_path / "cgroup") == allowed


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert cores._quota(tmp_path, tmp_path) == math.inf


def test_usable_is_the_least_of_all_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(cores, "_present", lambda: 16)
    monkeypatch.setattr(cores, "_quota", lambda: 2.5)
    assert cores.usable_cores() == 2
    monkeypatch.setattr(cores, "_quota", lambda: 0.5)
    assert cores.usable_cores() == 1
    monkeypatch.setattr(cores, "_quota", lambda: math.inf)
    assert cores.usable_cores() == 16
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    assert cores.usable_cores() == 4


@pytest.mark.parametrize(("busy", "free"), [(0.1, 8), (2.9, 5), (7.8, 1), (12.0, 1), (None, 8)])
def test_what_others_use_is_not_free(
    busy: float | None, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "_present", lambda: 8)
    monkeypatch.setattr(cores, "usable_cores", lambda: 8)
    monkeypatch.setattr(cores, "busy_cores", lambda: busy)
    assert cores.free_cores() == free


def test_idle_cores_above_a_limit_are_not_lost_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 64 cores 10 are busy: a limit of 8 can be used in full."""
    monkeypatch.setattr(cores, "_present", lambda: 64)
    monkeypatch.setattr(cores, "usable_cores", lambda: 8)
    monkeypatch.setattr(cores, "busy_cores", lambda: 10.0)
    assert cores.free_cores() == 8


@LINUX
def test_another_process_at_work_is_seen_and_this_one_is_not() -> None:
    core = min(os.sched_getaffinity(0))
    everything = os.sched_getaffinity(0)
    spin = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    os.sched_setaffinity(0, {core})
    try:
        with subprocess.Popen([sys.executable, "-c", spin]) as process:
            try:
                seen = max(cores.busy_cores(window=0.3) or 0.0 for _ in range(4))
            finally:
                process.kill()
    finally:
        os.sched_setaffinity(0, everything)
    assert 0.7 < seen < 1.3


def test_it_is_at_least_one_and_needs_no_torch() -> None:
    code = (
        "import sys\nfrom metaact.cores import free_cores\nassert free_cores() >= 1\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    root = str(Path(cores.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
