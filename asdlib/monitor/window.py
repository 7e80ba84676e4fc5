"""A window of a recording as a monitor hears it, and what is said of the recording by its worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asdlib import clipstats, pipeline
from asdlib.monitor import health, reasons
from asdlib.monitor.reasons import Reading, ReadingEvidence
from asdlib.monitor.views import Row, values_of
from asdlib.pipeline import Sound
from asdlib.spectra import Spectrum

if TYPE_CHECKING:
    from asdlib.monitor.model import Monitor

_SHORT = 0.8  # of the shortest training recording; a shorter one is not judged
_NEW_LINE = 3.0  # z of a line that is told


@dataclass(frozen=True)
class Window:
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

    @classmethod
    def heard(cls, monitor: Monitor, signal: Sound, start: float) -> Window:
        """Let the detectors of a monitor hear a signal."""
        values, spectra = values_of(monitor.views, signal)
        z = monitor.z(values)
        return cls(start, values, spectra, z, float(reasons.joined(z)))

    def told(
        self,
        monitor: Monitor,
        name: str,
        gain: float,
        faults: Sequence[health.Fault],
        seconds: float,
        windows: int,
    ) -> ReadingEvidence:
        """What is said of the recording, of which this is the window with the highest score.

        Parameters
        ----------
        name : of the recording.
        gain : that was removed, dB.
        faults : of the recording itself.
        seconds : its length.
        windows : that it was judged in.
        """
        mel, decision, known = monitor.views[-1], monitor.decision, monitor.known["seconds"]
        shortest = float(known.min())
        strongest = int(np.argmax(self.z[:-1]))
        table = monitor.views[strongest].explained(self.values[strongest])
        levels = pipeline.frames(self.spectra["mel"], mel.front_end, mel.spectra)
        deviation = reasons.deviation(levels, mel.normal)
        centres = clipstats.centres(mel.scorer, mel.spectra)
        p = decision.p_value(self.score, windows)
        unfit = health.unfit(faults)
        judged = not unfit and seconds >= _SHORT * shortest and not decision.alarm.remark
        alarm = judged and p <= decision.rate
        line = monitor.lines.strongest(self.values[-1], monitor.spectra.sample_rate)
        told = reasons.of(
            table,
            deviation,
            centres,
            self.values[-1],
            monitor.spectra,
            start=self.start,
            line=line if self.z[-1] > max(_NEW_LINE, 0.5 * max(self.z)) else None,
            least=0.0 if alarm else reasons.UNUSUAL,
        )
        remarks = []
        if gain:
            words = "louder" if gain > 0 else "quieter"
            remarks.append(
                f"Both channels are {abs(gain):.1f} dB {words} than usual, alike in all bands: a "
                "gain. It was removed before judging."
            )
        if windows > 1:
            remarks.append(
                f"{seconds:.0f} s long: judged in {windows} windows of {known.median():.1f} s. The "
                f"strangest one begins at {self.start:.1f} s."
            )
        if seconds < _SHORT * shortest:
            remarks.append(
                f"{seconds:.1f} s long: the training recordings are {shortest:.1f} s long or "
                "longer, so there is no verdict."
            )
        if (monitor.values[0] == self.values[0]).all(axis=1).any():
            remarks.append("This is one of the training recordings: its score is too low.")
        reading = Reading(
            score=self.score,
            p_value=p,
            alarm=alarm,
            reasons=told,
            health=tuple(fault.sentence for fault in faults),
            name=name,
            decided=judged or unfit,
            remarks=tuple(remarks),
            warning=judged and not alarm and p <= (decision.warnings or 0),
            unfit=unfit,
        )
        hop = mel.spectra.hop_length / mel.spectra.sample_rate
        names = clipstats.S5[strongest]
        shown = (levels, deviation, centres, hop, *names, table, self.start)
        return ReadingEvidence(reading, *shown)
