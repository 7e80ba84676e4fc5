"""Charts that a reader moves: a slider over false alarms, and a browser of clips.

Data in, Bokeh models out; what moves is CustomJS, so that the pages need no kernel.
Notebook: 06_decisions.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from bokeh import models
from bokeh.transform import factor_cmap, factor_mark, jitter

from asdlib.report import js, panels
from asdlib.report.style import PALETTE

_ROWS = ("target anomaly", "target normal", "source anomaly", "source normal")  # upwards
_WIDE = {"sizing_mode": "stretch_width"}


def _marks(kinds: str, *factors: str) -> dict[str, Any]:
    """Marker and colour of points by one of their columns, which has one of two values."""
    return {
        "marker": factor_mark(kinds, ("circle", "triangle"), factors),
        "fill_color": factor_cmap(kinds, PALETTE[:2], factors),
    }


def show_rates(rates: pd.DataFrame, wanted: float) -> None:
    """Show promised and found alarms of every system, at a rate that the reader moves.

    Parameters
    ----------
    rates : of :func:`asdlib.compare.alarms.by_rate`, at two rates or more.
    wanted : share of false alarms to begin with.
    """
    steps = sorted(rates["rate"].unique().tolist())
    keys = ["system", "rule", "what", "clips", "machines"]
    series = rates.groupby(keys, sort=False)[["alarms", "unable", "share", "low", "high"]]
    rows = series.agg(list).reset_index().to_dict("records")
    plot, points, line = _alarms(rows)
    start = min(steps, key=lambda step: abs(step - wanted))
    slider = models.Slider(title="wanted share of false alarms", value=start, format="0%", **_WIDE)
    slider.update(start=steps[0], end=steps[-1], step=steps[1] - steps[0])
    counts = panels.words()
    arguments = {"slider": slider, "points": points, "line": line, "counts": counts}
    arguments |= {"rows": rows, "rates": steps}
    move = models.CustomJS(args=arguments, code=js.script("text", "alarm_rates"))
    slider.js_on_change("value", move)
    panels.show_live(slider, plot, counts, ready=move)


def _alarms(rows: list[dict[Any, Any]]) -> tuple[Any, models.ColumnDataSource, models.Span]:
    """Draw a line per system, rule and kind of alarm; the script puts the values in.

    Returns
    -------
    The plot, its points, and the line at the wanted share.
    """
    places = [(f"{row['system']}, {row['rule']}", row["what"]) for row in rows]
    kinds = ["hits" if row["what"] == "hits" else "false" for row in rows]
    values = dict.fromkeys(("share", "low", "high"), [0.0] * len(rows))
    points = models.ColumnDataSource(
        {"place": places, "kind": kinds, "found": [""] * len(rows), **values}
    )
    plot = panels.plot(
        height=70 + max(28 * len(rows), 90 * len(dict(places))),
        x_range=(-0.03, 1.03),  # whole marks at both ends
        y_range=models.FactorRange(factors=places[::-1], range_padding=0.02),
        x_axis_label="share of clips that are alarms",
    )
    plot.xaxis.ticker = [0, 0.2, 0.4, 0.6, 0.8, 1]
    plot.xaxis.formatter = models.NumeralTickFormatter(format="0%")
    plot.ygrid.grid_line_color = None
    line = panels.upright(plot, 0, line_dash="dashed")
    marks = _marks("kind", "false", "hits")
    look = {"source": points, "line_color": marks["fill_color"]}
    plot.segment("low", "place", "high", "place", line_width=3, line_alpha=0.5, **look)
    dots = plot.scatter("share", "place", size=11, **marks, **look)
    plot.add_tools(models.HoverTool(renderers=[dots], tooltips=[("found", "@found")]))
    return plot, points, line


def show_clips(
    clips: pd.DataFrame, wrong: pd.DataFrame, heard: Mapping[tuple[str, str], Mapping[str, str]]
) -> None:
    """Show every labelled test clip's score, a threshold to move, and the worst errors to hear.

    Moving the slider counts false alarms, misses and F1 of the chosen machine again, in either
    domain; another machine in the menu brings its own clips, threshold and players. Where all
    scores are positive, as those of S5, the axis and the slider are logarithmic.

    Parameters
    ----------
    clips : machine, domain, label, name, score, threshold (of the machine) and decision: labelled
        test clips of one system. Without a threshold, the slider begins where as many clips lie
        above it as are alarms.
    wrong : those that were decided wrongly, of :func:`asdlib.compare.failures.errors`.
    heard : machine and clip name of the worst errors to their sounds, as label and data URI.
    """
    by_machine = clips.groupby("machine")
    as_many = {m: own["score"].quantile(1 - own["decision"].mean()) for m, own in by_machine}
    # an infinite threshold has no place
    limits = by_machine["threshold"].max().fillna(as_many).clip(upper=by_machine["score"].max())
    log = bool(min(clips["score"].min(), limits.min()) > 0)
    place: Any = np.log10 if log else np.asarray
    thresholds = dict(zip(limits.index, place(limits).tolist(), strict=True))
    ends = {m: _ends([*place(own["score"]), thresholds[m]]) for m, own in by_machine}
    first = next(iter(thresholds))
    low, high = ends[first]
    chosen = models.GroupFilter(column_name="machine", group=first)
    span = models.Range1d(start=0.1, end=1)  # the script sets it
    rings = ["#000000" if key in heard else "#ffffff" for key in _keys(clips)]
    columns = clips[["machine", "domain", "label", "name", "score"]].assign(ring=rings)
    rows = columns.assign(row=clips["domain"] + " " + clips["label"], place=place(clips["score"]))
    points = models.ColumnDataSource(rows.to_dict("list"))
    places = models.FactorRange(factors=_ROWS)
    axis: Any = {"x_axis_type": "log" if log else "linear", "x_axis_label": "score of the system"}
    plot = panels.plot(height=260, x_range=span, y_range=places, **axis)
    plot.xaxis.formatter = models.NumeralTickFormatter(format="0.[00]")
    look = {"size": 9, "line_color": "ring", "fill_alpha": 0.75, "source": points}
    marks = _marks("label", "normal", "anomaly")
    scattered = jitter("row", width=0.7, range=places)
    plot.scatter("score", scattered, view=models.CDSView(filter=chosen), **marks, **look)
    tips = [("clip", "@name"), *((own, f"@{own}") for own in ("domain", "label", "score"))]
    plot.add_tools(models.HoverTool(tooltips=tips))
    plot.ygrid.grid_line_color = None
    line = panels.upright(plot, 1, line_dash="dashed")
    told = models.CustomJSTickFormatter(code=f"return ({'10 ** ' * log}tick).toFixed(2)")
    slider = models.Slider(title="threshold", value=thresholds[first], format=told, **_WIDE)
    slider.update(start=low, end=high, step=(high - low) / 200)
    menu = models.Select(title="machine", options=list(thresholds), value=first)
    counts = panels.words()
    arguments: dict[str, Any] = {"points": points, "chosen": chosen, "span": span, "line": line}
    arguments |= {"slider": slider, "menu": menu, "counts": counts, "own": thresholds, "ends": ends}
    arguments["log"] = log
    count = models.CustomJS(args=arguments, code=js.script("text", "clips_count"))
    slider.js_on_change("value", count)
    change = models.CustomJS(args=arguments, code=js.script("text", "clips_machine", "clips_count"))
    menu.js_on_change("value", change)
    lists = [
        f"<div data-machine='{html.escape(str(m))}'{' hidden' * (m != first)}>"
        f"{_players(wrong[wrong['machine'] == m], heard)}</div>"
        for m in thresholds
    ]
    below = f"<div class='asd-clips'>{''.join(lists)}</div>"
    panels.show_live(menu, plot, slider, counts, ready=count, after=below)


def _players(wrong: pd.DataFrame, heard: Mapping[tuple[str, str], Mapping[str, str]]) -> str:
    """Players of the errors that can be heard, below how many there are of either kind."""
    parts = []
    for kind in ("false alarms", "misses"):
        rows = wrong[wrong["kind"] == kind]
        parts.append(f"<h4>Worst {kind} ({len(rows)} in all)</h4>")
        for key, score in zip(_keys(rows), rows["score"], strict=True):
            sounds = "".join(
                panels.player(source, what, f"{key[1]}: {what}")
                for what, source in heard.get(key, {}).items()
            )
            if sounds:
                line = f"{html.escape(key[1])}, score {score:.2f}"
                parts.append(f"<div>{line}<div class='asd-players'>{sounds}</div></div>")
    return "".join(parts)


def _keys(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["machine"], rows["name"], strict=True))


def _ends(scores: Sequence[float]) -> tuple[float, float]:
    """Return ends of an axis with a little room on either side."""
    margin = 0.02 * (max(scores) - min(scores)) + 0.01
    return min(scores) - margin, max(scores) + margin
