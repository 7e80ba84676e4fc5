"""Sentences with values: what they say of gains, losses, nothing, one and none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asdlib import guard
from asdlib.params import Autoencoder, Params
from asdlib.report import text
from asdlib.study.recordings import Recordings


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
    values = {"mean": 0.031, "low": 0.011, "high": 0.051, "omega": 0.631, "omega_against": 0.6}
    assert text.claim(pd.DataFrame([row | values], index=["champion"]), "champion") == (
        f"{said}from AdaSub to AdaSub + DM + shrink + P95, Ω goes from 0.600 to 0.631 (mean over "
        "seeds; difference +0.031, 95 % interval +0.011 to +0.051)."
    )
    assert text.claim(pd.DataFrame(), "champion") == ""


def overview(low=0.1, **changed):
    """S5 with an Omega of .8, and S1 with .6."""
    values = {"title": ["without", "autoencoder"], "by_labels": False, "saw": [0.8, 0.6]}
    values |= {"overall": [0.8, 0.6], "mean": [np.nan, 0.2], "low": [np.nan, low], "high": 0.3}
    alarms = {"usual": [(1, 20), (9, 20)], "found": [(3, 4), (4, 4)]}
    return pd.DataFrame(values | alarms | changed, index=["S5", "S1"])


def test_the_verdict_has_the_winner_the_next_one_the_difference_and_the_caveat():
    difference = "difference +0.200, 95 % interval +0.100 to +0.300"
    assert text.verdict(overview(), "Few clips.") == (
        f"**S5 finds the most anomalies: S5 has Ω 0.800, the next one, S1, has Ω 0.600 "
        f"({difference}). Few clips.**"
    )
    said = text.verdict(overview(low=-0.1), "Few clips.")
    assert said.startswith("**No system is shown to be the best: S5 has Ω 0.800, S1 has Ω 0.600 (")
    said = text.verdict(overview(by_labels=[False, True]), "Few clips.")
    assert said == "**S5 has Ω 0.800; no other system was run. Few clips.**"
    unknown = text.verdict(overview(saw=np.nan, overall=np.nan), "Few clips.")
    assert unknown == f"**Nothing here says which system is better. Few clips.** {text.NO_LABELS}"


def test_where_the_best_system_fails_is_told():
    assert text.failures(overview(), 0.1) == [
        "S5 has its lowest Ω, 0.800, on saw. No other system is better on any machine.",
        "In usual conditions, 1 of 20 (5 %) normal clips are false alarms where 10 % are wanted: "
        "in agreement with that.",
        "It finds 3 of 4 (75 %) anomalies at these limits, and misses the others.",
    ]
    worse = overview(saw=[0.5, 0.7], usual=[(9, 20), (0, 20)])
    first, second, _ = text.failures(worse, 0.1)
    assert first == "On saw, S1 is better: Ω 0.700 against 0.500."
    assert second.endswith("more than chance explains.")
    by_labels = overview(overall=[0.8, 0.9], by_labels=[False, True])
    assert text.failures(by_labels, 0.1)[-1] == "S1, by labels has a higher Ω over all, 0.900."
    assert text.failures(overview(overall=np.nan), 0.1) == []


@pytest.mark.parametrize(("last", "falls"), [(0.5, True), (0.999, False)])
def test_the_caveat_counts_machines_and_clips_and_looks_at_the_loss(last, falls):
    rows = [("saw", "test", "source", label, f"{label}.wav") for label in ("normal", "anomaly")]
    clips = pd.DataFrame(rows, columns=["machine", "split", "domain", "label", "name"])
    recordings = Recordings(Path("data"), clips, "", embedded=True)
    losses = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, last]})
    small = Params(autoencoder=Autoencoder(width=64))
    said = text.caveat(small, recordings, overview(), losses)
    assert said.startswith("This is simulated sound, no result of the challenge: 1 machine with ")
    assert "2 labelled test clips count. The autoencoders have width 64 and 100 epochs" in said
    assert said.endswith(", the paper's 512 and 100" + "; their loss still falls" * falls + ".")
    assert "autoencoders" not in text.caveat(small, recordings, overview(), losses[:0])


def counted(share, label="normal"):
    keys = {"system": "S5", "rule": "held out", "label": label}
    values = {"share": share, "low": share / 2, "high": share * 2}
    return pd.DataFrame([{**keys, "domain": domain, **values} for domain in ("source", "target")])


@pytest.mark.parametrize(("share", "head"), [(0.1, "Every rule keeps"), (0.4, "No rule keeps")])
def test_alarms_that_promise_too_much_are_told(share, head):
    said = text.alarms(pd.concat([counted(share), counted(1, "anomaly")]), 0.1)
    assert said.startswith(f"{head} the promised 10 % of false alarms: S5 with held-out p values ")
    assert f"has {share:.0%}".replace("%", " % in the source domain and ") in said
    assert text.alarms(counted(0.1, "anomaly"), 0.1).startswith("No false alarm can be counted")


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
    assert text.ideas(pd.DataFrame([champion, *run, lacking])).startswith(said)


def test_the_guard_refuses_every_attempt_that_needs_a_second_clip():
    lines = text.guarded(guard.PerClip([1.0, 2.0, 3.0]))
    assert len(lines) == 4
    assert all(": refused. *" in line for line in lines)
