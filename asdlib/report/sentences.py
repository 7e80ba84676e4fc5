"""Sentences with measured values in them: data in, MyST text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from asdlib.guard import PerClip
from asdlib.params import AsdError
from asdlib.report.tables import escape, plus_minus


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
        f"{mean.idxmax()} gains most on average ({mean.max():.1f} dB). The best front-end of each "
        f"machine gains most for {escape(str(best.idxmax()))} ({best.max():.1f} dB) and least for "
        f"{escape(str(best.idxmin()))} ({best.min():.1f} dB)."
    )


def retained(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return the front-ends that preserve the anomaly best and worst relative to the noise.

    Parameters
    ----------
    table : of :func:`asdlib.measure.retention.overall`.
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
    row : of :func:`asdlib.measure.retention.extremes`.
    names : what each front-end is called.
    """
    return (
        f"{what} relative to the noise, of the bands that hold the anomaly: {row['band']} kHz of "
        f"{escape(row['machine'])} after {names[row['front_end']]}. This band holds "
        f"{100 * row['share']:.0f} % of the anomaly; {row['anomaly']:.1f} dB of the anomaly and "
        f"{row['noise']:.1f} dB of the noise are removed."
    )


def ladder_change(table: pd.DataFrame) -> str:
    """Return the change of Omega from the first autoencoder to the last row of the ladder.

    Parameters
    ----------
    table : of :func:`asdlib.compare.comparison.ladder`.
    """
    first: Any = table.set_index("system", drop=False).loc["AE ch1"]
    last = table.iloc[-1]
    if not np.isfinite(last["mean"] - first["mean"]):
        return "The change from the first autoencoder to the last row cannot be computed here."
    return (
        f"From {first['system']} to the last row the seed mean changes by "
        f"{last['mean'] - first['mean']:+.4f} here; the paper has "
        f"{last['reported mean'] - first['reported mean']:+.4f}."
    )


def squared_error(changes: pd.DataFrame) -> str:
    """Return what the mean squared error gains on eq. 1, and how much of it a ridge explains.

    Parameters
    ----------
    changes : of :func:`asdlib.compare.sensitivity.changes`.
    """
    known = changes.set_index("variant")["mean"].dropna() if len(changes) else pd.Series()
    if not {"mse", "ridge_1", "alpha_1"} <= set(known.index):
        return "The mean squared error was not compared with eq. 1 here."
    better = "higher" if known["mse"] > 0 else "not higher"
    ridges = [f"{known[name]:+.3f}" for name in known.index if name.startswith("ridge_")]
    return (
        f"On average over seeds the mean squared error is {better} than eq. 1 here: "
        f"{known['mse']:+.3f}. A larger ridge changes $\\Omega$ by {', '.join(ridges)} (0.01, 0.1 "
        f"and 1 times the mean variance), and the energy alone ($\\alpha = 1$) by "
        f"{known['alpha_1']:+.3f}."
    )


def stack_change(steps: pd.DataFrame, given: Sequence[float]) -> str:
    """Return the change of Omega by all re-scorings together.

    Parameters
    ----------
    steps : of :func:`asdlib.compare.comparison.steps`.
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
    helps, harms = counts.get("helps", 0), counts.get("harms", 0)
    return (
        f"Of {len(compared)} ideas that were run, {helps} help, {harms} harm, and "
        f"{len(compared) - helps - harms} allow no robust statement."
    )


def rule_gain(choices: pd.DataFrame) -> str:
    """Return the gain of a learnt rule over the best fixed front-end.

    Parameters
    ----------
    choices : of :func:`asdlib.compare.choice.rules`.
    """
    by = choices.set_index(choices["choice"].str.split(",").str[0])["omega"]
    gain = by["rule"] - by["best fixed choice"]
    told = "it pays here" if gain > 0 else "no rule of this kind beats a fixed choice here"
    return f"The rule is {gain:+.4f} against the best fixed choice: {told}."


def gates(table: pd.DataFrame, most: float = 1.0) -> str:
    """Return whether the gated fit is kept: where it costs too much, it is not.

    Parameters
    ----------
    table : of :func:`asdlib.measure.phase.gates`, with at least one row.
    most : noise that it may remove less, and machine sound that it may lose more, in dB.
    """
    noise = table["gated noise"] - table["plain noise"]
    sound = table["gated machine_sound"] - table["plain machine_sound"]
    cost = pd.concat([-noise, sound], axis=1).max(axis=1)
    worst = table.loc[cost.idxmax()]
    told = (
        f"The gates change the noise that is removed by {noise.min():+.1f} to {noise.max():+.1f} "
        f"dB and the machine sound that is lost by {sound.min():+.1f} to {sound.max():+.1f} dB."
    )
    if cost.max() <= most:
        return f"{told} Nowhere do they cost more than {most:g} dB: the gated fit is kept."
    return (
        f"{told} They cost more than {most:g} dB for {escape(str(worst['machine']))}, "
        f"{worst['case']}: the gated fit is dropped."
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
