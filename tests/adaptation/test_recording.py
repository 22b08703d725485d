"""Computations done again from their ops alone: the same bits, or not done so at all."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metaact import models
from metaact.adaptation import MAML, Recipe, Trainer, program, recording, set_threads
from metaact.adaptation.known import signature
from metaact.adaptation.program import Program, Programs
from metaact.errors import UsageError
from metaact.tasks import MetaBatch

NEVER = 10**9


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    set_threads(None)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Functions of x [4, 6], y [4, 6] and z [6] that Python can do with tensors and numbers.
OPS: dict[str, Callable[[Tensor, Tensor, Tensor], Sequence[Tensor | None]]] = {
    "numbers": lambda x, y, z: [1 + x, 1 - x, x / 3, 2 * y, x**2, 2.0**x, -x, 1 / (y * y + 1)],
    "kinds of numbers": lambda x, y, z: [x.int() + 1, x.int() / 2, (x > 0) + 1],
    "new tensors": lambda x, y, z: [x + torch.tensor(2.0), torch.zeros(4, 1) + x, x.new_ones(2)],
    "choices": lambda x, y, z: [torch.where(x > 0, x, 0.0), x.clamp(-1, 1), x.clamp_min(0), x > y],
    "views": lambda x, y, z: [x[1:3, ::2].t(), x.view(2, 12)[:, 3], y.unfold(1, 3, 1), x.detach()],
    "parts": lambda x, y, z: [
        x.split(2, dim=1)[1] + y.chunk(3, dim=1)[2],
        z.unbind(0)[3],
    ],
    "several": lambda x, y, z: [torch.cat([x, y]), torch.stack([z, z]), *torch.max(x, dim=1)],
    "in place": lambda x, y, z: [x.clone().add_(y).mul_(2), torch.zeros(4, 6).copy_(x)],
    "part of a new one": lambda x, y, z: [_filled(x, z)],
    "into one": lambda x, y, z: [torch.mm(x, y.t(), out=torch.empty(4, 4))],
    "no result": lambda x, y, z: [None, x + 1, None],
    "an input": lambda x, y, z: [x, y + 0],
    "by integers": lambda x, y, z: [
        x.index_select(0, torch.tensor([2, 0])),
        x.gather(1, x.argmax(1)[:, None]),
    ],
    "norms": lambda x, y, z: [functional.layer_norm(x, (6,), z), functional.gelu(x), x.softmax(1)],
    "infinite": lambda x, y, z: [x.masked_fill(x > 0, float("-inf")), x.float() * float("nan")],
}


def _filled(x: Tensor, z: Tensor) -> Tensor:
    made = torch.empty(5, 6)
    made[:4] = x
    made[4] = 3
    made[:, 1].add_(z.sum())
    made[1:2] *= 2
    return made


@pytest.mark.parametrize("name", OPS)
def test_a_program_does_with_new_values_what_the_function_does(name: str) -> None:
    def function() -> Sequence[Tensor | None]:
        return OPS[name](*given)

    given = [drawn(4, 6, seed=1), drawn(4, 6, seed=2), drawn(6, seed=3)]
    written = recording.record(function, given)
    assert written.refusal == ""
    done = Program(written)
    assert done.fits
    given = [drawn(4, 6, seed=4), drawn(4, 6, seed=5), drawn(6, seed=6)]
    _same(done(given), function())


def _same(found: Sequence[Tensor | None], wanted: Sequence[Tensor | None]) -> None:
    assert [t is None for t in found] == [t is None for t in wanted]
    for a, b in zip(found, wanted, strict=True):
        if a is not None and b is not None:
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            assert torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0))


def test_a_program_that_torchscript_has_no_op_for_does_not_fit() -> None:
    x = drawn(3, seed=1)
    assert not Program(recording.record(lambda: [x * True], [x])).fits


def test_derivatives_are_among_the_ops() -> None:
    def function() -> Sequence[Tensor]:
        x, w = given
        with torch.enable_grad():
            own = w.detach().requires_grad_()
            (slope,) = torch.autograd.grad((own * x).tanh().pow(3).sum(), own, create_graph=True)
            return torch.autograd.grad(slope.square().sum(), own)

    given = [drawn(5, seed=1), drawn(5, seed=2)]
    done = Program(recording.record(function, given))
    given = [drawn(5, seed=3), drawn(5, seed=4)]
    _same(done(given), function())


ELSEWHERE = torch.ones(3)


def _all_added(tensors: list[Tensor]) -> Tensor:
    torch._foreach_add_(tensors, 1.0)
    return tensors[0]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x * x.sum().item(), "looked at"),
        (lambda x: x if x.sum() > 0 else -x, "looked at"),
        (lambda x: x[x > 0], "shape that depends"),
        (lambda x: x + torch.rand(3), "random"),
        (lambda x: functional.dropout(x), "random"),
        (lambda x: x.add_(1), "change of its inputs"),
        (lambda x: x[1:].zero_(), "change of its inputs"),
        (lambda x: torch.add(x, 1, out=x), "change of its inputs"),
        (lambda x: x + ELSEWHERE, "from elsewhere"),
        (lambda x: (x + 1).unsqueeze_(0), "shape in place"),
        (lambda x: ELSEWHERE, "from elsewhere"),
        (lambda x: _all_added([x + 1]), "returns nothing"),
    ],
)
def test_what_its_ops_alone_do_not_give_is_refused(
    function: Callable[[Tensor], Tensor], reason: str
) -> None:
    x = torch.ones(3)
    with torch.random.fork_rng(devices=[]):
        assert reason in recording.record(lambda: [function(x)], [x]).refusal


def test_a_long_computation_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_CALLS", 10)
    x = torch.ones(3)
    written = recording.record(lambda: [sum((x * n for n in range(20)), x)], [x])
    assert "too many" in written.refusal
    assert len(written.calls) == 10


def test_only_what_was_asked_for_last_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "ASKED_FOR", 2)
    x, programs = torch.ones(3), Programs()
    for key in range(2 * program.MOST_PROGRAMS):
        found = [programs.find(key, lambda: [x + 1], [x]) for _ in range(2)]
        assert [program is None for program in found] == [True, False]
    assert len(programs) == program.MOST_PROGRAMS


def test_other_layouts_are_other_computations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "ASKED_FOR", 1)
    programs = Programs()
    for given in (torch.ones(3, 2), torch.ones(2, 3).t(), torch.ones(3, 2).double()):
        programs.find("key", lambda given=given: [given + 1], [given])
    assert len(programs) == 3


def episodes(seed: int, *, tasks: int = 5) -> MetaBatch:
    pixels = drawn(tasks, 4, 1, 10, 10, seed=seed)
    labels = torch.arange(2).repeat_interleave(2).repeat(tasks, 1)
    return MetaBatch(
        support=pixels, support_labels=labels, query=pixels.flip(0), query_labels=labels.flip(1)
    )


class _Body(nn.Sequential):
    """A class of the user's own, which is never recorded."""


