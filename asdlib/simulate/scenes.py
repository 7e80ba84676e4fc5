"""The embedded data set: simulated machines in simulated rooms, heard by two microphones.

A machine, a near and a far microphone and four kinds of noise share a shoebox room (image-source
impulse responses of pyroomacoustics: Scheibler, Bezzam, Dokmanic, ICASSP 2018). The parameters can
add a neighbouring machine, which counts as noise. All random numbers
come from generators seeded by the data set's seed and the clip's name. Therefore any clip can be
rendered again on its own, with its parts separate. Notebook: 01_far_microphone.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pandas as pd
import scipy.fft
import soundfile
from jaxtyping import Complex, Float

from asdlib.io import folders, store, wav
from asdlib.io.files import digest, resolve
from asdlib.params import Scenes, Spectra
from asdlib.runtime.process import bar
from asdlib.simulate.machines import FAULT_RANGE, MACHINES, SEVERITY
from asdlib.simulate.noises import noise, real_noise
from asdlib.simulate.rooms import TAPS, Cell, TwoChannels, hear, room_of
from asdlib.simulate.sounds import RATE, Condition, Fault
from asdlib.spectra import power, stft

LEVEL = 0.02  # root mean square of the machine before the channel gains, of full scale: -34 dB
SENSOR_NOISE = 2e-5  # of full scale, independent in each channel: 60 dB below the machine


@dataclass(frozen=True)
class Clip:
    """The separate parts of one clip, at the level of the recording; channel 0 is near.

    Attributes
    ----------
    machine : the machine's sound at both microphones, fault included.
    noise : all noise at both microphones, a neighbouring machine included.
    fault : change that the fault makes: machine minus the same machine without it.
    """

    machine: TwoChannels
    noise: TwoChannels
    fault: TwoChannels

    @property
    def mixture(self) -> TwoChannels:
        """The recording of both microphones."""
        return self.machine + self.noise


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
    cell = Cell(machine, split, domain, label, index)
    draw = cell.generator(params.seed, "fault")
    fault = str(draw.choice(MACHINES[machine].faults)) if label == "anomaly" else None
    severity = draw.uniform(*FAULT_RANGE) * SEVERITY if fault else 0.0
    return composed(cell, params, _condition(cell, params), fault, severity, 0.0)


def composed(
    cell: Cell, params: Scenes, condition: Condition, fault: Fault, severity: float, louder: float
) -> Clip:
    """Put a clip together: a machine in some condition, healthy or not, and its noise.

    Parameters
    ----------
    cell : names the clip; its random numbers come from it.
    fault : one that the machine knows.
    severity : 1 is the fully developed fault.
    louder : level of all noise above the usual one, dB.
    """
    room, spec, take = room_of(cell.machine, params), MACHINES[cell.machine], _take(cell, params)
    samples = int(params.seconds * spec.lengths[cell.index % len(spec.lengths)] * RATE)
    scatter = params.target_scatter if cell.domain == "target" else 1.0
    loudness = 10 ** (scatter * take.generator(params.seed, "level").uniform(-2, 2) / 20)

    def sound(with_fault: Fault) -> np.ndarray:
        rng = take.generator(params.seed, "machine")
        damage = cell.generator(params.seed, "damage")
        return loudness * spec.sound(rng, damage, samples, condition, with_fault, severity)

    length = scipy.fft.next_fast_len(samples + TAPS, real=True)
    heard = room.spectra("machine", length)
    whole = hear([(sound(fault), heard[0])], samples, length)
    healthy = hear([(sound(None), heard[0])], samples, length) if fault else whole
    around = noise(cell, params, room, samples, length)
    gains = LEVEL * room.gains[:, None]
    hiss = cell.generator(params.seed, "sensor").standard_normal((2, samples))
    level = 10 ** ((louder - spec.snr) / 20)
    return Clip(
        gains * whole,
        gains * level * around + SENSOR_NOISE * room.gains[:, None] * hiss,
        gains * (whole - healthy),
    )


def write(out: Path, params: Scenes = Scenes(), *, progress: bool = False) -> str:
    """Write the data set in the DCASE 2026 layout.

    A finished set of the same parameters is left as it is. Another set in ``out`` is replaced once
    the new one is whole.

    Returns
    -------
    Manifest hash: sixteen hexadecimal digits of all names and contents, without the truth.

    Raises
    ------
    AsdError
        For an unknown machine, an unusable noise or response folder, or an ``out`` that holds
        what asd did not write.
    """
    note = {"params": params.model_dump(mode="json"), "recipe": recipe(params)}
    there = store.load(Path(out) / "scenes.json") or {}
    if there.get("recipe") == note["recipe"]:
        return str(there["manifest"])
    if params.noise_folder is not None:
        real_noise(resolve(params.noise_folder))
    listed = {}
    for name in params.machines or MACHINES:
        room_of(name, params)  # once, not once per thread
        listed[name] = list(cells(name, params))
    count = sum(map(len, listed.values()))
    with (
        folders.replacing_folder(Path(out), "OUT") as root,
        ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,  # the bytes do not depend on it
        bar("writing simulated clips", count, "clip", progress=progress) as shown,
    ):
        for name, clips in listed.items():
            noise = []
            for powers in pool.map(partial(_write_clip, root, params), clips):
                shown.update()
                if powers is not None:
                    noise.append(powers)
            _write_tables(root / name, clips, noise, params)
        digest = hashlib.sha256()
        for path in sorted([*root.glob("*/train/*.wav"), *root.glob("*/test/*.wav")]):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
        manifest = digest.hexdigest()[:16]
        store.save(note | {"manifest": manifest}, root / "scenes.json")
    return manifest


def recipe(params: Scenes) -> str:
    """Name what a set will be: its parameters and the code that makes it."""
    sizes = Spectra().model_dump()  # of the spectra that the true transfer is made of
    return digest([params.model_dump(mode="json"), sizes, store.code("simulate.scenes")])


def read_truth(root: Path, machine: str, stem: str) -> Clip | None:
    """Return the parts of a clip, (2, sample) each, None where they were not written."""
    path = Path(root) / machine / "truth" / f"{stem}.wav"
    if not path.exists():
        return None
    signal, _ = wav.decode(wav.content_of(path))
    return Clip(signal[0:2], signal[2:4], signal[4:6])


def read_transfer(root: Path, machine: str) -> pd.DataFrame | None:
    """Return the true noise transfer of a machine, None where it was not written.

    Returns
    -------
    DataFrame with frequency (Hz), noise_transfer (power, near over far) and msc, the
    magnitude-squared coherence of the noise at both microphones, 0 to 1.
    """
    path = Path(root) / machine / "truth" / "noise_transfer.csv"
    return pd.read_csv(path) if path.exists() else None


def _take(cell: Cell, params: Scenes) -> Cell:
    """The clip whose machine is heard: its own, or one of few that training clips share."""
    if cell.split != "train" or params.takes is None:
        return cell
    return replace(cell, index=cell.index % params.takes)


def _condition(cell: Cell, params: Scenes) -> Condition:
    """The condition of a clip: one of the source's, or one about that of the target.

    Those of the target are 6 % of speed and 4 % of load apart; their names get a letter more.
    """
    own, count = getattr(MACHINES[cell.machine], cell.domain), params.target_conditions
    draw = _take(cell, params).generator(params.seed, "condition")
    if cell.domain == "source":
        return own[draw.integers(len(own))]
    usual, number = own[0], draw.integers(count)
    letter = "" if count == 1 or usual.attributes == "noAttribute" else ascii_lowercase[number]
    step = number - (count - 1) / 2
    speed, load = usual.speed * (1 + 0.06 * step), usual.load * (1 + 0.04 * step)
    return Condition(usual.attributes + letter, speed, load)


def cells(machine: str, params: Scenes) -> Iterator[tuple[Cell, str]]:
    """Yield every clip of a machine's data set with the stem of its file name, training first."""
    for domain, count in (("source", params.train_source), ("target", params.train_target)):
        for index in range(count):
            cell = Cell(machine, "train", domain, "normal", index)
            yield cell, _stem(cell, params, index)
    spec = MACHINES[machine]
    every = product(("source", "target"), ("normal", "anomaly"), range(params.test_per_cell))
    tested = [Cell(machine, "test", *own) for own in every]
    rng = Cell(machine, "test", "", "", 0).generator(params.seed, "order")
    for number, (cell, place) in enumerate(zip(tested, rng.permutation(len(tested)), strict=True)):
        if spec.evaluation:
            yield cell, f"section_00_{place:04d}"
        else:
            yield cell, _stem(cell, params, number if spec.running_index else cell.index)


