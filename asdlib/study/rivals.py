"""Detectors beside the paper's: the official baseline's, flow and neighbours at the bottleneck.

The baseline's scores are the mean squared error and the selective Mahalanobis distance (Harada et
al., EUSIPCO 2023). They take residuals as single frames, not as stacked vectors. The paper tried
the other two in place of the residuals and together with them, without a robust gain.
Notebooks: 02_seed_study, 05_variants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asdlib.params import Bottleneck, Scoring, Training
from asdlib.pipeline import Scores
from asdlib.spectra import Frames
from asdlib.study.baseline import SCORERS
from asdlib.study.detectors import BOTTLENECK
from asdlib.training import shuffled

if TYPE_CHECKING:
    from sklearn.neighbors import BallTree
    from zuko.flows import MAF

Model = Callable[[Float[np.ndarray, "vector value"]], Float[Tensor, "seed vector value"]]
"""Stacked vectors of a clip to residuals, or to other values of the models of all seeds."""

_JITTER = 1e-9  # of the mean diagonal: a covariance of few frames has to be factored too

_LOW = 10.0  # the flow's score is 0 so many training standard deviations below the training mean

_SMALLEST = 1e-12  # of a score: a gamma distribution needs positive values


@dataclass(frozen=True)
class OfficialDetector:
    """Scores clips as the official baseline does, for all seeds.

    ``mse`` is the mean squared error of the clip. ``mahala`` is d^T Sigma^-1 d of the clip's MEAN
    residual frame d, not centred, with the covariance of either training domain, the smaller of the
    two. ``mahala_corrected`` takes the mean of the frames' distances instead.

    Attributes
    ----------
    residual : the model's residuals of stacked vectors.
    factors : Cholesky factor of Sigma per domain, (seed, band, band), float64.
    batch_losses : mean squared error of every minibatch of training vectors, (seed, batch): the
        official threshold is a quantile of their gamma distribution.
    """

    residual: Model
    factors: dict[str, Float[Tensor, "seed band band"]]
    batch_losses: Float[np.ndarray, "seed batch"]

    @classmethod
    def fit(
        cls,
        residual: Model,
        frames: Frames,
        domains: Sequence[str],
        *,
        batch_size: int = Training().batch_size,
    ) -> OfficialDetector:
        """Take the covariances from shuffled minibatches of training-normal vectors.

        Differences are centred on the mean of their own minibatch and domain, and the sum of their
        products is divided by the number of stacked vectors, not of frames.

        Parameters
        ----------
        frames : standardised training frames.
        domains : of every clip.
        """
        bands = frames.values.shape[1]
        starts, windows = frames.starts(), frames.windows()
        lengths = np.diff(frames.offsets) - frames.stack + 1
        of_vector = np.repeat(np.asarray(domains), lengths)
        order = shuffled(len(starts), 0, 0).numpy()
        products: dict[str, Tensor] = {}
        losses = []
        for batch in np.split(order, np.arange(batch_size, len(order), batch_size)):
            errors = residual(windows[starts[batch]])
            losses.append(errors.square().mean(dim=(1, 2)).double().cpu())
            for domain in dict.fromkeys(domains):
                own = errors[:, torch.from_numpy(of_vector[batch] == domain)]
                single = own.reshape(len(own), -1, bands).double().cpu()
                if single.shape[1]:
                    single = single - single.mean(1, keepdim=True)
                    products[domain] = products.get(domain, 0) + single.mT @ single
        factors = {}
        for domain, product in products.items():
            covariance = product / int(np.sum(of_vector == domain))
            diagonal = covariance.diagonal(dim1=1, dim2=2)
            jitter = (_JITTER * diagonal.mean(1, keepdim=True)).expand_as(diagonal)
            factors[domain] = torch.linalg.cholesky(covariance + torch.diag_embed(jitter))
        return cls(residual, factors, torch.stack(losses, 1).numpy())

    def __call__(self, vectors: Float[np.ndarray, "vector value"]) -> Scores:
        """Score one clip, per scorer and seed, in float64."""
        errors = self.residual(vectors).double().cpu()
        bands = next(iter(self.factors.values())).shape[1]
        single = errors.reshape(len(errors), -1, bands).mT

        def nearest(frames: Float[Tensor, "seed band frame"]) -> Float[Tensor, " seed"]:
            white = [torch.linalg.solve_triangular(f, frames, upper=False) for f in factors]
            return torch.stack([w.square().sum(1).mean(1) for w in white]).amin(0)

        factors = self.factors.values()
        mean_square = errors.square().mean(dim=(1, 2))
        values = (mean_square, nearest(single.mean(2, keepdim=True)), nearest(single))
        return dict(zip(SCORERS, (v.numpy() for v in values), strict=True))


@dataclass(frozen=True)
class BottleneckDetector:
    """Scores clips by how unusual their bottleneck vectors b are, for all seeds.

    ``flow``: -log p(b) of a masked autoregressive flow (Papamakarios et al. 2017), the percentile
    of eq. 1 of the paper over the clip's vectors, shifted by a training statistic to be positive.
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

    def __call__(self, vectors: Float[np.ndarray, "vector value"]) -> Scores:
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
