"""The live explorer's pictures, drawn whole at every move, in .3 s on a slow core.

Agg canvases of their own; the state of pyplot is never touched. Notebook: 00_explore.
"""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from asdlib.explore.data import ClipPicture, Trained
from asdlib.params import Params, Spectra
from asdlib.report import charts_evidence
from asdlib.report.style import COLOURS, NAMES, SCORER_NAMES, font_families
from asdlib.spectra import decibels, frequencies

_WIDTH, _HEIGHT, _DPI = 12.4, 9.0, 80  # inches and dots per inch
_LONGEST = 150  # characters of a title
_QUIET = -160.0  # dB, the method's smallest power
_STYLE: Any = {
    "font.family": font_families(),
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titley": 1.02,  # finding a place takes as long as drawing
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.2,
}


def panels(
    clip: ClipPicture, params: Params, *, title: str, front_end: str, trained: Trained | None = None
) -> bytes:
    """Return nine panels of one clip as PNG.

    Parameters
    ----------
    params : of the study: sample rate, hop, percentile of the clip score.
    title : plain text; what is too long is cut.
    trained : the models that made the clip's residual energy and score.
    """
    with matplotlib.rc_context(_STYLE):
        fig = _figure(_HEIGHT, title)
        places = {"left": 0.05, "right": 0.96, "top": 0.925, "bottom": 0.06}
        axes = fig.subplots(3, 3, gridspec_kw={**places, "hspace": 0.42, "wspace": 0.25}).flat
        seconds = clip.near.shape[1] * params.spectra.hop_length / params.spectra.sample_rate
        for ax, (name, image) in zip(axes, _maps(clip, front_end).items(), strict=False):
            _map(fig, ax, name, image, (0, seconds, 0, params.spectra.sample_rate / 2000))
        if np.isnan(clip.snr).all():
            _note(axes[3], "no noise reference")
        _spectra(axes[5], clip, params.spectra)
        _transfer(axes[6], clip, params.spectra)
        _energy(axes[7], clip, params, seconds)
        _scores(axes[8], clip, trained)
        return _encoded(fig)


def message(title: str) -> bytes:
    """Return an empty picture of the same size with a title."""
    with matplotlib.rc_context(_STYLE):
        return _encoded(_figure(_HEIGHT, title))


def shares(table: pd.DataFrame, title: str) -> bytes:
    """Return the shares of one clip's squared distance, by a detector without training, as PNG.

    Parameters
    ----------
    table : of :meth:`asdlib.pipeline.FittedView.explain`.
    title : with mathematics between dollar signs.
    """
    with matplotlib.rc_context(_STYLE):
        fig = _figure(2.9)
        axes = fig.add_axes((0.05, 0.17, 0.89, 0.7))
        charts_evidence.contributions(axes, table)
        axes.set_title(title, loc="left")
        return _encoded(fig)


def _figure(height: float, title: str = "") -> Figure:
    fig = Figure(figsize=(_WIDTH, height), dpi=_DPI)
    FigureCanvasAgg(fig)
    text = title if len(title) <= _LONGEST else title[: _LONGEST - 1] + "…"
    fig.text(0.055, 0.972, text, fontsize=10, parse_math=False)
    return fig


def _encoded(fig: Figure) -> bytes:
    assert isinstance(fig.canvas, FigureCanvasAgg)
    fig.canvas.draw()
    out = io.BytesIO()
    pixels = np.asarray(fig.canvas.buffer_rgba())[..., :3]
    Image.fromarray(pixels).save(out, "png", compress_level=1)
    return out.getvalue()


def _maps(clip: ClipPicture, front_end: str) -> dict[str, tuple[np.ndarray, str, Normalize]]:
    """Values, colours and scale of the five maps, by title; no scale moves with a slider."""
    near, far, denoised = map(decibels, (clip.near, clip.far, clip.denoised))
    both = np.concatenate([near[:, ::3].ravel(), far[:, ::3].ravel()])
    heard = both[both > _QUIET]
    low, high = np.percentile(heard, [10, 99.8]) if heard.size else (_QUIET, -60.0)
    power = Normalize(low, max(high, low + 1))
    silent = "" if (far > _QUIET).any() else ": silent"
    return {
        "near microphone, power (dB)": (near, "magma", power),
        f"far microphone, power (dB){silent}": (far, "magma", power),
        f"near after {NAMES[front_end]}, power (dB)": (denoised, "magma", power),
        "local SNR 10 log$_{10}$ $P_n/(G_m P_f)$ (dB)": (clip.snr, "RdBu_r", Normalize(-20, 20)),
        "gain 10 log$_{10}$ out / $P_n$ (dB)": (clip.gain, "viridis", Normalize(-15, 0)),
    }


