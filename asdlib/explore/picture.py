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
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from asdlib.explore.data import ClipPicture, Trained
from asdlib.params import Params, Spectra
from asdlib.report import charts_evidence
from asdlib.report.style import COLOURS, NAMES, SCORER_NAMES, font_families
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


@matplotlib.rc_context(_STYLE)
def panels(
    clip: ClipPicture, params: Params, *, title: str, front_end: str, trained: Trained | None = None
) -> bytes:
    """Return nine panels of one clip as PNG.

    Parameters
    ----------
    params : of the study: sample rate, hop, percentile of the clip score.
    title : plain text.
    trained : the models that made the clip's residual energy and score.
    """
    fig = Figure(figsize=(12.4, 9.0), dpi=_DPI)
    fig.text(0.055, 0.972, title, fontsize=10, parse_math=False)
    axes = fig.subplots(3, 3, gridspec_kw={**_PLACES, "wspace": 0.25}).flat
    seconds = clip.near.shape[1] * params.spectra.hop_length / params.spectra.sample_rate
    extent = (0.0, seconds, 0.0, params.spectra.sample_rate / 2000)
    _powers(axes[:3], clip, front_end, extent)
    snr, gain = (
        "local SNR 10 log$_{10}$ $P_n/(G_m P_f)$ (dB)",
        "gain 10 log$_{10}$ out / $P_n$ (dB)",
    )
    for ax, name, values, colours, limits in (
        (axes[3], snr, clip.snr, "RdBu_r", (-20, 20)),
        (axes[4], gain, clip.gain, "viridis", (-15, 0)),
    ):
        shown = _map(ax, name, values, colours, Normalize(*limits), extent)
        fig.colorbar(shown, ax=ax, pad=0.02, fraction=0.05)
    _spectra(axes[5], clip, params.spectra)
    _transfer(axes[6], clip, params.spectra)
    _energy(axes[7], clip, params, seconds)
    _scores(axes[8], clip, trained)
    return _encoded(fig)


@matplotlib.rc_context(_STYLE)
def shares(table: pd.DataFrame, title: str) -> bytes:
    """Return the shares of one clip's squared distance, by a detector without training, as PNG.

    Parameters
    ----------
    table : of :meth:`asdlib.pipeline.FittedView.explain`.
    title : with mathematics between dollar signs.
    """
    fig = Figure(figsize=(12.4, 2.9), dpi=_DPI)
    axes = fig.add_axes((0.05, 0.17, 0.89, 0.7))
    charts_evidence.contributions(axes, table)
    axes.set_title(title, loc="left")
    return _encoded(fig)


def _encoded(fig: Figure) -> bytes:
    out = io.BytesIO()
    fig.savefig(out, format="png", pil_kwargs={"compress_level": 1})
    return out.getvalue()


def _powers(axes: Any, clip: ClipPicture, front_end: str, extent: Any) -> None:
    """Three maps on one scale, which does not move with a slider."""
    near, far, denoised = map(decibels, (clip.near, clip.far, clip.denoised))
    both = np.concatenate([near.ravel(), far.ravel()])
    heard = both[both > _QUIET]
    low, high = np.percentile(heard, [10, 99.8]) if heard.size else (_QUIET, -60.0)
    scale = Normalize(low, max(high, low + 1))
    names = ("near microphone", "far microphone", f"near after {NAMES[front_end]}")
    for ax, name, level in zip(axes, names, (near, far, denoised), strict=True):
        silent = "" if (level > _QUIET).any() else ": silent"
        _map(ax, f"{name}, power (dB){silent}", level, "magma", scale, extent)


def _map(ax: Axes, title: str, values: np.ndarray, colours: str, scale: Any, extent: Any) -> Any:
    ax.set(title=title, xlabel="time (s)", ylabel="frequency (kHz)")
    ax.set_facecolor("#bdbdbd")  # seen where a ratio has no value
    shown = np.ma.masked_invalid(values)
    return ax.imshow(shown, cmap=colours, norm=scale, extent=extent, origin="lower", aspect="auto")


