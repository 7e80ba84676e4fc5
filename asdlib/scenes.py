"""The embedded data set: simulated machines in simulated rooms, heard by two microphones.

A machine, a near and a far microphone and four kinds of noise share a shoebox room (image-source
impulse responses of pyroomacoustics: Scheibler, Bezzam, Dokmanic, ICASSP 2018). Everything is drawn
from generators seeded by the data set's seed and the clip's name, so any clip can be rendered
again, alone, with its parts apart. Notebook: 01_noise_floor.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.fft
import soundfile
from jaxtyping import Complex, Float
from tqdm import tqdm

from asdlib import machines
from asdlib.machines import MACHINES, RATE, Condition, coloured, harmonics, ring, slow
from asdlib.params import AsdError, Scenes
from asdlib.spectra import power, stft

LEVEL = 0.02  # root mean square of the machine before the channel gains, of full scale: -34 dB
SENSOR_NOISE = 2e-5  # of full scale, independent in each channel: 60 dB below the machine
MEASURED_FAR_DB = -10.0  # measured pairs are symmetric: this stands for the far one's distance
PATH = 8  # places along the cart's way
TAPS = int(0.3 * RATE)  # length of an impulse response
# level of each noise at the near microphone, in dB; the target domain has another noise
NOISES = {
    "source": {"ventilation": 0.0, "cart": -1.0, "compressor": -5.0, "clatter": -6.0},
    "target": {"ventilation": -1.5, "cart": -4.0, "compressor": -2.0, "clatter": -4.0},
}

TwoChannels = Float[np.ndarray, "channel=2 sample"]


@dataclass(frozen=True)
class Clip:
    """One clip with its parts apart, at the level of the recording; channel 0 is near.

    Attributes
    ----------
    machine : the machine's sound at both microphones, fault included.
    noise : all noise at both microphones.
    fault : what the fault changed: machine minus the same machine without it.
    """

    machine: TwoChannels
    noise: TwoChannels
    fault: TwoChannels

    @property
    def mixture(self) -> TwoChannels:
        """What the microphones record."""
        return self.machine + self.noise


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


def render(
    machine: str, split: str, domain: str, label: str, index: int, params: Scenes = Scenes()
) -> Clip:
    """Render one clip, a pure function of its arguments.

    Returns
    -------
    Clip of (2, sample) arrays at 16 kHz, full scale 1.

    Raises
    ------
    AsdError
        For a machine that is not simulated, or unusable noise or impulse-response folders.
    """
    spec = _specs((machine,))[machine]
    cell = Cell(machine, split, domain, label, index)
    samples = int(params.seconds * spec.lengths[index % len(spec.lengths)] * RATE)
    condition = _condition(cell, params)
    room = _room(machine, params.seed, params.impulse_response_folder)

    draw = cell.generator(params.seed, "fault")
    fault = str(draw.choice(spec.faults)) if label == "anomaly" else None
    severity = draw.uniform(0.4, 1.0) * machines.SEVERITY
    loudness = 10 ** (cell.generator(params.seed, "level").uniform(-2, 2) / 20)

    def sound(with_fault: str | None) -> np.ndarray:
        rng, fault_rng = (cell.generator(params.seed, name) for name in ("machine", "damage"))
        return loudness * spec.sound(rng, fault_rng, samples, condition, with_fault, severity)

    length = scipy.fft.next_fast_len(samples + TAPS, real=True)
    heard = room.spectra("machine", length)
    whole = _place(sound(fault), heard, samples, length)
    healthy = _place(sound(None), heard, samples, length) if fault else whole
    noise = _noise(cell, params, room, samples, length)
    gains = LEVEL * room.gains[:, None]
    hiss = cell.generator(params.seed, "sensor").standard_normal((2, samples))
    level = 10 ** (-spec.snr / 20)
    return Clip(
        gains * whole,
        gains * level * noise + SENSOR_NOISE * room.gains[:, None] * hiss,
        gains * (whole - healthy),
    )


def write(out: Path, params: Scenes = Scenes(), *, progress: bool = False, workers: int = 2) -> str:
    """Write the data set in the DCASE 2026 layout.

    A finished set of the same parameters is left as it is. Files are written into a folder beside
    ``out`` that is renamed at the end, so an interrupted run leaves nothing half done.

    Returns
    -------
    Manifest hash: sixteen hexadecimal digits over all names and contents.

    Raises
    ------
    AsdError
        For an unknown machine, an unusable noise or response folder, or an ``out`` that holds
        something else.
    """
    out = Path(out)
    specs = _specs(params.machines)
    wanted = params.model_dump(mode="json")
    if out.exists() and any(out.iterdir()):
        note = out / "scenes.json"
        stored = json.loads(note.read_text()) if note.exists() else {}
        if stored.get("params") == wanted:
            return stored["manifest"]
        raise AsdError(f"{out}: holds something else already; give a new or an empty folder.")
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    jobs = [(name, cell, stem) for name in specs for cell, stem in _cells(name, params)]
    transfers: dict[str, list[np.ndarray]] = {name: [] for name in specs}
    try:
        for name in specs:
            for folder in ("train", "test", *(["truth"] if params.truth else [])):
                (beside / name / folder).mkdir(parents=True)
            _room(name, params.seed, params.impulse_response_folder)  # once, not once per thread
        with ThreadPoolExecutor(workers) as pool:
            powers = pool.map(lambda job: _write_clip(beside, params, *job), jobs)
            bar = tqdm(powers, "writing scenes", len(jobs), unit="clip", disable=not progress)
            for (name, cell, _), noise in zip(jobs, bar, strict=True):
                if cell.split == "train":
                    transfers[name].append(noise)
        for name in specs:
            _write_tables(beside / name, name, transfers[name], params)
        digest = _digest(beside)
        (beside / "scenes.json").write_text(json.dumps({"params": wanted, "manifest": digest}))
        if out.exists():
            out.rmdir()
        out.parent.mkdir(parents=True, exist_ok=True)
        os.replace(beside, out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return digest


def read_truth(root: Path, machine: str, stem: str) -> Clip | None:
    """Read the parts of a clip back, where they were written: (2, sample) each."""
    path = Path(root) / machine / "truth" / f"{stem}.wav"
    if not path.exists():
        return None
    signal, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return Clip(signal.T[0:2], signal.T[2:4], signal.T[4:6])


def read_transfer(root: Path, machine: str) -> pd.DataFrame | None:
    """Read the true noise transfer back: columns frequency (Hz) and noise_transfer (power)."""
    path = Path(root) / machine / "truth" / "noise_transfer.csv"
    return pd.read_csv(path) if path.exists() else None


@dataclass(frozen=True)
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

    @lru_cache  # noqa: B019  # rooms live as long as the process
    def spectra(self, source: str, length: int) -> Complex[np.ndarray, "place channel=2 bin"]:
        """Transfer functions for an FFT of ``length``."""
        return scipy.fft.rfft(self.responses[source], length)

    __hash__ = object.__hash__


@lru_cache
def _room(machine: str, seed: int, folder: str | None) -> Room:
    rng = Cell(machine, "", "", "", 0).generator(seed, "room")
    gains = 10 ** (rng.uniform(-6, 6, 2) / 20)
    raw = _simulated(rng) if folder is None else _measured(rng, Path(folder))
    responses = {}
    for name, response in raw.items():
        energy = np.mean(np.sum(response[:, 0] ** 2, axis=-1))
        responses[name] = response / np.sqrt(energy)
    return Room(responses, gains)


_PLACES = {"machine": 1, "ventilation": 1, "cart": PATH, "compressor": 1, "clatter": 4}


def _simulated(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Impulse responses of a shoebox room: the machine at one end, most noise at the other."""
    import pyroomacoustics as pra

    pra.constants.set("num_threads", 1)  # sums in one order: the same bits on every machine
    size = rng.uniform((6.5, 5.0, 3.0), (10.0, 8.0, 4.0))
    absorption, order = pra.inverse_sabine(rng.uniform(0.25, 0.45), size)
    room = pra.ShoeBox(size, fs=RATE, materials=pra.Material(absorption), max_order=min(order, 12))
    length, width, height = size
    machine = np.array([rng.uniform(1.2, 1.8), width * rng.uniform(0.35, 0.65), 1.0])
    angle = rng.uniform(-0.9, 0.9)
    near = machine + rng.uniform(0.35, 0.55) * np.array([np.cos(angle), np.sin(angle), 0.3])
    far = machine + np.array([rng.uniform(2.6, 3.8), rng.uniform(-0.8, 0.8), 0.5])
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
    for position in (p for group in places.values() for p in group):
        room.add_source(np.clip(position, 0.2, size - 0.2))
    room.add_microphone_array(np.stack([near, far], axis=1))
    room.compute_rir()
    order_of = iter(range(len(room.sources)))
    return {
        name: np.array([[_cut(mic[s]) for mic in room.rir] for s in islice(order_of, len(group))])
        for name, group in places.items()
    }


