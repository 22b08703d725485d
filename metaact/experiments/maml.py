"""Meta-learn one activation with MAML and measure it on frozen held-out episodes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from metaact import activations, tasks
from metaact.adaptation import MAML, import_learn2learn
from metaact.errors import RunError, renamed
from metaact.randomness import derived_seed, isolated_rng
from metaact.runs import Run, RunStore, environment, finite

from .config import MamlConfig
from .networks import canonical, network
from .sweep import Job

TEST_SEED = 20_200_623
"""Seed of the frozen episodes: one for all runs, so that arms and seeds are paired."""

CHECKPOINT_SECONDS = 5.0
"""Wall time between checkpoints: what a kill can cost."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """The data that every arm and seed of one comparison share.

    Attributes:
        split: Verified train, validation and test images, on the device.
        mean: Per channel mean of the training pixels in [0, 1].
        std: Per channel standard deviation of the same.
        test: Frozen test episodes.
        validation: Frozen validation episodes; None where the split has no validation part.
        device: Where everything is computed.
        identity: Hashes that enter every run's identity: other data or episodes, other run.
    """

    split: tasks.Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    test: tasks.FrozenEpisodes
    validation: tasks.FrozenEpisodes | None
    device: str
    identity: dict[str, str]


def study(config: MamlConfig, *, root: Path | None = None, device: str = "cpu") -> Study:
    """Load and verify the data of `config`, and draw its frozen episodes.

    Args:
        config: Any run of the comparison; activation and seed play no part.
        root: Data root; None for the default.
        device: Where the images are to reside.

    Returns:
        What all runs of the comparison share.

    Raises:
        UsageError: If the episodes asked for do not fit the data.
        DataError: If the data cannot be had.
        MissingDependencyError: If the engine "learn2learn" is asked for and not installed.
    """
    if config.engine == "learn2learn":
        import_learn2learn()  # missing, it would fail every run after its directory was made
    split = tasks.split(
        config.dataset,
        root=root,
        hold_out=config.hold_out,
        validation=0 if config.protocol == "paper" else None,
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
    shared = Study(
        split=split,
        mean=mean,
        std=std,
        test=test,
        validation=validation,
        device=device,
        identity={
            "train_sha256": split.train.sha256(),
            "test_episodes_sha256": test.sha256,
        },
    )
    training_batches(config, shared)  # refuses here, before any run directory exists
    return shared


def training_batches(config: MamlConfig, shared: Study) -> Callable[[int], tasks.MetaBatch]:
    """The training meta-batches of one seed, by the number of the iteration.

    Fresh episodes, or with `task_pool` a draw with replacement from that many.

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
        )

    def draw(iteration: int) -> tasks.MetaBatch:
        generator = torch.Generator().manual_seed(derived_seed("pool", config.seed, iteration))
        return pool.take(torch.randint(len(pool), (config.tasks,), generator=generator))

    return draw


def open_run(config: MamlConfig, shared: Study, store: RunStore) -> Run:
    """The run directory of `config` in `store`; every setting and the data's content name it."""
    identity = {
        **config.fields(),
        "dataset": Path(config.dataset).name,
        "hold_out": shared.split.held_out,
        **shared.identity,
        **activations.source_identity(config.activation),
    }
    arm = config.activation.replace(":", ".")
    name = f"{Path(config.dataset).stem}-{config.ways}way-{config.shots}shot-{arm}"
    return store.open(kind="maml", name=f"{name}-seed{config.seed}", config=identity)


def expand(configs: Sequence[MamlConfig]) -> list[MamlConfig]:
    """Configs with canonical activation names; "all" stands for the paper's nineteen.

    Under the paper's protocol a name stands for what the paper's own code computes.

    Raises:
        UsageError: If a name is unknown; nothing has run by then.
    """
    return canonical(configs, lambda config: config.protocol)


def job(
    config: MamlConfig, shared: Study, store: RunStore, *, chunk_size: int | None = None
) -> Job:
    """The run of `config` as one job of a sweep.

    Raises:
        UsageError: If the network cannot be built with these settings; nothing has run by then.
    """
    build(config, shared)
    run = open_run(config, shared, store)
    return Job(
        label=f"{config.activation} inner lr {config.inner_lr:g} lr {config.meta_lr:g} "
        f"seed {config.seed}",
        run=run,
        steps=config.iterations,
        work=lambda tick: train(config, shared, run, tick=tick, chunk_size=chunk_size),
    )


