"""The paper's negative results, run by the same protocol, and how much single choices matter.

Every idea becomes rows of scores like any system's, and is compared with the champion seed by
seed. Notebooks: 06_rescoring, 07_negative_results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from asdlib import metrics, study
from asdlib.compare import statistics
from asdlib.compare.statistics import Results
from asdlib.guard import CrossClipError, PerClip
from asdlib.noise import Floors
from asdlib.params import Params
from asdlib.study import baseline, exposure, variants
from asdlib.study.detectors import BOTTLENECK
from asdlib.study.recordings import Recordings
from asdlib.study.variants import CHAMPION, COMPARED

GATED = (CHAMPION, "cohgate")
"""Front-ends that the learnt gate weighs."""
_REPLACING = {  # the score: alone, and joined with the champion's
    "flow": "flow on the bottleneck",
    "knn": "nearest neighbours at the bottleneck",
    "exposure": "outlier exposure, frozen encoder",
    "lora": "outlier exposure, LoRA",
}
IDEAS = {
    "interpolate": "objective: predict the middle frame from the other four",
    "denoise": "objective: reconstruct the denoised frame from a noisier one",
    **{
        f"{name}{end}": title + said
        for name, title in _REPLACING.items()
        for end, said in (("", ""), ("_fused", ", with the champion"))
    },
    "gate": "gate of AdaSub and CohGate, leave-one-machine-out",
    "gate_tested": "gate of AdaSub and CohGate, normalised over the test set",
}
_DIFFERENCE = ["mean", "std", "p_t", "low", "high", "verdict"]  # of a pair

Outcome = tuple[str, pd.DataFrame | str]
"""An idea, and its scores or the reason why there are none."""


@dataclass(frozen=True)
class IdeaScores:
    """Ideas that were run, and why the others were not.

    Attributes
    ----------
    results : of the champion and every idea that was run; front_end is the idea. scorer is the
        scoring of the idea's residuals; an idea that replaces the score is listed under every
        scoring of the champion, to be compared with it.
    reasons : one sentence for every idea that was not run.
    """

    results: Results
    reasons: dict[str, str]


def idea_scores(params: Params, recordings: Recordings, table: pd.DataFrame) -> IdeaScores:
    """Score every idea that these parameters ask for.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    """
    why = variants.lacking(params, "champion")
    if why or not (table["split"] == "test").any():
        return IdeaScores(Results(table.head(0)), dict.fromkeys(IDEAS, why or "needs test clips"))
    champion = table[(table["front_end"] == CHAMPION) & table["scorer"].isin(COMPARED)]
    found, reasons = [champion], {}
    for name, outcome in _outcomes(params, recordings, table, champion):
        if isinstance(outcome, str):
            reasons[name] = outcome
        else:
            found.append(outcome.assign(front_end=name))
    return IdeaScores(statistics.of_table(params, pd.concat(found, ignore_index=True)), reasons)


def _outcomes(
    params: Params, recordings: Recordings, table: pd.DataFrame, champion: pd.DataFrame
) -> Iterator[Outcome]:
    for name in variants.OBJECTIVES:
        why = variants.lacking(params, name)
        yield name, why or study.run(variants.objective(params, name), recordings=recordings)
    why = variants.lacking(params, "bottleneck")
    rows = table if why else study.run(variants.bottleneck(params), recordings=recordings)
    for name in BOTTLENECK:
        yield from _alone_and_fused(name, why or rows[rows["scorer"] == name], champion)
    rows = exposure.scores(params, recordings)
    for name in ("exposure", "lora"):
        own = rows[rows["front_end"] == name]
        why = _no_encoder(params, name) if own.empty else ""
        yield from _alone_and_fused(name, why or own, champion)
    yield "gate", _gate(params, recordings, table)
    yield "gate_tested", gate_refusal(champion)


def _alone_and_fused(
    name: str, outcome: pd.DataFrame | str, champion: pd.DataFrame
) -> Iterator[Outcome]:
    """An idea that replaces the score, and its mean with the champion's, under every scoring."""
    fused = f"{name}_fused"
    if isinstance(outcome, str):
        yield from ((name, outcome), (fused, outcome))
        return
    alone = pd.concat([outcome.assign(scorer=scorer) for scorer in COMPARED])
    yield from ((name, alone), (fused, study.combination([alone, champion], fused)))


