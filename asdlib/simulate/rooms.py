"""Rooms and the noise in them: impulse responses to both microphones, and what sounds around.

Impulse responses come from the image-source model of pyroomacoustics (Scheibler, Bezzam, Dokmanic,
ICASSP 2018) or from a folder of measured ones; noise is modelled, or cut from a folder of real
clips. Notebook: 01_noise_floor.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import scipy.fft
import soundfile
from jaxtyping import Complex, Float

from asdlib.files import resolve
from asdlib.params import AsdError, Scenes
from asdlib.simulate.machines import RATE, coloured, harmonics, ring, slow

SILENCE = 1e-3  # real noise below -60 dB of full scale is not raised to unit power
MEASURED_FAR_DB = -10.0  # measured pairs are symmetric: this stands for the far one's distance
PATH = 8  # places along the cart's way
ORDERS = 12, 30  # most reflections that are followed: usually, and where the T60 is asked for
TAPS = int(0.3 * RATE)  # length of an impulse response
# level of each noise at the near microphone, in dB; the target domain has another noise
NOISES = {
    "source": {"ventilation": 0.0, "cart": -1.0, "compressor": -5.0, "clatter": -6.0},
    "target": {"ventilation": -1.5, "cart": -4.0, "compressor": -2.0, "clatter": -4.0},
}

TwoChannels = Float[np.ndarray, "channel=2 sample"]


@dataclass(frozen=True)
class Cell:
    """Where a clip belongs, and its number there."""

    machine: str
    split: str
    domain: str
    label: str
    index: int

    def generator(self, seed: int, purpose: str) -> np.random.Generator:
        """Return the clip's own generator for one purpose."""
        text = f"{self.machine}/{self.split}/{self.domain}/{self.label}/{self.index}/{purpose}"
        return np.random.default_rng([seed, *hashlib.sha256(text.encode()).digest()[:16]])


@dataclass(frozen=True, eq=False)
class Room:
    """Impulse responses from every source to both microphones, and the channels' gains.

    Attributes
    ----------
    responses : source name to (place, 2, tap); the machine's near response has unit energy, and
        so have the near responses of every noise on average over its places.
    gains : (2,), electrical gain of each channel.
    """

    responses: dict[str, Float[np.ndarray, "place channel=2 tap"]]
    gains: Float[np.ndarray, " channel"]

    @lru_cache(maxsize=16)  # noqa: B019  # one machine's, at two lengths: 20 MB each at 60 s
    def spectra(self, source: str, length: int) -> Complex[np.ndarray, "place channel=2 bin"]:
        """Transfer functions for an FFT of ``length``."""
        return scipy.fft.rfft(self.responses[source].astype(np.float32), length)


@lru_cache
def room_of(machine: str, params: Scenes) -> Room:
    """Return the room of a machine: simulated, or of measured responses from a folder."""
    cell, folder = Cell(machine, "", "", "", 0), params.impulse_response_folder
    rng, steady = (cell.generator(params.seed, purpose) for purpose in ("room", "steady"))
    gains = 10 ** (rng.uniform(-6, 6, 2) / 20)
    if folder is None:
        raw = _simulated(rng, steady, params)
    else:
        raw = _measured(rng, resolve(folder), params)
    responses = {}
    for name, response in raw.items():
        energy = np.mean(np.sum(response[:, 0] ** 2, axis=-1))
        responses[name] = response / np.sqrt(energy)
    return Room(responses, gains)


_PLACES = {"machine": 1, "ventilation": 1, "cart": PATH, "compressor": 1, "clatter": 4}


def _steady(params: Scenes) -> list[str]:
    return [f"steady{i}" for i in range(params.noise_sources or 0)]


