"""What the far channel's phase takes away, on truth made by hand."""

import numpy as np
import pandas as pd
import pytest
from conftest import small_params, write_wav

from asdlib.measure import phase
from asdlib.study.recordings import open_recordings

RATE, SECONDS = 16000, 4


@pytest.fixture
def study_of(tmp_path, rng):
    """A machine whose noise and sound at both microphones are given by a function of a clip."""

    def make(parts, clips=3):
        for split in ("train", "test"):
            label = "normal" if split == "train" else "anomaly"
            for i in range(clips):
                noise, sound = parts(i)
                stem = f"section_00_source_{split}_{label}_{i:04d}_noAttribute"
                machine = tmp_path / "data" / "fan"
                write_wav(machine / split / f"{stem}.wav", (noise + sound).T)
                truth = np.concatenate([sound, noise, 0 * noise])
                write_wav(machine / "truth" / f"{stem}.wav", truth.T)
        bins = np.linspace(0, 8000, 513)
        table = {"frequency": bins, "noise_transfer": 1.0, "msc": 0.75}
        pd.DataFrame(table).to_csv(tmp_path / "data/fan/truth/noise_transfer.csv", index=False)
        params = small_params(tmp_path, data=str(tmp_path / "data"))
        return params, open_recordings(params)

    return make


def white(rng):
    return 0.05 * rng.standard_normal(RATE * SECONDS)


def coherent(rng, gain):
    """Noise that is the same at both microphones, and a machine that only the near one hears."""

    def parts(i):
        noise, machine = white(rng), 0.1 * white(rng)
        return np.stack([gain(i) * noise, noise]), np.stack([machine, 0 * machine])

    return parts


def test_coherent_noise_goes_and_a_machine_that_is_near_only_stays(study_of, rng):
    params, recordings = study_of(coherent(rng, lambda i: 0.7))
    table = phase.bounds(params, recordings)
    assert (table["bound"].round(2) == 6.02).all()  # -10 log10(1 - 0.75)
    assert (table["noise"] > 20).all()
    assert (table["machine_sound"].abs() < 1).all()
    assert table["frequency"].between(0, 8000).all()
    longer = params.denoising.model_copy(update={"context": 4})
    same = phase.bounds(params.model_copy(update={"denoising": longer}), recordings)
    assert same.equals(table)  # a bound for one weight per bin is held against one weight per bin
    (row,) = phase.fixed(params, recordings).to_dict("records")
    assert row["own noise"] > 25
    assert row["train noise"] > 25
    params, recordings = study_of(coherent(rng, lambda i: (-1) ** i), clips=4)  # turns round
    (row,) = phase.fixed(params, recordings).to_dict("records")
    assert row["own noise"] > 20
    assert abs(row["train noise"]) < 0.5


def leaking(rng):
    """A machine that the far microphone hears too."""
    noise, machine = 0.2 * white(rng), white(rng)
    return np.stack([noise, 0.5 * white(rng)]), np.stack([machine, 0.5 * machine])


def late(rng):
    """Noise that reaches the near microphone two frames after the far one."""
    noise, machine = white(rng), 0.01 * white(rng)
    delayed = np.concatenate([np.zeros(1024), noise[:-1024]])
    return np.stack([delayed, noise]), np.stack([machine, 0 * machine])


def apart(rng):
    """Noise of its own at each microphone."""
    machine = 0.1 * white(rng)
    return np.stack([white(rng), white(rng)]), np.stack([machine, 0 * machine])


@pytest.mark.parametrize(
    ("parts", "vary", "values", "column", "least", "most"),
    [
        (leaking, "level", (-40, 20), "machine_sound", [0, 10], [0.2, 40]),
        (late, "context", (1, 3), "noise", [-1, 15], [0.5, 99]),
        (apart, "seconds", (4.0, 0.3), "noise", [0, 0.3], [0.2, 9]),  # few frames: more freedom
    ],
)
def test_a_sweep_moves_with_what_is_varied(study_of, rng, parts, vary, values, column, least, most):
    table = phase.sweep(*study_of(lambda i: parts(rng)), vary, values)
    assert table[vary].tolist() == list(values)
    assert table[column].between(np.array(least), np.array(most)).all()


def test_gates_keep_a_line_that_both_microphones_hear(study_of, rng):
    """The machine is a tone in one bin; the noise there is predictable from the far channel."""
    tone = 0.05 * np.sin(2 * np.pi * 1000 * np.arange(RATE * SECONDS) / RATE)

    def parts(i):
        noise = white(rng)
        return np.stack([0.7 * noise, noise]), np.stack([tone, 0.3 * tone])

    opened = study_of(parts)
    table = phase.gates(*opened, phase.sweep(*opened, "far_distance", (0.3,), fits=phase.FITS))
    (row,) = table.to_dict("records")  # real recordings: nothing is rendered
    assert row["case"] == "as recorded"
    assert row["plain machine_sound"] > 10
    assert row["gated machine_sound"] < row["plain machine_sound"] - 5
    assert row["gated noise"] > row["plain noise"] - 1


FEW = {"seconds": 2.0, "train_source": 2, "test_per_cell": 1, "machines": ["SimFan"]}


def test_a_far_microphone_that_stands_closer_costs_more_machine_sound(tmp_path):
    params = small_params(tmp_path, scenes=FEW)
    recordings = open_recordings(params)
    table = phase.sweep(params, recordings, "far_distance", (0.8, 4.0)).set_index("far_distance")
    assert table["machine"].tolist() == ["SimFan", "SimFan"]
    assert table.loc[0.8, "machine_sound"] > 2 * table.loc[4.0, "machine_sound"] > 0
    assert table.loc[0.8, "noise"] > table.loc[4.0, "noise"] > 0


def test_without_truth_or_simulated_rooms_there_is_nothing_to_measure(tmp_path, study_of, rng):
    params, recordings = study_of(coherent(rng, lambda i: 1.0))
    assert phase.sweep(params, recordings, "noise_sources", (1,)).empty
    for path in (tmp_path / "data" / "fan" / "truth").iterdir():
        path.unlink()
    assert phase.bounds(params, recordings).empty
    assert phase.sweep(params, recordings, "context", (1,)).empty
    near = phase.sweep(params, recordings, "far_distance", (0.3,), fits=phase.FITS)
    assert phase.gates(params, recordings, near).empty
    assert phase.fixed(params, recordings).empty
    simulated = small_params(tmp_path, scenes=FEW)
    recordings = open_recordings(simulated)
    measured = simulated.scenes.model_copy(update={"impulse_response_folder": "measured"})
    other = simulated.model_copy(update={"scenes": measured})
    assert phase.sweep(other, recordings, "reverberation", (0.3,)).empty
