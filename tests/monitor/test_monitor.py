"""A monitor: what it promises, what it says, and what it refuses."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import scipy.signal
import scipy.stats
import soundfile

from asdlib import cli
from asdlib.monitor import Monitor, model_file, recordings
from asdlib.monitor.history import drift
from asdlib.params import AsdError, Scenes, Spectra
from asdlib.report import charts_evidence
from asdlib.simulate import scenes

RATE = 16000


def sound(number, seconds=1.0):
    """Two channels of noise that share a part, as a machine and its surroundings do."""
    rng = np.random.default_rng(number)
    near, far, common = 0.05 * rng.normal(size=(3, int(seconds * RATE)))
    return np.stack([near + common, 0.3 * far + common]).astype(np.float32)


def write(folder, numbers, seconds=1.0, gain=1.0, **options):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        signal = gain * sound(number, seconds)
        soundfile.write(folder / f"{number:03d}.wav", signal.T, RATE, **options)
    return folder


@pytest.fixture(scope="module")
def normal(tmp_path_factory):
    return write(tmp_path_factory.mktemp("normal"), range(24))


@pytest.fixture(scope="module")
def monitor(normal):
    return Monitor.fit(normal)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A model of five recordings, which cannot promise a rate of .1."""
    folder = tmp_path_factory.mktemp("few")
    path = folder / "few.safetensors"
    Monitor.fit(write(folder / "normal", range(5))).save(path)
    return path


@pytest.fixture
def model(monitor, tmp_path):
    monitor.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_loaded_monitor_scores_the_same_bytes_as_the_one_that_was_saved(monitor, model, normal):
    loaded = Monitor.load(model)
    for clip in (sound(99), 3 * sound(98), normal / "003.wav"):
        assert loaded.score(clip) == monitor.score(clip)
    assert loaded.promise == monitor.promise
    assert loaded.alarm.threshold == monitor.alarm.threshold


def test_normal_scenes_are_alarms_at_the_promised_rate(tmp_path):
    """Two sets of scenes; the clips of the source domain could all change places."""
    alarms, total = dict.fromkeys((0.02, 0.05, 0.1), 0), 0
    for seed in (0, 1):
        params = Scenes(
            machines=("SimFan",),
            seed=seed,
            seconds=1.5,
            train_source=60,
            train_target=0,
            test_per_cell=12,
        )
        scenes.write(tmp_path / str(seed), params)
        machine = tmp_path / str(seed) / "SimFan"
        fitted = Monitor.fit(machine)
        clips = sorted((machine / "test").glob("*_source_test_normal_*"))
        p_values = np.array([fitted.score(clip).p_value for clip in clips])
        total += len(clips)
        for rate in alarms:
            alarms[rate] += int((p_values <= rate).sum())
            assert replace(fitted, false_alarms=rate).score(clips[0]).alarm == (p_values[0] <= rate)
    assert total == 24
    for rate, count in alarms.items():
        assert scipy.stats.binomtest(count, total, rate, "greater").pvalue > 0.01, (rate, count)


def test_a_clip_that_is_louder_quieter_or_has_a_line_is_told_as_that(monitor):
    assert monitor.score(3 * sound(99)).reasons[0].startswith("louder than normal")
    assert monitor.score(sound(99) / 3).reasons[0].startswith("quieter than normal")
    tone = 0.05 * np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE)
    line = monitor.score(sound(99) + np.stack([tone, 0 * tone]).astype(np.float32))
    assert line.alarm
    assert "a line at 3,000 Hz" in line.reasons[0]


def test_a_gain_of_both_channels_is_told_and_removed(monitor):
    usual = monitor.score(sound(99))
    for gain, words in ((2.0, "louder"), (0.5, "quieter")):
        found = monitor.score(np.float32(gain) * sound(99))
        told = re.match(r"Both channels are ([\d.]+) dB (\w+) than usual", found.remarks[0])
        assert (float(told[1]), told[2]) == (pytest.approx(6, abs=0.3), words)
        assert not found.alarm
        assert found.score == pytest.approx(usual.score, abs=0.3)
        assert not found.health
    assert not usual.remarks
    near = monitor.score(sound(99) * np.float32([[2], [1]]))  # one channel alone is no gain
    assert near.alarm
    assert near.remarks == ("Stranger than all of the 24 normal recordings.",)


