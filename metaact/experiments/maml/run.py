"""Meta-learn one activation with one algorithm and measure it on frozen held-out episodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from metaact import activations, analysis, tasks
from metaact.adaptation import Evaluation, MetaLearner, import_learn2learn, misfit, refusal
from metaact.adaptation.episodic.algorithms.finetune import OLD
from metaact.adaptation.episodic.algorithms.table import ALGORITHMS
from metaact.adaptation.episodic.algorithms.table import find as find_algorithm
from metaact.adaptation.episodic.second_order import REMEDY, lost_terms
from metaact.adaptation.episodic.stacked import MetaStack, most_runs, stack_refusal
from metaact.errors import UsageError, renamed
from metaact.experiments.experiment import EXAMPLE_WIDTH, Example, Member, Planned, Prepared
from metaact.experiments.loop import Finished, Record, Step, train_together
from metaact.experiments.networks import (
    counts,
    form_notes,
    gain_notes,
    most_together,
    network,
    run_name,
    signature,
    size_for,
    source_identity,
)
from metaact.experiments.timing import seconds_of
from metaact.models import is_foreign
from metaact.randomness import derived_seed, isolated_rng, preserved_rng
from metaact.runs import finite
from metaact.settings import LONGEST, in_words, is_read, settings_of, with_role

from . import measure
from .config import MamlConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_SEED = 20_200_623
"""Seed of the frozen episodes: one for all runs, so that arms and seeds are paired."""

WAYS, QUERIES, SHOTS = 8, 5, 4
"""What is shown of an episode at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class EpisodeData(Prepared):
    """The data that every arm and seed of one comparison share.

    Attributes:
        split: Verified train, validation and test images, on the device.
        mean: Per channel mean of the training pixels in [0, 1].
        std: Per channel standard deviation of the same.
        test: Frozen test episodes.
        validation: Frozen validation episodes; None where the split has no validation part.
        identity: Hashes that enter every run's identity: other data or episodes, other run.
    """

    split: tasks.Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    test: tasks.FrozenEpisodes
    validation: tasks.FrozenEpisodes | None
    identity: dict[str, str]


def prepare(
    configs: Sequence[MamlConfig], *, root: Path | None = None, device: str = "cpu"
) -> EpisodeData:
    """Load and verify the data, draw the frozen episodes, and try every arm's network once.

    Args:
        configs: Runs that share data and episodes.
        root: Data root; None for the default.
        device: Where the images are to reside.

    Returns:
        What all runs of the comparison share.

    Raises:
        UsageError: If the episodes asked for do not fit the data, or a network cannot be built.
        DataError: If the data cannot be had.
        MissingDependencyError: If the engine "learn2learn" is asked for and not installed.
    """
    config = configs[0]
    if any(one.engine == "learn2learn" for one in configs):
        import_learn2learn()  # missing, it would fail every run after its directory was made
    split = tasks.split(
        config.dataset,
        root=root,
        hold_out=config.hold_out,
        validation=0 if config.protocol == "paper" else None,
        size=size_for(configs),
        channels=config.channels,
    )
    mean, std = tasks.statistics(split.train)

    def frozen(
        images: tasks.Images, episodes: int, seed: int, *, replacement: bool = True
    ) -> tasks.FrozenEpisodes:
        with renamed(queries="test_queries", episodes="test_episodes"):
            return tasks.frozen(
                images,
                ways=config.ways,
                shots=config.shots,
                queries=config.test_queries,
                episodes=episodes,
                seed=seed,
                replacement=replacement,
                mean=mean,
                std=std,
                device=device,
            )

    test = frozen(split.test, config.test_episodes, TEST_SEED, replacement=config.replacement)
    validation = None
    if split.validation is not None:
        # Always with replacement: it serves choices and no interval, and the part is small.
        validation = frozen(split.validation, config.validation_episodes, TEST_SEED + 1)
    example = Example(
        kind="episodes",
        sha256=test.sha256,
        caption="The first frozen test episode.",
        draw=lambda: _picture(test, split.test),
    )
    shared = EpisodeData(
        data=split.provenance(),
        device=device,
        normalisation={"mean": list(mean), "std": list(std), "scale": "pixels in 0..1"},
        validated=validation is not None,
        examples=(example,),
        notes=(*form_notes(split.train), *gain_notes(configs)),
        split=split,
        mean=mean,
        std=std,
        test=test,
        validation=validation,
        identity={
            "train_sha256": split.train.sha256(),
            "test_episodes_sha256": test.sha256,
        },
    )
    training_batches(config, shared)  # refuses here, before any run directory exists
    for one in {(c.activation, c.model, c.batch_norm): c for c in configs}.values():
        _try_out(one, shared)
    return shared


