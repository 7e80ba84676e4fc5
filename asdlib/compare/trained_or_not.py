"""Detectors without training beside autoencoders, on the same clips.

Which rows are the best is read from test labels, and said so where they are shown.
Notebook: 05_without_training.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.clipstats import VIEWS
from asdlib.compare import comparison, systems

_SHOWN = 3  # autoencoders beside the detectors without training
_PARTS = ["auc_source", "auc_target", "pauc", "omega"]


def with_fused(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a study, and those of the submission without training, S5, where it can be formed.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    """
    s5 = systems.UNTRAINED
    run = set(zip(table["front_end"], table["scorer"], strict=True))
    if not set(s5.views) <= run:
        return table
    return pd.concat([table, systems.fused(table, s5.views, s5.name, s5.fusion)], ignore_index=True)


def against_autoencoders(table: pd.DataFrame) -> pd.DataFrame:
    """Detectors without training beside the best autoencoders, compared with one of them.

    Parameters
    ----------
    table : of :func:`with_fused`.

    Returns
    -------
    DataFrame with system (front-end and scorer), trained, auc_source, auc_target, pauc and omega
    (means over seeds), mean, low, high and verdict of the paired difference to the autoencoder on
    AdaSub under eq. 1, where that was run. The detectors without training come first, S5 last of
    them; then the three autoencoders with the highest Omega, and the one compared with. No rows
    without test clips or without a detector that needs no training.
    """
    per_seed = comparison.summary(table).per_seed
    found = per_seed.groupby(["front_end", "scorer"], sort=False)[_PARTS].mean().reset_index()
    found["system"] = list(zip(found["front_end"], found["scorer"], strict=True))
    untrained = found["scorer"].isin([*VIEWS, systems.FUSED])
    found["trained"] = ~untrained
    if found.empty or not untrained.any():
        return found.head(0)
    others = found[~untrained].sort_values("omega", ascending=False, kind="stable")
    compared = others["system"] == comparison.ADASUB
    shown = pd.concat([found[untrained], others[compared | (np.arange(len(others)) < _SHOWN)]])
    pairs = [(own, comparison.ADASUB) for own in shown["system"] if own != comparison.ADASUB]
    paired = comparison.paired(per_seed, pairs, table)
    differences = paired[["system", "mean", "low", "high", "verdict"]]
    return shown.merge(differences, on="system", how="left").reset_index(drop=True)


def reference(compared: pd.DataFrame) -> float | None:
    """Omega of the autoencoder that all are compared with; none where it is not known.

    Parameters
    ----------
    compared : of :func:`against_autoencoders`.
    """
    omegas = compared.loc[compared["system"] == comparison.ADASUB, "omega"].dropna()
    return float(omegas.iloc[0]) if len(omegas) else None


def autoencoder_gain(table: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """Omega of the best autoencoder minus that of the best detector without training, by machine.

    Both are the best over all machines, by their test labels.

    Parameters
    ----------
    table : of :func:`with_fused`.
    compared : of :func:`against_autoencoders`.

    Returns
    -------
    DataFrame with machine, autoencoder, untrained (systems) and gain; no rows where either kind is
    missing.
    """
    known = compared.dropna(subset="omega") if len(compared) else compared
    if known.empty or known["trained"].nunique() < 2:
        return pd.DataFrame(columns=["machine", "autoencoder", "untrained", "gain"])
    best = known.loc[known.groupby("trained")["omega"].idxmax()].set_index("trained")["system"]
    test = metrics.labelled(table).set_index(["front_end", "scorer"])
    by_machine = {}
    for trained, system in best.items():
        seeds = [metrics.evaluate(own)["omega"] for _, own in test.loc[[system]].groupby("seed")]
        by_machine[trained] = pd.concat(seeds, axis=1).mean(axis=1)
    gain = by_machine[True] - by_machine[False]
    return pd.DataFrame({"machine": gain.index, "gain": gain.to_numpy()}).assign(
        autoencoder=[best[True]] * len(gain), untrained=[best[False]] * len(gain)
    )
