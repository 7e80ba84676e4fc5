"""The failure gallery: clips that no system finds, clips that one alone finds, and why.

Notebook: 08_submission.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import dataset, frontends, metrics, pipeline
from asdlib.clipstats import VIEWS
from asdlib.compare import systems
from asdlib.params import Params
from asdlib.runtime.parallel import one_thread
from asdlib.spectra import stft
from asdlib.study import detectors, views
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit
from asdlib.study.views import View

FALSE_ALARMS = 0.1
"""Share of a machine's normal test clips above the limit of "found", as in the pAUC."""


def findings(results: systems.Results, recordings: Recordings) -> pd.DataFrame:
    """Scores and decisions of all systems on labelled test clips, and which clips each one finds.

    Returns
    -------
    DataFrame with the columns of :func:`asdlib.compare.systems.decisions`, domain, label, ``limit``
    (score that one in ten of the machine's normal test clips exceeds; NaN without any) and
    ``found`` (whether the score exceeds it). The limit reads labels: it serves to look back, and
    no system decides by it.
    """
    kinds = metrics.labelled(recordings.manifest)[["machine", "name", "domain", "label"]]
    table = systems.decisions(results).merge(kinds, on=["machine", "name"], validate="many_to_one")
    normal = table["score"].astype(float).where(table["label"] == "normal")
    groups = normal.groupby([table["system"], table["machine"]])
    limit = groups.transform("quantile", 1 - FALSE_ALARMS)
    return table.assign(limit=limit, found=table["score"] > limit)


def gallery(table: pd.DataFrame, count: int = 2) -> pd.DataFrame:
    """Choose anomalies that no system finds, and some that one system alone finds.

    Parameters
    ----------
    table : of :func:`findings`.
    count : largest number of clips of either kind.

    Returns
    -------
    DataFrame with kind ("found by none" or "found by one"), machine, name, domain, system (the
    only one that finds it, or the one that comes closest), score and limit. The first kind begins
    with the clip whose best score lies furthest below the limit, the second with the clip whose
    score lies furthest above it.
    """
    anomalies = table[(table["label"] == "anomaly") & table["limit"].notna()]
    anomalies = anomalies.assign(margin=anomalies["score"] - anomalies["limit"])
    found = anomalies.groupby(["machine", "name"])["found"].transform("sum")
    best = anomalies.sort_values("margin", ascending=False).drop_duplicates(["machine", "name"])
    found = found.loc[best.index]
    none = best[found == 0].sort_values("margin").head(count).assign(kind="found by none")
    alone = best[found == 1].head(count).assign(kind="found by one")
    columns = ["kind", "machine", "name", "domain", "system", "score", "limit"]
    return pd.concat([none, alone])[columns].reset_index(drop=True)