def _stem(cell: Cell, params: Scenes, number: int) -> str:
    attributes = _condition(cell, params).attributes
    return f"section_00_{cell.domain}_{cell.split}_{cell.label}_{number:04d}_{attributes}"


def _write_clip(
    root: Path, params: Scenes, named: tuple[Cell, str]
) -> Complex[np.ndarray, "3 frequency"] | None:
    """Write one clip (and its truth, if asked for).

    Returns
    -------
    Mean near, far and cross power spectra of a training clip's noise, where the truth needs them.
    """
    cell, stem = named
    clip = render(cell.machine, cell.split, cell.domain, cell.label, cell.index, params)
    save(root / cell.machine / cell.split / f"{stem}.wav", clip.mixture)
    if params.truth < 0 or cell.index < params.truth:
        parts = np.concatenate([clip.machine, clip.noise, clip.fault])
        save(root / cell.machine / "truth" / f"{stem}.wav", parts)
    if cell.split != "train" or not params.truth:
        return None
    near, far = stft(clip.noise)
    return np.stack([power(near), power(far), near * far.conj()]).mean(axis=-1)


def save(path: Path, signal: Float[np.ndarray, "channel sample"]) -> None:
    """Write a WAV file of 16 bits, and the folder for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content, samples = io.BytesIO(), np.clip(signal.T, -1, 1 - 2**-15)
    soundfile.write(content, samples, RATE, format="WAV", subtype="PCM_16")
    path.write_bytes(content.getvalue())


def _write_tables(
    folder: Path, listed: list[tuple[Cell, str]], noise: list[np.ndarray], params: Scenes
) -> None:
    """Write the attribute file of DCASE, and the true labels and noise transfer if asked for."""
    train = [stem for cell, stem in listed if cell.split == "train"]
    pairs = [stem.split("_")[6:] for stem in train]
    if width := max(map(len, pairs)) // 2:
        columns = [f"d{i + 1}{kind}" for i in range(width) for kind in "pv"]
        table = pd.DataFrame(pairs, columns=columns)
        table.insert(0, "file_name", [f"{folder.name}/train/{stem}.wav" for stem in train])
        table.to_csv(folder / "attributes_00.csv", index=False)
    if not params.truth:
        return
    test = [(f"{stem}.wav", c.domain, c.label) for c, stem in listed if c.split == "test"]
    labels = pd.DataFrame(test, columns=["name", "domain", "label"])
    labels.to_csv(folder / "truth" / "labels.csv", index=False)
    near, far, cross = np.mean(noise, axis=0)  # every clip counts the same, long or short
    truth = {
        "frequency": np.linspace(0, RATE / 2, len(near)),
        "noise_transfer": near.real / far.real,
        "msc": power(cross) / (near.real * far.real),
    }
    pd.DataFrame(truth).to_csv(folder / "truth" / "noise_transfer.csv", index=False)
