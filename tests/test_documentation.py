"""Every public name is documented, and the pages name nothing that is not there."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import metaact

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "metaact"
API = ROOT / "docs" / "api"
DOORS = (
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
)


def _public(package: str) -> dict[str, str]:
    """The names that a door offers (`from .x import X as X`), each with the module it is from."""
    door = PACKAGE / package / "__init__.pyi"
    found = {}
    for node in ast.parse(door.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 1, f"{door} takes {node.module} from elsewhere"
            home = f"metaact.{package}.{node.module}" if node.module else ""
            found |= {a.name: home or f"metaact.{package}.{a.name}" for a in node.names}
    return found


def _objects(page: Path) -> list[str]:
    """The dotted names that a page asks mkdocstrings for."""
    return re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def _documented(package: str) -> list[str]:
    page = API / f"{package}.md"
    members = re.findall(r"^        - (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    alone = [name.rpartition(".")[2] for name in _objects(page) if name != f"metaact.{package}"]
    return members + alone


def _explained_constant(module: str, name: str) -> bool:
    """Whether the assignment of a constant is followed by a text; looks through re-exports."""
    home = importlib.import_module(module)
    body = ast.parse(inspect.getsource(home)).body
    package = module if hasattr(home, "__path__") else module.rpartition(".")[0]
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ImportFrom) and name in [a.asname or a.name for a in node.names]:
            parent = package if node.level else ""
            return _explained_constant(f"{parent}.{node.module}".lstrip("."), name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            text = following.value if isinstance(following, ast.Expr) else None
            return isinstance(text, ast.Constant) and isinstance(text.value, str)
    return False


@pytest.mark.parametrize("package", DOORS)
def test_pages_name_what_the_doors_offer(package: str) -> None:
    assert sorted(_documented(package)) == sorted(_public(package))


@pytest.mark.parametrize("package", DOORS)
def test_every_public_name_has_a_docstring(package: str) -> None:
    door = importlib.import_module(f"metaact.{package}")
    for name, module in _public(package).items():
        value = getattr(door, name)
        if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
            assert value.__doc__, name
        else:
            assert _explained_constant(module, name), name


def test_every_package_has_a_page_that_the_site_shows() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == {*DOORS, "cli"}  # the last is documented by its own --help
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.stem for page in API.glob("*.md")}
    assert pages >= folders - {"cli"}
    for page in pages:
        assert f"metaact.{page}: api/{page}.md" in navigation


@pytest.mark.parametrize("page", sorted(API.glob("*.md")), ids=lambda page: page.stem)
def test_pages_name_nothing_that_is_not_there(page: Path) -> None:
    for name in _objects(page):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            module, _, attribute = name.rpartition(".")
            assert getattr(importlib.import_module(module), attribute).__doc__


def test_the_front_door_offers_what_it_says() -> None:
    assert metaact.__doc__
    for name in set(metaact.__all__) - {"__version__"}:
        assert getattr(metaact, name).__doc__, name
