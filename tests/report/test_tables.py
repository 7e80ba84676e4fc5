"""Tables: every number, sign and blank that is laid out for reading, and how it is shown."""

import numpy as np
import pandas as pd
import pytest

from asdlib.report import tables

FOUND = {"mean": 0.012345, "std": 0.005, "p_t": 0.0004, "low": 0.001, "high": 0.02, "met": True}
TABLE = pd.DataFrame([FOUND, dict.fromkeys(FOUND, np.nan)]).assign(
    front_end=["adasub", "S5"], system=[("adasub", "s1"), "S5"]
)


@pytest.mark.parametrize(
    ("head", "cells"),
    [
        ("low", [0.001, np.nan]),
        ("p (t)", ["<\N{NO-BREAK SPACE}0.001", np.nan]),
        ("p", ["<\N{NO-BREAK SPACE}0.001", ""]),
        ("mean ± std", ["0.012 ± 0.005", None]),
        ("difference", ["+0.012 ± 0.005", ""]),
        ("95 % interval", ["+0.001 to +0.020", ""]),
        ("difference (95 % interval)", ["+0.012 (+0.001 to +0.020)", ""]),
        ("front-end", ["AdaSub", "S5"]),
        ("system", ["AdaSub + DM + shrink + P95", "S5"]),
    ],
)
def test_a_column_is_shown_or_its_cells_are_made(head, cells):
    shown = tables.lay_out(TABLE, [head])
    pd.testing.assert_frame_equal(shown, pd.DataFrame({head: cells}))
    assert tables.lay_out(TABLE[:0], [head]).empty


def test_measured_front_ends_stand_beside_the_reported_ones():
    row = {"front_end": "adasub", "mean": 0.5, "std": 0.01, "fan_mean": 0.7, "fan_std": 0.02}
    measured = {"all machines": pd.DataFrame({"mean": [0.6, np.nan], "std": [0.03, np.nan]})}
    compared = pd.DataFrame({"system": [("adasub", "eq1")], "verdict": ["helps"]})
    shown = tables.front_ends(["adasub", "refsub"], measured, compared, [row])
    assert shown.fillna("n/a").to_numpy().tolist() == [
        ["AdaSub", "0.600 ± 0.030", "helps", "0.500 ± 0.010", "0.700 ± 0.020"],
        ["RefSub", "n/a", "", "n/a", "n/a"],
    ]


def test_alarms_are_a_row_per_rule_and_domain():
    same = {"system": "S5", "rule": "held out", "clips": 10, "low": 0.0, "high": 0.5}
    found = (("source", "normal", 1), ("source", "anomaly", 9), ("target", "anomaly", 8))
    rows = [
        {**same, "domain": domain, "label": label, "alarms": count, "share": count / 10}
        for domain, label, count in found
    ]
    shown = tables.alarms(pd.DataFrame(rows))
    assert shown.columns.tolist() == ["system", "rule", "domain", "false alarms", "hits"]
    assert shown["hits"].tolist() == ["9 of 10 (90 %, 0 % to 50 %)", "8 of 10 (80 %, 0 % to 50 %)"]
    assert shown["false alarms"][0] == "1 of 10 (10 %, 0 % to 50 %)"
    assert pd.isna(shown["false alarms"][1])


def test_the_first_pages_table_is_a_row_per_system_and_a_column_per_machine():
    values = {"title": ["without", "near/fine"], "by_labels": [False, True], "saw": [0.8, 0.71234]}
    later = {"overall": [0.8, 0.7], "mean": [np.nan, 0.1], "low": [np.nan, -0.1], "high": 0.3}
    pairs = {"usual": [(1, 8), np.nan], "unlabelled": [(2, 4), np.nan]}
    table = pd.DataFrame(values | later | pairs, index=["S5", "highest"])
    shown = tables.overview(table, "S5")
    assert shown.columns.tolist() == [
        *("system", "saw", "S5 minus it (95 %)", "false alarms: usual")
    ]
    assert shown.iloc[0].tolist() == ["S5: without", 0.8, "", "1 of 8 (12.5\N{NO-BREAK SPACE}%)"]
    second = ["Near fine statistics, by labels", 0.712, "+0.100 (-0.100 to +0.300)", ""]
    assert shown.iloc[1].tolist() == second
    both = tables.overview(table.assign(overall=np.nan).rename(columns={"saw": "fan"}), "")
    assert both.columns.tolist()[-1] == "alarms among unlabelled clips"
    assert tables.overview(table[:0], "").empty


def test_gains_have_readable_heads():
    table = pd.DataFrame({"scorer": ["pmsd"] * 2, "level_free": [False, True], -6.0: 1.0})
    shown = tables.by_gain(table, "adasub")
    assert shown.columns.tolist() == ["system", "-6 dB"]
    assert shown["system"][1] == "AdaSub statistics pmsd, level-free"


def test_a_share_in_a_cell_stays_whole():
    assert tables.escape("9.4\N{NO-BREAK SPACE}%\u200b") == "9.4\N{NO-BREAK SPACE}%\\\\x200b"


def test_a_table_is_numbered_in_the_report_and_names_in_it_are_never_markup(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(tables, "display", lambda bundle, raw: shown.append(bundle))
    evil = "<script>alert(1)</script> | `$x$` {numref}`a`"
    table = pd.DataFrame({"machine": [evil], "score": [0.123456], "clips": [3], "p": [np.nan]})
    tables.show_table(table, "tab-x", "What it is.", folder=tmp_path)
    text, html = shown[0]["text/markdown"], shown[0]["text/html"]
    assert text.startswith("~~~{table} What it is.\n:name: tab-x\n")
    assert " | 0.123 | 3 | n/a |\n~~~" in text
    assert text.endswith("{download}`CSV </figures/tab-x.csv>`")
    assert "\\<script\\>alert(1)\\</script\\> \\| \\`\\$x\\$\\` \\{numref\\}\\`a\\`" in text
    assert "<td>0.123</td>" in html
    assert "<script>" not in html
    assert pd.read_csv(tmp_path / "tab-x.csv")["score"][0] == 0.123456


@pytest.mark.parametrize(("rows", "shown"), [(12, 12), (13, 10)])
def test_rows_beyond_ten_are_folded_and_none_is_lost(tmp_path, monkeypatch, rows, shown):
    told = []
    monkeypatch.setattr(tables, "display", lambda data, raw: told.append(data["text/markdown"]))
    table = pd.DataFrame({"value": range(rows)})
    tables.show_table(table, "tab-x", "What it is.", folder=tmp_path)
    first, _, folded = told[0].partition("<details>")
    assert first.count("\n| ") == shown + 2
    assert (f"Show {rows - shown} more" in folded) == (rows > shown)
    assert all(f"| {value} |" in told[0] for value in range(rows))
    assert len(pd.read_csv(tmp_path / "tab-x.csv")) == rows
