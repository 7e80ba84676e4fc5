"""Charts that a reader moves: a slider over the rate of false alarms, and a picker of faults.

Data in, Bokeh models out; what moves is CustomJS, so that the pages need no kernel.
Notebooks: index, 05_without_training, 08_submission.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    CustomJS,
    DataRange1d,
    FactorRange,
    GroupFilter,
    HoverTool,
    NumeralTickFormatter,
    Select,
    Span,
)

from asdlib.report import js, panels, tables
from asdlib.report.style import PALETTE, STATISTIC_COLOURS, STATISTIC_NAMES

_NO_ALARMS = "There is no labelled test clip, or no system: alarms cannot be counted."
_RATES = (
    "Choose how often a normal recording may raise a false alarm (dashed line): for every system, "
    "a circle shows how often one did among the test clips of all machines, and a triangle how "
    "many of the anomalies were found."
)
_RULES = (
    "Bars are 95 % intervals: a promise is broken where the bar of the false alarms lies right of "
    "the line. Source and target are usual and changed operating conditions. Rule <i>paper</i>: "
    "the threshold is a quantile of the scores of clips that the models were trained on. Rule "
    "<i>held out</i>: every one of these clips is scored by statistics that were fitted without it "
    "(the autoencoders of S1 have seen it)."
)
_NO_FAULTS = "There is no labelled anomaly to take apart."
_FAULTS = (
    "Pick a machine and one of its anomalous test clips: coloured bars show which statistic, in "
    "which band, makes up its squared distance D² to normal clips, and the black line shows what "
    "the normal test clips have there on average."
)
_TICKS = (0.2, 0.5, 1, 2, 3, 5, 7, 10, 15, 20)  # kHz
_HITS = "hits"


def show_rates(rates: pd.DataFrame, wanted: float) -> None:
    """Show promised and found alarms of every system, at a rate that the reader moves.

    Parameters
    ----------
    rates : of :func:`asdlib.compare.alarms.by_rate`, at two rates or more; without rows, one
        sentence says why.
    wanted : share of false alarms to begin with.
    """
    if rates.empty:
        tables.say(_NO_ALARMS)
        return
    steps = sorted(rates["rate"].unique())
    rows = [
        {"system": key[0], "rule": key[1], "what": key[2]}
        | {"clips": int(own["clips"].iloc[0]), "machines": int(own["machines"].iloc[0])}
        | {name: own[name].tolist() for name in ("alarms", "unable", "share", "low", "high")}
        for key, own in rates.groupby(["system", "rule", "what"], sort=False)
    ]
    plot, points, line = _alarms(rows)
    start = min(steps, key=lambda step: abs(step - wanted))
    title = "wanted share of false alarms"
    slider = panels.slider(title, (steps[0], steps[-1]), start, steps[1] - steps[0])
    slider.format = "0%"
    counts = panels.words()
    arguments: dict[str, Any] = {"slider": slider, "points": points, "line": line}
    arguments |= {"counts": counts, "rows": rows, "rates": steps}
    move = CustomJS(args=arguments, code=js.script("text", "alarm_rates"))
    slider.js_on_change("value", move)
    panels.show_live(slider, plot, counts, ready=move, before=_said(_RATES), after=_said(_RULES))


def _said(text: str) -> str:
    return f"<div class='asd-said'>{text}</div>"


def _alarms(rows: list[dict[str, Any]]) -> tuple[Any, ColumnDataSource, Span]:
    """Draw a line per system, rule and kind of alarm; the script puts the values in.

    Returns
    -------
    The plot, its points, and the line at the wanted share.
    """
    places = [(f"{row['system']}, {row['rule']}", row["what"]) for row in rows]
    kinds = [_HITS if row["what"] == _HITS else "false" for row in rows]
    values = dict.fromkeys(("share", "low", "high"), [0.0] * len(rows))
    points = ColumnDataSource({"place": places, "kind": kinds, "found": [""] * len(rows), **values})
    groups = len({group for group, _ in places})
    plot = panels.plot(
        height=70 + max(28 * len(rows), 90 * groups),
        x_range=(-0.03, 1.03),  # whole marks at both ends
        y_range=FactorRange(factors=places[::-1], range_padding=0.02),
        x_axis_label="share of clips that are alarms",
    )
    plot.xaxis.ticker = [0, 0.2, 0.4, 0.6, 0.8, 1]
    plot.xaxis.formatter = NumeralTickFormatter(format="0%")
    plot.ygrid.grid_line_color = None
    line = panels.upright(plot, 0, line_dash="dashed")
    for kind, marker, colour in (("false", "circle", PALETTE[0]), (_HITS, "triangle", PALETTE[1])):
        view = CDSView(filter=GroupFilter(column_name="kind", group=kind))
        look = {"source": points, "view": view, "line_color": colour}
        plot.segment("low", "place", "high", "place", line_width=3, line_alpha=0.5, **look)
        dots = plot.scatter("share", "place", marker=marker, size=11, fill_color=colour, **look)
        plot.add_tools(HoverTool(renderers=[dots], tooltips=[("found", "@found")]))
    return plot, points, line


def show_faults(found: Sequence[Any]) -> None:
    """Show what carries a fault that the reader picks, by two menus: machine and fault.

    Parameters
    ----------
    found : of :func:`asdlib.compare.failures.fault_contributions`; where it is empty, one sentence
        says why.
    """
    if not found:
        tables.say(_NO_FAULTS)
        return
    # menus hold numbers: a name may be anything
    names = [(str(i), own.machine) for i, own in enumerate(found)]
    machine = Select(title="machine", options=names, value="0")
    options = [
        [
            (str(i), f"{f.rank} of {own.anomalies}: D² = {f.squared:.1f}, {f.domain}, {f.name}")
            for i, f in enumerate(own.faults.itertuples())
        ]
        for own in found
    ]
    fault = Select(
        title="fault, from clearest to least clear",
        options=options[0],
        value="0",
        sizing_mode="stretch_width",
        stylesheets=["select { width: 100%; }"],
    )
    plot, bars, line = _contributions(found[0].edges / 1000, found[0].statistics)
    sums = panels.words()
    arguments = {
        "machine": machine,
        "fault": fault,
        "statistics": [_name(letter) for letter in found[0].statistics],
        "shares": [own.shares.astype(np.float32) for own in found],
        "normal": [own.usual.astype(np.float32) for own in found],
        "squared": [own.faults["squared"].tolist() for own in found],
        "above": [own.faults["above"].tolist() for own in found],
        "normals": [own.normals for own in found],
        "bars": bars,
        "line": line,
        "sums": sums,
    }
    draw = CustomJS(args=arguments, code=js.script("text", "carriers_draw"))
    change = CustomJS(args={"fault": fault, "options": options}, code=js.script("carriers_machine"))
    machine.js_on_change("value", change, draw)
    fault.js_on_change("value", draw)
    panels.show_live(machine, fault, plot, sums, ready=draw, before=_said(_FAULTS))


def _name(letter: str) -> str:
    return STATISTIC_NAMES[letter].replace("$", "")


def _contributions(
    edges: np.ndarray, statistics: str
) -> tuple[Any, ColumnDataSource, ColumnDataSource]:
    """Draw stacked bars of one width, a band each; the script puts the values in.

    Parameters
    ----------
    edges : of the bands, in kHz.

    Returns
    -------
    The plot, the bars' data (values ``v0``, ``v1``, ... of the statistics, which lie between the
    ends ``b0``, ``b1``, ...), and the line's.
    """
    places, nothing = np.arange(len(edges)), np.zeros(len(edges) - 1)
    values = {f"v{i}": nothing for i in range(len(statistics))}
    ends = {f"b{i}": nothing for i in range(len(statistics) + 1)}
    sides = {"left": places[:-1], "right": places[1:], "low": edges[:-1], "high": edges[1:]}
    bars = ColumnDataSource({**sides, **values, **ends})
    line = ColumnDataSource({"x": places, "y": np.zeros(len(edges))})
    plot = panels.plot(
        height=300,
        x_range=(0, len(edges) - 1),
        y_range=DataRange1d(start=0),
        x_axis_label="frequency (kHz, mel scale)",
        y_axis_label="contribution to D²",
    )
    ticks = [tick for tick in _TICKS if edges[0] <= tick <= edges[-1]]
    at = np.interp(ticks, edges, places).tolist()
    plot.xaxis.ticker = at
    plot.xaxis.major_label_overrides = dict(zip(at, map(str, ticks), strict=True))
    plot.xgrid.grid_line_color = None
    for i, letter in enumerate(statistics):
        look = {"color": STATISTIC_COLOURS[letter], "legend_label": letter, "source": bars}
        bar = plot.quad(left="left", right="right", bottom=f"b{i}", top=f"b{i + 1}", **look)
        band = ("band", "@low{0.00} to @high{0.00} kHz")
        shown = [("statistic", _name(letter)), band, ("contribution", f"@v{i}{{0.0}}")]
        plot.add_tools(HoverTool(renderers=[bar], tooltips=shown))
    look = {"color": "#111111", "legend_label": "normal clips", "source": line}
    plot.step("x", "y", mode="after", line_width=1.5, **look)
    legend = plot.legend[0]
    legend.orientation, legend.location, legend.border_line_alpha = "horizontal", "top_left", 0
    legend.margin, legend.padding, legend.spacing = 0, 4, 8
    legend.label_width, legend.glyph_width = 0, 14
    plot.add_layout(legend, "above")
    return plot, bars, line
