"""Recordings that arrive in a folder, scored one after the other.

The folder is looked at again and again. That a file is complete shows only when it has stopped to
change, so it must be looked at twice in any case; and shared folders report no events.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asdlib.io import wav
from asdlib.io.files import content_digest
from asdlib.io.folders import is_foreign
from asdlib.monitor.log import Log, State
from asdlib.monitor.model import Monitor
from asdlib.params import AsdError

_FORMATS = (".wav",)
_NAP = 0.1  # s; a request to stop is seen that soon


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
    Both are followed by ``size``, ``changed_ns`` and ``content``, see
    :class:`asdlib.monitor.log.State`, and ``model``, :attr:`asdlib.monitor.Monitor.identity`.
    Lines are ASCII: bytes of a name that are no UTF-8 are escaped as Python's ``os.fsdecode``
    gives them.

    Parameters
    ----------
    every : seconds between two looks; above 0.
    patience : seconds without a change after which a file that cannot be scored is a problem.
    once : end when all that was there at the first look has its line. Then ``patience`` is the
        longest time that a file may take.
    log : file to which each line is appended before it is yielded. What has a line in it is
        left out, unless the content has changed since, or another model wrote the line. One log
        is for one folder.
    stop : asked between recordings; the watch ends where it is true.
    say : gets a sentence when the folder vanishes, and one when it is back.

    Raises
    ------
    AsdError
        If the folder is missing at the first look, or at any with ``once``, a number is out of
        range, or the log cannot be used or belongs to another process.

    Examples
    --------
    >>> import tempfile
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
    _check(folder, every, patience, log)
    with Log(log, monitor.identity) if log is not None else nullcontext() as kept:
        watcher = _Watcher(monitor, folder, patience, once, kept.known if kept else {})
        first: set[str] | None = None
        while not stop():
            found, spent = _looked(folder, 0 if first is None or once else every, stop, say)
            for name in sorted(found):
                if stop():
                    return
                line = watcher.line(name, found[name])
                if line is not None:
                    if kept:
                        kept.append(line)
                    yield line
            watcher.forget(found)
            first = set(found) if first is None else first
            if once and not first & watcher.waiting.keys():
                return
            _rest(max(every, spent), stop)  # at least half of the time


@dataclass(frozen=True)
class _Found:
    """A file at one look; ``problem`` where it is none that could be opened."""

    size: int = 0
    changed_ns: int = 0
    problem: str = ""


@dataclass
class _Waiting:
    """A file without a line of its present state."""

    found: _Found
    first: float  # when it was seen, in seconds
    still: float  # when it was seen in its present state
    tried: bool = False


class _Watcher:
    """What is known about the files of a folder."""

    def __init__(
        self,
        monitor: Monitor,
        folder: Path,
        patience: float,
        once: bool,
        known: dict[str, State],
    ):
        self.monitor, self.folder = monitor, folder
        self.patience, self.once = patience, once
        self.known = known
        self.waiting: dict[str, _Waiting] = {}

    def forget(self, found: dict[str, _Found]) -> None:
        """Wait no more for files that are gone."""
        for name in self.waiting.keys() - found.keys():
            del self.waiting[name]

    def line(self, name: str, found: _Found) -> str | None:
        """The line of a file, where it is time for one."""
        known = self.known.get(name)
        if known and known[:2] == (found.size, found.changed_ns):
            self.waiting.pop(name, None)
            return None
        now = time.monotonic()
        own = self.waiting.get(name)
        if own is None:
            self.waiting[name] = _Waiting(found, now, now)
            return None
        moved = own.found != found
        if moved:
            own.found, own.still, own.tried = found, now, False
        late = now - (own.first if self.once else own.still) >= self.patience
        if moved:
            if not (self.once and late):
                return None
            return self._problem(name, found, "", found.problem or "Is still being written.")
        if own.tried and not late:
            return None
        own.tried = True
        return self._attempt(name, found, late)

    def _attempt(self, name: str, found: _Found, late: bool) -> str | None:
        """The line of a file that is still; none for a problem that time may cure."""
        content = b""
        try:
            read = _content(self.folder / name, found)
            if read is None:
                return None  # it changed meanwhile, which the next look sees
            content = read
            known = self.known.get(name)
            if known and known.content == content_digest(content):
                self._settled(name, State(found.size, found.changed_ns, known.content))
                return None  # moved or touched, no more
            told = self._scored(name, content, late)
            return None if told is None else self._told(name, found, content_digest(content), told)
        except FileNotFoundError:
            return self._problem(name, found, "", "Was removed before it could be scored.")
        except OSError as error:
            problem = f"Cannot be read ({error.strerror or error})."
        except AsdError as error:
            problem = _sentence(str(error))
        except Exception as error:  # whatever one file does, the next one is scored
            problem = f"Cannot be scored ({type(error).__name__}: {error})."
        if not late:
            return None
        return self._problem(name, found, content_digest(content) if content else "", problem)

    def _scored(self, name: str, content: bytes, late: bool) -> dict[str, Any] | None:
        """What there is to tell about the bytes of a file; none where more may follow."""
        signal, rate = wav.decode(content)
        if not (late or wav.is_finished(content)):
            return None
        told: dict[str, Any] = json.loads(self.monitor.score(signal, rate, name=name).json())
        return told

    def _problem(self, name: str, found: _Found, content: str, problem: str) -> str:
        return self._told(name, found, content, {"name": name, "problem": problem})

    def _told(self, name: str, found: _Found, content: str, told: dict[str, Any]) -> str:
        state = State(found.size, found.changed_ns, content)
        own = state._asdict() | {"model": self.monitor.identity}
        line = json.dumps(told | own, allow_nan=False)
        self._settled(name, state)
        return line

    def _settled(self, name: str, state: State) -> None:
        self.known[name] = state
        self.waiting.pop(name, None)


def _looked(
    folder: Path, every: float, stop: Callable[[], bool], say: Callable[[str], object]
) -> tuple[dict[str, _Found], float]:
    """What is found, and the seconds that it took; a folder that has vanished is waited for.

    With an ``every`` of 0 it is not, and with a request to stop there is nothing to find.
    """
    gone = False
    while not (gone and stop()):
        began = time.monotonic()
        try:
            found = _look(folder)
        except AsdError as error:
            if not every:
                raise
            if not gone:
                say(f"{error} The watch goes on as soon as it can.")
            gone = True
            _rest(every, stop)
            continue
        if gone:
            say(f"{folder}: the folder is there again.")
        return found, time.monotonic() - began
    return {}, 0.0


def _look(folder: Path) -> dict[str, _Found]:
    """WAV files in and below a folder, by their names relative to it.

    Raises
    ------
    AsdError
        If the folder itself cannot be listed.
    """
    found: dict[str, _Found] = {}
    inside = [""]
    while inside:
        place = inside.pop()
        try:
            with os.scandir(folder / place) as entries:
                for entry in entries:
                    name = f"{place}{entry.name}"
                    if is_foreign(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        inside.append(f"{name}/")
                    if name.lower().endswith(_FORMATS) and (file := _file(entry)):
                        found[name] = file
        except OSError as error:
            reason = error.strerror or str(error)
            if not place:
                raise AsdError(f"{folder}: the folder cannot be watched ({reason}).") from None
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):  # not just removed
                found[place] = _Found(problem=f"The folder cannot be listed ({reason}).")
    return found


def _file(entry: os.DirEntry[str]) -> _Found | None:
    """State of an entry; none where it has been removed already."""
    try:
        status = entry.stat()
    except FileNotFoundError:
        return _Found(problem="Is a broken link.") if entry.is_symlink() else None
    except OSError as error:
        return _Found(problem=f"Cannot be read ({error.strerror or error}).")
    if not stat.S_ISREG(status.st_mode):
        return _Found(problem="Is not a file, but a folder, a pipe or a device.")
    return _Found(status.st_size, status.st_ctime_ns)


def _content(path: Path, found: _Found) -> bytes | None:
    """Bytes of a file; none if it is not, or does not stay, as it was found.

    Raises
    ------
    AsdError, OSError
        If it cannot be read.
    """
    if found.problem:
        raise AsdError(found.problem)
    if found.size > wav.MOST_BYTES:
        raise AsdError(f"Holds {found.size} bytes; a recording may have {wav.MOST_BYTES}.")
    with open(path, "rb", opener=_open) as file:
        if not _is(file.fileno(), found):
            return None
        content = file.read(found.size + 1)
        if not _is(file.fileno(), found):
            return None
    if len(content) != found.size:
        raise AsdError(f"Gives {len(content)} bytes, but has a size of {found.size}.")
    return content


def _open(path: str, flags: int) -> int:
    """Open a file; a pipe that has taken its place is not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _is(file: int, found: _Found) -> bool:
    status = os.fstat(file)
    regular = stat.S_ISREG(status.st_mode)
    return regular and (status.st_size, status.st_ctime_ns) == (found.size, found.changed_ns)


def _rest(seconds: float, stop: Callable[[], bool]) -> None:
    """Sleep, in short naps: a signal to another thread would not end a long one."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stop():
        time.sleep(min(left, _NAP))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _check(folder: Path, every: float, patience: float, log: str | Path | None) -> None:
    if not os.path.isdir(folder):
        what = "not a folder" if os.path.exists(folder) else "no such folder"
        raise AsdError(f"{folder}: {what}; give the one in which recordings arrive.")
    if not (0 < every < math.inf):
        raise AsdError(f"A look every {every:g} s was asked for; a number above 0 is needed.")
    if not (0 <= patience < math.inf):
        raise AsdError(f"A patience of {patience:g} s was given; a number from 0 on is needed.")
    if log is not None and str(log).lower().endswith(_FORMATS):
        raise AsdError(f"{log}: named as a recording; give the log another ending, such as .jsonl.")
