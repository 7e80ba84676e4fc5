"""A monitor: what it promises, what it says, and what it refuses."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import scipy.signal
import scipy.stats
import soundfile
from conftest import write_wav

from asdlib import cli
from asdlib.monitor import Monitor, model_file, recordings
from asdlib.params import AsdError, Scenes, Spectra
from asdlib.report import charts_evidence
from asdlib.simulate import scenes

RATE = 16000
NEAR = np.float32([[1], [0]])


def sound(number, seconds=1.0):
    """Two channels of noise that share a part, as a machine and its surroundings do."""
    rng = np.random.default_rng(number)
    near, far, common = 0.05 * rng.normal(size=(3, int(seconds * RATE)))
    return np.stack([near + common, 0.3 * far + common]).astype(np.float32)


def write(folder, numbers, seconds=1.0, gain=1.0, name="{:03d}.wav", **options):
    for number in numbers:
        write_wav(folder / name.format(number), gain * sound(number, seconds).T, **options)
    return folder


@pytest.fixture(scope="module")
def normal(tmp_path_factory):
    return write(tmp_path_factory.mktemp("normal"), range(24))


@pytest.fixture(scope="module")
def monitor(normal):
    return Monitor.fit(normal)


@pytest.fixture(scope="module")
def of_long_ones(tmp_path_factory):
    """A model of recordings of 4 s."""
    return Monitor.fit(write(tmp_path_factory.mktemp("long"), range(16), seconds=4.0))


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


def test_a_loaded_monitor_scores_as_the_one_that_was_saved(monitor, model, normal):
    loaded = Monitor.load(model)
    for clip in (sound(99), 3 * sound(98), normal / "003.wav"):
        assert loaded.score(clip) == monitor.score(clip)
    assert loaded.promise == monitor.promise
    assert loaded.alarm.threshold == monitor.alarm.threshold
    assert "one of the training recordings" in loaded.score(normal / "003.wav").remarks[0]
    assert not loaded.score(sound(99)).remarks


def test_normal_scenes_are_alarms_at_the_promised_rate(tmp_path):
    """The clips of the source domain could all change places."""

    def rendered(split, count):
        cell = ("SimFan", split, "source", "normal")
        return [scenes.render(*cell, index, Scenes(seconds=1.5)).mixture for index in range(count)]

    for index, clip in enumerate(rendered("train", 60)):
        write_wav(tmp_path / f"{index:02d}.wav", clip.T)
    fitted, clips = Monitor.fit(tmp_path), np.float32(rendered("test", 24))
    p_values = np.array([fitted.score(clip).p_value for clip in clips])
    for rate in (0.02, 0.05, 0.1):
        count = int((p_values <= rate).sum())
        assert scipy.stats.binomtest(count, 24, rate, "greater").pvalue > 0.01, (rate, count)
        assert replace(fitted, false_alarms=rate).score(clips[0]).alarm == (p_values[0] <= rate)


def test_a_gain_of_both_channels_is_told_and_removed_unless_it_is_large(monitor):
    usual = monitor.score(sound(99))
    for gain, words in ((2.0, "louder"), (0.5, "quieter")):
        found = monitor.score(np.float32(gain) * sound(99))
        told = re.match(r"Both channels are ([\d.]+) dB (\w+) than usual", found.remarks[0])
        assert (float(told[1]), told[2]) == (pytest.approx(6, abs=0.3), words)
        assert not found.alarm
        assert found.score == pytest.approx(usual.score, abs=0.3)
        assert not found.health
        large = monitor.score(np.float32(gain**1.7) * sound(99))
        assert large.reasons[0].startswith(f"{words} than normal")
    near = monitor.score(sound(99) * np.float32([[2], [1]]))  # one channel alone is no gain
    assert near.alarm
    assert near.remarks == ("Stranger than all of the 24 normal recordings.",)


def test_a_recording_fault_is_no_alarm_and_clipping_is_one_at_the_usual_level(model, tmp_path):
    monitor, usual = Monitor.load(model), sound(99)
    gated = usual.copy()
    gated[1, 2000:9000] = 0
    for faulty in (gated, np.clip(usual, -0.06, 0.06)):
        found = monitor.score(faulty)
        assert (found.verdict, found.alarm) == ("recording fault", False)
        told = json.loads(found.json())
        assert (told["verdict"], told["alarm"]) == ("recording fault", None)
        assert found.reasons
        assert not any(reason in str(found) for reason in found.reasons)
    offset = monitor.score(4 * usual + np.float32(0.08))
    assert (offset.verdict, len(offset.health)) == ("ALARM", 4)  # level and offset of each channel
    loud = monitor.score(np.clip(9 * usual, -0.5, 0.5))
    assert loud.verdict == "ALARM"
    assert any("is clipped" in sentence for sentence in loud.health)
    clip = write_wav(tmp_path / "gated.wav", gated.T)
    command = ["score", str(model), str(clip)]
    assert [cli.main([*command, *more]) for more in ([], ["--fail-on-fault"])] == [0, 3]


def test_one_new_line_is_an_alarm_that_names_it(of_long_ones):
    assert not of_long_ones.score(sound(77, 4.0)).alarm
    t = np.arange(4 * RATE) / RATE
    for hertz in (1234.5, 2718.0):
        tone = (0.006 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)  # 22 dB below the noise
        found = of_long_ones.score(sound(77, 4.0) + NEAR * tone)
        assert found.alarm
        told = found.reasons[0].split("a line at ")[1].split(" Hz")[0]
        assert float(told.replace(",", "")) == pytest.approx(hertz, abs=0.5)


def test_when_a_burst_happens_is_told(of_long_ones):
    clip = sound(99, 4.0)
    clip[0, RATE : RATE + 8000] += 0.5 * np.random.default_rng(5).normal(size=8000)
    reading = of_long_ones.score(clip)
    assert reading.alarm
    times = re.search(r"most from ([\d.]+) to ([\d.]+) s\.", " ".join(reading.reasons)).groups()
    assert [float(time) for time in times] == pytest.approx([1.0, 1.5], abs=0.15)


@pytest.mark.kind("a recording of another length")
def test_a_longer_recording_is_judged_by_its_worst_window(monitor):
    long = np.concatenate([sound(200 + n) for n in range(30)], axis=1)
    usual = monitor.score(long)
    assert not usual.alarm
    assert "30.0 s long: judged in 30 windows of 1.0 s." in usual.remarks[0]
    burst = long.copy()
    burst[:, 17 * RATE : 18 * RATE] *= np.float32([[4], [1]])
    found = monitor.score(burst)
    assert found.alarm
    assert 16 <= float(found.remarks[0].split("begins at ")[1].split(" ")[0]) <= 18
    assert found.p_value < usual.p_value


@pytest.mark.kind("a recording of another length")
def test_a_much_shorter_recording_has_no_verdict(monitor):
    found = monitor.score(4 * sound(99)[:, : RATE // 2])
    assert (found.verdict, json.loads(found.json())["alarm"]) == ("no verdict", None)
    assert "0.5 s long: the training recordings are 1.0 s long or longer" in found.remarks[0]


def test_warnings_are_a_second_rate(monitor):
    both = replace(monitor, false_alarms=0.05, warnings=0.5)
    found = [both.score(sound(300 + n)) for n in range(12)]
    assert {one.verdict for one in found} >= {"normal", "warning"}
    for one in found:
        assert (one.verdict == "warning") == (0.05 < one.p_value <= 0.5)
    with pytest.raises(AsdError, match=r"Warnings at a rate of 0\.01 are fewer than alarms"):
        replace(monitor, warnings=0.01).score(sound(1))


def day(number, count=5):
    """Recordings of one day, which has a colour of its own."""
    taps = np.array([1.0, *0.12 * np.random.default_rng(1000 + number).normal(size=2)])
    clips = (sound(5000 + 100 * number + n) for n in range(count))
    return [scipy.signal.lfilter(taps, 1.0, clip).astype(np.float32) for clip in clips]


def test_days_are_told_by_subfolders_or_names_and_give_the_same_alarms(tmp_path):
    for number in range(1, 7):
        for n, clip in enumerate(day(number)):
            write_wav(tmp_path / f"days/2026-05-0{number}/{n}.wav", clip.T)
            write_wav(tmp_path / f"flat/2026050{number}_{n}.wav", clip.T)
    days, flat = (Monitor.fit(tmp_path / kind) for kind in ("days", "flat"))
    assert days.known["session"].tolist() == flat.known["session"].tolist()
    assert days.known["session"].nunique() == 6
    assert days.alarm.threshold == flat.alarm.threshold
    low, high = np.array(re.findall(r"between ([\d.]+)% and ([\d.]+)%", days.promise), float).T
    assert (low[1], high[1]) != (low[0], high[0])  # by sessions, not by recordings
    assert "By its 6 sessions" in days.promise
    alarms = [days.score(clip).alarm for number in range(7, 13) for clip in day(number, 2)]
    assert np.mean(alarms) <= high[1] / 100 + 0.1


def test_more_recordings_make_the_promise_closer_and_stay_with_their_day(tmp_path):
    for number in range(4):
        write(tmp_path / "first" / f"day{number}", range(10 * number, 10 * number + 6))
    before = Monitor.fit(tmp_path / "first")
    write(tmp_path / "more" / "day2", range(24, 30))  # two are known already
    write(tmp_path / "more" / "day7", range(70, 74))
    after = before.refit(tmp_path / "more")
    assert len(after.known) == 32
    assert after.alarm.interval[1] < before.alarm.interval[1]
    assert after.known.groupby("session")["fold"].nunique().tolist() == [1] * 5
    assert after.known.groupby("fold")["session"].nunique().tolist() == [1] * 5
    after.save(tmp_path / "after.safetensors")
    assert Monitor.load(tmp_path / "after.safetensors").score(sound(99)) == after.score(sound(99))
    with pytest.raises(AsdError, match="knows all of these"):
        before.refit(tmp_path / "first")


def test_an_odd_day_and_a_single_one_are_told(monitor, tmp_path):
    for number in range(60):
        odd = scipy.signal.lfilter([1, 0.5 * (number // 10 == 3)], 1.0, sound(number, 0.5))
        write_wav(tmp_path / f"day{number // 10}" / f"{number}.wav", odd.T)
    told = re.findall(r"Session (\w+) is unlike .*: (\d) of its 10", Monitor.fit(tmp_path).promise)
    assert told == [("day3", "5")]
    assert "One session holds all of them" in monitor.promise
    assert re.search(r"They fall into \d+ groups of recordings", monitor.promise)
    by_recordings, by_groups = map(float, re.findall(r"and ([\d.]+)%", monitor.promise))
    assert by_groups >= by_recordings


def test_one_microphone_is_enough_and_is_told(tmp_path, capsys):
    for number in range(12):
        write_wav(tmp_path / "in" / f"{number:02d}.wav", sound(number)[0])
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
    reading = fitted.score(write_wav(tmp_path / "new.wav", clip[0], subtype="FLOAT"))
    assert reading.score == fitted.score(clip).score
    assert not reading.health
    assert fitted.score(4 * clip).alarm
    with pytest.raises(AsdError, match="2 channels; one is wanted"):
        fitted.score(sound(99))


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
    paths = sorted(tmp_path.glob("*day/*.wav"))
    assert recordings.collect(paths, Spectra())["session"].nunique() == 2


def test_a_folder_in_the_layout_of_dcase_gives_its_training_clips(tmp_path, capsys):
    for split, numbers, seconds in (("train", [0, 1, 2], 1), ("train", [3], 2), ("test", [4], 1)):
        name = f"section_00_source_{split}_normal_{{:04d}}_noAttribute.wav"
        write(tmp_path / "fan" / split, numbers, seconds, name=name)
    out = tmp_path / "deep" / "fan.safetensors"
    assert cli.main(["fit", str(tmp_path / "fan"), "--out", str(out), "--false-alarms", ".3"]) == 0
    assert len(Monitor.load(out).known) == 4
    told = capsys.readouterr().out
    assert f"Only the clips of {tmp_path / 'fan' / 'train'} were taken." in told
    assert "at most 30% of normal recordings like the 4 given ones" in told
    assert "The recordings are 1.0 to 2.0 s long." in told
    with pytest.raises(AsdError, match=r"holds 1 machine \(fan\)"):
        Monitor.fit(tmp_path)


def test_other_sample_rates_are_converted_where_that_is_wanted(tmp_path):
    for number in range(4):
        path = write_wav(tmp_path / f"{number}.wav", np.repeat(sound(number), 3, axis=1).T, 48000)
    with pytest.raises(AsdError, match="sample rate 48000 Hz"):
        Monitor.fit(tmp_path)
    fitted = Monitor.fit(tmp_path, resample=True)
    from_array = fitted.score(soundfile.read(path, dtype="float32")[0].T, 48000)
    assert from_array.score == fitted.score(path).score


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


def test_a_monitor_cannot_be_fitted_on_too_little_or_by_a_rate_out_of_range(tmp_path):
    (tmp_path / "empty").mkdir()
    one = write(tmp_path / "one", [0])
    for given, rate, message in (
        (tmp_path / "nowhere", 0.1, "no such folder"),
        (tmp_path / "empty", 0.1, "no WAV file"),
        ([], 0.1, "No recording was given"),
        (one, 0.1, "1 training clip; at least 2 are needed"),
        (one, 0.0, "between 0 and 1"),
    ):
        with pytest.raises(AsdError, match=message):
            Monitor.fit(given, rate)


def test_the_command_tells_lines_a_table_pictures_and_alarms_after_two(model, tmp_path, capsys):
    clips = write(tmp_path / "clips", [90, 91])
    write(write(clips, [92, 93], gain=4) / "later", [93], gain=4)
    table, pictures = tmp_path / "new" / "table.csv", tmp_path / "pictures"
    command = ["score", str(model), str(clips)]
    more = ["--csv", str(table), "--pictures", str(pictures), "--after", "2/3"]
    assert cli.main([*command, *more]) == 0
    out = capsys.readouterr().out
    assert (out.count("normal  score"), out.count("ALARM   score")) == (2, 3)
    assert "Alarms raised, after 2 of the last 3: 1." in out
    found = pd.read_csv(table)
    assert found["verdict"].tolist() == ["normal", "normal", "alarm", "alarm", "alarm"]
    assert found["raised"].tolist() == [False, False, False, True, False]
    drawn = sorted(path.name for path in pictures.iterdir())
    assert drawn == ["092.png", "093-2.png", "093.png"]
    assert cli.main([*command, "--json", "--fail-on-alarm"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == found["name"].tolist()
    assert [line["alarm"] for line in lines] == [False, False, True, True, True]
    for wrong in ("3/2", "x"):
        with pytest.raises(SystemExit):
            cli.main([*command, "--after", wrong])
    assert cli.main([*command, "--false-alarms", "1.5"]) == 2


def test_scores_go_on_after_cut_files_and_odd_names_are_shown(model, normal, tmp_path, capsys):
    clips, odd = write(tmp_path / "clips", [90]), os.fsdecode(b"\xff\n.wav")
    (clips / "\x1b[2J.wav").write_bytes((clips / "090.wav").read_bytes()[:-1000])
    (clips / "090.wav").rename(clips / odd)
    huge = write_wav(clips / "huge.wav", 1e30 * sound(1).T, subtype="FLOAT")
    assert cli.main(["score", str(model), str(clips), "--json", "--fail-on-alarm"]) == 2
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [line["name"] for line in lines if "score" in line] == [str(clips / odd)]
    assert "\\x1b[2J.wav: truncated; the header announces 64000 bytes" in told.err
    assert "huge.wav: samples of up to" in told.err
    assert "2 of 3 recordings could not be scored" in told.err
    both, table = [str(huge), str(normal / "000.wav")], tmp_path / "table.csv"
    assert cli.main(["score", str(model), *both, "--csv", str(table)]) == 2
    assert pd.read_csv(table)["problem"].notna().tolist() == [True, False]


def test_scoring_starts_without_slow_libraries(model, normal):
    code = "import sys; from asdlib import cli; cli.main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", code, "score", model, normal / "003.wav"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout
    slow = {"torch", "sklearn", "librosa", "numba", "scipy.signal", "scipy.stats", "matplotlib"}
    assert not slow & set(done.stdout.splitlines()[-1].split())


def test_a_model_learns_accepted_recordings_and_skips_bad_ones(few, tmp_path, capsys):
    clips = write(tmp_path / "clips", [90, 91, 92])
    out = tmp_path / "new.safetensors"
    command = ["refit", str(few), str(clips), "--out", str(out)]
    assert cli.main([*command, "--accept", "090.wav", "092.wav"]) == 0
    assert "2 recordings more than" in capsys.readouterr().out
    assert Monitor.load(out).known["name"].tolist()[5:] == ["090.wav", "092.wav"]
    assert cli.main([*command, "--accept", "099.wav"]) == 2
    assert "099.wav: no such file; --accept names recordings" in capsys.readouterr().err
    (clips / "text.wav").write_text("no sound")
    again = ["fit", str(clips), "--out", str(out)]
    assert cli.main(again) == 2
    assert cli.main([*again, "--skip-bad"]) == 0
    assert "text.wav" in capsys.readouterr().err
    assert len(Monitor.load(out).known) == 3


def test_a_picture_shows_the_reasons_of_one_recording(monitor, model, normal, tmp_path, capsys):
    one, out = str(normal / "003.wav"), tmp_path / "new" / "reasons.png"
    assert cli.main(["score", str(model), one, "--picture", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    found = monitor.evidence(3 * sound(99), name="$loud$")
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
    for clips, message in (
        (str(normal), "draws one recording; 24 were given"),
        (one, "a picture is one of .png, .svg, .pdf"),
    ):
        bad = str(tmp_path / "reasons.txt")
        assert cli.main(["score", str(model), clips, "--picture", bad]) == 2
        assert message in capsys.readouterr().err


def test_what_is_no_whole_model_file_is_refused(few, tmp_path, monkeypatch):
    other, whole, plain = tmp_path / "other", few.read_bytes(), {"x": np.zeros(1)}
    tensors, about = model_file.read(few)
    model_file.write({**tensors, "0.mean": np.full_like(tensors["0.mean"], np.nan)}, about, other)
    not_finite = other.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(model_file, "VERSION", 6)
        model_file.write(tensors, about, other)
    contents = {
        b"hello": "not a model file",
        whole[:-9]: "not a model file",
        struct.pack("<Q", 2**60) + b"{}": "not a model file",
        struct.pack("<Q", 100_000) + b"[" * 100_000: "not a model file",
        safetensors.numpy.save(plain): "not a model file",
        safetensors.numpy.save(plain, {"asd_monitor": "[1]"}): "not a model file",
        whole[:-9] + b"\x01" + whole[-8:]: "changed after it was written",
        whole.replace(b'false_alarms\\": 0.1', b'false_alarms\\": 0.9'): "changed after it",
        not_finite: r"0\.mean holds values that",
        other.read_bytes(): r"of format 6; this asdlib reads 5\. Update",
    }
    for content, message in contents.items():
        other.write_bytes(content)
        with pytest.raises(AsdError, match=message):
            Monitor.load(other)
            pytest.fail(str(content[:40]))
    os.truncate(other, 2**30 + 1)
    with pytest.raises(AsdError, match=f"{2**30 + 1:,} bytes, where at most"):
        Monitor.load(other)


FIT_AND_FIT_AGAIN = """
import os, signal, sys
import numpy as np
from asdlib import cli
from asdlib.monitor import Monitor

