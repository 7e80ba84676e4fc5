"""What a study answers: the ladder, steps, front-ends and the submission."""

import numpy as np
import pandas as pd
import pytest
from known_scores import HALF, OMEGA_OF_HALF, PERFECT, joined, rows

from asdlib import clipstats
from asdlib.compare import findings
from asdlib.compare.statistics import Results
from asdlib.noise import Floors

GAIN = 1 - OMEGA_OF_HALF
S5_VIEWS = [rows("fan", *view, {0: PERFECT}, train=[0.0]) for view in clipstats.S5]


@pytest.fixture
def table():
    """The near channel is half right at both seeds, AdaSub at one of them."""
    near = rows("fan", "near", "eq1", {3: HALF, 7: HALF})
    return joined(near, rows("fan", "adasub", "eq1", {3: PERFECT, 7: HALF}))


def test_the_ladder_stands_beside_what_was_reported(table):
    reported = [
        {"system": "AE", "front_end": "near", "scorer": "eq1", "mean": 0.6, "std": 0.1},
        {"system": "+ AdaSub", "front_end": "adasub", "scorer": "eq1", "ensemble": 0.7},
        {"system": "not run", "front_end": "adasub", "scorer": "s1", "mean": 0.8},
    ]
    ladder = findings.ladder(Results(table), reported).set_index("system")[:3]
    values = ["mean", "std", "ensemble"]
    given = [f"reported {name}" for name in values]
    assert ladder[[*values, *given]].to_numpy(float) == pytest.approx(
        np.array(
            [
                [OMEGA_OF_HALF, 0, OMEGA_OF_HALF, 0.6, 0.1, np.nan],
                [1 - GAIN / 2, GAIN / np.sqrt(2), 1, np.nan, np.nan, 0.7],
                [np.nan, np.nan, np.nan, 0.8, np.nan, np.nan],
            ]
        ),
        nan_ok=True,
    )
    assert ladder["low"].isna().tolist() == [False, False, True]


def test_detectors_without_training_are_judged_by_the_champion():
    champion = rows("fan", "adasub", "s1", {0: HALF, 1: PERFECT, 2: HALF})
    views = [S5_VIEWS[0], rows("fan", "checkedls", "pmsd", {0: HALF}, train=[0.0])]
    views.append(rows("fan", "adals", "pmsd", {0: HALF}, train=[0.0]))
    table = joined(champion, *views)
    reported = [{"system": "champion", "front_end": "adasub", "scorer": "s1"}]
    found = findings.ladder(Results(table), reported).set_index("system")
    # the mean of the views puts both anomalies above all normal clips
    assert found.loc["S5", ["mean", "ensemble", "low", "high"]].tolist() == [1, 1, 1, 1]
    assert found.loc["AdaLS, statistics pmsd", "mean"] == pytest.approx(OMEGA_OF_HALF)
    assert np.isnan(found.loc["AdaSub, statistics pmsd", "mean"])  # was not run
    assert found.loc["champion", "verdict"] == found.loc["AdaSub, statistics pmsd", "verdict"] == ""
    assert found.loc["S5", "verdict"] == "no robust difference"
    without = findings.ladder(Results(table.assign(label="unknown")), [])
    assert without.iloc[:, 3:-1].isna().all(axis=None)
    assert (without["verdict"] == "").all()


def test_steps_are_differences_to_the_first_scorer(table):
    better = rows("fan", "near", "s1", {3: PERFECT, 7: HALF})
    results = Results(joined(table, better))
    steps = findings.steps(results, "near", ("eq1", "dm", "s1"))
    assert steps["scorer"].tolist() == ["eq1", "s1"]  # dm was not run
    assert steps["auc_target"].tolist() == [0.5, 1]
    assert steps["omega"].tolist() == pytest.approx([OMEGA_OF_HALF, 1])
    assert steps["mean"].tolist() == pytest.approx([OMEGA_OF_HALF, 1 - GAIN / 2])
    values = ["difference", "difference_std", "p_t"]  # t = 1 with one degree of freedom
    assert steps.loc[1, values].tolist() == pytest.approx([GAIN / 2, GAIN / np.sqrt(2), 0.5])
    assert steps["verdict"].tolist() == ["", "no robust difference"]
    assert steps.loc[0, ["difference", "low"]].isna().all()
    assert findings.steps(results, "near", ("dm", "eq1")).empty


def test_front_ends_are_compared_with_adasub_under_every_scorer():
    seeds = dict.fromkeys(range(3), HALF)
    table = joined(
        rows("fan", "adasub", "s1", seeds),
        rows("fan", "adals", "s1", {0: PERFECT, 1: PERFECT, 2: HALF}),
        rows("fan", "adals", "pmsd", {0: HALF}),
        rows("fan", "adasub", "pmsd", {0: PERFECT}),
        rows("fan", "baseline", "s1", seeds),
    )
    found = findings.against_adasub(Results(table), ["s1", "pmsd"])
    assert found[["scorer", "front_end"]].to_numpy().tolist() == [
        ["s1", "adasub"],
        ["s1", "adals"],
        ["pmsd", "adals"],
        ["pmsd", "adasub"],
    ]
    assert found["mean"].tolist() == pytest.approx(
        [np.nan, 2 * GAIN / 3, -GAIN, np.nan], nan_ok=True
    )
    assert found["omega"].tolist() == pytest.approx([1 - GAIN, 1 - GAIN / 3, 1 - GAIN, 1])
    assert found["verdict"].tolist()[2] == "harms"  # by clips alone: one of each kind
    machines = findings.omega_by_front_end(table, "s1")
    assert machines.loc["fan", "adals"] == found["ensemble"][1] == pytest.approx(1)
    without = Results(table[table["front_end"] == "adals"])
    assert findings.against_adasub(without, ["s1"]).empty
    assert findings.against_adasub(Results(table.assign(split="train")), ["s1"]).empty