def _measured(rng: np.random.Generator, folder: Path) -> dict[str, np.ndarray]:
    """Two-channel responses from a folder, one file for every place of every source."""
    files = _wavs(folder)
    count = sum(_PLACES.values())
    chosen = iter(rng.choice(len(files), count, replace=len(files) < count))
    responses = {}
    for name, places in _PLACES.items():
        pairs = []
        for _ in range(places):
            path = files[next(chosen)]
            signal = _read(path)
            if signal.shape[1] != 2:
                raise AsdError(
                    f"{path}: {signal.shape[1]} channel(s); an impulse response needs 2, near and "
                    "far."
                )
            pairs.append([_cut(channel) for channel in signal.T])
        responses[name] = np.array(pairs)
    responses["machine"][:, 1] *= 10 ** (MEASURED_FAR_DB / 20)
    return responses


def _cut(response: np.ndarray) -> np.ndarray:
    kept = np.zeros(TAPS)
    kept[: min(TAPS, len(response))] = response[:TAPS]
    return kept


def _place(
    signals: Float[np.ndarray, "*place sample"],
    heard: Complex[np.ndarray, "place channel=2 bin"],
    samples: int,
    length: int,
) -> TwoChannels:
    """Let every place's signal travel to both microphones."""
    spectra = scipy.fft.rfft(np.atleast_2d(signals), length)
    return scipy.fft.irfft(np.einsum("pk,pck->ck", spectra, heard), length)[:, :samples]


