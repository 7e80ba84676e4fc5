"""Omega over seeds: summary, ladder, re-scorings, paired differences, and the verdict.

Seed 3 of one system and seed 3 of another share their initialisation and the order of the clips,
so systems are compared seed by seed. Notebooks: 04_seed_study, 06_rescoring, 07_negative_results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.clipstats import VIEWS
from asdlib.compare import bootstrap, systems
from asdlib.compare.systems import FUSED, System, ensemble

_VALUES = ["omega", "auc_source", "auc_target", "pauc"]  # of a summary
_SEEDLESS = {*VIEWS, FUSED}  # scorers that have one row per clip where nothing was trained
_LEVEL = 0.05  # of the corrected p value, below which a difference over seeds counts
_UNTRAINED = (
    System("AdaSub, statistics pmsd", "", (("adasub", "pmsd"),)),
    System("AdaLS, statistics pmsd", "", (("adals", "pmsd"),)),
    System("AdaSub, fine statistics", "", (("adasub", "fine"),)),
    systems.UNTRAINED,
)


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


def ladder(summary: Summary, reported: Sequence[Mapping]) -> pd.DataFrame:
    """Measured rows beside the paper's: every entry of ``reported`` names a front-end and scorer.

    Parameters
    ----------
    reported : mappings with system, front_end, scorer and the paper's mean, std, ensemble.

    Returns
    -------
    DataFrame with system, the measured mean, std and ensemble, and the reported ones.
    """
    rows = []
    for entry in reported:
        measured = row(summary, entry.get("front_end", ""), entry.get("scorer", "eq1"))
        rows.append(
            {"system": entry["system"], **measured}
            | {f"reported {k}": entry.get(k, np.nan) for k in ("mean", "std", "ensemble")}
        )
    return pd.DataFrame(rows)


def untrained_ladder(
    table: pd.DataFrame, quantile: float, *, resamples: int = 10_000
) -> pd.DataFrame:
    """Rows of the ladder for detectors without training, which the paper does not have.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    quantile : see :func:`asdlib.compare.systems.apply`.
    resamples : of the test clips, for the interval.

    Returns
    -------
    DataFrame with system; Omega as mean and as ensemble, because there is one value and no seed;
    low and high of its 95 % bootstrap interval over clips. NaN where a system was not run, or the
    labels do not allow a value.
    """
    per_seed = summary(table).per_seed
    rows, clips = [], {}
    for place, system in enumerate(_UNTRAINED):
        applied = systems.apply(system, table, per_seed, quantile)
        machines = applied.evaluate()
        omega = np.nan if machines is None else metrics.omega(machines)
        unknown = {"low": np.nan, "high": np.nan}
        rows.append({"system": system.name, "mean": omega, "ensemble": omega, **unknown})
        if np.isfinite(omega):
            clips[place] = metrics.labelled(applied.clips).assign(seed=0)
    if clips:
        draws = bootstrap.omega_resamples(
            list(clips.values()), resamples=resamples, generator=np.random.default_rng(0)
        )
        for place, own in zip(clips, draws, strict=True):
            rows[place]["low"], rows[place]["high"] = bootstrap.interval(own)
    return pd.DataFrame(rows)


def steps(summary: Summary, front_end: str, scorers: Sequence[str]) -> pd.DataFrame:
    """Re-scorings of one front-end beside its first: parts of the score and paired differences.

    Returns
    -------
    DataFrame with scorer; auc_source, auc_target, pauc (means over machines) and omega of the
    ensemble; mean and std of per-seed Omega; difference, difference_std and p_t, paired by seed
    against the first scorer. Scorers that were not computed are left out; no rows without the
    first.
    """
    per_seed, first = summary.per_seed, (front_end, scorers[0])
    if seed_values(per_seed, *first).empty:
        return pd.DataFrame()
    rows = []
    for scorer in scorers:
        whole = _ensemble(summary, front_end, scorer)
        if whole.empty:
            continue
        measured = row(summary, front_end, scorer)
        against = seed_difference(per_seed, (front_end, scorer), per_seed, first)
        parts = whole[["auc_source", "auc_target", "pauc", "omega"]].iloc[0]
        rows.append(
            {
                "scorer": scorer,
                **parts.to_dict(),
                "mean": measured["mean"],
                "std": measured["std"],
                "difference": against["mean"],
                "difference_std": against["std"],
                "p_t": against["p_t"],
            }
        )
    return pd.DataFrame(rows)


def paired(
    per_seed: pd.DataFrame,
    pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]],
    table: pd.DataFrame,
) -> pd.DataFrame:
    """Paired differences of Omega between systems given as (front_end, scorer).

    Parameters
    ----------
    per_seed : of :func:`summary`.
    pairs : each a system and the one that it is compared with.
    table : of :func:`asdlib.study.run`, for the bootstrap over clips and seeds.

    Returns
    -------
    DataFrame with system and against (both (front_end, scorer)), the values of
    :func:`asdlib.metrics.paired_difference`, seedless (neither was trained), p_holm (p_t, corrected
    for the number of rows), and low and high of the 95 % bootstrap interval; pairs that were not
    computed are left out.
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
    found["low"], found["high"] = np.nan, np.nan
    if found["mean"].notna().any():
        groups = dict(iter(metrics.labelled(table).groupby(["front_end", "scorer"])))
        wanted = sorted({*found["system"], *found["against"]})
        draws = bootstrap.omega_resamples(
            [groups[key] for key in wanted], generator=np.random.default_rng(0)
        )
        of = dict(zip(wanted, draws, strict=True))
        found[["low", "high"]] = [
            bootstrap.interval(of[a] - of[b])
            for a, b in zip(found["system"], found["against"], strict=True)
        ]
    return found


def _for_all_seeds(values: pd.Series, others: pd.Series) -> pd.Series:
    """A detector without training is the same for every seed of another system."""
    if len(values) > 1 or len(others) == 1:
        return values
    return pd.Series(values.iloc[0], index=others.index)


def verdict(difference: Mapping[str, float]) -> str:
    """Say in words what a paired difference allows to say.

    A gain or loss counts when the corrected p value over seeds is below 0.05 and the bootstrap
    interval over clips and seeds does not contain zero. Between two systems without seeds, the
    interval decides.

    Parameters
    ----------
    difference : mean, seedless, p_holm, low and high, as in a row of :func:`paired`.
    """
    mean = difference["mean"]
    if np.isnan(mean):
        return "Ω cannot be computed from these labels"
    by_clips = difference["low"] > 0 or difference["high"] < 0
    seedless = difference.get("seedless", False)
    by_seeds = by_clips if seedless else difference["p_holm"] < _LEVEL
    if by_seeds and by_clips:
        return "helps" if mean > 0 else "harms"
    tendency = "gains" if mean > 0 else "loses"
    if by_seeds:
        return f"{tendency} on these clips; other clips might not agree"
    if by_clips:
        return f"{tendency} on average, not surely over seeds"
    return "no robust difference"


def _ensemble(summary: Summary, front_end: str, scorer: str) -> pd.DataFrame:
    """The ensemble's row of one system; no row where it was not computed."""
    whole = summary.ensemble
    return whole[(whole["front_end"] == front_end) & (whole["scorer"] == scorer)]
