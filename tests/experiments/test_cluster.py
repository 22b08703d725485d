"""A Ray cluster: the same runs to the bit, also when a node is lost; what is refused, and how.

The clusters are real ones of three nodes on this machine; a node costs seconds, so few tests start
some.
"""

from __future__ import annotations

import importlib
import queue
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.machinery import PathFinder
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from metaact import experiments
from metaact.errors import MissingDependencyError, RunError, UsageError
from metaact.experiments import CONVERGE, TRANSFER, ConvergeConfig, TransferConfig, cluster, loop
from metaact.experiments import node as on_node
from metaact.experiments.table import EXPERIMENTS, Row
from metaact.runs import RunStore

Content = Callable[[Path], dict[str, bytes]]

with_ray = [
    pytest.mark.slow,
    pytest.mark.draws_globally,  # Ray draws the names of its files
    # Ray leaves files, sockets and processes to the collector.
    pytest.mark.filterwarnings("ignore"),
]


SIZE = {"object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def head() -> Iterator[Any]:
    """A cluster of a head without cores."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'metaact[ray]'")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("METAACT_TOY_SECONDS", "0.05")
        patch.setenv("RAY_worker_niceness", "0")  # else other tests of this machine go first
        found = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **SIZE}
        )
        yield found
        found.shutdown()


@pytest.fixture
def nodes(head: Any) -> Any:
    """A cluster of that head and two nodes with a core each."""
    while len(head.worker_nodes) < 2:
        head.add_node(num_cpus=1, **SIZE)
    return head


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An activation of the user's own, in a folder that only this program knows."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "of_mine_too.py").write_text(
        "from torch import nn\n\n\ndef leaky():\n    return nn.LeakyReLU(0.1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "code")
    return "of_mine_too:leaky"


@pytest.fixture
def configs(
    transfer_config: TransferConfig, mine: str, monkeypatch: pytest.MonkeyPatch
) -> list[TransferConfig]:
    """Two arms, each with a pre-training and a fine-tuning that starts from it."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    base = replace(transfer_config, pretrain_epochs=6, epochs=(6,), pretrain_lr=0.01)
    return [replace(base, activation=name) for name in ("rrelu", mine)]


@pytest.fixture
def whole(configs: Sequence[TransferConfig], tmp_path: Path, content: Content) -> dict[str, bytes]:
    """What an uninterrupted sweep of one process, with one thread, leaves behind."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what workers have, too
    try:
        assert experiments.run(TRANSFER, configs, tmp_path / "whole").report.is_complete
    finally:
        torch.set_num_threads(threads)
    return content(tmp_path / "whole")


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Two arms with two seeds, two runs in a batch, of steps that take no work but time."""
    (tmp_path / "toys").mkdir()
    shutil.copy(Path(__file__).parents[1] / "toy_experiment.py", tmp_path / "toys")
    monkeypatch.syspath_prepend(tmp_path / "toys")
    monkeypatch.setitem(EXPERIMENTS, "toy", Row(place="toy_experiment:TOY", more_kinds=()))
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setenv("METAACT_TOY_SECONDS", "0")  # here; the nodes have their own
    made = importlib.import_module("toy_experiment").ToyConfig
    return [made(activation=a, seed=seed, steps=40) for a in ("relu", "elu") for seed in (0, 1)]


def lose(nodes: Any, worker: cluster.Remote) -> None:
    """All processes of the node on which a worker is are killed."""
    ray = importlib.import_module("ray")
    asked = worker._actor.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id())
    here = ray.get(asked)
    (node,) = [one for one in nodes.worker_nodes if one.node_id == here]
    nodes.remove_node(node, allow_graceful=False)


