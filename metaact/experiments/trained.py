"""What a run has trained, as a network to be used: images in, logits out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from metaact.errors import RunError, UsageError
from metaact.runs import Run, read_run
from metaact.runs.checkpoint import WEIGHTS, is_dense
from metaact.runs.store import read_written
from metaact.runs.strict_json import damaged
from metaact.settings import Config, read_back

from .evidence import SOURCES
from .experiment import Signature
from .form import CHANNELS, NETWORK
from .networks import network, source_identity
from .recorded import check
from .table import of_kind

META_LEARNED = "maml"
"""The kind of runs whose networks are start values, to be adapted to a task."""


class Trained(nn.Module):
    """The network of a finished run, in eval mode, with its normalisation built in.

    Called with images, it gives logits [images, outputs]. Images are [images, channels, height,
    width] in the run's own form (`signature`): uint8 in 0..255, or floats in 0..1, as
    `torchvision.transforms.v2.functional.to_image` and `ToTensor` make them; not normalised.

    Attributes:
        network: The network alone, which takes normalised images.
        signature: Channels and size of the images, number of logits, names of the classes.
        class_names: What each logit stands for; () in a meta-learned network that is not adapted.
        normalisation: "mean" and "std" of each channel, of pixels in 0..1.
        meta: What a meta-learned network learned beside its weights, by name: rates of its steps.
        run: The run: `run.config` are its settings, `run.result()` its figures.
        config: The same settings as the config of its experiment.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        run: Run,
        config: Config,
        signature: Signature,
        normalisation: Mapping[str, Any],
        class_names: tuple[str, ...] = (),
        meta: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network = model
        self.meta = meta or {}
        self.run, self.config, self.signature = run, config, signature
        self.normalisation = normalisation
        self.class_names = class_names or signature.class_names
        like = next(model.parameters())
        for name in ("mean", "std"):
            values = torch.tensor(normalisation[name], dtype=like.dtype, device=like.device)
            self.register_buffer(name, values.reshape(-1, 1, 1), persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits [images, outputs] of images [images, channels, height, width]."""
        logits: Tensor = self.network(self.normalised(images))
        return logits

    def normalised(self, images: Tensor) -> Tensor:
        """Images as the network alone takes them: (x − mean) / std of each channel, x in 0..1.

        Raises:
            UsageError: If they are not images of the run's form, bytes or floats in 0..1.
        """
        form = (self.signature.channels, *self.signature.size)
        if images.ndim != 4 or images.shape[1:] != form:
            raise UsageError(
                f"`images` must be [images, {', '.join(map(str, form))}], as the run's were; got "
                f"{list(images.shape)}."
            )
        if images.dtype == torch.uint8:
            scaled = images.to(self.mean.dtype) / 255
        elif images.is_floating_point():
            _check_range(images)
            scaled = images.to(self.mean.dtype)
        else:
            raise UsageError(
                "`images` must be uint8 in 0..255 or floats in 0..1 (the network normalises them "
                f"itself); got {images.dtype}."
            )
        return (scaled - self.mean) / self.std

    def adapt(
        self, images: Tensor, labels: Tensor, *, class_names: tuple[str, ...] = ()
    ) -> Trained:
        """The network of a run of `metaact maml`, adapted to a few labelled images.

        Exactly what a test episode of the run does: the same rate, number of steps and layers.
        `metaact.MAML.adapt` does the same with any network, and can be differentiated.

        Args:
            images: [images, channels, height, width], as for a call.
            labels: int64 [images], 0..ways-1, each at least once.
            class_names: What the labels stand for; () numbers them.

        Returns:
            Another network; this one stays as it is.

        Raises:
            UsageError: If the run did not meta-learn, or images or labels do not fit it.
        """
        check_meta_learned(self.run)

        from .maml.learner import learner_with

        config: Any = self.config
        ways = self.signature.outputs
        if torch.unique(labels).tolist() != list(range(ways)):
            raise UsageError(
                f"`labels` must take every value in 0..{ways - 1} (the run learned tasks of {ways} "
                f"classes); got {torch.unique(labels).tolist()}."
            )
        adapted = learner_with(config, self.network, self.meta).adapt(
            self.normalised(images), labels, inner_steps=config.test_inner_steps
        )
        return Trained(
            adapted,
            run=self.run,
            config=self.config,
            signature=self.signature,
            normalisation=self.normalisation,
            class_names=class_names or tuple(str(way) for way in range(ways)),
        )


def normalises_together(network: nn.Module) -> bool:
    """Whether an answer depends on the images beside: BatchNorm without statistics of its own."""
    norms = (m for m in network.modules() if isinstance(m, _NormBase))
    return any(not norm.track_running_stats for norm in norms)


def check_meta_learned(run: Run) -> None:
    """Refuse a run whose network is not made to be adapted.

    Raises:
        UsageError: If it is not of `metaact maml`.
    """
    if run.kind != META_LEARNED:
        raise UsageError(
            "`run` must be of `metaact maml` to be adapted (only meta-learned networks are start "
            f"values for new classes); got one of kind {run.kind!r}."
        )


def _check_range(images: Tensor) -> None:
    if torch.compiler.is_compiling() or images.numel() == 0:
        return  # nothing is known yet of what will be there
    low, high = (float(value) for value in torch.aminmax(images.detach()))
    if not (low >= 0 and high <= 1):
        raise UsageError(
            "`images` must be uint8 in 0..255 or floats in 0..1 (the network normalises them "
            f"itself); got floats in [{low:g}, {high:g}]."
        )


def load(run: str | Path | Run, *, device: str = "cpu") -> Trained:
    """The network that a finished run has trained.

    Its weights are those after the last step: the ones that the run's test score belongs to, and
    the only ones that are kept. What a table shows beside it under "best epoch" was measured on
    the way, and its weights are gone. Weights are read without running any code, and refused if
    anything of the run was changed after its end.

    Args:
        run: A run directory, of any experiment that trains the networks of metaact, or the run.
        device: Where the network is to be.

    Returns:
        The network, in eval mode, with its normalisation.

    Raises:
        RunError: If the run is not finished, diverged, is damaged, is of a version that did not
            record what its network takes, or the code of its activation is missing or changed.

    Examples:
        >>> trained = load("runs/converge/mnist-sgd-lr0.01-arelu-seed0-849f96")  # doctest: +SKIP
        >>> trained.class_names[int(trained(images).argmax())]                   # doctest: +SKIP
        '7'
    """
    if not isinstance(run, Run):
        run = read_run(run)
    found = read_written(run)
    check(found)
    result = run.result() if found.result is None else found.result
    outcome = result.get("outcome", "complete")
    if outcome != "complete":
        raise RunError(
            f"`{run.directory}` must have trained a network to be loaded; its outcome is "
            f"{outcome!r}."
        )
    config, signature, normalisation = _recorded(run)
    model = _built(run, config, signature)
    meta: dict[str, Tensor] = {}
    weights = dict(_last(run))
    try:
        if run.kind == META_LEARNED:
            own = model.state_dict()
            meta = {name: weights.pop(name) for name in list(weights) if name not in own}
        model.load_state_dict(weights)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"the weights in `{run.directory}` do not fit its network as this version of metaact "
            f"builds it ({reason})."
        ) from error
    return Trained(
        model,
        run=run,
        config=config,
        signature=signature,
        normalisation=normalisation,
        meta={name: value.to(device) for name, value in meta.items()},
    ).to(device)


def _recorded(run: Run) -> tuple[Config, Signature, Mapping[str, Any]]:
    """The settings of a run, what its network takes, and how it is normalised."""
    experiment = of_kind(run.kind)
    found: Any = run.about.get("network")
    if experiment is None:
        raise RunError(
            f"`{run.directory}` must be a run of an experiment that is known here; got one of kind "
            f"{run.kind!r} (`metaact.experiments.register` adds an experiment)."
        )
    normalisation: Any = run.environment().get("normalisation")
    why = NETWORK.fault(found, "network") or CHANNELS.fault(normalisation, "normalisation")
    if why is None:
        try:
            config: Config = read_back(experiment.config, run.config)
        except (TypeError, ValueError) as error:  # a setting of another version
            why = str(error).rstrip(".")
    if why is not None:
        raise RunError(
            f"`{run.directory}` does not record what its network takes (earlier versions of "
            f"metaact did not, nor do all experiments; {why}); run its command again into another "
            "store."
        )
    signature = Signature.from_json(found)
    return config, signature, normalisation


def _built(run: Run, config: Any, signature: Signature) -> nn.Module:
    """The network of a run before training."""
    try:
        sources = source_identity(config)
        model = network(config, signature, classes=signature.outputs, device="cpu")
    except UsageError as error:
        raise RunError(
            f"the network of `{run.directory}` cannot be built ({error}); code of your own must be "
            "importable: begin in the folder in which the run was made, or add it to PYTHONPATH."
        ) from error
    for name, source in SOURCES.items():
        if sources.get(source) != run.config.get(source):
            raise RunError(
                f"the code of the {name} {getattr(config, name)!r} must be as it was when "
                f"`{run.directory}` was made (the weights belong to that); it has changed since."
            )
    return model


def _last(run: Run) -> Mapping[str, Any]:
    """The weights after the last step; a pre-training keeps those of every epoch."""
    if not (run.directory / WEIGHTS).exists():
        raise RunError(
            f"`{run.directory}` must hold its weights to be loaded ({WEIGHTS} is not there); run "
            "its command again into another store."
        )
    weights = run.weights()
    last: object = weights.get(f"{run.counter}-{run.length}", weights)
    if not isinstance(last, dict) or not all(map(is_dense, last.values())):
        raise damaged(run.directory / WEIGHTS, "it holds something else than dense tensors")
    return last
