"""Figures of signals: data in, figure out; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from asdlib.report.style import COLOURS, MARKERS, NAMES, PALETTE, grid, label_ends
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
