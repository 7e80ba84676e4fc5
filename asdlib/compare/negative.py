"""What does not help: ideas that the report tried, run by the same protocol as what helps.

Every idea becomes rows of scores like any system's, and is held against the champion seed by seed.
Notebook: 06_negative_results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib import metrics, study
from asdlib.compare import systems
from asdlib.guard import CrossClipError, PerClip
from asdlib.noise import Floors
from asdlib.params import BOTTLENECK_SCORERS, Params
from asdlib.study import exposure, variants
from asdlib.study.recordings import Recordings
from asdlib.study.variants import CHAMPION, COMPARED

GATED = (CHAMPION, "cohgate")
"""Front-ends that the discriminative gate weighs."""

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


@dataclass(frozen=True)
class Tried:
    """Ideas that were run, and why the others were not.

    Attributes
    ----------
    scores : rows as of :func:`asdlib.study.run` for the champion and every idea that was run;
        front_end is the idea, scorer the scoring beside or under which it stands.
    reasons : one sentence for every idea that was not.
    """

    scores: pd.DataFrame
    reasons: dict[str, str]


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
    found = [champion]
    reasons = {"gate_tested": refusal(champion)}
    for name in variants.OBJECTIVES:
        if why := variants.lacking(params, name):
            reasons[name] = why
        else:
            rows = study.run(variants.objective(params, name), recordings=recordings)
            found.append(rows.assign(front_end=name))
    beside = {}
    if not (why := variants.lacking(params, "bottleneck")):
        rows = study.run(variants.bottleneck(params), recordings=recordings)
        beside = {name: rows[rows["scorer"] == name] for name in BOTTLENECK_SCORERS}
    outlier = exposure.scores(params, recordings)
    for name in (*BOTTLENECK_SCORERS, "exposure", "lora"):
        rows = beside.get(name, outlier[outlier["front_end"] == name])
        if len(rows):
            found += _alone_and_fused(rows, champion, name)
        else:
            reason = why if name in BOTTLENECK_SCORERS else _no_encoder(params, name)
            reasons |= dict.fromkeys((name, f"{name}_fused"), reason)
    if set(GATED) <= set(table["front_end"]):
        found.append(gate(table, study.floors(params, recordings)))
        if found[-1].empty:
            reasons["gate"] = "needs normal and anomalous test clips of at least two machines"
    else:
        reasons["gate"] = f"needs {' and '.join(GATED)}, which were not both run"
    return Tried(pd.concat(found, ignore_index=True), reasons)


def judged(tried: Tried) -> pd.DataFrame:
    """Hold every idea against the champion, under the same scoring, seed by seed.

    Returns
    -------
    DataFrame with idea and verdict; omega and omega_std (of seeds, under the champion's scoring);
    mean, std, p_t, p_holm, low and high of the paired difference (see
    :func:`asdlib.compare.systems.paired`); eq1 and eq1_std, the difference under eq. 1. NaN where
    an idea was not run: the verdict is the reason.
    """
    per_seed = systems.summary(tried.scores) if len(tried.scores) else tried.scores
    names = [name for name in IDEAS if name not in tried.reasons]
    first = COMPARED[0]
    pairs = [((name, first), (CHAMPION, first)) for name in names]
    against = systems.paired(per_seed, pairs, tried.scores) if names else pd.DataFrame()
    rows: list[dict] = []
    if len(tried.scores):
        own = systems.row(per_seed, CHAMPION, first)
        rows.append({"idea": "the champion", "omega": own["mean"], "omega_std": own["std"],
                     "verdict": ""})  # fmt: skip
    for name, title in IDEAS.items():
        if name in tried.reasons:
            rows.append({"idea": title, "verdict": tried.reasons[name]})
            continue
        own = systems.row(per_seed, name, first)
        paired = against[[system == (name, first) for system in against["system"]]].iloc[0]
        plain = systems.seed_difference(per_seed, (name, "eq1"), per_seed, (CHAMPION, "eq1"))
        keys = ("mean", "std", "p_t", "p_holm", "low", "high")
        values = {key: float(paired[key]) for key in keys}
        rows.append(
            {
                "idea": title, "omega": own["mean"], "omega_std": own["std"], **values,
                "eq1": plain["mean"], "eq1_std": plain["std"], "verdict": verdict(values),
            }
        )  # fmt: skip
    order = ["idea", "omega", "omega_std", "mean", "std", "p_t", "p_holm", "low", "high", "eq1",
             "eq1_std", "verdict"]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=order)


def verdict(difference: Mapping[str, float]) -> str:
    """Say in words what a paired difference allows to say.

    A gain or loss counts when the corrected p value over seeds is below 0.05 and the bootstrap
    interval over clips and seeds does not hold zero.
    """
    mean = difference["mean"]
    if np.isnan(mean):
        return "Ω cannot be computed from these labels"
    by_seeds = difference["p_holm"] < 0.05
    by_clips = difference["low"] > 0 or difference["high"] < 0
    if by_seeds and by_clips:
        return "helps" if mean > 0 else "harms"
    tendency = "gains" if mean > 0 else "loses"
    if by_seeds:
        return f"{tendency} on these clips; other clips might not agree"
    if by_clips:
        return f"{tendency} on average, not surely over seeds"
    return "no robust difference"


def build_up(params: Params, recordings: Recordings, table: pd.DataFrame) -> pd.DataFrame:
    """Omega of every step from the official network to ours, and its change at every seed.

    Returns
    -------
    DataFrame with step, seed, omega and change (against the step before, the same seed); no rows
    where it was not run, or without test clips.
    """
    if variants.lacking(params, "build_up"):
        return pd.DataFrame(columns=["step", "seed", "omega", "change"])
    main = systems.summary(table)
    ends = {
        "official baseline, MAHALA": systems.seed_values(main, study.BASELINE, "mahala"),
        "eq. 1 in place of MAHALA": systems.seed_values(main, study.BASELINE, "eq1"),
    }
    if not all(len(omega) for omega in ends.values()):  # no test clip
        return pd.DataFrame(columns=["step", "seed", "omega", "change"])
    for name, step in variants.build_up(params).items():
        own = systems.summary(study.run(step, recordings=recordings))
        ends[name] = systems.seed_values(own, "near", "eq1")
    rows = []
    before = None
    for name, omega in ends.items():
        change = omega * np.nan if before is None else omega - before
        rows += [
            {"step": name, "seed": seed, "omega": omega[seed], "change": change[seed]}
            for seed in omega.index
        ]
        before = omega
    return pd.DataFrame(rows)


def build_up_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Mean and std of every step's Omega and change, how many seeds leave the band, and p values.

    Returns
    -------
    DataFrame with step, omega, omega_std, mean, std, p_t, p_holm (over the steps), most (largest
    single-seed change) and outside (seeds whose change leaves the band of seed variance).
    """
    rows = []
    for name, own in steps.groupby("step", sort=False):
        change = own["change"]
        difference = metrics.paired_difference(change, change * 0)
        rows.append(
            {
                "step": name, "omega": own["omega"].mean(), "omega_std": own["omega"].std(ddof=1),
                **{key: difference[key] for key in ("mean", "std", "p_t")},
                "most": change.iloc[np.argmax(change.abs())] if change.notna().all() else np.nan,
                "outside": int((change.abs() > metrics.SEED_BAND).sum()),
            }
        )  # fmt: skip
    found = pd.DataFrame(rows)
    return found.assign(p_holm=metrics.holm(found["p_t"].to_numpy(float)))


def gate(table: pd.DataFrame, floors: Mapping[str, Floors]) -> pd.DataFrame:
    """Weigh AdaSub against CohGate by logistic regression, learnt on the other machines.

    With z_a and z_c the standardised scores, compressed to sign(z) log(1 + |z|), and g the
    logarithm of the machine's median G_m, the score is w_1 z_a + w_2 z_c + w_3 g (z_a - z_c): the
    weights are those that best tell anomalies from normal test clips of all other machines.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    floors : of every machine.

    Returns
    -------
    DataFrame as ``table``, labelled test clips only; no rows with fewer than two such machines.
    """
    from sklearn.linear_model import LogisticRegression

    test = metrics.labelled(table)
    test = test[test["front_end"].isin(GATED) & test["scorer"].isin(COMPARED)]
    g = {m: float(np.log10(np.median(own.transfer).clip(1e-10))) for m, own in floors.items()}
    rows = []
    for (_, _), own in test.groupby(["scorer", "seed"], sort=False):
        parts = [
            own[own["front_end"] == name].sort_values(["machine", "name"], ignore_index=True)
            for name in GATED
        ]
        clips = parts[0]
        z = np.stack([_compressed(part["score"].to_numpy()) for part in parts], 1)
        of_clip = clips["machine"].map(g).to_numpy()
        x = np.column_stack([z, of_clip * (z[:, 0] - z[:, 1])])
        anomalous = clips["label"] == "anomaly"
        for machine in clips["machine"].unique():
            others = clips["machine"] != machine
            if anomalous[others].nunique() < 2:
                return table.head(0)
            learnt = LogisticRegression(class_weight="balanced").fit(x[others], anomalous[others])
            w = learnt.coef_[0]
            near, gated = (
                PerClip(part.loc[~others, "score"], part.loc[~others, "name"]) for part in parts
            )
            a, c = _compressed(near), _compressed(gated)
            score = float(w[0]) * a + float(w[1]) * c + float(w[2]) * g[machine] * (a - c)
            values = [value for _, value in score.items()]
            rows.append(clips[~others].assign(front_end="gate", score=values))
    return pd.concat(rows, ignore_index=True) if rows else table.head(0)


def refusal(champion: pd.DataFrame) -> str:
    """Normalise guarded scores over the test set, as the gate was first meant, and say what comes.

    Returns
    -------
    The sentence of the guard.
    """
    own = champion[champion["split"] == "test"].drop_duplicates("name")
    try:
        normalised_over_test_set(PerClip(own["score"], own["name"]))
    except CrossClipError as error:
        return f"refused by the guard: {error}"
    raise AssertionError("the guard let a normalisation over the test set pass")


def normalised_over_test_set(scores: PerClip) -> PerClip:
    """What the guard is there to refuse: (z - mean) / std over all test clips."""
    return (scores - np.mean(scores)) / np.std(scores)


def _compressed(z):
    return np.sign(z) * np.log1p(np.abs(z))


def _alone_and_fused(rows: pd.DataFrame, champion: pd.DataFrame, name: str) -> list[pd.DataFrame]:
    """An idea that replaces the score, and its mean with the champion's, beside every scoring."""
    alone = pd.concat([rows.assign(front_end=name, scorer=scorer) for scorer in COMPARED])
    return [alone, study.combine([alone, champion], f"{name}_fused")]


def _no_encoder(params: Params, name: str) -> str:
    if params.encoder.folder is None:
        return "no audio encoder was given (encoder: {folder: ...} runs it)"
    if name == "lora" and not params.encoder.lora_rank:
        return "left out (encoder.lora_rank is 0)"
    return "needs at least two machines"
