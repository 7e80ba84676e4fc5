"""A study from its recordings to one table of scores, with its variants.

Notebooks: 04_seed_study, 07_negative_results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from asdlib import frontends
from asdlib.clipstats import VIEWS
from asdlib.guard import PerClip
from asdlib.io import store
from asdlib.io.files import read_bytes, resolve
from asdlib.noise import Floors
from asdlib.params import Params, load
from asdlib.runtime.process import bar as progress_bar
from asdlib.study import (
    baseline,
    cluster,
    detectors,
    exposure,
    scores,
    stages,
    variants,
    views,
    walk,
)
from asdlib.study.recordings import Recordings, open_recordings
from asdlib.study.stages import Task
from asdlib.study.views import View

Model = tuple[str, str, int]
"""Front-end, scorer and seed."""

_CLIP = ["machine", "name", "split", "domain", "label"]


def tasks(params: Params, recordings: Recordings) -> list[Task]:
    """Every machine with the baseline, if asked for, and every front-end that has to be trained."""
    detectors.check(params)
    found, params = [], detectors.trained(params)
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        if params.baseline:
            found.append(Task(baseline.official(params), clips, "near", baseline.NAME))
        names = frontends.trained_front_ends(params.front_ends) if params.scorers else []
        found += [Task(params, clips, name) for name in names]
    return found


def all_views(params: Params, recordings: Recordings) -> list[View]:
    """Every machine with every front-end and scorer that needs no training."""
    return [
        View(params, recordings.clips(machine), front_end, scorer)
        for machine in recordings.machines
        for front_end, scorer in detectors.wanted(params)
    ]


def run(
    params: Params | Mapping[str, Any] | str | Path,
    *,
    progress: bool = False,
    recordings: Recordings | None = None,
) -> pd.DataFrame:
    """Compute what is missing and read everything back as one table.

    Parameters
    ----------
    params : parameters, a mapping, or the path of a parameter file.
    progress : show a bar with what is running and what is left.
    recordings : the checked recordings, where they are at hand.

    Returns
    -------
    DataFrame with the columns machine, front_end, scorer, seed, split, domain, label, name,
    score: the standardised score z of every clip. Detectors without training have one row per clip,
    of seed 0; the scores of their training clips are held out. Combinations such as ``combo`` are
    means of their parts' scores, clip by clip and seed by seed.

    Raises
    ------
    AsdError
        For bad parameters or recordings, before any training.
    """
    params = load(params)
    recordings = recordings or open_recordings(params, progress=progress)
    _compute([params], recordings, progress)
    return _table(params, recordings, tasks(params, recordings), all_views(params, recordings))


def read(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Read the scores that exist already, with the columns of :func:`run`; compute nothing.

    Returns
    -------
    Rows of the front-ends and scorers that every machine has; no rows where nothing is done.
    """
    own = [task for task in tasks(params, recordings) if scores.done(task)]
    seen = [view for view in all_views(params, recordings) if views.scores_file(view).exists()]
    if not (own or seen):
        return pd.DataFrame(columns=views.COLUMNS)
    table = _table(params, recordings, own, seen)
    machines = table.groupby(["front_end", "scorer"])["machine"].transform("nunique")
    return table[machines == len(recordings.machines)]


def everything(params: Params, recordings: Recordings, *, progress: bool = False) -> pd.DataFrame:
    """Compute all that the report needs: the study, its variants, the encoder's scores.

    Returns
    -------
    DataFrame of the study itself, as of :func:`run`.
    """
    exposure.check(params)
    studies = [params, *variants.studies(params)]
    _compute(studies, recordings, progress)
    table, *_ = [run(own, recordings=recordings) for own in studies]  # reads back
    exposure.scores(params, recordings, progress=progress)
    return table


@dataclass(frozen=True)
class Missing:
    """What is left to compute of some studies, each table once."""

    tasks: list[Task]
    views: list[View]

    @classmethod
    def of(cls, studies: Iterable[Params], recordings: Recordings) -> Missing:
        """Look for the files of some studies."""
        of_files: dict[tuple[Path, ...], Task] = {}
        of_file: dict[Path, View] = {}
        for params in studies:
            of_files |= {tuple(scores.files(task)): task for task in tasks(params, recordings)}
            of_file |= {views.scores_file(view): view for view in all_views(params, recordings)}
        return cls(
            [task for task in of_files.values() if not scores.done(task)],
            [view for file, view in of_file.items() if not file.exists()],
        )

    def of_machine(self, name: str) -> Missing:
        """What is left of one machine."""
        return Missing(
            [task for task in self.tasks if task.machine == name],
            [view for view in self.views if view.machine == name],
        )

    @property
    def untrained(self) -> list[Task]:
        """One task of each model that is to be trained."""
        of_folder = {stages.model_folder(task): task for task in self.tasks}
        return [task for task in of_folder.values() if not stages.trained(task)]

    @property
    def tables(self) -> int:
        """Number of tables of scores."""
        return len(self.tasks) + len(self.views)

    @property
    def steps(self) -> int:
        """Epochs and tables that are left."""
        return self.tables + sum(task.params.training.epochs for task in self.untrained)


