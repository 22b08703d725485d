"""The imports point one way, the door opens fast, and the two symlinks show what they should."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "metaact"

ALLOWED = {
    "activations": set(),
    "tasks": set(),
    "runs": set(),
    "analysis": set(),
    "paper": set(),
    "models": {"activations"},
    "adaptation": {"activations", "tasks"},
    "experiments": {
        "activations",
        "adaptation",
        "analysis",
        "models",
        "paper",
        "runs",
        "tasks",
    },
    "reports": {"analysis", "experiments", "paper", "runs"},
    "cli": {
        "activations",
        "analysis",
        "experiments",
        "models",
        "paper",
        "reports",
        "runs",
        "tasks",
    },
}


def _imported(file: Path) -> set[str]:
    """The packages of metaact that a file imports, absolutely."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in dotted if name.startswith("metaact.")}
    return found & set(ALLOWED)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    files = sorted((PACKAGE / package).rglob("*.py"))
    assert files
    for file in files:
        assert _imported(file) <= ALLOWED[package] | {package}, file


def test_every_package_has_its_place() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert folders == set(ALLOWED)


def test_help_starts_without_heavy_imports() -> None:
    code = (
        "import sys\n"
        "from metaact.cli import cli\n"
        "cli.main(['maml', '--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'torchvision', 'scipy', 'numpy', 'matplotlib', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_reports_need_no_torch() -> None:
    files = sorted((PACKAGE / "reports").glob("*.py"))
    modules = [f"metaact.reports.{file.stem}" for file in files if file.stem != "__init__"]
    code = (
        f"import sys, {', '.join(modules)}\n"
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", ["tasks", "cli"])
def test_symlinks_at_the_top(name: str) -> None:
    assert (ROOT / name).resolve() == PACKAGE / name
