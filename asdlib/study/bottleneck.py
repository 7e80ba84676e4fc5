"""Anomaly scores at the autoencoder's bottleneck: a normalising flow and nearest neighbours.

The paper tried both in place of the residuals and together with them, without a robust gain.
Notebook: 07_negative_results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asdlib.params import Bottleneck, Scoring
from asdlib.spectra import Frames
from asdlib.training import shuffled

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors
    from zuko.flows import MAF

SCORERS = ("flow", "knn")

_LOW = 10.0  # the flow's score is 0 so many training standard deviations below the training mean
_SMALLEST = 1e-12  # of a score: a gamma distribution needs positive values


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
    flows, neighbours : one per seed.
    low : (seed,), is subtracted from the flow's score.
    percentile : over the vectors of a clip.
    """

    bottleneck: Callable[[Float[np.ndarray, "vector value"]], Float[Tensor, "seed vector latent"]]
    mean: Float[Tensor, "seed 1 latent"]
    std: Float[Tensor, "seed 1 latent"]
    flows: Sequence[MAF]
    neighbours: Sequence[NearestNeighbors]
    low: Float[np.ndarray, " seed"]
    percentile: float

    @classmethod
    def fit(
        cls,
        bottleneck: Callable[
            [Float[np.ndarray, "vector value"]], Float[Tensor, "seed vector latent"]
        ],
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
        from sklearn.neighbors import NearestNeighbors

        clips = [bottleneck(frames.clip(c)).cpu() for c in range(len(frames))]
        whole = torch.cat(clips, 1)
        mean = whole.mean(1, keepdim=True)
        std = whole.std(1, keepdim=True).clamp_min(1e-8)
        flows = [
            _train(x, seed, constants) for x, seed in zip((whole - mean) / std, seeds, strict=True)
        ]
        # a tree, not brute force: its distance of a clip to itself is exactly 0
        tree = NearestNeighbors(
            n_neighbors=min(constants.neighbours + 1, len(clips)), algorithm="ball_tree"
        )
        means = torch.stack([_mean((x - mean) / std) for x in clips], 1).numpy()
        neighbours = [type(tree)(**tree.get_params()).fit(x) for x in means]
        raw = cls(bottleneck, mean, std, flows, neighbours, np.zeros(len(flows)), percentile)
        nll = np.stack([raw._surprise((x - mean) / std) for x in clips])
        return cls(
            bottleneck, mean, std, flows, neighbours, nll.mean(0) - _LOW * nll.std(0), percentile
        )

    def __call__(
        self, vectors: Float[np.ndarray, "vector value"]
    ) -> dict[str, Float[np.ndarray, " seed"]]:
        """Score one clip: scorer to one value per seed, float64."""
        latent = (self.bottleneck(vectors).cpu() - self.mean) / self.std
        flow = np.maximum(self._surprise(latent) - self.low, _SMALLEST)
        distances = []
        for tree, x in zip(self.neighbours, _mean(latent).numpy(), strict=True):
            near = tree.kneighbors(x[None])[0][0]
            others = near[1:] if near[0] == 0 and len(near) > 1 else near
            distances.append(max(others[: tree.n_neighbors - 1 or 1].mean(), _SMALLEST))
        return dict(zip(SCORERS, (flow, np.array(distances)), strict=True))

    def _surprise(self, latent: Float[Tensor, "seed vector latent"]) -> Float[np.ndarray, " seed"]:
        with torch.inference_mode():
            nll = [-flow().log_prob(x) for flow, x in zip(self.flows, latent, strict=True)]
        return np.percentile(torch.stack(nll).double().numpy(), self.percentile, axis=1)


def _mean(latent: Float[Tensor, "seed vector latent"]) -> Float[Tensor, "seed latent"]:
    return latent.double().mean(1)


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
