"""Progress of a long command, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metaact.errors import visible

from .output import echo

if TYPE_CHECKING:
    from metaact.experiments.study import Outcome, Ready


def do_all(ready: Ready) -> Outcome:
    """Do the runs of a command under a progress bar.

    Args:
        ready: The runs.

    Returns:
        How they ended.
    """
    unit = next((job.planned.measure.axis.key for job in ready.jobs), "step")
    with progress(ready.steps, unit) as (tick, say):
        return ready.run(tick=tick, say=say)


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
        yield (lambda n: None), (lambda line: echo(line, err=True))
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
            bar.write(visible(line), file=sys.stderr)

        yield tick, say
