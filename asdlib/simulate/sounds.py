"""Sounds of machines, healthy and faulty, and what they are made of.

First coloured noise, slow drift, ringing blows, harmonics and bearings, then five kinds of machine
that are built from them. A kind is a function of two generators: ``rng`` draws what a healthy clip
needs, ``damage`` what a fault needs, so that the same clip can be rendered with and without its
fault. Its other arguments are the number of samples, the operating condition, the fault and its
severity. Signals are mono at 16 kHz, of the order of unit power while the machine is active.
Sources: R. B. Randall, Vibration-based Condition Monitoring, Wiley 2011 (bearing and gear
signatures). Notebook: 01_far_microphone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal
from jaxtyping import Float

RATE = 16000  # Hz

Signal = Float[np.ndarray, " sample"]
Rng = np.random.Generator
Fault = str | None
Triples = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Condition:
    """An operating condition: its text in the file name, and speed and load against nominal."""

    attributes: str
    speed: float = 1.0
    load: float = 1.0


Sound = Callable[[Rng, Rng, int, Condition, Fault, float], Signal]


def coloured(rng: Rng, samples: int, slope: float, peaks: Triples = ()) -> Signal:
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
def _colour(samples: int, slope: float, peaks: Triples) -> Float[np.ndarray, " bin"]:
    f = np.fft.rfftfreq(samples, 1 / RATE)
    level = slope * np.log2(np.maximum(f, 50) / 50)
    for centre, width, height in peaks:
        level += height / (1 + ((f - centre) / width) ** 2)
    return (10 ** (level / 20)).astype(np.float32)


def slow(rng: Rng, samples: int, seconds: float) -> Signal:
    """Random drift of zero mean and unit deviation that changes over about ``seconds``."""
    knots = rng.standard_normal(int(samples / RATE / seconds) + 4)
    place = np.linspace(1, len(knots) - 2, samples // 32 + 2)  # 2 ms: far finer than the drift
    left = place.astype(int)
    part = 0.5 - 0.5 * np.cos(np.pi * (place - left))
    coarse = knots[left] * (1 - part) + knots[np.minimum(left + 1, len(knots) - 1)] * part
    return np.interp(np.linspace(0, len(coarse) - 1, samples), np.arange(len(coarse)), coarse)


def ring(samples: int, times: np.ndarray, strengths: np.ndarray, modes: Triples) -> Signal:
    """Impulses that make damped modes ring: modes are (frequency in Hz, decay in s, strength)."""
    impulses = np.zeros(samples)
    place = np.round(times * RATE).astype(int)
    inside = (place >= 0) & (place < samples)
    np.add.at(impulses, place[inside], strengths[inside])
    t = np.arange(int(0.25 * RATE)) / RATE
    response = sum(a * np.exp(-t / decay) * np.sin(2 * np.pi * f * t) for f, decay, a in modes)
    return scipy.signal.oaconvolve(impulses, response)[:samples]


def bearing(rng: Rng, phase: Signal, per_turn: float, resonance: float, race: str) -> Signal:
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


def shaft_phase(rng: Rng, samples: int, frequency: float, wander: float = 0.002) -> Signal:
    """Phase of a shaft in radians, with a slowly wandering speed."""
    instant = frequency * (1 + wander * slow(rng, samples, 0.5))
    return 2 * np.pi * np.cumsum(instant) / RATE + rng.uniform(0, 2 * np.pi)


def harmonics(rng: Rng, phase: Signal, strengths: np.ndarray) -> Signal:
    """Sum of a_h cos(h phase + random), h = 1, 2, ..., by Horner's rule on exp(i phase)."""
    turn = np.exp(1j * phase).astype(np.complex64)
    starts = np.exp(2j * np.pi * rng.random(len(strengths)))
    total = np.zeros_like(turn)
    for weight in (strengths * starts).astype(np.complex64)[::-1]:
        total += weight
        total *= turn
    return total.real.astype(np.float64)


