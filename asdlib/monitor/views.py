"""What a monitor looks at of a recording, and what it says of it by its strangest window.

A view is one detector without training with the values that it looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import clipstats, lines, pipeline
from asdlib.calibration import HeldOut
from asdlib.frontends import FRONT_ENDS
from asdlib.monitor import health, reasons, recordings, signs
from asdlib.monitor.quantities import RecordingQuantities, measure
from asdlib.monitor.reasons import Reading, ReadingEvidence, Window
from asdlib.noise import Floors
from asdlib.params import Denoising, Spectra
from asdlib.pipeline import FittedView, Sound
from asdlib.spectra import Spectrum, stft

if TYPE_CHECKING:
    from asdlib.monitor.model import Monitor

_SHORT = 0.8  # of the shortest training recording; a shorter one is not judged
_NEW_LINE = 3.0  # z of a line that is told
_LEAST_SCATTER = 0.1  # dB, of a level over time

Row = Float[np.ndarray, " _"]  # what a detector looks at of one recording
Tables = tuple[Float[np.ndarray, "recording _"], ...]


def unfitted(table: pd.DataFrame, spectra: Spectra) -> tuple[FittedView, ...]:
    """All detectors with front-ends fitted on a manifest, before they know what is normal."""
    return tuple(_unfitted(table, spectra, *own) for own in clipstats.S5)


def _unfitted(table: pd.DataFrame, spectra: Spectra, name: str, scorer: str) -> FittedView:
    sizes = clipstats.sizes(clipstats.VIEWS[scorer].kind, spectra)
    context = -(-Denoising().context * spectra.hop_length // sizes.hop_length)
    front_end = FRONT_ENDS[name](Denoising(context=context))  # as many seconds
    powers = recordings.each(lambda signal: front_end.levels(stft(signal, sizes)), table, spectra)
    front_end.floors = Floors.average(powers, front_end.constants)
    none = np.zeros(0)
    nothing = clipstats.Normal(none, none, none[None], np.zeros((0, 0)), np.zeros(1), HeldOut(none))
    return FittedView(scorer, front_end, nothing, spectra)


def values_of(views: Sequence[FittedView], signal: Sound) -> tuple[list[Row], dict[str, Spectrum]]:
    """What the detectors look at of one recording, and its complex spectra by the kind of view.

    The last row is the prominence of lines at the near microphone.
    """
    sizes = views[0].spectra
    spectra = {kind: stft(signal, clipstats.sizes(kind, sizes)) for kind in ("fine", "mel")}
    rows = [view.values(signal, spectra[clipstats.VIEWS[view.scorer].kind]) for view in views]
    return [*rows, lines.prominence(signal[0], sizes)], spectra


def examined(
    views: Sequence[FittedView], table: pd.DataFrame
) -> tuple[Tables, list[RecordingQuantities]]:
    """What the detectors look at of the recordings of a manifest, and their health.

    Returns
    -------
    values : an array (recording, value) per detector, and of the lines.
    found : what is measured of the health of each recording.
    """
    spectra = views[0].spectra

    def examine(signal: Sound) -> tuple[list[Row], RecordingQuantities]:
        return values_of(views, signal)[0], measure(signal, spectra)

    rows, found = zip(*recordings.each(examine, table, spectra), strict=True)
    # a value's column lies in one piece: sums over recordings keep their order, and so their bytes
    return tuple(np.stack(own, axis=1).T for own in zip(*rows, strict=True)), list(found)


def _heard(monitor: Monitor, signal: Sound, start: float) -> Window:
    """Let the detectors of a monitor hear a signal."""
    values, spectra = values_of(monitor.views, signal)
    z = monitor.z(values)
    return Window(start, signal[0], values, spectra, z, float(reasons.joined(z.min(axis=1))))


def judged(monitor: Monitor, signal: Sound, name: str) -> ReadingEvidence:
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
    p = monitor.p_value(worst.z, len(starts))
    is_short = found.seconds < _SHORT * float(known.min())
    verdict = "ALARM" if p <= decision.rate else "normal"
    if decision.warnings and decision.rate < p <= decision.warnings:
        verdict = "warning"
    if monitor.remark or is_short:
        verdict = reasons.UNDECIDED
    if health.unfit(faults):
        verdict = reasons.FAULT

    prominence, z = worst.values[-1], worst.z.min(axis=1)
    strongest = int(np.argmax(z[:-1]))
    table = monitor.views[strongest].explained(worst.values[strongest])
    levels = pipeline.frames(worst.spectra["mel"], mel.front_end, mel.spectra)
    usual, scatter = (clipstats.chosen(mel.normal.mean, letter) for letter in "ms")
    above, centres = levels - usual, clipstats.centres(mel.scorer, mel.spectra)
    is_new = z[-1] > max(_NEW_LINE, 0.5 * z.max())
    line = monitor.lines.strongest(prominence, found.rate) if is_new else None
    least = 0.0 if verdict == "ALARM" else reasons.UNUSUAL
    deviation = above / np.maximum(scatter, _LEAST_SCATTER)
    told = reasons.of(worst, table, deviation, centres, mel.spectra, line=line, least=least)
    clean = np.vstack([monitor.values[0], worst.values[0]])
    if whole := signs.of_machine(monitor.usual_lines, prominence, clean):
        told = [reasons.Reason(whole, 0.0, 0.0), *(told if whole != signs.OFF else [])]

    counts = [len(own.held_out) for own in monitor.decisions.values()]
    is_judged = verdict not in (reasons.FAULT, reasons.UNDECIDED)
    remarks = []
    if gain:
        than = f"{abs(gain):.1f} dB {'louder' if gain > 0 else 'quieter'} than usual"
        how = "alike in all bands: a gain. It was removed before judging"
        remarks.append(f"Both channels are {than}, {how}.")
    if len(starts) > 1:
        how = f"judged in {len(starts)} windows of {known.median():.1f} s"
        begins = f"The strangest one begins at {worst.start:.1f} s"
        remarks.append(f"{found.seconds:.1f} s long: {how}. {begins}.")
    if is_short:
        others = f"the training recordings are {known.min():.1f} s long or longer"
        remarks.append(f"{found.seconds:.1f} s long: {others}, so there is no verdict.")
    if (monitor.values[0] == worst.values[0]).all(axis=1).any():
        remarks.append("This is one of the training recordings: its score is too low.")
    if is_judged and p * (min(counts) + 1) <= 1:
        remarks.append(f"Stranger than all of the {sum(counts)} normal recordings.")
    reading = Reading(
        score=worst.score,
        p_value=p,
        alarm=verdict == "ALARM",
        reasons=tuple(reason.sentence for reason in told),
        health=tuple(fault.sentence for fault in faults),
        name=name,
        remarks=tuple(remarks),
        verdict=verdict,
    )
    bands = tuple((reason.low, reason.high) for reason in told if reason.high)
    hop = mel.spectra.hop_length / mel.spectra.sample_rate
    return ReadingEvidence(reading, levels, above, bands, centres, hop, table, worst.start)
