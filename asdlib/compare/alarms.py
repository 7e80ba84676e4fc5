"""Rules that turn a score into an alarm: what they promise, and what test clips show.

The paper takes a quantile of the training clips' scores by models that were fitted on them. The
other rule takes held-out scores (:class:`asdlib.calibration.Alarm`). Labels are read through
:mod:`asdlib.metrics`, to count; no threshold depends on them. Notebook: 06_decisions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from asdlib import metrics, study
from asdlib.calibration import Alarm, proportion_interval
from asdlib.compare import systems
from asdlib.compare.statistics import Results
from asdlib.params import Params
from asdlib.study import variants
from asdlib.study.recordings import Recordings

PAPER, HELD_OUT = "paper", "held out"
"""Rules: a quantile of the fitted clips' scores, or p values by held-out ones."""
RATES = tuple(step / 100 for step in range(1, 51))
"""Shares of false alarms that may be wanted."""
COLUMNS = ["system", "rule", "rate", "machine", "able", "domain", "label", "alarms", "clips"]
"""Of alarms that are counted."""


def counted(
    params: Params, recordings: Recordings, results: Results, rates: Sequence[float] = ()
) -> pd.DataFrame:
    """Count alarms among labelled test clips by both rules.

    S1 stands for the autoencoders. Its held-out scores are of the cheap form: the residual
    statistics have not seen a clip's fold, the autoencoders have. S5 has held-out scores only.

    Parameters
    ----------
    results : of :func:`asdlib.compare.statistics.results` with these parameters.
    rates : wanted shares of false alarms, above 0 and below 1; that of the study by default.

    Returns
    -------
    DataFrame with system, rule, rate, machine, able (whether the machine has held-out clips enough
    to promise this rate; else no clip is an alarm), domain, label, alarms and clips; no rows
    without labelled test clips.
    """
    rates = rates or [1 - params.scoring.quantile]
    rows, wanted = [], [(systems.UNTRAINED, HELD_OUT, results)]
    if not variants.lacking(params, "held_out"):
        apart = Results(study.run(variants.held_out(params), recordings=recordings))
        champion = systems.PAPER[0]
        wanted = [(champion, PAPER, results), (champion, HELD_OUT, apart), *wanted]
    for system, rule, found in wanted:
        for machine, own in system.by_condition(found).groupby("machine", sort=False):
            test = metrics.labelled(own).drop_duplicates("name")
            kinds = {kind: own["name"].tolist() for kind, own in test.groupby(["domain", "label"])}
            each = systems.decide(own, [1 - rate for rate in rates], held_out=rule == HELD_OUT)
            for rate, decided in zip(rates, each, strict=True):
                alarms = dict(decided.alarms.items())
                place = [system.name, rule, rate, machine, decided.able]
                for kind, names in kinds.items():
                    rows.append([*place, *kind, sum(map(alarms.__getitem__, names)), len(names)])
    return pd.DataFrame(rows, columns=COLUMNS)


def by_domain(counts: pd.DataFrame) -> pd.DataFrame:
    """Add up what :func:`counted` counts, over machines.

    Returns
    -------
    DataFrame with system, rule, domain, label, alarms, clips, share, and low and high of its 95 %
    interval.

    Examples
    --------
    >>> row = {"system": "S5", "rule": HELD_OUT, "domain": "source", "label": "normal"}
    >>> found = by_domain(pd.DataFrame([row | {"alarms": 1, "clips": 10}] * 2))
    >>> found[["alarms", "share", "low", "high"]].round(3).to_numpy().tolist()
    [[2.0, 0.1, 0.012, 0.317]]
    """
    groups = counts.groupby(["system", "rule", "domain", "label"], sort=False)
    return _with_intervals(groups[["alarms", "clips"]].sum().reset_index())


def by_rate(counts: pd.DataFrame) -> pd.DataFrame:
    """Add up, over machines, what :func:`counted` counts at several rates.

    Returns
    -------
    DataFrame with system, rule, what ("false alarms, " and the domain, or "hits" in all domains),
    rate, alarms, clips, share, low and high of its 95 % interval, ``machines``, and ``unable``: how
    many of them cannot promise this rate.

    Examples
    --------
    >>> row = {"system": "S5", "rule": HELD_OUT, "rate": 0.1, "able": True, "label": "anomaly"}
    >>> rows = [row | {"machine": m, "domain": "source", "alarms": 1, "clips": 2} for m in "ab"]
    >>> by_rate(pd.DataFrame(rows))[["what", "alarms", "clips", "unable"]].values.tolist()
    [['hits', 2, 4, 0]]
    """
    what = ("false alarms, " + counts["domain"]).where(counts["label"] == "normal", "hits")
    unable = counts["machine"].where(~counts["able"].astype(bool))
    own = counts.assign(what=what, unable=unable)
    groups = own.groupby(["system", "rule", "what", "rate"])
    found = groups[["alarms", "clips"]].sum()
    found[["machines", "unable"]] = groups[["machine", "unable"]].nunique()
    return _with_intervals(found.reset_index())


def _with_intervals(found: pd.DataFrame) -> pd.DataFrame:
    """Add the share of alarms, and low and high of its 95 % interval."""
    counts = found[["alarms", "clips"]].astype(int).to_numpy().tolist()
    low, high = np.reshape([proportion_interval(*own) for own in counts], (-1, 2)).T
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
