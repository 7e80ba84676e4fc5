"""Faults of a recording itself: channels swapped, dead, copied, clipped, gated, late, and more.

Every fault is a rule: a quantity, its limit, and the words. Some faults show in one recording.
Others show against training recordings: both microphones keep their places, so the delays and the
polarity between the channels are much the same in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from asdlib.monitor.quantities import BANDS, RecordingQuantities
from asdlib.monitor.reference import (
    CHANNELS,
    EVIDENT,
    MachineReference,
    Range,
    quantities,
    steepest,
)

# limits of faults that show in one recording
_DEAD = -80.0  # dB of full scale
_DEAD_BELOW = 35.0  # dB below the other channel, with a flat spectrum
_FLAT = 3.0  # dB, standard deviation over bands
_COPY = 0.01  # share of the power that is not the other channel's
_CLIPPED = 5e-4  # share of samples
_SILENT = 0.01  # share of samples
_OFFSET = 0.005  # of full scale
_ERRORS = 6.0  # standard errors of the mean
_DROP = 30.0  # dB from one band to all bands above the next

# limits of faults against training recordings
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
_COUNTED = {
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
"""Kinds of faults, and their words for many recordings."""


class Fault(NamedTuple):
    """A fault: its kind in one word, and the sentence."""

    kind: str
    sentence: str


def summary(
    names: Sequence[str],
    recordings: Sequence[RecordingQuantities],
    reference: MachineReference | None = None,
) -> list[str]:
    """One sentence per kind of fault, for many recordings.

    Parameters
    ----------
    names : of the recordings; at most three are told.
    reference : fitted on these recordings. With it, those that are unlike most others are told too;
        without it, only faults that show in one recording.

    Examples
    --------
    >>> from asdlib.monitor.quantities import measure
    >>> loud = np.clip(np.random.default_rng(0).normal(size=(2, 16000)), -1, 1)
    >>> summary(["a.wav", "b.wav"], [measure(loud), measure(0.01 * loud + 0.02)])
    ['clipped: 2 of 2 recordings (a.wav, b.wav).', 'offset: 1 of 2 recordings (b.wav).']
    """
    of_kind: dict[str, list[str]] = {}
    for name, found in zip(names, recordings, strict=True):
        own = faults(found)
        if reference is not None:  # without its ranges, so that a training recording can be faulty
            own += faults(found, replace(reference, low=reference.centre, high=reference.centre))
        for kind in {fault.kind for fault in own}:
            of_kind.setdefault(kind, []).append(name)
    return [
        f"{_COUNTED[kind]}: {len(own)} of {len(names)} recordings "
        f"({', '.join(own[:_MOST_NAMES])}{', ...' if len(own) > _MOST_NAMES else ''})."
        for kind, own in sorted(of_kind.items())
    ]


def faults(found: RecordingQuantities, reference: MachineReference | None = None) -> list[Fault]:
    """Faults of one recording; none where it is sound.

    Parameters
    ----------
    found : of :func:`asdlib.monitor.quantities.measure`.
    reference : what training recordings look like. Without it, only what shows in one recording is
        found: a channel that is dead, copied, clipped, gated, offset or band-limited.

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
    values = quantities(found, reference)
    near, far = (_Channel(found, reference, values, c) for c in (0, 1))
    dead = [list(_dead(x)) for x in (near, far)]
    told = dead[0] + dead[1] or list(_copied(near))
    is_pair = not told
    # nothing else counts in a dead channel
    alone = [[] if own else list(_alone(x)) for x, own in zip((near, far), dead, strict=True)]
    told += alone[0] + alone[1]
    if reference is None or not is_pair:
        return told
    pair = list(_between(near, limited=any(fault.kind == "limited" for fault in told)))
    told += pair
    if "swapped" not in {fault.kind for fault in pair}:
        for x, own in zip((near, far), alone, strict=True):
            told += _level(x, {fault.kind for fault in own})
    return told


_UNKNOWN = Range(low=np.inf, centre=np.nan, high=-np.inf, spread=0.0)
"""Of every quantity, without training recordings: nothing is usual."""


@dataclass(frozen=True)
class _Channel:
    """One channel of a recording, beside its reference; and what belongs to both channels."""

    found: RecordingQuantities
    reference: MachineReference | None
    values: Mapping[str, float]
    c: int

    @property
    def name(self) -> str:
        return CHANNELS[self.c]

    def __getitem__(self, quantity: str) -> float:
        return self.values[self._key(quantity)]

    def _key(self, quantity: str) -> str:
        return quantity if quantity in self.values else f"{quantity} {self.name}"

    def usual(self, quantity: str) -> Range:
        return self.reference.range(self._key(quantity)) if self.reference else _UNKNOWN

    def above(self, quantity: str, limit: float) -> bool:
        return self[quantity] > max(limit, self.usual(quantity).high)

    def usually(self, quantity: str, form: str) -> str:
        high = self.usual(quantity).high
        return f", usually at most {high:{form}}" if self.reference else ""

    def outside(self, limit: float, *names: str) -> int:
        """1 where all quantities lie above their ranges, -1 where all lie below, 0 otherwise."""
        if all(self[name] > self.usual(name).up_to(limit) for name in names):
            return 1
        return -all(self[name] < self.usual(name).down_to(limit) for name in names)


