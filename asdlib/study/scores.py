"""Scores of one machine's clips: A by autoencoders, z by calibration, z without training.

Tables of A and of z are kept. What is compared with what is learnt in :mod:`asdlib.study.stages`;
:func:`compute` does all that is missing of a machine and reads each of its recordings once.
Notebooks: 04_seed_study, 05_without_training, 06_rescoring.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import calibration, pipeline
from asdlib.calibration import Calibration, HeldOut
from asdlib.io import store
from asdlib.params import AsdError
from asdlib.runtime import hardware
from asdlib.runtime.parallel import clip_by_clip
from asdlib.spectra import Frames, Standardiser
from asdlib.study import baseline, detectors, stages, views, walk
from asdlib.study.stages import Task, Tick
from asdlib.study.views import COLUMNS, View
from asdlib.study.walk import Branch, contents, of_split

MOST_FRAMES = 1.5e9
"""Bytes of the frames of one machine that are in memory at a time."""


def scores_file(task: Task) -> Path:
    """Where A of every clip, seed and scorer is."""
    p = task.params
    key = walk.key_of(
        "scores",
        clips=contents(task.clips, "split", "domain"),
        scoring=p.scoring.model_dump(exclude={"quantile", "standardise"}),
        scorers=p.scorers,
        detectors=detectors.constants(p),
    )
    return stages.model_folder(task) / f"scores.{key}.parquet"


def held_out_file(task: Task) -> Path | None:
    """Where A of the training clips by statistics without their fold is; None if not wanted."""
    if not holds_out(task):
        return None
    groups = contents(of_split(task.clips, "train"), "attributes")
    folds = task.params.statistics.folds
    key = walk.key_of("scores", scores=scores_file(task).name, groups=groups, folds=folds)
    return stages.model_folder(task) / f"held_out.{key}.parquet"


def files(task: Task) -> list[Path]:
    """Tables of a task's scores."""
    held_out = held_out_file(task)
    return [scores_file(task)] if held_out is None else [scores_file(task), held_out]


def done(task: Task) -> bool:
    """Whether the scores of a task are there."""
    return all(file.exists() for file in files(task))


def holds_out(task: Task) -> bool:
    """Whether scores are standardised by those of held-out training clips."""
    return task.params.scoring.standardise == "held_out"


def compute(
    tasks: Sequence[Task], untrained: Sequence[View] = (), tick: Tick = stages.silent
) -> None:
    """Compute what is missing of one machine: every recording is read once, as memory allows.

    Parameters
    ----------
    tasks, untrained : of one machine, of any studies.
    tick : called after every epoch and every table, with the number of steps done.
    """
    tasks = [task for task in tasks if not done(task)]
    untrained = [view for view in untrained if not views.scores_file(*view).exists()]
    of_branch: dict[Branch, list[Task]] = {}
    for task in tasks:
        of_branch.setdefault(stages.branch_of(task), []).append(task)
    of_file = {views.values_file(*view): views.branch_of(*view) for view in untrained}
    of_file = {file: branch for file, branch in of_file.items() if not file.exists()}
    for branches in _within_memory(tasks, list(of_branch)):
        if not (branches or of_file):
            continue
        params, clips, *_ = untrained[0] if of_file else (tasks[0].params, tasks[0].clips)
        rows = list(walk.walk(params, [*branches, *of_file.values()], clips))
        views.keep(of_file, [row[len(branches) :] for row in rows])
        of_file = {}
        tick(f"{clips['machine'].iloc[0]}: frames", 0)
        for column, branch in enumerate(branches):
            frames = [row[column] for row in rows]
            for own in _of_one_model(of_branch[branch]):
                _score(own, frames, tick)
    made = clip_by_clip(lambda view: views.table(*view), untrained)
    for view, _ in zip(untrained, made, strict=True):
        tick(f"{view[1]['machine'].iloc[0]} {view[2]} {view[3]}", 1)


def _within_memory(tasks: Sequence[Task], branches: list[Branch]) -> Iterator[list[Branch]]:
    """Take as many branches at a time as memory holds frames of; at least one, or nothing."""
    size = max((frames_bytes(task) for task in tasks), default=1.0)
    most = max(int(MOST_FRAMES / size), 1)
    yield from (branches[i : i + most] for i in range(0, max(len(branches), 1), most))


def frames_bytes(task: Task) -> float:
    """Bytes of the frames of all clips in one branch."""
    p = task.params.spectra
    layers = 2 if stages.branch_of(task).kind == "noisier" else 1
    frames = float((task.clips["seconds"] * p.sample_rate / p.hop_length).sum())
    return 4.0 * frames * p.n_mels * layers


def _of_one_model(tasks: Sequence[Task]) -> list[list[Task]]:
    """Tasks that differ in scorers only, together."""
    found: dict[str, list[Task]] = {}
    for task in tasks:
        p = task.params
        key = walk.key_of(
            "scores",
            folder=stages.model_folder(task).name,
            scoring=p.scoring.model_dump(exclude={"quantile", "standardise"}),
            bottleneck=p.bottleneck.model_dump(),
        )
        found.setdefault(key, []).append(task)
    return list(found.values())


