"""The user's own activation, `module:factory`."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from metaact.activations import create, inside_activations, resolve, source_identity
from metaact.errors import UsageError
from metaact.randomness import preserved_rng

SOURCE = '''
import torch
from torch import nn

class Bend(nn.Module):
    """x plus a learned bend.

    More.
    """
    def __init__(self, start=0.5):
        super().__init__()
        self.bend = nn.Parameter(torch.tensor(start))
        self.noise = torch.rand(())
    def forward(self, x):
        return x + self.bend * x.abs()

class Namespace:
    Bend = Bend

SHARED = Bend()
def shared():
    return SHARED
def tied():
    module = Bend()
    module.bend = SHARED.bend
    return module
def needs(argument):
    return Bend()
def number():
    return 3
def narrow():
    return nn.Flatten()
def fails():
    return nn.Linear(7, 7)
class Detached(nn.Module):
    def forward(self, x):
        return x.relu().detach()
class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(1.0))
    def forward(self, x):
        return self.slope * x.detach()
class Stop(BaseException):
    pass
def stops():
    raise Stop("enough")
class StopsLater(nn.Module):
    def forward(self, x):
        raise Stop("enough")
class Lazy(nn.Sequential):
    def __init__(self):
        super().__init__(nn.LazyLinear(3))
CONSTANT = 3
'''


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "bends.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "broken.py").write_text("def f(:\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("bends", None)


def test_a_class_is_a_factory() -> None:
    entry = resolve("bends:Bend")
    assert (entry.name, entry.title, entry.kind) == ("bends:Bend", "Bend", "user")
    assert (entry.learnable, entry.formula) == (1, "x plus a learned bend.")


def test_it_is_used_with_elsa_and_a_dotted_path() -> None:
    entry = resolve("bends:Namespace.Bend+elsa")
    assert (entry.name, entry.learnable, entry.kind) == ("bends:Namespace.Bend+elsa", 3, "user")


@pytest.mark.draws_globally
def test_creating_it_makes_a_fresh_one_that_computes() -> None:
    module = create("bends:Bend")
    assert module is not create("bends:Bend")
    assert module(torch.tensor([-1.0, 1.0])).tolist() == [-0.5, 1.5]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere:Bend", "ModuleNotFoundError"),
        ("broken:f", "SyntaxError"),
        ("bends:Bent", "AttributeError"),
        ("bends:", "AttributeError"),
        (":Bend", "ValueError"),
        ("bends:CONSTANT", "cannot be called"),
        ("bends:needs", "TypeError"),
        ("bends:number", "returned a int"),
        ("bends:shared", "the same instance"),
        ("bends:tied", "the same instance or parameters"),
        ("bends:narrow", "keep the shape"),
        ("bends:fails", "RuntimeError"),
        ("bends:Bend(start=1)", "takes no arguments"),
        ("bends:Detached", "it detaches it"),
        ("bends:Half", "it detaches it"),
        ("bends:stops", "Stop: enough"),
        ("bends:StopsLater", r"on a \[1, 4, 3, 3\] input, Stop: enough"),
        ("bends:Lazy", "LazyLinear has no parameters before its first call"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        resolve(spec)
    assert "\n" not in str(caught.value)


def test_an_edited_activation_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of the file as it was must not answer for the file as it is."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "edited_activation.py"
    file.write_text("from torch.nn import ReLU as mine\n")
    before = source_identity("edited_activation:mine+elsa")
    file.write_text("from torch.nn import Tanh as mine\n")
    after = source_identity("edited_activation:mine+elsa")
    assert len(before["activation_sha256"]) == 64
    assert before != after


def test_what_it_makes_is_known_as_an_activation() -> None:
    with preserved_rng():
        model = nn.Sequential(nn.Linear(2, 2), create("bends:Bend"))
    assert len(inside_activations(copy.deepcopy(model))) == 1
    assert inside_activations(model) == {model[1]}


class Scale(nn.Module):
    """No activation, though its one parameter is of the shape that many have."""

    def __init__(self) -> None:
        super().__init__()
        self.bend = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.bend


def test_what_belongs_to_an_activation_follows_from_what_a_module_is() -> None:
    with preserved_rng():
        own = create("bends:Bend")
        layers = [nn.Linear(2, 2), Scale(), own, nn.PReLU(), nn.LayerNorm(2), nn.Linear(2, 1)]
        model = nn.Sequential(*layers)
    assert inside_activations(model) == {model[2], model[3]}
