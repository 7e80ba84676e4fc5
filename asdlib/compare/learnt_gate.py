"""A discriminative gate: AdaSub weighed against CohGate by logistic regression.

The weights are learnt on the labelled test clips of all other machines. The paper found that such
a gate pays only after a normalisation over the test set, which the guard refuses.
Notebook: 07_negative_results.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.guard import CrossClipError, PerClip
from asdlib.noise import Floors
from asdlib.study.variants import CHAMPION, COMPARED

FRONT_ENDS = (CHAMPION, "cohgate")
"""Front-ends that the gate weighs."""


def scores(table: pd.DataFrame, floors: Mapping[str, Floors]) -> pd.DataFrame:
    """Score every machine by a gate that was learnt on the other machines.

    With z_a and z_c the standardised scores of AdaSub and CohGate, compressed to
    sign(z) log(1 + |z|), and g the logarithm of the machine's median G_m, the score is
    w_1 z_a + w_2 z_c + w_3 g (z_a - z_c): the weights are those that best tell anomalies from
    normal test clips of all other machines.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    floors : of every machine.

    Returns
    -------
    DataFrame as ``table``, labelled test clips only; no rows with fewer than two such machines.
    """
    test = metrics.labelled(table)
    test = test[test["front_end"].isin(FRONT_ENDS) & test["scorer"].isin(COMPARED)]
    g = {m: float(np.log10(np.median(own.transfer).clip(1e-10))) for m, own in floors.items()}
    parts = []
    for _, model in test.groupby(["scorer", "seed"], sort=False):
        adasub, cohgate = (
            model[model["front_end"] == name].sort_values(["machine", "name"], ignore_index=True)
            for name in FRONT_ENDS
        )
        for machine in adasub["machine"].unique():
            own = adasub["machine"] == machine
            if adasub.loc[~own, "label"].nunique() < 2:
                return table.head(0)
            weights = _learnt(adasub[~own], cohgate[~own], g)
            gated = _weighed(adasub[own], cohgate[own], weights, g[machine])
            parts.append(adasub[own].assign(front_end="gate", score=gated))
    return pd.concat(parts, ignore_index=True) if parts else table.head(0)


def refusal(champion: pd.DataFrame) -> str:
    """Normalise guarded scores over the test set, as the gate was first meant.

    Parameters
    ----------
    champion : rows of :func:`asdlib.study.run` with test clips.

    Returns
    -------
    The sentence with which the guard refuses.
    """
    own = champion[champion["split"] == "test"].drop_duplicates("name")
    try:
        normalised_over_test_set(PerClip(own["score"], own["name"]))
    except CrossClipError as error:
        return f"refused by the guard: {error}"
    raise AssertionError("the guard let a normalisation over the test set pass")


def normalised_over_test_set(scores: PerClip) -> PerClip:
    """(z - mean) / std over all test clips, which the guard has to refuse."""
    return (scores - np.mean(scores)) / np.std(scores)


def _learnt(adasub: pd.DataFrame, cohgate: pd.DataFrame, g: Mapping[str, float]) -> list[float]:
    """Weights w_1, w_2 and w_3 from the same labelled clips under both front-ends."""
    from sklearn.linear_model import LogisticRegression

    z = np.stack([_compressed(part["score"].to_numpy()) for part in (adasub, cohgate)], 1)
    x = np.column_stack([z, adasub["machine"].map(g).to_numpy() * (z[:, 0] - z[:, 1])])
    learnt = LogisticRegression(class_weight="balanced").fit(x, adasub["label"] == "anomaly")
    return [float(w) for w in learnt.coef_[0]]


def _weighed(
    adasub: pd.DataFrame, cohgate: pd.DataFrame, weights: list[float], g: float
) -> list[float]:
    """Guarded score of every clip of one machine."""
    a, c = (_compressed(PerClip(part["score"], part["name"])) for part in (adasub, cohgate))
    score = weights[0] * a + weights[1] * c + weights[2] * g * (a - c)
    return [value for _, value in score.items()]


def _compressed(z):
    return np.sign(z) * np.log1p(np.abs(z))
