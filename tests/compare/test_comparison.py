"""Summaries, the ladder, paired differences and verdicts, on tables with known values."""

import numpy as np
import pandas as pd
import pytest
from known_scores import HALF, OMEGA_OF_HALF, PERFECT, rows

from asdlib.compare import comparison, trained_or_not

GAIN = 1 - OMEGA_OF_HALF


@pytest.fixture
def table():
    """The near channel is half right at both seeds, AdaSub at one of them."""
    near = rows("fan", "near", "eq1", {3: HALF, 7: HALF})
    return pd.concat([near, rows("fan", "adasub", "eq1", {3: PERFECT, 7: HALF})], ignore_index=True)


def ladder_of(table, reported):
    return comparison.ladder(comparison.summary(table), table, reported)


def test_a_summary_has_the_official_values_of_seeds_and_ensembles(table):
    per_seed, ensemble = comparison.summary(table)
    assert per_seed["seed"].tolist() == [3, 7, 3, 7]
    assert per_seed["omega"].tolist() == pytest.approx([OMEGA_OF_HALF] * 2 + [1, OMEGA_OF_HALF])
    assert per_seed["auc_source"].tolist() == [1, 1, 1, 1]
    assert per_seed["auc_target"].tolist() == [0.5, 0.5, 1, 0.5]
    assert per_seed["pauc"].tolist() == pytest.approx([14 / 19, 14 / 19, 1, 14 / 19])
    assert ensemble["front_end"].tolist() == ["near", "adasub"]
    assert ensemble["omega"].tolist() == pytest.approx([OMEGA_OF_HALF, 1])  # the mean separates
    assert "seed" not in ensemble


def test_concealed_clips_have_no_value_and_train_clips_no_row(table):
    per_seed, ensemble = comparison.summary(table.assign(label="unknown", domain="unknown"))
    assert len(per_seed) == 4
    assert per_seed["omega"].isna().all()
    assert ensemble["pauc"].isna().all()
    for empty in comparison.summary(table.assign(split="train")):
        assert empty.empty
        assert "omega" in empty


def test_the_ladder_stands_beside_what_was_reported(table):
    reported = [
        {"system": "AE", "front_end": "near", "scorer": "eq1", "mean": 0.6, "std": 0.1},
        {"system": "+ AdaSub", "front_end": "adasub", "scorer": "eq1", "ensemble": 0.7},
        {"system": "not run", "front_end": "adasub", "scorer": "s1", "mean": 0.8},
    ]
    ladder = ladder_of(table, reported).set_index("system")[:3]
    assert ladder.loc["AE", "mean"] == pytest.approx(OMEGA_OF_HALF)
    assert ladder.loc["AE", "std"] == 0
    assert ladder.loc["AE", "ensemble"] == pytest.approx(OMEGA_OF_HALF)
    assert ladder.loc["+ AdaSub", "mean"] == pytest.approx(1 - GAIN / 2)
    assert ladder.loc["+ AdaSub", "std"] == pytest.approx(GAIN / np.sqrt(2))
    assert ladder.loc["+ AdaSub", "ensemble"] == pytest.approx(1)
    assert ladder.loc["not run", ["mean", "std", "ensemble"]].isna().all()
    assert ladder["reported mean"].tolist() == pytest.approx([0.6, np.nan, 0.8], nan_ok=True)
    assert ladder["reported std"].tolist() == pytest.approx([0.1, np.nan, np.nan], nan_ok=True)
    assert ladder["reported ensemble"].tolist() == pytest.approx([np.nan, 0.7, np.nan], nan_ok=True)


def test_detectors_without_training_have_one_value_and_an_interval_over_clips():
    half, right = {0: HALF}, {0: PERFECT}
    table = pd.concat(
        [
            rows("fan", "adasub", "pmsd", half, train=[0.0]),
            rows("fan", "adasub", "fine", right, train=[0.0]),
        ],
        ignore_index=True,
    )
    found = ladder_of(table, []).set_index("system")
    assert found.index[-1] == "S5"
    assert found.loc["AdaSub, statistics pmsd", "mean"] == pytest.approx(OMEGA_OF_HALF)
    assert found.loc["AdaSub, fine statistics", ["mean", "low", "high"]].tolist() == [1, 1, 1]
    assert found.loc[["AdaLS, statistics pmsd", "S5"], "mean"].isna().all()  # AdaLS was not run
    rest = [
        rows("fan", "adals", "pmsd", half, train=[0.0]),
        rows("fan", "near", "fine", right, train=[0.0]),
    ]
    both = pd.concat([table, *rest], ignore_index=True)
    fused = ladder_of(trained_or_not.with_fused(both), []).set_index("system").loc["S5"]
    # the larger z puts both anomalies, 9, above all normal clips
    assert fused[["mean", "ensemble", "low", "high"]].tolist() == [1, 1, 1, 1]


def test_a_ladder_without_labels_has_no_values():
    table = rows("fan", "adasub", "pmsd", {0: HALF}, train=[0.0]).assign(label="unknown")
    found = ladder_of(table, [])
    assert found[["mean", "ensemble", "low", "high"]].isna().all(axis=None)
    assert (found["verdict"] == "").all()


