"""The attribute table of a machine: what is known of clips beside their names.

``attributes_00.csv`` of DCASE has a row per clip, and columns d1p, d1v, d2p, ...: a parameter and
its value. Tables that other programs have saved again are read too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

from asdlib.io.listing import composed
from asdlib.params import AsdError

NAME = "attributes_00.csv"

_MOST_BYTES = 2**26
_COLUMN = "file_name"


def read(folder: Path, clips: Collection[str]) -> dict[str, str]:
    r"""Read the attributes of a machine's clips.

    Parameters
    ----------
    folder : of the machine.
    clips : names of its files, as :func:`asdlib.io.listing.composed` gives them.

    Returns
    -------
    Attributes by the name of a clip, such as ``spd_1``; nothing where there is no table.

    Raises
    ------
    AsdError
        For a table that cannot be understood, with the line; and where it names none of the clips.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / NAME).write_text("file_name,d1p,d1v\nfan/train/a.wav,spd,1\n")
    >>> read(folder, ["a.wav", "b.wav"])
    {'a.wav': 'spd_1'}
    """
    path = folder / NAME
    if not path.exists():
        return {}
    try:
        rows = _rows(path)
    except AsdError as error:
        raise AsdError(f"{path}{error}") from None
    named = {clip: attributes for clip, (attributes, _) in rows.items()}
    if rows and clips and not named.keys() & set(clips):
        clip, (_, line) = next(iter(rows.items()))
        raise AsdError(
            f"{path}, line {line}: names {clip!r}; neither this nor any other of its "
            f"{len(rows)} rows is a clip of this machine."
        )
    return named


def _rows(path: Path) -> dict[str, tuple[str, int]]:
    """Attributes and line of every clip in a table; errors begin with what follows its path."""
    lines = _lines(_text(path))
    _, header = next(lines, (0, [""]))
    if header.count(_COLUMN) != 1:
        raise AsdError(
            f": not an attribute table with a {_COLUMN} column (it begins with {header[0][:80]!r})."
        )
    found: dict[str, tuple[str, int]] = {}
    for number, cells in lines:
        if len(cells) > len(header):
            raise AsdError(
                f", line {number}: {len(cells)} cells, where the first line has {len(header)}."
            )
        own = dict(zip(header, cells, strict=False))
        clip = _clip(own.pop(_COLUMN, ""))
        if not clip:
            raise AsdError(f", line {number}: names no file.")
        attributes = "_".join(value for value in own.values() if value)
        known, line = found.setdefault(clip, (attributes, number))
        if known != attributes:
            raise AsdError(
                f", line {number}: gives {clip} the attributes {attributes!r}, and line {line} "
                f"{known!r}; keep one of them."
            )
    return found


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line that is not blank; empty cells at its end do not count."""
    first = text.lstrip().splitlines()[:1]
    mark = next((mark for mark in (",", ";", "\t") if mark in "".join(first)), ",")
    table = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True)
    try:
        for row in table:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield table.line_num, cells
    except csv.Error as error:
        raise AsdError(f", line {table.line_num}: not a table ({error}).") from None


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise AsdError(": not a file (a folder, a pipe or a device).")
        if path.stat().st_size > _MOST_BYTES:
            raise AsdError(f": over {_MOST_BYTES:,} bytes; no attribute table is so long.")
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise AsdError(
            f", line {line}: not UTF-8 text (byte {content[error.start]:#04x}); save it as UTF-8."
        ) from None
    except OSError as error:
        raise AsdError(f": cannot be read ({error.strerror or error}).") from None


def _clip(path: str) -> str:
    """Name of a clip without its folders, which Windows parts otherwise."""
    return composed(path.replace("\\", "/").rpartition("/")[2])
