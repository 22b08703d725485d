"""The table of α and β: what the weights hold, and at which end of the range α is stuck."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from metaact import experiments, reports
from metaact.experiments import CONVERGE, ConvergeConfig
from metaact.reports.document import Layer, StudyReport
from metaact.reports.render.study_tables import attention


@pytest.fixture(scope="module")
def studied(
    pack: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StudyReport, dict[str, dict[str, list[float]]]]:
    """A study of AReLU and ReLU, and α and β of each layer in the weights of each seed."""
    configs = [
        ConvergeConfig(dataset=str(pack), activation=name, seed=seed, lr=0.05, epochs=1)
        for name in ("relu", "arelu")
        for seed in (0, 1)
    ]
    outcome = experiments.run(CONVERGE, configs, tmp_path_factory.mktemp("runs"))
    known: dict[str, dict[str, list[float]]] = {}
    for run in outcome.report.done:
        for name, value in run.weights().items():
            layer, _, parameter = name.rpartition(".")
            if parameter in ("alpha", "beta"):
                known.setdefault(layer, {}).setdefault(parameter, []).append(float(value))
    return reports.answer(outcome).studies[0], known


def test_it_has_what_the_weights_have(
    studied: tuple[StudyReport, dict[str, dict[str, list[float]]]],
) -> None:
    study, known = studied
    table = attention(study)
    assert {row["arm"] for row in table.rows} == {"arelu"}  # ReLU has none
    assert {row["layer"] for row in table.rows} == set(known)
    for row in table.rows:
        for symbol, name in (("α", "alpha"), ("β", "beta")):
            values = known[row["layer"]][name]
            shown = [float(number) for number in re.findall(r"-?\d+\.\d+", row[symbol])]
            expected = [sum(values) / len(values), min(values), max(values)]
            assert shown == pytest.approx(expected, abs=5.1e-4)
        stuck = sum(not 0.01 <= alpha <= 0.99 for alpha in known[row["layer"]]["alpha"])
        assert row["stuck α"].startswith(f"{stuck} above" if stuck else "0")
    assert (
        sum(int(row["stuck α"].split()[0]) for row in table.rows) == study.arm("arelu").stuck_alpha
    )


def of(study: StudyReport, layers: dict[str, list[float]]) -> list[dict[str, str]]:
    """The rows of an arm whose α ended so in each layer, by seed."""
    attended = {
        name: Layer(
            x=[0.0, 1.0], alpha=[[0.9, end] for end in ends], beta=[[2.0, 1.0] for _ in ends]
        )
        for name, ends in layers.items()
    }
    arms = [replace(study.arm("arelu"), attention=attended)]
    return list(attention(replace(study, arms=arms)).rows)


def test_stuck_at_either_end_is_told_apart(
    studied: tuple[StudyReport, dict[str, dict[str, list[float]]]],
) -> None:
    study, _ = studied
    rows = of(study, {"act1": [1.2, 0.005, 0.5], "act2": [0.01, 0.99, 0.5], "act3": [-0.1] * 3})
    assert [row["stuck α"] for row in rows] == [
        "1 above and 1 below of 3",
        "0 of 3",
        "3 below of 3",
    ]
    assert rows[0]["α"] == "0.568 (0.005 to 1.200)"
    assert rows[0]["β"] == "1.000 (1.000 to 1.000)"


def test_a_deep_network_has_one_row(
    studied: tuple[StudyReport, dict[str, dict[str, list[float]]]],
) -> None:
    study, _ = studied
    (row,) = of(study, {f"act{i}": [i / 10] for i in range(17)})
    assert (row["layer"], row["α"]) == ("all 17", "0.800 (0.000 to 1.600)")
    assert row["stuck α"] == "7 above and 1 below of 17"
