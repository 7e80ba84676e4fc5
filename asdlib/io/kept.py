"""Computed files that are read again: with a digest of what they hold, and set aside if damaged.

After a power cut or a full disk a file can be cut short, empty, or hold something else. Such a file
is named on standard error and gets another name. Then it counts as not there, so that it is
computed again.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import safetensors
from tqdm import tqdm

from asdlib.io import files
from asdlib.io.files import content_digest, digest
from asdlib.runtime.errors import AsdError

if TYPE_CHECKING:
    import pandas as pd
    import torch

Result = TypeVar("Result")
Tensors = Mapping[str, "torch.Tensor"]

SET_ASIDE = ".damaged"
"""What the name of a damaged file ends with afterwards."""

_ENTRY = "asd"  # of the metadata; one alone: the order of several is not the same in every file


class Damaged(Exception):
    """A file does not hold what was written."""


def read(path: Path, reader: Callable[[Path], Result]) -> Result | None:
    """Return what a reader makes of a file, None where there is none or a damaged one.

    Parameters
    ----------
    reader : raises any error for a damaged file.

    Raises
    ------
    OSError
        Where the file cannot be read, naming it; that says nothing about what it holds.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cut.json"
    >>> _ = path.write_text("[1, ")
    >>> read(path, lambda path: json.loads(path.read_text()))
    >>> [file.name for file in path.parent.iterdir()]
    ['cut.json.damaged']
    """
    try:
        before = path.stat()
        return reader(path)
    except FileNotFoundError:
        return None
    except MemoryError:
        raise
    except Exception as error:  # a library may raise anything for a damaged file
        if isinstance(error, OSError) and error.errno is not None:
            name_instead(error, path, path)  # a failing read names no file
            raise
    _set_aside(path, before)
    return None


def made(path: Path, reader: Callable[[Path], Result | None], make: Callable[[], Any]) -> Result:
    """Return what a reader makes of a file, which is made first where it is missing or damaged.

    Parameters
    ----------
    reader : gives None for a file that is missing or damaged, as :func:`read` does.
    make : writes the file.

    Raises
    ------
    AsdError
        Where the file is damaged again as soon as it is written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "one.json"
    >>> made(path, json_value, lambda: write_json([1], path))
    [1]
    """
    found = reader(path)
    if found is None:
        make()
        found = reader(path)
    if found is None:
        raise AsdError(f"{path}: damaged again right after it was written; look at the disk.")
    return found


def same(path: Path, content: str) -> bool:
    """Whether a file has the content hash that it was written with; it is read as :func:`read`.

    >>> same(Path("nowhere.svg"), "0123456789abcdef")
    False
    """

    def reader(path: Path) -> bool:
        _compare(content, content_digest(path.read_bytes()))
        return True

    return read(path, reader) is not None


def write_json(value: Any, path: Path) -> None:
    """Write a JSON-like value with its digest.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "one.json"
    >>> write_json({"a": 1}, path)
    >>> json_value(path)
    {'a': 1}
    """
    files.write_text(json.dumps({"digest": digest(value), "value": value}), path)


def json_value(path: Path) -> Any:
    """Read what :func:`write_json` wrote, None where that is missing or damaged.

    >>> json_value(Path("nowhere.json"))
    """

    def reader(path: Path) -> Any:
        whole = json.loads(path.read_text(encoding="utf-8"))
        _compare(whole["digest"], digest(whole["value"]))
        return whole["value"]

    return read(path, reader)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet, with checksums and a digest of what is told beside it.

    >>> import tempfile
    >>> import pandas as pd
    >>> path = Path(tempfile.mkdtemp()) / "scores.parquet"
    >>> write_table(pd.DataFrame({"name": ["a.wav"], "score": [0.5]}), path)
    >>> found = table(path)
    >>> found["score"].tolist(), found.attrs
    ([0.5], {})
    """
    whole = table.copy(deep=False)
    whole.attrs = table.attrs | {_ENTRY: _table_digest(table, path)}
    files.write_bytes(whole.to_parquet(index=False, write_page_checksum=True), path)


def table(path: Path) -> pd.DataFrame | None:
    """Read what :func:`write_table` wrote, None where that is missing or damaged.

    >>> table(Path("nowhere.parquet"))
    """
    import pandas as pd  # takes half a second

    def reader(path: Path) -> pd.DataFrame:
        found = pd.read_parquet(path, page_checksum_verification=True)
        written = found.attrs.pop(_ENTRY, None)
        _compare(written, _table_digest(found, path))
        return found

    return read(path, reader)


