"""What a study will take: measured on a few clips of its own recordings, on this machine.

Notebook: 98_performance.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from asdlib import study
from asdlib.autoencoder import SeedAutoencoder
from asdlib.io import files
from asdlib.io.files import digest
from asdlib.params import Params
from asdlib.study import variants
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit

_FEW, _MORE = 3, 9  # training clips of the two trials that a cost is drawn through
_EPOCHS = 4  # of a trial; the first half warms up
_RESIDENT = 0.55e9  # bytes: the interpreter with its libraries
_WEIGHT_COPIES = 5  # weights, gradients, Adam's two moments, a checkpoint
_FRAME_COPIES = 2.2  # features of a machine while they are joined
_ACTIVATIONS = 12  # bytes of intermediate results per hidden value


@dataclass(frozen=True)
class Cost:
    """Seconds of one kind of unit: a fixed part and what every clip, step and scored clip adds."""

    fixed: float
    per_clip: float
    per_step: float
    per_scored: float

    def of(self, unit: Unit) -> float:
        """Seconds of a whole unit."""
        clips, train = len(unit.clips), len(unit.train)
        steps = _steps(unit) * unit.params.training.epochs
        return (
            self.fixed
            + self.per_clip * clips
            + self.per_step * steps
            + self.per_scored * (clips + train)
        )


def forecast(params: Params, recordings: Recordings) -> dict[str, float]:
    """Units that are missing, and the seconds, peak memory and bytes on disk that they will take.

    All that a report computes is counted: the study and its variants; not the chapters, and not
    what an audio encoder would take.
    """
    pending = {
        unit.scores_file: unit
        for own in (params, *variants.studies(params))
        for unit in study.units(own, recordings)
        if not unit.done
    }
    trained: set = set()
    seconds, memory, disk = 0.0, 0.0, 0.0
    costs: dict[str, Cost] = {}
    for unit in pending.values():
        kind = _kind(unit)
        if kind not in costs:
            costs[kind] = measure(unit)
        cost = costs[kind]
        if unit.folder in trained or (unit.folder / "model.safetensors").exists():
            cost = replace(cost, per_step=0.0)
        else:
            disk += 4.0 * _weights(unit)
        trained.add(unit.folder)
        seconds += cost.of(unit)
        memory = max(memory, peak_memory(unit))
    return {
        "units": float(len(pending)),
        "seconds": seconds,
        "memory": memory,
        "disk": disk,
    }


def measure(unit: Unit) -> Cost:
    """Compute a unit of a few clips twice, and draw the costs through both."""
    trials = [_trial(unit, clips) for clips in (_FEW, _MORE)]
    (few, features, step, scored), (more, features_more, step_more, scored_more) = trials
    if more == few:
        return Cost(0.0, features / few, step, scored / few)
    per_clip = max((features_more - features) / (more - few), 0.0)
    per_scored = max((scored_more - scored) / (more - few), 0.0)
    fixed = max(features + scored - (per_clip + per_scored) * few, 0.0)
    # in a trial every clip is a training clip: read once, and seen twice, for moments and score
    return Cost(fixed, per_clip, step_more, per_scored / 2)


def peak_memory(unit: Unit) -> float:
    """Bytes of resident memory while a unit is trained: its features, weights and one batch."""
    p = unit.params
    frames = _frames(unit)
    values = p.spectra.stack * p.spectra.n_mels
    layers = 2 * (p.autoencoder.blocks * p.autoencoder.layers_per_block + 1)
    hidden = layers * p.autoencoder.width + values
    batch = len(p.seeds) * p.training.batch_size * hidden
    return (
        _RESIDENT
        + 4 * _FRAME_COPIES * frames * p.spectra.n_mels
        + 4 * _WEIGHT_COPIES * _weights(unit)
        + _ACTIVATIONS * batch
    )


def _trial(unit: Unit, clips: int) -> tuple[int, float, float, float]:
    """Training clips; seconds of features, of one step, and of statistics and scores."""
    train = unit.train
    spread = np.linspace(0, len(train) - 1, min(len(train), clips)).round().astype(int)
    few = train.iloc[np.unique(spread)]
    loop = unit.params.training.model_copy(update={"epochs": _EPOCHS, "compiled": "never"})
    marks: list[float] = []
    with files.temporary_folder() as folder:
        own = unit.params.model_copy(update={"results": str(folder), "training": loop})
        trial = replace(unit, params=own, clips=few)
        if len(few):
            trial.floors()  # shared by the front-ends of a machine: next to nothing for each
        start = time.perf_counter()
        trial.compute(lambda what: marks.append(time.perf_counter()))
    epochs = np.diff(marks[1:-1])[_EPOCHS // 2 :]
    return (
        len(few),
        marks[0] - start,
        float(np.median(epochs)) / _steps(trial),
        marks[-1] - marks[-2],
    )


def _kind(unit: Unit) -> str:
    """Units that cost the same per clip and step: front-ends differ by little."""
    p = unit.params
    longest = unit.clips["seconds"].max()
    return digest(
        [
            longest,
            p.scorers,
            p.spectra.model_dump(),
            p.autoencoder.model_dump(),
            p.training.objective,
            len(p.seeds),
        ]
    )


def _frames(unit: Unit) -> float:
    p = unit.params.spectra
    return float((unit.train["seconds"] * p.sample_rate / p.hop_length).sum())


def _steps(unit: Unit) -> float:
    """Optimiser steps of one epoch."""
    p = unit.params
    vectors = _frames(unit) - (p.spectra.stack - 2) * len(unit.train)
    return max(vectors * (1 - p.training.held_out) / p.training.batch_size, 1.0)


def _weights(unit: Unit) -> float:
    p = unit.params
    values = p.spectra.stack * p.spectra.n_mels
    return float(SeedAutoencoder(values, [0], p.autoencoder).parameters_per_seed * len(p.seeds))


def sentence(cost: dict[str, float]) -> str:
    """Say a forecast in one sentence."""
    if not cost["units"]:
        return "Everything is computed already."
    minutes = cost["seconds"] / 60
    time = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return (
        f"{cost['units']:.0f} units to compute: about {time}, {cost['memory'] / 1e9:.1f} GB of "
        f"memory, {cost['disk'] / 1e6:.0f} MB on disk."
    )
