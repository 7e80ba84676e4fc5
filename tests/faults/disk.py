"""A disk that fails on demand: the n-th access below some folders ends with an error of the system.

Python's ``open`` and ``os`` are patched. What a library in C writes or reads past them is not seen;
a test holds that this package writes nothing in that way.
"""

import builtins
import errno
import io
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EROFS", "EACCES", "EIO")}
_AT_NAMES = ("EROFS", "EACCES")  # say that something may not be opened or renamed; never a write's
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_BY_PATH = ("mkdir", "rmdir", "unlink", "remove", "truncate", "utime", "chmod")
_BY_TWO = ("rename", "replace", "link", "symlink")
_BY_FILE = ("write", "pwrite", "fsync", "ftruncate", "sendfile")


class Disk:
    """Counts the accesses below some folders, and lets one of them fail.

    Parameters
    ----------
    kind : of the accesses, "write" or "read".
    fault : name of an error; none: accesses are counted only.
    at : number of the access that fails, from 1.
    lasting : whether all later ones fail too, as on a disk that stays full.

    Attributes
    ----------
    counts : accesses so far, by their kind.
    what : the one that failed, as a sentence; empty if none has.
    written : names of the files that were filled.
    """

    def __init__(self, *roots, kind="write", fault=None, at=0, lasting=False):
        self.roots = [f"{os.path.realpath(root)}{os.sep}" for root in roots]
        self.kind, self.fault, self.at, self.lasting = kind, fault, at, lasting
        self.counts, self.what, self.written = {"read": 0, "write": 0}, "", set()
        self._lock = threading.Lock()

    @contextmanager
    def mounted(self):
        """Let all accesses of this process pass through here."""
        with (
            mock.patch.object(builtins, "open", self._open),
            mock.patch.object(io, "open", self._open),
            mock.patch.object(os, "open", self._os_open(os.open)),
        ):
            patches = [
                mock.patch.object(os, name, self._patched(getattr(os, name), where))
                for names, where in ((_BY_PATH, _first), (_BY_TWO, _second), (_BY_FILE, _file))
                for name in names
            ]
            for patch in patches:
                patch.start()
            try:
                yield self
            finally:
                for patch in patches:
                    patch.stop()

    def access(self, kind, path, what, *, by_name=True):
        """Count one access; raise if its turn to fail has come."""
        path = os.fsdecode(path)
        inside = os.path.realpath(os.path.dirname(path)) + os.sep
        if not any(inside.startswith(root) for root in self.roots):
            return
        if not by_name and self.fault in _AT_NAMES:
            return
        with self._lock:
            self.counts[kind] += 1
            number = self.counts[kind]
            if what in ("write", "sendfile"):
                self.written.add(os.path.basename(path))
            due = number >= self.at if self.lasting else number == self.at
            if self.fault and kind == self.kind and due:
                self.what = self.what or f"{what} {path}"
                code = ERRORS[self.fault]
                raise OSError(code, os.strerror(code), *([path] if by_name else []))

    def _patched(self, real, where):
        by_name = where is not _file

        def call(*args, **keys):
            if path := where(*args, **keys):
                self.access("write", path, real.__name__, by_name=by_name)
            return real(*args, **keys)

        return call

    def _os_open(self, real):
        def call(path, flags, *args, **keys):
            kind = "write" if flags & _WRITES else "read"
            self.access(kind, _first(path, **keys), "os.open")
            return real(path, flags, *args, **keys)

        return call

    def _open(
        self,
        file,
        mode="r",
        buffering=-1,
        encoding=None,
        errors=None,
        newline=None,
        closefd=True,
        opener=None,
    ):
        if isinstance(file, int):
            return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)
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
        text = io.TextIOWrapper(buffer, encoding, errors, newline)
        text.mode = mode
        return text


class _Raw(io.FileIO):
    """A file whose writes or reads are accesses; of one that fails, half is done."""

    def write(self, data):
        try:
            self._asked("write")
        except OSError:
            super().write(memoryview(data).cast("B")[: len(data) // 2])
            raise
        return super().write(data)

    def readinto(self, buffer):
        self._asked("read")
        return super().readinto(buffer)

    def readall(self):
        self._asked("read")
        return super().readall()

    def _asked(self, kind):
        self.disk.access(kind, self.name, kind, by_name=False)


_open = io.open


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


def held(root):
    """Content of every file below a folder by its path; of a folder or a link, what it is."""
    root, found = Path(root), {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"link to {os.readlink(path)}"
        elif path.is_file():
            found[name] = path.read_bytes()
    return found
