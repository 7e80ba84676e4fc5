"""When a score is an alarm or a warning, and what is promised: by recordings and by sessions.

The recordings of one session, such as a day, resemble each other. What they say about another day
is little more than what one of them says, so the promise is also given by sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.special

from asdlib.calibration import Alarm
from asdlib.runtime.errors import AsdError, plural

_TAIL = 0.1  # share of the held-out scores whose excess is continued beyond the highest
_ODD = 0.01  # chance below which the alarms of a session are too many
_MOST_WORDS = 3


@dataclass(frozen=True)
class Decision(Alarm):
    """The alarm on scores of training recordings, each held out with its session.

    Attributes
    ----------
    warnings : wanted share of warnings and alarms together; none: no warnings.
    sessions : of each training recording; empty where none is known.
    folds : of each of them. Where no session is known, recordings of one fold resemble each other.

    Examples
    --------
    >>> decision = Decision(np.arange(40.0), 0.1, sessions=["Monday", "Tuesday"] * 20)
    >>> round(decision.p_value(39.5), 3), round(decision.p_value(60.0, windows=60), 6)
    (0.024, 1e-06)
    >>> print(decision.promise.splitlines()[1])
    By its 2 sessions, the true rate of another session is between 0.0% and 39.3%.
    """

    warnings: float | None = None
    sessions: Sequence[str] = ()
    folds: Sequence[int] = ()

    def __post_init__(self) -> None:
        """Refuse rates out of range.

        Raises
        ------
        AsdError
            For a rate that does not lie between 0 and 1, or fewer warnings than alarms.
        """
        warnings = self.rate if self.warnings is None else self.warnings
        for rate in (self.rate, warnings):
            if not 0 < rate < 1:
                told = f"A false-alarm rate of {rate:g} was given; it must lie between 0 and 1."
                raise AsdError(told)
        if warnings < self.rate:
            raise AsdError(
                f"Warnings at a rate of {warnings:g} are fewer than alarms at one of "
                f"{self.rate:g}: the rate of warnings counts both."
            )

    def p_value(self, score: float, windows: int = 1) -> float:
        """Share of normal recordings, at most, that score as high.

        Parameters
        ----------
        windows : of which the score is the highest; the p value of one is multiplied by their
            number (Bonferroni). Beyond the highest held-out score, p falls there as that of an
            exponential distribution with the mean excess of the highest tenth: an assumption.
        """
        p = float(self.p_values(np.asarray(score)))
        if windows == 1:
            return p
        top = np.sort(self.held_out)[-max(int(_TAIL * len(self.held_out)), 2) :]
        if score > top[-1] and top[-1] > top[0]:
            p *= float(np.exp(-(score - top[-1]) / (top - top[0]).mean()))
        return min(1.0, windows * p)

    @property
    def promise(self) -> str:
        """What the alarm promises, in a sentence a line, or else what keeps it from doing so."""
        if self.remark:
            return self.remark
        low, high = self.interval
        n = len(self.held_out)
        told = [
            f"Alarm at p <= {self.rate:g}: at most {100 * self.rate:g}% of normal recordings like "
            f"the {n} given ones. With {n} recordings, the true rate is between {low:.1%} and "
            f"{high:.1%} (95 % interval)."
        ]
        return "\n".join([*told, *self._by_session()])

    def _by_session(self) -> list[str]:
        """What the sessions say about another one, and which of them is odd."""
        of, n, groups = np.asarray(self.sessions), len(set(self.sessions)), len(set(self.folds))
        if n < 2:
            told = ["One session holds all of them: this says nothing about another day."]
            if 1 < groups < len(self.held_out):
                told.append(
                    f"They fall into {groups} groups of recordings that resemble each other. If "
                    "each group was cut from one, the true rate is "
                    f"{self._by_group(np.asarray(self.folds))[1]}."
                )
            return told if any(self.sessions) else told[1:]
        shares, between = self._by_group(of)
        told = [f"By its {n} sessions, the true rate of another session is {between}."]
        for name, found, count in shares.itertuples():
            if scipy.special.bdtrc(found - 1, count, self.rate) < _ODD / n:  # so many or more
                rest = Alarm(self.held_out[of != name], self.rate)
                told.append(
                    f"Session {name} is unlike the others: {found} of its "
                    f"{plural(count, 'recording')} are alarms without it. It moves the threshold "
                    f"from {rest.threshold:.1f} to {self.threshold:.1f}: "
                    "listen whether it is normal."
                )
        return told[: 1 + _MOST_WORDS]

    def _by_group(self, of: np.ndarray) -> tuple[pd.DataFrame, str]:
        """Alarms and recordings of two groups or more, and between what another one's rate lies."""
        shares = pd.Series(self(self.held_out)).groupby(of).agg(["sum", "size"])
        (alarms, counts), n = shares.to_numpy().T, len(shares)
        mean = alarms.sum() / counts.sum()
        # a ratio over clusters: groups differ in their number of recordings
        error = np.sqrt(n / (n - 1) * np.square(alarms - mean * counts).sum()) / counts.sum()
        apart = scipy.special.stdtrit(n - 1, 0.975) * error
        least = self.interval  # without any difference between groups
        low, high = min(max(mean - apart, 0), least[0]), max(min(mean + apart, 1), least[1])
        return shares, f"between {low:.1%} and {high:.1%}"
