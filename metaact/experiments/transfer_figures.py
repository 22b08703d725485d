"""The picture of `metaact transfer`: accuracy on the target over fine-tuning epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from metaact import analysis

from .reuse import Library, records_until
from .transfer import Stage, Study, stages, target_run
from .transfer_config import TransferConfig


def draw(
    configs: Sequence[TransferConfig], shared: Study, library: Library, folder: Path
) -> list[Path]:
    """One picture per fine-tuning rate: each arm from its pre-trained weights, over all seeds.

    Returns:
        The files written; none if no run is complete.
    """
    written = []
    for lr in dict.fromkeys(config.lr for config in configs):
        group = [config for config in configs if config.lr == lr]
        curves, identities, without = {}, [], []
        for arm in dict.fromkeys(replace(config, seed=0) for config in group):
            members = [config for config in group if replace(config, seed=0) == arm]
            for stage in stages(arm):
                name = arm.activation if stage.pretrained else f"{arm.activation}, target only"
                if len(stages(arm)) > 2 and stage.pretrained:
                    name += f" ({stage.pretrained})"
                found = _curve(members, stage, shared, library)
                if found is not None:
                    epochs, values, runs = found
                    curves[name] = (epochs, *analysis.curve_band(values, bounds=(0.0, 1.0)))
                    identities += runs
                lost = len(members) - (0 if found is None else len(found[1]))
                if lost:
                    without.append(f"{name} {lost} of {len(members)} seeds")
        if curves:
            first = group[0]
            source, target = Path(first.source).stem, Path(first.target).stem
            figure = analysis.learning_curves(
                curves,
                xlabel="epoch of fine-tuning",
                ylabel="accuracy on the target's test part",
                title=f"{source} to {target}, lr {lr:g} ({first.protocol})"
                + (f"; without {', '.join(without)}" if without else ""),
                chance=1 / shared.pair.target.train.classes,
            )
            stem = f"transfer-{source}-{target}-lr{lr:g}-{analysis.short_hash(identities)}"
            written += analysis.save_figure(figure, folder / stem)
    return written


def _curve(
    members: Sequence[TransferConfig], stage: Stage, shared: Study, library: Library
) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """Epochs [points], accuracies [seeds, points] and the runs' identities; None without runs."""
    runs = [target_run(config, stage, shared, library) for config in members]
    complete = [run for run in runs if run.is_complete and run.result()["outcome"] == "complete"]
    if not complete:
        return None
    epochs = np.arange(stage.epochs + 1)
    rows = [[r["test_accuracy"] for r in records_until(run, stage.epochs)] for run in complete]
    return epochs, np.array(rows, dtype=np.float64), [run.identity for run in complete]
