"""One network in meta-training, and several in one call."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from metaact import activations, tasks
from metaact.adaptation import Evaluation, MetaLearner, MetaStack, misfit, refusal
from metaact.adaptation.episodic.algorithms.finetune import OLD
from metaact.adaptation.episodic.algorithms.table import ALGORITHMS
from metaact.adaptation.episodic.algorithms.table import find as find_algorithm
from metaact.adaptation.episodic.stacked import most_runs, stack_refusal
from metaact.experiments.loop import Finished, Record, Step
from metaact.experiments.networks import counts, network
from metaact.randomness import isolated_rng
from metaact.runs import finite
from metaact.settings import settings_of

from .config import MamlConfig
from .episodes import EpisodeData, training_batches


def build(config: MamlConfig, shared: EpisodeData) -> nn.Module:
    """The network of one seed before training, on the device."""
    return network(config, shared.split.train, classes=config.ways, device=shared.device)


def learner_of(config: MamlConfig, model: nn.Module, *, classes: int = 2) -> MetaLearner:
    """A network that adapts as the settings of a run say.

    Args:
        config: The settings.
        model: The network.
        classes: Training classes, for the algorithm that learns to tell them all apart.
    """
    assert config.algorithm is not None
    rule = find_algorithm(config.algorithm)
    given = {one.name: getattr(config, one.name) for one in settings_of(MamlConfig)}
    given |= {"classes": classes, "multi_step": config.fading}
    return MetaLearner(
        model,
        rule(**{item.name: given[item.name] for item in fields(rule) if item.init}),
        inner_steps=config.inner_steps,
        chunk_size=config.chunk_size,
        engine=config.engine,
    )


def outer_optimizer(config: MamlConfig, learner: MetaLearner) -> torch.optim.Optimizer:
    """Adam at the meta learning rate; for an algorithm that has a step size of its own, SGD."""
    assert config.algorithm is not None
    if "outer_step" in ALGORITHMS[config.algorithm].reads:
        return torch.optim.SGD(learner.parameters(), lr=config.outer_step)
    return torch.optim.Adam(learner.parameters(), lr=config.meta_lr)


class Advance:
    """One meta-update of several learners: of those that fit into the memory in one call."""

    def __init__(self) -> None:
        self._most = 0
        self._stacks: list[tuple[list[Learner], MetaStack]] = []

    def __call__(self, learners: Sequence[Learner]) -> list[Step]:
        """A step of each."""
        if len(learners) == 1:
            return [learners[0].step()]
        if [one for some, _ in self._stacks for one in some] != list(learners):
            self._stacks = list(self._stacked(learners))
        return [step for some, stack in self._stacks for step in _stacked_step(some, stack)]

    def _stacked(self, learners: Sequence[Learner]) -> Iterator[tuple[list[Learner], MetaStack]]:
        first = learners[0]
        self._most = self._most or most_runs(first.learner, first.batches(first.iteration))
        for start in range(0, len(learners), self._most):
            some = list(learners[start : start + self._most])
            yield some, MetaStack([one.learner for one in some])


def _stacked_step(learners: Sequence[Learner], stack: MetaStack) -> list[Step]:
    """One meta-update of each, the gradients computed in one call."""
    batches = [one.begin_step() for one in learners]
    outcomes = stack.backward(batches, iteration=learners[0].iteration)
    return [one.end_step(outcome) for one, outcome in zip(learners, outcomes, strict=True)]


class Learner:
    """One network in meta-training.

    The accuracy of an iteration is measured before its update, on the very tasks of the update:
    what the paper's authors report. Training that leaves the finite numbers ends as the outcome
    "diverged", with the iteration.

    Args:
        config: The settings.
        shared: The data.
    """

    def __init__(self, config: MamlConfig, shared: EpisodeData) -> None:
        self.config = config
        self.shared = shared
        self.model = build(config, shared)
        self.learner = learner_of(config, self.model, classes=shared.split.train.classes)
        self.optimizer = outer_optimizer(config, self.learner)
        self.batches = training_batches(config, shared)
        self.iteration = 0
        self.best = 0.0

    @property
    def done(self) -> int:
        """Iterations done."""
        return self.iteration

    def begin(self) -> list[Record]:
        """Nothing is known before the first iteration."""
        return []

    def step(self) -> Step:
        """One meta-update."""
        with isolated_rng("maml", self.config.seed, self.iteration):
            batch = self.begin_step()
            outcome = self.learner.backward(batch, iteration=self.iteration)
        return self.end_step(outcome)

    def refusal(self, beside: Sequence[Learner]) -> str | None:
        """Why it cannot be trained in one call with these, each as if it were alone."""
        images = self.shared.split.train
        models = [*(other.model for other in beside), self.model]
        why = stack_refusal(self.learner) or refusal(self.model, images)
        return why or misfit(models, images)

    def begin_step(self) -> tasks.MetaBatch:
        """The tasks of the next meta-update, for which all is made ready."""
        self.model.train()
        self.optimizer.zero_grad()
        return self.batches(self.iteration)

    def end_step(self, outcome: Evaluation) -> Step:
        """Update by the gradients that are there."""
        loss, accuracy = torch.stack([outcome.loss, outcome.accuracy.mean()]).tolist()
        if not math.isfinite(loss):
            return Step(records=[], ended=self._diverged())
        self.best = max(self.best, accuracy)
        self.optimizer.step()
        record: dict[str, object] = {
            "iteration": self.iteration,
            "train_loss": loss,
            "train_accuracy": accuracy,
            "attention": finite(activations.attention_values(self.model)),
        }
        self.iteration += 1
        return Step(records=[record | self._validate()])

    def _validate(self) -> dict[str, float]:
        last, every = self.iteration == self.config.iterations, self.config.validation_every
        assert every is not None
        due = last or self.iteration % every == 0
        if self.shared.validation is None or not due:
            return {}
        accuracies = self._test(self.shared.validation, "validation")
        return {"validation_accuracy": sum(accuracies) / len(accuracies)}

    def _diverged(self) -> Finished:
        counted = counts(self.model)
        return Finished(result={"outcome": "diverged", "iteration": self.iteration, **counted})

    def finish(self, last: Record) -> Finished:
        """Accuracy on every frozen test episode."""
        if not all(bool(p.isfinite().all()) for p in self.learner.parameters()):
            return self._diverged()
        accuracies = self._test(self.shared.test, "test")
        return Finished(
            result={
                "outcome": "complete",
                "test_accuracy": sum(accuracies) / len(accuracies),
                "best_training_accuracy": self.best if self.learner.rule.scores_unseen else None,
                "shares": self.learner.shares(self.batches(0)),
                **counts(self.model),
            },
            scores=accuracies,
            weights=self._learned(),
        )

    def _test(self, episodes: tasks.FrozenEpisodes, part: str) -> list[float]:
        """Accuracy on every frozen episode; random layers are in their evaluation mode.

        What draws in that mode, too, draws the same after a kill.
        """
        with isolated_rng(part, self.config.seed, self.iteration):
            found = [
                self.learner.test(batch, inner_steps=self.config.test_inner_steps)
                for batch in episodes.batches(self.config.tasks)
            ]
        accuracies: list[float] = torch.cat(found).tolist()
        return accuracies

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on."""
        return {
            "model": self._learned(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "best": self.best,
        }

    def _learned(self) -> dict[str, Any]:
        """The weights, and meta-parameters beside them."""
        meta = {name: value.detach() for name, value in self.learner.meta.items()}
        return {**self.model.state_dict(), **meta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        load_learned(self.learner, state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration = int(state["iteration"])
        self.best = float(state["best"])


def load_learned(learner: MetaLearner, state: Mapping[str, Any]) -> None:
    """Give a learner weights, and the meta-parameters beside them.

    Raises:
        KeyError: If a meta-parameter is missing.
        RuntimeError: If a part does not fit.
    """
    weights = {name: value for name, value in state.items() if name not in learner.meta}
    learner.model.load_state_dict(weights)
    _set(learner.meta, state)


def _set(meta: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in meta.items():
            value.copy_(values[name])


def learner_with(config: MamlConfig, model: nn.Module, meta: Mapping[str, Tensor]) -> MetaLearner:
    """A network that was meta-learned, to adapt as in its run.

    Args:
        config: The settings of the run.
        model: The network, with its weights.
        meta: Meta-parameters beside them, as the run learned them.
    """
    heads = [len(value) for name, value in meta.items() if name.startswith(OLD)]
    learner = learner_of(config, model, classes=max(heads, default=2))
    _set(learner.meta, meta)
    return learner
