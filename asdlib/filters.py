"""Decision-directed filters, compiled: gains that depend on the frame before.

The a-priori SNR of a frame is a weighted mean of what the filter made of the frame before and of
what this frame says by itself (Ephraim and Malah 1984). Notebook: 02_front_ends.
"""

import math

import numba

# Abramowitz and Stegun 5.1.53, |error| < 2e-7, and 5.1.56, |error| < 5e-8
_SMALL = (-0.57721566, 0.99999193, -0.24991055, 0.05519968, -0.00976004, 0.00107857)
_ABOVE = (0.2677737343, 8.6347608925, 18.0590169730, 8.5733287401, 1.0)
_BELOW = (3.9584969228, 21.0996530827, 25.6329561486, 9.5733223454, 1.0)


@numba.vectorize(cache=True)
def wiener_gain(prior, posterior):
    """Amplitude gain xi / (1 + xi) from the a-priori SNR xi and the a-posteriori SNR."""
    return prior / (1 + prior)


@numba.njit(cache=True)
def _exponential_integral(x):
    """E1(x) of a positive x."""
    if x <= 1:
        total = 0.0
        for i in range(5, -1, -1):
            total = total * x + _SMALL[i]
        return total - math.log(x)
    above, below = 0.0, 0.0
    for i in range(4, -1, -1):
        above = above * x + _ABOVE[i]
        below = below * x + _BELOW[i]
    return math.exp(-x) / x * above / below


@numba.vectorize(cache=True)
def lsa_gain(prior, posterior):
    """Best gain for the log-spectral amplitude, at most 1 (Ephraim and Malah 1985).

    xi / (1 + xi) exp(E1(v) / 2) with v = xi gamma / (1 + xi).
    """
    wiener = prior / (1 + prior)
    v = wiener * posterior
    if v < 1e-30:
        v = 1e-30
    gain = wiener * math.exp(_exponential_integral(v) / 2)
    return min(gain, 1.0)


@numba.njit(cache=True)
def decision_directed(near, noise, weight, beta, most, log_spectral):
    """Filter one clip, frequency by frequency, frame after frame.

    Parameters
    ----------
    near, noise : (frequency, frame), power.
    weight : of the frame before in the a-priori SNR.
    beta : the power gain is not below it.
    most : largest a-posteriori SNR.
    log_spectral : LSA's gain instead of Wiener's.

    Returns
    -------
    (frequency, frame), power; unchanged where there is no noise.
    """
    out = near.copy()
    for k in range(near.shape[0]):
        past = 1.0  # before the first frame: machine and noise alike
        for t in range(near.shape[1]):
            posterior = 1.0
            if noise[k, t] > 0:
                posterior = min(near[k, t] / noise[k, t], most)
            prior = weight * past + (1 - weight) * max(posterior - 1, 0.0)
            gain = lsa_gain(prior, posterior) if log_spectral else wiener_gain(prior, posterior)
            past = gain * gain * posterior
            if noise[k, t] > 0:
                out[k, t] = near[k, t] * min(max(gain * gain, beta), 1.0)
    return out
