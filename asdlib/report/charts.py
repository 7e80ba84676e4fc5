"""What charts share: panels, rows for dots with intervals, images, an axis of counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage


def panels(
    table: pd.DataFrame,
    by: str,
    x: str,
    y: str,
    kind: str,
    *,
    names: tuple[str, str],
    colours: Mapping[str, str] | None = None,
    points: Mapping[str, Any] | None = None,
    **options: Any,
) -> sns.FacetGrid:
    """Draw one panel for every value of a column, on the same axes: points or lines of some kinds.

    Parameters
    ----------
    by, kind : columns; the values of ``by`` are the titles, those of ``kind`` the legend.
    names : of the axes, once for all panels.
    colours : of the kinds.
    points : markers of the kinds; without them, lines are drawn.
    options : of :func:`seaborn.relplot`.
    """
    look: dict[str, Any] = {"hue": kind, "kind": "scatter" if points else "line"}
    if colours:
        look |= {"hue_order": list(colours), "palette": dict(colours)}
    if points:
        look |= {"style": kind, "style_order": list(points), "markers": dict(points)}
    place: Any = {"col": by, "col_wrap": min(2, table[by].nunique()), "height": 2.5}
    grid = sns.relplot(table, x=x, y=y, aspect=1.28, **place, **look | options)
    grid.set_titles("{col_name}")
    grid.set_axis_labels("", "")
    grid.figure.set_layout_engine("constrained")
    grid.legend.set_title("")
    sns.move_legend(grid, "outside center right", frameon=False)
    grid.figure.supxlabel(names[0])
    grid.figure.supylabel(names[1])
    return grid


def forest(rows: int, *, line: float, xlabel: str) -> tuple[Figure, Axes]:
    """Return an axis for dots and intervals by name, the first at the top, with a dotted line."""
    fig, ax = plt.subplots(figsize=(7.2, 0.4 * rows + 1.4), layout="constrained")
    ax.axvline(line, color="#777777", ls=":", lw=1.2)
    ax.set(ylim=(rows - 0.5, -0.5), xlabel=xlabel)
    return fig, ax


def image(ax: Axes, values: np.ndarray, seconds: float, top: float, **colours: Any) -> AxesImage:
    """Draw values of (row, column) with time to the right and rows upwards, a pixel each.

    What is quiet is pale; dark pages turn the lightness of all colours round. 32 colours make the
    files half as large.

    Parameters
    ----------
    seconds : from one column to the next, or any other unit of the horizontal axis.
    top : end of the vertical axis.
    """
    ax.grid(False)
    extent = (0, values.shape[1] * seconds, 0, top)
    look: Any = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    look["cmap"] = plt.get_cmap("magma_r", 32)
    return ax.imshow(values, extent=extent, **look | colours)


def count_axis(ax: Axes, counts: Iterable[float]) -> None:
    """Make the horizontal axis logarithmic, with a tick at every count."""
    ticks = list(counts)
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