def build(config: MamlConfig, shared: Study) -> nn.Module:
    """The network of one seed before training, on the study's device."""
    train = shared.split.train
    return network(config, train, classes=config.ways, forms=config.protocol, device=shared.device)


def train(
    config: MamlConfig,
    shared: Study,
    run: Run,
    *,
    tick: Callable[[], None] = lambda: None,
    chunk_size: int | None = None,
) -> None:
    """Meta-train, validate along the way, test, and finish `run`; or continue where it stopped.

    The accuracy of an iteration is measured before its update, on the very tasks of the update:
    what the paper's authors report. Training that leaves the finite numbers ends as the outcome
    "diverged", with the iteration.

    Args:
        config: The settings.
        shared: The data, from `study`.
        run: A locked run directory.
        tick: Called once per iteration, also for those done before a kill.
        chunk_size: Tasks computed at a time; bounds memory, changes no result beyond rounding.

    Raises:
        RunError: If the run directory cannot be written or its checkpoint is damaged.
    """
    model = build(config, shared)
    maml = MAML(
        model,
        inner_lr=config.inner_lr,
        inner_steps=config.inner_steps,
        first_order=config.first_order,
        head_only=config.head_only,
        chunk_size=chunk_size,
        engine=config.engine,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=config.meta_lr)
    batches = training_batches(config, shared)
    run.start(environment(device=shared.device, data=shared.split.provenance()))
    first, best = _resume(run, model, optimizer)
    for _ in range(first):
        tick()
    saved = time.monotonic()
    for iteration in range(first, config.iterations):
        model.train()
        optimizer.zero_grad()
        with isolated_rng("maml", config.seed, iteration):
            outcome = maml.backward(batches(iteration))
        loss, accuracy = float(outcome.loss), float(outcome.accuracy.mean())
        if not math.isfinite(loss):
            run.finish({"outcome": "diverged", "iteration": iteration, **_counts(model)})
            return
        best = max(best, accuracy)
        optimizer.step()
        record = {"iteration": iteration, "train_loss": loss, "train_accuracy": accuracy}
        attention = finite(activations.attention_values(model))
        validation = _validate(config, shared, maml, iteration)
        run.append({**record, "attention": attention, **validation})
        tick()
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            _checkpoint(run, model, optimizer, iteration + 1, best)
            saved = time.monotonic()
    _finish(config, shared, run, maml, best)


def _finish(config: MamlConfig, shared: Study, run: Run, maml: MAML, best: float) -> None:
    model = maml.model
    if not all(bool(p.isfinite().all()) for p in model.parameters()):
        run.finish({"outcome": "diverged", "iteration": config.iterations, **_counts(model)})
        return
    accuracies = _test(config, maml, shared.test)
    run.save_weights(model.state_dict())
    run.finish(
        {
            "outcome": "complete",
            "test_accuracy": sum(accuracies) / len(accuracies),
            "best_training_accuracy": best,
            **_counts(model),
        },
        episodes=[{"episode": i, "accuracy": a} for i, a in enumerate(accuracies)],
    )


def _validate(config: MamlConfig, shared: Study, maml: MAML, iteration: int) -> dict[str, float]:
    done = iteration + 1
    due = done % config.validation_every == 0 or done == config.iterations
    if shared.validation is None or not due:
        return {}
    accuracies = _test(config, maml, shared.validation)
    return {"validation_accuracy": sum(accuracies) / len(accuracies)}


def _test(config: MamlConfig, maml: MAML, episodes: tasks.FrozenEpisodes) -> list[float]:
    """Accuracy on every frozen episode; random layers are in their evaluation mode."""
    return [
        float(accuracy)
        for batch in episodes.batches(config.tasks)
        for accuracy in maml.test(batch, inner_steps=config.test_inner_steps)
    ]


def _counts(model: nn.Module) -> dict[str, object]:
    """Sizes and final α, β of the model, for `result.json`."""
    values = activations.attention_values(model)
    return {
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "attention": finite(values),
        "stuck_alpha": activations.stuck_count(model),
        "attention_layers": len(values),
    }


def _checkpoint(
    run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, iteration: int, best: float
) -> None:
    run.checkpoint(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "iteration": iteration,
            "best": best,
        }
    )


def _resume(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """Put the checkpointed state back; the first iteration to do and the best accuracy so far."""
    state = run.resume()
    if state is None:
        return 0, 0.0
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return int(state["iteration"]), float(state["best"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise RunError(
            f"the checkpoint in {run.directory} does not fit this run ({error}); "
            "delete that directory and run again."
        ) from error
