"""Decision-directed filters: gains that depend on the frame before.

The a-priori SNR of a frame is a weighted mean of the filter's own estimate from the frame before
and of this frame's a-posteriori SNR minus 1 (Ephraim and Malah 1984). Notebook: 02_front_ends.
"""

from __future__ import annotations

import numpy as np
import scipy.special
from jaxtyping import Float

_LEAST_V = 1e-30  # E1 is infinite at 0


def wiener_gain(prior: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"] | float:
    """Amplitude gain xi / (1 + xi) from the a-priori SNR xi.

    >>> wiener_gain(3.0)
    0.75
    """
    return prior / (1 + prior)


def lsa_gain(
    prior: Float[np.ndarray, "*shape"] | float, posterior: Float[np.ndarray, "*shape"] | float
) -> Float[np.ndarray, "*shape"] | float:
    """Best gain for the log-spectral amplitude, at most 1 (Ephraim and Malah 1985).

    xi / (1 + xi) exp(E1(v) / 2) with v = xi gamma / (1 + xi).

    Parameters
    ----------
    prior, posterior : the SNR xi and gamma, as ratios of power.

    Examples
    --------
    >>> float(round(lsa_gain(3.0, 4.0), 4))
    0.7549
    """
    wiener = wiener_gain(prior)
    v = np.maximum(wiener * posterior, _LEAST_V)
    return np.minimum(wiener * np.exp(scipy.special.exp1(v) / 2), 1.0)


def decision_directed(
    near: Float[np.ndarray, "frequency frame"],
    noise: Float[np.ndarray, "frequency frame"],
    weight: float,
    beta: float,
    most: float,
    log_spectral: bool,
) -> Float[np.ndarray, "frequency frame"]:
    """Filter one clip, frame after frame, all frequencies at once.

    Parameters
    ----------
    near, noise : (frequency, frame), power.
    weight : of the frame before in the a-priori SNR, 0 to 1.
    beta : lower bound of the power gain.
    most : largest a-posteriori SNR.
    log_spectral : LSA's gain instead of Wiener's.

    Returns
    -------
    (frequency, frame), power; unchanged where there is no noise.

    Examples
    --------
    >>> near = np.array([[1.0, 1.0, 9.0, 9.0, 9.0]])
    >>> noise = np.array([[1.0, 1.0, 1.0, 1.0, 0.0]])
    >>> decision_directed(near, noise, weight=0.5, beta=0.1, most=1e10, log_spectral=True).round(2)
    array([[0.25, 0.1 , 5.78, 6.86, 9.  ]])
    """
    noisy = noise > 0
    with np.errstate(over="ignore"):  # an infinite ratio is bounded next
        ratio = np.divide(near, noise, out=np.ones_like(near), where=noisy)
    # float64, and a frame's frequencies side by side in memory
    posterior = np.ascontiguousarray(np.minimum(ratio, most).T, np.float64)
    gain = np.empty_like(posterior)  # in power
    past = np.ones(len(near))  # clean power over noise before the first frame: equally loud
    for t, gamma in enumerate(posterior):
        prior = weight * past + (1 - weight) * np.maximum(gamma - 1, 0)
        gain[t] = (lsa_gain(prior, gamma) if log_spectral else wiener_gain(prior)) ** 2
        past = gain[t] * gamma
    filtered = near * np.clip(gain.T, beta, 1)
    return np.where(noisy, filtered, near).astype(near.dtype)
