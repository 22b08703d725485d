"""Fixtures that every test may use."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

os.environ["METAACT_WORKERS"] = "1"  # a small sweep is done before a worker process has started


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Real data sets: METAACT_DATA, or the shared folder beside the checkout."""
    root = Path(__file__).resolve().parents[1]
    for folder in (os.environ.get("METAACT_DATA"), root.parent / "shared" / "data"):
        if folder and (Path(folder) / "MNIST").is_dir():
            return Path(folder)
    pytest.skip("no real data: METAACT_DATA names no folder with MNIST in it")


@pytest.fixture(scope="session")
def learn2learn() -> ModuleType:
    """The reference library; where METAACT_REQUIRE_LEARN2LEARN is set, missing is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("learn2learn")
        except ImportError as error:
            if os.environ.get("METAACT_REQUIRE_LEARN2LEARN"):
                raise
            pytest.skip(f"learn2learn is not installed: {error}")


@pytest.fixture(autouse=True)
def global_generator_untouched(request: pytest.FixtureRequest) -> object:
    """No test's subject may use or seed a global stream, unless the test says so."""
    before = _global_streams()
    yield
    if request.node.get_closest_marker("draws_globally") is None:
        for name, state in _global_streams().items():
            assert state == before[name], f"the global generator of {name} was used"


def _global_streams() -> dict[str, object]:
    _, keys, position, *rest = np.random.get_state()  # noqa: NPY002  # what is watched here
    return {
        "PyTorch": torch.get_rng_state().numpy().tobytes(),
        "NumPy": (keys.tobytes(), position, *rest),
        "Python": random.getstate(),
    }


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of 30 easy classes of 20 images, 28x28: noisy copies of one blob pattern a class."""
    generator = np.random.default_rng(0)
    prototypes = generator.random((30, 7, 7)).repeat(4, axis=1).repeat(4, axis=2)
    labels = np.repeat(np.arange(30), 20)
    noise = generator.random((600, 28, 28))
    images = (255 * (0.8 * prototypes[labels] + 0.2 * noise)).astype(np.uint8)
    provenance = {"dataset": "blobs", "split": "all", "official": False, "note": "made by a test"}
    path = tmp_path_factory.mktemp("pack") / "blobs.npz"
    np.savez(path, images=images, labels=labels.astype(np.int64), provenance=json.dumps(provenance))
    return path


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; NaN and infinities are no JSON."""
        assert self.out, self.err
        return json.loads(self.out, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Ended]:
    """Calls the command line in this process, in `tmp_path` and with an empty data root."""
    from metaact.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METAACT_DATA", str(tmp_path / "no-data"))

    def call(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["metaact", *map(str, words)])
        path = list(sys.path)
        with pytest.raises(SystemExit) as stopped:
            main()
        sys.path[:] = path  # the program adds the working folder, for activations of the user's own
        return Ended(int(stopped.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """Makers of complete run directories with made-up results (tests/synthetic.py)."""
    path = Path(__file__).with_name("synthetic.py")
    spec = importlib.util.spec_from_file_location("synthetic", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
