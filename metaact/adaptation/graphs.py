"""A computation on a GPU as a CUDA graph: all of its kernels started by one call.

A step of a small network is hundreds of small kernels, and the GPU waits for Python to start each.
After a few ordinary calls the kernels are captured; later calls start them together, on the same
memory: inputs are copied to where the kernels read them, results from where they write them.
Kernels, their order and the numbers that they draw are those of the ordinary call.

What a graph cannot hold (an op for which the host waits for the GPU, a forward pass that is not
known to be a function of what can be seen of it) is done by ordinary calls.

References:
    PyTorch, CUDA semantics, section "CUDA Graphs",
    https://docs.pytorch.org/docs/stable/notes/cuda.html
    NVIDIA, CUDA Graph Best Practice for PyTorch, https://docs.nvidia.com/dl-cuda-graph/
    `make_graphed_callables` is not used: it cannot be differentiated twice, and returns gradients
    that its next call overwrites, https://github.com/pytorch/pytorch/issues/181723
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from .recording import Results
from .shares import is_plain

ORDINARY = 3
"""Calls before the capture, on its stream: in them libraries load kernels and set memory aside."""

MOST_GRAPHS = 8
"""So many computations are remembered, those asked for last: each graph has memory of its own."""

Compute = Callable[..., Results]
"""From tensors to tensors; others it may read, and change, where they lie."""

_allowed = True


def set_graphs(allowed: bool) -> None:
    """Say whether steps on a GPU are captured as CUDA graphs, in this process.

    Args:
        allowed: False does every step by ordinary calls.
    """
    global _allowed  # as `set_threads`: one setting of the process
    _allowed = allowed


class Capture(Protocol):
    """What captures one computation on a device."""

    def beside(self, work: Callable[[], Results]) -> tuple[Results, bool]:
        """Do an ordinary call where the capture will be; also whether the host waited in it."""

    def capture(self, work: Callable[[], Results]) -> Results:
        """Note the kernels of a call without doing them; their results, when they are replayed.

        Raises:
            RuntimeError: If they cannot be captured.
        """

    def replay(self) -> None:
        """Do them."""


class CudaCapture:
    """Capture by `torch.cuda.graph`, on a stream of its own.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # in torch
        self._graph = torch.cuda.CUDAGraph()

    def beside(self, work: Callable[[], Results]) -> tuple[Results, bool]:
        """Do it on the stream of the capture, after all before and before all after it."""
        now = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(now)
        with torch.cuda.stream(self._stream), _watched() as waits:
            results = work()
        now.wait_stream(self._stream)
        return results, bool(waits)

    def capture(self, work: Callable[[], Results]) -> Results:
        """Note the kernels; a step that draws gets its numbers from the GPU's default generator."""
        index = torch.cuda.current_device() if self._device.index is None else self._device.index
        generator = torch.cuda.default_generators[index]
        state, now = generator.get_state(), torch.cuda.current_stream(self._device)
        try:
            with torch.cuda.device(index), torch.cuda.graph(self._graph, stream=self._stream):
                return work()
        except RuntimeError:
            # PyTorch leaves the stream of a failed capture the current one, and the generator in a
            # mode in which it refuses to draw: it gets another state, at the same place.
            torch.cuda.set_stream(now)
            fresh = torch.Generator(torch.device("cuda", index))
            fresh.set_state(state)
            generator.graphsafe_set_state(fresh.graphsafe_get_state())
            raise

    def replay(self) -> None:
        """Start all kernels."""
        self._graph.replay()


@contextmanager
def _watched() -> Iterator[list[str]]:
    """What PyTorch says of ops inside for which the host waited; other warnings are passed on."""
    waits: list[str] = []
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield waits
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    for one in seen:
        said = str(one.message)
        if "called a synchronizing" in said:
            waits.append(said)
        elif "prototype" not in said:  # what it says of this mode itself
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


class Graph:
    """One computation: ordinary at first, then captured, then replayed.

    Args:
        capture: What captures it.

    Attributes:
        captured: Whether it is replayed by now.
        refused: Whether it stays ordinary.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._calls = 0
        self._given: list[Tensor] = []
        self._results: Results = []
        self.captured = self.refused = False

    def __call__(self, compute: Compute, given: Sequence[Tensor]) -> Results:
        """Do it.

        Args:
            compute: The computation; not called when it is replayed.
            given: Its inputs, in every call of the same shapes, types and layout.

        Returns:
            Its results, which no later call changes.
        """
        if not self.captured and not self.refused:
            if self._calls < ORDINARY:
                self._calls += 1
                results, waits = self._capture.beside(lambda: compute(*given))
                if waits and self._calls == ORDINARY:
                    self._refuse("the host waits for the GPU in it")
                return results
            self._record(compute, given)
        if self.refused:
            return compute(*given)
        with torch.no_grad():
            for place, tensor in zip(self._given, given, strict=True):
                place.copy_(tensor)
            self._capture.replay()
            return [None if value is None else value.clone() for value in self._results]

    def _record(self, compute: Compute, given: Sequence[Tensor]) -> None:
        self._given = [tensor.detach().clone() for tensor in given]
        try:
            self._results = self._capture.capture(lambda: compute(*self._given))
        except RuntimeError as error:
            self._given = []
            first: BaseException = error  # the last is only that the capture failed
            while first.__context__ is not None:
                first = first.__context__
            self._refuse(str(first).partition("\n")[0])
        else:
            self.captured = True

    def _refuse(self, why: str) -> None:
        self.refused = True
        warnings.warn(
            f"a step is not captured as a CUDA graph, which may make it slower ({why}).",
            RuntimeWarning,
            stacklevel=4,
        )


class Graphs:
    """The graphs of one model's computations, each made when it is wanted often enough."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Graph] = OrderedDict()

    def __reduce__(self) -> tuple[type[Graphs], tuple[()]]:
        """A copy begins without any: they read and write the memory of the original."""
        return Graphs, ()

    def __len__(self) -> int:
        """How many are replayed by now."""
        return sum(graph.captured for graph in self._known.values())

    def run(
        self,
        key: Hashable | None,
        compute: Compute,
        given: Sequence[Tensor],
        held: Callable[[], Sequence[Tensor]] = tuple,
    ) -> Results:
        """Do a computation, on a GPU by its graph when it has one.

        Args:
            key: Whatever its kernels depend on, but for the tensors; None if that is not known.
            compute: The computation.
            given: Tensors that may be others in each call.
            held: Gives all others that it reads or changes. Where they lie elsewhere, it is
                another graph.
        """
        if key is None or not captures(given[0].device):
            return compute(*given)
        layouts = tuple((t.shape, t.stride(), t.dtype) for t in given)
        places = tuple(tensor.data_ptr() for tensor in held())
        mode = torch.is_grad_enabled(), torch.get_default_dtype()
        key = (key, layouts, places, mode)
        graph = self._known.pop(key, None) or Graph(make_capture(given[0].device))
        self._known[key] = graph
        if len(self._known) > MOST_GRAPHS:
            self._known.popitem(last=False)
        return graph(compute, given)


def captures(device: torch.device) -> bool:
    """Whether computations on a device are captured, in the thread that asks."""
    return (
        _allowed and device.type == "cuda" and is_plain() and not torch.is_autocast_enabled("cuda")
    )


def make_capture(device: torch.device) -> Capture:
    """What captures one computation there."""
    return CudaCapture(device)
