"""Pictures of a monitor: data in, figure out; nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure, SubFigure

from asdlib.report.charts_evidence import contributions
from asdlib.report.style import label_ends, system_name

_MOST = 6.0  # standard deviations at the ends of the colour scale
_TICKS = (125, 250, 500, 1000, 2000, 4000)  # Hz


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
    table : of :func:`asdlib.monitor.trial.enough`.
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
