"""The paper's negative results, run by the same protocol, and how much single choices matter.

Every idea becomes rows of scores like any system's, and is compared with the champion seed by
seed. Notebook: 05_variants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from asdlib import metrics, study
from asdlib.compare import statistics
from asdlib.compare.statistics import Results
from asdlib.guard import CrossClipError, PerClip
from asdlib.noise import Floors
from asdlib.params import Params
from asdlib.study import baseline, variants
from asdlib.study.detectors import BOTTLENECK
from asdlib.study.recordings import Recordings
from asdlib.study.variants import CHAMPION, COMPARED

GATED = (CHAMPION, "cohgate")
"""Front-ends that the learnt gate weighs."""
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
"""Those that replace the score are also joined with the champion's."""
_DIFFERENCE = ["mean", "std", "p_t", "low", "high", "verdict"]  # of a pair


def idea_scores(
    params: Params, recordings: Recordings, table: pd.DataFrame
) -> tuple[Results, dict[str, str]]:
    """Score every idea that these parameters ask for.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.

    Returns
    -------
    Results of the champion and every idea that was run, and one sentence for every other idea.
    front_end is the idea. scorer is the scoring of the idea's residuals; an idea that replaces the
    score is listed under every scoring of the champion, to be compared with it.
    """
    why = variants.lacking(params, "champion")
    if why or not (table["split"] == "test").any():
        return Results(table.head(0)), dict.fromkeys(IDEAS, why or "needs test clips")
    champion = table[(table["front_end"] == CHAMPION) & table["scorer"].isin(COMPARED)]
    found, reasons = [champion], {"gate_tested": gate_refusal(champion)}
    for name, outcome in _outcomes(params, recordings, table):
        if isinstance(outcome, str):
            reasons |= {own: outcome for own in IDEAS if own in (name, f"{name}_fused")}
            continue
        if f"{name}_fused" in IDEAS:
            outcome = pd.concat([outcome.assign(scorer=scorer) for scorer in COMPARED])
            found.append(study.combination([outcome, champion], f"{name}_fused"))
        found.append(outcome.assign(front_end=name))
    return statistics.of_table(params, pd.concat(found, ignore_index=True)), reasons


def _outcomes(
    params: Params, recordings: Recordings, table: pd.DataFrame
) -> Iterator[tuple[str, pd.DataFrame | str]]:
    """Scores of every idea, or the reason why there are none."""
    for name in variants.OBJECTIVES:
        why = variants.lacking(params, name)
        yield name, why or study.run(variants.objective(params, name), recordings=recordings)
    why = variants.lacking(params, "bottleneck")
    rows = table if why else study.run(variants.bottleneck(params), recordings=recordings)
    for name in BOTTLENECK:
        yield name, why or rows[rows["scorer"] == name]
    rows = study.beside(params, recordings, "exposure").reindex(columns=table.columns)
    rows = rows[rows["seed"].isin(params.seeds)]
    for name in ("exposure", "lora"):
        own = rows[rows["front_end"] == name]
        why = "was not run with these seeds (studies/exposure.py, which needs an audio encoder)"
        yield name, own if set(own["seed"]) == {*params.seeds} else why
    run = set(GATED) <= set(table["front_end"])
    rows = gate_scores(table, study.floors(params, recordings)) if run else table.head(0)
    why = "with normal and anomalous test clips of at least two machines"
    yield "gate", f"needs {' and '.join(GATED)}, {why}" if rows.empty else rows


def against_champion(results: Results, reasons: Mapping[str, str]) -> pd.DataFrame:
    """Compare every idea with the champion, under the same scoring, seed by seed.

    Parameters
    ----------
    results, reasons : of :func:`idea_scores`.

    Returns
    -------
    DataFrame with idea (the first is the champion) and verdict; omega and omega_std (of seeds,
    under the champion's scoring); mean, std, p_t, low and high of the paired difference (see
    :meth:`asdlib.compare.statistics.Results.paired`); eq1 and eq1_std, the difference under eq. 1
    of the paper.
    NaN where an idea was not run: the verdict is the reason.
    """
    found = pd.DataFrame({"idea": {CHAMPION: "the champion", **IDEAS}})
    omegas, by_eq1 = (
        pd.DataFrame({name: results.omegas(name, scorer) for name in found.index})
        for scorer in COMPARED
    )
    found["omega"], found["omega_std"] = omegas.mean(), omegas.std()
    run = [name for name in IDEAS if name not in reasons]
    paired = results.paired(((name, COMPARED[0]), (CHAMPION, COMPARED[0])) for name in run)
    found = found.join(paired.set_index(paired["system"].str[0])[_DIFFERENCE])
    change = by_eq1.drop(columns=CHAMPION).sub(by_eq1[CHAMPION], axis=0)
    found["eq1"], found["eq1_std"] = change.mean(), change.std()
    found["verdict"] = found["verdict"].fillna(pd.Series(reasons, dtype=object)).fillna("")
    return found.reset_index(drop=True)


