"""`transfer` from a trained network: what is carried over, what is remembered, what is refused."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import metaact
from metaact import experiments, models, reports, tasks
from metaact.errors import DataError, MissingDependencyError, RunError, UsageError
from metaact.experiments import CONVERGE, TRANSFER, ConvergeConfig, TransferConfig
from metaact.experiments.transfer import run as transfer
from metaact.experiments.transfer.weights import read_weights
from metaact.runs import Run, RunStore


@pytest.fixture(scope="module")
def packs(make_pack: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    for seed, (name, classes) in enumerate((("old", 4), ("new", 4), ("three", 3))):
        make_pack(folder / f"{name}.npz", seed=seed, channels=1, classes=classes)
    return folder


@pytest.fixture(scope="module")
def trained(packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A network with ReLU that tells the classes of the old pack apart."""
    store = tmp_path_factory.mktemp("trained")
    config = ConvergeConfig(
        dataset=str(packs / "old.npz"), activation="relu", lr=0.05, batch_size=16, epochs=6
    )
    experiments.run(CONVERGE, [config], store)
    (run,) = RunStore(store).runs()
    return run


@pytest.fixture(scope="module")
def config(packs: Path, trained: Run) -> TransferConfig:
    return TransferConfig(
        target=str(packs / "new.npz"),
        weights=str(trained.directory),
        activation="relu",
        lr=0.01,
        batch_size=16,
        epochs=(1, 2),
    )


def _start(config: TransferConfig) -> dict[str, torch.Tensor]:
    """The weights before the first update."""
    shared = transfer.prepare([config])
    stage, _ = transfer.stages(config)
    model = transfer._started_from(config, stage, None, shared).trainer.model
    return dict(model.state_dict())


def test_the_own_activation_is_the_network_as_it_was(
    config: TransferConfig, trained: Run, packs: Path
) -> None:
    own = metaact.load(trained).network.state_dict()
    start = _start(config)
    assert start.keys() == own.keys()
    assert all(torch.equal(start[name], own[name]) for name in own)
    other = _start(replace(config, seed=1))
    assert all(torch.equal(other[name], own[name]) for name in own)


@pytest.mark.parametrize("activation", ["arelu", "gelu", "pau", "relu+elsa"])
def test_another_activation_takes_its_place(
    activation: str, config: TransferConfig, trained: Run
) -> None:
    own = metaact.load(trained).network.state_dict()
    start = _start(replace(config, activation=activation))
    assert all(torch.equal(start[name], own[name]) for name in own)
    generator = torch.Generator().manual_seed(0)
    fresh = models.create(
        "mnist-conv", activation, classes=4, channels=1, generator=generator
    ).state_dict()
    assert start.keys() == fresh.keys()
    for name in start.keys() - own.keys():
        assert torch.equal(start[name], fresh[name])


def test_learned_parameters_are_carried_over_to_the_same_activation_alone(
    config: TransferConfig, packs: Path, tmp_path: Path
) -> None:
    learned = ConvergeConfig(
        dataset=str(packs / "old.npz"), activation="arelu", lr=0.05, batch_size=16, epochs=1
    )
    experiments.run(CONVERGE, [learned], tmp_path)
    (run,) = RunStore(tmp_path).runs()
    own = run.weights()
    assert float(own["act1.beta"]) != 2.0
    same = _start(replace(config, weights=str(run.directory), activation="arelu"))
    assert all(torch.equal(same[name], own[name]) for name in own)
    frozen = _start(replace(config, weights=str(run.directory), activation="arelu-frozen"))
    assert {name for name in own if not torch.equal(frozen.get(name, -own[name]), own[name])} == {
        name for name in own if name.startswith("act")
    }


def test_a_warm_swap_goes_on_where_the_network_was(
    config: TransferConfig, trained: Run, packs: Path, tmp_path: Path
) -> None:
    """On images such as it was trained on its logits are nearer to the old ones."""
    own = replace(config, activation="arelu", target=str(packs / "old.npz"))
    images = tasks.split(own.target, hold_out="images").test.pixels / 255
    with torch.no_grad():
        old = metaact.load(trained)(images)

    def drift(swap: str) -> float:
        network = metaact.load(trained).network
        network = metaact.convert(network, "arelu")
        network.load_state_dict(_start(replace(own, swap=swap)))
        with torch.no_grad():
            return float((network.eval()(images) - old).norm() / old.norm())

    assert drift("warm") < 0.5 * drift("plain")
    same = replace(config, swap="warm")
    assert all(torch.equal(v, _start(config)[n]) for n, v in _start(same).items())
    arms = [replace(own, swap=swap, epochs=(1,)) for swap in ("plain", "warm")]
    outcome = experiments.run(TRANSFER, arms, tmp_path)
    (study,) = reports.answer(outcome, by="swap").studies
    assert [arm.name for arm in study.arms] == ["plain", "warm"]
    before = [study.arm(name).columns["never fine-tuned"].by_seed[0] for name in ("plain", "warm")]
    assert before[1] >= before[0]


