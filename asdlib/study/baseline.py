"""The official baseline: its network, its training, its threshold. Notebook: 02_seed_study.

Its scores are computed by :class:`asdlib.study.rivals.OfficialDetector`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from asdlib.calibration import Calibration
from asdlib.params import Autoencoder, Params

NAME = "baseline"
"""What the official baseline is called where front-ends are named."""

SCORERS = ("mse", "mahala", "mahala_corrected")


def official(params: Params) -> Params:
    """Return the study with the baseline's network, training and scores, and eq. 1 of the paper.

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
