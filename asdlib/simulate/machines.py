"""Sounds of simulated machines, healthy and faulty, built from what makes them sound.

Every kind is a function of two generators: one draws what a healthy clip needs, the other what a
fault needs, so that the same clip can be rendered with and without its fault. Signals are mono at
16 kHz, of the order of unit power while the machine is active. Sources: R. B. Randall,
Vibration-based Condition Monitoring, Wiley 2011 (bearing and gear signatures).
Notebook: 01_noise_floor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asdlib.simulate.sounds import (
    RATE,
    Generator,
    Signal,
    bearing,
    coloured,
    harmonics,
    ring,
    shaft_phase,
    slow,
)

SEVERITY = 1.6  # multiplies every fault's strength: the one knob of the difficulty
FAULT_RANGE = (0.4, 1.0)  # severity drawn per clip; 1 is the fully developed fault of `sound`


@dataclass(frozen=True)
class Condition:
    """An operating condition: its text in the file name, and speed and load against nominal."""

    attributes: str
    speed: float = 1.0
    load: float = 1.0


@dataclass(frozen=True)
class MachineSpec:
    """A simulated machine type.

    Attributes
    ----------
    sound : (rng, fault_rng, samples, condition, fault, severity) to a mono signal.
    faults : names that ``sound`` knows, each with the range its severity is drawn from.
    source, target : operating conditions of the two domains.
    snr : nominal level of the machine over the noise, in dB, before the room colours both; a
        machine that rests most of the time lies several dB lower on average. What arrives at the
        microphones is measured in chapter 01.
    neighbour : the other machine type that runs nearby where the parameters ask for one: one with
        strong lines that runs steadily.
    evaluation : test clips are concealed.
    lengths : clip lengths in units of the nominal one, taken in turn.
    running_index : test clips are numbered through, not from 0 in every cell.
    """

    sound: Callable[[Generator, Generator, int, Condition, str | None, float], Signal]
    faults: dict[str, tuple[float, float]]
    source: tuple[Condition, ...]
    target: tuple[Condition, ...]
    snr: float
    neighbour: str
    evaluation: bool = False
    lengths: tuple[float, ...] = (1.0,)
    running_index: bool = False


def fan(
    rng: Generator, fault_rng: Generator, samples: int, c: Condition, fault: str | None, sev: float
) -> Signal:
    """Stationary broadband flow noise with tones at the blade passing frequency."""
    shaft = 24.0 * c.speed * (1 + 0.01 * rng.standard_normal())
    phase = shaft_phase(rng, samples, shaft)
    strengths = (
        0.5 * c.load * np.array([1, 0.6, 0.4, 0.25, 0.15]) * 10 ** (0.1 * rng.standard_normal(5))
    )
    tones = harmonics(rng, 7 * phase, strengths)
    flow = 0.75 * c.load * coloured(rng, samples, -4, ((620 * c.speed, 150, 8), (1900, 400, 6)))
    hum = 0.15 * np.cos(2 * np.pi * 100 * np.arange(samples) / RATE)
    if fault == "imbalance":  # the flow pulses once per turn, and the housing shakes
        turn = np.cos(phase + fault_rng.uniform(0, 2 * np.pi))
        return tones + flow * (1 + 0.7 * sev * turn) + hum + 0.4 * sev * turn
    if fault == "blade":  # one blade differs: sidebands at the shaft rate around every tone
        turn = np.cos(phase + fault_rng.uniform(0, 2 * np.pi))
        ticks = harmonics(fault_rng, phase, 0.12 * sev * np.ones(18))
        return tones * (1 + 0.8 * sev * turn) + flow + hum + ticks
    healthy = tones + flow + hum
    if fault == "bearing":
        return healthy + 0.45 * sev * bearing(fault_rng, phase, 3.57, 3100, "outer")
    return healthy


def valve(
    rng: Generator, fault_rng: Generator, samples: int, c: Condition, fault: str | None, sev: float
) -> Signal:
    """Mostly quiet: a solenoid click and a puff of air when it opens, a softer click to close."""
    period = 0.8 / c.speed
    count = int(samples / RATE / period) + 3
    opens = np.cumsum(period * (1 + 0.03 * rng.standard_normal(count))) - rng.uniform(0, period)
    closes = opens + 0.3 * period
    strength = 1 + 0.08 * rng.standard_normal(count)
    shift, damping = 1.0, 1.0
    if fault == "worn":  # a worn seat: softer and lower
        shift, damping = 1 - 0.18 * sev, 1 / (1 + sev)
    modes: tuple[tuple[float, float, float], ...]
    modes = ((1150.0, 0.012, 1.0), (2700.0, 0.006, 0.8), (4600.0, 0.003, 0.5))
    modes = tuple((f * shift, d * damping, a) for f, d, a in modes)
    if fault == "sticking":  # it hesitates, then strikes twice
        opens = opens + 0.06 * sev * fault_rng.uniform(0.5, 1, count)
        bounce = ring(samples, opens + 0.022, 0.7 * sev * strength, modes)
    else:
        bounce = np.zeros(samples)
    clicks = ring(samples, opens, strength, modes) + ring(samples, closes, 0.5 * strength, modes)
    t = np.arange(samples) / RATE
    since = t - opens[np.clip(np.searchsorted(opens, t) - 1, 0, None)]
    puff = np.where(since >= 0, np.exp(-np.maximum(since, 0) / (0.05 * c.load)), 0)
    air = coloured(rng, samples, 2, ((3400, 900, 6),))
    signal = 4.0 * clicks + 2.0 * c.load * puff * air + 1.8 * bounce
    if fault == "leak":  # a hiss that does not end when the valve closes
        signal = signal + 0.3 * sev * coloured(fault_rng, samples, 4, ((5200, 900, 8),))
    return signal


def gears(teeth: int, input_turns: float, ratio: float):
    """Return the sound of a gear pair: mesh harmonics with sidebands of both shafts."""

    def sound(
        rng: Generator,
        fault_rng: Generator,
        samples: int,
        c: Condition,
        fault: str | None,
        sev: float,
    ) -> Signal:
        shaft = input_turns * c.speed * (1 + 0.005 * rng.standard_normal())
        phase = shaft_phase(rng, samples, shaft)
        slow_phase = phase * ratio
        strengths = c.load * np.array([0.8, 0.5, 0.3, 0.15]) * 10 ** (0.1 * rng.standard_normal(4))
        side = 1 + 0.25 * np.cos(phase) + 0.15 * np.cos(slow_phase)
        if fault == "wear":  # more harmonics of the mesh, deeper modulation
            strengths = strengths * (1 + sev * np.array([0.1, 0.9, 1.3, 2.0]))
            side = side + 0.45 * sev * np.cos(phase + 1)
        tooth = np.zeros(1)
        if fault == "tooth":  # once per turn of the slow shaft the mesh falls silent, then knocks
            gap = np.exp(-(((slow_phase % (2 * np.pi)) - np.pi) ** 2) / (2 * 0.15**2))
            side = side * (1 - 0.8 * min(sev, 1.0) * gap)
            times = np.flatnonzero(np.diff(np.floor((slow_phase + np.pi) / (2 * np.pi)))) / RATE
            blow = ring(samples, times, np.ones(len(times)), ((1700, 0.004, 1), (3600, 0.002, 0.6)))
            tooth = 1.3 * sev * blow
        mesh = harmonics(rng, teeth * phase, strengths) * side
        pulse = 0.3 * np.cos(phase)
        rub = 0.35 * coloured(rng, samples, -3, ((1400, 300, 9),))
        signal = mesh + pulse + rub + tooth
        if fault == "bearing":
            signal = signal + 0.45 * sev * bearing(fault_rng, phase, 4.9, 2700, "inner")
        if fault == "cavitation":  # collapsing bubbles: crackle under the suction half of the turn
            crackle = coloured(fault_rng, samples, 3, ((4300, 1200, 9),))
            gate = np.maximum(np.cos(phase), 0) * (1 + 0.6 * slow(fault_rng, samples, 0.1))
            signal = signal + 0.4 * sev * gate * crackle
        return signal

    return sound


def slider(
    rng: Generator, fault_rng: Generator, samples: int, c: Condition, fault: str | None, sev: float
) -> Signal:
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
        wobble = 2 * np.pi * np.cumsum(2650 + 60 * slow(fault_rng, samples, 0.05)) / RATE
        dry = 0.5 * velocity * coloured(fault_rng, samples, 0, ((3800, 800, 8),))
        signal = signal + sev * (0.35 * squeal_gate * np.cos(wobble) + 0.6 * dry)
    if fault == "rail":  # damage at one place of the rail, passed on every stroke
        where = fault_rng.uniform(0.3, 0.7)
        forth = (np.floor(stroke) % 2) == 0
        along = np.where(forth, part, 1 - part)
        passed = np.flatnonzero(np.diff(np.sign(along - where)) != 0) / RATE
        hit = ring(samples, passed, np.ones(len(passed)), ((950, 0.01, 1), (2200, 0.005, 0.7)))
        signal = signal + 2.0 * sev * hit
    if fault == "loose":  # play in the coupling: a rattle after every reversal
        strikes = (turns[:, None] + 0.02 + np.cumsum(fault_rng.uniform(0.01, 0.02, 7))).ravel()
        fade = np.tile(0.75 ** np.arange(7), len(turns))
        rattle = ring(samples, strikes, fade, ((1350, 0.005, 1), (3100, 0.003, 0.8)))
        signal = signal + 1.4 * sev * rattle
    return signal


def grinder(
    rng: Generator, fault_rng: Generator, samples: int, c: Condition, fault: str | None, sev: float
) -> Signal:
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
        turn = np.cos(phase + fault_rng.uniform(0, 2 * np.pi))
        signal = signal + sev * (0.5 * turn + 0.5 * roar * turn)
    if fault == "chatter":  # the tool rings against the workpiece under load
        tone = np.cos(2 * np.pi * np.cumsum(1480 + 15 * slow(fault_rng, samples, 0.1)) / RATE)
        signal = signal + 0.6 * sev * cycle * tone * (1 + np.cos(2 * phase))
    if fault == "bearing":
        signal = signal + 0.45 * sev * bearing(fault_rng, phase, 5.4, 4100, "inner")
    return signal


def _faults(*names: str, **scaled: float) -> dict[str, tuple[float, float]]:
    """Give every fault its range of severities: the common one, times its own factor."""
    low, high = FAULT_RANGE
    factors = dict.fromkeys(names, 1.0) | scaled
    return {name: (low * factor, high * factor) for name, factor in factors.items()}


MACHINES: dict[str, MachineSpec] = {
    "SimFan": MachineSpec(
        fan,
        _faults("imbalance", "blade", "bearing"),
        (Condition("spd_1", 0.9), Condition("spd_2", 1.0), Condition("spd_3", 1.1)),
        (Condition("spd_4", 1.18, 1.1),),
        snr=0.0,
        neighbour="SimPump",
    ),
    "SimGearbox": MachineSpec(
        gears(23, 17.0, 23 / 31),
        _faults("tooth", "wear", "bearing"),
        (Condition("load_1_pro_a", 1.0, 0.9), Condition("load_2_pro_a", 1.0, 1.1)),
        (Condition("load_3_pro_A", 1.05, 1.15),),
        snr=2.0,
        neighbour="SimFan",
    ),
    "SimSlider": MachineSpec(
        slider,
        _faults("friction", "rail", "loose"),
        (Condition("noAttribute", 0.9), Condition("noAttribute", 1.05)),
        (Condition("noAttribute", 1.15, 1.1),),
        snr=1.0,
        neighbour="SimGearbox",
        running_index=True,
    ),
    "SimValve": MachineSpec(
        valve,
        _faults("leak", "sticking", "worn"),
        (Condition("v_1_mic_2_mic_1", 0.9), Condition("v_2_mic_2_mic_1", 1.1)),
        (Condition("v_3_mic_2_mic_1", 1.25, 1.1),),
        snr=-2.0,
        neighbour="SimPump",
    ),
    "SimGrinder": MachineSpec(
        grinder,
        _faults("imbalance", "chatter", "bearing"),
        (Condition("grit_80", 1.0, 0.9), Condition("grit_120", 1.0, 1.1)),
        (Condition("grit_240", 1.1, 0.85),),
        snr=0.0,
        neighbour="SimGearbox",
        evaluation=True,
        lengths=(0.8, 1.2),
    ),
    "SimPump": MachineSpec(
        gears(9, 24.5, 1.0),
        _faults("cavitation", "wear", "bearing"),
        (Condition("pow_1", 0.95), Condition("pow_2", 1.05)),
        (Condition("pow_3", 1.12, 1.1),),
        snr=1.0,
        neighbour="SimFan",
        evaluation=True,
        lengths=(0.8,),
    ),
}
