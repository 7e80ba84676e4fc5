"""Figures of scores and systems: data in, figure out; nothing is computed or read here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from asdlib.report.charts import forest, panels
from asdlib.report.style import CHOSEN, COLOURS, LOOKS, MARKERS, NAMES, looks, system_name


def seeds(
    systems: Sequence[tuple[str, str]],
    per_seed: pd.DataFrame,
    ensembles: pd.DataFrame,
    baseline: float | None,
) -> Figure:
    """Fig. 2 of the paper: Omega of every seed, means dashed, ensembles as stars.

    Parameters
    ----------
    systems : front-end and scorer of each system shown.
    per_seed, ensembles : of :class:`asdlib.compare.statistics.Results`.
    baseline : a dotted line, where one is comparable.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    numbers = per_seed["seed"].unique()
    for front_end, scorer in systems:
        single, (whole,) = (
            rows.loc[(rows["front_end"] == front_end) & (rows["scorer"] == scorer), "omega"]
            for rows in (per_seed, ensembles)
        )
        look: dict[str, Any] = {"color": COLOURS[front_end], "ls": ""}
        name = f"{system_name(front_end, scorer)}, mean {single.mean():.3f}"
        ax.plot(range(len(single)), single, marker=MARKERS[front_end], label=name, **look)
        ax.plot(len(numbers), whole, marker="*", ms=13, **look)
        ax.axhline(single.mean(), color=COLOURS[front_end], ls="--", lw=1)
    if baseline is not None:
        ax.axhline(baseline, color="#444444", ls=":", lw=1.2, label="reported baseline")
    ax.set_xticks(range(len(numbers) + 1), [*map(str, numbers), "ensemble"])
    ax.set(xlabel="seed", ylabel="Ω")
    fig.legend(frameon=False, loc="outside upper left")
    return fig


def learning_curves(losses: pd.DataFrame) -> Figure:
    """Training loss per epoch: mean over seeds with its range, one panel per machine."""
    named = losses.assign(name=losses["front_end"].map(NAMES))
    colours = looks(losses["front_end"].unique())["colours"]
    names = ("epoch", "mean squared error (standardised)")
    look: Any = {"names": names, "colours": colours, "errorbar": ("pi", 100)}
    grid = panels(named, "machine", "epoch", "loss", "name", **look)
    for ax in grid.axes.flat:  # a loss still falls late, which a linear axis would hide
        ax.set_yscale("log", subs=[])
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
    return grid.figure


def differences(table: pd.DataFrame, line_name: str) -> Figure:
    """Differences of Omega to one system, a row each: columns name, mean, std, and those known.

    The thick bar is the std over seeds; a thin one the interval over clips and seeds (columns low
    and high), a star the difference of the ensembles (column ensemble).

    Parameters
    ----------
    line_name : of the system that all are compared with, at zero.
    """
    fig, ax = forest(len(table), line=0, xlabel=f"difference of Ω to the {line_name}")
    colour, mean, std = COLOURS["adasub"], table["mean"], table["std"]
    if "low" in table:
        ax.hlines(table["name"], table["low"], table["high"], color=COLOURS["near"], lw=1.2)
    ax.hlines(table["name"], mean - std, mean + std, color=colour, lw=4, alpha=0.5)
    ax.plot(mean, table["name"], color=colour, ls="", marker="D", ms=6, label="mean over seeds")
    if "ensemble" in table:
        stars: Any = {"marker": "*", "ms": 11, "label": "ensemble"}
        ax.plot(table["ensemble"], table["name"], color=colour, ls="", **stars)
        fig.legend(frameon=False, loc="outside right upper")
    return fig


def machines(table: pd.DataFrame) -> Figure:
    """Omega of every system on every machine, one below the other: a machine x system table."""
    fig, ax = forest(2 * len(table), line=0.5, xlabel="Ω of the machine")
    places, offsets = np.arange(len(table)), np.linspace(-0.36, 0.36, len(table.columns))
    for system, offset in zip(table.columns, offsets, strict=True):
        colour, marker = LOOKS.get(system.removesuffix(", by labels"), CHOSEN)
        look: Any = {"marker": marker, "ms": 7, "color": colour, "label": system}
        ax.plot(table[system], places + offset, ls="", **look)
    ax.hlines(places[1:] - 0.5, 0, 1, "#bbbbbb", lw=1, transform=ax.get_yaxis_transform())
    ax.set(yticks=places, yticklabels=table.index, ylim=(len(table) - 0.5, -0.5))
    ax.grid(visible=False, axis="y")
    fig.legend(frameon=False, loc="outside right upper")
    return fig