def test_a_recording_fault_is_no_alarm_and_clipping_is_one_at_the_usual_level(model, tmp_path):
    monitor, usual = Monitor.load(model), sound(99)
    gated = usual.copy()
    gated[1, 2000:9000] = 0
    clipped = np.clip(usual, -0.06, 0.06)
    for faulty in (gated, clipped):
        found = monitor.score(faulty)
        assert (found.verdict, found.alarm) == ("recording fault", False)
        assert json.loads(found.json())["verdict"] == "recording fault"
        assert json.loads(found.json())["alarm"] is None
        assert not any("normal:" in line for line in str(found).splitlines())
    offset = monitor.score(4 * usual + np.float32(0.02))
    assert (offset.verdict, len(offset.health)) == ("ALARM", 4)  # level and offset of each channel
    loud = monitor.score(np.clip(9 * usual, -0.5, 0.5))
    assert loud.verdict == "ALARM"
    assert any("is clipped" in sentence for sentence in loud.health)
    soundfile.write(tmp_path / "gated.wav", gated.T, RATE)
    command = ["score", str(model), str(tmp_path / "gated.wav")]
    assert [cli.main([*command, *more]) for more in ([], ["--fail-on-fault"])] == [0, 3]


def test_one_new_line_is_an_alarm_that_names_it(tmp_path):
    fitted = Monitor.fit(write(tmp_path, range(24), seconds=4.0))
    assert not fitted.score(sound(77, 4.0)).alarm
    t = np.arange(4 * RATE) / RATE
    for hertz in (1234.5, 2718.0):
        tone = (0.006 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)  # 22 dB below the noise
        found = fitted.score(sound(77, 4.0) + np.stack([tone, 0 * tone]))
        assert found.alarm
        told = found.reasons[0].split("a line at ")[1].split(" Hz")[0]
        assert float(told.replace(",", "")) == pytest.approx(hertz, abs=0.5)


@pytest.mark.kind("a recording of another length")
def test_a_longer_recording_is_judged_by_its_worst_window(monitor):
    long = np.concatenate([sound(200 + n) for n in range(30)], axis=1)
    usual = monitor.score(long)
    assert not usual.alarm
    assert "30 s long: judged in 30 windows of 1.0 s." in usual.remarks[0]
    burst = long.copy()
    burst[:, 17 * RATE : 18 * RATE] *= np.float32([[4], [1]])
    found = monitor.score(burst)
    assert found.alarm
    assert 16 <= float(found.remarks[0].split("begins at ")[1].split(" ")[0]) <= 18
    assert found.p_value < usual.p_value


