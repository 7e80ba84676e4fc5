"""Figures of scores and systems: data in, figure out; nothing is computed or read here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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


_KINDS = {
    ("source", "normal"): ("normal, source", PALETTE[0], "o"),
    ("target", "normal"): ("normal, target", PALETTE[2], "s"),
    ("source", "anomaly"): ("anomaly, source", PALETTE[3], "x"),
    ("target", "anomaly"): ("anomaly, target", PALETTE[1], "+"),
}


def level_and_scatter(table: pd.DataFrame) -> Figure:
    """Level and scatter of every test clip, one panel per machine.

    Parameters
    ----------
    table : of :func:`asdlib.compare.untrained.level_and_scatter`.
    """
    machines = list(table["machine"].unique())
    fig, axes = grid(len(machines))
    for ax, machine in zip(axes, machines, strict=True):
        own = table[table["machine"] == machine]
        for (domain, label), (name, colour, marker) in _KINDS.items():
            clips = own[(own["domain"] == domain) & (own["label"] == label)]
            ax.scatter(
                clips["level"],
                clips["scatter"],
                s=22,
                alpha=0.8,
                color=colour,
                marker=marker,
                label=name,
            )
        ax.axvline(0, color="#999999", lw=0.8, zorder=0)
        ax.axhline(0, color="#999999", lw=0.8, zorder=0)
        ax.set_title(machine, parse_math=False)
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(
        handles,
        names,
        frameon=False,
        fontsize="small",
        loc="outside upper center",
        ncols=len(names),
    )
    fig.supxlabel("level: $m$, mean over bands (dB)")
    fig.supylabel("scatter: $s$ (dB)")
    return fig


def learning_curve(curve: pd.DataFrame, reference: float | None = None) -> Figure:
    """Omega against the number of training clips: all machines bold, each one thin.

    Parameters
    ----------
    curve : of :func:`asdlib.compare.untrained.learning_curve`.
    reference : Omega of the autoencoder on AdaSub under eq. 1, with all clips; a dotted line.
    """
    fig, ax = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
    ends = []
    for machine in (name for name in curve.columns if name != "overall"):
        line = ax.plot(curve.index, curve[machine], lw=0.9, alpha=0.7, marker=".")[0]
        ends.append((curve[machine].iloc[-1], str(machine), line.get_color()))
    ax.plot(curve.index, curve["overall"], color="#111111", lw=2.4, marker="o")
    ends.append((curve["overall"].iloc[-1], "all machines", "#111111"))
    if reference is not None:
        ax.axhline(reference, color=COLOURS["adasub"], ls=":", lw=1.4)
        ax.annotate(
            "autoencoder on AdaSub, all clips",
            (0.01, reference),
            xycoords=("axes fraction", "data"),
            color=COLOURS["adasub"],
            fontsize=8,
            va="bottom",
        )
    ax.set_xscale("log")
    ax.set_xticks(curve.index, [str(count) for count in curve.index])
    ax.minorticks_off()
    label_ends(ax, [end for end in ends if end[0] == end[0]])
    ax.set(xlabel="training clips of the source domain", ylabel=r"$\Omega$")
    return fig
