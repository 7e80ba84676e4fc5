"""One report at a time in a folder: the next one waits.

The system drops the lock of a process that ends in any way.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from asdlib.io import owned
from asdlib.params import AsdError


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other report works in a folder, and let no other one begin.

    Raises
    ------
    AsdError
        Where nothing can be written into the folder.

    Examples
    --------
    >>> import tempfile
    >>> with alone(Path(tempfile.mkdtemp())):
    ...     print("ours")
    ours
    """
    lock = FileLock(folder / owned.MARK / "lock")
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            told = f"{folder}: another report is being built there; this one goes on after it."
            tqdm.write(told, file=sys.stderr)
            lock.acquire()
    except OSError as error:
        raise AsdError(f"{folder}: cannot be written ({error.strerror or error}).") from None
    try:
        yield
    finally:
        lock.release()
