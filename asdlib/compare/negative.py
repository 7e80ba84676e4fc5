"""What does not help: ideas that the paper tried, run by the same protocol as what helps.

Every idea becomes rows of scores like any system's, and is compared with the champion seed by
seed. Notebook: 07_negative_results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib import metrics, study
from asdlib.compare import comparison, learnt_gate
from asdlib.params import Params
from asdlib.study import baseline, exposure, variants
from asdlib.study.detectors import BOTTLENECK
from asdlib.study.recordings import Recordings
from asdlib.study.variants import CHAMPION, COMPARED

IDEAS = {
    "interpolate": "objective: predict the middle frame from the other four",
    "denoise": "objective: reconstruct the denoised frame from a noisier one",
    "flow": "flow on the bottleneck",
    "flow_fused": "flow on the bottleneck, with the champion",
    "knn": "nearest neighbours at the bottleneck",
    "knn_fused": "nearest neighbours at the bottleneck, with the champion",
    "exposure": "outlier exposure, frozen encoder",
    "exposure_fused": "outlier exposure, frozen encoder, with the champion",
    "lora": "outlier exposure, LoRA",
    "lora_fused": "outlier exposure, LoRA, with the champion",
    "gate": "gate of AdaSub and CohGate, leave-one-machine-out",
    "gate_tested": "gate of AdaSub and CohGate, normalised over the test set",
}
_ENCODED = ("exposure", "lora")  # ideas that need the audio encoder
_DIFFERENCE = ("mean", "std", "p_t", "low", "high", "verdict")  # of a pair


@dataclass(frozen=True)
class Tried:
    """Ideas that were run, and why the others were not.

    Attributes
    ----------
    scores : rows as of :func:`asdlib.study.run` for the champion and every idea that was run;
        front_end is the idea. scorer is the scoring of the idea's residuals; an idea that replaces
        the score is listed under every scoring of the champion, to be compared with it.
    reasons : one sentence for every idea that was not run.
    """

    scores: pd.DataFrame
    reasons: dict[str, str]


Outcome = tuple[list[pd.DataFrame], dict[str, str]]
"""Scores of the ideas of one kind that were run, and the reasons of those that were not."""


def tried(params: Params, recordings: Recordings, table: pd.DataFrame) -> Tried:
    """Score every idea that these parameters ask for.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    """
    if why := variants.lacking(params, "champion"):
        return Tried(table.head(0), dict.fromkeys(IDEAS, why))
    if not (table["split"] == "test").any():
        return Tried(table.head(0), dict.fromkeys(IDEAS, "needs test clips"))
    champion = table[(table["front_end"] == CHAMPION) & table["scorer"].isin(COMPARED)]
    found, reasons = [champion], {"gate_tested": learnt_gate.refusal(champion)}
    for scores, left_out in (
        _objectives(params, recordings),
        _bottleneck(params, recordings, champion),
        _outlier_exposure(params, recordings, champion),
        _gate(params, recordings, table),
    ):
        found += scores
        reasons |= left_out
    return Tried(pd.concat(found, ignore_index=True), reasons)


def against_champion(tried: Tried) -> pd.DataFrame:
    """Compare every idea with the champion, under the same scoring, seed by seed.

    Returns
    -------
    DataFrame with idea and verdict; omega and omega_std (of seeds, under the champion's scoring);
    mean, std, p_t, low and high of the paired difference (see
    :func:`asdlib.compare.comparison.paired`); eq1 and eq1_std, the difference under eq. 1. NaN
    where an idea was not run: the verdict is the reason.
    """
    rows: list[dict] = []
    compared: dict[str, dict] = {}
    if len(tried.scores):
        summary = comparison.summary(tried.scores)
        own = comparison.row(summary, CHAMPION, COMPARED[0])
        rows.append(
            {
                "idea": "the champion",
                "omega": own["mean"],
                "omega_std": own["std"],
                "verdict": "",
            }
        )
        names = [name for name in IDEAS if name not in tried.reasons]
        compared = _compared(summary, names, tried.scores)
    for name, title in IDEAS.items():
        values = compared[name] if name in compared else {"verdict": tried.reasons[name]}
        rows.append({"idea": title, **values})
    order = ["idea", "omega", "omega_std", *_DIFFERENCE, "eq1", "eq1_std"]
    return pd.DataFrame(rows).reindex(columns=order)


def _compared(
    summary: comparison.Summary, names: Sequence[str], scores: pd.DataFrame
) -> dict[str, dict]:
    """Every idea's values for a row of :func:`against_champion`."""
    per_seed, first = summary.per_seed, COMPARED[0]
    pairs = [((name, first), (CHAMPION, first)) for name in names]
    paired = comparison.paired(per_seed, pairs, scores)
    rows = {}
    for name, (_, difference) in zip(names, paired.iterrows(), strict=True):
        own = comparison.row(summary, name, first)
        plain = comparison.seed_difference(per_seed, (name, "eq1"), per_seed, (CHAMPION, "eq1"))
        rows[name] = {
            "omega": own["mean"],
            "omega_std": own["std"],
            **difference[list(_DIFFERENCE)],
            "eq1": plain["mean"],
            "eq1_std": plain["std"],
        }
    return rows


def build_up(params: Params, recordings: Recordings, table: pd.DataFrame) -> pd.DataFrame:
    """Omega of every step from the official network to ours, and its change at every seed.

    Returns
    -------
    DataFrame with step, seed, omega and change (against the step before, the same seed); no rows
    where it was not run, or without test clips.
    """
    nothing = pd.DataFrame(columns=["step", "seed", "omega", "change"])
    if variants.lacking(params, "build_up"):
        return nothing
    per_seed = comparison.summary(table).per_seed
    omegas = {
        "official baseline, MAHALA": comparison.seed_values(per_seed, baseline.NAME, "mahala"),
        "eq. 1 in place of MAHALA": comparison.seed_values(per_seed, baseline.NAME, "eq1"),
    }
    if not all(len(omega) for omega in omegas.values()):  # no test clip
        return nothing
    for name, step in variants.build_up(params).items():
        own = comparison.summary(study.run(step, recordings=recordings)).per_seed
        omegas[name] = comparison.seed_values(own, "near", "eq1")
    rows = []
    before = None
    for name, omega in omegas.items():
        change = omega * np.nan if before is None else omega - before
        rows += [
            {"step": name, "seed": seed, "omega": omega[seed], "change": change[seed]}
            for seed in omega.index
        ]
        before = omega
    return pd.DataFrame(rows)


def build_up_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Mean and std of every step's Omega and change, how many seeds leave the band, and p values.

    Parameters
    ----------
    steps : of :func:`build_up`.

    Returns
    -------
    DataFrame with step, omega, omega_std, mean, std, p_t, most (largest single-seed
    change) and outside (seeds whose change leaves the band of seed variance).
    """
    rows = []
    for name, own in steps.groupby("step", sort=False):
        change = own["change"]
        difference = metrics.paired_difference(change, change * 0)
        rows.append(
            {
                "step": name,
                "omega": own["omega"].mean(),
                "omega_std": own["omega"].std(ddof=1),
                **{key: difference[key] for key in ("mean", "std", "p_t")},
                "most": change.iloc[np.argmax(change.abs())] if change.notna().all() else np.nan,
                "outside": int((change.abs() > metrics.SEED_BAND).sum()),
            }
        )
    return pd.DataFrame(rows)


def _objectives(params: Params, recordings: Recordings) -> Outcome:
    """Other training objectives, each on networks of its own."""
    found, reasons = [], {}
    for name in variants.OBJECTIVES:
        if why := variants.lacking(params, name):
            reasons[name] = why
        else:
            rows = study.run(variants.objective(params, name), recordings=recordings)
            found.append(rows.assign(front_end=name))
    return found, reasons


def _bottleneck(params: Params, recordings: Recordings, champion: pd.DataFrame) -> Outcome:
    """Flow and nearest neighbours at the bottleneck of the champion's networks."""
    if why := variants.lacking(params, "bottleneck"):
        return [], _alone_and_fused_reasons(BOTTLENECK, why)
    rows = study.run(variants.bottleneck(params), recordings=recordings)
    found = []
    for name in BOTTLENECK:
        found += _alone_and_fused(rows[rows["scorer"] == name], champion, name)
    return found, {}


def _outlier_exposure(params: Params, recordings: Recordings, champion: pd.DataFrame) -> Outcome:
    """Outlier exposure on the embeddings of an audio encoder, frozen and adapted."""
    found: list[pd.DataFrame] = []
    reasons: dict[str, str] = {}
    rows = exposure.scores(params, recordings)
    for name in _ENCODED:
        own = rows[rows["front_end"] == name]
        if own.empty:
            reasons |= _alone_and_fused_reasons([name], _no_encoder(params, name))
        else:
            found += _alone_and_fused(own, champion, name)
    return found, reasons


def _gate(params: Params, recordings: Recordings, table: pd.DataFrame) -> Outcome:
    """The gate of AdaSub and CohGate, learnt on the other machines."""
    if not set(learnt_gate.FRONT_ENDS) <= set(table["front_end"]):
        return [], {
            "gate": f"needs {' and '.join(learnt_gate.FRONT_ENDS)}, which were not both run"
        }
    rows = learnt_gate.scores(table, study.floors(params, recordings))
    if rows.empty:
        return [], {"gate": "needs normal and anomalous test clips of at least two machines"}
    return [rows], {}


def _alone_and_fused(rows: pd.DataFrame, champion: pd.DataFrame, name: str) -> list[pd.DataFrame]:
    """An idea that replaces the score, and its mean with the champion's, under every scoring."""
    alone = pd.concat([rows.assign(front_end=name, scorer=scorer) for scorer in COMPARED])
    return [alone, study.combination([alone, champion], f"{name}_fused")]


def _alone_and_fused_reasons(names: Iterable[str], why: str) -> dict[str, str]:
    """The same reason for ideas that replace the score, alone and with the champion."""
    return {idea: why for name in names for idea in (name, f"{name}_fused")}


def _no_encoder(params: Params, name: str) -> str:
    """Say why an idea that needs the audio encoder has no scores."""
    if params.encoder.folder is None:
        return "no audio encoder was given (encoder: {folder: ...} runs it)"
    if name == "lora" and not params.encoder.lora_rank:
        return "left out (encoder.lora_rank is 0)"
    return "needs at least two machines"
