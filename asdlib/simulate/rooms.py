"""Rooms: impulse responses from the machine and every noise source to both microphones.

Impulse responses come from the image-source model of pyroomacoustics (Scheibler, Bezzam, Dokmanic,
ICASSP 2018) or from a folder of measured ones. A far microphone that is closer than 0.8 m to the
machine stands opposite the near one. With ``corners``, each of the four noises stands still in a
corner of its own; which corner is drawn for each machine. Notebook: 01_far_microphone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice, product
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float

from asdlib import dataset
from asdlib.io.files import resolve
from asdlib.io.folders import some_below
from asdlib.params import AsdError, Scenes, Spectra
from asdlib.simulate.machines import MACHINES
from asdlib.simulate.sounds import RATE

TAPS = int(0.3 * RATE)  # length of an impulse response
MEASURED_FAR_DB = -10.0  # measured pairs are symmetric: the far one is attenuated for its distance
PATH = 8  # places along the cart's path
# most reflections of a simulated ray: where the T60 is drawn, and where the parameters set it
_ORDER_OF_A_DRAWN_T60 = 12
_ORDER_OF_A_SET_T60 = 30
_CORNER_T60 = (0.1, 0.4)  # s, range of the T60 where the noises stand in the corners
# Sabine's equation wants an absorption above 1 for a short T60. With this one, the responses decay
# from -5 to -25 dB as with a T60 of 0.1 s; 0.06 to 0.17 s, depending on the room and the place.
_MOST_ABSORPTION = 0.9
_CORNER = 0.5  # m, from a noise in a corner to both of its walls
_CLOSE = 0.8  # m; a closer far microphone could meet the near one on the same side
NEIGHBOUR = "neighbour"  # the source that is another machine
# sources and the number of their places
_PLACES = {"machine": 1, "ventilation": 1, "cart": PATH, "compressor": 1, "clatter": 4}
ANY_RATE = Spectra(sample_rate=RATE, resample=True)  # what is measured is converted

TwoChannels = Float[np.ndarray, "channel=2 sample"]
Response = Float[np.ndarray, "channel=2 tap"]
Responses = dict[str, Float[np.ndarray, "place channel=2 tap"]]


@dataclass(frozen=True)
class Cell:
    """Machine, split, domain and label of a clip, and its number among clips that share these."""

    machine: str
    split: str
    domain: str
    label: str
    index: int

    def generator(self, seed: int, purpose: str) -> np.random.Generator:
        """Return the clip's own random generator for one purpose."""
        text = f"{self.machine}/{self.split}/{self.domain}/{self.label}/{self.index}/{purpose}"
        return np.random.default_rng([seed, *hashlib.sha256(text.encode()).digest()[:16]])


@dataclass(frozen=True, eq=False)
class Room:
    """Impulse responses from every source to both microphones, and the channels' gains.

    Attributes
    ----------
    responses : source name to (place, 2, tap) at 16 kHz. The near responses of every source have
        unit energy, on average over its places.
    gains : (2,), electrical gain of each channel, in amplitude.
    """

    responses: Responses
    gains: Float[np.ndarray, " channel"]

    @lru_cache(maxsize=16)  # noqa: B019  # one machine's, at two lengths: 20 MB each at 60 s
    def spectra(self, source: str, length: int) -> Complex[np.ndarray, "place channel=2 bin"]:
        """Transfer functions of a source for an FFT of ``length`` samples."""
        return scipy.fft.rfft(self.responses[source].astype(np.float32), length)


@lru_cache
def room_of(machine: str, params: Scenes) -> Room:
    """Return the room of a machine: simulated, or of measured responses from a folder.

    Raises
    ------
    AsdError
        For a machine that is not simulated, or an unusable folder of responses.
    """
    if machine not in MACHINES:
        raise AsdError(f"No simulated machine {machine!r}; there are {', '.join(MACHINES)}.")
    cell, folder = Cell(machine, "", "", "", 0), params.impulse_response_folder
    rng = cell.generator(params.seed, "room")
    gains = 10 ** (rng.uniform(-6, 6, 2) / 20)
    if folder is None:
        responses = _simulated(rng, cell, params)
    else:
        responses = _measured(rng, cell, some_below(resolve(folder)), params)
    for name, response in responses.items():
        energy = np.mean(np.sum(response[:, 0] ** 2, axis=-1))
        responses[name] = response / np.sqrt(energy)
    return Room(responses, gains)


def steady_sources(params: Scenes) -> list[str]:
    """Names of the steady noise sources that take the place of the four kinds; often none."""
    return [f"steady{i}" for i in range(params.noise_sources or 0)]


