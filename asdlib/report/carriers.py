"""Two menus, machine and fault, and a picture of the statistics that carry the fault.

Data in, Bokeh models out; what moves is CustomJS. Notebook: 05_without_training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asdlib.report import js, panels, tables
from asdlib.report.style import STATISTIC_COLOURS, STATISTIC_NAMES

_NOTHING = "There is no labelled anomaly to take apart."
_BEFORE = (
    "Pick a machine and one of its anomalous test clips: coloured bars show which statistic, in "
    "which band, makes up its squared distance D² to normal clips, and the black line shows what "
    "the normal test clips have there on average."
)
_TICKS = (0.2, 0.5, 1, 2, 3, 5, 7, 10, 15, 20)  # kHz


def show(found: Sequence[Any], label: str = "faults") -> None:
    """Show what carries a fault that the reader picks.

    Parameters
    ----------
    found : of :func:`asdlib.compare.failures.fault_contributions`; where it is empty, one sentence
        says why.
    label : short name of the chart, unique in its page.
    """
    if not found:
        tables.say(_NOTHING)
        return
    from bokeh.document import Document
    from bokeh.layouts import column
    from bokeh.models import CustomJS, Div, Select

    # menus hold numbers: a name may be anything
    names = [(str(i), own.machine) for i, own in enumerate(found)]
    machine = Select(title="machine", options=names, value="0", name=f"{label} machine")
    options = [_options(own) for own in found]
    wide = "select { width: 100%; }"
    fault = Select(
        title="fault, from clearest to least clear",
        options=options[0],
        value="0",
        name=f"{label} fault",
        sizing_mode="stretch_width",
        stylesheets=[wide],
    )
    plot, bars, usual = _plot(found[0].edges / 1000, found[0].statistics)
    told = Div(name=f"{label} told", sizing_mode="stretch_width", disable_math=True)
    arguments = {
        "machine": machine,
        "fault": fault,
        "statistics": [_name(letter) for letter in found[0].statistics],
        "shares": [own.shares.astype(np.float32) for own in found],
        "usual": [own.usual.astype(np.float32) for own in found],
        "squared": [own.faults["squared"].tolist() for own in found],
        "above": [own.faults["above"].tolist() for own in found],
        "normals": [own.normals for own in found],
        "bars": bars,
        "line": usual,
        "told": told,
    }
    draw = CustomJS(args=arguments, code=js.script("text", "carriers_draw"))
    change = CustomJS(args={"fault": fault, "options": options}, code=js.script("carriers_machine"))
    machine.js_on_change("value", change, draw)
    fault.js_on_change("value", draw)
    document = Document()
    document.add_root(column(machine, fault, plot, told, sizing_mode="stretch_width"))
    document.js_on_event("document_ready", draw)
    panels.show_live(document.roots[0], before=f"<div class='asd-said'>{_BEFORE}</div>")


def _options(own: Any) -> list[tuple[str, str]]:
    """Entries of the menu of faults; what tells two of them apart stands first."""
    return [
        (str(i), f"{row.rank} of {own.anomalies}: D² = {row.squared:.1f}, {row.domain}, {row.name}")
        for i, row in enumerate(own.faults.itertuples())
    ]


def _name(letter: str) -> str:
    return STATISTIC_NAMES[letter].replace("$", "")


def _plot(edges: np.ndarray, statistics: str) -> tuple[Any, Any, Any]:
    """Draw stacked bars of one width, a band each; the script puts the values in.

    Parameters
    ----------
    edges : of the bands, in kHz.

    Returns
    -------
    The plot, the bars' data (values ``v0``, ``v1``, ... of the statistics, which lie between the
    ends ``b0``, ``b1``, ...), and the line's.
    """
    from bokeh.models import ColumnDataSource, DataRange1d, HoverTool
    from bokeh.plotting import figure

    places, nothing = np.arange(len(edges)), np.zeros(len(edges) - 1)
    values = {f"v{i}": nothing for i in range(len(statistics))}
    ends = {f"b{i}": nothing for i in range(len(statistics) + 1)}
    sides = {"left": places[:-1], "right": places[1:], "low": edges[:-1], "high": edges[1:]}
    bars = ColumnDataSource({**sides, **values, **ends})
    usual = ColumnDataSource({"x": places, "y": np.zeros(len(edges))})
    plot = figure(
        height=300,
        sizing_mode="stretch_width",
        x_range=(0, len(edges) - 1),
        y_range=DataRange1d(start=0),
        x_axis_label="frequency (kHz, mel scale)",
        y_axis_label="contribution to D²",
        tools="",
        toolbar_location=None,
    )
    ticks = [tick for tick in _TICKS if edges[0] <= tick <= edges[-1]]
    at = np.interp(ticks, edges, places).tolist()
    plot.xaxis.ticker = at
    plot.xaxis.major_label_overrides = dict(zip(at, map(str, ticks), strict=True))
    plot.xgrid.grid_line_color = None
    for i, letter in enumerate(statistics):
        bar = plot.quad(
            left="left",
            right="right",
            bottom=f"b{i}",
            top=f"b{i + 1}",
            source=bars,
            color=STATISTIC_COLOURS[letter],
            legend_label=letter,
        )
        band = ("band", "@low{0.00} to @high{0.00} kHz")
        told = [("statistic", _name(letter)), band, ("contribution", f"@v{i}{{0.0}}")]
        plot.add_tools(HoverTool(renderers=[bar], tooltips=told))
    plot.step(
        "x",
        "y",
        source=usual,
        mode="after",
        color="#111111",
        line_width=1.5,
        legend_label="normal clips",
    )
    legend = plot.legend[0]
    legend.orientation, legend.location, legend.border_line_alpha = "horizontal", "top_left", 0
    legend.margin, legend.padding, legend.spacing = 0, 4, 8
    legend.label_width, legend.glyph_width = 0, 14
    plot.add_layout(legend, "above")
    return plot, bars, usual
