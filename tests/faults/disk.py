"""A disk that fails on demand: the n-th access below some folders ends with an error of the system.

Python's ``open`` and ``os`` are patched. What a library in C writes or reads past them is not seen;
a test holds that this package writes nothing in that way.
"""

import builtins
import errno
import io
import os
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from unittest import mock

ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EROFS", "EACCES", "EIO")}
_AT_NAMES = ("EROFS", "EACCES")  # say that something may not be opened or renamed; never a write's
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_real_open = io.open


class Disk:
    """Counts the accesses below some folders, and lets one of them fail.

    Parameters
    ----------
    kind : of the accesses, "write" or "read".
    error : name of an error; none: accesses are counted only.
    at : number of the access that fails, from 1.
    lasting : whether all later ones fail too, as on a disk that stays full.

    Attributes
    ----------
    counts : accesses so far, by their kind and whether they name the file.
    failed : the one that failed, as its function and path; empty if none has.
    written : names of the files that were filled.
    """

    def __init__(self, *roots, kind="write", error=None, at=0, lasting=False):
        self.roots = tuple(f"{os.path.realpath(root)}{os.sep}" for root in roots)
        self.kind, self.error, self.at, self.lasting = kind, error, at, lasting
        self.counts, self.failed, self.written = Counter(), (), set()
        self._lock = threading.Lock()

    @contextmanager
    def mounted(self):
        """Let all accesses of this process pass through here."""
        calls = [(builtins, "open", self._open), (io, "open", self._open)]
        calls.append((os, "open", self._os_open(os.open)))
        for names, where in (
            (("mkdir", "rmdir", "unlink", "remove", "truncate", "utime", "chmod"), _first),
            (("rename", "replace", "link", "symlink"), _second),
            (("write", "pwrite", "fsync", "ftruncate", "sendfile"), _file),
        ):
            calls += [(os, name, self._patched(getattr(os, name), where)) for name in names]
        with ExitStack() as patches:
            for call in calls:
                patches.enter_context(mock.patch.object(*call))
            yield self

    def access(self, kind, path, function, *, by_name=True):
        """Count one access; raise if its turn to fail has come."""
        path = os.fsdecode(path)
        if not (os.path.realpath(os.path.dirname(path)) + os.sep).startswith(self.roots):
            return
        with self._lock:
            self.counts[kind, by_name] += 1
            number = self.reached(kind, self.error)
            if function in ("write", "sendfile"):
                self.written.add(os.path.basename(path))
            due = number >= self.at if self.lasting else number == self.at
            met = by_name or self.error not in _AT_NAMES
            if self.error and kind == self.kind and due and met:
                self.failed = self.failed or (function, path)
                code = ERRORS[self.error]
                raise OSError(code, os.strerror(code), *([path] if by_name else []))

    def reached(self, kind, error):
        """How many of the accesses so far an error can meet."""
        return self.counts[kind, True] + (error not in _AT_NAMES) * self.counts[kind, False]

    def _patched(self, real, where):
        def call(*args, **keys):
            if path := where(*args, **keys):
                self.access("write", path, real.__name__, by_name=where is not _file)
            return real(*args, **keys)

        return call

    def _os_open(self, real):
        def call(path, flags, *args, **keys):
            self.access("write" if flags & _WRITES else "read", _first(path, **keys), "os.open")
            return real(path, flags, *args, **keys)

        return call

    def _open(self, file, mode="r", buffering=-1, *text, closefd=True, opener=None, **texts):
        if isinstance(file, int):
            return _real_open(file, mode, buffering, *text, closefd=closefd, opener=opener, **texts)
        file, writes = os.fspath(file), bool(set(mode) & set("wax+"))
        if opener is None:
            self.access("write" if writes else "read", file, "open")
        raw = _Raw(file, mode.replace("b", "").replace("t", ""), opener=opener)
        raw.disk = self
        if buffering == 0:
            return raw
        kind = io.BufferedRandom if "+" in mode else io.BufferedWriter if writes else None
        buffer = (kind or io.BufferedReader)(raw)
        if "b" in mode:
            return buffer
        wrapper = io.TextIOWrapper(buffer, *text, **texts)
        wrapper.mode = mode
        return wrapper


class _Raw(io.FileIO):
    """A file whose writes or reads are accesses; of a write that fails, half is done."""

    def write(self, data):
        try:
            self._access("write")
        except OSError:
            super().write(memoryview(data).cast("B")[: len(data) // 2])
            raise
        return super().write(data)

    def readinto(self, buffer):
        self._access("read")
        return super().readinto(buffer)

    def readall(self):
        self._access("read")
        return super().readall()

    def _access(self, kind):
        self.disk.access(kind, self.name, kind, by_name=False)


def _first(path, *args, dir_fd=None, **keys):
    if isinstance(path, int):
        return _file(path)
    return path if dir_fd is None else os.path.join(_file(dir_fd), os.fsdecode(path))


def _second(source, target, *args, **keys):
    return target


def _file(file, *args, **keys):
    try:
        return os.readlink(f"/proc/self/fd/{file}")
    except OSError:
        return ""
