"""What sounds are made of: coloured noise, slow drift, ringing blows, harmonics, bearings.

From these, :mod:`asdlib.simulate.machines` makes machines, and this module the four kinds of noise
around them. Signals are mono at 16 kHz, of the order of unit power. Notebook: 01_noise_floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal
from jaxtyping import Float

RATE = 16000  # Hz

Signal = Float[np.ndarray, " sample"]
Generator = np.random.Generator


def coloured(
    rng: Generator, samples: int, slope: float, peaks: tuple[tuple[float, float, float], ...] = ()
) -> Signal:
    """Gaussian noise of unit power with a spectral slope and resonances.

    Parameters
    ----------
    slope : of the power over frequency, in dB per octave above 50 Hz.
    peaks : (frequency in Hz, width in Hz, height in dB).
    """
    gain = _colour(samples, slope, peaks)
    draws = rng.standard_normal((2, len(gain)), dtype=np.float32)
    signal = scipy.fft.irfft(gain * (draws[0] + 1j * draws[1]), samples).astype(np.float64)
    return signal / np.sqrt(np.mean(signal**2))


@lru_cache(maxsize=64)
def _colour(
    samples: int, slope: float, peaks: tuple[tuple[float, float, float], ...]
) -> Float[np.ndarray, " bin"]:
    f = np.fft.rfftfreq(samples, 1 / RATE)
    level = slope * np.log2(np.maximum(f, 50) / 50)
    for centre, width, height in peaks:
        level += height / (1 + ((f - centre) / width) ** 2)
    return (10 ** (level / 20)).astype(np.float32)


def slow(rng: Generator, samples: int, seconds: float) -> Signal:
    """Random drift of zero mean and unit deviation that changes over about ``seconds``."""
    knots = rng.standard_normal(int(samples / RATE / seconds) + 4)
    place = np.linspace(1, len(knots) - 2, samples // 32 + 2)  # 2 ms: far finer than the drift
    left = place.astype(int)
    part = 0.5 - 0.5 * np.cos(np.pi * (place - left))
    coarse = knots[left] * (1 - part) + knots[np.minimum(left + 1, len(knots) - 1)] * part
    return np.interp(np.linspace(0, len(coarse) - 1, samples), np.arange(len(coarse)), coarse)


def ring(
    samples: int,
    times: np.ndarray,
    strengths: np.ndarray,
    modes: Sequence[tuple[float, float, float]],
) -> Signal:
    """Impulses that make damped modes ring: modes are (frequency in Hz, decay in s, strength)."""
    impulses = np.zeros(samples)
    place = np.round(times * RATE).astype(int)
    inside = (place >= 0) & (place < samples)
    np.add.at(impulses, place[inside], strengths[inside])
    t = np.arange(int(0.25 * RATE)) / RATE
    response = sum(a * np.exp(-t / decay) * np.sin(2 * np.pi * f * t) for f, decay, a in modes)
    return scipy.signal.oaconvolve(impulses, response)[:samples]


def bearing(rng: Generator, phase: Signal, per_turn: float, resonance: float, race: str) -> Signal:
    """Impacts of a damaged race, of unit power.

    Parameters
    ----------
    phase : of the shaft, in radians; the impacts follow its speed, with 1 % slip.
    per_turn : impacts per turn of the shaft.
    resonance : of the housing, in Hz.
    race : "outer" stands still in the load zone: even impacts; "inner" turns through it: impacts
        that swell once per turn.
    """
    turns = (phase - phase[0]) / (2 * np.pi)
    count = int(per_turn * turns[-1]) + 8
    places = np.cumsum(1 + 0.01 * rng.standard_normal(count)) / per_turn
    load = 0.5 * np.cos(2 * np.pi * places + rng.uniform(0, 2 * np.pi))
    strengths = 1 + load if race == "inner" else np.ones(count)
    times = np.interp(places, turns, np.arange(len(phase)) / RATE, right=np.inf)
    heard = np.isfinite(times)
    modes = ((resonance, 0.0015, 1.0), (1.7 * resonance, 0.001, 0.5))
    signal = ring(len(phase), times[heard], strengths[heard], modes)
    return signal / np.sqrt(np.mean(signal**2))


def shaft_phase(rng: Generator, samples: int, frequency: float, wander: float = 0.002) -> Signal:
    """Phase of a shaft in radians, with a slowly wandering speed."""
    instant = frequency * (1 + wander * slow(rng, samples, 0.5))
    return 2 * np.pi * np.cumsum(instant) / RATE + rng.uniform(0, 2 * np.pi)


def harmonics(rng: Generator, phase: Signal, strengths: np.ndarray) -> Signal:
    """Sum of a_h cos(h phase + random), h = 1, 2, ..., by Horner's rule on exp(i phase)."""
    turn = np.exp(1j * phase).astype(np.complex64)
    starts = np.exp(2j * np.pi * rng.random(len(strengths)))
    total = np.zeros_like(turn)
    for weight in (strengths * starts).astype(np.complex64)[::-1]:
        total += weight
        total *= turn
    return total.real.astype(np.float64)


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


NOISES = {
    "ventilation": _ventilation,
    "cart": _cart,
    "compressor": _compressor,
    "clatter": _clatter,
}
