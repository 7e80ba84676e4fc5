"""Sentences with measured values in them: data in, MyST text out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from asdlib.clipstats import VIEWS
from asdlib.compare.systems import CHAMPION
from asdlib.guard import PerClip
from asdlib.params import AsdError, Params
from asdlib.report.tables import escape, plus_minus
from asdlib.runtime.errors import form, plural


def transfer_error(table: pd.DataFrame) -> str:
    """Return the machines whose noise transfer is estimated best and worst.

    Parameters
    ----------
    table : columns machine and ``median error (dB)``.
    """
    error = table.set_index("machine")["median error (dB)"].dropna()
    return (
        f"The estimate comes closest to the truth for {escape(str(error.idxmin()))} "
        f"({error.min():.1f} dB) and differs most for {escape(str(error.idxmax()))} "
        f"({error.max():.1f} dB)."
    )


def snr_gain(table: pd.DataFrame) -> str:
    """Return the front-end that gains most, and the machines that gain most and least.

    Parameters
    ----------
    table : gain in dB, a column per front-end beside ``machine``.
    """
    gains = table.set_index("machine")
    mean, best = gains.mean(), gains.max(axis=1)
    return (
        f"{mean.idxmax()} has the highest gain on average ({mean.max():+.1f} dB). With the best "
        f"front-end of each machine, the gain is highest for {escape(str(best.idxmax()))} "
        f"({best.max():+.1f} dB) and lowest for {escape(str(best.idxmin()))} "
        f"({best.min():+.1f} dB)."
    )


def retained(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return the front-ends that preserve the anomaly best and worst relative to the noise.

    Parameters
    ----------
    table : of :func:`asdlib.measure.removal.overall`.
    names : what each front-end is called.
    """
    mean = table.groupby("front_end")["difference"].mean()
    most, least = str(mean.idxmax()), str(mean.idxmin())
    return (
        "Relative to the noise, and on average over machines, the anomaly is preserved best after "
        f"{names[most]} ({mean[most]:+.1f} dB) and worst after {names[least]} "
        f"({mean[least]:+.1f} dB). In {(table['difference'] < 0).sum()} of {len(table)} pairs of "
        "machine and front-end, more anomaly than noise is removed."
    )


def retained_band(what: str, row: pd.Series, names: Mapping[str, str]) -> str:
    """Return what one front-end removes in one band.

    Parameters
    ----------
    what : the words that the sentence begins with.
    row : of :func:`asdlib.measure.removal.extremes`.
    names : what each front-end is called.
    """
    return (
        f"{what} relative to the noise, of the bands that hold the anomaly: {row['band']} kHz of "
        f"{escape(row['machine'])} after {names[row['front_end']]}. This band holds "
        f"{100 * row['share']:.0f} % of the anomaly; {row['anomaly']:.1f} dB of the anomaly and "
        f"{row['noise']:.1f} dB of the noise are removed."
    )


def seeds(params: Params, scorer: str) -> str:
    """Return how many seeds a scorer's values are taken over.

    >>> seeds(Params(seeds=(0, 1)), "eq1"), seeds(Params(), "pmsd")
    ('2 seeds', 'no seed')
    """
    if scorer in VIEWS:
        return "no seed"
    return f"{len(params.seeds)} seed{'s' * (len(params.seeds) != 1)}"


def training(params: Params) -> str:
    """Return the size of the autoencoders and of their training.

    >>> training(Params())
    'width 512, 4 residual blocks, 100 epochs, batches of 256, 10 seeds'
    """
    a, t = params.autoencoder, params.training
    return (
        f"width {a.width}, {plural(a.blocks, 'residual block')}, {plural(t.epochs, 'epoch')}, "
        f"batches of {t.batch_size}, {seeds(params, 'eq1')}"
    )


