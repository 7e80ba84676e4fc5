"""Figures of signals: data in, figure out; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

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
