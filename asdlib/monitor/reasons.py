"""What a monitor says about a recording: score, alarm, and the reasons in sentences.

A reason tells where a recording is unlike normal ones, how, how much, and when.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib.calibration import surprise
from asdlib.lines import OfBins, place
from asdlib.monitor import signs
from asdlib.params import Spectra
from asdlib.runtime.errors import p_text
from asdlib.spectra import Spectrum

Frames = Float[np.ndarray, "frame band"]
Bands = Float[np.ndarray, " band"]

_SHARE = 0.5  # of the squared distance that reasons are looked for in
_MOST_VALUES = 16
_MOST_REASONS = 2
_GAP = 2  # bands between two values of one reason
_LINE = 6.0  # dB that a line stands above its neighbours
_MARGIN = 15.0  # Hz, to either side of a band that a line is looked for in
_SAME = 0.01  # of the frequency: one line
_CLEAR = 2.0  # standard deviations of every reason but the first
_SPAN = 0.8  # share of the excess that a stretch of time holds
_THROUGHOUT = 0.6  # share of the recording above which a stretch is not worth telling

UNUSUAL = 4.0
"""Standard deviations from which a reason is told of a normal recording too."""

FAULT, UNDECIDED = "recording fault", "no verdict"
"""Verdicts that say nothing of the machine."""

WORDS = {
    "level": ("quieter", "louder"),
    "s": ("steadier", "less steady"),
    "d": ("changing more slowly", "changing faster"),
}
"""Of a kind of value that lies below normal, and above."""


@dataclass(frozen=True)
class Reading:
    """Score and alarm of one recording, and what made them.

    Attributes
    ----------
    score : of the detectors, joined by :func:`asdlib.calibration.surprise`; four that see nothing
        give about 3.
    p_value : share of normal recordings, at most, that score as high.
    alarm : whether the p value is at most the wanted rate of false alarms.
    reasons : sentences about what differs from normal, the most important one first.
    health : sentences about faults of the recording itself; empty for a sound one.
    verdict : ALARM; warning, where the p value is at most the wanted rate of warnings; normal;
        recording fault, where faults of the recording itself forbid to judge the machine by it; or
        no verdict, with too few normal recordings, and of one that is much shorter than they are.
    name : of the recording.
    remarks : sentences on how it was judged: a gain that was removed, windows, and the like.

    Examples
    --------
    >>> reading = Reading(2.5, 0.02, True, ("louder than normal",), (), "ALARM")
    >>> json.loads(reading.json())["verdict"]
    'alarm'
    """

    score: float
    p_value: float
    alarm: bool
    reasons: tuple[str, ...]
    health: tuple[str, ...]
    verdict: str
    name: str = ""
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Lines for a reader: score and name, and the sentences below them."""
        first = f"{self.verdict:6}  score {self.score:6.2f}  p {p_text(self.p_value)}  {self.name}"
        below = [*self.health, *self.remarks, *self.reasons * (self.verdict != FAULT)]
        return "\n".join([first, *(f"        {sentence}" for sentence in below)])

    def record(self) -> dict[str, Any]:
        """Return what a line of JSON holds."""
        told = {"name": self.name} | asdict(self) | {"verdict": self.verdict.lower()}
        return told | {"alarm": None if self.verdict in (FAULT, UNDECIDED) else self.alarm}

    def json(self) -> str:
        """One line of JSON, in ASCII."""
        return json.dumps(self.record())


