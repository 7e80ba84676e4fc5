"""Faults of a recording itself: channels swapped, dead, copied, clipped, gated, late, and more.

Some faults show in one recording. Others show against what training recordings look like,
:class:`Usual`: both microphones keep their places, so the delays and the polarity between the
channels are much the same in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.signal
from jaxtyping import Float

from asdlib.monitor.measured import BANDS, LAG, Measured, measure, stacked

__all__ = ["Measured", "Problem", "Usual", "faults", "measure", "problems"]

CHANNELS = ("near", "far")

# faults of one channel that need no training recordings
_DEAD = -80.0  # dB of full scale
_DEAD_BELOW = 35.0  # dB below the other channel, with a flat spectrum
_FLAT = 3.0  # dB, standard deviation over bands
_COPY = 0.01  # share of the power that is not the other channel's
_CLIPPED = 5e-4  # share of samples
_SILENT = 0.01  # share of samples
_OFFSET = 0.005  # of full scale
_ERRORS = 6.0  # standard errors of the mean
_DROP = 30.0  # dB from one band to all bands above the next
_SUPPORT = 4  # bands below an edge that are looked at

# faults against training recordings
_GAIN = 7.0  # dB
_CUT = 12.0  # dB, a drop against the usual spectrum
_GONE = 25.0  # dB below the usual level: dead
_SPREADS = 6.0  # that a quantity may lie away from its centre
_HALF = 512  # samples, 32 ms at 16 kHz: what is compared of the cross-correlation, to either side
_EVIDENT = 8.0  # standard deviations of chance that a match needs
_KNOWN = 12.0  # the same, of the training recordings: only then can it be missed
_LOST = 0.4  # of the lowest training match
_LATE = 5e-4  # s, as 17 cm of way
_DRIFT = 0.6  # samples between the halves
_CROSSED = 0.6  # ratio of the distance to swapped levels to that of levels as usual

_PER_CHANNEL = ("level", "offset", "clipped", "silent", "drop", "gain", "quiet", "cut")
_OF_BOTH = ("unlike", "match", "mirror", "crossed", "delay", "drift")
QUANTITIES = (*(f"{name} {c}" for name in _PER_CHANNEL for c in CHANNELS), *_OF_BOTH)
"""Names of the quantities of :class:`Usual`, in their order."""


class Problem(NamedTuple):
    """A fault: its kind in one word, and the sentence."""

    kind: str
    sentence: str


@dataclass(frozen=True)
class Usual:
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
    >>> rng = np.random.default_rng(0)
    >>> clips = [0.1 * rng.normal(size=(2, 32000)) * [[1], [0.5]] for _ in range(8)]
    >>> usual = Usual.fit([measure(clip) for clip in clips])
    >>> problems(measure(clips[0]), usual)
    ()
    >>> print(problems(measure(clips[0] * [[1], [0.1]]), usual)[0])
    The far channel is 20 dB quieter than usual: -46 dB of full scale, usually -26 dB.
    """

    bands: Float[np.ndarray, "channel=2 band"]
    contrast: Float[np.ndarray, " band"]
    scatter: Float[np.ndarray, " band"]
    template: Float[np.ndarray, " lag"]
    centre: Float[np.ndarray, " quantity"]
    spread: Float[np.ndarray, " quantity"]
    low: Float[np.ndarray, " quantity"]
    high: Float[np.ndarray, " quantity"]

    @classmethod
    def fit(cls, measurements: Sequence[Measured]) -> Usual:
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
                list(_quantities(one, (*profile, _unit(whole - own))).values())
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

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays of a model file."""
        return dict(vars(self))

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Usual:
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


def problems(measured: Measured, usual: Usual | None = None) -> tuple[str, ...]:
    """Sentences about the faults of one recording; none where it is sound.

    Parameters
    ----------
    measured : of :func:`asdlib.monitor.measured.measure`.
    usual : what training recordings look like. Without it, only what shows in one recording is
        found: a channel that is dead, copied, clipped, gated, offset or band-limited.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one = 0.1 * rng.normal(size=64000)
    >>> problems(measure(np.stack([one, -0.5 * one])))
    ('Both channels hold the same signal: far is near times -0.50.',)
    """
    return tuple(fault.sentence for fault in faults(measured, usual))


def faults(measured: Measured, usual: Usual | None = None) -> list[Problem]:
    """As :func:`problems`, with the kind of every fault."""
    value = _quantities(measured, None if usual is None else _profile(usual))
    dead = [fault for c in (0, 1) for fault in _dead(measured, value, c, usual)]
    found = [*dead]
    copied = _copied(value, measured.gain, usual) if not dead else []
    found += copied
    hurt = set()
    for c, name in enumerate(CHANNELS):
        if any(f"The {name} " in fault.sentence for fault in dead):
            continue
        own = [
            *_clipped(value, name, usual),
            *_gated(value, name, usual),
            *_offset(measured, value, c, usual),
            *_limited(measured, value, c, usual),
        ]
        hurt |= {(fault.kind, name) for fault in own}
        found += own
    if usual is None or dead or copied:
        return found
    pair = _pair(value, usual, measured.rate)
    found += pair
    if "swapped" not in {fault.kind for fault in pair}:
        for c, name in enumerate(CHANNELS):
            found += _level(measured, value, c, usual, {kind for kind, n in hurt if n == name})
    return found


def _profile(usual: Usual) -> tuple[np.ndarray, ...]:
    return usual.bands, usual.contrast, usual.scatter, usual.template


def _quantities(measured: Measured, profile: tuple[np.ndarray, ...] | None) -> dict[str, float]:
    """All quantities of one recording in the order of QUANTITIES, or those without a profile."""
    plain: dict[str, np.ndarray] = {
        "level": measured.level,
        "offset": np.abs(measured.offset),
        "clipped": measured.clipped,
        "silent": measured.silent,
        "drop": np.array([_drop(one)[0] for one in measured.bands]),
    }
    pair = {"unlike": measured.unlike}
    if profile is not None:
        bands, contrast, scatter, template = profile
        apart = measured.bands - bands
        plain |= {
            "gain": np.median(apart, axis=1),
            "quiet": measured.quiet,
            "cut": np.array([_drop(one)[0] for one in apart]),
        }
        pair |= _matches(measured, template)
        pair["crossed"] = _crossed(measured.bands[0] - measured.bands[1], contrast, scatter)
    flat = {f"{name} {c}": float(v) for name, own in plain.items() for c, v in _named(own)}
    flat |= {name: float(v) for name, v in pair.items()}
    return {name: flat[name] for name in QUANTITIES if name in flat}


def _named(values: np.ndarray) -> list[tuple[str, float]]:
    return list(zip(CHANNELS, values.tolist(), strict=True))


def _drop(levels: Float[np.ndarray, " band"]) -> tuple[float, int]:
    """Largest drop from some bands to all above the next one, in dB, and that next band."""
    edges = range(_SUPPORT, BANDS - 1)
    found = [float(np.median(levels[e - _SUPPORT : e]) - levels[e + 1 :].max()) for e in edges]
    best = int(np.argmax(found))
    return found[best], edges[best]


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


def _matches(measured: Measured, template: Float[np.ndarray, " lag"]) -> dict[str, float]:
    """How the cross-correlation matches the usual one, in standard deviations of chance.

    Returns
    -------
    match, the strongest one at any delay, with its sign; delay, in samples; mirror, that of the
    swapped channels minus that of the given ones; drift, delay in the second half minus the first.
    """
    whole = measured.lags.sum(axis=0) / np.sqrt(2)
    found = scipy.signal.correlate(whole, template, "valid")
    none = LAG - _HALF
    best = int(np.abs(found).argmax())
    swapped = scipy.signal.correlate(np.roll(whole[::-1], 1), template, "valid")
    around = int(_LATE * measured.rate)
    mirrored = float(np.abs(swapped[none - around : none + around + 1]).max())
    early, late = (_peak(half, template) for half in measured.lags)
    drift = late[0] - early[0] if min(early[1], late[1]) >= _EVIDENT else 0.0
    match = float(found[best])
    return {
        "match": match,
        "mirror": mirrored - abs(match),
        "delay": float(best - none) if abs(match) >= _EVIDENT else 0.0,
        "drift": drift,
    }


def _peak(
    lags: Float[np.ndarray, " lag"], template: Float[np.ndarray, " lag"]
) -> tuple[float, float]:
    """Delay in samples, with a parabola through the peak, and the height of the match."""
    found = np.abs(scipy.signal.correlate(lags, template, "valid"))
    best = int(np.clip(found.argmax(), 1, len(found) - 2))
    left, top, right = found[best - 1 : best + 2]
    curve = left - 2 * top + right
    return float(best + (0.5 * (left - right) / curve if curve < 0 else 0.0)), float(top)


def _dead(
    measured: Measured, value: Mapping[str, float], c: int, usual: Usual | None
) -> list[Problem]:
    name = CHANNELS[c]
    level, other = measured.level[c], measured.level[1 - c]
    flat = float(measured.bands[c].std()) < _FLAT
    gone = level < _DEAD or (flat and level < other - _DEAD_BELOW)
    told = f"its level is {level:.0f} dB of full scale"
    if usual is not None:
        low, middle, _ = usual.of_name(f"level {name}")
        lost = abs(value["match"]) < _EVIDENT  # else it hears what the other one hears
        weak = all(value[q] < usual.down_to(q, _GONE) for q in (f"level {name}", f"gain {name}"))
        gone = (gone and level < low) or (lost and weak)
        told += f", usually {middle:.0f} dB"
    return [Problem("dead", f"The {name} channel is dead: {told}.")] if gone else []


def _copied(value: Mapping[str, float], gain: float, usual: Usual | None) -> list[Problem]:
    limit = _COPY if usual is None else min(_COPY, usual.of_name("unlike")[0])
    if value["unlike"] >= limit:
        return []
    told = f"Both channels hold the same signal: far is near times {gain:.2f}."
    return [Problem("copied", told)]


def _most(name: str, least: float, usual: Usual | None) -> float:
    return least if usual is None else max(least, usual.of_name(name)[2])


def _usually(name: str, usual: Usual | None, unit: str, factor: float = 1.0) -> str:
    if usual is None:
        return ""
    return f", usually at most {factor * usual.of_name(name)[2]:{unit}}"


def _clipped(value: Mapping[str, float], name: str, usual: Usual | None) -> list[Problem]:
    own = f"clipped {name}"
    if value[own] <= _most(own, _CLIPPED, usual):
        return []
    told = f"The {name} channel is clipped: {value[own]:.1%} of its samples lie at a peak value"
    return [Problem("clipped", f"{told}{_usually(own, usual, '.1%')}.")]


def _gated(value: Mapping[str, float], name: str, usual: Usual | None) -> list[Problem]:
    own = f"silent {name}"
    if value[own] <= _most(own, _SILENT, usual):
        return []
    told = f"The {name} channel is gated: {value[own]:.0%} of it is digital silence"
    return [Problem("gated", f"{told}{_usually(own, usual, '.0%')}.")]


def _offset(
    measured: Measured, value: Mapping[str, float], c: int, usual: Usual | None
) -> list[Problem]:
    own = f"offset {CHANNELS[c]}"
    if value[own] <= max(_most(own, _OFFSET, usual), _ERRORS * measured.wander[c]):
        return []
    told = (
        f"The {CHANNELS[c]} channel has an offset of {measured.offset[c]:.3f} of full scale"
        f"{_usually(own, usual, '.3f')}"
    )
    return [Problem("offset", f"{told}.")]


def _limited(
    measured: Measured, value: Mapping[str, float], c: int, usual: Usual | None
) -> list[Problem]:
    name = CHANNELS[c]
    drop, edge = _drop(measured.bands[c])
    limited = drop > _most(f"drop {name}", _DROP, usual)
    if usual is not None and not limited:
        limited = value[f"cut {name}"] > usual.up_to(f"cut {name}", _CUT)
        edge = _drop(measured.bands[c] - usual.bands[c])[1]
    if not limited:
        return []
    top = edge / BANDS * measured.rate / 2
    told = f"The {name} channel is band-limited: it ends at about {top:,.0f} Hz"
    if usual is not None:
        lost = usual.bands[c, edge + 1 :] - measured.bands[c, edge + 1 :]
        told += f" and is {np.median(lost):.0f} dB below its usual level above that"
    return [Problem("limited", f"{told}.")]


def _pair(value: Mapping[str, float], usual: Usual, rate: int) -> list[Problem]:
    """Faults between the channels: swapped, inverted, late, drifting or unrelated."""
    match, lowest = value["match"], usual.of_name("match")[0]
    known = usual.of_name("match")[1] >= _KNOWN and lowest > 0
    strongest = abs(match) + max(value["mirror"], 0.0)
    swapped = (
        known
        and strongest >= _EVIDENT
        and value["mirror"] > max(usual.of_name("mirror")[2], 0.3 * abs(match))
    )
    if not swapped and not (known and match >= _EVIDENT):
        swapped = value["crossed"] < min(_CROSSED, usual.of_name("crossed")[0])
    if swapped:
        told = "near holds what is usually far, and far what is usually near"
        return [Problem("swapped", f"The near and far channels are swapped: {told}.")]
    if not known:
        return []
    found = []
    if abs(match) < min(_EVIDENT, _LOST * lowest):
        told = (
            "The far channel is not related to the near one as usual: "
            f"a match of {abs(match):.0f}, usually {lowest:.0f} or more"
        )
        return [Problem("unrelated", f"{told}.")]
    if abs(match) < _EVIDENT:
        return []
    if match < 0:
        told = "near and far have opposite signs, unlike the training recordings"
        found.append(Problem("inverted", f"One channel is inverted: {told}."))
    late, least = value["delay"] / rate, _LATE
    low, middle, high = (x / rate for x in usual.of_name("delay"))
    if late > high + least or late < low - least:
        word = "later" if late > middle else "earlier"
        told = f"The far channel is {1000 * abs(late - middle):.1f} ms {word} than usual"
        found.append(Problem("delay", f"{told} against the near one."))
    drift = value["drift"]
    if drift > usual.up_to("drift", _DRIFT) or drift < usual.down_to("drift", _DRIFT):
        told = f"The delay of the far channel changes by {1000 * drift / rate:.2f} ms"
        found.append(Problem("drift", f"{told} from the first to the second half; usually not."))
    return found


def _level(
    measured: Measured, value: Mapping[str, float], c: int, usual: Usual, hurt: set[str]
) -> list[Problem]:
    """Level, or else the level of the quiet times; other faults may have changed both."""
    name = CHANNELS[c]
    apart, own = value[f"gain {name}"], f"gain {name}"
    if "limited" in hurt:
        return []
    level, middle = measured.level[c], usual.of_name(f"level {name}")[1]
    if apart > usual.up_to(own, _GAIN) or apart < usual.down_to(own, _GAIN):
        word = "louder" if apart > 0 else "quieter"
        told = (
            f"The {name} channel is {abs(apart):.0f} dB {word} than usual: "
            f"{level:.0f} dB of full scale, usually {middle:.0f} dB"
        )
        return [Problem("level", f"{told}.")]
    quiet, own = value[f"quiet {name}"], f"quiet {name}"
    if hurt & {"gated", "clipped"}:
        return []
    if quiet > usual.up_to(own, _GAIN) or quiet < usual.down_to(own, _GAIN):
        middle = usual.of_name(own)[1]
        word = "above" if quiet > middle else "below"
        told = (
            f"The noise floor of the {name} channel is {abs(quiet - middle):.0f} dB {word} its "
            f"usual one: {quiet:.0f} dB of full scale, usually {middle:.0f} dB"
        )
        return [Problem("floor", f"{told}.")]
    return []


def _deviation(values: Float[np.ndarray, recording *quantity]) -> Float[np.ndarray, "*quantity"]:
    """Median absolute deviation, as the standard deviation of a normal distribution."""
    return 1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0)


def _unit(values: Float[np.ndarray, " lag"]) -> Float[np.ndarray, " lag"]:
    norm = float(np.linalg.norm(values))
    return values / norm if norm > 0 else np.zeros_like(values)