_, normal, other, out = sys.argv
assert cli.main(["fit", normal, "--out", out]) == 0
try:
    Monitor.load(out).score(np.zeros(16000))
except Exception as error:  # without the shapes that tests check
    print(error, flush=True)
end = lambda event, _: os.kill(os.getpid(), signal.SIGKILL) if event == "os.rename" else None
sys.addaudithook(end)
cli.main(["fit", other, "--out", out])
"""


def test_two_threads_give_the_same_file_and_a_killed_fit_leaves_it(model, normal, few, tmp_path):
    out, other = tmp_path / "new" / "one.safetensors", few.parent / "normal"
    command = [sys.executable, "-c", FIT_AND_FIT_AGAIN, normal, other, out]
    threads = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, env=threads, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    assert "an array of shape (16000,); (2, samples) is needed, near and far." in done.stdout
    assert out.read_bytes() == model.read_bytes()
    assert all(path.name.startswith(".") for path in out.parent.iterdir() if path != out)
    assert cli.main(["fit", str(other), "--out", str(out)]) == 0
    assert out.read_bytes() == few.read_bytes()


def test_a_model_replaces_models_alone(few, tmp_path, capsys):
    for name in ("mine.wav", "notes.txt"):
        (tmp_path / name).write_bytes(b"by hand")
        assert cli.main(["fit", str(few.parent / "normal"), "--out", str(tmp_path / name)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        with pytest.raises(AsdError):
            Monitor.load(few).save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"by hand"


def test_too_few_recordings_give_no_verdict(few, tmp_path, capsys):
    score = ["score", str(few), str(write(tmp_path, [9], gain=9))]
    assert cli.main(score) == 0
    told = capsys.readouterr().out
    assert "no verdict  score" in told
    assert "normal  score" not in told
    assert "at least 9 are needed" in told
    assert cli.main([*score, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alarm"] is None
    assert cli.main([*score, "--fail-on-alarm"]) == 2
    assert "cannot promise a false-alarm rate of 0.1" in capsys.readouterr().err


def test_recordings_that_no_longer_fit_are_told(model, tmp_path, capsys):
    assert cli.main(["score", str(model), str(write(tmp_path, range(100, 120), gain=3))]) == 0
    assert "the microphones have changed" in capsys.readouterr().out.splitlines()[-1]


def of_condition(folder, name, numbers):
    """Recordings of a domain; those of the target sound duller."""
    taps = [1.0, 0.9 * (name == "target")]
    for number in numbers:
        signal = scipy.signal.lfilter(taps, 1.0, sound(number)).astype(np.float32)
        path = folder / f"section_00_{name}_train_normal_{number:04d}_noAttribute.wav"
        write_wav(path, signal.T)
    return path


@pytest.fixture(scope="module")
def of_both(tmp_path_factory):
    """A model of two conditions."""
    folder = tmp_path_factory.mktemp("conditions")
    of_condition(folder / "train", "source", range(24))
    of_condition(folder / "train", "target", range(40, 52))
    return Monitor.fit(folder)


def test_an_alarm_is_strange_for_every_condition_and_a_known_one_counts_alone(
    of_both, tmp_path, capsys
):
    both = [of_condition(tmp_path, name, [90]) for name in ("source", "target")]
    told = of_both.promise
    assert "needs p <= 0.1 for every condition: source (24 recordings), target (12 reco" in told
    assert [of_both.score(path).alarm for path in both] == [False, False]
    assert of_both.score(4 * sound(92)[::-1]).p_value == 1 / 13  # of the smaller condition
    for condition, alarms in (("source", [False, True]), ("target", [True, False])):
        known = replace(of_both, condition=condition)
        assert [known.score(path).alarm for path in both] == alarms
    of_both.save(tmp_path / "both.safetensors")
    command = ["score", str(tmp_path / "both.safetensors"), str(both[1]), "--fail-on-alarm"]
    codes = {cond: cli.main([*command, "--condition", cond]) for cond in ("source", "target", "x")}
    assert codes == {"source": 1, "target": 0, "x": 2}
    assert "of condition 'x'; there is source and target." in capsys.readouterr().err


def test_a_condition_with_too_few_recordings_is_named(of_both):
    fewer = of_both.on(tuple(own[:28] for own in of_both.values), of_both.known[:28])
    assert fewer.promise.startswith("Condition target: 4 held-out normal clips cannot promise")
    assert fewer.score(4 * sound(92)).verdict == "no verdict"
    assert replace(fewer, condition="source").score(4 * sound(92)).alarm


@pytest.mark.parametrize("close", [True, False])
def test_a_far_microphone_that_is_no_noise_reference_is_told(tmp_path, rng, close):
    for index in range(6):
        machine, around, hiss = (
            scipy.signal.lfilter([1.0, a], 1.0, rng.standard_normal(16000))
            for a in (rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.9), 0.0)
        )
        far = machine if close else around
        both = np.stack([machine + 0.2 * around, far + 0.05 * hiss], axis=1)
        write_wav(tmp_path / f"{index}.wav", 0.05 * both)
    told = Monitor.fit(tmp_path).promise
    assert ("so it is no noise reference: the near one alone is used." in told) == close
