"""What everything public shows of itself: a short line, and in a notebook tables and pictures."""

from __future__ import annotations

import base64
import importlib
import inspect
import io
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import metaact
from metaact import activations, adaptation, analysis, experiments, models, paper, reports, runs
from metaact import tasks as data
from metaact.display import html_picture

DOORS = (
    *("activations", "adaptation", "analysis", "experiments", "models", "paper", "reports"),
    *("runs", "tasks"),
)
CLASSES = [
    value
    for door in DOORS
    for name in importlib.import_module(f"metaact.{door}").__all__
    if inspect.isclass(value := getattr(importlib.import_module(f"metaact.{door}"), name))
    and not issubclass(value, BaseException)
    and not getattr(value, "_is_protocol", False)
    and not inspect.isabstract(value)
]
RULES = (
    *(adaptation.Maml, adaptation.Anil, adaptation.Boil, adaptation.MetaSGD),
    *(adaptation.MamlPlusPlus, adaptation.Reptile, adaptation.FineTune, adaptation.Descent),
)
LONGEST = 300
NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def shown(
    tmp_path_factory: pytest.TempPathFactory, synthetic: ModuleType, pack: Path
) -> dict[type, Any]:
    """An instance of every public class that is not a module of PyTorch, some made by others."""
    store = tmp_path_factory.mktemp("shown") / "runs"
    for arm in ("arelu", "relu", "gelu"):
        for seed in range(3):
            scores = [0.3 + 0.1 * (arm == "arelu") + 0.01 * (i + seed) for i in range(12)]
            synthetic.maml(store, arm, seed, scores)
    evidence = reports.gather([store])
    split = data.split(pack)
    sampled = data.Episodes(split.train, ways=3, shots=1, queries=2, seed=0)
    frozen = data.frozen(split.test, ways=3, shots=1, queries=2, episodes=4, seed=0)
    pair = data.pair(split.train, split.train)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 18))
    recipe = adaptation.Recipe(lr=0.1, batch_size=64)
    maml = metaact.MAML(model, inner_lr=0.1, inner_steps=1)
    _, conversion = metaact.convert(model, "arelu", report=True)
    warm = metaact.convert(
        model, "arelu", report=True, warm_start=split.train.pixels[:64].float() / 255
    )[1].warm
    cost = adaptation.swap_cost(
        model, "arelu", train=split.train, test=split.train, recipe=recipe, steps=(0, 1)
    )
    listing = runs.RunStore(store).scan()
    (first, *_) = listing.runs
    measure = experiments.MAML.measure(first.config, {})
    config = experiments.MamlConfig(dataset=str(pack), activation="arelu", ways=3)
    ready = experiments.prepare(experiments.MAML, [config], store=store)
    document = reports.compare(evidence)
    study = document.studies[0]
    planned = ready.jobs[0].planned
    finished = experiments.Finished(result={"outcome": "complete"}, weights={"w": torch.ones(999)})
    curve = (np.arange(999), np.arange(999), np.arange(999))
    volumes = data.synthetic_patients(32)
    found = [
        *(conversion, conversion.places[0], warm, warm.places[0], activations.resolve("arelu")),
        activations.Kept(path="gate", what="Sigmoid", why="gate or output"),
        *(activations.shape_of(nn.Tanh()), adaptation.Dice(), adaptation.ProtoNet()),
        adaptation.MetaLearner(model, adaptation.Maml(inner_lr=0.1)),
        adaptation.MetaStack([adaptation.MetaLearner(model, adaptation.Maml(inner_lr=0.1))]),
        *(rule(inner_lr=0.1) for rule in RULES),
        adaptation.VolumeScore(loss=0.5, dice=np.ones(999)),
        *(maml, maml.evaluate(sampled.sample(2)), recipe, cost, cost.warm),
        *(adaptation.Trainer(model, split.train, recipe=recipe, seed=0),),
        *(
            adaptation.evaluate(model, split.train),
            adaptation.EpochLoss(loss=0.5, diverged_at=None),
        ),
        adaptation.Normalisation(mean=(0.5,), std=(0.5,)),
        *(study.comparisons[0], study.comparisons[0].interval, study.ranks.found),
        *(analysis.Column("arm"), analysis.looks(["arelu"])["arelu"]),
        analysis.CurvePanel(title="Arms", curves={"arelu": curve}, marks={}, percent=True),
        analysis.ScatterPanel(title="Gain", note="", xlabel="gain", places={"arelu": 1.5}),
        analysis.ForestRow(arm="arelu", interval=study.comparisons[0].interval, settled=True),
        analysis.MapColumn(title="arelu", maps=np.ones((9, 9, 9)), group="first-stage"),
        *(experiments.SegmentConfig(features=2), experiments.StreamConfig(bins=3)),
        *(data.paper_fold(volumes)[0], volumes),
        *(experiments.MAML, config, experiments.ConvergeConfig(activation="gelu", lr=1e-5)),
        experiments.TransferConfig(source="mnist", target="svhn"),
        *(evidence.studies[0], evidence.studies[0].arms[0], evidence.studies[0].records[0]),
        *(measure, measure.axis, ready, planned, planned.signature, ready.shared[0]),
        *(*ready.shared[0].examples[:1], finished, experiments.Step(records=[{}], ended=finished)),
        experiments.Member(planned=planned, run=first),
        experiments.Column(name="epoch 1", scores={0: np.ones(999)}),
        experiments.Selected(by_seed={0: 0.5}, held_out=0.4, selected_on="test", held_out_is="x"),
        *(ready.preview(), experiments.Outcome(**_outcome(ready))),
        *(models.NETWORKS["conv4"], models.Cost(**_numbers(models.Cost, "conv4", "arelu"))),
        *(paper.CONVERGENCE, paper.TRANSFER, paper.MAML, paper.NETWORKS[7]["200-epochs"]),
        *(document, study, study.arms[0], evidence, reports.Options()),
        *(listing, first, runs.RunStore(store), runs.entry(first.directory)),
        runs.Damaged(directory=store, reason="it is empty"),
        *(split, split.train, split.train.provenance, sampled, frozen, sampled.sample(2)),
        *(pair, pair.source, pair.source_pipeline, data.DATASETS[0]),
    ]
    prepared = experiments.Prepared(
        data=split.provenance(), device="cpu", normalisation={}, validated=True
    )
    return {type(one): one for one in [*found, prepared]}


