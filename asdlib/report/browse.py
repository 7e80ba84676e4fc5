"""A clip browser that answers in the page: every clip's score, and a threshold to move.

Data in, Bokeh models out; what moves is CustomJS, so that the pages need no kernel.
Notebook: 08_submission.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    CustomJS,
    GroupFilter,
    HoverTool,
    Range1d,
    Select,
)

from asdlib.report import js, panels
from asdlib.report.style import PALETTE, sound_name

_ROWS = ("target anomaly", "target normal", "source anomaly", "source normal")  # upwards
_MARKS = {"normal": ("circle", PALETTE[0]), "anomaly": ("triangle", PALETTE[1])}


def show_clips(clips: pd.DataFrame, heard: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
    """Show every labelled test clip's score, a threshold to move, and the worst errors to hear.

    Moving the slider counts false alarms, misses and F1 of the chosen machine again, in either
    domain; another machine in the menu brings its own clips, threshold and players.

    Parameters
    ----------
    clips : machine, domain, label, name, score and threshold (of the machine): labelled test clips
        of one system.
    heard : machine and clip name of the worst errors to their sounds, as label and data URI.
    """
    by_machine = clips.groupby("machine")
    # an infinite threshold has no place
    lowest = by_machine[["threshold", "score"]].max().min(axis=1)
    thresholds = {str(machine): float(value) for machine, value in lowest.items()}
    ends = {str(m): _ends([*own["score"], thresholds[str(m)]]) for m, own in by_machine}
    first = next(iter(thresholds))
    low, high = ends[first]
    chosen = GroupFilter(column_name="machine", group=first)
    span = Range1d(start=low, end=high)
    points = _points(clips, heard)
    plot = panels.plot(
        height=260, x_range=span, y_range=(0, len(_ROWS)), x_axis_label="z of the ensemble"
    )
    for kind, (marker, colour) in _MARKS.items():
        view = CDSView(filter=chosen & GroupFilter(column_name="label", group=kind))
        look = {"size": 9, "fill_color": colour, "line_color": "ring", "fill_alpha": 0.75}
        plot.scatter("score", "y", source=points, view=view, marker=marker, **look)
    tips = [("clip", "@name"), ("domain", "@domain"), ("label", "@label"), ("z", "@score{0.000}")]
    plot.add_tools(HoverTool(tooltips=tips))
    middles = {i + 0.5: name for i, name in enumerate(_ROWS)}
    plot.yaxis.ticker = list(middles)
    plot.yaxis.major_label_overrides = middles
    plot.ygrid.grid_line_color = None
    line = panels.upright(plot, thresholds[first], line_dash="dashed")
    slider = panels.slider("threshold on z", (low, high), thresholds[first], (high - low) / 200)
    slider.format = "0.00"
    menu = Select(title="machine", options=list(thresholds), value=first)
    counts = panels.words()
    arguments: dict[str, Any] = {"points": points, "chosen": chosen, "span": span, "line": line}
    arguments |= {"slider": slider, "menu": menu, "counts": counts, "own": thresholds, "ends": ends}
    count = CustomJS(args=arguments, code=js.script("text", "clips_count"))
    slider.js_on_change("value", count)
    change = CustomJS(args=arguments, code=js.script("text", "clips_machine", "clips_count"))
    menu.js_on_change("value", change)
    wrong = errors(clips)
    lists = [
        f"<div data-machine='{html.escape(m, quote=True)}'{' hidden' * (m != first)}>"
        f"{_players(wrong[wrong['machine'] == m], heard)}</div>"
        for m in thresholds
    ]
    below = f"<div class='asd-clips'>{''.join(lists)}</div>"
    panels.show_live(menu, plot, slider, counts, ready=count, after=below)


def _points(clips: pd.DataFrame, heard: Collection[tuple[str, str]]) -> ColumnDataSource:
    """Place the clips in the rows of their domain and label; those heard have a black ring."""
    height = [_ROWS.index(place) for place in clips["domain"] + " " + clips["label"]]
    # golden-ratio steps spread neighbours evenly, without a generator
    jitter = (np.arange(len(clips)) * 0.618034 % 1 - 0.5) * 0.7
    return ColumnDataSource(
        {
            **{name: clips[name].tolist() for name in ("machine", "domain", "label", "name")},
            "score": clips["score"].to_numpy(float),
            "y": np.array(height) + 0.5 + jitter,
            "ring": ["#000000" if key in heard else "#ffffff" for key in _keys(clips)],
        }
    )


def errors(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the false alarms and misses, with a column kind; the worst of either kind first."""
    normal = clips["label"] == "normal"
    wrong = clips[normal == (clips["score"] > clips["threshold"])]
    kind = wrong["label"].map({"normal": "false alarms", "anomaly": "misses"})
    order = wrong["score"].where(kind == "misses", -wrong["score"])
    return wrong.assign(kind=kind, order=order).sort_values(["kind", "order"]).drop(columns="order")


def worst(clips: pd.DataFrame, count: int = 3) -> list[tuple[str, str]]:
    """Machine and name of the loudest false alarms and the deepest misses of every machine."""
    return _keys(errors(clips).groupby(["machine", "kind"]).head(count))


def encoded(tracks: Mapping[str, panels.Track], sample_rate: int) -> dict[str, str]:
    """Make the near sounds of a clip small enough for many of them: label to MP3 as a data URI."""
    return {
        sound_name(name): panels.encode(panels.match_level(signal), sample_rate, lossless=False)
        for name, (signal, _) in tracks.items()
        if name != "far"
    }


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
                line = f"{html.escape(key[1])}, z = {score:.2f}"
                parts.append(f"<div>{line}<div class='asd-players'>{sounds}</div></div>")
    return "".join(parts)


def _keys(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["machine"], rows["name"], strict=True))


def _ends(scores: Sequence[float]) -> tuple[float, float]:
    """Return ends of an axis with a little room on either side."""
    margin = 0.02 * (max(scores) - min(scores)) + 0.01
    return min(scores) - margin, max(scores) + margin
