"""One clip with everything that a figure or a player needs.

Notebooks: 02_front_ends, 08_submission.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Complex, Float

from asdlib import dataset
from asdlib.frontends import gain, trained_front_ends
from asdlib.params import Params
from asdlib.simulate import scenes
from asdlib.spectra import istft, power, stft
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit


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
        rest = {name: out for name, out in self.denoised.items() if name not in ("near", "far")}
        return {"near": near, "far": far, **rest}

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
        powers = self.powers()
        sounds = {"near": self.signal[0], "far": self.signal[1]}
        sounds |= {name: self.sound(name, params) for name in powers if name not in sounds}
        found = {name: (sound, powers[name]) for name, sound in sounds.items()}
        if truth is None:
            return found
        machine = np.asarray(truth.machine[0], np.float32)
        return found | {"truth": (machine, power(stft(machine, params.spectra)))}


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
    clips = recordings.clips(clip["machine"])
    signal = dataset.read(clip["path"], params.spectra, content=clip["hash"])
    spectrum = stft(signal, params.spectra)
    denoised = {
        name: Unit(params, clip["machine"], name, clips).denoiser()(spectrum) for name in names
    }
    return Example(clip, signal, spectrum, denoised)
