"""The data of a transfer: both domains in one form, verified, on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import nn

from metaact.adaptation import Normalisation, make_optimizer
from metaact.errors import DataError, UsageError, renamed
from metaact.experiments.declared import recipe
from metaact.experiments.experiment import Prepared
from metaact.experiments.networks import gain_notes, network, size_for
from metaact.experiments.pictures import image_example
from metaact.experiments.supervised import (
    UNNORMALISED,
    check_batch_size,
    check_classes,
    normalisation_of,
)
from metaact.tasks import Domain, Images, Pipeline, TransferPair, check_shares_classes
from metaact.tasks import pair as make_pair
from metaact.tasks.transfer.matching import same_classes
from metaact.tasks.transfer.pairs import loaded, origin_notes

from .config import TransferConfig
from .start import check_network, keeps_head, started
from .weights import Weights, read_weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DomainData(Prepared):
    """The data that every arm and seed of one comparison share.

    Attributes:
        source: Parts of the domain to pre-train on, on the device; None where that was done before.
        target: Parts of the domain to fine-tune and test on, in the same form.
        keeps_head: Whether fine-tuning goes on from the trained classifier head.
        weights: The trained weights to start from; None where the source is trained on.
        normalised: What the images of each domain are normalised by: a network sees each by its own
            statistics, and one that was trained before, under "trained", by those it was fed with.
        source_identity: Hashes that enter the identity of pre-trainings.
        target_identity: Hashes that enter the identity of fine-tunings.
    """

    source: Domain | None
    target: Domain
    keeps_head: bool
    weights: Weights | None
    normalised: dict[str, Normalisation | None]
    source_identity: dict[str, str]
    target_identity: dict[str, str]

    @property
    def form(self) -> list[int]:
        """Channels, height and width of all images."""
        return list(self.target.train.pixels.shape[1:])


def prepare(
    configs: Sequence[TransferConfig],
    *,
    root: Path | None = None,
    device: str = "cpu",
    pair: TransferPair | None = None,
) -> DomainData:
    """Load both domains, bring them into one form, and try every arm's network once.

    Args:
        configs: Runs that share source, target and protocol.
        root: Data root; None for the default.
        device: Where the images are to reside.
        pair: A pair made beforehand, e.g. with a changed pipeline; None makes it from names.

    Returns:
        What all runs share.

    Raises:
        UsageError: If the domains cannot be matched, an activation or layer is unknown, or the
            network does not fit the images.
        DataError: If data cannot be had.
    """
    first = configs[0]
    if first.weights is not None:
        if pair is not None:
            raise UsageError("`pair` must be left out with `weights` (there is no source).")
        return _prepare_trained(configs, first.weights, root=root, device=device)
    if pair is None:
        pair = _load(configs, root, None if first.protocol == "held-out" else 0)
    source, target = pair.source, pair.target
    check_classes("source", first.source, source.train)
    check_classes("target", first.target, target.train)
    train = source.train.sha256()
    shared = DomainData(
        data=_provenance(
            {"source": (source, pair.source_pipeline), "target": (target, pair.target_pipeline)},
            notes=pair.notes,
        ),
        device=device,
        normalisation={},  # each run has that of its domain
        validated=target.validation is not None,
        examples=(
            image_example(target.test, "Some test images of the target."),
            image_example(source.test, "Some test images of the source."),
        ),
        notes=(*_notes(pair), *gain_notes(configs)),
        source=_on(source, device),
        target=_on(target, device),
        keeps_head=pair.keeps_head,
        weights=None,
        normalised={
            "source": normalisation_of(first, first.source, source.train),
            "target": normalisation_of(first, first.target, target.train),
        },
        source_identity={"source_train_sha256": train, "source_test_sha256": source.test.sha256()},
        target_identity={
            "source_train_sha256": train,
            "target_train_sha256": target.train.sha256(),
            "target_test_sha256": target.test.sha256(),
        },
    )
    largest = max(len(source.train), len(target.train))
    for config in {replace(c, seed=0, lr=1.0): None for c in configs}:
        check_batch_size(config.batch_size, largest)
        make_optimizer(
            build(config, shared.target.train, shared),
            recipe(config, epochs=max(config.epochs)),
        )
    return shared


def _prepare_trained(
    configs: Sequence[TransferConfig], place: str, *, root: Path | None, device: str
) -> DomainData:
    """Read trained weights, and bring the target into the form that their network takes."""
    first, weights = configs[0], read_weights(place)
    for config in configs:
        check_network(config, weights)
    check_shares_classes("target", first.target)
    pair = _alone(configs, weights, root)
    target = pair.target
    check_classes("target", first.target, target.train)
    keeps = keeps_head(first, weights, target.train)
    own = normalisation_of(first, first.target, target.train)
    pipeline = " ".join(str(pair.target_pipeline).split())
    shared = DomainData(
        data=_provenance({"target": (target, pair.target_pipeline)}, notes=origin_notes(target)),
        device=device,
        normalisation={},  # the baseline has another than what starts from the weights
        validated=target.validation is not None,
        examples=(image_example(target.test, "Some test images of the target."),),
        notes=(
            f"Images were brought into the form that {weights.name} takes: {pipeline}",
            _head_note(weights, target.train, keeps),
            "All seeds start from the same trained network: intervals say nothing of others.",
            *_sentences(origin_notes(target)),
        ),
        source=None,
        target=_on(target, device),
        keeps_head=keeps,
        weights=weights,
        normalised={"target": own, "trained": _of_weights(first, weights, own)},
        source_identity={},
        target_identity={
            "weights_sha256": weights.sha256,
            "target_train_sha256": target.train.sha256(),
            "target_test_sha256": target.test.sha256(),
        },
    )
    for config in {replace(c, seed=0, lr=1.0): None for c in configs}:
        check_batch_size(config.batch_size, len(target.train))
        start = started(
            config,
            weights,
            shared.target.train,
            normalisation=shared.normalised["trained"],
            device=device,
        )
        make_optimizer(start, recipe(config, epochs=max(config.epochs)))
    return shared


def _alone(configs: Sequence[TransferConfig], weights: Weights, root: Path | None) -> TransferPair:
    """The target, as if it were the source, too, in the form that a trained network takes."""
    config = configs[0]
    size, channels = size_for(configs), config.channels
    known = weights.signature
    if known is not None:
        form = {"size": known.size[0], "channels": known.channels}
        for name, wanted in form.items():
            if getattr(config, name) not in (None, wanted):
                raise UsageError(
                    f"`{name}` must be {wanted} or left out, as in {weights.name}; got "
                    f"{getattr(config, name)}."
                )
        size, channels = form["size"], form["channels"]
    with renamed(dataset="target"):
        validation = None if config.protocol == "held-out" else 0
        side = loaded(config.target, root, validation, size)
    return make_pair(side, side, size=size, channels=channels)


def _of_weights(
    config: TransferConfig, weights: Weights, own: Normalisation | None
) -> Normalisation | None:
    """What a trained network is fed with; where nothing says it, what the settings say."""
    if weights.normalisation is None:
        return own
    if config.normalisation != "none":
        raise UsageError(
            f"`normalisation` must be left out (the network of {weights.name} is fed as it was "
            f"trained); got {config.normalisation!r}."
        )
    found = Normalisation(
        mean=tuple(weights.normalisation["mean"]), std=tuple(weights.normalisation["std"])
    )
    return None if found == UNNORMALISED else found


def _head_note(weights: Weights, target: Images, keeps: bool) -> str:
    if not keeps:
        return f"The head is replaced by a new one for the target's {target.classes} classes."
    names = () if weights.signature is None else weights.signature.class_names
    if names and same_classes(names, target.class_names):
        return f"The head of {weights.name} is kept: the target has the same classes."
    return (
        f"The head of {weights.name} is kept, as it has {target.classes} outputs and the target as "
        "many classes; whether they mean the same, nothing says."
    )


def _load(
    configs: Sequence[TransferConfig], root: Path | None, validation: int | None
) -> TransferPair:
    config = configs[0]
    check_shares_classes("source", config.source)
    check_shares_classes("target", config.target)
    try:
        return make_pair(
            config.source,
            config.target,
            root=root,
            validation=validation,
            size=size_for(configs),
            channels=config.channels,
        )
    except DataError as error:
        default = TransferConfig()
        raise DataError(
            f"{error} A pair that needs no download works now: "
            f"metaact transfer {default.source} {default.target}."
        ) from error


def _notes(pair: TransferPair) -> tuple[str, ...]:
    pipelines = (pair.source_pipeline, pair.target_pipeline)
    return (
        *(f"Images were brought into one form: {' '.join(str(p).split())}" for p in pipelines),
        *_sentences(pair.notes),
    )


def _sentences(notes: Sequence[str]) -> list[str]:
    return [f"{note[0].upper()}{note[1:]}." for note in notes]


def _on(domain: Domain, device: str) -> Domain:
    validation = domain.validation
    return Domain(
        train=domain.train.to(device),
        validation=None if validation is None else validation.to(device),
        test=domain.test.to(device),
    )


def _provenance(
    sides: Mapping[str, tuple[Domain, Pipeline]], *, notes: Sequence[str] = ()
) -> dict[str, object]:
    """Where the parts of each side come from, and what was done to their images."""
    parts = {
        f"{side}_{name}": {
            **asdict(images.provenance),
            "images": len(images),
            "classes": images.classes,
        }
        for side, (domain, _) in sides.items()
        for name, images in (("train", domain.train), ("test", domain.test))
    }
    return {
        **{f"{side}_pipeline": str(pipeline) for side, (_, pipeline) in sides.items()},
        "notes": list(notes),
        **parts,
    }


def build(config: TransferConfig, images: Images, shared: DomainData) -> nn.Module:
    """The network of one seed before any training, for the classes of `images`."""
    return network(config, images, classes=images.classes, device=shared.device)