def as_table(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    r"""Lay out :meth:`Reading.record` of many recordings; the sentences of one are joined.

    >>> as_table([{"name": "a\udcff.wav", "health": ("Dead.", "Late.")}]).loc[0].tolist()
    ['a\\udcff.wav', 'Dead. Late.']
    """

    def cell(own: Any) -> Any:
        text = " ".join(own) if isinstance(own, tuple) else own
        # a name may hold bytes that are no text
        return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text

    return pd.DataFrame([{key: cell(own) for key, own in record.items()} for record in records])


@dataclass(frozen=True)
class ReadingEvidence:
    """What a picture of a reading shows.

    Attributes
    ----------
    reading : what was said.
    levels : (frame, band), log-mel frames behind the front-end, in dB.
    above : (frame, band), what they are above the mean of normal recordings, in dB.
    bands : lowest and highest frequency of every reason that has some, in Hz.
    centres : (band,), frequencies in Hz.
    seconds : from one frame to the next.
    table : of :meth:`asdlib.pipeline.FittedView.explained`, of the detector with the highest score.
    start : of the window that was judged, in its recording, s.
    """

    reading: Reading
    levels: Frames
    above: Frames
    bands: tuple[tuple[float, float], ...]
    centres: Bands
    seconds: float
    table: pd.DataFrame
    start: float = 0.0


def joined(z: Iterable[Any]) -> Any:
    """Join the scores of the detectors, each a number or an array, by Fisher's sum."""
    return sum(map(surprise, z))


class Window(NamedTuple):
    """A window of a recording.

    Attributes
    ----------
    start : in the recording, s.
    sound : of the near microphone.
    values : what the detectors look at.
    spectra : complex, by the kind of view.
    z : score of each detector against each condition; the last detector is that of the lines.
    score : of all detectors, joined, against the nearest condition.
    """

    start: float
    sound: signs.Sound
    values: list[Float[np.ndarray, " _"]]
    spectra: dict[str, Spectrum]
    z: Float[np.ndarray, "detector condition"]
    score: float


class Reason(NamedTuple):
    """A sentence, and the lowest and the highest frequency that it is about, in Hz."""

    sentence: str
    low: float
    high: float


def of(
    window: Window,
    table: pd.DataFrame,
    deviation: Frames,
    centres: Bands,
    spectra: Spectra,
    *,
    line: tuple[float, float, float] | None,
    least: float,
) -> list[Reason]:
    """What a detector found most unlike normal, the largest share first.

    Parameters
    ----------
    table : of :meth:`asdlib.pipeline.FittedView.explained`.
    deviation : (frame, band), levels above those of normal recordings, in standard deviations over
        time of a normal recording; they tell when something happens.
    centres : frequencies of the bands of ``deviation``, in Hz.
    spectra : sizes of the spectra that ``deviation`` is made of.
    line : of :meth:`asdlib.lines.Lines.strongest`, where it is to be told.
    least : standard deviations below which a reason is not told; 0: every one is told.
    """
    total, told = table["contribution"].sum(), list[Reason]()
    if line:
        hertz, above, usual = line
        sentence = (
            f"louder than normal: a line at {_hertz(hertz)}, {above:.0f} dB above its neighbours, "
            f"usually {usual:.0f} dB or less."
        )
        told.append(Reason(sentence, hertz, hertz))
    for group in grouped(table):
        low, high = group["frequency"].min(), group["frequency"].max()
        most = group.iloc[int(group["deviation"].abs().to_numpy().argmax())]
        if abs(most["deviation"]) < max(least, _CLEAR if told else 0.0):
            continue
        where, when, is_higher, hertz = _range(low, high), "", bool(most["higher"]), 0.0
        if is_higher and most["kind"] == "level":
            hertz = _line(low, high, window.values[-1], spectra.sample_rate)
            if line and abs(hertz - line[0]) < _SAME * line[0]:
                continue
            where = f"a line at {_hertz(hertz)}" if hertz else where
        if is_higher and (stretch := _stretch(low, high, deviation, centres)):
            begin, end = window.start + np.array(stretch) * spectra.hop_length / spectra.sample_rate
            when = f", most from {begin:.1f} to {end:.1f} s"
        elif is_higher and not hertz:
            rate, is_knock = signs.rate(window.sound, low, high, spectra.sample_rate)
            words = ", knocks at {:.1f} per second" if is_knock else ", pulsing at {:.1f} Hz"
            when = words.format(rate) if rate else ""
        share = group["contribution"].sum() / total
        sentence = (
            f"{WORDS[most['kind']][is_higher]} than normal: {where}, by "
            f"{abs(most['deviation']):.1f} standard deviations ({share:.0%} of all that differs)"
            f"{when}."
        )
        told.append(Reason(sentence, low, high))
    return told


def grouped(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Values with the largest shares, in groups of neighbouring bands that differ in one way.

    Parameters
    ----------
    table : of :meth:`asdlib.pipeline.FittedView.explained`.

    Returns
    -------
    Rows of the table, the group with the largest share first, with two columns more: kind ("level",
    "s" or "d", see :data:`asdlib.clipstats.NAMES`) and higher (whether it lies above normal).

    Examples
    --------
    >>> table = pd.DataFrame({"statistic": ["p", "p", "s"], "frequency": [100.0, 200.0, 100.0],
    ...     "contribution": [6.0, 6.0, 1.0], "deviation": [5.0, 4.0, 1.0]})
    >>> [group["frequency"].tolist() for group in grouped(table)]
    [[100.0, 200.0]]
    """
    total = table["contribution"].sum()
    bands = np.sort(table["frequency"].unique())
    own = table.sort_values("contribution", ascending=False, kind="stable")
    before = own["contribution"].cumsum() - own["contribution"]
    own = own[before < _SHARE * total].head(_MOST_VALUES)
    kind = own["statistic"].where(own["statistic"].isin(["s", "d"]), "level")
    own = own.assign(kind=kind, higher=own["deviation"] > 0).sort_values("frequency", kind="stable")
    place = pd.Series(np.searchsorted(bands, own["frequency"]), own.index)
    gaps = place.groupby([own["kind"], own["higher"]]).diff() > _GAP
    stretch = gaps.groupby([own["kind"], own["higher"]]).cumsum()
    found = [alike for _, alike in own.groupby(["kind", "higher", stretch])]
    return sorted(found, key=lambda own: -own["contribution"].sum() / total)[:_MOST_REASONS]


def _line(low: float, high: float, prominence: OfBins, rate: int) -> float:
    """Frequency of the strongest line of a range; 0 where none stands out."""
    of_bin = np.linspace(0, rate / 2, len(prominence))
    inside = np.flatnonzero((of_bin >= low - _MARGIN) & (of_bin <= high + _MARGIN))[1:-1]
    peak = int(inside[prominence[inside].argmax()])
    return place(prominence, peak, rate) if prominence[peak] > _LINE else 0.0


def _hertz(value: float) -> str:
    """Write a frequency, to half a hertz."""
    return f"{round(2 * value) / 2:,.1f} Hz".replace(".0 ", " ")


def _stretch(low: float, high: float, deviation: Frames, centres: Bands) -> tuple[int, int] | None:
    """First frame and end of the shortest stretch that holds most of the excess, if it is short."""
    inside = (centres >= low) & (centres <= high)
    if not inside.any():
        inside[np.abs(centres - (low + high) / 2).argmin()] = True
    excess = np.maximum(deviation[:, inside].mean(axis=1) - 1, 0)
    if not excess.any():
        return None
    summed = np.concatenate([[0.0], np.cumsum(excess)])
    ends = np.searchsorted(summed, summed + _SPAN * summed[-1] - 1e-9)
    starts = np.flatnonzero(ends < len(summed))
    start = int(starts[(ends[starts] - starts).argmin()])
    end = int(ends[start])
    return None if end - start > _THROUGHOUT * len(excess) else (start, end)


def _range(low: float, high: float) -> str:
    first, last = (f"{round(value, -1 if value >= 1000 else 0):,.0f}" for value in (low, high))
    return f"{first} to {last} Hz" if first != last else f"around {first} Hz"
