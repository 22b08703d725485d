"""Mutated packs, folders, config files, options and runs: one sentence each, and nothing written.

`python tests/fuzz.py [SEED] [SECONDS]` tries what it can in a minute, and prints whatever broke
with the seed that makes it again; `tests/test_fuzz.py` runs a little of it. What is tried is a
function of the seed and the number of the case alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import reprlib
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
import torch
from PIL import Image

from metaact import activations, models, tasks
from metaact.cli import main as run_command
from metaact.cli.main import cli
from metaact.errors import MetaactError
from metaact.experiments import (
    ConvergeConfig,
    SegmentConfig,
    StreamConfig,
    TransferConfig,
    find,
)
from metaact.experiments.plans import Plan, plan_path
from metaact.experiments.table import kinds
from metaact.runs import Run, RunStore

sys.path.insert(0, str(Path(__file__).parent))
import synthetic  # beside this file

Case = Callable[[random.Random, Path], str]
"""Makes its input in a folder; says what it tried. Raises `BrokenError` if that broke."""

TINY = (
    *("--iterations", "1", "--tasks", "2", "--test-episodes", "2", "--validation-episodes", "2"),
    *("--ways", "2", "--queries", "1", "--test-queries", "1", "--activation", "relu"),
)
NASTY = (
    *("", " ", "0", "-1", "1", "2", "1e300", "1e-320", "nan", "inf", "-inf", "0x10", "1_000", "٣"),
    *(
        "9" * 30,
        "1,2",
        ",",
        "a,b",
        "true",
        "None",
        "[]",
        "{}",
        "=",
        "=1+1",
        "'",
        '"',
        "\\",
        "\x1b[31m",
    ),
    *("../..", "/", ".", "~", "a" * 300, "a/" * 2100, "\x00", "caf\udce9", "鳥", "\u202e", "a\nb"),
    *(
        "relu",
        "arelu",
        "os:getcwd",
        "sys:exit",
        "lr=",
        "lr=1e300",
        "head=0.1",
        "=0.1",
        "head=",
        "all",
    ),
)


class BrokenError(Exception):
    """What was tried got something else than one sentence, or left a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def call(words: list[str], folder: Path) -> Ended:
    """The command line in this process, in a folder."""
    out, err = io.StringIO(), io.StringIO()
    before, argv, path = Path.cwd(), sys.argv, list(sys.path)
    os.chdir(folder)
    sys.argv = ["metaact", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            run_command()
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    except BaseException as error:
        raise BrokenError(f"{words}: {''.join(traceback.format_exception(error)[-3:])}") from error
    finally:
        os.chdir(before)
        sys.argv, sys.path[:] = argv, path
    return Ended(code=code, out=out.getvalue(), err=err.getvalue())


def expect_refusal(words: list[str], folder: Path, *, may_end_well: bool = False) -> Ended:
    """One line that begins with the program's name, nothing on stdout, nothing written."""
    before = _files(folder)
    ended = call(words, folder)
    if ended.code == 0 and may_end_well:
        return ended
    lines = ended.err.strip().splitlines()
    problems = []
    if ended.code not in (1, 2):
        problems.append(f"exit code {ended.code}")
    if len(lines) != 1 or not lines[0].startswith("metaact: "):
        problems.append(f"{len(lines)} lines: {ended.err[:600]!r}")
    if "\x1b" in ended.err or "\x1b" in ended.out:
        problems.append("an escape sequence reached the terminal")
    if ended.out:
        problems.append(f"stdout: {ended.out[:200]!r}")
    if (left := _files(folder) - before) or before - _files(folder):
        problems.append(f"files: {sorted(left)[:5]}")
    if problems:
        raise BrokenError(f"{words}: {'; '.join(problems)}")
    return ended


def _files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


def _data(path: Path, folder: Path) -> str:
    """Read data by the library, and if it refuses them by a command, too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tasks.split(path)
    except MetaactError as error:
        if "\n" in str(error).strip():
            raise BrokenError(f"several lines: {error}") from error
        expect_refusal(["maml", "--dataset", str(path), *TINY, "--out", "store"], folder)
        return f"refused: {error}"
    except BaseException as error:
        raise BrokenError(f"{path.name}: {type(error).__name__}: {error}") from error
    return "read"


def pack(rng: random.Random, folder: Path) -> str:
    """A pack with bytes, members or arrays changed."""
    path = folder / "pack.npz"
    draw = np.random.default_rng(rng.getrandbits(32))
    images = draw.integers(0, 256, (24, 4, 4), dtype=np.uint8)
    arrays = {
        "images": images,
        "labels": np.repeat(np.arange(6), 4),
        "class_names": np.array([f"class {n}" for n in range(6)]),
        "provenance": np.array(json.dumps({"dataset": "fuzz", "note": "x"})),
    }
    _mutate_arrays(rng, arrays)
    save = rng.choice((np.savez, np.savez_compressed))
    save(path, **arrays)
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((0, 0, 1, 1, 3, 20))):
        content[rng.randrange(len(content))] = rng.randrange(256)
    how = rng.random()
    if how < 0.1:
        content = content[: rng.randrange(len(content))]
    elif how < 0.4:
        _mutate_zip(rng, content)
    elif how < 0.55:
        header = rng.choice(
            (b"{'descr': '|u1', 'shape': (24, 4", b"(" * 3000, b"-" * 5000, b"\\N{x}")
        )
        with zipfile.ZipFile(path, "w") as archive:
            length = len(header).to_bytes(2, "little")
            archive.writestr("images.npy", b"\x93NUMPY\x01\x00" + length + header)
            archive.writestr("labels.npy", rng.randbytes(80))
        content = bytearray(path.read_bytes())
    path.write_bytes(content)
    return _data(path, folder)


def _mutate_arrays(rng: random.Random, arrays: dict[str, np.ndarray]) -> None:
    """Change one array, or what it is called, half of the time."""
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    other = rng.choice(("x_train", "train_images", "é", "=1"))
    kind = rng.choice(("U9", "f4", "i1", "u8", "c8", "?"))
    facts = rng.choice(("[]", "{", '{"sha256": 1}', "null", "[" * 9999, '{"note": {"a": [1]}}'))
    changes: list[Callable[[], object]] = [
        lambda: arrays.pop(name),
        lambda: arrays.update({name: array.astype(kind)}),
        lambda: arrays.update({name: array[..., None]}),
        lambda: arrays.update({name: array[:0]}),
        lambda: arrays.update({other: arrays.pop(name)}),
        lambda: arrays.update(provenance=np.array(facts)),
        lambda: arrays.update(class_names=np.array(["\ud800", *"bcdef"])),
        lambda: arrays.update(class_groups=np.array(["train", "test", "a", "b", "c", "d"])),
        lambda: arrays.update(labels=np.array([2**63 - 1] * 24)),
    ]
    if rng.random() < 0.5:
        with contextlib.suppress(ValueError, TypeError, IndexError):
            rng.choice(changes)()


def _mutate_zip(rng: random.Random, content: bytearray) -> None:
    """Change the flags, the method or the sizes that the archive claims."""
    places = [
        i for i in range(len(content) - 30) if content[i : i + 4] in (b"PK\x01\x02", b"PK\x03\x04")
    ]
    for at in places:
        if rng.random() < 0.5:
            central = content[at + 2] == 1
            offset = rng.choice((8, 10, 16, 20, 24) if central else (6, 8, 14, 18, 22))
            content[at + offset] = rng.choice((0, 1, 8, 12, 14, 99, rng.randrange(256)))


NAMES = (
    *("train", "Test", "val", "cat", "dog", "bird", "a", "b", "=1+1", "x y", "caf\udce9", "鳥"),
    *(".hidden", "\x1b[31mred", "new\nline", "-rf", "images"),
)
ENDINGS = (
    ".png",
    ".PNG",
    ".jpg",
    ".gif",
    ".bmp",
    ".tif",
    ".webp",
    ".txt",
    "",
    ".npz",
    ".tga",
    ".pdf",
)


def folder(rng: random.Random, place: Path) -> str:
    """A tree of folders with images, broken images and other files."""
    root = place / "own"
    root.mkdir()
    for _ in range(rng.randrange(1, 14)):
        at = root.joinpath(*(rng.choice(NAMES) for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3)))))
        with contextlib.suppress(OSError):
            at.mkdir(parents=True, exist_ok=True)
            for number in range(rng.randrange(6)):
                (at / f"{number}{rng.choice(ENDINGS)}").write_bytes(_image(rng))
    if rng.random() < 0.1:
        (root / "loop").symlink_to(root)
    return _data(root, place)


def _image(rng: random.Random) -> bytes:
    draw = np.random.default_rng(rng.getrandbits(32))
    size = rng.choice(((4, 4), (1, 1), (3, 7)))
    kind = rng.random()
    if kind < 0.05:
        return rng.choice((b"", b"Python", b"P1", b"GIF89a", rng.randbytes(40)))
    file = io.BytesIO()
    if kind < 0.1:
        Image.fromarray(draw.integers(0, 4096, size).astype(np.uint16)).save(file, "png")
    elif kind < 0.13:
        Image.fromarray(draw.random(size).astype(np.float32)).save(file, "tiff")
    else:
        form = rng.choice(("png", "gif", "bmp", "webp", "tiff", "ppm"))
        Image.fromarray(draw.integers(0, 256, (*size, 3), dtype=np.uint8)).save(file, form)
    content = file.getvalue()
    if rng.random() < 0.05:
        return content[: rng.randrange(len(content))]
    return content


def config_file(rng: random.Random, folder: Path) -> str:
    """A TOML file with keys and values of any kind; the data are not there."""
    keys = [*_options("maml"), "nope", "ways", "lr", "tune"]
    lines = []
    for _ in range(rng.randrange(1, 4)):
        text = json.dumps(rng.choice(NASTY), ensure_ascii=rng.random() < 0.5)
        value = rng.choice(
            (
                text,
                "1",
                "-1",
                "0.5",
                "1e400",
                "nan",
                "true",
                "[]",
                "[1, 2]",
                "{a = 1}",
                "9" * 30,
                "0x" + "f" * 5000,
                "[" * 3000,
                "",
            )
        )
        lines.append(f"{rng.choice(keys).removeprefix('--')} = {value}")
    content = "\n".join(lines).encode("utf-8", "surrogateescape")
    if rng.random() < 0.1:
        content += rng.randbytes(5)
    (folder / "c.toml").write_bytes(content)
    words = ["maml", "--config", "c.toml", "--dataset", "nope.npz"]
    return expect_refusal(words, folder).err.strip()


def options(rng: random.Random, folder: Path) -> str:
    """A command with options and arguments of any kind; neither data nor runs are there."""
    verb = rng.choice(
        ("maml", "converge", "transfer", "compare", "report", "list", "show", "rm", "data")
    )
    words = {
        "list": ["runs", "list"],
        "show": ["runs", "show"],
        "rm": ["runs", "rm", "--yes"],
        "data": ["data", "show"],
    }.get(verb, [verb])
    known = _options(*words[:2])
    for _ in range(rng.randrange(0, 4)):
        words.append(rng.choice(known))
        if rng.random() < 0.9:
            words.append(rng.choice(NASTY))
    if verb in ("maml", "converge"):
        words += ["--dataset", "nope.npz"]
    elif verb == "transfer":
        words += ["nope.npz", "nope.npz"]
    elif verb == "data":
        words.append("nope.npz")
    elif rng.random() < 0.5:
        words.append(rng.choice(NASTY))
    return expect_refusal(words, folder, may_end_well=verb in ("list", "rm")).err.strip()


ODD = (
    *(None, True, -1, 0, 0.5, 1e308, 10**30, 10**400, "", "x", "\x1b[31m", "=1", "a" * 300),
    *([], {}, [[1]], [None], {"x": {}}, {"alpha": None}),
)
"""Values that stand where a run records something else."""

RUNS = [(arm, seed) for arm in ("relu", "arelu") for seed in (0, 1)]
"""Arms and seeds of a store that is damaged."""

RIGHT = [[False, False], [True, False], [True, True]]
"""Which of two test images were right after each epoch."""


def _maml(store: Path) -> list[Run]:
    return [synthetic.maml(store, arm, seed, [0.5, 0.75]) for arm, seed in RUNS]


def _converge(store: Path) -> list[Run]:
    configs = [ConvergeConfig(activation=arm, seed=seed) for arm, seed in RUNS]
    return [synthetic.converge(store, config, RIGHT) for config in configs]


def _transfer(store: Path) -> list[Run]:
    made = []
    for arm in ("relu", "arelu"):
        config = TransferConfig(activation=arm)
        made.append(synthetic.source(store, config, RIGHT, epochs=2))
        made += [synthetic.transfer(store, config, RIGHT, pretrained=n) for n in (3, 0)]
    return made


def _segment(store: Path) -> list[Run]:
    dice = [[0.0, 0.5, 0.7], [0.2, 0.6, 0.9]]
    configs = [SegmentConfig(activation=arm, seed=seed) for arm, seed in RUNS]
    return [synthetic.segment(store, config, dice) for config in configs]


def _stream(store: Path) -> list[Run]:
    configs = [StreamConfig(activation=arm, seed=seed) for arm, seed in RUNS]
    return [synthetic.stream(store, config, [2.0, 1.0, 1.5]) for config in configs]


def _images(store: Path) -> list[Run]:
    configs = [StreamConfig(activation=arm, seed=seed, stream="classes") for arm, seed in RUNS]
    return [synthetic.stream(store, config, [0.5, 0.75, 0.25]) for config in configs]


STORES: dict[str, Callable[[Path], list[Run]]] = {
    "maml": _maml,
    "converge": _converge,
    "transfer": _transfer,
    "segment": _segment,
    "stream": _stream,
    "stream of images": _images,
}
"""What makes a store of each experiment, and what it is of: all kinds of its runs."""


def records(rng: random.Random, folder: Path, experiment: str) -> str:
    """A store with a plan, of which a file is edited or a run holds something else."""
    store = folder / "runs"
    made = STORES[experiment](store)
    plan = _planned(store, experiment, made[-1])
    chance = rng.random()
    if chance < 0.1:
        tried = _edit(rng, [plan])
    elif chance < 0.2:
        tried = _misplaced(rng, store, rng.choice(made).directory)
    elif chance < 0.45:
        run = rng.choice(made)
        if rng.random() < 0.3:
            synthetic.as_of_0_1_0(run)
        tried = _edit(rng, sorted(path for path in run.directory.iterdir() if path.is_file()))
    else:
        tried = _record_otherwise(rng, store, rng.choice(made).directory)
    expect_reading(rng, folder, tried)
    return tried


def _misplaced(rng: random.Random, store: Path, run: Path) -> str:
    """A run directory is somewhere else, or is none."""
    other = run.with_name(f"{rng.choice(NAMES)}{rng.choice(('', run.name[-11:]))}")
    strange = store / rng.choice((*kinds(), "nope", "examples", "\x1b[31m")) / run.name
    changes: dict[str, Callable[[], object]] = {
        "copied": lambda: shutil.copytree(run, other),
        "in another kind": lambda: shutil.copytree(run, strange),
        "within itself": lambda: shutil.copytree(run, run / "sub" / run.name),
        "linked": lambda: other.symlink_to(run),
        "a link to itself": lambda: (shutil.rmtree(run), run.symlink_to(run)),
        "a file": lambda: (shutil.rmtree(run), run.write_text("x")),
        "empty": lambda: (shutil.rmtree(run), run.mkdir()),
        "unfinished": lambda: (run / "result.json").unlink(),
        "without config": lambda: (run / "config.json").unlink(),
        "a file as kind": lambda: (store / "nope").write_text("x"),
        "a loop": lambda: (store / "loop").symlink_to(store),
    }
    name = rng.choice(sorted(changes))
    with contextlib.suppress(FileExistsError):
        changes[name]()
    return name


def _planned(store: Path, experiment: str, run: Run) -> Path:
    """Write a plan of the seeds of a run's study."""
    name = experiment.partition(" ")[0]
    path = plan_path(store, find(name), run.config)
    study = {"experiment": name, "by": "activation", "settings": {}}
    Plan(path=path, study=study, seeds=3, made="2026-11-26 14:05").write()
    return path


def expect_reading(rng: random.Random, folder: Path, tried: str, *, every: bool = False) -> None:
    """Verbs that read a store end with sentences, and leave the runs as they are.

    Args:
        rng: Chooses their options, and which they are.
        folder: It holds the store.
        tried: What was done to the store.
        every: Whether it is all of them.
    """
    places = sorted(path for path in (folder / "runs").glob("*/*") if path.is_dir())
    before = _runs(folder)
    verbs = [
        ["runs", "list", *rng.choice(((), ("--each",), ("--json",)))],
        ["runs", "show", str(rng.choice(places)), *rng.choice(((), ("--json",)))],
        ["compare", *rng.choice(((), ("--json",), ("--csv",), ("--by", "model"), ("--at", "1")))],
        ["compare", str(rng.choice(places))],
        ["report", "--pictures", rng.choice("01")],
        ["runs", "export", "--to", "csv", "-o", "out"],
        ["runs", "rm", "--unfinished"],
    ]
    for words in verbs if every else rng.sample(verbs, 4):
        ended = call(words, folder)
        lines = ended.err.splitlines()
        plain = all(line.startswith(("metaact: ", "note: ", "next: ")) for line in lines)
        if "rm" in words:
            plain = True  # it lists what it would remove
        if not plain or "\x1b" in ended.err + ended.out or ended.code not in (0, 1, 2):
            raise BrokenError(f"{tried}: {words}: {ended.code} {ended.err[:600]!r}")
        twice = next((line for line in lines if _says_twice(line)), None)
        if twice:
            raise BrokenError(f"{tried}: {words}: a file is named twice: {twice[:600]!r}")
    if _runs(folder) != before:
        raise BrokenError(f"{tried}: reading changed the runs")


def _says_twice(line: str) -> bool:
    """Whether a message is one about a file within one about the same file, or ends twice."""
    return line.endswith("..") or line.count("is damaged (") > 1


def _runs(folder: Path) -> dict[str, float]:
    """The files of the runs and when each changed; what a lock leaves is none of them."""
    kinds = (path for path in (folder / "runs").glob("*") if not path.is_symlink())
    found = (path for kind in kinds for path in kind.glob("*/*") if path.name != ".lock")
    return {str(path): path.lstat().st_mtime for path in found}


TEXTS = (
    *("", "{}", "[]", "null", "1", '"x"', "{", "NaN", "[" * 9999, '{"a":' * 9999, "9" * 5000),
    *('{"a": NaN}', '{"a": 1e999}', '{"kind": "maml", "kind": 1}', "\ufeff{}", "\x00", "{}\n{}"),
)
"""What stands in place of a document."""

TOKENS = (
    *("NaN", "-Infinity", "1e999", "9" * 400, "9" * 5000, "[" * 3000, "null", "true", "-1", "{}"),
    *(
        '"\\ud800"',
        '"\\u202e"',
        "[[]]",
        '{"a": 1, "a": 2}',
        "'x'",
        "1,",
        "0x1",
        '"' + "a" * 300 + '"',
    ),
)
"""What stands in place of a value of a document."""


def _edit(rng: random.Random, paths: list[Path]) -> str:
    """Change one file: its bytes, its text, or what it is."""
    path = rng.choice(sorted(paths))
    content = bytearray(path.read_bytes())
    kind = rng.choice(("flip", "cut", "gone", "folder", "link", "text", "token", "token", "same"))
    if kind == "flip" and content:
        for _ in range(rng.choice((1, 3))):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == "cut":
        content = content[: rng.randrange(len(content) + 1)]
    elif kind == "text":
        content = bytearray(rng.choice(TEXTS).encode(rng.choice(("utf-8", "utf-16"))))
    elif kind == "token":
        content = _with_token(rng, content, rng.choice(TOKENS).encode())
    elif kind == "same":  # another digit or letter, which a seal of lengths does not see
        places = [i for i, byte in enumerate(content) if chr(byte).isalnum()]
        for _ in range(min(len(places), rng.choice((1, 2)))):
            content[rng.choice(places)] = rng.choice(b"0189eaz-")
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        where = rng.choice((path.name, "nowhere", "/dev/null", "..", "result.json", "/etc/shadow"))
        path.symlink_to(where)
    elif kind != "gone":
        path.write_bytes(content)
    return f"{kind} {path.name}"


def _with_token(rng: random.Random, content: bytearray, token: bytes) -> bytearray:
    """A document with one of its values replaced."""
    places = [match.span(1) for match in re.finditer(rb"[:\[] ?([\w.\"-]+)", content)]
    if not places:
        return content
    start, end = rng.choice(places)
    return content[:start] + token + content[end:]


@dataclass(kw_only=True)
class Written:
    """Everything that a run holds, taken apart."""

    kind: str
    name: str
    parts: dict[str, Any]


def taken_apart(run: Path) -> Written:
    """What a run holds: "config", "about", "environment", "metrics", "result" and "scores"."""
    document = json.loads((run / "config.json").read_text())
    result = json.loads((run / "result.json").read_text())
    lines = (run / "metrics.jsonl").read_text().splitlines()
    scores = (run / "scores.jsonl").read_text().splitlines()
    parts: dict[str, Any] = {
        "config": document.pop("config"),
        "about": {k: v for k, v in document.items() if k not in ("kind", "name", "identity")},
        "result": {k: v for k, v in result.items() if k != "seal"},
        "metrics": [json.loads(line) for line in lines],
        "environment": json.loads((run / "environment.json").read_text()),
        "scores": [json.loads(x)["score"] for x in scores],
    }
    return Written(kind=document["kind"], name=document["name"], parts=parts)


def written_again(store: Path, written: Written, weights: Any = None) -> Path | None:
    """Write a run under a right identity and seal; None if it cannot be written.

    Args:
        store: The store.
        written: What the run is to hold.
        weights: What its file of weights is to hold; None leaves it out.
    """
    parts = written.parts
    try:
        again = RunStore(store).open(
            kind=written.kind, name=written.name, config=parts["config"], about=parts["about"]
        )
        with again.lock():
            again.start(parts["environment"])
            again.resume()
            for record in parts["metrics"]:
                again.append(record)
            if weights is not None:
                torch.save(weights, again.directory / "weights.pt")
            again.finish(parts["result"], parts["scores"])
    except (MetaactError, AttributeError, TypeError, NotImplementedError, RecursionError):
        return None
    return again.directory


def _record_otherwise(rng: random.Random, store: Path, run: Path) -> str:
    """Write the run again with some values changed, under a right identity and seal."""
    written = taken_apart(run)
    name = rng.choice(sorted(written.parts))
    changes = [_change(rng, written.parts[name]) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    shutil.rmtree(run)
    written_again(store, written)
    return " and ".join(f"{run.parent.name} {name}{change}" for change in changes)


def _change(rng: random.Random, tree: Any) -> str:
    """Put something odd into a tree of mappings and lists, or leave something out; where."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    if not keys:
        return " unchanged"
    key = rng.choice(keys)
    if isinstance(tree[key], dict | list) and tree[key] and rng.random() < 0.7:
        return f"[{key!r}]{_change(rng, tree[key])}"
    if rng.random() < 0.2:
        del tree[key]
        return f"[{key!r}] left out"
    tree[key] = rng.choice(ODD)
    return f"[{key!r}] = {reprlib.repr(tree[key])}"


@cache
def _network() -> Mapping[str, torch.Tensor]:
    state: Mapping[str, torch.Tensor] = models.create(
        "mnist-conv",
        activations.resolve("relu"),
        classes=2,
        channels=1,
        size=(28, 28),
        generator=torch.Generator().manual_seed(0),
    ).state_dict()
    return state


class _Code:
    """What runs code where it is unpickled without care."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def weights(rng: random.Random, folder: Path) -> str:
    """A file of weights that holds something else, or other tensors, or broken bytes."""
    state: dict[Any, Any] = dict(_network())
    name = rng.choice(sorted(state))
    changes: list[Callable[[], object]] = [
        lambda: state.pop(name),
        lambda: state.update({name: rng.choice(ODD)}),
        lambda: state.update({rng.choice((1, "", "a\nb", "\x1b[31m", ("x",))): state.pop(name)}),
        lambda: state.update({name: state[name].double()}),
        lambda: state.update({name: state[name] * float("nan")}),
        lambda: state.update({name: state[name][None]}),
        lambda: state.update({name: state[name].flatten()[:0]}),
        lambda: state.update({name: state[name].to_sparse()}),
        lambda: state.update({name: state[name].to("meta")}),
        lambda: state.update({name: state[name].to(torch.complex64)}),
        lambda: state.update({name: torch.zeros(()).expand(10**4, 10**3)}),
        lambda: state.clear(),
        lambda: state.update({name: _Code()}),
    ]
    change = rng.randrange(len(changes) + 1)
    if change < len(changes):
        changes[change]()
    kept: Any = OrderedDict(state)
    if rng.random() < 0.2:
        kept._metadata = rng.choice((*ODD, {"": 1}, {"": {"activation": 1}}))
    if rng.random() < 0.3:
        around = rng.choice((*({k: kept} for k in ("state_dict", "model", "x")), [kept], *ODD))
        kept = around
    path = folder / f"w{rng.choice(('.pt', '.pth', '.bin', '.safetensors', ''))}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(NotImplementedError, RuntimeError, AttributeError, TypeError):
            torch.save(kept, path, _use_new_zipfile_serialization=rng.random() < 0.8)
    tried = f"{path.suffix} {change}"
    if rng.random() < 0.4:
        made = synthetic.converge(folder / "runs", ConvergeConfig(activation="relu"), RIGHT)
        written = taken_apart(made.directory)
        shutil.rmtree(made.directory)
        path = written_again(folder / "runs", written, kept) or path
        tried = f"run {change}"
    elif path.exists() and rng.random() < 0.3:
        tried += f" {_edit(rng, [path])}"
    images = np.random.default_rng(0).integers(0, 256, (24, 28, 28), dtype=np.uint8)
    np.savez(folder / "own.npz", images=images, labels=np.arange(24) % 2)
    few = ("--activation", "relu", "--epochs", "1", "--batch-size", "8", "--dry-run")
    words = ["transfer", "own.npz", "--pretrained", str(path), *few]
    expect_refusal(words, folder, may_end_well=True)
    return tried


def _options(*names: str) -> list[str]:
    command: click.Command | None = cli
    for name in names:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        if found is None:
            break
        command = found
        if not isinstance(command, click.Group):
            break
    assert command is not None
    flags = [
        opt for param in command.params if isinstance(param, click.Option) for opt in param.opts
    ]
    return [flag for flag in flags if flag not in ("--help", "--json", "--csv")]


CASES: dict[str, Case] = {
    "pack": pack,
    "folder": folder,
    "config": config_file,
    "options": options,
    **{name: partial(records, experiment=name) for name in STORES},
    "weights": weights,
}


def attempt(kind: str, seed: int, number: int) -> str | None:
    """One case in a folder of its own; what broke, or None."""
    rng = random.Random(f"{seed} {kind} {number}")
    at_once = mock.patch("os.fsync")  # nothing is to survive a power cut
    with tempfile.TemporaryDirectory() as name, _no_data(name), at_once:
        try:
            CASES[kind](rng, Path(name))
        except BrokenError as error:
            return f"{kind} {number} of seed {seed}: {error}"
    return None


@contextlib.contextmanager
def _no_data(folder: str) -> Iterator[None]:
    before = os.environ.get("METAACT_DATA")
    os.environ["METAACT_DATA"] = f"{folder}/no-data"
    try:
        yield
    finally:
        del os.environ["METAACT_DATA"]
        if before is not None:
            os.environ["METAACT_DATA"] = before


def main(seed: int = 0, seconds: float = 60.0) -> int:
    """Try cases of all kinds in turn until the time is up; how many broke."""
    end, number, broken = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        for kind in CASES:
            found = attempt(kind, seed, number)
            if found is not None:
                broken += 1
                sys.stdout.write(f"{found.encode('ascii', 'backslashreplace').decode()}\n")
        number += 1
    sys.stdout.write(f"{number * len(CASES)} cases of seed {seed}: {broken} broke\n")
    return broken


if __name__ == "__main__":
    arguments = [float(word) for word in sys.argv[1:]]
    sys.exit(bool(main(int(arguments[0]) if arguments else 0, *arguments[1:2])))
