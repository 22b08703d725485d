"""What other libraries warn of does not reach the user, whatever Python is told of warnings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

MANY = """
import runpy, sys
for line in sys.argv[1:]:
    sys.argv = ["metaact", *line.split()]
    try:
        runpy.run_module("metaact", run_name="__main__")
    except SystemExit as stopped:
        assert not stopped.code, line
"""
"""Each line by `python -m metaact`, all by one process: PyTorch is imported once."""

TINY = (
    "--iterations 1 --tasks 2 --test-episodes 2 --validation-episodes 2 --activation relu "
    "--ways 2 --queries 1 --test-queries 1"
)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Classes with names in letters that the fonts lack, of images that Pillow warns of."""
    for number, name in enumerate("鳥犬猫魚馬牛羊虎ሀ\U00013000"):
        folder = tmp_path / "odd" / name
        folder.mkdir(parents=True)
        for image in range(4):
            draw = np.random.default_rng([number, image])
            pixels = draw.integers(0, 256, (16, 16), dtype=np.uint8)
            made = Image.fromarray(pixels).convert("P")
            # A palette with an alpha a colour: "should be converted to RGBA images".
            made.save(folder / f"{image}.png", transparency=bytes(range(256)))
            # Metadata that are cut off: "Corrupt EXIF data", "Truncated File Read".
            exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x02\x00\x12\x01\x03\x00\x01\x00"
            Image.fromarray(pixels).save(folder / f"{image}.jpg", exif=exif)
    return tmp_path / "odd"


def _warned(*lines: str, folder: Path) -> list[str]:
    """Lines on stderr that the program did not write, after each of the commands ended well."""
    environment = {**os.environ, "METAACT_DATA": str(folder / "no-data"), "METAACT_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-W", "always", "-c", MANY, *lines],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [line for line in ended.stderr.splitlines() if "Warning" in line or "Gym" in line]


def test_pillow_does_warn_of_such_images(odd: Path) -> None:
    """Else the next test would show nothing."""
    rgba, cut = "should be converted to RGBA", "EXIF|Truncated"
    with pytest.warns(UserWarning, match=rgba), Image.open(odd / "鳥" / "0.png") as image:
        image.convert("RGB")
    with pytest.warns(UserWarning, match=cut), Image.open(odd / "鳥" / "0.jpg") as image:
        image.getexif()


def test_no_warning_of_pillow_or_matplotlib_is_shown(odd: Path) -> None:
    lines = ("data show odd --ways 2", f"maml --dataset odd {TINY}", "report runs -o page.html")
    assert _warned(*lines, folder=odd.parent) == []


def test_no_warning_of_gym_is_shown(learn2learn: ModuleType, odd: Path) -> None:
    found = _warned(f"maml --dataset odd --engine learn2learn {TINY}", folder=odd.parent)
    assert found == []
