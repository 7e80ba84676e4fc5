"""What the live explorer shows of one clip: audio and constants in, arrays out, nothing drawn.

Notebook: 00_explore.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import noise, pipeline
from asdlib.explore.data import Trained
from asdlib.frontends import FRONT_ENDS
from asdlib.guard import PerClip
from asdlib.measure.truth import Example
from asdlib.noise import Floors
from asdlib.params import Denoising, Params
from asdlib.runtime.errors import form, plural
from asdlib.spectra import power, stft


@dataclass(frozen=True)
class View:
    """One clip after one front-end, with all that the explorer draws and plays.

    Attributes
    ----------
    near, far, denoised : P_n, P_f and the front-end's power out.
    floors : that G_m comes from.
    snr : local SNR 10 log10 P_n / (G_m P_f), dB; NaN where there is no noise or no sound.
    gain : 10 log10 out / P_n, dB; NaN where P_n is 0.
    sound : (sample,), the near signal after the front-end.
    energy : mean over seeds of ||e_i||^2, one per stacked vector; none without a model.
    quantile : the percentile of ``energy`` over the vectors that the clip score takes.
    seed_z : z of every seed's model.
    z : their mean.
    note : why energy and z are missing; empty where they are there.
    """

    near: Float[np.ndarray, "frequency frame"]
    far: Float[np.ndarray, "frequency frame"]
    denoised: Float[np.ndarray, "frequency frame"]
    floors: Floors
    snr: Float[np.ndarray, "frequency frame"]
    gain: Float[np.ndarray, "frequency frame"]
    sound: Float[np.ndarray, " sample"]
    energy: Float[np.ndarray, " vector"] | None = None
    quantile: float = np.nan
    seed_z: Float[np.ndarray, " seed"] | None = None
    z: float = np.nan
    note: str = ""


def compute(
    signal: Float[np.ndarray, "channel=2 sample"],
    constants: Denoising,
    *,
    front_end: str,
    params: Params,
    floors: Floors | None = None,
    trained: Trained | None = None,
) -> View:
    """Take one clip through a front-end and, where there is one, a trained unit.

    Parameters
    ----------
    signal : full scale is 1, at least one sample.
    constants : of the front-end; the unit keeps the models that it was trained with.
    front_end : a name of ``asdlib.frontends.FRONT_ENDS``.
    params : of the study.
    floors : of the machine at the constants' percentile; none: nothing is subtracted.
    trained : from :meth:`Trained.load`.
    """
    spectrum = stft(signal, params.spectra)
    near, far = power(spectrum)
    floors = floors or Floors(np.zeros(len(near)), np.zeros(len(near)), constants.far_bound)
    denoised = FRONT_ENDS[front_end](constants, floors=floors)(spectrum)
    expected = noise.expected_noise(far, floors.transfer)
    example = Example(pd.Series(dtype=object), signal, spectrum, {front_end: denoised})
    view = View(
        near=near,
        far=far,
        denoised=denoised,
        floors=floors,
        snr=_ratio_db(near, expected),
        gain=_ratio_db(denoised, near),
        sound=example.sound(front_end, params),
    )
    if trained is None:
        return replace(view, note="no trained model: run asd study")
    transfer = floors.transfer if params.training.objective == "denoise" else None
    frames = pipeline.frames(spectrum, lambda _: denoised, params.spectra, transfer)
    if len(frames) < params.spectra.stack:
        return replace(
            view,
            note=f"{plural(len(frames), 'frame')} {form(len(frames), 'is', 'are')} too few: one "
            f"vector needs {params.spectra.stack}",
        )
    energy, seed_z = trained.score(frames)
    mean = energy.mean(0)
    return replace(
        view,
        energy=mean,
        quantile=float(np.percentile(mean, params.scoring.percentile)),
        seed_z=seed_z,
        z=PerClip.combine([PerClip([value], ["clip"]) for value in seed_z]).item(),
    )


def _ratio_db(
    above: Float[np.ndarray, "frequency frame"], below: Float[np.ndarray, "frequency frame"]
) -> Float[np.ndarray, "frequency frame"]:
    heard = (above > 0) & (below > 0)
    levels = [np.log10(x, out=np.full_like(x, np.nan), where=heard) for x in (above, below)]
    return 10 * (levels[0] - levels[1])