def _no_encoder(params: Params, name: str) -> str:
    """Say why an idea that needs the audio encoder has no scores."""
    if params.encoder.folder is None:
        return "no audio encoder was given (encoder: {folder: ...} runs it)"
    if name == "lora" and not params.encoder.lora_rank:
        return "left out (encoder.lora_rank is 0)"
    return "needs at least two machines"


def against_champion(ideas: IdeaScores) -> pd.DataFrame:
    """Compare every idea with the champion, under the same scoring, seed by seed.

    Returns
    -------
    DataFrame with idea and verdict; omega and omega_std (of seeds, under the champion's scoring);
    mean, std, p_t, low and high of the paired difference (see
    :meth:`asdlib.compare.statistics.Results.paired`); eq1 and eq1_std, the difference under eq. 1.
    NaN where an idea was not run: the verdict is the reason.
    """
    results, scorer = ideas.results, COMPARED[0]
    run = [name for name in IDEAS if name not in ideas.reasons]
    paired = results.paired(((name, scorer), (CHAMPION, scorer)) for name in run)
    records = paired[_DIFFERENCE].to_dict("records")
    differences: dict[str, Any] = dict(zip(run, records, strict=True))
    rows: list[dict[str, Any]] = []
    for name, title in {CHAMPION: "the champion", **IDEAS}.items():
        row: dict[str, Any] = {"idea": title, "verdict": ideas.reasons.get(name, "")}
        if name not in ideas.reasons and len(results.table):
            own = results.row(name, scorer)
            row |= {"omega": own["mean"], "omega_std": own["std"]}
        if name in differences:
            pair = (results.omegas(front_end, "eq1") for front_end in (name, CHAMPION))
            plain = metrics.paired_difference(*pair)
            row |= {**differences[name], "eq1": plain["mean"], "eq1_std": plain["std"]}
        rows.append(row)
    order = ["idea", "omega", "omega_std", *_DIFFERENCE, "eq1", "eq1_std"]
    return pd.DataFrame(rows if len(results.table) else rows[1:]).reindex(columns=order)


def build_up(params: Params, recordings: Recordings, results: Results) -> pd.DataFrame:
    """Omega of every step from the official network to ours, and its change at every seed.

    Parameters
    ----------
    results : of the study.

    Returns
    -------
    DataFrame with step, seed, omega and change (against the step before, the same seed); no rows
    where it was not run, or without test clips.
    """
    nothing = pd.DataFrame(columns=["step", "seed", "omega", "change"])
    if variants.lacking(params, "build_up"):
        return nothing
    omegas = {
        "official baseline, MAHALA": results.omegas(baseline.NAME, "mahala"),
        "eq. 1 in place of MAHALA": results.omegas(baseline.NAME, "eq1"),
    }
    if not all(len(omega) for omega in omegas.values()):  # no test clip
        return nothing
    for name, step in variants.build_up(params).items():
        own = Results(study.run(step, recordings=recordings))
        omegas[name] = own.omegas("near", "eq1")
    before, parts = pd.Series(dtype=float), []
    for name, omega in omegas.items():
        change = (omega - before).reindex(omega.index)
        parts.append(pd.DataFrame({"step": name, "omega": omega, "change": change}))
        before = omega
    return pd.concat(parts).reset_index()[["step", "seed", "omega", "change"]]


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


