"""How every figure looks: names, colours, the house style; and how a figure is saved and shown.

One colour and one marker per system everywhere (colour-blind safe). ``show_figure`` places a figure
in the report and in JupyterLab alike.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import seaborn as sns
from IPython.display import display
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from asdlib.clipstats import VIEWS
from asdlib.frontends import COMBINATIONS, FRONT_ENDS
from asdlib.io import files

PALETTE = sns.color_palette("colorblind").as_hex()
_FIXED = {"near": ("#6e6e6e", "o"), "truth": ("#111111", "*")}
_FIXED |= {"combo": ("#6a3d9a", "P"), "baseline": ("#a50f15", "X")}
_DARK = [PALETTE[number] for number in (5, 2, 0, 1, 6, 3, 9, 4)]
# filled ones alone: seaborn does not mix them with others
_STARS = [(points, 1, angle) for points in (3, 4, 5, 6) for angle in (0, 180 / points)]


def _looks(names: Iterable[str]) -> dict[str, tuple[str, Any]]:
    """Return a colour and a marker of every front-end, in their order."""
    others = [name for name in names if name not in _FIXED]
    colours = [*_DARK, *sns.husl_palette(len(others), s=0.8, l=0.4).as_hex()]
    looks = zip(colours, cycle([*"s^Dv<>hpdH8", *_STARS]), strict=False)
    return _FIXED | dict(zip(others, looks, strict=False))


NAMES = {name: kind.title or name for name, kind in FRONT_ENDS.items()}
NAMES |= {"near": "Near"}  # its title is that of an autoencoder
NAMES |= {name: name.capitalize() for name in COMBINATIONS} | {"baseline": "Baseline"}
NAMES |= {"interpolate": "AdaSub, middle frame", "denoise": "AdaSub, noisier frame"}
_BY_KEY = _looks(NAMES)
COLOURS = {name: colour for name, (colour, _) in _BY_KEY.items()}
MARKERS = {name: marker for name, (_, marker) in _BY_KEY.items()}
SCORER_NAMES = {
    "eq1": "eq. 1 of the paper",
    "dm": "+ DM",
    "shrink": "+ shrink",
    "p95": "+ P95",
    "dm_shrink": "+ DM + shrink",
    "s1": "+ DM + shrink + P95",
    "mse": "MSE",
    "mahala": "MAHALA",
    "mahala_corrected": "MAHALA corrected",
    "pm": "statistics pm",
    "pms": "statistics pms",
    "pmsd": "statistics pmsd",
    "fine": "fine statistics",
    "psd": "Welch spectrum",
    "ledoit_wolf": "Ledoit-Wolf",
    "mean": "mean over frames",
    "max": "maximum over frames",
    **{f"alpha_{a:g}": f"α = {a:g}" for a in (0, 0.1, 0.4, 0.7, 1)},
    **{f"ridge_{r:g}": f"ridge {r:g}" for r in (0.01, 0.1, 1)},
}

_MODELS = {"S1": "adasub", "S2": "refsub", "S3": "combo", "S4": "cohgate", "S5": "truth"}
_MODELS |= {"Baseline MAHALA": "baseline", "AE ch1": "near"}
LOOKS = {name: _BY_KEY[key] for key, name in NAMES.items()}
LOOKS |= {name: _BY_KEY[key] for name, key in _MODELS.items()}
"""Colour and marker by the name of a system or front-end."""
CHOSEN = (PALETTE[9], "s")
"""Of what has no look of its own: the score that test labels chose."""

_STATISTICS = {"p": 0, "m": 9, "s": 1, "d": 4, "psd": 2}
STATISTIC_COLOURS = {name: PALETTE[number] for name, number in _STATISTICS.items()}
STATISTIC_NAMES = {
    "p": "level p",
    "m": "mean level m",
    "s": "scatter s",
    "d": "steps d",
    "psd": "Welch spectrum",
}
_MARKUP = re.compile(r"\*|\$|\\(?:[a-z]+\b|[,;{}])|[{}]|_(?=\w\()")  # of MyST and mathematics
_EAST_ASIAN = ("Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Arial Unicode MS")


def system_name(front_end: str, scorer: str = "eq1") -> str:
    """Name of a system in tables and figures, such as "AdaSub + DM" or S5."""
    if front_end not in NAMES:
        return front_end
    suffix = "" if scorer == "eq1" else f" {SCORER_NAMES[scorer]}"
    autoencoder = front_end == "near" and scorer not in VIEWS
    return ("AE ch1" if autoencoder else NAMES[front_end]) + suffix


def looks(front_ends: Iterable[str]) -> dict[str, Any]:
    """Colours and markers of some front-ends, by their titles."""
    every: Any = {"colours": COLOURS, "points": MARKERS}
    return {kind: {NAMES[key]: own[key] for key in front_ends} for kind, own in every.items()}


def sound_name(key: str) -> str:
    """Return what a player of :meth:`asdlib.measure.truth.Example.tracks` is called."""
    named = {"near": "near microphone", "far": "far microphone", "truth": "machine alone (truth)"}
    return named.get(key) or f"near after {NAMES[key]}"


def font_families() -> list[str]:
    """Fonts of figures: a common one, then those installed for letters that it lacks.

    It is drawn as DejaVu Sans, which is wide. Where a reader has another font, no words are longer.

    >>> font_families()[0]
    'sans-serif'
    """
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["sans-serif", *(name for name in _EAST_ASIAN if name in installed)]


def style() -> None:
    """Set the house style, whatever a matplotlibrc says; every chapter calls it once."""
    matplotlib.rcdefaults()
    sns.set_theme(context="notebook", style="whitegrid", palette=PALETTE, font_scale=0.88)
    matplotlib.rcParams.update(
        {
            "figure.dpi": 110,
            "font.family": font_families(),
            "font.sans-serif": ["DejaVu Sans", "Arial"],
            "savefig.bbox": "tight",
            "svg.hashsalt": "asdlib",
            "svg.fonttype": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": "#e4e4e4",
            "lines.linewidth": 1.6,
            "axes.titlesize": "medium",
            "text.parse_math": False,  # names of machines and files are text
        }
    )


def embedded(fig: Figure, alt: str, kind: str = "svg") -> str:
    """Close a figure and return it as an image inside a page.

    Parameters
    ----------
    alt : a description for those who cannot see it.
    kind : "svg", or "png" where there are many pixels.
    """
    buffer = io.BytesIO()
    fig.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    plt.close(fig)
    return _image(buffer.getvalue(), alt, {"svg": "svg+xml"}.get(kind, kind))


def _image(content: bytes, alt: str, media: str = "svg+xml") -> str:
    data = base64.b64encode(content).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/{media};base64,{data}"/>'


def save_figure(fig: Figure, label: str, folder: Path) -> Path:
    """Write a figure as SVG, without dates, so that the same data give the same bytes."""
    path = folder / f"{label}.svg"
    with files.replacing(path) as beside:
        fig.savefig(beside, format="svg", dpi=64, metadata={"Date": None})  # pixels of images
    return path


def show_figure(fig: Figure, label: str, caption: str, *, folder: Path) -> None:
    """Save ``<folder>/<label>.svg`` and show it: numbered in the report, inline in JupyterLab.

    Parameters
    ----------
    label : file name and cross-reference name, such as ``fig-noise-floors``.
    caption : what to look at; MyST text, which also describes it to those who cannot see it.
    """
    svg = save_figure(fig, label, folder).read_bytes()
    plt.close(fig)
    alt = " ".join(_MARKUP.sub("", caption).replace('"', "'").split())
    block = f"```{{figure}} /figures/{label}.svg\n:name: {label}\n:alt: {alt}\n\n{caption}\n```"
    shown = f"{_image(svg, label)}<p>{caption}</p>"
    display({"text/markdown": block, "text/html": shown, "text/plain": caption}, raw=True)
