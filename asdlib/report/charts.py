"""Figures of scores and systems: data in, figure out; nothing is computed or read here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from asdlib.report.style import (
    COLOURS,
    MARKERS,
    NAMES,
    PALETTE,
    SCORER_NAMES,
    grid,
    label_ends,
    system_name,
)


def aggressiveness(table: pd.DataFrame) -> Figure:
    """Omega against mean attenuation: columns front_end, attenuation (dB), and one per group."""
    groups = [c for c in table.columns if c not in ("front_end", "attenuation")]
    fig, axes = plt.subplots(
        1,
        len(groups),
        figsize=(4.4 * len(groups), 3.6),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, group in zip(axes.flat, groups, strict=True):
        for i, (_, row) in enumerate(table.sort_values("attenuation").iterrows()):
            name = str(row["front_end"])
            ax.plot(row["attenuation"], row[group], color=COLOURS[name], marker=MARKERS[name], ms=8)
            ax.annotate(
                NAMES[name],
                (row["attenuation"], row[group]),
                color=COLOURS[name],
                fontsize=8,
                xytext=(6, 4 if i % 2 else -11),
                textcoords="offset points",
            )
        ax.set_title(group, parse_math=False)
        ax.margins(x=0.25, y=0.15)
    fig.supxlabel("mean attenuation of a test clip (dB)")
    fig.supylabel(r"$\Omega$, mean over seeds")
    return fig


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
    per_seed, ensembles : the tables of :func:`asdlib.compare.comparison.summary`.
    baseline : a dotted line, where one is comparable.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for front_end, scorer in systems:
        single, whole = (
            rows[(rows["front_end"] == front_end) & (rows["scorer"] == scorer)]
            for rows in (per_seed, ensembles)
        )
        colour, count = COLOURS[front_end], len(single)
        ax.plot(range(count), single["omega"], color=colour, ls="", marker=MARKERS[front_end])
        mean = single["omega"].mean()
        ax.hlines(mean, -0.4, count - 0.6, color=colour, ls="--", lw=1)
        ax.plot(count, whole["omega"].iloc[0], color=colour, marker="*", ms=13, ls="")
        ax.annotate(
            f"{system_name(front_end, scorer)}, mean {mean:.3f}",
            (-0.4, mean),
            color=colour,
            fontsize=8,
            xytext=(0, 3),
            textcoords="offset points",
            va="bottom",
        )
    numbers = per_seed["seed"].unique()
    ax.set_xticks([*range(len(numbers)), len(numbers)], [*map(str, numbers), "ensemble"])
    if baseline is not None:
        ax.axhline(baseline, color="#444444", ls=":", lw=1.2)
        ax.annotate(
            "reported baseline", (len(numbers), baseline), fontsize=8, va="bottom", ha="right"
        )
    ax.set(xlabel="seed", ylabel=r"$\Omega$")
    return fig


def learning_curves(losses: pd.DataFrame) -> Figure:
    """Training loss per epoch: mean over seeds with its range, one panel per machine."""
    machines = list(losses["machine"].unique())
    fig, axes = grid(len(machines), height=2.3)
    for ax, machine in zip(axes, machines, strict=True):
        for name, rows in losses[losses["machine"] == machine].groupby("front_end", sort=False):
            by_epoch = rows.groupby("epoch")["loss"].agg(["mean", "min", "max"])
            colour = COLOURS[str(name)]
            ax.fill_between(
                by_epoch.index, by_epoch["min"], by_epoch["max"], color=colour, alpha=0.2, lw=0
            )
            ax.plot(by_epoch.index, by_epoch["mean"], color=colour, label=NAMES[str(name)])
        ax.set_title(machine, parse_math=False)
        ax.set_yscale("log")
    axes[0].legend(frameon=False, fontsize="x-small")
    fig.supxlabel("epoch")
    fig.supylabel("mean squared error (standardised)")
    return fig


def decomposition(steps: pd.DataFrame) -> Figure:
    """Source AUC, target AUC, pAUC and Omega of the ensemble at each step.

    Parameters
    ----------
    steps : of :func:`asdlib.compare.comparison.steps`.
    """
    fig, ax = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
    marks = {
        "auc_source": ("source AUC", "o"),
        "auc_target": ("target AUC", "s"),
        "pauc": ("pAUC", "^"),
        "omega": (r"$\Omega$", "D"),
    }
    x = np.arange(len(steps))
    for (column, (name, marker)), colour in zip(marks.items(), PALETTE[:4], strict=True):
        ax.plot(x, steps[column], marker=marker, color=colour)
        ax.annotate(
            name,
            (x[-1], steps[column].iloc[-1]),
            color=colour,
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
        )
    ax.margins(x=0.12)
    ax.set_xticks(x, [SCORER_NAMES[scorer] for scorer in steps["scorer"]])
    ax.set(ylabel="ensemble, over machines")
    return fig


def sensitivity(table: pd.DataFrame) -> Figure:
    """Change of Omega for every changed choice: columns variant, mean, std, ensemble.

    The dotted line at zero stands for the frozen defaults.
    """
    fig, ax = plt.subplots(figsize=(6.8, 0.36 * len(table) + 1.4), layout="constrained")
    y = np.arange(len(table))
    colour = COLOURS["adasub"]
    ax.axvline(0, color="#444444", ls=":", lw=1.2)
    ax.errorbar(
        table["mean"],
        y,
        xerr=table["std"],
        color=colour,
        fmt="D",
        ms=5,
        capsize=3,
        label="seed mean ± std",
    )
    ax.plot(table["ensemble"], y, color=colour, ls="", marker="*", ms=11, label="ensemble")
    names = {**SCORER_NAMES, "gamma_normal": "gamma_normal", "per_band": "per band"}
    ax.set_yticks(y, [names[variant] for variant in table["variant"]])
    ax.invert_yaxis()
    ax.annotate(
        "frozen defaults",
        (0, 1),
        fontsize=8,
        xycoords=("data", "axes fraction"),
        ha="center",
        va="bottom",
    )
    ax.set_xlabel(r"change of $\Omega$")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def machines(table: pd.DataFrame) -> Figure:
    """Omega of every system on every machine: a dot plot of a machine x system table."""
    fig, ax = plt.subplots(figsize=(6.8, 0.55 * len(table) + 1.2), layout="constrained")
    y = np.arange(len(table))
    known = {NAMES[key]: (COLOURS[key], MARKERS[key]) for key in NAMES}
    others = zip(PALETTE, "osD^vPX<>p", strict=True)
    for system in table.columns:
        colour, marker = known.get(system) or next(others)
        ax.plot(table[system], y, ls="", marker=marker, ms=7, color=colour, label=system)
    ax.hlines(y, table.min(axis=1), table.max(axis=1), color="#bbbbbb", lw=1, zorder=0)
    ax.set_yticks(y, table.index, parse_math=False)
    ax.invert_yaxis()
    ax.axvline(0.5, color="#999999", ls=":", lw=1)
    ax.set_xlabel(r"$\Omega$ of the machine")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def build_up(steps: pd.DataFrame, band: float) -> Figure:
    """Change of Omega at every step of the architecture: a dot per seed, means as diamonds.

    Parameters
    ----------
    steps : columns step, seed, omega and change, the change NaN at the first step.
    band : changes of a single seed within it are variance; shaded.
    """
    names = list(steps["step"].unique())[1:]
    fig, ax = plt.subplots(figsize=(6.8, 0.42 * len(names) + 1.4), layout="constrained")
    ax.axvspan(-band, band, color="#e6e6e6", lw=0, zorder=0)
    ax.axvline(0, color="#444444", ls=":", lw=1.2)
    for y, name in enumerate(names):
        change = steps.loc[steps["step"] == name, "change"]
        ax.plot(change, [y] * len(change), color=COLOURS["near"], ls="", marker="o", alpha=0.6)
        ax.plot(change.mean(), y, color=COLOURS["adasub"], marker="D", ms=7)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.annotate(
        f"±{band}",
        (band, 1),
        xycoords=("data", "axes fraction"),
        fontsize=8,
        ha="center",
        va="bottom",
    )
    ax.set_xlabel(r"change of $\Omega$ against the step above")
    return fig


def against_champion(table: pd.DataFrame) -> Figure:
    """Every idea's difference to the champion: columns idea, mean, std, low, high.

    The thick bar is the std over seeds, the thin one the interval over clips and seeds.
    """
    fig, ax = plt.subplots(figsize=(7.6, 0.4 * len(table) + 1.4), layout="constrained")
    y, colour = np.arange(len(table)), COLOURS["adasub"]
    ax.axvline(0, color="#444444", ls=":", lw=1.2)
    ax.hlines(y, table["low"], table["high"], color=COLOURS["near"], lw=1.2)
    ax.hlines(
        y, table["mean"] - table["std"], table["mean"] + table["std"], color=colour, lw=4, alpha=0.5
    )
    ax.plot(table["mean"], y, color=colour, ls="", marker="D", ms=6)
    ax.set_yticks(y, table["idea"])
    ax.invert_yaxis()
    ax.annotate(
        "champion", (0, 1), xycoords=("data", "axes fraction"), fontsize=8, ha="center", va="bottom"
    )
    ax.set_xlabel(r"difference of $\Omega$")
    return fig


def growth(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Time and peak memory against each size, on logarithmic axes; in proportion: dotted.

    Parameters
    ----------
    rows : what (clips, seeds, machines, seconds), size, seconds, peak (bytes).
    """
    names = {"clips": "training clips", "seconds": "clip length (s)"}
    kinds = list(dict.fromkeys(row["what"] for row in rows))
    fig, axes = plt.subplots(
        2,
        len(kinds),
        figsize=(2.5 * len(kinds), 4.6),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for column, what in enumerate(kinds):
        own = [row for row in rows if row["what"] == what]
        sizes = np.array([row["size"] for row in own], float)
        values = ([row["seconds"] for row in own], [row["peak"] / 1e9 for row in own])
        for ax, y, colour in zip(axes[:, column], values, PALETTE, strict=False):
            ax.plot(sizes, y, marker="o", color=colour)
            ax.plot(sizes, y[-1] * sizes / sizes[-1], color="#999999", ls=":", lw=1)
            ax.set(xscale="log", yscale="log")
            ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
            ax.minorticks_off()
        axes[1, column].set_xlabel(names.get(what, what))
    axes[0, 0].set_ylabel("time (s)")
    axes[1, 0].set_ylabel("peak memory (GB)")
    return fig


def retention(table: pd.DataFrame) -> Figure:
    """Anomaly removed per front-end and band, a panel per machine; noise removed in small print.

    Colour and large number: anomaly removed. Framed: more anomaly removed than noise. Above: how
    much of the anomaly's energy lies in the band.

    Parameters
    ----------
    table : columns machine, front_end, band ("all", then edges in kHz), noise and anomaly (dB),
        share (0 to 1).
    """
    machines, bands = list(table["machine"].unique()), list(table["band"].unique())
    names = list(table["front_end"].unique())
    rows, columns = -(-len(machines) // 2), min(2, len(machines))
    fig, axes = plt.subplots(
        rows,
        columns,
        squeeze=False,
        layout="constrained",
        figsize=(5.6 * columns, (0.42 * (len(names) + 1) + 0.75) * rows),
    )
    most = max(float(table["anomaly"].max()), 1.0)
    largest = table.loc[table["band"] != bands[0], "share"].max()
    colours = plt.get_cmap("YlOrBr").with_extremes(bad="#ececec")
    edges = [band.split("–") for band in bands[1:]]
    ticks = {0.0: bands[0]} | {i + 0.5: low for i, (low, _) in enumerate(edges)}
    ticks[len(edges) + 0.5] = edges[-1][1]
    for ax, machine in zip(axes.flat, machines, strict=False):
        own = table[table["machine"] == machine]
        anomaly, noise, share = (
            own.pivot(index="front_end", columns="band", values=c).loc[names, bands].to_numpy()
            for c in ("anomaly", "noise", "share")
        )
        ax.imshow(anomaly, cmap=colours, vmin=0, vmax=most, aspect="auto")
        ax.axvline(0.5, color="white", lw=4, zorder=0.5)  # all bands together stand apart
        for (y, x), value in np.ndenumerate(anomaly):
            _retained(ax, x, y, value, noise[y, x], dark=bool(value > 0.6 * most))
        height = 0.45 * share[0, 1:] / largest
        ax.bar(range(1, len(bands)), -height, 0.88, bottom=-0.58, color="#b5b5b5")
        for x, part in enumerate(share[0, 1:]):
            text = f"{100 * part:.0f} %" if part >= 0.01 else "<1 %"
            ax.text(x + 1, -0.64 - height[x], text, ha="center", va="bottom", fontsize=7.5)
        ax.set_yticks([-0.8, *range(len(names))], ["anomaly here", *(NAMES[n] for n in names)])
        ax.set_xticks(list(ticks), list(ticks.values()))
        ax.set(ylim=(len(names) - 0.5, -1.5))
        ax.set_title(machine, parse_math=False)
        ax.tick_params(labelsize=8, length=0)
        ax.spines[:].set_visible(False)
        ax.grid(False)
    for ax in axes.flat[len(machines) :]:
        ax.set_visible(False)
    fig.supxlabel("frequency (kHz)", fontsize="small")
    scale = ScalarMappable(Normalize(0, most), colours)
    fig.colorbar(scale, ax=axes, label="anomaly removed (dB)", pad=0.01, aspect=30)
    return fig


def _retained(ax: Axes, x: int, y: int, anomaly: float, noise: float, *, dark: bool) -> None:
    """Fill one cell: anomaly removed large, noise removed small, a frame where the first is more.

    Parameters
    ----------
    anomaly, noise : removed, in dB.
    dark : whether the cell is.
    """
    for value, below, size in ((anomaly, -0.14, 8.5), (noise, 0.26, 6.5)):
        text = f"{value:.1f}" if np.isfinite(value) else "–"
        ink = "white" if dark else "#222222"
        ax.text(x, y + below, text, fontsize=size, color=ink, ha="center", va="center")
    if anomaly > noise + 0.05:  # what the printed decimals can tell
        frame = Rectangle((x - 0.43, y - 0.43), 0.86, 0.86, fill=False, ec=PALETTE[0], lw=2)
        frame.set_path_effects([withStroke(linewidth=4, foreground="white")])
        ax.add_patch(frame)


def phase_bounds(table: pd.DataFrame) -> Figure:
    """Bound, noise removed and machine sound lost over frequency, one panel per machine."""
    machines = list(table["machine"].unique())
    fig, axes = grid(len(machines))
    lines = (
        ("bound", "bound", {"color": "#444444", "ls": "--", "lw": 1.2}),
        ("noise", "noise removed", {"color": COLOURS["complexls"]}),
        ("machine_sound", "machine sound lost", {"color": PALETTE[3], "lw": 1}),
    )
    for ax, machine in zip(axes, machines, strict=True):
        rows = table[table["machine"] == machine]
        for column, name, look in lines:
            ax.plot(rows["frequency"] / 1000, rows[column], label=name, **look)
        ax.axhline(0, color="#999999", lw=0.8)
        ax.set_title(machine, parse_math=False)
    axes[0].legend(frameon=False, fontsize="x-small")
    fig.supxlabel("frequency (kHz)")
    fig.supylabel("attenuation (dB)")
    return fig


def noise_and_sound(
    table: pd.DataFrame, column: str, name: str, *, doubling: bool = False
) -> Figure:
    """Noise removed and machine sound lost, a line per machine, against one quantity.

    Parameters
    ----------
    table : columns machine, noise, machine_sound (dB) and the one that is named.
    doubling : the quantity doubles from step to step, so its axis is logarithmic.
    """
    fig, axes = plt.subplots(1, 2, figsize=(9.2, 3.2), sharex=True, layout="constrained")
    titles = {"noise": "noise removed (dB)", "machine_sound": "machine sound lost (dB)"}
    for ax, (value, title) in zip(axes, titles.items(), strict=True):
        ends = []
        for (machine, rows), marker in zip(
            table.groupby("machine"), "osD^vPX*<>ph" * 4, strict=False
        ):
            line = ax.plot(rows[column], rows[value], marker=marker, ms=4)[0]
            ends.append((rows[value].iloc[-1], str(machine), line.get_color()))
        if doubling:
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter("{x:g}")
        label_ends(ax, ends)
        ax.set(xlabel=name, ylabel=title)
    return fig
