"""Figures of signals, and how every figure looks: data in, figure out; nothing is computed here.

One house style, one colour per system everywhere (colour-blind safe), symbols and units as in the
method. ``show_figure`` places a figure in the report and in JupyterLab alike.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

PALETTE = sns.color_palette("colorblind").as_hex()
COLOURS = {
    "near": "#6e6e6e",
    "far": PALETTE[5],
    "refsub": PALETTE[2],
    "adasub": PALETTE[0],
    "cohgate": PALETTE[1],
    "combo": PALETTE[4],
    "cohsub": PALETTE[6],
    "wiener": PALETTE[3],
    "lsa": PALETTE[9],
    "complexls": "#7a3b00",
    "lsada": "#00798c",
    "adals": "#8f2d56",
    "baseline": "#8c6d31",
    "truth": "#111111",
}
NAMES = {
    "near": "AE ch1",
    "far": "AE ch2 (far)",
    "refsub": "RefSub",
    "adasub": "AdaSub",
    "cohgate": "CohGate",
    "combo": "Combo",
    "cohsub": "CohSub",
    "wiener": "Wiener",
    "lsa": "LSA",
    "complexls": "ComplexLS",
    "lsada": "LSAda",
    "adals": "AdaLS",
    "baseline": "Baseline",
}
SCORER_NAMES = {
    "eq1": "eq. 1",
    "dm": "+ DM",
    "shrink": "+ shrink",
    "p95": "+ P95",
    "dm_shrink": "+ DM + shrink",
    "s1": "+ DM + shrink + P95",
    "mse": "MSE",
    "mahala": "MAHALA",
    "mahala_corrected": "MAHALA corrected",
    "ledoit_wolf": "Ledoit-Wolf",
    "mean": "mean over frames",
    "max": "maximum over frames",
    **{f"alpha_{a:g}": f"α = {a:g}" for a in (0, 0.1, 0.4, 0.7, 1)},
}
MARKERS = dict(zip(COLOURS, "os^DvP<>hXd8p*", strict=True))


def system_name(front_end: str, scorer: str = "eq1") -> str:
    """Name of a system in tables and figures, such as "AdaSub + DM"."""
    suffix = "" if scorer == "eq1" else f" {SCORER_NAMES[scorer]}"
    return NAMES[front_end] + suffix


def style() -> None:
    """Set the house style; every chapter calls it once."""
    sns.set_theme(context="notebook", style="whitegrid", font_scale=0.85)
    matplotlib.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.bbox": "tight",
            "svg.hashsalt": "asdlib",
            "svg.fonttype": "path",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": "#e4e4e4",
            "lines.linewidth": 1.6,
            "axes.titlesize": "medium",
        }
    )


def save_figure(fig: Figure, label: str, folder: Path) -> Path:
    """Write a figure as SVG, without dates, so that the same data give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{label}.svg"
    fig.savefig(path, metadata={"Date": None})
    return path


def show_figure(
    fig: Figure, label: str, caption: str, *, folder: Path, alt: str | None = None
) -> None:
    """Save ``<folder>/<label>.svg`` and show it: numbered in the report, inline in JupyterLab.

    Parameters
    ----------
    label : file name and cross-reference name, such as ``fig-noise-floors``.
    caption : what to look at; MyST text.
    alt : a description for those who cannot see it; the caption by default.
    """
    save_figure(fig, label, folder)
    png = io.BytesIO()
    fig.savefig(png, format="png")
    plt.close(fig)
    alt = " ".join((alt or caption).replace('"', "'").split())
    block = f"```{{figure}} /figures/{label}.svg\n:name: {label}\n:alt: {alt}\n\n{caption}\n```"
    image = base64.b64encode(png.getvalue()).decode()
    html = f'<img alt="{label}" src="data:image/png;base64,{image}"/><p>{caption}</p>'
    display({"text/markdown": block, "text/html": html, "text/plain": caption}, raw=True)


def sound_name(key: str) -> str:
    """What a player of :meth:`asdlib.measure.example.Example.tracks` is called."""
    named = {
        "near": "near microphone",
        "far": "far microphone",
        "truth": "machine alone (truth)",
    }
    return named.get(key) or f"near after {NAMES[key]}"


def missing(reason: str) -> Figure:
    """Stand in for a figure that cannot be drawn from these recordings, and say why."""
    fig, ax = plt.subplots(figsize=(6.4, 1.2), layout="constrained")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.text(0.5, 0.5, reason, ha="center", va="center", color="#555555", wrap=True)
    return fig


def panels(count: int, *, width: float = 3.2, height: float = 2.5, columns: int = 3):
    """As many axes of one kind as asked for, in rows, sizes in inches."""
    columns = min(columns, count)
    rows = -(-count // columns)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(max(width * columns, 4.2), height * rows),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    for ax in axes.flat[max(count - columns, 0) : count]:
        ax.tick_params(labelbottom=True)
    return fig, list(axes.flat[:count])


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, Any]]) -> None:
    """Name lines beside their right ends, in place of a legend; names that overlap are spread.

    Parameters
    ----------
    ends : last value, name and colour of every line.
    """
    low, high = ax.get_ylim()
    gap, place = 0.06 * (high - low), -np.inf
    for value, name, colour in sorted(ends, key=lambda end: end[0]):
        place = max(value, place + gap)
        ax.annotate(
            f" {name}", (1, place), xycoords=("axes fraction", "data"), color=colour, va="center",
            fontsize=9, annotation_clip=False, parse_math=False,
        )  # fmt: skip


