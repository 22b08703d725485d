"""The data of a transfer: both domains in one form, verified, on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import nn

from metaact.adaptation import Normalisation, make_optimizer
from metaact.errors import DataError
from metaact.experiments.declared import recipe
from metaact.experiments.experiment import Prepared
from metaact.experiments.networks import network, size_for
from metaact.experiments.pictures import image_example
from metaact.experiments.supervised import check_batch_size, check_classes, normalisation_of
from metaact.tasks import Domain, Images, TransferPair, check_shares_classes
from metaact.tasks import pair as make_pair

from .config import TransferConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DomainData(Prepared):
    """The data that every arm and seed of one comparison share.

    Attributes:
        pair: Source and target in one form, on the device, with the pipelines that made it so.
        normalised: What the images of each are normalised by: a network sees each domain by the
            statistics of that domain.
        source_identity: Hashes that enter the identity of pre-trainings.
        target_identity: Hashes that enter the identity of fine-tunings.
    """

    pair: TransferPair
    normalised: dict[str, Normalisation | None]
    source_identity: dict[str, str]
    target_identity: dict[str, str]

    @property
    def form(self) -> list[int]:
        """Channels, height and width of all images."""
        return list(self.pair.source.train.pixels.shape[1:])


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
    if pair is None:
        pair = _load(configs, root, None if first.protocol == "held-out" else 0)
    source, target = pair.source, pair.target
    check_classes("source", first.source, source.train)
    check_classes("target", first.target, target.train)
    train = source.train.sha256()
    shared = DomainData(
        data=_provenance(pair),
        device=device,
        normalisation={},  # each run has that of its domain
        validated=target.validation is not None,
        examples=(
            image_example(target.test, "Some test images of the target."),
            image_example(source.test, "Some test images of the source."),
        ),
        notes=_notes(pair),
        pair=_on(pair, device),
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
            build(config, shared.pair.target.train, shared),
            recipe(config, epochs=max(config.epochs)),
        )
    return shared


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
        *(f"{note[0].upper()}{note[1:]}." for note in pair.notes),
    )


def _on(pair: TransferPair, device: str) -> TransferPair:
    def moved(domain: Domain) -> Domain:
        validation = domain.validation
        return Domain(
            train=domain.train.to(device),
            validation=None if validation is None else validation.to(device),
            test=domain.test.to(device),
        )

    return replace(pair, source=moved(pair.source), target=moved(pair.target))


def _provenance(pair: TransferPair) -> dict[str, object]:
    parts = {
        f"{side}_{name}": {
            **asdict(images.provenance),
            "images": len(images),
            "classes": images.classes,
        }
        for side, domain in (("source", pair.source), ("target", pair.target))
        for name, images in (("train", domain.train), ("test", domain.test))
    }
    return {
        "source_pipeline": str(pair.source_pipeline),
        "target_pipeline": str(pair.target_pipeline),
        "notes": list(pair.notes),
        **parts,
    }


def build(config: TransferConfig, images: Images, shared: DomainData) -> nn.Module:
    """The network of one seed before any training, for the classes of `images`."""
    return network(config, images, classes=images.classes, device=shared.device)
