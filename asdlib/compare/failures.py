"""The failure gallery: clips that no system finds, clips that one alone finds, and why.

This looks back with labels, at test clips, and chooses nothing.
Notebook: 06_decisions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import dataset, metrics, pipeline, spectra
from asdlib.compare import systems
from asdlib.params import Params
from asdlib.runtime.parallel import one_thread
from asdlib.study import scores, stages
from asdlib.study.recordings import Recordings

FALSE_ALARMS = 0.1
"""Share of a machine's normal test clips above the limit of "found", as in the pAUC."""


def found_clips(decided: pd.DataFrame) -> pd.DataFrame:
    """Scores and decisions of all systems on labelled test clips, and which clips each one finds.

    Parameters
    ----------
    decided : of :func:`asdlib.compare.systems.decisions`.

    Returns
    -------
    DataFrame with the columns of ``decided``, ``limit`` (score that
    one in ten of the machine's normal test clips exceeds; NaN without any) and ``found`` (whether
    the score exceeds it). The limit reads labels: it serves to look back, and no system decides
    by it.
    """
    table = metrics.labelled(decided)
    normal = table["score"].astype(float).where(table["label"] == "normal")
    groups = normal.groupby([table["system"], table["machine"]])
    limit = groups.transform("quantile", 1 - FALSE_ALARMS)
    return table.assign(limit=limit, found=table["score"] > limit)


def gallery(table: pd.DataFrame, count: int = 2) -> pd.DataFrame:
    """Choose anomalies that no system finds, and some that one system alone finds.

    Parameters
    ----------
    table : of :func:`found_clips`.
    count : largest number of clips of either kind.

    Returns
    -------
    DataFrame with kind ("found by none" or "found by one"), machine, name, domain, system (the
    only one that finds it, or the one that comes closest), score and limit. The first kind begins
    with the clip whose best score lies furthest below the limit, the second with the clip whose
    score lies furthest above it.
    """
    anomalies, clip = _anomalies(table), ["machine", "name"]
    by = anomalies.groupby(clip)["found"].transform("sum")
    anomalies = anomalies.assign(by=by, margin=anomalies["score"] - anomalies["limit"])
    best = anomalies.sort_values("margin", ascending=False).drop_duplicates(clip)
    none = best[best["by"] == 0].sort_values("margin").head(count).assign(kind="found by none")
    alone = best[best["by"] == 1].head(count).assign(kind="found by one")
    columns = ["kind", "machine", "name", "domain", "system", "score", "limit"]
    return pd.concat([none, alone])[columns].reset_index(drop=True)


def tally(table: pd.DataFrame) -> pd.DataFrame:
    """Number of anomalies that none, one, or several of the systems find, per machine.

    Parameters
    ----------
    table : of :func:`found_clips`.

    Returns
    -------
    DataFrame with machine, anomalies, "by none", "by one", and "by several".
    """
    found = _anomalies(table).groupby(["machine", "name"])["found"].sum()
    counts = {"anomalies": found >= 0, "by none": found == 0, "by one": found == 1}
    counts["by several"] = found > 1
    return pd.DataFrame(counts).groupby(level="machine").sum().reset_index()


def _anomalies(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["label"] == "anomaly") & table["limit"].notna()]


@dataclass(frozen=True)
class Evidence:
    """What made a clip's score by a view of S5.

    Attributes
    ----------
    title : machine, clip and system.
    front_end, scorer : of the view.
    frames : (frame, band), log-mel behind the front-end, in dB.
    seconds : from one frame to the next.
    table : of :meth:`asdlib.pipeline.FittedView.explain`; its contributions sum to D(x)^2.
    z : score of the clip by this view.
    """

    title: str
    front_end: str
    scorer: str
    frames: Float[np.ndarray, "frame band"]
    seconds: float
    table: pd.DataFrame
    z: float


def title(row: pd.Series) -> str:
    """Return machine and name of a clip of :func:`gallery`, and which system finds it."""
    alone = row["kind"] == "found by one"
    verdict = "{} alone finds it" if alone else "none finds it, {} comes closest"
    return f"{row['machine']}: {row['name']}, {verdict.format(row['system'])}"


def evidence(
    params: Params, recordings: Recordings, table: pd.DataFrame, row: pd.Series
) -> Evidence:
    """Look up what the views of S5 hold for strange in a clip of the gallery.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`, with the views of S5.
    row : of :func:`gallery`. The view with the highest score for this clip is shown.
    """
    own = table[(table["machine"] == row["machine"]) & (table["name"] == row["name"])]
    scores_of = own.groupby(["front_end", "scorer"])["score"].mean()
    front_end, scorer = max(systems.UNTRAINED.views, key=scores_of.__getitem__)
    clips, constants = recordings.clips(row["machine"]), params.spectra
    clip = clips[clips["name"] == row["name"]].iloc[0]
    with one_thread():
        denoiser = stages.front_end(params, clips, front_end)
        fitted = scores.fitted_view(stages.untrained(params, clips, front_end, scorer))
        signal = dataset.read(clip["path"], constants, content=clip["hash"])
        frames = pipeline.frames(spectra.stft(signal, constants), denoiser, constants)
        found = fitted.explain(signal), float(fitted.z(signal))
    seconds = constants.hop_length / constants.sample_rate
    return Evidence(title(row), front_end, scorer, frames, seconds, *found)


def errors(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the false alarms and misses, with a column kind; the worst of either kind first."""
    wrong = clips[(clips["label"] == "normal") == (clips["decision"] == 1)]
    kind = wrong["label"].map({"normal": "false alarms", "anomaly": "misses"})
    order = wrong["score"].where(kind == "misses", -wrong["score"])
    return wrong.assign(kind=kind).loc[order.sort_values().index].sort_values("kind", kind="stable")


def worst(clips: pd.DataFrame, count: int = 3) -> list[tuple[str, str]]:
    """Machine and name of the loudest false alarms and the deepest misses of every machine."""
    found = errors(clips).groupby(["machine", "kind"]).head(count)
    return list(zip(found["machine"], found["name"], strict=True))
