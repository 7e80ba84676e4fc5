"""What a monitor says about a recording: score, alarm, and the reasons in sentences.

A reason tells where a recording is unlike normal ones, how, how much, and when. The share of alarms
among the latest recordings tells whether recordings still fit the monitor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import clipstats, pipeline
from asdlib.calibration import proportion_interval
from asdlib.params import Spectra
from asdlib.spectra import Spectrum, decibels, frequencies, power

_SHARE = 0.5  # of the squared distance that reasons are looked for in
_MOST_VALUES = 16
_MOST_REASONS = 2
_GAP = 2  # bands between two values of one reason
_LINE = 6.0  # dB that a line stands above its neighbourhood
_NEIGHBOURHOOD = 20  # bins to either side
_LEAST_SCATTER = 0.1  # dB, of a level over time
_SPAN = 0.8  # share of the excess that a stretch of time holds
_THROUGHOUT = 0.6  # share of the recording above which a stretch is not worth telling
_LEAST = 20  # recordings: fewer say little about a rate of one in ten

LATEST = 50
"""Recordings whose share of alarms tells a drift."""

_WORDS = {
    ("level", True): "louder than normal",
    ("level", False): "quieter than normal",
    ("s", True): "less steady than normal",
    ("s", False): "steadier than normal",
    ("d", True): "changing faster than normal",
    ("d", False): "changing more slowly than normal",
}


@dataclass(frozen=True)
class Reading:
    """Score and alarm of one recording, and what made them.

    Attributes
    ----------
    score : mean z of the detectors; 0 is the mean of held-out normal recordings.
    p_value : share of normal recordings, at most, that score as high.
    alarm : whether the p value is at most the wanted rate of false alarms.
    reasons : sentences about what differs from normal, the most important one first.
    health : sentences about faults of the recording itself; empty for a sound one.
    name : of the recording.
    decided : whether the monitor can raise an alarm at all; not with too few normal recordings.

    Examples
    --------
    >>> reading = Reading(2.5, 0.02, True, ("louder than normal",), (), "a.wav")
    >>> json.loads(reading.json())["alarm"]
    True
    """

    score: float
    p_value: float
    alarm: bool
    reasons: tuple[str, ...]
    health: tuple[str, ...]
    name: str = ""
    decided: bool = True

    @property
    def verdict(self) -> str:
        """ALARM, normal, or no verdict."""
        return ("ALARM" if self.alarm else "normal") if self.decided else "no verdict"

    def __str__(self) -> str:
        """Lines for a reader: score and name, and the reasons of an alarm below them."""
        first = f"{self.verdict:6}  z {self.score:6.2f}  p {self.p_value:.3f}  {self.name}"
        below = [*self.health, *(self.reasons if self.alarm else ())]
        return "\n".join([first, *(f"        {sentence}" for sentence in below)])

    def record(self) -> dict[str, Any]:
        """Return what a line of JSON holds."""
        return {
            "name": self.name,
            "score": self.score,
            "p_value": self.p_value,
            "alarm": self.alarm if self.decided else None,
            "reasons": list(self.reasons),
            "health": list(self.health),
        }

    def json(self) -> str:
        """One line of JSON, in ASCII."""
        return json.dumps(self.record())


@dataclass(frozen=True)
class ReadingEvidence:
    """What a picture of a reading shows.

    Attributes
    ----------
    reading : what was said.
    levels : (frame, band), log-mel frames behind the front-end, in dB.
    deviation : (frame, band), of :func:`deviation`.
    centres : (band,), frequencies in Hz.
    seconds : from one frame to the next.
    front_end, scorer : of the detector with the highest score.
    table : of :meth:`asdlib.pipeline.FittedView.explained`, of that detector.
    """

    reading: Reading
    levels: Float[np.ndarray, "frame band"]
    deviation: Float[np.ndarray, "frame band"]
    centres: Float[np.ndarray, " band"]
    seconds: float
    front_end: str
    scorer: str
    table: pd.DataFrame


def drift(p_values: Sequence[float], rate: float) -> tuple[bool, str]:
    """Tell whether clearly more of the latest recordings are alarms than the wanted share.

    Parameters
    ----------
    p_values : of recordings in the order of time; the last 50 count.
    rate : wanted share of false alarms.

    Returns
    -------
    Whether the recordings have changed, and the sentence; no sentence for fewer than 20.

    Examples
    --------
    >>> drift([0.5] * 19, 0.1)
    (False, '')
    >>> drift([0.5] * 45 + [0.01] * 5, 0.1)[1]
    'Of the last 50 recordings 5 are alarms (10%; 95 % interval 3% to 22%), wanted 10%: they fit.'
    """
    count = min(len(p_values), LATEST)
    if count < _LEAST:
        return False, ""
    alarms = sum(p <= rate for p in p_values[-count:])
    low, high = proportion_interval(alarms, count)
    text = (
        f"Of the last {count} recordings {alarms} are alarms ({alarms / count:.0%}; 95 % interval "
        f"{low:.0%} to {high:.0%}), wanted {rate:.0%}"
    )
    if low <= rate:
        return False, f"{text}: they fit."
    return True, (
        f"{text}: more than normal recordings would raise. If these are normal, the machine, its "
        "surroundings or the microphones have changed: fit again with recordings of now."
    )


@dataclass(frozen=True)
class Reason:
    """Neighbouring bands that differ from normal in one way.

    Attributes
    ----------
    kind : "level", "s" or "d", see :data:`asdlib.clipstats.NAMES`.
    higher : whether the values are above normal.
    low, high : range of frequencies in Hz.
    deviation : the largest one, in standard deviations over normal recordings.
    share : of the squared distance.
    line : frequency in Hz of a spectral line that stands out in there; none: 0.
    start, end : stretch of time in seconds that holds most of it; both 0 where it is everywhere.
    """

    kind: str
    higher: bool
    low: float
    high: float
    deviation: float
    share: float
    line: float = 0.0
    start: float = 0.0
    end: float = 0.0

    def __str__(self) -> str:
        """The sentence."""
        where = f"a line at {self.line:,.0f} Hz" if self.line else _range(self.low, self.high)
        when = f", most from {self.start:.1f} to {self.end:.1f} s" if self.end else ""
        return (
            f"{_WORDS[self.kind, self.higher]}: {where}, by {abs(self.deviation):.1f} standard "
            f"deviations ({self.share:.0%} of the distance){when}."
        )


def of(
    view: pipeline.FittedView,
    values: Float[np.ndarray, " value"],
    mel: pipeline.FittedView,
    spectra: Mapping[str, Spectrum],
) -> tuple[str, ...]:
    """Sentences about what a detector found most unlike normal, the largest share first.

    Parameters
    ----------
    view : the detector; ``values`` are what it looked at.
    mel : a detector with the statistics of mel bands, which tells when something happens.
    spectra : complex spectra of the recording, of the kinds "mel" and "fine", see
        :func:`asdlib.clipstats.sizes`.
    """
    found = grouped(view.explained(values))
    if any(one.higher for one in found):
        levels = pipeline.frames(spectra["mel"], mel.front_end, mel.spectra)
        near = decibels(power(spectra["fine"][0]).mean(axis=-1))
        found = [_placed(one, mel, levels, near) if one.higher else one for one in found]
    return tuple(map(str, found))


def grouped(table: pd.DataFrame) -> list[Reason]:
    """Join the values with the largest shares to reasons.

    Parameters
    ----------
    table : of :meth:`asdlib.pipeline.FittedView.explained`.

    Examples
    --------
    >>> table = pd.DataFrame({"statistic": ["p", "p", "s"], "frequency": [100.0, 200.0, 100.0],
    ...     "contribution": [6.0, 6.0, 1.0], "deviation": [5.0, 4.0, 1.0]})
    >>> str(grouped(table)[0])
    'louder than normal: 100 to 200 Hz, by 5.0 standard deviations (92% of the distance).'
    """
    total = table["contribution"].sum()
    if not total > 0:
        return []
    bands = np.sort(table["frequency"].unique())
    own = table.sort_values("contribution", ascending=False, kind="stable")
    before = own["contribution"].cumsum() - own["contribution"]
    own = own[before < _SHARE * total].head(_MOST_VALUES)
    kind = own["statistic"].where(own["statistic"].isin(["s", "d"]), "level")
    own = own.assign(
        kind=kind, higher=own["deviation"] > 0, place=np.searchsorted(bands, own["frequency"])
    ).sort_values(["kind", "higher", "place"], kind="stable")
    apart = (
        own["kind"].ne(own["kind"].shift())
        | own["higher"].ne(own["higher"].shift())
        | (own["place"].diff() > _GAP)
    )
    found = []
    for _, group in own.groupby(apart.cumsum()):
        largest = group.iloc[int(group["deviation"].abs().to_numpy().argmax())]
        found.append(
            Reason(
                str(largest["kind"]),
                bool(largest["higher"]),
                float(group["frequency"].min()),
                float(group["frequency"].max()),
                float(largest["deviation"]),
                float(group["contribution"].sum() / total),
            )
        )
    return sorted(found, key=lambda one: -one.share)[:_MOST_REASONS]


def _placed(
    one: Reason,
    mel: pipeline.FittedView,
    levels: Float[np.ndarray, "frame band"],
    near: Float[np.ndarray, " frequency"],
) -> Reason:
    """Add the line and the stretch of time that a reason is about.

    Parameters
    ----------
    levels : log-mel frames, dB.
    near : mean power of the near channel in fine bins, dB.
    """
    line = _line(one, near, mel.spectra) if one.kind == "level" else 0.0
    start, end = _stretch(one, mel, levels)
    return replace(one, line=line, start=start, end=end)


def _line(one: Reason, level: Float[np.ndarray, " frequency"], spectra: Spectra) -> float:
    """Frequency of the strongest bin of a range, where it stands above its neighbourhood."""
    of_bin = frequencies(clipstats.sizes("fine", spectra))
    margin = 2 * of_bin[1]
    inside = np.flatnonzero((of_bin >= one.low - margin) & (of_bin <= one.high + margin))
    if not len(inside):
        return 0.0
    peak = int(inside[level[inside].argmax()])
    around = level[max(peak - _NEIGHBOURHOOD, 0) : peak + _NEIGHBOURHOOD + 1]
    return float(of_bin[peak]) if level[peak] > np.median(around) + _LINE else 0.0


def _stretch(
    one: Reason, mel: pipeline.FittedView, levels: Float[np.ndarray, "frame band"]
) -> tuple[float, float]:
    """Start and end, in seconds, of the shortest stretch that holds most of the excess."""
    spectra = mel.spectra
    bands = clipstats.centres(mel.scorer, spectra)
    inside = (bands >= one.low) & (bands <= one.high)
    if not inside.any():
        inside[np.abs(bands - (one.low + one.high) / 2).argmin()] = True
    excess = np.maximum(deviation(levels, mel)[:, inside].mean(axis=1) - 1, 0)
    if not excess.any():
        return 0.0, 0.0
    summed = np.concatenate([[0.0], np.cumsum(excess)])
    ends = np.searchsorted(summed, summed + _SPAN * summed[-1] - 1e-9)
    starts = np.flatnonzero(ends < len(summed))
    start = int(starts[(ends[starts] - starts).argmin()])
    end = int(ends[start])
    if end - start > _THROUGHOUT * len(excess):
        return 0.0, 0.0
    hop = spectra.hop_length / spectra.sample_rate
    return start * hop, end * hop


def deviation(
    levels: Float[np.ndarray, "frame band"], mel: pipeline.FittedView
) -> Float[np.ndarray, "frame band"]:
    """How far frames lie from the mean level of normal recordings.

    Parameters
    ----------
    levels : log-mel frames behind the front-end of ``mel``, in dB.
    mel : a detector with the statistics "pmsd".

    Returns
    -------
    (frame, band), in standard deviations over time of a normal recording.
    """
    usual, scatter = (clipstats.chosen(mel.normal.mean, letter) for letter in "ms")
    return (levels - usual) / np.maximum(scatter, _LEAST_SCATTER)


def _range(low: float, high: float) -> str:
    first, last = (f"{round(value, -1 if value >= 1000 else 0):,.0f}" for value in (low, high))
    return f"{first} to {last} Hz" if first != last else f"around {first} Hz"
