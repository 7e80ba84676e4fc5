"""The detectors of a monitor, those of S5: fitted, and as tensors of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import clipstats, pipeline
from asdlib.calibration import HeldOut
from asdlib.frontends import FRONT_ENDS, FrontEnd
from asdlib.monitor import model_file, recordings
from asdlib.monitor.quantities import RecordingQuantities, measure
from asdlib.noise import Floors
from asdlib.params import Denoising, Spectra, Statistics
from asdlib.pipeline import FittedView
from asdlib.spectra import Spectrum, stft

_OF_NORMAL = ("mean", "std", "centres", "whitening")  # arrays of clipstats.Normal


def unfitted(table: pd.DataFrame, spectra: Spectra) -> tuple[FittedView, ...]:
    """All detectors with front-ends fitted on a manifest, before they know what is normal."""
    none = np.zeros(0)
    nothing = clipstats.Normal(none, none, none[None], np.zeros((0, 0)), HeldOut(none))
    return tuple(
        FittedView(
            scorer, _front_end(name, clipstats.VIEWS[scorer].kind, table, spectra), nothing, spectra
        )
        for name, scorer in clipstats.S5
    )


def _front_end(name: str, kind: str, table: pd.DataFrame, spectra: Spectra) -> FrontEnd:
    """A front-end for one kind of view, fitted on normal recordings."""
    sizes = clipstats.sizes(kind, spectra)
    context = -(-Denoising().context * spectra.hop_length // sizes.hop_length)  # as many seconds
    front_end = FRONT_ENDS[name](Denoising(context=context))
    if front_end.needs_floors:

        def quiet(signal: np.ndarray) -> np.ndarray:
            return front_end.quiet_power(stft(signal, sizes))

        levels = recordings.each(quiet, table, spectra)
        front_end.floors = Floors.average(levels, front_end.constants)
    return front_end


def transformed(signal: pipeline.Sound, spectra: Spectra) -> dict[str, Spectrum]:
    """Complex spectra by the kind of view that they are for."""
    return {kind: stft(signal, clipstats.sizes(kind, spectra)) for kind in ("fine", "mel")}


def values(
    views: Sequence[FittedView], signal: pipeline.Sound, spectra: dict[str, Spectrum]
) -> list[pipeline.Values]:
    """What the detectors look at of one recording, with its spectra of :func:`transformed`."""
    kinds = [clipstats.VIEWS[view.scorer].kind for view in views]
    return [view.values(signal, spectra[kind]) for view, kind in zip(views, kinds, strict=True)]


def examined(
    views: Sequence[FittedView], table: pd.DataFrame, spectra: Spectra
) -> tuple[tuple[Float[np.ndarray, "recording _"], ...], list[RecordingQuantities]]:
    """What the detectors look at of the recordings of a manifest, and their health.

    Returns
    -------
    values : an array (recording, value) per detector.
    found : what is measured of the health of each recording.
    """

    def examine(signal: pipeline.Sound) -> tuple[list[pipeline.Values], RecordingQuantities]:
        return values(views, signal, transformed(signal, spectra)), measure(signal, spectra)

    rows, found = zip(*recordings.each(examine, table, spectra), strict=True)
    # a value's column lies in one piece: sums over recordings keep their order, and so their bytes
    return tuple(np.stack(own, axis=1).T for own in zip(*rows, strict=True)), list(found)


def tensors_of(view: FittedView, values: Float[np.ndarray, "recording _"]) -> dict[str, np.ndarray]:
    """What a model file holds of one detector, with the training recordings' values."""
    normal, floors = view.normal, view.front_end.floors
    tensors = {name: getattr(normal, name) for name in _OF_NORMAL}
    tensors |= {"values": values, "held_out": normal.held_out.scores}
    if floors is not None:  # the near microphone as it is needs none
        tensors |= {"floor_near": floors.near, "floor_far": floors.far}
    return tensors


def view_of(tensors: model_file.Tensors, about: dict[str, Any], number: int) -> FittedView:
    """One detector of a model file, by its number among them."""
    name, scorer = about["views"][number]
    own, kind = model_file.part(tensors, number), FRONT_ENDS[name]
    constants = Denoising(**about["denoising"][number])
    floors = None
    if kind.needs_floors:
        floors = Floors(own["floor_near"], own["floor_far"], constants.far_bound)
    arrays = {name: own[name] for name in _OF_NORMAL}
    normal = clipstats.Normal(**arrays, held_out=HeldOut(own["held_out"]))
    sizes, statistics = Spectra(**about["spectra"]), Statistics(**about["statistics"])
    return FittedView(scorer, kind(constants, floors=floors), normal, sizes, statistics)
