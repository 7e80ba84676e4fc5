"""Practice recordings of a machine of one's own: eight days of normal sound, then later days.

A day has its own gain of both channels, level of the surroundings and speed of the machine. The
later recordings hold faults of the machine and of the recording itself; their names tell them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

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

_FIRST = datetime(2026, 5, 4, 8)
_GAIN, _NOISE, _SPEED = 0.5, 1.5, 0.003  # standard deviations from day to day: dB, dB, a share

Recording = Float[np.ndarray, "channel=2 sample"]


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
    listed = list(_listed(MACHINES[machine].faults))
    with folders.replacing_folder(out, "OUT") as root, ThreadPoolExecutor(4) as pool:

        def one(at: int) -> None:
            day, when, what = listed[at]
            early, later = f"normal/{when:%Y-%m-%d/%H%M}", f"arriving/{when:%Y-%m-%d_%H%M}_{what}"
            path = root / f"{early if day < DAYS else later}.wav"
            save(path, _recorded(Cell(machine, "own", "source", "", at), params, day, what))
            os.utime(path, (when.timestamp(),) * 2)  # as the recorder would have left it

        list(pool.map(one, range(len(listed))))
    faults = len(listed) - DAYS * PER_DAY - LATER * PER_LATER
    return (
        f"{out / 'normal'}: {DAYS * PER_DAY} normal recordings of {DAYS} days. {out / 'arriving'}: "
        f"{LATER * PER_LATER} normal ones of {LATER} later days, and {faults} with a fault."
    )


def _listed(faults: tuple[str, ...]) -> Iterator[tuple[int, datetime, str]]:
    """Day, time and content of every recording; the last two faults are of the recording itself."""
    known = [(day, "normal") for day in range(DAYS) for _ in range(PER_DAY)]
    known += [(DAYS + later, "normal") for later in range(LATER) for _ in range(PER_LATER)]
    for what in (*faults, "whine", "swapped", "amplified"):
        known += [(DAYS + index % LATER, what) for index in range(PER_FAULT)]
    taken = Counter[int]()
    for day, what in known:
        weeks, weekday = divmod(day, 5)
        yield day, _FIRST + timedelta(weekday, weeks=weeks, minutes=15 * taken[day]), what
        taken[day] += 1


def _recorded(cell: Cell, params: Scenes, day: int, what: str) -> Recording:
    """One recording: what both channels hold."""
    draws = Cell(cell.machine, "day", "", "", day).generator(params.seed, "day").standard_normal(3)
    gain, noise, speed = draws * (_GAIN, _NOISE, _SPEED)
    usual = MACHINES[cell.machine].source[0]
    condition = replace(usual, speed=usual.speed * (1 + speed))
    fault = what if what in MACHINES[cell.machine].faults else None
    clip = composed(cell, params, condition, fault, SEVERITY, noise)
    both, room = clip.mixture, room_of(cell.machine, params)
    if what == "whine":  # a tenth of the machine's amplitude
        t = np.arange(both.shape[1]) / RATE
        tone = 0.14 * LEVEL * np.cos(2 * np.pi * WHINE * t)
        reached = np.sqrt((room.responses["machine"][0] ** 2).sum(axis=-1))
        both = both + (room.gains * reached)[:, None] * tone
    both = both * 10 ** (gain / 20) * (2 if what == "amplified" else 1)
    return both[::-1] if what == "swapped" else both
