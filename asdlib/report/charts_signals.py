"""Figures of signals: data in, figure out; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from asdlib.report.charts import grid, image, lines, panels
from asdlib.report.style import COLOURS, NAMES, PALETTE, looks, sound_name
from asdlib.spectra import decibels

_FREQUENCY = "frequency (kHz)"


def by_frequency(kinds: Mapping[str, Any], frequency: np.ndarray) -> pd.DataFrame:
    """Return powers as a table: columns machine, kind, kHz and dB.

    Parameters
    ----------
    kinds : "near", "far", "true" or "estimated" to the power of every machine; without machines
        a kind is left out.
    """
    rows = [
        pd.DataFrame(
            {"machine": machine, "kind": kind, "kHz": frequency / 1000, "dB": decibels(own)}
        )
        for kind, powers in kinds.items()
        for machine, own in powers.items()
    ]
    return pd.concat(rows, ignore_index=True)


def spectra(table: pd.DataFrame, name: str) -> Figure:
    """Power over frequency in dB, one panel per machine; of what is estimated the median dotted.

    Parameters
    ----------
    table : of :func:`by_frequency`.
    name : of the vertical axis.
    """
    like = {"near": "near", "far": "far", "true": "truth", "estimated": "adasub"}
    colours = {kind: COLOURS[like[kind]] for kind in table["kind"].unique()}
    names = (_FREQUENCY, name)
    shown = panels(table, "machine", "kHz", "dB", "kind", names=names, colours=colours, alpha=0.85)
    estimated = table[table["kind"] == "estimated"]
    for machine, median in estimated.groupby("machine")["dB"].median().items():
        shown.axes_dict[machine].axhline(median, color=colours["estimated"], ls=":", lw=1)
    return shown.figure


def spectrograms(
    powers: Mapping[str, np.ndarray], *, sample_rate: int, hop_length: int, title: str
) -> Figure:
    """Log-spectrograms on one time axis, one frequency axis and one colour scale."""
    fig, axes = grid(len(powers), width=3.5, height=2.2, columns=2)
    levels = {name: decibels(power) for name, power in powers.items()}
    low, high = np.percentile(np.concatenate([own.ravel() for own in levels.values()]), [10, 99.8])
    scale = Normalize(low, high)
    for ax, (name, level) in zip(axes, levels.items(), strict=True):
        image(ax, level, hop_length / sample_rate, sample_rate / 2000, norm=scale)
        ax.set_title(sound_name(name) if name in ("near", "far") else NAMES[name])
    fig.suptitle(title, fontsize="medium", parse_math=False)
    fig.supxlabel("time (s)")
    fig.supylabel(_FREQUENCY)
    fig.colorbar(axes[0].images[0], ax=axes, label="power (dB)", pad=0.01)
    return fig


def removal(table: pd.DataFrame) -> Figure:
    """Noise removed against machine sound lost, in dB: a panel per machine, a point per front-end.

    Parameters
    ----------
    table : columns machine, front_end, noise, machine_sound.
    """
    look: Any = looks(table["front_end"].unique()) | {"s": 55}
    names = ("machine sound lost (dB)", "noise removed (dB)")
    named = table.replace({"front_end": NAMES})
    shown = panels(named, "machine", "machine_sound", "noise", "front_end", names=names, **look)
    most = max(float(table[["noise", "machine_sound"]].max().max()), 1.0)
    for ax in shown.axes.flat:
        ax.plot([0, most], [0, most], color="#999999", ls=":", lw=1)
    return shown.figure


def harder(table: pd.DataFrame) -> Figure:
    """Centroid over level of training clips, a panel for each kind of scenes.

    Parameters
    ----------
    table : of :func:`asdlib.measure.truth.harder`.
    """
    look: Any = {"colours": dict(zip(("source", "target"), PALETTE, strict=False))}
    look |= {"markers": {"source": "o", "target": "D"}, "s": 45, "alpha": 0.7}
    names = ("level of the machine (dB)", "centroid (kHz)")
    return panels(table, "scenes", "level", "centroid", "domain", names=names, **look).figure


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
    height = 0.46 * (len(names) + 1) + 0.75
    fig, axes = grid(len(machines), width=7.2, height=height, columns=1)
    most = max(float(table["anomaly"].max()), 1.0)
    largest = table.loc[table["band"] != bands[0], "share"].max()
    pale = plt.get_cmap("YlOrBr")(np.linspace(0, 0.55, 64))  # dark words can be read on all of them
    colours = ListedColormap(pale).with_extremes(bad="#ececec")
    edges = [band.split("–") for band in bands[1:]]
    ticks = {0.0: bands[0]} | {i + 0.5: low for i, (low, _) in enumerate(edges)}
    ticks[len(edges) + 0.5] = edges[-1][1]
    for ax, machine in zip(axes, machines, strict=True):
        own = table[table["machine"] == machine]
        anomaly, noise, share = (
            own.pivot(index="front_end", columns="band", values=c).loc[names, bands].to_numpy()
            for c in ("anomaly", "noise", "share")
        )
        ax.imshow(anomaly, cmap=colours, vmin=0, vmax=most, aspect="auto")
        ax.axvline(0.5, color="white", lw=4, zorder=0.5)  # all bands together stand apart
        for (y, x), value in np.ndenumerate(anomaly):
            _retained(ax, x, y, value, noise[y, x])
        height = 0.45 * share[0, 1:] / largest
        ax.bar(range(1, len(bands)), -height, 0.88, bottom=-0.58, color="#b5b5b5")
        for x, part in enumerate(share[0, 1:]):
            text = f"{100 * part:.0f} %" if part >= 0.01 else "<1 %"
            ax.text(x + 1, -0.64 - height[x], text, ha="center", va="bottom", fontsize=9)
        ax.set_yticks([-0.8, *range(len(names))], ["anomaly here", *(NAMES[n] for n in names)])
        ax.set_xticks(list(ticks), list(ticks.values()))
        ax.set(ylim=(len(names) - 0.5, -1.5))
        ax.set_title(machine, parse_math=False)
        ax.tick_params(labelsize=9, length=0)
        ax.spines[:].set_visible(False)
    fig.supxlabel("frequency (kHz)")
    scale = ScalarMappable(Normalize(0, most), colours)
    fig.colorbar(scale, ax=axes, label="anomaly removed (dB)", pad=0.01, aspect=30)
    return fig


def _retained(ax: Axes, x: int, y: int, anomaly: float, noise: float) -> None:
    """Fill one cell: anomaly removed large, noise removed small, a frame where the first is more.

    Parameters
    ----------
    anomaly, noise : removed, in dB.
    """
    for value, below, size in ((anomaly, -0.16, 10.5), (noise, 0.28, 9)):
        text = f"{value:.1f}" if np.isfinite(value) else "–"
        ax.text(x, y + below, text, fontsize=size, color="#222222", ha="center", va="center")
    if anomaly > noise + 0.05:  # what the printed decimals can tell
        frame = Rectangle((x - 0.43, y - 0.43), 0.86, 0.86, fill=False, ec=PALETTE[0], lw=2)
        frame.set_path_effects([withStroke(linewidth=4, foreground="white")])
        ax.add_patch(frame)


def phase_bounds(table: pd.DataFrame) -> Figure:
    """Bound, noise removed and machine sound lost over frequency, one panel per machine."""
    names = {"bound": "bound", "noise": "noise removed", "machine_sound": "machine sound lost"}
    named = table.assign(kHz=table["frequency"] / 1000).rename(columns=names)
    colours = ("#444444", COLOURS["complexls"], PALETTE[3])
    long = named.melt(["machine", "kHz"], list(names.values()), "what", "dB")
    look: Any = {"colours": dict(zip(names.values(), colours, strict=True))}
    look |= {"style": "what", "dashes": [(4, 2), "", ""], "names": (_FREQUENCY, "attenuation (dB)")}
    shown = panels(long, "machine", "kHz", "dB", "what", **look)
    for ax in shown.axes.flat:
        ax.axhline(0, color="#999999", lw=0.8)
    return shown.figure


def noise_and_sound(
    table: pd.DataFrame, column: str, name: str, *, doubling: bool = False
) -> Figure:
    """Noise removed and machine sound lost, a line per machine, against one quantity.

    Parameters
    ----------
    table : columns machine, noise, machine_sound (dB) and the one that is named.
    doubling : the quantity doubles from step to step, so its axis is logarithmic.
    """
    fig, axes = plt.subplots(1, 2, figsize=(7.0, 3.0), sharex=True, layout="constrained")
    titles = {"noise": "noise removed (dB)", "machine_sound": "machine sound lost (dB)"}
    for ax, (value, title) in zip(axes, titles.items(), strict=True):
        lines(ax, table, column, value, "machine")
        if doubling:
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter("{x:g}")
        ax.set_ylabel(title)
        worst: Any = table.sort_values("machine_sound").iloc[-1]
        said = f"{worst[value]:.1f}"
        ax.annotate(said, (worst[column], worst[value]), (4, 6), textcoords="offset points")
    fig.supxlabel(name, fontsize="medium")
    return fig
