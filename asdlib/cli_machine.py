"""The commands for a machine of one's own: ``asd fit``, ``refit``, ``score`` and ``watch``.

Exit code 0 when everything asked for was done, 2 for a user's error. ``asd score`` has two others:
1 where a recording is an alarm, with ``--fail-on-alarm``, and 3 where a recording itself is faulty,
with ``--fail-on-fault``.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asdlib.runtime import process
from asdlib.runtime.commands import Replaces, argument
from asdlib.runtime.errors import AsdError, plural, printable, sentence
from asdlib.runtime.process import say

if TYPE_CHECKING:
    from asdlib.monitor import Monitor


def _k_of_n(text: str) -> tuple[int, int]:
    """Read K/N: an alarm is raised after K alarms among the last N recordings."""
    k, _, n = text.partition("/")
    if not (k.isdigit() and n.isdigit() and 1 <= int(k) <= int(n)):
        raise argparse.ArgumentTypeError(f"{text!r}: K/N is needed, such as 2/3")
    return int(k), int(n)


def _rates(run: Callable) -> Callable:
    """Arguments of how a model decides."""
    for added in (
        argument("--false-alarms", "wanted share of alarms; that of asd fit by default", float),
        argument("--warnings", "wanted share of warnings and alarms together", float),
        argument("--condition", "that the recordings are known to be of, such as target", str),
        argument("--after", "K/N: raise an alarm after K of the last N", _k_of_n, default=(1, 1)),
    ):
        run = added(run)
    return run


def _opened(options: argparse.Namespace, model: Path | None = None) -> Monitor:
    """A model, the one that was given by default, with the rates that were asked for."""
    from asdlib.monitor import Monitor

    monitor = Monitor.load(model or options.model)
    rate = monitor.false_alarms if options.false_alarms is None else options.false_alarms
    rates = {"false_alarms": rate, "warnings": options.warnings}
    monitor = replace(monitor, condition=options.condition, **rates)
    _ = monitor.decisions  # refuses rates out of range and unknown conditions, before any work
    return monitor


class Raised:
    """Whether an alarm is raised: after K alarms among the last N, and again after a normal one.

    With 1/1, every alarm is raised.

    >>> raised = Raised(2, 3)
    >>> [raised(alarm) for alarm in (True, False, True, True, False, False, True)]
    [False, False, True, False, False, False, False]
    """

    def __init__(self, k: int, n: int) -> None:
        self.k, self.latest, self.armed = k, deque[bool](maxlen=n), True

    def __call__(self, alarm: bool) -> bool:
        """Take one recording more; whether an alarm is raised by it."""
        if self.latest.maxlen == 1:
            return alarm
        self.latest.append(alarm)
        raised = self.armed and sum(self.latest) >= self.k
        self.armed = not raised and (self.armed or not alarm)
        if raised:
            self.latest.clear()
        return raised


@argument("folder", "normal recordings, near and far channel")
@argument("--out", "model file to write", required=True)
@argument("--false-alarms", "wanted share of alarms among normal ones, 0.1", float, default=0.1)
@argument("--resample", "convert other sample rates", bool)
@argument("--mono", "one microphone: no noise is subtracted", bool)
@argument("--all", "learn also what is named as an anomaly", bool)
@argument("--skip-bad", "go on without recordings that cannot be used", bool)
def _fit(options: argparse.Namespace) -> None:
    """Learn what is normal from one machine's normal recordings."""
    from asdlib.monitor import Monitor, model_file, recordings

    model_file.check_place(options.out)  # before any work
    given = recordings.everything(options.folder) if options.all else options.folder
    how = {"resample": options.resample, "mono": options.mono}
    skip = say if options.skip_bad else None
    monitor = Monitor.fit(given, options.false_alarms, **how, skip=skip)
    monitor.save(options.out)
    told = recordings.counted(options.folder, len(monitor.known), whole=options.all)
    shortest, usual, longest = monitor.known["seconds"].quantile([0, 0.5, 1])
    if longest > recordings.LONGER * shortest:
        told.append(
            f"The recordings are {shortest:.1f} to {longest:.1f} s long. Length changes what is "
            f"normal: fit on recordings of one length. New ones are judged by {usual:.1f} s."
        )
    print(monitor.promise, *map(printable, [*told, *monitor.faulty]), options.out, sep="\n")


@argument("model", "file of asd fit")
@argument("folder", "more normal recordings")
@argument("--out", "model file to write", required=True)
@argument("--accept", "only these of the folder, such as false alarms", str, nargs="+", default=[])
@argument("--log", "in place of a folder: log of asd watch", action=Replaces, other="folder")
def _refit(options: argparse.Namespace) -> None:
    """Learn more normal recordings; what is known already is left out."""
    from asdlib.monitor import Monitor, history, model_file

    model_file.check_place(options.out)  # before any work
    before = Monitor.load(options.model)
    if options.log and (options.folder or not options.accept):
        raise AsdError("--log stands in place of a folder, and --accept names recordings of it.")
    if options.log:
        files = history.located(options.log, options.accept)
    else:
        files = [options.folder / name for name in options.accept]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise AsdError(f"{missing[0]}: no such file; --accept names recordings of the folder.")
    monitor = before.refit(files or options.folder)
    monitor.save(options.out)
    print(monitor.promise, *map(printable, monitor.faulty[len(before.faulty) :]), sep="\n")
    more = len(monitor.known) - len(before.known)
    print(f"{plural(more, 'recording')} more than {options.model}.", options.out, sep="\n")


