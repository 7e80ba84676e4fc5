"""What a study answers: the ladder, which front-end and which score helps, what to submit.

All values come from one set of :class:`asdlib.compare.statistics.Results`.
Notebooks: index, 01_far_microphone, 04_phase, 02_seed_study, 05_variants.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.compare import statistics, systems
from asdlib.compare.statistics import FUSED, Results, System, systems_of
from asdlib.compare.systems import ADASUB, CHAMPION
from asdlib.noise import Floors

UNTRAINED = (systems.UNTRAINED.name, FUSED)
"""S5 as front-end and scorer, see :func:`asdlib.compare.statistics.results`."""
WITH_PHASE = ("complexls", "lsada", "adals", "gatedls", "gatedlsada", "gatedadals")

_WITHOUT_TRAINING = ("pmsd", "pms", "pm", "fine", "psd")  # the first that was run
_SYSTEM = ["system", "front_end", "scorer"]
_UNREPORTED = [
    {"system": "AdaSub, statistics pmsd", "front_end": "adasub", "scorer": "pmsd"},
    {"system": "AdaLS, statistics pmsd", "front_end": "adals", "scorer": "pmsd"},
    {"system": "AdaSub, fine statistics", "front_end": "adasub", "scorer": "fine"},
    {"system": systems.UNTRAINED.name, "front_end": UNTRAINED[0], "scorer": UNTRAINED[1]},
]
_NEAR = systems.System("AE ch1", "autoencoder, near microphone alone", (("near", "eq1"),))
_KINDS = {"source": "usual", "target": "changed", "anomaly": "found", "unknown": "unlabelled"}
_SHOWN = (systems.BASELINE, _NEAR, *systems.SYSTEMS)


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


def ladder(results: Results, reported: Sequence[Mapping]) -> pd.DataFrame:
    """Measured rows beside the paper's, then detectors without training, which it does not have.

    Parameters
    ----------
    reported : mappings with system, front_end, scorer and the paper's mean, std, ensemble.

    Returns
    -------
    DataFrame with system, front_end, scorer; mean and std of per-seed Omega and the ensemble's
    Omega; low and high of the 95 % bootstrap interval of the mean over clips and seeds; the verdict
    where a row stands in place of the paper's champion; and what is reported. NaN and no verdict
    where a row was not run, or the labels do not allow a value.
    """
    names = {name: f"reported {name}" for name in ("mean", "std", "ensemble")}
    given = pd.DataFrame([*reported, *_UNREPORTED]).reindex(columns=[*_SYSTEM, *names])
    found = given.fillna({"front_end": "", "scorer": "eq1"}).rename(columns=names)
    keys = list(zip(found["front_end"], found["scorer"], strict=True))
    found[list(names)] = results.summary(keys)[list(names)]
    found[["low", "high"]] = results.intervals(keys)
    against = results.paired((key, CHAMPION) for key in keys)
    return found.assign(verdict=against["verdict"].where(against["mean"].notna(), ""))


def steps(results: Results, front_end: str, scorers: Sequence[str]) -> pd.DataFrame:
    """Re-scorings of one front-end beside its first: parts of the score and paired differences.

    Returns
    -------
    DataFrame with scorer; auc_source, auc_target, pauc (means over machines) and omega of the
    ensemble; mean and std of per-seed Omega; difference and difference_std against the first
    scorer, p_t, low, high and verdict (NaN and "" for the first). Scorers that were not computed
    are left out; no rows without the first.
    """
    keys = [(front_end, scorer) for scorer in scorers if len(results.omegas(front_end, scorer))]
    if keys[:1] != [(front_end, scorers[0])]:
        return pd.DataFrame()
    found = _beside(results, [(key, keys[0]) for key in keys])
    return found.rename(columns={"ensemble": "omega"})


def against_adasub(results: Results, scorers: Collection[str]) -> pd.DataFrame:
    """Every front-end under these scorers, and its paired difference to AdaSub.

    Returns
    -------
    DataFrame with scorer, front_end, omega and omega_std (over seeds), ensemble, auc_source,
    auc_target and pauc (of the ensemble), mean, p_t, low, high and verdict of the paired difference
    of Omega; NaN for AdaSub itself. No rows without test clips or without AdaSub.
    """
    whole = results.ensembles
    whole = whole[whole["scorer"].isin(list(scorers)) & (whole["front_end"] != "baseline")]
    if "adasub" not in set(whole["front_end"]):
        return pd.DataFrame()
    pairs = [
        ((name, str(scorer)), ("adasub", str(scorer)))
        for scorer, own in whole.groupby("scorer", sort=False)
        for name in own["front_end"]
    ]
    names = {"mean": "omega", "std": "omega_std", "difference": "mean"}
    return _beside(results, pairs).rename(columns=names)


def _beside(results: Results, pairs: Sequence[tuple[System, System]]) -> pd.DataFrame:
    """Values of systems, and the paired difference of each to another one."""
    differences = results.paired(pairs)[["mean", "std", "p_t", "low", "high", "verdict"]]
    names = {"mean": "difference", "std": "difference_std"}
    return results.summary(own for own, _ in pairs).join(differences.rename(columns=names))


def omega_by_front_end(table: pd.DataFrame, scorer: str) -> pd.DataFrame:
    """Omega of every front-end's ensemble on every machine with labels, under one scorer.

    Returns
    -------
    DataFrame indexed by machine, a column per front-end.
    """
    known = metrics.labelled(table[table["scorer"] == scorer])
    groups = known.groupby("front_end", sort=False)
    machines = {name: metrics.evaluate(statistics.ensemble(own)) for name, own in groups}
    return pd.DataFrame({name: own["omega"] for name, own in machines.items()})


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
    measured = omega_by_front_end(table[table["front_end"].isin(names)], scorer)
    found = measured.rename(columns=names).reindex(columns=list(names.values()))
    found["oracle"] = found.max(axis=1, skipna=False)
    if len(found):  # the official score is the harmonic mean of those of the machines
        found.loc["all"] = [metrics.harmonic_mean(own.to_numpy()) for _, own in found.items()]
    medians = pd.Series({name: np.median(own.transfer) for name, own in floors.items()})
    found.insert(0, "median G", medians.reindex(found.index))
    return found.rename_axis("machine").reset_index()


def compared(results: Results, scorers: Collection[str]) -> pd.DataFrame:
    """Answer every question that the study can answer.

    Parameters
    ----------
    scorers : of the study; without autoencoders, front-ends are compared by clip statistics.

    Returns
    -------
    DataFrame indexed by question ("far", "champion", "untrained", "untrained_champion", "phase"),
    with the columns of :meth:`asdlib.compare.statistics.Results.paired`, and omega and
    omega_against, means over seeds of both systems; questions without an answer are left out.
    """
    by = common_scorer(scorers)
    run = systems_of(results.table)
    phase = common_scorer([own for name, own in run if name == "adals" and ("adasub", own) in run])
    asked = {
        "far": (("adasub", by), ("near", by)),
        "champion": (CHAMPION, ADASUB),
        "untrained": (UNTRAINED, ADASUB),
        "untrained_champion": (UNTRAINED, CHAMPION),
        "phase": (("adals", phase), ("adasub", phase)),
    }
    found = results.paired(asked.values()).set_axis(pd.Index(asked, name="question"))
    for column, name in (("system", "omega"), ("against", "omega_against")):
        found[name] = [results.omegas(*own).mean() for own in found[column]]
    return found[found["mean"].notna()]


def overview(results: Results, quantile: float) -> pd.DataFrame:
    """Every system as it would be submitted: one score a clip, the ensemble over seeds.

    The front-end and scorer with the highest Omega of all is the row "highest", if it is no system.

    Parameters
    ----------
    quantile : see :func:`asdlib.compare.systems.decisions`.

    Returns
    -------
    DataFrame indexed by system, in falling order of Omega: title; by_labels (whether test labels
    chose it); Omega of every machine and ``overall``; mean, low and high of the difference of Omega
    between the best system and this one, with the 95 % interval over clips; and in pairs (alarms,
    clips) usual and changed (normal clips of the source and the target domain), found (anomalies)
    and unlabelled; not of the row "highest". Systems that cannot be formed are left out.
    """
    shown = [own for own in _SHOWN if own.members(results.per_seed)]
    whole = results.ensembles[results.ensembles["scorer"] != FUSED].set_index(_SYSTEM[1:])["omega"]
    first: Any = whole.idxmax() if whole.notna().any() else None
    if first and all(own.views != (first,) for own in shown):
        shown.append(systems.System("highest", "/".join(first), (first,)))
    if not shown:
        return pd.DataFrame()
    scores = {own.name: own.scores(results) for own in shown}
    fused = [own.assign(front_end=name, scorer=FUSED, seed=0) for name, own in scores.items()]
    joined = Results(pd.concat(fused, ignore_index=True))
    found = omega_by_front_end(joined.test, FUSED).T.reindex(list(scores))
    found["overall"] = joined.per_seed.set_index("front_end")["omega"]
    found.insert(0, "by_labels", [own.selected or own.name == "highest" for own in shown])
    found.insert(0, "title", [own.title for own in shown])
    found = found.sort_values("overall", ascending=False, kind="stable")
    if best := winner(found):
        paired = joined.paired(((best, FUSED), (name, FUSED)) for name in found.index)
        found[["mean", "low", "high"]] = paired[["mean", "low", "high"]].to_numpy()
    decided = systems.decisions(results, quantile, [s for s in shown if s.name != "highest"])
    kind = decided["domain"].where(decided["label"] == "normal", decided["label"]).map(_KINDS)
    alarms = decided.groupby(["system", kind])["decision"].agg(["sum", "size"])
    pairs = pd.Series(list(zip(alarms["sum"], alarms["size"], strict=True)), alarms.index)
    return found.join(pairs.unstack())


def by_machine(table: pd.DataFrame) -> pd.DataFrame:
    """Omega of every system by machine: a row per machine that counts.

    Parameters
    ----------
    table : of :func:`overview`.
    """
    if table.empty:
        return table
    own = table.iloc[:, 2 : table.columns.get_loc("overall")]
    return own.T.astype(float).dropna(how="all")


def winner(table: pd.DataFrame) -> str:
    """Return the system with the highest Omega among those that no label chose; empty if unknown.

    Parameters
    ----------
    table : of :func:`overview`.
    """
    fair = table[~table["by_labels"] & table["overall"].notna()] if len(table) else table
    return "" if fair.empty else str(fair.index[0])
