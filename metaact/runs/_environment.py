"""Where and with what a result was computed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

from metaact import __version__

from .strict_json import Json, plain

_PACKAGES = ("torchvision", "timm", "numpy", "scipy", "learn2learn")


def environment(
    device: str, data: Mapping[str, object], normalisation: Mapping[str, object] | None = None
) -> dict[str, Json]:
    """Describe the software, the machine, the checkout and the data of a run.

    Args:
        device: Device the run computes on ("cpu", "cuda:0").
        data: Hashes and provenance of the data, as strict JSON.
        normalisation: Mean and standard deviation of each channel that the network is fed with:
            without them its weights cannot be used.

    Returns:
        Strict JSON for `Run.start`. It holds no time and no path, so that the same machine gives
        the same description after a restart.

    Raises:
        UsageError: If `data` is not strict JSON.
    """
    import torch

    graphics = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "python": platform.python_version(),
        "metaact": __version__,
        "packages": {"torch": str(torch.__version__), **{p: _version(p) for p in _PACKAGES}},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
        "device_name": graphics,
        "git": _git(),
        "data": plain(data, "data"),
        "normalisation": plain(normalisation, "normalisation"),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    names = [row.split(":", 1)[1].strip() for row in text.splitlines() if "model name" in row]
    return names[0] if names else platform.processor() or platform.machine()


def _git() -> dict[str, Json] | None:
    """Commit of the checkout that this file is tracked in, or None outside one.

    An installed copy may lie inside a checkout of something else: only a tracked file counts.
    """
    here = Path(__file__)
    if _ask_git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    commit = _ask_git(here.parent, "rev-parse", "HEAD")
    changes = _ask_git(here.parent, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "modified": bool(changes)}


def _ask_git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # no git, no checkout, or no commit yet: the field says so by being null
    return answer.stdout.strip()
