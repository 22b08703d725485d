"""Many runs: failures and busy runs are named, groups keep apart, nothing asked for is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from metaact import experiments, reports
from metaact.adaptation import MetaStack
from metaact.errors import RunError
from metaact.experiments import (
    CONVERGE,
    MAML,
    TRANSFER,
    ConvergeConfig,
    MamlConfig,
    TransferConfig,
    find,
)
from metaact.experiments.converge import run as converge_run
from metaact.runs import Run, RunStore
from metaact.settings import Config

Content = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="module")
def small(transfer_config: TransferConfig) -> ConvergeConfig:
    """Training on 58 images: a twentieth of a second."""
    return ConvergeConfig(
        dataset=transfer_config.source, lr=0.01, batch_size=16, epochs=1, first_epoch_points=1
    )


def runs_of(store: Path, kind: str = "converge") -> dict[tuple[str, float, int], Run]:
    """By activation, rate and seed."""
    return {
        (run.config["activation"], run.config["lr"], run.config["seed"]): run
        for run in RunStore(store).runs(kind)
    }


def test_a_failed_and_a_busy_run_are_named(
    small: ConvergeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, busy, fine = (replace(small, seed=seed) for seed in (8, 7, 6))
    build = converge_run.build

    def fail(config: ConvergeConfig, shared: Any) -> torch.nn.Module:
        if config.seed == 8:
            raise RunError("no space left.")
        return build(config, shared)

    monkeypatch.setattr(converge_run, "build", fail)
    ready = experiments.prepare(CONVERGE, [broken, busy, fine], tmp_path)
    other = RunStore(tmp_path).open(
        kind="converge", name="x", config=ready.jobs[1].planned.identity
    )
    held = Run(ready.jobs[1].run.directory, kind=other.kind, name=other.name, config=other.config)
    ticks: list[int] = []
    said: list[str] = []
    with held.lock():
        outcome = ready.run(tick=ticks.append, say=said.append)
    report = outcome.report
    assert not report.is_complete
    assert report.failed == (("arelu sgd lr 0.01 seed 8", "no space left."),)
    assert report.busy == ("arelu sgd lr 0.01 seed 7",)
    assert [run.config["seed"] for run in report.done] == [6]
    assert len(report.complaints()) == 2
    assert any("another process is working on it" in line for line in said)
    assert sum(ticks) == 2  # what is busy has done nothing here
    document = reports.answer(outcome)
    assert document.missing == report.complaints()
    assert experiments.run(CONVERGE, [busy], tmp_path).report.is_complete


def test_an_arm_that_raises_anything_does_not_stop_the_others(
    small: ConvergeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    build = converge_run.build

    def broken(config: ConvergeConfig, shared: Any) -> torch.nn.Module:
        if config.seed == 1:
            raise KeyError("mine")
        return build(config, shared)

    monkeypatch.setattr(converge_run, "build", broken)
    caplog.set_level("DEBUG")
    both = [replace(small, seed=seed) for seed in (1, 2)]
    report = experiments.run(CONVERGE, both, tmp_path).report
    assert report.failed == (("arelu sgd lr 0.01 seed 1", "KeyError: 'mine'"),)
    assert [run.is_complete for run in report.done] == [True]
    assert "Traceback" in caplog.text


def test_every_step_is_ticked_once(small: ConvergeConfig, tmp_path: Path) -> None:
    """Also in groups, for runs that were there, and for those that end early."""
    configs = [replace(small, seed=seed, stack=2, epochs=2) for seed in range(3)]
    configs.append(replace(small, lr=1e25, stack=2, epochs=2))
    for _ in range(2):
        ticks: list[int] = []
        ready = experiments.prepare(CONVERGE, configs, tmp_path)
        assert ready.run(tick=ticks.append).report.is_complete
        assert sum(ticks) == ready.steps == 8


def test_a_run_that_was_killed_at_its_start_is_not_left_out_once_it_is_done(
    small: ConvergeConfig, tmp_path: Path
) -> None:
    experiments.run(CONVERGE, [small], tmp_path)
    (run,) = RunStore(tmp_path).runs()
    for path in run.directory.iterdir():
        if path.name != "environment.json":  # which is written first
            path.unlink()
    outcome = experiments.run(CONVERGE, [small], tmp_path)
    assert outcome.report.is_complete
    assert outcome.damaged == ()


def test_a_damaged_run_is_told_and_the_others_are_made(
    small: ConvergeConfig, tmp_path: Path
) -> None:
    other = replace(small, activation="relu")
    experiments.run(CONVERGE, [small], tmp_path)
    (run,) = RunStore(tmp_path).runs()
    records = (run.directory / "metrics.jsonl").read_bytes()
    (run.directory / "metrics.jsonl").write_bytes(records.replace(b'"epoch": 1,', b'"epoxh": 1,'))
    outcome = experiments.run(CONVERGE, [small, other], tmp_path)
    ((label, reason),) = outcome.report.failed
    assert label == "arelu sgd lr 0.01 seed 0"
    assert "metrics.jsonl` is damaged (it was changed after the end of the run)" in reason
    assert [run.config["activation"] for run in outcome.report.done] == ["relu"]
    document = reports.answer(outcome)
    assert [arm.name for study in document.studies for arm in study.arms] == ["relu"]
    assert any(label in line for line in document.missing)


def test_a_foreign_damaged_run_of_the_store_is_told(small: ConvergeConfig, tmp_path: Path) -> None:
    experiments.run(CONVERGE, [small], tmp_path)
    (spoiled,) = RunStore(tmp_path).runs()
    (spoiled.directory / "result.json").write_text("{", encoding="utf-8")
    outcome = experiments.run(CONVERGE, [replace(small, activation="relu")], tmp_path)
    (left_out,) = reports.answer(outcome).left_out
    assert left_out.directory == str(spoiled.directory)
    assert "result.json" in left_out.why


TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}
"""Of weights after some epochs: what differently blocked sums round has grown with them."""


def test_a_group_ends_where_single_runs_do(small: ConvergeConfig, tmp_path: Path) -> None:
    """Each keeps a directory of its own, with the same identity and everything in it."""
    configs = [replace(small, seed=seed, lr=lr) for seed in (0, 1) for lr in (0.02, 0.005)]
    configs += [replace(small, activation=name) for name in ("rrelu", "relu", "pau", "maxout")]
    configs.append(replace(small, epochs=2))
    for folder, stack in (("alone", 1), ("stack", 6)):
        asked = [replace(config, stack=stack) for config in configs]
        assert experiments.run(CONVERGE, asked, tmp_path / folder).report.is_complete
    alone, stacked = (
        {run.identity: run for run in RunStore(tmp_path / name).runs()}
        for name in ("alone", "stack")
    )
    assert alone.keys() == stacked.keys()
    assert len(alone) == 9
    for identity, one in alone.items():
        other = stacked[identity]
        assert other.directory.name == one.directory.name
        for name, tensor in one.weights().items():
            torch.testing.assert_close(other.weights()[name], tensor, **TOLERANCE)
        pairs = list(zip(one.metrics(), other.metrics(), strict=True))
        assert [(a["epoch"], a["step"]) for a, _ in pairs] == [
            (b["epoch"], b["step"]) for _, b in pairs
        ]
        assert all(a.keys() == b.keys() for a, b in pairs)
        for a, b in pairs[1:]:
            assert b["test_loss"] == pytest.approx(a["test_loss"], rel=1e-3, abs=1e-4)
        assert one.result().keys() == other.result().keys()


def test_fine_tunings_of_a_group_agree_with_single_ones(
    transfer_config: TransferConfig, tmp_path: Path
) -> None:
    gentle = replace(transfer_config, pretrain_lr=0.005, epochs=(1,), pretrain_epochs=1)
    configs = [replace(gentle, lr=lr, seed=seed) for lr in (0.01, 0.001) for seed in (0, 1)]
    configs.append(replace(gentle, activation="relu"))
    found = []
    for folder, stack in (("alone", 1), ("stack", 4)):
        asked = [replace(config, stack=stack) for config in configs]
        assert experiments.run(TRANSFER, asked, tmp_path / folder).report.is_complete
        found.append({run.identity: run for run in RunStore(tmp_path / folder).runs("transfer")})
    alone, stacked = found
    assert alone.keys() == stacked.keys()
    assert len(alone) == 10
    for identity, run in alone.items():
        for name, tensor in run.weights().items():
            torch.testing.assert_close(stacked[identity].weights()[name], tensor, **TOLERANCE)


def test_meta_learned_runs_of_a_group_agree_with_single_ones(
    maml_config: MamlConfig, tmp_path: Path
) -> None:
    """Seeds, rates and arms; what draws, and what learns rates for its layers, is in none."""
    base = replace(maml_config, iterations=3, inner_steps=2, test_inner_steps=2)
    arms = ("arelu", "relu", "prelu", "arelu-frozen", "maxout", "rrelu")
    configs = [replace(base, activation=name) for name in arms]
    configs += [replace(base, seed=1, inner_lr=lr, meta_lr=0.01) for lr in (0.1, 0.02)]
    configs.append(replace(base, algorithm="maml++"))
    found = []
    for folder, stack in (("alone", 1), ("stack", 4)):
        asked = [replace(config, stack=stack) for config in configs]
        assert experiments.run(MAML, asked, tmp_path / folder).report.is_complete
        found.append({run.identity: run for run in RunStore(tmp_path / folder).runs()})
    alone, stacked = found
    assert alone.keys() == stacked.keys()
    assert len(alone) == 9
    for identity, run in alone.items():
        other = stacked[identity]
        for name, tensor in run.weights().items():
            torch.testing.assert_close(other.weights()[name], tensor, **TOLERANCE)
        for a, b in zip(run.metrics(), other.metrics(), strict=True):
            assert a.keys() == b.keys()
            assert b["train_loss"] == pytest.approx(a["train_loss"], rel=1e-3, abs=1e-4)
        assert run.result().keys() == other.result().keys()


def test_meta_learned_runs_are_one_call_as_far_as_they_fit(
    maml_config: MamlConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    before = MetaStack.backward

    def counted(self: MetaStack, *given: Any, **more: Any) -> Any:
        sizes.append(len(self.learners))
        return before(self, *given, **more)

    monkeypatch.setattr(MetaStack, "backward", counted)
    base = replace(maml_config, iterations=1, stack=8)
    configs = [replace(base, activation=n, seed=s) for n in ("arelu", "relu") for s in range(3)]
    experiments.run(MAML, configs, tmp_path / "all")
    assert sizes == [6]
    monkeypatch.setattr("metaact.experiments.maml.learner.most_runs", lambda *_: 4)
    sizes.clear()
    experiments.run(MAML, configs, tmp_path / "few")
    assert sizes == [4, 2]


def test_a_diverged_run_leaves_the_others_to_meta_learn(
    maml_config: MamlConfig, tmp_path: Path
) -> None:
    base = replace(maml_config, iterations=4, stack=3)
    configs = [base, replace(base, meta_lr=1e30), replace(base, activation="relu")]
    assert experiments.run(MAML, configs, tmp_path).report.is_complete
    ends = {
        (run.config["activation"], run.config["meta_lr"]): run.result()["outcome"]
        for run in RunStore(tmp_path).runs()
    }
    assert ends == {
        ("arelu", base.meta_lr): "complete",
        ("arelu", 1e30): "diverged",
        ("relu", base.meta_lr): "complete",
    }


def test_companions_make_no_difference(small: ConvergeConfig, tmp_path: Path) -> None:
    """A diverged companion leaves the group, and the others go on as if it had not been there."""
    wild = replace(small, lr=1e25, stack=3, epochs=2)
    fine = [replace(small, seed=seed, stack=3, epochs=2) for seed in (0, 1)]
    experiments.run(CONVERGE, fine, tmp_path / "without")
    assert experiments.run(CONVERGE, [wild, *fine], tmp_path / "with").report.is_complete
    without, beside = runs_of(tmp_path / "without"), runs_of(tmp_path / "with")
    result = beside.pop(("arelu", 1e25, 0)).result()
    assert (result["outcome"], result["epoch"]) == ("diverged", 1)
    assert beside.keys() == without.keys()
    for key, run in without.items():
        assert beside[key].result()["outcome"] == "complete"
        for name, tensor in run.weights().items():
            # The second epoch amplifies the rounding of the first.
            torch.testing.assert_close(beside[key].weights()[name], tensor, rtol=1e-2, atol=1e-4)


def test_a_companion_that_cannot_go_on_does_not_stop_the_others(
    small: ConvergeConfig, tmp_path: Path
) -> None:
    """Its checkpoint is damaged: it alone fails, whichever of the group has its turn first."""
    configs = [replace(small, seed=seed, stack=3) for seed in range(3)]
    ready = experiments.prepare(CONVERGE, configs, tmp_path)
    spoiled = ready.jobs[1].run
    with spoiled.lock():
        spoiled.start({})
    (spoiled.directory / "checkpoint.pt").write_bytes(b"damaged")
    report = ready.run().report
    assert [label for label, _ in report.failed] == ["arelu sgd lr 0.01 seed 1"]
    assert "checkpoint.pt" in report.failed[0][1]
    assert [run.config["seed"] for run in report.done] == [0, 2]


def test_runs_that_do_not_fit_together_are_not_put_together(
    transfer_config: TransferConfig, tmp_path: Path
) -> None:
    """Pre-trainings of other batches or momentum are no group, though their arm is the same."""
    base = replace(transfer_config, stack=4, pretrain_epochs=1, epochs=(1,))
    configs = [base, replace(base, batch_size=8), replace(base, momentum=0.5)]
    outcome = experiments.run(TRANSFER, configs, tmp_path)
    assert outcome.report.complaints() == []
    alone = [replace(config, stack=1) for config in configs]
    experiments.run(TRANSFER, alone, tmp_path / "alone")
    expected = {run.identity: run for run in RunStore(tmp_path / "alone").runs("source")}
    for run in RunStore(tmp_path).runs("source"):
        for name, tensor in expected[run.identity].weights()["epoch-1"].items():
            torch.testing.assert_close(run.weights()["epoch-1"][name], tensor, **TOLERANCE)


@pytest.fixture(scope="module")
def stores(configs: dict[str, Config], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One store an experiment, its runs complete."""
    found = {}
    for name, config in configs.items():
        found[name] = tmp_path_factory.mktemp("stores")
        experiments.run(find(name), [config], found[name])
    return found


