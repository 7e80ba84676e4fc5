"""The failure gallery: clips that no system finds, clips that one alone finds, and why.

Notebook: 06_submission.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import frontends, metrics, pipeline
from asdlib.compare import systems
from asdlib.parallel import one_thread
from asdlib.params import Params
from asdlib.study import detectors
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit

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


def evidence(
    params: Params, recordings: Recordings, table: pd.DataFrame, row: pd.Series
) -> Evidence:
    """Look up why a clip of the gallery scored as it did.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    row : of :func:`gallery`. Where its system joins several front-ends, the one with the highest
        score for this clip is shown.
    """
    system = next(s for s in systems.SYSTEMS if s.name == row["system"])
    own = table[
        (table["machine"] == row["machine"])
        & (table["name"] == row["name"])
        & (table["scorer"] == system.scorer)
        & table["front_end"].isin(frontends.parts(system.front_ends))
    ]
    front_end = str(own.groupby("front_end")["score"].mean().idxmax())
    clips = recordings.clips(row["machine"])
    fitted = Unit(params, row["machine"], front_end, clips).fitted([system.scorer])
    clip, constants = clips[clips["name"] == row["name"]].iloc[0], params.spectra
    detector = detectors.eq1(fitted.detectors)
    with one_thread():
        frames = fitted.frames(pipeline.spectrum(clip["path"], constants, clip["hash"]))
        terms, residuals = detector.over_time(fitted.vectors(frames), system.scorer)
    terms, residual = terms.mean(0), residuals.mean(0)
    level = float(detector.level(terms[None], system.scorer)[0])
    place = int(np.abs(terms - level).argmin())
    alone = row["kind"] == "found by one"
    verdict = "{} alone finds it" if alone else "none finds it, {} comes closest"
    return Evidence(
        f"{row['machine']}: {row['name']}, {verdict.format(row['system'])}",
        front_end,
        fitted.standardise(frames),
        terms,
        level,
        place,
        residual[place].reshape(constants.stack, -1),
        constants.hop_length / constants.sample_rate,
    )
