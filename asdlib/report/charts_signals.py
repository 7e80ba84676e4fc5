"""Figures of signals: data in, figure out; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from asdlib.report.charts import image, panels
from asdlib.report.style import COLOURS, NAMES, PALETTE, looks, sound_name
from asdlib.spectra import decibels

_FREQUENCY = "frequency (kHz)"


def by_frequency(kinds: Mapping[str, Any], frequency: np.ndarray) -> pd.DataFrame:
    """Return powers as a table: columns kind, kHz, machine and dB.

    Parameters
    ----------
    kinds : "true" or "estimated" to the power of every machine; without machines a kind is left
        out.
    """
    khz = pd.Index(frequency / 1000, name="kHz")
    frames = {
        kind: pd.DataFrame({machine: decibels(own) for machine, own in powers.items()}, index=khz)
        for kind, powers in kinds.items()
    }
    whole = pd.concat(frames, names=["kind"])
    long = whole.melt(var_name="machine", value_name="dB", ignore_index=False)
    return long.dropna().reset_index()


def transfers(table: pd.DataFrame) -> Figure:
    """Noise transfer over frequency, one panel per machine; of what is estimated the median dotted.

    Parameters
    ----------
    table : of :func:`by_frequency`.
    """
    colours = {"true": COLOURS["truth"], "estimated": COLOURS["adasub"]}
    colours = {kind: colours[kind] for kind in table["kind"].unique()}
    look: Any = {"names": (_FREQUENCY, "noise transfer (dB)"), "colours": colours, "alpha": 0.85}
    shown = panels(table, "machine", "kHz", "dB", "kind", **look)
    estimated = table[table["kind"] == "estimated"]
    for machine, median in estimated.groupby("machine")["dB"].median().items():
        shown.axes_dict[machine].axhline(median, color=colours["estimated"], ls=":", lw=1)
    return shown.figure


def spectrograms(
    powers: Mapping[str, np.ndarray], *, sample_rate: int, hop_length: int, title: str
) -> Figure:
    """Log-spectrograms on one time axis, one frequency axis and one colour scale."""
    levels = {name: decibels(power) for name, power in powers.items()}
    low, high = np.percentile(np.concatenate([own.ravel() for own in levels.values()]), [10, 99.8])
    same: Any = {"sharex": True, "sharey": True, "squeeze": False, "layout": "constrained"}
    fig, axes = plt.subplots(len(levels), figsize=(7.0, 1.5 * len(levels) + 0.6), **same)
    for ax, (name, level) in zip(axes.flat, levels.items(), strict=True):
        image(ax, level, hop_length / sample_rate, sample_rate / 2000, vmin=low, vmax=high)
        ax.set_title(sound_name(name) if name in ("near", "far") else NAMES[name])
    fig.suptitle(title, fontsize="medium")
    fig.supxlabel("time (s)")
    fig.supylabel(_FREQUENCY)
    fig.colorbar(axes[0, 0].images[0], ax=axes, label="power (dB)", pad=0.01)
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
    look: Any = {"colours": {"source": PALETTE[0], "target": PALETTE[1]}, "s": 45, "alpha": 0.7}
    look |= {"points": {"source": "o", "target": "D"}}
    names = ("level of the machine (dB)", "centroid (kHz)")
    return panels(table, "scenes", "level", "centroid", "domain", names=names, **look).figure


def retention(table: pd.DataFrame) -> Figure:
    """Anomaly removed per front-end and band, a panel per machine; noise removed in brackets.

    Colour and upper number: anomaly removed. Framed: more anomaly removed than noise. Below every
    band stands how much of the anomaly's energy lies in it.

    Parameters
    ----------
    table : columns machine, front_end, band ("all", then edges in kHz), noise and anomaly (dB),
        share (0 to 1).
    """
    values = table[["anomaly", "noise"]].to_numpy()
    places = zip(table["band"], table["share"], strict=True)
    cells = table.assign(
        said=[f"{anomaly:.1f}\n({noise:.1f})".replace("nan", "–") for anomaly, noise in values],
        band=[f"{band}\n{f'{100 * x:.0f}' if x >= 0.01 else '<1'} %" for band, x in places],
    ).replace({"front_end": NAMES})
    machines, front_ends = table["machine"].nunique(), table["front_end"].nunique()
    size = (7.2, (0.5 * front_ends + 0.9) * machines)
    fig, axes = plt.subplots(machines, figsize=size, squeeze=False, layout="constrained")
    # dark words can be read on the pale half of the colours
    look: Any = {"cmap": "YlOrBr", "vmin": 0, "vmax": 2 * max(table["anomaly"].max(), 1)}
    look |= {"annot_kws": {"fontsize": 9, "color": "#222222"}, "fmt": "", "cbar": False}
    for ax, (machine, own) in zip(axes.flat, cells.groupby("machine", sort=False), strict=True):
        rows, columns = own["front_end"].unique(), own["band"].unique()
        anomaly, noise, said = (
            own.pivot(index="front_end", columns="band", values=c).loc[rows, columns]
            for c in ("anomaly", "noise", "said")
        )
        ax.set_facecolor("#ececec")  # without a value
        sns.heatmap(anomaly, annot=said, ax=ax, xticklabels=True, **look)
        for y, x in np.argwhere((anomaly > noise + 0.05).to_numpy()):  # as the decimals tell
            frame: Any = {"fill": False, "ec": PALETTE[0], "lw": 2}
            ax.add_patch(Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, **frame))
        ax.tick_params(labelsize=9, rotation=0)
        ax.set(title=machine, xlabel="", ylabel="")
    fig.supxlabel("frequency (kHz), and the share of the anomaly that lies there")
    return fig


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


def noise_and_sound(table: pd.DataFrame, column: str, name: str) -> Figure:
    """Noise removed and machine sound lost, a line per machine, against one quantity.

    Parameters
    ----------
    table : columns machine, noise, machine_sound (dB) and the one that is named.
    """
    titles = {"noise": "noise removed (dB)", "machine_sound": "machine sound lost (dB)"}
    long = table.rename(columns=titles).melt(["machine", column], [*titles.values()], "what", "dB")
    look: Any = {"style": "machine", "markers": True, "dashes": False, "names": (name, "")}
    look |= {"facet_kws": {"sharey": False}}
    shown = panels(long, "what", column, "dB", "machine", **look)
    worst: Any = table.sort_values("machine_sound").iloc[-1]
    for value, title in titles.items():
        place = (worst[column], worst[value])
        ax = shown.axes_dict[title]
        ax.annotate(f"{worst[value]:.1f}", place, (4, 6), textcoords="offset points")
    return shown.figure
