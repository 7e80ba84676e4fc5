"""Levels, noise transfer and truth, on signals whose powers are known and truth by hand."""

import numpy as np
import pandas as pd
import pytest
from conftest import small_params, write_wav

from asdlib.measure import truth
from asdlib.noise import Floors
from asdlib.params import load
from asdlib.study.recordings import open_recordings

RATE, SECONDS = 16000, 4


@pytest.fixture
def opened(tmp_path, rng):
    """Write truth of (machine near, machine far, noise near, noise far) amplitudes per clip."""

    def made(amplitudes, **changes):
        for i, levels in enumerate(amplitudes):
            name = f"section_00_source_train_normal_{i:04d}_x.wav"
            parts = rng.choice((-1.0, 1.0), (RATE, 4)) * levels  # squares are known
            mixture = parts[:, :2] + parts[:, 2:]
            write_wav(tmp_path / "data" / "fan" / "train" / name, mixture, subtype="FLOAT")
            parts = np.hstack([parts, np.zeros((RATE, 2))])
            write_wav(tmp_path / "data" / "fan" / "truth" / name, parts, subtype="FLOAT")
        params = small_params(tmp_path, data=str(tmp_path / "data"), **changes)
        return params, open_recordings(params)

    return made


@pytest.fixture
def study(tmp_path):
    """Write training clips (sample, 2) of machines, by name, and the true transfer of some."""

    def made(true=None, **machines):
        for machine, clips in machines.items():
            for i, clip in enumerate(clips):
                name = f"section_00_source_train_normal_{i:04d}_x.wav"
                write_wav(tmp_path / "data" / machine / "train" / name, clip, subtype="FLOAT")
        for machine, ratios in (true or {}).items():
            bins = np.linspace(0, RATE / 2, len(ratios))
            table = pd.DataFrame({"frequency": bins, "noise_transfer": ratios, "msc": 0.5})
            (tmp_path / "data" / machine / "truth").mkdir()
            table.to_csv(tmp_path / "data" / machine / "truth/noise_transfer.csv", index=False)
        params = small_params(tmp_path, data=str(tmp_path / "data"))
        return params, open_recordings(params)

    return made


def pattern(rng):
    """Noise that repeats every 512 samples, one hop: all frames but the outermost are alike."""
    return 0.02 * np.tile(rng.standard_normal(512), RATE * SECONDS // 512)[:, None]


def test_the_snr_is_that_of_energies_summed_over_clips_with_truth(opened, tmp_path):
    params, recordings = opened([(0.1, 0.01, 0.1, 0.1), (0.3, 0.01, 0.1, 0.1)])
    (row,) = truth.true_snr(params, recordings).to_dict("records")
    assert row["machine"] == "fan"
    assert row["machine over noise, near (dB)"] == pytest.approx(
        10 * np.log10((1 + 9) / 2), abs=1e-3
    )
    assert row["machine over noise, far (dB)"] == pytest.approx(-20, abs=1e-3)
    first, second = sorted((tmp_path / "data" / "fan" / "truth").iterdir())
    second.unlink()
    assert [clip["name"] for clip, _ in truth.truths(params, recordings, "fan")] == [first.name]
    (row,) = truth.true_snr(params, recordings).to_dict("records")
    assert row["machine over noise, near (dB)"] == pytest.approx(0, abs=1e-5)
    first.unlink()
    assert truth.true_snr(params, recordings).empty
    assert truth.truth_of(params, recordings, recordings.manifest.iloc[0]) is None
    half = {"sample_rate": 8000, "resample": True}
    params, recordings = opened([(0.1, 0.1, 0.1, 0.1)] * 2, spectra=half)
    found = truth.truth_of(params, recordings, recordings.manifest.iloc[0])
    assert found.machine.shape == found.noise.shape == found.fault.shape == (2, RATE // 2)


def test_levels_are_those_of_the_first_signals(study, rng):
    signs = rng.choice((-1.0, 1.0), (3, RATE, 1))
    gains = ([0.1, 0.01], [0.1, 0.01], [0.5, 0.5])
    opened = study(fan=signs * np.array(gains)[:, None], pump=[sign * [0.1, 0.1] for sign in signs])
    table = truth.levels(*opened, clips_per_machine=2)
    assert table.loc["fan", ["near (dB)", "far (dB)"]].tolist() == [-20, -40]
    assert table.loc["fan", "median G"] == pytest.approx(100, rel=1e-4)
    assert table.loc["fan", "remark"] == ""
    assert table.loc["pump", ["near (dB)", "far (dB)", "median G"]].tolist() == [-20, -20, 1]
    assert "same signal" in table.loc["pump", "remark"]


def test_the_table_holds_medians_over_frequency():
    estimated = {
        "fan": Floors(np.array([1.0, 2.0, 8.0]), np.ones(3), 1e-10),
        "pump": Floors(np.array([3.0, 5.0, 7.0]), np.ones(3), 1e-10),
    }
    table = truth.transfer_table(estimated, {"fan": np.array([2.0, 2.0, 4.0])})
    fan, pump = table.set_index("machine").to_dict("index").values()
    assert (fan["median G"], fan["true median G"]) == (2, 2)
    # errors of 3.01, 0 and 3.01 dB
    assert fan["median error (dB)"] == pytest.approx(10 * np.log10(2))
    assert pump["median G"] == 5
    assert np.isnan([pump["true median G"], pump["median error (dB)"]]).all()


def test_the_true_transfer_is_straight_in_the_logarithm(study, rng):
    clips = [pattern(rng) * [2, 1], pattern(rng) * [2, 1]]
    true = truth.true_transfers(*study(true={"pump": [4.0, 400.0]}, fan=clips, pump=clips))
    assert list(true) == ["pump"]
    assert true["pump"][[0, 256, 512]] == pytest.approx([4, 40, 400])


def test_harder_scenes_scatter_more_and_repeat_takes():
    table = truth.harder(load({"scenes": {"machines": ["SimFan"]}}), "SimFan")
    level = table.groupby(["scenes", "domain"])["level"]
    given, scattered = level.std()["as given"], level.std()["scattered target"]
    assert scattered["target"] > 1.2 * given["target"]
    assert scattered["source"] == given["source"]
    assert level.nunique()["twelve takes", "source"] == 12 < level.nunique()["as given", "source"]
