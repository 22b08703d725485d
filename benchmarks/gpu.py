"""A GPU checked and measured: `python benchmarks/gpu.py`. It needs no installation and no data.

Checks, each a number beside what it may be at most:

    agreement    of meta-gradients, training and answers between the CPU and the GPU, in float64 and
                 float32 (convolutions without TF32)
    waiting      no step of converge, transfer, segment or maml waits for the GPU
    graphs       captured steps against ordinary ones, and that they were captured
    repetition   a second run, and one that continues from a checkpoint
    bfloat16     loss and direction of the gradient against float32

Then times, medians: a meta-iteration of 5 ways with 1 and 5 shots on the CPU, on the GPU by
ordinary calls, by a CUDA graph, and by learn2learn if it is installed; epochs of MNIST-Conv and
ResNet-18, with and without bfloat16; a sweep one run after the other and stacked; a stream.

It prints one table, and ends with 1 if a check fails. `--device cpu` runs the same with the CPU in
the place of the GPU: what needs CUDA says so.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from gpu_checks import agreement, graphs, precision, repetition, waiting
from gpu_parts import QUICK, Size, Table, images
from gpu_times import meta_times, sweep_times, training_times

from metaact.adaptation.stateless import full_float32


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, measure, print; 1 if a check failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try this script")
    parser.add_argument("--quick", action="store_true", help="little of everything, in seconds")
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("CUDA is not available here; --device cpu runs what needs none.")
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(device)
    size = QUICK if given.quick else Size()
    table = Table(device)
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    print(f"torch {torch.__version__}, Python {sys.version.split()[0]}, {named}")
    start = time.perf_counter()
    data = images(size)
    exact = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    with full_float32():
        for part in (agreement, waiting, graphs, repetition):
            part(table, data, size)
    torch.backends.cudnn.deterministic = exact
    for part in (precision, meta_times, training_times, sweep_times):
        part(table, data, size)
    failed = f"{table.failed} failed" if table.failed else "all checks passed"
    print(f"\n{failed}; {time.perf_counter() - start:.0f} seconds")
    return int(table.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
