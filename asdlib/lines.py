"""Lines: a detector for one narrow tone, which the distance over hundreds of bands dilutes.

The level of every bin of a Welch spectrum counts over the median of its neighbours, so that neither
the loudness nor the colour of the noise matters. The score is the largest excess over normal clips
within 1 % of the frequency, since speeds wander. Nothing is trained and there is no seed.
The faults of the scenes are no new lines, so it is no view of S5: it serves a machine of one's own.
Notebook: 07_own_machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage
from jaxtyping import Float

from asdlib.calibration import Folds, HeldOut
from asdlib.clipstats import welch
from asdlib.params import Spectra, Statistics
from asdlib.spectra import decibels

Sound = Float[np.ndarray, " sample"]
OfBins = Float[np.ndarray, " bin"]
Table = Float[np.ndarray, "clip bin"]
OfClips = Float[np.ndarray, " clip"]

_HALF = 10  # bins to either side whose median counts
_WANDER = 0.01  # of the frequency, or two bins
_LEAST_SCATTER = 1.0  # dB
_LOWEST = 4  # bin; below lie offset and drift


def prominence(
    signal: Sound, spectra: Spectra = Spectra(), constants: Statistics = Statistics()
) -> OfBins:
    """Level of every bin over the median of its neighbours, dB.

    Parameters
    ----------
    signal : (sample,).
    spectra : its sample rate.
    constants : length of a segment in samples: 8192 resolve 2 Hz at 16 kHz.

    Examples
    --------
    >>> rng, t = np.random.default_rng(0), np.arange(64000) / 16000
    >>> found = prominence(0.1 * rng.normal(size=64000) + 0.02 * np.cos(2 * np.pi * 3000 * t))
    >>> found.shape, int(found.argmax()) * 16000 / 8192
    ((4097,), 3000.0)
    """
    levels = decibels(welch(signal, spectra.sample_rate, constants.psd_segment))
    around = scipy.ndimage.median_filter(levels, 2 * _HALF + 1, mode="nearest")
    return (levels - around).astype(np.float32)


@dataclass(frozen=True)
class Lines:
    """What the lines of normal clips look like.

    Attributes
    ----------
    usual, scatter : largest mean and largest standard deviation of the prominence over
        training-normal clips, near each bin, dB.
    held_out : log of the largest excess of the training clips, each against the others.

    Examples
    --------
    >>> rng, t = np.random.default_rng(0), np.arange(32000) / 16000
    >>> table = np.stack([prominence(0.1 * rng.normal(size=32000)) for _ in range(20)])
    >>> lines = Lines.fit(table, np.arange(20) // 2)
    >>> tone = 0.02 * np.cos(2 * np.pi * 3000.3 * t)
    >>> strange = prominence(0.1 * rng.normal(size=32000) + tone)
    >>> lines.z(strange[None]).item() > 3, round(lines.strongest(strange)[0])
    (True, 3000)
    """

    usual: OfBins
    scatter: OfBins
    held_out: HeldOut

    @classmethod
    def fit(cls, table: Table, folds: Folds) -> Lines:
        """Take what is usual from training-normal clips, one row of :func:`prominence` each.

        Parameters
        ----------
        folds : number of the fold of every clip, see :func:`asdlib.calibration.folds`.
        """
        found = np.zeros(len(table))
        for fold in np.unique(folds):
            own = folds == fold
            rest = cls._fit(table if own.all() else table[~own])
            found[own] = rest.log_excess(table[own])
        return replace(cls._fit(table), held_out=HeldOut(found))

    @classmethod
    def _fit(cls, table: Table) -> Lines:
        usual, scatter = _nearby(np.stack([table.mean(axis=0), table.std(axis=0)]))
        return cls(usual, np.maximum(scatter, _LEAST_SCATTER), HeldOut(np.zeros(0)))

    def excess(self, table: Table) -> Table:
        """How far each bin lies above what is usual, in standard deviations."""
        return (table - self.usual) / self.scatter

    def log_excess(self, table: Table) -> OfClips:
        """Return the logarithm of the largest excess of every clip."""
        return np.log(np.maximum(self.excess(table)[:, _LOWEST:].max(axis=1), 0.1))

    def z(self, table: Table) -> OfClips:
        """Score of every clip, standardised by the held-out training clips'."""
        return self.held_out.standardise(self.log_excess(table))

    def strongest(self, prominence: OfBins, rate: int = 16000) -> tuple[float, float, float]:
        """Return the newest line of one clip.

        Returns
        -------
        Its frequency in Hz, by a parabola through three bins; what it stands above its neighbours,
        and what is usual there, both in dB.
        """
        best = int(self.excess(prominence[None])[0, _LOWEST:-1].argmax()) + _LOWEST
        top, usual = float(prominence[best]), float(self.usual[best])
        return place(prominence, best, rate), top, max(usual, 0.0)


def place(prominence: OfBins, peak: int, rate: int) -> float:
    """Frequency of a peak in Hz, by a parabola through three bins.

    >>> place(np.array([0.0, 3.0, 6.0, 6.0, 3.0]), 2, 8)
    2.5
    """
    left, top, right = (float(value) for value in prominence[peak - 1 : peak + 2])
    curve = left - 2 * top + right
    exact = peak + (0.5 * (left - right) / curve if curve < 0 else 0.0)
    return exact * rate / 2 / (len(prominence) - 1)


def _nearby(rows: Float[np.ndarray, "row bin"]) -> Float[np.ndarray, "row bin"]:
    """Largest value within the wander of a speed, bin by bin."""
    bins = rows.shape[1]
    half = np.maximum(2, (_WANDER * np.arange(bins)).astype(int))
    found = np.empty_like(rows)
    for width in np.unique(half):  # few: a filter of one width serves its bins
        own = half == width
        found[:, own] = scipy.ndimage.maximum_filter1d(rows, 2 * width + 1, axis=1)[:, own]
    return found
