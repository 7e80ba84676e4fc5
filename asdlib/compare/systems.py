"""Systems: which scores make up a row of the ladder, or one of the four submissions.

Everything here combines scores of the same clip, through the guard, or reads development labels
through :mod:`asdlib.metrics`. Notebooks: 03_seed_study, 05_submission.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib import metrics, study
from asdlib.compare import bootstrap
from asdlib.guard import PerClip
from asdlib.noise import Floors
from asdlib.study.recordings import Recordings

_BEST_MODELS = 10  # of the selected ensemble, S4


@dataclass(frozen=True)
class System:
    """One of the four submitted systems (report section 4.2).

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
        """Rows of :func:`summary` that belong to this system's models."""
        return per_seed[
            per_seed["front_end"].isin(self.front_ends)
            & (per_seed["scorer"] == self.scorer)
            & (per_seed["seed"] != "ensemble")
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
        """Front-end and seed of every model in the ensemble; none where it cannot be chosen.

        Parameters
        ----------
        per_seed : from :func:`summary`; only a selected ensemble reads its Omega.
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
BASELINE = System("MAHALA", "official baseline", (study.BASELINE,), "mahala")


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


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Omega of every system, per seed and of the ensemble over seeds.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.

    Returns
    -------
    DataFrame with one row per front_end, scorer and seed (a number, or "ensemble"), and the
    columns omega, auc_source, auc_target, pauc (means over machines); NaN where the labels
    do not allow a value.
    """
    names = ["front_end", "scorer", "seed"]
    values = ["omega", "auc_source", "auc_target", "pauc"]
    rows = []
    test = table[table["split"] == "test"]
    for (front_end, scorer), scores in test.groupby(["front_end", "scorer"], sort=False):
        whole = ensemble(scores)
        for seed, group in [*scores.groupby("seed", sort=False), ("ensemble", whole)]:
            rows.append([front_end, scorer, seed, *_official(group)])
    return pd.DataFrame(rows, columns=names + values)


def per_machine(table: pd.DataFrame, machine: str) -> pd.DataFrame:
    """As :func:`summary`, for one machine alone."""
    return summary(table[table["machine"] == machine])


def _official(scores: pd.DataFrame) -> list[float]:
    known = scores[scores["label"] != "unknown"]
    if known.empty:
        return [np.nan] * 4
    machines = metrics.evaluate(known)
    means = machines[["auc_source", "auc_target", "pauc"]].mean(skipna=False)
    return [metrics.omega(machines), *means]


def seed_values(per_seed: pd.DataFrame, front_end: str, scorer: str, value: str = "omega"):
    """One system's values by seed, for paired tests.

    Returns
    -------
    Series indexed by seed.
    """
    rows = per_seed[
        (per_seed["front_end"] == front_end)
        & (per_seed["scorer"] == scorer)
        & (per_seed["seed"] != "ensemble")
    ]
    return rows.set_index("seed")[value].astype(float)


def seed_difference(
    per_seed: pd.DataFrame, system: tuple[str, str], base: pd.DataFrame, against: tuple[str, str]
) -> dict[str, float]:
    """Paired per-seed difference of Omega between systems of two studies."""
    return metrics.paired_difference(seed_values(per_seed, *system), seed_values(base, *against))


def row(per_seed: pd.DataFrame, front_end: str, scorer: str = "eq1") -> dict[str, float]:
    """Mean and sample standard deviation of per-seed Omega, and the ensemble's Omega."""
    single = seed_values(per_seed, front_end, scorer)
    whole = per_seed[
        (per_seed["front_end"] == front_end)
        & (per_seed["scorer"] == scorer)
        & (per_seed["seed"] == "ensemble")
    ]["omega"]
    return {
        "mean": single.mean(),
        "std": single.std(ddof=1),
        "ensemble": float(whole.iloc[0]) if len(whole) else np.nan,
    }


def ladder(per_seed: pd.DataFrame, reported: Sequence[dict]) -> pd.DataFrame:
    """Measured rows beside the report's: every entry of ``reported`` names a front-end and scorer.

    Parameters
    ----------
    reported : mappings with system, front_end, scorer and the report's mean, std, ensemble.

    Returns
    -------
    DataFrame with system, the measured mean, std and ensemble, and the reported ones.
    """
    rows = []
    for entry in reported:
        measured = row(per_seed, entry.get("front_end", ""), entry.get("scorer", "eq1"))
        rows.append(
            {"system": entry["system"], **measured}
            | {f"reported {k}": entry.get(k, np.nan) for k in ("mean", "std", "ensemble")}
        )
    return pd.DataFrame(rows)


def paired(
    per_seed: pd.DataFrame, pairs: Sequence[tuple[tuple, tuple]], table: pd.DataFrame
) -> pd.DataFrame:
    """Paired differences of Omega between systems given as (front_end, scorer).

    Parameters
    ----------
    table : of :func:`asdlib.study.run`, for the bootstrap over clips and seeds.

    Returns
    -------
    DataFrame with system and against (both (front_end, scorer)), the values of
    :func:`asdlib.metrics.paired_difference`, p_holm (p_t, corrected for the number of rows), and
    low and high of the 95 % bootstrap interval; pairs that were not computed are left out.
    """
    rows = []
    for left, right in pairs:
        a, b = seed_values(per_seed, *left), seed_values(per_seed, *right)
        if len(a) and len(b):
            rows.append({"system": left, "against": right, **metrics.paired_difference(a, b)})
    names = ["system", "against", "mean", "std", "n", "p_t", "p_wilcoxon"]
    found = pd.DataFrame(rows, columns=names)
    found["p_holm"] = metrics.holm(found["p_t"].to_numpy(float))
    found["low"], found["high"] = np.nan, np.nan
    if found["mean"].notna().any():
        labelled = table[(table["split"] == "test") & (table["label"] != "unknown")]
        groups = dict(iter(labelled.groupby(["front_end", "scorer"])))
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
    members : front-end and seed of every model; empty where they cannot be chosen.
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
        known = self.clips[(self.clips["split"] == "test") & (self.clips["label"] != "unknown")]
        return metrics.evaluate(known) if len(known) else None


Results = Mapping[str, Applied]
"""Systems by name."""


def apply(system: System, table: pd.DataFrame, per_seed: pd.DataFrame, quantile: float) -> Applied:
    """Score every machine with a system, through the guard."""
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
    """Apply each of the four systems."""
    return {system.name: apply(system, table, per_seed, quantile) for system in SYSTEMS}


def per_machine_table(results: Results) -> pd.DataFrame:
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


def verdicts(results: Results) -> pd.DataFrame:
    """Score, threshold and decision of every test clip by every system, for reading on.

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


def decisions(results: Results, recordings: Recordings, system: str = "S1") -> pd.DataFrame:
    """False alarms, misses and F1 of one system on labelled test clips, per machine and domain.

    Returns
    -------
    DataFrame with machine, domain, threshold and the values of
    :func:`asdlib.metrics.error_counts`; no rows without labelled clips.
    """
    rows = []
    for machine, scored in results[system].scored.items():
        test = recordings.clips(machine, "test").set_index("name")
        decided = pd.Series({name: int(value) for name, value in scored.decisions.items()})
        for domain, clips in test[test["label"] != "unknown"].groupby("domain"):
            counts = metrics.error_counts(decided[clips.index].tolist(), clips["label"].tolist())
            rows.append(
                {"machine": machine, "domain": domain, "threshold": scored.threshold, **counts}
            )
    return pd.DataFrame(rows)


def choice(table: pd.DataFrame, floors: Mapping[str, Floors]) -> pd.DataFrame:
    """Median G_m, AdaSub and CohGate per machine, and the label oracle that picks the better.

    All values are Omega of the ensembles over seeds; the last row is over all machines. The oracle
    reads test labels: it is a bound, not a system.
    """
    names = {"adasub": "AdaSub", "cohgate": "CohGate"}
    table = table[(table["scorer"] == "eq1") & table["front_end"].isin(names)]
    rows, best = [], []
    for machine, own in table.groupby("machine"):
        if own.loc[own["split"] == "test", "label"].eq("unknown").all():
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
    per_seed = summary(table)
    return per_seed[per_seed["seed"] == "ensemble"].set_index("front_end")["omega"]


def steps(per_seed: pd.DataFrame, front_end: str, scorers: Sequence[str]) -> pd.DataFrame:
    """Re-scorings of one front-end beside its first: parts of the score and paired differences.

    Returns
    -------
    DataFrame with scorer; auc_source, auc_target, pauc (means over machines) and omega of the
    ensemble; mean and std of per-seed Omega; difference, difference_std and p_t, paired by seed
    against the first scorer. Scorers that were not computed are left out; no rows without the
    first.
    """
    rows: list[dict] = []
    computed = set(per_seed.loc[per_seed["front_end"] == front_end, "scorer"])
    for scorer in scorers if scorers[0] in computed else ():
        own = per_seed[(per_seed["front_end"] == front_end) & (per_seed["scorer"] == scorer)]
        if own.empty:
            continue
        whole = own[own["seed"] == "ensemble"].iloc[0]
        measured = row(per_seed, front_end, scorer)
        against = metrics.paired_difference(
            seed_values(per_seed, front_end, scorer), seed_values(per_seed, front_end, scorers[0])
        )
        rows.append(
            {
                "scorer": scorer,
                **{name: whole[name] for name in ("auc_source", "auc_target", "pauc", "omega")},
                "mean": measured["mean"],
                "std": measured["std"],
                "difference": against["mean"],
                "difference_std": against["std"],
                "p_t": against["p_t"],
            }
        )
    return pd.DataFrame(rows)
