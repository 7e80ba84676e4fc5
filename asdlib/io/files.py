"""Files: where they are, read within bounds, written beside their place and renamed into it.

What the system refuses comes out of here as one sentence that names the file, see
:class:`asdlib.runtime.errors.FileError`.
"""

from __future__ import annotations

import codecs
import csv
import errno
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import methodcaller
from pathlib import Path
from typing import Any

import yaml

from asdlib.runtime.errors import AsdError, FileError

_PART = re.compile(r"\.?asd-part-[a-z0-9_]{8}(\..+)?", re.DOTALL)  # a file or folder of a run
_LONGEST = 200  # bytes of a name that are kept; a file system takes 255 in all
_DAY = 86400.0  # s; an older part belongs to a run that was killed


def project_root() -> Path:
    """Return the nearest folder at or above the working one with notebooks, else that one.

    >>> project_root().is_absolute()
    True
    """
    return _project() or Path.cwd()


def _project() -> Path | None:
    folders = (Path.cwd(), *Path.cwd().parents)
    ours = (f for f in folders if (f / "pyproject.toml").exists() and (f / "notebooks").is_dir())
    return next(ours, None)


def shipped(*parts: str) -> Path:
    """Return a chapter, parameter file or source of the pages, by its place in the project.

    It is the project's, where one works in it, else the one that is installed with the package.

    >>> shipped("params", "demo.yaml").name
    'demo.yaml'
    """
    own, installed = _project(), Path(__file__).parents[1] / "_shipped"
    places = [place.joinpath(*parts) for place in (own, installed) if place is not None]
    return next((place for place in places if place.exists()), places[-1])


def resolve(path: str | Path) -> Path:
    """Make a path of the parameters absolute: relative ones start at the project's root.

    >>> resolve("results") == project_root() / "results"
    True
    """
    path = Path(path).expanduser()
    return path if path.is_absolute() else project_root() / path


def preset(source: str | Path) -> Path:
    """Return a parameter file by its path, or by its name one that comes with the package.

    >>> preset("demo").name, preset("mine.yaml").name
    ('demo.yaml', 'mine.yaml')
    """
    found = shipped("params", f"{source}.yaml")
    return found if found.is_file() and not Path(source).is_file() else Path(source)


@contextmanager
def named(path: Path, done: str = "read") -> Iterator[None]:
    """Raise an error of the system as a :class:`FileError`.

    It names the file that the system names, and ``path`` where that is nothing or in a part of a
    run, which is there for ``path``.

    Parameters
    ----------
    done : what was tried with the file, "read" or "written".

    Examples
    --------
    >>> try:
    ...     with named(Path("scores.csv"), "written"):
    ...         raise OSError(28, "No space left on device")  # as a failing write is told
    ... except FileError as error:
    ...     print(error)
    scores.csv: cannot be written (No space left on device).
    """
    try:
        yield
    except OSError as error:
        found = Path(os.fsdecode(error.filename or path))
        inside = any(map(_PART.fullmatch, found.parts))
        if isinstance(error, FileError) and not inside:
            raise
        raise FileError(path if inside else found, error, done) from None


def part_of(path: Path) -> Path:
    """Name a hidden file or folder beside ``path``, for what will be renamed to it.

    >>> part_of(Path("results/scores.csv")).name.startswith(".asd-part-")
    True
    """
    name = os.fsencode(path.name)[-_LONGEST:].decode(errors="ignore")
    return path.with_name(f".asd-part-{secrets.token_hex(4)}.{name}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to, and rename it to ``path`` at the end.

    A reader sees the old file or the whole new one, never a part. After an error ``path`` is as
    it was, and the part is removed. A link stays: the file that it leads to is written.

    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with replacing(path) as part:
    ...     _ = part.write_text("whole")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('whole', ['notes.txt'])
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    part = part_of(path)
    with named(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):  # the first error says more
                part.unlink(missing_ok=True)
            raise


@contextmanager
def temporary_folder(place: Path | str | None = None) -> Iterator[Path]:
    """Make a folder for temporary files and remove it at the end.

    Parameters
    ----------
    place : where it is made; the system's folder for temporary files by default.

    Examples
    --------
    >>> with temporary_folder() as own:
    ...     own.is_dir()
    True
    >>> own.exists()
    False
    """
    where = Path(place or tempfile.gettempdir()).absolute()
    with named(where, "written"), tempfile.TemporaryDirectory(prefix="asd-part-", dir=place) as own:
        yield Path(own)


def sweep(place: Path | str | None = None, *, depth: int = 0) -> None:
    """Remove parts and temporary folders older than a day, which killed runs have left.

    Parameters
    ----------
    place : folder; the system's folder for temporary files by default.
    depth : levels of subfolders to look into; links are not followed.

    Examples
    --------
    >>> sweep(Path("nowhere"))
    """
    with suppress(OSError), os.scandir(place or tempfile.gettempdir()) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if not _PART.fullmatch(entry.name):
                if is_folder and depth:
                    sweep(entry.path, depth=depth - 1)
            elif time.time() - entry.stat(follow_symlinks=False).st_mtime > _DAY:
                if is_folder:
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def read_bytes(path: Path, most: int = 2**30) -> bytes:
    r"""Return the content of a file.

    A pipe, which would wait for its writer, and a device, which might never end, are refused.

    Parameters
    ----------
    most : bytes that it may have.

    Raises
    ------
    FileError
        Also if there is nothing, or too much.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> write_text("Ω", path)
    >>> read_bytes(path)
    b'\xce\xa9'
    """
    with named(path):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a file, but a folder, a pipe or a device")
        if status.st_size > most:
            what = f"{status.st_size:,} bytes, where at most {most:,} are allowed"
            raise OSError(errno.EFBIG, what)
        return path.read_bytes()


def cells_of(content: bytes, where: str | Path, marks: str = "\t;,") -> list[list[str]]:
    r"""Cells of every line of a table of text; an empty line has none.

    Parameters
    ----------
    content : UTF-8, or UTF-16 with its mark, as spreadsheets write it.
    where : what the sentence names where this is no table.
    marks : one of them separates the cells; that which the first line has most often.

    Examples
    --------
    >>> cells_of(b'a.wav,1\n\n"b, c.wav",2\n', "scores.csv")
    [['a.wav', '1'], [], ['b, c.wav', '2']]
    """
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
        mark = max(marks, key=text.lstrip().partition("\n")[0].count)
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=mark))
    except (ValueError, csv.Error) as error:
        raise AsdError(f"{where}: not a table in UTF-8 text ({error}); save it so.") from None


