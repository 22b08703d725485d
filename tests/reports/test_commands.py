"""The printed command parses back to the settings of the runs that it claims to make."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from metaact.cli.verb import configs_of, verb
from metaact.experiments import (
    CONVERGE,
    MAML,
    TRANSFER,
    ConvergeConfig,
    Experiment,
    MamlConfig,
    TransferConfig,
)
from metaact.experiments.commands import command, merged
from metaact.reports import compare, gather
from metaact.runs import read_run
from metaact.settings import Config

RIGHT = [[True, False], [True, True]]


def parsed(line: str, experiment: Experiment) -> list[Config]:
    """The configs that a command line asks for."""
    program, name, *words = shlex.split(line)
    assert (program, name) == ("metaact", experiment.name)
    given = verb(experiment).make_context(name, words).params
    return configs_of(experiment, given, by=given["by"], tune=given["tune"])


MADE: list[tuple[Experiment, Config]] = [
    (MAML, MamlConfig()),
    (MAML, MamlConfig(dataset="mnist", protocol="paper", seed=2)),
    (MAML, MamlConfig(protocol="paper", queries=15, task_pool=0)),
    (MAML, MamlConfig(protocol="paper", shots=5)),
    (MAML, MamlConfig(shots=5, ways=10, first_order=True, hold_out="images")),
    (MAML, MamlConfig(model="conv4", batch_norm="off", test_inner_steps=10)),
    (MAML, MamlConfig(model="conv4", batch_norm="batch", inner_steps=3)),
    (MAML, MamlConfig(meta_lr=1e-3, inner_lr=0.02, replacement=False, head_only=True)),
    (MAML, MamlConfig(activation="arelu(alpha=0.5,beta=1)", dataset="my data/a b.npz")),
    (MAML, MamlConfig(engine="loop", chunk_size=2, validation_every=1)),
    (CONVERGE, ConvergeConfig()),
    (CONVERGE, ConvergeConfig(activation="selu", lr=1e-3, optimizer="adam", protocol="paper")),
    (CONVERGE, ConvergeConfig(lr=0.0123456789, epochs=2, first_epoch_points=7, stack=3)),
    (CONVERGE, ConvergeConfig(train_layers=("head", "conv3"), freeze_activations=True)),
    (TRANSFER, TransferConfig()),
    (TRANSFER, TransferConfig(source="mnist", target="svhn", layer_lrs=(("head", 1e-3),))),
    (TRANSFER, TransferConfig(epochs=(3,), pretrain_epochs=5, protocol="paper")),
    (TRANSFER, TransferConfig(epochs=(2, 4), text_epochs=7, protocol="paper-text")),
]


@pytest.mark.parametrize(
    ("experiment", "config"), MADE, ids=[f"{e.name}-{n}" for n, (e, _) in enumerate(MADE)]
)
def test_the_command_of_a_config_makes_it_again(experiment: Experiment, config: Config) -> None:
    (line,) = merged([command(experiment, config)])
    assert parsed(line, experiment) == [config], line


def test_what_follows_from_other_settings_is_not_named() -> None:
    assert merged([command(MAML, MamlConfig(protocol="paper", shots=5))]) == [
        "metaact maml --shots 5 --protocol paper"
    ]
    assert merged([command(MAML, MamlConfig(model="conv4"))]) == ["metaact maml --model conv4"]
    assert merged([command(CONVERGE, ConvergeConfig(lr=0.1))]) == ["metaact converge --lr 0.1"]


def _line(store: Path) -> str:
    (study,) = compare(gather([store])).studies
    (line,) = study.commands
    return line


def test_a_study_has_one_command_for_all_its_runs(tmp_path: Path, synthetic: ModuleType) -> None:
    every = [
        MamlConfig(
            activation=arm, seed=seed, inner_lr=rate, dataset="mnist", iterations=5, test_episodes=2
        )
        for rate in (0.005, 0.02)
        for arm in ("arelu", "relu")
        for seed in range(3)
    ]
    for one in every:
        synthetic.maml(tmp_path, one.activation, one.seed, [0.5, 0.6], inner_lr=one.inner_lr)
    line = _line(tmp_path)
    found: Any = parsed(line, MAML)
    assert set(found) == set(every)
    assert len(found) == len(every)
    assert "--inner-lr 0.005,0.02" in line
    assert "--seeds 3" in line


@pytest.mark.parametrize(
    ("seeds", "words"),
    [((0,), ""), ((0, 1), "--seeds 2"), ((0, 2), "--seed 0,2"), ((3,), "--seed 3")],
)
def test_just_the_seeds_that_are_there(
    seeds: tuple[int, ...], words: str, tmp_path: Path, synthetic: ModuleType
) -> None:
    for seed in seeds:
        synthetic.maml(tmp_path, "relu", seed, [0.5, 0.6])
    line = _line(tmp_path)
    assert words in line
    assert ("--seed" in line) is bool(words)
    assert {config.seed for config in parsed(line, MAML)} == set(seeds)  # type: ignore[attr-defined]


def test_both_arguments_and_both_stages_of_a_transfer(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    config = TransferConfig(source="mnist", target="svhn", layer_lrs=(("head", 1e-3),))
    for pretrained in (5, 0):
        synthetic.transfer(tmp_path, config, RIGHT, pretrained=pretrained)
    line = _line(tmp_path)
    assert line.startswith("metaact transfer mnist svhn ")
    (found,) = parsed(line, TRANSFER)
    assert isinstance(found, TransferConfig)
    assert (found.pretrain_epochs, found.epochs, found.layer_lrs) == (5, (1,), (("head", 1e-3),))


def test_the_protocol_is_recorded_not_guessed(tmp_path: Path, synthetic: ModuleType) -> None:
    config = TransferConfig(protocol="paper-text", epochs=(5, 10), text_epochs=1)
    run = synthetic.transfer(tmp_path, config, RIGHT, pretrained=10)
    assert "protocol" not in run.config
    assert "--protocol paper-text" in merged([read_run(run.directory).about["command"]])[0]


def test_what_takes_one_value_makes_commands_of_its_own() -> None:
    def lines(*configs: MamlConfig | ConvergeConfig) -> list[str]:
        experiment = MAML if isinstance(configs[0], MamlConfig) else CONVERGE
        return merged([command(experiment, config) for config in configs])

    flags = [MamlConfig(first_order=flag, seed=s) for flag in (True, False) for s in (0, 1)]
    assert lines(*flags) == ["metaact maml --first-order --seeds 2", "metaact maml --seeds 2"]
    queries = [MamlConfig(queries=number) for number in (15, 5, 7)]
    assert lines(*queries) == ["metaact maml", "metaact maml --queries 5,7"]
    layers = [ConvergeConfig(train_layers=(layer,)) for layer in ("all", "head", "conv3")]
    assert lines(*layers) == [
        "metaact converge",
        "metaact converge --train-layers head",
        "metaact converge --train-layers conv3",
    ]
    data = [ConvergeConfig(dataset=name) for name in ("mnist", "printed-digits")]
    assert lines(*data) == ["metaact converge --dataset mnist", "metaact converge"]


def test_a_comparison_by_another_setting_says_so(tmp_path: Path, synthetic: ModuleType) -> None:
    for steps in (1, 5):
        synthetic.maml(tmp_path, "arelu", 0, [0.5, 0.6], inner_steps=steps)
    (study,) = compare(gather([tmp_path], by="inner_steps")).studies
    (line,) = study.commands
    assert line.endswith("--by inner_steps")
    found: Any = parsed(line, MAML)
    assert [config.inner_steps for config in found] == [1, 5]


def test_a_run_of_version_0_1_0_has_no_command(tmp_path: Path, synthetic: ModuleType) -> None:
    run = synthetic.maml(tmp_path, "relu", 0, [0.5, 0.6])
    synthetic.as_version_0_1_0(run)
    (study,) = compare(gather([tmp_path])).studies
    assert study.commands == []
    assert study.measure.chance == 0.2