def _score(tasks: Sequence[Task], rows: Sequence[np.ndarray], tick: Tick) -> None:
    """Train and score tasks of one model.

    Parameters
    ----------
    rows : (frame, value) of every clip, dB.
    """
    task, train = tasks[0], (tasks[0].clips["split"] == "train").to_numpy()
    frames, standardise = stages.join(task, list(itertools.compress(rows, train)))
    scorers = list(dict.fromkeys(name for own in tasks for name in own.params.scorers))
    fitted = _fitted(task, frames, standardise, scorers, tick)
    test = map(fitted.vectors, itertools.compress(rows, ~train))
    vectors = itertools.chain(map(frames.clip, range(len(frames))), test)
    workers = detectors.workers(task.params)
    found = list(clip_by_clip(fitted.a, vectors, workers=workers))
    names = [*task.clips["name"][train], *task.clips["name"][~train]]
    for own in tasks:
        table = _table(own, names, found, own.params.scorers)
        table.attrs["made_on"] = hardware.describe(own.params.device)
        if set(own.params.scorers) & set(baseline.SCORERS):
            table.attrs |= detectors.remarks(fitted.detectors)
        store.save(table, scores_file(own))
        if (file := held_out_file(own)) is not None:
            store.save(_held_out(own, frames, fitted), file)
        tick(f"{own.machine} {own.name}: scores", 1)


def _table(
    task: Task, names: Sequence[str], found: Sequence[dict[str, np.ndarray]], scorers: Sequence[str]
) -> pd.DataFrame:
    """A by name of the clip, scorer and seed."""
    rows = [
        (name, scorer, seed, value)
        for name, a in zip(names, found, strict=True)
        for scorer in scorers
        for seed, value in zip(task.params.seeds, a[scorer].tolist(), strict=True)
    ]
    return pd.DataFrame(rows, columns=["name", "scorer", "seed", "A"])


def _held_out(task: Task, frames: Frames, fitted: pipeline.Fitted) -> pd.DataFrame:
    """A of the training clips under eq. 1, by residual statistics without their fold."""
    p, train = task.params, of_split(task.clips, "train")
    names, domains, groups = (train[c].tolist() for c in ("name", "domain", "attributes"))
    scorers = {name: detectors.EQ1[name] for name in p.scorers if name in detectors.EQ1}
    if not scorers:
        return _table(task, names, [{} for _ in names], [])
    folds = calibration.folds(names, domains, groups, p.statistics.folds).tolist()
    detector = dataclasses.replace(detectors.eq1(fitted.detectors), scorers=scorers)
    workers = detectors.workers(p)
    found = detector.held_out(frames.clip, domains, folds, workers=workers)
    return _table(task, names, found, list(scorers))


def _fitted(
    task: Task,
    frames: Frames,
    standardise: Standardiser,
    scorers: Sequence[str],
    tick: Tick = stages.silent,
) -> pipeline.Fitted:
    """Fit detectors on training frames; scores are not calibrated yet."""
    p, device = task.params, hardware.choose_device(task.params.device)
    model = stages.models(task, frames, standardise, tick)
    domains = of_split(task.clips, "train")["domain"]
    found = detectors.fit(model, frames, domains, p, scorers, device)
    front_end = walk.front_end(p, task.clips, task.front_end)
    return pipeline.Fitted(front_end, p.spectra, stages.transfer_of(task), standardise, found, {})


def fitted(task: Task, scorers: Sequence[str] | None = None) -> pipeline.Fitted:
    """All that a task has learnt, to score files with.

    Parameters
    ----------
    scorers : those of the study by default.
    """
    known = gammas(task)  # computes what is missing
    names = task.params.scorers if scorers is None else scorers
    whole = _fitted(task, *stages.training_frames(task), names)
    return dataclasses.replace(whole, gammas=known)


def raw(task: Task) -> pd.DataFrame:
    """A of every clip by scorer and seed, with the clip's split, domain and label.

    Where training clips are held out, ``held_out`` is their A by statistics without their fold.
    """
    found = [store.load(file) for file in files(task)]
    if any(table is None for table in found):
        compute([task])
        found = [store.load(file) for file in files(task)]
    kinds = task.clips[["name", "split", "domain", "label"]]
    table = found[0].merge(kinds, on="name", validate="many_to_one")
    if holds_out(task):
        apart = found[1].rename(columns={"A": "held_out"})
        table = table.merge(apart, how="left", on=["name", "scorer", "seed"])
    table.attrs = found[0].attrs
    return table


def _calibrated(task: Task) -> Iterator[tuple[pd.DataFrame, np.ndarray, Calibration | HeldOut]]:
    """Rows, A and calibration of every scorer and seed."""
    constants = task.params.scoring
    for (scorer, seed), rows in raw(task).groupby(["scorer", "seed"], sort=False):
        a = rows["held_out"].fillna(rows["A"]) if holds_out(task) else rows["A"]
        normal = a[rows["split"] == "train"].to_numpy()
        try:
            if holds_out(task):
                yield rows, a.to_numpy(), HeldOut.fit(normal)
            else:
                fit = Calibration.fit(normal, constants.quantile, constants.standardise)
                yield rows, a.to_numpy(), fit
        except AsdError as error:
            where = f"{task.machine} with {task.name}, {scorer}, seed {seed}"
            raise AsdError(f"{where}: {error}") from None


def gammas(task: Task) -> dict[tuple[str, int], Calibration | HeldOut]:
    """Gamma distribution of the training-normal clips' A, by scorer and seed."""
    return {
        (str(rows["scorer"].iloc[0]), int(rows["seed"].iloc[0])): fit
        for rows, _, fit in _calibrated(task)
    }


def read(task: Task) -> pd.DataFrame:
    """Z of every clip, with the columns of :func:`asdlib.study.run`."""
    parts = [rows.assign(score=fit.standardise(a)) for rows, a, fit in _calibrated(task)]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(machine=task.machine, front_end=task.name)[COLUMNS]
