"""The official baseline: its network, its training, its scores and its threshold.

Its scores are the mean squared error and the selective Mahalanobis distance (Harada et al., EUSIPCO
2023). They take residuals as single frames, not as stacked vectors. Notebook: 02_seed_study.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from asdlib.calibration import Calibration
from asdlib.params import Autoencoder, Params, Training
from asdlib.pipeline import Scores
from asdlib.spectra import Frames
from asdlib.training import shuffled

Model = Callable[[Float[np.ndarray, "vector value"]], Float[Tensor, "seed vector value"]]
"""Stacked vectors of a clip to residuals, or to other values of the models of all seeds."""

NAME = "baseline"
"""What the official baseline is called where front-ends are named."""

SCORERS = ("mse", "mahala", "mahala_corrected")

_JITTER = 1e-9  # of the mean diagonal: a covariance of few frames has to be factored too


def official(params: Params) -> Params:
    """Return the same study with the official baseline's network, training and scores, and eq. 1.

    640-128x4-8-128x4-640 with batch norm and ReLU throughout, no weight decay, a tenth of the
    vectors held out (section 4.1 of the paper).
    """
    shape: dict[str, Any] = {"width": 128, "blocks": 3, "bottleneck": 8, "residual": False}
    shape |= {"activation": "relu", "norm_bottleneck": True, "momentum": 0.01, "eps": 1e-3}
    loop = {"weight_decay": 0.0, "held_out": 0.1, "objective": "reconstruct"}
    training = params.training.model_copy(update=loop)
    study = {"front_ends": ("near",), "scorers": (*SCORERS, "eq1")}
    return params.model_copy(
        update={**study, "autoencoder": Autoencoder(**shape), "training": training}
    )


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


def thresholds(scores: pd.DataFrame, quantile: float) -> pd.DataFrame:
    """Shares of clips above a threshold on the mean squared error: the official one, and another.

    The official rule fits a gamma distribution to the losses of minibatches, the other one to the
    training clips' scores.

    Parameters
    ----------
    scores : A of every clip of one machine, as of :func:`asdlib.study.scores.raw`.
    quantile : of the gamma distribution that a threshold is.

    Returns
    -------
    DataFrame, a row per rule: share of the training, normal and anomalous (labelled test) clips,
    mean over seeds; NaN where there are none.
    """
    rows = []
    mse = scores[scores["scorer"] == "mse"].groupby("seed", sort=False)
    for (_, own), losses in zip(mse, scores.attrs["batch_losses"], strict=True):
        kinds = np.where(own["split"] == "train", "training", own["label"])
        of_clips = own.loc[kinds == "training", "A"]
        for rule, values in {"minibatch losses": losses, "clip scores": of_clips}.items():
            limit = Calibration.fit(np.array(values), quantile).raw_threshold
            above = (own["A"] > limit).groupby(kinds).mean()
            rows.append(above.reindex(["training", "normal", "anomaly"]).rename(rule))
    return pd.DataFrame(rows).rename_axis("rule").groupby("rule", sort=False).mean()
