"""Recordings that arrive in a folder, scored one after the other, and the log of their lines.

The folder is looked at again and again. That a file is complete shows only when it has stopped to
change, so it must be looked at twice in any case; and shared folders report no events.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from asdlib.io import wav
from asdlib.io.files import content_digest, named, read_bytes
from asdlib.io.folders import below, unread
from asdlib.monitor.model import Monitor
from asdlib.monitor.reasons import LATEST, drift
from asdlib.runtime.errors import AsdError, FileError

_NAP = 0.1  # s; a request to stop is seen that soon
_MOST_BYTES = 2**40  # of a log

State = tuple[int, int]  # size in bytes, and time of change in ns, which cannot be set back
_GONE: State = (0, 0)


def watch(
    monitor: Monitor,
    folder: str | Path,
    *,
    every: float = 1.0,
    patience: float = 10.0,
    once: bool = False,
    log: str | Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], object] = lambda sentence: None,
) -> Iterator[str]:
    """Yield one line of JSON for each recording in and below a folder, as it is complete.

    A WAV file is complete when its size and time of change are the same at two looks, and as
    much sound is there as its header announces. Where the header announces nothing, the file is
    complete when it has not changed for ``patience``. A file whose content changes later is
    scored again. Hidden files, what systems leave in folders, and folders behind links are left
    out. Where the folder itself vanishes, as a network drive may, the watch waits for it.

    A line holds what :meth:`asdlib.monitor.Reading.json` tells, or else ``name`` and
    ``problem``: a sentence about a file that could not be scored for as long as ``patience``.
    Both are followed by ``size``, ``changed_ns`` (time of change), ``content`` (hash; empty where
    the file could not be read) and ``model``, :attr:`asdlib.monitor.Monitor.identity`.
    Lines are ASCII: bytes of a name that are no UTF-8 are escaped as Python's ``os.fsdecode``
    gives them.

    Parameters
    ----------
    every : seconds between two looks; above 0.
    patience : seconds without a change after which a file that cannot be scored is a problem.
    once : end when all that was there at the first look has its line. With ``once``, ``patience``
        limits the time for each file.
    log : file to which each line is appended before it is yielded. What has a line in it is
        left out, unless the content has changed since, or another model wrote the line. One log
        is for one folder, and for one process at a time: a lock lies beside it.
    stop : asked between recordings; the watch ends where it is true.
    say : gets a sentence when the folder vanishes, when it is back, and once when the latest
        recordings no longer fit the monitor, see :func:`asdlib.monitor.reasons.drift`.

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
    folder = Path(folder).expanduser()
    record = None if log is None else Path(log).expanduser()
    _check(every, patience, record)
    with nullcontext() if record is None else _locked(record):
        files = {} if record is None else _logged(record, monitor.identity)
        watcher = _Watcher(monitor, folder, patience, once, say, files)
        first: set[str] | None = None
        gone = ""
        while not stop():
            began, found, before, gone = time.monotonic(), {}, gone, ""
            try:
                found = _look(folder)
            except FileError as error:
                if once or first is None:
                    raise
                gone = f"{error} The watch goes on as soon as it can."
            if first is None:
                for told in unread(folder):
                    say(told)
            if gone != before:
                say(gone or f"{folder}: the folder is there again.")
            spent = time.monotonic() - began
            for name, state in found.items():
                if stop():
                    return
                line = watcher.line(name, state)
                if line is not None:
                    if record is not None:
                        _append(line, record)
                    yield line
            first = set(found) if first is None else first
            if once and not any(files[name].due < math.inf for name in first & found.keys()):
                return
            _rest(max(every, spent), stop)  # at least half of the time


@dataclass
class _File:
    """What is known of a file.

    Attributes
    ----------
    state : at the last look.
    content : hash of what has a line; empty without one.
    due : when it is opened next, in seconds; never where it has its line.
    deadline : when it becomes a problem, in seconds.
    """

    state: State | None = None
    content: str = ""
    due: float = math.inf
    deadline: float = math.inf


