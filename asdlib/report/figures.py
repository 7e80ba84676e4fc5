"""Figures of signals: data in, figure out; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from asdlib.report.style import COLOURS, MARKERS, NAMES, grid, label_ends
from asdlib.spectra import decibels


def noise_floors(
    floors: Mapping[str, tuple[np.ndarray, np.ndarray]], frequency: np.ndarray
) -> Figure:
    """Quiet floors of both channels, one panel per machine."""
    fig, axes = grid(len(floors))
    for ax, (machine, (near, far)) in zip(axes, floors.items(), strict=True):
        for name, values in (("near", near), ("far", far)):
            ax.plot(frequency / 1000, decibels(values), color=COLOURS[name], label=name)
        ax.set_title(machine, parse_math=False)
    axes[0].legend(title="microphone", frameon=False)
    fig.supxlabel("frequency (kHz)")
    fig.supylabel("floor$_x(k)$ (dB)")
    return fig


def noise_transfers(
    estimated: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray], frequency: np.ndarray
) -> Figure:
    """G_m(k) per machine, with the true transfer where it is known."""
    fig, axes = grid(len(estimated))
    for ax, (machine, transfer) in zip(axes, estimated.items(), strict=True):
        if machine in true:
            ax.plot(
                frequency / 1000,
                decibels(true[machine]),
                color=COLOURS["truth"],
                lw=1,
                label="true",
            )
        ax.plot(
            frequency / 1000,
            decibels(transfer),
            color=COLOURS["adasub"],
            label="estimated",
            alpha=0.85,
        )
        ax.axhline(
            decibels(np.median(transfer, keepdims=True))[0], color=COLOURS["adasub"], ls=":", lw=1
        )
        ax.set_title(machine, parse_math=False)
    axes[0].legend(frameon=False)
    fig.supxlabel("frequency (kHz)")
    fig.supylabel("$G_m(k)$ (dB)")
    return fig


def percentile_sensitivity(table: pd.DataFrame, chosen: float) -> Figure:
    """Median G_m against the percentile of the floor: columns percentile, machine, offset."""
    fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    ends = []
    for (machine, rows), marker in zip(table.groupby("machine"), "osD^vPX*<>ph" * 4, strict=False):
        rows = rows.sort_values("percentile")
        line = ax.plot(rows["percentile"], rows["offset"], marker=marker, ms=4)[0]
        ends.append((rows["offset"].iloc[-1], str(machine), line.get_color()))
    ax.axvline(chosen, color="#444444", ls="--", lw=1)
    ax.annotate(f" P$_{{{chosen:g}}}$", (chosen, 1), xycoords=("data", "axes fraction"), va="top")
    ax.set(xlabel="percentile over time", ylabel=str(table["what"].iloc[0]))
    label_ends(ax, ends)
    return fig


def spectrograms(
    powers: Mapping[str, np.ndarray], *, sample_rate: int, hop_length: int, title: str
) -> Figure:
    """Log-spectrograms on one time axis, one frequency axis and one colour scale."""
    fig, axes = grid(len(powers), width=3.4, height=2.3)
    levels = decibels(np.concatenate([p.ravel() for p in powers.values()]))
    low, high = np.percentile(levels, [10, 99.8])
    image = None
    for ax, (name, power) in zip(axes, powers.items(), strict=True):
        seconds = power.shape[1] * hop_length / sample_rate
        image = ax.imshow(
            decibels(power),
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=low,
            vmax=high,
            extent=(0, seconds, 0, sample_rate / 2000),
            interpolation="nearest",
        )
        ax.set_title(NAMES.get(name, name) if name not in ("near", "far") else f"{name} microphone")
        ax.grid(False)
    fig.suptitle(title, fontsize="medium")
    fig.supxlabel("time (s)")
    fig.supylabel("frequency (kHz)")
    fig.colorbar(image, ax=axes, label="power (dB)", pad=0.01)
    return fig


def attenuation(table: pd.DataFrame) -> Figure:
    """Attenuation against local SNR: columns front_end, snr, mean, low, high, all in dB."""
    fig, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    ends = []
    for name, rows in table.groupby("front_end", sort=False):
        colour = COLOURS[str(name)]
        ax.fill_between(rows["snr"], rows["low"], rows["high"], color=colour, alpha=0.15, lw=0)
        ax.plot(rows["snr"], rows["mean"], color=colour, marker=MARKERS[str(name)], ms=4)
        ends.append((rows["mean"].iloc[-1], NAMES[str(name)], colour))
    label_ends(ax, ends)
    ax.set(
        xlabel=r"local SNR $10\log_{10} P_n/(G_m P_f)$ (dB)",
        ylabel=r"attenuation $10\log_{10}$ out / $P_n$ (dB)",
    )
    return fig


def removal(table: pd.DataFrame) -> Figure:
    """Noise removed against machine sound lost, in dB: a panel per machine, a point per front-end.

    Parameters
    ----------
    table : columns machine, front_end, noise, machine_sound.
    """
    machines = list(table["machine"].unique())
    fig, axes = grid(len(machines))
    most = max(float(table[["noise", "machine_sound"]].max().max()), 1.0)
    for ax, machine in zip(axes, machines, strict=True):
        ax.plot([0, most], [0, most], color="#999999", ls=":", lw=1)
        for _, row in table[table["machine"] == machine].iterrows():
            name = row["front_end"]
            ax.plot(
                row["machine_sound"],
                row["noise"],
                color=COLOURS[name],
                marker=MARKERS[name],
                ls="",
                ms=7,
                label=NAMES[name],
            )
        ax.set_title(machine, parse_math=False)
    axes[0].legend(frameon=False, fontsize="x-small", loc="lower right")
    fig.supxlabel("machine sound lost (dB)")
    fig.supylabel("noise removed (dB)")
    return fig


def pipeline() -> Figure:
    """Fig. 1: the road of one clip, and what is taken from training-normal clips only."""
    fig, ax = plt.subplots(figsize=(9.6, 3.7))
    ax.set(xlim=(0, 96), ylim=(0, 37))
    ax.axis("off")
    blue, grey, ink = COLOURS["adasub"], "#f3f3f1", "#222222"

    def box(x: float, y: float, w: float, text: str, *, train: bool = False, h: float = 7) -> None:
        ax.add_patch(
            FancyBboxPatch(
                (x, y),
                w,
                h,
                boxstyle="round,pad=0.2,rounding_size=1",
                fc="#e8f1f8" if train else grey,
                ec=blue if train else ink,
                ls="--" if train else "-",
                lw=1.1,
            )
        )
        ax.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=8, color=ink)

    def arrow(start: tuple[float, float], end: tuple[float, float], colour: str = ink) -> None:
        ax.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>",
                mutation_scale=9,
                lw=1.1,
                color=colour,
                ls="--" if colour == blue else "-",
                shrinkA=0,
                shrinkB=0,
            )
        )

    box(0.5, 25, 13.5, "near microphone\n$N(k,t)$")
    box(0.5, 13, 13.5, "far microphone\n$F(k,t)$")
    box(18, 19, 15, "front-end\n$P_n - a\\,G_m P_f$\nfloored at $\\beta P_n$", h=9)
    box(38, 20, 11, "log-mel,\n5 frames\nstacked")
    box(54, 20, 12, "autoencoder\n640–16–640,\none per seed")
    box(71, 20, 12, "$A(x)$, eq. 1\nMahalanobis\n+ energy, $P_{90}$")
    box(87.5, 20, 8, "$z(x)$\nmean of\nseeds")
    for start, end in (
        ((14.3, 28.5), (17.7, 25.5)),
        ((14.3, 16.5), (17.7, 21)),
        ((33.3, 23.5), (37.7, 23.5)),
        ((49.3, 23.5), (53.7, 23.5)),
        ((66.3, 23.5), (70.7, 23.5)),
        ((83.3, 23.5), (87.2, 23.5)),
    ):
        arrow(start, end)
    box(17, 3, 17, "quiet floors of both\nchannels, $G_m(k)$", train=True)
    box(38, 3, 11, "mean,\nstandard dev.", train=True)
    box(54, 3, 12, "weights", train=True)
    box(71, 3, 12, "$\\mu$, $\\Sigma$ of the\nresiduals", train=True)
    box(87.5, 3, 8, "gamma,\nthreshold", train=True)
    for x, top in ((25.5, 18.7), (43.5, 19.7), (60, 19.7), (77, 19.7), (91.5, 19.7)):
        arrow((x, 10.3), (x, top), blue)
    ax.text(
        7,
        6.5,
        "from training-normal\nclips only",
        ha="center",
        va="center",
        color=blue,
        fontsize=8.5,
    )
    ax.text(1, 35, "every clip alone", color=ink, fontsize=8.5, va="center")
    return fig