def _simulated(
    rng: np.random.Generator, steady: np.random.Generator, params: Scenes
) -> dict[str, np.ndarray]:
    """Impulse responses of a shoebox room: the machine at one end, most noise at the other."""
    import pyroomacoustics as pra

    pra.constants.set("num_threads", 1)  # sums in one order: the same bits on every machine
    size = rng.uniform((6.5, 5.0, 3.0), (10.0, 8.0, 4.0))
    drawn, asked = rng.uniform(0.25, 0.45), params.reverberation
    absorption, order = pra.inverse_sabine(asked or drawn, size)
    order = min(order, ORDERS[asked is not None])
    room = pra.ShoeBox(size, fs=RATE, materials=pra.Material(absorption), max_order=order)
    length, width, height = size
    machine = np.array([rng.uniform(1.2, 1.8), width * rng.uniform(0.35, 0.65), 1.0])
    angle = rng.uniform(-0.9, 0.9)
    near = machine + rng.uniform(0.35, 0.55) * np.array([np.cos(angle), np.sin(angle), 0.3])
    away = np.array([rng.uniform(2.6, 3.8), rng.uniform(-0.8, 0.8), 0.5])
    if params.far_distance is not None:
        away *= params.far_distance / np.linalg.norm(away)
    far = machine + away
    along = np.linspace(0.15, 0.85, PATH)
    places: dict[str, list] = {
        "machine": [machine],
        "ventilation": [(length - 0.6, width * rng.uniform(0.2, 0.8), height - 0.3)],
        "cart": [(length * rng.uniform(0.7, 0.75), width * y, 0.4) for y in along],
        "compressor": [(length - 0.7, 0.7, 0.6)],
        "clatter": [
            (length * rng.uniform(0.45, 0.9), width * rng.uniform(0.1, 0.9), 0.9) for _ in range(4)
        ],
    }
    for name in _steady(params):
        places[name] = [size * steady.uniform((0.45, 0.1, 0.15), (0.9, 0.9, 0.9))]
    for position in (p for group in places.values() for p in group):
        room.add_source(np.clip(position, 0.2, size - 0.2))
    room.add_microphone_array(np.stack([near, far], axis=1))
    room.compute_rir()
    order_of = iter(range(len(room.sources)))
    return {
        name: np.array([[_cut(mic[s]) for mic in room.rir] for s in islice(order_of, len(group))])
        for name, group in places.items()
    }


def _measured(rng: np.random.Generator, folder: Path, params: Scenes) -> dict[str, np.ndarray]:
    """Two-channel responses from a folder, one file for every place of every source."""
    files = _wavs(folder)
    wanted = _PLACES | dict.fromkeys(_steady(params), 1)
    count = sum(wanted.values())
    chosen = iter(rng.choice(len(files), count, replace=len(files) < count))
    responses = {}
    for name, places in wanted.items():
        pairs = []
        for _ in range(places):
            path = files[next(chosen)]
            signal = _read(path)
            if signal.shape[1] != 2:
                raise AsdError(
                    f"{path}: {signal.shape[1]} channel(s); an impulse response needs 2, near and "
                    "far."
                )
            if not np.any(signal[:TAPS, 0]):
                raise AsdError(f"{path}: the near channel (0) is silent; it must hold a response.")
            pairs.append([_cut(channel) for channel in signal.T])
        responses[name] = np.array(pairs)
    responses["machine"][:, 1] *= 10 ** (MEASURED_FAR_DB / 20)
    return responses


def _cut(response: np.ndarray) -> np.ndarray:
    kept = np.zeros(TAPS)
    kept[: min(TAPS, len(response))] = response[:TAPS]
    return kept


