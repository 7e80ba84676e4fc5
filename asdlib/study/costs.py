"""What a study will take, timed on a few clips of its own recordings on this machine.

Notebook: 98_performance.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from asdlib.io.files import temporary_folder
from asdlib.params import Params
from asdlib.study import scores, stages, variants
from asdlib.study.recordings import Recordings
from asdlib.study.runs import Missing
from asdlib.study.stages import Task
from asdlib.study.walk import of_split

_CLIPS, _EPOCHS = 8, 3  # of a trial
_RESIDENT = 0.8e9  # bytes: the interpreter, its libraries, one batch
_WEIGHT_COPIES = 5  # weights, gradients, Adam's two moments, a checkpoint


@dataclass(frozen=True)
class Cost:
    """What is left to compute, and what it will take on this machine.

    Attributes
    ----------
    units : tables of scores that are missing, by autoencoders and without training.
    seconds : of computing.
    memory : bytes, at most.
    disk : bytes of new files.
    """

    units: int = 0
    seconds: float = 0.0
    memory: float = 0.0
    disk: float = 0.0

    def __str__(self) -> str:
        """Return the forecast as one sentence."""
        if not self.units:
            return "Everything is computed already."
        minutes = self.seconds / 60
        time = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
        return (
            f"{self.units} units to compute: about {time}, {self.memory / 1e9:.1f} GB of memory, "
            f"{self.disk / 1e6:.0f} MB on disk."
        )


def forecast(params: Params, recordings: Recordings) -> Cost:
    """Time all that one machine lacks on a few of its clips, and take the rest in proportion.

    All that a report computes is counted: the study and its variants; not the chapters, and not
    what an audio encoder would take.
    """
    missing = Missing.of((params, *variants.studies(params)), recordings)
    machines = {name: missing.of_machine(name) for name in recordings.machines}
    largest = max(machines, key=lambda name: machines[name].tables)
    if not machines[largest].tables:
        return Cost()
    per_clip, per_step, fixed = _trial(machines[largest], recordings.clips(largest))
    seconds, memory, disk = 0.0, 0.0, 0.0
    for name, own in machines.items():
        share = own.tables / machines[largest].tables
        seconds += share * (per_clip * len(recordings.clips(name)) + fixed)
        seconds += per_step * sum(map(_steps, own.untrained))
        weights = [4.0 * _weights(task) for task in own.untrained]
        frames = {stages.branch_of(task): scores.frames_bytes(task) for task in own.tasks}
        models = _WEIGHT_COPIES * max(weights, default=0.0)
        held = min(sum(frames.values()), scores.MOST_FRAMES) + max(frames.values(), default=0.0)
        memory = max(memory, _RESIDENT + held + models)
        disk += sum(weights)
    return Cost(missing.tables, seconds, memory, disk)


def _trial(missing: Missing, clips: pd.DataFrame) -> tuple[float, float, float]:
    """Seconds for every clip, for every step of training, and for the fits of the statistics."""
    train, test = of_split(clips, "train"), of_split(clips, "test")
    share = min(len(test) / max(len(train), 1), 1.0)
    few = pd.concat([_spread(train, _CLIPS), _spread(test, round(share * _CLIPS))])
    spent = {"clip": 0.0, "epoch": 0.0, "fit": 0.0}
    mark = time.perf_counter()

    def tick(what: str, steps: int) -> None:
        nonlocal mark
        now = time.perf_counter()
        kind = "clip" if not steps or "scores" in what else "epoch" if "epoch" in what else "fit"
        spent[kind] += now - mark
        mark = now

    with temporary_folder() as folder:

        def small(params: Params) -> Params:
            loop = {"epochs": _EPOCHS, "compiled": "never"}
            training = params.training.model_copy(update=loop)
            return params.model_copy(update={"results": str(folder), "training": training})

        own = Missing(
            [replace(task, params=small(task.params), clips=few) for task in missing.tasks],
            [view._replace(params=small(view.params), clips=few) for view in missing.views],
        )
        steps = sum(map(_steps, own.untrained))
        scores.compute(own.tasks, own.views, tick)
    return spent["clip"] / len(few), spent["epoch"] / max(steps, 1.0), spent["fit"]


def _spread(clips: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many clips, evenly spread."""
    places = np.linspace(0, len(clips) - 1, min(len(clips), most)).round().astype(int)
    return clips.iloc[places]


def _steps(task: Task) -> float:
    """Optimiser steps of a whole training."""
    p, train = task.params, of_split(task.clips, "train")
    frames = (train["seconds"] * p.spectra.sample_rate / p.spectra.hop_length).sum()
    vectors = float(frames) - (p.spectra.stack - 2) * len(train)
    batches = vectors * (1 - p.training.held_out) / p.training.batch_size
    return p.training.epochs * max(batches, 1.0)


def _weights(task: Task) -> int:
    model = stages.network(task)
    return model.parameters_per_seed * len(task.params.seeds)
