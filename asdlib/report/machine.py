"""One page on a machine of one's own: what its watcher has told over time, beside the promise.

The page is one file without a script, and needs no network. What the log holds is text in it.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from asdlib.io import files
from asdlib.monitor import Monitor, history, recordings
from asdlib.params import AsdError
from asdlib.report import charts_evidence
from asdlib.report.panels import encode, match_level, player
from asdlib.report.style import embedded, style
from asdlib.report.tables import percent
from asdlib.runtime.errors import p_text, plural, printable, sentence

_MARK = "<!-- written by asd report -->"
_HEAD = (
    f'<!doctype html>{_MARK}<html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
)
_ALARMS = 5  # with picture and sound
_SECONDS = 10.0  # of a sound


def write(model: Path, log: Path, out: Path | None, false_alarms: float | None = None) -> Path:
    """Write the page of a log, and return where it is.

    Parameters
    ----------
    model : file of ``asd fit``.
    log : that ``asd watch`` writes.
    out : HTML file; beside the log by default. An older page is replaced, and nothing else.
    false_alarms : wanted share, as given to ``asd watch``; that of the model by default.

    Raises
    ------
    AsdError
        Where the model or the log cannot be read, the log holds no line of this model, or another
        file would be lost.
    """
    monitor = Monitor.load(model)
    if false_alarms is not None:
        monitor = replace(monitor, false_alarms=false_alarms)
    table, left_out = history.read(log, monitor.identity)
    page = out or log.parent / f"{log.stem}.html"
    files.check_place(page, _MARK.encode(), "page of asd report --machine")
    scored, judged = table.dropna(subset="score"), table.dropna(subset="alarm")
    alarms, times = judged[judged["alarm"].astype(bool)], judged["time"].astype(str).tolist()
    fits = history.drift(judged["p_value"].tolist(), monitor.false_alarms, times)[1]
    style()
    latest = "".join(_alarm(monitor, row) for row in alarms[::-1].head(_ALARMS).itertuples())
    if latest:
        accepted = ["--log", log, "--accept", alarms["name"].iloc[-1], "--out", "new.safetensors"]
        words = _text(shlex.join(map(str, ["asd", "refit", model, *accepted])))
        latest += f"<p>If one is a false alarm, the model can learn it: <code>{words}</code></p>"
    sections = {
        "Scores, alarms and their reasons": _history(monitor, scored, alarms),
        "Promised and found": _promise(monitor, judged),
        "Recording faults": _table(history.faults(table)),
        "The latest alarms": latest,
    }
    name, css = _text(model.stem), Path(__file__).with_suffix(".css")
    told = (_first(monitor, scored, judged), fits, left_out)
    body = [
        f"{_HEAD}<title>{name}</title><style>{css.read_text('utf-8')}</style><h1>{name}</h1>",
        *(f"<p>{_text(said)}</p>" for said in told if said),
        *(f"<h2>{head}</h2>{shown}" for head, shown in sections.items() if shown),
    ]
    files.write_text("\n".join(body), page)
    return page


def _text(said: object) -> str:
    """Text in which nothing is markup; bytes of a name that are no letters are escaped."""
    return escape(printable(str(said)))


def _first(monitor: Monitor, scored: pd.DataFrame, judged: pd.DataFrame) -> str:
    """The result in a sentence or two."""
    if scored.empty:
        return "No recording could be scored."
    days = [f"{day.day} {day:%B %Y}" for day in (scored["time"].min(), scored["time"].max())]
    head = f"{plural(len(scored), 'recording')} from {' to '.join(dict.fromkeys(days))}"
    if judged.empty:
        return f"{head}: no verdict. {monitor.remark}"
    count, most = int(judged["alarm"].sum()), percent(monitor.false_alarms)
    raised = f"{plural(count, 'alarm')} among the {len(judged):,} with a verdict"
    share = percent(count / len(judged))
    return f"{head}: {raised} ({share}); the model promises at most {most} among normal ones."


def _history(monitor: Monitor, scored: pd.DataFrame, alarms: pd.DataFrame) -> str:
    if scored.empty:
        return ""
    one = not monitor.remark and len(monitor.decisions) == 1  # else each condition has its own
    threshold = monitor.alarm.threshold if one else None
    drawn = charts_evidence.history(scored, history.reasons(alarms), threshold)
    said = "Score of every recording; above the dashed line, it is an alarm. Below: what differed."
    return f"<div class='wide'>{embedded(drawn, said)}</div><p>{said}</p>"


def _promise(monitor: Monitor, judged: pd.DataFrame) -> str:
    if judged.empty:
        return ""
    promised = [*monitor.decision.promise.splitlines(), "No day is known."][:2]
    kinds = {"": ["by recordings", "by days"], "promised, for normal recordings": promised}
    return _table(pd.DataFrame(kinds | {"found, alarms of all kinds": history.found(judged)}))


def _table(table: pd.DataFrame) -> str:
    if table.empty:
        return "<p>None.</p>"
    with pd.option_context("display.max_colwidth", None):
        shown = table.astype(object).map(lambda cell: printable(str(cell)))
        return f"<div class='wide'>{shown.to_html(index=False, border=0)}</div>"


def _alarm(monitor: Monitor, row: Any) -> str:
    """An alarm with its reasons, and with picture and sound where the recording is still there."""
    reasons = "".join(f"<li>{_text(reason)}</li>" for reason in row.reasons)
    values = f"{row.time}, score {row.score:.1f}, p {p_text(row.p_value)}"
    said = f"<h3>{_text(row.name)}</h3><p>{values}</p><ul>{reasons}</ul>"
    rate, sounds = monitor.spectra.sample_rate, ""
    try:
        signal = recordings.signal(*history.sound(row.path, row.content), monitor.spectra)
        found = monitor.evidence(signal, rate)
    except (AsdError, MemoryError) as error:
        return f"{said}<p>No picture and no sound: {_text(sentence(error))}</p>"
    begin, where = round(found.start * rate), f", from {found.start:.1f} s" * bool(found.start)
    for own, name in zip(signal[:, begin:], ("near", "far"), strict=True):
        sound = encode(match_level(own[: round(_SECONDS * rate)]), rate, lossless=False)
        sounds += player(sound, f"{name} microphone{where}")
    picture = embedded(charts_evidence.reading([found]), "what differs from normal", "png")
    return f"{said}<div class='asd-players'>{sounds}</div><div class='wide'>{picture}</div>"