def _noise(cell: Cell, params: Scenes, room: Room, samples: int, length: int) -> TwoChannels:
    """All noise of a clip: unit power at the near microphone on average."""
    levels = NOISES[cell.domain]
    total = np.sqrt(sum(10 ** (level / 10) for level in levels.values()))
    mixed = np.zeros((2, samples))
    for name, level in levels.items():
        rng = cell.generator(params.seed, name)
        if params.noise_folder is None:
            signal = _MODELLED[name](rng, samples)
        else:
            signal = _excerpt(rng, samples, params.noise_folder)
        gain = 10 ** ((level + rng.uniform(-3, 3)) / 20) / total
        places = _PLACES[name]
        if name == "cart":
            signals = signal * _along_the_path(rng, samples)
        elif name == "clatter":
            signals = np.zeros((places, samples))
            signals[rng.integers(places)] = signal
        else:
            signals = signal
        mixed += gain * _place(signals, room.spectra(name, length), samples, length)
    return mixed


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
    return (0.1 + 0.9 * on) * (0.5 * hum + 0.7 * coloured(rng, samples, -1, ((3300, 900, 6),)))


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
    files = _wavs(Path(folder))
    signal = _noise_clip(files[rng.integers(len(files))])
    fade = min(RATE // 4, len(signal) // 2)
    ramp = np.linspace(0, 1, fade)
    whole = signal
    while len(whole) < samples:
        joint = whole[-fade:] * (1 - ramp) + signal[:fade] * ramp
        whole = np.concatenate([whole[:-fade], joint, signal[fade:]])
    start = rng.integers(len(whole) - samples + 1)
    cut = whole[start : start + samples]
    return cut / max(np.sqrt(np.mean(cut**2)), 1e-9)


@lru_cache(maxsize=256)
def _noise_clip(path: Path) -> np.ndarray:
    signal = _read(path).mean(axis=1)
    if len(signal) < RATE // 10 or not np.any(signal):
        raise AsdError(f"{path}: a noise clip needs at least 0.1 s of sound that is not silence.")
    return signal


@lru_cache
def _wavs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise AsdError(f"{folder}: no such folder.")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".wav")
    if not files:
        raise AsdError(f"{folder}: holds no wav.")
    return files


