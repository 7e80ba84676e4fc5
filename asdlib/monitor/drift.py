"""Whether recordings still fit a monitor: the share of small p values over time.

Of normal recordings like those of the fit, at most a share q has p <= q. Where clearly more of the
latest ones have, the machine, its surroundings or the microphones have changed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from asdlib.calibration import proportion_interval

WINDOW = 50
"""Recordings that are looked at together."""

_LEAST = 20  # recordings: fewer say little about a rate of one in ten


def shares(p_values: Sequence[float], rate: float, window: int = WINDOW) -> pd.DataFrame:
    """Share of p values at or below the wanted rate, in a window that moves over the recordings.

    Parameters
    ----------
    p_values : of recordings in the order of time.
    rate : wanted share of false alarms.
    window : recordings; the first windows are shorter.

    Returns
    -------
    DataFrame with last (number of the window's last recording, from 1), alarms, recordings, share,
    and low and high of its 95 % interval.

    Examples
    --------
    >>> shares([0.5, 0.01, 0.02], 0.1, window=2)[["last", "alarms", "share"]].to_numpy().tolist()
    [[1.0, 0.0, 0.0], [2.0, 1.0, 0.5], [3.0, 2.0, 1.0]]
    """
    raised = np.asarray(p_values) <= rate
    summed = np.concatenate([[0], np.cumsum(raised)])
    last = np.arange(1, len(raised) + 1)
    first = np.maximum(last - window, 0)
    alarms, recordings = summed[last] - summed[first], last - first
    bounds = [proportion_interval(int(a), int(n)) for a, n in zip(alarms, recordings, strict=True)]
    return pd.DataFrame(
        {
            "last": last,
            "alarms": alarms,
            "recordings": recordings,
            "share": alarms / recordings,
            "low": [low for low, _ in bounds],
            "high": [high for _, high in bounds],
        }
    )


def sentence(p_values: Sequence[float], rate: float, window: int = WINDOW) -> str:
    """Say whether the latest recordings fit; empty for too few.

    Examples
    --------
    >>> sentence([0.5] * 19, 0.1)
    ''
    >>> sentence([0.5] * 45 + [0.01] * 5, 0.1)
    'Of the last 50 recordings 5 are alarms (10%; 95 % interval 3% to 22%), wanted 10%: they fit.'
    """
    if len(p_values) < _LEAST:
        return ""
    _, alarms, count, share, low, high = shares(p_values, rate, window).iloc[-1]
    told = (
        f"Of the last {count:.0f} recordings {alarms:.0f} are alarms ({share:.0%}; 95 % interval "
        f"{low:.0%} to {high:.0%}), wanted {rate:.0%}"
    )
    if low <= rate:
        return f"{told}: they fit."
    return (
        f"{told}: more than normal recordings would raise. If these are normal, the machine, its "
        "surroundings or the microphones have changed: fit again with recordings of now."
    )
