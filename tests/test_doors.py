"""The doors: what each offers, that it is the right object, and that opening one loads little."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "metaact"
LAZY = sorted(door.parent.relative_to(PACKAGE.parent) for door in PACKAGE.rglob("__init__.pyi"))
DOORS = [".".join(folder.parts) for folder in LAZY]
HEAVY = {"torch", "torchvision", "numpy", "scipy", "matplotlib", "tqdm", "PIL"}


def _offers(door: str) -> dict[str, str]:
    """The public names of a door, each with the module it is from ("" for a module itself)."""
    stub = PACKAGE.parent.joinpath(*door.split("."), "__init__.pyi")
    found = {}
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            assert all(alias.asname == alias.name for alias in node.names), door
            found |= {a.name: f"{door}.{node.module}" if node.module else "" for a in node.names}
    return found


def _modules(door: str) -> list[str]:
    """Every module under a door, except programs; under the front door those of the doors."""
    folder = PACKAGE.parent.joinpath(*door.split("."))
    files = sorted(folder.glob("*.py") if door == "metaact" else folder.rglob("*.py"))
    dotted = [".".join(f.relative_to(PACKAGE.parent).with_suffix("").parts) for f in files]
    return [m.removesuffix(".__init__") for m in dotted if not m.endswith("__main__")]


def test_the_doors_that_are_lazy() -> None:
    packages = ("activations", "adaptation", "analysis", "models", "paper", "runs", "tasks")
    assert set(DOORS) >= {"metaact", *(f"metaact.{package}" for package in packages)}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_lists_its_public_names_and_nothing_else(door: str) -> None:
    module = importlib.import_module(door)
    assert dir(module) == sorted(module.__all__) == sorted(_offers(door))
    stub = PACKAGE.parent.joinpath(*door.split("."), "__init__.pyi")
    *_, last = ast.parse(stub.read_text(encoding="utf-8")).body
    assert isinstance(last, ast.Assign)
    assert sorted(ast.literal_eval(last.value)) == dir(module)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


def test_the_front_door() -> None:
    import metaact

    offered = "MAML __version__ activations adaptation analysis convert errors experiments focus"
    others = "frame load models paper reports runs tasks"
    assert dir(metaact) == [*offered.split(), *others.split()]


@pytest.mark.parametrize("door", DOORS)
def test_opening_a_door_loads_nothing_heavy(door: str) -> None:
    code = f"import sys, {door}; assert not {HEAVY!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_torch_free_tables_load_nothing_heavy() -> None:
    code = (
        "import sys, metaact.activations.controls, metaact.tasks.sources.catalogue\n"
        "from metaact.activations import controls_of\n"
        "from metaact.tasks import DATASETS, find_dataset\n"
        f"assert not {HEAVY!r} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("order", ["forwards", "backwards", "names first"])
def test_names_are_the_right_objects_whatever_was_imported_before(order: str) -> None:
    """A function whose name a submodule has too would be lost once that submodule is imported."""
    offered = [(door, name, home) for door in DOORS for name, home in _offers(door).items()]
    modules = [module for door in DOORS for module in _modules(door)]
    code = (
        "import importlib\n"
        f"offered, modules = {offered!r}, {modules!r}\n"
        "def check():\n"
        "    for door, name, home in offered:\n"
        "        found = getattr(importlib.import_module(door), name)\n"
        "        module = importlib.import_module(home or f'{door}.{name}')\n"
        "        assert found is (getattr(module, name) if home else module), (door, name)\n"
        f"if {order == 'names first'}: check()\n"
        f"for module in {'reversed(modules)' if order == 'backwards' else 'modules'}:\n"
        "    importlib.import_module(module)\n"
        "check()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_public_name_is_that_of_a_module() -> None:
    """So that an import of either means one thing."""
    for door in set(DOORS) - {"metaact"}:
        folder = PACKAGE.parent.joinpath(*door.split("."))
        modules = {p.stem for p in folder.glob("*.py")} | {p.name for p in folder.iterdir()}
        offered = {name for name, home in _offers(door).items() if home}  # "": the module itself
        assert not offered & modules


def test_the_package_runs_as_a_program() -> None:
    for name in ("metaact", "metaact.cli"):
        command = [sys.executable, "-m", name, "--version"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout.startswith("metaact, version ")
