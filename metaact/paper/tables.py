"""The figures of the paper's tables 1 to 8, in percent, as it prints them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from metaact.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Where a table is kept, and what its figures are."""

    file: str
    caption: str


TABLES: dict[int, _Table] = {
    1: _Table(
        file="table1_mnist_first_epoch_mean.csv",
        caption="MNIST-Conv on MNIST, test accuracy after the first epoch, mean of 5 runs",
    ),
    2: _Table(
        file="table2_transfer_mnist_svhn.csv",
        caption="MNIST-Conv from MNIST to SVHN, test accuracy on SVHN",
    ),
    3: _Table(
        file="table3_maml_mnist.csv",
        caption="MAML with MNIST-Conv on MNIST, accuracy of the best training iteration",
    ),
    4: _Table(
        file="table4_mnist_first_epoch_best.csv",
        caption="MNIST-Conv on MNIST, test accuracy after the first epoch, best of 5 runs",
    ),
    5: _Table(
        file="table5_mnist_20_epochs_best.csv",
        caption="MNIST-Conv on MNIST, best test accuracy of 20 epochs, best of 5 runs",
    ),
    6: _Table(
        file="table6_mnist_20_epochs_mean.csv",
        caption="MNIST-Conv on MNIST, best test accuracy of 20 epochs, mean of 5 runs",
    ),
    7: _Table(file="table7_cifar100.csv", caption="CIFAR-100, test accuracy, mean of 5 runs"),
    8: _Table(file="table8_cifar10.csv", caption="CIFAR-10, test accuracy of 5 runs"),
}
"""The paper's tables: number to file and caption."""


@cache
def _read(number: int) -> dict[str, dict[str, float]]:
    text = (files(__package__) / TABLES[number].file).read_text(encoding="utf-8")
    rows = {}
    for row in csv.DictReader(text.splitlines()):
        name, *_ = row.values()
        cells = list(row.items())[1:]
        rows[name] = {key: float(value) for key, value in cells if value}
    return rows


def table(number: int) -> dict[str, dict[str, float]]:
    """One table of the paper.

    Args:
        number: 1 to 8.

    Returns:
        Figures in percent by the row's title ("AReLU") and the column's name ("sgd_1e-3"). A cell
        that the paper leaves empty is left out.

    Raises:
        UsageError: If the paper has no such table.

    Examples:
        >>> table(1)["AReLU"]["sgd_1e-4"]
        47.78
    """
    if number not in TABLES:
        raise UsageError(f"`number` must be an int in [1, 8] (the paper's tables); got {number!r}.")
    return {title: dict(cells) for title, cells in _read(number).items()}
