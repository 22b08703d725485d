"""Which fine-tunings start from which pre-training, by what their configs say. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from metaact.runs import Entry

INHERITED = (
    *("activation", "activation_sha256", "seed", "source", "model", "batch_norm"),
    *("pretrain_lr", "momentum", "batch_size", "form", "source_train_sha256"),
)
"""Settings that a fine-tuning shares with the pre-training that it starts from."""


def descendants(pretraining: Entry, entries: Sequence[Entry]) -> list[Entry]:
    """The fine-tunings among `entries` that start from a pre-training; [] for another kind of run.

    They read it as often as their command is given, also when they are complete: without it, it is
    trained again.
    """
    if pretraining.kind != "source" or pretraining.run is None:
        return []
    mine = pretraining.config
    return [
        entry
        for entry in entries
        if entry.kind == "transfer"
        and 0 < (entry.config.get("pretrained") or 0) <= mine.get("epochs", 0)
        and all(entry.config.get(name) == mine.get(name) for name in INHERITED)
    ]