class _Plain(yaml.SafeLoader):
    """Of plain values: a key once, and nothing that unfolds to more than what is written."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [key for key, count in keys.items() if count > 1]:
            problem = f"the key {twice[0]!r} is given {keys[twice[0]]} times"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def parse_yaml(content: bytes, *, aliases: bool = False) -> Any:
    """Return the value that a text stands for.

    Parameters
    ----------
    content : UTF-8.
    aliases : accept them, and keys that are given twice, as most readers of YAML do.

    Raises
    ------
    ValueError
        With the reason in one line.

    Examples
    --------
    >>> parse_yaml(b"seeds: [0, 1]")
    {'seeds': [0, 1]}
    >>> parse_yaml(b"seeds: !!int ''")
    Traceback (most recent call last):
    ValueError: a value does not fit its tag
    """
    try:
        return yaml.load(content.decode("utf-8"), yaml.SafeLoader if aliases else _Plain)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    except (LookupError, AttributeError, TypeError):  # as of !!bool x
        raise ValueError("a value does not fit its tag") from None


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return the keys and values of a YAML file of at most a megabyte.

    Raises
    ------
    AsdError
        For what is no such file, aliases, and keys that are given twice.
    """
    try:
        found = parse_yaml(read_bytes(path, 2**20)) or {}
    except ValueError as error:
        raise AsdError(f"{path}: not valid YAML ({error}).") from None
    if not isinstance(found, dict):
        raise AsdError(f"{path}: found {type(found).__name__}, expected 'key: value' lines.")
    return found


def check_place(path: Path, mark: bytes, kind: str) -> None:
    """Refuse a place where no file of ours can be written, or where something else would be lost.

    Parameters
    ----------
    mark : is among the first 100 bytes of every file of this kind.
    kind : of file, for the sentence.

    Raises
    ------
    AsdError
        For a folder, a file of another kind, or a folder that may not be written.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "page.html"
    >>> write_text("<!-- asd -->", path)
    >>> check_place(path, b"asd", "page")
    """
    if path.exists() and not (path.is_file() and mark in read_bytes(path)[:100]):
        raise AsdError(f"{path}: is there and is no {kind}; give another name.")
    with named(path.parent, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with temporary_folder(path.parent):
        pass  # the system says now what it would say of the file after the work


def write_bytes(content: bytes, path: Path) -> None:
    """Write the content of a file, whole or not at all.

    >>> path = Path(tempfile.mkdtemp()) / "notes.bin"
    >>> write_bytes(b"whole", path)
    >>> path.read_bytes()
    b'whole'
    """
    with replacing(path) as part:
        part.write_bytes(content)


def write_text(text: str, path: Path) -> None:
    """Write text as UTF-8 with the line ends that it has, whole or not at all.

    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> write_text("Ω", path)
    >>> len(path.read_bytes())
    2
    """
    write_bytes(text.encode("utf-8"), path)


def content_digest(content: bytes) -> str:
    """Sixteen hexadecimal digits that name the content of a file.

    >>> content_digest(b"")
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(content).hexdigest()[:16]


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits that name a JSON-like value; groups of parameters may be in it.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    plain = methodcaller("model_dump", mode="json")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain)
    return content_digest(text.encode())
