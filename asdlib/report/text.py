"""Sentences with measured values: the findings of the first page, and what no table can say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.calibration import proportion_interval
from asdlib.clipstats import VIEWS
from asdlib.compare.alarms import HELD_OUT, PAPER
from asdlib.compare.findings import by_machine, winner
from asdlib.guard import PerClip
from asdlib.params import Params
from asdlib.report.style import system_name
from asdlib.report.tables import entries, escape, of, percent
from asdlib.runtime.errors import AsdError, plural
from asdlib.study.recordings import Recordings

_CLAIMS = {
    "far": ("Subtracting the far microphone", "helps", "harms"),
    "champion": ("The paper's re-scoring", "helps", "harms"),
    "untrained": (
        "A detector that trains nothing",
        "beats the autoencoder",
        "loses to the autoencoder",
    ),
    "phase": ("The phase of the far microphone", "helps further", "harms"),
}
"""Question to its claim: subject, what it does if it wins or loses."""
_RULES = {PAPER: "the paper's threshold", HELD_OUT: "held-out p values"}
NO_LABELS = (
    "Ω needs labelled test clips, normal and anomalous, of both domains. These recordings do not "
    "have them."
)


def claim(compared: pd.DataFrame, question: str) -> str:
    """Return the answer to a question: who wins, from which Omega to which, how sure.

    Parameters
    ----------
    compared : of :func:`asdlib.compare.findings.compared`.
    question : one of its index.
    """
    if question not in compared.index:
        return ""
    row: Any = compared.loc[question]
    subject, wins, loses = _CLAIMS[question]
    does = {"helps": wins, "harms": loses}.get(row["verdict"])
    head = f"{subject} {does}" if does else f"It is not shown that {_lower(subject)} {wins}"
    pair = f"from {system_name(*row['against'])} to {system_name(*row['system'])}"
    return (
        f"{head}: {pair}, Ω goes from {row['omega_against']:.3f} to "
        f"{row['omega']:.3f} (mean over seeds; {_interval(row)})."
    )


def verdict(table: pd.DataFrame, caveat: str) -> str:
    """Return which system finds the most, and what that is worth, as the report's first sentence.

    Parameters
    ----------
    table : of :func:`asdlib.compare.findings.overview`.
    caveat : what limits the result, in words that end a sentence.
    """
    best = winner(table)
    if not best:
        return f"**Nothing here says which system is better. {caveat}** {NO_LABELS}"
    own = f"{best} has Ω {table['overall'][best]:.3f}"
    others = table[~table["by_labels"] & table["overall"].notna()].drop(index=best)
    if others.empty:
        return f"**{own}; no other system was run. {caveat}**"
    row: Any = others.iloc[0]
    next_one = f"Ω {row['overall']:.3f} ({_interval(row)})"
    if row["low"] <= 0:
        said = f"No system is shown to be the best: {own}, {row.name} has {next_one}"
    else:
        said = f"{best} finds the most anomalies: {own}, the next one, {row.name}, has {next_one}"
    return f"**{said}. {caveat}**"


def caveat(
    params: Params, recordings: Recordings, table: pd.DataFrame, losses: pd.DataFrame
) -> str:
    """Return what the numbers of the first page are measured on, and how far models were trained.

    Parameters
    ----------
    table : of :func:`asdlib.compare.findings.overview`.
    losses : of :func:`asdlib.report.provenance.losses`.
    """
    counted, clips = by_machine(table), metrics.labelled(recordings.manifest)
    on = f"{plural(len(counted), 'machine')} with {plural(len(clips), 'labelled test clip')}"
    kind = "simulated sound, no result of the challenge" if recordings.embedded else "recordings"
    said = f"This is {kind}: {on} count."
    if losses.empty:
        return said
    a, t, paper = params.autoencoder, params.training, Params()
    curve = losses.groupby("epoch")["loss"].mean()
    falls = len(curve) > 1 and curve.iloc[-1] < 0.99 * curve.iloc[-2]
    short = (a.width, t.epochs) < (paper.autoencoder.width, paper.training.epochs)
    given = f"The autoencoders have width {a.width} and {plural(t.epochs, 'epoch')}"
    if short:
        given += f", the paper's {paper.autoencoder.width} and {paper.training.epochs}"
    return f"{said} {given}{'; their loss still falls' * bool(falls)}."


def failures(table: pd.DataFrame, rate: float) -> list[str]:
    """Return where the best system fails: machines, false alarms, misses, what scores higher.

    Parameters
    ----------
    table : of :func:`asdlib.compare.findings.overview`.
    rate : of false alarms that is wanted.
    """
    best = winner(table)
    if not best:
        return []
    own: Any = table.loc[best]
    said, names = list[str](), dict(entries(table))
    for machine, row in by_machine(table).iterrows():
        if row.max() > row[best]:
            better = f"{names[str(row.idxmax())]} is better: Ω {row.max():.3f}"
            said.append(f"On {escape(str(machine))}, {better} against {row[best]:.3f}.")
    if not said:
        row = by_machine(table)[best]
        lowest = f"{best} has its lowest Ω, {row.min():.3f}, on {escape(str(row.idxmin()))}"
        said = [f"{lowest}. No other system is better on any machine."]
    for kind in ("usual", "changed"):
        if isinstance(found := own.get(kind), tuple):
            low, high = proportion_interval(*found)
            fits = "more than chance explains" if low > rate else "in agreement with that"
            fewer = "fewer than that" if high < rate else fits
            said.append(
                f"In {kind} conditions, {of(*found)} normal clips are false alarms where "
                f"{percent(rate)} are wanted: {fewer}."
            )
    if isinstance(found := own.get("found"), tuple):
        said.append(f"It finds {of(*found)} anomalies at these limits, and misses the others.")
    for name in table.index[table["by_labels"] & (table["overall"] > own["overall"])]:
        said.append(f"{names[name]} has a higher Ω over all, {table['overall'][name]:.3f}.")
    return said


def alarms(found: pd.DataFrame, rate: float) -> str:
    """Return whether the rules keep what they promise, and how many false alarms each raises.

    Parameters
    ----------
    found : of :func:`asdlib.compare.alarms.by_domain`.
    """
    normal = found[found["label"] == "normal"] if len(found) else found
    if normal.empty:
        return "No false alarm can be counted: there is no labelled normal test clip."
    said = [
        f"{system} with {_RULES[str(rule)]} has "
        + " and ".join(
            f"{percent(share)} in the {domain} domain"
            for domain, share in zip(rows["domain"], rows["share"], strict=True)
        )
        for (system, rule), rows in normal.groupby(["system", "rule"], sort=False)
    ]
    broken = normal["low"] > rate
    kept = (
        "Every rule keeps"
        if not broken.any()
        else "No rule keeps"
        if broken.all()
        else "Not every rule keeps"
    )
    return f"{kept} the promised {percent(rate)} of false alarms: {'; '.join(said)}."


def ideas(compared: pd.DataFrame) -> str:
    """Return what became of the ideas that the paper lists as negative results.

    Parameters
    ----------
    compared : of :func:`asdlib.compare.negative.against_champion`.
    """
    tried = compared[compared["idea"] != "the champion"]
    run = tried[tried["mean"].notna()]
    if run.empty:
        return "No idea of the paper was run here (`params/full_demo.yaml` runs them)."
    said = f"{len(run)} of {len(tried)} ideas of the paper were run:"
    for kind in ("helps", "harms"):
        own = run.loc[run["verdict"] == kind, "idea"].tolist()
        said += f" {len(own) or 'none'} {kind}{' (' * bool(own)}{'; '.join(own)}{')' * bool(own)},"
    return f"{said[:-1]}; for the others there is no robust difference to the champion."


def seeds(params: Params, scorer: str) -> str:
    """Return how many seeds a scorer's values are taken over.

    >>> seeds(Params(seeds=(0, 1)), "eq1"), seeds(Params(), "pmsd")
    ('2 seeds', 'no seed')
    """
    return "no seed" if scorer in VIEWS else plural(len(params.seeds), "seed")


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
    holds = f"Nowhere here do they cost more than {most:g} dB: the condition holds."
    if cost.max() > most:
        holds = (
            f"They cost more than {most:g} dB for {escape(str(worst['machine']))}, "
            f"{worst['case']}: the condition does not hold here."
        )
    return (
        f"The gates change the noise that is removed by {noise.min():+.1f} to {noise.max():+.1f} "
        f"dB and the machine sound that is lost by {sound.min():+.1f} to {sound.max():+.1f} dB. "
        f"{holds}"
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
    said = []
    for what, attempt in attempts.items():
        answer = "allowed"
        try:
            attempt()
        except AsdError as error:
            answer = f"refused. *{error}*"
        said.append(f"- {what}: {answer}")
    return said


def _interval(row: Any) -> str:
    return f"difference {row['mean']:+.3f}, 95 % interval {row['low']:+.3f} to {row['high']:+.3f}"


def _lower(words: str) -> str:
    return words[0].lower() + words[1:]
