"""Sentences with values: what they say of gains, losses, nothing, one and none."""

import numpy as np
import pandas as pd
import pytest

from asdlib import guard
from asdlib.compare import findings
from asdlib.report import charts_scores, text


def row(verdict, mean=0.031, system=("adasub", "s1"), against=("adasub", "eq1")):
    numbers = {"mean": mean, "low": mean - 0.02, "high": mean + 0.02}
    return {"system": system, "against": against, **numbers, "verdict": verdict}


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("helps", "The paper's champion beats plain AdaSub."),
        ("harms", "The paper's champion loses to plain AdaSub."),
        (
            "no robust difference",
            "It is not shown that the paper's champion beats plain AdaSub.",
        ),
    ],
)
def test_a_finding_begins_with_who_wins(verdict, said):
    compared = pd.DataFrame([row(verdict)], index=["champion"])
    assert text.comparisons(compared) == [
        f"**{said}** AdaSub + DM + shrink + P95 in place of AdaSub changes Ω by +0.031 "
        f"(+0.011 to +0.051, *{verdict}*). {{doc}}`→ </notebooks/06_rescoring>`"
    ]


def test_s5_is_held_against_the_champion_too():
    s5 = ("S5", "fused")
    compared = pd.DataFrame(
        [row("helps", 0.13, s5), row("harms", -0.1, s5, ("adasub", "s1"))],
        index=["untrained", "untrained_champion"],
    )
    (said,) = text.comparisons(compared)
    assert "S5 in place of AdaSub changes Ω by +0.130" in said
    assert "In place of the champion, S5 changes it by -0.100 (-0.120 to -0.080, *harms*)." in said


def test_the_submission_is_told_with_how_sure_it_is():
    against = pd.DataFrame([row("no robust difference")], index=["S1"])
    chosen = findings.Submission("S5", 1.0, against)
    said = text.submission(chosen, {"S5": "out/submission"})
    assert said.startswith("**Submit S5.** It has the highest Ω of the systems here, 1.000; in ")
    assert "Against S1 the difference is not robust." in said
    alone = findings.Submission("S1", 0.7, against[:0])
    said = text.submission(alone, {"S1": "out"})
    assert said.startswith("S1 is the only system that could be formed here; its Ω is 0.")


def test_without_labels_no_system_is_recommended():
    nothing = findings.Submission("", np.nan, pd.DataFrame())
    assert "nothing here says which system is better" in text.submission(nothing, {})


def test_what_beats_the_submission_is_named_first():
    assert text.highest(None, "S5") == []
    assert text.highest({"system": ("S5", "fused"), "omega": 0.8}, "S5") == []
    pair = {"mean": 0.02, "low": 0.01, "high": 0.03, "verdict": "helps"}
    (said,) = text.highest({"system": ("adasub", "mse"), "omega": 0.81, **pair}, "S5")
    assert said == (
        "**AdaSub MSE has the highest Ω here, 0.810,** chosen by test labels. In place of S5 it "
        "changes Ω by +0.020 (+0.010 to +0.030, *helps*)."
    )


def counted(share):
    keys = {"system": "S5", "rule": "held out", "label": "normal"}
    values = {"share": share, "low": share / 2, "high": share * 2}
    return pd.DataFrame([{**keys, "domain": domain, **values} for domain in ("source", "target")])


def test_alarms_that_promise_too_much_are_told():
    (said,) = text.alarms(counted(0.1), 0.1)
    told = (
        "**The alarms mean what they say.** The limits are set for 10% false alarms. S5 with "
        "held-out p values gives 10% in the source domain (5% to 20%) and 10% in the target domain "
        "(5% to 20%)"
    )
    assert said == f"{told}."
    (said,) = text.alarms(pd.concat([counted(0.1), counted(0.8).assign(label="anomaly")]), 0.1)
    assert said.startswith(f"{told}, and finds 80% and 80% of the anomalies.")
    (said,) = text.alarms(counted(0.4), 0.1, chapter="08_submission")
    assert said.startswith("**Not every alarm means what it says.**")
    assert said.endswith(". {doc}`→ </notebooks/08_submission>`")
    assert text.alarms(counted(0.1).assign(label="anomaly"), 0.1) == []


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([], "No other idea that the paper tried was run here "),
        (
            ["harms", "no robust difference", "harms"],
            "Of 4 other ideas that the paper tried, 3 ran here. None helps in place of the "
            "champion. 2 harm in place of the champion: “idea 0”; “idea 2”. ",
        ),
    ],
)
def test_ideas_that_did_not_help_are_named(verdicts, said):
    table = pd.DataFrame(
        [
            {"idea": "the champion", "mean": np.nan, "verdict": ""},
            *({"idea": f"idea {i}", "mean": 0.0, "verdict": v} for i, v in enumerate(verdicts)),
            {"idea": "not run", "mean": np.nan, "verdict": "needs an encoder"},
        ]
    )
    assert text.ideas(table).startswith(said)


def test_costs_and_promises_agree_in_number():
    assert text.cost(1, 1).startswith("1 autoencoder was trained. S5 needs none of them. ")
    assert text.cost(6, 3).startswith("18 autoencoders were trained. ")
    whole = {"domain": "all", "low": 0.01, "high": 0.3}
    promised = pd.DataFrame(
        [
            {"machine": "p_1", "clips": 1, **whole},
            {"machine": "p_1", "clips": 1, **whole, "domain": "source"},
        ]
    )
    (said,) = text.promise(promised, 0.1)
    assert said.startswith("**p\\_1:** a threshold for 10% false alarms from 1 normal recording ")
    alike = pd.concat([promised, promised.assign(machine="fan"), promised.assign(clips=2)])
    machines = [line.partition(":**")[0] for line in text.promise(alike, 0.1)]
    assert machines == ["**p\\_1, fan", "**p\\_1"]


def test_the_figure_shows_what_was_run_and_what_was_not():
    names = ["near", "adasub", "S5"]
    measured = {"mean": [0.6, np.nan, 0.8], "low": [0.5, np.nan, 0.7], "high": [0.7, np.nan, 0.9]}
    reported = {"reported mean": [0.6, 0.64, np.nan], "reported std": [0.01, np.nan, np.nan]}
    table = pd.DataFrame({"system": names, "front_end": names, **measured, **reported})
    table = table.assign(ensemble=np.nan, **{"reported ensemble": [0.6, 0.65, np.nan]})
    here, paper = charts_scores.ladder(table).axes
    assert [text.get_text() for text in here.texts] == ["not run"]
    shown = here.collections[1].get_offsets()
    assert shown[[0, 2], 0].tolist() == [0.6, 0.8]
    assert [label.get_text() for label in here.get_yticklabels()] == names
    assert paper.get_title() == "reported on DCASE data"


def test_the_guard_refuses_every_attempt_that_needs_a_second_clip():
    lines = text.guarded(guard.PerClip([1.0, 2.0, 3.0]))
    assert len(lines) == 4
    assert all(": refused. *" in line for line in lines)
    assert lines[1].startswith("- a rank: ")