def _compute(studies: Sequence[Params], recordings: Recordings, progress: bool) -> None:
    """Compute what is missing, machine by machine."""
    missing = Missing.of(studies, recordings)
    with progress_bar("study", missing.steps, "step", progress=progress) as bar:

        def tick(what: str, steps: int) -> None:
            bar.set_description(what, refresh=False)
            bar.update(steps)

        if (where := studies[0].cluster) is not None and missing.tasks:
            cluster.compute(where, missing.tasks, tick)
            missing = replace(missing, tasks=[])
        for machine in recordings.machines:
            own = missing.of_machine(machine)
            scores.compute(own.tasks, own.views, tick)


def _table(
    params: Params, recordings: Recordings, own: Sequence[Task], seen: Sequence[View]
) -> pd.DataFrame:
    """Read scores as one table, which is kept: to merge 60 tables takes half a minute."""
    parts = [file for task in own for file in scores.files(task)]
    parts += [views.scores_file(view) for view in seen]
    sums = [file.with_name(f"{file.name}.sha256") for file in parts]
    values = {
        "scores": [
            [s.parent.name, s.name, read_bytes(s).decode() if s.exists() else ""] for s in sums
        ],
        "front_ends": params.front_ends,
        "scoring": params.scoring.model_dump(),
        "clips": recordings.manifest[_CLIP].to_numpy().tolist(),
    }
    path = resolve(params.results) / "tables" / f"{walk.key_of('runs', **values)}.parquet"
    found: pd.DataFrame = store.made(path, lambda: _merged(params, own, seen))
    return found


def _merged(params: Params, tasks: Sequence[Task], seen: Sequence[View]) -> pd.DataFrame:
    """Scores of autoencoders and of views as one table, with their combinations."""
    read = pd.concat([*map(scores.read, tasks), *map(views.read, seen)], ignore_index=True)
    names = [*([baseline.NAME] if params.baseline else []), *params.front_ends]
    names += [name for name in read["front_end"].unique() if name not in names]
    found = []
    for _, rows in read.groupby("machine"):
        tables = dict(iter(rows.groupby("front_end", sort=False)))
        for name in names:
            parts = frontends.COMBINATIONS.get(name, ())
            if parts and tables.keys() >= set(parts):
                found.append(combination([tables[part] for part in parts], name))
            elif name in tables:
                found.append(tables[name])
    return pd.concat(found, ignore_index=True)


def combination(members: list[pd.DataFrame], name: str) -> pd.DataFrame:
    """Mean of several systems' scores, clip by clip, seed by seed, scorer by scorer.

    Scorers that not all of them have are left out.

    Parameters
    ----------
    members : rows of :func:`run`, of the same clips, seeds and scorers.
    name : of the combination, in the column front_end.
    """
    keys = ["machine", "scorer", "seed"]
    groups = [dict(iter(m.groupby(keys, sort=False))) for m in members]
    parts = [members[0].iloc[:0]]
    for key in (key for key in groups[0] if all(key in group for group in groups)):
        aligned = [g[key].sort_values("name", ignore_index=True) for g in groups]
        joined = PerClip.combine([PerClip(m["score"], m["name"]) for m in aligned])
        values = [value for _, value in joined.items()]
        parts.append(aligned[0].assign(front_end=name, score=values))
    return pd.concat(parts, ignore_index=True)


def score_alone(
    params: Params, recordings: Recordings, machine: str
) -> Callable[[Model, str], float]:
    """Return a function that scores one test clip from its file and nothing else.

    Returns
    -------
    Function of a model (front-end, scorer and seed) and the clip's name, that gives z.
    """
    clips, own = recordings.clips(machine), detectors.trained(params)
    files = {row["name"]: (row["path"], row["hash"]) for _, row in clips.iterrows()}
    fitted = cache(lambda front_end: scores.fitted(Task(own, clips, front_end)))
    viewed = cache(lambda *view: views.fitted(View(params, clips, *view)))
    z = cache(lambda front_end, clip: fitted(front_end)(*files[clip]))

    @cache
    def score(model: Model, clip: str) -> float:
        front_end, scorer, seed = model
        parts = [
            viewed(name, scorer)(*files[clip]) if scorer in VIEWS else z(name, clip)[scorer, seed]
            for name in frontends.trained_front_ends([front_end])
        ]
        return PerClip.combine([PerClip([part], [clip]) for part in parts]).item()

    return score


def remarks(params: Params, recordings: Recordings) -> list[str]:
    """Sentences about detectors without training whose scores mean little."""
    told = {
        f"{view.machine}: {said}": None
        for view in all_views(params, recordings)
        if (said := views.table(view).attrs["remark"])
    }
    return list(told)


def floors(params: Params, recordings: Recordings) -> dict[str, Floors]:
    """Noise floors of every machine."""
    return {name: walk.floors(params, recordings.clips(name)) for name in recordings.machines}


def official_thresholds(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Mean over seeds of :func:`asdlib.study.baseline.thresholds`, machine by machine."""
    tables = [
        baseline.thresholds(scores.raw(task), params.scoring.quantile).assign(machine=task.machine)
        for task in tasks(params, recordings)
        if task.system == baseline.NAME
    ]
    if not tables:
        return pd.DataFrame()
    shares = ["training", "normal", "anomaly"]
    return pd.concat(tables).groupby(["machine", "rule"], sort=False)[shares].mean().reset_index()