def _read(path: Path) -> Float[np.ndarray, "sample channel"]:
    try:
        signal, rate = soundfile.read(path, always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AsdError(f"{path}: cannot be read as audio ({error}).") from None
    if rate == RATE:
        return signal
    import soxr

    return soxr.resample(signal, rate, RATE)


def _specs(names: tuple[str, ...]) -> dict[str, machines.MachineSpec]:
    for name in names:
        if name not in MACHINES:
            raise AsdError(f"No simulated machine {name!r}; there are {', '.join(MACHINES)}.")
    return {name: MACHINES[name] for name in names or MACHINES}


def _condition(cell: Cell, params: Scenes) -> Condition:
    conditions = getattr(MACHINES[cell.machine], cell.domain)
    return conditions[cell.generator(params.seed, "condition").integers(len(conditions))]


def _cells(machine: str, params: Scenes) -> Iterator[tuple[Cell, str]]:
    """Every clip of a machine with the stem of its file name."""
    for domain, count in (("source", params.train_source), ("target", params.train_target)):
        for index in range(count):
            cell = Cell(machine, "train", domain, "normal", index)
            yield cell, _stem(cell, params, index)
    spec, test = MACHINES[machine], params.test_per_cell
    cells = [
        Cell(machine, "test", domain, label, index)
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
        for index in range(test)
    ]
    order = Cell(machine, "test", "", "", 0).generator(params.seed, "order").permutation(len(cells))
    for number, (cell, place) in enumerate(zip(cells, order, strict=True)):
        if spec.evaluation:
            yield cell, f"section_00_{place:04d}"
        else:
            yield cell, _stem(cell, params, number if spec.running_index else cell.index)


def _stem(cell: Cell, params: Scenes, number: int) -> str:
    attributes = _condition(cell, params).attributes
    return f"section_00_{cell.domain}_{cell.split}_{cell.label}_{number:04d}_{attributes}"


def _write_clip(root: Path, params: Scenes, name: str, cell: Cell, stem: str) -> np.ndarray:
    """Write one clip (and its truth, if asked for); return its mean noise power spectra."""
    clip = render(name, cell.split, cell.domain, cell.label, cell.index, params)
    _wav(root / name / cell.split / f"{stem}.wav", clip.mixture)
    if params.truth < 0 or cell.index < params.truth:
        parts = np.concatenate([clip.machine, clip.noise, clip.fault])
        _wav(root / name / "truth" / f"{stem}.wav", parts)
    return power(stft(clip.noise)).mean(axis=-1)


def _wav(path: Path, signal: Float[np.ndarray, "channel sample"]) -> None:
    soundfile.write(path, np.clip(signal.T, -1, 1 - 2**-15), RATE, subtype="PCM_16")


def _write_tables(folder: Path, machine: str, noise: list[np.ndarray], params: Scenes) -> None:
    """Attribute file as DCASE has it, and the truth about labels and the noise transfer."""
    cells = list(_cells(machine, params))
    names = [f"{machine}/{c.split}/{stem}.wav" for c, stem in cells if c.split == "train"]
    pairs = [stem.split("_")[6:] for c, stem in cells if c.split == "train"]
    width = max(len(pair) for pair in pairs) // 2
    if width:
        columns = [f"d{i + 1}{kind}" for i in range(width) for kind in "pv"]
        table = pd.DataFrame(pairs, columns=columns)
        table.insert(0, "file_name", names)
        table.to_csv(folder / "attributes_00.csv", index=False)
    if not params.truth:
        return
    test = [(f"{stem}.wav", c.domain, c.label) for c, stem in cells if c.split == "test"]
    labels = pd.DataFrame(test, columns=["name", "domain", "label"])
    labels.to_csv(folder / "truth" / "labels.csv", index=False)
    near, far = np.mean(noise, axis=0)
    frequency = np.linspace(0, RATE / 2, len(near))
    truth = pd.DataFrame({"frequency": frequency, "noise_transfer": near / far})
    truth.to_csv(folder / "truth" / "noise_transfer.csv", index=False)


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.glob("*/t[re]*/*.wav")):
        if path.parent.name != "truth":
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