class TestWithRay:
    pytestmark = with_ray

    @pytest.mark.parametrize("shared", [True, False], ids=["shared store", "stores apart"])
    def test_a_node_lost_amid_the_sweep_changes_nothing(
        self,
        shared: bool,
        nodes: Any,
        toys: list[Any],
        tmp_path: Path,
        content: Content,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        toy = experiments.find("toy")
        assert experiments.run(toy, toys, tmp_path / "whole").report.is_complete
        begun: list[cluster.Remote] = []
        tell = cluster.Remote._tell

        def watched(worker: cluster.Remote, what: Any) -> None:
            if not isinstance(what, str) and what.begins:
                begun.append(worker)
            tell(worker, what)

        monkeypatch.setattr(cluster.Remote, "_tell", watched)
        if not shared:
            monkeypatch.setattr(cluster, "SYNC_SECONDS", 0.3)
            monkeypatch.setattr(cluster.Cluster, "is_shared_with", lambda *given: False)
        ready = experiments.prepare(toy, toys, tmp_path / "runs")
        passed, is_lost = 0, False

        def tick(steps: int) -> None:
            nonlocal passed, is_lost
            passed += steps
            batch = begun[-1].batch
            if not is_lost and batch and all(job.run.saved_at for job in batch):
                is_lost = True
                lose(nodes, begun[-1])

        said: list[str] = []
        outcome = ready.run(workers=None, ray=nodes.address, tick=tick, say=said.append)
        assert outcome.report.complaints() == []
        lost = [line.partition(":")[0] for line in said if "was lost); another" in line]
        assert len(lost) == 2, said  # those of one batch
        assert content(tmp_path / "runs") == content(tmp_path / "whole")
        done = [sum(f"/4 {job.label}: " in line for line in said) for job in ready.jobs]
        assert done == [1] * len(ready.jobs)
        assert passed == ready.steps  # what was lost is taken back, what is done counts once
        assert not [path for path in (tmp_path / "runs").iterdir() if path.name.startswith(".")]
        said.clear()
        assert ready.run(ray=nodes.address, say=said.append).report.reused == len(ready.jobs)
        assert all("reused" in line for line in said)

    def test_nodes_that_do_not_see_the_store_are_lent_the_runs(
        self,
        nodes: Any,
        configs: list[TransferConfig],
        whole: dict[str, bytes],
        tmp_path: Path,
        content: Content,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Also those that others start from. A node that differs is refused, a sweep continued."""
        monkeypatch.setattr(cluster.Cluster, "is_shared_with", lambda *given: False)
        ready = experiments.prepare(TRANSFER, configs, tmp_path / "runs")
        check = cluster.check_versions
        with monkeypatch.context() as patch:
            patch.setattr(
                cluster, "check_versions", lambda name, there: check(name, there | {"torch": "1.0"})
            )
            with pytest.raises(RunError, match=r"node \S+ of the cluster has torch 1\.0 where .*"):
                ready.run(workers=1, ray=nodes.address)
        assert not RunStore(tmp_path / "runs").runs()
        ticks = 0

        def interrupt(steps: int) -> None:
            nonlocal ticks
            ticks += 1
            if ticks == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ready.run(workers=None, ray=nodes.address, tick=interrupt)
        started = RunStore(tmp_path / "runs").runs()
        assert started
        assert not any(run.is_busy for run in started)
        assert sum(len(run.metrics()) for run in started) >= 4
        outcome = ready.run(workers=None, ray=nodes.address)
        assert outcome.report.complaints() == []
        assert content(tmp_path / "runs") == whole
        runs = RunStore(tmp_path / "runs").runs()
        assert {run.environment()["threads"] for run in runs} == {1}


def test_without_ray_it_is_said_how_to_get_it(
    converge_config: ConvergeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'metaact\[ray\]'"):
        experiments.run(CONVERGE, [converge_config], tmp_path, ray="auto")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["nonsense", "http://host:1", "127.0.0.1:1", "ray://[::1]:1"])
def test_an_address_where_no_cluster_is_is_refused(
    address: str, converge_config: ConvergeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ray:
        @staticmethod
        def is_initialized() -> bool:
            return False

    monkeypatch.setattr(cluster, "_ray", Ray)
    with pytest.raises(UsageError, match=r"`ray` must be HOST:PORT of a cluster"):
        experiments.run(CONVERGE, [converge_config], tmp_path, ray=address)
    assert not list(tmp_path.iterdir())


def test_an_experiment_that_no_node_can_import_is_refused(
    converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    other = replace(CONVERGE, name="elsewhere")
    with pytest.raises(UsageError, match=r"`ray` must be left out .*experiments\.register"):
        experiments.run(other, [converge_config], tmp_path, ray="auto")


@pytest.mark.parametrize(
    ("package", "version", "words"),
    [
        ("numpy", "1.0", "has numpy 1.0 where this machine has"),
        ("torch", None, "has torch not at all where"),
        ("metaact", None, "has no metaact that its Python finds"),
        ("metaact", "0" * 64, "another metaact than this machine's"),
    ],
)
def test_versions_that_differ_are_refused_by_name(
    package: str, version: str | None, words: str
) -> None:
    here = on_node.versions()
    cluster.check_versions("node-7", here)
    with pytest.raises(RunError, match=f"node node-7 of the cluster .*{words}"):
        cluster.check_versions("node-7", here | {package: version})


def test_the_code_of_metaact_is_known_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "metaact").mkdir(parents=True)
        (tmp_path / name / "metaact" / "__init__.py").write_text("")
    (tmp_path / "b" / "metaact" / "more.py").write_text("")
    monkeypatch.delitem(sys.modules, "metaact")
    seen = [on_node.versions()["metaact"]]
    for name in ("a", "b"):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", [str(tmp_path / name)])
            patch.setattr(sys, "meta_path", [PathFinder])
            seen.append(on_node.versions()["metaact"])
    assert None not in seen
    assert len(set(seen)) == 3


def test_the_result_of_a_run_is_placed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["checkpoint.pt", "config.json", "metrics.jsonl", "result.json", "scores.jsonl"]
    folder = tmp_path / "there" / "maml" / "relu"
    folder.mkdir(parents=True)
    for name in (*names, ".lock", ".result.json.4711.tmp"):
        (folder / name).write_text(name)
    files = on_node.read(tmp_path / "there", ["maml/relu", "maml/missing"])
    assert list(files)[:2] == ["maml/relu/result.json", "maml/relu/checkpoint.pt"]
    assert {Path(file).name for file in files} == set(names)
    (tmp_path / "here" / "maml" / "relu").mkdir(parents=True)
    order: list[str] = []
    write = cluster.write_atomically

    def watched(path: Path, content: bytes) -> None:
        order.append(path.name)
        write(path, content)

    monkeypatch.setattr(cluster, "write_atomically", watched)
    cluster.put(files, tmp_path / "here")
    assert order[-2:] == ["checkpoint.pt", "result.json"]
    assert on_node.read(tmp_path / "here", ["maml/relu"]) == files


@pytest.mark.slow
def test_other_data_than_the_command_read_are_refused(
    converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    configs = [replace(converge_config, seed=seed) for seed in (1, 2)]
    ready = experiments.prepare(CONVERGE, configs, tmp_path)
    assert ready.recipe is not None
    other = replace(ready, recipe=replace(ready.recipe, data=("0" * 64,), worker="node 7"))
    reasons = [reason for _, reason in other.run(workers=2).report.failed]
    assert len(reasons) == 2
    assert all("not those that the command read (while node 7" in reason for reason in reasons)


def test_what_a_node_was_given_is_put_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = on_node.Node()
    store = Path(place.receive({"maml/relu/config.json": b"{}"}))
    assert place.receive({}) == str(store)
    assert place.collect(["maml/relu"]) == {"maml/relu/config.json": b"{}"}
    (tmp_path / "token").write_text("abc")
    assert place.sees(str(tmp_path / "token"), "abc")
    assert not place.sees(str(tmp_path / "token"), "other")
    assert not place.sees(str(tmp_path / "none"), "abc")
    place.close()
    assert not store.exists()


def test_an_error_that_no_one_thought_of_ends_the_sweep() -> None:
    class Actor:
        def __getattr__(self, name: str) -> Any:
            return SimpleNamespace(remote=lambda *given, **more: name)

    def get(asked: str, **more: Any) -> None:
        raise ValueError(asked)

    ray = SimpleNamespace(get=get, wait=lambda refs, timeout: (refs, []), kill=lambda actor: None)
    events: Any = queue.Queue()
    place: Any = SimpleNamespace(
        ray=ray, node=SimpleNamespace(remote=Actor), lost=(ConnectionError,), address="auto"
    )
    worker = cluster.Remote(place, events)
    assert events.get(timeout=10) == (worker, None)
    with pytest.raises(RunError, match=r"auto could not be worked with \(ValueError"):
        worker.cause_of_death()
    worker.end()
