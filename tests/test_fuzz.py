"""A little of `tests/fuzz.py`, and every key that a run records: dropped, null, of another type."""

from __future__ import annotations

import copy
import importlib.util
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from metaact import reports
from metaact.experiments import Study
from metaact.experiments.recorded import check
from metaact.reports._rows import PER, blocks, table
from metaact.runs import entry


def beside(name: str) -> ModuleType:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fuzz = beside("fuzz")


@pytest.mark.parametrize("kind", sorted({*fuzz.CASES} - {*fuzz.STORES}))
def test_a_mutated_input_gets_one_sentence_and_writes_nothing(kind: str) -> None:
    broken = [found for number in range(25) if (found := fuzz.attempt(kind, 0, number))]
    assert not broken


@pytest.mark.parametrize("kind", fuzz.STORES)
def test_a_store_with_a_damaged_run_is_read_by_every_verb(kind: str) -> None:
    broken = [found for number in range(4) if (found := fuzz.attempt(kind, 0, number))]
    assert not broken


def paths(tree: Any, depth: int = 5) -> Iterator[tuple[Any, ...]]:
    """The way to each value of a tree; of a list its first and last item stand for all."""
    keys = list(tree) if isinstance(tree, dict) else sorted({0, len(tree) - 1} if tree else ())
    for key in keys:
        yield (key,)
        if depth > 1 and isinstance(tree[key], dict | list):
            yield from ((key, *rest) for rest in paths(tree[key], depth - 1))


def of_another_type(value: Any) -> Any:
    """A value of another type than a value."""
    if isinstance(value, dict | list):
        return "x"
    return {"x": 1} if isinstance(value, str) else "x"


CHANGES: dict[str, Callable[[Any, Any], object]] = {
    "dropped": lambda tree, key: tree.pop(key),
    "null": lambda tree, key: tree.__setitem__(key, None),
    "of another type": lambda tree, key: tree.__setitem__(key, of_another_type(tree[key])),
}


def change_at(parts: dict[str, Any], path: tuple[Any, ...], change: str) -> None:
    """Make one change in what a run holds."""
    tree: Any = parts
    for key in path[:-1]:
        tree = tree[key]
    CHANGES[change](tree, path[-1])


READ: dict[str, set[str]] = {
    "maml": {"config.ways", "metrics.0.iteration", "result.test_accuracy", "result.attention"},
    "converge": {"metrics.3.test_accuracy", "metrics.3.attention", "result.test_images"},
    "transfer": {"config.pretrained", "config.keeps_head", "metrics.0.test_accuracy"},
    "source": {"config.pretrain_lr", "config.epochs", "result.outcome"},
    "segment": {"metrics.2.test_scores", "result.patients", "result.fold_of"},
    "stream": {"metrics.3.test_error", "config.stream_sha256", "environment.data"},
    "stream of images": {"metrics.3.test_accuracy", "config.lr", "environment.data.stream"},
}
"""Some of what is read of each kind of run: without it, a run is damaged."""


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", READ)
def test_whatever_a_run_lacks_or_mistypes_every_reader_ends_with_one_sentence(
    kind: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is asked for: the run is damaged, for all readers; of the rest none breaks."""
    monkeypatch.setattr("os.fsync", lambda handle: None)
    store = tmp_path / "runs"
    made = fuzz.STORES["transfer" if kind == "source" else kind](store)
    run = next(one for one in made if one.kind == kind.partition(" ")[0]).directory
    whole = fuzz.taken_apart(run)
    shutil.rmtree(run)
    damaged, harmless = set(), copy.deepcopy(whole)
    for path in reversed([path for path in paths(whole.parts) if len(path) > 1]):
        one = copy.deepcopy(whole)
        change_at(one.parts, path, change)
        directory = fuzz.written_again(store, one)
        if directory is None:
            continue
        found = entry(directory, check=check)
        evidence = reports.gather([store])
        assert all("\n" not in item.why for item in evidence.left_out)
        if found.status == "damaged":
            damaged.add(".".join(map(str, path)))
            assert "\n" not in found.why
            assert str(directory) not in {name for s in evidence.studies for name in names(s)}
        else:
            reports.compare(evidence)
            for per in PER:
                table(blocks(evidence, per))
            change_at(harmless.parts, path, change)
        shutil.rmtree(directory)
    assert READ[kind] <= damaged
    assert fuzz.written_again(store, harmless) is not None
    fuzz.expect_reading(random.Random(0), tmp_path, f"{kind}, {change}", every=True)


def names(study: Study) -> list[str]:
    """The directories of the runs of a study."""
    return [str(record.run.directory) for record in study.records]
