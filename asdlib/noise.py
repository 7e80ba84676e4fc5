"""Minimum-statistics noise floors and the noise transfer G_m (paper, section 3.2, eq. 2).

G_m(k) = floor_n(k) / floor_f(k), with floor_x(k) the mean over training-normal clips of a low
percentile over time of the power P_x(k, t); x is the near or the far microphone. A far microphone
close to the machine hears what the near one hears, and is no reference: :func:`following` tells.
Notebook: 01_far_microphone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from asdlib.params import AsdError, Denoising
from asdlib.spectra import Power, Spectrum, decibels, power

PerBin = Float[np.ndarray, " frequency"]
Levels = Float[np.ndarray, "kind=2 channel=2 frequency"]
"""Quiet power and mean power over time of one clip, of the near and the far microphone."""

_BANDS = 64  # of equal width, whose levels are compared
_FOLLOWS = 0.8  # dB per dB, from which on the far microphone is no reference


def quiet_power(
    powers: Float[np.ndarray, "*shape frame"], percentile: float = Denoising().percentile
) -> Float[np.ndarray, "*shape"]:
    """Low percentile over time of one clip's power.

    Parameters
    ----------
    powers : (..., frame), power.
    percentile : 0 to 100; in the lowest fifth of the time, the machine is quiet by default.

    Returns
    -------
    (...), float64.

    Examples
    --------
    >>> quiet_power(np.array([[1.0, 9.0, 9.0, 9.0, 9.0, 9.0], [2.0, 2.0, 2.0, 2.0, 2.0, 8.0]]))
    array([9., 2.])
    """
    # of sorted values it is the same, and sorting them is faster than the partition in there
    return np.percentile(np.sort(powers, axis=-1), percentile, axis=-1).astype(np.float64)


def levels(spectrum: Spectrum, percentile: float = Denoising().percentile) -> Levels:
    """Quiet power and mean power of both channels of a clip, float64.

    >>> levels(np.array([[[1.0, 1.0, 3.0]], [[2.0, 2.0, 2.0]]]) + 0j)[:, :, 0].round(2).tolist()
    [[1.0, 4.0], [3.67, 4.0]]
    """
    found = power(spectrum)
    return np.stack([quiet_power(found, percentile), found.mean(axis=-1, dtype=np.float64)])


def noise_floor(
    powers: Iterable[Float[np.ndarray, "frequency _"]] | Float[np.ndarray, "frequency frame"],
    percentile: float = Denoising().percentile,
) -> PerBin:
    """Mean over clips of the quiet power.

    Parameters
    ----------
    powers : one (frequency, frame) power spectrum per training-normal clip; lengths may differ.
        A lone array is one clip.
    percentile : as of :func:`quiet_power`.

    Returns
    -------
    (frequency,), float64.

    Raises
    ------
    AsdError
        If there is no clip.

    References
    ----------
    R. Martin, IEEE Trans. Speech Audio Process. 9(5), 2001. Notebook: 01_far_microphone.

    Examples
    --------
    >>> clips = [np.full((2, 10), 1.0), np.full((2, 7), 3.0)]
    >>> noise_floor(clips)
    array([2., 2.])
    """
    if isinstance(powers, np.ndarray) and powers.ndim == 2:
        powers = [powers]
    return _mean_over_clips(quiet_power(p, percentile) for p in powers)


def noise_transfer(
    near_floor: PerBin, far_floor: PerBin, *, far_bound: float = Denoising().far_bound
) -> PerBin:
    """G_m(k) = floor_n(k) / floor_f(k), eq. 2 of the paper, in power.

    The denominator is bounded below by ``far_bound`` of its own median. Where the far channel is
    silent throughout there is no reference, and G_m is 0: nothing will be subtracted.

    Parameters
    ----------
    near_floor, far_floor : (frequency,), non-negative power.

    Returns
    -------
    (frequency,), float64.

    Examples
    --------
    >>> noise_transfer(np.array([4.0, 9.0]), np.array([2.0, 3.0]))
    array([2., 3.])
    """
    near, far = np.asarray(near_floor, np.float64), np.asarray(far_floor, np.float64)
    bounded = np.maximum(far, far_bound * np.median(far))
    return np.divide(near, bounded, out=np.zeros_like(near), where=bounded > 0)


def following(powers: Float[np.ndarray, "clip channel=2 frequency"]) -> float:
    """How much the near level changes from clip to clip where the far one does, in dB per dB.

    It is the share of noise in the near sound as long as the far microphone hears noise alone. Near
    1, the far microphone hears all that the near one hears. Levels are those of equal bands, each
    without the mean level of its clip and channel, so that a gain does not count.

    Parameters
    ----------
    powers : mean power over time of every training-normal clip, near and far.

    Returns
    -------
    Slope of the near levels over the far ones; 0 where the far ones do not change.

    Examples
    --------
    >>> far = np.array([[1.0, 1.0], [100.0, 1.0]])
    >>> following(np.stack([far, far], axis=1)), following(np.stack([far**0.5, far], axis=1))
    (1.0, 0.5)
    """
    edges = np.unique(np.linspace(0, powers.shape[-1], _BANDS + 1).astype(int))[:-1]
    shapes = decibels(np.add.reduceat(powers, edges, axis=-1))
    shapes = shapes - shapes.mean(axis=-1, keepdims=True)
    near, far = np.swapaxes(shapes - shapes.mean(axis=0), 0, 1)
    varies = float(np.sum(far**2))
    return float(np.sum(near * far)) / varies if varies else 0.0


def expected_noise(far_power: Power, transfer: PerBin) -> Power:
    """Noise power expected at the near microphone: G_m(k) P_f(k, t).

    Parameters
    ----------
    far_power : (frequency, frame), P_f.
    transfer : (frequency,), G_m.

    Returns
    -------
    (frequency, frame), in the precision of ``far_power``.

    Examples
    --------
    >>> expected_noise(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 0.5]))
    array([[10. , 20. ],
           [ 1.5,  2. ]])
    """
    return transfer[:, None].astype(far_power.dtype) * far_power


@dataclass(frozen=True)
class Floors:
    """Noise floors of one machine and the transfer between its microphones.

    Attributes
    ----------
    near, far : (frequency,), mean quiet power of each channel.
    far_bound : as of :func:`noise_transfer`.
    follows : see :func:`following`.

    Examples
    --------
    >>> near, far = np.full((1, 8), 2.0), np.full((1, 8), 1.0)
    >>> clip = np.stack([near, far]).astype(complex)
    >>> Floors.fit([clip, clip]).transfer
    array([4.])
    """

    near: PerBin
    far: PerBin
    far_bound: float = Denoising().far_bound
    follows: float = 0.0

    @classmethod
    def fit(cls, spectra: Iterable[Spectrum], constants: Denoising = Denoising()) -> Floors:
        """Take both floors from training-normal clips, in one pass."""
        return cls.average((levels(own, constants.percentile) for own in spectra), constants)

    @classmethod
    def average(cls, clips: Iterable[Levels], constants: Denoising = Denoising()) -> Floors:
        """Take both floors from the levels of every training-normal clip, see :func:`levels`."""
        found = list(clips)
        near, far = _mean_over_clips(own[0] for own in found)
        return cls(near, far, constants.far_bound, following(np.stack([own[1] for own in found])))

    @property
    def far_is_reference(self) -> bool:
        """Whether the far microphone is a noise reference: it hears less than the near one."""
        return self.follows < _FOLLOWS

    @cached_property
    def transfer(self) -> PerBin:
        """G_m(k), eq. 2 of the paper."""
        return noise_transfer(self.near, self.far, far_bound=self.far_bound)


def _mean_over_clips(
    quiet: Iterable[Float[np.ndarray, "*channel frequency"]],
) -> Float[np.ndarray, "*channel frequency"]:
    clips = list(quiet)
    if not clips:
        raise AsdError("A noise floor needs at least one training-normal clip; none was given.")
    return np.mean(clips, axis=0)
