"""What the recordings of one machine look like: quantities with their centre, spread and range.

Both microphones keep their places. The delays and the polarity between the channels are therefore
much the same in all recordings of a machine, and their cross-correlation has a usual shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.signal
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

from asdlib.monitor.quantities import BANDS, LAG, RecordingQuantities, stacked

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
"""Names of the quantities of :class:`Reference`, in their order."""

Profile = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # the first four of Reference


@dataclass(frozen=True)
class Reference:
    """What the recordings of one machine look like.

    Attributes
    ----------
    bands : usual level of every band, dB of full scale.
    contrast : usual difference of the channels' levels, near minus far, dB.
    scatter : of that difference, dB.
    template : mean cross-correlation of the training recordings around no delay, of unit norm.
    centre, spread : median, and median absolute deviation as a standard deviation, of every
        quantity of :data:`QUANTITIES`.
    low, high : its range over the training recordings.

    Examples
    --------
    >>> from asdlib.monitor.quantities import measure
    >>> rng = np.random.default_rng(0)
    >>> clips = [0.1 * rng.normal(size=(2, 32000)) * [[1], [0.5]] for _ in range(8)]
    >>> usual = Reference.fit([measure(clip) for clip in clips])
    >>> [round(value) for value in usual.of_name("level far")]
    [-26, -26, -26]
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
    def fit(cls, measurements: Sequence[RecordingQuantities]) -> Reference:
        """Take what is usual from training recordings, at least one.

        The cross-correlation of each is compared to the mean of the others.
        """
        found = stacked(list(measurements))
        bands = np.median(found["bands"], axis=0)
        contrasts = found["bands"][:, 0] - found["bands"][:, 1]
        contrast = np.median(contrasts, axis=0)
        profile = bands, contrast, _deviation(contrasts)
        middle = found["lags"].sum(axis=1)[:, LAG - _HALF : LAG + _HALF].astype(np.float64)
        whole = middle.sum(axis=0)
        values = np.array(
            [
                list(quantities(one, (*profile, _unit(whole - own))).values())
                for one, own in zip(measurements, middle, strict=True)
            ]
        )
        return cls(
            *profile,
            _unit(whole),
            np.median(values, axis=0),
            _deviation(values),
            values.min(axis=0),
            values.max(axis=0),
        )

    @property
    def profile(self) -> Profile:
        """What the quantities of a recording are measured against."""
        return self.bands, self.contrast, self.scatter, self.template

    def widened(self, measurements: Sequence[RecordingQuantities]) -> Reference:
        """Return the same with ranges that hold more training recordings."""
        values = np.array([list(quantities(one, self.profile).values()) for one in measurements])
        low = np.minimum(self.low, values.min(axis=0))
        return replace(self, low=low, high=np.maximum(self.high, values.max(axis=0)))

    @property
    def narrowed(self) -> Reference:
        """The same without ranges: single training recordings may be faulty against it."""
        return replace(self, low=self.centre, high=self.centre)

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays of a model file."""
        return dict(vars(self))

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Reference:
        """Return what :meth:`arrays` gave.

        Raises
        ------
        KeyError
            If an array is missing.
        """
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})

    def up_to(self, name: str, least: float) -> float:
        """Highest value of a quantity that is not a fault.

        Parameters
        ----------
        least : no limit lies closer to the centre.
        """
        at = QUANTITIES.index(name)
        away = max(least, _SPREADS * float(self.spread[at]))
        return max(float(self.centre[at]) + away, float(self.high[at]))

    def down_to(self, name: str, least: float) -> float:
        """Lowest value of a quantity that is not a fault."""
        at = QUANTITIES.index(name)
        away = max(least, _SPREADS * float(self.spread[at]))
        return min(float(self.centre[at]) - away, float(self.low[at]))

    def of_name(self, name: str) -> tuple[float, float, float]:
        """Lowest, middle and highest value of a quantity over the training recordings."""
        at = QUANTITIES.index(name)
        return float(self.low[at]), float(self.centre[at]), float(self.high[at])


def quantities(measured: RecordingQuantities, profile: Profile | None) -> dict[str, float]:
    """All quantities of one recording in the order of QUANTITIES, or those without a profile.

    >>> from asdlib.monitor.quantities import measure
    >>> tone = 0.5 * np.sin(np.arange(16000) / 5, dtype=np.float32)
    >>> found = quantities(measure(np.stack([tone + 0.25, tone])), None)
    >>> round(found["offset near"], 2), round(found["level far"])
    (0.25, -9)
    """
    plain: dict[str, np.ndarray] = {
        "level": measured.level,
        "offset": np.abs(measured.offset),
        "clipped": measured.clipped,
        "silent": measured.silent,
        "drop": np.array([steepest(one)[0] for one in measured.bands]),
    }
    pair = {"unlike": measured.unlike}
    if profile is not None:
        bands, contrast, scatter, template = profile
        apart = measured.bands - bands
        plain |= {
            "gain": np.median(apart, axis=1),
            "quiet": measured.quiet,
            "cut": np.array([steepest(one)[0] for one in apart]),
        }
        pair |= _matches(measured, template)
        pair["crossed"] = _crossed(measured.bands[0] - measured.bands[1], contrast, scatter)
    flat = {f"{name} {c}": float(v) for name, own in plain.items() for c, v in _named(own)}
    flat |= {name: float(v) for name, v in pair.items()}
    return {name: flat[name] for name in QUANTITIES if name in flat}


def _named(values: np.ndarray) -> list[tuple[str, float]]:
    return list(zip(CHANNELS, values.tolist(), strict=True))


def steepest(levels: Float[np.ndarray, " band"]) -> tuple[float, int]:
    """Largest drop from some bands to all above the next one, in dB, and that next band.

    >>> steepest(np.repeat([-30.0, -90.0], BANDS // 2))
    (60.0, 15)
    """
    below = np.median(sliding_window_view(levels, _SUPPORT)[: BANDS - 1 - _SUPPORT], axis=1)
    above = np.maximum.accumulate(levels[::-1])[::-1][_SUPPORT + 1 :]
    best = int(np.argmax(below - above))
    return float(below[best] - above[best]), best + _SUPPORT


def _crossed(
    difference: Float[np.ndarray, " band"],
    contrast: Float[np.ndarray, " band"],
    scatter: Float[np.ndarray, " band"],
) -> float:
    """Distance of the channels' difference to the swapped one, relative to the usual one.

    The usual one may have any gain, so that a change of level is no swap.
    """
    weight = 1 / (scatter**2 + 1)
    weight /= weight.sum()
    straight = difference - contrast
    free = straight - np.sum(weight * straight)

    def size(x: np.ndarray) -> float:
        return float(np.sqrt(np.sum(weight * x**2)))

    return size(difference + contrast) / max(min(size(straight), size(free)), 1e-6)


def _matches(
    measured: RecordingQuantities, template: Float[np.ndarray, " around"]
) -> dict[str, float]:
    """How the cross-correlation matches the usual one, in standard deviations of chance.

    Returns
    -------
    match, the strongest one at any delay, with its sign; delay, in samples; mirror, that of the
    swapped channels without delay minus that of the given ones, without delay or nearly as strong
    as with any; drift, delay in the second half minus the first.
    """
    whole = measured.lags.sum(axis=0) / np.sqrt(2)
    found = scipy.signal.correlate(whole, template, "valid")
    best, none = int(np.abs(found).argmax()), LAG - _HALF
    match = float(found[best])
    swapped = scipy.signal.correlate(np.roll(whole[::-1], 1), template, "valid")
    straight, mirrored = (
        float(np.abs(one[none - _NEIGHBOURS : none + _NEIGHBOURS + 1]).max())
        for one in (found, swapped)
    )
    early, late = (_peak(half, template) for half in measured.lags)
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


def _deviation(values: np.ndarray) -> np.ndarray:
    """Median absolute deviation of each column, as a standard deviation of normal values."""
    return 1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0)


def _unit(values: Float[np.ndarray, " lag"]) -> Float[np.ndarray, " lag"]:
    norm = float(np.linalg.norm(values))
    return values / norm if norm > 0 else np.zeros_like(values)
