"""Which detector gives which score, and all of them fitted on one machine's training frames.

Besides eq. 1 and the official baseline: a normalising flow and nearest neighbours at the
autoencoder's bottleneck. The paper tried both in place of the residuals and together with them,
without a robust gain. Notebooks: 02_seed_study, 05_variants.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asdlib import pipeline, scoring, training
from asdlib.autoencoder import SeedAutoencoder
from asdlib.clipstats import VIEWS
from asdlib.frontends import trained_front_ends
from asdlib.params import AsdError, Bottleneck, Params, Scoring
from asdlib.runtime import hardware
from asdlib.runtime.parallel import one_thread
from asdlib.spectra import Frames
from asdlib.study import baseline
from asdlib.study.baseline import Model
from asdlib.training import shuffled

if TYPE_CHECKING:
    from sklearn.neighbors import BallTree
    from zuko.flows import MAF

BOTTLENECK = ("flow", "knn")

EQ1 = {**scoring.SCORERS, **scoring.VARIANTS}
"""Scores of eq. 1 and what may vary in them."""

_LOW = 10.0  # the flow's score is 0 so many training standard deviations below the training mean
_SMALLEST = 1e-12  # of a score: a gamma distribution needs positive values


def check(params: Params) -> None:
    """Refuse scorers that are not known, or that the training objective does not allow.

    Raises
    ------
    AsdError
        For the first of them.
    """
    known = [*EQ1, *baseline.SCORERS, *BOTTLENECK, *VIEWS]
    for name in params.scorers:
        front_end, _, scorer = name.rpartition("/")
        if scorer not in known or (front_end and scorer not in VIEWS):
            raise AsdError(
                f"Unknown scorer {name!r}; known are {', '.join(known)}, and a front-end may be "
                f"named before {', '.join(VIEWS)} only."
            )
        if scorer in baseline.SCORERS and params.training.objective != "reconstruct":
            raise AsdError(
                f"scorer {name!r} looks at whole vectors and training.objective is "
                f"{params.training.objective!r}; it needs 'reconstruct'."
            )


def trained(params: Params) -> Params:
    """Return the same study with only the scorers that need an autoencoder; maybe none."""
    names = tuple(name for name in params.scorers if name.rpartition("/")[2] not in VIEWS)
    return params.model_copy(update={"scorers": names})


def wanted(params: Params) -> list[tuple[str, str]]:
    """Front-end and scorer of every detector without training of a study.

    A scorer such as ``pmsd`` belongs to every front-end of the study, one such as ``adals/pmsd`` to
    the front-end that it names.

    Raises
    ------
    AsdError
        For a front-end that is not known.
    """
    pairs = [name.rpartition("/")[::2] for name in params.scorers]
    found = [
        (own, scorer)
        for front_end, scorer in pairs
        if scorer in VIEWS
        for own in trained_front_ends([front_end] if front_end else params.front_ends)
    ]
    return list(dict.fromkeys(found))


def workers(params: Params) -> int | None:
    """Clips scored at a time: as many as there are threads, one on a GPU."""
    return None if hardware.choose_device(params.device) == "cpu" else 1


def fit(
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
    scorers : names, see :func:`check`.
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
        own = {"scorers": chosen, "constants": p.scoring, "workers": workers(p)}
        found.append(scoring.Detector.fit(residual, clips, **own))
    with one_thread():
        if set(scorers) & set(baseline.SCORERS):
            size = p.training.batch_size
            found.append(baseline.OfficialDetector.fit(residual, frames, domains, batch_size=size))
        if set(scorers) & set(BOTTLENECK):
            own = {"constants": p.bottleneck, "percentile": p.scoring.percentile}
            found.append(BottleneckDetector.fit(latent, frames, p.seeds, **own))
    return found


def eq1(detectors: Iterable[pipeline.Detector]) -> scoring.Detector:
    """Return the detector of eq. 1 among those of a unit."""
    return next(own for own in detectors if isinstance(own, scoring.Detector))


@dataclass(frozen=True)
class BottleneckDetector:
    """Scores clips by how unusual their bottleneck vectors b are, for all seeds.

    ``flow``: -log p(b) of a masked autoregressive flow (Papamakarios et al. 2017), the percentile
    of eq. 1 over the clip's vectors, shifted by a training statistic so that it is positive.
    ``knn``: mean distance of the clip's mean vector to its nearest training clips; a training clip
    is not its own neighbour.

    Attributes
    ----------
    bottleneck : maps one clip's stacked vectors to the trained models' bottleneck vectors.
    mean, std : of the training vectors, (seed, 1, latent).
    flows, trees : one per seed. The tree itself is asked: scikit-learn's ``NearestNeighbors``
        changes the process's warning filters at every call, and clips are scored in threads.
    neighbours : nearest training clips that are taken.
    low : (seed,), is subtracted from the flow's score.
    percentile : over the vectors of a clip.
    """

    bottleneck: Model
    mean: Float[Tensor, "seed 1 latent"]
    std: Float[Tensor, "seed 1 latent"]
    flows: Sequence[MAF]
    trees: Sequence[BallTree]
    neighbours: int
    low: Float[np.ndarray, " seed"]
    percentile: float

    @classmethod
    def fit(
        cls,
        bottleneck: Model,
        frames: Frames,
        seeds: Sequence[int],
        *,
        constants: Bottleneck = Bottleneck(),
        percentile: float = Scoring().percentile,
    ) -> BottleneckDetector:
        """Train one flow per seed and keep the training clips' mean vectors.

        Parameters
        ----------
        bottleneck : see the attribute.
        frames : of the training clips.
        seeds : of the models that ``bottleneck`` runs.
        constants : of the flow, its training and the nearest neighbours.
        percentile : over the vectors of a clip.
        """
        from sklearn.neighbors import BallTree

        clips = [bottleneck(frames.clip(c)).cpu() for c in range(len(frames))]
        whole = torch.cat(clips, 1)
        mean, std = whole.mean(1, keepdim=True), whole.std(1, keepdim=True).clamp_min(1e-8)
        own = zip((whole - mean) / std, seeds, strict=True)
        flows = [_train(x, seed, constants) for x, seed in own]
        clips = [(x - mean) / std for x in clips]
        # a tree, not brute force: its distance of a clip to itself is exactly 0
        means = torch.stack([x.double().mean(1) for x in clips], 1).numpy()
        trees = [BallTree(x) for x in means]
        nll = np.stack([_surprise(flows, x, percentile) for x in clips])
        low = nll.mean(0) - _LOW * nll.std(0)
        return cls(bottleneck, mean, std, flows, trees, constants.neighbours, low, percentile)

    def __call__(self, vectors: Float[np.ndarray, "vector value"]) -> pipeline.Scores:
        """Score one clip: scorer to one value per seed, float64."""
        latent = (self.bottleneck(vectors).cpu() - self.mean) / self.std
        surprise = _surprise(self.flows, latent, self.percentile)
        flow = np.maximum(surprise - self.low, _SMALLEST)
        distances = []
        for tree, x in zip(self.trees, latent.double().mean(1).numpy(), strict=True):
            count = min(self.neighbours + 1, len(tree.data))
            near = tree.query(x[None], count)[0][0]
            others = near[1:] if near[0] == 0 and len(near) > 1 else near
            distances.append(max(others[: count - 1 or 1].mean(), _SMALLEST))
        return dict(zip(BOTTLENECK, (flow, np.array(distances)), strict=True))


def _surprise(
    flows: Sequence[MAF], latent: Float[Tensor, "seed vector latent"], percentile: float
) -> Float[np.ndarray, " seed"]:
    """Percentile over the vectors of -log p(b)."""
    with torch.inference_mode():
        nll = [-flow().log_prob(x) for flow, x in zip(flows, latent, strict=True)]
    return np.percentile(torch.stack(nll).double().numpy(), percentile, axis=1)


def _train(x: Float[Tensor, "vector latent"], seed: int, constants: Bottleneck) -> MAF:
    from zuko.flows import MAF

    x = x.clone()  # out of inference mode
    with torch.random.fork_rng(devices=[]):  # the library draws from the global generator
        torch.manual_seed(seed)
        hidden = [constants.hidden] * 2
        flow = MAF(x.shape[1], transforms=constants.transforms, hidden_features=hidden)
    optimiser = torch.optim.Adam(flow.parameters(), lr=constants.learning_rate)
    for epoch in range(constants.epochs):
        for batch in shuffled(len(x), seed, epoch).split(constants.batch_size):
            optimiser.zero_grad()
            (-flow().log_prob(x[batch]).mean()).backward()
            optimiser.step()
    return flow.eval()
