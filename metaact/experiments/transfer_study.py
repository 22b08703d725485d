"""The data of a transfer study: both domains in one form, verified, on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import nn

from metaact.adaptation import make_optimizer
from metaact.errors import DataError
from metaact.tasks import Domain, Images, TransferPair, check_shares_classes, pair

from .converge_config import check_batch_size
from .networks import network, recipe
from .transfer_config import TransferConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """The data that every arm and seed of one comparison share.

    Attributes:
        pair: Source and target in one form, on the device, with the pipelines that made it so.
        data: Provenance of all parts, for the record.
        device: Where everything is computed.
        source_identity: Hashes that enter the identity of pre-trainings.
        target_identity: Hashes that enter the identity of fine-tunings.
    """

    pair: TransferPair
    data: dict[str, object]
    device: str
    source_identity: dict[str, str]
    target_identity: dict[str, str]


def study(
    configs: Sequence[TransferConfig],
    *,
    matched: TransferPair | None = None,
    root: Path | None = None,
    device: str = "cpu",
) -> Study:
    """Load both domains, bring them into one form, and try every arm's network once.

    Args:
        configs: The runs of the comparison; they share source, target and protocol.
        matched: A pair made beforehand, e.g. with a changed pipeline; None makes it from names.
        root: Data root; None for the default.
        device: Where the images are to reside.

    Returns:
        What all runs share.

    Raises:
        UsageError: If the domains cannot be matched, an activation or layer is unknown, or the
            network does not fit the images.
        DataError: If data cannot be had.
    """
    first = configs[0]
    if matched is None:
        validation = None if first.protocol == "held-out" else 0
        matched = _load(first, root, validation)
    source, target = matched.source, matched.target
    train = source.train.sha256()
    shared = Study(
        pair=_on(matched, device),
        data=_provenance(matched),
        device=device,
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
        make_optimizer(build(config, shared.pair.target.train, shared), recipe(config))
    return shared


def _load(config: TransferConfig, root: Path | None, validation: int | None) -> TransferPair:
    check_shares_classes("source", config.source)
    check_shares_classes("target", config.target)
    try:
        return pair(config.source, config.target, root=root, validation=validation)
    except DataError as error:
        default = TransferConfig()
        raise DataError(
            f"{error} A pair that needs no download works now: "
            f"metaact transfer {default.source} {default.target}."
        ) from error


def _on(matched: TransferPair, device: str) -> TransferPair:
    def moved(domain: Domain) -> Domain:
        validation = domain.validation
        return Domain(
            train=domain.train.to(device),
            validation=None if validation is None else validation.to(device),
            test=domain.test.to(device),
        )

    return replace(matched, source=moved(matched.source), target=moved(matched.target))


def _provenance(matched: TransferPair) -> dict[str, object]:
    parts = {
        f"{side}_{name}": {**asdict(images.provenance), "images": len(images)}
        for side, domain in (("source", matched.source), ("target", matched.target))
        for name, images in (("train", domain.train), ("test", domain.test))
    }
    return {
        "source_pipeline": str(matched.source_pipeline),
        "target_pipeline": str(matched.target_pipeline),
        "notes": list(matched.notes),
        **parts,
    }


def build(config: TransferConfig, images: Images, shared: Study) -> nn.Module:
    """The network of one seed before any training, for the classes of `images`."""
    return network(config, images, classes=images.classes, forms=config.forms, device=shared.device)
