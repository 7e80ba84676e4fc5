"""Faults of a recording itself: channels swapped, dead, copied, clipped, gated, late, and more.

Every fault is a rule: a quantity, its limit, and the words. Some faults show in one recording.
Others show against training recordings: both microphones keep their places, so the delays and the
polarity between the channels are much the same in all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from asdlib.monitor.quantities import BANDS, CHANNELS, RecordingQuantities, steepest
from asdlib.monitor.reference import EVIDENT, MachineReference, Range, quantities

# limits of faults that show in one recording
_DEAD = -80.0  # dB of full scale
_DEAD_BELOW = 35.0  # dB below the other channel, with a flat spectrum
_FLAT = 3.0  # dB, standard deviation over bands
_COPY = 0.01  # share of the power that is not the other channel's
_CLIPPED = 5e-4  # share of samples
_SILENT = 0.01  # share of samples
_OFFSET = 0.005  # of full scale
_RAMP = 0.02  # of full scale
_ERRORS = 4.0  # standard errors of the mean
_DROP = 30.0  # dB from one band to all bands above the next

# limits of faults against training recordings
_GAIN = 6.0  # dB
_TOLD_GAIN = (2.0, 9.0)  # dB; beyond, the recording is judged as it is
_ALIKE = 1.0  # dB, between the channels
_CUT = 12.0  # dB, a drop against the usual spectrum
_GONE = 25.0  # dB below the usual level: dead
_KNOWN = 12.0  # match of the training recordings that lets its absence count
_MARGIN = 2.0  # standard deviations of chance between two matches
_LOST = 0.4  # of the lowest training match
_LATE = 5e-4  # s, as 17 cm of way
_DRIFT = 0.6  # samples between the halves
_CROSSED = 0.6  # ratio of the distance to swapped levels to that of levels as usual

_SPREADS = 4.0  # that a quantity may lie away from its centre

_MOST_NAMES = 3
_COUNTED = {
    "clipped": "clipped",
    "copied": "both channels the same signal",
    "dead": "a dead channel",
    "gated": "digital silence in parts",
    "limited": "band-limited",
    "offset": "offset",
    "ramp": "a start-up ramp",
    "swapped": "channels swapped, unlike the others",
    "inverted": "one channel inverted, unlike the others",
    "unrelated": "channels not related as in the others",
    "delay": "another delay between the channels than in the others",
    "drift": "a delay between the channels that changes",
    "level": "another level than the others",
    "floor": "another noise floor than the others",
}
"""Kinds of faults, and their words for many recordings."""


class Fault(NamedTuple):
    """A fault: its kind in one word, and the sentence."""

    kind: str
    sentence: str


OF_LEVEL = {"level", "floor"}
"""Kinds that a gain explains, and that a change of the machine can make too."""

_JUDGED = OF_LEVEL | {"offset"}  # an offset does not reach the bands that are looked at


def unfit(faults: Sequence[Fault]) -> bool:
    """Whether faults of a recording forbid to judge the machine by it.

    Another level can come from the machine, and so can clipping where the level is another one.
    """
    kinds = _kinds(faults)
    return not kinds <= (_JUDGED | {"clipped"} if "level" in kinds else _JUDGED)


def summary(
    names: Iterable[str],
    recordings: Sequence[RecordingQuantities],
    reference: MachineReference,
    *,
    mono: bool = False,
) -> tuple[str, ...]:
    """One sentence per kind of fault, for many recordings.

    Parameters
    ----------
    names : of the recordings; at most three are told.
    reference : of the machine; recordings that are unlike most others are told too.
    mono : one microphone stands for both.

    Examples
    --------
    >>> from asdlib.monitor.quantities import measure
    >>> loud = np.clip(np.random.default_rng(0).normal(size=(2, 16000)), -1, 1)
    >>> found = [measure(loud), measure(0.01 * loud + 0.02)]
    >>> summary(["a.wav", "b.wav"], found, MachineReference.fit(found))
    ('clipped: 2 of 2 recordings (a.wav, b.wav).', 'offset: 1 of 2 recordings (b.wav).')
    """
    # without ranges, so that a training recording can be faulty
    usual = replace(reference, low=reference.centre, high=reference.centre)
    of_kind = defaultdict[str, list[str]](list)
    for name, found in zip(names, recordings, strict=True):
        for kind in _kinds(faults(found) + faults(found, usual)) - ({"copied"} if mono else set()):
            of_kind[kind].append(name)
    return tuple(
        f"{_COUNTED[kind]}: {len(own)} of {len(recordings)} recordings "
        f"({', '.join(own[:_MOST_NAMES])}{', ...' if len(own) > _MOST_NAMES else ''})."
        for kind, own in sorted(of_kind.items())
    )


def faults(found: RecordingQuantities, reference: MachineReference | None = None) -> list[Fault]:
    """Faults of one recording; none where it is sound.

    Parameters
    ----------
    found : of :func:`asdlib.monitor.quantities.measure`.
    reference : what training recordings look like. Without it, only what shows in one recording is
        found: a channel that is dead, copied, clipped, gated, offset, band-limited, or begins
        with a ramp.

    Examples
    --------
    >>> from asdlib.monitor.quantities import measure
    >>> rng = np.random.default_rng(0)
    >>> one = 0.1 * rng.normal(size=64000)
    >>> faults(measure(np.stack([one, -0.5 * one])))[0].sentence
    'Both channels hold the same signal: far is near times -0.50.'
    >>> clips = [0.1 * rng.normal(size=(2, 32000)) for _ in range(8)]
    >>> reference = MachineReference.fit([measure(clip) for clip in clips])
    >>> faults(measure(clips[0]), reference)
    []
    >>> print(faults(measure(clips[0] * [[1], [0.1]]), reference)[0].sentence)
    The far channel is 20 dB quieter than usual: -40 dB of full scale, usually -20 dB.
    """
    near, far = _channels(found, reference)
    alone = [*_alone(near)], [*_alone(far)]
    told = alone[0] + alone[1]
    if "dead" in _kinds(told):
        return sorted(told, key=lambda fault: fault.kind != "dead")  # it comes first
    if near.unlike < min(_COPY, near.usual.unlike.low):
        words = f"Both channels hold the same signal: far is near times {near.times:.2f}."
        return [Fault("copied", words), *told]
    if reference is None:
        return told
    between = [*_between(near, limited="limited" in _kinds(told))]
    if "swapped" in _kinds(between):
        return told + between
    levels = [*_level(near, _kinds(alone[0])), *_level(far, _kinds(alone[1]))]
    return told + between + levels


def _kinds(faults: Iterable[Fault]) -> set[str]:
    return {fault.kind for fault in faults}


_UNKNOWN = Range(low=np.inf, centre=np.nan, high=-np.inf, spread=0.0)
"""Of every quantity, without training recordings: nothing is usual."""


def _channels(
    found: RecordingQuantities, reference: MachineReference | None
) -> list[SimpleNamespace]:
    """Quantities of each channel, and those of both, by name; ``usual`` has their ranges."""
    values = quantities(found, reference) if reference else found.values
    ranges = reference.ranges if reference else dict.fromkeys(values, _UNKNOWN)
    both = []
    for c, name in enumerate(CHANNELS):
        names = {key: key.removesuffix(f" {name}") for key in values}
        usual = SimpleNamespace(**{names[key]: own for key, own in ranges.items()})
        about = {"name": name, "c": c, "found": found, "reference": reference, "usual": usual}
        both.append(SimpleNamespace(**{names[key]: v for key, v in values.items()}, **about))
    return both


def gain(found: RecordingQuantities, reference: MachineReference) -> float:
    """Gain of both channels against training recordings, dB; 0 where there is none.

    A gain moves all bands of both channels alike, by 2 to 9 dB and beyond the training recordings.
    A louder machine moves the near channel more, louder surroundings the far one.

    >>> from asdlib.monitor.quantities import measure
    >>> rng = np.random.default_rng(0)
    >>> clips = [0.1 * rng.normal(size=(2, 32000)) for _ in range(8)]
    >>> reference = MachineReference.fit([measure(clip) for clip in clips])
    >>> round(gain(measure(2 * clips[0]), reference)), gain(measure(clips[0]), reference)
    (6, 0.0)
    """
    near, far = both = _channels(found, reference)
    beyond = all(x.gain > x.usual.gain.high for x in both)
    below = all(x.gain < x.usual.gain.low for x in both)
    alike = near.apart <= max(_ALIKE, near.usual.apart.high)
    alike = alike and near.uneven <= max(_ALIKE, near.usual.uneven.high)
    mean, (least, most) = (near.gain + far.gain) / 2, _TOLD_GAIN
    return mean if alike and (beyond or below) and least <= abs(mean) <= most else 0.0


def _side(x: SimpleNamespace, quantity: str, limit: float) -> int:
    """1 where a quantity lies above its range, -1 where it lies below, 0 otherwise.

    Parameters
    ----------
    limit : difference to the centre that is allowed at least.
    """
    value, usual = getattr(x, quantity), getattr(x.usual, quantity)
    apart = max(limit, _SPREADS * usual.spread)
    above = value > max(usual.centre + apart, usual.high)
    return above - (value < min(usual.centre - apart, usual.low))


def _alone(x: SimpleNamespace) -> Iterator[Fault]:
    """Faults of one channel: dead, or else clipped, gated, with a ramp, offset or band-limited."""
    flat = float(x.found.bands[x.c].std()) < _FLAT
    below = x.level < x.found.values[f"level {CHANNELS[1 - x.c]}"] - _DEAD_BELOW
    gone = (x.level < _DEAD or (flat and below)) and x.level < x.usual.level.low
    lost = x.reference and abs(x.match) < EVIDENT  # otherwise it follows the other channel
    if gone or (lost and _side(x, "level", _GONE) == _side(x, "gain", _GONE) == -1):
        usually = f", usually {x.usual.level.centre:.0f} dB" if x.reference else ""
        words = f"dead: its level is {x.level:.0f} dB of full scale{usually}"
        yield Fault("dead", f"The {x.name} channel is {words}.")
        return
    offset, peaks = max(_OFFSET, _ERRORS * x.wander), "{} of its samples lie at a peak value"
    for kind, quantity, limit, form, words in (
        ("clipped", "clipped", _CLIPPED, ".1%", f"is clipped: {peaks}"),
        ("gated", "silent", _SILENT, ".0%", "is gated: {} of it is digital silence"),
        ("ramp", "ramp", _RAMP, ".2f", "begins with a ramp of {} of full scale"),
        ("offset", "offset", offset, ".3f", f"has an offset of {x.mean:.3f} of full scale"),
    ):
        value, high = getattr(x, quantity), getattr(x.usual, quantity).high
        if value > max(limit, high):
            usually = f", usually at most {high:{form}}" if x.reference else ""
            told = words.format(f"{value:{form}}")
            yield Fault(kind, f"The {x.name} channel {told}{usually}.")
    bands, usual = x.found.bands[x.c], x.reference.bands[x.c] if x.reference else 0.0
    drops = x.drop > max(_DROP, x.usual.drop.high)
    if drops or (x.reference and _side(x, "cut", _CUT) > 0):
        _, edge = steepest(bands if drops else bands - usual)
        words = f"it ends at about {edge / BANDS * x.found.rate / 2:,.0f} Hz"
        if x.reference:
            lost = np.median((usual - bands)[edge + 1 :])
            words += f" and is {lost:.0f} dB below its usual level above that"
        yield Fault("limited", f"The {x.name} channel is band-limited: {words}.")


def _between(x: SimpleNamespace, limited: bool) -> Iterator[Fault]:
    """Faults between the channels: swapped, inverted, late, drifting or unrelated.

    Parameters
    ----------
    limited : whether a channel is band-limited: a drift cannot be measured to a sample then.
    """
    usual, match, rate = x.usual, x.match, x.found.rate
    known = usual.match.centre >= _KNOWN and usual.match.low > 0
    mirrored = x.mirror > max(usual.mirror.high, _MARGIN) and abs(match) + x.mirror >= EVIDENT
    crossed = x.crossed < min(_CROSSED, usual.crossed.low) and not (known and match >= EVIDENT)
    if (known and mirrored) or crossed:
        words = "near holds what is usually far, and far what is usually near"
        yield Fault("swapped", f"The near and far channels are swapped: {words}.")
        return
    if not known:
        return
    if not limited and _side(x, "drift", _DRIFT):
        words = f"changes by {1000 * x.drift / rate:.2f} ms from the first to the second half"
        yield Fault("drift", f"The delay of the far channel {words}; usually not.")
    elif abs(match) < min(EVIDENT, _LOST * usual.match.low):
        words = f"a match of {abs(match):.0f}, usually {usual.match.low:.0f} or more"
        related = "The far channel is not related to the near one as usual"
        yield Fault("unrelated", f"{related}: {words}.")
    if match <= -EVIDENT:
        words = "near and far have opposite signs, unlike the training recordings"
        yield Fault("inverted", f"One channel is inverted: {words}.")
    late, (low, middle, high, _) = x.delay / rate, (v / rate for v in usual.delay)
    if abs(match) >= EVIDENT and not low - _LATE <= late <= high + _LATE:
        words = f"{1000 * abs(late - middle):.1f} ms {'later' if late > middle else 'earlier'}"
        yield Fault("delay", f"The far channel is {words} than usual against the near one.")


def _level(x: SimpleNamespace, hurt: set[str]) -> Iterator[Fault]:
    """Level, or else the level of the quiet times; other faults may have changed both.

    A gain changes the level and most bands alike; a machine that sounds different does not.
    """
    side, floor = _side(x, "level", _GAIN), _side(x, "quiet", _GAIN)
    if "limited" in hurt:
        return
    if side and side == _side(x, "gain", _GAIN):
        words, usual = "louder" if side > 0 else "quieter", x.usual.level.centre
        told = f"The {x.name} channel is {abs(x.level - usual):.0f} dB {words} than usual"
        full = f"{x.level:.0f} dB of full scale, usually {usual:.0f} dB"
        yield Fault("level", f"{told}: {full}.")
    elif floor and not hurt & {"gated", "clipped"}:
        words, usual = "above" if floor > 0 else "below", x.usual.quiet.centre
        told = f"is {abs(x.quiet - usual):.0f} dB {words} its usual one"
        full = f"{x.quiet:.0f} dB of full scale, usually {usual:.0f} dB"
        yield Fault("floor", f"The noise floor of the {x.name} channel {told}: {full}.")
