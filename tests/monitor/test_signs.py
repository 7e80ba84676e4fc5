"""What an engineer has a word for is told in that word: speed, machine off, knocks."""

import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from asdlib.monitor import Monitor, signs
from asdlib.params import Scenes
from asdlib.simulate import scenes
from asdlib.simulate.machines import MACHINES
from asdlib.simulate.rooms import Cell
from asdlib.simulate.sounds import RATE, ring

USUAL = MACHINES["SimPump"].source[0]


def pump(index, speed=1.0):
    """Parts of a recording of 10 s."""
    condition = replace(USUAL, speed=USUAL.speed * speed)
    cell = Cell("SimPump", "own", "source", "", index)
    return scenes.composed(cell, Scenes(seconds=10), condition, None, 0.0, 0.0)


@pytest.fixture(scope="module")
def monitor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pump")
    for index in range(20):
        soundfile.write(folder / f"{index}.wav", pump(index).mixture.T, RATE)
    return Monitor.fit(folder)


def reading(monitor, signal):
    return monitor.score(np.asarray(signal, np.float32), RATE)


def test_another_speed_is_told_in_per_cent(monitor):
    for index in range(30, 33):
        assert not any("speed" in told for told in reading(monitor, pump(index).mixture).reasons)
        for factor in (0.96, 1.04):
            told = reading(monitor, pump(index, factor).mixture).reasons[0]
            per_cent, way = re.match(r"all lines are ([\d.]+) % (\w+) than normal", told).groups()
            assert float(per_cent) == pytest.approx(4, abs=1.5)  # it wanders by half a per cent
            assert way == ("higher" if factor > 1 else "lower")


def test_a_machine_that_is_off_is_told_as_that_and_a_quiet_microphone_is_not(monitor):
    for index in range(40, 43):
        parts = pump(index)
        off = reading(monitor, parts.noise)
        assert (off.alarm, off.reasons) == (True, (signs.OFF,))
        quiet, noisy = parts.mixture * [[0.2], [1]], parts.machine + 3 * parts.noise
        for other in (parts.mixture, quiet, noisy):
            assert signs.OFF not in reading(monitor, other).reasons


def test_knocks_and_pulsation_are_told_with_their_rate(monitor):
    parts = pump(50)
    samples = parts.mixture.shape[1]
    t, rng = np.arange(samples) / RATE, np.random.default_rng(0)
    loud = parts.machine[0].std()
    times = np.arange(0.2, 8, 1 / 3)
    knocks = ring(samples, times, np.ones(len(times)), ((1400, 0.01, 1), (3200, 0.006, 0.7)))
    pulsing = rng.normal(size=samples) * (1 + np.cos(2 * np.pi * 11.5 * t))
    for sound, pattern, value in (
        (3 * knocks, r"knocks at ([\d.]+) per second", 3.0),
        (0.5 * pulsing, r"pulsing at ([\d.]+) Hz", 11.5),
    ):
        found = reading(monitor, parts.mixture + loud * sound * [[1], [0.3]])
        assert found.alarm
        assert float(re.search(pattern, found.reasons[0])[1]) == pytest.approx(value, abs=0.1)
    assert signs.rate(rng.normal(size=samples), 1000, 2000, RATE) == (0.0, False)
