"""Practice recordings of a machine of one's own: eight days of normal sound, then later days.

A day has its own gain of both channels, level of the surroundings and speed of the machine. The
later recordings hold faults of the machine and of the recording itself; their names tell them.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from asdlib.io import folders
from asdlib.params import AsdError, Scenes
from asdlib.simulate.machines import MACHINES
from asdlib.simulate.rooms import Cell, room_of
from asdlib.simulate.scenes import LEVEL, composed, save
from asdlib.simulate.sounds import RATE

KINDS = {name.removeprefix("Sim").lower(): name for name in MACHINES}
"""Machines to practise with."""

DAYS, PER_DAY = 8, 25
LATER, PER_LATER = 4, 10
PER_FAULT = 4
SEVERITY = 1.2  # of a fault; 1 is the fully developed one
WHINE = 3000.0  # Hz

_FIRST = np.datetime64("2026-05-04T08:00")
_GAIN, _NOISE, _SPEED = 0.5, 1.5, 0.003  # standard deviations from day to day: dB, dB, a share

Recording = Float[np.ndarray, "channel=2 sample"]


class Day(NamedTuple):
    """A day: its number, and what differs in all of its recordings."""

    number: int
    gain: float  # dB, of both channels
    noise: float  # dB, of the surroundings
    speed: float  # of the machine, times the usual one

    @classmethod
    def drawn(cls, number: int, machine: str, seed: int) -> Day:
        """Draw what differs on a day."""
        draws = Cell(machine, "day", "", "", number).generator(seed, "day").standard_normal(3)
        return cls(number, _GAIN * draws[0], _NOISE * draws[1], 1 + _SPEED * draws[2])

    def name(self, index: int) -> list[str]:
        """Date and time of a recording of the day: one every 15 minutes."""
        weeks, weekday = divmod(self.number, 5)
        when = _FIRST + np.timedelta64(7 * weeks + weekday, "D") + np.timedelta64(15 * index, "m")
        return str(when).replace(":", "").split("T")


def write(out: Path, kind: str, seed: int = 0) -> str:
    """Write the folders ``normal``, with a subfolder per day, and ``arriving``.

    Parameters
    ----------
    out : folder; an older set of the same kind is replaced.
    kind : one of :data:`KINDS`.

    Returns
    -------
    A sentence about what was written.

    Raises
    ------
    AsdError
        For another kind, or an ``out`` that holds what asd did not write.
    """
    if kind not in KINDS:
        raise AsdError(f"No simulated machine {kind!r} to practise with: {', '.join(KINDS)}.")
    params, machine = Scenes(seed=seed), KINDS[kind]
    room_of(machine, params)  # once, not once per thread
    days = [Day.drawn(number, machine, seed) for number in range(DAYS + LATER)]
    listed = list(_listed(days, MACHINES[machine].faults))
    with folders.replacing_folder(out, "OUT") as root, ThreadPoolExecutor(4) as pool:

        def one(at: int) -> None:
            name, day, what = listed[at]
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, _recorded(Cell(machine, "own", "source", "", at), params, day, what))
            when = datetime.strptime(re.sub(r"\D", "", name), "%Y%m%d%H%M").timestamp()
            os.utime(path, (when, when))  # as the recorder of that day would have left it

        list(pool.map(one, range(len(listed))))
    faults = len(listed) - DAYS * PER_DAY - LATER * PER_LATER
    return (
        f"{out / 'normal'}: {DAYS * PER_DAY} normal recordings of {DAYS} days. {out / 'arriving'}: "
        f"{LATER * PER_LATER} normal ones of {LATER} later days, and {faults} with a fault."
    )


def _listed(days: list[Day], faults: tuple[str, ...]) -> Iterator[tuple[str, Day, str]]:
    """Name, day and content of every recording; the last two faults are of the recording itself."""
    counts = [PER_DAY] * DAYS + [PER_LATER] * LATER
    known = [(day, "normal") for day, n in zip(days, counts, strict=True) for _ in range(n)]
    for what in (*faults, "whine", "swapped", "amplified"):
        known += [(days[DAYS + index % LATER], what) for index in range(PER_FAULT)]
    taken = Counter[Day]()
    for day, what in known:
        date, time = day.name(taken[day])
        taken[day] += 1
        early = f"normal/{date}/{time}.wav"
        yield early if day.number < DAYS else f"arriving/{date}_{time}_{what}.wav", day, what


def _recorded(cell: Cell, params: Scenes, day: Day, what: str) -> Recording:
    """One recording: what both channels hold."""
    usual = MACHINES[cell.machine].source[0]
    condition = replace(usual, speed=usual.speed * day.speed)
    fault = what if what in MACHINES[cell.machine].faults else None
    clip = composed(cell, params, condition, fault, SEVERITY, day.noise)
    both, room = clip.mixture, room_of(cell.machine, params)
    if what == "whine":  # a tenth of the machine's amplitude
        t = np.arange(both.shape[1]) / RATE
        tone = 0.14 * LEVEL * np.cos(2 * np.pi * WHINE * t)
        reached = np.sqrt((room.responses["machine"][0] ** 2).sum(axis=-1))
        both = both + (room.gains * reached)[:, None] * tone
    both = both * 10 ** (day.gain / 20)
    if what == "amplified":
        both = 2 * both
    return both[::-1] if what == "swapped" else both