def _outcome(ready: Any) -> dict[str, Any]:
    report = SimpleNamespace(done=[])
    return {"experiment": ready.experiment, "configs": (), "jobs": ready.jobs, "report": report}


def _numbers(kind: Any, *texts: str) -> dict[str, Any]:
    assert is_dataclass(kind)
    names = [one.name for one in fields(kind)]
    return dict(zip(names, [*texts, *[1] * len(names)], strict=False))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_everything_public_shows_itself_in_a_short_line(kind: Any, shown: dict[type, Any]) -> None:
    if issubclass(kind, nn.Module):  # which PyTorch shows, layer by layer
        return
    assert kind in shown, "give the fixture `shown` an instance of it"
    line = repr(shown[kind])
    assert line.startswith(kind.__name__)
    assert len(line) <= LONGEST, line
    assert "\n" not in line
    assert not re.search(r" at 0x|tensor\(|array\(", line), line


def test_a_config_shows_what_is_not_the_default() -> None:
    config = experiments.MamlConfig(activation="arelu", shots=5)
    assert repr(replace(config, seed=3)).startswith("MamlConfig(activation='arelu'")
    assert "shots=5" in repr(config)
    assert "meta_lr" not in repr(config)
    assert repr(experiments.MamlConfig(shots=1)) != repr(experiments.MamlConfig(shots=2))


class _Tags(HTMLParser):
    """Every tag and attribute of a page, and whether all are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name == "src"]
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(markup: str) -> _Tags:
    tags = _Tags()
    tags.feed(markup)
    assert tags.open == []
    return tags


@pytest.mark.parametrize(
    "kind",
    [
        *(analysis.Comparison, reports.Document, reports.StudyReport, activations.Entry),
        *(data.MetaBatch, data.Episodes, data.FrozenEpisodes, data.Images),
    ],
)
def test_what_a_notebook_shows_is_sound_markup(kind: type, shown: dict[type, Any]) -> None:
    tags = read(shown[kind]._repr_html_())
    assert tags.tags
    assert "script" not in tags.tags


@pytest.mark.parametrize("make", [activations.AReLU, activations.PAU, activations.RReLU])
def test_an_activation_is_drawn(make: Callable[[], nn.Module]) -> None:
    module = make()
    training = module.training
    tags = read(module._repr_html_())
    assert tags.tags.count("polyline") == 3
    assert module.training is training


def test_the_curve_is_the_function() -> None:
    markup = activations.AReLU(alpha=0.5, beta=0.0)._repr_html_()
    points = [
        tuple(map(float, pair.split(",")))
        for pair in re.findall(r'<polyline points="([^"]+)"/></svg>', markup)[0].split()
    ]
    (x0, low), (middle, zero), (x1, high) = points[0], points[60], points[120]
    assert (x0, middle, x1) == (0, 60, 120)
    # 0.5 x left of 0 and 1.5 x right of it, upwards on the screen.
    assert (zero - high) / (low - zero) == pytest.approx(3, rel=0.02)


def test_what_mixes_elements_is_told_in_words_alone() -> None:
    assert "svg" not in activations.resolve("maxout")._repr_html_()


def test_names_and_notes_of_strangers_are_escaped(shown: dict[type, Any]) -> None:
    study = shown[reports.StudyReport]
    arms = [replace(study.arms[0], name=NASTY), *study.arms[1:]]
    said = replace(study.comparisons[0], sentence=NASTY, verdict=NASTY)
    nasty = replace(study, arms=arms, notes=[NASTY], title=NASTY, comparisons=[said])
    document = replace(shown[reports.Document], studies=[nasty])
    images = shown[data.Images]
    about = replace(images.provenance, dataset=NASTY, note=NASTY)
    for thing in (said, nasty, document, replace(images, provenance=about)):
        markup = thing._repr_html_()
        assert "<script" not in markup
        assert "&lt;script" in markup


def test_the_picture_of_an_episode_holds_its_images() -> None:
    images = torch.arange(2.0).reshape(1, 2, 1, 1, 1).expand(1, 2, 1, 4, 4)
    labels = torch.tensor([[0, 1]])
    batch = data.MetaBatch(support=images, support_labels=labels, query=images, query_labels=labels)
    (source,) = read(batch._repr_html_()).sources
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as opened:
        pixels = np.array(opened)
    assert pixels.shape == (12, 18)  # a row a class; support, gap, query; two pixels of frame
    assert pixels[1, 1] == pixels[1, 13] == 0
    assert pixels[7, 1] == pixels[7, 13] == pixels[1, 7] == 255


def test_drawing_an_episode_moves_no_position(shown: dict[type, Any]) -> None:
    sampled = shown[data.Episodes]
    before = sampled.position
    sampled._repr_html_()
    assert sampled.position == before


def test_a_caption_is_escaped() -> None:
    markup = html_picture(np.zeros((2, 2), dtype=np.uint8), caption='"><script>')
    assert "<script" not in markup
