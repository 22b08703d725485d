"""The picture of `metaact transfer`: accuracy on the target over fine-tuning epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from metaact import analysis

from . import tuning_report
from .rates import TRANSFER_RATES, Rates, at_rates, in_words
from .reuse import Library, records_until
from .soundness import is_sound
from .transfer import Stage, Study, stages, target_run
from .transfer_config import TransferConfig
from .transfer_report import collect
from .tuning import is_shared


def draw(
    configs: Sequence[TransferConfig],
    shared: Study,
    library: Library,
    folder: Path,
    *,
    shared_rates: Sequence[Rates] | None = None,
) -> list[Path]:
    """One picture per rate: each arm from its pre-trained weights, over all seeds.

    Rates that are not among `shared_rates` are in the picture of accuracy against rate only.

    Returns:
        The files written; none if no run is complete.
    """
    written = _against_rates(configs, shared, library, folder)
    every = [at_rates(config.fields(), TRANSFER_RATES) for config in configs]
    varied = tuning_report.varied(every, TRANSFER_RATES)
    for rates in {tuple(r.values()): r for r in every if is_shared(r, shared_rates)}.values():
        group = [config for config, own in zip(configs, every, strict=True) if own == rates]
        lr = in_words(
            {r.field: rates[r.field] for r in {TRANSFER_RATES[0], *varied}}, TRANSFER_RATES
        )
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
                title=f"{source} to {target}, {lr} ({first.protocol})"
                + (f"; without {', '.join(without)}" if without else ""),
                chance=1 / shared.pair.target.train.classes,
            )
            name = f"lr{first.lr:g}-{analysis.short_hash(identities)}"
            stem = f"transfer-{source}-{target}-{name}"
            written += analysis.save_figure(figure, folder / stem)
    return written


def _against_rates(
    configs: Sequence[TransferConfig], shared: Study, library: Library, folder: Path
) -> list[Path]:
    """Accuracy at the last epoch of fine-tuning against each rate that has several values."""
    arms, first = collect(configs, shared, library), configs[0]
    runs = [target_run(c, stages(c)[0], shared, library) for c in configs]
    source, target = Path(first.source).stem, Path(first.target).stem
    identity = analysis.short_hash(run.identity for run in runs if is_sound(run))
    return tuning_report.draw(
        [arm.trial() for arm in arms],
        TRANSFER_RATES,
        path=folder / f"transfer-{source}-{target}-{identity}",
        title=f"{source} to {target}, {arms[0].cells[-1].name}",
        chance=1 / shared.pair.target.train.classes,
    )


def _curve(
    members: Sequence[TransferConfig], stage: Stage, shared: Study, library: Library
) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """Epochs [points], accuracies [seeds, points] and the runs' identities; None without runs."""
    runs = [target_run(config, stage, shared, library) for config in members]
    complete = [run for run in runs if is_sound(run) and run.result()["outcome"] == "complete"]
    if not complete:
        return None
    epochs = np.arange(stage.epochs + 1)
    rows = [[r["test_accuracy"] for r in records_until(run, stage.epochs)] for run in complete]
    return epochs, np.array(rows, dtype=np.float64), [run.identity for run in complete]
