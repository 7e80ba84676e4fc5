"""What the recordings of one machine look like: quantities with their centre, spread and range.

Both microphones keep their places. The delays and the polarity between the channels are therefore
much the same in all recordings of a machine, and their cross-correlation has a usual shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from asdlib.monitor.quantities import CHANNELS, LAG, Lags, RecordingQuantities, by_channel, steepest

Template = Float[np.ndarray, " around"]

EVIDENT = 8.0
"""Standard deviations of chance that a match of cross-correlations needs."""

_HALF = 512  # samples, 32 ms at 16 kHz: what is compared of the cross-correlation, to either side
_EVIDENT_IN_HALVES = 6.0
_NEIGHBOURS = 2  # samples that count as no delay
_NEARLY = 0.9  # of the strongest match
_MOST = (10, 90)  # percentiles of the bands of both channels, between which a change is told uneven

_PER_CHANNEL = ("level", "offset", "ramp", "clipped", "silent", "drop", "gain", "quiet", "cut")
_OF_BOTH = ("unlike", "match", "mirror", "crossed", "delay", "drift", "apart", "uneven")
QUANTITIES = (*(f"{name} {c}" for name in _PER_CHANNEL for c in CHANNELS), *_OF_BOTH)
"""Names of the quantities of a recording, in their order."""


class Range(NamedTuple):
    """Lowest, middle and highest value of a quantity over the training recordings, and the spread.

    The spread is the median absolute deviation, as a standard deviation of normal values.
    """

    low: float
    centre: float
    high: float
    spread: float


@dataclass(frozen=True)
class MachineReference:
    """What the recordings of one machine look like.

    Attributes
    ----------
    bands : usual level of every band, dB of full scale.
    contrast : usual difference of the channels' levels, near minus far, dB.
    scatter : of that difference, dB.
    template : mean cross-correlation of the training recordings around no delay, of unit norm.
    centre, spread, low, high : of every quantity of :data:`QUANTITIES`, see :class:`Range`.

    Examples
    --------
    >>> from asdlib.monitor.quantities import measure
    >>> rng = np.random.default_rng(0)
    >>> clips = [0.1 * rng.normal(size=(2, 32000)) * [[1], [0.5]] for _ in range(8)]
    >>> reference = MachineReference.fit([measure(clip) for clip in clips])
    >>> round(reference.ranges["level far"].centre)
    -26
    """

    bands: Float[np.ndarray, "channel=2 band"]
    contrast: Float[np.ndarray, " band"]
    scatter: Float[np.ndarray, " band"]
    template: Template
    centre: Float[np.ndarray, " quantity"]
    spread: Float[np.ndarray, " quantity"]
    low: Float[np.ndarray, " quantity"]
    high: Float[np.ndarray, " quantity"]

    @classmethod
    def fit(cls, recordings: Sequence[RecordingQuantities]) -> MachineReference:
        """Take what is usual from training recordings, at least one.

        The cross-correlation of each is compared to the mean of the others.
        """
        bands = np.stack([one.bands for one in recordings])
        contrasts = bands[:, 0] - bands[:, 1]
        lags = np.stack([one.lags for one in recordings]).sum(axis=1)
        middle = lags[:, LAG - _HALF : LAG + _HALF].astype(np.float64)
        whole, none = middle.sum(axis=0), np.zeros(0)
        usual, contrast = np.median(bands, axis=0), np.median(contrasts, axis=0)
        shape = cls(usual, contrast, _spread(contrasts), _unit(whole), none, none, none, none)
        others = [replace(shape, template=_unit(whole - own)) for own in middle]
        values = _table(map(quantities, recordings, others))
        centre, low, high = np.median(values, axis=0), values.min(axis=0), values.max(axis=0)
        return replace(shape, centre=centre, spread=_spread(values), low=low, high=high)

    def widened(self, recordings: Sequence[RecordingQuantities]) -> MachineReference:
        """Return the same with ranges that hold more training recordings."""
        values = _table(quantities(one, self) for one in recordings)
        low = np.minimum(self.low, values.min(axis=0))
        return replace(self, low=low, high=np.maximum(self.high, values.max(axis=0)))

    @property
    def ranges(self) -> dict[str, Range]:
        """What is usual of every quantity, by its name."""
        columns = np.stack([getattr(self, name) for name in Range._fields])
        return dict(zip(QUANTITIES, (Range(*own) for own in columns.T.tolist()), strict=True))


def quantities(found: RecordingQuantities, reference: MachineReference) -> dict[str, float]:
    """All quantities of one recording, also those against a reference.

    >>> from asdlib.monitor.quantities import measure
    >>> noise = [0.1 * np.random.default_rng(i).normal(size=(2, 16000)) for i in range(4)]
    >>> reference = MachineReference.fit([measure(one) for one in noise])
    >>> round(quantities(measure(10 * noise[0]), reference)["gain far"])
    20
    """
    apart = found.bands - reference.bands
    against = by_channel(gain=np.median(apart, axis=1), cut=[steepest(one)[0] for one in apart])
    crossed = _crossed(found.bands[0] - found.bands[1], reference)
    uneven = float(np.ptp(np.percentile(apart, _MOST)))
    far = abs(against["gain near"] - against["gain far"])
    both = {"crossed": crossed, "apart": far, "uneven": uneven}
    return found.values | against | _matches(found.lags, reference.template) | both


def _table(rows: Iterable[dict[str, float]]) -> Float[np.ndarray, "recording quantity"]:
    return np.array([[row[name] for name in QUANTITIES] for row in rows])


def _crossed(difference: Float[np.ndarray, " band"], reference: MachineReference) -> float:
    """Distance of the channels' difference to the swapped one, relative to the usual one.

    The usual one may have any gain, so that a change of level is no swap.
    """
    weight = 1 / (reference.scatter**2 + 1)
    weight /= weight.sum()
    straight = difference - reference.contrast
    free = straight - np.sum(weight * straight)

    def size(x: np.ndarray) -> float:
        return float(np.sqrt(np.sum(weight * x**2)))

    return size(difference + reference.contrast) / max(min(size(straight), size(free)), 1e-6)


def _matches(lags: Lags, template: Template) -> dict[str, float]:
    """How the cross-correlation matches the usual one, in standard deviations of chance.

    Returns
    -------
    match, the strongest one at any delay, with its sign; delay, in samples; mirror, that of the
    swapped channels without delay minus that of the given ones, without delay or nearly as strong
    as with any; drift, delay in the second half minus the first.
    """
    whole = lags.sum(axis=0) / np.sqrt(2)
    found = np.correlate(whole, template, "valid")
    best, none = int(np.abs(found).argmax()), LAG - _HALF
    match = float(found[best])
    swapped = np.correlate(np.roll(whole[::-1], 1), template, "valid")
    near = slice(none - _NEIGHBOURS, none + _NEIGHBOURS + 1)
    straight, mirrored = (float(np.abs(one[near]).max()) for one in (found, swapped))
    early, late = (_peak(half, template) for half in lags)
    return {
        "match": match,
        "mirror": mirrored - max(straight, _NEARLY * abs(match)),
        "delay": float(best - none) if abs(match) >= EVIDENT else 0.0,
        "drift": late[0] - early[0] if min(early[1], late[1]) >= _EVIDENT_IN_HALVES else 0.0,
    }


def _peak(lags: Float[np.ndarray, " lag"], template: Template) -> tuple[float, float]:
    """Delay in samples, with a parabola through the peak, and the height of the match."""
    found = np.abs(np.correlate(lags, template, "valid"))
    best = int(np.clip(found.argmax(), 1, len(found) - 2))
    left, top, right = found[best - 1 : best + 2]
    curve = left - 2 * top + right
    return float(best + (0.5 * (left - right) / curve if curve < 0 else 0.0)), float(top)


def _spread(values: np.ndarray) -> np.ndarray:
    """Median absolute deviation of each column, as a standard deviation of normal values."""
    return 1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0)


def _unit(values: Float[np.ndarray, " lag"]) -> Float[np.ndarray, " lag"]:
    norm = float(np.linalg.norm(values))
    return values / norm if norm > 0 else np.zeros_like(values)