def hear(sounds: list[tuple[np.ndarray, np.ndarray]], samples: int, length: int) -> TwoChannels:
    """Sum what both microphones hear of (sample,) signals through (2, bin) transfer functions."""
    spectrum = np.zeros((2, length // 2 + 1), np.complex64)
    for signal, heard in sounds:
        spectrum += heard * scipy.fft.rfft(signal.astype(np.float32), length)
    return scipy.fft.irfft(spectrum, length)[:, :samples].astype(np.float64)


def noise(cell: Cell, params: Scenes, room: Room, samples: int, length: int) -> TwoChannels:
    """All noise of a clip, of the order of unit power at the near microphone."""
    levels = dict.fromkeys(_steady(params), 0.0) or NOISES[cell.domain]
    total = np.sqrt(sum(10 ** (level / 10) for level in levels.values()))
    sounds = []
    for name, level in levels.items():
        rng = cell.generator(params.seed, name)
        if params.noise_folder is None:
            signal = _MODELLED.get(name, _ventilation)(rng, samples)
        else:
            signal = _excerpt(rng, samples, params.noise_folder)
        signal = signal * (10 ** ((level + rng.uniform(-3, 3)) / 20) / total)
        heard = room.spectra(name, length)
        if name == "cart":
            weights = _along_the_path(rng, samples)
            sounds += [(signal * w, h) for w, h in zip(weights, heard, strict=True) if w.any()]
        else:
            sounds.append((signal, heard[rng.integers(len(heard))]))
    return hear(sounds, samples, length)


def _along_the_path(rng: np.random.Generator, samples: int) -> Float[np.ndarray, "place sample"]:
    """Cross-fades between the places that the cart passes, in either direction."""
    speed = rng.uniform(0.4, 1.0) * rng.choice((-1, 1))  # places per second
    place = rng.uniform(0, PATH - 1) + speed * np.arange(samples) / RATE
    turned = np.abs((place + PATH - 1) % (2 * PATH - 2) - (PATH - 1))
    return np.maximum(1 - np.abs(turned - np.arange(PATH)[:, None]), 0)


def _ventilation(rng: np.random.Generator, samples: int) -> np.ndarray:
    swell = 10 ** (1.5 * slow(rng, samples, 1.5) / 20)
    return swell * coloured(rng, samples, -5, ((240, 40, 8), (900, 300, 4)))


def _cart(rng: np.random.Generator, samples: int) -> np.ndarray:
    engine = rng.uniform(28, 42)
    phase = 2 * np.pi * np.cumsum(engine * (1 + 0.05 * slow(rng, samples, 0.7))) / RATE
    tones = harmonics(rng, phase, np.arange(1, 24.0) ** -0.7 * (np.arange(1, 24) > 1))
    rumble = coloured(rng, samples, -4, ((1300, 500, 5),))
    swell = 10 ** (3 * slow(rng, samples, 0.6) / 20)
    return swell * (0.45 * tones + 0.8 * rumble)


def _compressor(rng: np.random.Generator, samples: int) -> np.ndarray:
    on = 0.5 + 0.5 * np.tanh(6 * (slow(rng, samples, 1.0) + 0.3))
    phase = 2 * np.pi * 49.3 * np.arange(samples) / RATE
    hum = harmonics(rng, phase, np.arange(1, 13.0) ** -0.5)
    hiss = coloured(rng, samples, -1, ((3300, 900, 6),))
    return (0.1 + 0.9 * on) * (0.5 * hum + 0.7 * hiss)


def _clatter(rng: np.random.Generator, samples: int) -> np.ndarray:
    seconds = samples / RATE
    blows = rng.poisson(1.5 * seconds) + 1
    modes = tuple((rng.uniform(500, 5000), rng.uniform(0.004, 0.03), 1.0) for _ in range(4))
    strengths = rng.uniform(0.3, 1.0, blows)
    return 4.0 * ring(samples, rng.uniform(0, seconds, blows), strengths, modes)


_MODELLED = {
    "ventilation": _ventilation,
    "cart": _cart,
    "compressor": _compressor,
    "clatter": _clatter,
}


def _excerpt(rng: np.random.Generator, samples: int, folder: str) -> np.ndarray:
    """Unit-power excerpt of a random recording; a short one is repeated with cross-fades."""
    files = _wavs(resolve(folder))
    path = files[rng.integers(len(files))]
    signal = _read(path, seconds=samples / RATE + 0.1, place=rng.random()).mean(axis=1)
    if len(signal) < RATE // 10 or not (np.any(signal) or np.any(_read(path))):
        raise AsdError(f"{path}: a noise clip needs at least 0.1 s of sound that is not silence.")
    fade = min(RATE // 4, len(signal) // 2)
    ramp = np.sqrt(np.linspace(0, 1, fade))  # keeps the power of signals that are not alike
    whole = signal
    while len(whole) < samples:
        joint = whole[-fade:] * ramp[::-1] + signal[:fade] * ramp
        whole = np.concatenate([whole[:-fade], joint, signal[fade:]])
    start = rng.integers(len(whole) - samples + 1)
    cut = whole[start : start + samples]
    return cut / max(np.sqrt(np.mean(cut**2)), SILENCE)


@lru_cache
def _wavs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise AsdError(f"{folder}: no such folder.")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".wav")
    if not files:
        raise AsdError(f"{folder}: holds no wav file.")
    return files


def _read(
    path: Path, seconds: float = np.inf, place: float = 0.0
) -> Float[np.ndarray, "sample channel"]:
    """Read at most ``seconds`` at 16 kHz, from a place between 0 (start) and 1 (as late as can)."""
    try:
        with soundfile.SoundFile(path) as file:
            rate, frames = file.samplerate, int(min(file.frames, seconds * file.samplerate))
            file.seek(int(place * (file.frames - frames)))
            signal = file.read(frames, always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AsdError(f"{path}: cannot be read as audio ({error}).") from None
    if rate == RATE:
        return signal
    import soxr

    return soxr.resample(signal, rate, RATE)
