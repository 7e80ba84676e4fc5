"""What a monitor says about one recording."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float


@dataclass(frozen=True)
class Evidence:
    """What a picture of a reading shows.

    Attributes
    ----------
    reading : what was said.
    levels : (frame, band), log-mel frames behind the front-end, in dB.
    deviation : (frame, band), how far each of them lies from the mean level of normal recordings,
        in standard deviations over time of a normal recording.
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
        if not self.decided:
            return "no verdict"
        return "ALARM" if self.alarm else "normal"

    def __str__(self) -> str:
        """Lines for a reader: score and name, and the reasons of an alarm below them."""
        first = f"{self.verdict:6}  z {self.score:6.2f}  p {self.p_value:.3f}  {self.name}"
        told = [*self.health, *(self.reasons if self.alarm else ())]
        return "\n".join([first, *(f"        {sentence}" for sentence in told)])

    def json(self) -> str:
        """One line of JSON, in ASCII."""
        return json.dumps(
            {
                "name": self.name,
                "score": self.score,
                "p_value": self.p_value,
                "alarm": self.alarm if self.decided else None,
                "reasons": list(self.reasons),
                "health": list(self.health),
            }
        )