def _dead(x: _Channel) -> Iterator[Fault]:
    level, other = x["level"], float(x.found.level[1 - x.c])
    flat = float(x.found.bands[x.c].std()) < _FLAT
    gone = level < _DEAD or (flat and level < other - _DEAD_BELOW)
    gone = gone and level < x.usual("level").low
    words = f"The {x.name} channel is dead: its level is {level:.0f} dB of full scale"
    if x.reference:
        lost = abs(x["match"]) < EVIDENT  # otherwise it follows the other channel
        gone = gone or (lost and x.outside(_GONE, "level", "gain") < 0)
        words += f", usually {x.usual('level').centre:.0f} dB"
    if gone:
        yield Fault("dead", f"{words}.")


def _copied(x: _Channel) -> Iterator[Fault]:
    if x["unlike"] < min(_COPY, x.usual("unlike").low):
        words = f"Both channels hold the same signal: far is near times {x.found.gain:.2f}."
        yield Fault("copied", words)


def _alone(x: _Channel) -> Iterator[Fault]:
    """Faults of one channel: clipped, gated, offset or band-limited."""
    if x.above("clipped", _CLIPPED):
        words = f"clipped: {x['clipped']:.1%} of its samples lie at a peak value"
        yield Fault("clipped", f"The {x.name} channel is {words}{x.usually('clipped', '.1%')}.")
    if x.above("silent", _SILENT):
        words = f"gated: {x['silent']:.0%} of it is digital silence"
        yield Fault("gated", f"The {x.name} channel is {words}{x.usually('silent', '.0%')}.")
    if x.above("offset", max(_OFFSET, _ERRORS * float(x.found.wander[x.c]))):
        words = f"an offset of {x.found.offset[x.c]:.3f} of full scale"
        yield Fault("offset", f"The {x.name} channel has {words}{x.usually('offset', '.3f')}.")
    bands = x.found.bands[x.c]
    usual = x.reference.bands[x.c] if x.reference else np.zeros(BANDS)
    drops = x.above("drop", _DROP)
    if drops or (x.reference and x["cut"] > x.usual("cut").up_to(_CUT)):
        _, edge = steepest(bands if drops else bands - usual)
        words = f"it ends at about {edge / BANDS * x.found.rate / 2:,.0f} Hz"
        if x.reference:
            lost = np.median((usual - bands)[edge + 1 :])
            words += f" and is {lost:.0f} dB below its usual level above that"
        yield Fault("limited", f"The {x.name} channel is band-limited: {words}.")


def _between(x: _Channel, limited: bool) -> Iterator[Fault]:
    """Faults between the channels: swapped, inverted, late, drifting or unrelated.

    Parameters
    ----------
    limited : whether a channel is band-limited: a drift cannot be measured to a sample then.
    """
    match, usual = x["match"], x.usual("match")
    known = usual.centre >= _KNOWN and usual.low > 0
    clear = x["mirror"] > max(x.usual("mirror").high, _MARGIN)
    swapped = known and clear and abs(match) + x["mirror"] >= EVIDENT
    if swapped or (
        not (known and match >= EVIDENT) and x["crossed"] < min(_CROSSED, x.usual("crossed").low)
    ):
        words = "near holds what is usually far, and far what is usually near"
        yield Fault("swapped", f"The near and far channels are swapped: {words}.")
        return
    if not known:
        return
    drift, steady, rate = x["drift"], x.usual("drift"), x.found.rate
    if not limited and not steady.down_to(_DRIFT) <= drift <= steady.up_to(_DRIFT):
        words = f"changes by {1000 * drift / rate:.2f} ms from the first to the second half"
        yield Fault("drift", f"The delay of the far channel {words}; usually not.")
    elif abs(match) < min(EVIDENT, _LOST * usual.low):
        words = f"a match of {abs(match):.0f}, usually {usual.low:.0f} or more"
        yield Fault(
            "unrelated", f"The far channel is not related to the near one as usual: {words}."
        )
    if match <= -EVIDENT:
        words = "near and far have opposite signs, unlike the training recordings"
        yield Fault("inverted", f"One channel is inverted: {words}.")
    late, (low, middle, high, _) = x["delay"] / rate, (v / rate for v in x.usual("delay"))
    if abs(match) >= EVIDENT and not low - _LATE <= late <= high + _LATE:
        words = f"{1000 * abs(late - middle):.1f} ms {'later' if late > middle else 'earlier'}"
        yield Fault("delay", f"The far channel is {words} than usual against the near one.")


def _level(x: _Channel, hurt: set[str]) -> Iterator[Fault]:
    """Level, or else the level of the quiet times; other faults may have changed both.

    A gain changes the level and most bands alike; a machine that sounds different does not.
    """
    if "limited" in hurt:
        return
    level, quiet = x["level"], x["quiet"]
    usual, floor = x.usual("level").centre, x.usual("quiet").centre
    if side := x.outside(_GAIN, "gain", "level"):
        words = f"{abs(level - usual):.0f} dB {'louder' if side > 0 else 'quieter'} than usual"
        told = f"{words}: {level:.0f} dB of full scale, usually {usual:.0f} dB"
        yield Fault("level", f"The {x.name} channel is {told}.")
    elif (side := x.outside(_GAIN, "quiet")) and not hurt & {"gated", "clipped"}:
        words = f"{abs(quiet - floor):.0f} dB {'above' if side > 0 else 'below'} its usual one"
        told = f"{words}: {quiet:.0f} dB of full scale, usually {floor:.0f} dB"
        yield Fault("floor", f"The noise floor of the {x.name} channel is {told}.")
