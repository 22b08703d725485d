"""Every block of code in the documentation runs, in miniature; every output shown is one printed.

Python blocks of a page run top to bottom in one namespace, commands through the real command
line, all in one temporary folder. Large settings are overridden by small ones (`SMALL`, `SHORT`),
published data sets by stand-ins in metaact's pack format (`STAND_INS`), and the built-in ones are
drawn with fewer images. What cannot run at all is named in `NOT_RUN`.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
import numpy as np
import pytest
from filelock import FileLock
from matplotlib.figure import Figure
from PIL import Image

from metaact import paper
from metaact.cli import main, reference
from metaact.cli.main import cli
from metaact.experiments import MamlConfig, table

ROOT = Path(__file__).resolve().parents[1]
PAGES = {str(p.relative_to(ROOT)): p for p in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md")}
LANGUAGES = {"python", "bash", "console", "text", "toml"}

NOT_RUN = {
    "python3 -m venv .venv": "installs PyTorch",
    ".venv/bin/pip install -q .": "installs PyTorch",
    "bash tests/run": "runs this test",
}
"""Commands that a page may show and no test can run, and why."""

ONLY_READ = {
    "metaact gradcam runs": "the reader's runs, of one study",
    "metaact gradcam runs --activation arelu,relu --layer first-stage --measured 0": "the same",
    "metaact gradcam runs --images my-photos/ --count 4": "the reader's folder",
    "metaact featuremaps runs": "the reader's runs, of one study",
    "metaact featuremaps runs --activation arelu,relu --count 1 --channels 6": "the same",
    "metaact runs show mnist-5way-1shot-arelu-seed0": "the reader's run",
    "metaact runs show 6d73cf --json": "the reader's run",
    "metaact runs rm mnist-5way-1shot-arelu-seed0": "the reader's run",
    "metaact runs list experiments/a experiments/b --kind maml --activation arelu": "two stores",
    "metaact transfer my-digits/ --pretrained trained.pt --trained-with relu "
    "--activation arelu,relu": "the reader's file",
    "metaact transfer svhn --pretrained runs/converge/mnist-sgd-lr0.01-relu-seed0-849f96de85 "
    "--activation arelu,relu": "the reader's run",
    "metaact overlays synthetic-patients-adam-lr0.003-arelu-seed0 "
    "synthetic-patients-adam-lr0.003-relu-seed0": "the reader's runs",
    "metaact overlays kaggle_3m-adam-lr0.0001-arelu-seed0 --dataset kaggle_3m/ --patient "
    "TCGA_CS_4941": "the reader's run",
    "metaact compare runs/maml --activation arelu,arelu-frozen --over units --markdown": "the arms",
    "metaact runs export runs/maml --to trackio": "it would write into the reader's trackio",
    "metaact stream --activation relu,tanh,sigmoid,lrelu,elu,swish --lr 0.01,0.003,0.001 "
    "--optimizer sgd,adam --bins 50 --seeds 100 --change redraw --workers 2": "3,600 runs",
    "metaact table 3 --quick": "minutes",
    "metaact table 3 --activation all,arelu-frozen --seeds 5": "130 runs of a hundred iterations",
    "metaact converge --activation arelu,relu,selu,elu,gelu,swish,prelu,tanh --lr 1e-2 --epochs 5 "
    "--images 500 --seeds 3 --out eight": "24 runs; with fewer arms it runs on other pages",
    "metaact converge --activation arelu --alpha 0.25,0.5,0.75,0.9 --beta 0,1,2,4 --lr 1e-3 "
    "--epochs 3 --images 500 --out grid": "the same",
    "metaact converge --activation arelu,relu,tanh --lr 1e-1,1e-2,1e-3,1e-4 --epochs 3 "
    "--images 500 --seeds 3 --out rates": "the same",
    "metaact table 8 --quick": "minutes; with fewer arms it runs on another page",
    "metaact figure 4 --quick --dataset cifar10": "minutes",
    "metaact table 7 --reading 300-epochs --model resnet18 --seeds 5": "networks for a GPU",
    "metaact table 8 --seeds 5": "networks for a GPU",
    "metaact table 7 --reading 200-epochs --seeds 5": "networks for a GPU",
    "metaact figure 4 --model resnet18,squeezenet --seeds 5": "networks for a GPU",
    "metaact table 8 --dataset my-photos/ --model mobilenet --protocol held-out --seeds 5": (
        "networks for a GPU"
    ),
}
"""Commands that are parsed and not run, and why."""

SMALL: dict[str, tuple[str, ...]] = {
    "maml": (
        *("--iterations", "2", "--tasks", "2", "--inner-steps", "1", "--test-episodes", "4"),
        *("--validation-episodes", "4"),
    ),
    "converge": ("--epochs", "2", "--batch-size", "64"),
    "stream": ("--bins", "2", "--bin-steps", "64", "--task-steps", "32"),
    "transfer": (
        *("--epochs", "1", "--pretrain-epochs", "1", "--text-epochs", "1"),
        *("--batch-size", "64"),
    ),
    "segment": ("--epochs", "1", "--features", "2", "--size", "16"),
    "table": ("--quick",),
    "figure": ("--quick",),
    "gradcam": ("--count", "2", "--measured", "4", "--layer", "last-conv"),
    "featuremaps": ("--count", "1", "--channels", "2"),
}
"""Options appended to a command: of two values the last one counts."""

SMALL_WHERE_GIVEN = {
    ("maml", "--seeds"): "2",
    ("stream", "--transition"): "8",
    ("converge", "--seeds"): "2",
    ("converge", "--plan-seeds"): "2",
    ("maml", "--plan-seeds"): "2",
    ("transfer", "--seeds"): "2",
    ("segment", "--seeds"): "1",
    ("segment", "--folds"): "2",
    ("converge", "--milestones"): "1",
    ("converge", "--warmup-epochs"): "1",
    ("table", "--seeds"): "1",
    ("figure", "--seeds"): "1",
    ("activations", "--model"): "mnist-conv,conv4",
    ("maml", "--activation=all"): "arelu,gelu",
    ("converge", "--activation=all"): "arelu,gelu",
}
"""The same, where the command has the option, or has it with that value."""

SHORT = {
    "range(100)": "range(2)",
    "sample(100)": "sample(4)",
    "workers=None": "workers=1",
    'dataset="glyphs", seed=seed': (
        'dataset="glyphs", seed=seed, iterations=1, tasks=2, test_episodes=4'
    ),
}
"""What stands for a long part of a Python block."""

GIVEN = {
    "docs/runs.md": """
