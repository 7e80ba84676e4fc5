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
from typing import Any

import numpy as np
import pandas as pd

from asdlib import pipeline
from asdlib.calibration import Calibration, HeldOut
from asdlib.io import store
from asdlib.params import AsdError
from asdlib.runtime import hardware
from asdlib.runtime.parallel import clip_by_clip
from asdlib.spectra import Frames, Standardiser
from asdlib.study import baseline, detectors, stages, views, walk
from asdlib.study.detectors import BOTTLENECK
from asdlib.study.stages import Task, Tick
from asdlib.study.views import COLUMNS, View
from asdlib.study.walk import Branch, contents, of_split

MOST_FRAMES = 1.5e9
"""Bytes of the frames of one machine that are in memory at a time."""

_NOT_OF_A = {"quantile", "standardise"}  # constants of the scoring that only z depends on


def scores_file(task: Task) -> Path:
    """Where A of every clip, seed and scorer is."""
    p = task.params
    key = walk.key_of(
        "scores",
        clips=contents(task.clips, "split", "domain"),
        scoring=p.scoring.model_dump(exclude=_NOT_OF_A),
        scorers=p.scorers,
        bottleneck=p.bottleneck.model_dump() if set(p.scorers) & set(BOTTLENECK) else None,
    )
    return stages.model_folder(task) / f"scores.{key}.parquet"


def files(task: Task) -> list[Path]:
    """Tables of a task's scores.

    The second one, where it is wanted, is A of the training clips by statistics without their fold.
    """
    found = [scores_file(task)]
    if task.params.scoring.standardise == "held_out":
        groups = contents(of_split(task.clips, "train"), "attributes")
        folds = task.params.statistics.folds
        key = walk.key_of("scores", scores=found[0].name, groups=groups, folds=folds)
        found.append(found[0].with_name(f"held_out.{key}.parquet"))
    return found


def done(task: Task) -> bool:
    """Whether the scores of a task are there."""
    return all(file.exists() for file in files(task))


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
    of_branch: dict[Branch, list[Task]] = {}
    for task in tasks:
        of_branch.setdefault(stages.branch_of(task), []).append(task)
    measured = {views.values_file(view): views.branch_of(view) for view in untrained}
    measured = {file: branch for file, branch in measured.items() if not file.exists()}
    most = max(int(MOST_FRAMES / max(map(frames_bytes, tasks), default=MOST_FRAMES)), 1)
    left = list(of_branch)
    while left or measured:
        branches, left = left[:most], left[most:]
        first: Task | View = tasks[0] if tasks else untrained[0]
        rows = list(walk.walk(first.params, [*branches, *measured.values()], first.clips))
        for column, file in enumerate(measured, len(branches)):
            store.save(views.stacked(row[column] for row in rows), file)
        measured = {}
        tick(f"{first.machine}: frames", 0)
        for column, branch in enumerate(branches):
            frames = [row[column] for row in rows]
            for own in _of_one_model(of_branch[branch]):
                _score(own, frames, tick)
    made = clip_by_clip(views.table, untrained)
    for view, _ in zip(untrained, made, strict=True):
        tick(f"{view.machine} {view.front_end} {view.scorer}", 1)


def frames_bytes(task: Task) -> float:
    """Bytes of the frames of all clips in one branch."""
    p = task.params.spectra
    layers = 2 if stages.branch_of(task).kind == "noisier" else 1
    frames = float((task.clips["seconds"] * p.sample_rate / p.hop_length).sum())
    return 4.0 * frames * p.n_mels * layers


def _of_one_model(tasks: Sequence[Task]) -> list[list[Task]]:
    """Tasks that differ in scorers only, together."""
    found: dict[tuple[Any, ...], list[Task]] = {}
    for task in tasks:
        p = task.params
        scoring = p.scoring.model_dump_json(exclude=_NOT_OF_A)
        key = (stages.model_folder(task), scoring, p.bottleneck)
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
    losses = [
        detector.batch_losses.tolist()
        for detector in fitted.detectors
        if isinstance(detector, baseline.OfficialDetector)
    ]
    for own in tasks:
        table = _table(own, names, found, own.params.scorers)
        table.attrs["made_on"] = hardware.describe(own.params.device)
        if set(own.params.scorers) & set(baseline.SCORERS):
            table.attrs["batch_losses"] = losses[0]
        file, *held_out = files(own)
        store.save(table, file)
        if held_out:
            store.save(_held_out(own, frames, fitted), held_out[0])
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
    scorers = {name: detectors.EQ1[name] for name in p.scorers if name in detectors.EQ1}
    found: Sequence[dict[str, np.ndarray]] = [{}] * len(train)
    if scorers:
        detector = dataclasses.replace(detectors.eq1(fitted.detectors), scorers=scorers)
        folds, workers = views.folds(p, train).tolist(), detectors.workers(p)
        domains = train["domain"].tolist()
        found = detector.held_out(frames.clip, domains, folds, workers=workers)
    return _table(task, train["name"].tolist(), found, list(scorers))


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
    gammas = {key: fit for key, _, _, fit in _calibrated(task)}  # computes what is missing
    names = task.params.scorers if scorers is None else scorers
    whole = _fitted(task, *stages.training_frames(task), names)
    return dataclasses.replace(whole, gammas=gammas)


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
    for apart in found[1:]:
        own = apart.rename(columns={"A": "held_out"})
        table = table.merge(own, how="left", on=["name", "scorer", "seed"])
    table.attrs = found[0].attrs
    return table


def read(task: Task) -> pd.DataFrame:
    """Z of every clip, with the columns of :func:`asdlib.study.run`."""
    parts = [rows.assign(score=fit.standardise(a)) for _, rows, a, fit in _calibrated(task)]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(machine=task.machine, front_end=task.name)[COLUMNS]


def _calibrated(
    task: Task,
) -> Iterator[tuple[tuple[str, int], pd.DataFrame, np.ndarray, Calibration | HeldOut]]:
    """Scorer and seed, their rows, A, and the calibration on the training-normal clips' A."""
    constants = task.params.scoring
    for _, rows in raw(task).groupby(["scorer", "seed"], sort=False):
        scorer, seed = str(rows["scorer"].iloc[0]), int(rows["seed"].iloc[0])
        held_out = "held_out" in rows
        a = rows["held_out"].fillna(rows["A"]) if held_out else rows["A"]
        normal = a[rows["split"] == "train"].to_numpy()
        try:
            fit = (
                HeldOut.fit(normal)
                if held_out
                else Calibration.fit(normal, constants.quantile, constants.standardise)
            )
        except AsdError as error:
            where = f"{task.machine} with {task.name}, {scorer}, seed {seed}"
            raise AsdError(f"{where}: {error}") from None
        yield (scorer, seed), rows, a.to_numpy(), fit
