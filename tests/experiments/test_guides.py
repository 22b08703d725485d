"""The scripts of the guides run as printed, and find what they say they find."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.slow
@pytest.mark.parametrize(("guide", "gain"), [("converge", 0.2), ("transfer", 0.1)])
def test_guide_runs_as_printed(
    guide: str,
    gain: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """AReLU leads ReLU, and fine-tuning leads training from scratch, by far at these rates."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{guide}.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if "runs/" not in block:  # what a command before it made; tests/test_docs.py runs both
            exec(compile(block, guide, "exec"), names)
    assert names["gain"] > gain  # type: ignore[operator]
    assert "arelu" in capsys.readouterr().out
