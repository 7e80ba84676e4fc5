"""What a study will take, timed on a few clips of its own recordings on this machine.

Notebook: 99_provenance.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib.io.files import temporary_folder
from asdlib.params import Params
from asdlib.runtime import process
from asdlib.runtime.errors import plural
from asdlib.runtime.parallel import one_thread
from asdlib.study import scores, stages, variants
from asdlib.study.recordings import Recordings
from asdlib.study.runs import at_a_time, files, missing, untrained_models
from asdlib.study.stages import Task, of_split

_TASKS, _EPOCHS = 12, 3  # of a trial
_FEWER, _FEW = 4, 12  # clips of either split, of its two rounds
_RESIDENT = 0.8e9  # bytes: the interpreter, its libraries, one batch
_WEIGHT_COPIES = 5  # weights, gradients, Adam's two moments, a checkpoint


@dataclass(frozen=True)
class Cost:
    """What is left to compute, and what it will take on this machine.

    Attributes
    ----------
    units : tables of scores that are missing, by autoencoders and without training.
    chapters : of the report, that are to be executed.
    seconds : of computing.
    memory : bytes, at most.
    disk : bytes of new files.
    """

    units: int = 0
    seconds: float = 0.0
    memory: float = 0.0
    disk: float = 0.0
    chapters: int = 0

    def __str__(self) -> str:
        """Return the forecast as one sentence."""
        parts = ((self.units, "unit"), (self.chapters, "chapter"))
        what = " and ".join(plural(*part) for part in parts if part[0])
        if not self.seconds:
            return "Everything is computed already."
        space = f"{self.memory / 1e9:.1f} GB of memory, {self.disk / 1e6:.0f} MB on disk"
        return f"{what or 'Only pages'} to compute: about {duration(self.seconds)}, {space}."


def duration(seconds: float) -> str:
    """Return a time in a unit that suits it.

    >>> [duration(own) for own in (4, 88, 100, 7000, 8000)]
    ['4 s', '88 s', '1.7 min', '117 min', '2.2 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def forecast(params: Params, recordings: Recordings) -> Cost:
    """Time all that one machine lacks on a few of its clips, and take the rest in proportion.

    All that a report computes is counted: the study and its variants; not the chapters, and not
    what an audio encoder would take.
    """
    left = missing(files(recordings, params, *variants.studies(params)))
    if not left:
        return Cost()
    largest, beside = max(left.values(), key=len), at_a_time(left.values())
    with one_thread() if beside > 1 else nullcontext():
        fixed, per_clip, per_step = _trial(largest)
    seconds, memory, disk = list[float](), 0.0, 0.0
    for own in left.values():
        untrained, trained = untrained_models(own), [task for task in own if not task.view]
        scoring = len(own) / len(largest) * (fixed + per_clip * len(own[0].clips))
        seconds.append(scoring + per_step * sum(map(_steps, untrained)))
        weights = [_bytes_of_weights(task) for task in untrained]
        frames = {stages.branch_of(task): stages.frames_bytes(task) for task in trained}
        held = min(sum(frames.values()), scores.MOST_FRAMES) + max(frames.values(), default=0.0)
        copies = _WEIGHT_COPIES * max(weights, default=0.0)
        memory, disk = max(memory, held + copies), disk + sum(weights)
    whole = max(sum(seconds) / beside, max(seconds))
    return Cost(sum(map(len, left.values())), whole, _RESIDENT + beside * memory, disk)


def _bytes_of_weights(task: Task) -> float:
    from asdlib.study import models  # brings torch

    return 4.0 * models.network(task).parameters_per_seed * len(task.params.seeds)


def _trial(own: Sequence[Task]) -> tuple[float, float, float]:
    """Seconds that all tasks of a machine take, for every clip, and for every step of training."""
    some = [own[place] for place in _spread(len(own), _TASKS)]
    of_each_kind = {bool(task.view): task for task in some}
    _timed(list(of_each_kind.values()), 2)  # the first of its kind in a process takes longer
    (fewer, less, _), (few, more, per_step) = (_timed(some, n) for n in (_FEWER, _FEW))
    slope, share = max(more - less, 0.0) / max(few - fewer, 1), len(own) / len(some)
    return share * max(more - slope * few, 0.0), share * slope, per_step


def _timed(own: Sequence[Task], most: int) -> tuple[int, float, float]:
    """Number of clips of a trial, its seconds, and those of every step of training besides."""
    parts = [part for _, part in own[0].clips.groupby("split")]
    few = pd.concat([part.iloc[_spread(len(part), most)] for part in parts])
    loop = {"epochs": _EPOCHS, "compiled": "never"}
    before, trial = process.seconds.copy(), list[Task]()
    with temporary_folder() as folder:
        for task in own:
            shorter = task.params.training.model_copy(update=loop)
            changes = {"results": str(folder), "training": shorter}
            trial.append(task._replace(params=task.params.model_copy(update=changes), clips=few))
        steps = sum(map(_steps, untrained_models(trial)))
        scores.compute(trial)
    spent = {stage: whole - before[stage] for stage, whole in process.seconds.items()}
    process.seconds.clear()
    process.seconds.update(before)
    training = spent.pop(stages.TRAINING, 0.0)
    return len(few), sum(spent.values()), training / max(steps, 1.0)


def _spread(count: int, most: int) -> list[int]:
    """Places of at most so many of a number of things, evenly spread."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def _steps(task: Task) -> float:
    """Optimiser steps of a whole training."""
    p, train = task.params, of_split(task.clips, "train")
    frames = (train["seconds"] * p.spectra.sample_rate / p.spectra.hop_length).sum()
    vectors = float(frames) - (p.spectra.stack - 2) * len(train)
    batches = vectors * (1 - p.training.held_out) / p.training.batch_size
    return p.training.epochs * max(batches, 1.0)
