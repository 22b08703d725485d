"""Several independent models trained in one vectorised call.

The parameters of all models are stacked along a new first dimension and the forward pass is
vectorised over it (`torch.func.vmap`); their activations may differ (`Ensemble`). One backward pass
of the summed losses gives every model its own gradient, because no loss depends on another model.
The optimizer's update is written on the stacked tensors, each model with its own learning rate. A
model's numbers do not depend on its companions, beyond the rounding of differently blocked sums.

On a GPU small models leave most of the device idle, and stacking fills it. On a CPU one model
fills the cores already and a stacked convolution is slower than a plain one (measured: 0.7 to 0.8
times the speed of one after the other): there `stacks_by_default` says no.
`benchmarks/training.py` measures both.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import stack_module_state, vmap
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase

from metaact.adaptation.ensemble import Ensemble
from metaact.adaptation.graphs import Graphs
from metaact.adaptation.known import form_of, signature
from metaact.adaptation.recording import Results
from metaact.adaptation.stateless import Stateless, differentiable_kernels, reads
from metaact.adaptation.vmap.lowering import Lowering
from metaact.errors import UsageError, reason_of
from metaact.randomness import Streams, preserved_rng

from .objectives import Classification
from .recipe import Recipe, rate_factor
from .trainer import EpochLoss, Labelled, Trainer, batch, epoch_order, summarise


def stacks_by_default(device: torch.device | str) -> bool:
    """Whether stacking pays on this kind of device, as measured (see the module's text)."""
    return torch.device(device).type == "cuda"


@differentiable_kernels()
@preserved_rng()
def refusal(model: nn.Module, images: Labelled) -> str | None:
    """Why this model cannot be stacked, or None if it can.

    Random layers would draw other numbers in a stack than alone, and running statistics would be
    overwritten by companions: both would make a result depend on what it was stacked with. A stack
    computes in a copy of one model, whose layers must be reached in the copy.

    Args:
        model: Tried on two images; left as it was.
        images: Such as it is trained on.

    Returns:
        Half a sentence.
    """
    for path, module in model.named_modules():
        if isinstance(module, _NormBase) and module.track_running_stats:
            return f"{path} ({type(module).__name__}) keeps running statistics"
    try:
        probe = copy.deepcopy(model).train()
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        return f"it cannot be copied ({reason_of(error)})"
    inputs, _ = batch(images, torch.arange(2), like=next(model.parameters()))
    forms = [form_of(module) for module in probe.modules()]
    values = stack_module_state([probe])
    call = Stateless(probe)
    before = Streams.now()
    try:
        with torch.no_grad():
            vmap(lambda state: call({**state[0], **state[1]}, inputs))(values)
        alone = tuple({name: v[0].clone() for name, v in state.items()} for state in values)
        own = [dict(each.named_parameters()) for each in (model, probe)]
        past = set().union(*reads(lambda: call({**alone[0], **alone[1]}, inputs), *own))
    except UsageError as error:
        return str(error).rstrip(".")
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        return f"torch.func.vmap cannot run it ({reason})"
    if Streams.now() != before:
        return "it draws random numbers"
    if past:
        return f"it reads {min(past)} elsewhere than in the module that it belongs to"
    changed = [name for name, buffer in alone[1].items() if buffer._version]
    if changed:
        return f"it changes its buffer {changed[0]}"
    if [form_of(module) for module in probe.modules()] != forms:
        return "it changes its attributes"
    return None


@differentiable_kernels()
@preserved_rng()
def misfit(models: Sequence[nn.Module], images: Labelled) -> str | None:
    """Why these models cannot be stacked together, each of which can be alone, or None if they can.

    Args:
        models: Tried on two images; left as they were.
        images: Such as they are trained on.

    Returns:
        Half a sentence.
    """
    inputs, _ = batch(images, torch.arange(2), like=next(models[0].parameters()))
    try:
        ensemble = Ensemble(models)
        call = Stateless(ensemble.model)
        with torch.no_grad():
            vmap(lambda values: call(values, inputs))(ensemble.stacked())
    except UsageError as error:
        return str(error).rstrip(".")
    except RuntimeError as error:
        return str(error).strip().splitlines()[0]
    return None


@differentiable_kernels()
def stacked_epoch(
    trainers: Sequence[Trainer],
    *,
    observe_at: Collection[int] = (),
    observe: Callable[[int], None] | None = None,
) -> list[EpochLoss]:
    """Train one epoch of every trainer, all in one vectorised call.

    The trainers may differ in seed (weights, batch order, augmentation), in learning rates and
    decay, and in the activations of their models, nothing else. Models with the same activations
    lie side by side, so that they are computed together.
    Each ends as if it had called its own `epoch`, so evaluation, checkpoints and continuing alone
    work as before.

    Args:
        trainers: At least one; the same architecture, images, optimizer and epochs done.
        observe_at: Numbers of updates after which `observe` is called, from 1.
        observe: Told the number of updates done; the trainers' models are up to date then.

    Returns:
        Each trainer's loss of the epoch.

    Raises:
        UsageError: If the trainers do not fit together, or a model cannot be stacked.
    """
    _check(trainers)
    first = trainers[0]
    orders = [epoch_order(len(t.images.labels), seed=t.seed, epoch=t.epochs) for t in trainers]
    device = first.images.labels.device
    batches = torch.split(torch.stack(orders).to(device), first.recipe.batch_size, dim=1)
    stack = _Stack(trainers)
    losses = []
    for step, indices in enumerate(batches, start=1):
        losses.append(stack.step(step - 1, indices))
        if observe is not None and step in observe_at:
            stack.write_back()
            observe(step)
    stack.write_back()
    for trainer in trainers:
        trainer.epochs += 1
    return [summarise(each, batches) for each in torch.stack(losses, dim=1)]


class _Stack:
    """Parameters and optimizer state of several trainers, stacked for the length of an epoch."""

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = trainers
        for trainer in trainers:
            trainer.model.train()
        self.ensemble = Ensemble([trainer.model for trainer in trainers])
        everything = self.ensemble.stacked()
        trained = self.ensemble.trained()
        self.fixed = {n: v for n, v in everything.items() if n not in trained}
        self.trained = {n: everything[n].requires_grad_() for n in trained}
        self.call = Stateless(self.ensemble.model)
        self.forward = vmap(self._one)
        # Batched matrix products in place of grouped convolutions: 1.4 times as fast on a CPU.
        self.lowering = Lowering(layout=next(iter(everything.values())).device.type == "cpu")
        self.owners = [
            {new: trainer.model.get_parameter(own) for own, new in names.items() if new in trained}
            for trainer, names in zip(trainers, self.ensemble.names, strict=True)
        ]
        self.settings = [_settings(t) for t in trainers]
        self.state = {name: self._state(name) for name in trained}
        self.recipe = trainers[0].recipe
        self.graphs, self.known = Graphs(), signature(self.ensemble.model)
        drawn = [crops for trainer in trainers if (crops := trainer.crops()) is not None]
        self.crops = torch.stack(drawn) if drawn else None
        self.rates = {n: self._per_model(n, "lr") for n in trained}
        self.decays = {n: self._per_model(n, "weight_decay") for n in trained}

    def _one(self, trained: Any, fixed: Any, images: Tensor) -> Tensor:
        return self.call({**trained, **fixed}, images)

    def _state(self, name: str) -> dict[str, Tensor]:
        """The optimizer's state for one parameter of all models; where one has none, another's."""
        pairs = zip(self.trainers, self.owners, strict=True)
        states = [_state_of(t, own[name]) if name in own else {} for t, own in pairs]
        like = next(state for state in states if state)
        return {key: torch.stack([(state or like)[key] for state in states]) for key in like}

    def _per_model(self, name: str, key: str) -> Tensor:
        """One setting of all models for one parameter, shaped to multiply the stacked tensor."""
        stacked = self.trained[name]
        values = [
            settings[id(own[name])][key] if name in own else 0.0
            for settings, own in zip(self.settings, self.owners, strict=True)
        ]
        column = torch.tensor(values, dtype=torch.float64, device=stacked.device)
        return column.to(stacked.dtype).view(-1, *[1] * (stacked.ndim - 1))

    def step(self, number: int, indices: Tensor) -> Tensor:
        """One update of all models on images [models, batch]; their losses [models]."""
        first = self.trainers[0]
        factor = rate_factor(self.recipe, epoch=first.epochs, step=number, steps=first.steps)
        given = [indices, torch.full((), factor, dtype=torch.float64, device=indices.device)]
        (losses,) = self.graphs.run(self.known, self._updated, given, self._held)
        assert losses is not None
        return losses

    def _held(self) -> list[Tensor]:
        """What an update reads and changes in place, but for what lives as long as the stack."""
        return [self.trainers[0].images.pixels, self.trainers[0].images.labels]

    def _updated(self, indices: Tensor, factor: Tensor) -> Results:
        """`step`, the rates times `factor`."""
        first = self.trainers[0]
        crops = None
        if self.crops is not None:
            crops = self.crops[torch.arange(len(indices), device=indices.device)[:, None], indices]
        images, labels = batch(
            first.images,
            indices,
            like=next(iter(self.trained.values())),
            changes=crops,
            augmentation=self.recipe.augmentation,
            normalisation=first.normalisation,
        )
        with self.lowering:
            logits = self.forward(self.trained, self.fixed, images)
        each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        losses = each.view(labels.shape).mean(dim=1)
        gradients = torch.autograd.grad(losses.sum(), list(self.trained.values()))
        with torch.no_grad():
            for name, gradient in zip(self.trained, self._clipped(gradients), strict=True):
                self._update(name, gradient, self.rates[name] * factor)
        return (losses.detach(),)

    def _clipped(self, gradients: Sequence[Tensor]) -> Sequence[Tensor]:
        """The gradients, each model's scaled to the largest norm that the recipe allows."""
        if not self.recipe.clip_norm:
            return gradients
        norms = torch.stack([g.reshape(len(g), -1).norm(dim=1) for g in gradients]).norm(dim=0)
        scale = (self.recipe.clip_norm / (norms + 1e-6)).clamp(max=1)  # as torch's clip_grad_norm_
        return [g * scale.view(-1, *[1] * (g.ndim - 1)) for g in gradients]

    def _update(self, name: str, gradient: Tensor, rate: Tensor) -> None:
        parameter, state = self.trained[name], self.state[name]
        gradient = gradient + self.decays[name] * parameter
        if self.recipe.optimizer == "sgd":
            momentum, buffer = self.recipe.momentum, state["momentum_buffer"]
            buffer.mul_(momentum).add_(gradient)
            parameter.sub_(
                rate * (gradient + momentum * buffer if self.recipe.nesterov else buffer)
            )
            return
        group = self.trainers[0].optimizer.param_groups[0]
        beta1, beta2 = group["betas"]
        state["step"].add_(1)
        steps = state["step"][0].double()
        state["exp_avg"].lerp_(gradient, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        spread = state["exp_avg_sq"].sqrt() / (1 - beta2**steps) ** 0.5 + group["eps"]
        parameter.sub_(rate / (1 - beta1**steps) * state["exp_avg"] / spread)

    def write_back(self) -> None:
        """Copy the stacked values to each trainer's own model and optimizer."""
        with torch.no_grad():
            for i, (trainer, own) in enumerate(zip(self.trainers, self.owners, strict=True)):
                for name, parameter in own.items():
                    parameter.copy_(self.trained[name][i])
                    trainer.optimizer.state[parameter] = {
                        key: value[i].clone() for key, value in self.state[name].items()
                    }


def _settings(trainer: Trainer) -> dict[int, dict[str, float]]:
    """Learning rate before the schedule and decay of each trained parameter, by its id."""
    return {
        id(p): {"lr": rate, "weight_decay": group["weight_decay"]}
        for group, rate in zip(trainer.optimizer.param_groups, trainer.rates, strict=True)
        for p in group["params"]
    }


def _state_of(trainer: Trainer, parameter: Tensor) -> dict[str, Tensor]:
    """The optimizer's state for a parameter; zeros before its first step."""
    state = trainer.optimizer.state[parameter]
    if not state and trainer.recipe.optimizer == "sgd":
        state = {"momentum_buffer": torch.zeros_like(parameter)}
    elif not state:
        state = {"step": torch.zeros((), device=parameter.device)}
        state |= {k: torch.zeros_like(parameter) for k in ("exp_avg", "exp_avg_sq")}
    return {key: value.detach().clone() for key, value in state.items()}


def _check(trainers: Sequence[Trainer]) -> None:
    first = trainers[0]
    for trainer in trainers:
        why = refusal(trainer.model, trainer.images)
        if why is not None:
            raise UsageError(f"models in a stack must not be random or share state; {why}.")
        same = (
            trainer.images is first.images
            and trainer.epochs == first.epochs
            and trainer.normalisation == first.normalisation
            and isinstance(trainer.objective, Classification)
            and trainer.weights is None
            and _shared(trainer.recipe) == _shared(first.recipe)
        )
        if not same:
            raise UsageError(
                "trainers in a stack must share images, recipe (but for rates and decay) and "
                "epochs done; "
                f"number {trainers.index(trainer)} differs from number 0."
            )
    if first.recipe.precision != "float32":
        raise UsageError(f"`precision` in a stack must be float32; got {first.recipe.precision!r}.")


def _shared(recipe: Recipe) -> Recipe:
    """What the recipes of a stack have in common: all but rates, decay and what is trained."""
    return replace(
        recipe,
        lr=1.0,
        layer_lrs=(),
        weight_decay=0.0,
        decay="all",
        train_layers=("all",),
        freeze_activations=False,
    )
