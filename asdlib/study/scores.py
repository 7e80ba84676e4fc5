"""Scores of one machine's clips: A by detectors of both kinds in one form of table, and z.

Tables of A are kept. What is compared with what is learnt in :mod:`asdlib.study.stages`;
:func:`compute` does all that is missing of a machine and reads each of its recordings once.
Notebooks: 02_seed_study, 03_without_training, 05_variants.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from asdlib import pipeline
from asdlib.calibration import Calibration, HeldOut
from asdlib.clipstats import Normal
from asdlib.io import store
from asdlib.params import AsdError
from asdlib.runtime.parallel import clip_by_clip
from asdlib.runtime.process import clock
from asdlib.study import stages
from asdlib.study.detectors import BOTTLENECK
from asdlib.study.stages import Task, Tick, branch_of, contents, frames_bytes, key_of, of_split

COLUMNS = ["machine", "front_end", "scorer", "seed", "split", "domain", "label", "name", "score"]
MOST_FRAMES = 1.5e9
"""Bytes of the frames of one machine that are in memory at a time."""

_TO = "to "  # and a domain: column of the distance to its clips
_NOT_OF_A = {"quantile", "standardise"}  # constants of the scoring that only z depends on


def scores_file(task: Task) -> Path:
    """Where A of every clip, seed and scorer is."""
    p = task.params
    measured = stages.values_file(task) if task.view else stages.model_folder(task) / "scores"
    held_out = task.view or p.scoring.standardise == "held_out"
    key = key_of(
        "scores",
        values=measured.name if task.view else "",
        clips=contents(task.clips),
        scoring=p.scoring.model_dump(exclude=_NOT_OF_A),
        scorers=p.scorers,
        bottleneck=p.bottleneck if set(p.scorers) & set(BOTTLENECK) else None,
        held_out=[task.clips["attributes"].tolist(), p.statistics.folds] if held_out else None,
    )
    name = f"{task.machine}.{task.name}.{task.view}" if task.view else "scores"
    return measured.with_name(f"{name}.{key}.parquet")


def grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list]:
    """Items by their key, in order."""
    found: dict[Any, list] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def compute(tasks: Iterable[Task], tick: Tick = lambda *_: None) -> None:
    """Compute what is missing of one machine: every recording is read once, as memory allows.

    Parameters
    ----------
    tasks : of one machine, of any studies.
    tick : called after every epoch and every table, with the number of steps done.
    """
    tasks = [task for task in tasks if not store.is_there(scores_file(task))]
    views = [task for task in tasks if task.view]
    trained = [task for task in tasks if not task.view]
    measured = {branch_of(t): t for t in views if not store.is_there(stages.values_file(t))}
    of_branch = grouped(trained, branch_of)
    most = max(int(MOST_FRAMES / max(map(frames_bytes, trained), default=MOST_FRAMES)), 1)
    left = list(of_branch)
    while left or measured:
        branches, left = [*left[:most], *measured], left[most:]
        with clock("study: recordings to frames and statistics"):
            rows = list(stages.walk(tasks[0].params, branches, tasks[0].clips))
            columns = dict(zip(branches, zip(*rows, strict=True), strict=True))
            for branch, task in measured.items():
                stages.values(task, columns[branch])
        tick(f"{tasks[0].machine}: frames", 0)
        for branch in [branch for branch in branches if branch not in measured]:
            from asdlib.study import autoencoders  # brings torch

            for own in grouped(of_branch[branch], _model).values():
                for task, found, beside in autoencoders.scored(own, columns[branch], tick):
                    store.save(_table(task, found, **beside), scores_file(task))
                    tick(f"{task.machine} {task.name}: scores", 1)
        measured = {}
    with clock("study: scores without training"):
        for task, table in zip(views, clip_by_clip(_of_view, views), strict=True):
            store.save(table, scores_file(task))
            tick(f"{task.machine} {task.name} {task.view}", 1)


def _model(task: Task) -> tuple[object, ...]:
    """What tasks have in common that differ in scorers only."""
    p = task.params
    return stages.model_folder(task), p.scoring.model_dump_json(exclude=_NOT_OF_A), p.bottleneck


def _of_view(task: Task) -> pd.DataFrame:
    """Table of the distance; of training clips by the model that has not seen their fold.

    A column for every domain has the distance to this one's clips.
    """
    normal, train = _normal(task), (task.clips["split"] == "train").to_numpy()
    found = np.empty((len(train), len(normal.means)))
    found[train] = normal.by_domain
    found[~train] = normal.log_distances(stages.values(task)[~train])
    least = found.min(axis=1, keepdims=True)
    table = _table(task, [{task.view: own} for own in least], remark=normal.remark)
    domains = sorted(of_split(task.clips, "train")["domain"].unique())
    table[[f"{_TO}{domain}" for domain in domains]] = found
    return table


def _normal(task: Task) -> Normal:
    """Statistics of the training-normal clips that a view looks at, with held-out distances."""
    train = of_split(task.clips, "train")
    own = stages.values(task)[(task.clips["split"] == "train").to_numpy()]
    return Normal.fit(own, train["domain"].tolist(), task.params.statistics.folds)


def _table(task: Task, found: Sequence[pipeline.Scores], **beside: Any) -> pd.DataFrame:
    """A by name of the clip, scorer and seed, with what is kept beside them."""
    p = task.params
    keys = itertools.product(task.clips["name"], p.scorers, p.seeds)
    table = pd.DataFrame(keys, columns=["name", "scorer", "seed"])
    table["A"] = np.array([[a[scorer] for scorer in p.scorers] for a in found]).ravel()
    table.attrs |= beside
    return table


def fitted(task: Task, scorers: Sequence[str] | None = None) -> pipeline.Fitted:
    """All that the autoencoders of a task have learnt, to score files with.

    Parameters
    ----------
    scorers : those of the study by default.
    """
    _, models = _calibrated(task)  # computes what is missing
    from asdlib.study import autoencoders

    whole, _ = autoencoders.fit(task, scorers or task.params.scorers)
    gammas = {model: fit for model, (fit, _) in models.items()}
    return dataclasses.replace(whole, gammas=gammas)


def fitted_view(task: Task) -> pipeline.FittedView:
    """All that a detector without training has learnt, to score files with."""
    p, setting = task.params, branch_of(task).setting
    denoise = stages.fitted_of(p, [setting], task.clips)[setting]
    return pipeline.FittedView(task.view, denoise, _normal(task), p.spectra, p.statistics)


def raw(task: Task) -> pd.DataFrame:
    """A of every clip by scorer and seed, with the clip's split, domain and label.

    A of a training clip is by statistics without its fold where they are held out. A detector
    without training has log D(x) in place of A.
    """
    if (found := store.load(scores_file(task))) is None:
        compute([task])
        found = store.load(scores_file(task))
    kinds = task.clips[["name", "split", "domain", "label"]]
    table = found.merge(kinds, on="name", validate="many_to_one")
    table.attrs = found.attrs
    return table


def read(task: Task) -> pd.DataFrame:
    """Z of every clip, with the columns of :func:`asdlib.study.run`."""
    table, models = _calibrated(task)
    z = np.array([fit.standardise(a) for fit, a in models.values()]).T.ravel()
    return table.assign(machine=task.machine, front_end=task.name, score=z)[COLUMNS]


def by_condition(task: Task) -> pd.DataFrame:
    """Z of every clip of a detector without training, against the clips of every domain.

    Returns
    -------
    DataFrame with :data:`COLUMNS` and condition, the domain.
    """
    table, models = _calibrated(task)
    ((fit, _),) = models.values()
    table = table.assign(machine=task.machine, front_end=task.name).drop(columns="A")
    distances = [name for name in table.columns if name.startswith(_TO)]
    kept = [name for name in table.columns if name not in distances]
    table = table.melt(kept, distances, "condition", "score")
    table["score"] = fit.standardise(table["score"].to_numpy())
    table["condition"] = table["condition"].str.removeprefix(_TO)
    return table[[*COLUMNS, "condition"]]


def _calibrated(
    task: Task,
) -> tuple[pd.DataFrame, dict[tuple[str, int], tuple[Calibration | HeldOut, np.ndarray]]]:
    """Table of A, by clip, scorer and seed; by the latter two A and what it is calibrated by."""
    p, table, found = task.params, raw(task), {}
    train = (task.clips["split"] == "train").to_numpy()
    by_model = table["A"].to_numpy().reshape(len(train), -1).T.copy()
    for (scorer, seed), a in zip(itertools.product(p.scorers, p.seeds), by_model, strict=True):
        try:
            if task.view:
                fit: Calibration | HeldOut = HeldOut(a[train])
            elif p.scoring.standardise == "held_out":
                fit = HeldOut.fit(a[train])
            else:
                fit = Calibration.fit(a[train], p.scoring.quantile, p.scoring.standardise)
        except AsdError as error:
            where = f"{task.machine} with {task.name}, {scorer}, seed {seed}"
            raise AsdError(f"{where}: {error}") from None
        found[scorer, seed] = fit, a
    return table, found