def sensitivity(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Change of Omega when one choice of the champion's front-end and eq. 1 changes.

    Returns
    -------
    DataFrame with variant, mean and std (paired per-seed differences to the frozen defaults) and
    ensemble (difference of the ensembles); no rows where the front-end was not run under eq. 1.
    """
    if variants.lacking(params, "rescored"):
        return pd.DataFrame(columns=["variant", "mean", "std", "ensemble"])
    rescored = variants.rescored(params)
    base = Results(study.run(rescored, recordings=recordings))
    varied = [(name, base, name) for name in rescored.scorers if name != "eq1"]
    others = {"gamma_normal": variants.gamma_normal(params)}
    if "per_band" in params.extras:
        others["per_band"] = variants.per_band(params)
    for name, own in others.items():
        varied.append((name, Results(study.run(own, recordings=recordings)), "eq1"))
    rows = []
    for name, results, scorer in varied:
        pair = (results.omegas(CHAMPION, scorer), base.omegas(CHAMPION, "eq1"))
        paired = metrics.paired_difference(*pair)
        whole = results.row(CHAMPION, scorer)["ensemble"] - base.row(CHAMPION, "eq1")["ensemble"]
        rows.append([name, paired["mean"], paired["std"], whole])
    return pd.DataFrame(rows, columns=["variant", "mean", "std", "ensemble"])


def _gate(params: Params, recordings: Recordings, table: pd.DataFrame) -> pd.DataFrame | str:
    """Scores of the learnt gate, or why there are none."""
    if not set(GATED) <= set(table["front_end"]):
        return f"needs {' and '.join(GATED)}, which were not both run"
    rows = gate_scores(table, study.floors(params, recordings))
    return "needs normal and anomalous test clips of at least two machines" if rows.empty else rows


def gate_scores(table: pd.DataFrame, floors: Mapping[str, Floors]) -> pd.DataFrame:
    """Score every machine by a gate of AdaSub and CohGate, learnt on the other machines' labels.

    With z_a and z_c the standardised scores of AdaSub and CohGate, compressed to
    sign(z) log(1 + abs(z)), and g the logarithm of the machine's median G_m, the score is
    w_1 z_a + w_2 z_c + w_3 g (z_a - z_c): the weights are those that best tell anomalies from
    normal test clips of all other machines. The paper found that such a gate pays only after a
    normalisation over the test set, which the guard refuses.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    floors : of every machine.

    Returns
    -------
    DataFrame as ``table``, labelled test clips only; no rows with fewer than two such machines.
    """
    test = metrics.labelled(table)
    test = test[test["front_end"].isin(GATED) & test["scorer"].isin(COMPARED)]
    g = {m: float(np.log10(np.median(own.transfer).clip(1e-10))) for m, own in floors.items()}
    parts = []
    for _, model in test.groupby(["scorer", "seed"], sort=False):
        adasub, cohgate = (
            model[model["front_end"] == name].sort_values(["machine", "name"], ignore_index=True)
            for name in GATED
        )
        for machine in adasub["machine"].unique():
            own = adasub["machine"] == machine
            if adasub.loc[~own, "label"].nunique() < 2:
                return table.head(0)
            weights = _learnt(adasub[~own], cohgate[~own], g)
            a, c = (
                _compressed(PerClip(z[own]["score"], z[own]["name"])) for z in (adasub, cohgate)
            )
            gated = weights[0] * a + weights[1] * c + weights[2] * g[machine] * (a - c)
            parts.append(adasub[own].assign(score=[value for _, value in gated.items()]))
    return pd.concat(parts, ignore_index=True) if parts else table.head(0)


def _learnt(adasub: pd.DataFrame, cohgate: pd.DataFrame, g: Mapping[str, float]) -> list[float]:
    """Weights w_1, w_2 and w_3 from the same labelled clips under both front-ends."""
    from sklearn.linear_model import LogisticRegression

    z = np.stack([_compressed(part["score"].to_numpy()) for part in (adasub, cohgate)], 1)
    x = np.column_stack([z, adasub["machine"].map(g).to_numpy() * (z[:, 0] - z[:, 1])])
    learnt = LogisticRegression(class_weight="balanced").fit(x, adasub["label"] == "anomaly")
    return [float(w) for w in learnt.coef_[0]]


def _compressed(z):
    return np.sign(z) * np.log1p(np.abs(z))


def gate_refusal(champion: pd.DataFrame) -> str:
    """Normalise guarded scores over the test set, as the gate was first meant.

    Parameters
    ----------
    champion : rows of :func:`asdlib.study.run` with test clips.

    Returns
    -------
    The sentence with which the guard refuses.
    """
    test = champion[champion["split"] == "test"].drop_duplicates("name")
    scores = PerClip(test["score"], test["name"])
    try:
        (scores - np.mean(scores)) / np.std(scores)
    except CrossClipError as error:
        return f"refused by the guard: {error}"
    raise AssertionError("the guard let a normalisation over the test set pass")
