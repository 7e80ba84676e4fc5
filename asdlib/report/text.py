"""Sentences with measured values: the first page, and how models were trained."""

from __future__ import annotations

from typing import Any

import pandas as pd

from asdlib import metrics
from asdlib.calibration import proportion_interval
from asdlib.clipstats import VIEWS
from asdlib.compare.findings import by_machine, winner
from asdlib.params import Params
from asdlib.report.style import SCORER_NAMES
from asdlib.report.tables import entries, escape, of, percent
from asdlib.runtime.errors import plural
from asdlib.study.recordings import Recordings

NO_LABELS = (
    "Ω needs labelled test clips, normal and anomalous, of both domains. These recordings do not "
    "have them."
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
        found = table["unlabelled"].dropna() if "unlabelled" in table else pd.Series(dtype=object)
        told = [f"{name} raises an alarm for {of(*own)} test clips" for name, own in found.items()]
        head = "; ".join(told) or "Nothing here says which system is better"
        return f"**{head}. {caveat}** {NO_LABELS}"
    own = f"Ω {table['overall'][best]:.3f}"
    others = table[~table["by_labels"] & table["overall"].notna()].drop(index=best)
    if others.empty:
        return f"**{best} has {own}; no other system was run. {caveat}**"
    row: Any = others.iloc[0]
    other = f"{row.name}, the next of the table not chosen by labels ({interval(row)})"
    against = f"against {row['overall']:.3f} of {other}"
    head = f"{best} tells anomalies best from normal clips:"
    if row["low"] <= 0:
        head = f"No system is shown to be the best: {best} has"
    return f"**{head} {own} {against}. {caveat}**"


def caveat(
    params: Params,
    recordings: Recordings,
    table: pd.DataFrame,
    losses: pd.DataFrame,
    longer: pd.DataFrame,
) -> str:
    """Return what the numbers of the first page are measured on, and how far models were trained.

    Parameters
    ----------
    table : of :func:`asdlib.compare.findings.overview`.
    losses : of :func:`asdlib.report.provenance.losses`.
    longer : of ``studies/trained_out.py``, read by :func:`asdlib.study.beside`.
    """
    counted, clips = by_machine(table), metrics.labelled(recordings.manifest)
    on = f"{plural(len(clips), 'labelled test clip')} of {plural(len(counted), 'machine')}"
    if concealed := len(recordings.evaluation):
        on += f"; the labels of {concealed} more are concealed"
    kind = "recorded sound"
    if recordings.embedded:
        kind = "simulated sound, no result of the challenge DCASE 2026, Task 2"
    said = f"This is {kind}: {on if len(counted) else 'there are no labels'}."
    if losses.empty:
        return said
    own, paper = ((some.autoencoder.width, some.training.epochs) for some in (params, Params()))
    curve = losses.groupby("epoch")["loss"].mean()
    told = f"{said} The autoencoders have width {own[0]} and {plural(own[1], 'epoch')} of training"
    if own < paper:
        told += f" (the paper's: {paper[0]} and {paper[1]})"
    if len(curve) > 1 and curve.iloc[-1] < 0.99 * curve.iloc[-2]:
        told += "; their loss still falls"
    if longer.empty:
        return f"{told}."
    longest = longer[longer["epochs"] == longer["epochs"].max()]
    top: Any = longest.loc[longest["mean"].idxmax()]
    no_gap = "no difference is shown" if top["lead low"] <= 0 else "S5 keeps a lead"
    return (
        f"{told}. At width {top['width']:.0f} after {top['epochs']:.0f} epochs AdaSub by its best "
        f"score, {SCORER_NAMES[top['scorer']]}, has {top['mean']:.3f} (mean of "
        f"{plural(int(top['seeds']), 'seed')}) where S5 has {top['s5']:.3f}: {no_gap} "
        f"({top['lead low']:+.3f} to {top['lead high']:+.3f})."
    )


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
            fits = "more than chance explains" if low > rate else "as promised"
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


def interval(row: Any) -> str:
    """Return a difference and its 95 % interval: mean, low and high of a row."""
    return f"difference {row['mean']:+.3f}, 95 % interval {row['low']:+.3f} to {row['high']:+.3f}"
