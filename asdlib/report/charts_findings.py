"""The figure of the first page: data in, figure out; nothing is computed or read here."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asdlib.report.style import COLOURS


def ladder(table: pd.DataFrame) -> Figure:
    """Omega of every row of the ladder with its interval; beside it what the paper reports.

    Both panels have axes of their own: the recordings differ, only the order can be compared.

    Parameters
    ----------
    table : of :func:`asdlib.compare.comparison.ladder`.
    """
    fig, (here, paper) = plt.subplots(
        1,
        2,
        figsize=(8.6, 0.36 * len(table) + 1.3),
        sharey=True,
        width_ratios=(1.5, 1),
        layout="constrained",
    )
    y = np.arange(len(table))
    colours = [COLOURS.get(name, "#111111") for name in table["front_end"]]
    here.hlines(y, table["low"], table["high"], color=colours, lw=2.5, alpha=0.5)
    here.scatter(table["mean"].fillna(table["ensemble"]), y, c=colours, s=40, zorder=3)
    means = table["reported mean"].fillna(table["reported ensemble"])
    spread = table["reported std"].fillna(0)
    paper.hlines(y, means - spread, means + spread, color="#777777", lw=2.5, alpha=0.5)
    paper.scatter(means, y, facecolor="white", edgecolor="#555555", s=40, zorder=3)
    here.set_yticks(y, table["system"], parse_math=False)
    here.invert_yaxis()
    for ax, values, title in (
        (here, table["mean"], "measured here"),
        (paper, means, "reported on DCASE data"),
    ):
        for place in np.flatnonzero(values.isna()):
            _blank(ax, int(place), "not run" if ax is here else "")
        ax.set(title=title, xlabel=r"$\Omega$")
        ax.axvline(0.5, color="#999999", ls=":", lw=1)
        ax.grid(visible=False, axis="y")
    return fig


def _blank(ax: Axes, y: int, text: str) -> None:
    """Say in a row without a value why there is none."""
    transform = ax.get_yaxis_transform()
    ax.text(0.02, y, text, color="#888888", va="center", fontsize=8, transform=transform)
