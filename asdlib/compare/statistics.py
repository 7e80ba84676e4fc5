"""Omega over seeds and clips: ensembles, resamples, paired differences, and the verdict.

A study has one set of :class:`Results`, which every chapter reads. Seed 3 of one system and seed 3
of another share their initialisation and the order of the clips, so systems are compared seed by
seed. Resamples stand beside the official score and never change it.
Notebooks: 02_seed_study, 05_variants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property, partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from asdlib import metrics, study
from asdlib.calibration import surprise
from asdlib.clipstats import S5, S5_FUSION, VIEWS
from asdlib.compare.bootstrap import interval, omega_resamples
from asdlib.guard import PerClip
from asdlib.io import store
from asdlib.io.files import content_digest, digest, resolve
from asdlib.params import AsdError, Params
from asdlib.study.recordings import Recordings
from asdlib.study.runs import stacked
from asdlib.study.scores import grouped

FUSED = "fused"
"""Scorer of a system that joins several views, in a table of scores."""

_LEVEL = 0.05  # of the p value below which a difference over seeds counts
PARTS = ["auc_source", "auc_target", "pauc"]
"""Of Omega."""
_MODEL = ["front_end", "scorer", "seed"]
CLIP = ["machine", "name", "split", "domain", "label"]
_PAIRED = [
    *("system", "against", "mean", "std", "n", "p_t", "p_wilcoxon", "seedless"),
    *("low", "high", "verdict"),
]

ALL = "all"
"""Condition of clips of which no condition is known."""

System = tuple[str, str]
"""Front-end and scorer."""


def guarded_ensemble(scores: Mapping[Any, PerClip], fusion: str = "mean") -> PerClip:
    """Join guarded scores of the same clips by several models.

    Parameters
    ----------
    scores : by model (front-end, scorer, seed), in the order of their names.
    fusion : "mean" over all models; or, of the means over seeds of the views, the "maximum" or
        the sum by Fisher's method ("fisher"), see :func:`asdlib.calibration.surprise`.
    """
    if fusion == "mean":
        return PerClip.combine(list(scores.values()))
    views = grouped(scores, lambda model: model[:2])
    means = [PerClip.combine([scores[model] for model in own]) for own in views.values()]
    return PerClip.maximum(means) if fusion == "maximum" else reduce(add, map(surprise, means))


def ensemble(table: pd.DataFrame, fusion: str = "mean") -> pd.DataFrame:
    """Join the scores of several models, clip by clip.

    Models are added in the order of their names, so that the same models give the same bytes.

    Parameters
    ----------
    table : rows of :func:`asdlib.study.run`, or of :func:`asdlib.study.by_condition`; every
        front-end, scorer and seed is a model.
    fusion : see :func:`guarded_ensemble`.

    Returns
    -------
    DataFrame with the columns machine, name, split, domain, label, condition where there is one,
    and score; sorted by machine and name.
    """
    clip = [name for name in (*CLIP, "condition") if name in table]
    models = table.pivot(index=clip, columns=_MODEL, values="score")
    scores = {m: PerClip(models[m], models.index) for m in sorted(models.columns.tolist())}
    joined = guarded_ensemble(scores, fusion)
    return models.index.to_frame(index=False).assign(score=[value for _, value in joined.items()])


def fused(
    table: pd.DataFrame, views: Iterable[System], name: str, fusion: str = "mean"
) -> pd.DataFrame:
    """Join views of a study, as rows of one more system.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`, with these views.
    name : of the system, in the column front_end; the scorer is :data:`FUSED`, the seed 0.
    fusion : see :func:`guarded_ensemble`.

    Returns
    -------
    DataFrame with the columns of ``table``.
    """
    joined = ensemble(table[among(table, views)], fusion)
    return joined.assign(front_end=name, scorer=FUSED, seed=np.int16(0))[list(table)]


def among(table: pd.DataFrame, models: Iterable[tuple]) -> Bool[np.ndarray, " row"]:
    """Which rows belong to one of these (front-end, scorer), or (front-end, scorer, seed)."""
    found = np.zeros(len(table), bool)
    for model in models:
        parts = [table[name] == value for name, value in zip(_MODEL, model, strict=False)]
        found |= np.logical_and.reduce(parts)
    return found


def systems_of(table: pd.DataFrame) -> set[System]:
    """Front-ends and scorers that a table has rows of."""
    return set(table.groupby(_MODEL[:2], observed=True).size().index)


class Results:
    """Omega of every system of a table of scores, over seeds and over resampled clips.

    Everything is computed when it is first asked for. The test clips' rows (``test``) are those of
    the table, and of the submission without training, S5, where its views were run.

    Parameters
    ----------
    table : rows as of :func:`asdlib.study.run`, of any systems on the same clips.
    folder : where to keep what was computed; nothing is kept by default.
    by_condition : gives what :func:`asdlib.study.by_condition` does, once it is asked for; by
        default all clips of a machine are of one condition.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        folder: Path | None = None,
        by_condition: Callable[[], pd.DataFrame] | None = None,
    ):
        self.table, self._folder = table, folder
        self.by_condition = by_condition and cache(by_condition)
        self.test = with_untrained(table[table["split"] == "test"].reset_index(drop=True))
        self._found: dict[str, pd.DataFrame] = {}

    @property
    def per_seed(self) -> pd.DataFrame:
        """Columns front_end, scorer, seed, omega, auc_source, auc_target, pauc.

        Omega is that of the test clips, the others are means over machines; NaN where the labels do
        not allow a value.
        """
        return self._summary(_MODEL)

    @property
    def ensembles(self) -> pd.DataFrame:
        """As ``per_seed``, of the ensemble over seeds: one row per front_end and scorer."""
        return self._summary(_MODEL[:2])

    def _summary(self, keys: list[str]) -> pd.DataFrame:
        def make() -> pd.DataFrame:
            rows = []
            for key, own in self.test.groupby(keys, sort=False):
                machines = metrics.evaluate(own if "seed" in keys else ensemble(own))
                rows.append([*key, metrics.omega(machines), *machines[PARTS].mean(skipna=False)])
            return pd.DataFrame(rows, columns=[*keys, "omega", *PARTS])

        return self._made("-".join(keys), make)

    def omegas(self, front_end: str, scorer: str) -> pd.Series:
        """Omega of one system by seed; empty where it was not run."""
        rows = self.per_seed[among(self.per_seed, [(front_end, scorer)])]
        return rows.set_index("seed")["omega"].astype(float)

    def summary(self, systems: Iterable[System]) -> pd.DataFrame:
        """Values of some systems, a row each; NaN where one was not run.

        Returns
        -------
        DataFrame with front_end, scorer, mean and std (sample) of per-seed Omega, and of the
        ensemble over seeds its Omega (``ensemble``), auc_source, auc_target and pauc.
        """
        keys = _MODEL[:2]
        over_seeds = self.per_seed.groupby(keys)["omega"].agg(["mean", "std"])
        whole = self.ensembles.set_index(keys).rename(columns={"omega": "ensemble"})
        asked = pd.MultiIndex.from_tuples(systems, names=keys)
        return over_seeds.join(whole).reindex(asked).reset_index()

    def draws(self, systems: Iterable[System]) -> dict[System, Float[np.ndarray, " resample"]]:
        """Omega of systems with known Omega, mean over seeds, on resampled clips and seeds.

        All systems get the same draws, so that their differences are paired. Those of which nothing
        is kept are resampled at once.

        Raises
        ------
        AsdError
            If a system has other clips or seeds than the others.
        """
        names = {system: f"resamples-{'-'.join(system)}" for system in systems}
        if lacking := [system for system, name in names.items() if not self._at_hand(name)]:
            known, tables = metrics.labelled(self.test), []
            seeds = int(known.groupby(_MODEL[:2], observed=True)["seed"].nunique().max())
            clips = known.groupby(["machine", "name"], observed=True).ngroups
            for system in lacking:
                tables.append(own := known[among(known, [system])])
                ran = own["seed"].nunique()
                if ran not in (1, seeds) or len(own) != clips * ran:
                    raise AsdError(
                        f"{' '.join(system)}: a paired bootstrap needs the same clips and the same "
                        "seeds in all systems."
                    )
            every = omega_resamples(tables, seeds, generator=np.random.default_rng(0))
            for system, omegas in zip(lacking, every, strict=True):
                self._made(names[system], partial(pd.DataFrame, {"omega": omegas}))
        return {system: self._found[name]["omega"].to_numpy() for system, name in names.items()}

    def _made(self, what: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Compute a table once, or read it where it was kept."""
        if what not in self._found:
            file = self._file(what)
            self._found[what] = store.made(file, make) if file else make()
        return self._found[what]

    def _at_hand(self, what: str) -> bool:
        """Read a table that was kept; whether there is one."""
        file = self._file(what)
        if what not in self._found and file and (kept := store.load(file)) is not None:
            self._found[what] = kept
        return what in self._found

    def _file(self, what: str) -> Path | None:
        return self._folder and self._folder / f"{what}.{self._key}.parquet"

    @cached_property
    def _key(self) -> str:
        """Names the content of the table, and the code that reads it."""
        rows = pd.util.hash_pandas_object(self.test, index=False).to_numpy()
        return digest([store.code("compare.statistics"), content_digest(rows.tobytes())])

    def intervals(self, systems: Iterable[System]) -> list[tuple[float, float]]:
        """95 % bootstrap interval of each mean Omega; NaN where a system has none."""
        systems = list(systems)
        draws = self.draws(own for own in systems if self.omegas(*own).notna().any())
        return [interval(draws[own]) if own in draws else (np.nan, np.nan) for own in systems]

    def paired(self, pairs: Iterable[tuple[System, System]]) -> pd.DataFrame:
        """Paired differences of Omega between systems, each and the one it is compared with.

        Returns
        -------
        DataFrame with system and against (both (front_end, scorer)), the values of
        :func:`asdlib.metrics.paired_difference`, seedless (neither was trained), low and high of
        the 95 % bootstrap interval, the verdict, and p_holm (p_t, corrected for the number of
        rows). A row per pair: n is 0, the values are NaN and the verdict is "" where one of the two
        was not run, or both are the same.
        """
        rows = []
        for system, against in pairs:
            a, b = self.omegas(*system), self.omegas(*against)
            untrained = {system[1], against[1]} <= {*VIEWS, FUSED}
            row: dict[str, Any] = {"system": system, "against": against}
            row["seedless"] = untrained and len(a) == len(b) == 1
            seeds = max(a.index, b.index, key=len)  # one without training is the same for each
            a, b = (own if len(own) != 1 else pd.Series(own.item(), seeds) for own in (a, b))
            row |= metrics.paired_difference(a[:0] if system == against else a, b)
            rows.append(row | {"low": np.nan, "high": np.nan})
        known = [row for row in rows if not np.isnan(row["mean"])]
        draws = self.draws(row[side] for row in known for side in ("system", "against"))
        for row in known:
            row["low"], row["high"] = interval(draws[row["system"]] - draws[row["against"]])
        for row in rows:
            row["verdict"] = verdict(row) if row["n"] else ""
        found = pd.DataFrame(rows, columns=_PAIRED)
        return found.assign(p_holm=metrics.holm(found["p_t"].to_numpy(float)))


def results(params: Params, recordings: Recordings, *, progress: bool = False) -> Results:
    """Results of a study."""
    table = study.run(params, recordings=recordings, progress=progress)
    return of_table(params, table, partial(study.by_condition, params, recordings, S5))


def of_table(
    params: Params, table: pd.DataFrame, by_condition: Callable[[], pd.DataFrame] | None = None
) -> Results:
    """Results of a table that are computed once, and kept beside the study's files."""
    return Results(table, resolve(params.results) / "statistics", by_condition)


def with_untrained(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a study, and those of S5 where all of its views were run."""
    run = systems_of(table)
    if not set(S5) <= run or ("S5", FUSED) in run:
        return table
    return stacked([table, fused(table, S5, "S5", S5_FUSION)])


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
    >>> loss = {"mean": -0.025, "p_t": 0.041, "low": -0.046, "high": -0.008, "seedless": False}
    >>> verdict(loss), verdict({**loss, "p_t": 0.2})
    ('harms', 'no robust difference')
    """
    if np.isnan(difference["mean"]):
        return "Ω cannot be computed from these labels"
    by_clips = difference["low"] > 0 or difference["high"] < 0
    by_seeds = difference["seedless"] or difference["p_t"] < _LEVEL
    if not (by_clips and by_seeds):
        return "no robust difference"
    return "helps" if difference["mean"] > 0 else "harms"
