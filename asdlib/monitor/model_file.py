"""The model file of a monitor: tensors with JSON beside them, in one safetensors file.

Nothing in it is executed. A digest over all of it tells a file that was cut or changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from asdlib.io.files import content_digest, read_bytes, sweep, write_bytes
from asdlib.runtime.errors import AsdError

VERSION = 1
"""Of the format; a file of a newer one is refused."""

_ENTRY = "asd_monitor"

Tensors = Mapping[str, np.ndarray]


def check_place(path: Path) -> None:
    """Refuse a place where no model file can be written, or where something else would be lost.

    Raises
    ------
    AsdError
        For a folder, any file that is no model, or a folder that may not be written.
    """
    if path.is_dir() or not path.name:
        raise AsdError(f"{path}: is a folder; give the name of a model file in it.")
    if path.exists() and not (path.is_file() and _is_model(path)):
        raise AsdError(f"{path}: is there and is no model file; give another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise AsdError(f"{path.parent}: nothing may be written into this folder.")


def _is_model(path: Path) -> bool:
    """Tell whether a file begins as the model files do; a changed one may be replaced too."""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return _ENTRY in (file.metadata() or {})
    except safetensors.SafetensorError:
        return False


def write(tensors: Tensors, about: Mapping[str, Any], path: Path) -> None:
    """Write a model file in one step: a reader sees the old file or the whole new one."""
    check_place(path)
    whole = {"version": VERSION, "digest": digest(tensors, about), "about": about}
    own = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    metadata = {_ENTRY: json.dumps(whole, sort_keys=True)}
    write_bytes(safetensors.numpy.save(own, metadata), path)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the tensors of a model file, and what stands beside them.

    Raises
    ------
    AsdError
        For a file that is missing, cut, changed, of another kind or of a newer version.
    """
    content = read_bytes(path)
    try:
        size = int.from_bytes(content[:8], "little")
        whole = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_ENTRY])
        version, found, about = int(whole["version"]), whole["digest"], dict(whole["about"])
        tensors = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise AsdError(f"{path}: not a model file of asd fit, or cut short.") from None
    if version > VERSION:
        raise AsdError(
            f"{path}: of format {version}; this asdlib reads up to format {VERSION}. Update "
            "asdlib, or fit again."
        )
    if found != digest(tensors, about):
        raise AsdError(f"{path}: was changed after it was written; fit again.")
    broken = [name for name, value in tensors.items() if not np.isfinite(value).all()]
    if broken:
        raise AsdError(f"{path}: {broken[0]} holds values that are not finite; fit again.")
    return tensors, about


def named(name: str | int, tensors: Tensors) -> Tensors:
    """Tensors of one part of a model, with the name of the part before their own."""
    return {f"{name}.{own}": value for own, value in tensors.items()}


def part(tensors: Tensors, name: str | int) -> dict[str, np.ndarray]:
    """Tensors of one part of a model, as :func:`named` got them."""
    start = f"{name}."
    return {own[len(start) :]: v for own, v in tensors.items() if own.startswith(start)}


def digest(tensors: Tensors, about: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a model by all that it holds."""
    parts = [
        f"{name} {value.dtype} {value.shape} ".encode() + np.ascontiguousarray(value).tobytes()
        for name, value in sorted(tensors.items())
    ]
    return content_digest(b"".join([json.dumps(about, sort_keys=True).encode(), *parts]))
