"""The settings behind the paper's tables, from its text and its authors' published code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """Sections 4.1 and 4.2: tables 1, 4, 5, 6 and figures 2, 3, 7, 8.

    Images are scaled to [0, 1] and not normalised; the whole training set trains; the figure is
    measured on the test set, and where it is a best over epochs it is selected there.
    """

    dataset: str = "mnist"
    model: str = "mnist-conv"
    optimizers: tuple[str, ...] = ("adam", "sgd")
    lrs: tuple[float, ...] = (1e-2, 1e-3, 1e-4, 1e-5)
    momentum: float = 0.9
    batch_size: int = 128
    epochs: int = 20
    runs: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Section 4.4: table 2.

    The caption says "finetuned for 5, 10 and 20 epochs"; the text says that fine-tuning lasts 100
    epochs and that the rows differ in the amount of pre-training. Both are runnable.
    """

    source: str = "mnist"
    target: str = "svhn"
    model: str = "mnist-conv"
    pretrain_lr: float = 1e-2
    pretrain_epochs: int = 20
    lr: float = 1e-5
    momentum: float = 0.9
    batch_size: int = 128
    epochs: tuple[int, ...] = (5, 10, 20)
    text_epochs: int = 100
    runs: int = 5


CONVERGENCE = Convergence()
"""Settings of the convergence experiment, with the paper's values."""

TRANSFER = Transfer()
"""Settings of the transfer experiment, with the paper's values."""


def column(optimizer: str, lr: float) -> str:
    """The column of tables 1, 4, 5 and 6 for an optimizer and a learning rate.

    Examples:
        >>> column("sgd", 0.001)
        'sgd_1e-3'
    """
    mantissa, exponent = f"{lr:e}".split("e")
    return f"{optimizer}_{float(mantissa):g}e{int(exponent)}"
