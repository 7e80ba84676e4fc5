"""Rules that turn a score into an alarm: what they promise, and what test clips show.

The paper takes a quantile of the training clips' scores by models that were fitted on them. The
other rule takes held-out scores (:class:`asdlib.calibration.Alarm`). Labels are read through
:mod:`asdlib.metrics`, to count; no threshold depends on them. Notebook: 08_submission.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from asdlib import metrics, study
from asdlib.calibration import Alarm, proportion_interval
from asdlib.compare import systems
from asdlib.params import Params
from asdlib.study import variants
from asdlib.study.recordings import Recordings

PAPER, HELD_OUT = "paper", "held out"
"""Rules: a quantile of the fitted clips' scores, or p values by held-out ones."""

RATES = tuple(step / 100 for step in range(1, 51))
"""Shares of false alarms that may be wanted, see :func:`by_rate`."""

_COLUMNS = ["system", "rule", "rate", "machine", "able", "domain", "label", "alarms", "clips"]


def compared(params: Params, recordings: Recordings, table: pd.DataFrame) -> pd.DataFrame:
    """Count alarms among labelled test clips by both rules.

    S1 stands for the autoencoders. Its held-out scores are of the cheap form: the residual
    statistics have not seen a clip's fold, the autoencoders have. S5 has held-out scores only.

    Parameters
    ----------
    table : of :func:`asdlib.study.run` with these parameters.

    Returns
    -------
    DataFrame with system, rule, machine, domain, label, alarms and clips; no rows without labelled
    test clips.
    """
    counted = _counted(params, recordings, table, [1 - params.scoring.quantile])
    return counted.drop(columns=["rate", "able"])


def by_rate(
    params: Params,
    recordings: Recordings,
    table: pd.DataFrame,
    rates: Sequence[float] = RATES,
) -> pd.DataFrame:
    """Count alarms among labelled test clips of all machines, at every wanted share of false ones.

    Parameters
    ----------
    table : of :func:`asdlib.study.run` with these parameters.
    rates : wanted shares of false alarms; above 0 and below 1.

    Returns
    -------
    DataFrame with system, rule, what ("false alarms, " and the domain, or "hits" in all domains),
    rate, alarms, clips, share, low and high of its 95 % interval, ``machines``, and ``unable``: how
    many of them have too few held-out clips to promise this rate, so that no clip is an alarm. No
    rows without labelled test clips.
    """
    return over_machines(_counted(params, recordings, table, rates))


def over_machines(counted: pd.DataFrame) -> pd.DataFrame:
    """Add up, over machines, alarms that were counted at several rates, see :func:`by_rate`.

    Parameters
    ----------
    counted : system, rule, rate, machine, able, domain, label, alarms and clips.

    Examples
    --------
    >>> row = {"system": "S5", "rule": HELD_OUT, "rate": 0.1, "able": True, "label": "anomaly"}
    >>> rows = [row | {"machine": m, "domain": "source", "alarms": 1, "clips": 2} for m in "ab"]
    >>> over_machines(pd.DataFrame(rows))[["what", "alarms", "clips", "unable"]].values.tolist()
    [['hits', 2, 4, 0]]
    """
    of_normal = counted["label"] == "normal"
    what = ("false alarms, " + counted["domain"]).where(of_normal, "hits")
    unable = counted["machine"].where(~counted["able"].astype(bool))
    found = (
        counted.assign(what=what, unable=unable)
        .groupby(["system", "rule", "what", "rate"], sort=False)
        .agg(
            alarms=("alarms", "sum"),
            clips=("clips", "sum"),
            machines=("machine", "nunique"),
            unable=("unable", "nunique"),
        )
        .reset_index()
    )
    place = found.groupby(["system", "rule"], sort=False).ngroup()
    found = found.assign(place=place).sort_values(["place", "what", "rate"], ignore_index=True)
    return _with_intervals(found.drop(columns="place"))


def _counted(
    params: Params, recordings: Recordings, table: pd.DataFrame, rates: Sequence[float]
) -> pd.DataFrame:
    """Alarms by system, rule, rate, machine, domain and label of the test clips."""
    rows = []
    for system, rule, clips in _scored(params, recordings, table):
        held_out = rule == HELD_OUT
        for machine, own in clips.groupby("machine", sort=False):
            train = own.loc[own["split"] == "train", "score"].to_numpy()
            limits = [systems.threshold(train, 1 - rate, held_out=held_out) for rate in rates]
            for (domain, label), test in metrics.labelled(own).groupby(["domain", "label"]):
                for rate, limit in zip(rates, limits, strict=True):
                    above, able = int((test["score"] > limit).sum()), bool(np.isfinite(limit))
                    place = [system.name, rule, rate, machine, able, domain, label]
                    rows.append([*place, above, len(test)])
    return pd.DataFrame(rows, columns=_COLUMNS)


def _scored(
    params: Params, recordings: Recordings, table: pd.DataFrame
) -> Iterator[tuple[systems.System, str, pd.DataFrame]]:
    """Scores of all clips by every system under every rule that there is."""
    champion, untrained = systems.PAPER[0], systems.UNTRAINED
    wanted = [(untrained, HELD_OUT, table)]
    if not variants.lacking(params, "held_out"):
        apart = study.run(variants.held_out(params), recordings=recordings)
        wanted = [(champion, PAPER, table), (champion, HELD_OUT, apart), *wanted]
    for system, rule, scores in wanted:
        of_view = pd.MultiIndex.from_frame(scores[["front_end", "scorer"]])
        if set(system.views) <= set(of_view):
            yield system, rule, systems.ensemble(scores[of_view.isin(system.views)], system.fusion)


def pooled(counted: pd.DataFrame) -> pd.DataFrame:
    """Add up what :func:`compared` counts, over machines.

    Returns
    -------
    DataFrame with system, rule, domain, label, alarms, clips, share, and low and high of its 95 %
    interval.

    Examples
    --------
    >>> row = {"system": "S5", "rule": HELD_OUT, "domain": "source", "label": "normal"}
    >>> found = pooled(pd.DataFrame([row | {"alarms": 1, "clips": 10}] * 2))
    >>> found[["alarms", "share", "low", "high"]].round(3).to_numpy().tolist()
    [[2.0, 0.1, 0.012, 0.317]]
    """
    keys = ["system", "rule", "domain", "label"]
    return _with_intervals(
        counted.groupby(keys, sort=False)[["alarms", "clips"]].sum().reset_index()
    )


def _with_intervals(found: pd.DataFrame) -> pd.DataFrame:
    """Add the share of alarms, and low and high of its 95 % interval."""
    bounds = [
        proportion_interval(int(alarms), int(clips))
        for alarms, clips in zip(found["alarms"], found["clips"], strict=True)
    ]
    low, high = ([bound[end] for bound in bounds] for end in (0, 1))
    return found.assign(share=found["alarms"] / found["clips"], low=low, high=high)


def promised(params: Params, recordings: Recordings) -> pd.DataFrame:
    """What the rule of held-out scores promises, by machine and domain of the training clips.

    Returns
    -------
    DataFrame with machine, domain, clips (held-out scores), and low and high of the 95 % interval
    of the false-alarm rate that a threshold from these clips alone has.
    """
    rate = 1 - params.scoring.quantile
    rows = []
    for machine in recordings.machines:
        train = recordings.clips(machine, "train")
        for domain, clips in [("all", train), *train.groupby("domain")]:
            low, high = Alarm(np.zeros(len(clips)), rate).interval
            rows.append([machine, domain, len(clips), low, high])
    return pd.DataFrame(rows, columns=["machine", "domain", "clips", "low", "high"])
