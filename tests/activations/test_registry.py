"""Names, aliases, arguments, ELSA and the protocols."""

from __future__ import annotations

import inspect

import pytest
from torch import nn

from metaact import activations
from metaact.activations import PAPER, AReLU, WithELSA, create, entries, names, resolve
from metaact.errors import UsageError
from metaact.settings import split_list

# Table 1 of the paper, in its order; in brackets there, the learnable parameters per unit.
TABLE_1 = {
    "CELU": 0, "ELU": 0, "GELU": 0, "LReLU": 0, "Maxout": 0, "ReLU": 0, "ReLU6": 0, "RReLU": 0,
    "SELU": 0, "Sigmoid": 0, "Softplus": 0, "Swish": 0, "Tanh": 0,
    "APL": 2, "Comb": 1, "PAU": 10, "PReLU": 1, "SLAF": 2, "AReLU": 2,
}  # fmt: skip


def test_the_nineteen_have_the_papers_titles_order_and_counts() -> None:
    assert [resolve(name).title for name in PAPER] == list(TABLE_1)
    counts = {resolve(name).title: resolve(name, "paper").learnable for name in PAPER}
    assert counts == TABLE_1


def test_names_and_aliases_are_unique_and_lower_case() -> None:
    spelled = [s for entry in entries() for s in (entry.name, *entry.aliases)]
    assert len(spelled) == len(set(spelled))
    assert all(s == s.lower() and "_" not in s for s in spelled)
    assert names() == tuple(entry.name for entry in entries())


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("Mixture", "comb"),
        ("LeakyReLU", "lrelu"),
        ("leaky_relu", "lrelu"),
        ("SiLU", "swish"),
        (" AReLU ", "arelu"),
        ("AReLU_Frozen", "arelu-frozen"),
        ("Mixture + ELSA", "comb+elsa"),
    ],
)
def test_aliases_in_any_case(spec: str, name: str) -> None:
    assert resolve(spec).name == name


@pytest.mark.parametrize("name", names())
def test_the_paper_protocol_takes_the_authors_forms(name: str) -> None:
    forms = {
        "gelu": "gelu-paper",
        "maxout": "maxout-paper",
        "pau": "pau-paper",
        "slaf": "slaf-paper",
    }
    assert resolve(name, "paper").name == forms.get(name, name)
    assert resolve(name, "held-out").name == name


def test_the_paper_protocol_reaches_through_elsa() -> None:
    assert resolve("slaf+elsa", "paper").name == "slaf-paper+elsa"


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(UsageError, match="`protocol` must be one of held-out, paper"):
        resolve("relu", "papr")


@pytest.mark.parametrize(
    ("spec", "hint"), [("arelo", "'arelu'"), ("mixtur", "'mixture'"), ("swich", "'swish'")]
)
def test_an_unknown_name_gets_the_nearest(spec: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean {hint}"):
        resolve(spec)


def test_every_option_is_an_argument_of_the_factory() -> None:
    for entry in entries():
        accepted = inspect.signature(entry.factory).parameters
        assert set(entry.options) <= set(accepted), entry.name


def test_arguments_reach_the_activation() -> None:
    module = create("AReLU( beta=1, alpha=0.25 )")
    assert isinstance(module, AReLU)
    assert module.alpha.item() == pytest.approx(0.25)
    assert module.beta.item() == pytest.approx(1.0)


def test_equal_specs_have_equal_names() -> None:
    entry = resolve("arelu(beta=1.0, alpha=.25)")
    assert entry.name == "arelu(alpha=0.25,beta=1)"
    assert resolve(entry.name).name == entry.name
    assert entry.title == "AReLU(alpha=0.25,beta=1)"
    assert entry.start == "alpha=0.25, beta=1"


def test_arguments_may_change_the_parameter_count() -> None:
    entry = resolve("slaf(coefficients=(1, 1, -1e-3))")
    assert entry.name == "slaf(coefficients=(1,1,-0.001,))"
    assert entry.learnable == 3
    assert resolve(entry.name).name == entry.name


def test_elsa_takes_start_values() -> None:
    entry = resolve("elu(alpha=0.5)+elsa(alpha=0.1)")
    module = entry.factory()
    assert entry.name == "elu(alpha=0.5)+elsa(alpha=0.1)"
    assert entry.title == "ELU(alpha=0.5)+ELSA(alpha=0.1)"
    assert isinstance(module, WithELSA)
    assert module.elsa.alpha.item() == pytest.approx(0.1)
    assert (entry.learnable, entry.kind) == (2, "learnable")
    assert "α = 0.1, β = 2" in entry.start


def test_elsa_keeps_the_initialisation_of_a_control() -> None:
    entry = resolve("relu-gain+elsa")
    assert entry.init_gain == resolve("relu-gain").init_gain
    assert entry.kind == "control"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "a name comes first"),
        ("elsa", "must be added to an activation"),
        ("relu+tanh", "only ELSA can be added"),
        ("relu+elsa+elsa", "added once"),
        ("maxout+elsa", "number of channels"),
        ("relu(slope=1)", "takes no arguments"),
        ("arelu(gamma=1)", "takes alpha, beta"),
        ("relu+elsa(gamma=1)", "'elsa' takes alpha, beta"),
        ("arelu(0.9)", "by keyword"),
        ("arelu(alpha=0.9, alpha=0.8)", "each keyword|brackets hold"),
        ("arelu(alpha=x)", "numbers"),
        ("arelu(alpha=True)", "numbers"),
        ("arelu(alpha=1e999)", "finite"),
        ("arelu(alpha=__import__('os'))", "numbers"),
        ("arelu(alpha=0.9", "a name comes first|brackets"),
        ("arelu(alpha=2)", r"`alpha` must be a number in \[0.01, 0.99\]"),
        ("arelu(alpha=(1, 2))", "numbers like the start values"),
        ("elu(alpha=(1, 2))", "numbers like the start values"),
        ("apl(a=0.2)", "numbers like the start values"),
        ("celu(alpha=0)", "numbers like the start values"),
        ("softplus(beta=0)", "not finite"),
        (f"arelu(alpha={10**400})", "finite"),
        (f"arelu(alpha={'(' * 5000}1{')' * 5000})", "brackets hold|numbers"),
        (f"arelu(alpha={'-' * 5000}1)", "brackets hold|numbers"),
    ],
)
def test_bad_specs_are_refused_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        resolve(spec)
    assert "\n" not in str(caught.value)


def test_split_keeps_brackets_together() -> None:
    assert split_list("relu,arelu(alpha=.25,beta=1),slaf(coefficients=(1,1))") == (
        "relu",
        "arelu(alpha=.25,beta=1)",
        "slaf(coefficients=(1,1))",
    )


def test_the_door_has_every_activation_class() -> None:
    public = {name for name in dir(activations) if not name.startswith("_")}
    for entry in entries():
        kind = type(entry.factory())
        if kind.__module__.startswith("metaact"):
            assert kind.__name__ in public
            assert issubclass(kind, nn.Module)
