"""Systems: which scores make up a row of the ladder, or one of the four submissions.

Everything here combines scores of the same clip, through the guard, or reads development labels
through :mod:`asdlib.metrics`. Notebooks: 03_seed_study, 05_submission.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.guard import PerClip
from asdlib.study import baseline
from asdlib.study.recordings import Recordings

_BEST_MODELS = 10  # of the selected ensemble, S4


@dataclass(frozen=True)
class System:
    """One of the four submitted systems (paper, section 4.2).

    Attributes
    ----------
    name, title : S1 to S4, and what it is.
    front_ends, scorer : all seeds of these are averaged.
    selected : only the ten models with the highest development Omega.
    """

    name: str
    title: str
    front_ends: tuple[str, ...]
    scorer: str
    selected: bool = False

    def candidates(self, per_seed: pd.DataFrame) -> pd.DataFrame:
        """Rows of the summary ``per_seed`` that belong to this system's models."""
        return per_seed[
            per_seed["front_end"].isin(self.front_ends) & (per_seed["scorer"] == self.scorer)
        ]

    def lacking(self, per_seed: pd.DataFrame) -> str:
        """Say in one sentence what the system misses; empty where it can be formed."""
        if per_seed.empty:
            return f"{self.name} needs test clips."
        rows = self.candidates(per_seed)
        missing = [name for name in self.front_ends if name not in set(rows["front_end"])]
        if missing:
            return (
                f"{self.name} needs {' and '.join(missing)} with the scorer {self.scorer}, which "
                "was not run."
            )
        if self.selected and rows["omega"].isna().all():
            return f"{self.name} chooses its models by a development Ω, which these labels lack."
        return ""

    def members(self, per_seed: pd.DataFrame) -> list[tuple[str, int]]:
        """Front-end and seed of every model in the ensemble; none where it cannot be formed.

        Parameters
        ----------
        per_seed : of :func:`asdlib.compare.comparison.summary`; only a selected ensemble reads its
            Omega.
        """
        if self.lacking(per_seed):
            return []
        rows = self.candidates(per_seed)
        if self.selected:
            rows = rows.dropna(subset="omega").sort_values("omega", ascending=False, kind="stable")
            rows = rows.head(_BEST_MODELS)
        return list(zip(rows["front_end"], rows["seed"], strict=True))


SYSTEMS = (
    System("S1", "AdaSub + DM + shrink + P95", ("adasub",), "s1"),
    System("S2", "RefSub under the S1 stack", ("refsub",), "s1"),
    System("S3", "Combo of AdaSub and CohGate", ("combo",), "eq1"),
    System("S4", "ten best models of AdaSub and RefSub", ("adasub", "refsub"), "s1", True),
)
BASELINE = System("MAHALA", "official baseline", (baseline.NAME,), "mahala")


