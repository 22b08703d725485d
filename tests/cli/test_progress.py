"""Bars and lines on terminals of every size, one that does not know its size included."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
from io import TextIOWrapper

import pytest

from metaact.cli.progress import progress


@pytest.mark.parametrize(("columns", "widest"), [(0, 79), (40, 40), (120, 120)])
def test_a_line_for_each_run_and_a_bar_that_fits(
    columns: int, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", columns and 24, columns, 0, 0))
    with contextlib.closing(TextIOWrapper(os.fdopen(theirs, "wb", 0), write_through=True)) as err:
        monkeypatch.setattr(sys, "stderr", err)
        with progress(3, "iteration") as (tick, say):
            for number in range(3):
                tick(1)
                say(f"{number + 1}/3 relu \x1b[31mseed 0")
        os.set_blocking(ours, False)
        chunks = []
        with contextlib.suppress(BlockingIOError):  # when all is read
            while True:
                chunks.append(os.read(ours, 1 << 16))
    os.close(ours)
    written = b"".join(chunks).decode().replace("\r\n", "\n")
    parts = [part for line in written.split("\n") for part in line.split("\r")]
    assert [part for part in parts if "/3 relu" in part] == [
        rf"{number}/3 relu \x1b[31mseed 0" for number in (1, 2, 3)
    ]
    bars = [part for part in parts if "iteration/s" in part or "%|" in part]
    assert bars
    assert max(len(bar) for bar in bars) <= widest