def every_scoring(params: Params, recordings: Recordings, results: Results) -> Results:
    """Results of the study with the other scores and objectives of its autoencoders among them.

    Parameters
    ----------
    results : of the study.
    """
    run, found = set(results.table["scorer"]), [results.table]
    if not variants.lacking(params, "rescored"):
        table = study.run(variants.rescored(params), recordings=recordings)
        found.append(table[~table["scorer"].isin(run)])
    for name in variants.OBJECTIVES:
        if not variants.lacking(params, name):
            table = study.run(variants.objective(params, name), recordings=recordings)
            found.append(table.assign(front_end=name))
    return statistics.of_table(params, pd.concat(found, ignore_index=True))


def build_up(params: Params, recordings: Recordings, results: Results) -> pd.DataFrame:
    """Omega of every step from the official network to ours.

    Parameters
    ----------
    results : of the study.

    Returns
    -------
    DataFrame with a row per seed and a column per step; empty where it was not run, or without test
    clips.
    """
    if variants.lacking(params, "build_up") or results.per_seed.empty:
        return pd.DataFrame()
    omegas = {
        "official baseline, MAHALA": results.omegas(baseline.NAME, "mahala"),
        "eq. 1 of the paper in place of MAHALA": results.omegas(baseline.NAME, "eq1"),
    }
    for name, step in variants.build_up(params).items():
        omegas[name] = Results(study.run(step, recordings=recordings)).omegas("near", "eq1")
    return pd.DataFrame(omegas)


def build_up_steps(omegas: pd.DataFrame) -> pd.DataFrame:
    """Omega and change of every step, how many seeds leave the band, and p values.

    Parameters
    ----------
    omegas : of :func:`build_up`.

    Returns
    -------
    DataFrame with step, omega and omega_std (over seeds), most (largest single-seed change to the
    step before), outside (seeds whose change leaves the band of seed variance), and the values of
    :func:`asdlib.metrics.paired_difference` to the step before.
    """
    rows = []
    for name, change in omegas.diff(axis=1).items():
        most = change.iloc[np.argmax(change.abs())] if change.notna().all() else np.nan
        row = {"step": name, "omega": omegas[name].mean(), "omega_std": omegas[name].std()}
        row |= {"most": most, "outside": int((change.abs() > metrics.SEED_BAND).sum())}
        rows.append(row | metrics.paired_difference(change, change * 0))
    return pd.DataFrame(rows)


def sensitivity(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Change of Omega when one choice of the champion's front-end and eq. 1 of the paper changes.

    Returns
    -------
    DataFrame with variant, mean and std (paired per-seed differences to the frozen defaults) and
    ensemble (difference of the ensembles); no rows where the front-end was not run under eq. 1
    of the paper.
    """
    if variants.lacking(params, "rescored"):
        return pd.DataFrame(columns=["variant", "mean", "std", "ensemble"])
    table = study.run(variants.rescored(params), recordings=recordings)
    tables = [table.assign(front_end=table["scorer"])]
    others = {"gamma_normal": variants.gamma_normal(params)}
    if "per_band" in params.extras:
        others["per_band"] = variants.per_band(params)
    for name, own in others.items():
        table = study.run(own, recordings=recordings)
        tables.append(table[table["scorer"] == "eq1"].assign(front_end=name))
    results = Results(pd.concat(tables, ignore_index=True).assign(scorer="eq1"))
    omegas = results.per_seed.pivot(index="seed", columns="front_end", values="omega")
    change = omegas.sub(omegas["eq1"], axis=0)
    whole = results.ensembles.set_index("front_end")["omega"]
    found = {"mean": change.mean(), "std": change.std(), "ensemble": whole - whole["eq1"]}
    kept = pd.DataFrame(found).loc[whole.index.drop("eq1")]
    return kept.rename_axis("variant").reset_index()


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
    from sklearn.linear_model import LogisticRegression

    test = metrics.labelled(table)
    test = test[test["front_end"].isin(GATED) & test["scorer"].isin(COMPARED)]
    keys = ["scorer", "seed", "machine", "name", "split", "domain", "label"]
    clips = test.pivot(index=keys, columns="front_end", values="score").reset_index()
    a, c = (np.sign(clips[name]) * np.log1p(np.abs(clips[name])) for name in GATED)
    g = {name: np.log10(np.median(own.transfer).clip(1e-10)) for name, own in floors.items()}
    by_transfer = clips["machine"].map(g).astype(float) * (a - c)
    clips, parts = clips.assign(a=a, c=c, by_transfer=by_transfer), []
    for (scorer, seed, machine), own in clips.groupby(keys[:3], sort=False):
        model = clips[(clips["scorer"] == scorer) & (clips["seed"] == seed)]
        others = model[model["machine"] != machine]
        if others["label"].nunique() < 2:
            return table.head(0)
        learnt = LogisticRegression(class_weight="balanced")
        learnt.fit(others[["a", "c", "by_transfer"]].to_numpy(), others["label"] == "anomaly")
        w, (a, c) = learnt.coef_[0], (PerClip(own[z], own["name"]) for z in "ac")
        score = w[0] * a + w[1] * c + w[2] * g[str(machine)] * (a - c)
        parts.append(own.assign(front_end="gate", score=[value for _, value in score.items()]))
    return pd.concat(parts, ignore_index=True)[list(table.columns)] if parts else table.head(0)


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