@argument("model", "file of asd fit")
@argument("clips", "recordings, or folders of them", nargs="+")
@argument("--json", "a line of JSON per recording", bool)
@argument("--csv", "also write a table: a row per recording")
@argument("--picture", "draw the reasons of one recording: a PNG, SVG or PDF file")
@argument("--pictures", "folder: draw the reasons of every alarm")
@argument("--fail-on-alarm", "exit code 1 where an alarm is raised", bool)
@argument("--fail-on-fault", "exit code 3 where a recording itself is faulty", bool)
@_rates
def _score(options: argparse.Namespace) -> int:
    """Score recordings with a model file of asd fit."""
    from asdlib.io import store
    from asdlib.monitor import history, reasons, recordings, watch_log

    monitor = _opened(options)
    clips = recordings.listed(options.clips, say)
    if options.fail_on_alarm and monitor.remark:
        raise AsdError(f"--fail-on-alarm: {monitor.remark}")
    if options.picture or options.pictures:
        from asdlib.report import charts_evidence
    if options.picture:
        charts_evidence.save(options.picture, clips, monitor.evidence)
    if not options.json:
        print(monitor.promise)
    raised, rows, drawn = Raised(*options.after), list[dict[str, Any]](), Counter[str]()
    for clip in clips:
        try:
            found = monitor.evidence(clip, name=str(clip))
        except (AsdError, MemoryError) as error:
            told = sentence(error) if isinstance(error, AsdError) else f"{clip}: {sentence(error)}"
            rows.append({"name": str(clip), "problem": told})
            say(told)
            if options.json:
                print(json.dumps(rows[-1]), flush=True)
            continue
        reading = found.reading
        when = watch_log.placed(clip)["time"]
        about = {"time": when, "rate": monitor.false_alarms, "model": options.model.name}
        rows.append(reading.record() | about | {"raised": raised(reading.alarm)})
        print(json.dumps(rows[-1]) if options.json else printable(str(reading)), flush=True)
        if options.pictures and reading.alarm:
            drawn[clip.stem] += 1  # subfolders may hold recordings of one name
            again = f"-{drawn[clip.stem]}" if drawn[clip.stem] > 1 else ""
            place = options.pictures / f"{clip.stem}{again}.png"
            charts_evidence.save(place, [clip], {clip: found}.__getitem__)
    if options.csv:
        store.write(reasons.as_table(rows), options.csv)
    judged = [row for row in rows if row.get("alarm") is not None]
    judged.sort(key=lambda row: str(row["time"]))
    count = sum(row.get("raised", False) for row in rows)
    if not options.json:
        if options.after != (1, 1):
            k, n = options.after
            print(f"Alarms raised, after {k} of the last {n}: {count}.")
        p_values, times = ([row[key] for row in judged] for key in ("p_value", "time"))
        if told := history.drift(p_values, monitor.false_alarms, times)[1]:
            print(told)
    if problems := sum("problem" in row for row in rows):
        raise AsdError(f"{problems} of {plural(len(clips), 'recording')} could not be scored.")
    if options.fail_on_fault and any(row["verdict"] == "recording fault" for row in rows):
        return 3
    return int(options.fail_on_alarm and count > 0)


@argument("model", "file of asd fit, or a folder of them: a machine each")
@argument("folder", "where recordings arrive; of several machines, a subfolder each")
@argument("--every", "seconds between two looks, 1", float, default=1.0)
@argument("--patience", "seconds until an unreadable file is reported, 10", float, default=10.0)
@argument("--once", "score what is there, then end", bool)
@argument("--log", "file to append the lines to, or a folder; what is in it is left out")
@argument("--on-alarm", "run once per raised alarm, with the line on standard input", str)
@_rates
def _watch(options: argparse.Namespace) -> None:
    """Score recordings as they arrive in a folder, as lines of JSON."""
    from asdlib.monitor import watch

    asked = {name: getattr(options, name) for name in ("every", "patience", "once", "log")}
    models = {"": options.model}
    if options.model.is_dir():
        models = {path.stem: path for path in sorted(options.model.glob("*.safetensors"))}
        if not models:
            raise AsdError(f"{options.model}: holds no model file of asd fit (*.safetensors).")
    monitors = {name: _opened(options, path) for name, path in models.items()}
    for name, monitor in monitors.items():
        say(f"{name}: {monitor.promise}" if name else monitor.promise)
    raised = {name: Raised(*options.after) for name in monitors}
    with process.stoppable(patient=True) as stopped:  # the recording at hand is finished first
        asked |= {"stop": lambda: bool(stopped), "say": say}
        for line in watch.watch(monitors, options.folder, **asked):
            print(line, flush=True)
            told = json.loads(line)
            if raised[told.get("machine", "")](bool(told.get("alarm"))) and options.on_alarm:
                process.run_aside(options.on_alarm, line)
