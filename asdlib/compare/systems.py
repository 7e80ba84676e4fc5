"""Systems: which models make up a submission, its scores and its decisions.

Everything here combines scores of the same clip, through the guard, or reads development labels
through :mod:`asdlib.metrics`. Notebook: 08_submission.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.calibration import Alarm
from asdlib.clipstats import S5, VIEWS
from asdlib.compare import statistics
from asdlib.compare.statistics import Results, among, ensemble
from asdlib.guard import PerClip
from asdlib.io import store
from asdlib.study import baseline
from asdlib.study.runs import Model

ADASUB, CHAMPION = ("adasub", "eq1"), ("adasub", "s1")
"""The front-end that the paper builds on, under eq. 1, and its champion, under all re-scorings."""

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
    def front_ends(self) -> tuple[str, ...]:
        """Front-ends of its views, each once."""
        return tuple(dict.fromkeys(front_end for front_end, _ in self.views))

    @property
    def trained(self) -> bool:
        """Whether it needs an autoencoder."""
        return any(scorer not in VIEWS for _, scorer in self.views)

    def candidates(self, per_seed: pd.DataFrame) -> pd.DataFrame:
        """Rows of ``per_seed`` (see :class:`Results`) that belong to this system's models."""
        return per_seed[among(per_seed, self.views)]

    def missing_reason(self, per_seed: pd.DataFrame) -> str:
        """Say in one sentence what the system misses; empty where it can be formed."""
        if per_seed.empty:
            return f"{self.name} needs test clips."
        rows = self.candidates(per_seed)
        run = set(zip(rows["front_end"], rows["scorer"], strict=True))
        if missing := [
            f"{name} with the scorer {s}" for name, s in self.views if (name, s) not in run
        ]:
            return f"{self.name} needs {' and '.join(missing)}, which was not run."
        if self.selected and rows["omega"].isna().all():
            return f"{self.name} chooses its models by a development Ω, which these labels lack."
        return ""

    def members(self, per_seed: pd.DataFrame) -> list[Model]:
        """Front-end, scorer and seed of every model; none where the system cannot be formed.

        Only a selected ensemble reads Omega.
        """
        if self.missing_reason(per_seed):
            return []
        rows = self.candidates(per_seed)
        if self.selected:
            rows = rows.dropna(subset="omega").sort_values("omega", ascending=False, kind="stable")
            rows = rows.head(_BEST_MODELS)
        return list(zip(rows["front_end"], rows["scorer"], rows["seed"], strict=True))


PAPER = (
    System("S1", "AdaSub + DM + shrink + P95", (("adasub", "s1"),)),
    System("S2", "RefSub under the S1 stack", (("refsub", "s1"),)),
    System("S3", "Combo of AdaSub and CohGate", (("combo", "eq1"),)),
    System(
        "S4", "ten best models of AdaSub and RefSub", (("adasub", "s1"), ("refsub", "s1")), True
    ),
)
"""The paper's four submissions."""
UNTRAINED = System(
    "S5",
    "clip statistics of near, AdaSub and AdaLS, without training",
    S5,
)
"""A submission of its own. The last two views and the mean were chosen on embedded scenes alone.

The first one does not need the far microphone. It was added after the choice, because the other two
lose where that one stands close to the machine. On the scenes of the choice it costs some Omega.
"""
SYSTEMS = (*PAPER, UNTRAINED)
BASELINE = System("MAHALA", "official baseline", ((baseline.NAME, "mahala"),))


_CLIPS = ["machine", "split", "domain", "label", "name", "score", "threshold", "decision"]


@dataclass(frozen=True)
class SystemScores:
    """A system on all machines of a study.

    Attributes
    ----------
    members : front-end, scorer and seed of every model; empty where the system cannot be formed.
    clips : columns machine, split, domain, label, name, score, threshold (of the machine, see
        :func:`threshold`) and decision (1: anomaly), of all clips, training clips included.
    """

    members: list[Model]
    clips: pd.DataFrame

    @property
    def test(self) -> pd.DataFrame:
        """Rows of the test clips."""
        return self.clips[self.clips["split"] == "test"]

    def guarded(self, machine: str, column: str = "score") -> PerClip:
        """Scores, or decisions, of a machine's test clips."""
        own = self.test[self.test["machine"] == machine]
        return PerClip(own[column], own["name"])

    def evaluate(self) -> pd.DataFrame | None:
        """Official values per development machine; none without labelled test clips."""
        known = metrics.labelled(self.clips)
        return metrics.evaluate(known) if len(known) else None


Applied = Mapping[str, SystemScores]
"""Systems by name."""


