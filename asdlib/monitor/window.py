"""The windows of a recording as a monitor hears them, and what is said of it by the strangest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from asdlib import clipstats, pipeline
from asdlib.monitor import health, reasons, recordings
from asdlib.monitor.quantities import measure
from asdlib.monitor.reasons import Reading, ReadingEvidence
from asdlib.monitor.views import Row, values_of
from asdlib.pipeline import Sound
from asdlib.spectra import Spectrum

if TYPE_CHECKING:
    from asdlib.monitor.model import Monitor

_SHORT = 0.8  # of the shortest training recording; a shorter one is not judged
_NEW_LINE = 3.0  # z of a line that is told


class Window(NamedTuple):
    """A window of a recording.

    Attributes
    ----------
    start : in the recording, s.
    values : what the detectors look at.
    spectra : complex, by the kind of view.
    z : score of each detector; the last is that of the lines.
    score : all of them joined.
    """

    start: float
    values: list[Row]
    spectra: dict[str, Spectrum]
    z: list[float]
    score: float


def _heard(monitor: Monitor, signal: Sound, start: float) -> Window:
    """Let the detectors of a monitor hear a signal."""
    values, spectra = values_of(monitor.views, signal)
    z = monitor.z(values)
    return Window(start, values, spectra, z, float(reasons.joined(z)))


def evidence(monitor: Monitor, signal: Sound, name: str) -> ReadingEvidence:
    """Judge a recording, of both channels, by its window with the highest score."""
    known, mel, decision = monitor.known["seconds"], monitor.views[-1], monitor.decision
    found = measure(signal, monitor.spectra)
    faults, gain = health.faults(found, monitor.reference), health.gain(found, monitor.reference)
    if gain:
        signal = signal * np.float32(10 ** (-gain / 20))
        faults = [fault for fault in faults if fault.kind not in health.OF_LEVEL]
    length = round(float(known.median()) * found.rate)
    starts = recordings.windows(signal.shape[1], length)
    end = length if len(starts) > 1 else None
    heard = (_heard(monitor, signal[:, at:][:, :end], at / found.rate) for at in starts)
    worst = max(heard, key=lambda own: own.score)
    *of_views, prominence = worst.values
    strongest = int(np.argmax(worst.z[:-1]))
    table = monitor.views[strongest].explained(of_views[strongest])
    levels = pipeline.frames(worst.spectra["mel"], mel.front_end, mel.spectra)
    deviation = reasons.deviation(levels, mel.normal)
    centres = clipstats.centres(mel.scorer, mel.spectra)
    p = decision.p_value(worst.score, len(starts))
    unfit, is_long = health.unfit(faults), found.seconds >= _SHORT * float(known.min())
    judged = not unfit and is_long and not decision.alarm.remark
    alarm = judged and p <= decision.rate
    line = None
    if worst.z[-1] > max(_NEW_LINE, 0.5 * max(worst.z)):
        line = monitor.lines.strongest(prominence, monitor.spectra.sample_rate)
    least = 0.0 if alarm else reasons.UNUSUAL
    heard_so = table, deviation, centres, prominence, monitor.spectra
    reading = Reading(
        score=worst.score,
        p_value=p,
        alarm=alarm,
        reasons=reasons.of(*heard_so, start=worst.start, line=line, least=least),
        health=tuple(fault.sentence for fault in faults),
        name=name,
        decided=judged or unfit,
        remarks=tuple(_remarks(monitor, worst, gain, found.seconds, len(starts))),
        warning=judged and not alarm and p <= (decision.warnings or 0),
        unfit=unfit,
    )
    hop = mel.spectra.hop_length / mel.spectra.sample_rate
    names = clipstats.S5[strongest]
    return ReadingEvidence(reading, levels, deviation, centres, hop, *names, table)


def _remarks(
    monitor: Monitor, worst: Window, gain: float, seconds: float, windows: int
) -> Iterator[str]:
    """How a recording was judged: a gain that was removed, windows, and the like."""
    known = monitor.known["seconds"]
    if gain:
        yield (
            f"Both channels are {abs(gain):.1f} dB {'louder' if gain > 0 else 'quieter'} than "
            "usual, alike in all bands: a gain. It was removed before judging."
        )
    if windows > 1:
        yield (
            f"{seconds:.0f} s long: judged in {windows} windows of {known.median():.1f} s. The "
            f"strangest one begins at {worst.start:.1f} s."
        )
    if seconds < _SHORT * known.min():
        yield (
            f"{seconds:.1f} s long: the training recordings are {known.min():.1f} s long or "
            "longer, so there is no verdict."
        )
    if (monitor.values[0] == worst.values[0]).all(axis=1).any():
        yield "This is one of the training recordings: its score is too low."
