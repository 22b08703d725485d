"""Progress of a long command, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress(
    total: int, unit: str
) -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """A progress bar with the time left, and a way to print lines above it.

    Where stderr is no terminal (a log file, a test) there is no bar, only the lines.

    Args:
        total: Length in ticks.
        unit: What a tick is ("iteration").

    Yields:
        `tick(n)` advances the bar: by 1 for work done, by more for work that turned out to be
        needless, which does not count toward the speed. `say(line)` prints a line above it.
    """
    if not sys.stderr.isatty():
        yield (lambda n: None), (lambda line: click.echo(line, err=True))
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", smoothing=0.05, file=sys.stderr) as bar:

        def tick(n: int) -> None:
            if n == 1:
                bar.update()
                return
            bar.initial += n
            bar.n += n
            bar.last_print_n += n
            bar.refresh()

        def say(line: str) -> None:
            bar.write(line, file=sys.stderr)

        yield tick, say
