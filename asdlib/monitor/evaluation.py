"""A monitor on test clips: how often it alarms, and how many normal recordings it needs.

Labels are read through :mod:`asdlib.metrics`, to count; nothing is chosen by them.
Notebook: 07_own_machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.monitor.model import Monitor
from asdlib.monitor.recordings import faults
from asdlib.params import Params, Spectra
from asdlib.runtime.parallel import clip_by_clip
from asdlib.study.recordings import Recordings

COUNTS = (10, 20, 50, 100, 200, 500)  # normal recordings of each condition


def chosen(recordings: Recordings) -> str:
    """Return the machine that is looked at: a pump with labelled test clips, or the first one.

    Where no machine has labels, it is the first of all.
    """
    known = recordings.development
    first = [*known, *recordings.machines][0]
    return next((name for name in known if "pump" in name.lower()), first)


def fitted(params: Params, recordings: Recordings, machine: str) -> Monitor:
    """Fit a monitor on the training clips of one machine of a study.

    A monitor has a sample rate of its own; a study at another one is converted.
    """
    folder = Path(recordings.clips(machine, "train")["path"].iloc[0]).parents[1]
    wanted = 1 - params.scoring.quantile
    converted = params.spectra.resample or params.spectra.sample_rate != Spectra().sample_rate
    return Monitor.fit(folder, wanted, resample=converted)


def clearest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the clip with the highest score, among anomalies where some are labelled.

    Parameters
    ----------
    table : of :func:`readings`.

    Returns
    -------
    Its row; no row without test clips.
    """
    anomalous = table[table["label"] == "anomaly"]
    return (anomalous if len(anomalous) else table).sort_values("score").tail(1)


def faulty(params: Params, recordings: Recordings, most: int = 50) -> dict[str, list[str]]:
    """Look for faults in the normal recordings of every machine.

    Parameters
    ----------
    most : recordings of a machine that are examined, spread evenly over their order.

    Returns
    -------
    Machine to one sentence per kind of fault, see :func:`asdlib.monitor.health.summary`; no
    sentence where none is found.
    """
    found = {}
    for machine in recordings.machines:
        train = recordings.clips(machine, "train")
        clips = train.iloc[np.unique(np.linspace(0, len(train) - 1, most).round().astype(int))]
        found[machine] = faults(clips, params.spectra)
    return found


def readings(monitor: Monitor, clips: pd.DataFrame) -> pd.DataFrame:
    """Score every clip of a manifest, each alone.

    Returns
    -------
    DataFrame with name, split, domain, label, path, score, p_value and alarm.
    """
    found = [vars(reading) for reading in clip_by_clip(monitor.score, clips["path"].tolist())]
    own = clips[["name", "split", "domain", "label", "path"]].reset_index(drop=True)
    return own.join(pd.DataFrame(found, columns=["score", "p_value", "alarm"]))


def counted(table: pd.DataFrame, machine: str) -> pd.DataFrame:
    """Count the alarms among labelled clips by domain and label.

    Parameters
    ----------
    table : of :func:`readings`.

    Returns
    -------
    DataFrame with system, rule, machine, domain, label, alarms and clips.

    Examples
    --------
    >>> row = {"split": "test", "domain": "source", "label": "normal"}
    >>> table = pd.DataFrame([row | {"alarm": True}, row | {"alarm": False}])
    >>> counted(table, "pump")[["alarms", "clips"]].to_numpy().tolist()
    [[1, 2]]
    """
    known = metrics.labelled(table)
    found = known.groupby(["domain", "label"])["alarm"].agg(alarms="sum", clips="size")
    named = {"system": "monitor", "rule": "held out", "machine": machine}
    return found.astype(int).reset_index().assign(**named)


def enough(monitor: Monitor, clips: pd.DataFrame, counts: Sequence[int] = COUNTS) -> pd.DataFrame:
    """Fit again on fewer normal recordings of each condition, taken evenly over their order.

    The front-ends stay as they are.

    Parameters
    ----------
    clips : labelled test clips; may be none.
    counts : of recordings of each condition; one with fewer keeps all.

    Returns
    -------
    DataFrame with recordings, promised, low and high (the wanted rate of false alarms, and the 95 %
    interval of the true one), false_alarms and hits (shares of normal and anomalous test clips that
    are alarms; NaN without such clips, or where the recordings allow no alarm).
    """
    known = metrics.labelled(clips)
    places = monitor.known.groupby("domain").indices.values()
    most = max(map(len, places))
    rows = []
    for count in [*(count for count in counts if count < most), most]:
        fewest = [(own, min(count, len(own))) for own in places]
        kept = np.sort(np.concatenate([own[np.arange(n) * len(own) // n] for own, n in fewest]))
        fewer = monitor.on(tuple(own[kept] for own in monitor.values), monitor.known.iloc[kept])
        alarm, shares = fewer.alarm, readings(fewer, known).groupby("label")["alarm"].mean()
        able = not fewer.remark
        found = [shares.get(label, np.nan) if able else np.nan for label in ("normal", "anomaly")]
        rows.append([len(kept), alarm.rate, *alarm.interval, *found])
    names = ["recordings", "promised", "low", "high", "false_alarms", "hits"]
    return pd.DataFrame(rows, columns=names)