@dataclass
class _Watcher:
    """What is known of the files of a folder."""

    monitor: Monitor
    folder: Path
    patience: float
    once: bool
    say: Callable[[str], object]
    files: dict[str, _File]
    p_values: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))
    has_warned: bool = False

    def line(self, name: str, state: State) -> str | None:
        """The line of a file, where it is time for one."""
        now, file = time.monotonic(), self.files.setdefault(name, _File())
        late = now >= file.deadline
        if file.state != state:  # it must look the same twice
            is_awaited = self.once and file.due < math.inf
            file.state, file.due = state, now
            if not is_awaited:
                file.deadline = now + self.patience
            elif late:
                return self._told(file, {"name": name, "problem": "Is still being written."}, "")
            return None
        if now < file.due:
            return None
        file.due = file.deadline  # nothing new is expected before
        return self._attempt(name, file, late=late)

    def _attempt(self, name: str, file: _File, *, late: bool) -> str | None:
        """The line of a file that is still; none for a problem that time may cure."""
        path, content = self.folder / name, ""
        try:
            if name.endswith("/"):
                os.listdir(path)  # says why it could not be listed
            data = wav.content_of(path)
            if _state(path) not in (file.state, _GONE):
                return None  # it changed meanwhile, which the next look sees
            content = content_digest(data)
            if content == file.content:
                file.due = math.inf
                return None  # moved or touched, no more
            signal, rate = wav.decode(data)
            if not late and not wav.is_finished(data):
                return None
            reading = self.monitor.score(signal, rate, name=name)
            line = self._told(file, reading.record(), content)
            self.p_values.append(reading.p_value)
            changed, sentence = drift(list(self.p_values), self.monitor.false_alarms)
            if changed and not self.has_warned:
                self.say(sentence)
                self.has_warned = True
            return line
        except AsdError as error:
            problem = str(error)
        except Exception as error:  # whatever one file does, the next one is scored
            problem = f"cannot be scored ({type(error).__name__}: {error})."
        if not os.path.lexists(path):
            problem, late = "was removed before it could be scored.", True  # no look will see it
        told = {"name": name, "problem": problem[:1].upper() + problem[1:]}
        return self._told(file, told, content) if late else None

    def _told(self, file: _File, record: dict[str, Any], content: str) -> str:
        """The line of a file, which is known from now on."""
        size, changed = file.state or _GONE
        state = {"size": size, "changed_ns": changed, "content": content}
        own = record | state | {"model": self.monitor.identity}
        line = json.dumps(own, allow_nan=False)
        file.content, file.due = content, math.inf
        return line


def _look(folder: Path) -> dict[str, State]:
    """WAV files in and below a folder, and subfolders that cannot be listed, by relative name.

    Raises
    ------
    FileError
        If the folder itself cannot be listed.
    """
    closed: list[OSError] = []
    paths = list(map(str, below(folder, closed.append)))
    for error in closed:
        if error.filename == str(folder):
            raise FileError(folder, error, "watched")
        if not isinstance(error, FileNotFoundError):  # as of one that has just been removed
            paths.append(f"{error.filename}/")
    start = len(os.path.join(folder, ""))
    return {path[start:]: _state(path) for path in paths}


def _state(path: str | Path) -> State:
    with suppress(OSError):  # of a link that leads nowhere
        status = os.stat(path)
        return status.st_size, status.st_ctime_ns
    return _GONE


def _rest(seconds: float, stop: Callable[[], bool]) -> None:
    """Sleep, in short naps: a signal to another thread would not end a long one."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stop():
        time.sleep(min(left, _NAP))


def _locked(log: Path) -> AbstractContextManager[Any]:
    """Take the lock of a log, one for all links to it; a killed process holds none."""
    with named(log, "locked"):
        try:
            return FileLock(f"{os.path.realpath(log)}.lock").acquire(timeout=0)
        except Timeout:
            raise AsdError(
                f"{log}: in use by another process; stop that watcher, or give this one a log of "
                "its own."
            ) from None


def _logged(log: Path, model: str) -> dict[str, _File]:
    """The files that have a line of this model; a cut last line is ended, and says nothing.

    What could not be read is not known: it is tried again.
    """
    content = read_bytes(log, _MOST_BYTES) if log.exists() else b""
    if content[:1] not in (b"", b"{"):
        raise AsdError(f"{log}: holds something else than the log of a watcher.")
    if content and not content.endswith(b"\n"):
        _append("", log)
    files = {}
    for line in content.splitlines():
        with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            told = json.loads(line)
            if told.get("model", model) == model and told["content"]:
                state = told["size"], told["changed_ns"]
                files[told["name"]] = _File(state, told["content"])
    return files


def _append(line: str, log: Path) -> None:
    """Write one line and wait until it is on the disk."""
    with named(log, "written"), log.open("ab") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def _check(every: float, patience: float, log: Path | None) -> None:
    if not (0 < every < math.inf):
        raise AsdError(f"A look every {every:g} s was asked for; a number above 0 is needed.")
    if not (0 <= patience < math.inf):
        raise AsdError(f"A patience of {patience:g} s was given; a number from 0 on is needed.")
    if log and log.suffix.lower() == ".wav":
        raise AsdError(f"{log}: named as a recording; give the log another ending, such as .jsonl.")
    if log and not log.parent.is_dir():
        raise AsdError(f"{log.parent}: no such folder for a log.")
