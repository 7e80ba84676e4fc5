"""Temporary files and folders, removed at the next start when the process that made them is gone.

A process that is killed, or a machine that goes down, cannot remove them. Their names therefore say
which process of which machine they belong to.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_NAME = re.compile(r"\.?asd-([0-9a-f]{8})-([0-9]{1,9})-.+", re.DOTALL)
_LONGEST = 200  # bytes of a name that are kept; a file system takes 255 in all


def beside(path: Path) -> Path:
    """Name a hidden file or folder beside a path, for what this process will rename to it.

    >>> beside(Path("results/scores.csv")).name.startswith(".asd-")
    True
    """
    name = os.fsencode(path.name)[-_LONGEST:].decode(errors="ignore")
    return path.with_name(f".{prefix()}{secrets.token_hex(4)}.{name}")


@contextmanager
def folder(place: str | None = None) -> Iterator[Path]:
    """Make a folder for temporary files and remove it at the end.

    Parameters
    ----------
    place : where it is made; the system's folder for temporary files by default.

    Examples
    --------
    >>> with folder() as own:
    ...     own.is_dir()
    True
    >>> own.exists()
    False
    """
    with tempfile.TemporaryDirectory(prefix=prefix(), dir=place) as name:
        yield Path(name)


def sweep(place: Path, *, depth: int = 0) -> None:
    """Remove what processes of this machine left in a folder, if they are gone.

    What belongs to a running process or to another machine stays, and so does what cannot be
    removed.

    Parameters
    ----------
    depth : levels of subfolders to look into; links are not followed.

    Examples
    --------
    >>> sweep(Path("nowhere"))
    """
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if _left(entry.name):
                if is_folder:
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        os.unlink(entry.path)
            elif is_folder and depth:
                sweep(Path(entry.path), depth=depth - 1)


def _left(name: str) -> bool:
    """Whether a process of this machine that is gone made a file of this name."""
    found = _NAME.fullmatch(name)
    return found is not None and found[1] == _machine() and not _runs(int(found[2]))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def prefix() -> str:
    """Begin the name of a file or folder of this process.

    >>> prefix().startswith("asd-")
    True
    """
    return f"asd-{_machine()}-{os.getpid()}-"


@cache
def _machine() -> str:
    """Name this machine; two containers of one name count processes apart, and are two."""
    counted = Path("/proc/self/ns/pid")
    own = os.readlink(counted) if counted.is_symlink() else ""
    return hashlib.sha256(f"{platform.node()} {own}".encode()).hexdigest()[:8]
