"""Truth beside the recordings, written by hand in the layout of the embedded scenes."""

import numpy as np
import pytest
from conftest import small_params, write_wav

from asdlib.measure import truth
from asdlib.study.recordings import open_recordings

RATE = 16000


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


def test_the_snr_is_that_of_energies_summed_over_clips(opened):
    table = truth.true_snr(*opened([(0.1, 0.01, 0.1, 0.1), (0.3, 0.01, 0.1, 0.1)]))
    (row,) = table.to_dict("records")
    assert row["machine"] == "fan"
    assert row["SNR near (dB)"] == pytest.approx(10 * np.log10((1 + 9) / 2), abs=1e-3)
    assert row["SNR far (dB)"] == pytest.approx(-20, abs=1e-3)


def test_only_clips_with_truth_count(opened, tmp_path):
    params, recordings = opened([(0.1, 0.1, 0.1, 0.1), (0.3, 0.3, 0.1, 0.1)])
    first, second = sorted((tmp_path / "data" / "fan" / "truth").iterdir())
    second.unlink()
    assert [clip["name"] for clip, _ in truth.truths(params, recordings, "fan")] == [first.name]
    table = truth.true_snr(params, recordings)
    assert table[["SNR near (dB)", "SNR far (dB)"]].to_numpy() == pytest.approx(0, abs=1e-5)
    first.unlink()
    assert truth.true_snr(params, recordings).empty
    assert truth.truth_of(params, recordings, recordings.manifest.iloc[0]) is None


def test_truth_comes_at_the_rate_of_the_study(opened):
    clips = [(0.1, 0.1, 0.1, 0.1)] * 2
    params, recordings = opened(clips, spectra={"sample_rate": 8000, "resample": True})
    found = truth.truth_of(params, recordings, recordings.manifest.iloc[0])
    assert found.machine.shape == found.noise.shape == found.fault.shape == (2, RATE // 2)