@pytest.mark.kind("a recording of another length")
def test_a_much_shorter_recording_has_no_verdict(monitor):
    found = monitor.score(sound(99)[:, : RATE // 2])
    assert found.verdict == "no verdict"
    assert found.remarks == (
        "0.5 s long: the training recordings are 1.0 s long or longer, so there is no verdict.",
    )
    assert json.loads(found.json())["alarm"] is None


def test_recordings_of_several_lengths_are_told(tmp_path, capsys):
    write(tmp_path / "mixed", range(8), seconds=1.0)
    write(tmp_path / "mixed", range(8, 12), seconds=2.0)
    command = ["fit", str(tmp_path / "mixed"), "--out", str(tmp_path / "mixed.safetensors")]
    assert cli.main(command) == 0
    assert "The recordings are 1.0 to 2.0 s long." in capsys.readouterr().out


def test_a_training_recording_is_told(monitor, normal):
    assert "one of the training recordings" in monitor.score(normal / "003.wav").remarks[0]
    assert not monitor.score(sound(55)).remarks


def test_warnings_are_a_second_rate(monitor):
    both = replace(monitor, false_alarms=0.05, warnings=0.5)
    found = [both.score(sound(300 + n)) for n in range(12)]
    assert {one.verdict for one in found} >= {"normal", "warning"}
    for one in found:
        assert (one.verdict == "warning") == (0.05 < one.p_value <= 0.5)
    with pytest.raises(AsdError, match=r"Warnings at a rate of 0\.01 are fewer than alarms"):
        replace(monitor, warnings=0.01).score(sound(1))


def day(number, count=8, seconds=1.0):
    """Recordings of one day, which has a colour of its own."""
    rng = np.random.default_rng(1000 + number)
    taps = np.array([1.0, 0.12 * rng.normal(), 0.12 * rng.normal()])
    clips = [sound(5000 + 100 * number + n, seconds) for n in range(count)]
    return [
        np.apply_along_axis(lambda x: np.convolve(x, taps, "same"), 1, clip).astype(np.float32)
        for clip in clips
    ]


def test_days_are_told_by_subfolders_or_names_and_give_the_same_alarms(tmp_path):
    for number in range(6):
        for n, clip in enumerate(day(number)):
            for path in (
                f"days/2026-05-0{number + 1}/{n}.wav",
                f"flat/2026050{number + 1}_{n}.wav",
            ):
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(tmp_path / path, clip.T, RATE)
    fitted = [Monitor.fit(tmp_path / kind) for kind in ("days", "flat")]
    assert [len(set(own.known["session"])) for own in fitted] == [6, 6]
    new = [clip for number in range(6, 12) for clip in day(number, 4)]
    alarms = np.array([[own.score(clip).alarm for clip in new] for own in fitted])
    assert (alarms[0] == alarms[1]).all()
    low, high = np.array(re.findall(r"between ([\d.]+)% and ([\d.]+)%", fitted[0].promise), float).T
    assert (low[1], high[1]) != (low[0], high[0])  # by sessions, not by recordings
    assert "By its 6 sessions" in fitted[0].promise
    assert alarms[0].mean() <= high[1] / 100 + 0.1


def test_more_recordings_of_a_known_day_are_held_out_with_it(tmp_path):
    for number in range(4):
        write(tmp_path / "first" / f"day{number}", range(10 * number, 10 * number + 6))
    before = Monitor.fit(tmp_path / "first")
    write(tmp_path / "more" / "day2", range(26, 30))
    write(tmp_path / "more" / "day7", range(70, 74))
    known = before.refit(tmp_path / "more").known
    assert known.groupby("session")["fold"].nunique().tolist() == [1] * 5
    assert known.groupby("fold")["session"].nunique().tolist() == [1] * 5


def test_an_odd_day_and_a_single_one_are_told(tmp_path):
    for number in range(6):
        write(tmp_path / "odd" / f"day{number}", range(10 * number, 10 * number + 10))
    for path in (tmp_path / "odd" / "day3").iterdir():
        signal = soundfile.read(path)[0].T
        soundfile.write(path, np.stack([np.convolve(x, [1, 0.5], "same") for x in signal]).T, RATE)
    told = Monitor.fit(tmp_path / "odd").promise
    assert "Session day3 is unlike the others: 5 of its 10 recordings are alarms" in told
    assert "listen whether it is normal" in told
    one = Monitor.fit(write(tmp_path / "one", range(12))).promise
    assert "One session holds all of them: this says nothing about another day." in one
    assert "They fall into 10 groups of recordings that resemble each other." in one
    by_recordings, by_groups = map(float, re.findall(r"and ([\d.]+)%", one))
    assert by_groups >= by_recordings


def test_one_microphone_is_enough_and_is_told(tmp_path, capsys):
    for number in range(12):
        path = tmp_path / "in" / f"{number:02d}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, sound(number)[0], RATE)
    model = tmp_path / "one.safetensors"
    fit = ["fit", str(tmp_path / "in"), "--out", str(model)]
    assert cli.main(fit) == 2
    assert "(asd fit --mono does with one microphone)" in capsys.readouterr().err
    assert cli.main([*fit, "--mono"]) == 0
    told = capsys.readouterr().out
    assert "One microphone: no noise is subtracted" in told
    assert "both channels the same" not in told
    assert cli.main(["doctor", str(tmp_path / "in"), "--mono"]) == 0
    fitted, clip = Monitor.load(model), sound(99)[:1]
    soundfile.write(tmp_path / "new.wav", clip[0], RATE, subtype="FLOAT")
    reading = fitted.score(tmp_path / "new.wav")
    assert reading.score == fitted.score(clip).score
    assert not reading.health
    assert fitted.score(4 * clip).alarm
    with pytest.raises(AsdError, match="2 channels; one is wanted"):
        fitted.score(sound(99))


def test_when_a_burst_happens_is_told(tmp_path):
    fitted = Monitor.fit(write(tmp_path, range(24), seconds=4.0))
    clip = sound(99, 4.0)
    clip[0, RATE : RATE + 8000] += 0.5 * np.random.default_rng(5).normal(size=8000)
    reading = fitted.score(clip)
    assert reading.alarm
    stretches = [reason.split("most from ")[1] for reason in reading.reasons if "most" in reason]
    start, end = (float(part) for part in stretches[0].removesuffix(" s.").split(" to "))
    assert start == pytest.approx(1.0, abs=0.15)
    assert end == pytest.approx(1.5, abs=0.15)


def test_recordings_are_found_under_any_name_in_subfolders(tmp_path):
    write(tmp_path / "monday", range(3), subtype="PCM_24")
    write(tmp_path / "tuesday", range(3, 6), subtype="FLOAT")
    (tmp_path / "tuesday" / "003.wav").rename(tmp_path / "tuesday" / "Pump, hot.WAV")
    (tmp_path / "tuesday" / "copy.wav").write_bytes((tmp_path / "monday" / "000.wav").read_bytes())
    write(tmp_path / ".hidden", [7])
    table = recordings.collect(tmp_path, Spectra())
    assert table["session"].tolist() == ["monday"] * 3 + ["tuesday"] * 3
    assert "tuesday/Pump, hot.WAV" in table["name"].tolist()
    assert not table["name"].str.contains("copy").any()  # the same content as another one
    fitted = Monitor.fit(tmp_path)
    assert fitted.known["fold"].tolist() == [0, 0, 0, 1, 1, 1]  # a session stays together
    paths = sorted(tmp_path.glob("*day/*.wav"))
    assert recordings.collect(paths, Spectra())["session"].nunique() == 2


def test_a_folder_in_the_layout_of_dcase_gives_its_training_clips(tmp_path, capsys):
    for split, numbers in (("train", range(4)), ("test", range(4, 8))):
        folder = write(tmp_path / "fan" / split, numbers)
        for number in numbers:
            name = f"section_00_source_{split}_normal_{number:04d}_noAttribute.wav"
            (folder / f"{number:03d}.wav").rename(folder / name)
    out = tmp_path / "deep" / "fan.safetensors"
    assert cli.main(["fit", str(tmp_path / "fan"), "--out", str(out), "--false-alarms", ".3"]) == 0
    assert len(Monitor.load(out).known) == 4
    told = capsys.readouterr().out
    assert f"Only the clips of {tmp_path / 'fan' / 'train'} were taken." in told
    assert "at most 30% of normal recordings like the 4 given ones" in told
    with pytest.raises(AsdError, match=r"holds 1 machine \(fan\)"):
        Monitor.fit(tmp_path)


def test_other_sample_rates_are_converted_where_that_is_wanted(tmp_path):
    for number in range(4):
        high = np.repeat(sound(number), 3, axis=1)
        soundfile.write(tmp_path / f"{number}.wav", high.T, 48000)
    with pytest.raises(AsdError, match="sample rate 48000 Hz"):
        Monitor.fit(tmp_path)
    fitted = Monitor.fit(tmp_path, resample=True)
    path = tmp_path / "0.wav"
    from_array = fitted.score(soundfile.read(path, dtype="float32")[0].T, 48000)
    assert from_array.score == fitted.score(path).score


def test_more_recordings_make_the_promise_closer(monitor, normal, tmp_path):
    more = write(tmp_path / "more", range(20, 40))  # four are known already
    again = monitor.refit(more)
    assert len(again.known) == 40
    assert again.alarm.interval[1] < monitor.alarm.interval[1]
    again.save(tmp_path / "again.safetensors")
    assert Monitor.load(tmp_path / "again.safetensors").score(sound(99)) == again.score(sound(99))
    with pytest.raises(AsdError, match="knows all of these"):
        monitor.refit(normal)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((1, RATE), np.float32), "1 channel"),
        (np.zeros((2, RATE), np.float32), "silent"),
        (np.zeros((2, 0), np.float32), "no samples"),
        (np.full((2, RATE), np.nan, np.float32), "NaN"),
        (sound(1)[:, :1000], "1000 samples long"),
        ("nowhere.wav", "cannot be read"),
    ],
)
def test_a_recording_that_cannot_be_scored_is_one_sentence(monitor, given, message):
    with pytest.raises(AsdError, match=message):
        monitor.score(given)


