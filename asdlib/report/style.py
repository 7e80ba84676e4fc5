"""How every figure looks: names, colours, the house style; and how a figure is saved and shown.

One colour and one marker per system everywhere (colour-blind safe). ``show_figure`` places a figure
in the report and in JupyterLab alike.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
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
_COLOURS = {
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
    "gatedls": "#6b8e23",
    "gatedlsada": "#7b52ab",
    "gatedadals": "#b22222",
    "baseline": "#8c6d31",
    "truth": "#111111",
}
_MARKERS = dict(zip(_COLOURS, "os^DvP<>hXd8x+Hp*", strict=True))
# for other front-ends, in the order of their registration; the counts have no common divisor,
# so that colour and marker together repeat late
_SPARE_COLOURS = ("#4b3f72", "#1b6535", "#b8336a", "#2f4b9b", "#a67c00")
_SPARE_MARKERS = ("1", "2", "3", "4", "|", "_")


def _titles() -> dict[str, str]:
    """Titles: the front-ends with a fixed look first, then the others as they are registered."""
    titles = {name: kind.title or name for name, kind in FRONT_ENDS.items()}
    titles |= {name: name.capitalize() for name in COMBINATIONS}
    titles |= {"baseline": "Baseline"}
    order = [name for name in _COLOURS if name in titles]
    return {name: titles[name] for name in [*order, *titles]}


def _looks(fixed: Mapping[str, str], spare: Sequence[str], names: Iterable[str]) -> dict[str, str]:
    """Colours or markers: the fixed ones, then spare ones for all other names in their order."""
    others = [name for name in names if name not in fixed]
    return {**fixed, **dict(zip(others, cycle(spare), strict=False))}


NAMES = _titles()
COLOURS = _looks(_COLOURS, _SPARE_COLOURS, NAMES)
MARKERS = _looks(_MARKERS, _SPARE_MARKERS, NAMES)
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

STATISTIC_COLOURS = {
    "p": PALETTE[0],
    "m": PALETTE[9],
    "s": PALETTE[1],
    "d": PALETTE[4],
    "psd": PALETTE[2],
}
STATISTIC_NAMES = {
    "p": "$p$, level of the mean",
    "m": "$m$, mean level",
    "s": "$s$, scatter",
    "d": "$d$, scatter of steps",
    "psd": "Welch spectrum",
}
_EAST_ASIAN = ("Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Arial Unicode MS")


def system_name(front_end: str, scorer: str = "eq1") -> str:
    """Name of a system in tables and figures, such as "AdaSub + DM" or S5."""
    if front_end not in NAMES:
        return front_end
    if front_end == "near" and scorer in VIEWS:  # its title is that of an autoencoder
        return f"Near {SCORER_NAMES[scorer]}"
    suffix = "" if scorer == "eq1" else f" {SCORER_NAMES[scorer]}"
    return NAMES[front_end] + suffix


def looks(front_ends: Iterable[str]) -> dict[str, Any]:
    """Colours and markers of some front-ends, by their titles."""
    return {
        "colours": {NAMES[key]: COLOURS[key] for key in front_ends},
        "markers": {NAMES[key]: MARKERS[key] for key in front_ends},
    }


def sound_name(key: str) -> str:
    """Return what a player of :meth:`asdlib.measure.truth.Example.tracks` is called."""
    named = {
        "near": "near microphone",
        "far": "far microphone",
        "truth": "machine alone (truth)",
    }
    return named.get(key) or f"near after {NAMES[key]}"


def font_families() -> list[str]:
    """Fonts of figures: DejaVu Sans, then those installed for letters that it lacks.

    >>> font_families()[0]
    'DejaVu Sans'
    """
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _EAST_ASIAN if name in installed)]


def style() -> None:
    """Set the house style, whatever a matplotlibrc says; every chapter calls it once."""
    matplotlib.rcdefaults()
    sns.set_theme(context="notebook", style="whitegrid", palette=PALETTE, font_scale=0.85)
    matplotlib.rcParams.update(
        {
            "figure.dpi": 110,
            "font.family": font_families(),
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
    path = folder / f"{label}.svg"
    with files.replacing(path) as beside:
        fig.savefig(beside, format="svg", metadata={"Date": None})
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
