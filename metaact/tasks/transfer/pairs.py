"""Pairs of domains: pre-train on a source, fine-tune on a target, in one form of image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metaact.display import brief
from metaact.errors import UsageError, renamed
from metaact.tasks._images import Images
from metaact.tasks.forms.pipeline import Pipeline
from metaact.tasks.splits.by_name import is_path, split
from metaact.tasks.transfer.matching import match as match
from metaact.tasks.transfer.matching import same_classes


class SplitLike(Protocol):
    """What a domain is made of; `metaact.tasks.Split` is one."""

    @property
    def train(self) -> Images:
        """Images to learn from."""
        ...

    @property
    def validation(self) -> Images | None:
        """Images for choices made on the way, or None."""
        ...

    @property
    def test(self) -> Images:
        """Images for the reported figure."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Domain:
    """The parts of one side of a pair, in the form that both sides share.

    Attributes:
        train: Images to learn from.
        validation: Images for choices made on the way, or None.
        test: Images for the reported figure.
    """

    train: Images
    validation: Images | None
    test: Images

    def __repr__(self) -> str:
        return brief(
            self,
            self.train.provenance.dataset,
            train=len(self.train),
            validation=0 if self.validation is None else len(self.validation),
            test=len(self.test),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransferPair:
    """A source and a target whose images have the same channels and size.

    Attributes:
        source: Parts of the domain to pre-train on.
        target: Parts of the domain to fine-tune and test on.
        source_pipeline: What was done to the source's images.
        target_pipeline: What was done to the target's images.
        same_classes: Whether label k means the same in both.
        keeps_head: Whether fine-tuning goes on from the classifier head of the source; else the
            target gets a new one, of `target.train.classes` outputs.
        notes: What a reader of a result must know.
    """

    source: Domain
    target: Domain
    source_pipeline: Pipeline
    target_pipeline: Pipeline
    same_classes: bool
    keeps_head: bool
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return brief(
            self,
            self.source.train.provenance.dataset,
            self.target.train.provenance.dataset,
            shape=tuple(self.source.train.pixels.shape[1:]),
            keeps_head=self.keeps_head,
        )

    def __str__(self) -> str:
        """Both pipelines and the notes, line by line."""
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join([str(self.source_pipeline), str(self.target_pipeline), *notes])


def pair(
    source: str | Path | Images | SplitLike,
    target: str | Path | Images | SplitLike,
    *,
    root: Path | str | None = None,
    validation: int | None = None,
    size: int | None = None,
    channels: int | None = None,
    source_pipeline: Pipeline | None = None,
    target_pipeline: Pipeline | None = None,
    keep_head: bool | None = None,
) -> TransferPair:
    """Load two data sets and bring them into one form.

    Args:
        source: What to pre-train on: a data set's name, a path, images, or a split with train,
            validation and test images of the same classes.
        target: What to fine-tune on, likewise.
        root: Data root for names; None for the default.
        validation: Images of each validation part, but for splits; None for the default.
        size: Height and width of the matched images, unless a pipeline is given; None for one that
            both have, else the smaller, as in `match`.
        channels: 1, 3 or None, as in `match`.
        source_pipeline: Used on the source in place of the steps that `match` finds.
        target_pipeline: Used on the target in place of the steps that `match` finds.
        keep_head: Whether the classifier head is kept; None keeps it if the numbers of classes
            are equal.

    Returns:
        The pair.

    Raises:
        UsageError: If the two cannot be brought together; the message says why.
        DataError: If data are missing or damaged.
    """
    with renamed(dataset="source"):
        first_side = loaded(source, root, validation, size)
    with renamed(dataset="target"):
        sides = [first_side, loaded(target, root, validation, size)]
    if source_pipeline is None or target_pipeline is None:
        found = match(sides[0].train, sides[1].train, size=size, channels=channels)
        pipelines = source_pipeline or found[0], target_pipeline or found[1]
    else:
        pipelines = source_pipeline, target_pipeline
    first, second = (_domain(p, side) for p, side in zip(pipelines, sides, strict=True))
    _check_form(pipelines, first.train, second.train)
    same = same_classes(first.train.class_names, second.train.class_names)
    keeps = _keeps_head(first.train.classes, second.train.classes, keep_head)
    return TransferPair(
        source=first,
        target=second,
        source_pipeline=pipelines[0],
        target_pipeline=pipelines[1],
        same_classes=same,
        keeps_head=keeps,
        notes=(*_head_note(first.train, second.train, same, keeps), *origin_notes(*sides)),
    )


def _keeps_head(source: int, target: int, keep_head: bool | None) -> bool:
    if keep_head and source != target:
        raise UsageError(
            "`keep_head` must be False or None (the source has "
            f"{source} classes, the target {target}); got True."
        )
    return source == target if keep_head is None else keep_head


def _head_note(source: Images, target: Images, same: bool, keeps: bool) -> tuple[str, ...]:
    if not keeps:
        return (f"the head is replaced by a new one for the target's {target.classes} classes",)
    if same:
        made_up = [i.provenance.dataset for i in (source, target) if i.numbered]
        if not made_up:
            return ()
        return (
            f"the classes of {' and '.join(dict.fromkeys(made_up))} have no names but numbers (no "
            "`class_names` in the pack); the head is kept as if each number meant the same in the "
            "source and in the target",
        )
    return (
        f"the classes differ ({source.class_names[0]!r}, ... and {target.class_names[0]!r}, ...); "
        f"the head is kept because both have {target.classes}",
    )


def origin_notes(*sides: SplitLike) -> tuple[str, ...]:
    """What is not official, each said once."""
    parts = [part for side in sides for part in (side.train, side.test)]
    origins = [part.provenance for part in parts if not part.provenance.official]
    notes = []
    for origin in origins:
        known = "; ".join(text for text in (origin.note, origin.form) if text)
        notes.append(f"{origin.dataset} ({origin.split}) is not official: {known or 'own data'}")
    return tuple(dict.fromkeys(notes))


def loaded(
    side: str | Path | Images | SplitLike,
    root: Path | str | None,
    count: int | None,
    size: int | None,
) -> SplitLike:
    """One side of a pair before it is brought into a form; a folder is read at `size`."""
    if isinstance(side, Images):
        return split(side, hold_out="images", validation=count)
    if not isinstance(side, str | Path):
        return side
    # Images of a folder may differ in size: they are brought to one as they are read.
    of_folder = size if is_path(side) and Path(side).expanduser().is_dir() else None
    return split(side, root=root, hold_out="images", validation=count, size=of_folder)


def _domain(pipeline: Pipeline, side: SplitLike) -> Domain:
    domain = Domain(
        train=pipeline.apply(side.train),
        validation=None if side.validation is None else pipeline.apply(side.validation),
        test=pipeline.apply(side.test),
    )
    if domain.train.class_names != domain.test.class_names:
        raise UsageError(
            f"the parts of {pipeline.domain} must have the same classes (transfer tests new images "
            f"of known classes); train has {domain.train.classes}, test {domain.test.classes}. "
            "Split it with hold_out='images'."
        )
    return domain


def _check_form(pipelines: tuple[Pipeline, Pipeline], source: Images, target: Images) -> None:
    shapes = ["x".join(map(str, images.pixels.shape[1:])) for images in (source, target)]
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"the pipelines of {pipelines[0].domain} and {pipelines[1].domain} must end in images "
            f"of one shape; got {shapes[0]} and {shapes[1]}."
        )