def test_a_run_and_its_verdict(config: TransferConfig, trained: Run, tmp_path: Path) -> None:
    arms = [replace(config, activation=name) for name in ("arelu", "relu")]
    outcome = experiments.run(TRANSFER, arms, tmp_path)
    assert outcome.report.is_complete
    document = reports.answer(outcome)
    (study,) = document.studies
    assert [arm.name for arm in study.arms] == ["arelu", "relu"]
    assert len(study.comparisons) == 1
    relu = study.arm("relu")
    assert set(relu.columns) == {"target only", "never fine-tuned", "epoch 1"}
    pair = tasks.split(config.target, hold_out="images")
    network = metaact.load(trained)
    right = network(pair.test.pixels).argmax(dim=1) == pair.test.labels
    before = relu.columns["never fine-tuned"].by_seed[0]
    assert before == pytest.approx(float(right.float().mean()))
    assert before > 0.6  # chance is 1/4: the packs have the same stripes
    shown = " ".join(reports.text.plain(document).split())
    assert f"from {trained.directory.name}" in shown
    assert "All seeds start from the same trained network" in shown
    tuned = next(
        r
        for r in RunStore(tmp_path).runs("transfer")
        if r.config["activation"] == "arelu" and "weights" in r.config
    )
    assert "source" not in tuned.config
    assert tuned.config["weights_sha256"] == read_weights(str(trained.directory)).sha256
    found = metaact.load(tuned)
    right = found(pair.test.pixels).argmax(dim=1) == pair.test.labels
    assert float(right.float().mean()) == pytest.approx(tuned.result()["test_accuracy"])


def test_the_baseline_is_that_of_every_transfer(config: TransferConfig, tmp_path: Path) -> None:
    short = replace(config, epochs=(1,))
    experiments.run(TRANSFER, [short], tmp_path)
    ordinary = replace(
        short, weights=None, source=str(Path(config.target).parent / "old.npz"), pretrain_epochs=1
    )
    assert experiments.run(TRANSFER, [ordinary], tmp_path).report.reused == 1


def test_other_weights_are_another_run(
    config: TransferConfig, trained: Run, tmp_path: Path
) -> None:
    state = trained.weights()
    torch.save(state, tmp_path / "a.pt")
    state["head.bias"] = state["head.bias"] + 1
    (tmp_path / "b").mkdir()
    torch.save(state, tmp_path / "b" / "a.pt")
    names = set()
    for place in ("a.pt", "b/a.pt"):
        one = replace(config, weights=str(tmp_path / place), trained_with="relu")
        jobs = experiments.prepare(TRANSFER, [one], tmp_path / "runs").jobs
        names |= {j.identity for j in jobs if "weights" in j.planned.identity}
    assert len(names) == 2


def test_files_give_the_same_start(config: TransferConfig, trained: Run, tmp_path: Path) -> None:
    expected = _start(config)
    state = metaact.load(trained).network.state_dict()
    torch.save({f"module.{name}": value for name, value in state.items()}, tmp_path / "a.pt")
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "b.pth")
    places = [tmp_path / "a.pt", tmp_path / "b.pth", trained.directory / "weights.pt"]
    try:
        writer: Any = importlib.import_module("safetensors.torch")
    except ImportError:
        pass  # what is told then, has a test of its own
    else:
        writer.save_file(dict(state), tmp_path / "c.safetensors")
        places.append(tmp_path / "c.safetensors")
    for place in places:
        found = _start(replace(config, weights=str(place), trained_with="relu"))
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert len({read_weights(str(place)).sha256 for place in places}) == 1


def test_safetensors_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    (tmp_path / "a.safetensors").write_bytes(b"")
    with pytest.raises(MissingDependencyError, match="pip install safetensors"):
        read_weights(str(tmp_path / "a.safetensors"))


