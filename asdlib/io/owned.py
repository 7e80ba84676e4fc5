"""What this package wrote, told from what is the user's own.

A folder that is written whole carries a mark. In a folder that holds other files too, every file
carries one. Only what is marked is ever replaced or removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asdlib.io import files, kept
from asdlib.runtime.errors import AsdError

MARK = ".asd"
"""Folder of the marks, beside what is marked."""

FIGURES, OUT = "the parameter figures", "--out"
"""How another folder is given, for the sentences."""

_WHOLE = "all of this folder was written by asd"


def folder(path: Path, hint: str) -> Path:
    """Make a folder for this package alone, or find it again.

    Parameters
    ----------
    hint : how another folder is named, for the sentence.

    Raises
    ------
    AsdError
        For a folder that holds something and has no mark, or something else of that name.

    Examples
    --------
    >>> import tempfile
    >>> own = folder(Path(tempfile.mkdtemp()) / "source", "--out")
    >>> _ = (own / "page.html").write_text("")
    >>> folder(own, "--out") == own
    True
    """
    mark = path / MARK / _WHOLE
    try:
        others = path.iterdir() if path.exists() else ()
        if not mark.exists() and any(other.name != MARK for other in others):
            raise AsdError(
                f"{path}: holds files that asd did not write, and they would be lost; move them, "
                f"or give another folder ({hint})."
            )
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise AsdError(f"{path}: cannot be written ({error.strerror or error}).") from None
    return path


def emptied(path: Path, hint: str) -> Path:
    """As :func:`folder`, with nothing in it.

    >>> import tempfile
    >>> own = folder(Path(tempfile.mkdtemp()) / "source", "--out")
    >>> _ = (own / "page.html").write_text("")
    >>> [file.name for file in emptied(own, "--out").iterdir()]
    ['.asd']
    """
    for own in folder(path, hint).iterdir():
        if own.name == MARK:  # stays to the end: what is left after an error is still marked
            continue
        if own.is_dir() and not own.is_symlink():
            shutil.rmtree(own)
        else:
            own.unlink()
    return path


@contextmanager
def replacing(path: Path, hint: str) -> Iterator[Path]:
    """As :func:`asdlib.io.files.replacing`, for a file that may lie among the user's own.

    Raises
    ------
    AsdError
        For a file of that name without a mark, or where writing is not allowed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tab-mine.csv"
    >>> _ = path.write_text("by hand")
    >>> try:
    ...     with replacing(path, "figures") as beside:
    ...         _ = beside.write_text("a table")
    ... except AsdError as error:
    ...     print(str(error).partition(": ")[2])
    was not written by asd, and would be lost; move it, or give another folder (figures).
    """
    refuse_foreign(path, hint)
    try:
        _mark(path).parent.mkdir(parents=True, exist_ok=True)
        _mark(path).touch()
        try:
            with files.replacing(path) as beside:
                yield beside
        finally:
            if not path.exists():  # the name is free for a file of the user's
                _mark(path).unlink(missing_ok=True)
    except OSError as error:
        raise AsdError(f"{path}: cannot be written ({error.strerror or error}).") from None


@contextmanager
def replacing_folder(path: Path, hint: str) -> Iterator[Path]:
    """Give a folder to write to, which takes the place of ``path`` once it is whole.

    After an error ``path`` is as it was. A link and the root of a disk are written in place.

    Raises
    ------
    AsdError
        See :func:`folder`.

    Examples
    --------
    >>> import tempfile
    >>> own = folder(Path(tempfile.mkdtemp()) / "html", "--out")
    >>> _ = (own / "old.html").write_text("")
    >>> with replacing_folder(own, "--out") as beside:
    ...     _ = (beside / "new.html").write_text("")
    >>> sorted(file.name for file in own.iterdir())
    ['.asd', 'new.html']
    """
    folder(path, hint)
    if path.is_symlink() or os.path.ismount(path):
        yield path
        return
    beside, old = files.part_of(path), files.part_of(path)
    try:
        yield folder(beside, hint)
        os.replace(path, old)
        os.replace(beside, path)
    except OSError as error:
        kept.name_instead(error, beside, path)
        raise
    finally:
        if not path.exists():  # also after Ctrl-C between the two
            os.replace(old, path)
        for left in (beside, old):
            shutil.rmtree(left, ignore_errors=True)


def refuse_foreign(path: Path, hint: str) -> None:
    """Raise :class:`AsdError` for a file that is there and was not written by this package.

    >>> refuse_foreign(Path("nowhere.svg"), "figures")
    """
    if path.exists() and not _mark(path).exists():
        raise AsdError(
            f"{path}: was not written by asd, and would be lost; move it, or give another folder "
            f"({hint})."
        )


def remove(path: Path) -> None:
    """Remove a file that this package wrote; leave any other.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "fig-mine.svg"
    >>> _ = path.write_text("by hand")
    >>> remove(path)
    >>> path.exists()
    True
    """
    if _mark(path).exists():
        path.unlink(missing_ok=True)
        _mark(path).unlink(missing_ok=True)


def copy(source: Path, target: Path, hint: str) -> None:
    """Copy a file among the user's own; the very same one may be there already.

    Raises
    ------
    AsdError
        See :func:`replacing`.

    Examples
    --------
    >>> import tempfile
    >>> source = Path(tempfile.mkdtemp()) / "fig-a.svg"
    >>> _ = source.write_text("drawn")
    >>> copy(source, source.with_name("fig-b.svg"), "figures")
    >>> source.with_name("fig-b.svg").read_text()
    'drawn'
    """
    content = source.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return
    with replacing(target, hint) as beside:
        beside.write_bytes(content)


def marked(path: Path) -> list[Path]:
    """Files of a folder that carry a mark of their own.

    >>> marked(Path("nowhere"))
    []
    """
    found = sorted((path / MARK).glob("*"))
    return [path / mark.name for mark in found if mark.name != _WHOLE]


def _mark(path: Path) -> Path:
    return path.parent / MARK / path.name
