"""Figures of what made a clip's score, and of how many clips are enough: data in, figure out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from asdlib.io.files import replacing
from asdlib.params import AsdError
from asdlib.report.charts import count_axis, image
from asdlib.report.style import COLOURS, PALETTE, STATISTIC_COLOURS, STATISTIC_NAMES, system_name
from asdlib.report.style import style as house_style
from asdlib.runtime.errors import p_text

_PICTURES = (".png", ".svg", ".pdf")
_MOST = 20.0  # dB at the ends of the colour scale
_VERDICTS = {"normal": "#9a9a9a", "alarm": "#d7191c", "warning": "#e69f00"}
_LABELS = {"hertz": "frequency of a reason (Hz)"}
_BARS = 32  # of all bands
_TICKS = (250, 500, 1000, 2000, 4000)  # Hz
_MARK: Any = {"edgecolor": "#00c000", "facecolor": "none", "lw": 1.3, "zorder": 3}
"""Of the bands that a reason is about."""


def evidence(rows: Sequence[Any]) -> Figure:
    """What S5 finds strange in some clips: frames, and shares of the squared distance.

    Parameters
    ----------
    rows : of :func:`asdlib.compare.failures.evidence`.
    """
    fig = plt.figure(figsize=(6.8, 2.3 * len(rows) + 0.4), layout="constrained")
    parts = fig.subfigures(len(rows), squeeze=False)[:, 0]
    for part, row in zip(parts, rows, strict=True):
        left, right = part.subplots(1, 2, width_ratios=[3, 4])
        low, high = np.percentile(row.frames, [5, 99.5])
        drawn = image(left, row.frames.T, row.seconds, row.frames.shape[1], vmin=low, vmax=high)
        part.colorbar(drawn, ax=left, label="level (dB)", pad=0.01)
        squared, name = row.table["contribution"].sum(), system_name(row.front_end, row.scorer)
        told = f"{row.title}. {name}: D² = {squared:.0f}, z = {row.z:.2f}"
        part.suptitle(fill(told, 90), x=0.01, ha="left", fontsize=9)
        left.set(xlabel="time (s)", ylabel="mel band b")
        contributions(right, row.table)
    return fig


def contributions(ax: Axes, table: pd.DataFrame) -> None:
    """Shares of a squared distance by band, a few bands a bar, statistics stacked.

    Parameters
    ----------
    table : of :meth:`asdlib.pipeline.FittedView.explain`.
    """
    shares = table.pivot(index="frequency", columns="statistic", values="contribution")
    bars = np.arange(len(shares)) * _BARS // len(shares)
    summed, lower = shares.groupby(bars).sum(), 0.0
    for name in table["statistic"].unique():
        look: Any = {"color": STATISTIC_COLOURS[name], "label": STATISTIC_NAMES[name], "lw": 0}
        ax.bar(summed.index, summed[name], 0.9, lower, **look)
        lower = lower + summed[name]
    places = np.interp(_TICKS[1:], shares.index, bars)
    ax.set_xticks(places, [f"{hertz / 1000:g}" for hertz in _TICKS[1:]])
    ax.grid(visible=False, axis="x")
    ax.set(xlabel="frequency (kHz)", ylabel="contribution to D²")
    _legend(ax)


def deviations(ax: Axes, table: pd.DataFrame) -> None:
    """How far every band lies from normal recordings, a line per statistic.

    Parameters
    ----------
    table : of :meth:`asdlib.pipeline.FittedView.explain`.
    """
    for name in table["statistic"].unique():
        own = table[table["statistic"] == name]
        look: Any = {"color": STATISTIC_COLOURS[name], "label": STATISTIC_NAMES[name], "lw": 1}
        ax.plot(own["frequency"] / 1000, own["deviation"], **look)
    ax.set(xlabel="frequency (kHz)", ylabel="standard deviations\nof normal recordings")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")  # it would be mathematics
    _legend(ax)


def _legend(ax: Axes) -> None:
    """Leave room for a legend, and put it there."""
    ax.margins(x=0, y=0.6)
    legend = ax.legend(frameon=False, fontsize=9, loc="upper left", ncols=2)
    legend.set_in_layout(False)  # it would make a panel narrow


def save(path: Path, clips: Sequence[Path], evidence: Callable[[Path], Any]) -> None:
    """Write :func:`reading` of one recording to a file, whole or not at all.

    Parameters
    ----------
    clips : the recording.
    evidence : :meth:`asdlib.monitor.Monitor.evidence`.

    Raises
    ------
    AsdError
        For several recordings, or a path that is not of a picture.
    """
    if len(clips) != 1:
        raise AsdError(f"--picture draws one recording; {len(clips)} were given.")
    if path.suffix.lower() not in _PICTURES:
        raise AsdError(f"{path}: a picture is one of {', '.join(_PICTURES)}.")
    house_style()
    figure = reading([evidence(clips[0])])
    with replacing(path) as beside:
        figure.savefig(beside, format=path.suffix[1:].lower(), dpi=150)


def reading(evidence: Sequence[Any]) -> Figure:
    """Levels over time, deviations by frequency, and the reasons in words with their bands marked.

    Parameters
    ----------
    evidence : of :meth:`asdlib.monitor.Monitor.evidence`, of one recording.
    """
    (found,) = evidence
    fig = Figure(figsize=(7.4, 6.0), layout="constrained")
    (left, right), (below, words) = fig.subplots(2, 2, height_ratios=[3, 2])
    low, high = np.percentile(found.levels, [5, 99.5])
    rows = np.arange(len(found.centres)) + 0.5
    marks = [(low * 0.97, high * 1.03) for low, high in found.bands]  # a line has no width
    against = {"cmap": "RdBu_r", "vmin": -_MOST, "vmax": _MOST}
    for ax, values, title, label, colours in (
        (left, found.levels, "This recording", "level (dB)", {"vmin": low, "vmax": high}),
        (right, found.above, "Against normal recordings", "dB above (red), below (blue)", against),
    ):
        drawn = image(ax, values.T, found.seconds, values.shape[1], **colours)
        fig.colorbar(drawn, ax=ax, label=label, pad=0.01)
        ax.set_title(title, loc="left", fontsize=9)
        for place in np.interp(marks, found.centres, rows):
            ax.axhspan(*place, **_MARK)
        ax.set(xlabel="time (s)", ylabel="frequency (Hz)")
        ax.set_yticks(np.interp(_TICKS, found.centres, rows), [f"{hertz:,}" for hertz in _TICKS])
    deviations(below, found.table)
    for low, high in marks:
        below.axvspan(low / 1000, high / 1000, color=_MARK["edgecolor"], alpha=0.3, lw=0, zorder=0)
    below.set_title("Distance by band; green: bands of the reasons", loc="left", fontsize=9)
    words.axis("off")
    said = found.reading
    head = f"{said.verdict}: score {said.score:.2f}, p value {p_text(said.p_value)}"
    paragraphs = (said.name, head, *said.remarks, *said.reasons, *said.health)
    text = "\n\n".join(fill(paragraph, 38) for paragraph in paragraphs)
    words.text(0, 1, text, va="top", fontsize=9).set_in_layout(False)
    return fig


def history(table: pd.DataFrame, reasons: pd.DataFrame, threshold: float | None) -> Figure:
    """Scores of recordings over time by what was said of them; below, the reasons of alarms.

    Points are drawn as pixels, not as shapes: there may be many.

    Parameters
    ----------
    table : of :func:`asdlib.monitor.history.read`.
    reasons : of :func:`asdlib.monitor.history.reasons`.
    threshold : score of an alarm; none: no verdict.
    """
    drawn = [(table, "verdict", "score"), (reasons, "kind", "hertz")][: 1 + bool(len(reasons))]
    size = (7.4, 2.8 * len(drawn))
    fig, axes = plt.subplots(len(drawn), figsize=size, layout="constrained", sharex=True)
    look: Any = {"x": "time", "s": 20, "linewidth": 0, "rasterized": True}
    for ax, (rows, kind, value) in zip(np.atleast_1d(axes), drawn, strict=True):
        names = enumerate(sorted(set(rows[kind])))
        colours = {name: _VERDICTS.get(name, PALETTE[3 * i % 10]) for i, name in names}
        sns.scatterplot(rows, y=value, hue=kind, style=kind, palette=colours, ax=ax, **look)
        sns.move_legend(ax, "lower left", bbox_to_anchor=(0, 1), ncols=4, title="", frameon=False)
        ax.set(xlabel="", ylabel=_LABELS.get(value, value), yscale="log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
        ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
    (first, last), hour = table["time"].agg(["min", "max"]), pd.Timedelta(hours=1)
    if last - first < hour:  # the axis of a moment would be years long
        ax.set_xlim(first - hour / 2, last + hour / 2)
    if threshold:
        fig.axes[0].axhline(threshold, color="#444444", ls="--", lw=1)
    return fig


def enough(table: pd.DataFrame) -> Figure:
    """What is promised and what is found, against the number of normal recordings.

    Parameters
    ----------
    table : of :func:`asdlib.monitor.evaluation.enough`.
    """
    fig, ax = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
    x = table["recordings"]
    true: Any = {"color": "#999999", "label": "true rate, 95 %", "alpha": 0.25, "lw": 0}
    ax.fill_between(x, table["low"], table["high"], **true)
    ax.plot(x, table["promised"], color="#444444", ls="--", lw=1, label="wanted rate")
    for what, name, marker in (("false_alarms", "false alarms", "o"), ("hits", "hits", "D")):
        ax.plot(x, table[what], marker=marker, ms=4, label=name)
    fig.legend(frameon=False, loc="outside right upper")
    count_axis(ax, x)
    ax.set(xlabel="normal recordings", ylabel="share that is an alarm", ylim=(0, 1.02))
    return fig


def learning_curve(curve: pd.DataFrame, reference: float = np.nan) -> Figure:
    """Omega against the number of training clips: all machines bold, each one thin.

    Parameters
    ----------
    curve : of :func:`asdlib.compare.untrained.learning_curve`.
    reference : Omega of AdaSub's autoencoder, eq. 1 of the paper, with all clips; a dotted line.
    """
    fig, ax = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
    for number, (name, values) in enumerate(curve.items()):
        # ten colours; a legend leaves out what begins with an underscore
        look: Any = {"label": f"\u200b{name}", "lw": 0.9, "marker": "osD^v"[number // 10 % 5]}
        if name == "overall":
            look |= {"label": "all machines", "lw": 2.4, "color": "#111111"}
        ax.plot(curve.index, values, ms=4, **look)
    if not np.isnan(reference):
        what = "autoencoder on AdaSub, all clips"
        ax.axhline(reference, color=COLOURS["adasub"], ls=":", lw=1.4, label=what)
    fig.legend(frameon=False, loc="outside right upper")
    count_axis(ax, curve.index)
    ax.set(xlabel="training clips of the source domain", ylabel="Ω")
    return fig