def test_every_row_of_the_ladder_is_judged_in_place_of_the_champion():
    seeds = {0: HALF, 1: PERFECT, 2: HALF}
    own = [rows("fan", "adasub", "s1", seeds), rows("fan", "adals", "pmsd", {0: PERFECT})]
    worse = rows("fan", "near", "mse", dict.fromkeys(range(3), HALF))
    reported = [
        {"system": name, "front_end": front_end, "scorer": scorer}
        for name, front_end, scorer in (("near", "near", "mse"), ("champion", "adasub", "s1"))
    ]
    ladder = ladder_of(pd.concat([*own, worse], ignore_index=True), reported)
    said = ladder.set_index("system")["verdict"]
    assert said["champion"] == said["S5"] == ""
    assert said["near"] == said["AdaLS, statistics pmsd"] == "no robust difference"


def test_steps_are_differences_to_the_first_scorer(table):
    better = rows("fan", "near", "s1", {3: PERFECT, 7: HALF})
    summary = comparison.summary(pd.concat([table, better], ignore_index=True))
    both = pd.concat([table, better], ignore_index=True)
    steps = comparison.steps(summary, "near", ("eq1", "dm", "s1"), both)
    assert steps["scorer"].tolist() == ["eq1", "s1"]  # dm was not run
    assert steps["auc_target"].tolist() == [0.5, 1]
    assert steps["omega"].tolist() == pytest.approx([OMEGA_OF_HALF, 1])
    assert steps["mean"].tolist() == pytest.approx([OMEGA_OF_HALF, 1 - GAIN / 2])
    assert steps["difference"][1] == pytest.approx(GAIN / 2)
    assert steps["difference_std"][1] == pytest.approx(GAIN / np.sqrt(2))
    assert steps["p_t"][1] == pytest.approx(0.5)  # t = 1 with one degree of freedom
    assert steps["verdict"].tolist() == ["", "no robust difference"]
    assert steps.loc[0, ["difference", "low"]].isna().all()
    assert comparison.steps(summary, "near", ("dm", "eq1"), both).empty


def test_paired_differences_are_matched_by_seed(table):
    per_seed = comparison.summary(table).per_seed
    pairs = [
        (("adasub", "eq1"), ("near", "eq1")),
        (("lsa", "eq1"), ("near", "eq1")),
        (("near", "eq1"), ("adasub", "eq1")),
    ]
    paired = comparison.paired(per_seed.iloc[::-1], pairs, table)
    assert paired["system"].tolist() == [("adasub", "eq1"), ("near", "eq1")]  # lsa was not run
    assert paired["mean"].tolist() == pytest.approx([GAIN / 2, -GAIN / 2])
    assert paired["std"].tolist() == pytest.approx([GAIN / np.sqrt(2)] * 2)
    assert paired["p_t"].tolist() == pytest.approx([0.5, 0.5])
    assert paired["p_holm"].tolist() == [1, 1]
    # a resample of single clips changes nothing, one of two seeds has either or both
    assert paired["low"].tolist() == pytest.approx([0, -GAIN], abs=1e-12)
    assert paired["high"].tolist() == pytest.approx([GAIN, 0], abs=1e-12)
    assert comparison.paired(per_seed, [], table).empty


@pytest.mark.parametrize(
    ("mean", "p", "low", "high", "said"),
    [
        (0.03, 0.01, 0.01, 0.05, "helps"),
        (-0.03, 0.01, -0.05, -0.01, "harms"),
        (-0.03, 0.01, -0.07, 0.01, "no robust difference"),
        (0.03, 0.2, 0.01, 0.05, "no robust difference"),
        (-0.03, np.nan, -0.05, -0.01, "no robust difference"),
        (0.03, 0.2, -0.01, 0.05, "no robust difference"),
        (np.nan, np.nan, np.nan, np.nan, "Ω cannot be computed from these labels"),
    ],
)
def test_a_verdict_follows_its_numbers(mean, p, low, high, said):
    assert comparison.verdict({"mean": mean, "p_t": p, "low": low, "high": high}) == said


def test_a_detector_without_seeds_is_paired_with_every_seed_of_another():
    table = pd.concat(
        [
            rows("fan", "adasub", "eq1", {0: HALF, 1: PERFECT, 2: HALF}),
            rows("fan", "adasub", "pmsd", {0: PERFECT}),
            rows("fan", "adals", "pmsd", {0: HALF}),
        ]
    )
    per_seed = comparison.summary(table).per_seed
    trained, view, other = ("adasub", "eq1"), ("adasub", "pmsd"), ("adals", "pmsd")
    paired = comparison.paired(per_seed, [(view, trained), (view, other)], table)
    assert paired["n"].tolist() == [3, 1]
    assert paired["seedless"].tolist() == [False, True]
    assert paired["mean"].tolist() == pytest.approx(
        [(1 - OMEGA_OF_HALF) * 2 / 3, 1 - OMEGA_OF_HALF]
    )
    assert paired["low"][1] == pytest.approx(paired["mean"][1])  # one clip of each kind


def test_without_seeds_the_interval_over_clips_decides():
    row = {"mean": 0.1, "p_t": np.nan, "low": 0.02, "high": 0.2, "seedless": True}
    assert comparison.verdict(row) == "helps"
    assert comparison.verdict({**row, "mean": -0.1, "low": -0.2, "high": -0.02}) == "harms"
    assert comparison.verdict({**row, "low": -0.02}) == "no robust difference"
    with_seeds = comparison.verdict({**row, "seedless": False})
    assert with_seeds == "no robust difference"
