"""Changes of the champion's choices, on studies whose scores are known by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from known_scores import HALF, OMEGA_OF_HALF, PERFECT, rows

from asdlib.compare import sensitivity
from asdlib.params import Params
from asdlib.report import sentences
from asdlib.scoring import VARIANTS
from asdlib.study.recordings import Recordings

GAIN = 1 - OMEGA_OF_HALF
RECORDINGS = Recordings(Path("data"), pd.DataFrame(), "", embedded=False)


HALVES = {
    0: {"source normal": 0.0, "target normal": 3.0, "source anomaly": 2.0, "target anomaly": 9.0},
    1: {"source normal": 0.0, "target normal": 3.0, "source anomaly": 9.0, "target anomaly": 2.0},
}
"""Both seeds as HALF, each wrong about another anomaly: their mean separates."""


@pytest.fixture
def studies(monkeypatch):
    """Half-right scores, but for p95, standardisation per band, and gamma_normal's ensemble."""

    def run(params, recordings):
        def seeds(scorer):
            if params.spectra.standardise == "per_band":
                return {0: PERFECT, 1: HALF}
            if params.scoring.standardise == "gamma_normal":
                return HALVES
            return {0: PERFECT, 1: PERFECT} if scorer == "p95" else {0: HALF, 1: HALF}

        parts = [rows("fan", "adasub", scorer, seeds(scorer)) for scorer in params.scorers]
        return pd.concat(parts, ignore_index=True)

    monkeypatch.setattr(sensitivity, "run", run)


def test_changes_are_differences_to_equation_1_of_the_frozen_defaults(studies):
    params = Params(front_ends=("adasub",), extras=("per_band",))
    changes = sensitivity.changes(params, RECORDINGS).set_index("variant")
    assert changes.index.tolist() == ["p95", *VARIANTS, "mse", "gamma_normal", "per_band"]
    assert changes.loc["p95"].tolist() == pytest.approx([GAIN, 0, GAIN])
    assert changes.loc["per_band"].tolist() == pytest.approx([GAIN / 2, GAIN / np.sqrt(2), GAIN])
    assert changes.loc["gamma_normal"].tolist() == pytest.approx([0, 0, GAIN], abs=1e-12)
    assert (changes.loc[[*VARIANTS]] == 0).all(axis=None)
    less = sensitivity.changes(Params(front_ends=("adasub",), extras=()), RECORDINGS)
    assert "per_band" not in less["variant"].tolist()


def test_a_squared_error_is_told_beside_the_ridges():
    changes = pd.DataFrame(
        {
            "variant": ["p95", "alpha_1", "ridge_0.01", "ridge_0.1", "ridge_1", "mse"],
            "mean": [0.0, 0.03, 0.01, 0.02, 0.04, 0.05],
        }
    )
    told = sentences.squared_error(changes)
    assert "is higher than eq. 1 here: +0.050." in told
    assert "by +0.010, +0.020, +0.040 (0.01, 0.1, 1 times the mean variance)" in told
    assert told.endswith("by +0.030.")
    worse = sentences.squared_error(changes.assign(mean=-changes["mean"]))
    assert "is not higher than eq. 1 here: -0.050." in worse
    nothing = "The mean squared error was not compared with eq. 1 here."
    assert sentences.squared_error(changes[:2]) == nothing
    assert sentences.squared_error(changes[:0]) == nothing
    assert sentences.squared_error(changes.assign(mean=np.nan)) == nothing


def test_without_the_champion_there_is_no_change(studies):
    assert sensitivity.changes(Params(front_ends=("near",)), RECORDINGS).empty