import torch
from metaact import tasks
images = tasks.printed_digits("test")
model, generator = torch.nn.Linear(2, 2), torch.Generator()
loss, accuracy, accuracies = 0.5, 0.8, [0.7, 0.9]
""",
}
"""What a page takes as there already: Python that is run before its first block."""

DONE = {
    "docs/commands.md": "metaact maml --activation arelu,relu",
    "docs/runs.md": "metaact maml --dataset mnist --activation arelu,relu,prelu --protocol paper",
}
"""What a page takes as done already: a command that is run before its first block."""

STAND_INS = {"mnist": (1, 28), "svhn": (3, 32), "cifar10": (3, 32)}
"""Published data sets that the pages name: channels and size of their stand-ins."""

OWN_FOLDERS = {"my-digits": 10, "birds": 20, "my-letters": 5, "scans": 3}
"""Folders of class folders that the pages take as the reader's own, and their classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: where it is, its language, its text, and the section it is in."""

    page: str
    line: int
    language: str
    text: str
    section: int

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    opened: tuple[int, str, int] | None = None
    section, body = 0, []
    for number, line in enumerate(PAGES[page].read_text(encoding="utf-8").splitlines(), start=1):
        fence = re.match(r" *```(.*)$", line)
        if opened is None:
            section += line.startswith("#")
            if fence:
                opened, body = (number, fence[1].strip(), len(line) - len(line.lstrip())), []
        elif fence:
            first, language, indent = opened
            text = "\n".join(row[indent:] for row in body) + "\n"
            found.append(
                Block(page=page, line=first, language=language, text=text, section=section)
            )
            opened = None
        else:
            body.append(line)
    assert opened is None, f"{page}:{opened}: a block is not closed"
    return found


ALL = [block for page in PAGES for block in blocks_of(page)]
RUNNING = sorted({block.page for block in ALL if block.language != "text"})