def fan(rng: Rng, damage: Rng, samples: int, c: Condition, fault: Fault, sev: float) -> Signal:
    """Stationary broadband flow noise with tones at the blade passing frequency."""
    shaft = 24.0 * c.speed * (1 + 0.01 * rng.standard_normal())
    phase = shaft_phase(rng, samples, shaft)
    strengths = 0.5 * c.load * np.array([1, 0.6, 0.4, 0.25, 0.15])
    tones = harmonics(rng, 7 * phase, strengths * 10 ** (0.1 * rng.standard_normal(5)))
    flow = 0.75 * c.load * coloured(rng, samples, -4, ((620 * c.speed, 150, 8), (1900, 400, 6)))
    hum = 0.15 * np.cos(2 * np.pi * 100 * np.arange(samples) / RATE)
    more = np.zeros(1)
    if fault == "imbalance":  # the flow pulses once per turn, and the housing shakes
        turn = np.cos(phase + damage.uniform(0, 2 * np.pi))
        flow, more = flow * (1 + 0.7 * sev * turn), 0.4 * sev * turn
    if fault == "blade":  # one blade differs: sidebands at the shaft rate around every tone
        tones = tones * (1 + 0.8 * sev * np.cos(phase + damage.uniform(0, 2 * np.pi)))
        more = harmonics(damage, phase, 0.12 * sev * np.ones(18))
    if fault == "bearing":
        more = 0.45 * sev * bearing(damage, phase, 3.57, 3100, "outer")
    return tones + flow + hum + more


def valve(rng: Rng, damage: Rng, samples: int, c: Condition, fault: Fault, sev: float) -> Signal:
    """Mostly quiet: a solenoid click and a puff of air when it opens, a softer click to close."""
    period = 0.8 / c.speed
    count = int(samples / RATE / period) + 3
    opens = np.cumsum(period * (1 + 0.03 * rng.standard_normal(count))) - rng.uniform(0, period)
    closes = opens + 0.3 * period
    strength = 1 + 0.08 * rng.standard_normal(count)
    bounce, worn = np.zeros(samples), sev if fault == "worn" else 0.0  # seat: softer and lower
    healthy = ((1150.0, 0.012, 1.0), (2700.0, 0.006, 0.8), (4600.0, 0.003, 0.5))
    modes = tuple((f * (1 - 0.18 * worn), d * (1 / (1 + worn)), a) for f, d, a in healthy)
    if fault == "sticking":  # it hesitates, then strikes twice
        opens = opens + 0.06 * sev * damage.uniform(0.5, 1, count)
        bounce = ring(samples, opens + 0.022, 0.7 * sev * strength, modes)
    clicks = ring(samples, opens, strength, modes) + ring(samples, closes, 0.5 * strength, modes)
    t = np.arange(samples) / RATE
    since = t - opens[np.clip(np.searchsorted(opens, t) - 1, 0, None)]
    puff = np.where(since >= 0, np.exp(-np.maximum(since, 0) / (0.05 * c.load)), 0)
    air = coloured(rng, samples, 2, ((3400, 900, 6),))
    signal = 4.0 * clicks + 2.0 * c.load * puff * air + 1.8 * bounce
    if fault == "leak":  # a hiss that does not end when the valve closes
        signal = signal + 0.3 * sev * coloured(damage, samples, 4, ((5200, 900, 8),))
    return signal


def gears(teeth: int, input_turns: float, ratio: float) -> Sound:
    """Return the sound of a gear pair: mesh harmonics with sidebands of both shafts."""

    def sound(
        rng: Rng, damage: Rng, samples: int, c: Condition, fault: Fault, sev: float
    ) -> Signal:
        shaft = input_turns * c.speed * (1 + 0.005 * rng.standard_normal())
        phase = shaft_phase(rng, samples, shaft)
        slow_phase = phase * ratio
        strengths = c.load * np.array([0.8, 0.5, 0.3, 0.15]) * 10 ** (0.1 * rng.standard_normal(4))
        side = 1 + 0.25 * np.cos(phase) + 0.15 * np.cos(slow_phase)
        if fault == "wear":  # more harmonics of the mesh, deeper modulation
            strengths = strengths * (1 + sev * np.array([0.1, 0.9, 1.3, 2.0]))
            side = side + 0.45 * sev * np.cos(phase + 1)
        more = np.zeros(1)
        if fault == "tooth":  # once per turn of the slow shaft the mesh falls silent, then knocks
            gap = np.exp(-(((slow_phase % (2 * np.pi)) - np.pi) ** 2) / (2 * 0.15**2))
            side = side * (1 - 0.8 * min(sev, 1.0) * gap)
            times = np.flatnonzero(np.diff(np.floor((slow_phase + np.pi) / (2 * np.pi)))) / RATE
            blow = ring(samples, times, np.ones(len(times)), ((1700, 0.004, 1), (3600, 0.002, 0.6)))
            more = 1.3 * sev * blow
        if fault == "bearing":
            more = 0.45 * sev * bearing(damage, phase, 4.9, 2700, "inner")
        if fault == "cavitation":  # collapsing bubbles: crackle under the suction half of the turn
            crackle = coloured(damage, samples, 3, ((4300, 1200, 9),))
            gate = np.maximum(np.cos(phase), 0) * (1 + 0.6 * slow(damage, samples, 0.1))
            more = 0.4 * sev * gate * crackle
        mesh = harmonics(rng, teeth * phase, strengths) * side
        rub = 0.35 * coloured(rng, samples, -3, ((1400, 300, 9),))
        return mesh + 0.3 * np.cos(phase) + rub + more

    return sound


