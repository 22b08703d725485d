"""`metaact gradcam` and `featuremaps` on runs of all three experiments."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import metaact
from metaact import experiments, focus, reports, tasks
from metaact.experiments import ConvergeConfig, MamlConfig, TransferConfig
from metaact.runs import RunStore

pytest.importorskip("captum")

Cli = Callable[..., Any]
ARMS = ("relu", "arelu")
PICTURE = ("--count", "2", "--measured", "0", "--device", "cpu")
SMALL = ("--count", "2", "--measured", "4", "--device", "cpu", "--layer", "conv3")


@pytest.fixture(scope="module")
def converge(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("converge")
    base = ConvergeConfig(dataset=str(pack), lr=0.05, batch_size=32, epochs=1)
    configs = [replace(base, activation=arm, seed=seed) for arm in ARMS for seed in (0, 1)]
    experiments.run(experiments.CONVERGE, configs, store)
    return store


@pytest.fixture(scope="module")
def maml(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("maml")
    base = MamlConfig(
        dataset=str(pack),
        tasks=4,
        iterations=3,
        inner_lr=0.05,
        queries=2,
        test_queries=5,
        test_episodes=4,
        validation_episodes=4,
        ways=3,
    )
    configs = [replace(base, activation=arm) for arm in ARMS]
    experiments.run(experiments.MAML, configs, store)
    return store


@pytest.fixture(scope="module")
def transfer(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("transfer")
    base = TransferConfig(
        source=str(pack),
        target=str(pack),
        pretrain_epochs=1,
        pretrain_lr=0.05,
        lr=0.01,
        batch_size=32,
        epochs=(1,),
    )
    configs = [replace(base, activation=arm) for arm in ARMS]
    experiments.run(experiments.TRANSFER, configs, store)
    return store


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "picture"


def _seen(store: Path, **options: Any) -> focus.Seen:
    return focus.attended(reports.gather([store]), **{"count": 3, "measured": 0, **options})


@pytest.mark.parametrize("kind", ["converge", "maml", "transfer"])
def test_every_experiment_is_explained(
    kind: str, cli: Cli, out: Path, request: pytest.FixtureRequest
) -> None:
    store = request.getfixturevalue(kind)
    layers = ("--layer", "first-stage,last-conv")
    found = cli("gradcam", store, *SMALL, *layers, "--out", out, "--json")
    assert found.code == 0, found.err
    answers = found.json["answers"]
    assert {one["arm"] for one in answers} == set(ARMS)
    assert {one["layer"] for one in answers} == {"first-stage", "last-conv"}
    assert {one["path"] for one in answers} == {"act1", "conv3"}
    for one in answers:
        assert one["right"] == (one["prediction"] == one["truth"])
        assert one["explained"] == one["truth"]
    assert {one["measure"] for one in found.json["focus"]} == {"deletion area", "insertion area"}
    assert found.json["figures"] == [f"{out}.png", f"{out}.svg"]
    with Image.open(f"{out}.png") as picture:
        assert picture.size[0] > 400
    maps = cli("featuremaps", store, "--out", out, "--json", "--device", "cpu")
    assert maps.code == 0, maps.err
    relu, arelu = (
        next(one for one in maps.json["activities"] if one["arm"] == arm) for arm in ARMS
    )
    assert relu["negative_after"] == 0
    assert arelu["negative_after"] == pytest.approx(arelu["negative_before"])


def test_all_arms_answer_about_the_same_images_drawn_by_seed(converge: Path) -> None:
    def images(seen: focus.Seen, arm: str) -> list[str]:
        rows = [one for one in seen.answers if one.layer == "last-conv"]
        return [one.image for one in rows if one.arm == arm]

    first, again, other = (_seen(converge, seed=seed) for seed in (0, 0, 1))
    assert images(first, "arelu") == images(first, "relu")
    assert len(set(images(first, "relu"))) == 3
    assert first.answers == again.answers
    assert images(first, "relu") != images(other, "relu")


def test_the_same_command_gives_the_same_bytes(converge: Path, cli: Cli, tmp_path: Path) -> None:
    runs = [cli("gradcam", converge, *SMALL, "--out", tmp_path / name) for name in "ab"]
    assert runs[0].out == runs[1].out
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_map_is_that_of_the_run_as_it_is_loaded(converge: Path, pack: Path) -> None:
    run = next(r for r in RunStore(converge).runs() if r.config["activation"] == "arelu")
    trained = metaact.load(run.directory)
    test = tasks.split(pack, hold_out="images").test
    seen = _seen(converge)
    answer = next(one for one in seen.answers if one.arm == "arelu" and one.layer == "last-conv")
    number = int(answer.image.removeprefix("test "))
    assert test.class_names[int(test.labels[number])] == answer.truth
    logits = trained(test.pixels[number : number + 1]).detach()
    assert trained.class_names[int(logits.argmax())] == answer.prediction
    label = int(test.labels[number])
    assert answer.probability == pytest.approx(float(logits.softmax(dim=1)[0, label]), rel=1e-4)


def test_a_meta_learned_network_is_explained_after_adaptation(maml: Path, pack: Path) -> None:
    """Among all query images of the episode the share of right answers is what the run scored."""
    seen = _seen(maml, count=100)
    rows = [one for one in seen.answers if one.layer == "last-conv" and one.arm == "relu"]
    assert len(rows) == 15
    run = next(r for r in RunStore(maml).runs() if r.config["activation"] == "relu")
    number = int(seen.images.split("test episode ")[1].split()[0])
    share = float(np.mean([one.right for one in rows]))
    assert share == pytest.approx(run.scores()[number])


def test_scores_by_hand(converge: Path) -> None:
    """Areas of one arm, from its network and the public functions; gains over the centre."""
    from metaact.analysis import centre_prior, curve_area

    seen = _seen(converge, measured=6, layers=["first-stage"])
    score = next(one for one in seen.focus if one.arm == "arelu" and one.measure == "deletion area")
    pixels, labels = _measured(converge, seen, 6)
    rows = []
    for run in RunStore(converge).runs():
        if run.config["activation"] != "arelu":
            continue
        trained = metaact.load(run.directory)
        images = trained.normalised(pixels)
        cam = focus.grad_cam(trained.network, images, labels)
        centre = torch.from_numpy(centre_prior(28, 28)).float().expand(6, -1, -1)
        rows.append(
            [
                float(curve_area(focus.deletion_curve(trained.network, images, m, labels)).mean())
                for m in (cam.over((28, 28)), centre)
            ]
        )
    own, prior = np.mean(rows, axis=0)
    assert score.score.mean == pytest.approx(own, rel=1e-5)
    assert score.centre.mean == pytest.approx(prior, rel=1e-5)
    assert score.over_centre.mean == pytest.approx(prior - own, abs=1e-6)
    assert score.seeds == (0, 1)
    # Arms x measures x (two baselines, and once the other arm), all in one family.
    assert score.over_centre.compared == 2 * (2 * 2 + 1)


def _measured(store: Path, seen: focus.Seen, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    run = RunStore(store).runs()[0]
    study = reports.gather([store]).studies[0]
    from metaact.focus.scene import scene

    drawn = scene(study, metaact.load(run), count=count, seed=seen.seed)
    return drawn.pixels, drawn.labels


def test_numbers_as_csv_and_as_a_table(converge: Path, cli: Cli, out: Path) -> None:
    words = (converge, *SMALL, "--out", out, "--over", "units")
    rows = list(csv.DictReader(io.StringIO(cli("gradcam", *words, "--csv").out)))
    assert len(rows) == 4
    assert {row["layer"] for row in rows} == {"conv3"}
    against = [row for row in rows if row["arm"] == "arelu"]
    assert all(row["reference"] == "relu" and row["versus_verdict"] for row in against)
    table = " ".join(cli("gradcam", *words).out.split())
    for word in (
        "random weights",
        "centre",
        "over the centre",
        "that against relu",
        "one family of",
    ):
        assert word in table


def test_the_users_own_images(converge: Path, maml: Path, pack: Path, cli: Cli, out: Path) -> None:
    test = tasks.split(pack).test
    folder = out.parent / "mine"
    for way in range(3):
        name = test.class_names[way]
        for number, i in enumerate((test.labels == way).nonzero().flatten()[:3].tolist()):
            place = folder / name / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(test.pixels[i, 0].numpy()).save(place)
    words = (*PICTURE, "--images", folder, "--out", out, "--json")
    named = cli("gradcam", converge, *words).json["answers"]
    assert all(one["truth"] == one["image"].split("/")[0] for one in named)
    loose = cli(
        "gradcam", converge, *PICTURE, "--images", folder / test.class_names[0], "--out", out
    )
    assert "the answer" in loose.out
    learned = cli("gradcam", maml, *words)
    assert learned.code == 0, learned.err
    assert "after adaptation to 3 others" in learned.json["images"]
    few = cli("gradcam", maml, *PICTURE, "--images", converge / "converge", "--out", out)
    assert few.code == 1
    shutil.rmtree(folder / test.class_names[2])
    wrong = cli("gradcam", maml, *words)
    assert wrong.code == 2
    assert "--images must hold 3 class folders" in wrong.err


def test_a_layer_that_is_not_there(converge: Path, cli: Cli, out: Path) -> None:
    found = cli("gradcam", converge, *PICTURE, "--layer", "covn3", "--out", out)
    assert found.code == 2
    assert "--layer must be a layer" in found.err
    assert "nearest names are 'conv3'" in found.err
    assert len(found.err.splitlines()) == 1
    assert not list(out.parent.glob("picture*"))


def test_a_run_without_weights(converge: Path, cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(converge, store)
    for file in store.rglob("weights*"):
        file.unlink()
    found = cli("gradcam", store, *PICTURE, "--out", tmp_path / "picture")
    assert found.code == 1
    assert len(found.err.splitlines()) == 1
    assert "must hold its weights to be loaded" in found.err
    assert not list(tmp_path.glob("picture*"))


def test_runs_that_diverged_have_no_weights(pack: Path, cli: Cli, tmp_path: Path) -> None:
    config = ConvergeConfig(dataset=str(pack), lr=1e12, batch_size=32, epochs=1)
    experiments.run(experiments.CONVERGE, [config], tmp_path / "runs")
    found = cli("gradcam", tmp_path / "runs", *PICTURE, "--out", tmp_path / "picture")
    assert found.code == 1
    assert "no run of arelu has weights" in found.err


def test_arms_of_several_studies_are_refused(
    converge: Path, maml: Path, cli: Cli, out: Path
) -> None:
    found = cli("gradcam", converge, maml, *PICTURE, "--out", out)
    assert found.code == 2
    assert "must be of one study" in found.err


@pytest.mark.parametrize("option", ["--count=0", "--measured=-1", "--seed=-1", "--margin=0"])
def test_numbers_out_of_range(option: str, converge: Path, cli: Cli, out: Path) -> None:
    found = cli("gradcam", converge, "--device", "cpu", "--out", out, option)
    assert found.code == 2
    assert option.partition("=")[0] in found.err


def test_reference_and_arms(converge: Path, cli: Cli, out: Path) -> None:
    words = (converge, *SMALL, "--out", out, "--json")
    turned = cli("gradcam", *words, "--reference", "arelu").json
    assert {one["versus"]["second"] for one in turned["focus"] if one["versus"]} == {"arelu"}
    alone = cli("gradcam", *words, "--activation", "relu").json
    assert alone["arms"] == ["relu"]
    assert all(one["versus"] is None for one in alone["focus"])
    unknown = cli("gradcam", *words, "--reference", "gelu")
    assert unknown.code == 2
