"""Progress of a long command, on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from metaact.errors import visible

from .output import is_quiet, note


@contextmanager
def progress(
    total: int, unit: str
) -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """A progress bar with the time left, and a way to print lines above it.

    Where stderr is no terminal (a log file, a test) there is no bar, only the lines; with --quiet
    there are none either.

    Args:
        total: Length in ticks.
        unit: What a tick is ("iteration").

    Yields:
        `tick(n)` advances the bar: by 1 for work done, by another number for work that turned out
        to be needless, or was lost, which does not count toward the speed. `say(line)` prints a
        line above it.
    """
    if is_quiet() or not sys.stderr.isatty():
        yield (lambda n: None), note
        return
    from tqdm import tqdm

    # A terminal that does not know its size says 0, for which there would be no bar at all.
    known = os.get_terminal_size(sys.stderr.fileno()).columns > 0
    with tqdm(
        total=total,
        unit=f" {unit}",
        smoothing=0.05,
        ncols=None if known else 79,
        nrows=None if known else 24,
        file=sys.stderr,
    ) as bar:

        def tick(n: int) -> None:
            if n == 1:
                bar.update()
                return
            bar.initial += n
            bar.n += n
            bar.last_print_n += n
            bar.refresh()

        def say(line: str) -> None:
            bar.write(visible(line), file=sys.stderr)

        yield tick, say