def network(act: Callable[[], nn.Module] = nn.LeakyReLU, *extra: nn.Module) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.MaxPool2d(2),
            act(),
            *extra,
            nn.Conv2d(3, 4, 3, padding=1),
            act(),
            nn.Flatten(),
            nn.Linear(64, 2),
        )


def arelu() -> nn.Module:
    from metaact.activations import AReLU

    return AReLU()


def steps(monkeypatch: pytest.MonkeyPatch, asked_for: int, **options: Any) -> list[Tensor]:
    """Losses, accuracies, gradients and tests of four meta-iterations."""
    monkeypatch.setattr(program, "ASKED_FOR", asked_for)
    model = options.pop("model")()
    maml = MAML(model, inner_lr=0.1, inner_steps=2, chunk_size=2, **options)
    found: list[Tensor] = []
    for seed in range(4):
        result = maml.backward(episodes(seed))
        found += [result.loss, result.accuracy]
        found += [p.grad.clone() for p in model.parameters() if p.grad is not None]
        with torch.no_grad():
            for p in model.parameters():
                p.sub_(0.1 * (0 if p.grad is None else p.grad))
                p.grad = None
        found += [maml.test(episodes(seed + 9)), maml.test(episodes(seed), inner_steps=3)]
    found += [torch.tensor(len(maml.programs))]
    return found


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"model": lambda: network(arelu)},
        {"model": lambda: network(nn.Tanh, nn.AvgPool2d(3, 1, 1))},
        {"model": lambda: network(nn.PReLU, nn.BatchNorm2d(3, track_running_stats=False))},
        {"model": network, "first_order": True},
        {"model": network, "head_only": True},
        {"model": lambda: network(nn.SiLU), "recompute": True},
        {"model": network, "engine": "loop"},
    ],
    ids=["arelu", "average", "batch norm", "first order", "head", "recomputed", "loop"],
)
def test_programs_change_no_bit_of_maml(
    options: dict[str, Any], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_threads(1)
    *wanted, none = steps(monkeypatch, NEVER, **options)
    set_threads(threads)
    *found, made = steps(monkeypatch, 2, **options)
    assert none == 0
    assert made == 6  # of shares of two tasks and of one: gradients and tests by 2 and 3 steps
    assert len(found) == len(wanted)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def _harder(maml: MAML) -> None:
    maml.model[2].negative_slope = 0.7  # type: ignore[index,assignment]


def _other(maml: MAML) -> None:
    maml.model[2] = nn.Softplus()  # type: ignore[operator]


def _tied(maml: MAML) -> None:
    maml.model[4] = maml.model[2]  # type: ignore[operator,index]


@pytest.mark.parametrize("change", [_harder, _other, _tied])
def test_a_changed_model_is_another_computation(
    change: Callable[[MAML], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ASKED_FOR", 1)
    maml = MAML(network(), inner_lr=0.1, inner_steps=2, chunk_size=5)
    maml.backward(episodes(0))
    assert len(maml.programs) == 1
    change(maml)
    maml.model.zero_grad()
    found = maml.backward(episodes(1)).loss
    fresh = MAML(network(), inner_lr=0.1, inner_steps=2, chunk_size=5)
    change(fresh)
    monkeypatch.setattr(program, "ASKED_FOR", NEVER)
    assert torch.equal(found, fresh.backward(episodes(1)).loss)
    for mine, other in zip(maml.model.parameters(), fresh.model.parameters(), strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        assert torch.equal(mine.grad, other.grad)


def _hooked(model: nn.Module) -> nn.Module:
    model[2].register_forward_hook(lambda *_: None)  # type: ignore[index]
    return model


def _with_slope_hook(model: nn.Module) -> nn.Module:
    next(model.parameters()).register_hook(lambda g: g)
    return model


def _replaced(model: nn.Module) -> nn.Module:
    model[2].forward = torch.tanh  # type: ignore[index]
    return model


def _with_tensor(model: nn.Module) -> nn.Module:
    model[2].scale = torch.ones(())  # type: ignore[index]
    return model


@pytest.mark.parametrize(
    "model",
    [
        lambda: _Body(*network()),
        lambda: _hooked(network()),
        lambda: _with_slope_hook(network()),
        lambda: _replaced(network()),
        lambda: _with_tensor(network()),
    ],
    ids=["own class", "hook", "hook of a parameter", "own forward", "hidden tensor"],
)
def test_a_model_that_may_do_more_than_is_seen_is_not_recorded(
    model: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ASKED_FOR", 1)
    built = model()
    assert signature(built) is None
    maml = MAML(built, inner_lr=0.1, inner_steps=1)
    maml.backward(episodes(0))
    assert len(maml.programs) == 0


def test_random_layers_draw_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for asked_for in (NEVER, 1):
        monkeypatch.setattr(program, "ASKED_FOR", asked_for)
        maml = MAML(network(nn.RReLU), inner_lr=0.1, inner_steps=2, chunk_size=2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            found.append([maml.backward(episodes(seed)).loss for seed in range(3)])
        assert len(maml.programs) == 0
    assert found[0] == found[1]


def test_what_the_caller_has_set_for_its_thread_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "ASKED_FOR", 1)
    maml = MAML(network(), inner_lr=0.1, inner_steps=1, chunk_size=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anomaly detection says that it is slow
        with torch.autograd.detect_anomaly():
            maml.backward(episodes(0))
    assert len(maml.programs) == 0


def test_a_copy_begins_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "ASKED_FOR", 1)
    maml = MAML(network(), inner_lr=0.1, inner_steps=1)
    maml.backward(episodes(0))
    twin = copy.deepcopy(maml)
    assert (len(maml.programs), len(twin.programs)) == (1, 0)
    assert torch.equal(twin.test(episodes(1)), maml.test(episodes(1)))


def test_labels_are_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "ASKED_FOR", 1)
    maml = MAML(network(), inner_lr=0.1, inner_steps=1)
    batch = episodes(0)
    maml.backward(batch)
    assert len(maml.programs) == 1
    wrong = MetaBatch(
        support=batch.support,
        support_labels=batch.support_labels + 1,
        query=batch.query,
        query_labels=batch.query_labels,
    )
    with pytest.raises(UsageError, match="3 classes; got 2 logits"):
        maml.backward(wrong)


def test_gradients_of_a_program_are_ordinary_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "ASKED_FOR", 1)
    maml = MAML(network(), inner_lr=0.1, inner_steps=1, chunk_size=2)
    evaluation = maml.evaluate(episodes(0))
    evaluation.loss.backward()
    assert len(maml.programs) == 2
    for p in maml.model.parameters():
        assert p.grad is not None
        assert not p.grad.is_inference()
        assert (p.grad * p).sum().requires_grad


def trained(epochs: int, *, optimizer: str, stop: int | None = None) -> tuple[list[Tensor], int]:
    """Losses and weights after some epochs of 150 images; perhaps continued by another trainer."""
    pixels = torch.randint(256, (150, 1, 28, 28), dtype=torch.uint8, generator=_generator(0))
    images = SimpleNamespace(pixels=pixels, labels=pixels[:, 0, 9, 9].long() // 26)
    recipe = Recipe(lr=0.01, batch_size=130, optimizer=optimizer)
    trainers = [
        Trainer(models.mnist_conv("arelu", generator=_generator(1)), images, recipe=recipe, seed=0)
        for _ in range(2)
    ]
    trainer, losses = trainers[0], []
    for epoch in range(epochs):
        if epoch == stop:
            trainers[1].load_state_dict(trainer.state_dict())
            trainer = trainers[1]
        losses.append(torch.tensor(trainer.epoch().loss))
    return [*losses, *trainer.model.parameters()], len(trainer.programs)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_programs_change_no_bit_of_training_or_of_a_resumed_run(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ASKED_FOR", NEVER)
    wanted, none = trained(5, optimizer=optimizer)
    monkeypatch.setattr(program, "ASKED_FOR", 2)
    assert none == 0
    for threads in (1, 2):
        set_threads(threads)
        for stop in (None, 3):
            found, made = trained(5, optimizer=optimizer, stop=stop)
            assert made == 2  # a share of a full batch, and one of the rest
            assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