def test_a_file_remembers_its_activation(
    config: TransferConfig, trained: Run, tmp_path: Path
) -> None:
    """ReLU and GELU have the same state dict; loaded as the other it would compute another."""
    (tmp_path / "w.pt").write_bytes((trained.directory / "weights.pt").read_bytes())
    moved = replace(config, weights=str(tmp_path / "w.pt"))
    assert read_weights(str(tmp_path / "w.pt")).activation == "relu"
    assert _start(moved).keys() == _start(config).keys()
    with pytest.raises(UsageError, match=r"`trained_with` must be relu \(as w.pt says"):
        transfer.prepare([replace(moved, trained_with="gelu")])
    with pytest.raises(UsageError, match="`trained_with` must be relu"):
        transfer.prepare([replace(config, trained_with="gelu")])
    torch.save(dict(trained.weights()), tmp_path / "plain.pt")
    plain = replace(config, weights=str(tmp_path / "plain.pt"))
    with pytest.raises(UsageError, match=r"`trained_with` must name the activation .* plain.pt"):
        transfer.prepare([plain])
    with pytest.raises(UsageError, match=r"`weights` must be .* with prelu .*lack `act1\.weight`"):
        transfer.prepare([replace(plain, trained_with="prelu")])
    # Anyone's PyTorch reads it as ever.
    network = models.create(
        "mnist-conv", "relu", classes=4, channels=1, generator=torch.Generator()
    )
    network.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True))


def test_a_network_is_fed_as_it_was_trained(
    config: TransferConfig, packs: Path, tmp_path: Path
) -> None:
    normalised = ConvergeConfig(
        dataset=str(packs / "old.npz"),
        activation="relu",
        normalisation="fitted",
        lr=0.05,
        batch_size=16,
        epochs=6,
    )
    experiments.run(CONVERGE, [normalised], tmp_path / "old")
    (old,) = RunStore(tmp_path / "old").runs()
    one = replace(config, weights=str(old.directory), epochs=(1,))
    experiments.run(TRANSFER, [one], tmp_path / "runs")
    run = next(r for r in RunStore(tmp_path / "runs").runs() if "weights" in r.config)
    images = tasks.split(one.target, hold_out="images").test
    tested = {r["epoch"]: r["test_accuracy"] for r in run.metrics()}
    for place, at in ((old, 0), (run, 1)):
        right = metaact.load(place)(images.pixels).argmax(dim=1) == images.labels
        assert float(right.float().mean()) == pytest.approx(tested[at])
    assert run.environment()["normalisation"] == old.environment()["normalisation"]
    with pytest.raises(UsageError, match="`normalisation` must be left out"):
        transfer.prepare([replace(one, normalisation="fitted")])
    with pytest.raises(UsageError, match="`channels` must be 1 or left out, as in old-"):
        transfer.prepare([replace(one, channels=3)])


def test_a_new_head_where_the_classes_differ(
    config: TransferConfig, trained: Run, packs: Path, tmp_path: Path
) -> None:
    other = replace(config, target=str(packs / "three.npz"), activation="arelu")
    own, start = trained.weights(), _start(other)
    assert start["head.weight"].shape == (3, 40)
    assert all(torch.equal(start[n], own[n]) for n in own if not n.startswith("head"))
    assert not torch.equal(start["head.weight"], _start(replace(other, seed=1))["head.weight"])
    torch.save(dict(own), tmp_path / "a.pt")
    file = _start(replace(other, weights=str(tmp_path / "a.pt"), trained_with="relu"))
    assert all(torch.equal(file[name], start[name]) for name in start)
    shared = transfer.prepare([other])
    assert not shared.keeps_head
    assert "The head is replaced by a new one for the target's 3 classes." in shared.notes


OWN = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, channels, size):
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 3, stride=4)
        self.norm = nn.BatchNorm2d(4)
        self.act1, self.act2 = nn.Tanh(), nn.ReLU()
        self.last = nn.Linear(4 * 7 * 7, classes)

    def forward(self, x):
        return self.last(self.act2(self.act1(self.norm(self.first(x)))).flatten(1))
