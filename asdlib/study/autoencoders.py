"""A of one machine's clips by its autoencoders. Notebooks: 02_seed_study, 05_variants."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from asdlib import calibration, pipeline, scoring, training
from asdlib.autoencoder import SeedAutoencoder
from asdlib.params import Params
from asdlib.runtime import hardware
from asdlib.runtime.parallel import clip_by_clip, one_thread
from asdlib.runtime.process import clock
from asdlib.spectra import Frames
from asdlib.study import baseline, models, stages
from asdlib.study.detectors import BOTTLENECK, EQ1
from asdlib.study.rivals import BottleneckDetector, OfficialDetector
from asdlib.study.stages import Rows, Task, Tick, branch_of, of_split

_SCORES = "study: scores of autoencoders"


def scored(
    tasks: Sequence[Task], rows: Rows, tick: Tick
) -> Iterator[tuple[Task, list[pipeline.Scores], dict[str, Any]]]:
    """Train and score tasks of one model.

    Parameters
    ----------
    rows : (frame, value) of every clip, dB.

    Yields
    ------
    A task, A of its clips, and what is kept beside them.
    """
    task, train = tasks[0], tasks[0].clips["split"] == "train"
    scorers = list(dict.fromkeys(name for own in tasks for name in own.params.scorers))
    fitted, frames = fit(task, scorers, list(itertools.compress(rows, train)), tick)
    with clock(_SCORES):
        vectors = map(fitted.vectors, rows)
        found = list(clip_by_clip(fitted.a, vectors, workers=_workers(task.params)))
        for own in tasks:
            beside: dict[str, Any] = {"made_on": hardware.describe(own.params.device)}
            if set(own.params.scorers) & set(baseline.SCORERS):
                official = next(d for d in fitted.detectors if isinstance(d, OfficialDetector))
                beside["batch_losses"] = official.batch_losses.tolist()
            yield own, _held_out(own, frames, fitted, found), beside


def _held_out(
    task: Task, frames: Frames, fitted: pipeline.Fitted, found: list[pipeline.Scores]
) -> list[pipeline.Scores]:
    """A of every clip; of training clips, where that is wanted, without their fold's statistics."""
    p, train = task.params, of_split(task.clips, "train")
    if p.scoring.standardise != "held_out" or not set(p.scorers) & set(EQ1):
        return found
    names, domains, groups = (train[c].tolist() for c in ("name", "domain", "attributes"))
    folds = calibration.folds(names, domains, groups, p.statistics.folds).tolist()
    detector, workers = eq1(fitted.detectors), _workers(p)
    apart = iter(detector.held_out(frames.clip, domains, folds, workers=workers))
    splits = zip(found, task.clips["split"], strict=True)
    return [a | next(apart) if split == "train" else a for a, split in splits]


def fit(
    task: Task, scorers: Sequence[str], rows: Rows | None = None, tick: Tick = lambda *_: None
) -> tuple[pipeline.Fitted, Frames]:
    """Train and fit detectors, which are not calibrated yet; also give the training frames."""
    p, domains = task.params, of_split(task.clips, "train")["domain"]
    frames, standardise = models.training_frames(task, rows)
    model = models.models(task, frames, tick)
    with clock(_SCORES):
        found = detectors(model, frames, domains, p, scorers)
    front_end = stages.front_end(p, task.clips, task.front_end)
    noisier = branch_of(task).kind == "noisier"
    transfer = stages.floors(p, task.clips).transfer if noisier else None
    return pipeline.Fitted(front_end, p.spectra, transfer, standardise, found, {}), frames


def detectors(
    model: SeedAutoencoder,
    frames: Frames,
    domains: Iterable[str],
    params: Params,
    scorers: Sequence[str],
) -> list[pipeline.Detector]:
    """Take from training-normal clips what every wanted score needs.

    Parameters
    ----------
    model : trained, in evaluation mode, on the device of the parameters.
    frames : standardised training frames.
    domains : of every training clip.
    scorers : names, see :func:`asdlib.study.detectors.check`.
    """
    p, domains, device = params, list(domains), hardware.choose_device(params.device)

    def inputs(vectors: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        stacked = torch.from_numpy(np.array(vectors)).to(device)
        x, y = training.views(stacked, p.training.objective, p.spectra.stack)
        return x.expand(len(p.seeds), -1, -1), y

    def residual(vectors: np.ndarray) -> torch.Tensor:
        x, y = inputs(vectors)
        with torch.inference_mode():
            return y - model(x)

    def latent(vectors: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            return model.encoder(inputs(vectors)[0])

    found, own = list[pipeline.Detector](), dict[str, Any]()
    if chosen := {name: EQ1[name] for name in scorers if name in EQ1}:
        clips = ((domain, frames.clip(c)) for c, domain in enumerate(domains))
        own = {"scorers": chosen, "constants": p.scoring, "workers": _workers(p)}
        found.append(scoring.Detector.fit(residual, clips, **own))
    with one_thread():
        if set(scorers) & set(baseline.SCORERS):
            size = p.training.batch_size
            found.append(OfficialDetector.fit(residual, frames, domains, batch_size=size))
        if set(scorers) & set(BOTTLENECK):
            own = {"constants": p.bottleneck, "percentile": p.scoring.percentile}
            found.append(BottleneckDetector.fit(latent, frames, p.seeds, **own))
    return found


def eq1(detectors: Iterable[pipeline.Detector]) -> scoring.Detector:
    """Return the detector of eq. 1 of the paper among those of a task."""
    return next(own for own in detectors if isinstance(own, scoring.Detector))


def _workers(params: Params) -> int | None:
    """Clips scored at a time: as many as there are threads, one on a GPU."""
    return None if hardware.choose_device(params.device) == "cpu" else 1
