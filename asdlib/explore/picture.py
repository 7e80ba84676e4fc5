"""The live explorer's pictures, drawn whole at every move.

Of a clip of 10 s and ten seeds, the panels take .34 s of processor time, a whole move .46 s (median
of seven moves on one slow core). The state of pyplot is never touched. Notebook: 00_explore.
"""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asdlib.explore.data import ClipPicture, Trained
from asdlib.params import Params
from asdlib.report import charts_evidence
from asdlib.report.style import COLOURS, NAMES, PALETTE, SCORER_NAMES, font_families
from asdlib.spectra import decibels, frequencies

_DPI = 80
_QUIET = -160.0  # dB, the method's smallest power
_STYLE: Any = {
    "font.family": font_families(),
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titley": 1.02,  # finding a place takes as long as drawing
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.2,
}
_PLACES = {"left": 0.05, "right": 0.96, "top": 0.925, "bottom": 0.06, "hspace": 0.42}
_SNR = "local SNR 10 log$_{10}$ $P_n/(G_m P_f)$ (dB)"
_GAIN = "gain 10 log$_{10}$ out / $P_n$ (dB)"


@matplotlib.rc_context(_STYLE)
def panels(clip: ClipPicture, params: Params, front_end: str, title: str) -> bytes:
    """Return nine panels of one clip as PNG.

    Parameters
    ----------
    params : of the study: sample rate, hop, percentile of the clip score.
    title : plain text.
    """
    fig = Figure(figsize=(12.4, 9.0), dpi=_DPI)
    fig.text(0.055, 0.972, title, fontsize=10, parse_math=False)
    axes = fig.subplots(3, 3, gridspec_kw={**_PLACES, "wspace": 0.25}).flat
    hop = params.spectra.hop_length / params.spectra.sample_rate
    kilohertz = frequencies(params.spectra) / 1000
    extent = (0, clip.near.shape[1] * hop, 0, kilohertz[-1])
    near, far, denoised = map(decibels, (clip.near, clip.far, clip.denoised))
    low, high = np.percentile([near, far], [10, 99.8])  # does not move with a slider
    ends = low, max(high, low + 1)
    for ax, name, values, colours, (least, most) in (
        (axes[0], "near microphone, power (dB)", near, "magma", ends),
        (axes[1], "far microphone, power (dB)", far, "magma", ends),
        (axes[2], f"near after {NAMES[front_end]}, power (dB)", denoised, "magma", ends),
        (axes[3], _SNR, clip.snr, "RdBu_r", (-20, 20)),
        (axes[4], _GAIN, clip.gain, "viridis", (-15, 0)),
    ):
        ax.set(title=name, xlabel="time (s)", ylabel="frequency (kHz)")
        ax.set_facecolor("#bdbdbd")  # seen where a ratio has no value
        look: Any = {"cmap": colours, "vmin": least, "vmax": most, "aspect": "auto"}
        shown = ax.imshow(values, extent=extent, origin="lower", **look)
        fig.colorbar(shown, ax=ax, pad=0.02, fraction=0.05)
    _spectra(axes[5], clip, kilohertz)
    _transfer(axes[6], decibels(clip.floors.transfer), kilohertz)
    axes[7].set(xlabel="time (s)", ylabel="$||e_i||^2$, mean of seeds", xlim=extent[:2])
    axes[8].set(xlabel="$z$", ylabel="density")
    if clip.trained is None:
        for ax, what in ((axes[7], "residual energy"), (axes[8], "score $z$")):
            ax.set_title(f"{what}: {clip.notes[-1]}")
    else:
        _energy(axes[7], clip, params, hop)
        _scores(axes[8], clip, clip.trained)
    return _encoded(fig)


@matplotlib.rc_context(_STYLE)
def shares(table: pd.DataFrame, title: str) -> bytes:
    """Return the shares of one clip's squared distance, by a detector without training, as PNG.

    Parameters
    ----------
    table : of :meth:`asdlib.pipeline.FittedView.explain`.
    title : plain text.
    """
    fig = Figure(figsize=(12.4, 2.9), dpi=_DPI)
    axes = fig.add_axes((0.05, 0.17, 0.89, 0.7))
    charts_evidence.contributions(axes, table)
    axes.set_title(title, loc="left", parse_math=False)
    return _encoded(fig)


def _encoded(fig: Figure) -> bytes:
    out = io.BytesIO()
    fig.savefig(out, format="png", pil_kwargs={"compress_level": 1})
    return out.getvalue()


def _spectra(ax: Axes, clip: ClipPicture, kilohertz: np.ndarray) -> None:
    for name, power, style, colour in (
        ("near, clip", clip.near.mean(1), "-", "truth"),
        ("near, floor", clip.floors.near, "--", "truth"),
        ("far, clip", clip.far.mean(1), "-", "far"),
        ("far, floor", clip.floors.far, "--", "far"),
        ("denoised, clip", clip.denoised.mean(1), "-", "adasub"),
    ):
        heard = np.ma.masked_less_equal(decibels(power), _QUIET)
        ax.plot(kilohertz, heard, style, color=COLOURS[colour], label=name)
    ax.margins(x=0, y=0.2)
    ax.set(title="mean spectra of the clip, and both floors (dB)", xlabel="frequency (kHz)")
    ax.legend(loc="upper right", ncols=2)


def _transfer(ax: Axes, level: np.ndarray, kilohertz: np.ndarray) -> None:
    ax.plot(kilohertz, level, color=COLOURS["refsub"])
    ax.axhline(np.median(level), color=COLOURS["refsub"], ls=":", lw=1)
    ax.margins(x=0)
    is_used = level.max() > _QUIET
    told = f"median {np.median(level):.1f} dB" if is_used else "0: nothing is subtracted"
    title = f"noise transfer $G_m(k)$, {told}"
    ax.set(title=title, xlabel="frequency (kHz)", ylabel="dB")


def _energy(ax: Axes, clip: ClipPicture, params: Params, hop: float) -> None:
    middle = np.arange(len(clip.energy)) + (params.spectra.stack - 1) / 2
    ax.plot(middle * hop, clip.energy, color=COLOURS["adasub"])
    ax.axhline(clip.quantile, color=PALETTE[3], ls="--", lw=1)
    ax.set_ylim(0, 1.1 * float(clip.energy.max()))
    ax.set_title(f"residual energy, P{params.scoring.percentile:g} = {clip.quantile:.3g}")


def _scores(ax: Axes, clip: ClipPicture, trained: Trained) -> None:
    ends = -3.5, float(np.clip(3 * np.ceil(clip.z / 3) + 3, 6, 30))
    grid, colour = np.linspace(*ends, 160), PALETTE[3]
    clipped = np.clip(trained.training, *ends)
    ax.hist(clipped, bins=24, range=ends, density=True, color="#d9d9d9", label="training clips")
    ax.plot(grid, trained.density(grid), color=COLOURS["adasub"], label="fitted gamma")
    seeds = np.clip(clip.seed_z, *ends)
    ax.plot(seeds, 0 * seeds + 0.02, "|", color=colour, ms=9, label="this clip, every seed")
    ax.axvline(np.clip(clip.z, *ends), color=colour, label="this clip, $z$")
    ax.axvline(trained.threshold, color="#444444", ls="--", lw=1, label="threshold")
    ax.margins(x=0, y=0.25)
    side = "above" if clip.z > trained.threshold else "below"
    name = SCORER_NAMES.get(trained.scorer, trained.scorer)
    ax.set_title(f"{name}: $z$ = {clip.z:.2f}, {side} {trained.threshold:.2f}")
    ax.legend(loc="upper right")
