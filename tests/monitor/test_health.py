"""Faults put into scenes are found, and sound recordings are left alone."""

import doctest
import json
import re

import numpy as np
import pytest
import soundfile
import soxr
from conftest import two_channels, write_wav
from hypothesis import given, settings
from hypothesis import strategies as st

from asdlib.cli import main
from asdlib.monitor import Monitor, health, model, quantities, reference
from asdlib.monitor.health import faults, problems
from asdlib.monitor.quantities import measure
from asdlib.monitor.reference import Reference
from asdlib.params import AsdError, Scenes
from asdlib.simulate import scenes

MACHINES = ("SimValve", "SimGearbox")
CONSTANT = Scenes()


@pytest.fixture(scope="module", params=MACHINES)
def clips(request):
    """Training clips and test clips of a machine, in memory."""
    own = {
        split: [
            scenes.render(request.param, split, "source", "normal", i, CONSTANT).mixture
            for i in range(count)
        ]
        for split, count in (("train", 12), ("test", 4))
    }
    return own["train"], own["test"]


@pytest.fixture(scope="module")
def known(clips):
    return Reference.fit([measure(one) for one in clips[0]])


def on(channel, change):
    def hurt(signal):
        out = signal.copy()
        out[channel] = change(signal[channel])
        return out

    return hurt


def clip(x):
    top = np.quantile(np.abs(x), 0.99)
    return np.clip(x, -top, top)


def gate(x):
    out = x.copy()
    out[8000 : 8000 + len(x) // 5] = 0
    return out


def late(x, samples=80):
    return np.roll(x, samples)


def drift(x):
    places = np.arange(len(x))
    return np.interp(places * (1 - 1e-4), places, x)


def limit(x):
    return np.resize(soxr.resample(soxr.resample(x, 16000, 8000), 8000, 16000), len(x))


def hiss(x):
    rng = np.random.default_rng(0)
    return x + 3 * x.std() * rng.standard_normal(len(x))


def noise(x):
    return 3e-5 * np.random.default_rng(0).standard_normal(len(x))


ALONE = {
    "The near channel is dead": on(0, noise),
    "The far channel is dead": on(1, noise),
    "Both channels hold the same signal: far is near times -0.30": lambda x: np.stack(
        [x[0], -0.3 * x[0]]
    ),
    "The near channel is clipped: 1.0% of its samples": on(0, clip),
    "The far channel is clipped: 1.0% of its samples": on(1, clip),
    "The far channel is gated: 20% of it": on(1, gate),
    "The near channel has an offset of -0.010 of full scale": on(0, lambda x: x - 0.01),
    "The far channel is band-limited: it ends at about 3,750 Hz": on(1, limit),
}
AGAINST = {
    "The near and far channels are swapped": lambda x: x[::-1].copy(),
    "One channel is inverted": on(0, lambda x: -x),
    "The far channel is 5.0 ms later than usual": on(1, late),
    "The far channel is 5.0 ms earlier than usual": on(0, late),
    "The delay of the far channel changes by": on(1, drift),
    "The near channel is": on(0, lambda x: 10 * x),
    "The far channel is": on(1, lambda x: x / 10),
}


@pytest.mark.parametrize("told", ALONE)
def test_a_fault_shows_in_one_recording(clips, known, told):
    hurt = measure(ALONE[told](clips[0][0]))
    for sentences in (problems(hurt), problems(hurt, known)):
        assert len(sentences) == 1
        assert sentences[0].startswith(told)
        assert sentences[0].endswith(".")


@pytest.mark.parametrize("told", AGAINST)
def test_a_fault_shows_against_training_recordings(clips, known, told):
    hurt = measure(AGAINST[told](clips[0][0]))
    assert problems(hurt) == ()
    (sentence,) = problems(hurt, known)
    assert sentence.startswith(told)


def test_a_drift_is_told_in_milliseconds(clips, known):
    """100 ppm over half of the recording, to a sample."""
    (sentence,) = problems(measure(on(1, drift)(clips[0][0])), known)
    seconds = clips[0][0].shape[1] / 16000
    told = float(re.search(r"changes by (\S+) ms", sentence)[1])
    assert told == pytest.approx(0.1 * seconds / 2, abs=1 / 16)


def test_a_level_is_told_with_the_usual_one(clips, known):
    (sentence,) = problems(measure(clips[0][0] * [[1], [0.1]]), known)
    quiet = 20 * np.log10(clips[0][0][1].std()) - 20
    usually = np.median([20 * np.log10(one[1].std()) for one in clips[0]])
    assert f"is {usually - quiet:.0f} dB quieter than usual" in sentence
    assert f": {quiet:.0f} dB of full scale, usually {usually:.0f} dB." in sentence


def test_a_channel_from_elsewhere_is_not_related(clips, known):
    train, test = clips
    length = min(train[0].shape[1], test[0].shape[1])
    mixed = np.stack([train[0][0, :length], test[0][1, :length]])
    assert [fault.kind for fault in faults(measure(mixed), known)] == ["unrelated"]


def test_a_raised_noise_floor_is_told(clips, known):
    kinds = {fault.kind for fault in faults(measure(on(0, hiss)(clips[0][0])), known)}
    assert kinds & {"level", "floor"}


def test_sound_recordings_are_left_alone(clips, known):
    for one in (*clips[0], *clips[1]):
        assert problems(measure(one)) == ()
        assert problems(measure(one), known) == ()


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 12),
    samples=st.integers(2048, 20000),
    gain=st.floats(0.01, 1),
    faulty=st.sampled_from([None, *ALONE]),
)
def test_nothing_is_claimed_of_a_training_recording(seed, count, samples, gain, faulty):
    rng = np.random.default_rng(seed)
    same = rng.standard_normal(samples)
    train = [
        0.1 * (same + gain * rng.standard_normal((2, samples))) * 10 ** rng.normal(0, 0.1, (2, 1))
        for _ in range(count)
    ]
    if faulty:
        train = [ALONE[faulty](one) if samples > 16000 else one for one in train]
    found = [measure(one) for one in train]
    fitted = Reference.fit(found)
    assert [problems(one, fitted) for one in found] == [()] * count


