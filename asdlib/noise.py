"""Minimum-statistics noise floors and the noise transfer G_m (report section 3.2, eq. 2).

Notebook: 01_noise_floor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from asdlib.params import AsdError, Denoising
from asdlib.spectra import power


def noise_floor(
    powers: Iterable[Float[np.ndarray, "frequency _"]] | Float[np.ndarray, "frequency frame"],
    percentile: float = Denoising().percentile,
) -> Float[np.ndarray, " frequency"]:
    """Mean over clips of a low percentile over time of the power spectrum.

    Parameters
    ----------
    powers : one (frequency, frame) power spectrum per training-normal clip; lengths may differ.
        A lone array is one clip.
    percentile : 0 to 100; the machine is quiet in the lowest fifth of the time by default.

    Returns
    -------
    (frequency,), float64.

    Raises
    ------
    AsdError
        If there is no clip.

    References
    ----------
    R. Martin, IEEE Trans. Speech Audio Process. 9(5), 2001. Notebook: 01_noise_floor.
    """
    if isinstance(powers, np.ndarray) and powers.ndim == 2:
        powers = [powers]
    floors = [_quiet(p, percentile) for p in powers]
    if not floors:
        raise AsdError("The noise floor needs at least one training-normal clip; none was given.")
    return np.mean(floors, axis=0)


def noise_transfer(
    near_floor: Float[np.ndarray, " frequency"],
    far_floor: Float[np.ndarray, " frequency"],
    *,
    far_bound: float = Denoising().far_bound,
) -> Float[np.ndarray, " frequency"]:
    """G_m(k) = floor_n(k) / floor_f(k), eq. 2, in power.

    The denominator is bounded below by ``far_bound`` of its own median. Where the far channel is
    silent throughout there is no reference, and G_m is 0: nothing will be subtracted.

    Parameters
    ----------
    near_floor, far_floor : (frequency,), non-negative power.

    Returns
    -------
    (frequency,), float64.
    """
    near, far = np.asarray(near_floor, np.float64), np.asarray(far_floor, np.float64)
    bounded = np.maximum(far, far_bound * np.median(far))
    return np.divide(near, bounded, out=np.zeros_like(near), where=bounded > 0)


def noisier(
    spectrum: Complex[np.ndarray, "channel=2 frequency frame"],
    transfer: Float[np.ndarray, " frequency"],
) -> Float[np.ndarray, "frequency frame"]:
    """Near power with the noise that the far channel tells of added once more: P_n + G_m P_f."""
    near, far = power(spectrum)
    return near + transfer[:, None].astype(near.dtype) * far


@dataclass(frozen=True)
class Floors:
    """Noise floors of one machine and the transfer between its microphones.

    Attributes
    ----------
    near, far : (frequency,), mean quiet power of each channel.
    far_bound : as of :func:`noise_transfer`.
    """

    near: Float[np.ndarray, " frequency"]
    far: Float[np.ndarray, " frequency"]
    far_bound: float = Denoising().far_bound

    @classmethod
    def fit(
        cls,
        spectra: Iterable[Complex[np.ndarray, "channel=2 frequency _"]],
        constants: Denoising = Denoising(),
    ) -> Floors:
        """Take both floors from training-normal clips, in one pass."""
        return cls.average((quiet(spectrum, constants) for spectrum in spectra), constants)

    @classmethod
    def average(
        cls,
        clips: Iterable[Float[np.ndarray, "channel=2 frequency"]],
        constants: Denoising = Denoising(),
    ) -> Floors:
        """Take both floors from the quiet power of every training-normal clip."""
        levels = list(clips)
        if not levels:
            raise AsdError("The noise floors need at least one training-normal clip.")
        near, far = np.mean(levels, axis=0)
        return cls(near, far, constants.far_bound)

    @property
    def transfer(self) -> Float[np.ndarray, " frequency"]:
        """G_m(k), eq. 2."""
        return noise_transfer(self.near, self.far, far_bound=self.far_bound)


def quiet(
    spectrum: Complex[np.ndarray, "channel=2 frequency frame"], constants: Denoising = Denoising()
) -> Float[np.ndarray, "channel=2 frequency"]:
    """Low percentile over time of one clip's power, both channels."""
    return _quiet(power(spectrum), constants.percentile)


def _quiet(
    power: Float[np.ndarray, "*shape frame"], percentile: float
) -> Float[np.ndarray, "*shape"]:
    return np.percentile(power, percentile, axis=-1).astype(np.float64)
