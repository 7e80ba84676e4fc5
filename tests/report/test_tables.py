"""How comparisons are laid out for reading: every number, sign and blank."""

import numpy as np
import pandas as pd

from asdlib.report import tables

GAIN = {"mean": 0.012345, "std": 0.005, "p_t": 0.01, "p_holm": 0.03, "low": 0.001, "high": 0.02}
UNKNOWN = dict.fromkeys(GAIN, np.nan)


def test_paired_differences():
    table = pd.DataFrame(
        [
            {"system": ("a", "eq1"), "against": ("b", "s1"), **GAIN, "p_wilcoxon": 0.125},
            {"system": ("c", "eq1"), "against": ("b", "s1"), **UNKNOWN, "p_wilcoxon": np.nan},
            {
                "system": ("d", "dm"),
                "against": ("b", "s1"),
                **GAIN,
                "std": np.nan,
                "p_wilcoxon": 1.0,
            },
        ]
    )
    table["verdict"] = ["helps", "Ω cannot be computed from these labels", "helps"]
    shown = tables.paired(table, "{} by {}".format)
    assert shown.columns.tolist() == [
        "system",
        "against",
        "difference",
        "p (t)",
        "p (Holm)",
        "p (Wilcoxon)",
        "95 % interval",
        "verdict",
    ]
    assert shown["system"].tolist() == ["a by eq1", "c by eq1", "d by dm"]
    assert shown["against"].tolist() == ["b by s1"] * 3
    assert shown["difference"].tolist() == ["+0.0123 ± 0.0050", "", "+0.0123"]
    assert shown["p (t)"].tolist()[::2] == [0.01, 0.01]
    assert shown["p (Holm)"].tolist()[::2] == [0.03, 0.03]
    assert shown["p (Wilcoxon)"].tolist()[::2] == [0.125, 1.0]
    assert shown["95 % interval"].tolist() == ["+0.0010 to +0.0200", "", "+0.0010 to +0.0200"]
    assert tables.paired(table.head(0), str).empty


def test_ideas_against_the_champion():
    left_out = {"omega": np.nan, "omega_std": np.nan, **UNKNOWN, "eq1": np.nan, "eq1_std": np.nan}
    run = {"omega": 0.6, "omega_std": 0.01, **GAIN, "eq1": -0.002, "eq1_std": 0.003}
    table = pd.DataFrame(
        [
            {"idea": "the champion", **left_out, "omega": 0.59, "omega_std": 0.02, "verdict": ""},
            {"idea": "flow", **run, "verdict": "helps"},
            {"idea": "gate", **left_out, "verdict": "needs cohgate"},
        ]
    )
    shown = tables.against_champion(table)
    assert shown["idea"].tolist() == ["the champion", "flow", "gate"]
    assert shown["Ω"].tolist() == ["0.5900 ± 0.0200", "0.6000 ± 0.0100", ""]
    assert shown["difference"].tolist() == ["", "+0.0123 ± 0.0050", ""]
    assert shown["p"].tolist() == ["", "0.0100", ""]
    assert shown["95 % interval"].tolist() == ["", "+0.0010 to +0.0200", ""]
    assert shown["difference, eq. 1"].tolist() == ["", "-0.0020 ± 0.0030", ""]
    assert shown["verdict"].tolist() == ["", "helps", "needs cohgate"]


def test_front_ends_against_adasub():
    parts = {"auc_source": 0.9, "auc_target": 0.6, "pauc": 0.55}
    table = pd.DataFrame(
        [
            {"scorer": "eq1", "front_end": "adasub", "omega": 0.6, **UNKNOWN, "std": 0.01},
            {"scorer": "s1", "front_end": "adals", "omega": 0.65, **GAIN, "std": 0.02},
        ]
    ).assign(ensemble=[0.61, 0.66], verdict=[np.nan, "helps"], **parts)
    names, scorers = {"adasub": "AdaSub", "adals": "AdaLS"}, {"eq1": "eq. 1", "s1": "all"}
    shown = tables.against_adasub(table, names, scorers)
    assert shown["score"].tolist() == ["eq. 1", "all"]
    assert shown["front-end"].tolist() == ["AdaSub", "AdaLS"]
    assert shown["Ω"].tolist() == ["0.6000 ± 0.0100", "0.6500 ± 0.0200"]
    assert shown["ensemble"].tolist() == [0.61, 0.66]
    values = shown[["source AUC", "target AUC", "pAUC"]].to_numpy().tolist()
    assert values == [[0.9, 0.6, 0.55]] * 2
    assert shown["against AdaSub"].tolist() == ["", "+0.0123 (+0.001 to +0.020)"]
    assert shown["p"].tolist() == ["", "0.0100"]
    assert shown["verdict"].tolist() == ["", "helps"]
    assert tables.against_adasub(table.head(0), names, scorers).empty


def test_steps_of_the_build_up():
    first = {"omega": 0.5, "omega_std": 0.01, **UNKNOWN, "most": np.nan, "outside": 0}
    second = {"omega": 0.51, "omega_std": np.nan, **GAIN, "most": -0.03, "outside": 2}
    table = pd.DataFrame([{"step": "official", **first}, {"step": "GELU", **second}])
    shown = tables.build_up(table)
    assert shown["step"].tolist() == ["official", "GELU"]
    assert shown["Ω"].tolist() == ["0.5000 ± 0.0100", "0.5100"]
    assert shown["change"].tolist() == ["", "+0.0123 ± 0.0050"]
    assert shown["p"].tolist() == ["", "0.0100"]
    assert shown["largest at one seed"].tolist() == ["", "-0.0300"]
    assert shown["seeds outside the band"].tolist() == [0, 2]
    assert tables.build_up(table.head(0)).empty
