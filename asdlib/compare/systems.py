"""Systems: which models make up a submission, its scores and its decisions.

Everything here combines scores of the same clip, through the guard, or reads development labels
through :mod:`asdlib.metrics`. Notebook: 06_decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import and_
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.calibration import Alarm
from asdlib.clipstats import S5, S5_FUSION, VIEWS
from asdlib.compare import statistics
from asdlib.compare.statistics import CLIP, Results, among, ensemble, systems_of
from asdlib.guard import PerClip
from asdlib.io import store
from asdlib.study import baseline
from asdlib.study.runs import Model

ADASUB, CHAMPION = ("adasub", "eq1"), ("adasub", "s1")
"""AdaSub, which the paper builds on, under eq. 1 of the paper, and its champion, re-scored."""

_BEST_MODELS = 10  # of the selected ensemble, S4


@dataclass(frozen=True)
class System:
    """A system that is submitted: S1 to S4 of the paper (section 4.2), and S5 without training.

    Attributes
    ----------
    name, title : what it is called, and what it is.
    views : (front-end, scorer) pairs; all seeds of these are joined.
    selected : only the ten models with the highest development Omega.
    fusion : see :func:`asdlib.compare.statistics.guarded_ensemble`.
    """

    name: str
    title: str
    views: tuple[tuple[str, str], ...]
    selected: bool = False
    fusion: str = "mean"

    @property
    def trained(self) -> bool:
        """Whether it needs an autoencoder."""
        return any(scorer not in VIEWS for _, scorer in self.views)

    def missing_reason(self, per_seed: pd.DataFrame) -> str:
        """Say in one sentence what the system misses; empty where it can be formed.

        Parameters
        ----------
        per_seed : of :class:`asdlib.compare.statistics.Results`.
        """
        if per_seed.empty:
            return f"{self.name} needs test clips."
        run = systems_of(per_seed)
        if missing := [" with the scorer ".join(view) for view in self.views if view not in run]:
            return f"{self.name} needs {' and '.join(missing)}, which was not run."
        if self.selected and per_seed["omega"].isna().all():
            return f"{self.name} chooses its models by a development Ω, which these labels lack."
        return ""

    def members(self, per_seed: pd.DataFrame) -> list[Model]:
        """Front-end, scorer and seed of every model; none where the system cannot be formed.

        Only a selected ensemble reads Omega.
        """
        if self.missing_reason(per_seed):
            return []
        rows = per_seed[among(per_seed, self.views)]
        if self.selected:
            rows = rows.sort_values("omega", ascending=False, kind="stable").head(_BEST_MODELS)
        return list(zip(rows["front_end"], rows["scorer"], rows["seed"], strict=True))

    def scores(self, results: Results) -> pd.DataFrame:
        """Scores of all clips, through the guard; no rows where the system cannot be formed.

        Returns
        -------
        DataFrame as of :func:`asdlib.compare.statistics.ensemble`.
        """
        members = self.members(results.per_seed)
        if not members:
            return pd.DataFrame(columns=[*CLIP, "score"])
        return ensemble(results.table[among(results.table, members)], self.fusion)

    def by_condition(self, results: Results) -> pd.DataFrame:
        """Scores of all clips against each condition; of a trained system, against all clips.

        Returns
        -------
        DataFrame with the columns of :meth:`scores` and condition.
        """
        if self.trained or results.by_condition is None or not self.members(results.per_seed):
            return self.scores(results).assign(condition=statistics.ALL)
        table = results.by_condition()
        return ensemble(table[among(table, self.views)], self.fusion)


PAPER = (
    System("S1", "AdaSub autoencoder, re-scored", (CHAMPION,)),
    System("S2", "RefSub autoencoder, re-scored", (("refsub", "s1"),)),
    System("S3", "AdaSub and CohGate autoencoders", (("combo", "eq1"),)),
    System("S4", "ten best models of S1 and S2", (CHAMPION, ("refsub", "s1")), True),
)
"""The paper's four submissions."""
UNTRAINED = System("S5", "clip statistics, without training", S5, fusion=S5_FUSION)
"""A submission of its own. Its views were chosen on embedded scenes alone.

Both subtract the far sound only where a check finds that the far microphone is a noise reference.
"""
SYSTEMS = (*PAPER, UNTRAINED)
BASELINE = System("Baseline MAHALA", "official autoencoder", ((baseline.NAME, "mahala"),))


DECISIONS = ["system", *CLIP, "score", "threshold", "decision"]
"""Columns of :func:`decisions`."""


def decisions(
    results: Results, quantile: float, systems: Iterable[System] = SYSTEMS
) -> pd.DataFrame:
    """Score, threshold and decision of every test clip by every system that can be formed.

    Parameters
    ----------
    quantile : of the training-normal clips' scores, for the decision threshold.

    Returns
    -------
    DataFrame with system, machine, name, split, domain, label, score, threshold (of the machine,
    see :class:`Decided`) and decision (1: anomaly).
    """
    parts = []
    for system in systems:
        by_machine = dict(iter(system.by_condition(results).groupby("machine", sort=False)))
        for machine, own in system.scores(results).groupby("machine", sort=False):
            test = own[own["split"] == "test"].sort_values("name")
            (decided,) = decide(by_machine[machine], [quantile], held_out=not system.trained)
            values = [int(decision) for _, decision in decided.alarms.items()]
            found = test.assign(threshold=decided.threshold, decision=values)
            parts.append(found.assign(system=system.name))
    if not parts:
        return pd.DataFrame(columns=DECISIONS)
    return pd.concat(parts, ignore_index=True)[DECISIONS].astype(dict.fromkeys(CLIP, str))


