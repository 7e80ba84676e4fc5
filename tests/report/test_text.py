"""Sentences with values: what they say of gains, losses, nothing, one and none."""

import numpy as np
import pandas as pd
import pytest

from asdlib import guard
from asdlib.compare import findings
from asdlib.report import text


def row(verdict, mean=0.031, system=("adasub", "s1"), against=("adasub", "eq1")):
    numbers = {"mean": mean, "low": mean - 0.02, "high": mean + 0.02}
    return {"system": system, "against": against, **numbers, "verdict": verdict}


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("helps", "The paper's champion beats plain AdaSub."),
        ("harms", "The paper's champion loses to plain AdaSub."),
        ("no robust difference", "It is not shown that the paper's champion beats plain AdaSub."),
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
    rows = [row("helps", 0.13, s5), row("harms", -0.1, s5, ("adasub", "s1"))]
    (said,) = text.comparisons(pd.DataFrame(rows, index=["untrained", "untrained_champion"]))
    assert "S5 in place of AdaSub changes Ω by +0.130" in said
    assert "In place of the champion, S5 changes it by -0.100 (-0.120 to -0.080, *harms*)." in said


def test_the_submission_is_told_with_how_sure_it_is_and_what_beats_it():
    against = pd.DataFrame([row("no robust difference")], index=["S1"])
    said = text.submission(findings.Submission("S5", 1.0, against), {"S5": "out/submission"})
    assert said.startswith("**Submit S5.** It has the highest Ω of the systems here, 1.000; in ")
    assert "in place of S1 it changes Ω by +0.031 (+0.011 to +0.051, *no robust diff" in said
    said = text.submission(findings.Submission("S1", 0.7, against[:0]), {"S1": "out"})
    assert said.startswith("S1 is the only system that could be formed here; its Ω is 0.")
    nothing = findings.Submission("", np.nan, pd.DataFrame())
    assert "nothing here says which system is better" in text.submission(nothing, {})
    assert text.highest(None, "S5") == []
    assert text.highest({"system": ("S5", "fused"), "omega": 0.8}, "S5") == []


def counted(share, label="normal"):
    keys = {"system": "S5", "rule": "held out", "label": label}
    values = {"share": share, "low": share / 2, "high": share * 2}
    return pd.DataFrame([{**keys, "domain": domain, **values} for domain in ("source", "target")])


@pytest.mark.parametrize(("share", "head"), [(0.1, "The alarms mean"), (0.4, "Not every alarm")])
def test_alarms_that_promise_too_much_are_told(share, head):
    (said,) = text.alarms(pd.concat([counted(share), counted(1, "anomaly")]), 0.1)
    assert said.startswith(f"**{head}")
    assert f"S5 with held-out p values gives {share:.0%} in the source domain and" in said
    assert text.alarms(counted(0.1, "anomaly"), 0.1) == []


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
    run = [{"idea": f"idea {i}", "mean": 0.0, "verdict": v} for i, v in enumerate(verdicts)]
    champion = {"idea": "the champion", "mean": np.nan, "verdict": ""}
    lacking = {"idea": "not run", "mean": np.nan, "verdict": "needs an encoder"}
    assert text.ideas(pd.DataFrame([champion, *run, lacking])).startswith(said)


def test_costs_and_promises_agree_in_number():
    assert text.cost(1, 1).startswith("1 autoencoder was trained. S5 needs none of them. ")
    assert text.cost(6, 3).startswith("18 autoencoders were trained. ")
    one = {"domain": "all", "low": 0.01, "high": 0.3, "machine": "p_1", "clips": 1}
    rows = [one, one | {"domain": "source"}, one | {"machine": "fan"}, one | {"clips": 2}]
    alike, other = text.promise(pd.DataFrame(rows), 0.1)
    assert alike.startswith("**p\\_1, fan:** a threshold for 10% false alarms from 1 normal rec")
    assert other.startswith("**p\\_1:** a threshold for 10% false alarms from 2 normal recordings ")


def test_the_guard_refuses_every_attempt_that_needs_a_second_clip():
    lines = text.guarded(guard.PerClip([1.0, 2.0, 3.0]))
    assert len(lines) == 4
    assert all(": refused. *" in line for line in lines)
