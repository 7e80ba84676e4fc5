import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asdlib import spectra
from asdlib.params import AsdError, Spectra


@pytest.mark.filterwarnings("default")  # librosa's own
@pytest.mark.parametrize("samples", [16000, 11 * 16000, 16123])
def test_log_mel_equals_librosa(rng, samples):
    import librosa

    signal = (0.1 * rng.standard_normal(samples)).astype(np.float32)
    mel = librosa.feature.melspectrogram(
        y=signal, sr=16000, n_fft=1024, hop_length=512, n_mels=128, pad_mode="constant"
    )
    filters = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=128)
    assert np.array_equal(spectra.mel_filters(16000, 1024, 128), filters)
    expected = librosa.power_to_db(mel, amin=1e-16, top_db=None)
    ours = spectra.log_mel(spectra.power(spectra.stft(signal)))
    assert ours.shape == (1 + samples // 512, 128)
    assert np.abs(ours - expected.T).max() < 1e-4


@pytest.mark.filterwarnings("default")  # librosa's own
@pytest.mark.parametrize("samples", [512, 16000, 16123])
def test_the_inverse_equals_librosa(rng, samples):
    import librosa

    spectrum = spectra.stft(rng.standard_normal(16000).astype(np.float32))
    spectrum *= rng.random(spectrum.shape).astype(np.float32)
    expected = librosa.istft(spectrum, n_fft=1024, hop_length=512, length=samples)
    assert np.array_equal(spectra.istft(spectrum, samples), expected)


def test_a_tone_lands_in_its_bin():
    t = np.arange(16000) / 16000
    spectrum = spectra.stft(np.sin(2 * np.pi * 1000 * t)[None])
    assert spectrum.shape == (1, 513, 32)
    assert spectra.power(spectrum)[0, :, 10].argmax() == 64  # 1000 Hz in steps of 15.625 Hz


@settings(max_examples=30)
@given(lengths=st.lists(st.integers(5, 12), min_size=1, max_size=5), bands=st.integers(1, 4))
def test_windows_are_views_that_never_cross_clips(lengths, bands):
    clips = [np.full((n, bands), c, np.float32) for c, n in enumerate(lengths)]
    for clip in clips:
        clip += np.arange(len(clip))[:, None] / 100
    frames = spectra.Frames.join(clips, stack=5)
    windows = frames.windows()
    assert np.shares_memory(windows, frames.values)
    assert len(frames.starts()) == sum(n - 4 for n in lengths)
    for c, clip in enumerate(clips):
        expected = np.stack([clip[i : i + 5].ravel() for i in range(len(clip) - 4)])
        assert np.array_equal(frames.clip(c), expected)
    rows = windows[frames.starts()]
    assert np.array_equal(rows, np.concatenate([frames.clip(c) for c in range(len(clips))]))


def test_a_clip_shorter_than_the_stack_is_refused():
    with pytest.raises(AsdError, match="has 3 frames; one vector needs 5"):
        spectra.Frames.join([np.zeros((3, 128), np.float32)], stack=Spectra().stack)


@pytest.mark.parametrize("mode", ["scalar", "per_band"])
def test_standardised_training_frames_have_zero_mean_and_unit_deviation(rng, mode):
    values = (5 + 3 * rng.standard_normal((400, 8)) * np.arange(1, 9)).astype(np.float32)
    frames = spectra.Frames.join([values])
    standardise = spectra.Standardiser.fit(frames, mode)
    out = standardise(values)
    axis = 0 if mode == "per_band" else None
    assert np.abs(out.mean(axis)).max() < 1e-5
    assert np.abs(out.std(axis) - 1).max() < 1e-5
    assert len(standardise.mean) == (8 if mode == "per_band" else 1)
