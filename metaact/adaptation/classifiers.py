"""Networks that learn online to classify, from one example or one batch a step.

Any network. All networks of an architecture, at whatever rate and from whatever start, are computed
by the same recorded steps (`program.py`). On a CPU one after the other: an MLP of three layers of
100 stays in a core's cache meanwhile, and a step of 16 images takes 0.16 ms, where 64 of them in
one vectorised call take 0.42 ms each; what a network computes does not depend on the others at all.
On a GPU they are vectorised (`torch.func.vmap`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn import functional

from metaact.activations.conversion.places import is_activation
from metaact.devices import sent
from metaact.errors import UsageError
from metaact.randomness import preserved_rng

from .diagnostics import layer_figures
from .graphs import Graphs
from .known import signature
from .online import BETA1, BETA2, EPSILON, UNROLLED
from .program import Programs
from .recording import Results
from .shares import one_thread_inside
from .stateless import Stateless, differentiable_kernels
from .vmap.lowering import Lowering

MOMENTS = ("first", "second")

OUTPUT = "output"
"""What lies behind the last activation."""

ROWS = 2048
"""Examples and positions at most on which a layer is looked at."""

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """Examples of one stream, in the steps in which they are learned from.

    Attributes:
        images: What the networks take [steps, batch, channels, height, width].
        labels: int64 [steps, batch].
        outputs: Which classes there are to choose from [steps, batch, classes]; None for all.
    """

    images: Tensor
    labels: Tensor
    outputs: Tensor | None = None

    def part(self, start: int, stop: int) -> list[Tensor]:
        """The tensors of some steps."""
        there = [self.images, self.labels, self.outputs]
        return [tensor[start:stop] for tensor in there if tensor is not None]


class OnlineClassifiers:
    """Networks of one architecture in training, one update a step.

    The loss is the mean cross-entropy of a step's examples among the classes that there are to
    choose from.

    Args:
        model: The network; its own numbers count as start values only.
        activation: Type of its activations.
        optimizer: "sgd", without momentum, or "adam".
        stacked: Whether they are vectorised; None vectorises on a GPU.

    Attributes:
        steps: Steps done.
        places: The activations of the model, by their paths.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        activation: type[nn.Module],
        optimizer: str,
        stacked: bool | None = None,
    ) -> None:
        self.model, self.optimizer = model.train(), optimizer
        named = dict(model.named_parameters())
        self.names = [name for name, p in named.items() if p.requires_grad]
        self.device = next(iter(named.values())).device
        self.stacked = self.device.type != "cpu" if stacked is None else stacked
        self.steps, self._states = 0, list[dict[str, Tensor]]()
        self._held = {n: p.detach() for n, p in named.items() if not p.requires_grad}
        self._held |= dict(model.named_buffers())
        self._call = Stateless(model)
        self._programs, self._signature = Programs(), signature(model)
        self._graphs = Graphs()
        self.places = _outermost(model, activation)
        self._layers = _layers(model, self.places)

    @property
    def parameters(self) -> int:
        """Trained numbers of a network."""
        return sum(self.model.get_parameter(name).numel() for name in self.names)

    def fresh(self, model: nn.Module) -> dict[str, Tensor]:
        """A network as a module like this one is now, and Adam's moments before the first step."""
        found = {n: model.get_parameter(n).detach().cpu().clone() for n in self.names}
        if self.optimizer == "adam":
            started = dict(found)
            for moment in MOMENTS:
                found |= {f"{moment} {n}": torch.zeros_like(v) for n, v in started.items()}
        return found

    def take(self, rates: Sequence[float], states: Sequence[State], *, steps: int = 0) -> None:
        """Take networks into training.

        Args:
            rates: The learning rate of each.
            states: As `fresh` or `states` gives them.
            steps: Steps that they have done.
        """
        first = next(iter(states[0].values()))
        rows = torch.tensor(rates, dtype=first.dtype, device=self.device)
        placed = [{n: v.to(self.device) for n, v in state.items()} for state in states]
        self.steps, self.count = steps, len(rates)
        if self.stacked:
            self._rates = [rows]
            self._states = [{n: torch.stack([s[n] for s in placed]) for n in placed[0]}]
        else:
            self._rates = [row[None] for row in rows]
            self._states = [{n: v[None] for n, v in state.items()} for state in placed]

    @property
    def states(self) -> list[dict[str, Tensor]]:
        """The networks as they are now, on the CPU."""
        return [
            {name: value[number].cpu().clone() for name, value in state.items()}
            for state in self._states
            for number in range(len(next(iter(state.values()))))
        ]

    def learn(self, lessons: Sequence[Lessons], of: Sequence[int]) -> Tensor:
        """Learn from examples, one step after the other.

        Args:
            lessons: Of each stream, equally many.
            of: Which of them each network learns from.

        Returns:
            Whether each example was classified rightly before it was learned from, 1 or 0, and not
            a number where an output was none [examples, networks].
        """
        right = []
        with self._ready():
            for number, state in enumerate(self._states):
                mine = list(of) if self.stacked else [of[number]]
                found, self._states[number] = self._learned(number, state, lessons, mine)
                right.append(found)
        self.steps += len(lessons[0].labels)
        return torch.cat(right, dim=1)

    def _learned(
        self, number: int, state: State, lessons: Sequence[Lessons], of: Sequence[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What `learn` does, for networks that are computed by one call."""
        seen, held, rates = [], list(self._held.values()), self._rates[number]
        values = list(state.values())
        for start in range(0, len(lessons[0].labels), UNROLLED):
            stop = min(start + UNROLLED, len(lessons[0].labels))
            parts = zip(*(lessons[one].part(start, stop) for one in of), strict=True)
            given = [torch.stack(part, dim=1) for part in parts]
            given = [*values, rates, *given, *self._scales(start, stop), *held]

            program = None
            if self._signature is not None and self.device.type == "cpu":
                program = self._programs.find(
                    (self._signature, stop - start), partial(self._several, *given), given
                )
            if program is None:
                made = self._graphs.run(self._signature, self._several, given)
            else:
                made = program(given)
            right, *values = [value for value in made if value is not None]
            seen.append(right.flatten(0, 1))
        return torch.cat(seen), dict(zip(state, values, strict=True))

    def _scales(self, start: int, stop: int) -> list[Tensor]:
        """Adam's corrections of the steps that come: 1/(1 − β1^t) and sqrt(1 − β2^t)."""
        if self.optimizer == "sgd":
            return []
        numbers = range(self.steps + start + 1, self.steps + stop + 1)
        found = [[1 / (1 - BETA1**t), math.sqrt(1 - BETA2**t)] for t in numbers]
        return [sent(torch.tensor(found, dtype=self._rates[0].dtype), self.device)]

    def _several(self, *given: Tensor) -> Results:
        """Several steps: what was right in each [steps, batch, networks], and the state after."""
        kept = len(self.names) * (1 if self.optimizer == "sgd" else 3)
        state = [value.clone() for value in given[:kept]]
        rates, *more = given[kept : len(given) - len(self._held)]
        scales = more.pop() if self.optimizer == "adam" else None
        held = dict(zip(self._held, given[len(given) - len(self._held) :], strict=True))
        right = []
        with Lowering(layout=self.device.type == "cpu") if self.stacked else nullcontext():
            for step in range(len(more[0])):
                found, gradients = self._gradients(
                    state[: len(self.names)], held, *(part[step] for part in more)
                )
                right.append(found)
                self._update(state, gradients, rates, None if scales is None else scales[step])
        return [torch.stack(right), *state]

    def _update(
        self,
        state: Sequence[Tensor],
        gradients: Sequence[Tensor],
        rates: Tensor,
        scale: Tensor | None,
    ) -> None:
        """One step of SGD or Adam, written into the state."""
        count = len(self.names)
        for number, gradient in enumerate(gradients):
            rate = rates.view(-1, *[1] * (gradient.ndim - 1))
            if scale is None:
                state[number].addcmul_(gradient, rate, value=-1)
                continue
            first, second = state[count + number], state[2 * count + number]
            first.lerp_(gradient, 1 - BETA1)
            second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            spread = second.sqrt() / scale[1] + EPSILON
            state[number].addcdiv_(first * (rate * scale[0]), spread, value=-1)

    def _gradients(
        self,
        values: Sequence[Tensor],
        held: Mapping[str, Tensor],
        images: Tensor,
        labels: Tensor,
        outputs: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """What was right [batch, networks], and the gradient of each network's mean loss."""
        alone = len(labels) == 1
        with torch.enable_grad():
            leaves = [(v[0] if alone else v).detach().requires_grad_() for v in values]
            named = dict(zip(self.names, leaves, strict=True))
            if alone:
                logits = self._call({**held, **named}, images[0])[None]
            else:
                logits = vmap(lambda own, x: self._call({**held, **own}, x))(named, images)
            among = logits
            if outputs is not None:
                among = logits.masked_fill(outputs.logical_not(), -math.inf)
            each = functional.cross_entropy(among.flatten(0, 1), labels.flatten(), reduction="none")
            loss = each.view(labels.shape).mean(dim=1).sum()
            found = torch.autograd.grad(loss, leaves, allow_unused=True)
        pairs = zip(leaves, found, strict=True)
        gradients = [torch.zeros_like(v) if g is None else g for v, g in pairs]
        right = (among.detach().argmax(dim=-1) == labels).to(logits.dtype)
        right = torch.where(logits.detach().isfinite().all(dim=-1), right, math.nan)
        return right.t(), [g[None] for g in gradients] if alone else gradients

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """What steps are computed in."""
        threads = one_thread_inside() if self.device.type == "cpu" else nullcontext()
        with threads, differentiable_kernels(), torch.no_grad():
            yield

    def accuracies(
        self, known: Sequence[tuple[Tensor, Tensor, Tensor]], of: Sequence[int]
    ) -> Tensor:
        """The share of images that each network classifies rightly [networks], in evaluation.

        Args:
            known: Images [images, channels, height, width], their labels int64 [images], and which
                classes each is told from [images, classes].
            of: Which of them each network is asked.
        """
        found = []
        for number, values in enumerate(self._each()):
            images, labels, outputs = known[of[number]]
            logits = self._call({**self._held, **values}, images)
            among = logits.masked_fill(outputs.logical_not(), -math.inf)
            found.append((among.argmax(dim=-1) == labels).double().mean())
        return torch.stack(found).cpu()

    def _each(self) -> Iterator[dict[str, Tensor]]:
        """The numbers of each network, in evaluation."""
        self.model.eval()
        threads = one_thread_inside() if self.device.type == "cpu" else nullcontext()
        try:
            with threads, torch.no_grad():
                for state in self._states:
                    for number in range(len(state[self.names[0]])):
                        yield {name: state[name][number] for name in self.names}
        finally:
            self.model.train()

    def diagnose(
        self, lessons: Sequence[Lessons], of: Sequence[int]
    ) -> dict[str, dict[str, Tensor]]:
        """What the networks are like on given examples, without learning from them.

        Args:
            lessons: Of each stream.
            of: Which of them each network sees.

        Returns:
            By layer and name, each [networks]. A layer is called by the path of its activation, and
            the rest of a network "output": what `diagnostics.layer_figures` says of the layer, a
            map a unit and each of its positions an example; "weight_norm" and "gradient_norm", of
            the gradient of the mean loss, of all parameters before the activation that are of no
            other layer.
        """
        found = [
            self._diagnosed(values, lessons[of[number]])
            for number, values in enumerate(self._each())
        ]
        return {
            layer: {name: torch.stack([one[layer][name] for one in found]).cpu() for name in own}
            for layer, own in found[0].items()
        }

    def _diagnosed(
        self, values: Mapping[str, Tensor], seen: Lessons
    ) -> dict[str, dict[str, Tensor]]:
        images, labels = seen.images.flatten(0, 1), seen.labels.flatten(0, 1)
        outputs = () if seen.outputs is None else (seen.outputs.flatten(0, 1)[None],)
        found: dict[str, dict[str, Tensor]] = {}
        with _watched(self.places, found):
            self._call({**self._held, **values}, images)
        own = [values[name][None] for name in self.names]
        _, slopes = self._gradients(own, self._held, images[None], labels[None], *outputs)
        gradient = dict(zip(self.names, slopes, strict=True))
        for layer, names in self._layers.items():
            figures = found.setdefault(layer, {})
            for figure, of in (("weight_norm", values), ("gradient_norm", gradient)):
                whole = torch.cat([of[name].double().flatten() for name in names])
                figures[figure] = whole.norm()
        return found


def _outermost(model: nn.Module, kind: type[nn.Module]) -> dict[str, nn.Module]:
    """The activations of a network that lie in no other, by their paths."""
    found = {n: m for n, m in model.named_modules() if isinstance(m, kind) or is_activation(m)}
    inner = {id(part) for place in found.values() for part in place.modules() if part is not place}
    return {path: place for path, place in found.items() if id(place) not in inner}


def _layers(model: nn.Module, places: Mapping[str, nn.Module]) -> dict[str, list[str]]:
    """Trained parameters of each layer, in the order in which the network has its modules."""
    inside = {id(part) for place in places.values() for part in place.modules()}
    found: dict[str, list[str]] = {}
    waiting: list[str] = []
    for path, module in model.named_modules():
        if path in places:
            found[path], waiting = waiting, []
        elif id(module) not in inside:
            own = module.named_parameters(path, recurse=False)
            waiting += [name for name, parameter in own if parameter.requires_grad]
    return {layer: names for layer, names in {**found, OUTPUT: waiting}.items() if names}


@contextmanager
def _watched(
    places: Mapping[str, nn.Module], found: dict[str, dict[str, Tensor]]
) -> Iterator[None]:
    """Inside, each activation that is called is looked at."""

    def watch(path: str) -> Callable[..., None]:
        def see(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            slopes = _slopes(module, given[0].detach())
            found[path] = layer_figures(_rows(made.detach()), _rows(slopes))

        return see

    hooks = [place.register_forward_hook(watch(path)) for path, place in places.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _slopes(activation: nn.Module, units: Tensor) -> Tensor:
    """|derivative| of the features by each unit, added up where a unit gives two.

    Found without a pass for each feature: |a| + |b| is the larger of |a + b| and |a − b|, whichever
    way the two features of a unit lie.
    """
    with torch.enable_grad():
        leaf = units.clone().requires_grad_()
        features = activation.forward(leaf)
        count = features.shape[1]
        number = torch.arange(count, device=units.device).view(-1, *[1] * (features.ndim - 2))
        signs = [number >= 0, number % 2 == 0, number < count // 2]
        return torch.stack(
            [
                torch.autograd.grad(
                    features, leaf, (2.0 * sign - 1).expand_as(features), retain_graph=True
                )[0].abs()
                for sign in signs
            ]
        ).amax(dim=0)


def _rows(values: Tensor) -> Tensor:
    """Values [examples, channels, ...] as [examples and positions, channels], not too many."""
    rows = values.movedim(1, -1).reshape(-1, values.shape[1])
    return rows[:: -(-len(rows) // ROWS)]


def check_keeps_nothing(model: nn.Module, images: Tensor) -> None:
    """Refuse a network that changes a buffer of its own when it is called in training.

    Raises:
        UsageError: If it does.
    """
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad(), preserved_rng():
        model.train()(images)
    for name, buffer in model.named_buffers():
        if not torch.equal(buffer, before[name]):
            raise UsageError(
                "`model` must keep nothing from one call to the next, as BatchNorm does by running "
                f"statistics (networks of a stream are trained side by side); its buffer {name} "
                "changes."
            )
