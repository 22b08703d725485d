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
    "activations": {"runs"},
    "tasks": {"runs"},
    "runs": set(),
    "analysis": {"runs"},
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
    "reports": {"activations", "analysis", "experiments", "paper", "runs", "tasks"},
    "focus": {"activations", "analysis", "experiments", "reports", "runs", "tasks"},
    "cli": {
        "activations",
        "adaptation",
        "analysis",
        "experiments",
        "focus",
        "models",
        "paper",
        "reports",
        "runs",
        "tasks",
    },
}
"""What each package may import of the others; `runs` is the lowest."""

ROOT_FILES = {
    "__init__": set(),
    "__main__": {"cli"},
    "_version": set(),
    "cores": set(),
    "devices": set(),
    "display": set(),
    "errors": set(),
    "randomness": set(),
    "settings": {"display", "errors"},
}
"""What each file at the root may import; every package may import them, but for the command."""

FOLDERS = {
    "activations": ["functions", "conversion"],
    "adaptation": ["vmap", "episodic", "supervised"],
    "tasks": ["forms", "sources", "builtin", "splits", "sampling", "transfer", "dense", "streams"],
}
"""The folders inside a package; each imports, of these, only the folders before it."""

MAY_NOT = {("tasks.transfer", "tasks.sampling"), ("adaptation.supervised", "adaptation.episodic")}
"""Neighbours of `FOLDERS` that know nothing of each other."""


def _imported(file: Path) -> set[str]:
    """The dotted names inside metaact that a file imports, relative imports written out."""
    package = ".".join(("metaact", *file.relative_to(PACKAGE).parent.parts))
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("metaact.") for name in found if name.startswith("metaact.")}


def _packages(file: Path) -> set[str]:
    return {name.split(".")[0] for name in _imported(file)}


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    files = sorted((PACKAGE / package).rglob("*.py"))
    assert files
    for file in files:
        imported = _packages(file)
        assert imported & set(ALLOWED) <= ALLOWED[package] | {package}, file
        assert "__main__" not in imported, file


@pytest.mark.parametrize("name", sorted(ROOT_FILES))
def test_root_files_import_nothing_above_them(name: str) -> None:
    imported = _packages(PACKAGE / f"{name}.py")
    assert imported & (set(ALLOWED) | set(ROOT_FILES)) <= ROOT_FILES[name]


def test_every_root_file_has_its_place() -> None:
    assert {file.stem for file in PACKAGE.glob("*.py")} == set(ROOT_FILES)


@pytest.mark.parametrize("package", sorted(FOLDERS))
def test_folders_inside_a_package_point_one_way(package: str) -> None:
    order = FOLDERS[package]
    assert {p.parent.name for p in (PACKAGE / package).glob("*/__init__.py")} == set(order)
    for number, folder in enumerate(order):
        files = sorted((PACKAGE / package / folder).glob("*.py"))
        imported = {".".join(name.split(".")[:2]) for file in files for name in _imported(file)}
        later = {f"{package}.{other}" for other in order[number + 1 :]}
        assert not imported & later
        assert not {(f"{package}.{folder}", other) for other in imported} & MAY_NOT


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
    files = sorted((PACKAGE / "reports").rglob("*.py"))
    paths = [file.relative_to(PACKAGE.parent).with_suffix("") for file in files]
    modules = [".".join(path.parts) for path in paths if path.name != "__init__"]
    code = (
        f"import sys, {', '.join(modules)}\n"
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", ["tasks", "cli"])
def test_symlinks_at_the_top(name: str) -> None:
    assert (ROOT / name).resolve() == PACKAGE / name
