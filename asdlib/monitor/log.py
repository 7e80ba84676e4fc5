"""The log of a watcher: a line of JSON per recording, and what it says after a restart."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from asdlib.params import AsdError


class State(NamedTuple):
    """What identifies the state of a file.

    Attributes
    ----------
    size : in bytes.
    changed_ns : time of change; unlike that of modification, it cannot be set back.
    content : hash; empty where the file could not be read.
    """

    size: int
    changed_ns: int
    content: str = ""


class Log:
    """A file of JSON lines that one process at a time appends to.

    The lock is a file beside the log, which is removed with the end of the watch. After a
    ``kill -9`` the file stays, but the system has released it: it holds up nobody.

    Parameters
    ----------
    path : of the log; it is made where it is missing.
    model : of the lines that count; those of other models say nothing about this one.

    Raises
    ------
    AsdError
        If another process has the log, the file holds something else, or it cannot be written.

    Attributes
    ----------
    known : last state of every file that has a line, by its name.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "fan.jsonl"
    >>> with Log(path) as log:
    ...     log.append('{"name": "a.wav", "size": 9, "changed_ns": 5, "content": "0f"}')
    >>> with Log(path) as log:
    ...     log.known
    {'a.wav': State(size=9, changed_ns=5, content='0f')}
    """

    def __init__(self, path: str | Path, model: str = ""):
        self._path, self._model = Path(path).expanduser(), model
        if not self._path.parent.is_dir():
            raise AsdError(f"{self._path.parent}: no such folder for a log.")
        self._lock = _locked(self._path)
        try:
            self._file = _opened(self._path)
            try:
                self.known = self._read()
            except BaseException:
                os.close(self._file)
                raise
        except OSError as error:
            self._release()
            raise AsdError(f"{self._path}: not a log to use ({error.strerror}).") from None
        except BaseException:
            self._release()
            raise

    def append(self, line: str) -> None:
        """Write one line and wait until it is on the disk.

        Raises
        ------
        AsdError
            If it cannot be written.
        """
        rest = f"{line}\n".encode()
        try:
            while rest:  # once, unless the disk is full
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            raise AsdError(f"{self._path}: cannot be written ({error.strerror}).") from None

    def close(self) -> None:
        """Close the log and release it."""
        os.close(self._file)
        self._release()

    def _release(self) -> None:
        with suppress(OSError):  # of a folder that is gone, or may not be written any more
            os.unlink(_lock_of(self._path))  # while it is held: it is nobody else's
        os.close(self._lock)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> dict[str, State]:
        """The last state of every file; a cut last line is ended, and says nothing.

        What could not be read is not known: it is tried again.
        """
        known, line = {}, b"\n"
        with open(self._file, "rb", closefd=False) as lines:
            if lines.peek(1)[:1] not in (b"", b"{"):
                raise AsdError(f"{self._path}: holds something else than the log of a watcher.")
            for line in lines:
                if (entry := _parsed(line, self._model)) and entry[1].content:
                    known[entry[0]] = entry[1]
        if not line.endswith(b"\n"):
            os.write(self._file, b"\n")
        return known


def _parsed(line: bytes, model: str) -> tuple[str, State] | None:
    try:
        told = json.loads(line)
        if told.get("model", model) != model:
            return None
        name, size, changed = told["name"], told["size"], told["changed_ns"]
        content = told["content"] or ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    kinds = [type(value) for value in (name, size, changed, content)]
    return (name, State(size, changed, content)) if kinds == [str, int, int, str] else None


def _opened(path: Path) -> int:
    """Descriptor of the log, at its beginning; it never waits at a pipe."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    file = os.open(path, flags, 0o644)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise AsdError(f"{path}: not a file; a log cannot be a folder, a pipe or a device.")
    return file


def _lock_of(log: Path) -> str:
    """Path of the lock: one for all links to a log."""
    return os.path.realpath(log) + ".lock"


def _locked(log: Path) -> int:
    """Descriptor of the lock beside a log, with the name of this process in it."""
    path = _lock_of(log)
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise AsdError(f"{path}: the lock cannot be opened ({error.strerror}).") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, lock):
                os.ftruncate(lock, 0)
                os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return lock
            os.close(lock)  # its last holder has removed it meanwhile
        except BlockingIOError:
            holder = os.pread(lock, 400, 0).decode(errors="replace") or "another process"
            os.close(lock)
            raise AsdError(
                f"{log}: in use by {holder}; stop that watcher, or give this one a log of its own."
            ) from None
        except OSError as error:
            os.close(lock)
            raise AsdError(f"{path}: the lock cannot be taken ({error.strerror}).") from None


def _is_at(path: str, file: int) -> bool:
    """Tell whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False
