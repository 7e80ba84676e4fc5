"""Faults put into scenes are found, and sound recordings are left alone."""

import json
import re
import tracemalloc

import numpy as np
import pytest
import soxr
from conftest import two_channels, write_wav
from hypothesis import given, settings
from hypothesis import strategies as st

from asdlib.cli import main
from asdlib.monitor import Monitor, quantities
from asdlib.monitor.health import faults
from asdlib.monitor.quantities import measure
from asdlib.monitor.reference import MachineReference
from asdlib.params import AsdError, Scenes
from asdlib.simulate import scenes

NEAR, FAR = 0, 1


def rendered(machine, split, count):
    cell = (split, "source", "normal")
    return [scenes.render(machine, *cell, i, Scenes()).mixture for i in range(count)]


@pytest.fixture(scope="module", params=["SimValve", "SimGearbox"])
def machine(request):
    """Training clips and test clips of a machine, and what is usual of them."""
    train, test = (rendered(request.param, *own) for own in (("train", 12), ("test", 4)))
    return train, test, MachineReference.fit([measure(one) for one in train])


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
    return np.concatenate([x[:8000], np.zeros(len(x) // 5), x[8000 + len(x) // 5 :]])


def late(x, samples=80):
    return np.roll(x, samples)


def drift(x):
    places = np.arange(len(x))
    return np.interp(places * (1 - 1e-4), places, x)


def limit(x):
    return np.resize(soxr.resample(soxr.resample(x, 16000, 8000), 8000, 16000), len(x))


def noise(x, level=3e-5):
    return level * np.random.default_rng(0).standard_normal(len(x))


ALONE = {
    # what is done to a recording: the sentence that is told, with and without training recordings
    "near dead": (on(NEAR, noise), "The near channel is dead"),
    "far dead": (on(FAR, noise), "The far channel is dead"),
    "copied": (
        lambda x: np.stack([x[0], -0.3 * x[0]]),
        "Both channels hold the same signal: far is near times -0.30",
    ),
    "near clipped": (on(NEAR, clip), "The near channel is clipped: 1.0% of its samples"),
    "far clipped": (on(FAR, clip), "The far channel is clipped: 1.0% of its samples"),
    "gated": (on(FAR, gate), "The far channel is gated: 20% of it"),
    "offset": (
        on(NEAR, lambda x: x - 0.01),
        "The near channel has an offset of -0.010 of full scale",
    ),
    "ramp": (
        on(NEAR, lambda x: x + 0.2 * np.exp(-np.arange(len(x)) / 1000)),
        "The near channel begins with a ramp of 0.1",
    ),
    "limited": (on(FAR, limit), "The far channel is band-limited: it ends at about 3,750 Hz"),
}
AGAINST = {
    # and what only training recordings tell
    "swapped": (lambda x: x[::-1].copy(), "The near and far channels are swapped"),
    "inverted": (on(NEAR, lambda x: -x), "One channel is inverted"),
    "later": (on(FAR, late), "The far channel is 5.0 ms later than usual"),
    "earlier": (on(NEAR, late), "The far channel is 5.0 ms earlier than usual"),
    "drift": (on(FAR, drift), "The delay of the far channel changes by"),
    "louder": (on(NEAR, lambda x: 10 * x), r"The near channel is \d+ dB louder than"),
    "quieter": (on(FAR, lambda x: x / 10), r"The far channel is \d+ dB quieter than"),
}


def sentences(signal, known=None):
    return [fault.sentence for fault in faults(measure(signal), known)]


@pytest.mark.parametrize("what", [*ALONE, *AGAINST])
def test_what_is_done_to_a_recording_is_told(machine, what):
    (one, *_), _, known = machine
    hurt, told = (ALONE | AGAINST)[what]
    (sentence,) = sentences(hurt(one), known)
    assert re.match(told, sentence)
    assert sentence.endswith(".")
    alone = sentences(hurt(one))
    if what in AGAINST:
        assert alone == []
    else:
        (sentence,) = alone
        assert re.match(told, sentence)


@pytest.mark.kind("numbers and order in sentences")
def test_numbers_of_a_drift_and_of_a_level_are_right(machine):
    (one, *others), _, known = machine
    (sentence,) = sentences(on(FAR, drift)(one), known)
    told = float(re.search(r"changes by (\S+) ms", sentence)[1])
    half = one.shape[1] / 16000 / 2
    assert told == pytest.approx(0.1 * half, abs=1 / 16)  # 100 ppm, to a sample
    (sentence,) = sentences(one * [[1], [0.1]], known)
    quiet = 20 * np.log10(one[1].std()) - 20
    usually = np.median([20 * np.log10(other[1].std()) for other in (one, *others)])
    assert f"is {usually - quiet:.0f} dB quieter than usual" in sentence
    assert f": {quiet:.0f} dB of full scale, usually {usually:.0f} dB." in sentence


def test_a_channel_from_elsewhere_and_a_raised_noise_floor_are_told(machine):
    (one, *_), (test, *_), known = machine
    length = min(one.shape[1], test.shape[1])
    mixed = np.stack([one[0, :length], test[1, :length]])
    assert [fault.kind for fault in faults(measure(mixed), known)] == ["unrelated"]
    hissing = on(NEAR, lambda x: x + noise(x, 3 * x.std()))(one)
    assert {fault.kind for fault in faults(measure(hissing), known)} & {"level", "floor"}


def test_sound_recordings_are_left_alone(machine):
    train, test, known = machine
    for one in (*train, *test):
        assert sentences(one) == sentences(one, known) == []


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
    if faulty and samples > 16000:
        train = [ALONE[faulty][0](one) for one in train]
    found = [measure(one) for one in train]
    fitted = MachineReference.fit(found)
    assert [faults(one, fitted) for one in found] == [[]] * count


def test_levels_tell_a_swap_where_the_channels_have_nothing_in_common(rng):
    shape = 10 ** (np.array([np.linspace(0, 1, 8001), np.linspace(1, 0, 8001)]) / 2)

    def recorded():
        white = np.fft.rfft(0.01 * rng.standard_normal((2, 16000)))
        return np.fft.irfft(white * shape)

    fitted = MachineReference.fit([measure(recorded()) for _ in range(8)])
    assert [fault.kind for fault in faults(measure(recorded()[::-1]), fitted)] == ["swapped"]
    assert sentences(recorded(), fitted) == []


def test_quantities_of_known_signals(rng):
    signal = np.zeros((2, 32000), np.float32)
    signal[0] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(32000) / 16000) + 0.1
    signal[1, 1000:] = rng.normal(size=31000)
    found = measure(signal)
    assert found.values["level near"] == pytest.approx(10 * np.log10(0.125), abs=0.01)
    assert found.values["offset near"] == pytest.approx(0.1, abs=1e-4)
    assert [found.values[f"silent {c}"] for c in ("near", "far")] == [0, 1000 / 32000]
    assert found.bands[0, 3:5].max() == pytest.approx(-9, abs=1)  # bands of 250 Hz
    assert found.bands[1, 5:].mean() == pytest.approx(10 * np.log10(31 / 32 / 32), abs=0.3)
    one = rng.standard_normal(40000)
    lags = measure(0.1 * np.stack([one, late(one, 100)])).lags
    assert lags.argmax(axis=1).tolist() == [quantities.LAG + 100] * 2


@pytest.mark.parametrize("seconds", [1, 4])
def test_what_wanders_slowly_is_no_offset(rng, seconds):
    f = np.maximum(np.fft.rfftfreq(16000 * seconds, 1 / 16000), 1 / seconds)
    for shape in (f < 500, 1 / np.maximum(f, 5), f**-0.5, 1 / f):  # a hum, wind, rumble, gusts
        spectra = np.fft.rfft(rng.standard_normal((20, 2, 16000 * seconds))) * shape
        clips = np.fft.irfft(spectra)
        clips *= 0.05 / clips.std(axis=-1, keepdims=True)
        assert sum("offset" in str(sentences(np.float32(own))) for own in clips) <= 1
    white = 0.05 * rng.standard_normal((2, 16000 * seconds)).astype(np.float32)
    assert "has an offset of 0.02" in str(sentences(white + np.float32(0.02)))


def test_a_monitor_tells_the_health_of_a_recording_and_learns_more(tmp_path, capsys):
    *normal, sound, last = rendered("SimValve", "train", 14)
    for i, signal in enumerate(normal):
        write_wav(tmp_path / f"normal/{i:02d}.wav", signal.T)
    write_wav(tmp_path / "more/12.wav", sound.T)
    swapped = write_wav(tmp_path / "more/13.wav", last[::-1].T)
    monitor, model = Monitor.fit(tmp_path / "normal"), tmp_path / "valve.safetensors"
    monitor.save(model)
    assert monitor.score(tmp_path / "more/12.wav").health == ()
    reading = Monitor.load(model).score(swapped)
    assert reading == monitor.score(swapped)
    (sentence,) = reading.health
    assert sentence.startswith("The near and far channels are swapped")
    assert sentence in str(reading)
    assert json.loads(reading.json())["health"] == [sentence]
    with pytest.raises(AsdError, match="far channel is silent"):
        monitor.score(np.float32(sound * [[1], [0]]))
    assert main(["refit", str(model), str(tmp_path / "more"), "--out", str(model)]) == 0
    told = "channels swapped, unlike the others: 1 of 2 recordings (13.wav)."
    assert told in capsys.readouterr().out.splitlines()
    assert Monitor.load(model).score(swapped).health == ()
    assert Monitor.load(model).faulty == (told,)


def test_training_recordings_that_are_not_sound_are_counted(tmp_path, rng, capsys):
    for i in range(6):
        x = two_channels(rng)
        write_wav(tmp_path / f"data/pump/train/{i}.wav", x + 0.02 if i < 5 else x)
    lean = {"extras": [], "front_ends": ["near"], "scorers": ["pmsd"], "baseline": False}
    (tmp_path / "lean.yaml").write_text(json.dumps(lean))
    told = "offset: 5 of 6 recordings (0.wav, 1.wav, 2.wav, ...)."
    for command, line in (
        (f"doctor {tmp_path}/data --params {tmp_path}/lean.yaml", f"pump: {told}"),
        (f"fit {tmp_path}/data/pump --out {tmp_path}/own.safetensors", told),
    ):
        assert main(command.split()) == 0
        assert line in capsys.readouterr().out.splitlines()


def test_a_long_recording_takes_little_more_memory_than_its_samples(rng):
    signal = rng.normal(size=(2, 60 * 16000)).astype(np.float32)
    tracemalloc.start()
    measure(signal)
    assert tracemalloc.get_traced_memory()[1] < 1.2 * signal.nbytes
    tracemalloc.stop()
