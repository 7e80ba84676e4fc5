"""Paired bootstrap of Omega over test clips and seeds, with the rank statistics vectorised.

It is shown beside the official score and never changes it. Notebook: 02_seed_study.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from asdlib.metrics import MAX_FPR, roc_area

RESAMPLES = 10_000
_AT_ONCE = 1000  # resamples in memory

Weights = Float[np.ndarray, "resample clip"]


def omega_resamples(
    systems: Sequence[pd.DataFrame],
    seeds: int,
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Float[np.ndarray, "system resample"]:
    """Omega of every system, mean over seeds, on resampled clips and seeds.

    Clips are drawn with replacement within machine, domain and label. Seeds are drawn with
    replacement, the same for all machines. All systems get the same draws, also from equal
    generators, so that their differences are paired.

    Parameters
    ----------
    systems : labelled test clips, the same of every system, with which Omega can be computed:
        columns machine, domain, label, name, seed, score. A system with one seed, such as a
        detector without training, is the same for all seeds of the others.
    seeds : how many are drawn.
    """
    keys = ["machine", "domain", "label", "name"]
    tables = [own.pivot(index=keys, columns="seed", values="score") for own in systems]
    every = pd.concat(tables, axis=1)
    machines = every.groupby(level="machine", sort=False)
    ends = np.cumsum([len(table.columns) for table in tables])[:-1]
    found = []
    for start in range(0, resamples, _AT_ONCE):
        count = min(_AT_ONCE, resamples - start)
        of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), count).T / seeds
        inverse = np.zeros((len(every.columns), count))
        for _, own in machines:
            clips = own.index.to_frame(index=False)
            weights = _draw(clips, count, generator)
            inverse += [_inverse(values, clips, weights) for values in own.to_numpy().T]
        omegas = 3 * len(machines) / inverse  # harmonic mean; 0 where a value is 0
        found.append([(own * of_seeds).sum(axis=0) for own in np.split(omegas, ends)])
    return np.concatenate(found, axis=1)


def interval(values: Float[np.ndarray, " resample"], level: float = 0.95) -> tuple[float, float]:
    """Percentile interval."""
    low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def weighted_auc(
    scores: Float[np.ndarray, " clip"],
    anomalous: Bool[np.ndarray, " clip"],
    weights: Weights,
) -> Float[np.ndarray, " resample"]:
    """AUC where every clip counts as often as its weight says."""
    wins = np.heaviside(scores[None, anomalous] - scores[~anomalous, None], 0.5)  # ties: a half
    normal, faulty = weights[:, ~anomalous], weights[:, anomalous]
    pairs = np.einsum("bn,bn->b", normal, faulty @ wins.T)
    return pairs / (normal.sum(1) * faulty.sum(1))


def weighted_pauc(
    scores: Float[np.ndarray, " clip"],
    anomalous: Bool[np.ndarray, " clip"],
    weights: Weights,
    max_fpr: float = MAX_FPR,
) -> Float[np.ndarray, " resample"]:
    """Partial AUC, McClish-standardised, where every clip counts as often as its weight says."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are one threshold
    rates = []
    for kind in (~anomalous, anomalous):
        cumulated = np.cumsum((weights * kind)[:, order], axis=1)
        share = cumulated[:, last] / cumulated[:, -1:]
        rates.append(np.pad(share, [(0, 0), (1, 0)]))
    fpr, tpr = rates
    return np.asarray(roc_area(fpr, tpr, max_fpr))


def _draw(clips: pd.DataFrame, count: int, generator: np.random.Generator) -> Weights:
    """How often each clip of one machine is drawn, within its domain and label."""
    weights = np.zeros((count, len(clips)))
    for own in clips.groupby(["domain", "label"], observed=True).indices.values():
        weights[:, own] = generator.multinomial(len(own), np.full(len(own), 1 / len(own)), count)
    return weights


def _inverse(
    scores: Float[np.ndarray, " clip"], clips: pd.DataFrame, weights: Weights
) -> Float[np.ndarray, " resample"]:
    """Sum of the inverses of source AUC, target AUC and pAUC of one machine."""
    anomalous = (clips["label"] == "anomaly").to_numpy()
    values = [weighted_pauc(scores, anomalous, weights)]
    for domain in ("source", "target"):
        kept = anomalous | (clips["domain"] == domain).to_numpy()
        values.append(weighted_auc(scores[kept], anomalous[kept], weights[:, kept]))
    with np.errstate(divide="ignore"):
        return (1 / np.stack(values)).sum(0)
