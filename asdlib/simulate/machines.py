"""The simulated machines: how each sounds, its faults and its operating conditions.

Notebook: 01_far_microphone.
"""

from __future__ import annotations

from dataclasses import dataclass

from asdlib.simulate.sounds import Condition, Sound, fan, gears, grinder, slider, valve

SEVERITY = 1.6  # multiplies every fault's strength: the one knob of the difficulty
FAULT_RANGE = (0.4, 1.0)  # severity drawn per clip; 1 is the fully developed fault of `sound`


@dataclass(frozen=True)
class MachineSpec:
    """A simulated machine type.

    Attributes
    ----------
    sound : a kind of :mod:`asdlib.simulate.sounds`.
    faults : names that ``sound`` knows.
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

    sound: Sound
    faults: tuple[str, ...]
    source: tuple[Condition, ...]
    target: tuple[Condition, ...]
    snr: float
    neighbour: str
    evaluation: bool = False
    lengths: tuple[float, ...] = (1.0,)
    running_index: bool = False


MACHINES: dict[str, MachineSpec] = {
    "SimFan": MachineSpec(
        fan,
        ("imbalance", "blade", "bearing"),
        (Condition("spd_1", 0.9), Condition("spd_2", 1.0), Condition("spd_3", 1.1)),
        (Condition("spd_4", 1.18, 1.1),),
        snr=0.0,
        neighbour="SimPump",
    ),
    "SimGearbox": MachineSpec(
        gears(23, 17.0, 23 / 31),
        ("tooth", "wear", "bearing"),
        (Condition("load_1_pro_a", 1.0, 0.9), Condition("load_2_pro_a", 1.0, 1.1)),
        (Condition("load_3_pro_A", 1.05, 1.15),),
        snr=2.0,
        neighbour="SimFan",
    ),
    "SimSlider": MachineSpec(
        slider,
        ("friction", "rail", "loose"),
        (Condition("noAttribute", 0.9), Condition("noAttribute", 1.05)),
        (Condition("noAttribute", 1.15, 1.1),),
        snr=1.0,
        neighbour="SimGearbox",
        running_index=True,
    ),
    "SimValve": MachineSpec(
        valve,
        ("leak", "sticking", "worn"),
        (Condition("v_1_mic_2_mic_1", 0.9), Condition("v_2_mic_2_mic_1", 1.1)),
        (Condition("v_3_mic_2_mic_1", 1.25, 1.1),),
        snr=-2.0,
        neighbour="SimPump",
    ),
    "SimGrinder": MachineSpec(
        grinder,
        ("imbalance", "chatter", "bearing"),
        (Condition("grit_80", 1.0, 0.9), Condition("grit_120", 1.0, 1.1)),
        (Condition("grit_240", 1.1, 0.85),),
        snr=0.0,
        neighbour="SimGearbox",
        evaluation=True,
        lengths=(0.8, 1.2),
    ),
    "SimPump": MachineSpec(
        gears(9, 24.5, 1.0),
        ("cavitation", "wear", "bearing"),
        (Condition("pow_1", 0.95), Condition("pow_2", 1.05)),
        (Condition("pow_3", 1.12, 1.1),),
        snr=1.0,
        neighbour="SimFan",
        evaluation=True,
        lengths=(0.8,),
    ),
}
