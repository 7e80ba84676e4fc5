"""A chapter's setup, its figures and tables, and the sentences with measured values."""

import numpy as np
import pandas as pd
import pytest
from conftest import machine_folder
from matplotlib import pyplot as plt

from asdlib import guard
from asdlib.params import AsdError
from asdlib.report import panels, reported, sentences, style, tables
from asdlib.report.chapter import Chapter

NAMES = {"adasub": "AdaSub", "refsub": "RefSub"}


@pytest.fixture
def shown(monkeypatch):
    """What has been displayed, newest last."""
    bundles = []
    for module in (style, tables, panels):
        monkeypatch.setattr(module, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


@pytest.fixture
def chapter(tmp_path, rng, shown):
    data = machine_folder(tmp_path / "data", rng)
    own = {"name": "mine", "data": str(data), "figures": str(tmp_path / "figures")}
    return Chapter.open(own)


def drawn(table, height=1.0):
    """A figure whose height tells that it was drawn."""
    assert len(table)
    return plt.figure(figsize=(2, height))


def test_a_chapter_opens_with_where_its_numbers_come_from(chapter, shown, tmp_path):
    assert chapter.params.name == "mine"
    assert list(chapter.recordings.machines) == ["fan"]
    assert chapter.folder == tmp_path / "figures"
    source = tables.escape(chapter.recordings.describe())
    first = f"*The numbers on this page come from {source}.*"
    assert [bundle["text/markdown"] for bundle in shown] == [first]
    values = {"name": "mine", "data": chapter.params.data}
    Chapter.open(values, numbers_from="noise, not from {}", players=True)
    assert "<script>" in shown[1]["text/html"]
    assert (
        shown[2]["text/markdown"]
        == f"*The numbers on this page come from noise, not from {source}.*"
    )
    with pytest.raises(AsdError, match="unknown key 'epoch'"):
        Chapter.open(values | {"epoch": 3})


@pytest.mark.parametrize(
    ("data", "needs", "there"),
    [
        ([1], None, True),
        ([], None, False),
        ({}, None, False),
        (pd.DataFrame({"a": [1.0]}), None, True),
        (pd.DataFrame(), "a", False),
        (pd.DataFrame({"a": [np.nan]}), None, False),
        (pd.DataFrame({"a": [np.nan, 1.0], "b": [np.nan] * 2}), "a", True),
        (pd.DataFrame({"a": [np.nan, 1.0], "b": [np.nan] * 2}), "b", False),
    ],
)
def test_a_figure_without_data_is_one_sentence(chapter, shown, data, needs, there):
    file = style.save_figure(drawn([1]), "fig-x", chapter.folder)  # of the last run
    chapter.figure(
        drawn, data, height=3.0, label="fig-x", caption="Look.", needs=needs, missing="No fan."
    )
    text = shown[-1]["text/markdown"]
    assert file.exists() == there
    assert (":name: fig-x" in text) == ("Look." in text) == there
    assert (text == "No fan.\n\n<!-- left out: fig-x -->") == (not there)


def test_a_chapters_figures_and_tables_are_files_in_its_folder(chapter, shown):
    chapter.figure(drawn, [1], label="fig-x", caption="Look.")
    chapter.table(pd.DataFrame({"a": [1]}), label="tab-x", caption="Rows.", empty="No clip.")
    chapter.say("Text.")
    held = {path.name for path in chapter.folder.iterdir() if path.is_file()}
    assert held == {"fig-x.svg", "tab-x.csv"}
    assert "| 1 |" in shown[-2]["text/markdown"]
    assert shown[-1]["text/markdown"] == "Text."


def test_a_table_without_rows_is_one_sentence(chapter, shown):
    chapter.table(pd.DataFrame({"a": [1]}), label="tab-x", caption="Rows.")
    chapter.table(pd.DataFrame(), label="tab-x", caption="Rows.", empty="No clip.")
    assert shown[-1]["text/markdown"] == "No clip.\n\n<!-- left out: tab-x -->"
    chapter.table(pd.DataFrame(), label="tab-y", caption="Rows.", empty="")  # said already
    assert shown[-1]["text/markdown"] == "<!-- left out: tab-y -->"
    assert not [path for path in chapter.folder.iterdir() if path.is_file()]


def test_the_best_and_the_worst_transfer_are_named():
    table = pd.DataFrame({"machine": ["a", "b_", "c"], "median error (dB)": [2.0, 0.5, np.nan]})
    assert sentences.transfer_error(table) == (
        "The estimate comes closest to the truth for b\\_ (0.5 dB) and differs most for a (2.0 dB)."
    )


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
    gain = tables.snr_gain(removed, {"refsub": "RefSub", "adasub": "AdaSub", "lsa": "LSA"})
    assert gain.columns.tolist() == ["machine", "RefSub", "AdaSub"]
    assert gain.to_numpy().tolist() == [["fan", 2.5, 5.0], ["saw", -2.0, 1.0]]
    assert sentences.snr_gain(gain) == (
        "AdaSub has the highest gain on average (+3.0 dB). With the best front-end of each "
        "machine, the gain is highest for fan (+5.0 dB) and lowest for saw (+1.0 dB)."
    )


def test_what_is_retained_is_told_by_front_end_and_band():
    whole = pd.DataFrame(
        [
            ("fan", "adasub", 5.0, 3.0, 2.0),
            ("fan", "refsub", 2.0, 3.0, -1.0),
            ("saw", "adasub", 1.0, 2.0, -1.0),
        ],
        columns=["machine", "front_end", "noise", "anomaly", "difference"],
    )
    assert sentences.retained(whole, NAMES) == (
        "Relative to the noise, and on average over machines, the anomaly is preserved best after "
        "AdaSub (+0.5 dB) and worst after RefSub (-1.0 dB). In 2 of 3 pairs of machine and "
        "front-end, more anomaly than noise is removed."
    )
    assert tables.retention(whole, NAMES).iloc[0].tolist() == ["fan", "AdaSub", 5.0, 3.0, 2.0]
    assert tables.retention(whole, NAMES).columns[-1] == "difference (dB)"
    row = pd.Series(
        {
            "band": "1.0–2.0",
            "machine": "fan",
            "front_end": "refsub",
            "share": 0.256,
            "anomaly": 4.04,
            "noise": 1.0,
        }
    )
    assert sentences.retained_band("Worst kept", row, NAMES) == (
        "Worst kept relative to the noise, of the bands that hold the anomaly: 1.0–2.0 kHz of fan "
        "after RefSub. This band holds 26 % of the anomaly; 4.0 dB of the anomaly and 1.0 dB of "
        "the noise are removed."
    )


def test_the_ladder_shows_both_sides_and_its_change():
    ladder = pd.DataFrame(
        {
            "system": ["AE ch1", "AdaSub"],
            "front_end": ["near", "adasub"],
            "scorer": ["eq1", "s1"],
            "low": [np.nan, 0.61],
            "high": [np.nan, 0.68],
            "verdict": ["harms", ""],
            "mean": [0.6, 0.65],
            "std": [0.01, np.nan],
            "ensemble": [0.61, np.nan],
            "reported mean": [0.5, 0.6],
            "reported std": [np.nan, 0.02],
            "reported ensemble": [0.51, 0.62],
        }
    )
    laid = tables.ladder(ladder)
    assert laid["mean ± std"].tolist() == ["0.6000 ± 0.0100", "0.6500"]
    assert laid["reported mean ± std"].tolist() == ["0.5000", "0.6000 ± 0.0200"]
    assert laid["95 % interval"].tolist() == ["", "0.610 to 0.680"]
    assert laid["in place of the champion"].tolist() == ["harms", ""]
    assert sentences.ladder_change(ladder) == (
        "From AE ch1 to the champion the seed mean changes by +0.0500 here; the paper has +0.1000."
    )
    ladder.loc[1, "mean"] = np.nan
    assert tables.ladder(ladder)["mean ± std"][1] == "n/a"
    assert "cannot be computed" in sentences.ladder_change(ladder)


def test_measured_front_ends_stand_beside_the_reported_ones():
    entries = [
        {"front_end": "adasub", "mean": 0.5, "std": 0.01, "fan_mean": 0.7, "fan_std": 0.02},
        {"front_end": "refsub", **dict.fromkeys(("mean", "std", "fan_mean", "fan_std"), np.nan)},
    ]
    measured = {"all machines": [{"mean": 0.6, "std": 0.03}, {"mean": np.nan, "std": np.nan}]}
    compared = pd.DataFrame({"system": [("adasub", "eq1")], "verdict": ["helps"]})
    assert tables.front_ends(entries, measured, NAMES, compared).to_dict("list") == {
        "front-end": ["AdaSub", "RefSub"],
        "all machines": ["0.6000 ± 0.0300", "n/a"],
        "verdict": ["helps", ""],
        "reported, all": ["0.5000 ± 0.0100", "n/a"],
        "reported, fan": ["0.7000 ± 0.0200", "n/a"],
    }


def test_the_change_by_all_rescorings_is_measured_and_reported():
    steps = pd.DataFrame(
        {
            "scorer": ["eq1", "s1"],
            "omega": [0.6, 0.62],
            "difference": [0.0, 0.015],
            "difference_std": [0.0, 0.004],
        }
    )
    assert sentences.stack_change(steps, [0.5, 0.55]) == (
        "Here all re-scorings together change the ensemble's $\\Omega$ by +0.0200 and the seed "
        "mean by 0.0150 ± 0.0040; the paper has +0.0500 for the ensemble."
    )
    for lacking in (steps[:1], steps.assign(omega=[0.6, np.nan]), pd.DataFrame()):
        assert "cannot be computed" in sentences.stack_change(lacking, [0.5, 0.55])


def test_ideas_are_counted_by_their_verdicts():
    judged = pd.DataFrame({"verdict": ["helps", "no robust difference", "harms", "harms"]})
    assert sentences.ideas(judged) == (
        "Of 4 ideas that were run, in place of the champion 1 helps and 2 harm."
    )
    assert sentences.ideas(judged[1:2]) == (
        "Of 1 idea that was run, in place of the champion none helps and none harms."
    )
    assert sentences.ideas(judged[:0]) == "No idea was run here."


def test_front_ends_with_the_phase_are_told_with_their_verdicts():
    nothing = {"mean": np.nan, "verdict": np.nan}
    compared = pd.DataFrame(
        [
            {"scorer": "pmsd", "front_end": "adasub", **nothing},
            {"scorer": "pmsd", "front_end": "near", "mean": -0.1, "verdict": "harms"},
            {
                "scorer": "pmsd",
                "front_end": "adals",
                "mean": 0.0012,
                "verdict": "no robust difference",
            },
            {"scorer": "eq1", "front_end": "lsada", "mean": -0.2, "verdict": "harms"},
        ]
    )
    assert sentences.phase(compared, ("adals", "lsada"), "{}/{}".format) == (
        "In place of AdaSub under the same score: adals/pmsd +0.001, no robust difference; "
        "lsada/eq1 -0.200, harms."
    )
    assert "cannot be said" in sentences.phase(compared[:2], ("adals",), str)


def test_the_guard_refuses_every_attempt_that_needs_a_second_clip():
    lines = sentences.guarded(guard.PerClip([1.0, 2.0, 3.0]))
    assert len(lines) == 4
    assert all(": refused. *" in line for line in lines)
    assert lines[1].startswith("- a rank: ")


def test_a_transfer_without_truth_is_only_estimated():
    table = pd.DataFrame({"machine": ["fan"], "median G": [2.0], "median true G": [1.5]})
    snr = pd.DataFrame({"machine": ["fan"], "SNR near (dB)": [3.0]})
    assert tables.transfers(table, snr).columns.tolist() == [*table.columns, "SNR near (dB)"]
    assert tables.transfers(table, snr[:0]).columns.tolist() == ["machine", "median G"]


def test_the_reported_decomposition_has_two_rows_and_readable_heads():
    table = reported.decomposition(reported.load())
    assert table.columns.tolist()[-4:] == ["source AUC", "target AUC", "pAUC", "ensemble Ω"]
    assert "scorer" not in table
    assert len(table) == 2
