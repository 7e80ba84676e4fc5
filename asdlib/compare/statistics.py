"""Omega over seeds and clips: ensembles, resamples, paired differences, and the verdict.

A study has one set of :class:`Results`, which every chapter reads. Seed 3 of one system and seed 3
of another share their initialisation and the order of the clips, so systems are compared seed by
seed. Resamples stand beside the official score and never change it.
Notebooks: 04_seed_study, 06_rescoring, 07_negative_results.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from asdlib import metrics, study
from asdlib.clipstats import S5, VIEWS
from asdlib.compare import bootstrap
from asdlib.guard import PerClip
from asdlib.io import store
from asdlib.io.files import content_digest, digest, resolve
from asdlib.params import Params
from asdlib.study.recordings import Recordings

FUSED = "fused"
"""Scorer of a system that joins several views, in a table of scores."""

_LEVEL = 0.05  # of the p value below which a difference over seeds counts
_MODEL = ["front_end", "scorer", "seed"]
_VALUES = ["omega", "auc_source", "auc_target", "pauc"]  # of a summary

System = tuple[str, str]
"""Front-end and scorer."""


def guarded_ensemble(scores: Mapping[Any, PerClip], fusion: str = "mean") -> PerClip:
    """Join guarded scores of the same clips by several models.

    Parameters
    ----------
    scores : by model (front-end, scorer, seed), in the order of their names.
    fusion : "mean" over all models, or the "maximum" over views of their mean over seeds.
    """
    if fusion == "mean":
        return PerClip.combine(list(scores.values()))
    views: dict[System, list[PerClip]] = {}
    for (front_end, scorer, _), own in scores.items():
        views.setdefault((front_end, scorer), []).append(own)
    return PerClip.maximum([PerClip.combine(own) for own in views.values()])


def ensemble(table: pd.DataFrame, fusion: str = "mean") -> pd.DataFrame:
    """Join the scores of several models, clip by clip, machine by machine.

    Models are added in the order of their names, so that the same models give the same bytes.

    Parameters
    ----------
    table : rows of :func:`asdlib.study.run`; every front-end, scorer and seed is a model.
    fusion : see :func:`guarded_ensemble`.

    Returns
    -------
    DataFrame with the columns machine, split, domain, label, name, score.
    """
    parts = []
    for _, rows in table.groupby("machine", sort=False):
        models: dict[Any, pd.DataFrame] = {
            model: own.sort_values("name") for model, own in rows.groupby(_MODEL)
        }
        scores = {model: PerClip(own["score"], own["name"]) for model, own in models.items()}
        clips = next(iter(models.values()))[["machine", "split", "domain", "label", "name"]]
        joined = guarded_ensemble(scores, fusion)
        parts.append(clips.assign(score=[value for _, value in joined.items()]))
    return pd.concat(parts, ignore_index=True)


def ensemble_by_seed(
    table: pd.DataFrame, views: Collection[System], name: str, fusion: str = "mean"
) -> pd.DataFrame:
    """Join views of a study seed by seed, as rows of one more system.

    A view without seeds is joined to every seed of the others.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`, with these views.
    name : of the system, in the column front_end; the scorer is :data:`FUSED`.
    fusion : see :func:`guarded_ensemble`.

    Returns
    -------
    DataFrame with the columns of ``table``.
    """
    own = table[among(table, views)]
    untrained = own["scorer"].isin(VIEWS)
    seeds = own.loc[untrained if untrained.all() else ~untrained, "seed"]
    parts = []
    for seed in sorted(seeds.unique()):
        joined = ensemble(own[own["seed"].eq(seed) | untrained], fusion)
        parts.append(joined.assign(front_end=name, scorer=FUSED, seed=seed))
    return pd.concat(parts, ignore_index=True)[list(table.columns)]


def among(table: pd.DataFrame, models: Iterable[tuple]) -> Bool[np.ndarray, " row"]:
    """Which rows belong to one of these (front-end, scorer), or (front-end, scorer, seed)."""
    wanted = list(models)
    columns = _MODEL[: len(wanted[0])] if wanted else _MODEL
    return np.asarray(pd.MultiIndex.from_frame(table[columns]).isin(wanted))


class Results:
    """Omega of every system of a table of scores, over seeds and over resampled clips.

    Everything is computed when it is first asked for.

    Parameters
    ----------
    table : rows as of :func:`asdlib.study.run`, of any systems on the same clips.
    folder : where to keep what was computed; nothing is kept by default.
    """

    def __init__(self, table: pd.DataFrame, folder: Path | None = None):
        self.table, self._folder = table, folder
        self._draws: dict[System, np.ndarray] = {}

    @cached_property
    def per_seed(self) -> pd.DataFrame:
        """Columns front_end, scorer, seed, omega, auc_source, auc_target, pauc.

        Omega is that of the test clips, the others are means over machines; NaN where the labels do
        not allow a value.
        """
        return self._summary(_MODEL)

    @cached_property
    def ensembles(self) -> pd.DataFrame:
        """As ``per_seed``, of the ensemble over seeds: one row per front_end and scorer."""
        return self._summary(_MODEL[:2])

    def _summary(self, keys: list[str]) -> pd.DataFrame:
        def make() -> pd.DataFrame:
            rows = []
            test = self.table[self.table["split"] == "test"]
            for key, own in test.groupby(keys, sort=False):
                known = metrics.labelled(own if "seed" in keys else ensemble(own))
                values = [np.nan] * len(_VALUES)
                if len(known):
                    machines = metrics.evaluate(known)
                    values = [metrics.omega(machines), *machines[_VALUES[1:]].mean(skipna=False)]
                rows.append([*key, *values])
            return pd.DataFrame(rows, columns=[*keys, *_VALUES])

        file = self._file("-".join(keys))
        return store.made(file, make) if file else make()

    def omegas(self, front_end: str, scorer: str) -> pd.Series:
        """Omega of one system by seed; empty where it was not run."""
        rows = self.per_seed[among(self.per_seed, [(front_end, scorer)])]
        return rows.set_index("seed")["omega"].astype(float)

    def row(self, front_end: str, scorer: str) -> dict[str, float]:
        """Mean and sample standard deviation of per-seed Omega, and the ensemble's Omega."""
        omegas = self.omegas(front_end, scorer)
        whole = self.ensembles.loc[among(self.ensembles, [(front_end, scorer)]), "omega"]
        found = float(whole.iloc[0]) if len(whole) else np.nan
        return {"mean": omegas.mean(), "std": omegas.std(ddof=1), "ensemble": found}

    def draws(self, systems: Iterable[System]) -> dict[System, np.ndarray]:
        """Omega of every system, mean over seeds, on the same resampled clips and seeds.

        They do not depend on which systems are asked for.
        """
        wanted = list(dict.fromkeys(systems))
        file = self._file("resamples") if set(wanted) - self._draws.keys() else None
        stored = store.load(file) if file else None
        if stored is not None:
            self._draws |= {tuple(name.split("/")): own.to_numpy() for name, own in stored.items()}
        missing = [system for system in wanted if system not in self._draws]
        if missing:
            known = metrics.labelled(self.table)
            groups = dict(iter(known[among(known, missing)].groupby(_MODEL[:2])))
            found = bootstrap.omega_resamples(
                [groups[system] for system in missing],
                seeds=int(known.groupby(_MODEL[:2])["seed"].nunique().max()),
                generator=np.random.default_rng(0),
            )
            self._draws |= dict(zip(missing, found, strict=True))
            if file:
                store.save(pd.DataFrame({"/".join(s): v for s, v in self._draws.items()}), file)
        return {system: self._draws[system] for system in wanted}

    @cached_property
    def _key(self) -> str:
        """Names the content of the table, and the code that reads it."""
        test = self.table[self.table["split"] == "test"]
        content = content_digest(pd.util.hash_pandas_object(test, index=False).to_numpy().tobytes())
        return digest([store.code("compare.statistics"), content])

    def _file(self, what: str) -> Path | None:
        return self._folder / f"{what}.{self._key}.parquet" if self._folder else None

    def intervals(self, systems: Sequence[System]) -> list[tuple[float, float]]:
        """95 % bootstrap interval of each mean Omega; NaN where a system has none."""
        draws = self.draws(s for s in systems if self.omegas(*s).notna().any())
        return [bootstrap.interval(draws[s]) if s in draws else (np.nan, np.nan) for s in systems]

    def paired(self, pairs: Iterable[tuple[System, System]]) -> pd.DataFrame:
        """Paired differences of Omega between systems, each and the one it is compared with.

        Returns
        -------
        DataFrame with system and against (both (front_end, scorer)), the values of
        :func:`asdlib.metrics.paired_difference`, seedless (neither was trained), p_holm (p_t,
        corrected for the number of rows), low and high of the 95 % bootstrap interval, and the
        verdict. A row per pair: n is 0, the values are NaN and the verdict is "" where one of the
        two was not run, or both are the same.
        """
        rows = []
        for pair in pairs:
            a, b = (self.omegas(*system) for system in pair)
            if len(a) == 0 or len(b) == 0 or pair[0] == pair[1]:
                a, b = a[:0], b[:0]
            untrained = all(scorer in {*VIEWS, FUSED} for _, scorer in pair)
            seedless = untrained and len(a) == len(b) == 1
            values = metrics.paired_difference(_for_all_seeds(a, b), _for_all_seeds(b, a))
            rows.append({"system": pair[0], "against": pair[1], **values, "seedless": seedless})
        names = ["system", "against", "mean", "std", "n", "p_t", "p_wilcoxon", "seedless"]
        found = pd.DataFrame(rows, columns=names)
        found["p_holm"] = metrics.holm(found["p_t"].to_numpy(float))
        found[["low", "high"]] = np.nan
        known = found[found["mean"].notna()]
        draws = self.draws([*known["system"], *known["against"]])
        for row, own, other in zip(known.index, known["system"], known["against"], strict=True):
            low, high = bootstrap.interval(draws[own] - draws[other])
            found.loc[row, "low"], found.loc[row, "high"] = low, high
        verdicts = pd.Series([verdict(own) for own in found.to_dict("records")], dtype=object)
        return found.assign(verdict=verdicts.where(found["n"] > 0, ""))


def results(params: Params, recordings: Recordings, *, progress: bool = False) -> Results:
    """Results of a study, and of the submission without training, S5, where it can be formed."""
    table = study.run(params, recordings=recordings, progress=progress)
    return of_table(params, with_untrained(table))


def of_table(params: Params, table: pd.DataFrame) -> Results:
    """Results of a table that are computed once, and kept beside the study's files."""
    return Results(table, resolve(params.results) / "statistics")


def with_untrained(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a study, and those of S5 where all of its views were run."""
    if not set(S5) <= set(zip(table["front_end"], table["scorer"], strict=True)):
        return table
    return pd.concat([table, ensemble_by_seed(table, S5, "S5")], ignore_index=True)


def _for_all_seeds(values: pd.Series, others: pd.Series) -> pd.Series:
    """A detector without training is the same for every seed of another system."""
    if len(values) != 1 or len(others) < 2:
        return values
    return pd.Series(values.iloc[0], index=others.index)


def verdict(difference: Mapping[Any, Any]) -> str:
    """Verdict on a paired difference, by one rule everywhere.

    A system helps or harms where the p value over seeds is below 0.05 and the bootstrap interval
    over clips and seeds does not hold zero. Between two systems without seeds, the interval
    decides. All else is no robust difference. A pair is judged alone, so that its verdict is the
    same in every table.

    Parameters
    ----------
    difference : mean, seedless, p_t, low and high, as in a row of :meth:`Results.paired`.

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