def test_the_oracle_takes_the_better_front_end_of_every_machine():
    half, perfect = {0: HALF, 1: HALF}, {0: PERFECT, 1: PERFECT}
    table = joined(
        rows("fan", "adasub", "eq1", perfect),
        rows("fan", "cohgate", "eq1", half),
        rows("pump", "adasub", "eq1", half),
        rows("pump", "cohgate", "eq1", perfect),
        rows("pump", "near", "eq1", half),
        rows("concealed", "adasub", "eq1", half).assign(label="unknown"),
    )
    near = {"fan": [1.0, 2.0, 9.0], "pump": [4.0, 4.0, 1.0]}
    floors = {name: Floors(np.array(own), np.ones(3)) for name, own in near.items()}
    found = findings.adasub_or_cohgate(table, floors).set_index("machine")
    assert found.index.tolist() == ["fan", "pump", "all"]
    over_both = 6 / (3 + 3 / OMEGA_OF_HALF)  # harmonic mean of the six values
    assert found["median G"].tolist() == pytest.approx([2, 4, np.nan], nan_ok=True)
    assert found["AdaSub"].tolist() == pytest.approx([1, OMEGA_OF_HALF, over_both])
    assert found["CohGate"].tolist() == pytest.approx([OMEGA_OF_HALF, 1, over_both])
    assert found["oracle"].tolist() == pytest.approx([1, 1, 1])
    without = findings.adasub_or_cohgate(table[table["front_end"] == "adasub"], floors)
    assert without["AdaSub"].tolist() == pytest.approx([1, OMEGA_OF_HALF, over_both])
    assert without[["CohGate", "oracle"]].isna().all(axis=None)
    assert findings.adasub_or_cohgate(table[table["machine"] == "concealed"], floors).empty


def test_questions_without_an_answer_are_left_out(table):
    phase = [rows("fan", own, "pmsd", {0: HALF}) for own in ("adals", "adasub")]
    found = findings.compared(Results(joined(table, *phase)), ["eq1", "s1", "pmsd"])
    assert found[["system", "against"]].to_dict("index") == {
        "far": {"system": ("adasub", "eq1"), "against": ("near", "eq1")},
        "phase": {"system": ("adals", "pmsd"), "against": ("adasub", "pmsd")},
    }
    omegas = found.loc["far", ["omega_against", "omega", "mean"]].tolist()
    assert omegas == pytest.approx([OMEGA_OF_HALF, 1 - GAIN / 2, GAIN / 2])
    assert findings.compared(Results(table.assign(label="unknown")), ["eq1"]).empty
    assert findings.winner(pd.DataFrame()) == ""


def test_the_overview_has_every_system_as_it_would_be_submitted():
    seeds = dict.fromkeys(range(3), HALF)
    paper = [rows(machine, "adasub", "s1", seeds, train=[0.0]) for machine in ("fan", "saw")]
    views = [
        rows(machine, *view, {0: PERFECT}, train=[0.0])
        for machine in ("fan", "saw")
        for view in clipstats.S5
    ]
    concealed = rows("hidden", "adasub", "s1", seeds, train=[0.0]).assign(label="unknown")
    table = joined(*views, *paper)
    kinds = dict.fromkeys(["machine", "front_end", "scorer", "domain", "label"], "category")
    found = findings.overview(Results(table.astype(kinds)), 0.9)  # as a study's table
    assert found.index.tolist() == ["S5", "highest", "S1"]
    assert found.loc["highest", ["title", "by_labels"]].tolist() == ["checkedsub/fine", True]
    assert findings.winner(found) == "S5"
    assert found.loc["S1", ["fan", "saw", "overall"]].tolist() == [pytest.approx(1 - GAIN)] * 3
    # one clip of each kind: every resample is the same
    assert found.loc["S1", ["mean", "low", "high"]].tolist() == pytest.approx([GAIN] * 3)
    assert found.loc["S1", ["usual", "changed", "found"]].tolist() == [(2, 2), (2, 2), (4, 4)]
    assert found.loc["S5", "found"] == (0, 4)  # one clip allows no alarm
    assert findings.by_machine(found).loc["saw"].tolist() == pytest.approx([1, 1, 1 - GAIN])
    alone = findings.overview(Results(joined(*paper, concealed)), 0.9)
    assert alone.index.tolist() == ["S1"]
    assert alone.loc["S1", "unlabelled"] == (4, 4)
    assert "hidden" not in findings.by_machine(alone).index
    assert findings.overview(Results(table[table["split"] == "train"]), 0.9).empty
