"""Sessions: which recordings belong together, so that they are held out together.

Recordings of one day resemble each other more than those of another day. Their subfolders tell the
days, else dates in their names, else the days on which their files were last changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

_DATE = re.compile(r"(?<!\d)(20\d\d)[-_. ]?(0[1-9]|1[0-2])[-_. ]?(0[1-9]|[12]\d|3[01])(?!\d)")


def of(names: Sequence[str], subfolders: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Name the session of every recording; the same name for all where nothing tells them apart.

    Parameters
    ----------
    names, subfolders, paths : of the recordings; the subfolder of the folder itself is ".".

    Examples
    --------
    >>> names = ["pump_20260504_0800.wav", "pump_20260505_0800.wav"]
    >>> of(names, [".", "."], ["", ""])
    ['2026-05-04', '2026-05-05']
    >>> of(names, ["early", "late"], ["", ""])
    ['early', 'late']
    """
    if len(set(subfolders)) > 1:
        return list(subfolders)
    dates = [_DATE.search(name) for name in names]
    if len(found := ["-".join(date.groups()) for date in dates if date]) == len(names):
        return found
    return [_changed(path) for path in paths]


def _changed(path: str) -> str:
    """Day on which a file was last changed."""
    return datetime.fromtimestamp(Path(path).stat().st_mtime).date().isoformat()
