"""How tables are laid out for reading: every number, sign and blank."""

import numpy as np
import pandas as pd
import pytest

from asdlib.report import tables

FOUND = {"mean": 0.012345, "std": 0.005, "p_t": 0.01, "low": 0.001, "high": 0.02, "met": True}
TABLE = pd.DataFrame([FOUND, dict.fromkeys(FOUND, np.nan)]).assign(
    front_end=["adasub", "S5"], system=[("adasub", "s1"), "S5"]
)


@pytest.mark.parametrize(
    ("head", "cells"),
    [
        ("low", [0.001, np.nan]),
        ("p (t)", [0.01, np.nan]),
        ("p", ["0.0100", ""]),
        ("mean ± std", ["0.0123 ± 0.0050", None]),
        ("difference", ["+0.0123 ± 0.0050", ""]),
        ("95 % interval", ["+0.0010 to +0.0200", ""]),
        ("difference (95 % interval)", ["+0.0123 (+0.001 to +0.020)", ""]),
        ("front-end", ["AdaSub", "S5"]),
        ("result", ["met", ""]),
        ("system", ["AdaSub + DM + shrink + P95", "S5"]),
    ],
)
def test_a_column_is_shown_or_its_cells_are_made(head, cells):
    shown = tables.lay_out(TABLE, [head])
    pd.testing.assert_frame_equal(shown, pd.DataFrame({head: cells}))
    assert tables.lay_out(TABLE[:0], [head]).empty


def test_benchmarks_have_three_digits_and_no_exponent():
    rows = pd.DataFrame({"value": [12345.6, 0.012345], "unit": ["s", ""]})
    assert tables.measured(rows) == ["12,346 s", "0.0123"]


def test_a_gain_is_noise_removed_minus_machine_sound_lost():
    removed = pd.DataFrame(
        [
            ("fan", "adasub", 6.0, 1.0),
            ("fan", "refsub", 4.0, 1.5),
            ("saw", "adasub", 3.0, 2.0),
            ("saw", "refsub", 1.0, 3.0),
        ],
        columns=["machine", "front_end", "noise", "machine_sound"],
    )
    gain = tables.snr_gain(removed)
    assert gain.columns.tolist() == ["machine", "RefSub", "AdaSub"]
    assert gain.to_numpy().tolist() == [["fan", 2.5, 5.0], ["saw", -2.0, 1.0]]


def test_measured_front_ends_stand_beside_the_reported_ones():
    names = ["adasub", "refsub"]
    row = {"front_end": "adasub", "mean": 0.5, "std": 0.01, "fan_mean": 0.7, "fan_std": 0.02}
    measured = {"all machines": [{"mean": 0.6, "std": 0.03}, {"mean": np.nan, "std": np.nan}]}
    compared = pd.DataFrame({"system": [("adasub", "eq1")], "verdict": ["helps"]})
    shown = tables.front_ends(names, measured, compared, [row])
    assert shown.fillna("n/a").to_dict("list") == {
        "front-end": ["AdaSub", "RefSub"],
        "all machines": ["0.6000 ± 0.0300", "n/a"],
        "verdict": ["helps", ""],
        "reported, all": ["0.5000 ± 0.0100", "n/a"],
        "reported, fan": ["0.7000 ± 0.0200", "n/a"],
    }


def test_alarms_are_a_row_per_rule_and_domain():
    same = {"system": "S5", "rule": "held out", "clips": 10, "low": 0.0, "high": 0.5}
    rows = [
        {**same, "domain": domain, "label": label, "alarms": count, "share": count / 10}
        for domain, label, count in (
            ("source", "normal", 1),
            ("source", "anomaly", 9),
            ("target", "anomaly", 8),
        )
    ]
    shown = tables.alarms(pd.DataFrame(rows))
    assert shown.columns.tolist() == ["system", "rule", "domain", "false alarms", "hits"]
    assert shown["hits"].tolist() == ["9 of 10: 90% (0% to 50%)", "8 of 10: 80% (0% to 50%)"]
    assert shown["false alarms"][0] == "1 of 10: 10% (0% to 50%)"
    assert pd.isna(shown["false alarms"][1])


def test_gains_and_machines_have_readable_heads():
    table = pd.DataFrame({"scorer": ["pmsd"] * 2, "level_free": [False, True]})
    shown = tables.by_gain(table.assign(**{"-6": 1.0}).rename(columns={"-6": -6.0}), "adasub")
    assert shown.columns.tolist() == ["system", "-6 dB"]
    names = ["AdaSub statistics pmsd", "AdaSub statistics pmsd, level-free"]
    assert shown["system"].tolist() == names
    whole = pd.DataFrame({"p": [0.5, 0.6]}, index=["fan", "overall"])
    assert tables.by_machine(whole)["machine"].tolist() == ["fan", "all"]
