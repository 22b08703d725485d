"""`maml --algorithm`: what a run of each learns and keeps, what it refuses, and who is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from metaact import experiments, load, reports
from metaact.adaptation.episodic.algorithms.table import ALGORITHMS
from metaact.errors import UsageError
from metaact.experiments import MAML, MamlConfig
from metaact.experiments.maml import run as maml
from metaact.runs import RunStore
from metaact.settings import completed

NAMES = tuple(ALGORITHMS)


@pytest.fixture(scope="module")
def quick(maml_config: MamlConfig) -> MamlConfig:
    """A run of a fifth of a second."""
    few = {"tasks": 2, "iterations": 4, "test_episodes": 6, "validation_episodes": 2}
    return replace(
        maml_config, inner_lr=0.005, inner_steps=2, test_inner_steps=None, queries=1, **few
    )


def with_algorithm(config: MamlConfig, name: str, **more: Any) -> MamlConfig:
    """The config with another algorithm; what that does not read as by default."""
    reads = ALGORITHMS[name].reads
    steps = {"inner_steps": 5, "test_inner_steps": None} if "inner_steps" not in reads else {}
    return replace(config, algorithm=name, **{**steps, **more})


@pytest.fixture(scope="module")
def store(quick: MamlConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each algorithm, and of two with another activation."""
    folder = tmp_path_factory.mktemp("algorithms")
    configs = [replace(with_algorithm(quick, name), activation="arelu") for name in NAMES]
    configs += [replace(with_algorithm(quick, name), activation="relu") for name in NAMES[:2]]
    assert experiments.run(MAML, configs, folder).report.is_complete
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_killed_a_run_ends_where_it_would_have(
    name: str,
    quick: MamlConfig,
    store: Path,
    tmp_path: Path,
    run_killed: Callable[..., object],
    content: Callable[[Path], dict[str, bytes]],
) -> None:
    config = replace(with_algorithm(quick, name), activation="arelu")
    assert run_killed(MAML, [config], tmp_path, after=2) is None
    assert run_killed(MAML, [config], tmp_path) is not None
    expected, again = content(store), content(tmp_path)
    assert {key.rpartition("/")[2] for key in again} == {
        "config.json",
        "metrics.jsonl",
        "scores.jsonl",
        "result.json",
        "weights",
    }
    for key, value in again.items():
        assert key.endswith("result.json") or value == expected[key]


def test_all_are_compared_on_the_same_episodes(store: Path) -> None:
    evidence = reports.gather([store], by="algorithm")
    assert not evidence.left_out
    document = reports.compare(evidence)
    for study, names in zip(document.studies, (NAMES, NAMES[:2]), strict=True):
        assert [arm.value for arm in study.arms] == list(names)
        assert study.reference == "maml"
        assert len(study.comparisons) == len(names) - 1
        assert study.title.startswith("Meta-learning on ")
        assert "prototypical" not in study.title
    by_activation = reports.compare(reports.gather([store]))
    assert len(by_activation.studies) == len(NAMES)
    assert sum("MAML on" in study.title for study in by_activation.studies) == 3


def test_an_algorithm_without_steps_is_beside_those_of_any_number(
    quick: MamlConfig, tmp_path: Path
) -> None:
    configs = [
        *(replace(quick, algorithm="maml", inner_steps=n, test_inner_steps=n) for n in (1, 2)),
        *(replace(quick, algorithm="boil", inner_steps=n, test_inner_steps=n) for n in (1, 2)),
        with_algorithm(quick, "protonet"),
    ]
    experiments.run(MAML, configs, tmp_path)
    studies = reports.gather([tmp_path], by="algorithm").studies
    assert [[arm.value for arm in study.arms] for study in studies] == [
        ["maml", "boil", "protonet"]
    ] * 2
    assert sorted(study.settings["inner_steps"] for study in studies) == [1, 2]