def slider(rng: Rng, damage: Rng, samples: int, c: Condition, fault: Fault, sev: float) -> Signal:
    """A carriage to and fro: tones follow its speed, friction hisses, reversals thump."""
    period = 2.0 / c.speed * (1 + 0.02 * rng.standard_normal())
    t = np.arange(samples) / RATE + rng.uniform(0, period)
    stroke = 2 * t / period  # counts strokes; its fraction runs along one stroke
    part = stroke % 1
    velocity = np.clip(np.minimum(part, 1 - part) / 0.2, 0, 1)
    phase = 2 * np.pi * np.cumsum(310 * c.speed * velocity) / RATE
    strengths = 0.45 * np.array([1, 0.7, 0.4, 0.3, 0.2]) * 10 ** (0.1 * rng.standard_normal(5))
    tones = velocity**0.5 * harmonics(rng, phase, strengths)
    hiss = 0.6 * c.load * velocity * coloured(rng, samples, -2, ((2300, 700, 6),))
    turns = np.flatnonzero(np.diff(np.floor(stroke))) / RATE
    modes = ((180, 0.03, 1.0), (420, 0.015, 0.7))
    thump = ring(samples, turns, 1 + 0.1 * rng.standard_normal(len(turns)), modes)
    signal = tones + hiss + 1.5 * thump
    if fault == "friction":  # dry rail: more hiss, and stick-slip squeal at low speed
        squeal_gate = np.exp(-(((velocity - 0.35) / 0.2) ** 2))
        wobble = 2 * np.pi * np.cumsum(2650 + 60 * slow(damage, samples, 0.05)) / RATE
        dry = 0.5 * velocity * coloured(damage, samples, 0, ((3800, 800, 8),))
        signal = signal + sev * (0.35 * squeal_gate * np.cos(wobble) + 0.6 * dry)
    if fault == "rail":  # damage at one place of the rail, passed on every stroke
        where = damage.uniform(0.3, 0.7)
        forth = (np.floor(stroke) % 2) == 0
        along = np.where(forth, part, 1 - part)
        passed = np.flatnonzero(np.diff(np.sign(along - where)) != 0) / RATE
        hit = ring(samples, passed, np.ones(len(passed)), ((950, 0.01, 1), (2200, 0.005, 0.7)))
        signal = signal + 2.0 * sev * hit
    if fault == "loose":  # play in the coupling: a rattle after every reversal
        strikes = (turns[:, None] + 0.02 + np.cumsum(damage.uniform(0.01, 0.02, 7))).ravel()
        fade = np.tile(0.75 ** np.arange(7), len(turns))
        rattle = ring(samples, strikes, fade, ((1350, 0.005, 1), (3100, 0.003, 0.8)))
        signal = signal + 1.4 * sev * rattle
    return signal


def grinder(rng: Rng, damage: Rng, samples: int, c: Condition, fault: Fault, sev: float) -> Signal:
    """A spindle whose speed sinks and whose roar swells as the workpiece comes and goes."""
    cycle = 0.5 + 0.5 * np.tanh(2 * slow(rng, samples, 0.8))
    shaft = 58 * c.speed
    instant = shaft * (1 - 0.08 * c.load * cycle)
    phase = 2 * np.pi * np.cumsum(instant) / RATE
    strengths = np.array([0.5, 0.7, 0.4, 0.35, 0.2, 0.2]) * 10 ** (0.1 * rng.standard_normal(6))
    whine = harmonics(rng, phase, strengths) + 0.3 * np.cos(11 * phase)
    roar = (0.3 + 0.7 * c.load * cycle) * coloured(rng, samples, -1, ((2900, 800, 7),))
    signal = 0.8 * whine + roar
    if fault == "imbalance":
        turn = np.cos(phase + damage.uniform(0, 2 * np.pi))
        signal = signal + sev * (0.5 * turn + 0.5 * roar * turn)
    if fault == "chatter":  # the tool rings against the workpiece under load
        tone = np.cos(2 * np.pi * np.cumsum(1480 + 15 * slow(damage, samples, 0.1)) / RATE)
        signal = signal + 0.6 * sev * cycle * tone * (1 + np.cos(2 * phase))
    if fault == "bearing":
        signal = signal + 0.45 * sev * bearing(damage, phase, 5.4, 4100, "inner")
    return signal
