"""The log of a watcher, and beside it the record of what it has told, which outlives the log.

A log may be rotated, cut or removed while the watcher runs, so every line goes to the file that has
its name then. The record, ``<log>.known``, holds a short line for each file, and in its last line
the file that is being scored. It is locked as long as the watcher runs.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from asdlib.io.files import named, read_bytes, write_bytes
from asdlib.io.folders import below
from asdlib.runtime.errors import AsdError, FileError

ENDED, SKIPPED = "ended", "skipped"
"""In place of the content's hash, for a recording whose scoring ended the watcher: until it is
told, and afterwards."""

_MOST_BYTES = 2**40  # of a log
_STATE = ("name", "size", "changed_ns", "content", "model")  # of a line

State = tuple[int, int]  # size in bytes, and time of change in ns, which cannot be set back
Known = dict[str, tuple[State, str]]  # and the content's hash, by name
GONE: State = (0, 0)
"""Of a file that is not there."""


def look(folder: Path) -> dict[str, State | None]:
    """WAV files in and below a folder, and subfolders that cannot be listed, by relative name.

    A share that fails may list a file and not tell its state.

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
    return {path[start:]: state_of(path) for path in paths}


def state_of(path: str | Path) -> State | None:
    """Size and time of change of a file; :data:`GONE` without one, none where nothing is told."""
    try:
        status = os.stat(path)
    except OSError as error:
        return GONE if isinstance(error, FileNotFoundError) else None
    return status.st_size, status.st_ctime_ns


def placed(path: Path) -> dict[str, str | None]:
    """Return where a recording lies, and the local time at which it was last changed, if any.

    >>> placed(Path("/nowhere/a.wav"))
    {'path': '/nowhere/a.wav', 'time': None}
    """
    changed = None
    with suppress(OSError):
        changed = datetime.fromtimestamp(path.stat().st_mtime).isoformat(timespec="seconds")
    return {"path": os.path.abspath(path), "time": changed}


@dataclass
class WatchedFile:
    """What is known of a file that is watched.

    Attributes
    ----------
    state : at the last look.
    content : hash of what has a line; empty without one.
    since : when this state was seen first, in seconds.
    due : when it is opened next, in seconds; never where its content has its line.
    deadline : when it becomes a problem, in seconds.
    pause : s until what the system does not give is tried again.
    awaited : it has no line yet.
    """

    state: State | None = None
    content: str = ""
    since: float = 0.0
    due: float = math.inf
    deadline: float = math.inf
    pause: float = 0.0
    awaited: bool = False


class WatchLog:
    """A log that lines are added to, and what is known from it.

    Attributes
    ----------
    known : every file that has a line of this model, by name; with :data:`ENDED` in place of the
        content's hash, the one whose scoring ended the last watcher.

    Raises
    ------
    AsdError
        If the log is something else, or in use by another process.
    """

    def __init__(self, log: Path, model: str):
        self.log, self.model = log, model
        content = read_bytes(log, _MOST_BYTES) if log.exists() else b""
        if content[:1] not in (b"", b"{"):
            raise AsdError(f"{log}: holds something else than the log of a watcher.")
        self._path = Path(f"{os.path.realpath(log)}.known")
        with named(self._path, "locked"):
            try:
                self._file = _locked(self._path)
            except BlockingIOError:
                cure = "stop that watcher, or give this one a log of its own"
                raise AsdError(f"{log}: in use by another process; {cure}.") from None
        with ExitStack() as otherwise:
            otherwise.callback(self.close)
            if content and not content.endswith(b"\n"):
                _append(log, "")  # a cut last line is ended, and says nothing
            own = read_bytes(self._path, _MOST_BYTES)
            self._file.truncate(own.rfind(b"\n") + 1)
            found, ended = self._read(own)
            for name, (state, hashed) in self._read(content)[0].items():
                if found.get(name) != (state, hashed):  # the watcher ended between both files
                    self._write(name, *state, hashed, model)
                    found[name] = state, hashed
            self.known = {name: WatchedFile(*told) for name, told in (found | ended).items()}
            otherwise.pop_all()

    def add(self, line: str) -> None:
        """Write a line and wait until it is on the disk."""
        _append(self.log, line)
        told = json.loads(line)
        self._write(*(told[name] for name in _STATE))

    def _read(self, content: bytes) -> tuple[Known, Known]:
        """State and content's hash of every file by the latest line of this model.

        Also those of the recording that was being scored: a last line without a hash.
        """
        found, ended = Known(), Known()
        for line in content.splitlines():
            with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                told = json.loads(line)
                state = told["size"], told["changed_ns"]
                own = {told["name"]: (state, told.get("content", ENDED))}
                ended = {} if "content" in told else own
                if told.get("model", self.model) == self.model and told.get("content"):
                    found |= own
        return found, ended

    @contextmanager
    def scoring(self, name: str, state: State) -> Iterator[None]:
        """Remember a recording for as long as it is scored."""
        before = os.fstat(self._file.fileno()).st_size
        self._write(name, *state)
        try:
            yield
        finally:
            self._file.truncate(before)

    def close(self) -> None:
        """Let another watcher use the log."""
        self._file.close()

    def _write(self, *told: Any) -> None:
        line = json.dumps(dict(zip(_STATE, told, strict=False)))
        with named(self._path, "written"):
            if not self._path.exists():  # rotated too, or removed
                with self._file as before:
                    before.seek(0)
                    self._file = _locked(self._path)
                    self._file.write(before.read())
            self._file.write(f"{line}\n".encode())


def _locked(path: Path) -> BinaryIO:
    """Open and lock a record; one of another user that nobody has locked is replaced by a copy."""
    try:
        file = path.open("a+b", buffering=0)
    except PermissionError:
        with suppress(FileNotFoundError), path.open("rb") as old:
            fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_bytes(old.read(), path)
        file = path.open("a+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


def _append(log: Path, line: str) -> None:
    with named(log, "written"), log.open("ab") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
