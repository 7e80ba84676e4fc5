"""What is measured of one recording to tell whether the recording itself is sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float
from numpy.lib.stride_tricks import sliding_window_view

from asdlib.params import Spectra
from asdlib.pipeline import Sound
from asdlib.spectra import decibels

Lags = Float[np.ndarray, "half=2 lag"]

CHANNELS = ("near", "far")
BANDS = 32
"""Of equal width, from 0 Hz to half the sample rate."""

RUN = 0.01
"""Seconds of one and the same value that count as digital silence."""

LAG = 2048
"""Samples between the channels that a delay is looked for in, to either side: 128 ms at 16 kHz."""

_SEGMENT = 16384  # samples, 1 s: a drift of 100 ppm moves it by 2 samples
_TAPER = 0.25  # share of a segment: a rectangle would cover the top bands by leakage
_BELOW_TOP = 0.01  # of the peak: where an unclipped signal has more samples than at the peak
_STEP = 1.5 / 2**15  # a step of PCM 16 and a half: a quiet signal has few values in all
_RATIO = 2.0  # of samples at the peak to those below it
_SLICE = 0.05  # s, of the quiet level
_BEYOND = 10.0  # median deviations of the slices' means
_SLOW = 8  # lowest frequencies of the slices' means
_QUIET = 10  # percentile over time
_LOUD = BANDS // 2  # bands that the copy is told by
_SUPPORT = 4  # bands below an edge that are looked at
_TINY = 1e-20


@dataclass(frozen=True)
class RecordingQuantities:
    """Quantities of one recording; channel 0 is near, channel 1 far.

    Attributes
    ----------
    values : by name. Of each channel, with "near" or "far" after a space: level (root mean square
        about the mean, dB of full scale), mean (of full scale) and its absolute value, offset,
        wander (standard error of the mean, from the lowest frequencies, as if their power grew
        towards 0 Hz as that of wind, with 1 / f ** 2), ramp (absolute mean of the first tenth of a
        second, where it is beyond all scatter of the mean over time; else 0), clipped (share of
        samples that lie on a plateau at either peak), silent (share of samples in stretches of one
        value, each of :data:`RUN` or longer), drop (of :func:`steepest`) and quiet (level in the
        quietest tenth of the time, dB of full scale). Of both: unlike (share of the power in the
        loud bands that one channel cannot explain by the other times a real gain; 0 for a copy) and
        times (that gain, of far over near; negative if one is inverted).
    bands : level of every band, dB of full scale.
    lags : cross-correlation of the whitened channels in the first and the second half. The middle
        is no delay; the far channel is late to the right of it. Its scatter counts as 1.
    rate : sample rate in Hz.
    seconds : length of the recording.
    """

    values: dict[str, float]
    bands: Float[np.ndarray, "channel=2 band"]
    lags: Lags
    rate: int
    seconds: float


def measure(signal: Sound, spectra: Spectra = Spectra()) -> RecordingQuantities:
    """Measure one recording, in about 10 ms for 10 s.

    Parameters
    ----------
    signal : near and far channel, full scale is 1; finite.
    spectra : the sample rate.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> signal = 0.1 * rng.normal(size=(2, 64000)).astype(np.float32)
    >>> signal[1, 8000:24000] = 0
    >>> found = measure(signal).values
    >>> round(found["level near"]), round(found["level far"]), round(found["silent far"], 2)
    (-20, -21, 0.25)
    """
    signal, rate = np.ascontiguousarray(signal, np.float32), spectra.sample_rate
    samples = signal.shape[1]
    mean = signal.mean(axis=1, dtype=np.float64)
    levels = [_levels(own - np.float32(m), rate) for own, m in zip(signal, mean, strict=True)]
    whole, slices, means = (np.stack(own) for own in zip(*levels, strict=True))
    # segments of one length that cover all of the signal, at least two; one at a time in memory
    length = min(_SEGMENT, 2 ** int(np.log2(max(samples * 2 // 3, 2))))
    starts = np.linspace(0, samples - length, max(round(samples / length), 2)).astype(int)
    count, bins = len(starts), length // 2 + 1
    power, both = np.zeros((2, bins)), np.zeros(bins, np.complex128)
    halves = np.zeros((2, bins), np.complex128)
    for number, start in enumerate(starts):
        segment = signal[:, start : start + length] - mean[:, None].astype(np.float32)
        x = scipy.fft.rfft(segment * _window(length), axis=-1)
        power += (x.real**2 + x.imag**2) / count
        cross = x[1] * x[0].conj()
        both += cross / count
        if number + 1 <= count // 2 or number >= count - count // 2:  # not the middle one
            halves[int(number >= count // 2)] += cross / np.maximum(np.abs(cross), _TINY)
    slow = np.abs(scipy.fft.rfft(means, max(means.shape[1], 2 * _SLOW)))[:, 1 : 1 + _SLOW]
    # a ramp: how far the mean of the first two slices lies from the others, beyond their scatter
    apart = np.abs(means - np.median(means, axis=1, keepdims=True))
    first = apart[:, :2].mean(axis=1)
    ramp = np.where(first > _BEYOND * np.median(apart, axis=1), first, 0.0)
    # a copy: the share of the power in the loud bands that a real gain does not explain
    near, far, shared = *_banded(power), _banded(both.real)
    unexplained = 1 - shared**2 / np.maximum(near * far, _TINY)
    loud = np.argsort(near * far)[-_LOUD:]
    times = shared[loud].sum() / max(near[loud].sum(), _TINY)
    bands = decibels(2 * _banded(power) / (length * np.sum(_window(length) ** 2)))
    values = by_channel(
        level=decibels(whole),
        mean=mean,
        offset=np.abs(mean),
        wander=np.median(slow * np.arange(1, 1 + _SLOW), axis=1) / means.shape[1],
        ramp=ramp,
        clipped=[_clipped(one) for one in signal],
        silent=[_silent(one, int(RUN * rate)) for one in signal],
        drop=[steepest(one)[0] for one in bands],
        quiet=np.percentile(decibels(slices), _QUIET, axis=1),
    )
    values |= {"unlike": float(np.percentile(unexplained[loud], 75)), "times": float(times)}
    lags = _lags(halves / (count // 2), length)
    return RecordingQuantities(values, bands, lags, rate, samples / rate)


def _levels(centred: Float[np.ndarray, " sample"], rate: int) -> tuple[Any, Any, Any]:
    """Mean power of a channel, that of its slices, and their means."""
    length = max(int(_SLICE * rate), 1)
    count = max(len(centred) // length, 1)
    cut = centred[: count * length].reshape(count, -1)
    power = np.einsum("ns,ns->n", cut, cut) / cut.shape[-1]
    return np.dot(centred, centred) / len(centred), power, cut.mean(axis=-1)


def by_channel(**quantities: Sequence[float] | Float[np.ndarray, " channel=2"]) -> dict[str, float]:
    """Name the values of both channels.

    >>> by_channel(level=[-20.0, -26.0])
    {'level near': -20.0, 'level far': -26.0}
    """
    return {
        f"{name} {channel}": float(value)
        for name, values in quantities.items()
        for channel, value in zip(CHANNELS, values, strict=True)
    }


def steepest(levels: Float[np.ndarray, " band"]) -> tuple[float, int]:
    """Largest drop from some bands to all above the next one, in dB, and that next band.

    >>> steepest(np.repeat([-30.0, -90.0], BANDS // 2))
    (60.0, 15)
    """
    below = np.median(sliding_window_view(levels, _SUPPORT)[: BANDS - 1 - _SUPPORT], axis=1)
    above = np.maximum.accumulate(levels[::-1])[::-1][_SUPPORT + 1 :]
    best = int(np.argmax(below - above))
    return float(below[best] - above[best]), best + _SUPPORT


def _banded(values: Float[np.ndarray, "*channel bin"]) -> Float[np.ndarray, "*channel band"]:
    """Sums over the bins of each band; the bin of 0 Hz is left out."""
    edges = np.linspace(1, values.shape[-1], BANDS, endpoint=False).astype(int)
    return np.add.reduceat(values, edges, axis=-1)


def _clipped(channel: Float[np.ndarray, " sample"]) -> float:
    """Share of samples on a plateau at the highest and the lowest value."""
    low, top = float(channel.min()), float(channel.max())
    near_by, share = max(_BELOW_TOP * (top - low) / 2, _STEP), 0.0
    for peak, close in ((top, channel > top - near_by), (low, channel < low + near_by)):
        here = np.count_nonzero(channel == peak)
        if here > _RATIO * (np.count_nonzero(close) - here):
            share += here / len(channel)
    return share


def _silent(channel: Float[np.ndarray, " sample"], shortest: int) -> float:
    """Share of samples in stretches of one value that is not a peak's."""
    same = np.pad(channel[1:] == channel[:-1], 1)
    starts, ends = np.flatnonzero(same[1:] != same[:-1]).reshape(-1, 2).T
    runs = ends - starts + 1
    long = runs >= shortest
    value = channel[starts[long]]
    peak = (value == channel.max()) | (value == channel.min())
    return float(runs[long][~peak].sum() / len(channel))


def _lags(halves: Complex[np.ndarray, "half=2 bin"], length: int) -> Lags:
    """Cross-correlation by phase alone in each half (C. Knapp, G. Carter, IEEE ASSP 24(4), 1976).

    Shorter recordings than 1 s have zeros at the lags that they cannot tell.
    """
    halves[:, 0] = 0
    whole = scipy.fft.irfft(halves, length, axis=-1)
    most = min(LAG, length // 4)
    found = np.zeros((2, 2 * LAG), np.float32)
    found[:, LAG - most : LAG + most] = np.concatenate([whole[:, -most:], whole[:, :most]], axis=-1)
    return found / max(float(whole.std()), _TINY)


@lru_cache(maxsize=4)
def _window(length: int) -> Float[np.ndarray, " sample"]:
    """Tukey window: cosine slopes at both ends, periodic."""
    place = np.arange(length)
    slope = np.minimum(2 * np.minimum(place, length - place) / (_TAPER * length), 1)
    return (0.5 - 0.5 * np.cos(np.pi * slope)).astype(np.float32)
