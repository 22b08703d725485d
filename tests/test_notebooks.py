"""The notebooks run from top to bottom, their sweeps shortened, and are kept without outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))

SHORT = {
    "--epochs 5 --seeds 3 --images 1000": "--epochs 2 --seeds 2 --images 200 --workers 1",
    "--epochs 2 --seeds 2": "--epochs 1 --seeds 2 --workers 1",
}
"""What stands for the longest part of a notebook."""

RUN = """
import json, sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
short = json.loads(sys.argv[3])
for cell in notebook.cells:
    for long in short:
        cell.source = cell.source.replace(long, short[long])
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def _cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    for module in ("nbclient", "ipykernel", "pandas"):
        pytest.importorskip(module)
    scripts = str(Path(sys.executable).parent)
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PATH": os.pathsep.join([scripts, os.environ["PATH"]]),
        "OMP_NUM_THREADS": "1",
    }
    done = tmp_path / "done.ipynb"
    command = [sys.executable, "-c", RUN, str(path), str(done), json.dumps(SHORT)]
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    shown = [output for cell in _cells(done) for output in cell.get("outputs", [])]
    assert not [output for output in shown if output["output_type"] == "error"]
    pages = ["".join(output.get("data", {}).get("text/html", "")) for output in shown]
    assert any("<caption>" in page for page in pages), "no table of results"
    assert any("<b>" in page and "over training seeds" in page for page in pages), "no verdict"
    said = [output for output in shown if output.get("name") == "stderr"]
    assert [o for o in said if "Error" in "".join(o["text"])] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    for cell in _cells(path):
        assert not cell.get("outputs"), "clear its outputs"
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_code_installs_what_is_missing(path: Path) -> None:
    first = next(cell for cell in _cells(path) if cell["cell_type"] == "code")
    assert "%pip install" in "".join(first["source"])


def test_every_notebook_is_linked() -> None:
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    for path in NOTEBOOKS:
        assert f"(notebooks/{path.name})" in pages


def test_what_is_shortened_is_there() -> None:
    texts = "".join(path.read_text("utf-8") for path in NOTEBOOKS)
    assert [long for long in SHORT if long not in texts] == []
