"""Processes that share meta-batches: what one process computes, to the bit."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import metaact
from metaact.activations import resolve
from metaact.adaptation import Maml, MetaLearner, MetaSGD, ProtoNet, ranks, set_threads
from metaact.cli.main import cli
from metaact.tasks import MetaBatch

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this PyTorch has no distributed processes"
)


class Own(nn.Module):
    """What nothing is known of."""

    def forward(self, x: Tensor) -> Tensor:
        return x.tanh()


RULES: dict[str, Any] = {
    "maml": Maml(inner_lr=0.1),
    "first order": Maml(inner_lr=0.1, first_order=True),
    "meta-sgd": MetaSGD(inner_lr=0.1),
    "prototypes": ProtoNet(),
}
CASES = {
    **{rule: (rule, "arelu") for rule in RULES},
    "random": ("maml", "rrelu"),
    "own module": ("maml", "own"),
}


def learner_of(rule: str, activation: str) -> MetaLearner:
    layer = Own() if activation == "own" else resolve(activation).factory()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 24), layer, nn.Linear(24, 5))
    return MetaLearner(model, RULES[rule], inner_steps=2, chunk_size=3)


def batch_of(seed: int) -> MetaBatch:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(5).repeat(8, 1)
    return MetaBatch(
        support=torch.randn(8, 5, 1, 6, 6, generator=draw),
        support_labels=labels,
        query=torch.randn(8, 10, 1, 6, 6, generator=draw),
        query_labels=labels.repeat_interleave(2, 1),
    )


def course(case: str) -> list[Tensor]:
    """Two meta-updates, the losses of a third batch, and its scores: all that there is."""
    learner = learner_of(*CASES[case])
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.01)
    torch.manual_seed(3)
    found = []
    for seed in (1, 2):
        optimizer.zero_grad()
        done = learner.backward(batch_of(seed), iteration=seed)
        found += [done.loss, done.accuracy]
        optimizer.step()
    found.append(learner.test(batch_of(3)))
    with torch.no_grad():
        found.append(learner.evaluate(batch_of(3)).loss)
    return [*found, *(p.detach().clone() for p in learner.parameters()), torch.get_rng_state()]


def compare() -> dict[str, Any]:
    """In rank 0: each case with the others and alone."""
    shared, told = {}, {}
    before_it = threads()
    with ranks.joined() as leads:
        if not leads:
            return {}
        importlib.import_module("torch._dynamo")  # which imports it, as torch.func may
        for case in CASES:
            before = ranks.handed()
            shared[case] = course(case)
            told[case] = ranks.handed() - before
        size = ranks.size()
    alone = {case: course(case) for case in CASES}
    equal = {
        case: all(torch.equal(a, b) for a, b in zip(shared[case], alone[case], strict=True))
        for case in CASES
    }
    return {"size": size, "equal": equal, "handed": told, "left": threads() - before_it}


def threads() -> int:
    """How many threads of this process the system knows; 0 where it does not say."""
    return len(list(Path("/proc/self/task").glob("*")))


def torchrun(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = Path(metaact.__file__).parents[1]
    together = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    own = {name: value for name, value in os.environ.items() if name != "METAACT_WORKERS"}
    return subprocess.run(
        [sys.executable, *together, *words],
        env={**own, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_two_processes_compute_what_one_does_to_the_bit() -> None:
    done = torchrun(str(Path(__file__)))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["size"] == 2
    assert found["equal"] == dict.fromkeys(CASES, True)
    known = [case for case in CASES if case not in ("random", "own module")]
    assert [found["handed"][case] for case in known] == [4] * len(known)
    assert found["handed"]["random"] == 1  # that a layer draws is seen when it has
    assert found["handed"]["own module"] == 0
    assert found["left"] <= 0  # a thread of the group would abort the process at its end


@pytest.mark.slow
@pytest.mark.usefixtures("capsys")
def test_a_run_of_two_processes_is_that_of_one(pack: Path, tmp_path: Path) -> None:
    words = [
        *("maml", "--dataset", str(pack), "--activation", "arelu", "--tasks", "8", "--ways", "3"),
        *("--iterations", "3", "--validation-every", "2", "--validation-episodes", "4"),
        *("--test-episodes", "8", "--json"),
    ]
    done = torchrun("-m", "metaact", *words, "--out", str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    assert "had nothing to do" not in done.stderr
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        cli.main([*words, "--out", str(tmp_path / "one")], standalone_mode=False)
    finally:
        torch.set_num_threads(threads)
    one, two = (sorted((tmp_path / name).glob("maml/*/*.json*")) for name in ("one", "two"))
    assert [path.name for path in one] == [path.name for path in two]
    assert [path.parent.name for path in one] == [path.parent.name for path in two]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert "result.json" in {path.name for path in one}


def test_without_torchrun_there_is_one_process() -> None:
    assert ranks.size() == 1
    assert ranks.handed() == 0


if __name__ == "__main__":
    set_threads(1)
    if found := compare():
        sys.stdout.write(json.dumps(found))