@pytest.mark.parametrize("name", ["maml", "converge", "transfer"])
def test_a_run_records_what_would_else_be_guessed(
    name: str, stores: dict[str, Path], configs: dict[str, Config]
) -> None:
    chance = {"maml": 1 / 3, "converge": 1 / 30, "transfer": 1 / 4}[name]
    for run in RunStore(stores[name]).runs(name):
        about = json.loads((run.directory / "config.json").read_text())
        assert about["command"]["verb"] == name
        assert about["measure"]["chance"] == pytest.approx(chance)
        assert about["measure"]["units"] == {"maml": 12, "converge": 120, "transfer": 19}[name]
        environment = run.environment()
        assert set(environment["normalisation"]) >= {"mean", "std"}
        assert environment["data"]
        assert run.length == {"maml": 6, "converge": 3, "transfer": 3}[name]


def test_the_normalisation_is_that_of_the_network(stores: dict[str, Path]) -> None:
    """MAML subtracts the mean of its training pixels; the others feed bytes scaled to 0..1."""
    (maml,) = RunStore(stores["maml"]).runs("maml")
    found = maml.environment()["normalisation"]
    assert 0.3 < found["mean"][0] < 0.7
    assert 0.1 < found["std"][0] < 0.4
    (converge,) = RunStore(stores["converge"]).runs("converge")
    assert converge.environment()["normalisation"]["std"] == [1.0]