"""


def test_anothers_network_as_it_was_designed(
    config: TransferConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net_of_mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("net_of_mine")
    with torch.random.fork_rng(devices=[]):
        state = module.Net(classes=7, channels=1, size=(28, 28)).state_dict()
    state["norm.running_mean"] += 3
    torch.save(state, tmp_path / "mine.pt")
    own = replace(
        config,
        weights=str(tmp_path / "mine.pt"),
        model="net_of_mine:Net",
        batch_norm=None,
        activation="arelu",
        epochs=(1,),
    )
    start = _start(own)
    carried = {name for name in state if not name.startswith("last.")}
    assert all(torch.equal(start[name], state[name]) for name in carried)
    assert len(start) == len(state) + 4  # α and β in two places
    experiments.run(TRANSFER, [own], tmp_path / "runs")
    run = next(r for r in RunStore(tmp_path / "runs").runs() if "weights" in r.config)
    images = tasks.split(own.target, hold_out="images").test
    right = metaact.load(run)(images.pixels).argmax(dim=1) == images.labels
    assert float(right.float().mean()) == pytest.approx(run.result()["test_accuracy"])
    # What was fine-tuned with AReLU is no network as it was designed.
    again = replace(own, weights=str(run.directory / "weights.pt"))
    assert _start(again).keys() == start.keys()
    torch.save(dict(run.weights()), tmp_path / "tuned.pt")
    with pytest.raises(UsageError, match=r"with its own activations .*the network has no `act"):
        transfer.prepare([replace(own, weights=str(tmp_path / "tuned.pt"))])
    monkeypatch.delitem(sys.modules, "net_of_mine")


def test_a_run_says_which_network_it_trained(packs: Path, tmp_path: Path) -> None:
    base = ConvergeConfig(
        dataset=str(packs / "old.npz"), activation="relu", model="conv4", batch_size=16, epochs=1
    )
    experiments.run(CONVERGE, [base], tmp_path)
    (run,) = RunStore(tmp_path).runs()
    for place in (run.directory, run.directory / "weights.pt"):
        config = TransferConfig(target=str(packs / "new.npz"), weights=str(place))
        assert config.model == "conv4"
    assert TransferConfig(weights=str(tmp_path / "elsewhere.pt")).model == "mnist-conv"


def test_a_librarys_own_weights(
    config: TransferConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torchvision would download is a local file here."""
    from torchvision.models import _api, shufflenet_v2_x0_5

    with torch.random.fork_rng(devices=[]):
        state = shufflenet_v2_x0_5().state_dict()
    asked = []

    def local(url: str, **more: object) -> dict[str, torch.Tensor]:
        asked.append((url, more["check_hash"]))
        return dict(state)

    monkeypatch.setattr(_api, "load_state_dict_from_url", local)
    own = replace(config, weights="torchvision:shufflenet_v2_x0_5", batch_norm=None)
    assert own.model == own.weights
    found = read_weights(own.weights)
    assert found.normalisation is not None
    assert found.normalisation["mean"] == [0.485, 0.456, 0.406]
    ((url, checked),) = asked
    assert "shufflenet" in url
    assert checked

    def offline(url: str, **more: object) -> dict[str, torch.Tensor]:
        raise OSError("no route to host")

    monkeypatch.setattr(_api, "load_state_dict_from_url", offline)
    with pytest.raises(DataError, match=r"could not be had \(no route to host\).*give the file"):
        transfer.prepare([own])
    with pytest.raises(DataError, match="torchvision:no_such_net could not be had"):
        read_weights("torchvision:no_such_net")
    monkeypatch.setattr(_api, "load_state_dict_from_url", local)
    with pytest.raises(UsageError, match=r"`model` must be torchvision:.*; got conv4"):
        transfer.prepare([replace(own, model="conv4")])