def test_pipes_folders_and_cut_files_are_refused_and_odd_names_are_shown(model, tmp_path, capsys):
    clips = write(tmp_path / "clips", [90, 91])
    whole = (clips / "091.wav").read_bytes()
    (clips / "091.wav").unlink()
    (clips / "\x1b[2J.wav").write_bytes(whole[:-1000])
    os.mkfifo(clips / "pipe.wav")
    (clips / "folder.wav").mkdir()
    odd = os.fsdecode(b"\xff\n.wav")
    (clips / "090.wav").rename(clips / odd)
    soundfile.write(clips / "huge.wav", 1e30 * sound(1).T, RATE, subtype="FLOAT")
    assert cli.main(["score", str(model), str(clips), "--json", "--fail-on-alarm"]) == 2
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [line["name"] for line in lines if "score" in line] == [str(clips / odd)]
    assert "\\x1b[2J.wav: truncated; the header announces 64000 bytes" in told.err
    assert told.err.count("not a file, but a folder, a pipe or a device") == 2
    assert "huge.wav: samples of up to" in told.err
    assert "4 of 5 recordings could not be scored" in told.err


def test_what_a_monitor_cannot_be_fitted_on_is_one_sentence(tmp_path):
    with pytest.raises(AsdError, match="no such folder"):
        Monitor.fit(tmp_path / "nowhere")
    with pytest.raises(AsdError, match="no WAV file"):
        Monitor.fit(tmp_path)
    with pytest.raises(AsdError, match="No recording was given"):
        Monitor.fit([])
    with pytest.raises(AsdError, match="1 training clip; at least 2 are needed"):
        Monitor.fit(write(tmp_path, [0]))
    with pytest.raises(AsdError, match="between 0 and 1"):
        Monitor.fit(tmp_path, 0.0)


