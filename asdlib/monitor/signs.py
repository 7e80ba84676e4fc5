"""Signs that an engineer has a word for: another speed, a machine that is off, a rate of knocks.

The lines of a machine keep their ratios when its speed changes, so all of them move by the same
factor. They are gone when it is off, and less is left after the noise was subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Bool, Float, Int

from asdlib.lines import OfBins

Sound = Float[np.ndarray, " sample"]
Levels = Float[np.ndarray, "recording value"]

OFF = "machine off: only the background is left. The lines of the machine are gone."

_LOWEST, _MOST_LINES = 20, 16  # bin of a usual line; of the highest lines
_LINE, _TALLEST = 3.0, 20.0  # dB: mean prominence of a usual line, and what counts of it at most
_FACTORS = 1 + np.arange(-80, 81) / 1000  # of the frequencies, that are tried
_APART = 0.0035  # that a factor is from that of every training recording
_CLEARLY = 1.3  # times the height at usual places that the lines have at another speed
_THERE = 0.75  # of the lowest height in a training recording
_SHARE_OFF = 0.2  # of the bands, that hold less than in any training recording

_STEP = 0.0005  # s, of an envelope
_SHORTEST = 1 / 150  # s, of a period
_MARGIN = 60.0  # Hz, to either side of a band
_RISE = 0.25  # of the correlation, least: five standard deviations of chance in 3 s
_NEARLY, _BROAD = 0.6, 1.25  # of the highest rise, for the first peak; of its lag, for its top
_FASTEST = 20.0  # per second, that are told as knocks
_SHORT = 0.3  # share of a period above half of its height: half for a sine, less for knocks


@dataclass(frozen=True)
class UsualLines:
    """The lines that the training recordings of a machine share.

    Attributes
    ----------
    bins : of a Welch spectrum, where they are.
    factors : of the speed of every training recording to the mean one.
    heights : mean height of the lines in every training recording at its speed, dB.

    Examples
    --------
    >>> table = np.random.default_rng(0).normal(size=(12, 4097)).astype(np.float32)
    >>> table[:, [300, 450, 700]] += 15
    >>> lines, faster = UsualLines.fit(table), np.zeros(4097, np.float32)
    >>> faster[[309, 463, 464, 721]] = 15
    >>> sorted(lines.bins.tolist()), round(lines.factor(faster), 2), lines.factor(table[0])
    ([300, 450, 700], 1.03, 1.0)
    """

    bins: Int[np.ndarray, " line"]
    factors: Float[np.ndarray, " recording"]
    heights: Float[np.ndarray, " recording"]

    @classmethod
    def fit(cls, table: Float[np.ndarray, "recording bin"]) -> UsualLines:
        """Find them in the prominences of training recordings, whose speeds may differ."""
        mean = table.mean(axis=0)
        left, middle, right = mean[_LOWEST - 1 : -2], mean[_LOWEST:-1], mean[_LOWEST + 1 :]
        peaks = (middle > _LINE) & (middle >= left) & (middle > right)
        bins = _LOWEST + np.flatnonzero(peaks)
        bins = bins[np.argsort(-mean[bins])][:_MOST_LINES]
        shapes = np.array([_shape(own, bins) for own in table])
        return cls(bins, _FACTORS[shapes.argmax(axis=1)], shapes.max(axis=1))

    def factor(self, prominence: OfBins) -> float:
        """Factor by which all lines have moved; 1 where it is a usual one, or none is clear."""
        shape, usual = _shape(prominence, self.bins), self._usual
        best = int(shape.argmax())
        others = shape[usual & (np.abs(_FACTORS - _FACTORS[best]) > 2 * _APART)]
        is_clear = shape[best] > max(_CLEARLY * others.max(initial=0), _THERE * self.heights.min())
        return float(_FACTORS[best]) if is_clear and not usual[best] else 1.0

    def are_gone(self, prominence: OfBins) -> bool:
        """Whether they are lower than in any training recording."""
        return bool(_shape(prominence, self.bins)[self._usual].max() < self.heights.min())

    @property
    def _usual(self) -> Bool[np.ndarray, " factor"]:
        return np.abs(_FACTORS[:, None] - self.factors).min(axis=1) < _APART


def _shape(prominence: OfBins, bins: Int[np.ndarray, " line"]) -> Float[np.ndarray, " factor"]:
    """Mean height of the lines, moved by every factor that is tried; 0 with fewer than three."""
    if len(bins) < 3:
        return np.zeros(len(_FACTORS))
    found = np.interp(np.outer(_FACTORS, bins), np.arange(len(prominence)), prominence)
    return np.clip(found, 0, _TALLEST).mean(axis=1)


def of_machine(lines: UsualLines, prominence: OfBins, clean: Levels) -> str:
    """What has changed of the machine as a whole, in a sentence; empty where nothing has.

    Parameters
    ----------
    clean : levels after the expected noise was subtracted, of training recordings and, in the last
        row, of the one that is judged, dB. Less is left of noise alone than of a machine with it.

    Examples
    --------
    >>> table = np.zeros((9, 4097), np.float32)
    >>> table[:8, [300, 450, 700]] = 15
    >>> lines, clean = UsualLines.fit(table[:8]), np.repeat(np.r_[[0.0] * 8, -9][:, None], 4, 1)
    >>> of_machine(lines, table[8], clean).split(":")[0]
    'machine off'
    """
    less = np.mean(clean[-1] < clean[:-1].min(axis=0))
    if lines.are_gone(prominence) and less > _SHARE_OFF:
        return OFF
    change = 100 * (lines.factor(prominence) - 1)
    way = "higher" if change > 0 else "lower"
    return f"all lines are {abs(change):.1f} % {way} than normal: another speed." if change else ""


def rate(sound: Sound, low: float, high: float, sample_rate: int) -> tuple[float, bool]:
    """Rate at which a sound swells in a band, by the autocorrelation of its envelope.

    Parameters
    ----------
    low, high : of the band, Hz.

    Returns
    -------
    The rate in Hz, 0 where nothing repeats; and whether it is one of knocks.

    Examples
    --------
    >>> t, noise = np.arange(160000) / 16000, np.random.default_rng(0).normal(size=160000)
    >>> found, knocks = rate(noise * (1 + np.cos(2 * np.pi * 11.5 * t)), 2000, 4000, 16000)
    >>> round(found, 1), knocks
    (11.5, False)
    >>> found, knocks = rate(noise * (0.1 + (t % (1 / 3) < 0.02)), 2000, 4000, 16000)
    >>> round(found, 2), knocks
    (3.0, True)
    """
    spectrum = scipy.fft.rfft(sound)
    hertz = np.linspace(0, sample_rate / 2, len(spectrum))
    spectrum[(hertz < low - _MARGIN) | (hertz > high + _MARGIN)] = 0
    whole = np.abs(scipy.fft.ifft(spectrum, len(sound)))  # without negative frequencies
    block = round(_STEP * sample_rate)
    envelope = whole[: len(whole) // block * block].reshape(-1, block).mean(axis=1)
    size = len(envelope)
    power = np.abs(scipy.fft.rfft(envelope - envelope.mean(), 2 * size)) ** 2
    correlation = scipy.fft.irfft(power)[: size // 3] / np.arange(size, size - size // 3, -1)
    correlation /= max(correlation[0], 1e-30)
    middle = correlation[1:-1]
    peaks = 1 + np.flatnonzero((middle >= correlation[:-2]) & (middle > correlation[2:]))
    peaks = peaks[peaks >= _SHORTEST / _STEP]
    rise = correlation[peaks] - np.minimum.accumulate(correlation)[peaks]
    if not len(peaks) or rise.max() < _RISE:
        return 0.0, False
    first = int(peaks[rise > _NEARLY * rise.max()][0])  # the multiples of a period are as high
    top = first + int(correlation[first : round(_BROAD * first) + 1].argmax())
    period, around = float(top), np.arange(-max(3, top // 16), max(3, top // 16) + 1)
    times = 2 ** np.arange(1, max(1, int(np.log2(size / 3 / period))))
    for many in times:  # a later period tells the length more exactly
        near_by = round(many * period) + around
        period = float(near_by[correlation[near_by].argmax()]) / many
    folded = np.bincount((np.arange(size) / period % 1 * 16).astype(int), envelope, 16)
    is_short = np.mean(folded > (folded.max() + folded.min()) / 2) < _SHORT
    found = float(1 / (period * _STEP))
    return found, bool(is_short and found < _FASTEST)
