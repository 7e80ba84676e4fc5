"""What a monitor looks at of a recording: the values of its detectors without training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import clipstats, lines
from asdlib.calibration import HeldOut
from asdlib.frontends import FRONT_ENDS, FrontEnd
from asdlib.monitor import recordings
from asdlib.monitor.quantities import RecordingQuantities, measure
from asdlib.noise import Floors
from asdlib.params import Denoising, Spectra
from asdlib.pipeline import FittedView, Sound
from asdlib.spectra import Spectrum, stft

Row = Float[np.ndarray, " _"]  # what a detector looks at of one recording
Tables = tuple[Float[np.ndarray, "recording _"], ...]


def unfitted(table: pd.DataFrame, spectra: Spectra) -> tuple[FittedView, ...]:
    """All detectors with front-ends fitted on a manifest, before they know what is normal."""
    none = np.zeros(0)
    nothing = clipstats.Normal(none, none, none[None], np.zeros((0, 0)), np.zeros(1), HeldOut(none))
    found = []
    for name, scorer in clipstats.S5:
        sizes = clipstats.sizes(clipstats.VIEWS[scorer].kind, spectra)
        context = -(-Denoising().context * spectra.hop_length // sizes.hop_length)
        front_end = FRONT_ENDS[name](Denoising(context=context))  # as many seconds
        if front_end.needs_floors:
            powers = recordings.each(partial(_quiet_power, front_end, sizes), table, spectra)
            front_end.floors = Floors.average(powers, front_end.constants)
        found.append(FittedView(scorer, front_end, nothing, spectra))
    return tuple(found)


def _quiet_power(front_end: FrontEnd, sizes: Spectra, signal: Sound) -> np.ndarray:
    return front_end.quiet_power(stft(signal, sizes))


def values_of(views: Sequence[FittedView], signal: Sound) -> tuple[list[Row], dict[str, Spectrum]]:
    """What the detectors look at of one recording, and its complex spectra by the kind of view.

    The last row is the prominence of lines at the near microphone.
    """
    of_kind = {kind: clipstats.sizes(kind, views[0].spectra) for kind in ("fine", "mel")}
    spectra = {kind: stft(signal, sizes) for kind, sizes in of_kind.items()}
    kinds = [clipstats.VIEWS[view.scorer].kind for view in views]
    rows = [v.values(signal, spectra[kind]) for v, kind in zip(views, kinds, strict=True)]
    return [*rows, lines.prominence(signal[0], views[0].spectra)], spectra


def examined(
    views: Sequence[FittedView], table: pd.DataFrame
) -> tuple[Tables, list[RecordingQuantities]]:
    """What the detectors look at of the recordings of a manifest, and their health.

    Returns
    -------
    values : an array (recording, value) per detector, and of the lines.
    found : what is measured of the health of each recording.
    """
    spectra = views[0].spectra

    def examine(signal: Sound) -> tuple[list[Row], RecordingQuantities]:
        return values_of(views, signal)[0], measure(signal, spectra)

    rows, found = zip(*recordings.each(examine, table, spectra), strict=True)
    # a value's column lies in one piece: sums over recordings keep their order, and so their bytes
    return tuple(np.stack(own, axis=1).T for own in zip(*rows, strict=True)), list(found)