def commands_of(block: Block) -> list[str]:
    """The commands of a block, without comments; `a && b` is two."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    words = (shlex.join(shlex.split(line, comments=True)) for line in lines)
    return [part.strip() for line in words for part in line.split(" '&&' ") if part.strip()]


# --- the world in which the blocks run --------------------------------------------------------


def _stripes(classes: int, each: int, *, size: int, channels: int, seed: int) -> np.ndarray:
    """Noisy pictures with a bright band whose place is the class."""
    draw = np.random.default_rng(seed)
    shape = (classes * each, size, size) + ((3,) if channels == 3 else ())
    images = draw.integers(0, 120, shape).astype(np.uint8)
    for label, image in zip(np.repeat(np.arange(classes), each), images, strict=True):
        place = 2 * (label % 10)
        image[place : place + 4, 2 * (label // 10) :] += 120
    return images


def _write_pack(path: Path, images: np.ndarray, classes: int, **more: Any) -> None:
    labels = np.repeat(np.arange(classes), len(images) // classes)
    about = {"dataset": path.stem, "split": "test", "official": False, "note": "a stand-in"}
    np.savez(path, images=images, labels=labels, provenance=json.dumps(about), **more)


def _write_folder(folder: Path, classes: int) -> None:
    images = _stripes(classes, 20, size=28, channels=1, seed=classes)
    for i, image in enumerate(images):
        place = folder / str(i // 20) / f"{i % 20}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)


def _write_masked(folder: Path, *, volumes: bool) -> None:
    """Bright squares and their masks: one folder of images, or volumes in Kaggle's layout."""
    draw = np.random.default_rng(0)
    for number in range(6 * 4):
        image = draw.integers(30, 120, (16, 16, 3)).astype(np.uint8)
        mask = np.zeros((16, 16), np.uint8)
        mask[4 + number % 4 : 9 + number % 4, 5:10] = 255
        image[mask > 0] += 120
        name = f"TCGA_XX_{number // 4}_19960909"
        stems = [f"images/{number}.png", f"masks/{number}.png"]
        if volumes:
            stems = [f"{name}/{name}_{number % 4}{end}.tif" for end in ("", "_mask")]
        for stem, pixels in zip(stems, (image, mask), strict=True):
            (folder / stem).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / stem)


def _make_data(root: Path) -> None:
    names = np.array([str(k) for k in range(10)])
    for seed, (name, (channels, size)) in enumerate(STAND_INS.items()):
        for part, each in (("train", 24), ("test", 20)):
            images = _stripes(10, each, size=size, channels=channels, seed=seed + 10 * each)
            _write_pack(root / f"{name}-{part}.npz", images, 10, class_names=names)
    for part, alphabets in (("background", 5), ("evaluation", 3)):
        groups = np.repeat([f"{part}/{a}" for a in range(alphabets)], 6)
        names = np.array([f"{group}/character{i % 6}" for i, group in enumerate(groups)])
        images = _stripes(len(groups), 20, size=28, channels=1, seed=alphabets)
        more = {"class_names": names, "class_groups": groups}
        _write_pack(root / f"omniglot-{part}.npz", images, len(groups), **more)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A data root with the stand-ins, made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "docs-data"
    with FileLock(f"{root}.lock"):
        if not root.exists():
            root.mkdir()
            _make_data(root)
    return root


@pytest.fixture
def world(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to stand in, small data, and nothing left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METAACT_DATA", str(data))
    digits = importlib.import_module("metaact.tasks.builtin.digits")
    glyphs = importlib.import_module("metaact.tasks.builtin.glyphs")
    monkeypatch.setattr(digits, "COUNTS", {"train": 200, "test": 100})
    monkeypatch.setitem(MamlConfig.__init__.__kwdefaults__, "validation_episodes", 4)
    few = {script: letters[:8] for script, letters in glyphs.CHARACTERS.items()}
    monkeypatch.setattr(glyphs, "CHARACTERS", few)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name, classes in OWN_FOLDERS.items():
        _write_folder(tmp_path / name, classes)
    _write_masked(tmp_path / "kaggle_3m", volumes=True)
    _write_masked(tmp_path / "membranes", volumes=False)
    before = set(sys.modules)
    known = dict(table.EXPERIMENTS)
    yield tmp_path
    table.EXPERIMENTS.clear()  # a page may register an experiment
    table.EXPERIMENTS.update(known)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


# --- running ---------------------------------------------------------------------------------


def shrunk(arguments: list[str]) -> list[str]:
    """The arguments with small settings appended."""
    verb, more = arguments[0], list(SMALL.get(arguments[0], ()))
    if "--pretrained" in arguments:  # nothing is pre-trained
        at = more.index("--pretrain-epochs")
        del more[at : at + 2]
    for (where, given), value in SMALL_WHERE_GIVEN.items():
        option, _, wanted = given.partition("=")
        is_given = where == verb and option in arguments
        if is_given and wanted in ("", arguments[arguments.index(option) + 1]):
            more += [option, value]
    return [*arguments, *more]


def parse(arguments: list[str]) -> None:
    """Let click read the command as it stands on the page, without running it."""
    command, context = cli, click.Context(cli, info_name="metaact")
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, list(arguments))
        context = click.Context(command, info_name=name, parent=context)
    command.parse_args(context, list(arguments))