def ladder_change(table: pd.DataFrame) -> str:
    """Return the change of Omega from the first autoencoder to the paper's champion.

    Parameters
    ----------
    table : of :func:`asdlib.compare.findings.ladder`.
    """
    rows = table.set_index(["front_end", "scorer"])
    first: Any = rows.loc[("near", "eq1")]
    last: Any = rows.loc[CHAMPION]
    if not np.isfinite(last["mean"] - first["mean"]):
        return "The change from the first autoencoder to the champion cannot be computed here."
    return (
        f"From {first['system']} to the champion the seed mean changes by "
        f"{last['mean'] - first['mean']:+.4f} here; the paper has "
        f"{last['reported mean'] - first['reported mean']:+.4f}."
    )


def squared_error(changes: pd.DataFrame) -> str:
    """Return what the mean squared error gains on eq. 1, and how much of it a ridge explains.

    Parameters
    ----------
    changes : of :func:`asdlib.compare.negative.sensitivity`.
    """
    known = changes.set_index("variant")["mean"].dropna() if len(changes) else pd.Series()
    if not {"mse", "ridge_1", "alpha_1"} <= set(known.index):
        return "The mean squared error was not compared with eq. 1 here."
    better = "higher" if known["mse"] > 0 else "not higher"
    names = [name for name in known.index if name.startswith("ridge_")]
    ridges = ", ".join(f"{known[name]:+.3f}" for name in names)
    sizes = ", ".join(name.removeprefix("ridge_") for name in names)
    return (
        f"On average over seeds the mean squared error is {better} than eq. 1 here: "
        f"{known['mse']:+.3f}. A larger ridge changes $\\Omega$ by {ridges} ({sizes} times the "
        f"mean variance), and the energy alone ($\\alpha = 1$) by {known['alpha_1']:+.3f}."
    )


def stack_change(steps: pd.DataFrame, given: Sequence[float]) -> str:
    """Return the change of Omega by all re-scorings together.

    Parameters
    ----------
    steps : of :func:`asdlib.compare.findings.steps`.
    given : the reported Omega of the ensemble, before and after.
    """
    measured = steps.set_index("scorer") if len(steps) else steps
    if not {"eq1", "s1"} <= set(measured.index) or measured["omega"].isna().any():
        return "The change by all re-scorings together cannot be computed here."
    first: Any = measured.loc["eq1"]
    last: Any = measured.loc["s1"]
    return (
        "Here all re-scorings together change the ensemble's $\\Omega$ by "
        f"{last['omega'] - first['omega']:+.4f} and the seed mean by "
        f"{plus_minus(last['difference'], last['difference_std'])}; the paper has "
        f"{given[-1] - given[0]:+.4f} for the ensemble."
    )


def ideas(compared: pd.DataFrame) -> str:
    """Return how many ideas help, harm, or allow no robust statement.

    Parameters
    ----------
    compared : of :func:`asdlib.compare.negative.against_champion`, the ideas that were run.
    """
    if compared.empty:
        return "No idea was run here."
    counts = compared["verdict"].value_counts()
    helps, harms = int(counts.get("helps", 0)), int(counts.get("harms", 0))
    return (
        f"Of {plural(len(compared), 'idea')} that {form(len(compared), 'was', 'were')} run, in "
        f"place of the champion {helps or 'none'} {form(helps, 'helps', 'help')} and "
        f"{harms or 'none'} {form(harms, 'harms', 'harm')}."
    )


def alarms(found: pd.DataFrame, rate: float) -> str:
    """Return which rules raise more false alarms than they promise, and which do not.

    Parameters
    ----------
    found : of :func:`asdlib.compare.alarms.by_domain`.
    rate : the wanted share of false alarms.
    """
    normal = found[found["label"] == "normal"] if len(found) else found
    if normal.empty:
        return "How often normal clips are alarms cannot be counted here."
    told: dict[str, list[str]] = {}
    for row in normal.to_dict("records"):
        side = "more" if row["low"] > rate else "fewer" if row["high"] < rate else "agree"
        told.setdefault(side, []).append(
            f"{row['system']} by the rule '{row['rule']}' in the {row['domain']} domain "
            f"({row['share']:.0%})"
        )
    words = {
        "more": f"More false alarms than the wanted {rate:.0%}, beyond chance",
        "agree": f"In agreement with {rate:.0%}",
        "fewer": f"Fewer than {rate:.0%}, beyond chance",
    }
    return " ".join(f"{words[side]}: {', '.join(told[side])}." for side in words if side in told)


