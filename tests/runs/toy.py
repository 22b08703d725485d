"""A small training loop on the Run API, killed at random moments by `test_kill.py`.

usage: toy.py STORE KILLS: fork a child that trains, kill it (`kill -9`), and so on; the last child
is left to finish. Prints how far the run was after each kill. The parent imports and warms up what
the children need, so that a restart costs milliseconds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

from metaact.runs import Run, RunStore

STEPS, EVERY = 120, 2
CONFIG = {"seed": 3, "steps": STEPS}


def open_run(store: str | Path) -> Run:
    return RunStore(store).open(kind="toy", name="toy", config=CONFIG)


def train(run: Run) -> None:
    """Noisy Adam on a quadratic: every step depends on all earlier ones and on the generator."""
    weight = torch.full((50,), 4.0, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.1)
    generator = torch.Generator().manual_seed(3)
    run.start({"machine": "toy"})
    state = run.resume()
    if state is not None:
        weight.data.copy_(state["weight"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
    for step in range(state["step"] if state else 0, STEPS):
        loss = ((weight - torch.randn(50, generator=generator)) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.append({"step": step, "loss": loss.item()})
        if (step + 1) % EVERY == 0:
            run.checkpoint(
                {
                    "step": step + 1,
                    "weight": weight.detach(),
                    "optimizer": optimizer.state_dict(),
                    "generator": generator.get_state(),
                }
            )
    run.finish({"outcome": "complete", "norm": weight.norm().item()}, weight.tolist())


def child(store: str) -> int:
    pid = os.fork()
    if pid == 0:
        run = open_run(store)
        with run.lock():
            if not run.is_complete:
                train(run)
        os._exit(0)
    return pid


def _warm_up() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(folder)
        with run.lock():
            train(run)
        run.state()


def main(store: str, kills: int) -> None:
    torch.set_num_threads(1)
    _warm_up()
    moments = random.Random(1)
    reached = []
    for _ in range(kills):
        aim = len(open_run(store).metrics()) + moments.randint(0, 8)
        pid = child(store)
        # By what is done, not by the clock: how fast a machine is changes from moment to moment.
        run = open_run(store)
        while len(run.metrics()) < aim and not run.is_complete:
            time.sleep(0.0005)
        time.sleep(moments.uniform(0, 0.003))
        os.kill(pid, signal.SIGKILL)  # a child that has ended stays until it is waited for
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            reached.append(len(open_run(store).metrics()))
    _, status = os.waitpid(child(store), 0)
    sys.stdout.write(json.dumps(reached))
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
