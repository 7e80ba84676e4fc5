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

BY_LABELS = {"by_labels": [False, True]}
UNKNOWN = {"saw": np.nan, "overall": np.nan}


def overview(low=0.1, **changed):
    """S5 with an Omega of .8, and S1 with .6."""
    values = {"title": ["without", "autoencoder"], "by_labels": False, "saw": [0.8, 0.6]}
    values |= {"overall": [0.8, 0.6], "mean": [np.nan, 0.2], "low": [np.nan, low], "high": 0.3}
    alarms = {"usual": [(1, 20), (9, 20)], "found": [(3, 4), (4, 4)]}
    return pd.DataFrame(values | alarms | changed, index=["S5", "S1"])


@pytest.mark.parametrize(
    ("changed", "begins", "fact"),
    [
        ({}, "**S5 tells anomalies best", "0.800 against 0.600 of S1"),
        ({}, "**S5", "(difference +0.200, 95 % interval +0.100 to +0.300)"),
        ({"low": -0.1}, "**No system is shown to be the best: S5 has Ω 0.800", "0.600 of S1"),
        (BY_LABELS, "**S5 has Ω 0.800", "no other system was run"),
        (UNKNOWN, "**Nothing here says which system is better", text.NO_LABELS),
        (UNKNOWN | {"unlabelled": [(3, 8), np.nan]}, "**S5 raises", "for 3 of 8 (37.5 %) test cl"),
    ],
)
def test_the_verdict_has_the_winner_the_next_one_the_difference_and_the_caveat(
    changed, begins, fact
):
    said = text.verdict(overview(**changed), "Few clips.")
    assert said.startswith(begins)
    assert fact in said
    assert "Few clips.**" in said


@pytest.mark.parametrize(
    ("changed", "facts"),
    [
        ({}, ("lowest Ω, 0.800, on saw", "1 of 20 (5 %) normal", "3 of 4 (75 %) anomalies")),
        ({}, ("No other system is better", "10 % are wanted: as promised", "")),
        (
            {"saw": [0.5, 0.7], "usual": [(9, 20), (0, 20)]},
            ("On saw, S1 is better: Ω 0.700 against 0.500", "more than chance explains", ""),
        ),
        (
            BY_LABELS | {"overall": [0.8, 0.9]},
            ("", "", "", "S1, by labels has a higher Ω over all"),
        ),
        ({"overall": np.nan}, ()),
    ],
)
def test_where_the_best_system_fails_is_told(changed, facts):
    said = text.failures(overview(**changed), 0.1)
    assert len(said) == len(facts)
    assert all(fact in own for fact, own in zip(facts, said, strict=True)), said


@pytest.mark.parametrize(
    ("last", "low", "facts"),
    [
        (
            0.5,
            0.1,
            ("(the paper's: 512 and 100); their loss still falls.", "S5 keeps a lead (+0.100"),
        ),
        (0.999, -0.1, ("(the paper's: 512 and 100).", "no difference is shown (-0.100")),
    ],
)
def test_the_caveat_counts_clips_and_looks_at_the_loss_and_at_longer_training(
    tmp_path, last, low, facts
):
    rows = [("saw", "test", "source", label, f"{label}.wav") for label in ("normal", "anomaly")]
    rows.append(("pump", "test", "source", "unknown", "0.wav"))
    clips = pd.DataFrame(rows, columns=["machine", "split", "domain", "label", "name"])
    params = Params(results=str(tmp_path), autoencoder=Autoencoder(width=64))
    recordings, other = (
        Recordings(Path("data"), clips, d, embedded=True) for d in ("abcd", "else")
    )
    losses = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, last]})
    values = {"epochs": [4, 100, 100], "mean": [0.9, 0.61, 0.63], "s5": 0.8, "seeds": 2}
    values |= {"scorer": ["eq1", "eq1", "mse"], "lead low": low, "lead high": 0.2}
    assert study.beside(params, recordings, "trained_out").empty
    found = pd.DataFrame(values | {"width": 512, "manifest": "abcd"})
    store.save(found, tmp_path / "trained_out" / "table.parquet")
    alone, longer = (
        text.caveat(params, own, overview(), losses, study.beside(params, own, "trained_out"))
        for own in (other, recordings)  # measured on these recordings alone
    )
    assert "simulated sound" in alone
    assert "result of the challenge DCASE 2026, Task 2: 2 labelled test clips of 1 mach" in alone
    assert "1 more are concealed. The autoencoders have width 64 and 100" in alone
    assert alone.endswith(facts[0])
    assert longer.startswith(alone)
    assert "MSE, has 0.630 (mean of 2 seeds) where S5 has 0.800: " + facts[1] in longer
    without = text.caveat(params, recordings, overview(), losses[:0], found)
    assert without == alone.partition(" The autoencoders")[0]
