"""Rules that turn a score into an alarm: what they promise, and what test clips show.

The paper takes a quantile of the training clips' scores by models that were fitted on them. The
other rule takes held-out scores (:class:`asdlib.calibration.Alarm`). Labels are read through
:mod:`asdlib.metrics`, to count; no threshold depends on them. Notebook: 08_submission.
"""

from __future__ import annotations

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

_COLUMNS = ["system", "rule", "machine", "domain", "label", "alarms", "clips"]


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
    quantile = params.scoring.quantile
    rows: list[list] = []
    champion, untrained = systems.PAPER[0], systems.UNTRAINED
    if not variants.lacking(params, "held_out"):
        rows += _counted(champion, PAPER, table, quantile)
        apart = study.run(variants.held_out(params), recordings=recordings)
        rows += _counted(champion, HELD_OUT, apart, quantile)
    rows += _counted(untrained, HELD_OUT, table, quantile)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _counted(system: systems.System, rule: str, table: pd.DataFrame, quantile: float) -> list[list]:
    """Rows of one system under one rule."""
    run = set(zip(table["front_end"], table["scorer"], strict=True))
    if not set(system.views) <= run:
        return []
    own = table[pd.MultiIndex.from_frame(table[["front_end", "scorer"]]).isin(system.views)]
    rows = []
    for machine, clips in systems.ensemble(own, system.fusion).groupby("machine", sort=False):
        scores = clips.loc[clips["split"] == "train", "score"].to_numpy()
        limit = systems.threshold(scores, quantile, held_out=rule == HELD_OUT)
        for (domain, label), test in metrics.labelled(clips).groupby(["domain", "label"]):
            above = int((test["score"] > limit).sum())
            rows.append([system.name, rule, machine, domain, label, above, len(test)])
    return rows


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
    found = counted.groupby(keys, sort=False)[["alarms", "clips"]].sum().reset_index()
    found["share"] = found["alarms"] / found["clips"]
    bounds = [
        proportion_interval(int(alarms), int(clips))
        for alarms, clips in zip(found["alarms"], found["clips"], strict=True)
    ]
    return found.assign(low=[low for low, _ in bounds], high=[high for _, high in bounds])


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
