"""What is known of the recordings: ground truth, levels and noise transfer, single clips.

Ground truth is that of the embedded scenes, where it was written beside the recordings. Levels and
the noise transfer G_m are measured, and compared with the truth where it is known.
Notebooks: 01_far_microphone, 06_decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Complex, Float

from asdlib import dataset
from asdlib.frontends import FrontEnd, gain, trained_front_ends
from asdlib.noise import Floors
from asdlib.params import Params, Spectra
from asdlib.simulate import scenes
from asdlib.simulate.sounds import RATE
from asdlib.spectra import decibels, frequencies, istft, power, stft
from asdlib.study import stages
from asdlib.study.recordings import Recordings

HARDER: dict[str, dict[str, Any]] = {
    "as given": {},
    "scattered target": {"target_scatter": 1.4},
    "four target conditions": {"target_conditions": 4},
    "twelve takes": {"takes": 12},
}
"""What real data have and the scenes as given have not, as changes of their parameters."""
_SHOWN, _SHORT = 24, 2.0  # source clips of each, and their seconds


def truths(
    params: Params, recordings: Recordings, machine: str
) -> Iterator[tuple[pd.Series, scenes.Clip]]:
    """Yield every clip of a machine whose ground truth was written, with that truth."""
    for _, clip in recordings.clips(machine).iterrows():
        if (truth := truth_of(params, recordings, clip)) is not None:
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
    bins, found = frequencies(params.spectra), {}
    for machine in recordings.machines:
        if (true := scenes.read_transfer(recordings.root, machine)) is not None:
            levels = np.log10(true["noise_transfer"])
            found[machine] = 10 ** np.interp(bins, true["frequency"], levels)
    return found


def true_snr(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Ratio of machine sound to noise at both microphones, from known truth.

    Returns
    -------
    DataFrame with machine, "machine over noise, near (dB)" and the same for the far microphone, of
    energies summed over clips; no rows where no truth was written.
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
    names = [f"machine over noise, {place} (dB)" for place in ("near", "far")]
    return pd.DataFrame(rows, columns=["machine", *names])


def harder(params: Params, machine: str) -> pd.DataFrame:
    """Training clips of a machine on scenes as given, and on scenes that are harder.

    Returns
    -------
    DataFrame with scenes (what is harder), domain, level (of the machine alone at the near
    microphone, dB of full scale) and centroid (of its power over frequency, kHz), a row per clip.
    """
    rows, sizes = [], Spectra(sample_rate=RATE)
    khz = frequencies(sizes) / 1000
    for kind, changes in HARDER.items():
        own = params.scenes.model_copy(update={"seconds": _SHORT} | changes)
        counts = {"source": _SHOWN, "target": own.train_target}
        for domain, index in ((d, i) for d, count in counts.items() for i in range(count)):
            sound = scenes.render(machine, "train", domain, "normal", index, own).machine[0]
            spectrum = power(stft(sound.astype(np.float32), sizes)).mean(axis=1)
            centroid = float(spectrum @ khz / spectrum.sum())
            rows.append([kind, domain, float(decibels(np.mean(sound**2))), centroid])
    return pd.DataFrame(rows, columns=["scenes", "domain", "level", "centroid"])


def denoisers(
    params: Params, recordings: Recordings, machine: str, names: Sequence[str]
) -> dict[str, FrontEnd]:
    """Return front-ends that are fitted on the machine's training-normal clips, by name."""
    clips = recordings.clips(machine)
    return {name: stages.front_end(params, clips, name) for name in names}


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
        transfer, remark = round(float(np.median(fitted.transfer)), 3), ""
        if all(np.array_equal(*x) for x in signals):
            remark = "both channels are the same signal: no noise reference"
        rows.append([machine, round(float(near), 1), round(float(far), 1), transfer, remark])
    columns = ["near (dB)", "far (dB)", "median G", "remark"]
    return pd.DataFrame(rows, columns=["machine", *columns]).set_index("machine")


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
    frequency of the absolute error (both NaN where the truth is not known); follows and reference,
    see :class:`asdlib.noise.Floors`.
    """
    rows = []
    for machine, own in estimated.items():
        truth = true.get(machine, np.full_like(own.transfer, np.nan))
        error = np.abs(decibels(own.transfer) - decibels(truth))
        medians = map(np.median, (own.transfer, truth, error))
        rows.append([machine, *medians, own.follows, own.far_is_reference])
    columns = ["machine", "median G", "true median G", "median error (dB)", "follows", "reference"]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class Example:
    """One clip with everything that a figure or a player needs.

    Attributes
    ----------
    clip : its row of the manifest.
    signal : (2, sample), full scale is 1.
    spectrum : (2, frequency, frame).
    denoised : output power (frequency, frame) of every front-end, by name.
    """

    clip: pd.Series
    signal: Float[np.ndarray, "channel=2 sample"]
    spectrum: Complex[np.ndarray, "channel=2 frequency frame"]
    denoised: dict[str, Float[np.ndarray, "frequency frame"]]

    def sound(self, front_end: str, params: Params) -> Float[np.ndarray, " sample"]:
        """Return the denoised sound: the near spectrum after the front-end's gain, phase kept."""
        near = self.spectrum[0]
        amplitude = np.sqrt(gain(self.denoised[front_end], power(near)))
        return istft(amplitude * near, self.signal.shape[1], params.spectra)

    def powers(self) -> dict[str, Float[np.ndarray, "frequency frame"]]:
        """Power spectra (frequency, frame) of both microphones and after every front-end."""
        near, far = power(self.spectrum)
        return {"near": near, "far": far} | self.denoised

    def tracks(
        self, params: Params, truth: scenes.Clip | None = None
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Both microphones, every denoised sound and, where known, the machine alone.

        Parameters
        ----------
        truth : of :func:`asdlib.measure.truth.truth_of`; none: no track of the machine alone.

        Returns
        -------
        Mapping of near, far, front-end names and truth to the sound (sample,) and its power
        spectrum (frequency, frame).
        """
        powers, sounds = self.powers(), {"near": self.signal[0], "far": self.signal[1]}
        sounds |= {name: self.sound(name, params) for name in powers if name not in sounds}
        if truth is not None:
            sounds["truth"] = np.asarray(truth.machine[0], np.float32)
            powers["truth"] = power(stft(sounds["truth"], params.spectra))
        return {name: (sound, powers[name]) for name, sound in sounds.items()}


def example(params: Params, recordings: Recordings, machine: str) -> Example:
    """Return the first anomalous test clip of a machine after every front-end of the study.

    Without an anomalous test clip it is the first test clip, without test clips the first clip.
    """
    clips = recordings.clips(machine)
    test = clips[clips["split"] == "test"]
    anomalous = test[test["label"] == "anomaly"]
    clip = (anomalous if len(anomalous) else test if len(test) else clips).iloc[0]
    return take(params, recordings, clip, trained_front_ends(params.front_ends))


def named(
    params: Params, recordings: Recordings, machine: str, name: str, front_ends: Sequence[str]
) -> Example:
    """Return a machine's clip of this name after the named front-ends."""
    clips = recordings.clips(machine)
    return take(params, recordings, clips[clips["name"] == name].iloc[0], front_ends)


def take(params: Params, recordings: Recordings, clip: pd.Series, names: Sequence[str]) -> Example:
    """Return one clip, a row of the manifest, after the named front-ends."""
    signal = dataset.read(clip["path"], params.spectra, content=clip["hash"])
    spectrum = stft(signal, params.spectra)
    fitted = denoisers(params, recordings, clip["machine"], names)
    return Example(clip, signal, spectrum, {name: own(spectrum) for name, own in fitted.items()})