def test_levels_tell_a_swap_where_the_channels_have_nothing_in_common(rng):
    shape = 10 ** (np.array([np.linspace(0, 1, 8001), np.linspace(1, 0, 8001)]) / 2)

    def recorded():
        white = np.fft.rfft(0.01 * rng.standard_normal((2, 16000)))
        return np.fft.irfft(white * shape)

    fitted = Reference.fit([measure(recorded()) for _ in range(8)])
    assert [fault.kind for fault in faults(measure(recorded()[::-1]), fitted)] == ["swapped"]
    assert problems(measure(recorded()), fitted) == ()


def test_quantities_of_a_known_signal():
    signal = np.zeros((2, 32000), np.float32)
    signal[0] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(32000) / 16000) + 0.1
    signal[1, 1000:] = np.random.default_rng(0).normal(size=31000)
    found = measure(signal)
    assert found.level[0] == pytest.approx(10 * np.log10(0.125), abs=0.01)
    assert found.offset[0] == pytest.approx(0.1, abs=1e-4)
    assert found.silent.tolist() == [0, 1000 / 32000]
    band = int(1000 / 250)
    assert found.bands[0, band - 1 : band + 1].max() == pytest.approx(-9, abs=1)
    assert found.bands[1, 5:].mean() == pytest.approx(10 * np.log10(31 / 32 / 32), abs=0.3)


def test_the_delay_lies_where_it_was_put(rng):
    one = rng.standard_normal(40000)
    found = measure(0.1 * np.stack([one, late(one, 100)])).lags
    assert found.argmax(axis=1).tolist() == [quantities.LAG + 100] * 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Normal recordings of a machine, one of them with its channels swapped."""
    root = tmp_path_factory.mktemp("valve")
    for i in range(14):
        signal = scenes.render("SimValve", "train", "source", "normal", i, CONSTANT).mixture
        write_wav(root / f"{i:02d}.wav", (signal[::-1] if i == 13 else signal).T)
    return root


@pytest.fixture(scope="module")
def monitor(folder):
    return Monitor.fit(sorted(folder.glob("*.wav"))[:12])


def test_a_monitor_tells_the_health_of_a_recording(monitor, folder, tmp_path):
    sound, _ = soundfile.read(folder / "12.wav")
    assert monitor.score(sound.T).health == ()
    monitor.save(tmp_path / "valve.safetensors")
    read = Monitor.load(tmp_path / "valve.safetensors")
    swapped = read.score(folder / "13.wav")
    assert swapped == monitor.score(folder / "13.wav")
    assert len(swapped.health) == 1
    assert swapped.health[0].startswith("The near and far channels are swapped")
    assert swapped.health[0] in str(swapped)
    assert json.loads(swapped.json())["health"] == list(swapped.health)
    with pytest.raises(AsdError, match="far channel is silent"):
        monitor.score(sound.T * [[1], [0]])


def test_more_recordings_widen_what_is_usual(monitor, folder):
    more = monitor.refit([folder / "12.wav", folder / "13.wav"])
    assert more.score(folder / "13.wav").health == ()
    assert monitor.score(folder / "13.wav").health != ()
    assert more.faulty == ("channels swapped, unlike the others: 1 of 2 recordings (13.wav).",)


def test_faults_of_training_recordings_are_told(folder, tmp_path, capsys, rng):
    fitted = Monitor.fit(folder)
    assert fitted.faulty == ("channels swapped, unlike the others: 1 of 14 recordings (13.wav).",)
    assert main(["fit", str(folder), "--out", str(tmp_path / "own.safetensors")]) == 0
    assert fitted.faulty[0] in capsys.readouterr().out.splitlines()
    assert Monitor.load(tmp_path / "own.safetensors").faulty == fitted.faulty


def test_the_doctor_counts_recordings_that_are_not_sound(tmp_path, rng, capsys):
    for i in range(6):
        x = two_channels(rng)
        write_wav(tmp_path / f"data/pump/train/{i}.wav", x + 0.02 if i < 5 else x)
    path = tmp_path / "lean.yaml"
    path.write_text(
        json.dumps({"extras": [], "front_ends": ["near"], "scorers": ["pmsd"], "baseline": False})
    )
    assert main(["doctor", str(tmp_path / "data"), "--params", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "pump: offset: 5 of 6 recordings (0.wav, 1.wav, 2.wav, ...)." in lines


@pytest.mark.parametrize("module", [health, quantities, model, reference], ids=lambda m: m.__name__)
def test_the_examples_are_right(module):
    assert doctest.testmod(module).failed == 0