def enough(curve: pd.DataFrame) -> str:
    """Return what more normal recordings bring.

    Parameters
    ----------
    curve : of :func:`asdlib.monitor.evaluation.enough`.
    """
    told, shares = [], []
    for _, row in curve.iloc[[0, -1] if len(curve) > 1 else [0]].iterrows():
        count, low, high = row[["recordings", "low", "high"]]
        told.append(f"{plural(int(count), 'recording')}: {low:.0%} to {high:.0%}")
        shares.append(f"{row['hits']:.0%}")
    known = f"The true rate of false alarms lies in this interval: {'; '.join(told)}."
    if curve["hits"].isna().any():
        return known
    goes = f"goes from {' to '.join(shares)}" if len(curve) > 1 else f"is {shares[0]}"
    return f"{known} The share of anomalies that are found {goes}."


def phase(compared: pd.DataFrame, with_phase: Collection[str], name: Callable[..., str]) -> str:
    """Return which front-ends with the phase help or harm in place of AdaSub.

    Parameters
    ----------
    compared : of :func:`asdlib.compare.findings.against_adasub`.
    with_phase : front-ends that use the phase.
    name : of a system, given its front-end and scorer.
    """
    own = compared[compared["front_end"].isin(list(with_phase)) & compared["mean"].notna()]
    if own.empty:
        return "Whether the phase helps cannot be said from these labels."
    told = [
        f"{name(row.front_end, row.scorer)} {row.mean:+.3f}, {row.verdict}"
        for row in own.itertuples()
    ]
    return f"In place of AdaSub under the same score: {'; '.join(told)}."


def gates(table: pd.DataFrame, most: float = 1.0) -> str:
    """Return whether the gated fit costs too much anywhere among some cases.

    Parameters
    ----------
    table : of :func:`asdlib.measure.phase.gates`, with at least one row.
    most : noise that it may remove less, and machine sound that it may lose more, in dB.
    """
    noise = table["gated noise"] - table["plain noise"]
    sound = table["gated machine_sound"] - table["plain machine_sound"]
    cost = pd.concat([-noise, sound], axis=1).max(axis=1)
    worst = table.iloc[int(cost.to_numpy().argmax())]
    told = (
        f"The gates change the noise that is removed by {noise.min():+.1f} to {noise.max():+.1f} "
        f"dB and the machine sound that is lost by {sound.min():+.1f} to {sound.max():+.1f} dB."
    )
    if cost.max() <= most:
        return f"{told} Nowhere here do they cost more than {most:g} dB: the condition holds."
    return (
        f"{told} They cost more than {most:g} dB for {escape(str(worst['machine']))}, "
        f"{worst['case']}: the condition does not hold here."
    )


def guarded(scores: PerClip) -> list[str]:
    """Try on guarded scores what needs a second clip, and return what the guard answers.

    Parameters
    ----------
    scores : of one system and machine.

    Returns
    -------
    One item of a list for every attempt.
    """
    attempts: dict[str, Callable[[], object]] = {
        "the mean over clips": lambda: np.mean(scores),
        "a rank": lambda: np.argsort(scores),
        "a normalisation": lambda: scores - scores.max(),
        "a comparison of two clips": lambda: scores < scores[::-1],
    }
    return [f"- {what}: {_answer(attempt)}" for what, attempt in attempts.items()]


def _answer(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except AsdError as error:
        return f"refused. *{error}*"
    return "allowed"
