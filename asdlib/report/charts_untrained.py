"""Figures of detectors without training: data in, figure out; nothing is computed here."""

from __future__ import annotations

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from asdlib.report.style import COLOURS, PALETTE, grid, label_ends

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