def apply(system: System, results: Results, quantile: float) -> SystemScores:
    """Score every machine with a system, through the guard.

    Parameters
    ----------
    quantile : of the training-normal clips' scores, for the decision threshold.
    """
    members = system.members(results.per_seed)
    if not members:
        return SystemScores([], pd.DataFrame(columns=_CLIPS))
    parts = []
    clips = ensemble(results.table[among(results.table, members)], system.fusion)
    for _, own in clips.groupby("machine", sort=False):
        train = own.loc[own["split"] == "train", "score"].to_numpy()
        limit = threshold(train, quantile, held_out=not system.trained)
        decided = PerClip(own["score"], own["name"]) > limit
        parts.append(own.assign(threshold=limit, decision=[int(d) for _, d in decided.items()]))
    return SystemScores(members, pd.concat(parts, ignore_index=True))


def apply_all(results: Results, quantile: float) -> dict[str, SystemScores]:
    """Apply each of the submitted systems, see :func:`apply`."""
    return {system.name: apply(system, results, quantile) for system in SYSTEMS}


def threshold(training: np.ndarray, quantile: float, *, held_out: bool) -> float:
    """Score above which a clip counts as an anomaly.

    Parameters
    ----------
    training : scores of the training-normal clips.
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


def default_system(applied: Applied, preferred: str = "") -> System:
    """Return the first system that could be formed; S1 where none could.

    Chapter 08 and the explorer show the decisions of one system alone.

    Parameters
    ----------
    preferred : name of the system that is taken if it could be formed.
    """
    formed = [s for s in SYSTEMS if s.name in applied and applied[s.name].members]
    return next((s for s in formed if s.name == preferred), (*formed, SYSTEMS[0])[0])


def omega_by_machine(applied: Applied) -> pd.DataFrame:
    """Omega of every system on every development machine, and over all.

    Returns
    -------
    DataFrame indexed by system, with a column per machine and ``overall``.
    """
    rows: dict[str, dict[str, float]] = {}
    for name, own in applied.items():
        machines = own.evaluate()
        rows[name] = {} if machines is None else dict(machines["omega"])
        rows[name]["overall"] = np.nan if machines is None else metrics.omega(machines)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("system")
    return table[[*table.columns.drop("overall"), "overall"]]


def decisions(applied: Applied) -> pd.DataFrame:
    """Score, threshold and decision of every test clip by every system.

    Returns
    -------
    DataFrame with system and the columns of :attr:`SystemScores.clips`.
    """
    parts = [own.test.assign(system=name) for name, own in applied.items() if own.members]
    columns = ["system", *_CLIPS]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def error_counts(own: SystemScores) -> pd.DataFrame:
    """False alarms, misses and F1 of a system on labelled test clips, per machine and domain.

    Returns
    -------
    DataFrame with machine, domain, threshold and the values of
    :func:`asdlib.metrics.error_counts`; no rows without labelled clips.
    """
    rows = []
    for place, clips in metrics.labelled(own.clips).groupby(["machine", "domain", "threshold"]):
        counts = metrics.error_counts(clips["decision"].tolist(), clips["label"].tolist())
        rows.append(dict(zip(("machine", "domain", "threshold"), place, strict=True)) | counts)
    return pd.DataFrame(rows)


def write_tables(results: Results, quantile: float, folder: Path) -> list[str]:
    """Write the tables of a study, and say what they hold.

    Parameters
    ----------
    results : of :func:`asdlib.compare.statistics.results`.
    quantile : see :func:`apply`.

    Returns
    -------
    Lines to print: Omega of the ensembles, alarms by system and machine, what is missing, and the
    files ``scores.parquet``, ``omega.csv``, ``ensembles.csv`` and ``decisions.csv``.
    """
    tables = {"scores.parquet": results.table, "omega.csv": results.per_seed}
    tables |= {"ensembles.csv": results.ensembles}
    tables = {name: own[own["scorer"] != statistics.FUSED] for name, own in tables.items()}
    decided = decisions(apply_all(results, quantile)).drop(columns=["split", "domain", "label"])
    tables["decisions.csv"] = decided
    lines = []
    if tables["ensembles.csv"]["omega"].notna().any():
        lines.append(tables["ensembles.csv"].to_string(index=False))
    for (system, machine), clips in decided.groupby(["system", "machine"], sort=False):
        alarms, limit = int(clips["decision"].sum()), clips["threshold"].iloc[0]
        lines.append(f"{system} {machine}: {alarms} of {len(clips)} test clips above {limit:.3f}")
    lines += filter(None, (system.missing_reason(results.per_seed) for system in SYSTEMS))
    for name, table in tables.items():
        store.write(table, folder / name)
        lines.append(str(folder / name))
    return lines
