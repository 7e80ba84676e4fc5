"""What the recordings of one machine look like: quantities with their centre, spread and range.

Both microphones keep their places. The delays and the polarity between the channels are therefore
much the same in all recordings of a machine, and their cross-correlation has a usual shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.signal
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

from asdlib.monitor.quantities import BANDS, LAG, RecordingQuantities

CHANNELS = ("near", "far")
EVIDENT = 8.0
"""Standard deviations of chance that a match of cross-correlations needs."""

_SUPPORT = 4  # bands below an edge that are looked at
_SPREADS = 4.0  # that a quantity may lie away from its centre
_HALF = 512  # samples, 32 ms at 16 kHz: what is compared of the cross-correlation, to either side
_EVIDENT_IN_HALVES = 6.0
_NEIGHBOURS = 2  # samples that count as no delay
_NEARLY = 0.9  # of the strongest match

_PER_CHANNEL = ("level", "offset", "clipped", "silent", "drop", "gain", "quiet", "cut")
_OF_BOTH = ("unlike", "match", "mirror", "crossed", "delay", "drift")
QUANTITIES = (*(f"{name} {c}" for name in _PER_CHANNEL for c in CHANNELS), *_OF_BOTH)
"""Names of the quantities of a recording, in their order."""


class Range(NamedTuple):
    """Lowest, middle and highest value of a quantity over the training recordings, and the spread.

    The spread is the median absolute deviation, as a standard deviation of normal values.

    Examples
    --------
    >>> level = Range(-22.0, -20.0, -19.0, 0.5)
    >>> level.up_to(least=1.5), level.down_to(least=1.5)
    (-18.0, -22.0)
    """

    low: float
    centre: float
    high: float
    spread: float

    def up_to(self, least: float) -> float:
        """Highest value that is not a fault; it lies ``least`` or more from the centre."""
        return max(self.centre + max(least, _SPREADS * self.spread), self.high)

    def down_to(self, least: float) -> float:
        """Lowest value that is not a fault."""
        return min(self.centre - max(least, _SPREADS * self.spread), self.low)


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
    >>> round(reference.range("level far").centre)
    -26
    """

    bands: Float[np.ndarray, "channel=2 band"]
    contrast: Float[np.ndarray, " band"]
    scatter: Float[np.ndarray, " band"]
    template: Float[np.ndarray, " around"]
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
        values = np.stack([_all(*pair) for pair in zip(recordings, others, strict=True)])
        return replace(
            shape,
            centre=np.median(values, axis=0),
            spread=_spread(values),
            low=values.min(axis=0),
            high=values.max(axis=0),
        )

    def widened(self, recordings: Sequence[RecordingQuantities]) -> MachineReference:
        """Return the same with ranges that hold more training recordings."""
        values = np.stack([_all(one, self) for one in recordings])
        low = np.minimum(self.low, values.min(axis=0))
        return replace(self, low=low, high=np.maximum(self.high, values.max(axis=0)))

    def range(self, quantity: str) -> Range:
        """Return what is usual of one quantity."""
        at = QUANTITIES.index(quantity)
        return Range(*(float(v[at]) for v in (self.low, self.centre, self.high, self.spread)))


def quantities(
    found: RecordingQuantities, reference: MachineReference | None = None
) -> dict[str, float]:
    """All quantities of one recording in the order of QUANTITIES, or those without a reference.

    >>> from asdlib.monitor.quantities import measure
    >>> tone = 0.5 * np.sin(np.arange(16000) / 5, dtype=np.float32)
    >>> values = quantities(measure(np.stack([tone + 0.25, tone])))
    >>> round(values["offset near"], 2), round(values["level far"])
    (0.25, -9)
    """
    of_one = {
        "level": found.level,
        "offset": np.abs(found.offset),
        "clipped": found.clipped,
        "silent": found.silent,
        "drop": [steepest(one)[0] for one in found.bands],
    }
    of_both = {"unlike": found.unlike}
    if reference is not None:
        apart = found.bands - reference.bands
        of_one |= {
            "gain": np.median(apart, axis=1),
            "quiet": found.quiet,
            "cut": [steepest(one)[0] for one in apart],
        }
        of_both |= _matches(found.lags, reference.template)
        of_both["crossed"] = _crossed(found.bands[0] - found.bands[1], reference)
    for name, values in of_one.items():
        of_both |= {f"{name} {c}": v for c, v in zip(CHANNELS, values, strict=True)}
    return {name: float(of_both[name]) for name in QUANTITIES if name in of_both}


def _all(found: RecordingQuantities, reference: MachineReference) -> Float[np.ndarray, " quantity"]:
    return np.array(list(quantities(found, reference).values()))


def steepest(levels: Float[np.ndarray, " band"]) -> tuple[float, int]:
    """Largest drop from some bands to all above the next one, in dB, and that next band.

    >>> steepest(np.repeat([-30.0, -90.0], BANDS // 2))
    (60.0, 15)
    """
    below = np.median(sliding_window_view(levels, _SUPPORT)[: BANDS - 1 - _SUPPORT], axis=1)
    above = np.maximum.accumulate(levels[::-1])[::-1][_SUPPORT + 1 :]
    best = int(np.argmax(below - above))
    return float(below[best] - above[best]), best + _SUPPORT


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


def _matches(
    lags: Float[np.ndarray, "half=2 lag"], template: Float[np.ndarray, " around"]
) -> dict[str, float]:
    """How the cross-correlation matches the usual one, in standard deviations of chance.

    Returns
    -------
    match, the strongest one at any delay, with its sign; delay, in samples; mirror, that of the
    swapped channels without delay minus that of the given ones, without delay or nearly as strong
    as with any; drift, delay in the second half minus the first.
    """
    whole = lags.sum(axis=0) / np.sqrt(2)
    found = scipy.signal.correlate(whole, template, "valid")
    best, none = int(np.abs(found).argmax()), LAG - _HALF
    match = float(found[best])
    swapped = scipy.signal.correlate(np.roll(whole[::-1], 1), template, "valid")
    straight, mirrored = (
        float(np.abs(one[none - _NEIGHBOURS : none + _NEIGHBOURS + 1]).max())
        for one in (found, swapped)
    )
    early, late = (_peak(half, template) for half in lags)
    return {
        "match": match,
        "mirror": mirrored - max(straight, _NEARLY * abs(match)),
        "delay": float(best - none) if abs(match) >= EVIDENT else 0.0,
        "drift": late[0] - early[0] if min(early[1], late[1]) >= _EVIDENT_IN_HALVES else 0.0,
    }


def _peak(
    lags: Float[np.ndarray, " lag"], template: Float[np.ndarray, " around"]
) -> tuple[float, float]:
    """Delay in samples, with a parabola through the peak, and the height of the match."""
    found = np.abs(scipy.signal.correlate(lags, template, "valid"))
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