def tally(table: pd.DataFrame) -> pd.DataFrame:
    """Number of anomalies that none, one, or several of the systems find, per machine.

    Returns
    -------
    DataFrame with machine, anomalies, "by none", "by one", and "by several".
    """
    anomalies = table[(table["label"] == "anomaly") & table["limit"].notna()]
    found = anomalies.groupby(["machine", "name"])["found"].sum()
    rows = [
        {
            "machine": machine,
            "anomalies": len(own),
            "by none": int((own == 0).sum()),
            "by one": int((own == 1).sum()),
            "by several": int((own > 1).sum()),
        }
        for machine, own in found.groupby("machine")
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Evidence:
    """What made a clip's score, mean over seeds.

    Attributes
    ----------
    title : machine, clip and system.
    front_end : whose models are shown.
    frames : (frame, band), standardised log-mel.
    terms : (vector,), what eq. 1 takes its percentile of.
    level : that percentile.
    place : the vector whose term lies closest to it.
    residual : (stack, band), e_i of that vector.
    seconds : from one frame to the next.
    """

    title: str
    front_end: str
    frames: Float[np.ndarray, "frame band"]
    terms: Float[np.ndarray, " vector"]
    level: float
    place: int
    residual: Float[np.ndarray, "stack band"]
    seconds: float


@dataclass(frozen=True)
class Contributions:
    """What made a clip's score where nothing was trained: shares of its squared distance.

    Attributes
    ----------
    title : machine, clip and system.
    front_end, scorer : of the view.
    frames : (frame, band), log-mel behind the front-end, dB.
    table : of :meth:`asdlib.pipeline.FittedView.explain`; its contributions sum to D(x)^2.
    z : score of the clip by this view.
    seconds : from one frame to the next.
    """

    title: str
    front_end: str
    scorer: str
    frames: Float[np.ndarray, "frame band"]
    table: pd.DataFrame
    z: float
    seconds: float


def evidence(
    params: Params, recordings: Recordings, table: pd.DataFrame, row: pd.Series
) -> Evidence | Contributions:
    """Look up why a clip of the gallery scored as it did.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    row : of :func:`gallery`. Where its system joins several front-ends or scorers, the one with
        the highest score for this clip is shown.

    Returns
    -------
    Evidence, or Contributions where the one that is shown is a detector without training.
    """
    system = next(s for s in systems.SYSTEMS if s.name == row["system"])
    front_end, scorer = _strongest(system, table, row)
    alone = row["kind"] == "found by one"
    verdict = "{} alone finds it" if alone else "none finds it, {} comes closest"
    title = f"{row['machine']}: {row['name']}, {verdict.format(row['system'])}"
    clips = recordings.clips(row["machine"])
    clip = clips[clips["name"] == row["name"]].iloc[0]
    found = _contributions if scorer in VIEWS else _residuals
    return found(params, title, front_end, scorer, clips, clip)


def _strongest(system: systems.System, table: pd.DataFrame, row: pd.Series) -> tuple[str, str]:
    """Front-end and scorer of a system's parts with the highest score for one clip."""
    own = table[(table["machine"] == row["machine"]) & (table["name"] == row["name"])]
    scores = own.groupby(["front_end", "scorer"])["score"].mean()
    parts = [
        (name, scorer)
        for view, scorer in system.views
        for name in frontends.trained_front_ends([view])
    ]
    front_end, scorer = max(parts, key=scores.__getitem__)
    return front_end, scorer


def _residuals(
    params: Params,
    title: str,
    front_end: str,
    scorer: str,
    clips: pd.DataFrame,
    clip: pd.Series,
) -> Evidence:
    """Evidence of the autoencoders."""
    own, constants = views.trained(params), params.spectra
    fitted = Unit(own, clip["machine"], front_end, clips).fitted([scorer])
    detector = detectors.eq1(fitted.detectors)
    with one_thread():
        frames = fitted.frames(pipeline.spectrum(clip["path"], constants, clip["hash"]))
        terms, residuals = detector.over_time(fitted.vectors(frames), scorer)
    terms, residual = terms.mean(0), residuals.mean(0)
    level = float(detector.level(terms[None], scorer)[0])
    place = int(np.abs(terms - level).argmin())
    return Evidence(
        title,
        front_end,
        fitted.standardise(frames),
        terms,
        level,
        place,
        residual[place].reshape(constants.stack, -1),
        constants.hop_length / constants.sample_rate,
    )


def _contributions(
    params: Params,
    title: str,
    front_end: str,
    scorer: str,
    clips: pd.DataFrame,
    clip: pd.Series,
) -> Contributions:
    """Evidence of a detector without training."""
    view, constants = View(params, clip["machine"], front_end, scorer, clips), params.spectra
    signal = dataset.read(clip["path"], constants, content=clip["hash"])
    with one_thread():
        fitted, denoiser = view.fitted(), Unit(params, clip["machine"], front_end, clips).denoiser()
        frames = pipeline.frames(stft(signal, constants), denoiser, constants)
        return Contributions(
            title,
            front_end,
            scorer,
            frames,
            fitted.explain(signal),
            float(fitted.z(signal)),
            constants.hop_length / constants.sample_rate,
        )