@pytest.mark.parametrize("name", ["maml", "converge", "transfer"])
def test_scores_per_unit_are_recorded(name: str, stores: dict[str, Path]) -> None:
    (study,) = reports.gather([stores[name]]).studies[:1]
    for record in study.records:
        assert record.scores is not None
        assert len(record.scores) == study.measure.units
        assert record.scores.mean() == pytest.approx(record.score)


@pytest.mark.parametrize("name", ["maml", "converge", "transfer"])
def test_the_same_again_is_reused_and_says_so(
    name: str, stores: dict[str, Path], configs: dict[str, Config], content: Content
) -> None:
    before, said = content(stores[name]), list[str]()
    outcome = experiments.run(find(name), [configs[name]], stores[name], say=said.append)
    assert outcome.report.reused == len(said) == (3 if name == "transfer" else 1)
    assert all("complete already, reused" in line for line in said)
    assert content(stores[name]) == before


def test_many_runs_that_are_reused_are_one_line(small: ConvergeConfig, tmp_path: Path) -> None:
    configs = [replace(small, seed=seed) for seed in range(7)]
    for asked, lines in ((configs, 1), (configs[:6], 6)):
        experiments.run(CONVERGE, asked, tmp_path)
        said = list[str]()
        outcome = experiments.run(CONVERGE, asked, tmp_path, say=said.append)
        assert outcome.report.reused == len(asked)
        assert len(said) == lines
    experiments.run(CONVERGE, configs, tmp_path, say=said.append)
    assert said[-1] == f"7 runs: complete already, reused (in {tmp_path / 'converge'})"