def _db(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-16))


def noise_floors(
    floors: Mapping[str, tuple[np.ndarray, np.ndarray]], frequency: np.ndarray
) -> Figure:
    """Quiet floors of both channels, one panel per machine."""
    fig, axes = panels(len(floors))
    for ax, (machine, (near, far)) in zip(axes, floors.items(), strict=True):
        for name, values in (("near", near), ("far", far)):
            ax.plot(frequency / 1000, _db(values), color=COLOURS[name], label=name)
        ax.set_title(machine)
    axes[0].legend(title="microphone", frameon=False)
    fig.supxlabel("frequency (kHz)")
    fig.supylabel("floor$_x(k)$ (dB)")
    return fig


def noise_transfers(
    estimated: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray], frequency: np.ndarray
) -> Figure:
    """G_m(k) per machine, with the true transfer where it is known."""
    fig, axes = panels(len(estimated))
    for ax, (machine, transfer) in zip(axes, estimated.items(), strict=True):
        if machine in true:
            ax.plot(
                frequency / 1000, _db(true[machine]), color=COLOURS["truth"], lw=1, label="true"
            )
        ax.plot(
            frequency / 1000, _db(transfer), color=COLOURS["adasub"], label="estimated", alpha=0.85
        )
        ax.axhline(_db(np.median(transfer)), color=COLOURS["adasub"], ls=":", lw=1)
        ax.set_title(machine)
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
    fig, axes = panels(len(powers), width=3.4, height=2.3)
    levels = _db(np.concatenate([p.ravel() for p in powers.values()]))
    low, high = np.percentile(levels, [10, 99.8])
    image = None
    for ax, (name, power) in zip(axes, powers.items(), strict=True):
        seconds = power.shape[1] * hop_length / sample_rate
        image = ax.imshow(
            _db(power),
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
    fig, axes = panels(len(machines))
    most = max(float(table[["noise", "machine_sound"]].max().max()), 1.0)
    for ax, machine in zip(axes, machines, strict=True):
        ax.plot([0, most], [0, most], color="#999999", ls=":", lw=1)
        for _, row in table[table["machine"] == machine].iterrows():
            name = row["front_end"]
            ax.plot(
                row["machine_sound"], row["noise"], color=COLOURS[name], marker=MARKERS[name],
                ls="", ms=7, label=NAMES[name],
            )  # fmt: skip
        ax.set_title(machine)
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
                (x, y), w, h, boxstyle="round,pad=0.2,rounding_size=1",
                fc="#e8f1f8" if train else grey, ec=blue if train else ink,
                ls="--" if train else "-", lw=1.1,
            )
        )  # fmt: skip
        ax.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=8, color=ink)

    def arrow(start: tuple[float, float], end: tuple[float, float], colour: str = ink) -> None:
        ax.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=9, lw=1.1, color=colour,
                ls="--" if colour == blue else "-", shrinkA=0, shrinkB=0,
            )
        )  # fmt: skip

    box(0.5, 25, 13.5, "near microphone\n$N(k,t)$")
    box(0.5, 13, 13.5, "far microphone\n$F(k,t)$")
    box(18, 19, 15, "front-end\n$P_n - a\\,G_m P_f$\nfloored at $\\beta P_n$", h=9)
    box(38, 20, 11, "log-mel,\n5 frames\nstacked")
    box(54, 20, 12, "autoencoder\n640–16–640,\none per seed")
    box(71, 20, 12, "$A(x)$, eq. 1\nMahalanobis\n+ energy, $P_{90}$")
    box(87.5, 20, 8, "$z(x)$\nmean of\nseeds")
    for start, end in (
        ((14.3, 28.5), (17.7, 25.5)), ((14.3, 16.5), (17.7, 21)), ((33.3, 23.5), (37.7, 23.5)),
        ((49.3, 23.5), (53.7, 23.5)), ((66.3, 23.5), (70.7, 23.5)), ((83.3, 23.5), (87.2, 23.5)),
    ):  # fmt: skip
        arrow(start, end)
    box(17, 3, 17, "quiet floors of both\nchannels, $G_m(k)$", train=True)
    box(38, 3, 11, "mean,\nstandard dev.", train=True)
    box(54, 3, 12, "weights", train=True)
    box(71, 3, 12, "$\\mu$, $\\Sigma$ of the\nresiduals", train=True)
    box(87.5, 3, 8, "gamma,\nthreshold", train=True)
    for x, top in ((25.5, 18.7), (43.5, 19.7), (60, 19.7), (77, 19.7), (91.5, 19.7)):
        arrow((x, 10.3), (x, top), blue)
    ax.text(7, 6.5, "from training-normal\nclips only", ha="center", va="center", color=blue,
            fontsize=8.5)  # fmt: skip
    ax.text(1, 35, "every clip alone", color=ink, fontsize=8.5, va="center")
    return fig
