"""Which front-end helps a detector, and which one to choose for a machine without its labels.

All values come from the table of a study. Notebooks: 02_front_ends, 03_phase.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from asdlib import metrics, pipeline
from asdlib.compare import comparison, systems
from asdlib.complexls import unpredicted
from asdlib.noise import Floors
from asdlib.params import Params
from asdlib.spectra import decibels, power
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit

ADASUB = "adasub"  # the front-end that all others are compared with, and the default choice
WITH_PHASE = ("complexls", "lsada", "adals", "gatedls", "gatedlsada", "gatedadals")
_WITHOUT_TRAINING = ("pmsd", "pms", "pm", "fine", "psd")  # the first that was run
_DIFFERENCE = ["mean", "p_t", "low", "high", "verdict"]  # of a pair


def common_scorer(scorers: Collection[str]) -> str:
    """Return the scorer that front-ends are compared by.

    Parameters
    ----------
    scorers : those of a study, see :class:`asdlib.params.Params`.

    Returns
    -------
    Eq. 1, as in the paper; without autoencoders, the clip statistics that look at most.

    Examples
    --------
    >>> common_scorer(["eq1", "s1", "pmsd"]), common_scorer(["pm", "pmsd", "near/psd"])
    ('eq1', 'pmsd')
    """
    return next((name for name in ("eq1", *_WITHOUT_TRAINING) if name in scorers), "eq1")


def against_adasub(table: pd.DataFrame, summary: comparison.Summary) -> pd.DataFrame:
    """Every front-end under every scorer, and its paired difference to AdaSub.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    summary : its :func:`asdlib.compare.comparison.summary`.

    Returns
    -------
    DataFrame with scorer, front_end, omega and std over seeds, ensemble, auc_source, auc_target and
    pauc (of the ensemble), mean, p_t, low, high and verdict of the paired difference of Omega; NaN
    for AdaSub itself. No rows without test clips.
    """
    parts = []
    for scorer in summary.ensemble["scorer"].unique():
        whole = summary.ensemble[summary.ensemble["scorer"] == scorer]
        keys = [(name, scorer) for name in whole["front_end"]]
        over_seeds = [comparison.row(summary, *key) for key in keys]
        own = whole.rename(columns={"omega": "ensemble"}).assign(
            system=keys,
            omega=[row["mean"] for row in over_seeds],
            std=[row["std"] for row in over_seeds],
        )
        pairs = [(key, (ADASUB, scorer)) for key in keys if key[0] != ADASUB]
        paired = comparison.paired(summary.per_seed, pairs, table)
        differences = paired[["system", *_DIFFERENCE]]
        parts.append(own.merge(differences, on="system", how="left"))
    if not parts:
        return pd.DataFrame()
    values = ["omega", "std", "ensemble", "auc_source", "auc_target", "pauc"]
    return pd.concat(parts, ignore_index=True)[["scorer", "front_end", *values, *_DIFFERENCE]]


def omega_by_front_end(table: pd.DataFrame, scorer: str) -> pd.DataFrame:
    """Omega of every front-end's ensemble on every machine with labels, under one scorer.

    Returns
    -------
    DataFrame indexed by machine, a column per front-end.
    """
    known = metrics.labelled(table[table["scorer"] == scorer])
    columns = {
        name: metrics.evaluate(systems.ensemble(rows))["omega"]
        for name, rows in known.groupby("front_end", sort=False)
    }
    return pd.DataFrame(columns)


def adasub_or_cohgate(
    table: pd.DataFrame, floors: Mapping[str, Floors], scorer: str = "eq1"
) -> pd.DataFrame:
    """Median G_m, AdaSub and CohGate per machine, and the label oracle (paper, Table 4).

    The oracle takes the better front-end of every machine. It reads test labels: it is a bound,
    not a system.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    floors : of every machine.
    scorer : under which they are compared, see :func:`common_scorer`.

    Returns
    -------
    DataFrame with machine, "median G", AdaSub, CohGate and oracle: Omega of the ensembles over
    seeds. The last row is over all machines. No rows without labelled test clips.
    """
    names = {"adasub": "AdaSub", "cohgate": "CohGate"}
    table = table[(table["scorer"] == scorer) & table["front_end"].isin(names)]
    rows, best = [], []
    for machine, own in table.groupby("machine"):
        if metrics.labelled(own).empty:
            continue
        whole = _ensembles(own)
        transfer = np.median(floors[str(machine)].transfer)
        rows.append({"machine": machine, "median G": transfer, **whole.rename(names)})
        if len(whole) == len(names) and whole.notna().all():
            rows[-1]["oracle"] = whole.max()
            best.append(own[own["front_end"] == whole.idxmax()].assign(front_end="oracle"))
    if best and len(best) == len(rows):
        table = pd.concat([table, *best])
    if len(rows):
        rows.append({"machine": "all", **_ensembles(table).rename(names)})
    return pd.DataFrame(rows, columns=["machine", "median G", *names.values(), "oracle"])


def _ensembles(table: pd.DataFrame) -> pd.Series:
    """Omega of the ensemble over seeds of every front-end of one scorer."""
    return comparison.summary(table).ensemble.set_index("front_end")["omega"]


def traits(params: Params, recordings: Recordings) -> pd.DataFrame:
    """What training-normal clips tell about a machine, without a label.

    Returns
    -------
    DataFrame indexed by machine: ``explained``, the share of near power in dB that the clips'
    own complex filters remove; ``transfer``, 10 log10 of the median G_m; ``steadiness``, the
    quiet floor of the near channel relative to its mean power, in dB, median over bins.
    """
    rows = {}
    for machine in recordings.machines:
        floors = Unit(params, machine, "near", recordings.clips(machine)).floors()
        near, left = np.zeros(len(floors.near)), np.zeros(len(floors.near))
        train = recordings.clips(machine, "train")
        for path, content in zip(train["path"], train["hash"], strict=True):
            spectrum = pipeline.spectrum(path, params.spectra, content)
            near += power(spectrum[0]).mean(-1)
            left += power(unpredicted(spectrum, params.denoising)).mean(-1)
        ratios = np.array([near.sum() / left.sum(), np.median(floors.transfer)])
        explained, transfer = decibels(ratios)
        rows[machine] = {
            "explained": float(explained),
            "transfer": float(transfer),
            "steadiness": float(np.median(decibels(floors.near * len(train) / near))),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def choose(
    omegas: pd.DataFrame, known: pd.DataFrame, default: str = ADASUB
) -> tuple[pd.Series, dict[str, str]]:
    """Choose a front-end for every machine by a rule that was learnt on the other machines.

    A rule is a trait, a limit between two of the other machines' values, and a front-end on
    either side. The rule with the highest mean Omega on the other machines is taken; at equal
    Omega the simplest (one front-end for all) is preferred. The machine's own labels and values of
    Omega are never read.

    Parameters
    ----------
    omegas : machine by front-end, of :func:`omega_by_front_end`.
    known : of :func:`traits`.
    default : taken where nothing can be learnt: with fewer than three machines.

    Returns
    -------
    chosen : front-end per machine.
    rules : what each was chosen by, in words.
    """
    chosen, rules = {}, {}
    for machine in omegas.index:
        others = omegas.drop(index=machine)
        if len(others) < 2 or others.isna().any(axis=None):
            chosen[machine], rules[machine] = default, "nothing to learn from"
            continue
        best = others.mean().idxmax()
        value, chosen[machine], rules[machine] = others[best].mean(), best, f"always {best}"
        for name in known.columns:
            values = np.unique(known.loc[others.index, name])
            for limit in (values[1:] + values[:-1]) / 2:
                above = known.loc[others.index, name] > limit
                sides = [others[above].mean().idxmax(), others[~above].mean().idxmax()]
                gained = others.loc[above, sides[0]].sum() + others.loc[~above, sides[1]].sum()
                if gained / len(others) > value + 1e-12:
                    value = gained / len(others)
                    high = known.loc[machine, name] > limit
                    chosen[machine] = sides[0] if high else sides[1]
                    rules[machine] = f"{name} > {limit:.2f}: {sides[0]}, else {sides[1]}"
    return pd.Series(chosen, name="front_end"), rules


def rules(table: pd.DataFrame, known: pd.DataFrame, scorer: str = "eq1") -> pd.DataFrame:
    """Rule, best fixed choice, always-AdaSub and label oracle, over all machines with labels.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    known : of :func:`traits`.

    Returns
    -------
    DataFrame with choice, omega and taken (front-end by machine); no rows where Omega is unknown.
    """
    omegas = omega_by_front_end(table, scorer)
    if len(omegas) == 0 or omegas.isna().any(axis=None) or ADASUB not in omegas:
        return pd.DataFrame(columns=["choice", "omega", "taken"])
    fixed_ones = {n: _omega_of(table, pd.Series(n, omegas.index), scorer) for n in omegas}
    best = max(fixed_ones, key=lambda name: fixed_ones[name])
    chosen, _ = choose(omegas, known)
    choices = {
        "always AdaSub": pd.Series(ADASUB, omegas.index),
        "best fixed choice, by labels": pd.Series(best, omegas.index),
        "rule, leave-one-machine-out": chosen,
        "label oracle per machine": omegas.idxmax(axis=1),
    }
    rows = [
        {"choice": name, "omega": _omega_of(table, taken, scorer), "taken": taken.to_dict()}
        for name, taken in choices.items()
    ]
    return pd.DataFrame(rows)


def _omega_of(table: pd.DataFrame, chosen: pd.Series, scorer: str) -> float:
    """Omega of an ensemble that takes each machine's chosen front-end; scores pass the guard."""
    rows = metrics.labelled(table[table["scorer"] == scorer])
    picked = rows[rows["machine"].map(chosen) == rows["front_end"]]
    return metrics.omega(metrics.evaluate(systems.ensemble(picked)))
