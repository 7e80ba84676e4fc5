"""The live explorer's pictures: the board's data change alone, so that a slider feels live.

Agg canvases of their own; the state of pyplot is never touched. Notebook: 00_explore.
"""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from asdlib.explore.data import Trained
from asdlib.explore.view import View
from asdlib.params import Params
from asdlib.report import charts_evidence
from asdlib.report.style import COLOURS, NAMES, SCORER_NAMES, font_families

_SIZE = (12.4, 9.0)  # inches
_DPI = 80
_QUIET = -160.0  # dB, the method's smallest power
_STYLE: Any = {
    "font.family": font_families(),
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.2,
}


class Board:
    """Nine panels of one clip.

    Parameters
    ----------
    params : of the study: sample rate, hop, percentile of the clip score.
    """

    def __init__(self, params: Params):
        self.params = params
        half = params.spectra.sample_rate / 2000  # kHz
        self._kilohertz = np.linspace(0, half, params.spectra.n_fft // 2 + 1)
        with matplotlib.rc_context(_STYLE):
            self.figure = Figure(figsize=_SIZE, dpi=_DPI)
            self.canvas = FigureCanvasAgg(self.figure)
            grid = self.figure.add_gridspec(
                3, 3, left=0.05, right=0.94, top=0.925, bottom=0.06, hspace=0.42, wspace=0.38
            )
            self._title = self.figure.text(0.055, 0.972, "", fontsize=10, parse_math=False)
            self.axes: dict[str, Any] = {}
            for place, name in enumerate(("near", "far", "denoised", "snr", "gain")):
                share = self.axes.get("near")
                self.axes[name] = self.figure.add_subplot(
                    grid[divmod(place, 3)], sharex=share, sharey=share
                )
            for place, name in enumerate(("floors", "transfer", "energy", "z"), start=5):
                self.axes[name] = self.figure.add_subplot(grid[divmod(place, 3)])
            self._images = {
                "near": self._image("near", "magma", "near microphone"),
                "far": self._image("far", "magma", "far microphone"),
                "denoised": self._image("denoised", "magma", ""),
                "snr": self._image("snr", "RdBu_r", "local SNR 10 log$_{10}$ $P_n/(G_m P_f)$ (dB)"),
                "gain": self._image("gain", "viridis", "gain 10 log$_{10}$ out / $P_n$ (dB)"),
            }
            self._images["snr"].set_norm(Normalize(-20, 20))
            self._images["gain"].set_norm(Normalize(-15, 0))
            self._power = Normalize(_QUIET, 0)
            for name in ("near", "far", "denoised"):
                self._images[name].set_norm(self._power)
            self._colourbar("denoised", "power (dB)")
            self._colourbar("snr")
            self._colourbar("gain")
            self._curves()
            for ax in self.axes.values():  # fixed places: finding them takes long
                ax.set_title(ax.get_title(), y=1.02)
                ax.xaxis.set_label_coords(0.5, -0.15)
                ax.yaxis.set_label_coords(-0.13, 0.5)
                ax.locator_params(nbins=5)
            for name in ("far", "denoised", "gain"):
                self.axes[name].tick_params(labelleft=False)
        lines = (*self._lines.values(), self._transfer, self._median, self._energy, self._quantile)
        marks = (self._gamma, self._seeds, self._z, self._threshold)
        titles = (ax.title for ax in self.axes.values())
        self._moving: list[Artist] = [
            *self._images.values(),
            *self._bars,
            *lines,
            *marks,
            *titles,
            *self._notes.values(),
            self._title,
        ]
        for artist in self._moving:
            artist.set_animated(True)  # left out of the background
        self._limits: tuple | None = None
        self._background: Any = None

    def _image(self, name: str, colours: str, title: str) -> Any:
        ax = self.axes[name]
        ax.set(title=title, facecolor="#bdbdbd")  # seen where a ratio has no value
        if name in ("near", "snr"):
            ax.set_ylabel("frequency (kHz)")
        ax.set_xlabel("time (s)")
        return ax.imshow(
            np.zeros((2, 2)), origin="lower", aspect="auto", cmap=colours, interpolation="nearest"
        )

    def _colourbar(self, name: str, label: str = "") -> None:
        place = self.axes[name].get_position()
        cax = self.figure.add_axes((place.x1 + 0.006, place.y0, 0.007, place.height))
        self.figure.colorbar(self._images[name], cax=cax).set_label(label, labelpad=1)

    def _curves(self) -> None:
        ax, self._lines = self.axes["floors"], {}
        for name in ("near", "far", "denoised"):
            colour = COLOURS["adasub" if name == "denoised" else name]
            if name == "near":
                colour = COLOURS["truth"]
            for kind, style in (("clip", "-"), ("floor", "--")):
                if (name, kind) != ("denoised", "floor"):
                    (self._lines[name, kind],) = ax.plot(
                        [], [], color=colour, ls=style, lw=1, label=f"{name}, {kind}"
                    )
        ax.set(title="mean spectra of the clip, and both floors", ylabel="power (dB)")
        ax.legend(loc="upper right", ncols=2)
        (self._transfer,) = self.axes["transfer"].plot([], [], color=COLOURS["refsub"])
        self._median = self.axes["transfer"].axhline(0, color=COLOURS["refsub"], ls=":", lw=1)
        self.axes["transfer"].set(title="noise transfer $G_m(k)$", ylabel="dB")
        for name in ("floors", "transfer"):
            self.axes[name].set(xlabel="frequency (kHz)", xlim=(0, self._kilohertz[-1]))
        ax = self.axes["energy"]
        (self._energy,) = ax.plot([], [], color=COLOURS["adasub"])
        self._quantile = ax.axhline(0, color=COLOURS["wiener"], ls="--", lw=1)
        ax.set(xlabel="time (s)", ylabel="$||e_i||^2$, mean of seeds")
        ax = self.axes["z"]
        self._bars = ax.bar(np.zeros(24), np.zeros(24), color="#d9d9d9", label="training clips")
        (self._gamma,) = ax.plot([], [], color=COLOURS["adasub"], label="fitted gamma")
        (self._seeds,) = ax.plot(
            [], [], "|", color=COLOURS["wiener"], ms=9, label="this clip, every seed"
        )
        self._z = ax.axvline(0, color=COLOURS["wiener"], label="this clip, $z$")
        self._threshold = ax.axvline(0, color="#444444", ls="--", lw=1, label="threshold")
        ax.set(xlabel="$z$", ylabel="density")
        ax.legend(loc="upper right")
        self._notes: dict[str, Text] = {
            name: self.axes[name].text(
                0.5,
                0.5,
                "",
                transform=self.axes[name].transAxes,
                ha="center",
                va="center",
                color="#555555",
                parse_math=False,
            )
            for name in ("snr", "energy", "z")
        }

    def draw(
        self, view: View, *, title: str, front_end: str, trained: Trained | None = None
    ) -> bytes:
        """Show a view; the picture as PNG."""
        self._title.set_text(title if len(title) <= 150 else title[:149] + "…")
        near, far, denoised = (_db(power) for power in (view.near, view.far, view.denoised))
        self._images["near"].set_clim(*_scale(near, far))  # both ends at once, for all three
        maps = {"near": near, "far": far, "denoised": denoised, "snr": view.snr, "gain": view.gain}
        frames = near.shape[1]
        seconds = frames * self.params.spectra.hop_length / self.params.spectra.sample_rate
        for name, values in maps.items():
            self._images[name].set_data(np.ma.masked_invalid(values))
            self._images[name].set_extent((0, seconds, 0, self._kilohertz[-1]))
        self.axes["near"].set(xlim=(0, seconds), ylim=(0, self._kilohertz[-1]))
        silent = not (far > _QUIET).any()
        self.axes["far"].title.set_text("far microphone: silent" if silent else "far microphone")
        self.axes["denoised"].title.set_text(f"near after {NAMES[front_end]}")
        self._notes["snr"].set_text("no noise reference" if np.isnan(view.snr).all() else "")
        self._draw_spectra(view)
        self._draw_energy(view, seconds)
        self._draw_z(view, trained)
        return self._png()

    def say(self, title: str) -> bytes:
        """Show no view, only a title."""
        self._title.set_text(title if len(title) <= 150 else title[:149] + "…")
        for image in self._images.values():
            image.set_data(np.ma.masked_all((2, 2)))
        for line in (*self._lines.values(), self._transfer, self._energy, self._gamma, self._seeds):
            line.set_data([], [])
        for artist in (self._z, self._threshold, self._quantile, *self._bars):
            artist.set_visible(False)
        for name in ("energy", "z"):
            self.axes[name].set_title("nothing to show")
        for note in self._notes.values():
            note.set_text("")
        return self._png()

    def _draw_spectra(self, view: View) -> None:
        curves = {
            ("near", "clip"): view.near.mean(1),
            ("far", "clip"): view.far.mean(1),
            ("denoised", "clip"): view.denoised.mean(1),
            ("near", "floor"): view.floors.near,
            ("far", "floor"): view.floors.far,
        }
        levels = {name: _db(power) for name, power in curves.items()}
        for name, values in levels.items():
            self._lines[name].set_data(self._kilohertz, values)
        heard = np.concatenate([x[x > _QUIET] for x in levels.values()])
        low, high = (heard.min(), heard.max()) if heard.size else (_QUIET, -60)
        self.axes["floors"].set_ylim(*_tens(low, high + 0.35 * (high - low)))
        transfer = _db(view.floors.transfer)
        self._transfer.set_data(self._kilohertz, transfer)
        middle = float(np.median(transfer))
        self._median.set_visible(True)
        self._median.set_ydata([middle, middle])
        self.axes["transfer"].set_ylim(*_tens(transfer.min(), transfer.max()))
        self.axes["transfer"].title.set_text(
            "noise transfer $G_m(k)$: 0, nothing is subtracted"
            if transfer.max() <= _QUIET
            else f"noise transfer $G_m(k)$, median {middle:.1f} dB"
        )

    def _draw_energy(self, view: View, seconds: float) -> None:
        ax, there = self.axes["energy"], view.energy is not None
        self._energy.set_visible(there)
        self._quantile.set_visible(there)
        self._notes["energy"].set_text(view.note)
        if view.energy is None:
            ax.title.set_text("residual energy")
            ax.set(xlim=(0, seconds), ylim=(0, 1))
            return
        spectra = self.params.spectra
        middle = np.arange(len(view.energy)) + (spectra.stack - 1) / 2
        self._energy.set_data(middle * spectra.hop_length / spectra.sample_rate, view.energy)
        self._quantile.set_ydata([view.quantile, view.quantile])
        ax.set(xlim=(0, seconds), ylim=(0, _round_up(1.1 * float(view.energy.max()))))
        percentile = f"P{self.params.scoring.percentile:g}"
        ax.title.set_text(f"residual energy, {percentile} = {view.quantile:.3g}")

    def _draw_z(self, view: View, trained: Trained | None) -> None:
        ax = self.axes["z"]
        there = trained is not None and view.seed_z is not None
        for artist in (self._gamma, self._seeds, self._z, self._threshold, *self._bars):
            artist.set_visible(there)
        self._notes["z"].set_text(view.note)
        if trained is None or view.seed_z is None:
            ax.title.set_text("score $z$")
            ax.set(xlim=(-3.5, 6), ylim=(0, 1))
            return
        low, high = -3.5, float(np.clip(3 * np.ceil(view.z / 3) + 3, 6, 30))
        grid = np.linspace(low, high, 160)
        density = trained.density(grid).mean(0)
        counts, edges = np.histogram(
            np.clip(trained.training, low, high), len(self._bars), (low, high), density=True
        )
        for bar, x, height in zip(self._bars, edges, counts, strict=False):
            bar.set(x=x, width=edges[1] - edges[0], height=height)
        self._gamma.set_data(grid, density)
        self._seeds.set_data(np.clip(view.seed_z, low, high), np.full(len(view.seed_z), 0.02))
        shown = float(np.clip(view.z, low, high))
        self._z.set_xdata([shown, shown])
        self._threshold.set_xdata([trained.threshold] * 2)
        ax.set(xlim=(low, high), ylim=(0, 1.25 * max(density.max(), counts.max())))
        side = "above" if view.z > trained.threshold else "below"
        name = SCORER_NAMES.get(trained.scorer, trained.scorer)
        ax.title.set_text(f"{name}: $z$ = {view.z:.2f}, {side} {trained.threshold:.2f}")

    def _png(self) -> bytes:
        shown = (*self.axes.values(), self._power)
        limits = tuple(
            (x.vmin, x.vmax) if isinstance(x, Normalize) else (x.get_xlim(), x.get_ylim())
            for x in shown
        )
        if limits != self._limits:  # axes, ticks and legends; most of the time of a picture
            self.canvas.draw()
            self._background = self.canvas.copy_from_bbox(self.figure.bbox)
            self._limits = limits
        self.canvas.restore_region(self._background)
        for artist in self._moving:
            self.figure.draw_artist(artist)
        return _encoded(self.canvas)


class Bars:
    """Shares of one clip's squared distance, as a detector without training sees it."""

    def __init__(self) -> None:
        with matplotlib.rc_context(_STYLE):
            self.figure = Figure(figsize=(_SIZE[0], 2.9), dpi=_DPI)
            self.canvas = FigureCanvasAgg(self.figure)
            self.axes = self.figure.add_axes((0.05, 0.17, 0.89, 0.7))

    def draw(self, table: pd.DataFrame, title: str) -> bytes:
        """Show the shares; the picture as PNG.

        Parameters
        ----------
        table : of :meth:`asdlib.pipeline.FittedView.explain`.
        title : with mathematics between dollar signs.
        """
        with matplotlib.rc_context(_STYLE):
            self.axes.clear()
            charts_evidence.contributions(self.axes, table)
            self.axes.set_title(title, loc="left")
            self.canvas.draw()
        return _encoded(self.canvas)


def _encoded(canvas: FigureCanvasAgg) -> bytes:
    out = io.BytesIO()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    Image.fromarray(pixels).save(out, "png", compress_level=1)
    return out.getvalue()


def _db(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-16))


def _tens(low: float, high: float) -> tuple[float, float]:
    """Limits in whole tens of dB with some room: they seldom move."""
    return 10 * float(np.floor((low - 1) / 10)), 10 * float(np.ceil((high + 1) / 10))


def _round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 7, 10 times a power of ten."""
    power = 10 ** np.floor(np.log10(max(value, 1e-9)))
    return float(power * min(x for x in (1, 1.5, 2, 3, 5, 7, 10, 15) if x * power >= value))


def _scale(
    near: Float[np.ndarray, "frequency frame"], far: Float[np.ndarray, "frequency frame"]
) -> tuple[float, float]:
    """Ends of the colour scale from both microphones: it stays while a slider moves."""
    sample = np.concatenate([near[:, ::3].ravel(), far[:, ::3].ravel()])
    heard = sample[sample > _QUIET]
    if not heard.size:
        return _QUIET, -60.0
    low, high = np.percentile(heard, [10, 99.8])
    return float(low), float(max(high, low + 1))