def test_rates_that_only_one_has_are_no_matter_where_they_are_unambiguous(
    quick: MamlConfig, tmp_path: Path
) -> None:
    maml_rates = [replace(quick, inner_lr=rate, seed=s) for rate in (0.01, 0.1) for s in (0, 1)]
    one = [with_algorithm(quick, "protonet", seed=s) for s in (0, 1)]
    outcome = experiments.run(MAML, [*one, *maml_rates], tmp_path)
    document = reports.answer(outcome, by="algorithm")
    (study,) = document.studies
    assert [arm.name for arm in study.arms] == [
        "protonet",
        "maml inner lr 0.01",
        "maml inner lr 0.1",
    ]
    assert [c.second for c in study.comparisons] == ["protonet", "protonet"]
    other = reports.answer(outcome, by="algorithm", reference="maml").studies[0]
    assert other.comparisons == []
    assert "maml was run at several rates that protonet does not have" in " ".join(other.notes)
    assert other.tuned is not None
    assert [c.first for c in other.tuned.comparisons] == ["protonet"]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_loaded_and_adapts_as_it_was_tested(
    name: str, quick: MamlConfig, store: Path
) -> None:
    config = replace(with_algorithm(quick, name), activation="arelu")
    shared = maml.prepare([config])
    (planned,) = maml.plan([config], shared)
    run = next(r for r in RunStore(store).runs() if dict(r.config) == dict(planned.identity))
    trained = load(run)
    episodes = next(shared.test.batches(3))
    mean, std = (torch.tensor(v).reshape(-1, 1, 1) for v in (shared.mean, shared.std))
    for task in range(3):
        plain = (episodes.support[task] * std + mean).clamp(0, 1)
        adapted = trained.adapt(plain, episodes.support_labels[task])
        queries = (episodes.query[task] * std + mean).clamp(0, 1)
        hits = adapted(queries).argmax(1) == episodes.query_labels[task]
        assert float(hits.double().mean()) == pytest.approx(run.scores()[task], abs=1e-6)


def test_older_runs_keep_their_names_and_are_read_as_what_they_are() -> None:
    for flags, name in (
        ({}, "maml"),
        ({"first_order": True}, "fomaml"),
        ({"head_only": True}, "anil"),
        ({"head_only": True, "first_order": True}, "anil"),
    ):
        older = MamlConfig(**flags).fields()
        assert "algorithm" not in older
        assert completed(MamlConfig, older)["algorithm"] == name
        assert MamlConfig(**{**flags, "algorithm": name}).fields() == older
    assert MamlConfig(algorithm="boil").fields()["algorithm"] == "boil"


def test_what_an_algorithm_does_not_read_names_no_run() -> None:
    named = MamlConfig(algorithm="protonet").fields()
    assert not {"inner_lr", "inner_steps", "test_inner_steps", "first_order", "head_only"} & set(
        named
    )
    assert "meta_lr" not in MamlConfig(algorithm="reptile").fields()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"algorithm": "protonet", "inner_lr": 0.1}, "`inner_lr` must be left out with algorithm"),
        ({"algorithm": "protonet", "inner_steps": 1}, "`inner_steps` must be left out"),
        ({"algorithm": "reptile", "meta_lr": 0.1}, "`meta_lr` must be left out"),
        ({"algorithm": "reptile", "first_order": True}, "`first_order` must be left out"),
        ({"outer_step": 0.5}, "`outer_step` must be left out with algorithm 'maml'"),
        ({"algorithm": "boil", "head_only": True}, "`head_only` must be left out"),
        ({"algorithm": "fomaml", "head_only": True}, "`head_only` must be left out"),
        ({"algorithm": "metasgd", "multi_step": 3}, "it is read with maml"),
        ({"algorithm": "metasgd", "engine": "learn2learn"}, "`engine` must be 'vectorised' or"),
        ({"inner_clip": 1.0, "engine": "learn2learn"}, "with `inner_clip`"),
        ({"algorithm": "proto"}, "Did you mean"),
    ],
)
def test_contradictions_are_refused_by_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        MamlConfig(**settings)


def test_clipping_keeps_a_run_from_exploding(quick: MamlConfig, tmp_path: Path) -> None:
    wild = replace(quick, inner_lr=1e6, iterations=2)
    outcome = experiments.run(MAML, [wild, replace(wild, inner_clip=1e-6)], tmp_path)
    assert [run.result()["outcome"] for run in outcome.report.done] == ["diverged", "complete"]
    assert all(record["train_loss"] < 10 for record in outcome.report.done[1].metrics())


def test_the_command_gives_each_algorithm_its_own_settings(
    pack: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    asked = ("maml", "--dataset", str(pack), "--ways", "3", "--queries", "2", "--dry-run")
    found = cli(
        *asked,
        "--by",
        "algorithm",
        "--algorithm",
        "maml,protonet,reptile",
        "--inner-lr",
        "0.01,0.1",
        "--outer-step",
        "0.5",
        "--inner-steps",
        "1",
        "--out",
        str(tmp_path / "runs"),
    )
    lines = [line for line in found.out.splitlines() if "missing" in line and "seed" in line]
    assert [sum(word in line for line in lines) for word in ("MAML", "proto", "Reptile")] == [
        2,
        1,
        2,
    ]
    refused = cli(*asked, "--algorithm", "protonet", "--inner-lr", "0.005")
    assert refused.code == 2
    assert "--inner-lr must be left out with algorithm protonet" in refused.err
    refused = cli(*asked, "--outer-step", "1")
    assert "--outer-step must be left out without algorithm reptile" in refused.err
