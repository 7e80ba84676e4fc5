"""A picture of what a monitor says about one recording; nothing is computed here."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from asdlib.report.charts_evidence import contributions
from asdlib.report.style import system_name

_MOST = 6.0  # standard deviations at the ends of the colour scale
_TICKS = (125, 250, 500, 1000, 2000, 4000)  # Hz


def reading(found: Any) -> Figure:
    """Level and deviation over time, shares of the distance, and the reasons in words.

    Parameters
    ----------
    found : of :meth:`asdlib.monitor.Monitor.evidence`.
    """
    fig = plt.figure(figsize=(10, 5.6), layout="constrained")
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
    return fig


def _words(said: Any) -> str:
    """Score, reasons and faults of the recording, a paragraph each."""
    kind = "ALARM" if said.alarm else "normal"
    head = f"{said.name}\n{kind}: score {said.score:.2f}, p value {said.p_value:.3f}"
    return "\n\n".join([head, *said.reasons, *said.health])
