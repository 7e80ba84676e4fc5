"""What the log of a watcher tells of a machine over time, and whether recordings still fit.

A log is a file that anyone may have written to: what is no line of a watcher is counted and left
out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import AfterValidator, BaseModel, Field, FiniteFloat, NaiveDatetime, model_validator

from asdlib.calibration import proportion_interval
from asdlib.io import wav
from asdlib.io.files import content_digest, read_bytes
from asdlib.monitor.reasons import WORDS
from asdlib.params import AsdError
from asdlib.runtime.errors import plural, printable

LATEST = 50
"""Recordings whose share of alarms tells a drift."""

_LEAST = 20  # recordings: fewer say little about a rate of one in ten
_CHANCE = 1e-3  # of p values as uneven as that, where nothing has changed
_LEVELS = np.arange(0.05, 1, 0.05)  # of p values that are counted
_SOONEST = 10  # recordings: fewer do not tell a beginning
_WEAR = "gain, noise or wear. If they are normal, 'asd refit' with ten of them settles it."
_CHANGED = (
    "more than normal recordings would raise. If these are normal, the machine, its surroundings "
    "or the microphones have changed: fit again with recordings of now."
)
_MOST_BYTES = 2**40  # of a log
_REASON = rf"^({'|'.join(chain(*WORDS.values()))}) than normal:\D*(\d[\d,]*)"
_LOWEST = 20.0  # Hz, of a reason: the lowest band begins at 0


Text = Annotated[str, AfterValidator(printable)]
"""Text of a log, without bytes that are no letters."""


class LogLine(BaseModel):
    """A line of a log, see :func:`asdlib.monitor.watch.watch`, as far as it is read."""

    name: Text
    path: Path = Path()
    time: NaiveDatetime | None = Field(None, ge=datetime(1970, 1, 1), lt=datetime(2200, 1, 1))
    changed_ns: int = Field(0, ge=0, lt=2**62)
    content: Text = ""
    model: Text = ""
    score: FiniteFloat = np.nan
    p_value: float = Field(np.nan, gt=0, le=1)
    alarm: bool | None = None
    verdict: Literal["normal", "warning", "alarm", "recording fault", "no verdict"] = "no verdict"
    reasons: tuple[Text, ...] = ()
    health: tuple[Text, ...] = ()
    problem: Text = ""

    @model_validator(mode="after")
    def _whole(self) -> LogLine:
        """Complete a line of an older watcher; refuse one that tells nothing, and no path."""
        self.path = Path(self.name) if self.path == Path() else self.path
        self.time = self.time or datetime.fromtimestamp(self.changed_ns / 1e9)
        tells = self.problem or not np.isnan(self.score + self.p_value)
        if not tells or "\0" in str(self.path):
            raise ValueError
        return self


def read(log: Path, model: str) -> tuple[pd.DataFrame, str]:
    """Read the lines that a model wrote to a log.

    Parameters
    ----------
    model : :attr:`asdlib.monitor.Monitor.identity`.

    Returns
    -------
    A row per line, in the order of time, with the attributes of :class:`LogLine`; ``time`` is when
    the recording was last changed. And a sentence about lines that are left out, if there are some.

    Raises
    ------
    AsdError
        For a log that cannot be read, or that holds no line of this model.
    """
    lines, broken = _lines(log)
    own = [line.model_dump() for line in lines if line.model in ("", model)]
    others = "of another model, or of another --false-alarms"
    counts = {others: len(lines) - len(own), "that cannot be read": broken}
    left = ", ".join(f"{plural(count, 'line')} {what}" for what, count in counts.items() if count)
    if not own:
        raise AsdError(f"{log}: holds no line of this model; it has {left or 'no line at all'}.")
    table = pd.DataFrame(own).sort_values("time", kind="stable", ignore_index=True)
    return table, f"Left out of the log: {left}." if left else ""


def located(log: Path, names: Sequence[str]) -> list[Path]:
    """Find recordings of a log on the disk.

    Parameters
    ----------
    names : of recordings, as the log has them.

    Raises
    ------
    AsdError
        For a name that the log does not have, and for a recording that is not there or was changed
        since it was scored.
    """
    known, wanted = {line.name: line for line in _lines(log)[0]}, [*map(printable, names)]
    if missing := [name for name in wanted if name not in known]:
        told = f"{log}: has no recording {missing[0]}"
        raise AsdError(f"{told}; --accept takes names as the log has them.")
    for name in wanted:
        sound(known[name].path, known[name].content)
    return [known[name].path for name in wanted]


def sound(path: Path, content: str) -> tuple[Float[np.ndarray, "channel sample"], int]:
    """Return the samples of a recording and its rate in Hz, if it is what was scored.

    Parameters
    ----------
    content : hash of the file, as the log has it; empty where it is unknown.

    Raises
    ------
    AsdError
        For a file that is not there, cannot be read, or was changed since.
    """
    data = wav.content_of(path)
    if content and content_digest(data) != content:
        raise AsdError(f"{path}: was changed after it was scored.")
    return wav.decode(data)


def found(judged: pd.DataFrame) -> list[str]:
    """Say what share of recordings are alarms: of all, and by day.

    Parameters
    ----------
    judged : rows of :func:`read` that have a verdict; one at least.

    Examples
    --------
    >>> days = pd.to_datetime(["2026-05-04", "2026-05-04", "2026-05-05", "2026-05-05"])
    >>> for told in found(pd.DataFrame({"time": days, "alarm": [True, False, False, False]})):
    ...     print(told)
    1 of 4 recordings (25.0%; 95 % interval 0.6% to 80.6%).
    0.0% to 50.0% of a day, on 2 days; most on 2026-05-04.
    """
    alarms, count = int(judged["alarm"].sum()), len(judged)
    low, high = proportion_interval(alarms, count)
    days = judged["alarm"].groupby(judged["time"].dt.date).mean()
    share = f"{days.min():.1%} to {days.max():.1%} of a day, on {len(days)} days; most"
    share = share if len(days) > 1 else f"{days.max():.1%}, all"
    return [
        f"{alarms:,} of {plural(count, 'recording')} ({alarms / count:.1%}; 95 % interval "
        f"{low:.1%} to {high:.1%}).",
        f"{share} on {days.idxmax()}.",
    ]


def reasons(alarms: pd.DataFrame) -> pd.DataFrame:
    """Take kind and frequency out of the reasons of alarms.

    Parameters
    ----------
    alarms : rows of :func:`read`.

    Returns
    -------
    DataFrame with time, kind and hertz (the lowest frequency), a row per reason.

    Examples
    --------
    >>> said = ("louder than normal: 1,030 to 1,500 Hz, by 5.0 standard deviations.", "Odd.")
    >>> reasons(pd.DataFrame({"time": [0], "reasons": [said]})).to_numpy().tolist()
    [[0, 'louder', 1030.0]]
    """
    rows = alarms[["time", "reasons"]].explode("reasons", ignore_index=True)
    parts = rows["reasons"].astype(str).str.extract(_REASON)
    hertz = parts[1].str.replace(",", "").astype(float).clip(lower=_LOWEST)
    return rows[["time"]].assign(kind=parts[0], hertz=hertz).dropna()


def faults(table: pd.DataFrame) -> pd.DataFrame:
    """Count what is wrong with recordings themselves; sentences that differ in numbers are one.

    Parameters
    ----------
    table : of :func:`read`.

    Returns
    -------
    DataFrame with fault (the latest sentence), recordings, first, last (times) and name (of the
    last one), the most frequent fault first.

    Examples
    --------
    >>> table = pd.DataFrame({"name": ["a.wav", "b.wav"], "problem": ["", ""], "time": [1, 2]})
    >>> said = ("One is 9 dB quieter: bad.",), ("One is 7 dB quieter: bad.",)
    >>> faults(table.assign(health=said)).iloc[0].astype(str).tolist()
    ['One is 7 dB quieter: bad.', '2', '1', '2', 'b.wav']
    """
    problems = table["problem"].map(lambda problem: [problem] if problem else [])
    rows = table.assign(fault=table["health"].map(list) + problems)
    rows = rows.explode("fault").dropna(subset=["fault"])
    alike = rows["fault"].astype(str).str.replace(r":.*|\d", "", regex=True)
    named = {"recordings": ("name", "size"), "first": ("time", "min"), "last": ("time", "max")}
    counts = rows.groupby(alike).agg(fault=("fault", "last"), **named, name=("name", "last"))
    return counts.sort_values("recordings", ascending=False, kind="stable", ignore_index=True)


def _lines(log: Path) -> tuple[list[LogLine], int]:
    """Lines of a log that can be used, and the number of the others."""
    found, broken = list[LogLine](), 0
    for text in filter(bytes.strip, read_bytes(log, _MOST_BYTES).splitlines()):
        try:
            found.append(LogLine.model_validate(json.loads(text)))
        except (ValueError, RecursionError):
            broken += 1
    return found, broken


def drift(
    p_values: Sequence[float], rate: float, times: Sequence[str | None] = ()
) -> tuple[bool, str]:
    """Tell whether the latest recordings are stranger than normal ones: a few, or all a little.

    A few are very strange where clearly more than the wanted share are alarms. All are a little
    strange where their p values are not spread evenly (Kolmogorov-Smirnov test).

    Parameters
    ----------
    p_values : of recordings in the order of time; the last 50 count.
    rate : wanted share of false alarms.
    times : of the recordings, in ISO format; with them the sentence tells the day since when they
        no longer fit. All p values count for that.

    Returns
    -------
    Whether the recordings have changed, and the sentence; no sentence for fewer than 20.

    Examples
    --------
    >>> drift([0.5] * 19, 0.1)
    (False, '')
    >>> drift([i / 51 for i in range(1, 51)], 0.1)[1]
    'Of the last 50 recordings 5 are alarms (10%; 95 % interval 3% to 22%), wanted 10%: they fit.'
    >>> drift([0.12, 0.13, 0.2, 0.3, 0.15] * 5, 0.1)[1].split(": ")[1]
    'none is very strange, but all are a little (median p 0.15, usually 0.5)'
    >>> days = [f"2026-05-{day:02d}T08:00:00" for day in range(1, 31)]
    >>> drift([0.3, 0.8, 0.5] * 5 + [0.01] * 15, 0.1, days)[1][-37:]
    'They no longer fit since 16 May 2026.'
    """
    latest = p_values[-LATEST:]
    if len(latest) < _LEAST:
        return False, ""
    from scipy.stats import kstest  # half a second to import

    alarms, median = sum(p <= rate for p in latest), f"median p {np.median(latest):.2g}"
    low, high = proportion_interval(alarms, len(latest))
    uneven, strange = kstest(latest, "uniform").pvalue < _CHANCE, np.median(latest) < 0.5
    changed, fit = bool(low > rate or (uneven and strange)), "they fit."
    if low > rate:
        fit = _CHANGED
    elif changed:
        few = "few are" if alarms else "none is"
        fit = f"{few} very strange, but all are a little ({median}, usually 0.5): {_WEAR}"
    elif uneven:
        fit = f"they resemble the training recordings more than new ones do ({median})."
    if changed and times and (first := times[-_unlike(p_values)]):
        when = datetime.fromisoformat(first)
        fit += f" They no longer fit since {when.day} {when:%B %Y}."
    return changed, (
        f"Of the last {len(latest)} recordings {alarms} are alarms ({alarms / len(latest):.0%}; "
        f"95 % interval {low:.0%} to {high:.0%}), wanted {100 * rate:g}%: {fit}"
    )


def _unlike(p_values: Sequence[float]) -> int:
    """How many of the last recordings no longer fit: so many that their small p values stand out.

    Of n normal ones, n q have a p value of at most q, with a variance of n q (1 - q).
    """
    p = np.asarray(p_values)[::-1, None]
    n = np.arange(1, len(p) + 1)[:, None]
    excess: np.ndarray = np.cumsum(p <= _LEVELS, axis=0) - n * _LEVELS
    strength = (excess / np.sqrt(n * _LEVELS * (1 - _LEVELS))).max(axis=1)
    return _SOONEST + int(strength[_SOONEST - 1 :].argmax())
