"""The paper's negative results, run by the same protocol, and how much single choices matter.

Every idea becomes rows of scores like any system's, and is compared with the champion seed by
seed. Notebook: 05_variants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
    found, reasons = [champion], dict[str, str]()
    for name, outcome in _outcomes(params, recordings, table):
        if isinstance(outcome, str):
            reasons |= {own: outcome for own in IDEAS if own in (name, f"{name}_fused")}
            continue
        if name in _REPLACING:
            outcome = pd.concat([outcome.assign(scorer=scorer) for scorer in COMPARED])
            found.append(study.combination([outcome, champion], f"{name}_fused"))
        found.append(outcome.assign(front_end=name))
    reasons["gate_tested"] = gate_refusal(champion)
    return IdeaScores(statistics.of_table(params, pd.concat(found, ignore_index=True)), reasons)


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
    if set(GATED) <= set(table["front_end"]):
        rows = gate_scores(table, study.floors(params, recordings))
        why = "needs normal and anomalous test clips of at least two machines"
        yield "gate", why if rows.empty else rows
    else:
        yield "gate", f"needs {' and '.join(GATED)}, which were not both run"


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
    columns = ["idea", "omega", "omega_std", *_DIFFERENCE, "eq1", "eq1_std"]
    if results.table.empty:
        found = pd.DataFrame({"idea": IDEAS, "verdict": ideas.reasons})
        return found.reindex(columns=columns).reset_index(drop=True)
    found = pd.DataFrame({"idea": {CHAMPION: "the champion", **IDEAS}})
    omegas = results.per_seed.pivot(index="seed", columns=["scorer", "front_end"], values="omega")
    found["omega"], found["omega_std"] = omegas[scorer].mean(), omegas[scorer].std()
    run = [name for name in IDEAS if name not in ideas.reasons]
    paired = results.paired(((name, scorer), (CHAMPION, scorer)) for name in run)
    found = found.join(paired.set_index(paired["system"].str[0])[_DIFFERENCE])
    change = omegas["eq1"].drop(columns=CHAMPION).sub(omegas["eq1", CHAMPION], axis=0)
    found["eq1"], found["eq1_std"] = change.mean(), change.std()
    found["verdict"] = found["verdict"].fillna(pd.Series(ideas.reasons, dtype=object)).fillna("")
    return found[columns].reset_index(drop=True)


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
    """Omega of every step from the official network to ours, and its change at every seed.

    Parameters
    ----------
    results : of the study.

    Returns
    -------
    DataFrame with step, seed, omega and change (against the step before, the same seed); no rows
    where it was not run, or without test clips.
    """
    if variants.lacking(params, "build_up") or results.per_seed.empty:
        return pd.DataFrame(columns=["step", "seed", "omega", "change"])
    omegas = {
        "official baseline, MAHALA": results.omegas(baseline.NAME, "mahala"),
        "eq. 1 in place of MAHALA": results.omegas(baseline.NAME, "eq1"),
    }
    for name, step in variants.build_up(params).items():
        omegas[name] = Results(study.run(step, recordings=recordings)).omegas("near", "eq1")
    found = pd.DataFrame(omegas).rename_axis(columns="step")
    both = {"omega": found.unstack(), "change": found.diff(axis=1).unstack()}
    return pd.DataFrame(both).reset_index()


def build_up_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Mean and std of every step's Omega and change, how many seeds leave the band, and p values.

    Parameters
    ----------
    steps : of :func:`build_up`.

    Returns
    -------
    DataFrame with step, omega, omega_std, most (largest single-seed change), outside (seeds whose
    change leaves the band of seed variance), and the values of
    :func:`asdlib.metrics.paired_difference` to the step before.
    """
    rows = []
    for name, own in steps.groupby("step", sort=False):
        omega, change = own["omega"], own["change"]
        most = change.iloc[np.argmax(change.abs())] if change.notna().all() else np.nan
        row = {"step": name, "omega": omega.mean(), "omega_std": omega.std(), "most": most}
        row["outside"] = int((change.abs() > metrics.SEED_BAND).sum())
        rows.append(row | metrics.paired_difference(change, change * 0))
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
    return (
        pd.DataFrame(found).loc[whole.index].drop(index="eq1").rename_axis("variant").reset_index()
    )


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
    keys = ["scorer", "seed", "machine", "name", "split", "domain", "label"]
    clips = test.pivot(index=keys, columns="front_end", values="score").reset_index()
    parts = []
    for (scorer, seed, machine), own in clips.groupby(keys[:3], sort=False):
        model = clips[(clips["scorer"] == scorer) & (clips["seed"] == seed)]
        others = model[model["machine"] != machine]
        if others["label"].nunique() < 2:
            return table.head(0)
        w = _learnt(others, floors)
        a, c = (_compressed(PerClip(own[name], own["name"])) for name in GATED)
        score = w[0] * a + w[1] * c + w[2] * _transfer(floors[str(machine)]) * (a - c)
        parts.append(own.assign(front_end="gate", score=[value for _, value in score.items()]))
    return pd.concat(parts, ignore_index=True)[list(table.columns)] if parts else table.head(0)


def _learnt(clips: pd.DataFrame, floors: Mapping[str, Floors]) -> list[float]:
    """Weights w_1, w_2 and w_3 from labelled clips."""
    from sklearn.linear_model import LogisticRegression

    z = _compressed(clips[list(GATED)].to_numpy())
    g = clips["machine"].map({name: _transfer(own) for name, own in floors.items()}).to_numpy()
    x = np.column_stack([z, g * (z[:, 0] - z[:, 1])])
    learnt = LogisticRegression(class_weight="balanced").fit(x, clips["label"] == "anomaly")
    return [float(w) for w in learnt.coef_[0]]


def _transfer(floors: Floors) -> float:
    """g, the logarithm of the median G_m."""
    return float(np.log10(np.median(floors.transfer).clip(1e-10)))


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
