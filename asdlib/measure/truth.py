"""Ground truth of the embedded scenes, where it was written beside the recordings.

Notebooks: 01_noise_floor, 02_front_ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib.params import Params
from asdlib.simulate import scenes
from asdlib.simulate.sounds import RATE
from asdlib.spectra import decibels, frequencies
from asdlib.study.recordings import Recordings


def truths(
    params: Params, recordings: Recordings, machine: str
) -> Iterator[tuple[pd.Series, scenes.Clip]]:
    """Yield every clip of a machine whose ground truth was written, with that truth."""
    for _, clip in recordings.clips(machine).iterrows():
        truth = truth_of(params, recordings, clip)
        if truth is not None:
            yield clip, truth


def truth_of(params: Params, recordings: Recordings, clip: pd.Series) -> scenes.Clip | None:
    """Return the ground truth of one clip at the study's sample rate, None if none was written."""
    stem = clip["name"].removesuffix(".wav")
    truth = scenes.read_truth(recordings.root, clip["machine"], stem)
    return None if truth is None else at_rate(truth, params)


def at_rate(truth: scenes.Clip, params: Params) -> scenes.Clip:
    """Convert the parts of a simulated clip to the study's sample rate."""
    if params.spectra.sample_rate == RATE:
        return truth
    import soxr

    whole = (truth.machine, truth.noise, truth.fault)
    return scenes.Clip(*(soxr.resample(x.T, RATE, params.spectra.sample_rate).T for x in whole))


def true_transfers(
    params: Params, recordings: Recordings
) -> dict[str, Float[np.ndarray, " frequency"]]:
    """Return G_m(k) of the noise alone, for every machine whose truth was written.

    Returns
    -------
    Mapping of machine to mean near over mean far noise power (frequency,), interpolated in the
    logarithm to the frequencies of the study's bins.
    """
    found = {m: scenes.read_transfer(recordings.root, m) for m in recordings.machines}
    bins = frequencies(params.spectra)
    return {
        m: 10 ** np.interp(bins, t["frequency"], np.log10(t["noise_transfer"]))
        for m, t in found.items()
        if t is not None
    }


def true_snr(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Ratio of machine sound to noise at both microphones, from known truth.

    Returns
    -------
    DataFrame with machine, SNR near (dB) and SNR far (dB), of energies summed over clips; no rows
    where no truth was written.
    """
    rows = []
    for machine in recordings.machines:
        energy = [
            [np.sum(part**2, axis=-1) for part in (truth.machine, truth.noise)]
            for _, truth in truths(params, recordings, machine)
        ]
        if energy:
            sound, noise = np.sum(energy, axis=0)
            rows.append([machine, *decibels(sound / noise)])
    return pd.DataFrame(rows, columns=["machine", "SNR near (dB)", "SNR far (dB)"])
