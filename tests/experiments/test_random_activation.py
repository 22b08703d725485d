"""An activation that draws random numbers: the same run twice, also when it was killed between."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from metaact import experiments
from metaact.experiments import loop
from metaact.experiments.experiment import Experiment
from metaact.reports import gather
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
'''


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "noisy_activation.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("noisy_activation", None)


def _records(outcome: experiments.Outcome) -> list[object]:
    (run,) = [run for run in outcome.report.done if run.kind in ("maml", "converge")]
    return [run.metrics(), run.scores(), run.result()]


@pytest.mark.draws_globally
@pytest.mark.parametrize("kind", ["maml", "converge"])
def test_it_is_reproducible_and_continues_after_a_kill(
    kind: str, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment: Experiment = experiments.MAML
    config: Config = experiments.MamlConfig(
        dataset=str(pack),
        activation="noisy_activation:Noisy",
        **{"ways": 2, "queries": 2, "test_queries": 2, "iterations": 4, "tasks": 2},
        **{"test_episodes": 4, "validation_episodes": 2, "validation_every": 2},
    )
    if kind == "converge":
        experiment = experiments.CONVERGE
        config = experiments.ConvergeConfig(
            dataset=str(pack), activation="noisy_activation:Noisy", epochs=3, model="conv4"
        )
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    found = []
    for number in (1, 2):
        torch.manual_seed(number)
        np.random.seed(number)  # noqa: NPY002
        random.seed(number)
        outcome = experiments.run(experiment, [config], tmp_path / f"store{number}")
        assert outcome.report.is_complete
        found.append(_records(outcome))
    assert found[0] == found[1]

    ticks = []

    def killed(steps: int) -> None:
        ticks.append(steps)
        if len(ticks) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiments.run(experiment, [config], tmp_path / "killed", tick=killed)
    outcome = experiments.run(experiment, [config], tmp_path / "killed")
    assert outcome.report.reused == 0
    assert _records(outcome) == found[0]
    assert gather([tmp_path / "killed"]).left_out == ()


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
