"""Noise of a clip at both microphones: modelled, or cut from a folder of real recordings.

A neighbouring machine, where the parameters ask for one, is part of the noise. It is modelled even
where the other noises are real. Notebook: 01_noise_floor.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

from asdlib.dataset import Problems
from asdlib.io import wav
from asdlib.io.files import resolve
from asdlib.params import AsdError, Scenes
from asdlib.simulate.machines import MACHINES
from asdlib.simulate.rooms import (
    NEIGHBOUR,
    PATH,
    Cell,
    Room,
    TwoChannels,
    hear,
    read_wav,
    steady_sources,
    wavs,
)
from asdlib.simulate.sounds import NOISES, RATE

_SOUND = "a noise clip needs at least 0.1 s of sound that is not silence or constant."
SILENCE = 1e-3  # real noise below -60 dB of full scale is not raised to unit power
# level of each noise at the near microphone, in dB; the mixture depends on the domain
_LEVELS = {
    "source": {"ventilation": 0.0, "cart": -1.0, "compressor": -5.0, "clatter": -6.0},
    "target": {"ventilation": -1.5, "cart": -4.0, "compressor": -2.0, "clatter": -4.0},
}
NEIGHBOUR_DB = 0.0  # the same for a neighbouring machine: as loud as the loudest of the four


def _neighbour(rng: np.random.Generator, samples: int, machine: str) -> np.ndarray:
    """Sound of the healthy neighbour of a machine at unit power, in any of its conditions."""
    spec = MACHINES[MACHINES[machine].neighbour]
    conditions = spec.source + spec.target
    condition = conditions[rng.integers(len(conditions))]
    signal = spec.sound(rng, rng, samples, condition, None, 0.0)
    return signal / np.sqrt(np.mean(signal**2))


def noise(cell: Cell, params: Scenes, room: Room, samples: int, length: int) -> TwoChannels:
    """All noise of a clip, of the order of unit power at the near microphone.

    Parameters
    ----------
    cell : names the clip; every kind of noise has a generator of its own.
    room : of the machine.
    samples : length of the clip at 16 kHz.
    length : of the FFT, at least ``samples`` and the length of an impulse response together.

    Raises
    ------
    AsdError
        For an unusable folder of real noise.
    """
    levels = dict.fromkeys(steady_sources(params), 0.0) or _LEVELS[cell.domain]
    if params.neighbour:
        levels = levels | {NEIGHBOUR: NEIGHBOUR_DB}
    total = np.sqrt(sum(10 ** (level / 10) for level in levels.values()))
    sounds = []
    for name, level in levels.items():
        rng = cell.generator(params.seed, name)
        if name == NEIGHBOUR:
            signal = _neighbour(rng, samples, cell.machine)
        elif params.noise_folder is None:
            # steady sources, where the parameters ask for them, are ventilation too
            signal = NOISES.get(name, NOISES["ventilation"])(rng, samples)
        else:
            signal = _excerpt(rng, samples, params.noise_folder)
        signal = signal * (10 ** ((level + rng.uniform(-3, 3)) / 20) / total)
        heard = room.spectra(name, length)
        if name == "cart" and len(heard) > 1:  # in a corner it stands still
            weights = _along_the_path(rng, samples)
            sounds += [(signal * w, h) for w, h in zip(weights, heard, strict=True) if w.any()]
        else:
            sounds.append((signal, heard[rng.integers(len(heard))]))
    return hear(sounds, samples, length)


def check(folder: str) -> None:
    """Refuse a folder of real noise in which a file cannot be used, before any work.

    Raises
    ------
    asdlib.dataset.Problems
        One sentence per file: unreadable, cut short, NaN, too short, silent or constant.
    """
    paths = wavs(resolve(folder))
    problems = [f"{path}: {wrong}" for path in paths if (wrong := _unusable(path))]
    if problems:
        raise Problems(problems)


def _unusable(path: Path) -> str:
    """What keeps a file from being noise; empty where nothing does."""
    if not path.is_file():
        return "not a file (a folder, a pipe or a broken link)."
    try:
        signal, rate = wav.decode(wav.content_of(path))
    except AsdError as error:
        return str(error).removeprefix(f"{path}: ")
    if bad := np.count_nonzero(~np.isfinite(signal)):
        return f"{bad} samples are NaN or infinite."
    if signal.shape[1] < rate // 10 or not np.ptp(signal, axis=1).any():
        return _SOUND
    if soundfile.info(path).frames != signal.shape[1]:  # excerpts are read where they lie
        return "its header announces no length ('ffmpeg -i OLD NEW.wav' writes a whole file)."
    return ""


def _along_the_path(rng: np.random.Generator, samples: int) -> Float[np.ndarray, "place sample"]:
    """Weight of every place on the cart's path over time: cross-fades as the cart passes."""
    speed = rng.uniform(0.4, 1.0) * rng.choice((-1, 1))  # places per second
    place = rng.uniform(0, PATH - 1) + speed * np.arange(samples) / RATE
    turned = np.abs((place + PATH - 1) % (2 * PATH - 2) - (PATH - 1))
    return np.maximum(1 - np.abs(turned - np.arange(PATH)[:, None]), 0)


def _excerpt(rng: np.random.Generator, samples: int, folder: str) -> np.ndarray:
    """Excerpt of a random recording at unit power; a short one is repeated with cross-fades."""
    files = wavs(resolve(folder))
    path = files[rng.integers(len(files))]
    signal = read_wav(path, seconds=samples / RATE + 0.1, place=rng.random()).mean(axis=1)
    if len(signal) < RATE // 10 or not (np.any(signal) or np.any(read_wav(path))):
        raise AsdError(f"{path}: {_SOUND}")
    fade = min(RATE // 4, len(signal) // 2)
    ramp = np.sqrt(np.linspace(0, 1, fade))  # keeps the power of uncorrelated signals
    whole = signal
    while len(whole) < samples:
        joint = whole[-fade:] * ramp[::-1] + signal[:fade] * ramp
        whole = np.concatenate([whole[:-fade], joint, signal[fade:]])
    start = rng.integers(len(whole) - samples + 1)
    cut = whole[start : start + samples]
    return cut / max(np.sqrt(np.mean(cut**2)), SILENCE)
