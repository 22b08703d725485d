"""Activations that draw: the same run twice, also when it was killed, and whatever it is beside."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metaact import experiments
from metaact.experiments import StreamConfig, find, loop
from metaact.experiments.experiment import Experiment
from metaact.reports import gather
from metaact.runs import RunStore
from metaact.settings import Config

SOURCE = '''
import random
import numpy as np
import torch
from torch import nn

class Noisy(nn.Module):
    """Draws from every global stream, when it is made and whenever it is called."""

    def __init__(self):
        super().__init__()
        start = torch.rand(()) + random.random() + np.random.random()
        self.slope = nn.Parameter(start.float())

    def forward(self, x):
        noise = 0.1 * (random.random() + np.random.random())
        return torch.relu(x) * self.slope * (1 + noise * torch.rand_like(x))

class Drawn(nn.Module):
    """Draws when it is made, and keeps it where no parameter is."""

    def __init__(self):
        super().__init__()
        self.slope = float(torch.rand(()))

    def forward(self, x):
        return torch.where(x > 0, x, self.slope * x)

class Started(nn.Module):
    """Draws its start."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.rand(()))

    def forward(self, x):
        return torch.where(x > 0, x, self.slope * x)
'''


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "noisy_activation.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("noisy_activation", None)


KINDS = ("maml", "converge", "transfer", "segment", "stream", "permuted")


@pytest.fixture
def made(configs: dict[str, Config], pack: Path) -> Callable[..., Config]:
    """`made(kind, activation, ...)`: a small run of every experiment, of two kinds of streams."""

    def config(kind: str, activation: str, **more: Any) -> Config:
        few: dict[str, dict[str, Any]] = {
            "maml": {"iterations": 3, "inner_steps": 1, "test_inner_steps": 1},
            "transfer": {"epochs": (1,), "pretrain_epochs": 1},
            "segment": {"epochs": 1},
            "stream": {"bins": 2},
        }
        more |= {"activation": f"noisy_activation:{activation}"}
        if kind == "permuted":
            small = {"bins": 2, "bin_steps": 48, "task_steps": 48, "hidden": 8, "layers": 1}
            return StreamConfig(stream="permuted", dataset=str(pack), **small, **more)
        return replace(configs[kind], **few.get(kind, {}), **more)  # type: ignore[type-var]

    return config


def experiment_of(kind: str) -> Experiment:
    return find("stream" if kind == "permuted" else kind)


def records(store: Path) -> list[object]:
    runs = sorted(RunStore(store).runs(), key=lambda run: run.identity)
    return [[run.metrics(), run.scores(), run.result()] for run in runs]


def disturb(number: int) -> None:
    torch.manual_seed(number)
    np.random.seed(number)  # noqa: NPY002
    random.seed(number)


@pytest.mark.draws_globally
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_reproducible_and_continues_after_a_kill(
    kind: str, made: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, config = experiment_of(kind), made(kind, "Noisy")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    found = []
    for number in (1, 2):
        disturb(number)
        outcome = experiments.run(experiment, [config], tmp_path / f"store{number}")
        assert outcome.report.is_complete
        found.append(records(tmp_path / f"store{number}"))
    assert found[0] == found[1]

    ticks = []

    def killed(steps: int) -> None:
        ticks.append(steps)
        if len(ticks) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiments.run(experiment, [config], tmp_path / "killed", tick=killed)
    experiments.run(experiment, [config], tmp_path / "killed")
    assert records(tmp_path / "killed") == found[0]
    assert gather([tmp_path / "killed"]).left_out == ()


STACKED = ("maml", "converge", "transfer", "stream", "permuted")


@pytest.mark.draws_globally
@pytest.mark.parametrize("activation", ["Drawn", "Started"])
@pytest.mark.parametrize("kind", STACKED)
def test_what_it_drew_is_its_own_beside_others(
    kind: str, activation: str, made: Callable[..., Config], tmp_path: Path
) -> None:
    """Three seeds in one call end where each alone does; seeds differ."""
    found = []
    for stack in (1, 3):
        disturb(stack)
        runs = [made(kind, activation, seed=seed, stack=stack) for seed in range(3)]
        store = tmp_path / f"stack{stack}"
        assert experiments.run(experiment_of(kind), runs, store).report.is_complete
        ends = sorted(RunStore(store).runs(), key=lambda run: run.identity)
        found.append([float(run.metrics()[-1][ENDS_AS[kind]]) for run in ends])
    assert found[1] == pytest.approx(found[0], rel=1e-3)
    assert len(set(found[0])) == len(found[0])


ENDS_AS = {
    **dict.fromkeys(("maml", "converge", "transfer"), "train_loss"),
    "stream": "test_error",
    "permuted": "weight_norm",
}


def test_an_activation_that_leaves_the_program_fails_its_own_run_alone(
    pack: Path, tmp_path: Path
) -> None:
    (tmp_path / "noisy_activation.py").write_text(
        "import sys\n"
        "from torch import nn\n"
        "class Noisy(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x.relu() if len(x) == 1 or not self.training else sys.exit(0)\n"
    )
    configs = [
        experiments.ConvergeConfig(dataset=str(pack), activation=name, epochs=1, model="conv4")
        for name in ("noisy_activation:Noisy", "relu")
    ]
    outcome = experiments.run(experiments.CONVERGE, configs, tmp_path / "store")
    ((label, reason),) = outcome.report.failed
    assert label.startswith("noisy_activation:Noisy")
    assert reason == "SystemExit: 0 (raised within the run)"
    assert [run.config["activation"] for run in outcome.report.done] == ["relu"]