def _code(path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str, str]]:
            return open, (str(path.parent / "was-run"), "w")

    torch.save({"conv1.weight": Evil()}, path)


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (lambda p: None, UsageError, "which is not there"),
        (_code, DataError, "tensors alone"),
        (lambda p: p.write_bytes(pickle.dumps(np.ones(2), protocol=2)), DataError, "w.pt"),
        (lambda p: p.write_bytes(b""), DataError, "w.pt"),
        (lambda p: p.write_bytes(b"not weights"), DataError, "w.pt"),
        (lambda p: torch.save([1], p), DataError, "it holds a list"),
        (lambda p: torch.save({}, p), DataError, "it holds nothing"),
        (lambda p: torch.save({"lr": 1, "state": 2}, p), DataError, "it holds 'lr', 'state'"),
        (lambda p: torch.save({"x": torch.ones(1)}, p), UsageError, r"they lack `conv1\.weight`"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    write: Callable[[Path], object],
    error: type[Exception],
    message: str,
    config: TransferConfig,
    tmp_path: Path,
) -> None:
    write(tmp_path / "w.pt")
    bad = replace(config, weights=str(tmp_path / "w.pt"), trained_with="relu")
    with pytest.raises(error, match=message) as told:
        experiments.run(TRANSFER, [bad], tmp_path / "runs")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_truncated_file_is_refused(
    name: str, config: TransferConfig, trained: Run, tmp_path: Path
) -> None:
    if name.endswith("safetensors"):
        writer = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
        writer.save_file(metaact.load(trained).network.state_dict(), tmp_path / name)
    else:
        torch.save(dict(trained.weights()), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for length in (len(whole) // 2, len(whole) - 100, 20):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(DataError, match=name):
            read_weights(str(tmp_path / name))


def test_what_does_not_fit_is_refused(
    config: TransferConfig, trained: Run, packs: Path, tmp_path: Path
) -> None:
    state = dict(trained.weights())
    torch.save({**state, "conv9.weight": torch.ones(1)}, tmp_path / "more.pt")
    torch.save({**state, "conv1.weight": torch.ones(10, 3, 5, 5)}, tmp_path / "rgb.pt")
    for file, message in (
        ("more.pt", r"the network has no `conv9\.weight`"),
        ("rgb.pt", r"`conv1\.weight` is \[10, 3, 5, 5\] in them and \[10, 1, 5, 5\] in the"),
    ):
        bad = replace(config, weights=str(tmp_path / file), trained_with="relu")
        with pytest.raises(UsageError, match=message):
            transfer.prepare([bad])
    with pytest.raises(UsageError, match=r"`model` must be mnist-conv, as in old-.*; got conv4"):
        transfer.prepare([replace(config, model="conv4", batch_norm=None)])
    with pytest.raises(UsageError, match="'relu-gain' is an initialisation"):
        transfer.prepare([replace(config, activation="relu-gain")])
    with pytest.raises(UsageError, match="maxout"):
        transfer.prepare([replace(config, activation="maxout")])
    unfinished = tmp_path / "run"
    unfinished.mkdir()
    for name in ("config.json", "environment.json"):
        (unfinished / name).write_bytes((trained.directory / name).read_bytes())
    with pytest.raises(RunError, match="the run is not complete"):
        transfer.prepare([replace(config, weights=str(unfinished))])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": "mnist"}, "`source` must be left out with `weights`"),
        ({"pretrain_lr": 0.1}, "`pretrain_lr` must be left out with `weights`"),
        ({"pretrain_epochs": 3}, "`pretrain_epochs` must be left out with `weights`"),
        ({"protocol": "paper-text"}, "`protocol` must be held-out or paper with `weights`"),
        ({"weights": None, "swap": "warm"}, "`swap` must be left out without `weights`"),
        ({"weights": None, "trained_with": "relu"}, "`trained_with` must be left out without"),
    ],
)
def test_settings_that_say_nothing_are_refused(
    wrong: dict[str, Any], message: str, config: TransferConfig
) -> None:
    with pytest.raises(UsageError, match=message):
        replace(config, **wrong)


def test_the_command(
    cli: Callable[..., Any], config: TransferConfig, trained: Run, tmp_path: Path
) -> None:
    options = ("--epochs", "1", "--lr", "0.01", "--batch-size", "16")
    words = ("--pretrained", trained.directory, "--activation", "arelu,relu", *options)
    ended = cli("transfer", config.target, *words)
    assert ended.code == 0, ended.err
    assert "arelu" in ended.out
    run = next(r for r in RunStore(tmp_path / "runs").runs() if "weights" in r.config)
    command = run.about["command"]
    assert command["arguments"] == [config.target]
    assert command["options"]["--pretrained"] == str(trained.directory)
    again = cli("transfer", config.target, *words)
    assert "4 runs" not in again.err
    assert again.out == ended.out
    two = cli("transfer", "mnist", config.target, *words)
    assert two.code == 2
    assert "SOURCE must be left out with --pretrained (which stands in its place)" in two.err
    rate = cli("transfer", config.target, *words, "--pretrain-lr", "0.1")
    assert rate.code == 2
    assert "--pretrain-lr must be left out with --pretrained (nothing is pre-trained)" in rate.err
    gone = cli("transfer", config.target, "--pretrained", "nowhere.pt", *options)
    assert gone.code == 2
    assert "--pretrained must be a run directory, a file of weights" in gone.err
    assert gone.err.count("\n") == 1
