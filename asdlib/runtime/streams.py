"""Standard streams that are closed from the start, or that take no more: a full disk, no reader."""

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


def opened() -> None:
    """Give a process that was started without standard streams some that lead nowhere.

    >>> opened()
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # else a data file gets its number
        pass
    os.close(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
