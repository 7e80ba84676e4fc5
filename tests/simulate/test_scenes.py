import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pyroomacoustics
import pytest
import soundfile

from asdlib import dataset, params
from asdlib.params import AsdError, Scenes
from asdlib.simulate import rooms, scenes, sounds
from asdlib.simulate.machines import MACHINES
from asdlib.spectra import power, stft

TINY = Scenes(seconds=1.0, train_source=3, train_target=2, test_per_cell=2, truth=-1)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes") / "set"
    return root, scenes.write(root, TINY)


def few(**changes):
    return params.load({"scenes": TINY.model_dump() | {"machines": ["SimValve"]} | changes}).scenes


def test_the_same_seed_gives_the_same_bits_with_any_number_of_workers(written, tmp_path):
    root, digest = written
    assert scenes.write(tmp_path / "again", TINY, workers=1) == digest
    files = [path for path in root.rglob("*.*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        assert (tmp_path / "again" / path.relative_to(root)).read_bytes() == path.read_bytes()


def test_the_default_scenes_keep_their_bytes(written):
    _, digest = written
    assert digest == "2b2ec29a09e823c0"


def test_the_layout_is_that_of_dcase(written):
    root, _ = written
    table = dataset.scan(root)
    assert dataset.check(table)[1] == []
    assert set(table["machine"]) == set(MACHINES)
    sizes = table.groupby(["machine", "split"]).size().unstack()
    assert (sizes["train"] == 5).all()
    assert (sizes["test"] == 8).all()
    concealed = table[(table["label"] == "unknown") & (table["split"] == "test")]
    assert set(concealed["machine"]) == {n for n, s in MACHINES.items() if s.evaluation}
    assert all(re.fullmatch(r"section_00_\d{4}\.wav", name) for name in concealed["name"])
    assert table.loc[table["machine"] == "SimGrinder", "seconds"].nunique() == 2
    running = table[(table["machine"] == "SimSlider") & (table["split"] == "test")]
    numbers = sorted(int(re.search(r"_(\d{4})_", name)[1]) for name in running["name"])
    assert numbers == list(range(8))
    valve = table[table["machine"] == "SimValve"].iloc[0]
    keys = valve["attributes"].split("_")[::2]
    assert keys.count("mic") == 2
    info = soundfile.info(valve["path"])
    assert (info.samplerate, info.channels, info.subtype) == (16000, 2, "PCM_16")
    attributes = pd.read_csv(root / "SimFan" / "attributes_00.csv")
    assert list(attributes.columns) == ["file_name", "d1p", "d1v"]


def test_the_truth_adds_up_to_the_recording(written):
    root, _ = written
    for machine in MACHINES:
        labels = pd.read_csv(root / machine / "truth" / "labels.csv").set_index("name")
        for path in (root / machine / "test").glob("*.wav"):
            recorded = dataset.read(path)
            truth = scenes.read_truth(root, machine, path.stem)
            assert np.abs(truth.mixture - recorded).max() < 2.1 / 2**15
            faulty = np.abs(truth.fault).max() > 0
            assert faulty == (labels.loc[path.name, "label"] == "anomaly")
    assert scenes.read_truth(root, "SimFan", "nothing") is None


def test_the_true_transfer_is_the_ratio_of_the_noise_powers(written):
    root, _ = written
    noise = []
    for index in range(3):
        noise.append(scenes.render("SimFan", "train", "source", "normal", index, TINY).noise)
    for index in range(2):
        noise.append(scenes.render("SimFan", "train", "target", "normal", index, TINY).noise)
    near, far = np.mean([power(stft(x)).mean(axis=-1) for x in noise], axis=0)
    stored = scenes.read_transfer(root, "SimFan")
    assert np.allclose(stored["noise_transfer"], near / far, rtol=1e-6)
    assert stored["frequency"].iloc[-1] == 8000
    assert stored["msc"].between(0, 1 + 1e-9).all()
    assert stored["msc"].max() > 0.1
    assert scenes.read_transfer(root, "nothing") is None


@pytest.mark.parametrize("machine", MACHINES)
def test_the_far_microphone_hears_less_machine_and_more_noise(machine):
    clips = [scenes.render(machine, "train", "source", "normal", i, TINY) for i in range(4)]
    machine_power = np.mean([np.mean(c.machine**2, axis=1) for c in clips], axis=0)
    noise_power = np.mean([np.mean(c.noise**2, axis=1) for c in clips], axis=0)
    near, far = machine_power / noise_power
    assert near > 2 * far
    assert far > 0  # but the machine leaks into it
    assert max(np.abs(c.mixture).max() for c in clips) < 1


@pytest.mark.parametrize("machine", MACHINES)
def test_every_fault_changes_the_sound_and_nothing_else_does(machine):
    spec = MACHINES[machine]
    rngs = lambda: (np.random.default_rng(1), np.random.default_rng(2))  # noqa: E731
    healthy = spec.sound(*rngs(), 16000, spec.source[0], None, 1.0)
    assert np.array_equal(healthy, spec.sound(*rngs(), 16000, spec.source[0], None, 0.3))
    assert np.isfinite(healthy).all()
    for fault in spec.faults:
        mild = spec.sound(*rngs(), 16000, spec.source[0], fault, 0.3) - healthy
        strong = spec.sound(*rngs(), 16000, spec.source[0], fault, 1.0) - healthy
        assert 0 < np.sum(mild**2) < np.sum(strong**2), fault


def test_bearing_impacts_come_at_their_rate(rng):
    phase = 2 * np.pi * 20.0 * np.arange(16000 * 4) / 16000  # a shaft at 20 Hz
    frequency = np.fft.rfftfreq(len(phase), 1 / 16000)
    band, shaft = (frequency > 50) & (frequency < 120), (frequency > 18) & (frequency < 22)
    swell = {}
    for race in ("inner", "outer"):
        envelope = np.abs(sounds.bearing(rng, phase, 4.0, 3000, race))
        spectrum = np.abs(np.fft.rfft(envelope - envelope.mean()))
        assert frequency[band][spectrum[band].argmax()] == pytest.approx(80, abs=3)
        swell[race] = spectrum[shaft].max() / spectrum[band].max()
    assert swell["inner"] > 3 * swell["outer"]  # only the inner race turns through the load


def test_bearing_impacts_follow_the_shaft(rng):
    t = np.arange(16000 * 4) / 16000
    phase = 2 * np.pi * (10 * t + 2.5 * t**2)  # from 10 to 30 turns per second
    signal = sounds.bearing(rng, phase, 1.0, 3000, "outer")
    envelope = np.convolve(np.abs(signal), np.ones(80) / 80, "same")
    starts = t[1:][np.diff((envelope > envelope.max() / 4).astype(int)) == 1]
    assert np.sum(starts < 1) == pytest.approx(12.5, abs=2)
    assert np.sum(starts >= 3) == pytest.approx(27.5, abs=3)


def test_a_finished_set_is_left_alone_and_another_one_takes_its_place(tmp_path):
    root, other = tmp_path / "set", few(seed=1)
    digest = scenes.write(root, few())
    stamp = (root / "scenes.json").stat().st_mtime_ns
    assert scenes.write(root, few()) == digest
    assert (root / "scenes.json").stat().st_mtime_ns == stamp
    assert json.loads((root / "scenes.json").read_text())["manifest"] == digest
    assert scenes.write(root, other) != digest
    assert scenes.recipe(other) != scenes.recipe(few())


def test_what_others_wrote_is_not_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(AsdError, match=r"mine: holds files that asd did not write.*\(OUT\)"):
        scenes.write(tmp_path / "mine", few())
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_an_interrupted_set_leaves_no_clip(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "_manifest", lambda root: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scenes.write(tmp_path / "set", few())
    assert not list(tmp_path.rglob("*.wav"))


def test_real_noise_and_measured_rooms_take_the_place_of_modelled_ones(real, tmp_path):
    options = {
        "noise_folder": str(real / "esc10_noise_16k"),
        "impulse_response_folder": str(real / "surrey_brir_16k"),
    }
    digests = {scenes.write(tmp_path / "plain", few())}
    for name, value in options.items():
        digests.add(scenes.write(tmp_path / name, few(**{name: value})))
    digests.add(scenes.write(tmp_path / "both", few(**options)))
    assert len(digests) == 4
    assert scenes.write(tmp_path / "twice", few(**options)) in digests
    clip = scenes.render("SimValve", "train", "source", "normal", 0, few(**options))
    near, far = np.mean(clip.machine**2, axis=1) / np.mean(clip.noise**2, axis=1)
    assert near > far


def test_unusable_options_are_one_sentence(tmp_path, rng):
    for name, signal in (("mono", np.ones(800)), ("silent", np.zeros((800, 2)))):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", signal, 16000)
    (tmp_path / "empty").mkdir()
    for option, value, sentence in (
        ("machines", ["SimTrain"], "No simulated machine 'SimTrain'; there are SimFan"),
        ("noise_folder", str(tmp_path / "none"), "none: no such folder"),
        ("noise_folder", str(tmp_path / "empty"), "empty: holds no wav"),
        ("impulse_response_folder", str(tmp_path / "mono"), "a.wav: 1 channel; near and far"),
        ("impulse_response_folder", str(tmp_path / "silent"), "a.wav: no impulse response"),
    ):
        with pytest.raises(AsdError) as error:
            scenes.write(tmp_path / "out", few(**{option: value}))
        assert sentence in str(error.value)
    assert not (tmp_path / "out").exists()


def test_noise_that_cannot_be_used_is_named_before_any_work(tmp_path, rng):
    noise, sound = tmp_path / "noise", 0.1 * rng.standard_normal(16000)
    noise.mkdir()
    quiet = "a noise clip needs at least 0.1 s of sound that is not silence or constant."
    told = {
        "broken.wav": (np.where(np.arange(16000) < 9000, sound, np.nan), "7000 samples are NaN"),
        "endless.wav": (np.append(sound, np.inf), "1 samples are NaN or infinite."),
        "level.wav": (np.full(16000, 0.25), quiet),
        "short.wav": (sound[:100], quiet),
    }
    for name, (signal, _) in told.items():
        soundfile.write(noise / name, signal, 16000, subtype="FLOAT")
    soundfile.write(noise / "good.wav", sound, 16000)
    (noise / "text.wav").write_text("no sound")
    unfinished = (noise / "good.wav").read_bytes().replace(b"data\0\x7d\0\0", b"data" + bytes(4))
    (noise / "unfinished.wav").write_bytes(unfinished)
    (noise / "._good.wav").write_bytes(b"left by a Mac")
    with pytest.raises(AsdError) as error:
        scenes.write(tmp_path / "out", few(noise_folder=str(noise)))
    expected = {name: sentence for name, (_, sentence) in told.items()} | {
        "text.wav": "cannot be read as audio",
        "unfinished.wav": "its header announces no length",
    }
    lines = str(error.value).splitlines()
    for line, (name, sentence) in zip(lines, sorted(expected.items()), strict=True):
        assert line.startswith(f"{noise / name}: {sentence}")
    assert not (tmp_path / "out").exists()


def test_option_folders_start_at_the_project(real, tmp_path, monkeypatch):
    whole = few(noise_folder=str(real / "esc10_noise_16k"))
    monkeypatch.setattr("asdlib.io.files.project_root", lambda: real)
    monkeypatch.chdir(tmp_path)
    part = few(noise_folder="esc10_noise_16k")
    clips = [scenes.render("SimValve", "train", "source", "normal", 0, p) for p in (whole, part)]
    assert np.array_equal(clips[0].mixture, clips[1].mixture)


def leak(**changes):
    """Machine power at the far microphone over that at the near one."""
    clip = scenes.render("SimFan", "train", "source", "normal", 0, few(**changes))
    near, far = np.sum(clip.machine**2, axis=1)
    return far / near


def coherence(**changes):
    """Median coherence of the noise between the microphones."""
    clips = [
        scenes.render("SimFan", "train", "source", "normal", i, few(**changes)) for i in range(4)
    ]
    spectra = np.concatenate([stft(clip.noise) for clip in clips], axis=-1)
    near, far = power(spectra).mean(-1)
    return np.median(power((spectra[0] * spectra[1].conj()).mean(-1)) / (near * far))


def test_a_far_microphone_further_away_hears_less_of_the_machine():
    assert leak(far_distance=0.8) > 2 * leak(far_distance=2) > 2 * leak(far_distance=4)


def test_a_dry_room_and_few_sources_are_more_coherent():
    assert coherence(reverberation=0.2) > 1.3 * coherence(reverberation=0.8)
    assert coherence(noise_sources=1) > 1.3 * coherence(noise_sources=8)


def test_more_sources_share_one_power():
    def loudness(count):
        clips = [
            scenes.render(machine, "train", "source", "normal", 0, few(noise_sources=count))
            for machine in ("SimFan", "SimGearbox", "SimSlider", "SimValve")
        ]
        return np.mean([np.mean(clip.noise[0] ** 2) for clip in clips])

    assert 0.5 < loudness(16) / loudness(1) < 2


def test_what_varies_a_simulated_room_is_refused_with_measured_ones():
    for name, value in (("far_distance", 2.0), ("reverberation", 0.3), ("corners", True)):
        with pytest.raises(AsdError, match=f"have their own room: {name} must not be set"):
            few(impulse_response_folder="responses", **{name: value})
    with pytest.raises(AsdError, match="noise_sources and corners exclude each other"):
        few(noise_sources=3, corners=True)
    assert few(impulse_response_folder="responses", noise_sources=3).noise_sources == 3


def prominence(signal, low, high):
    """Strongest bin between two frequencies over the median there, at each microphone."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(signal.shape[1]))) ** 2
    frequency = np.fft.rfftfreq(signal.shape[1], 1 / 16000)
    band = spectrum[:, (frequency > low) & (frequency < high)]
    return band.max(axis=1) / np.median(band, axis=1)


@pytest.mark.parametrize("label", ["normal", "anomaly"])
def test_the_lines_of_a_neighbour_are_noise_and_the_machine_stays_the_same(label):
    assert MACHINES["SimFan"].neighbour == "SimPump"
    rise = []
    for index in range(4):
        clip = ("SimFan", "test", "source", label, index)
        without, beside = (
            scenes.render(*clip, few(seconds=4, neighbour=on)) for on in (False, True)
        )
        assert np.array_equal(beside.machine, without.machine)
        assert np.array_equal(beside.fault, without.fault)
        # second harmonic of the mesh in all of the pump's conditions
        low, high = (2 * 9 * 24.5 * speed for speed in (0.93, 1.14))
        rise.append(
            prominence(beside.noise, low, high) / prominence(without.noise, low, high),
        )
    assert (np.median(rise, axis=0) > 10).all()


def test_a_neighbour_is_another_kind_with_lines_that_runs_steadily():
    kind = lambda name: MACHINES[name].sound.__qualname__  # noqa: E731  # two are gears
    for name, spec in MACHINES.items():
        assert kind(spec.neighbour) != kind(name)
        assert spec.neighbour not in ("SimSlider", "SimValve")


def test_a_neighbour_is_healthy_modelled_and_in_any_condition(tmp_path, rng, monkeypatch):
    soundfile.write(tmp_path / "real.wav", 0.1 * rng.standard_normal(32000), 16000)
    spec, heard = MACHINES["SimPump"], []

    def sound(draw, fault_draw, samples, condition, fault, severity):
        heard.append((condition, fault))
        return spec.sound(draw, fault_draw, samples, condition, fault, severity)

    monkeypatch.setitem(MACHINES, "SimPump", replace(spec, sound=sound))
    for options in ({}, {"noise_folder": str(tmp_path)}):
        heard.clear()
        for domain in ("source", "target"):
            for label in ("normal", "anomaly"):
                for index in range(6):
                    p = few(neighbour=True, **options)
                    scenes.render("SimFan", "test", domain, label, index, p)
        assert {fault for _, fault in heard} == {None}
        assert {condition for condition, _ in heard} == {*spec.source, *spec.target}
        assert len(heard) == 24


def test_a_neighbour_takes_one_more_measured_response(tmp_path):
    count = sum(rooms._PLACES.values())
    for number in range(count + 1):  # the delay tells the file
        response = np.zeros((400, 2))
        response[10 * number] = 0.5
        soundfile.write(tmp_path / f"{number:02d}.wav", response, 16000)
    found = {}
    for on in (False, True):
        room = rooms.room_of("SimFan", few(impulse_response_folder=str(tmp_path), neighbour=on))
        found[on] = {name: r[:, 0].argmax(axis=-1) // 10 for name, r in room.responses.items()}
    own = found[True].pop("neighbour")
    assert all(np.array_equal(found[True][name], found[False][name]) for name in found[False])
    assert sorted(np.concatenate([own, *found[True].values()])) == list(range(count + 1))


def far_over_near(name, **changes):
    """Energy of the machine's response at the far microphone over that at the near one."""
    near, far = np.sum(rooms.room_of(name, few(**changes)).responses["machine"][0] ** 2, axis=-1)
    return far / near


@pytest.mark.parametrize("machine", MACHINES)
def test_a_close_far_microphone_hears_the_machine_as_loudly_as_the_near_one(machine):
    assert far_over_near(machine) < 0.5
    assert far_over_near(machine, far_distance=0.3) > 1
    assert far_over_near(machine, far_distance=0.3, corners=True) > 1


def placed(monkeypatch, name, **changes):
    """Size of a machine's room, (source, 3) places and (3, near and far) microphones, in m."""
    made = []

    class Recorded(pyroomacoustics.ShoeBox):
        def compute_rir(self):
            made.append(self)
            super().compute_rir()

    with monkeypatch.context() as patch:
        patch.setattr(pyroomacoustics, "ShoeBox", Recorded)
        rooms.room_of.__wrapped__(name, few(**changes))
    (room,) = made
    return room.shoebox_dim, np.array([s.position for s in room.sources]), room.mic_array.R


@pytest.mark.parametrize("distance", [0.3, 0.45, 0.6, 0.75])
def test_a_close_far_microphone_stands_apart_from_the_near_one(monkeypatch, distance):
    for name in MACHINES:
        size, sources, pair = placed(monkeypatch, name, far_distance=distance)
        near, far = pair.T
        assert np.linalg.norm(far - sources[0]) == pytest.approx(distance)
        assert np.linalg.norm(far - near) > 0.6
        assert ((far > 0.2) & (far < size - 0.2)).all()


def test_each_of_the_four_noises_has_a_corner(monkeypatch):
    orders = Counter()
    for name in MACHINES:
        size, sources, _ = placed(monkeypatch, name, corners=True, neighbour=True)
        assert len(sources) == 1 + 4 + 1
        floor = sources[1:5, :2]
        assert np.minimum(floor, size[:2] - floor) == pytest.approx(np.full((4, 2), 0.5))
        order = tuple(map(tuple, floor > size[:2] / 2))
        assert len(set(order)) == 4
        orders[order] += 1
        assert 1.5 < np.linalg.norm(sources[5] - sources[0]) < 8
    assert len(orders) > 1  # drawn for each machine


def decay(machine, **changes):
    """T60 (s) of a room: the median over its noises' responses, from -5 to -25 dB."""
    found = []
    for source, places in rooms.room_of(machine, few(**changes)).responses.items():
        for response in places.reshape(-1, places.shape[-1]) if source != "machine" else ():
            left = np.cumsum(response[::-1] ** 2)[::-1]
            level = 10 * np.log10(left / left[0] + 1e-12)
            part = np.arange(np.argmax(level < -5), np.argmax(level < -25))
            found.append(-60 / np.polyfit(part / 16000, level[part], 1)[0])
    return np.median(found)


def test_a_room_decays_as_fast_as_it_is_told():
    for t60 in (0.1, 0.2, 0.4):
        found = [decay(name, reverberation=t60) for name in MACHINES]
        assert np.median(found) == pytest.approx(t60, rel=0.3)
    drawn = [decay(name, corners=True, seed=seed) for name in MACHINES for seed in range(2)]
    assert 0.06 < min(drawn) < 0.15
    assert 0.2 < max(drawn) < 0.45


@pytest.mark.parametrize("machine", MACHINES)
def test_noise_from_corners_is_about_as_loud_at_both_close_microphones(machine):
    p = few(far_distance=0.3, corners=True)
    noise = scenes.render(machine, "train", "source", "normal", 0, p).noise
    near, far = np.mean(noise**2, axis=1) / rooms.room_of(machine, p).gains ** 2
    assert 0.5 < far / near < 2
