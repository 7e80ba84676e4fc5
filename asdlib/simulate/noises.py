"""Noise of a clip at both microphones: modelled, or cut from a folder of real recordings.

A neighbouring machine, where the parameters ask for one, is part of the noise. It is modelled even
where the other noises are real. Notebook: 01_far_microphone.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

from asdlib import dataset
from asdlib.io import wav
from asdlib.io.files import resolve
from asdlib.io.folders import some_below
from asdlib.params import AsdError, Scenes
from asdlib.simulate import rooms
from asdlib.simulate.machines import MACHINES
from asdlib.simulate.rooms import ANY_RATE, NEIGHBOUR, PATH, Cell, Room, TwoChannels
from asdlib.simulate.sounds import RATE, coloured, harmonics, ring, slow
from asdlib.spectra import resampled

_NEIGHBOUR_DB = 0.0  # the same for a neighbouring machine: as loud as the loudest of the four
_SILENCE = 1e-3  # real noise below -60 dB of full scale is not raised to unit power


def _ventilation(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Steady air noise that swells slowly."""
    swell = 10 ** (1.5 * slow(rng, samples, 1.5) / 20)
    return swell * coloured(rng, samples, -5, ((240, 40, 8), (900, 300, 4)))


def _cart(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Engine tones of a varying speed, and rumble."""
    engine = rng.uniform(28, 42)
    phase = 2 * np.pi * np.cumsum(engine * (1 + 0.05 * slow(rng, samples, 0.7))) / RATE
    tones = harmonics(rng, phase, np.arange(1, 24.0) ** -0.7 * (np.arange(1, 24) > 1))
    rumble = coloured(rng, samples, -4, ((1300, 500, 5),))
    swell = 10 ** (3 * slow(rng, samples, 0.6) / 20)
    return swell * (0.45 * tones + 0.8 * rumble)


def _compressor(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Mains hum and hiss that switch on and off."""
    on = 0.5 + 0.5 * np.tanh(6 * (slow(rng, samples, 1.0) + 0.3))
    phase = 2 * np.pi * 49.3 * np.arange(samples) / RATE
    hum = harmonics(rng, phase, np.arange(1, 13.0) ** -0.5)
    hiss = coloured(rng, samples, -1, ((3300, 900, 6),))
    return (0.1 + 0.9 * on) * (0.5 * hum + 0.7 * hiss)


def _clatter(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Blows at random times that ring in four modes."""
    seconds = samples / RATE
    blows = rng.poisson(1.5 * seconds) + 1
    modes = tuple((rng.uniform(500, 5000), rng.uniform(0.004, 0.03), 1.0) for _ in range(4))
    strengths = rng.uniform(0.3, 1.0, blows)
    return 4.0 * ring(samples, rng.uniform(0, seconds, blows), strengths, modes)


# how a noise sounds, and its level at the near microphone in dB, which depends on the domain
_KINDS = {
    "ventilation": (_ventilation, {"source": 0.0, "target": -1.5}),
    "cart": (_cart, {"source": -1.0, "target": -4.0}),
    "compressor": (_compressor, {"source": -5.0, "target": -2.0}),
    "clatter": (_clatter, {"source": -6.0, "target": -4.0}),
}


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
    steady = dict.fromkeys(rooms.steady_sources(params), 0.0)
    scatter = 3 * (params.target_scatter if cell.domain == "target" else 1)
    levels = steady or {name: level[cell.domain] for name, (_, level) in _KINDS.items()}
    if params.neighbour:
        levels[NEIGHBOUR] = _NEIGHBOUR_DB
    total = np.sqrt(sum(10 ** (level / 10) for level in levels.values()))
    sounds = []
    for name, level in levels.items():
        rng = cell.generator(params.seed, name)
        if name == NEIGHBOUR:
            signal = _neighbour(rng, samples, cell.machine)
        elif params.noise_folder is not None:
            signal = _excerpt(rng, samples, real_noise(resolve(params.noise_folder)))
        else:
            sound, _ = _KINDS["ventilation" if name in steady else name]
            signal = sound(rng, samples)
        signal = signal * (10 ** ((level + rng.uniform(-scatter, scatter)) / 20) / total)
        heard = room.spectra(name, length)
        if name == "cart" and len(heard) > 1:  # in a corner it stands still
            weights = _along_the_path(rng, samples)
            sounds += [(signal * w, h) for w, h in zip(weights, heard, strict=True) if w.any()]
        else:
            sounds.append((signal, heard[rng.integers(len(heard))]))
    return rooms.hear(sounds, samples, length)


def _neighbour(rng: np.random.Generator, samples: int, machine: str) -> np.ndarray:
    """Sound of the healthy neighbour of a machine at unit power, in any of its conditions."""
    spec = MACHINES[MACHINES[machine].neighbour]
    conditions = spec.source + spec.target
    condition = conditions[rng.integers(len(conditions))]
    signal = spec.sound(rng, rng, samples, condition, None, 0.0)
    return signal / np.sqrt(np.mean(signal**2))


def _along_the_path(rng: np.random.Generator, samples: int) -> Float[np.ndarray, "place sample"]:
    """Weight of every place on the cart's path over time: cross-fades as the cart passes."""
    speed = rng.uniform(0.4, 1.0) * rng.choice((-1, 1))  # places per second
    place = rng.uniform(0, PATH - 1) + speed * np.arange(samples) / RATE
    turned = np.abs((place + PATH - 1) % (2 * PATH - 2) - (PATH - 1))
    return np.maximum(1 - np.abs(turned - np.arange(PATH)[:, None]), 0)


@lru_cache
def real_noise(folder: Path) -> list[Path]:
    """List the recordings of a folder of real noise, once every one of them can be used.

    Raises
    ------
    asdlib.dataset.Problems
        One sentence per file: unreadable, cut short, NaN, too short, silent or constant.
    """
    paths = some_below(folder)
    if problems := [f"{path}: {wrong}" for path in paths if (wrong := _unusable(path))]:
        raise dataset.Problems(problems)
    return paths


def _unusable(path: Path) -> str:
    """What keeps a file from being noise; empty where nothing does."""
    try:
        signal, rate = wav.decode(wav.content_of(path))
    except AsdError as error:
        return str(error).removeprefix(f"{path}: ")
    if bad := np.count_nonzero(~np.isfinite(signal)):
        return f"{bad} samples are NaN or infinite."
    if signal.shape[1] < rate // 10 or not np.ptp(signal, axis=1).any():
        return "a noise clip needs at least 0.1 s of sound that is not silence or constant."
    if soundfile.info(path).frames != signal.shape[1]:  # excerpts are read where they lie
        return "its header announces no length ('ffmpeg -i OLD NEW.wav' writes a whole file)."
    return ""


def _excerpt(rng: np.random.Generator, samples: int, files: list[Path]) -> np.ndarray:
    """Excerpt of a random recording at unit power; a short one is repeated with cross-fades."""
    path, place = files[rng.integers(len(files))], rng.random()
    with soundfile.SoundFile(path) as file:  # only the part that is heard, of hours
        frames = int(min(file.frames, (samples / RATE + 0.1) * file.samplerate))
        file.seek(int(place * (file.frames - frames)))
        part, rate = file.read(frames, always_2d=True), file.samplerate
    signal = resampled(part.T, rate, ANY_RATE).mean(axis=0)
    fade = min(RATE // 4, len(signal) // 2)
    ramp = np.sqrt(np.linspace(0, 1, fade))  # keeps the power of uncorrelated signals
    whole = signal
    while len(whole) < samples:
        joint = whole[-fade:] * ramp[::-1] + signal[:fade] * ramp
        whole = np.concatenate([whole[:-fade], joint, signal[fade:]])
    start = rng.integers(len(whole) - samples + 1)
    cut = whole[start : start + samples]
    return cut / max(np.sqrt(np.mean(cut**2)), _SILENCE)