class Decided(NamedTuple):
    """Decisions on a machine's test clips.

    Attributes
    ----------
    alarms : in the order of their names.
    threshold : score above which a clip is an alarm; NaN where every condition has its own.
    able : whether all conditions have clips enough to allow an alarm.
    """

    alarms: PerClip
    threshold: float
    able: bool


def decide(clips: pd.DataFrame, quantiles: Iterable[float], *, held_out: bool) -> Iterator[Decided]:
    """Decide on the test clips of a machine: an alarm needs a small p for every condition.

    Where p_d is the p value among the clips of condition d, a normal clip of any condition has
    max over d of p_d <= q with a probability of at most q, however rare its condition is.

    Parameters
    ----------
    clips : rows of one machine of :meth:`System.by_condition`.
    quantiles, held_out : see :func:`threshold`.
    """
    scores = []  # against each condition: its own training clips', and the test clips'
    for condition, own in clips.sort_values("name").groupby("condition", observed=True):
        train, test = (own[own["split"] == split] for split in ("train", "test"))
        like = train[(train["domain"] == condition) | (condition == statistics.ALL)]
        scores.append((like["score"].to_numpy(), PerClip(test["score"], test["name"])))
    for quantile in quantiles:
        limits = [threshold(training, quantile, held_out=held_out) for training, _ in scores]
        above = [test > limit for (_, test), limit in zip(scores, limits, strict=True)]
        single = limits[0] if len(limits) == 1 else np.nan
        yield Decided(reduce(and_, above), single, max(limits) < np.inf)


def guarded(decided: pd.DataFrame, system: str, machine: str, column: str = "score") -> PerClip:
    """Scores, or decisions, of a machine's test clips by one system.

    Parameters
    ----------
    decided : of :func:`decisions`.
    """
    own = decided[(decided["system"] == system) & (decided["machine"] == machine)]
    return PerClip(own[column], own["name"])


def threshold(training: np.ndarray, quantile: float, *, held_out: bool) -> float:
    """Score above which a clip counts as an anomaly.

    Parameters
    ----------
    training : scores of the training-normal clips.
    quantile : from 0 to 1.
    held_out : whether these scores come from models that have not seen the clip's fold. Then p
        values decide (:class:`asdlib.calibration.Alarm`), else the quantile, as in the paper.

    Examples
    --------
    >>> training = np.arange(19.0)
    >>> [round(threshold(training, 0.9, held_out=held_out), 1) for held_out in (False, True)]
    [16.2, 17.0]
    """
    if held_out:
        return Alarm(training, 1 - quantile).threshold
    return float(np.quantile(training, quantile))


def scored_alone(
    score: Callable[[Model, str], float], members: Collection[Model], fusion: str, clip: str
) -> float:
    """Score of one clip by a system, from its file and nothing else.

    Parameters
    ----------
    score : of :func:`asdlib.study.score_alone`.
    members, fusion : of the system.
    clip : name.
    """
    scores = {m: PerClip([score(m, clip)], [clip]) for m in sorted(members)}
    return statistics.guarded_ensemble(scores, fusion).item()


def error_counts(decided: pd.DataFrame) -> pd.DataFrame:
    """False alarms, misses and F1 on labelled test clips, per machine and domain.

    Parameters
    ----------
    decided : of :func:`decisions`, of one system.

    Returns
    -------
    DataFrame with machine, domain, threshold and the values of
    :func:`asdlib.metrics.error_counts`; no rows without labelled clips.
    """
    places = ["machine", "domain", "threshold"]
    rows = []
    for place, clips in metrics.labelled(decided).groupby(places, dropna=False):
        counts = metrics.error_counts(clips["decision"].tolist(), clips["label"].tolist())
        rows.append(dict(zip(places, place, strict=True)) | counts)
    return pd.DataFrame(rows)


def write_tables(results: Results, quantile: float, folder: Path) -> list[str]:
    """Write the tables of a study, and say what they hold.

    Parameters
    ----------
    results : of :func:`asdlib.compare.statistics.results`.
    quantile : see :func:`decisions`.

    Returns
    -------
    Lines to print: Omega of the ensembles, alarms by system and machine, what is missing, and the
    files ``scores.parquet``, ``omega.csv``, ``ensembles.csv`` and ``decisions.csv``.
    """
    summaries = {"omega.csv": results.per_seed, "ensembles.csv": results.ensembles}
    run = {name: own[own["scorer"] != statistics.FUSED] for name, own in summaries.items()}
    decided = decisions(results, quantile).drop(columns=["split", "domain", "label"])
    tables = {"scores.parquet": results.table, **run, "decisions.csv": decided}
    lines = []
    if tables["ensembles.csv"]["omega"].notna().any():
        lines.append(tables["ensembles.csv"].to_string(index=False))
    for (system, machine), clips in decided.groupby(["system", "machine"], sort=False):
        alarms = int(clips["decision"].sum())
        lines.append(f"{system} {machine}: {alarms} of {len(clips)} test clips are alarms")
    lines += filter(None, (system.missing_reason(results.per_seed) for system in SYSTEMS))
    for name, table in tables.items():
        store.write(table, folder / name)
        lines.append(str(folder / name))
    return lines
