"""Files of a study: where they are, written beside their place and renamed, named by their values.

What names the code that a result depends on is :mod:`asdlib.keys`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asdlib import leftovers

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
    it was, and the part is removed.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with replacing(path) as beside:
    ...     _ = beside.write_text("whole")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('whole', ['notes.txt'])
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = leftovers.beside(path)
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write text as UTF-8 with the line ends that it has.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> write_text("Ω", path)
    >>> len(path.read_bytes())
    2
    """
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet or CSV, by the ending of the name.

    >>> import tempfile
    >>> import pandas as pd
    >>> path = Path(tempfile.mkdtemp()) / "scores.csv"
    >>> write_table(pd.DataFrame({"name": ["a.wav"], "score": [0.5]}), path)
    >>> path.read_text().split()
    ['name,score', 'a.wav,0.5']
    """
    with replacing(path) as beside:
        if path.suffix == ".csv":
            table.to_csv(beside, index=False)
        else:
            table.to_parquet(beside, index=False)


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
    with replacing(path) as beside:
        beside.write_bytes(safetensors.torch.save(contiguous, metadata=metadata))


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