def run_command(command: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a `metaact` command in this process; return what it prints."""
    _, *arguments = shlex.split(command)
    parse(arguments)
    if command in ONLY_READ:
        return ""
    printed, talk = io.StringIO(), io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["metaact", *shrunk(arguments)])
        if arguments[0] in SMALL:
            # Drawing is most of the time of a small run, and is tested elsewhere.
            patch.setattr("matplotlib.figure.Figure.savefig", _blank)
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(talk),
            pytest.raises(SystemExit) as stopped,
        ):
            main()
    assert not stopped.value.code, f"{command}\n{talk.getvalue()}"
    return printed.getvalue()


def _blank(figure: Figure, path: Path | io.BytesIO, **options: Any) -> None:
    Image.new("L", (8, 8)).save(path, "PNG")


VERDICT = re.compile("is better than|is worse than|No difference shown|is equivalent")


def masked(text: str) -> str:
    """The text without its figures, spaces folded."""
    return re.sub(r"\s+", " ", re.sub(r"[-+±]?\d[\d.,]*", "0", text)).strip()


def check_output(block: Block, shown: str, printed: str) -> None:
    """Whether what a page shows has the form of what was printed: titles, columns, rows, notes."""
    lines = shown.splitlines()
    real = masked(printed)
    for i, line in enumerate(lines):
        following = lines[i + 1] if i + 1 < len(lines) else ""
        if set(line) <= {"-", " "}:
            continue
        if VERDICT.search(line):
            assert VERDICT.search(printed), f"{block}: no verdict in\n{printed}"
        elif i == 0 and ": " in line:  # a title, which names each setting that is not the default
            for part in re.split(r"[:,] ", line):
                assert masked(part) in real, f"{block}: no {part!r} in\n{printed}"
        elif set(following) == {"-", " "}:
            for title in re.split(r" {2,}", line.strip()):
                assert masked(title) in real, f"{block}: no column {title!r} in\n{printed}"
        elif re.search(r"\S {2,}\S", line):
            name = re.split(r" {2,}", line.strip())[0]
            assert name in printed, f"{block}: no row {name!r} in\n{printed}"
        else:
            assert masked(line) in real, f"{block}: {line!r} is not in\n{printed}"


class Page:
    """A page as it is executed: what it has defined, and what it printed last."""

    def __init__(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self.folder, self.monkeypatch = name, folder, monkeypatch
        self.names: dict[str, Any] = {"__name__": Path(name).stem}
        self.printed = ""
        self.section = -1

    def start(self) -> None:
        """Bring about what the page takes as given."""
        exec(GIVEN.get(self.name, ""), self.names)
        if command := DONE.get(self.name):
            self._command(command)

    def run(self, block: Block) -> None:
        """Run one block, or check it, where it shows the output of the one before."""
        if block.language == "text":
            if block.section == self.section:
                check_output(block, block.text, self.printed)
            return
        self.section = block.section
        named = re.match(r"# (\S+\.(?:py|toml))\n", block.text)
        if named:
            (self.folder / named[1]).write_text(block.text, encoding="utf-8")
        if block.language == "python":
            self.printed = self._python(block)
        elif block.language in ("bash", "console"):
            self.printed = "".join(self._command(c) for c in commands_of(block))
        if block.language == "console":
            shown = [line for line in block.text.splitlines() if not line.startswith("$ ")]
            check_output(block, "\n".join(shown), self.printed)

    def _python(self, block: Block) -> str:
        text = block.text
        for long, short in SHORT.items():
            text = text.replace(long, short)
        # Line numbers in a traceback are those of the page.
        page = str(ROOT / block.page)
        code = compile("\n" * block.line + text, page, "exec", dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as printed, mpl.rc_context():
            exec(code, self.names)
        return printed.getvalue()

    def _command(self, command: str) -> str:
        if command in NOT_RUN:
            return ""
        command, _, file = command.partition(" '>' ")
        program, script, *_ = shlex.split(command)
        if program == "python" and (self.folder / script).is_file():
            return self._program(command)
        assert Path(program).name == "metaact", f"{command!r} must be run, or be in NOT_RUN"
        printed = run_command(command, self.monkeypatch)
        if file:
            (self.folder / file).write_text(printed, encoding="utf-8")
        return printed

    def _program(self, command: str) -> str:
        """What a program that the page has written prints."""
        done = subprocess.run(
            [sys.executable, *shlex.split(command)[1:]],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout


@pytest.mark.draws_globally
@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNING)
def test_every_block_runs(
    page: str,
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    executed = Page(page, world, monkeypatch)
    executed.start()
    for block in blocks_of(page):
        if "l2l" in block.text:
            request.getfixturevalue("learn2learn")
        executed.run(block)


@pytest.mark.parametrize(
    "shown",
    [
        "arm    accuracy\n-----  --------\narelu  12.0",
        "arm    seeds\n-----  -----\nprelu  3",
        "Intervals over 3 test images.",
        "arelu is better than relu by 3.0 points.",
    ],
)
def test_output_that_is_not_printed_is_found(shown: str) -> None:
    printed = "arm    seeds\n-----  -----\narelu  3\n\nIntervals over 2 training seeds.\n"
    block = Block(page="x", line=1, language="text", text=shown, section=0)
    check_output(block, printed, printed)
    check_output(block, "Intervals over 9 training seeds.", printed)
    with pytest.raises(AssertionError, match="x:1: "):
        check_output(block, shown, printed)


def test_commands_are_cut_out_of_blocks() -> None:
    text = "metaact data list  # all\nmetaact a --b \\\n  c && metaact d > e.txt\n"
    block = Block(page="x", line=1, language="bash", text=text, section=0)
    wanted = ["metaact data list", "metaact a --b c", "metaact d '>' e.txt"]
    assert commands_of(block) == wanted
    shown = Block(page="x", line=1, language="console", text="$ metaact a\nresult\n", section=0)
    assert commands_of(shown) == ["metaact a"]


def test_every_block_names_its_language() -> None:
    assert [str(block) for block in ALL if block.language not in LANGUAGES] == []


def test_every_exception_is_needed() -> None:
    commands = {c for b in ALL if b.language in ("bash", "console") for c in commands_of(b)}
    python = "".join(block.text for block in ALL if block.language == "python")
    assert set(NOT_RUN) | set(ONLY_READ) <= commands
    assert [part for part in SHORT if part not in python] == []
    assert {*GIVEN, *DONE} <= set(PAGES)
    assert [name for name in OWN_FOLDERS if not any(f"{name}/" in c for c in commands)] == []


def _names(text: str, context: type[ast.expr_context]) -> set[str]:
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, context)}


@pytest.mark.parametrize("page", GIVEN)
def test_what_a_page_is_given_it_does_not_make_itself(page: str) -> None:
    code = "".join(b.text for b in blocks_of(page) if b.language == "python")
    assert _names(GIVEN[page], ast.Store) <= _names(code, ast.Load) - _names(code, ast.Store)


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_comes_after_the_command_that_makes_it(page: str) -> None:
    text = PAGES[page].read_text(encoding="utf-8")
    for picture in re.finditer(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert (PAGES[page].parent / picture[1]).is_file()
        assert "```bash" in text[: picture.start()] or page in ("README.md", "docs/index.md")


def test_every_picture_is_shown() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in PAGES.values())
    images = ROOT / "docs" / "images"
    for picture in (path for path in images.rglob("*") if path.is_file()):
        assert f"images/{picture.relative_to(images).as_posix()})" in texts


def test_pictures_have_all_their_colours() -> None:
    for picture in (ROOT / "docs").rglob("*.png"):
        with Image.open(picture) as image:
            assert image.mode in ("RGB", "RGBA"), picture


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    page = PAGES["docs/commands.md"].read_text(encoding="utf-8")
    assert page == reference.page(), f"write it anew: {sys.executable} -m {reference.__name__}"


def _tables(text: str) -> Iterator[tuple[str, str, str]]:
    """The cells of the Markdown tables in a text: row, column, content."""
    titles: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            titles = []
        elif not titles:
            titles = cells
        else:
            yield from ((cells[0], title, cell) for title, cell in zip(titles, cells, strict=True))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_the_papers_figures_on_the_page_are_those_of_the_paper(number: int) -> None:
    text = PAGES["docs/paper.md"].read_text(encoding="utf-8")
    section = re.split(r"\n#+ ", text.split(f"# Table {number}: ")[1])[0]
    shots = {"1 shot, best iteration": "ways5_shots1", "5 shots, best iteration": "ways5_shots5"}
    cells = [cell for cell in _tables(section) if " / " in cell[2]]
    assert len(cells) >= 4
    for row, title, cell in cells:
        column = shots.get(title, title.replace(" ", "_"))
        assert float(cell.split(" / ")[1]) == paper.table(number)[row][column], (row, title)
