"""A slider over the wanted share of false alarms: what every system promises, and what it does.

Data in, Bokeh models out; what moves is CustomJS. Notebook: 08_submission.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from asdlib.params import Scoring
from asdlib.report import js, panels, tables
from asdlib.report.style import PALETTE

_HITS = "hits"
_NOTHING = "There is no labelled test clip, or no system: alarms cannot be counted."
_BEFORE = (
    "Choose how often a normal recording may raise a false alarm (dashed line): for every system, "
    "a circle shows how often one did among the test clips of all machines, and a triangle how "
    "many of the anomalies were found."
)
_AFTER = (
    "Bars are 95 % intervals: a promise is broken where the bar of the false alarms lies right of "
    "the line. Source and target are usual and changed operating conditions. Rule <i>paper</i>: "
    "the threshold is a quantile of the scores of clips that the models were trained on. Rule "
    "<i>held out</i>: every one of these clips is scored by statistics that were fitted without it "
    "(the autoencoders of S1 have seen it)."
)


def show(rates: pd.DataFrame, wanted: float = 1 - Scoring().quantile, label: str = "rates") -> None:
    """Show promised and found alarms of every system, at a rate that the reader moves.

    Parameters
    ----------
    rates : of :func:`asdlib.compare.alarms.by_rate`, at two rates or more; without rows, one
        sentence says why.
    wanted : share of false alarms to begin with.
    label : short name of the chart, unique in its page.
    """
    if rates.empty:
        tables.say(_NOTHING)
        return
    from bokeh.document import Document
    from bokeh.layouts import column
    from bokeh.models import CustomJS, Div, Slider

    steps = sorted(rates["rate"].unique())
    rows = [
        {"system": key[0], "rule": key[1], "what": key[2]}
        | {"clips": int(own["clips"].iloc[0]), "machines": int(own["machines"].iloc[0])}
        | {name: own[name].tolist() for name in ("alarms", "unable", "share", "low", "high")}
        for key, own in rates.groupby(["system", "rule", "what"], sort=False)
    ]
    plot, points, line = _plot(rows)
    slider = Slider(
        start=steps[0],
        end=steps[-1],
        value=min(steps, key=lambda step: abs(step - wanted)),
        step=steps[1] - steps[0],
        title="wanted share of false alarms",
        format="0%",
        sizing_mode="stretch_width",
        name=f"{label} slider",
    )
    counts = Div(name=f"{label} counts", sizing_mode="stretch_width", disable_math=True)
    arguments: dict[str, Any] = {"slider": slider, "points": points, "line": line}
    arguments |= {"counts": counts, "rows": rows, "rates": steps}
    move = CustomJS(args=arguments, code=js.script("text", "alarm_rates"))
    slider.js_on_change("value", move)
    document = Document()
    document.add_root(column(slider, plot, counts, sizing_mode="stretch_width"))
    document.js_on_event("document_ready", move)
    before, after = (f"<div class='asd-said'>{said}</div>" for said in (_BEFORE, _AFTER))
    panels.show_live(document.roots[0], before=before, after=after)


def _plot(rows: list[dict[str, Any]]) -> tuple[Any, Any, Any]:
    """Draw a line per system, rule and kind of alarm; the script puts the values in.

    Returns
    -------
    The plot, its points, and the line at the wanted share.
    """
    from bokeh.models import (
        CDSView,
        ColumnDataSource,
        FactorRange,
        GroupFilter,
        HoverTool,
        NumeralTickFormatter,
        Span,
    )
    from bokeh.plotting import figure

    places = [(f"{row['system']}, {row['rule']}", row["what"]) for row in rows]
    kinds = [_HITS if row["what"] == _HITS else "false" for row in rows]
    nothing = [0.0] * len(rows)
    values = {name: nothing for name in ("share", "low", "high")}
    points = ColumnDataSource({"place": places, "kind": kinds, "told": [""] * len(rows), **values})
    groups = len({group for group, _ in places})
    plot = figure(
        height=70 + max(28 * len(rows), 90 * groups),
        sizing_mode="stretch_width",
        x_range=(-0.03, 1.03),  # whole marks at both ends
        y_range=FactorRange(factors=places[::-1], range_padding=0.02),
        x_axis_label="share of clips that are alarms",
        tools="",
        toolbar_location=None,
    )
    plot.xaxis.ticker = [0, 0.2, 0.4, 0.6, 0.8, 1]
    plot.xaxis.formatter = NumeralTickFormatter(format="0%")
    plot.ygrid.grid_line_color = None
    line = Span(location=0, dimension="height", line_dash="dashed", line_width=2)
    plot.add_layout(line)
    for kind, marker, colour in (("false", "circle", PALETTE[0]), (_HITS, "triangle", PALETTE[1])):
        view = CDSView(filter=GroupFilter(column_name="kind", group=kind))
        look = {"source": points, "view": view, "line_color": colour}
        plot.segment("low", "place", "high", "place", line_width=3, line_alpha=0.5, **look)
        dots = plot.scatter("share", "place", marker=marker, size=11, fill_color=colour, **look)
        plot.add_tools(HoverTool(renderers=[dots], tooltips=[("found", "@told")]))
    return plot, points, line
