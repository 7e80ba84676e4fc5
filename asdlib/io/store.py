"""Computed files, with a checksum each, and the digest of the code that they depend on.

A file's format is named by its suffix. Beside ``scores.parquet`` stands ``scores.parquet.sha256``,
as ``sha256sum -c`` reads it. After a power cut or a full disk a file can be cut short, empty, or
hold something else. Such a file is set aside, told on standard error, and computed again.
"""

from __future__ import annotations

import ast
import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asdlib.io.files import digest, named, read_bytes, replacing, write_bytes
from asdlib.runtime.errors import AsdError, FileError, printable

DAMAGED = ".damaged"
"""What the name of a damaged file ends with afterwards."""

_MOST = 2**40  # bytes of a file of our own
_PACKAGE = Path(__file__).parents[1]
_SILENT = ("runtime", "io", "params")  # no number is made there; of parameters a key holds values
_HEARD = ("io.wav",)  # but this turns bytes into samples
# the code that runs is that of the moment of import, whatever happens to its files afterwards
_SOURCES = {path: path.read_text("utf-8") for path in _PACKAGE.rglob("*.py")}


def save(value: Any, path: Path) -> None:
    r"""Write a value with its checksum.

    Parameters
    ----------
    value : JSON-like for ``.json``; a DataFrame for ``.parquet`` (its ``attrs`` are kept); a
        dictionary of numpy arrays for ``.safetensors``.
    path : file to write.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "one.json"
    >>> save({"a": 1}, path)
    >>> load(path), (path.parent / "one.json.sha256").read_text()[64:]
    ({'a': 1}, '  one.json\n')
    """
    content, beside = _encoded(value, path), _beside(path)
    with replacing(beside) as line, replacing(path) as part:
        line.write_bytes(_checksum(content, path))
        part.write_bytes(content)
        beside.unlink(missing_ok=True)  # from here to the end the file counts as missing


def keep(value: Any, path: Path) -> None:
    """As :func:`save`, where there is a place for it: what is lost otherwise is time alone.

    >>> keep([1], Path("/proc/nowhere/one.json"))
    """
    with suppress(FileError):
        save(value, path)


def write(value: Any, path: Path) -> None:
    """Write a value as :func:`save` does, without a checksum: a file for a reader, also ``.csv``.

    >>> import tempfile
    >>> import pandas as pd
    >>> path = Path(tempfile.mkdtemp()) / "scores.csv"
    >>> write(pd.DataFrame({"name": ["a.wav"], "score": [0.5]}), path)
    >>> path.read_text().split()
    ['name,score', 'a.wav,0.5']
    """
    write_bytes(_encoded(value, path), path)


def is_there(path: Path) -> bool:
    """Whether a file has been saved: as long as its checksum is missing, it is unfinished."""
    return path.exists() and _beside(path).exists()


def load(path: Path) -> Any:
    """Read what :func:`save` wrote; None where it is missing, unfinished or damaged.

    >>> load(Path("nowhere.json"))
    """
    if not is_there(path):
        return None
    try:
        before = path.stat()
        content, checksum = (read_bytes(own, _MOST) for own in (path, _beside(path)))
    except (FileNotFoundError, FileError):
        if is_there(path):
            raise
        return None  # another process writes it anew
    if checksum == _checksum(content, path):
        return _decoded(content, path)
    aside = path.with_name(path.name + DAMAGED)
    with named(path, "renamed"), suppress(FileNotFoundError):  # another process was first
        now = path.stat()
        if (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns):  # and none since
            os.replace(path, aside)
            told = f"{path}: damaged; it is set aside as {aside.name} and computed again."
            tqdm.write(printable(told), file=sys.stderr)
    return None


def remove(path: Path) -> None:
    """Remove a file with its checksum; neither need be there.

    >>> remove(Path("nowhere.json"))
    """
    with named(path, "removed"):
        path.unlink(missing_ok=True)
        _beside(path).unlink(missing_ok=True)


def made(path: Path, make: Callable[[], Any]) -> Any:
    """Read a file; where it is missing or damaged, make its value and save it first.

    Parameters
    ----------
    make : returns the value.

    Raises
    ------
    AsdError
        If the file is damaged again as soon as it is written.

    Examples
    --------
    >>> import tempfile
    >>> made(Path(tempfile.mkdtemp()) / "one.json", lambda: [1])
    [1]
    """
    found = load(path)
    if found is None:
        save(make(), path)
        found = load(path)
    if found is None:
        raise AsdError(f"{path}: is damaged right after writing; check the disk.")
    return found


@lru_cache
def code(*modules: str, package: Path = _PACKAGE) -> str:
    """Digest of the code of some modules and of all that they import from the package.

    Docstrings, comments, imports and the arguments of raised errors do not count, nor does the
    code of ``runtime`` and of the file handling in ``io``; that of :mod:`asdlib.io.wav`, which
    turns bytes into samples, does. Of :mod:`asdlib.params` a key holds the values.

    Parameters
    ----------
    modules : names below the package, such as "pipeline" or "study.detectors".
    package : folder of the package.

    Raises
    ------
    LookupError
        For a module that is not there.

    Examples
    --------
    >>> code("spectra") == code("frontends")
    False
    """
    waiting, found = list(modules), dict[str, str]()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        file = _file(package, name)
        if file is None:
            raise LookupError(f"{name} is no module of {package.name}.")
        found[name], used = _read(_SOURCES.get(file) or file.read_text("utf-8"), package)
        waiting += used
    return digest(sorted(found.items()))


def _file(package: Path, name: str) -> Path | None:
    """The file of a module, or None where a name is of no module."""
    path = package.joinpath(*name.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)


@cache
def _read(source: str, package: Path) -> tuple[str, list[str]]:
    """The code of a module that counts, and the modules of the package that it uses."""
    tree = ast.parse(source)
    nodes, found = list(ast.walk(tree)), []
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            home, *parts = node.module.split(".")
            for alias in node.names if home == package.name else ():
                if (alias.asname or alias.name) in used:
                    whole = ".".join([*parts, alias.name])
                    found.append(whole if _file(package, whole) else ".".join(parts))
    heard = [n for n in found if n in _HEARD or n.split(".")[0] not in ("", *_SILENT)]
    return ast.unparse(_Bare().visit(tree)), heard


class _Bare(ast.NodeTransformer):
    """Leaves out what cannot change a number: docstrings, imports, arguments of raised errors."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        return None

    visit_ImportFrom = visit_Import

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=raised, cause=None)


def _encoded(value: Any, path: Path) -> bytes:
    """The bytes of a file; a format that a library needs a path for is written through memory."""
    if path.suffix == ".json":
        return json.dumps(value).encode()
    if path.suffix == ".csv":
        return value.to_csv(index=False, lineterminator="\n").encode()
    if path.suffix == ".parquet":
        return value.to_parquet(index=False)
    import safetensors.numpy  # brings numpy

    return safetensors.numpy.save(value)


def _decoded(content: bytes, path: Path) -> Any:
    if path.suffix == ".json":
        return json.loads(content)
    if path.suffix == ".safetensors":
        import safetensors.numpy

        return safetensors.numpy.load(content)
    import pandas as pd  # takes half a second

    return pd.read_parquet(io.BytesIO(content))


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _checksum(content: bytes, path: Path) -> bytes:
    """The line of ``sha256sum``; it names the file, so that another one's is not taken for it."""
    return f"{sha256(content).hexdigest()}  {path.name}\n".encode()
