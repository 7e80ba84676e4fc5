"""The model file of a monitor: tensors with JSON beside them, in one safetensors file.

Nothing in it is executed. A digest over all of it tells a file that was cut or changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from asdlib import clipstats
from asdlib.calibration import HeldOut
from asdlib.frontends import FRONT_ENDS
from asdlib.io import files
from asdlib.noise import Floors
from asdlib.params import AsdError, Denoising, Spectra, Statistics
from asdlib.pipeline import FittedView

VERSION = 5
"""Of the format; a file of another one is refused."""

_ENTRY = "asd_monitor"
_START = b'{"__metadata__":{"asd_monitor":'  # of the header, after its length
# arrays of clipstats.Normal
_OF_NORMAL = ("mean", "std", "centres", "whitening", "means", "to_own")

Tensors = Mapping[str, np.ndarray]


def check_place(path: Path) -> None:
    """Refuse a place where no model file can be written, or where something else would be lost.

    Raises
    ------
    AsdError
        For a folder, any file that is no model, or a folder that may not be written.
    """
    files.check_place(path, _START, "model file")


def write(tensors: Tensors, about: Mapping[str, Any], path: Path) -> None:
    """Write a model file in one step: a reader sees the old file or the whole new one."""
    check_place(path)
    whole = {"version": VERSION, "digest": digest(tensors, about), "about": about}
    own = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    metadata = {_ENTRY: json.dumps(whole, sort_keys=True)}
    files.write_bytes(safetensors.numpy.save(own, metadata), path)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the tensors of a model file, and what stands beside them.

    Raises
    ------
    AsdError
        For a file that is missing, cut, changed, of another kind or of another version.
    """
    content = files.read_bytes(path)
    try:
        size = int.from_bytes(content[:8], "little")
        whole = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_ENTRY])
        version, found, about = int(whole["version"]), whole["digest"], dict(whole["about"])
        tensors = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise AsdError(f"{path}: not a model file of asd fit, or cut short.") from None
    if version != VERSION:
        cure = "Update asdlib" if version > VERSION else "Fit again"
        raise AsdError(f"{path}: of format {version}; this asdlib reads {VERSION}. {cure}.")
    if found != digest(tensors, about):
        raise AsdError(f"{path}: was changed after it was written; fit again.")
    broken = [name for name, value in tensors.items() if not np.isfinite(value).all()]
    if broken:
        raise AsdError(f"{path}: {broken[0]} holds values that are not finite; fit again.")
    return tensors, about


def part(tensors: Tensors, name: str) -> dict[str, np.ndarray]:
    """Tensors of one part of a model, whose names begin with that of the part and a dot."""
    start = f"{name}."
    return {own[len(start) :]: v for own, v in tensors.items() if own.startswith(start)}


def tensors_of(view: FittedView) -> dict[str, np.ndarray]:
    """What a model file holds of one detector."""
    normal, floors = view.normal, view.front_end.floors
    assert floors is not None  # of S5
    own = {
        "floor_near": floors.near,
        "floor_far": floors.far,
        "follows": np.array([floors.follows]),
    }
    arrays = {name: getattr(normal, name) for name in _OF_NORMAL}
    return {**arrays, **own, "held_out": normal.held_out.scores}


def view_of(tensors: Tensors, about: Mapping[str, Any], number: int) -> FittedView:
    """One detector of a model file, by its number among them."""
    (name, scorer), own = about["views"][number], part(tensors, str(number))
    constants, follows = Denoising(**about["denoising"][number]), own["follows"].item()
    floors = Floors(own["floor_near"], own["floor_far"], constants.far_bound, follows)
    arrays = {name: own[name] for name in _OF_NORMAL}
    normal = clipstats.Normal(**arrays, held_out=HeldOut(own["held_out"]))
    sizes, statistics = Spectra(**about["spectra"]), Statistics(**about["statistics"])
    front_end = FRONT_ENDS[name](constants, floors=floors)
    return FittedView(scorer, front_end, normal, sizes, statistics)


def digest(tensors: Tensors, about: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a model by all that it holds."""
    parts = [
        f"{name} {value.dtype} {value.shape} ".encode() + np.ascontiguousarray(value).tobytes()
        for name, value in sorted(tensors.items())
    ]
    return files.content_digest(b"".join([json.dumps(about, sort_keys=True).encode(), *parts]))
