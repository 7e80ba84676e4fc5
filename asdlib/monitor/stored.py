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
import safetensors
import torch
from jaxtyping import Float

from asdlib import clipstats
from asdlib.calibration import HeldOut
from asdlib.frontends import FRONT_ENDS
from asdlib.io.files import content_digest
from asdlib.io.kept import check_regular
from asdlib.io.kept import write_tensors_plain as write_tensors
from asdlib.noise import Floors
from asdlib.params import AsdError, Denoising, Spectra, Statistics
from asdlib.pipeline import FittedView

VERSION = 1
"""Of the format; a file of a newer one is refused."""

_MOST_BYTES = 2**30  # of a model file
_ENTRY = "asd_monitor"

Tensors = Mapping[str, np.ndarray]


def check_place(path: Path) -> None:
    """Refuse a place where no model file can be written, or where something else would be lost.

    Raises
    ------
    AsdError
        For a folder, a recording, any other file that is no model, or a folder without leave.
    """
    try:
        if path.is_dir() or not path.name:
            raise AsdError(f"{path}: is a folder; give the name of a model file in it.")
        if path.suffix.lower() in (".wav", ".flac", ".jsonl"):
            raise AsdError(f"{path}: is not named as a model file, such as pump.safetensors.")
        if path.exists() and not (path.is_file() and _is_model(path)):
            raise AsdError(f"{path}: is there and is no model file; give another name.")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise AsdError(f"{path.parent}: nothing may be written into this folder.")
    except OSError as error:
        raise AsdError(f"{path}: the model cannot be written ({error.strerror}).") from None


def _is_model(path: Path) -> bool:
    """Tell whether a file begins as the model files do; a changed one may be replaced too."""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return _ENTRY in (file.metadata() or {})
    except safetensors.SafetensorError:
        return False


def write(tensors: Tensors, about: Mapping[str, Any], path: Path) -> None:
    """Write a model file in one step: a reader sees the old file or the whole new one.

    Raises
    ------
    AsdError
        If the file cannot be written.
    """
    check_place(path)
    whole = {"version": VERSION, "digest": digest(tensors, about), "about": about}
    own = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()}
    try:
        write_tensors(own, path, **{_ENTRY: json.dumps(whole, sort_keys=True)})
    except OSError as error:
        raise AsdError(f"{path}: the model cannot be written ({error.strerror}).") from None


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the tensors of a model file, and what stands beside them.

    Raises
    ------
    AsdError
        For a file that is missing, cut, changed, of another kind or of a newer version.
    """
    try:
        if path.is_dir():
            raise AsdError(f"{path}: is a folder; the model file comes first.")
        check_regular(path, _MOST_BYTES)
        path.open("rb").close()  # says why it cannot be read
        with safetensors.safe_open(path, framework="np") as file:
            whole = json.loads((file.metadata() or {})[_ENTRY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise AsdError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except (safetensors.SafetensorError, ValueError, KeyError, RecursionError):
        raise AsdError(f"{path}: not a model file of asd fit, or cut short.") from None
    version = whole.get("version") if isinstance(whole, dict) else None
    if type(version) is not int or version < 1:
        raise AsdError(f"{path}: not a model file of asd fit.")
    if version > VERSION:
        raise AsdError(
            f"{path}: of format {version}; this asdlib reads up to format {VERSION}. Update "
            "asdlib, or fit again."
        )
    about = whole.get("about")
    if not isinstance(about, dict) or whole.get("digest") != digest(tensors, about):
        raise AsdError(f"{path}: was changed after it was written; fit again.")
    broken = [name for name, value in tensors.items() if not np.isfinite(value).all()]
    if broken:
        raise AsdError(f"{path}: {broken[0]} holds values that are not finite; fit again.")
    return tensors, about


def tensors_of(view: FittedView, values: Float[np.ndarray, "recording _"]) -> dict[str, np.ndarray]:
    """What a model file holds of one detector, with the training recordings' values."""
    floors, normal = view.front_end.floors, view.normal
    own = {
        "values": values,
        "mean": normal.mean,
        "std": normal.std,
        "centres": normal.centres,
        "whitening": normal.whitening,
        "held_out": normal.held_out.scores,
    }
    if floors is not None:  # the near microphone as it is needs none
        own |= {"floor_near": floors.near, "floor_far": floors.far}
    return own


def view_of(tensors: dict[str, np.ndarray], about: dict[str, Any], number: int) -> FittedView:
    """One detector of a model file, by its number among them."""
    front_end, scorer = about["views"][number]
    own = part(tensors, str(number))
    constants = Denoising(**about["denoising"][number])
    floors = None
    if FRONT_ENDS[front_end].needs_floors:
        floors = Floors(own["floor_near"], own["floor_far"], constants.far_bound)
    normal = clipstats.Normal(
        own["mean"], own["std"], own["centres"], own["whitening"], HeldOut(own["held_out"])
    )
    return FittedView(
        scorer,
        FRONT_ENDS[front_end](constants, floors=floors),
        normal,
        Spectra(**about["spectra"]),
        Statistics(**about["statistics"]),
    )


def part(tensors: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Tensors whose names begin with this one and a dot."""
    return {
        own.partition(".")[2]: value for own, value in tensors.items() if own.startswith(f"{name}.")
    }


def digest(tensors: Tensors, about: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a model by all that it holds."""
    told = json.dumps(about, sort_keys=True).encode()
    parts = [
        f"{name} {value.dtype} {value.shape} ".encode() + np.ascontiguousarray(value).tobytes()
        for name, value in sorted(tensors.items())
    ]
    return content_digest(b"".join([told, *parts]))