def test_the_command_scores_recordings(model, tmp_path, capsys):
    clips = write(tmp_path / "clips", [90, 91])
    assert cli.main(["score", str(model), str(clips)]) == 0
    assert capsys.readouterr().out.count("normal  score") == 2
    soundfile.write(clips / "loud.wav", 4 * sound(92).T, RATE)
    assert cli.main(["score", str(model), str(clips)]) == 0
    assert "ALARM" in capsys.readouterr().out
    assert cli.main(["score", str(model), str(clips), "--json", "--fail-on-alarm"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["name"]).name for line in lines] == ["090.wav", "091.wav", "loud.wav"]
    assert [line["alarm"] for line in lines] == [False, False, True]


def test_scoring_starts_without_slow_libraries(model, tmp_path):
    clip = write(tmp_path / "clips", [90]) / "090.wav"
    code = "import sys; from asdlib import cli; cli.main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", code, "score", model, clip]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout
    slow = {"torch", "sklearn", "librosa", "numba", "scipy.signal", "scipy.stats", "matplotlib"}
    assert not slow & set(done.stdout.splitlines()[-1].split())


def test_scores_as_a_table_pictures_of_alarms_and_alarms_after_two(model, tmp_path, capsys):
    clips = write(tmp_path / "clips", [90, 91])
    for number in (92, 93, 94):
        soundfile.write(clips / f"{number:03d}.wav", 4 * sound(number).T, RATE)
    (clips / "095.wav").write_text("no sound")
    table, pictures = tmp_path / "new" / "table.csv", tmp_path / "pictures"
    (clips / "later").mkdir()
    soundfile.write(clips / "later" / "094.wav", 4 * sound(93).T, RATE)
    command = ["score", str(model), str(clips), "--csv", str(table), "--pictures", str(pictures)]
    assert cli.main([*command, "--after", "2/3"]) == 2  # one could not be scored
    out = capsys.readouterr().out
    assert "Alarms raised, after 2 of the last 3: 1." in out
    found = pd.read_csv(table)
    assert found["verdict"].tolist()[:5] == ["normal", "normal", "alarm", "alarm", "alarm"]
    assert found["raised"].tolist()[:5] == [False, False, False, True, False]
    assert "095.wav" in found["problem"].dropna().item()
    assert sorted(path.name for path in pictures.iterdir()) == [
        *("092.png", "093.png", "094-2.png", "094.png")
    ]
    (clips / "095.wav").unlink()
    for wrong in ("3/2", "x"):
        with pytest.raises(SystemExit):
            cli.main([*command, "--after", wrong])
    assert cli.main(["score", str(model), str(clips), "--false-alarms", "1.5"]) == 2