def _simulated(rng: np.random.Generator, cell: Cell, params: Scenes) -> Responses:
    """Responses of a shoebox room: the machine at one end, most noise at the other."""
    # one generator for each option: none changes what the others draw
    corners, neighbour, steady = (
        cell.generator(params.seed, purpose) for purpose in ("corners", NEIGHBOUR, "steady")
    )
    size = rng.uniform((6.5, 5.0, 3.0), (10.0, 8.0, 4.0))
    length, width, height = size
    room = _walls(rng, corners, size, params)
    machine, microphones = _pair(rng, width, params)
    draw = rng.uniform
    places: dict[str, list[Any]] = {
        "machine": [machine],
        "ventilation": [(length - 0.6, width * draw(0.2, 0.8), height - 0.3)],
        "cart": [(length * draw(0.7, 0.75), width * y, 0.4) for y in np.linspace(0.15, 0.85, PATH)],
        "compressor": [(length - 0.7, 0.7, 0.6)],
        "clatter": [(length * draw(0.45, 0.9), width * draw(0.1, 0.9), 0.9) for _ in range(4)],
    }
    if params.corners:
        ends = [(_CORNER, length - _CORNER), (_CORNER, width - _CORNER)]
        floor = corners.permutation(list(product(*ends)))
        for name, xy in zip(list(places)[1:], floor, strict=True):  # as high as elsewhere
            places[name] = [(*xy, places[name][0][2])]
    if params.neighbour:  # at a side wall, beside the place of a distant far microphone
        side = width * neighbour.choice((0.1, 0.9))
        places[NEIGHBOUR] = [(length * neighbour.uniform(0.5, 0.8), side, 1.0)]
    for name in steady_sources(params):
        places[name] = [size * steady.uniform((0.45, 0.1, 0.15), (0.9, 0.9, 0.9))]
    for position in chain.from_iterable(places.values()):
        room.add_source(np.clip(position, 0.2, size - 0.2))
    room.add_microphone_array(microphones)
    room.compute_rir()
    pairs = map(_cut, zip(*room.rir, strict=True))
    return {name: np.array(list(islice(pairs, len(group)))) for name, group in places.items()}


def _walls(
    rng: np.random.Generator, corners: np.random.Generator, size: np.ndarray, params: Scenes
) -> Any:
    """The empty ``ShoeBox``. Absorption is Sabine's for the T60, at most ``_MOST_ABSORPTION``."""
    import pyroomacoustics as pra

    pra.constants.set("num_threads", 1)  # sums in one order: the same bits on every machine
    t60 = rng.uniform(0.25, 0.45)  # also where the T60 is set: all later draws stay the same
    most = _ORDER_OF_A_DRAWN_T60
    if params.corners:
        t60, most = corners.uniform(*_CORNER_T60), _ORDER_OF_A_SET_T60
    if params.reverberation is not None:
        t60, most = params.reverberation, _ORDER_OF_A_SET_T60
    length, width, height = size
    surface = 2 * (length * width + length * height + width * height)
    speed = 343.0  # m/s, of sound, as in pyroomacoustics
    shortest = 24 * np.log(10) * np.prod(size) / (speed * surface * _MOST_ABSORPTION)
    absorption, order = pra.inverse_sabine(max(t60, shortest), size)
    material = pra.Material(absorption)
    return pra.ShoeBox(size, fs=RATE, materials=material, max_order=min(order, most))


def _pair(
    rng: np.random.Generator, width: float, params: Scenes
) -> tuple[np.ndarray, Float[np.ndarray, "axis microphone"]]:
    """Places of the machine and of the near and the far microphone, in m."""
    machine = np.array([rng.uniform(1.2, 1.8), width * rng.uniform(0.35, 0.65), 1.0])
    angle = rng.uniform(-0.9, 0.9)
    near = machine + rng.uniform(0.35, 0.55) * np.array([np.cos(angle), np.sin(angle), 0.3])
    away = np.array([rng.uniform(2.6, 3.8), rng.uniform(-0.8, 0.8), 0.5])
    if params.far_distance is not None:
        if params.far_distance < _CLOSE:
            away = (near - machine) * (-1, -1, 1)
        away *= params.far_distance / np.linalg.norm(away)
    return machine, np.stack([near, machine + away], axis=1)


def _measured(rng: np.random.Generator, cell: Cell, files: list[Path], params: Scenes) -> Responses:
    """Two-channel responses from files, one for every place of every source.

    The neighbour's file is one that no other source has, as far as there are enough.
    """
    wanted = _PLACES | dict.fromkeys(steady_sources(params), 1)
    count = sum(wanted.values())
    chosen = list(rng.choice(len(files), count, replace=len(files) < count))
    if params.neighbour:
        left = np.setdiff1d(np.arange(len(files)), chosen)
        neighbour = cell.generator(params.seed, NEIGHBOUR)
        chosen.append(neighbour.choice(left if len(left) else len(files)))
        wanted |= {NEIGHBOUR: 1}
    pairs = (_response(files[number]) for number in chosen)
    responses = {name: np.array(list(islice(pairs, count))) for name, count in wanted.items()}
    responses["machine"][:, 1] *= 10 ** (MEASURED_FAR_DB / 20)
    return responses


def _response(path: Path) -> Response:
    """Read a measured response of both microphones."""
    response = _cut(dataset.read(path, ANY_RATE))
    if not np.isfinite(response).all() or not response[0].any():
        wrong = "the near channel (0) is silent, or samples are NaN or infinite"
        raise AsdError(f"{path}: no impulse response: {wrong}.")
    return response


def _cut(pair: tuple[np.ndarray, np.ndarray] | TwoChannels) -> Response:
    """Cut a response at both microphones to ``TAPS``, or pad it with zeros."""
    kept = np.zeros((2, TAPS))
    for own, response in zip(kept, pair, strict=True):
        own[: len(response)] = response[:TAPS]
    return kept


def hear(sounds: list[tuple[np.ndarray, np.ndarray]], samples: int, length: int) -> TwoChannels:
    """Convolve signals with their responses and add them up at both microphones.

    Parameters
    ----------
    sounds : pairs of a signal (sample,) and its transfer function (2, bin) of :meth:`Room.spectra`.
    samples : length of the result.
    length : of the FFT, at least that of a signal and its response together.
    """
    spectrum = np.zeros((2, length // 2 + 1), np.complex64)
    for signal, heard in sounds:
        spectrum += heard * scipy.fft.rfft(signal.astype(np.float32), length)
    return scipy.fft.irfft(spectrum, length)[:, :samples].astype(np.float64)
