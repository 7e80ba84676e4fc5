"""Detectors without training, fitted again: which statistics they need, and how many clips.

The values of every clip are on disk, so a detector is fitted again within a second, without
reading a recording. These tables read test labels through :mod:`asdlib.metrics`. They explain a
detector and choose none.
Notebook: 05_without_training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from asdlib import metrics
from asdlib.clipstats import NAMES, VIEWS, Normal, chosen
from asdlib.guard import PerClip
from asdlib.params import Params
from asdlib.study import views
from asdlib.study.recordings import Recordings

SETS = (*NAMES, "pm", "pms", "pmsd")  # of statistics, in the ablation
COUNTS = (10, 20, 50, 100, 200, 500, 990)  # training clips of the source domain
GAINS = (0.0, 6.0, -6.0)  # dB, of the test clips against the training clips
_FRONT_ENDS = ("adals", "adasub")  # preferred, in this order

Values = Float[np.ndarray, "clip value"]


@dataclass(frozen=True)
class Measured:
    """What one view looks at, of every clip of one machine.

    Attributes
    ----------
    machine : name.
    statistics : letters of :data:`asdlib.clipstats.NAMES`, in the order of the values; none for a
        Welch spectrum.
    clips : rows of the manifest.
    values : one row per clip.
    """

    machine: str
    statistics: str
    clips: pd.DataFrame
    values: Values

    @property
    def train(self) -> Bool[np.ndarray, " clip"]:
        """Which clips are training-normal."""
        return (self.clips["split"] == "train").to_numpy()

    @property
    def test(self) -> Bool[np.ndarray, " clip"]:
        """Which clips are test clips with a label."""
        return self.clips.index.isin(metrics.labelled(self.clips).index)


def front_end(params: Params) -> str:
    """Front-end whose statistics are looked into: AdaLS, AdaSub, or the first with ``pmsd``.

    Returns
    -------
    Its name; empty where no front-end of the study has this view.

    Examples
    --------
    >>> from asdlib.params import load
    >>> front_end(load({"scorers": ["eq1", "near/pmsd", "adasub/pmsd"]}))
    'adasub'
    """
    run = [name for name, scorer in views.wanted(params) if scorer == "pmsd"]
    return next((name for name in (*_FRONT_ENDS, *run) if name in run), "")


def lacking(params: Params, recordings: Recordings) -> str:
    """Say in one sentence why the detectors cannot be looked into; empty where they can."""
    if not views.wanted(params):
        return "No detector without training was asked for (`scorers`)."
    if not front_end(params):
        return "The statistics `pmsd` were asked for with no front-end (`scorers`)."
    for machine in recordings.development:
        test = metrics.labelled(recordings.clips(machine))
        kinds = set(zip(test["domain"], test["label"], strict=True))
        if {("source", "normal"), ("target", "normal")} <= kinds and "anomaly" in {*test["label"]}:
            return ""
    return "Ω cannot be computed from the labels of these recordings."


def measured(params: Params, recordings: Recordings, name: str, scorer: str) -> list[Measured]:
    """Read what a view of the study has measured, of every machine with labelled test clips.

    Parameters
    ----------
    name : of a front-end that the study ran with this scorer.
    scorer : in :data:`asdlib.clipstats.VIEWS`.
    """
    found = []
    for machine in recordings.development:
        clips = recordings.clips(machine)
        values = views.View(params, machine, name, scorer, clips).values()
        found.append(Measured(machine, VIEWS[scorer].statistics, clips, values))
    return found


def level_free(values: Values, statistics: str) -> Values:
    """Subtract from p and m each clip's own mean over the bands.

    The scatter s and d, and a Welch spectrum, have no level: they are returned as they are.

    >>> level_free(np.array([[1.0, 3.0, 5.0, 5.0]]), "ps")
    array([[-1.,  1.,  5.,  5.]])
    """
    return _with_levels(values, statistics, lambda block: block - block.mean(axis=1, keepdims=True))


def shifted(values: Values, statistics: str, gain: float) -> Values:
    """Values of the same clips after a gain in both channels, which adds to p and m.

    A front-end scales with its input, so this is exact as long as no sample is clipped. The
    scatter s and d, and a Welch spectrum without level, do not change.

    Parameters
    ----------
    gain : in dB.

    >>> shifted(np.array([[1.0, 3.0, 5.0, 5.0]]), "ps", 6.0)
    array([[7., 9., 5., 5.]])
    """
    return _with_levels(values, statistics, lambda block: block + gain)


def _blocks(values: Values, statistics: str) -> Float[np.ndarray, "clip statistic band"]:
    return values.reshape(len(values), len(statistics), -1)


def _with_levels(
    values: Values, statistics: str, change: Callable[[np.ndarray], np.ndarray]
) -> Values:
    """Change the blocks of p and m."""
    if not statistics:
        return values
    blocks = _blocks(values, statistics).copy()
    for i, letter in enumerate(statistics):
        if letter in "pm":
            blocks[:, i] = change(blocks[:, i])
    return blocks.reshape(values.shape)


def levels(own: Measured) -> Float[np.ndarray, "clip statistic"]:
    """Mean over the bands of every statistic of a clip, in dB."""
    return _blocks(own.values, own.statistics).mean(axis=2)


def _as_measured(own: Measured) -> Values:
    return own.values


def _without_level(own: Measured) -> Values:
    return level_free(own.values, own.statistics)


def evaluate(
    machines: Sequence[Measured],
    change: Callable[[Measured], Values] = _as_measured,
    *,
    gain: float = 0.0,
    source_clips: int | None = None,
) -> pd.Series:
    """Omega of a detector that is fitted again, machine by machine.

    Distances are compared within a machine only, so they need not be standardised.

    Parameters
    ----------
    machines : of :func:`measured`.
    change : what the detector looks at.
    gain : of the test clips, in dB.
    source_clips : training clips of the source domain, evenly over the order of their names; all
        by default. Clips of the target domain are always all there.

    Returns
    -------
    Omega indexed by machine, and ``overall``, the official score.
    """
    parts = []
    for own in machines:
        domains = own.clips["domain"].to_numpy()
        kept = own.train if source_clips is None else _kept(own, source_clips)
        normal = Normal.fit(change(own)[kept], domains[kept])
        louder = shifted(own.values, own.statistics, gain)
        heard = Measured(own.machine, own.statistics, own.clips, louder)
        clips = own.clips.loc[own.test, ["machine", "domain", "label", "name"]]
        scores = PerClip(normal.z(change(heard)[own.test]), clips["name"])
        parts.append(clips.assign(score=[value for _, value in scores.items()]))
    table = metrics.evaluate(pd.concat(parts, ignore_index=True))
    return pd.Series({**table["omega"], "overall": metrics.omega(table)})


def _kept(own: Measured, count: int) -> Int[np.ndarray, " kept"]:
    """Places of the training clips: as many of the source domain as asked for, and all others."""
    source = own.clips["domain"].to_numpy() == "source"
    places = np.flatnonzero(own.train & source)
    places = places[np.argsort(own.clips["name"].to_numpy()[places], kind="stable")]
    count = min(count, len(places))
    evenly = places[np.arange(count) * len(places) // max(count, 1)]
    return np.sort(np.concatenate([evenly, np.flatnonzero(own.train & ~source)]))


def by_statistic(machines: Sequence[Measured]) -> pd.DataFrame:
    """Omega of single statistics and of their sets.

    Parameters
    ----------
    machines : of :func:`measured`, with all four statistics.

    Returns
    -------
    DataFrame indexed by machine and ``overall``, a column per set of :data:`SETS`.
    """
    return pd.DataFrame({name: evaluate(machines, partial(_picked, wanted=name)) for name in SETS})


def _picked(own: Measured, wanted: str) -> Values:
    return chosen(own.values, wanted, own.statistics)


def by_level(machines: Sequence[Measured]) -> pd.DataFrame:
    """Omega with the clip's level, without it, and of the level alone.

    Returns
    -------
    DataFrame indexed by machine and ``overall``, with the columns ``with level``, ``level-free``
    and ``level alone``; the last one knows the mean over bands of p and of m.
    """
    return pd.DataFrame(
        {
            "with level": evaluate(machines),
            "level-free": evaluate(machines, _without_level),
            "level alone": evaluate(machines, _only_level),
        }
    )


def _only_level(own: Measured) -> Values:
    return np.stack([levels(own)[:, own.statistics.index(letter)] for letter in "pm"], axis=1)


def level_and_scatter(machines: Sequence[Measured]) -> pd.DataFrame:
    """Level and scatter over time of every labelled test clip, against the training clips.

    Returns
    -------
    DataFrame with machine, domain, label, and ``level`` and ``scatter`` in dB: the means over the
    bands of m and of s, minus their means over the training clips.
    """
    parts = []
    for own in machines:
        found = levels(own)
        found = (found - found[own.train].mean(axis=0))[own.test]
        clips = own.clips.loc[own.test, ["machine", "domain", "label"]]
        m, s = (found[:, own.statistics.index(letter)] for letter in "ms")
        parts.append(clips.assign(level=m, scatter=s))
    return pd.concat(parts, ignore_index=True)


def learning_curve(machines: Sequence[Measured], counts: Sequence[int] = COUNTS) -> pd.DataFrame:
    """Omega against the number of training clips of the source domain.

    Parameters
    ----------
    machines : of :func:`measured`.
    counts : numbers of clips; those that are there, and all clips.

    Returns
    -------
    DataFrame indexed by the number of clips, a column per machine and ``overall``.
    """
    most = max(int((own.train & (own.clips["domain"] == "source")).sum()) for own in machines)
    steps = [*(count for count in counts if count < most), most]
    found = {count: evaluate(machines, source_clips=count) for count in steps}
    return pd.DataFrame(found).T.rename_axis("clips")


def by_gain(params: Params, recordings: Recordings, name: str) -> pd.DataFrame:
    """Omega where the test clips are louder or quieter than the training clips.

    Parameters
    ----------
    name : of a front-end; every view of the study with it is shown, and its level-free form where
        it looks at the level.

    Returns
    -------
    DataFrame with scorer, level_free, and Omega over all machines in a column per gain in dB.
    """
    rows: list[list] = []
    for scorer in (scorer for own, scorer in views.wanted(params) if own == name):
        machines = measured(params, recordings, name, scorer)
        forms = {False: _as_measured, True: _without_level}
        for free, change in forms.items():
            if VIEWS[scorer].statistics or not free:
                omegas = [evaluate(machines, change, gain=gain)["overall"] for gain in GAINS]
                rows.append([scorer, free, *omegas])
    return pd.DataFrame(rows, columns=["scorer", "level_free", *GAINS])
