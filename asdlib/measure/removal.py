"""How much every front-end removes: from a cell, from a clip, and from the parts of a clip.

The parts are the true noise, the true machine sound and the true anomaly at the near microphone.
"Removed" has one definition, :func:`energies` and :func:`removed`: the energy of a part before and
after a processing that was fitted on the mixture. Energies are summed over clips before they are
compared. Notebooks: 02_front_ends, 03_phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Complex, Float

from asdlib import frontends, pipeline
from asdlib.frontends import gain
from asdlib.measure.truth import truths
from asdlib.params import Params
from asdlib.spectra import decibels, power, stft
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit

NOISE, MACHINE_SOUND, ANOMALY = range(3)  # order of the parts in Measured.energy

_LEAST_POWER = 1e-20  # -200 dB: keeps the ratios of silent cells finite
_SNR_EDGES = np.arange(-20, 31, 2.5)  # dB, of the bins of the local SNR
_LEAST_CELLS = 50  # a bin of the local SNR with fewer cells is left out

Spectrum = Complex[np.ndarray, "channel frequency frame"]
Power = Float[np.ndarray, "frequency frame"]
Energies = Float[np.ndarray, "state=2 part=3 frequency"]


def energies(
    parts: Iterable[Spectrum], processed: Callable[[Spectrum], Power]
) -> Float[np.ndarray, "state=2 part frequency"]:
    """Energy of every part at the near microphone, before and after a processing.

    Parameters
    ----------
    parts : spectra (channel, frequency, frame), channel 0 is near.
    processed : maps a part to its power (frequency, frame) after the processing.

    Returns
    -------
    (2, part, frequency) : |X|^2 summed over time in float64, before and after.
    """
    pairs = [(power(part[0]), processed(part)) for part in parts]
    sums = [[x.sum(axis=-1, dtype=np.float64) for x in pair] for pair in pairs]
    return np.array(sums).swapaxes(0, 1)


def removed(energy: Float[np.ndarray, "state=2 *parts"]) -> Float[np.ndarray, "*parts"]:
    """Return -10 log10(after / before) in dB, at most 160 dB; NaN where there was nothing before.

    Parameters
    ----------
    energy : of :func:`energies`, before and after.

    >>> removed(np.array([[4.0, 1.0], [2.0, 0.5]])).round(2).tolist()
    [3.01, 3.01]
    """
    before, after = energy
    ratio = np.divide(after, before, out=np.full_like(before, np.nan), where=before > 0)
    return -decibels(ratio)


class Measured(NamedTuple):
    """Energy of one clip's parts at the near microphone, before and after one front-end's gain.

    Attributes
    ----------
    clip : its row of the manifest.
    front_end : its name.
    energy : of noise, machine sound and anomaly, summed over time.
    """

    clip: pd.Series
    front_end: str
    energy: Energies


def measure(params: Params, recordings: Recordings) -> Iterator[Measured]:
    """Apply every front-end's gain, found on the mixture, to the true parts of every clip.

    Yields
    ------
    Measured, for every front-end but near and far and every clip whose truth lies beside it.
    Labels are not read, so clips with concealed labels count too.
    """
    names = _names(params, without=("near", "far"))
    for machine in recordings.machines:
        denoisers = _denoisers(params, recordings, machine, names)
        for clip, truth in truths(params, recordings, machine):
            spectrum = pipeline.spectrum(clip["path"], params.spectra, clip["hash"])
            near = power(spectrum[0])
            sounds = np.stack([truth.noise[:1], truth.machine[:1], truth.fault[:1]])
            components = stft(sounds.astype(np.float32), params.spectra)
            for name, denoise in denoisers.items():
                scaled = partial(_scaled, gain=gain(denoise(spectrum), near))
                yield Measured(clip, name, energies(components, scaled))


def totals(params: Params, recordings: Recordings) -> dict[tuple[str, str], Energies]:
    """Energies of :func:`measure`, summed over clips, per machine and front-end."""
    sums: dict[tuple[str, str], Energies] = {}
    for one in measure(params, recordings):
        key = (one.clip["machine"], one.front_end)
        sums[key] = sums[key] + one.energy if key in sums else one.energy
    return sums


def removal(params: Params, recordings: Recordings) -> pd.DataFrame:
    """How much noise and how much machine sound every front-end removes, from known truth.

    Returns
    -------
    DataFrame with machine, front_end, noise and machine_sound: dB removed, over all clips whose
    truth lies beside them; no rows where no truth was written.
    """
    chosen = [NOISE, MACHINE_SOUND]
    rows = []
    for key, energy in totals(params, recordings).items():
        sums = energy[:, chosen].sum(axis=-1)
        if sums[0].all():
            rows.append([*key, *removed(sums)])
    return pd.DataFrame(rows, columns=["machine", "front_end", "noise", "machine_sound"])


def attenuation(
    params: Params, recordings: Recordings, *, clips_per_machine: int = 10
) -> pd.DataFrame:
    """Attenuation of every front-end against the local SNR P_n / (G_m P_f), over all machines.

    Returns
    -------
    DataFrame with front_end, snr (bin centre, dB), mean, low and high (10 and 90 %) of
    10 log10(out / P_n) over the cells of test clips, in dB; no rows without test clips.
    """
    names = _names(params, without=("near", "far"))
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    snrs = []
    for machine in recordings.machines:
        unit = Unit(params, machine, "near", recordings.clips(machine))
        transfer = unit.floors().transfer[:, None]
        denoisers = _denoisers(params, recordings, machine, names)
        for _, clip in recordings.clips(machine, "test").head(clips_per_machine).iterrows():
            spectrum = pipeline.spectrum(clip["path"], params.spectra, clip["hash"])
            near, far = power(spectrum)
            snrs.append(decibels(near / np.maximum(transfer * far, _LEAST_POWER)).ravel())
            for name, denoise in denoisers.items():
                gains = decibels(gain(denoise(spectrum), near))
                found[name].append(gains.ravel().astype(np.float32))
    columns = ["front_end", "snr", "mean", "low", "high"]
    if not snrs:
        return pd.DataFrame(columns=columns)
    place = np.digitize(np.concatenate(snrs), _SNR_EDGES)
    centres = (_SNR_EDGES[:-1] + _SNR_EDGES[1:]) / 2
    rows = []
    for name, values in found.items():
        gains = np.concatenate(values)
        for i, centre in enumerate(centres, start=1):
            inside = gains[place == i]
            if len(inside) >= _LEAST_CELLS:
                low, high = np.percentile(inside, [10, 90])
                rows.append([name, centre, float(inside.mean()), float(low), float(high)])
    return pd.DataFrame(rows, columns=columns)


def strength(
    params: Params, recordings: Recordings, *, clips_per_machine: int = 10
) -> pd.DataFrame:
    """How much power every front-end removes from test clips, over all machines.

    Returns
    -------
    DataFrame with front_end and attenuation: minus the mean of 10 log10(out / P_n) over clips, in
    dB, both powers summed over the clip; no rows without test clips.
    """
    names = _names(params, without=("far",))
    found: dict[str, list[float]] = {name: [] for name in names}
    for machine in recordings.machines:
        denoisers = _denoisers(params, recordings, machine, names)
        for _, clip in recordings.clips(machine, "test").head(clips_per_machine).iterrows():
            spectrum = pipeline.spectrum(clip["path"], params.spectra, clip["hash"])
            near = power(spectrum[0]).sum()
            for name, denoise in denoisers.items():
                found[name].append(-10 * float(np.log10(denoise(spectrum).sum() / near)))
    rows = [(name, np.mean(values)) for name, values in found.items() if values]
    return pd.DataFrame(rows, columns=["front_end", "attenuation"])


def _names(params: Params, *, without: tuple[str, ...]) -> list[str]:
    """Front-ends of the study, combinations taken apart, without those named."""
    return [name for name in frontends.trained_front_ends(params.front_ends) if name not in without]


def _denoisers(
    params: Params, recordings: Recordings, machine: str, names: list[str]
) -> dict[str, frontends.FrontEnd]:
    """Front-ends fitted on the machine's training-normal clips, by name."""
    clips = recordings.clips(machine)
    return {name: Unit(params, machine, name, clips).denoiser() for name in names}


def _scaled(part: Spectrum, gain: Power) -> Power:
    """Power of a part at the near microphone after a gain."""
    return gain * power(part[0])
