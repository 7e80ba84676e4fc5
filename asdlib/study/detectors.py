"""Which detector gives which score, and all of them fitted on one unit's training frames.

Notebook: 04_seed_study.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from asdlib import pipeline, scoring, training
from asdlib.autoencoder import SeedAutoencoder
from asdlib.clipstats import VIEWS
from asdlib.params import AsdError, Params
from asdlib.runtime import hardware
from asdlib.runtime.parallel import one_thread
from asdlib.spectra import Frames
from asdlib.study import baseline, bottleneck

EQ1 = {**scoring.SCORERS, **scoring.VARIANTS}
"""Scores of eq. 1 and what may vary in them."""


def check(params: Params) -> None:
    """Refuse scorers that are not known, or that the training objective does not allow.

    Raises
    ------
    AsdError
        For the first of them.
    """
    known = [*EQ1, *baseline.SCORERS, *bottleneck.SCORERS, *VIEWS]
    for name in params.scorers:
        if name.rpartition("/")[2] not in known:
            raise AsdError(f"Unknown scorer {name!r}; known are {', '.join(known)}.")
        if name in baseline.SCORERS and params.training.objective != "reconstruct":
            raise AsdError(
                f"scorer {name!r} looks at whole vectors and training.objective is "
                f"{params.training.objective!r}; it needs 'reconstruct'."
            )


def constants(params: Params) -> dict[str, Any]:
    """Parameters of the detectors that are asked for, besides those of eq. 1."""
    asked = set(params.scorers) & set(bottleneck.SCORERS)
    return {"bottleneck": params.bottleneck.model_dump()} if asked else {}


def workers(params: Params) -> int | None:
    """Clips scored at a time: as many as there are threads, one on a GPU."""
    return None if hardware.choose_device(params.device) == "cpu" else 1


def fit(
    model: SeedAutoencoder,
    frames: Frames,
    domains: Iterable[str],
    params: Params,
    scorers: Sequence[str],
    device: str = "cpu",
) -> list[pipeline.Detector]:
    """Take from training-normal clips what every wanted score needs.

    Parameters
    ----------
    model : trained, in evaluation mode, on the device.
    frames : standardised training frames.
    domains : of every training clip.
    scorers : names, see :func:`check`.
    """
    p, domains = params, list(domains)

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

    found: list[pipeline.Detector] = []
    if chosen := {name: EQ1[name] for name in scorers if name in EQ1}:
        clips = ((domain, frames.clip(c)) for c, domain in enumerate(domains))
        eq1 = scoring.Detector.fit(
            residual, clips, scorers=chosen, constants=p.scoring, workers=workers(p)
        )
        found.append(eq1)
    with one_thread():
        if set(scorers) & set(baseline.SCORERS):
            size = p.training.batch_size
            found.append(baseline.OfficialDetector.fit(residual, frames, domains, batch_size=size))
        if set(scorers) & set(bottleneck.SCORERS):
            percentile = p.scoring.percentile
            beside = bottleneck.BottleneckDetector.fit(
                latent, frames, p.seeds, constants=p.bottleneck, percentile=percentile
            )
            found.append(beside)
    return found


def eq1(detectors: Iterable[pipeline.Detector]) -> scoring.Detector:
    """Return the detector of eq. 1 among those of a unit.

    Raises
    ------
    AsdError
        Where the scores of eq. 1 were not asked for.
    """
    for detector in detectors:
        if isinstance(detector, scoring.Detector):
            return detector
    raise AsdError("No score of eq. 1 was asked for (scorers).")


def remarks(detectors: Iterable[pipeline.Detector]) -> dict[str, Any]:
    """What has to be kept beside the scores: the official baseline's minibatch losses."""
    official = [d for d in detectors if isinstance(d, baseline.OfficialDetector)]
    return {"batch_losses": official[0].batch_losses.tolist()} if official else {}
