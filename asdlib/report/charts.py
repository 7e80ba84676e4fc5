"""What charts share: panels, rows for dots with intervals, lines with their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
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
    colours: Mapping[str, str],
    markers: Mapping[str, str] | None = None,
    height: float = 2.5,
    **options: Any,
) -> sns.FacetGrid:
    """Draw one panel for every value of a column, on the same axes: points or lines of some kinds.

    Parameters
    ----------
    by, kind : columns; the values of ``by`` are the titles, those of ``kind`` the legend.
    names : of the axes, once for all panels.
    colours, markers : of the kinds; lines in place of points without markers.
    height : of a panel, in inches.
    options : of :func:`seaborn.relplot`.
    """
    look: dict[str, Any] = {"hue": kind, "hue_order": list(colours), "palette": dict(colours)}
    if markers:
        look |= {"style": kind, "style_order": list(markers), "markers": dict(markers)}
    else:
        look |= {"kind": "line"}
    place: Any = {"col": by, "col_wrap": min(2, table[by].nunique()), "height": height}
    grid = sns.relplot(table, x=x, y=y, aspect=1.28, **place, **look | options)
    for value, ax in grid.axes_dict.items():
        ax.set_title(value, parse_math=False)
        if not ax.get_subplotspec().is_first_col():
            ax.tick_params(which="minor", labelleft=False)
    grid.set_axis_labels("", "")
    grid.figure.set_layout_engine("constrained")
    grid.legend.set_title("")
    sns.move_legend(grid, "outside center right", frameon=False)
    grid.figure.supxlabel(names[0])
    grid.figure.supylabel(names[1])
    return grid


def forest(
    names: Iterable[str], *, line: float = 0, line_name: str = "", xlabel: str
) -> tuple[Figure, Axes, np.ndarray]:
    """Prepare rows for dots and intervals, the first at the top, and a dotted vertical line.

    Parameters
    ----------
    names : of the rows.
    line, line_name : place of the dotted line, and what stands above it.

    Returns
    -------
    The figure, its axis, and the height of every row.
    """
    names = list(names)
    y = np.arange(len(names))
    options: Any = {"figsize": (7.2, 0.4 * len(names) + 1.4), "layout": "constrained"}
    fig, ax = plt.subplots(**options)
    ax.axvline(line, color="#777777", ls=":", lw=1.2)
    above = ax.get_xaxis_transform()
    ax.text(line, 1, line_name, transform=above, ha="center", va="bottom", fontsize=9)
    ax.set_yticks(y, names, parse_math=False)
    ax.set(ylim=(len(names) - 0.5, -0.5), xlabel=xlabel)
    return fig, ax, y


def grid(count: int, *, width: float, height: float, columns: int) -> tuple[Figure, list[Axes]]:
    """Return axes in rows for images of one kind, sizes in inches.

    Parameters
    ----------
    columns : axes beside each other, at most.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (max(width * columns, 4.2), height * rows)
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    for ax in axes.flat:
        ax.grid(False)
    return fig, list(axes.flat[:count])


def lines(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    *,
    bold: str = "",
    colours: Mapping[str, str] | None = None,
    markers: Mapping[str, str] | None = None,
) -> None:
    """Draw a line for every value of the column ``by``, named at its right end.

    Names that overlap are spread.

    Parameters
    ----------
    bold : the value whose line is black and thick; the others are thin where there is one.
    colours, markers : by value; others than these by default.
    """
    ends = []
    others = cycle("osD^vPX*<>ph")
    for name, rows in table.groupby(by, sort=False):
        look: dict[str, Any] = {"lw": 0.9 if bold else 1.6}
        if name == bold:
            look = {"color": "#111111", "lw": 2.4}
        elif colours:
            look["color"] = colours[str(name)]
        marker = markers[str(name)] if markers else next(others)
        (line,) = ax.plot(rows[x], rows[y], marker=marker, ms=4, **look)
        # dark enough for words
        ends.append((rows[y].iloc[-1], str(name), sns.set_hls_values(line.get_color(), l=0.26)))
    low, high = ax.get_ylim()
    gap, place = 0.06 * (high - low), -np.inf
    at: Any = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
    for value, name, ink in sorted(end for end in ends if np.isfinite(end[0])):
        place = max(value, place + gap)
        look = {"color": ink, "va": "center", "fontsize": 9, "parse_math": False}
        ax.annotate(f" {name}", (1, place), **at, **look)


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