def _spectra(ax: Axes, clip: ClipPicture, spectra: Spectra) -> None:
    kilohertz = frequencies(spectra) / 1000
    for name, power, floor, colour in (
        ("near", clip.near, clip.floors.near, COLOURS["truth"]),
        ("far", clip.far, clip.floors.far, COLOURS["far"]),
        ("denoised", clip.denoised, None, COLOURS["adasub"]),
    ):
        ax.plot(kilohertz, _heard(power.mean(1)), color=colour, label=f"{name}, clip")
        if floor is not None:
            ax.plot(kilohertz, _heard(floor), "--", color=colour, label=f"{name}, floor")
    ax.margins(x=0, y=0.2)
    ax.set(title="mean spectra of the clip, and both floors (dB)", xlabel="frequency (kHz)")
    ax.legend(loc="upper right", ncols=2)


def _heard(power: np.ndarray) -> np.ndarray:
    return np.ma.masked_less_equal(decibels(power), _QUIET)


def _transfer(ax: Axes, clip: ClipPicture, spectra: Spectra) -> None:
    level = decibels(clip.floors.transfer)
    middle = float(np.median(level))
    ax.plot(frequencies(spectra) / 1000, level, color=COLOURS["refsub"])
    ax.axhline(middle, color=COLOURS["refsub"], ls=":", lw=1)
    what = f"median {middle:.1f} dB" if level.max() > _QUIET else "0: nothing is subtracted"
    ax.margins(x=0)
    ax.set(title=f"noise transfer $G_m(k)$, {what}", xlabel="frequency (kHz)", ylabel="dB")


def _energy(ax: Axes, clip: ClipPicture, params: Params, seconds: float) -> None:
    ax.set(xlabel="time (s)", ylabel="$||e_i||^2$, mean of seeds", xlim=(0, seconds))
    if clip.energy is None:
        ax.set_title(f"residual energy: {clip.note}")
        return
    spectra = params.spectra
    middle = np.arange(len(clip.energy)) + (spectra.stack - 1) / 2
    ax.plot(middle * spectra.hop_length / spectra.sample_rate, clip.energy, color=COLOURS["adasub"])
    ax.axhline(clip.quantile, color=COLOURS["wiener"], ls="--", lw=1)
    ax.set_ylim(0, 1.1 * float(clip.energy.max()))
    ax.set_title(f"residual energy, P{params.scoring.percentile:g} = {clip.quantile:.3g}")


def _scores(ax: Axes, clip: ClipPicture, trained: Trained | None) -> None:
    ax.set(title=f"score $z$: {clip.note}", xlabel="$z$", ylabel="density")
    if trained is None or clip.seed_z is None:
        return
    low, high = -3.5, float(np.clip(3 * np.ceil(clip.z / 3) + 3, 6, 30))
    grid = np.linspace(low, high, 160)
    clipped = np.clip(trained.training, low, high)
    ax.hist(
        clipped, bins=24, range=(low, high), density=True, color="#d9d9d9", label="training clips"
    )
    ax.plot(grid, trained.density(grid), color=COLOURS["adasub"], label="fitted gamma")
    seeds, colour = np.clip(clip.seed_z, low, high), COLOURS["wiener"]
    ax.plot(seeds, 0 * seeds + 0.02, "|", color=colour, ms=9, label="this clip, every seed")
    ax.axvline(np.clip(clip.z, low, high), color=colour, label="this clip, $z$")
    ax.axvline(trained.threshold, color="#444444", ls="--", lw=1, label="threshold")
    ax.margins(x=0, y=0.25)
    side = "above" if clip.z > trained.threshold else "below"
    name = SCORER_NAMES.get(trained.scorer, trained.scorer)
    ax.set_title(f"{name}: $z$ = {clip.z:.2f}, {side} {trained.threshold:.2f}")
    ax.legend(loc="upper right")
