import json
import re
from datetime import datetime

import numpy as np
import pandas as pd
import pyroomacoustics
import pytest
import soundfile
from conftest import write_wav

from asdlib import dataset, params
from asdlib.params import AsdError, Scenes
from asdlib.simulate import own, rooms, scenes, sounds
from asdlib.simulate.machines import MACHINES
from asdlib.spectra import power, stft

TINY = Scenes(seconds=1.0, train_source=3, train_target=2, test_per_cell=2, truth=-1)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes") / "set"
    return root, scenes.write(root, TINY)


def few(**changes):
    return params.load({"scenes": TINY.model_dump() | {"machines": ["SimValve"]} | changes}).scenes


def test_a_seed_gives_the_same_bytes_also_on_one_core(written, tmp_path, monkeypatch):
    root, digest = written
    monkeypatch.setattr(scenes.os, "cpu_count", lambda: 1)
    assert scenes.write(tmp_path / "again", TINY) == digest
    files = [path for path in root.rglob("*.*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        assert (tmp_path / "again" / path.relative_to(root)).read_bytes() == path.read_bytes()


def test_the_levels_of_the_scenes_are_pinned(written):
    """Not the bytes: processors round sines and products differently in the last bit."""
    root, _ = written
    powers = [np.square(soundfile.read(path)[0]).mean(0) for path in dataset.scan(root)["path"]]
    assert 10 * np.log10(np.mean(powers, 0)) == pytest.approx([-31.9169, -28.6812], abs=1e-3)


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
    clips = [("source", 0), ("source", 1), ("source", 2), ("target", 0), ("target", 1)]
    noise = [scenes.render("SimFan", "train", d, "normal", i, TINY).noise for d, i in clips]
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


def test_a_finished_set_is_left_alone_and_another_one_takes_its_place_once_it_is_whole(
    tmp_path, monkeypatch
):
    root, other = tmp_path / "set", few(seed=1)
    digest = scenes.write(root, few())
    clips = {path: path.stat().st_mtime_ns for path in root.rglob("*.wav")}
    assert scenes.write(root, few()) == digest
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(scenes, "_write_tables", lambda *_: 1 / 0)
        scenes.write(root, other)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")} == clips
    assert json.loads((root / "scenes.json").read_text())["manifest"] == digest
    assert scenes.write(root, other) != digest
    assert scenes.recipe(other) != scenes.recipe(few())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(AsdError, match=r"mine: holds files that asd did not write.*\(OUT\)"):
        scenes.write(tmp_path / "mine", few())


def test_real_noise_and_measured_rooms_take_the_place_of_modelled_ones(real, monkeypatch):
    options = {"noise_folder": "esc10_noise_16k", "impulse_response_folder": "surrey_brir_16k"}
    monkeypatch.setattr("asdlib.io.files.project_root", lambda: real)  # where folders start
    chosen = [{}, *({name: value} for name, value in options.items()), options]
    clips = [
        scenes.render("SimValve", "train", "source", "normal", 0, few(**own)) for own in chosen
    ]
    assert len({clip.mixture.tobytes() for clip in clips}) == 4
    near, far = np.mean(clips[-1].machine ** 2, axis=1) / np.mean(clips[-1].noise ** 2, axis=1)
    assert near > far


def test_unusable_options_are_named_before_any_work(tmp_path, rng):
    sound, noise = 0.1 * rng.standard_normal(16000), tmp_path / "noise"
    quiet = "a noise clip needs at least 0.1 s of sound that is not silence or constant."
    told = {
        "level.wav": (np.full(16000, 0.25), quiet),
        "nan.wav": (np.where(np.arange(16000) < 9000, sound, np.nan), "7000 samples are NaN"),
        "short.wav": (sound[:100], quiet),
        "text.wav": (None, "cannot be read as audio"),
        "unfinished.wav": (sound, "its header announces no length"),
    }
    for name, (signal, _) in told.items():
        if signal is not None:
            write_wav(noise / name, signal, subtype="FLOAT")
    (noise / "text.wav").write_text("no sound")
    content = write_wav(noise / "good.wav", sound).read_bytes()
    unfinished = content.replace(b"data\0\x7d\0\0", b"data" + bytes(4))
    (noise / "unfinished.wav").write_bytes(unfinished)
    write_wav(tmp_path / "mono" / "a.wav", np.ones(800))
    write_wav(tmp_path / "silent" / "a.wav", np.zeros((800, 2)))
    (tmp_path / "empty").mkdir()
    for option, value, *sentences in (
        ("machines", ["SimTrain"], "No simulated machine 'SimTrain'; there are SimFan"),
        ("noise_folder", str(tmp_path / "none"), "none: no such folder"),
        ("noise_folder", str(tmp_path / "empty"), "empty: found no WAV file"),
        ("noise_folder", str(noise), *(f"{name}: {wrong}" for name, (_, wrong) in told.items())),
        ("impulse_response_folder", str(tmp_path / "mono"), "a.wav: 1 channel; near and far"),
        ("impulse_response_folder", str(tmp_path / "silent"), "a.wav: no impulse response"),
    ):
        with pytest.raises(AsdError) as error:
            scenes.write(tmp_path / "out", few(**{option: value}))
        for sentence in sentences:  # a kind that many files share is told of two
            assert sentence in str(error.value)
    assert not (tmp_path / "out").exists()


def rendered(count=4, machine="SimFan", **changes):
    """Normal clips of a machine."""
    chosen = few(**changes)
    return [scenes.render(machine, "train", "source", "normal", i, chosen) for i in range(count)]


def test_distance_reverberation_and_the_number_of_sources_do_what_they_say():
    def leak(**changes):
        """Machine power at the far microphone over that at the near one."""
        near, far = np.sum(rendered(1, **changes)[0].machine ** 2, axis=1)
        return far / near

    def coherence(**changes):
        """Median coherence of the noise between the microphones."""
        spectra = np.concatenate([stft(clip.noise) for clip in rendered(**changes)], axis=-1)
        near, far = power(spectra).mean(-1)
        return np.median(power((spectra[0] * spectra[1].conj()).mean(-1)) / (near * far))

    def loudness(count):
        machines = ("SimFan", "SimGearbox", "SimSlider", "SimValve")
        clips = [rendered(1, name, noise_sources=count)[0] for name in machines]
        return np.mean([np.mean(clip.noise[0] ** 2) for clip in clips])

    assert leak(far_distance=0.8) > 2 * leak(far_distance=2) > 2 * leak(far_distance=4)
    assert coherence(reverberation=0.2) > 1.3 * coherence(reverberation=0.8)
    assert coherence(noise_sources=1) > 1.3 * coherence(noise_sources=8)
    assert 0.5 < loudness(16) / loudness(1) < 2  # they share one power


def test_what_varies_a_simulated_room_is_refused_with_measured_ones():
    for name, value in (("far_distance", 2.0), ("reverberation", 0.3), ("corners", True)):
        with pytest.raises(AsdError, match=f"have their own room: {name} must not be set"):
            few(impulse_response_folder="responses", **{name: value})
    with pytest.raises(AsdError, match="noise_sources and corners exclude each other"):
        few(noise_sources=3, corners=True)


def test_training_clips_can_share_takes_of_the_machine_and_nothing_else():
    clips, alone = rendered(3, takes=2), rendered(3)
    assert np.array_equal(clips[0].machine, clips[2].machine)
    assert not np.array_equal(clips[0].noise, clips[2].noise)
    assert not np.array_equal(clips[0].machine, clips[1].machine)
    assert np.array_equal(clips[2].noise, alone[2].noise)
    test = ("SimFan", "test", "source", "normal", 2)
    a, b = (scenes.render(*test, few(**own)).mixture for own in ({}, {"takes": 2}))
    assert np.array_equal(a, b)


def test_the_target_can_scatter_more_and_have_several_conditions():
    def levels(domain, **changes):
        clips = [
            scenes.render("SimFan", "train", domain, "normal", i, few(**changes)) for i in range(6)
        ]
        return [10 * np.log10(np.mean(clip.machine[0] ** 2)) for clip in clips]

    usual, wide = levels("target"), levels("target", target_scatter=3)
    assert np.std(wide) > 2 * np.std(usual)
    assert levels("source", target_scatter=3, target_conditions=4) == levels("source")
    for machine, count in (("SimFan", 4), ("SimSlider", 1)):  # the slider's have no name
        listed = scenes.cells(machine, few(target_conditions=4, train_target=20))
        stems = [stem for cell, stem in listed if cell.domain == "target" and cell.split == "train"]
        assert len({stem.split("_", 6)[-1] for stem in stems}) == count


def test_the_recordings_of_an_own_machine_have_days_and_known_faults(tmp_path, monkeypatch):
    for name, value in {"DAYS": 2, "PER_DAY": 2, "LATER": 2, "PER_LATER": 1}.items():
        monkeypatch.setattr(own, name, value)
    told = own.write(tmp_path / "a", "pump", seed=3)
    assert told.endswith("2 normal ones of 2 later days, and 24 with a fault.")
    names = sorted(p.relative_to(tmp_path / "a").as_posix() for p in tmp_path.rglob("*.wav"))
    assert names[-3:] == [
        f"normal/2026-05-0{d}/0{t}.wav" for d, t in ((4, 815), (5, 800), (5, 815))
    ]
    changed = datetime.fromtimestamp((tmp_path / "a" / names[-1]).stat().st_mtime)
    assert changed == datetime(2026, 5, 5, 8, 15)
    read = {n.split("_")[-1]: dataset.read(tmp_path / "a" / n) for n in names if "arriving" in n}
    near, far = (10 * np.log10(np.mean(read["normal.wav"][c] ** 2)) for c in (0, 1))
    loud = 10 * np.log10(np.mean(read["amplified.wav"] ** 2, axis=1)) - (near, far)
    assert loud == pytest.approx([6, 6], abs=3)
    whine = prominence(read["whine.wav"], 2900, 3100) / prominence(read["normal.wav"], 2900, 3100)
    assert whine[0] > 4
    own.write(tmp_path / "b", "pump", seed=3)
    for name in names:
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()
    with pytest.raises(AsdError, match="to practise with: fan, gearbox"):
        own.write(tmp_path / "c", "saw")


def prominence(signal, low, high):
    """Strongest bin between two frequencies over the median there, at each microphone."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(signal.shape[1]))) ** 2
    frequency = np.fft.rfftfreq(signal.shape[1], 1 / 16000)
    band = spectrum[:, (frequency > low) & (frequency < high)]
    return band.max(axis=1) / np.median(band, axis=1)


@pytest.mark.parametrize("label", ["normal", "anomaly"])
def test_the_lines_of_a_neighbour_are_noise_and_the_machine_stays_the_same(label):
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
        rise.append(prominence(beside.noise, low, high) / prominence(without.noise, low, high))
    assert (np.median(rise, axis=0) > 10).all()


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


@pytest.mark.parametrize("machine", MACHINES)
def test_a_close_far_microphone_hears_the_machine_and_noise_from_corners_like_the_near_one(machine):
    def far_over_near(**changes):
        room = rooms.room_of(machine, few(**changes))
        near, far = np.sum(room.responses["machine"][0] ** 2, axis=-1)
        return far / near

    assert far_over_near() < 0.5
    assert far_over_near(far_distance=0.3) > 1
    close = {"far_distance": 0.3, "corners": True}
    assert far_over_near(**close) > 1
    (clip,) = rendered(1, machine, **close)
    near, far = np.mean(clip.noise**2, axis=1) / rooms.room_of(machine, few(**close)).gains ** 2
    assert 0.5 < far / near < 2


def test_each_of_the_four_noises_has_a_corner(monkeypatch):
    orders = set()
    for name in MACHINES:
        size, sources, _ = placed(monkeypatch, name, corners=True, neighbour=True)
        assert len(sources) == 1 + 4 + 1
        floor = sources[1:5, :2]
        assert np.minimum(floor, size[:2] - floor) == pytest.approx(np.full((4, 2), 0.5))
        order = tuple(map(tuple, floor > size[:2] / 2))
        assert len(set(order)) == 4
        orders.add(order)
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
    for t60 in (0.1, 0.4):
        found = [decay(name, reverberation=t60) for name in MACHINES]
        assert np.median(found) == pytest.approx(t60, rel=0.3)
    drawn = [decay(name, corners=True) for name in MACHINES]
    assert 0.06 < min(drawn) < 0.15
    assert 0.2 < max(drawn) < 0.45
