"""How much every front-end takes away: of a cell, of a clip, of the true noise and machine sound.

Notebook: 02_front_ends.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from asdlib import dataset
from asdlib.frontends import parts
from asdlib.measure.truth import truths
from asdlib.params import Params
from asdlib.spectra import decibels, power, stft
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit


def attenuation(
    params: Params, recordings: Recordings, *, clips_per_machine: int = 10
) -> pd.DataFrame:
    """Attenuation of every front-end against the local SNR, over all machines.

    Returns
    -------
    DataFrame with front_end, snr (bin centre, dB), mean, low and high (10 and 90 %), in dB.
    """
    edges = np.arange(-20, 31, 2.5)
    names = [name for name in parts(params.front_ends) if name not in ("near", "far")]
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    snrs = []
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        transfer = Unit(params, machine, "near", clips).floors().transfer[:, None]
        denoisers = {n: Unit(params, machine, n, clips).denoiser() for n in names}
        test = clips[clips["split"] == "test"].head(clips_per_machine)
        for signal in dataset.read_all(test, params.spectra):
            spectrum = stft(signal, params.spectra)
            near, far = power(spectrum)
            snrs.append(decibels(near / np.maximum(transfer * far, 1e-20)).ravel())
            for name, denoise in denoisers.items():
                ratio = denoise(spectrum) / np.maximum(near, 1e-20)
                found[name].append(decibels(ratio).ravel().astype(np.float32))
    if not snrs:
        return pd.DataFrame(columns=["front_end", "snr", "mean", "low", "high"])
    place = np.digitize(np.concatenate(snrs), edges)
    rows = []
    for name, gains in found.items():
        gain = np.concatenate(gains)
        for i in range(1, len(edges)):
            inside = gain[place == i]
            if len(inside) >= 50:
                low, high = np.percentile(inside, [10, 90])
                centre = (edges[i - 1] + edges[i]) / 2
                rows.append([name, centre, float(inside.mean()), float(low), float(high)])
    return pd.DataFrame(rows, columns=["front_end", "snr", "mean", "low", "high"])


def strength(
    params: Params, recordings: Recordings, *, clips_per_machine: int = 10
) -> pd.DataFrame:
    """How much power every front-end takes away from test clips, over all machines.

    Returns
    -------
    DataFrame with front_end and attenuation: minus the mean of 10 log10(out / P_n) over clips, in
    dB, both powers summed over the clip; no rows without test clips.
    """
    names = [name for name in parts(params.front_ends) if name != "far"]
    found: dict[str, list[float]] = {name: [] for name in names}
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        denoisers = {n: Unit(params, machine, n, clips).denoiser() for n in names}
        test = clips[clips["split"] == "test"].head(clips_per_machine)
        for signal in dataset.read_all(test, params.spectra):
            spectrum = stft(signal, params.spectra)
            near = power(spectrum[0]).sum()
            for name, denoise in denoisers.items():
                found[name].append(-10 * float(np.log10(denoise(spectrum).sum() / near)))
    rows = [(name, np.mean(values)) for name, values in found.items() if values]
    return pd.DataFrame(rows, columns=["front_end", "attenuation"])


def removal(params: Params, recordings: Recordings) -> pd.DataFrame:
    """How much noise and how much machine sound every front-end takes away, from known truth.

    The front-end's gain, found on the mixture, is applied to the true noise and the true machine
    sound at the near microphone.

    Returns
    -------
    DataFrame with machine, front_end, noise and machine_sound: dB removed; no rows where no
    truth was written.
    """
    rows = []
    names = [name for name in parts(params.front_ends) if name not in ("near", "far")]
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        denoisers = {n: Unit(params, machine, n, clips).denoiser() for n in names}
        kept = {n: np.zeros(2) for n in names}
        there = np.zeros(2)
        for clip, truth in truths(params, recordings, machine):
            spectrum = stft(dataset.read(clip["path"], params.spectra), params.spectra)
            near = power(spectrum[0])
            parts_near = np.stack([truth.noise[0], truth.machine[0]]).astype(np.float32)
            components = power(stft(parts_near, params.spectra))
            there += components.sum(axis=(1, 2))
            for name, denoise in denoisers.items():
                gain = denoise(spectrum) / np.maximum(near, 1e-20)
                kept[name] += (gain * components).sum(axis=(1, 2))
        if there.all():
            for name in names:
                noise, sound = -decibels(kept[name] / there)
                rows.append([machine, name, noise, sound])
    return pd.DataFrame(rows, columns=["machine", "front_end", "noise", "machine_sound"])