def _map(fig: Figure, ax: Axes, title: str, image: tuple, extent: tuple) -> None:
    values, colours, norm = image
    shown = ax.imshow(
        np.ma.masked_invalid(values),
        cmap=colours,
        norm=norm,
        extent=extent,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    if "microphone" not in title:  # one bar for the three powers: each takes as long as a map
        fig.colorbar(shown, ax=ax, pad=0.02, fraction=0.05)
    ax.set(title=title, xlabel="time (s)", ylabel="frequency (kHz)")
    ax.set_facecolor("#bdbdbd")  # seen where a ratio has no value


def _spectra(ax: Axes, clip: ClipPicture, spectra: Spectra) -> None:
    kilohertz = frequencies(spectra) / 1000
    colours = {"near": COLOURS["truth"], "far": COLOURS["far"], "denoised": COLOURS["adasub"]}
    powers = {"near": clip.near, "far": clip.far, "denoised": clip.denoised}
    curves = {(name, "clip"): power.mean(1) for name, power in powers.items()}
    curves |= {("near", "floor"): clip.floors.near, ("far", "floor"): clip.floors.far}
    for (name, kind), power in curves.items():
        level, dashes = decibels(power), "-" if kind == "clip" else "--"
        level = np.ma.masked_less_equal(level, _QUIET)
        ax.plot(kilohertz, level, dashes, color=colours[name], lw=1, label=f"{name}, {kind}")
    ax.margins(x=0, y=0.2)
    ax.set(title="mean spectra of the clip, and both floors", xlabel="frequency (kHz)")
    ax.set_ylabel("power (dB)")
    ax.legend(loc="upper right", ncols=2)


def _transfer(ax: Axes, clip: ClipPicture, spectra: Spectra) -> None:
    level = decibels(clip.floors.transfer)
    middle = float(np.median(level))
    ax.plot(frequencies(spectra) / 1000, level, color=COLOURS["refsub"])
    ax.axhline(middle, color=COLOURS["refsub"], ls=":", lw=1)
    what = f"median {middle:.1f} dB" if level.max() > _QUIET else "0: nothing is subtracted"
    ax.margins(x=0)
    ax.set(title=f"noise transfer $G_m(k)$, {what}", xlabel="frequency (kHz)", ylabel="dB")


def _energy(ax: Axes, clip: ClipPicture, params: Params, seconds: float) -> None:
    ax.set(title="residual energy", xlabel="time (s)", ylabel="$||e_i||^2$, mean of seeds")
    ax.set(xlim=(0, seconds), ylim=(0, 1))
    if clip.energy is None:
        _note(ax, clip.note)
        return
    spectra = params.spectra
    middle = np.arange(len(clip.energy)) + (spectra.stack - 1) / 2
    ax.plot(middle * spectra.hop_length / spectra.sample_rate, clip.energy, color=COLOURS["adasub"])
    ax.axhline(clip.quantile, color=COLOURS["wiener"], ls="--", lw=1)
    ax.set_ylim(0, 1.1 * float(clip.energy.max()))
    ax.set_title(f"residual energy, P{params.scoring.percentile:g} = {clip.quantile:.3g}")


def _scores(ax: Axes, clip: ClipPicture, trained: Trained | None) -> None:
    ax.set(title="score $z$", xlabel="$z$", ylabel="density")
    if trained is None or clip.seed_z is None:
        _note(ax, clip.note)
        return
    low, high = -3.5, float(np.clip(3 * np.ceil(clip.z / 3) + 3, 6, 30))
    grid = np.linspace(low, high, 160)
    density = trained.density(grid).mean(0)
    clipped = np.clip(trained.training, low, high)
    counts, edges = np.histogram(clipped, 24, (low, high), density=True)
    ax.stairs(counts, edges, fill=True, color="#d9d9d9", label="training clips")
    ax.plot(grid, density, color=COLOURS["adasub"], label="fitted gamma")
    seeds = np.clip(clip.seed_z, low, high)
    colour = COLOURS["wiener"]
    ax.plot(seeds, 0 * seeds + 0.02, "|", color=colour, ms=9, label="this clip, every seed")
    ax.axvline(np.clip(clip.z, low, high), color=colour, label="this clip, $z$")
    ax.axvline(trained.threshold, color="#444444", ls="--", lw=1, label="threshold")
    ax.set(xlim=(low, high), ylim=(0, 1.25 * max(density.max(), counts.max())))
    side = "above" if clip.z > trained.threshold else "below"
    name = SCORER_NAMES.get(trained.scorer, trained.scorer)
    ax.set_title(f"{name}: $z$ = {clip.z:.2f}, {side} {trained.threshold:.2f}")
    ax.legend(loc="upper right")


def _note(ax: Axes, text: str) -> None:
    ax.text(
        0.5,
        0.5,
        text,
        transform=ax.transAxes,
        ha="center",
        va="center",
        color="#555555",
        parse_math=False,
    )
