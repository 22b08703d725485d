"""Runs as a pandas DataFrame."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metaact.errors import MissingDependencyError, check_choice, number_of

from ._gather import Evidence, gather
from ._rows import PER, Per, blocks, table

if TYPE_CHECKING:
    import pandas as pd


def frame(
    runs: str | Path | Sequence[str | Path] = "runs",
    per: Per = "run",
    *,
    by: str = "activation",
    at: int | None = None,
) -> pd.DataFrame:
    """Read finished runs into a tidy pandas DataFrame.

    The runs, their studies, arms and scores are those of `metaact compare`, under the names of its
    JSON and CSV; scores are shares in 0..1. Every row has `study`, `experiment`, `arm`, `value`,
    `seed`, `baseline` (whether it is one of a study's baseline), `run` (the directory), and a
    column for each setting. Beside these, one row stands for

    | `per` | a row is | its columns |
    | --- | --- | --- |
    | "run" | one arm with one seed | `outcome`, `failed`, `score`, `validation`, `units`, `parameters`, α and β at the end (`attention.LAYER.alpha`), … |
    | "epoch" | a record along the way | `x` (steps done), `x_name`, and what was recorded: `train_loss`, `validation_accuracy`, … |
    | "unit" | a test episode or image | `unit` (the same number is the same unit in all runs of a study), `score` |

    A run that diverged has a row with `failed` and no score. A setting that is a list is a text as
    the command line takes it; what a run has no value for is missing (NaN). A recorded figure whose
    name is a setting's, as the learning rate of an epoch, is `recorded_lr`.

    Args:
        runs: A run directory, a folder of runs, or several.
        per: What a row stands for.
        by: The setting whose values are the arms.
        at: Epoch at which supervised runs are read; None is their end.

    Returns:
        The rows. Directories that could not be used are in `frame.attrs["left_out"]`, pairs of
        directory and reason, and a warning says how many they are.

    Raises:
        MissingDependencyError: If pandas is not installed.
        RunError: If a path holds no runs.
        UsageError: If `per` or `by` is none of the allowed.
    """  # noqa: E501  # the table
    check_choice("per", per, PER)
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependencyError(
            f"metaact.frame needs pandas ({error}); install it by: pip install 'metaact[frame]'"
        ) from error
    evidence = gather([runs] if isinstance(runs, str | Path) else runs, by=by, at=at)
    found = pd.DataFrame(table(blocks(evidence, per)))
    found.attrs["left_out"] = [(item.directory, item.why) for item in evidence.left_out]
    _warn(evidence)
    return found


def _warn(evidence: Evidence) -> None:
    if evidence.left_out:
        first = evidence.left_out[0]
        warnings.warn(
            f"left out {number_of(len(evidence.left_out), 'directory', 'directories')}, listed in "
            f"frame.attrs['left_out']; the first is {first.said}",
            stacklevel=3,
        )
