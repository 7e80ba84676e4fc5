"""Figures of what made a clip's score, in a study and by a monitor: data in, figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from asdlib import spectra
from asdlib.report.style import COLOURS, STATISTIC_COLOURS, STATISTIC_NAMES, label_ends, system_name

_MOST = 6.0  # standard deviations at the ends of the colour scale
_TICKS = (125, 250, 500, 1000, 2000, 4000)  # Hz


def evidence(rows: Sequence[Any]) -> Figure:
    """What made the scores of some clips: rows of :func:`asdlib.compare.failures.evidence`.

    Of autoencoders it shows the terms of the score over time and the residual that decided, of a
    detector without training the shares of the squared distance.
    """
    fig = plt.figure(figsize=(9.2, 2.3 * len(rows) + 0.4), layout="constrained")
    grid = fig.add_gridspec(len(rows), 3, width_ratios=[3, 3, 1.3])
    for number, row in enumerate(rows):
        left = fig.add_subplot(grid[number, 0])
        if hasattr(row, "table"):
            _frames(left, row, *np.percentile(row.frames, [5, 99.5]))
            right = fig.add_subplot(grid[number, 1:])
            contributions(right, row.table)
            name = system_name(row.front_end, row.scorer)
            squared = row.table["contribution"].sum()
            said = f"{name}\n$D^2$ = {squared:.0f}, $z$ = {row.z:.2f}"
            at = right.transAxes
            right.text(0.99, 0.97, said, transform=at, ha="right", va="top", fontsize=8)
        else:
            _frames(left, row, -2.5, 2.5)
            middle = fig.add_subplot(grid[number, 1], sharex=left)
            _terms(left, middle, fig.add_subplot(grid[number, 2]), row)
    return fig


def _frames(ax: Axes, row: Any, low: float, high: float) -> None:
    """Log-mel frames of a clip, between two ends of the colour scale."""
    frames, bands = row.frames.shape
    ax.imshow(
        row.frames.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=low,
        vmax=high,
        extent=(0, frames * row.seconds, 0, bands),
        interpolation="nearest",
    )
    ax.set_title(row.title, loc="left", fontsize=8, parse_math=False)
    ax.set(xlabel="time (s)", ylabel="mel band $b$")
    ax.grid(False)


def _terms(left: Axes, middle: Axes, right: Axes, row: Any) -> None:
    """Terms of A(x) over time, and the residual at their percentile; marked in the frames too."""
    stack, bands = row.residual.shape
    start = row.place * row.seconds
    left.axvspan(start, start + stack * row.seconds, color="#35e0ff", alpha=0.5, lw=0)
    time = (np.arange(len(row.terms)) + stack / 2) * row.seconds
    middle.plot(time, row.terms, color=COLOURS[row.front_end], lw=1)
    middle.axhline(row.level, color="#444444", ls="--", lw=1)
    middle.plot(time[row.place], row.terms[row.place], marker="o", color="#d7191c", ls="")
    middle.set(xlim=left.get_xlim(), xlabel="time (s)", ylabel="term of $A(x)$")
    most = np.abs(row.residual).max()
    right.imshow(
        row.residual.T,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
        extent=(0, stack, 0, bands),
        interpolation="nearest",
    )
    right.set_title("$e_i$", loc="left", fontsize=9)
    right.set_title(f"±{most:.1f}", loc="right", fontsize=8)
    right.set_xlabel("frame of the stack")
    right.grid(False)


def contributions(ax: Axes, table: pd.DataFrame) -> None:
    """Shares of a squared distance by band, statistics stacked, on a logarithmic frequency axis.

    Parameters
    ----------
    table : of :meth:`asdlib.pipeline.FittedView.explain`.
    """
    shares = table.pivot(index="frequency", columns="statistic", values="contribution")
    centres = shares.index.to_numpy() / 1000
    edges = spectra.edges(centres)
    below = np.zeros(len(centres))
    for name in table["statistic"].unique():
        own = shares[name].to_numpy()
        ax.stairs(
            below + own,
            edges,
            baseline=below,
            fill=True,
            color=STATISTIC_COLOURS[name],
            label=STATISTIC_NAMES[name],
        )
        below = below + own
    ax.set(xscale="log", xlim=(edges[0], edges[-1]), ylim=(0, 1.45 * max(below.max(), 1e-9)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="frequency (kHz)", ylabel="contribution to $D^2$")
    ax.legend(frameon=False, fontsize="x-small", loc="upper left", ncols=2)


def readings(found: Sequence[Any]) -> Figure:
    """Level and deviation over time, shares of the distance, and the reasons in words.

    Parameters
    ----------
    found : of :meth:`asdlib.monitor.Monitor.evidence`, one for every recording.
    """
    fig = plt.figure(figsize=(10, 5.6 * len(found)), layout="constrained")
    parts = fig.subfigures(len(found), squeeze=False)
    for part, own in zip(parts.flat, found, strict=True):
        _reading(part, own)
    return fig


def _reading(fig: SubFigure, found: Any) -> None:
    grid = fig.add_gridspec(2, 2, height_ratios=[3, 2])
    frames, bands = found.levels.shape
    shown: dict[str, Any] = {
        "origin": "lower",
        "aspect": "auto",
        "extent": (0, frames * found.seconds, 0, bands),
        "interpolation": "nearest",
    }
    left, right = fig.add_subplot(grid[0, 0]), fig.add_subplot(grid[0, 1])
    low, high = np.percentile(found.levels, [5, 99.5])
    level = left.imshow(found.levels.T, cmap="magma", vmin=low, vmax=high, **shown)
    fig.colorbar(level, ax=left, label="dB", pad=0.01)
    far = right.imshow(found.deviation.T, cmap="RdBu_r", vmin=-_MOST, vmax=_MOST, **shown)
    fig.colorbar(far, ax=right, label="standard deviations", pad=0.01)
    places = np.interp(_TICKS, found.centres, np.arange(bands) + 0.5)
    for ax, title in ((left, "level after the front-end"), (right, "against normal recordings")):
        ax.set_title(title, loc="left", fontsize=9)
        ax.set(xlabel="time (s)", ylabel="frequency (Hz)")
        ax.set_yticks(places, [f"{hertz:,}" for hertz in _TICKS])
        ax.grid(False)
    below = fig.add_subplot(grid[1, 0])
    contributions(below, found.table)
    below.set_title(system_name(found.front_end, found.scorer), loc="left", fontsize=9)
    words = fig.add_subplot(grid[1, 1])
    words.axis("off")
    text = words.text(0, 1, _words(found.reading), va="top", fontsize=9, wrap=True)
    text.set_parse_math(False)
    text.set_in_layout(False)  # it wraps in the room that is left


def enough(table: pd.DataFrame) -> Figure:
    """What is promised and what is found, against the number of normal recordings.

    Parameters
    ----------
    table : of :func:`asdlib.monitor.evaluation.enough`.
    """
    fig, ax = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
    x = table["recordings"]
    colours = {"false_alarms": "#d7191c", "hits": "#2c7bb6"}
    ax.fill_between(x, table["low"], table["high"], color="#999999", alpha=0.25, lw=0)
    ax.plot(x, table["promised"], color="#444444", ls="--", lw=1)
    ends = [(table["promised"].iloc[-1], "wanted false alarms", "#444444")]
    for name, colour in colours.items():
        if table[name].notna().any():
            ax.plot(x, table[name], color=colour, marker="o", lw=1.6)
            ends.append((table[name].iloc[-1], name.replace("_", " "), colour))
    ax.set_xscale("log")
    ax.set_xticks(x, [str(count) for count in x])
    ax.minorticks_off()
    label_ends(ax, ends)
    ax.set(xlabel="normal recordings", ylabel="share that is an alarm", ylim=(0, 1.02))
    return fig


def _words(said: Any) -> str:
    """Score, reasons and faults of the recording, a paragraph each."""
    head = f"{said.name}\n{said.verdict}: score {said.score:.2f}, p value {said.p_value:.3f}"
    return "\n\n".join([head, *said.reasons, *said.health])