def write_tensors(tensors: Tensors, path: Path, **told: Any) -> None:
    """Write tensors as a safetensors file, with a digest of all that it holds.

    Parameters
    ----------
    told : JSON-like values to keep beside the tensors.

    Examples
    --------
    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "one.safetensors"
    >>> write_tensors({"x": torch.ones(2)}, path, losses=[0.5])
    >>> found, beside = tensors(path)
    >>> found["x"].tolist(), beside
    ([1.0, 1.0], {'losses': [0.5]})
    """
    whole = {"told": told, "tensors": _tensors_digest(tensors), "place": _place(path)}
    entry = json.dumps({"digest": digest(whole), **whole})
    write_tensors_plain(tensors, path, **{_ENTRY: entry})


def tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Read what :func:`write_tensors` wrote, None where that is missing or damaged.

    >>> tensors(Path("nowhere.safetensors"))
    """

    def reader(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        with safetensors.safe_open(path, framework="pt") as file:
            whole = _entry(file, path)
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _compare(whole["tensors"], _tensors_digest(found))
        return found, whole["told"]

    return read(path, reader)


def told(path: Path) -> dict[str, Any] | None:
    """Read what stands beside the tensors of a file, without the tensors.

    >>> told(Path("nowhere.safetensors"))
    """

    def reader(path: Path) -> dict[str, Any]:
        with safetensors.safe_open(path, framework="pt") as file:
            return dict(_entry(file, path)["told"])

    return read(path, reader)


def _entry(file: Any, path: Path) -> dict[str, Any]:
    """What :func:`write_tensors` wrote beside the tensors."""
    whole = dict(json.loads((file.metadata() or {})[_ENTRY]))
    _compare(whole.pop("digest"), digest(whole))
    _compare(whole["place"], _place(path))
    return whole


def _compare(written: Any, found: str) -> None:
    if written != found:
        raise Damaged


def _place(path: Path) -> str:
    """Name a file by its folder too: a file of another unit is not this one's."""
    return f"{path.parent.name}/{path.name}"


def _table_digest(table: pd.DataFrame, path: Path) -> str:
    """Digest of what the checksums of the pages do not cover."""
    return digest([_place(path), list(table.columns), len(table), table.attrs])


def _tensors_digest(tensors: Tensors) -> str:
    import torch

    parts = []
    for name, tensor in sorted(tensors.items()):
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        parts.append(
            [name, str(tensor.dtype), list(tensor.shape), content_digest(content.tobytes())]
        )
    return digest(parts)


def _set_aside(path: Path, before: os.stat_result) -> None:
    aside = path.with_name(path.name + SET_ASIDE)
    try:
        now = path.stat()
        if (now.st_ino, now.st_mtime_ns) != (before.st_ino, before.st_mtime_ns):
            return  # another process has written it anew
        os.replace(path, aside)
    except FileNotFoundError:
        return  # another process was first
    told = f"{path}: damaged; it is set aside as {aside.name} and computed again."
    tqdm.write(told, file=sys.stderr)


def name_instead(error: BaseException, beside: Path, path: Path) -> None:
    """Let an error of the system name ``path`` where it names no file, or one at ``beside``.

    >>> error = OSError(28, "No space left on device")  # as a failing write is told
    >>> name_instead(error, Path(".part"), Path("scores.csv"))
    >>> error.filename
    'scores.csv'
    """
    if isinstance(error, OSError):
        named = Path(os.fsdecode(error.filename or beside))
        if named == beside or beside in named.parents:
            error.filename, error.filename2 = str(path), None


def check_regular(path: Path, most: int) -> None:
    """Refuse what is no file, as a pipe would wait for its writer and a device might never end.

    Parameters
    ----------
    most : bytes that it may have.

    Raises
    ------
    OSError
        Naming the path; also if there is nothing.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        what = "not a file, but a folder, a pipe or a device"
        raise OSError(errno.EINVAL, what, str(path))
    if status.st_size > most:
        what = f"{status.st_size:,} bytes, where at most {most:,} are allowed"
        raise OSError(errno.EFBIG, what, str(path))


def write_tensors_plain(tensors: Mapping[str, torch.Tensor], path: Path, **metadata: str) -> None:
    """Write tensors as a safetensors file."""
    import safetensors.torch

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    files.write_bytes(safetensors.torch.save(contiguous, metadata=metadata), path)
