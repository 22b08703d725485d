"""A whole study in one call, for scripts: what the commands do, without their options.

Examples:
    >>> from metaact.experiments.converge_config import ConvergeConfig
    >>> configs = [ConvergeConfig(activation=a) for a in ("arelu", "relu")]
    >>> summary = converge(configs, RunStore("runs"))                  # doctest: +SKIP
    >>> summary["arms"][0]["after_last_epoch"]["mean"]                 # doctest: +SKIP
    0.94
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from metaact.runs import RunStore
from metaact.tasks import TransferPair

from . import converge as converging
from . import converge_report, transfer_report
from . import transfer as transferring
from .converge_config import ConvergeConfig
from .reuse import Library
from .sweep import sweep
from .transfer_config import TransferConfig


def converge(
    configs: Sequence[ConvergeConfig],
    store: RunStore,
    *,
    root: Path | None = None,
    device: str = "cpu",
    stack: int | None = None,
    thresholds: Sequence[float] = (0.5, 0.9),
    tick: Callable[[int], None] = lambda epochs: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train every config that the store does not hold, and compare them.

    Args:
        configs: One per run; they share data set and protocol.
        store: The run store.
        root: Data root; None for the default.
        device: Where to compute.
        stack: Most runs trained in one vectorised call; None decides by the device.
        thresholds: Accuracies, in 0..1, whose first reaching is reported.
        tick: Told the number of epochs that have passed.
        say: Told a line about each run that was there already or is being worked on elsewhere.

    Returns:
        What `metaact converge --json` prints; `converge_report.table` renders it. Runs that
        failed are under "missing".

    Raises:
        UsageError: If a config does not fit the data or the network.
        DataError: If the data cannot be had.
    """
    expanded = converging.expand(configs)
    library = Library(store, converging.KIND)
    shared = converging.study(expanded, root=root, device=device)
    report = sweep(converging.jobs_of(expanded, shared, library, stack=stack), tick=tick, say=say)
    return converge_report.summarise(expanded, shared, library, report, thresholds=thresholds)


def transfer(
    configs: Sequence[TransferConfig],
    store: RunStore,
    *,
    pair: TransferPair | None = None,
    root: Path | None = None,
    device: str = "cpu",
    stack: int | None = None,
    tick: Callable[[int], None] = lambda epochs: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Pre-train and fine-tune every config that the store does not hold, and compare them.

    Args:
        configs: One per arm, rate and seed; they share source, target and protocol.
        store: The run store.
        pair: Source and target in one form, e.g. with a changed pipeline; None loads them by name.
        root: Data root; None for the default.
        device: Where to compute.
        stack: Most runs trained in one vectorised call; None decides by the device.
        tick: Told the number of epochs that have passed.
        say: Told a line about each run that was there already or is being worked on elsewhere.

    Returns:
        What `metaact transfer --json` prints; `transfer_report.table` renders it.

    Raises:
        UsageError: If the domains cannot be matched or a config does not fit them.
        DataError: If data cannot be had.
    """
    expanded = transferring.expand(configs)
    library = Library(store, transferring.SOURCE, transferring.TARGET)
    shared = transferring.study(expanded, matched=pair, root=root, device=device)
    report = sweep(transferring.jobs_of(expanded, shared, library, stack=stack), tick=tick, say=say)
    return transfer_report.summarise(expanded, shared, library, report)
