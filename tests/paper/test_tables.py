"""The paper's figures as shipped, against figures its text states elsewhere."""

import pytest

from metaact import paper
from metaact.errors import UsageError


@pytest.mark.parametrize("number", [1, 4, 5, 6])
def test_convergence_tables_hold_all_nineteen_by_eight(number: int) -> None:
    rows = paper.table(number)
    wanted = {
        paper.column(o, lr) for o in paper.CONVERGENCE.optimizers for lr in paper.CONVERGENCE.lrs
    }
    assert len(rows) == 19
    for cells in rows.values():
        assert set(cells) - {"learnable_parameters_per_unit"} == wanted
        assert all(0 <= v <= 100 for v in cells.values())


# The paper prints under its tables by how much AReLU leads the best non-learnable and the best
# other learnable activation: arithmetic of its own on the same cells.
@pytest.mark.parametrize(
    ("number", "column", "fixed", "learnable"),
    [
        (1, "sgd_1e-3", 10.77, 9.78),
        (1, "sgd_1e-4", 31.29, 33.66),
        (1, "adam_1e-4", 4.77, 3.36),
        (4, "adam_1e-5", 10.08, 22.66),
        (5, "sgd_1e-5", 47.60, 60.10),
        (6, "sgd_1e-5", 39.52, 54.09),
        (6, "adam_1e-4", 0.25, 0.07),
    ],
)
def test_lead_is_the_printed_one(number: int, column: str, fixed: float, learnable: float) -> None:
    rows = paper.table(number)
    others = {
        kind: max(
            cells[column]
            for title, cells in rows.items()
            if title != "AReLU" and (cells["learnable_parameters_per_unit"] > 0) == kind
        )
        for kind in (False, True)
    }
    assert rows["AReLU"][column] - others[False] == pytest.approx(fixed, abs=0.011)
    assert rows["AReLU"][column] - others[True] == pytest.approx(learnable, abs=0.011)


def test_best_is_never_below_mean() -> None:
    for best, mean in ((4, 1), (5, 6)):
        for title, cells in paper.table(mean).items():
            for column, value in cells.items():
                assert paper.table(best)[title][column] >= value, (title, column)


def test_empty_cells_are_left_out() -> None:
    assert paper.table(8)["SLAF"] == {"learnable_parameters_per_unit": 2.0}


def test_a_caller_cannot_change_the_tables() -> None:
    paper.table(2)["AReLU"].clear()
    assert paper.table(2)["AReLU"]["finetune_20_epochs"] == 78.48


def test_unknown_table() -> None:
    with pytest.raises(UsageError, match="tables"):
        paper.table(9)
