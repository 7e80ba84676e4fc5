"""The detectors of a monitor, those of S5: fitted, and as tensors of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

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


def fit(
    table: pd.DataFrame, folds: Int[np.ndarray, " recording"], spectra: Spectra
) -> tuple[tuple[FittedView, ...], tuple[np.ndarray, ...], list[RecordingQuantities]]:
    """Fit all detectors on the recordings of a manifest.

    Returns
    -------
    views : the detectors, in the order of :data:`asdlib.clipstats.S5`.
    values : what each of them looks at, (recording, value).
    found : what is measured of the health of each recording.
    """
    sets = [(name, scorer, clipstats.VIEWS[scorer]) for name, scorer in clipstats.S5]
    front_ends = [_front_end(name, own.kind, table, spectra) for name, _, own in sets]

    def examine(signal: np.ndarray) -> tuple[list[np.ndarray], RecordingQuantities]:
        shared = transformed(signal, spectra)
        statistics = [
            pipeline.statistics(signal, own.kind, front_end, spectra, spectrum=shared[own.kind])
            for (*_, own), front_end in zip(sets, front_ends, strict=True)
        ]
        return statistics, measure(signal, spectra)

    rows, found = zip(*recordings.each(examine, table, spectra), strict=True)
    views, values = [], []
    for number, (_, scorer, own) in enumerate(sets):
        whole = np.stack([row[number] for row in rows])
        values.append(clipstats.chosen(whole, own.statistics))
        normal = clipstats.Normal.fit(values[-1], table["domain"].tolist(), folds)
        views.append(FittedView(scorer, front_ends[number], normal, spectra))
    return tuple(views), tuple(values), list(found)


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


def transformed(
    signal: Float[np.ndarray, "channel=2 sample"], spectra: Spectra
) -> dict[str, Spectrum]:
    """Complex spectra by the kind of view that they are for."""
    return {kind: stft(signal, clipstats.sizes(kind, spectra)) for kind in ("fine", "mel")}


def values(
    views: Sequence[FittedView],
    signal: Float[np.ndarray, "channel=2 sample"],
    spectra: dict[str, Spectrum],
) -> list[Float[np.ndarray, " _"]]:
    """What the detectors look at of one recording, with its spectra of :func:`transformed`."""
    kinds = [clipstats.VIEWS[view.scorer].kind for view in views]
    return [view.values(signal, spectra[kind]) for view, kind in zip(views, kinds, strict=True)]


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
