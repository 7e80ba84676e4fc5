"""Sentences with values: what they say of gains, losses, nothing, one and none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asdlib import study
from asdlib.io import store
from asdlib.params import Autoencoder, Params
from asdlib.report import text
from asdlib.study.recordings import Recordings

NONE = pd.DataFrame()


def overview(low=0.1, **changed):
    """S5 with an Omega of .8, and S1 with .6."""
    values = {"title": ["without", "autoencoder"], "by_labels": False, "saw": [0.8, 0.6]}
    values |= {"overall": [0.8, 0.6], "mean": [np.nan, 0.2], "low": [np.nan, low], "high": 0.3}
    alarms = {"usual": [(1, 20), (9, 20)], "found": [(3, 4), (4, 4)]}
    return pd.DataFrame(values | alarms | changed, index=["S5", "S1"])


def test_the_verdict_has_the_winner_the_next_one_the_difference_and_the_caveat():
    difference = "difference +0.200, 95 % interval +0.100 to +0.300"
    assert text.verdict(overview(), "Few clips.") == (
        "**S5 tells anomalies best from normal clips: Ω 0.800 against 0.600 of S1, the next one "
        f"({difference}). Few clips.**"
    )
    said = text.verdict(overview(low=-0.1), "Few clips.")
    assert said.startswith(
        "**No system is shown to be the best: S5 has Ω 0.800 against 0.600 of S1, "
    )
    said = text.verdict(overview(by_labels=[False, True]), "Few clips.")
    assert said == "**S5 has Ω 0.800; no other system was run. Few clips.**"
    unknown = text.verdict(overview(saw=np.nan, overall=np.nan), "Few clips.")
    assert unknown == f"**Nothing here says which system is better. Few clips.** {text.NO_LABELS}"
    concealed = overview(saw=np.nan, overall=np.nan, unlabelled=[(3, 8), np.nan])
    told = "S5 raises an alarm for 3 of 8 (37.5 %) test clips"
    assert text.verdict(concealed, "Few.") == f"**{told}. Few.** {text.NO_LABELS}"


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
    said = text.caveat(small, recordings, overview(), losses, NONE)
    assert said.startswith("This is simulated sound, no result of the challenge: 2 labelled test ")
    assert "test clips of 1 machine. The autoencoders have width 64 and 100 epochs" in said
    assert said.endswith(", the paper's 512 and 100" + "; their loss still falls" * falls + ".")
    assert "autoencoders" not in text.caveat(small, recordings, overview(), losses[:0], NONE)


@pytest.mark.parametrize(
    ("low", "said"), [(0.1, "S5 keeps a lead (+0.100"), (-0.1, "no difference is shown (-0.100")]
)
def test_longer_training_is_told_where_it_was_measured_on_these_recordings(tmp_path, low, said):
    params = Params(results=str(tmp_path))
    clips = pd.DataFrame({"split": [], "label": [], "domain": [], "machine": []})
    recordings = Recordings(tmp_path, clips, "abcd", embedded=True)
    assert study.beside(params, recordings, "trained_out").empty
    values = {"epochs": [4, 100, 100], "mean": [0.9, 0.61, 0.63], "s5": 0.8, "seeds": 2}
    values |= {"scorer": ["eq1", "eq1", "mse"], "lead low": low, "lead high": 0.2}
    found = pd.DataFrame(values | {"width": 512, "manifest": ["abcd", "abcd", "abcd"]})
    store.save(found, tmp_path / "trained_out" / "table.parquet")
    longer = study.beside(params, recordings, "trained_out")
    losses = pd.DataFrame({"epoch": [1], "loss": [1.0]})
    assert text.caveat(params, recordings, overview(), losses, longer).endswith(
        "At width 512 after 100 epochs AdaSub by its best score, MSE, has 0.630 "
        f"(mean of 2 seeds) where S5 has 0.800: {said} to +0.200)."
    )
    other = Recordings(tmp_path, clips, "other", embedded=True)
    assert study.beside(params, other, "trained_out").empty