def test_a_longer_run_serves_a_shorter_one(
    stores: dict[str, Path], converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    short = replace(converge_config, epochs=1, first_epoch_points=0)
    outcome = experiments.run(CONVERGE, [short], stores["converge"])
    assert (outcome.report.reused, outcome.at) == (1, 1)
    (run,) = RunStore(stores["converge"]).runs()
    after = [r["test_accuracy"] for r in run.metrics() if r["epoch"] == 1]
    assert reports.answer(outcome).studies[0].arms[0].by_seed == {0: after[0]}
    for other in (replace(converge_config, epochs=4), replace(short, lr=0.03)):
        ready = experiments.prepare(CONVERGE, [other], stores["converge"])
        assert not ready.jobs[0].run.is_complete


def test_a_diverged_run_serves_no_shorter_one(small: ConvergeConfig, tmp_path: Path) -> None:
    experiments.run(CONVERGE, [replace(small, lr=1e25, epochs=2)], tmp_path)
    ready = experiments.prepare(CONVERGE, [replace(small, lr=1e25)], tmp_path)
    assert not ready.jobs[0].run.is_complete


def test_meta_learning_is_not_read_early(stores: dict[str, Path], configs: dict[str, Any]) -> None:
    """Its last score is that of the whole run: a shorter run is another one."""
    ready = experiments.prepare(MAML, [replace(configs["maml"], iterations=2)], stores["maml"])
    assert not ready.jobs[0].run.is_complete
