"""Recordings that arrive in a folder, scored one after the other.

The folder is looked at again and again. That a file is complete shows only when it has stopped to
change, so it must be looked at twice in any case; and shared folders report no events.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asdlib.io import wav
from asdlib.io.files import content_digest
from asdlib.io.folders import unread
from asdlib.monitor import watch_log
from asdlib.monitor.history import LATEST, drift
from asdlib.monitor.model import Monitor
from asdlib.monitor.recordings import Say
from asdlib.monitor.watch_log import GONE, State, WatchedFile, WatchLog
from asdlib.runtime.errors import AsdError, FileError, printable, sentence

_NAP = 0.1  # s; a request to stop is seen that soon
_LONGEST_PAUSE = 3600.0  # s between two attempts at a file that the system does not give
_TAIL = 0.05  # s at the end of a recording
_NEARLY = 0.95  # of the shortest normal recording: what is shorter may still be written
_ENDED = (
    "The last watcher ended while it was scored, perhaps for lack of memory; it is left out until "
    "it changes."
)


def watch(
    monitor: Monitor | Mapping[str, Monitor],
    folder: str | Path,
    *,
    every: float = 1.0,
    patience: float = 10.0,
    once: bool = False,
    log: str | Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    say: Say = lambda sentence: None,
) -> Iterator[str]:
    """Yield one line of JSON for each recording in and below a folder, as it is complete.

    A WAV file is complete when its size and time of change are the same at two looks, and as
    much sound is there as its header announces. Where the header announces nothing, the file is
    complete when it has not changed for ``patience``. Where the recording ends in silence, or is
    shorter than the normal ones, it is complete when it has not changed for as long as one lasts. A
    file whose content changes later is scored again. Hidden files and what systems leave in
    folders are left out. Where the folder itself vanishes, as a network drive may, the watch waits
    for it; what the system does not give is tried again, after pauses that grow.

    A line holds what :meth:`asdlib.monitor.Reading.json` tells, or else ``name`` and
    ``problem``: a sentence about a file that could not be scored for as long as ``patience``.
    Both are followed by ``path``, ``time`` (see :func:`asdlib.monitor.watch_log.placed`), ``size``,
    ``changed_ns`` (time of change), ``content`` (hash; empty where the file could not be read,
    "skipped" where its scoring ended the last watch) and ``model``,
    :attr:`asdlib.monitor.Monitor.identity`.
    Lines are ASCII: bytes of a name that are no UTF-8 are escaped as Python's ``os.fsdecode``
    gives them.

    Parameters
    ----------
    monitor : of one machine; or several by the names of their machines, which have a subfolder
        each. Then their lines end with ``machine``, and sentences begin with it.
    every : seconds between two looks; above 0.
    patience : seconds without a change after which a file that cannot be scored is a problem.
    once : end when all that was there at the first look has its line. With ``once``, ``patience``
        limits the time for each file.
    log : file to which each line is appended before it is yielded. What has a line in it is
        left out, unless the content has changed since, or another model wrote the line; also
        after the log was rotated, see :mod:`asdlib.monitor.watch_log`. One log is for one folder,
        and for one process at a time. Of several machines: a folder, for a log each.
    stop : asked between recordings; the watch ends where it is true.
    say : gets a sentence when the folder vanishes, when it is back, and once when the latest
        recordings no longer fit the monitor, see :func:`asdlib.monitor.history.drift`.

    Raises
    ------
    AsdError
        If the folder is missing at the first look, or at any with ``once``, a number is out of
        range, or the log cannot be used or belongs to another process.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> import numpy as np
    >>> folder, rng = Path(tempfile.mkdtemp()), np.random.default_rng(0)
    >>> for i in range(12):
    ...     soundfile.write(folder / f"{i:02d}.wav", 0.1 * rng.normal(size=(16000, 2)), 16000)
    >>> monitor = Monitor.fit(folder)
    >>> _ = (folder / "12.wav").write_text("no sound")
    >>> lines = list(watch(monitor, folder, every=0.01, patience=0.01, once=True))
    >>> len(lines), json.loads(lines[12])["problem"]
    (13, 'Cannot be read as audio (Format not recognised).')
    """
    watchers = dict[str, _Watcher]()
    with ExitStack() as opened:  # all logs, before any work
        for name, own in (monitor if isinstance(monitor, Mapping) else {"": monitor}).items():
            record = None if log is None else Path(log).expanduser()
            if record and name:
                record /= f"{name}.jsonl"
            _check(every, patience, record)
            lines = (
                opened.enter_context(closing(WatchLog(record, own.identity))) if record else None
            )
            files = lines.known if lines else {}
            tell = partial(lambda machine, told: say(f"{machine}: {told}"), name) if name else say
            place = Path(folder).expanduser() / name
            watchers[name] = _Watcher(own, place, name, patience, once, tell, lines, files)
        while watchers and not stop():
            rest = 0.0
            for name, watcher in tuple(watchers.items()):
                spent = yield from watcher.look(stop)
                if spent is None:
                    del watchers[name]
                else:
                    rest = max(rest, every, spent)  # at least half of the time
            end = time.monotonic() + rest
            while (left := end - time.monotonic()) > 0 and not stop():
                time.sleep(min(left, _NAP))  # a signal to another thread would not end a long one


@dataclass
class _Watcher:
    """What is known of the files of a folder, that of one machine.

    Attributes
    ----------
    first : files that were there at the first look; none before it.
    gone : what is said of a folder that cannot be looked at; empty where it can.
    """

    monitor: Monitor
    folder: Path
    machine: str
    patience: float
    once: bool
    say: Say
    log: WatchLog | None
    files: dict[str, WatchedFile]
    first: set[str] | None = None
    gone: str = ""
    latest: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=LATEST))
    has_warned: bool = False

    def look(self, stop: Callable[[], bool]) -> Generator[str, None, float | None]:
        """Yield the lines for which it is time; return how many seconds listing the files took.

        None is returned at the end of the watch.
        """
        began, found, before, self.gone = time.monotonic(), {}, self.gone, ""
        try:
            found = watch_log.look(self.folder)
        except FileError as error:
            if self.once or self.first is None:
                raise
            self.gone = f"{error} The watch goes on as soon as it can."
        if self.first is None:
            self.first = set(found)
            for sentence in unread(self.folder):
                self.say(sentence)
        if self.gone != before:
            self.say(self.gone or f"{self.folder}: the folder is there again.")
        spent = time.monotonic() - began
        # as they came
        for name, state in sorted(found.items(), key=lambda one: (one[1] or GONE)[1]):
            if stop():
                return None
            if line := self.line(name, state):
                if self.log is not None:
                    self.log.add(line)
                yield line
        is_awaited = any(self.files[name].awaited for name in self.first & found.keys())
        return None if self.once and not is_awaited else spent

    def line(self, name: str, state: State | None) -> str | None:
        """The line of a file, where it is time for one."""
        now, file = time.monotonic(), self.files.setdefault(name, WatchedFile())
        state = state or file.state or GONE
        if file.content == watch_log.ENDED and file.state == state:
            return self._told(file, {"name": name, "problem": _ENDED}, watch_log.SKIPPED)
        late = now >= file.deadline
        if file.state != state:  # it must look the same twice
            was_awaited = self.once and file.awaited
            file.state, file.since, file.due, file.pause, file.awaited = state, now, now, 0.0, True
            if not was_awaited:
                file.deadline = now + self.patience
            elif late:
                return self._told(file, {"name": name, "problem": "Is still being written."}, "")
            return None
        if now < file.due:
            return None
        file.due = file.deadline  # nothing new is expected before
        with self.log.scoring(name, state) if self.log else nullcontext():
            return self._attempt(name, file, now, late=late)

    def _attempt(self, name: str, file: WatchedFile, now: float, *, late: bool) -> str | None:
        """The line of a file that is still; none for a problem that time may cure."""
        path, content, pause = self.folder / name, "", math.inf
        try:
            if name.endswith("/"):
                os.listdir(path)  # says why it could not be listed
            data = wav.content_of(path)
            if watch_log.state_of(path) not in (file.state, GONE, None):
                return None  # it changed meanwhile, which the next look sees
            content = content_digest(data)
            if content == file.content:
                file.due, file.awaited = math.inf, False
                return None  # moved or touched, no more
            signal, rate = wav.decode(data)
            if not late and not wav.is_finished(data):
                return None
            wait = file.since + self._wait(signal, rate)
            if now < wait and not (self.once and late):
                file.due = wait
                return None
            reading = self.monitor.score(signal, rate, name=name)
            scored = self._told(file, reading.record(), content)
            self.latest.append((reading.p_value, json.loads(scored)["time"]))
            p_values, times = zip(*self.latest, strict=True)
            changed, said = drift(p_values, self.monitor.false_alarms, times)
            if changed and not self.has_warned:
                self.say(said)
                self.has_warned = True
            return scored
        except (OSError, MemoryError) as error:  # of the system, not of the content
            problem = sentence(error).removeprefix(f"{printable(str(path))}: ")
            pause = min(max(2 * file.pause, self.patience), _LONGEST_PAUSE)
        except AsdError as error:
            problem = str(error)
        except Exception as error:  # whatever one file does, the next one is scored
            problem = f"cannot be scored ({type(error).__name__}: {error})."
        if watch_log.state_of(path) == GONE and not path.is_symlink():
            problem, late = "was removed before it could be scored.", True  # no look will see it
        if not late:
            return None
        told = {"name": name, "problem": problem[:1].upper() + problem[1:]}
        line = self._told(file, told, content) if file.awaited else None
        if pause < math.inf:
            file.content, file.due, file.pause = "", now + pause, pause
        return line

    def _wait(self, signal: np.ndarray, rate: int) -> float:
        """Seconds without a change after which a recording that may still be written is whole."""
        seconds, usual = signal.shape[1] / rate, self.monitor.known["seconds"]
        if np.ptp(signal[:, -max(round(_TAIL * rate), 1) :], axis=1).any():
            return float(max(usual)) if seconds < _NEARLY * min(usual) else 0.0
        return seconds

    def _told(self, file: WatchedFile, record: dict[str, Any], content: str) -> str:
        """The line of a file, which is known from now on."""
        size, changed = file.state or GONE
        state = {"size": size, "changed_ns": changed, "content": content}
        where = watch_log.placed(self.folder / record["name"])
        own = record | where | state | {"model": self.monitor.identity}
        own |= {"machine": self.machine} if self.machine else {}
        line = json.dumps(own, allow_nan=False)
        file.content, file.due, file.awaited = content, math.inf, False
        return line


def _check(every: float, patience: float, log: Path | None) -> None:
    if not (0 < every < math.inf):
        raise AsdError(f"A look every {every:g} s was asked for; a number above 0 is needed.")
    if not (0 <= patience < math.inf):
        raise AsdError(f"A patience of {patience:g} s was given; a number from 0 on is needed.")
    if log and log.suffix.lower() == ".wav":
        raise AsdError(f"{log}: named as a recording; give the log another ending, such as .jsonl.")
    if log and not log.parent.is_dir():
        raise AsdError(f"{log.parent}: no such folder for a log.")
