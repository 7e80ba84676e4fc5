"""Levels of both microphones and the noise transfer G_m, against the truth where it is known.

Notebook: 01_noise_floor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import dataset, pipeline
from asdlib.measure.truth import true_transfers
from asdlib.noise import Floors, noise_transfer
from asdlib.params import Params
from asdlib.spectra import decibels, power, stft
from asdlib.study.recordings import Recordings

_SENSITIVITY_CLIPS = 40  # training clips per machine, spread evenly over both domains


def levels(params: Params, recordings: Recordings, *, clips_per_machine: int = 10) -> pd.DataFrame:
    """Levels and noise transfer of every machine, from its first training clips.

    Returns
    -------
    DataFrame indexed by machine, with the mean power of both channels in dB of full scale, the
    median of G_m over frequency, and a remark where the channels cannot serve as near and far.
    """
    rows = []
    for machine in recordings.machines:
        clips = recordings.clips(machine, "train").head(clips_per_machine)
        signals = list(dataset.read_all(clips, params.spectra))
        near, far = decibels(np.mean([np.mean(x**2, axis=-1) for x in signals], axis=0))
        fitted = Floors.fit((stft(x, params.spectra) for x in signals), params.denoising)
        same = all(np.array_equal(*x) for x in signals)
        rows.append(
            {
                "machine": machine,
                "near (dB)": round(float(near), 1),
                "far (dB)": round(float(far), 1),
                "median G": round(float(np.median(fitted.transfer)), 3),
                "remark": "both channels are the same signal: no noise reference" if same else "",
            }
        )
    return pd.DataFrame(rows).set_index("machine")


def transfer_table(
    estimated: dict[str, Floors], true: dict[str, Float[np.ndarray, " frequency"]]
) -> pd.DataFrame:
    """Median G_m over frequency of every machine, estimated and true, and the error in dB.

    Parameters
    ----------
    estimated : noise floors by machine.
    true : of :func:`asdlib.measure.truth.true_transfers`.

    Returns
    -------
    DataFrame with machine, median G, true median G and median error (dB), the median over
    frequency of the absolute error; the last two are NaN where the truth is not known.
    """
    rows = []
    for machine, own in estimated.items():
        truth = true.get(machine)
        row = {"machine": machine, "median G": np.median(own.transfer)}
        if truth is None:
            row |= {"true median G": np.nan, "median error (dB)": np.nan}
        else:
            errors = np.abs(decibels(own.transfer) - decibels(truth))
            row |= {"true median G": np.median(truth), "median error (dB)": np.median(errors)}
        rows.append(row)
    return pd.DataFrame(rows)


def percentile_sensitivity(
    params: Params, recordings: Recordings, percentiles: Sequence[float]
) -> pd.DataFrame:
    """How far G_m moves with the percentile of the floors.

    Parameters
    ----------
    percentiles : 0 to 100; the study's own is added where it is missing.

    Returns
    -------
    DataFrame with machine, percentile, offset (dB, median over frequency) and ``what``, the axis
    label of the offset: against the true transfer where it is known, else against the transfer at
    the study's own percentile.
    """
    true = true_transfers(params, recordings)
    wanted = sorted({*percentiles, params.denoising.percentile})
    rows = []
    for machine in recordings.machines:
        train = recordings.clips(machine, "train")
        spread = np.linspace(0, len(train) - 1, min(len(train), _SENSITIVITY_CLIPS)).round()
        clips = train.iloc[spread.astype(int)]
        quiet = [
            np.percentile(
                power(pipeline.spectrum(clip["path"], params.spectra, clip["hash"])),
                wanted,
                axis=-1,
            )
            for _, clip in clips.iterrows()
        ]
        levels = {
            q: decibels(noise_transfer(*both, far_bound=params.denoising.far_bound))
            for q, both in zip(wanted, np.mean(quiet, axis=0), strict=True)
        }
        known = machine in true
        against = decibels(true[machine]) if known else levels[params.denoising.percentile]
        name = "true" if known else f"P{params.denoising.percentile:g}"
        for q in wanted:
            rows.append(
                {
                    "machine": machine,
                    "percentile": q,
                    "offset": float(np.median(levels[q] - against)),
                    "what": f"$G_m$ against {name} (dB, median over $k$)",
                }
            )
    return pd.DataFrame(rows)
