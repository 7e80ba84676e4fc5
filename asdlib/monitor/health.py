"""Faults of a recording itself: channels swapped, dead, copied, clipped, gated, late, and more.

Some faults show in one recording. Others show against what training recordings look like,
:class:`Reference`: both microphones keep their places, so the delays and the polarity between the
channels are much the same in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from asdlib.monitor.quantities import BANDS, RecordingQuantities, measure
from asdlib.monitor.reference import CHANNELS, EVIDENT, Reference, quantities, steepest

__all__ = [
    "Problem",
    "RecordingQuantities",
    "Reference",
    "faults",
    "measure",
    "problems",
    "summary",
]

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

# faults against training recordings
_GAIN = 6.0  # dB
_CUT = 12.0  # dB, a drop against the usual spectrum
_GONE = 25.0  # dB below the usual level: dead
_KNOWN = 12.0  # match of the training recordings that lets its absence count
_MARGIN = 2.0  # standard deviations of chance between two matches
_LOST = 0.4  # of the lowest training match
_LATE = 5e-4  # s, as 17 cm of way
_DRIFT = 0.6  # samples between the halves
_CROSSED = 0.6  # ratio of the distance to swapped levels to that of levels as usual

_MOST_NAMES = 3
_WORDS = {
    "clipped": "clipped",
    "copied": "both channels the same signal",
    "dead": "a dead channel",
    "gated": "digital silence in parts",
    "limited": "band-limited",
    "offset": "offset",
    "swapped": "channels swapped, unlike the others",
    "inverted": "one channel inverted, unlike the others",
    "unrelated": "channels not related as in the others",
    "delay": "another delay between the channels than in the others",
    "drift": "a delay between the channels that changes",
    "level": "another level than the others",
    "floor": "another noise floor than the others",
}


class Problem(NamedTuple):
    """A fault: its kind in one word, and the sentence."""

    kind: str
    sentence: str


def problems(measured: RecordingQuantities, usual: Reference | None = None) -> tuple[str, ...]:
    """Sentences about the faults of one recording; none where it is sound.

    Parameters
    ----------
    measured : of :func:`asdlib.monitor.quantities.measure`.
    usual : what training recordings look like. Without it, only what shows in one recording is
        found: a channel that is dead, copied, clipped, gated, offset or band-limited.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one = 0.1 * rng.normal(size=64000)
    >>> problems(measure(np.stack([one, -0.5 * one])))
    ('Both channels hold the same signal: far is near times -0.50.',)
    >>> clips = [0.1 * rng.normal(size=(2, 32000)) for _ in range(8)]
    >>> usual = Reference.fit([measure(clip) for clip in clips])
    >>> problems(measure(clips[0]), usual)
    ()
    >>> print(problems(measure(clips[0] * [[1], [0.1]]), usual)[0])
    The far channel is 20 dB quieter than usual: -40 dB of full scale, usually -20 dB.
    """
    return tuple(fault.sentence for fault in faults(measured, usual))


def summary(
    names: Sequence[str],
    measurements: Sequence[RecordingQuantities],
    usual: Reference | None = None,
) -> list[str]:
    """One sentence per kind of fault, for many recordings.

    Parameters
    ----------
    names : of the recordings; at most three are told.
    usual : fitted on these recordings. With it, those that are unlike most others are told too;
        without it, only faults that show in one recording.

    Examples
    --------
    >>> loud = np.clip(np.random.default_rng(0).normal(size=(2, 16000)), -1, 1)
    >>> summary(["a.wav", "b.wav"], [measure(loud), measure(0.01 * loud + 0.02)])
    ['clipped: 2 of 2 recordings (a.wav, b.wav).', 'offset: 1 of 2 recordings (b.wav).']
    """
    of_kind: dict[str, list[str]] = {}
    for name, measured in zip(names, measurements, strict=True):
        told = faults(measured)
        if usual is not None:
            told = told + faults(measured, usual.narrowed)
        for kind in dict.fromkeys(fault.kind for fault in told):
            of_kind.setdefault(kind, []).append(name)
    return [
        f"{_WORDS[kind]}: {len(own)} of {len(names)} recordings "
        f"({', '.join(own[:_MOST_NAMES])}{', ...' if len(own) > _MOST_NAMES else ''})."
        for kind, own in sorted(of_kind.items())
    ]


def faults(measured: RecordingQuantities, usual: Reference | None = None) -> list[Problem]:
    """As :func:`problems`, with the kind of every fault."""
    value = quantities(measured, None if usual is None else usual.profile)
    dead = {c: told for c in (0, 1) if (told := _dead(measured, value, c, usual))}
    copied = [] if dead else _copied(value, measured.gain, usual)
    found = [fault for told in dead.values() for fault in told] + copied
    hurt = set()
    for c, name in enumerate(CHANNELS):
        if c in dead:  # nothing else counts there
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
    limited = any(kind == "limited" for kind, _ in hurt)
    pair = _pair(value, usual, measured.rate, limited)
    found += pair
    if "swapped" not in {fault.kind for fault in pair}:
        for c, name in enumerate(CHANNELS):
            found += _level(measured, value, c, usual, {kind for kind, n in hurt if n == name})
    return found


def _dead(
    measured: RecordingQuantities, value: Mapping[str, float], c: int, usual: Reference | None
) -> list[Problem]:
    name = CHANNELS[c]
    level, other = measured.level[c], measured.level[1 - c]
    flat = float(measured.bands[c].std()) < _FLAT
    gone = level < _DEAD or (flat and level < other - _DEAD_BELOW)
    told = f"its level is {level:.0f} dB of full scale"
    if usual is not None:
        low, middle, _ = usual.of_name(f"level {name}")
        lost = abs(value["match"]) < EVIDENT  # else it hears what the other one hears
        weak = all(value[q] < usual.down_to(q, _GONE) for q in (f"level {name}", f"gain {name}"))
        gone = (gone and level < low) or (lost and weak)
        told += f", usually {middle:.0f} dB"
    return [Problem("dead", f"The {name} channel is dead: {told}.")] if gone else []


def _copied(value: Mapping[str, float], gain: float, usual: Reference | None) -> list[Problem]:
    limit = _COPY if usual is None else min(_COPY, usual.of_name("unlike")[0])
    if value["unlike"] >= limit:
        return []
    told = f"Both channels hold the same signal: far is near times {gain:.2f}."
    return [Problem("copied", told)]


def _most(name: str, least: float, usual: Reference | None) -> float:
    return least if usual is None else max(least, usual.of_name(name)[2])


def _usually(name: str, usual: Reference | None, unit: str) -> str:
    if usual is None:
        return ""
    return f", usually at most {usual.of_name(name)[2]:{unit}}"


def _clipped(value: Mapping[str, float], name: str, usual: Reference | None) -> list[Problem]:
    own = f"clipped {name}"
    if value[own] <= _most(own, _CLIPPED, usual):
        return []
    told = f"The {name} channel is clipped: {value[own]:.1%} of its samples lie at a peak value"
    return [Problem("clipped", f"{told}{_usually(own, usual, '.1%')}.")]


def _gated(value: Mapping[str, float], name: str, usual: Reference | None) -> list[Problem]:
    own = f"silent {name}"
    if value[own] <= _most(own, _SILENT, usual):
        return []
    told = f"The {name} channel is gated: {value[own]:.0%} of it is digital silence"
    return [Problem("gated", f"{told}{_usually(own, usual, '.0%')}.")]


def _offset(
    measured: RecordingQuantities, value: Mapping[str, float], c: int, usual: Reference | None
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
    measured: RecordingQuantities, value: Mapping[str, float], c: int, usual: Reference | None
) -> list[Problem]:
    name = CHANNELS[c]
    drop, edge = steepest(measured.bands[c])
    limited = drop > _most(f"drop {name}", _DROP, usual)
    if usual is not None and not limited:
        limited = value[f"cut {name}"] > usual.up_to(f"cut {name}", _CUT)
        edge = steepest(measured.bands[c] - usual.bands[c])[1]
    if not limited:
        return []
    top = edge / BANDS * measured.rate / 2
    told = f"The {name} channel is band-limited: it ends at about {top:,.0f} Hz"
    if usual is not None:
        lost = usual.bands[c, edge + 1 :] - measured.bands[c, edge + 1 :]
        told += f" and is {np.median(lost):.0f} dB below its usual level above that"
    return [Problem("limited", f"{told}.")]


def _pair(value: Mapping[str, float], usual: Reference, rate: int, limited: bool) -> list[Problem]:
    """Faults between the channels: swapped, inverted, late, drifting or unrelated.

    Parameters
    ----------
    limited : whether a channel is band-limited: a drift cannot be measured to a sample then.
    """
    match, lowest = value["match"], usual.of_name("match")[0]
    known = usual.of_name("match")[1] >= _KNOWN and lowest > 0
    clear = value["mirror"] > max(usual.of_name("mirror")[2], _MARGIN)
    swapped = known and clear and abs(match) + value["mirror"] >= EVIDENT
    if not swapped and not (known and match >= EVIDENT):
        swapped = value["crossed"] < min(_CROSSED, usual.of_name("crossed")[0])
    if swapped:
        told = "near holds what is usually far, and far what is usually near"
        return [Problem("swapped", f"The near and far channels are swapped: {told}.")]
    if not known:
        return []
    found = []
    drift = value["drift"]
    if not limited and not usual.down_to("drift", _DRIFT) <= drift <= usual.up_to("drift", _DRIFT):
        told = f"The delay of the far channel changes by {1000 * drift / rate:.2f} ms"
        found.append(Problem("drift", f"{told} from the first to the second half; usually not."))
    elif abs(match) < min(EVIDENT, _LOST * lowest):
        told = (
            "The far channel is not related to the near one as usual: "
            f"a match of {abs(match):.0f}, usually {lowest:.0f} or more"
        )
        found.append(Problem("unrelated", f"{told}."))
    if abs(match) < EVIDENT:
        return found
    if match < 0:
        told = "near and far have opposite signs, unlike the training recordings"
        found.append(Problem("inverted", f"One channel is inverted: {told}."))
    late, least = value["delay"] / rate, _LATE
    low, middle, high = (x / rate for x in usual.of_name("delay"))
    if late > high + least or late < low - least:
        word = "later" if late > middle else "earlier"
        told = f"The far channel is {1000 * abs(late - middle):.1f} ms {word} than usual"
        found.append(Problem("delay", f"{told} against the near one."))
    return found


def _level(
    measured: RecordingQuantities,
    value: Mapping[str, float],
    c: int,
    usual: Reference,
    hurt: set[str],
) -> list[Problem]:
    """Level, or else the level of the quiet times; other faults may have changed both.

    A gain changes the level and most bands alike; a machine that sounds different does not.
    """
    name = CHANNELS[c]
    if "limited" in hurt:
        return []
    if word := _outside(value, usual, (f"gain {name}", f"level {name}"), ("louder", "quieter")):
        level, middle = measured.level[c], usual.of_name(f"level {name}")[1]
        told = (
            f"The {name} channel is {abs(level - middle):.0f} dB {word} than usual: "
            f"{level:.0f} dB of full scale, usually {middle:.0f} dB"
        )
        return [Problem("level", f"{told}.")]
    word = _outside(value, usual, (f"quiet {name}",), ("above", "below"))
    if not word or hurt & {"gated", "clipped"}:
        return []
    quiet, middle = value[f"quiet {name}"], usual.of_name(f"quiet {name}")[1]
    told = (
        f"The noise floor of the {name} channel is {abs(quiet - middle):.0f} dB {word} its usual "
        f"one: {quiet:.0f} dB of full scale, usually {middle:.0f} dB"
    )
    return [Problem("floor", f"{told}.")]


def _outside(
    value: Mapping[str, float], usual: Reference, names: tuple[str, ...], words: tuple[str, str]
) -> str:
    """First word where all quantities lie above their limits, second where below, or nothing."""
    if all(value[name] > usual.up_to(name, _GAIN) for name in names):
        return words[0]
    return words[1] if all(value[name] < usual.down_to(name, _GAIN) for name in names) else ""
