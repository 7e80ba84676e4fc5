"""Files of a study: where they are, written beside their place and renamed, named by their values.

What names the code that a result depends on is :mod:`asdlib.io.keys`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asdlib.io import leftovers

if TYPE_CHECKING:
    import pandas as pd
    import torch


def project_root() -> Path:
    """Return the nearest folder at or above the working one with notebooks, else that one.

    >>> project_root().is_absolute()
    True
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").exists() and (folder / "notebooks").is_dir():
            return folder
    return here


def resolve(path: str | Path) -> Path:
    """Make a path of the parameters absolute: relative ones start at the project's root.

    >>> resolve("results") == project_root() / "results"
    True
    """
    path = Path(path).expanduser()
    return path if path.is_absolute() else project_root() / path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to, and rename it to ``path`` at the end.

    A reader sees the old file or the whole new one, never a part. After an error ``path`` is as
    it was, and the part is removed. An error of the system names ``path``. A link stays: the file
    that it leads to is written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with replacing(path) as beside:
    ...     _ = beside.write_text("whole")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('whole', ['notes.txt'])
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = leftovers.beside(path)
    try:
        yield beside
        os.replace(beside, path)
    except BaseException as error:
        with suppress(OSError):  # the first error says more
            beside.unlink(missing_ok=True)
        name_instead(error, beside, path)
        raise


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


def sentence(error: OSError) -> str:
    """Say what the system refused, and for which file.

    >>> sentence(OSError(28, "No space left on device", "scores.csv")).partition(";")[0]
    'scores.csv: cannot be read or written (No space left on device)'
    """
    reason = error.strerror or " ".join(map(str, error.args)) or type(error).__name__
    then = "mend that and run the same command again."
    if error.filename is None:
        return f"The system reports an error ({reason.rstrip('.')}); {then}"
    return (
        f"{os.fsdecode(error.filename)}: cannot be read or written ({reason.rstrip('.')}); {then}"
    )


def check_regular(path: Path, most: int) -> None:
    """Refuse what is no file, as a pipe would wait for its writer and a device might never end.

    Parameters
    ----------
    most : bytes that it may have.

    Raises
    ------
    OSError
        Naming the path; also if there is nothing.

    Examples
    --------
    >>> try:
    ...     check_regular(Path("/dev/null"), 100)
    ... except OSError as error:
    ...     print(sentence(error).partition(";")[0])
    /dev/null: cannot be read or written (not a file, but a folder, a pipe or a device)
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        what = "not a file, but a folder, a pipe or a device"
        raise OSError(errno.EINVAL, what, str(path))
    if status.st_size > most:
        what = f"{status.st_size:,} bytes, where at most {most:,} are allowed"
        raise OSError(errno.EFBIG, what, str(path))


def read_bytes(path: Path, most: int) -> bytes:
    r"""Return the content of a file, and name it in every error; see :func:`check_regular`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> write_text("Ω", path)
    >>> read_bytes(path, 100)
    b'\xce\xa9'
    """
    check_regular(path, most)
    try:
        return path.read_bytes()
    except OSError as error:
        name_instead(error, path, path)  # a failing read names no file
        raise


def write_bytes(content: bytes, path: Path) -> None:
    """Write the content of a file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.bin"
    >>> write_bytes(b"whole", path)
    >>> path.read_bytes()
    b'whole'
    """
    with replacing(path) as beside:
        beside.write_bytes(content)


def write_text(text: str, path: Path) -> None:
    """Write text as UTF-8 with the line ends that it has.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> write_text("Ω", path)
    >>> len(path.read_bytes())
    2
    """
    write_bytes(text.encode("utf-8"), path)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet or CSV, by the ending of the name.

    >>> import tempfile
    >>> import pandas as pd
    >>> path = Path(tempfile.mkdtemp()) / "scores.csv"
    >>> write_table(pd.DataFrame({"name": ["a.wav"], "score": [0.5]}), path)
    >>> path.read_text().split()
    ['name,score', 'a.wav,0.5']
    """
    if path.suffix == ".csv":
        write_text(table.to_csv(index=False, lineterminator="\n"), path)
    else:
        write_bytes(table.to_parquet(index=False), path)


def write_tensors(tensors: Mapping[str, torch.Tensor], path: Path, **metadata: str) -> None:
    """Write tensors as a safetensors file.

    >>> import tempfile, safetensors.torch, torch
    >>> path = Path(tempfile.mkdtemp()) / "one.safetensors"
    >>> write_tensors({"x": torch.ones(2)}, path, unit="dB")
    >>> safetensors.torch.load_file(path)["x"].tolist()
    [1.0, 1.0]
    """
    import safetensors.torch  # brings torch, which takes seconds

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(safetensors.torch.save(contiguous, metadata=metadata), path)


def content_digest(content: bytes) -> str:
    """Sixteen hexadecimal digits that name the content of a file.

    >>> content_digest(b"")
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(content).hexdigest()[:16]


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits that name a JSON-like value or a group of parameters.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    return content_digest(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