def test_a_model_learns_accepted_recordings_and_skips_bad_ones(model, normal, tmp_path, capsys):
    clips = write(tmp_path / "clips", [90, 91, 92])
    out = tmp_path / "new.safetensors"
    command = ["refit", str(model), str(clips), "--out", str(out)]
    assert cli.main([*command, "--accept", "090.wav", "092.wav"]) == 0
    assert "2 recordings more than" in capsys.readouterr().out
    assert Monitor.load(out).known["name"].tolist()[-2:] == ["090.wav", "092.wav"]
    assert cli.main([*command, "--accept", "091.wav"]) == 0
    assert "1 recording more than" in capsys.readouterr().out
    assert cli.main([*command, "--accept", "099.wav"]) == 2
    assert "099.wav: no such file; --accept names recordings" in capsys.readouterr().err
    (clips / "text.wav").write_text("no sound")
    again = ["fit", str(clips), "--out", str(out)]
    assert cli.main(again) == 2
    assert cli.main([*again, "--skip-bad"]) == 0
    assert "text.wav" in capsys.readouterr().err
    assert len(Monitor.load(out).known) == 3


def test_a_picture_shows_the_reasons_of_one_recording(model, tmp_path, capsys):
    clips = write(tmp_path / "clips", [90, 91])
    out = tmp_path / "new" / "reasons.png"
    assert cli.main(["score", str(model), str(clips / "090.wav"), "--picture", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    found = Monitor.load(model).evidence(3 * sound(99), name="$loud$")
    axes = charts_evidence.reading([found]).axes
    level, against, by_frequency, words = (ax for ax in axes if ax.get_label() != "<colorbar>")
    assert np.array_equal(level.images[0].get_array(), found.levels.T)
    assert np.array_equal(against.images[0].get_array(), found.above.T)
    assert found.above.mean() == pytest.approx(20 * np.log10(3), abs=0.5)  # dB
    assert "$loud$\n\nALARM" in words.texts[0].get_text()
    marked = [ax.patches for ax in (level, against, by_frequency)]
    assert [len(own) for own in marked] == [len(found.reading.reasons)] * 3
    told = float(re.search(r"by ([\d.]+) standard dev", found.reading.reasons[0])[1])
    drawn = np.concatenate([line.get_ydata() for line in by_frequency.lines])
    assert np.abs(drawn - told).min() < 0.06  # words and picture have one scale
    for arguments, message in (
        ([str(clips)], "draws one recording; 2 were given"),
        ([str(clips / "090.wav")], "a picture is one of .png, .svg, .pdf"),
    ):
        bad = str(tmp_path / "reasons.txt")
        assert cli.main(["score", str(model), *arguments, "--picture", bad]) == 2
        assert message in capsys.readouterr().err


def test_what_is_no_whole_model_file_is_refused(model, tmp_path):
    other, whole = tmp_path / "other", model.read_bytes()
    plain = {"x": np.zeros(1)}
    contents = {
        b"hello": "not a model file",
        whole[:-9]: "not a model file",
        struct.pack("<Q", 2**60) + b"{}": "not a model file",
        struct.pack("<Q", 100_000) + b"[" * 100_000: "not a model file",
        safetensors.numpy.save(plain): "not a model file",
        safetensors.numpy.save(plain, {"asd_monitor": "[1]"}): "not a model file",
        whole[:-9] + b"\x01" + whole[-8:]: "changed after it was written",
        whole.replace(b'false_alarms\\": 0.1', b'false_alarms\\": 0.9'): "changed after it",
    }
    for content, message in contents.items():
        other.write_bytes(content)
        with pytest.raises(AsdError, match=message):
            Monitor.load(other)
            pytest.fail(str(content[:40]))
    os.truncate(other, 2**30 + 1)
    for path, message in (
        (other, f"{2**30 + 1:,} bytes, where at most"),
        (tmp_path / "nowhere", "cannot be read"),
        (tmp_path, "not a file, but a folder"),
    ):
        with pytest.raises(AsdError, match=message):
            Monitor.load(path)


def test_values_that_are_not_finite_and_newer_formats_are_refused(model, tmp_path, monkeypatch):
    tensors, about = model_file.read(model)
    other = tmp_path / "other"
    broken = {**tensors, "0.mean": np.full_like(tensors["0.mean"], np.nan)}
    model_file.write(broken, about, other)
    with pytest.raises(AsdError, match=r"0\.mean holds values that"):
        Monitor.load(other)
    with monkeypatch.context() as patch:
        patch.setattr(model_file, "VERSION", 6)
        model_file.write(tensors, about, other)
    with pytest.raises(AsdError, match=r"of format 6; this asdlib reads 5\. Update"):
        Monitor.load(other)


FIT_AND_FIT_AGAIN = """
import os, signal, sys
import numpy as np
from asdlib import cli
from asdlib.monitor import Monitor

_, normal, out = sys.argv
assert cli.main(["fit", normal, "--out", out]) == 0
try:
    Monitor.load(out).score(np.zeros(16000))
except Exception as error:  # without the shapes that tests check
    print(error, flush=True)
end = lambda event, _: os.kill(os.getpid(), signal.SIGKILL) if event == "os.rename" else None
sys.addaudithook(end)
cli.main(["fit", normal, "--out", out, "--false-alarms", "0.2"])
"""


def test_two_threads_give_the_same_file_and_a_killed_fit_leaves_it(model, normal, tmp_path):
    out = tmp_path / "new" / "one.safetensors"
    command = [sys.executable, "-c", FIT_AND_FIT_AGAIN, normal, out]
    threads = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, env=threads, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    assert "an array of shape (16000,); (2, samples) is needed, near and far." in done.stdout
    assert out.read_bytes() == model.read_bytes()
    assert all(path.name.startswith(".") for path in out.parent.iterdir() if path != out)
    assert cli.main(["fit", str(normal), "--out", str(out), "--false-alarms", "0.2"]) == 0
    assert Monitor.load(out).false_alarms == 0.2


def test_a_model_replaces_models_alone(few, tmp_path, capsys):
    (tmp_path / "mine.wav").write_bytes(b"RIFF")
    (tmp_path / "notes.txt").write_text("by hand")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("mine.wav", "notes.txt", "folder", "pipe"):
        assert cli.main(["fit", str(few.parent / "normal"), "--out", str(tmp_path / name)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        with pytest.raises(AsdError):
            Monitor.load(few).save(tmp_path / name)
    assert (tmp_path / "mine.wav").read_bytes() == b"RIFF"
    assert (tmp_path / "notes.txt").read_text() == "by hand"


def test_too_few_recordings_give_no_verdict(few, tmp_path, capsys):
    loud = write(tmp_path, [9], gain=9)
    assert cli.main(["score", str(few), str(loud)]) == 0
    told = capsys.readouterr().out
    assert "no verdict  score" in told
    assert "normal  score" not in told
    assert "at least 9 are needed" in told
    assert cli.main(["score", str(few), str(loud), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alarm"] is None
    assert cli.main(["score", str(few), str(loud), "--fail-on-alarm"]) == 2
    assert "cannot promise a false-alarm rate of 0.1" in capsys.readouterr().err


def test_normal_recordings_fit_and_changed_ones_do_not(model, tmp_path, capsys):
    mixed = np.random.default_rng(0).permutation(np.arange(1, 101) / 100).tolist()
    assert drift(mixed, 0.1)[1].endswith(": they fit.")
    assert drift([*mixed, *(p / 4 for p in mixed[:50])], 0.1)[0]
    assert drift([0.01] * 19, 0.1) == (False, "")
    assert "but all are a little" in drift([p / 3 for p in mixed[:50] if p > 0.31], 0.1)[1]
    assert drift([p / 3 for p in mixed[:50] if p > 0.31], 0.1)[0]
    assert not drift([1 - p / 5 for p in mixed[:50]], 0.1)[0]
    assert "more than new ones do" in drift([1 - p / 5 for p in mixed[:50]], 0.1)[1]
    for gain, told in ((1.0, "they fit"), (3.0, "fit again with recordings")):
        folder = write(tmp_path / str(gain), range(100, 120), gain=gain)
        assert cli.main(["score", str(model), str(folder)]) == 0
        assert told in capsys.readouterr().out


def of_condition(folder, name, numbers):
    """Recordings of a domain; those of the target sound duller."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        signal = sound(number)
        if name == "target":
            signal[:, 1:] += 0.9 * signal[:, :-1]
        path = folder / f"section_00_{name}_train_normal_{number:04d}_noAttribute.wav"
        soundfile.write(path, signal.T, RATE)
    return path


def test_an_alarm_is_strange_for_every_condition_and_a_known_one_counts_alone(tmp_path, capsys):
    of_condition(tmp_path / "normal/train", "source", range(30))
    of_condition(tmp_path / "normal/train", "target", range(40, 52))
    source, target = (
        of_condition(tmp_path / "new", name, [number])
        for name, number in (("source", 90), ("target", 91))
    )
    monitor = Monitor.fit(tmp_path / "normal")
    assert "strange for every condition: source (30 recordings), target (12 reco" in monitor.promise
    assert not monitor.score(source).alarm
    assert not monitor.score(target).alarm
    assert monitor.score(4 * sound(92)[::-1]).p_value == 1 / 13  # of the smaller condition
    for condition, alarms in (("source", [False, True]), ("target", [True, False])):
        known = replace(monitor, condition=condition)
        assert [known.score(path).alarm for path in (source, target)] == alarms
    monitor.save(tmp_path / "both.safetensors")
    command = ["score", str(tmp_path / "both.safetensors"), str(target), "--condition"]
    assert cli.main([*command, "source", "--fail-on-alarm"]) == 1
    assert cli.main([*command, "target", "--fail-on-alarm"]) == 0
    assert cli.main([*command, "idle"]) == 2
    assert "of condition 'idle'; there is source and target." in capsys.readouterr().err


def test_a_condition_with_too_few_recordings_is_named(tmp_path):
    of_condition(tmp_path / "train", "source", range(30))
    of_condition(tmp_path / "train", "target", range(40, 44))
    monitor = Monitor.fit(tmp_path)
    assert monitor.promise.startswith("Condition target: 4 held-out normal clips cannot promise")
    assert monitor.score(4 * sound(92)).verdict == "no verdict"
    assert replace(monitor, condition="source").score(4 * sound(92)).alarm


@pytest.mark.parametrize("close", [True, False])
def test_a_far_microphone_that_is_no_noise_reference_is_told(tmp_path, rng, close):
    for index in range(12):
        machine, around, hiss = (
            scipy.signal.lfilter([1.0, a], 1.0, rng.standard_normal(16000))
            for a in (rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.9), 0.0)
        )
        far = machine if close else around
        both = np.stack([machine + 0.2 * around, far + 0.05 * hiss], axis=1)
        soundfile.write(tmp_path / f"{index}.wav", 0.05 * both, 16000)
    told = Monitor.fit(tmp_path).promise
    assert ("so it is no noise reference: the near one alone is used." in told) == close