def ensemble(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over models (front-end and seed) of every clip's score, machine by machine.

    Models are added in the order of their names, so that the same models give the same bytes.

    Parameters
    ----------
    table : rows of :func:`asdlib.study.run`, one scorer.

    Returns
    -------
    DataFrame with the columns machine, split, domain, label, name, score.
    """
    parts = []
    for _, rows in table.groupby("machine", sort=False):
        models = [g.sort_values("name") for _, g in rows.groupby(["front_end", "seed"])]
        scores = PerClip.combine([PerClip(g["score"], g["name"]) for g in models])
        clips = models[0][["machine", "split", "domain", "label", "name"]]
        parts.append(clips.assign(score=[value for _, value in scores.items()]))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Scored:
    """A system's guarded scores and decisions of one machine's test clips.

    Attributes
    ----------
    scores, decisions : one value per clip; decisions are 0 or 1.
    threshold : 0.90 quantile of the training-normal clips' scores.
    """

    scores: PerClip
    decisions: PerClip
    threshold: float


@dataclass(frozen=True)
class Applied:
    """A system on all machines of a study.

    Attributes
    ----------
    members : front-end and seed of every model; empty where the system cannot be formed.
    scored : machine to its guarded test scores and decisions.
    clips : scores of all clips, training clips included, as of :func:`ensemble`.
    """

    members: list[tuple[str, int]]
    scored: dict[str, Scored]
    clips: pd.DataFrame

    def evaluate(self) -> pd.DataFrame | None:
        """Official values per development machine; none without labelled test clips."""
        if self.clips.empty:
            return None
        known = metrics.labelled(self.clips)
        return metrics.evaluate(known) if len(known) else None


Results = Mapping[str, Applied]
"""Systems by name."""


def apply(system: System, table: pd.DataFrame, per_seed: pd.DataFrame, quantile: float) -> Applied:
    """Score every machine with a system, through the guard.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    per_seed : of its :func:`asdlib.compare.comparison.summary`.
    quantile : of the training-normal clips' scores; the decision threshold.
    """
    members = system.members(per_seed)
    if not members:
        return Applied([], {}, pd.DataFrame())
    rows = table[table["scorer"] == system.scorer]
    models = pd.MultiIndex.from_frame(rows[["front_end", "seed"]])
    clips = ensemble(rows[models.isin(members)])
    scored = {}
    for machine, own in clips.groupby("machine"):
        threshold = float(np.quantile(own.loc[own["split"] == "train", "score"], quantile))
        test = own[own["split"] == "test"]
        if len(test):
            scores = PerClip(test["score"], test["name"])
            scored[str(machine)] = Scored(scores, scores > threshold, threshold)
    return Applied(members, scored, clips)


def apply_all(table: pd.DataFrame, per_seed: pd.DataFrame, quantile: float) -> Results:
    """Apply each of the four systems, see :func:`apply`."""
    return {system.name: apply(system, table, per_seed, quantile) for system in SYSTEMS}


def omega_by_machine(results: Results) -> pd.DataFrame:
    """Omega of every system on every development machine, and over all.

    Returns
    -------
    DataFrame indexed by system, with a column per machine and ``overall``.
    """
    rows: dict[str, dict[str, float]] = {}
    for name, system in results.items():
        machines = system.evaluate()
        rows[name] = {"overall": np.nan}
        if machines is not None:
            rows[name] = {**machines["omega"], "overall": metrics.omega(machines)}
    table = pd.DataFrame.from_dict(rows, orient="index")
    order = [c for c in table.columns if c != "overall"] + ["overall"]
    return table[order].rename_axis("system")


def decisions(results: Results) -> pd.DataFrame:
    """Score, threshold and decision of every test clip by every system.

    Returns
    -------
    DataFrame with system, machine, name, score (ensemble z), threshold and decision (1: anomaly).
    """
    rows = [
        (name, machine, clip, score, own.threshold, int(decision))
        for name, applied in results.items()
        for machine, own in applied.scored.items()
        for (clip, score), (_, decision) in zip(
            own.scores.items(), own.decisions.items(), strict=True
        )
    ]
    names = ["system", "machine", "name", "score", "threshold", "decision"]
    return pd.DataFrame(rows, columns=names)


def error_counts(results: Results, recordings: Recordings, system: str = "S1") -> pd.DataFrame:
    """False alarms, misses and F1 of one system on labelled test clips, per machine and domain.

    Returns
    -------
    DataFrame with machine, domain, threshold and the values of
    :func:`asdlib.metrics.error_counts`; no rows without labelled clips.
    """
    rows = []
    for machine, scored in results[system].scored.items():
        test = metrics.labelled(recordings.clips(machine)).set_index("name")
        decided = pd.Series({name: int(value) for name, value in scored.decisions.items()})
        for domain, clips in test.groupby("domain"):
            counts = metrics.error_counts(decided[clips.index].tolist(), clips["label"].tolist())
            rows.append(
                {"machine": machine, "domain": domain, "threshold": scored.threshold, **counts}
            )
    return pd.DataFrame(rows)
