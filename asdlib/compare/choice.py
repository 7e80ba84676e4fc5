"""Which front-end helps a detector, and which one to choose for a machine without its labels.

Everything is judged on the table of a study. Notebook: 08_phase.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from asdlib import dataset, metrics
from asdlib.compare import systems
from asdlib.frontends import unpredicted
from asdlib.params import Params
from asdlib.spectra import power, stft
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit


def judge(table: pd.DataFrame, per_seed: pd.DataFrame, against: str = "adasub") -> pd.DataFrame:
    """Every front-end under every scorer, and its paired difference to one of them.

    Parameters
    ----------
    table : of :func:`asdlib.study.run`.
    per_seed : its :func:`asdlib.compare.systems.summary`.

    Returns
    -------
    DataFrame with scorer, front_end, omega and std over seeds, ensemble, auc_source, auc_target and
    pauc (of the ensemble), mean, p_holm, low and high of the paired difference of Omega.
    """
    rows = []
    for scorer in per_seed["scorer"].unique():
        names = per_seed.loc[per_seed["scorer"] == scorer, "front_end"].unique()
        pairs = [((n, scorer), (against, scorer)) for n in names if n != against]
        paired = systems.paired(per_seed, pairs, table)
        found = {system[0]: row for system, (_, row) in zip(paired["system"], paired.iterrows(),
                                                            strict=True)}  # fmt: skip
        for name in names:
            own = per_seed[(per_seed["front_end"] == name) & (per_seed["scorer"] == scorer)]
            whole = own[own["seed"] == "ensemble"].iloc[0]
            values = systems.row(per_seed, name, scorer)
            pair: Any = found.get(name, {})
            rows.append(
                {"scorer": scorer, "front_end": name, "omega": values["mean"],
                 "std": values["std"], "ensemble": values["ensemble"],
                 **{k: whole[k] for k in ("auc_source", "auc_target", "pauc")},
                 **{k: pair.get(k, np.nan) for k in ("mean", "p_holm", "low", "high")}}
            )  # fmt: skip
    return pd.DataFrame(rows)


def per_machine(table: pd.DataFrame, scorer: str) -> pd.DataFrame:
    """Omega of every front-end's ensemble on every machine with labels, under one scorer.

    Returns
    -------
    DataFrame indexed by machine, a column per front-end.
    """
    known = metrics.labelled(table[table["scorer"] == scorer])
    columns = {
        name: metrics.evaluate(systems.ensemble(rows))["omega"]
        for name, rows in known.groupby("front_end", sort=False)
    }
    return pd.DataFrame(columns)


def features(params: Params, recordings: Recordings) -> pd.DataFrame:
    """What training-normal clips tell about a machine, without a label.

    Returns
    -------
    DataFrame indexed by machine: ``explained``, the share of near power in dB that the clips'
    own complex filters take away; ``transfer``, 10 log10 of the median G_m; ``steadiness``, the
    quiet floor of the near channel against its mean power, in dB, median over bins.
    """
    rows = {}
    for machine in recordings.machines:
        floors = Unit(params, machine, "near", recordings.clips(machine)).floors()
        near, left = np.zeros(len(floors.near)), np.zeros(len(floors.near))
        train = recordings.clips(machine, "train")
        for path in train["path"]:
            spectrum = stft(dataset.read(path, params.spectra), params.spectra)
            near += power(spectrum[0]).mean(-1)
            left += power(unpredicted(spectrum, params.denoising)).mean(-1)
        rows[machine] = {
            "explained": float(_db(near.sum() / left.sum())),
            "transfer": float(_db(np.median(floors.transfer))),
            "steadiness": float(np.median(_db(floors.near * len(train) / near))),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def choose(
    omegas: pd.DataFrame, known: pd.DataFrame, default: str = "adasub"
) -> tuple[pd.Series, dict[str, str]]:
    """Choose a front-end for every machine by a rule that was learnt on the other machines.

    A rule is a feature, a limit between two of the other machines' values, and a front-end on
    either side; the one with the highest mean Omega there is taken, the simplest (one front-end
    for all) first. The machine's own labels and values of Omega are never looked at.

    Parameters
    ----------
    omegas : machine by front-end, of :func:`per_machine`.
    known : of :func:`features`.
    default : taken where nothing can be learnt: with fewer than three machines.

    Returns
    -------
    chosen : front-end per machine.
    rules : what each was chosen by, in words.
    """
    chosen, rules = {}, {}
    for machine in omegas.index:
        others = omegas.drop(index=machine)
        if len(others) < 2 or others.isna().any(axis=None):
            chosen[machine], rules[machine] = default, "nothing to learn from"
            continue
        best = others.mean().idxmax()
        value, chosen[machine], rules[machine] = others[best].mean(), best, f"always {best}"
        for name in known.columns:
            values = np.unique(known.loc[others.index, name])
            for limit in (values[1:] + values[:-1]) / 2:
                above = known.loc[others.index, name] > limit
                sides = [others[above].mean().idxmax(), others[~above].mean().idxmax()]
                gained = others.loc[above, sides[0]].sum() + others.loc[~above, sides[1]].sum()
                if gained / len(others) > value + 1e-12:
                    value = gained / len(others)
                    high = known.loc[machine, name] > limit
                    chosen[machine] = sides[0] if high else sides[1]
                    rules[machine] = f"{name} > {limit:.2f}: {sides[0]}, else {sides[1]}"
    return pd.Series(chosen, name="front_end"), rules


def by_rule(table: pd.DataFrame, chosen: pd.Series, scorer: str = "eq1") -> float:
    """Omega of an ensemble that takes each machine's chosen front-end; scores pass the guard."""
    rows = metrics.labelled(table[table["scorer"] == scorer])
    picked = rows[rows["machine"].map(chosen) == rows["front_end"]]
    return metrics.omega(metrics.evaluate(systems.ensemble(picked)))


def rules(table: pd.DataFrame, known: pd.DataFrame, scorer: str = "eq1") -> pd.DataFrame:
    """Rule, best fixed choice, always-AdaSub and label oracle, over all machines with labels.

    Returns
    -------
    DataFrame with choice, omega and what was taken per machine; no rows where Omega is unknown.
    """
    omegas = per_machine(table, scorer)
    if len(omegas) == 0 or omegas.isna().any(axis=None) or "adasub" not in omegas:
        return pd.DataFrame(columns=["choice", "omega", "taken"])
    fixed_ones = {n: by_rule(table, pd.Series(n, omegas.index), scorer) for n in omegas}
    best = max(fixed_ones, key=lambda name: fixed_ones[name])
    chosen, _ = choose(omegas, known)
    choices = {
        "always AdaSub": pd.Series("adasub", omegas.index),
        f"best fixed choice, by labels ({best})": pd.Series(best, omegas.index),
        "rule, leave-one-machine-out": chosen,
        "label oracle per machine": omegas.idxmax(axis=1),
    }
    return pd.DataFrame(
        [
            {"choice": name, "omega": by_rule(table, taken, scorer),
             "taken": ", ".join(f"{m}: {f}" for m, f in taken.items())}
            for name, taken in choices.items()
        ]
    )  # fmt: skip


def _db(ratio: Any) -> Any:
    return 10 * np.log10(np.maximum(ratio, 1e-16))