def _try_out(config: MamlConfig, shared: EpisodeData) -> None:
    """Build the network of an arm; adapt another's and differentiate, as nobody knows what it does.

    The loss is differentiated by `backward`, which visits all of its graph: `torch.autograd.grad`
    passes by what has no second derivative, and would leave its terms out without a word.

    Raises:
        UsageError: If that cannot be; it names the remedy.
    """
    arm = activations.resolve(config.activation, config.forms)
    classes = shared.split.train.classes
    model = build(config, shared)
    if arm.kind == "user" and learner_of(config, model, classes=classes).second_order:
        with preserved_rng():
            why = lost_terms(arm.factory(), torch.linspace(-3, 3, 72).reshape(2, 4, 3, 3))
        if why:
            raise UsageError(
                "`activation` must have exact second derivatives to be meta-learned by "
                f"second-order steps ({why}); take --first-order, or write its backward pass of "
                f"differentiable operations ({REMEDY}); got {config.activation!r}."
            )
    if not is_foreign(config.model):
        return
    batch = training_batches(config, shared)(0)
    # As many as a share of this network has: what goes task by task is not vectorised.
    some = min(2, -(-len(batch) // learner_of(config, model, classes=classes).shares(batch)))
    tried = replace(config, inner_steps=1, chunk_size=some)
    try:
        with isolated_rng("maml", config.seed, 0):
            learner = learner_of(tried, model, classes=classes)
            torch.autograd.backward(learner.evaluate(batch[:some]).loss)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        order = "once" if config.first_order else "twice (--first-order: once)"
        raise UsageError(
            f"`model` must be differentiable {order} to be meta-learned ({reason}); got "
            f"{config.model!r}."
        ) from error


def training_batches(config: MamlConfig, shared: EpisodeData) -> Callable[[int], tasks.MetaBatch]:
    """The training meta-batches of one seed, by the number of the iteration.

    Fresh episodes, or with `task_pool` a draw with replacement from that many. Where nothing adapts
    in training, their labels number all training classes.

    Raises:
        UsageError: If the training part cannot fill such episodes.
    """
    assert config.queries is not None
    fresh = tasks.Episodes(
        shared.split.train,
        ways=config.ways,
        shots=config.shots,
        queries=config.queries,
        seed=config.seed,
        mean=shared.mean,
        std=shared.std,
        device=shared.device,
        own_labels=config.algorithm == "finetune",
    )
    fresh.check_tasks(config.tasks)
    if not config.task_pool:
        return lambda iteration: fresh.sample(config.tasks, index=iteration)
    with renamed(episodes="task_pool"):
        pool = tasks.frozen(
            shared.split.train,
            ways=config.ways,
            shots=config.shots,
            queries=config.queries,
            episodes=config.task_pool,
            seed=config.seed,
            mean=shared.mean,
            std=shared.std,
            device=shared.device,
            own_labels=config.algorithm == "finetune",
        )

    def draw(iteration: int) -> tasks.MetaBatch:
        generator = torch.Generator().manual_seed(derived_seed("pool", config.seed, iteration))
        return pool.take(torch.randint(len(pool), (config.tasks,), generator=generator))

    return draw


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


def plan(configs: Sequence[MamlConfig], shared: EpisodeData) -> list[Planned]:
    """One run for each config; every setting and the data's content name it."""
    return [_planned(config, shared) for config in configs]


def _planned(config: MamlConfig, shared: EpisodeData) -> Planned:
    identity = {
        **config.fields(),
        "hold_out": shared.split.held_out,
        **shared.identity,
        **source_identity(config),
    }
    stem = f"{Path(config.dataset).stem}-{config.ways}way-{config.shots}shot"
    return Planned(
        config=config,
        kind="maml",
        name=run_name(stem, activation=config.activation, seed=config.seed),
        label=f"{config.activation} {_rates(config)} seed {config.seed}",
        identity=identity,
        measure=measure(identity, shared.data),
        length=config.iterations,
        group=_group(config),
        together=most_together(config.stack, shared.device),
        signature=signature(shared.split.train, ways=config.ways),
    )


def _group(config: MamlConfig) -> object:
    """Equal for runs that may be trained in one call; None for one that is always alone."""
    assert config.algorithm is not None
    if not find_algorithm(config.algorithm).stacks:
        return None
    arm = config.activation if config.algorithm == "metasgd" else "relu"
    return replace(config, activation=arm, seed=0, inner_lr=1.0, meta_lr=1.0)


def _rates(config: MamlConfig) -> str:
    """The learning rates that the algorithm has."""
    read = [
        one
        for one in with_role(MamlConfig, "rate")
        if is_read(one, {"algorithm": config.algorithm})
    ]
    return " ".join(in_words(one.name, getattr(config, one.name)) for one in read)


def execute(
    members: Sequence[Member], shared: EpisodeData, *, tick: Callable[[], None] = lambda: None
) -> None:
    """Meta-train, validate along the way, test, and finish; or continue where it stopped."""
    train_together(
        members, lambda member: Learner(member.planned.config, shared), Advance(), tick=tick
    )


def estimate(planned: Planned, shared: EpisodeData) -> float:
    """Seconds that a run takes: its meta-updates, its validations and its test, as timed."""
    config: MamlConfig = planned.config
    learner = Learner(replace(config, iterations=LONGEST, validation_every=LONGEST), shared)
    update = seconds_of(learner.step)
    batch = next(shared.test.batches(config.tasks))
    episodes = len(shared.test)
    if shared.validation is not None:
        assert config.validation_every is not None
        episodes += len(shared.validation) * -(-config.iterations // config.validation_every)
    tested = seconds_of(lambda: learner.learner.test(batch, inner_steps=config.test_inner_steps))
    return update * config.iterations + tested * episodes / len(batch)


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


def _picture(test: tasks.FrozenEpisodes, images: tasks.Images) -> Figure:
    """The first episode, from the raw bytes: support images left, query images right."""
    episode = test.indices[0]
    ways, rows = len(episode), episode[:WAYS]
    left_out = len(rows) < ways
    support = rows[:, : min(test.shots, SHOTS)]
    query = rows[:, test.shots :][:, :QUERIES]
    pixels, labels = images.pixels.cpu(), images.labels.cpu()
    return analysis.episode_sheet(
        pixels[support.reshape(-1)].numpy(),
        [way for way, row in enumerate(support) for _ in row],
        pixels[query.reshape(-1)].numpy(),
        [way for way, row in enumerate(query) for _ in row],
        class_names=[images.class_names[int(labels[row[0]])] for row in rows],
        title="the first test episode" + (f": {len(rows)} of {ways} classes" if left_out else ""),
        width=EXAMPLE_WIDTH,
    )
