"""The result that a chapter or a figure opens with."""

import numpy as np
import pandas as pd
import pytest

from asdlib import guard
from asdlib.report import answers


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("helps", "The paper's re-scoring helps: "),
        ("harms", "The paper's re-scoring harms: "),
        ("no robust difference", "It is not shown that the paper's re-scoring helps: "),
    ],
)
def test_a_claim_begins_with_who_wins(verdict, said):
    row = {"system": ("adasub", "s1"), "against": ("adasub", "eq1"), "verdict": verdict}
    values = {
        "mean": 0.031,
        "low": 0.011,
        "high": 0.051,
        "omega": 0.631,
        "seedless": False,
        "omega_against": 0.6,
    }
    assert answers.claim(pd.DataFrame([row | values], index=["champion"]), "champion") == (
        f"{said}from AdaSub to AdaSub + DM + shrink + P95, Ω goes from 0.600 to 0.631 (mean over "
        "seeds; difference +0.031, 95 % interval +0.011 to +0.051)."
    )
    assert answers.claim(pd.DataFrame(), "champion").endswith(" do not answer the question.")


def counted(share, label="normal"):
    keys = {"system": "S5", "rule": "held out", "label": label}
    values = {"share": share, "low": share / 2, "high": share * 2}
    return pd.DataFrame([{**keys, "domain": domain, **values} for domain in ("source", "target")])


@pytest.mark.parametrize(
    ("share", "head"), [(0.1, "No rule is shown to break"), (0.4, "No rule keeps")]
)
def test_alarms_that_promise_too_much_are_told(share, head):
    said = answers.alarms(pd.concat([counted(share), counted(1, "anomaly")]), 0.1)
    assert said.startswith(f"{head} the promised 10 % of false alarms (S5 with held-out p values ")
    assert f"has {share:.0%}".replace("%", " % in the source domain and ") in said
    assert answers.alarms(counted(0.1, "anomaly"), 0.1).startswith("No false alarm can be counted")


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([], "No idea of the paper was run here "),
        (
            ["harms", "no robust difference", "harms"],
            "3 of 4 ideas of the paper were run: none helps, 2 harms (idea 0; idea 2); for the ",
        ),
    ],
)
def test_ideas_that_did_not_help_are_named(verdicts, said):
    run = [{"idea": f"idea {i}", "mean": 0.0, "verdict": v} for i, v in enumerate(verdicts)]
    champion = {"idea": "the champion", "mean": np.nan, "verdict": ""}
    lacking = {"idea": "not run", "mean": np.nan, "verdict": "needs an encoder"}
    assert answers.ideas(pd.DataFrame([champion, *run, lacking])).startswith(said)


def test_the_guard_refuses_every_attempt_that_needs_a_second_clip():
    lines = answers.guarded(guard.PerClip([1.0, 2.0, 3.0]))
    assert len(lines) == 4
    assert all(": refused. *" in line for line in lines)


REMOVED = pd.DataFrame(
    [("fan", "adasub", 6.04, 1.0), ("a*b", "adasub", 4.0, 2.5), ("fan", "near", 0, 0)],
    columns=["machine", "front_end", "noise", "machine_sound"],
)


def test_what_is_removed_lies_between_two_machines():
    said = answers.removed(REMOVED, "adasub")
    sound = "1.0 to 2.5 dB of the machine's sound"
    assert said == f"AdaSub removes 4.0 to 6.0 dB of the noise and {sound}."
    assert answers.removed(REMOVED, "lsa") == ""


def test_the_extremes_are_told_with_their_places():
    gains = pd.Series({"fan": 2.5, "pump": np.nan, "a*b": -1.0, "saw": 0.0})
    said = answers.extremes("The gain", gains, "{:+.1f} dB".format)
    assert said == "The gain goes from -1.0 dB (a\\*b) to +2.5 dB (fan)."
    assert answers.extremes("The gain", gains[:2]) == "The gain is 2.50 (fan)."
    assert answers.extremes("The gain", gains[1:2]) == ""


def test_the_worst_place_is_where_most_machine_sound_is_lost():
    swept = REMOVED.assign(metres=[4.0, 0.3, 1.0])
    said = answers.worst(swept, "metres", "At {:g} m")
    assert said == "At 0.3 m: 2.5 dB of a\\*b are lost, and 4.0 dB of the noise."
    assert answers.worst(swept[:0], "metres", "At {:g} m") == ""


def test_the_monitor_is_judged_where_there_are_labels():
    counts = {"label": ["anomaly", "normal", "normal"], "alarms": [3, 1, 9], "clips": [4, 8, 9]}
    counts |= {"domain": ["all", "all", "source"]}
    said = answers.monitored(pd.DataFrame(counts), "pump", 0.1)
    assert said == (
        "The monitor of pump finds 3 of 4 (75 %) anomalies and raises an alarm for 1 of 8 (12.5 %) "
        "normal clips; 10 % were wanted."
    )
    assert "no labelled test clip" in answers.monitored(pd.DataFrame(), "pump", 0.1)


def test_machines_without_a_noise_reference_are_told():
    table = pd.DataFrame({"machine": ["fan", "saw"], "follows": [0.4, 0.95]})
    assert answers.checked(table.assign(reference=[True, False])) == (
        "From clip to clip, the near level follows the far one by 0.40 to 0.95 dB per dB. S5 does "
        "without the far microphone for saw."
    )
    assert answers.checked(table.assign(reference=True)).endswith("for every machine.")
    assert answers.checked(table[:0]) == ""
