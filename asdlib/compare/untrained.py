"""Detectors without training: beside autoencoders, and fitted again to see what they need.

The values of every clip are on disk, so a detector is fitted again within a second, without
reading a recording. These tables read test labels through :mod:`asdlib.metrics`. They explain a
detector and choose none. Notebook: 03_without_training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from asdlib import metrics
from asdlib.clipstats import NAMES, S5, VIEWS, Normal, chosen
from asdlib.compare.statistics import FUSED, Results, among
from asdlib.compare.systems import ADASUB
from asdlib.params import Params, Statistics
from asdlib.study import detectors, stages
from asdlib.study.recordings import Recordings

SETS = (*NAMES, "pm", "pms", "pmsd")  # of statistics, in the ablation
COUNTS = (10, 20, 50, 100, 200, 500, 990)  # training clips of the source domain
GAINS = (0.0, 6.0, -6.0)  # dB, of the test clips against the training clips
_FRONT_ENDS = ("adals", "adasub")  # preferred, in this order
UNCHECKED = {"checkedsub": "adasub", "checkedls": "adals"}
"""Front-ends without the check of the far microphone."""
_SHOWN = 3  # autoencoders beside the detectors without training


@dataclass(frozen=True)
class ViewValues:
    """What one view looks at, of every clip of one machine.

    Attributes
    ----------
    machine : name.
    statistics : letters of :data:`asdlib.clipstats.NAMES`, in the order of the values; none for a
        Welch spectrum.
    clips : rows of the manifest.
    values : one row per clip.
    folds : number of them, in which training clips are held out.
    """

    machine: str
    statistics: str
    clips: pd.DataFrame
    values: Float[np.ndarray, "clip value"]
    folds: int = Statistics().folds

    @property
    def train(self) -> Bool[np.ndarray, " clip"]:
        """Which clips are training-normal."""
        return (self.clips["split"] == "train").to_numpy()

    @property
    def test(self) -> Bool[np.ndarray, " clip"]:
        """Which clips are test clips with a label."""
        return self.clips.index.isin(metrics.labelled(self.clips).index)

    def fit(self) -> Normal:
        """Fit the view again to these training clips."""
        train = self.clips[self.train]
        return Normal.fit(self.values[self.train], train["domain"].tolist(), self.folds)


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
    run = [name for name, scorer in detectors.wanted(params) if scorer == "pmsd"]
    return next((name for name in (*_FRONT_ENDS, *run) if name in run), "")


def missing_reason(params: Params, recordings: Recordings) -> str:
    """Say in one sentence why the detectors cannot be looked into; empty where they can."""
    if not detectors.wanted(params):
        return "No detector without training was asked for (`scorers`)."
    if not front_end(params):
        return "The statistics `pmsd` were asked for with no front-end (`scorers`)."
    test = metrics.labelled(recordings.manifest).assign(score=0.0)
    if len(test) and metrics.evaluate(test)["omega"].notna().any():
        return ""
    return "Ω cannot be computed from the labels of these recordings."


def view_values(params: Params, recordings: Recordings, name: str, scorer: str) -> list[ViewValues]:
    """Read what a view of the study has measured, of every machine with labelled test clips.

    Parameters
    ----------
    name : of a front-end that the study ran with this scorer.
    scorer : in :data:`asdlib.clipstats.VIEWS`.
    """
    found, folds = [], params.statistics.folds
    for machine in recordings.development:
        clips = recordings.clips(machine)
        values = stages.values(stages.untrained(params, clips, name, scorer))
        found.append(ViewValues(machine, VIEWS[scorer].statistics, clips, values, folds))
    return found


def level_free(own: ViewValues) -> ViewValues:
    """Subtract from p and m each clip's own mean over the bands.

    The scatter s and d, and a Welch spectrum, have no level: they are returned as they are.
    """
    blocks, with_level = _blocks(own)
    blocks[:, with_level] -= blocks[:, with_level].mean(axis=2, keepdims=True)
    return replace(own, values=blocks.reshape(own.values.shape))


def louder(own: ViewValues, gain: float) -> ViewValues:
    """Test clips after a gain in both channels, which adds to p and m.

    A front-end scales with its input, so this is exact as long as no sample is clipped. The
    scatter s and d, and a Welch spectrum without level, do not change.

    Parameters
    ----------
    gain : in dB.
    """
    blocks, with_level = _blocks(own)
    blocks[:, with_level] += gain * own.test[:, None, None]
    return replace(own, values=blocks.reshape(own.values.shape))


def levels(own: ViewValues) -> Float[np.ndarray, "clip statistic"]:
    """Mean over the bands of p and m of every clip, in dB."""
    blocks, with_level = _blocks(own)
    return blocks[:, with_level].mean(axis=2)


def _blocks(
    own: ViewValues,
) -> tuple[Float[np.ndarray, "clip statistic band"], Bool[np.ndarray, " statistic"]]:
    """A copy of the values by statistic, and which ones have a level; a spectrum has none."""
    with_level = np.array([letter in "pm" for letter in own.statistics or "-"])
    return own.values.reshape(len(own.values), len(with_level), -1).copy(), with_level


def fewer(own: ViewValues, count: int) -> ViewValues:
    """Keep so many training clips of the source domain, evenly over the order of their names.

    All clips of the target domain stay.
    """
    source = own.clips[own.train & (own.clips["domain"] == "source").to_numpy()]
    ordered = source.sort_values("name", kind="stable").index
    count = min(count, len(ordered))
    kept = ordered[np.arange(count) * len(ordered) // max(count, 1)]
    stays = ~own.clips.index.isin(ordered.difference(kept))
    return replace(own, clips=own.clips[stays], values=own.values[stays])


def evaluate(machines: Sequence[ViewValues], fitted: Sequence[Normal] | None = None) -> pd.Series:
    """Omega of a detector that is fitted again, machine by machine.

    Distances are compared within a machine only, so they need not be standardised.

    Parameters
    ----------
    fitted : to the same training clips, where that is at hand.

    Returns
    -------
    Omega indexed by machine, and ``overall``, the official score.
    """
    parts = []
    for own, normal in zip(machines, fitted or [own.fit() for own in machines], strict=True):
        clips = own.clips.loc[own.test, ["machine", "domain", "label", "name"]]
        parts.append(clips.assign(score=normal.z(own.values[own.test])))
    table = metrics.evaluate(pd.concat(parts, ignore_index=True))
    return pd.Series({**table["omega"], "overall": metrics.omega(table)})


def by_statistic(machines: Sequence[ViewValues]) -> pd.DataFrame:
    """Omega of single statistics and of their sets.

    Parameters
    ----------
    machines : of :func:`view_values`, with all four statistics.

    Returns
    -------
    DataFrame indexed by machine and ``overall``, a column per set of :data:`SETS`.
    """
    columns = {}
    for wanted in SETS:
        picked = [replace(m, values=chosen(m.values, wanted, m.statistics)) for m in machines]
        columns[wanted] = evaluate(picked)
    return pd.DataFrame(columns)


def by_level(machines: Sequence[ViewValues]) -> pd.DataFrame:
    """Omega with the clip's level, without it, and of the level alone.

    Returns
    -------
    DataFrame indexed by machine and ``overall``, columns "with level", "level-free" and "level
    alone".
    """
    forms = {
        "with level": machines,
        "level-free": [level_free(own) for own in machines],
        "level alone": [replace(own, values=levels(own)) for own in machines],
    }
    return pd.DataFrame({name: evaluate(own) for name, own in forms.items()})


def learning_curve(machines: Sequence[ViewValues], counts: Sequence[int] = COUNTS) -> pd.DataFrame:
    """Omega against the number of training clips of the source domain.

    Parameters
    ----------
    counts : numbers of clips; those that are there, and all clips.

    Returns
    -------
    DataFrame indexed by the number of clips, a column per machine and ``overall``.
    """
    most = max(int(((own.clips["domain"] == "source") & own.train).sum()) for own in machines)
    steps = [*(count for count in counts if count < most), most]
    found = {count: evaluate([fewer(own, count) for own in machines]) for count in steps}
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
    for scorer in (scorer for own, scorer in detectors.wanted(params) if own == name):
        machines = view_values(params, recordings, name, scorer)
        for form in (replace, level_free) if VIEWS[scorer].statistics else (replace,):
            fitted = [form(own).fit() for own in machines]  # a gain of test clips changes nothing
            changed = [[form(louder(own, gain)) for own in machines] for gain in GAINS]
            omegas = [evaluate(own, fitted)["overall"] for own in changed]
            rows.append([scorer, form is level_free, *omegas])
    return pd.DataFrame(rows, columns=["scorer", "level_free", *GAINS])


def against_autoencoders(results: Results) -> pd.DataFrame:
    """Detectors without training beside the best autoencoders, compared with one of them.

    Which rows are the best is read from test labels, and said so where they are shown.

    Returns
    -------
    DataFrame with system (front-end and scorer), trained, auc_source, auc_target, pauc and omega
    (means over seeds), mean, low, high and verdict of the paired difference to the autoencoder on
    AdaSub under eq. 1 of the paper, where that was run. The detectors without training come first,
    S5 last of them; then the three autoencoders with the highest Omega, and the one compared with.
    No rows without test clips or without a detector that needs no training.
    """
    groups = results.per_seed.groupby(["front_end", "scorer"], sort=False)
    found = groups[["auc_source", "auc_target", "pauc", "omega"]].mean().reset_index()
    found["system"] = list(zip(found["front_end"], found["scorer"], strict=True))
    found["trained"] = ~found["scorer"].isin([*VIEWS, FUSED])
    if found["trained"].all():
        return found.head(0)
    others = found[found["trained"]].sort_values("omega", ascending=False, kind="stable")
    shown = (others["system"] == ADASUB) | (np.arange(len(others)) < _SHOWN)
    found = pd.concat([found[~found["trained"]], others[shown]], ignore_index=True)
    paired = results.paired((own, ADASUB) for own in found["system"])
    return found.join(paired[["mean", "low", "high", "verdict"]])


def by_view(results: Results) -> pd.DataFrame:
    """Omega of each view of S5, as it is and without the check of the far microphone, and of S5.

    Returns
    -------
    DataFrame with system, omega and unchecked (NaN where that was not run, and for S5 itself). No
    rows where a view was not run, or Omega cannot be computed.
    """
    omegas = {own: results.omegas(*own).mean() for own in (*S5, ("S5", FUSED))}
    found = pd.DataFrame({"system": [*omegas], "omega": [*omegas.values()]})
    plain = [results.omegas(UNCHECKED[name], scorer).mean() for name, scorer in S5]
    found["unchecked"] = [*plain, np.nan]
    return found if found["omega"].notna().all() else found.head(0)


def autoencoder_gain(results: Results, compared: pd.DataFrame) -> pd.DataFrame:
    """Omega of the best autoencoder minus that of the best detector without training, by machine.

    Both are the best over all machines, by their test labels.

    Parameters
    ----------
    compared : of :func:`against_autoencoders`.

    Returns
    -------
    DataFrame with machine, autoencoder, untrained (systems) and gain; no rows where either kind is
    missing.
    """
    known = compared.dropna(subset="omega")
    if known["trained"].nunique() < 2:
        return pd.DataFrame(columns=["machine", "autoencoder", "untrained", "gain"])
    best = known.loc[known.groupby("trained")["omega"].idxmax()].set_index("trained")["system"]
    test, by_machine = metrics.labelled(results.test), {}
    for trained, system in best.items():
        own = test[among(test, [system])].groupby("seed")
        seeds = [metrics.evaluate(rows)["omega"] for _, rows in own]
        by_machine[trained] = pd.concat(seeds, axis=1).mean(axis=1)
    gain = (by_machine[True] - by_machine[False]).rename("gain").rename_axis("machine")
    pair = {"autoencoder": [best[True]] * len(gain), "untrained": [best[False]] * len(gain)}
    return gain.reset_index().assign(**pair)
