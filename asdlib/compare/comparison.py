"""Omega over seeds: summary, ladder, re-scorings, paired differences, and the verdict.

Seed 3 of one system and seed 3 of another share their initialisation and the order of the clips,
so systems are compared seed by seed. Notebooks: 04_seed_study, 06_rescoring, 07_negative_results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.clipstats import VIEWS
from asdlib.compare import bootstrap, systems
from asdlib.compare.systems import FUSED, ensemble

_VALUES = ["omega", "auc_source", "auc_target", "pauc"]  # of a summary
_SEEDLESS = {*VIEWS, FUSED}  # scorers that have one row per clip where nothing was trained
_LEVEL = 0.05  # of the p value below which a difference over seeds counts
_DIFFERENCE = ["p_t", "low", "high", "verdict"]  # of a pair, beside mean and std
_UNTRAINED = (
    ("AdaSub, statistics pmsd", "adasub", "pmsd"),
    ("AdaLS, statistics pmsd", "adals", "pmsd"),
    ("AdaSub, fine statistics", "adasub", "fine"),
    (systems.UNTRAINED.name, systems.UNTRAINED.name, FUSED),
)
ADASUB, CHAMPION = ("adasub", "eq1"), ("adasub", "s1")
"""The front-end that the paper builds on, under eq. 1, and its champion, under all re-scorings."""


class Summary(NamedTuple):
    """Omega and its parts of every front-end under every scorer.

    Both tables have the columns omega, auc_source, auc_target and pauc (the last three are means
    over machines); NaN where the labels do not allow a value.

    Attributes
    ----------
    per_seed : one row per front_end, scorer and seed.
    ensemble : one row per front_end and scorer, of the ensemble over seeds.
    """

    per_seed: pd.DataFrame
    ensemble: pd.DataFrame


def summary(table: pd.DataFrame) -> Summary:
    """Omega of every front-end under every scorer, per seed and of the ensemble over seeds.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`; its test clips are evaluated.
    """
    singles, wholes = [], []
    test = table[table["split"] == "test"]
    for (front_end, scorer), scores in test.groupby(["front_end", "scorer"], sort=False):
        wholes.append([front_end, scorer, *_official(ensemble(scores))])
        singles += [
            [front_end, scorer, seed, *_official(own)]
            for seed, own in scores.groupby("seed", sort=False)
        ]
    return Summary(
        pd.DataFrame(singles, columns=["front_end", "scorer", "seed", *_VALUES]),
        pd.DataFrame(wholes, columns=["front_end", "scorer", *_VALUES]),
    )


def _official(scores: pd.DataFrame) -> list[float]:
    """Values of a summary's row, in its order."""
    known = metrics.labelled(scores)
    if known.empty:
        return [np.nan] * len(_VALUES)
    machines = metrics.evaluate(known)
    return [metrics.omega(machines), *machines[_VALUES[1:]].mean(skipna=False)]


def seed_values(per_seed: pd.DataFrame, front_end: str, scorer: str) -> pd.Series:
    """Omega of one system by seed, for paired tests.

    Parameters
    ----------
    per_seed : of :func:`summary`.

    Returns
    -------
    Series indexed by seed.
    """
    rows = per_seed[(per_seed["front_end"] == front_end) & (per_seed["scorer"] == scorer)]
    return rows.set_index("seed")["omega"].astype(float)


def seed_difference(
    per_seed: pd.DataFrame, system: tuple[str, str], base: pd.DataFrame, against: tuple[str, str]
) -> dict[str, float]:
    """Paired difference of Omega between systems of two studies, seed by seed.

    Parameters
    ----------
    per_seed, base : of :func:`summary`, of either study.
    system, against : front-end and scorer in ``per_seed`` and in ``base``.

    Returns
    -------
    The values of :func:`asdlib.metrics.paired_difference`.
    """
    return metrics.paired_difference(seed_values(per_seed, *system), seed_values(base, *against))


def row(summary: Summary, front_end: str, scorer: str = "eq1") -> dict[str, float]:
    """Mean and sample standard deviation of per-seed Omega, and the ensemble's Omega."""
    single = seed_values(summary.per_seed, front_end, scorer)
    whole = _ensemble(summary, front_end, scorer)["omega"]
    return {
        "mean": single.mean(),
        "std": single.std(ddof=1),
        "ensemble": float(whole.iloc[0]) if len(whole) else np.nan,
    }


def ladder(summary: Summary, table: pd.DataFrame, reported: Sequence[Mapping]) -> pd.DataFrame:
    """Measured rows beside the paper's, then detectors without training, which it does not have.

    Parameters
    ----------
    table : that the summary was made of, see :func:`asdlib.compare.trained_or_not.with_fused`.
    reported : mappings with system, front_end, scorer and the paper's mean, std, ensemble.

    Returns
    -------
    DataFrame with system, front_end, scorer; mean and std of per-seed Omega and the ensemble's
    Omega; low and high of the 95 % bootstrap interval of the mean over clips and seeds; the verdict
    where a row stands in place of :data:`CHAMPION`; and what is reported. NaN and no verdict where
    a row was not run, or the labels do not allow a value.
    """
    unreported = [{"system": name, "front_end": f, "scorer": s} for name, f, s in _UNTRAINED]
    rows = []
    for entry in [*reported, *unreported]:
        key = entry.get("front_end", ""), entry.get("scorer", "eq1")
        rows.append(
            {"system": entry["system"], "front_end": key[0], "scorer": key[1], **row(summary, *key)}
            | {f"reported {k}": entry.get(k, np.nan) for k in ("mean", "std", "ensemble")}
        )
    found = pd.DataFrame(rows)
    keys = list(zip(found["front_end"], found["scorer"], strict=True))
    known = {k for k in {*keys, CHAMPION} if seed_values(summary.per_seed, *k).notna().any()}
    draws = _resamples(table, sorted(known))
    intervals = [bootstrap.interval(draws[k]) if k in draws else (np.nan, np.nan) for k in keys]
    found[["low", "high"]] = intervals
    pairs = [(k, CHAMPION) for k in keys if k != CHAMPION]
    against = paired(summary.per_seed, pairs, table, draws)
    against = against[against["mean"].notna()]
    said = dict(zip(against["system"], against["verdict"], strict=True))
    return found.assign(verdict=[said.get(key, "") for key in keys])


def steps(
    summary: Summary, front_end: str, scorers: Sequence[str], table: pd.DataFrame
) -> pd.DataFrame:
    """Re-scorings of one front-end beside its first: parts of the score and paired differences.

    Parameters
    ----------
    table : that the summary was made of.

    Returns
    -------
    DataFrame with scorer; auc_source, auc_target, pauc (means over machines) and omega of the
    ensemble; mean and std of per-seed Omega; difference and difference_std against the first
    scorer, p_t, low, high and verdict (see :func:`paired`; NaN and "" for the first). Scorers
    that were not computed are left out; no rows without the first.
    """
    per_seed, first = summary.per_seed, (front_end, scorers[0])
    if seed_values(per_seed, *first).empty:
        return pd.DataFrame()
    names = {"mean": "difference", "std": "difference_std"}
    found = paired(per_seed, [((front_end, other), first) for other in scorers[1:]], table)
    against = found.rename(columns=names).set_index("system")[[*names.values(), *_DIFFERENCE]]
    rows = []
    for scorer in scorers:
        whole = _ensemble(summary, front_end, scorer)
        if whole.empty:
            continue
        measured = row(summary, front_end, scorer)
        parts = whole[["auc_source", "auc_target", "pauc", "omega"]].iloc[0]
        rows.append({"scorer": scorer, **parts, "mean": measured["mean"], "std": measured["std"]})
    keys = [(front_end, own["scorer"]) for own in rows]
    compared = against.reindex(pd.MultiIndex.from_tuples(keys)).reset_index(drop=True)
    return pd.concat([pd.DataFrame(rows), compared], axis=1).fillna({"verdict": ""})


def paired(
    per_seed: pd.DataFrame,
    pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]],
    table: pd.DataFrame,
    draws: Mapping[Any, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Paired differences of Omega between systems given as (front_end, scorer).

    Parameters
    ----------
    per_seed : of :func:`summary`.
    pairs : each a system and the one that it is compared with.
    table : of :func:`asdlib.study.run`, for the bootstrap over clips and seeds.
    draws : Omega of its resamples by system, where they are at hand.

    Returns
    -------
    DataFrame with system and against (both (front_end, scorer)), the values of
    :func:`asdlib.metrics.paired_difference`, seedless (neither was trained), p_holm (p_t, corrected
    for the number of rows), low and high of the 95 % bootstrap interval, and the verdict; pairs
    that were not computed are left out.
    """
    rows = []
    for left, right in pairs:
        a, b = seed_values(per_seed, *left), seed_values(per_seed, *right)
        if len(a) and len(b):
            a, b = _for_all_seeds(a, b), _for_all_seeds(b, a)
            seedless = all(
                len(own) == 1 and name in _SEEDLESS for own, name in ((a, left[1]), (b, right[1]))
            )
            found_here = {"system": left, "against": right, **metrics.paired_difference(a, b)}
            rows.append(found_here | {"seedless": seedless})
    names = ["system", "against", "mean", "std", "n", "p_t", "p_wilcoxon", "seedless"]
    found = pd.DataFrame(rows, columns=names)
    found["p_holm"] = metrics.holm(found["p_t"].to_numpy(float))
    found[["low", "high"]] = np.nan
    if found["mean"].notna().any():
        of = draws or _resamples(table, sorted({*found["system"], *found["against"]}))
        found[["low", "high"]] = [
            bootstrap.interval(of[a] - of[b])
            for a, b in zip(found["system"], found["against"], strict=True)
        ]
    return found.assign(verdict=[verdict(own) for own in found.to_dict("records")])


def _resamples(table: pd.DataFrame, keys: Sequence[tuple[str, str]]) -> dict[Any, np.ndarray]:
    """Omega of resampled clips and seeds, the same resamples for every system."""
    if not keys:
        return {}
    groups = dict(iter(metrics.labelled(table).groupby(["front_end", "scorer"])))
    draws = bootstrap.omega_resamples(
        [groups[key] for key in keys], generator=np.random.default_rng(0)
    )
    return dict(zip(keys, draws, strict=True))


def _for_all_seeds(values: pd.Series, others: pd.Series) -> pd.Series:
    """A detector without training is the same for every seed of another system."""
    if len(values) > 1 or len(others) == 1:
        return values
    return pd.Series(values.iloc[0], index=others.index)


def verdict(difference: Mapping[Any, Any]) -> str:
    """Say in words what a paired difference allows to say, by one rule everywhere.

    A system helps or harms where the p value over seeds is below 0.05 and the bootstrap interval
    over clips and seeds does not hold zero. Between two systems without seeds, the interval
    decides. All else is no robust difference. A pair is judged alone, so that its verdict is the
    same in every table.

    Parameters
    ----------
    difference : mean, seedless, p_t, low and high, as in a row of :func:`paired`.

    Examples
    --------
    >>> loss = {"mean": -0.025, "p_t": 0.041, "low": -0.046, "high": -0.008}
    >>> verdict(loss), verdict({**loss, "p_t": 0.2})
    ('harms', 'no robust difference')
    """
    if np.isnan(difference["mean"]):
        return "Ω cannot be computed from these labels"
    by_clips = difference["low"] > 0 or difference["high"] < 0
    by_seeds = difference.get("seedless", False) or difference["p_t"] < _LEVEL
    if not (by_clips and by_seeds):
        return "no robust difference"
    return "helps" if difference["mean"] > 0 else "harms"


def _ensemble(summary: Summary, front_end: str, scorer: str) -> pd.DataFrame:
    """The ensemble's row of one system; no row where it was not computed."""
    whole = summary.ensemble
    return whole[(whole["front_end"] == front_end) & (whole["scorer"] == scorer)]
