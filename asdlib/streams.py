"""Standard output that takes no more: a reader that went away, or a file on a full disk."""

from __future__ import annotations

import os
import sys


def error() -> OSError | None:
    """Return what keeps standard output from being written; None where nothing does.

    >>> error() is None
    True
    """
    try:
        print(end="", flush=True)
    except OSError as error:
        _drop()
        error.filename = "standard output"
        return error
    return None


def _drop() -> None:
    """Let what is still to be printed go nowhere: Python writes it out at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
