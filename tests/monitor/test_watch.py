"""A watched folder: what arrives, what is wrong with it, and what a restart leaves out."""

import errno
import io
import json
import os
import signal
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import two_channels, write_wav

from asdlib import cli
from asdlib.monitor import Monitor, watch, watch_log
from asdlib.monitor.watch_log import WatchLog
from asdlib.params import AsdError
from asdlib.runtime import process


@pytest.fixture
def model(watched):
    """The file of a monitor of noise."""
    return watched / "noise.safetensors"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def wav(gain=1.0, seed=0):
    """Bytes of a recording of noise."""
    file, signal_ = io.BytesIO(), gain * two_channels(np.random.default_rng(seed))
    soundfile.write(file, signal_, 16000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def streamed(length):
    """The same with a header that announces no length, or all of the file and no sound."""
    content, number = wav(), length.to_bytes(4, "little")
    return content[:4] + number + content[8:40] + number + content[44:]


def once(model, folder, **changes):
    """Lines of a watcher that ends when it has told all that is there."""
    how = {"every": 0.02, "patience": 0.02, "once": True} | changes
    return [json.loads(line) for line in watch.watch(Monitor.load(model), folder, **how)]


def names(lines):
    return [line["name"] for line in lines]


CONTENTS = {
    "whole": wav(),
    "loud": wav(gain=4),
    "cut": wav()[:1000],
    "stream": streamed(0),
    "text": b"no sound",
    **{f"growing {i}": wav() + bytes(i) for i in range(9)},
}
GROWING = [f"growing {i}" for i in range(9)]
LOOKS = [
    # what each look finds, how the watch is made, what is told at which look
    (["whole"] * 4, {}, {2: "score"}),
    (["cut", "whole", "whole"], {}, {3: "score"}),
    (["cut", "gone", "gone"], {}, {}),
    (["gone", "cut", "whole", "whole", "whole"], {}, {4: "score"}),
    (["cut"] * 5, {}, {4: "Truncated"}),
    (["text"] * 3, {"patience": 0}, {2: "Cannot be read as audio"}),
    (["cut", "cut", "cut", "cut", "whole", "whole"], {}, {4: "Truncated", 6: "score"}),
    (["stream"] * 5, {}, {4: "score"}),
    (["stream", "stream", "whole", "whole"], {}, {4: "score"}),
    (["whole", "whole", "loud", "loud", "loud"], {}, {2: "score", 4: "score"}),
    (["whole", "whole", "touched", "touched", "touched"], {}, {2: "score"}),
    (["whole", "whole", "gone", "whole", "whole"], {}, {2: "score"}),
    (GROWING, {}, {}),
    # the watch ends by itself after the last line, or after the look of "end"
    (["whole"] * 4, {"once": True}, {2: "score"}),
    (["cut", "gone", "gone"], {"once": True}, {2: "end"}),
    (["gone", "whole", "whole"], {"once": True}, {1: "end"}),
    (["cut"] * 5, {"once": True}, {4: "Truncated"}),
    (GROWING, {"once": True}, {4: "Is still being written."}),
    (["cut", "whole", "whole", "whole"], {"once": True, "patience": 600}, {3: "score"}),
]


class Clock:
    """Time that passes while the watch sleeps; ``change`` is called every second."""

    def __init__(self, change):
        self.now, self.change = 0.0, change
        change(0)

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        before, self.now = self.now, round(self.now + seconds, 6)
        if int(self.now) > int(before):
            self.change(int(self.now))


@pytest.mark.parametrize(("contents", "how", "told"), LOOKS)
def test_each_look_at_a_file_tells_what_there_is_to_tell(
    model, folder, monkeypatch, contents, how, told
):
    path, found = folder / "a.wav", {}

    def change(look):
        content = contents[look] if look < len(contents) else "gone"
        if content == "touched":
            os.utime(path)
        elif content == "gone":
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_bytes() != CONTENTS[content]:
            path.write_bytes(CONTENTS[content])

    clock = Clock(change)
    monkeypatch.setattr(watch, "time", clock)
    how = {"patience": 3, "stop": lambda: clock.now >= len(contents)} | how
    for line in watch.watch(Monitor.load(model), folder, **how):
        found[int(clock.now) + 1] = json.loads(line)
    last = int(clock.now) + 1
    if "once" in how and last not in found:
        found[last] = {"problem": "end"}
    assert last == (max(told) if "once" in how else len(contents) + 1)
    assert list(found) == list(told)
    for line, text in zip(found.values(), told.values(), strict=True):
        assert "score" in line if text == "score" else line["problem"].startswith(text)


def test_what_arrives_is_scored_as_by_hand(model, folder):
    (folder / "2026").mkdir()
    paths = {"2026/b.WAV": wav(gain=4, seed=1), "a.wav": wav()}
    for name, content in paths.items():
        (folder / name).write_bytes(content)
    monitor = Monitor.load(model)
    lines = once(model, folder)
    assert names(lines) == list(paths)
    for line in lines:
        told = json.loads(monitor.score(folder / line["name"], name=line["name"]).json())
        assert {key: line[key] for key in told} == told
        assert line["size"] == (folder / line["name"]).stat().st_size
        assert line["model"] == monitor.identity
    assert lines[0]["alarm"]


def test_a_bad_file_is_a_line_and_neither_an_end_nor_a_hang(model, folder, monkeypatch):
    noise = two_channels(np.random.default_rng(0))
    write_wav(folder / "mono.wav", noise[:, 0])
    write_wav(folder / "rate.wav", noise, 44100)
    write_wav(folder / "nan.wav", np.where(noise > 0.2, np.nan, noise), subtype="FLOAT")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "large.wav").touch()
    os.truncate(folder / "large.wav", 2**40)
    os.mkfifo(folder / "pipe.wav")
    (folder / "broken.wav").symlink_to("nowhere.wav")
    for name in ("folder.wav/good.wav", ".hidden.wav", "closed/a.wav", "gone/a.wav"):
        write_wav(folder / name, noise)
    (folder / "folder.wav" / "round").symlink_to("..")
    (folder / "notes.txt").write_text("no recording")
    errors, real = {"closed": PermissionError, "gone": FileNotFoundError}, os.scandir

    def scandir(path):
        if error := errors.get(os.path.basename(path)):
            raise error(0, "Not to be listed", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "listdir", scandir)
    found = {line["name"]: line for line in once(model, folder)}
    assert found.pop("folder.wav/good.wav")["score"]
    texts = {
        "mono.wav": "1 channel; near and far",
        "rate.wav": "Sample rate 44100 Hz; 16000 Hz is needed",
        "nan.wav": "samples are NaN or infinite.",
        "empty.wav": "The file is empty (0 bytes).",
        "large.wav": f"{2**40:,} bytes, where at most {2**30:,} are allowed",
        "pipe.wav": "not a file, but a folder, a pipe or a device",
        "broken.wav": "No such file or directory",
        "folder.wav": "not a file, but a folder, a pipe or a device",
        "closed/": "Not to be listed",
    }
    assert found.keys() == texts.keys()
    for name, text in texts.items():
        assert text in found[name]["problem"], name


def removed(path):
    path.unlink()


def changed(path):
    path.write_bytes(wav(gain=4) + b"more")


@pytest.mark.parametrize("change", [removed, changed])
@pytest.mark.parametrize("is_read", [False, True])
def test_what_happens_to_a_file_after_the_look_is_told(model, folder, monkeypatch, change, is_read):
    """What was read before it was removed has a score; a change is seen by the next look."""
    path, real, reads = folder / "a.wav", watch.wav.content_of, []
    path.write_bytes(wav())

    def changing(place):
        reads.append(real(place))
        if len(reads) == 1:
            change(path)
        return reads[-1] if is_read else real(place)

    monkeypatch.setattr(watch.wav, "content_of", changing)
    (line,) = once(model, folder, patience=0.3 if change is changed else 600)
    if change is changed:
        assert (line["changed_ns"], line["alarm"]) == (path.stat().st_ctime_ns, True)
    elif is_read:
        assert line["alarm"] is False
    else:
        assert line["problem"] == "Was removed before it could be scored."


def test_an_error_of_ours_and_a_score_that_is_no_number_are_problems(
    model, folder, tmp_path, monkeypatch
):
    for name in ("a.wav", "b.wav", "c.wav"):
        (folder / name).write_bytes(wav())
    real = Monitor.score

    def failing(self, *given, name):
        if name == "a.wav":
            raise ZeroDivisionError("by zero")
        reading = real(self, *given, name=name)
        return replace(reading, score=float("nan")) if name == "b.wav" else reading

    monkeypatch.setattr(Monitor, "score", failing)
    found = {line["name"]: line for line in once(model, folder, log=tmp_path / "log")}
    assert found["a.wav"]["problem"] == "Cannot be scored (ZeroDivisionError: by zero)."
    assert found["b.wav"]["problem"].startswith("Cannot be scored (ValueError: Out of range float")
    assert "score" in found["c.wav"]
    assert b"NaN" not in (tmp_path / "log").read_bytes()


WEIRD = [
    "line\nfeed\r\x1b[31m.wav",
    "two\u2028lines\x85.wav",
    'quote"\\ \U0001f600 ü.wav',
    os.fsdecode(b"\xff\xfe no utf-8 \xed\xa0\x80.wav"),
]


def test_any_name_is_one_line_of_json_and_is_known_again(model, folder, tmp_path, capsys):
    for name in WEIRD:
        (folder / name).write_bytes(wav())
    log = tmp_path / "log.jsonl"
    asked = ["watch", str(model), str(folder), "--every", "0.02", "--once", "--log", str(log)]
    assert cli.main(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(names(map(json.loads, lines))) == sorted(WEIRD)
    assert "".join(lines).isascii()
    assert log.read_text().splitlines() == lines
    assert once(model, folder, log=log) == []


def test_a_folder_that_vanishes_is_waited_for_and_said_once(model, folder, monkeypatch):
    (folder / "a.wav").write_bytes(wav())
    away, told = folder.with_name("elsewhere"), []
    changed = {2: lambda: folder.rename(away), 5: lambda: away.rename(folder)}
    clock = Clock(lambda look: changed.get(look, bool)())
    monkeypatch.setattr(watch, "time", clock)
    lines = watch.watch(Monitor.load(model), folder, stop=lambda: clock.now >= 8, say=told.append)
    assert len(list(lines)) == 1
    away_again, back = told
    assert away_again.startswith(f"{folder}: cannot be watched (No such file or directory).")
    assert back == f"{folder}: the folder is there again."
    clock = Clock(lambda look: folder.rename(away) if look else None)
    monkeypatch.setattr(watch, "time", clock)
    with pytest.raises(AsdError, match="in: cannot be watched"):
        list(watch.watch(Monitor.load(model), folder, once=True))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_watch_after_the_recording_at_hand(
    model, folder, monkeypatch, capsys, number
):
    for name in "abc":
        (folder / f"{name}.wav").write_bytes(wav())
    real = Monitor.score

    def score(self, *given, name):
        if name == "b.wav":
            signal.raise_signal(number)
        return real(self, *given, name=name)

    monkeypatch.setattr(Monitor, "score", score)
    before = signal.signal(number, signal.default_int_handler)  # it may be ignored, as by nohup
    assert cli.main(["watch", str(model), str(folder), "--every", "0.02"]) == 0
    assert names(map(json.loads, capsys.readouterr().out.splitlines())) == ["a.wav", "b.wav"]
    assert signal.getsignal(number) == signal.default_int_handler
    signal.signal(number, before)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.kind("memory that grows with the length")
@pytest.mark.parametrize("moment", ["scoring", "within a line", "between log and record"])
def test_after_kill_9_nothing_is_told_twice_or_lost_and_what_killed_is_left_out(
    model, folder, tmp_path, monkeypatch, moment
):
    log, score, fsync = tmp_path / "log.jsonl", Monitor.score, os.fsync
    for seed, name in enumerate("abc"):
        (folder / f"{name}.wav").write_bytes(wav(seed=seed))

    def killing_score(self, *given, name):
        if moment == "scoring" and name == "b.wav":
            kill()
        return score(self, *given, name=name)

    def killing_fsync(file):
        if b"b.wav" in log.read_bytes():
            os.ftruncate(file, os.fstat(file).st_size - 20 * (moment == "within a line"))
            kill()
        fsync(file)

    if (child := os.fork()) == 0:
        try:
            monkeypatch.setattr(Monitor, "score", killing_score)
            monkeypatch.setattr(os, "fsync", killing_fsync)
            once(model, folder, log=log)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    if moment == "within a line":
        (tmp_path / "log.jsonl.known").unlink()
    once(model, folder, log=log)
    told = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    assert sorted(names(told)) == ["a.wav", "b.wav", "c.wav"]
    problems = [(line["name"], line["problem"]) for line in told if "problem" in line]
    assert len(problems) == (moment == "scoring")
    for name, problem in problems:
        assert name == "b.wav"
        assert problem.startswith("The last watcher ended while it was scored")
    assert once(model, folder, log=log) == []
    os.utime(folder / "b.wav")
    assert names(once(model, folder, log=log)) == [name for name, _ in problems]


@pytest.mark.kind("two that share a folder")
def test_one_log_is_for_one_watcher_and_one_model(model, folder, tmp_path):
    log, link, other = tmp_path / "log", tmp_path / "link", tmp_path / "other.safetensors"
    link.symlink_to(log)
    (folder / "a.wav").write_bytes(wav())
    first = watch.watch(Monitor.load(model), folder, every=0.02, log=log)
    line = next(first)
    assert log.read_text() == f"{line}\n"  # before it is told
    with pytest.raises(AsdError, match="link: in use by another process"):
        once(model, folder, log=link)
    first.close()
    assert once(model, folder, log=link) == []
    replace(Monitor.load(model), false_alarms=0.2).save(other)
    assert names(once(other, folder, log=log)) == ["a.wav"]
    assert once(other, folder, log=log) == once(model, folder, log=log) == []


def test_lines_of_a_log_that_say_nothing_are_passed_over(model, folder, tmp_path):
    for name in "ab":
        (folder / f"{name}.wav").write_bytes(wav())
    log = tmp_path / "log"
    first, _ = once(model, folder, log=log)
    (tmp_path / "log.known").write_bytes(b'{"name": "b.wav", "si')
    good = json.dumps(first).encode()
    odd = [b"{", good, b"[1]", b"\xff", b'{"name": 1}', b"[" * 10**5]
    log.write_bytes(b"\n".join([*odd, b'{"name": "b.wav", "si']))
    assert names(once(model, folder, log=log)) == ["b.wav"]
    assert log.read_bytes().splitlines()[-2] == b'{"name": "b.wav", "si'


def test_the_latest_line_counts_and_what_ended_a_watcher_is_left_out_by_its_model_alone(tmp_path):
    def tell(log, state, content):
        fields = ("name", "size", "changed_ns", "content", "model")
        with closing(WatchLog(log, "one")) as own:
            own.add(json.dumps(dict(zip(fields, ("n.wav", *state, content, "one"), strict=True))))

    def known(log, model):
        with closing(WatchLog(log, model)) as own:
            return {name: (file.state, file.content) for name, file in own.known.items()}

    log = tmp_path / "restored.jsonl"
    for state, content in (((1, 2), "a"), ((1, 3), "b"), ((1, 2), "a")):
        tell(log, state, content)
    assert known(log, "one") == {"n.wav": ((1, 2), "a")}
    log = tmp_path / "killed.jsonl"
    Path(f"{log}.known").write_text('{"name": "n.wav", "size": 1, "changed_ns": 2}\n')
    assert known(log, "one") == {"n.wav": ((1, 2), watch_log.ENDED)}
    tell(log, (1, 2), watch_log.SKIPPED)
    assert known(log, "one") == {"n.wav": ((1, 2), watch_log.SKIPPED)}
    assert known(log, "two") == {}


@pytest.mark.kind("files that live long")
def test_a_log_may_be_rotated_cut_or_removed_and_nothing_is_told_twice(model, folder, tmp_path):
    log = tmp_path / "log.jsonl"
    (folder / "a.wav").write_bytes(wav())
    changes = {
        "b.wav": lambda: log.rename(tmp_path / "log.jsonl.1"),
        "c.wav": lambda: log.write_bytes(b""),
        "d.wav": log.unlink,
        "e.wav": lambda: signal.raise_signal(signal.SIGHUP),
        "f.wav": lambda: Path(f"{log}.known").rename(tmp_path / "log.jsonl.known.1"),
    }
    with process.stoppable(patient=True) as stopped:
        running = watch.watch(Monitor.load(model), folder, every=0.02, log=log)
        told = [json.loads(next(running))["name"]]
        for name, change in changes.items():
            change()
            (folder / name).write_bytes(wav())
            told += [json.loads(next(running))["name"]]
            assert name in log.read_text()
        running.close()
    assert (told, stopped) == (["a.wav", *changes], [])
    assert names(map(json.loads, log.read_text().splitlines())) == ["d.wav", "e.wav", "f.wav"]
    assert once(model, folder, log=log) == []


@pytest.mark.kind("a fault of the system, not of the file")
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(5, "Input/output error"), "Input/output error"),
        (MemoryError("Unable to allocate 9 GiB"), "More memory is needed than there is here"),
    ],
)
def test_what_the_system_does_not_give_is_told_once_and_tried_again(
    model, folder, monkeypatch, error, text
):
    (folder / "a.wav").write_bytes(wav())
    clock, tried, told, real = Clock(lambda look: None), [], [], Monitor.score

    def score(self, *given, name):
        tried.append(clock.now)
        if clock.now < 60:
            raise error
        return real(self, *given, name=name)

    monkeypatch.setattr(watch, "time", clock)
    monkeypatch.setattr(Monitor, "score", score)
    stop = {"patience": 3, "stop": lambda: clock.now > 200}
    for line in watch.watch(Monitor.load(model), folder, **stop):
        told.append(json.loads(line))
    assert tried == [1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0]
    assert text in told[0]["problem"]
    assert len(told) == 2
    assert "score" in told[1]


@pytest.mark.kind("a fault of the system, not of the file")
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_share_that_fails_for_a_time_has_removed_nothing(model, folder, monkeypatch, number):
    """Its list of files may still be there, and nothing else."""
    (folder / "a.wav").write_bytes(wav())
    fails, real_stat, real_read = [False], os.stat, watch.wav.content_of

    def failing(real):
        def call(path, *given, **named):
            if fails[0] and str(path).endswith(".wav"):
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *given, **named)

        return call

    def change(look):
        fails[0] = 4 <= look < 30
        if look == 4:
            (folder / "b.wav").write_bytes(wav(seed=1))

    clock = Clock(change)
    monkeypatch.setattr(watch, "time", clock)
    monkeypatch.setattr(watch_log.os, "stat", failing(real_stat))
    monkeypatch.setattr(watch.wav, "content_of", failing(real_read))
    how = {"patience": 3, "stop": lambda: clock.now > 60}
    lines = map(json.loads, watch.watch(Monitor.load(model), folder, **how))
    told = [(line["name"], line.get("problem", "scored")) for line in lines]
    why = f"Cannot be read or written ({os.strerror(number)})."
    assert told == [("a.wav", "scored"), ("b.wav", why), ("b.wav", "scored")]


@pytest.mark.kind("a slow recorder")
def test_a_recorder_that_is_slow_is_waited_for(model, folder, monkeypatch):
    """It gave the file its length first and fills it, or keeps its header up to date."""
    long = two_channels(np.random.default_rng(1), 8.0)
    path, found = folder / "a.wav", {}

    def change(look):
        if look == 0:
            write_wav(path, np.vstack([long[:16000], np.zeros((112000, 2))]))
        elif look in (4, 8):
            write_wav(path, np.vstack([long[: look * 16000], np.zeros(((8 - look) * 16000, 2))]))
        elif look in (20, 26):
            write_wav(folder / "b.wav", long[: 16000 * (1 if look == 20 else 8)])

    clock = Clock(change)
    monkeypatch.setattr(watch, "time", clock)
    monitor = Monitor.load(model)
    monitor = replace(monitor, known=monitor.known.assign(seconds=8.0))
    for line in watch.watch(monitor, folder, stop=lambda: clock.now > 40):
        found[clock.now] = json.loads(line)["size"]
    assert found == {9.0: path.stat().st_size, 27.0: path.stat().st_size}


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--every 0", "A look every 0 s was asked for"),
        ("--every nan", "A look every nan s was asked for"),
        ("--patience -1", "A patience of -1 s was given"),
        ("--log {model}", "holds something else than the log of a watcher"),
        ("--log {folder}/none/log", "no such folder for a log"),
        ("--log {folder}/a.wav", "named as a recording"),
    ],
)
def test_wrong_numbers_and_what_is_no_log_are_refused(model, folder, capsys, option, sentence):
    content = model.read_bytes()
    more = option.format(model=model, folder=folder).split()
    assert cli.main(["watch", str(model), str(folder), "--once", *more]) == 2
    assert sentence in capsys.readouterr().err
    assert model.read_bytes() == content


def test_a_watch_tells_once_that_recordings_no_longer_fit(model, folder, capsys):
    for i in range(22):
        (folder / f"{i:02d}.wav").write_bytes(wav(gain=4, seed=i))
    assert cli.main(["watch", str(model), str(folder), "--once", "--every", "0.01"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 22
    assert told.err.count("the microphones have changed") == 1


def test_a_command_runs_once_per_alarm_and_its_failure_is_told(model, folder, tmp_path, capsys):
    for name, gain in (("a.wav", 1.0), ("b.wav", 4.0), ("c.wav", 4.0)):
        (folder / name).write_bytes(wav(gain))
    told = tmp_path / "told.jsonl"
    command = f"cat >> {told}; exit 3"
    assert cli.main(["watch", str(model), str(folder), "--once", "--on-alarm", command]) == 0
    deadline, heard = time.monotonic() + 20, capsys.readouterr()
    errors = heard.err
    while time.monotonic() < deadline and errors.count("ended with 3") < 2:
        errors += capsys.readouterr().err
        time.sleep(0.05)
    assert errors.count("ended with 3") == 2
    assert sorted(told.read_text().splitlines()) == sorted(heard.out.splitlines()[1:])


def test_several_machines_are_watched_in_their_subfolders(model, tmp_path, capsys):
    place, models, logs = (tmp_path / name for name in ("in", "models", "logs"))
    models.mkdir()
    logs.mkdir()
    for name, gain in (("fan", 1.0), ("pump", 3.0)):
        (place / name).mkdir(parents=True)
        (place / name / "a.wav").write_bytes(wav(gain))
        (models / f"{name}.safetensors").write_bytes(model.read_bytes())
    own = ["watch", str(models), str(place), "--once", "--every", "0.02", "--patience", "0.02"]
    told = []
    for _ in range(2):  # a second start leaves out what has a line
        assert cli.main([*own, "--log", str(logs)]) == 0
        told.append(capsys.readouterr().out.splitlines())
    assert [(line["path"], line["alarm"]) for line in map(json.loads, told[0])] == [
        (str(place / "fan" / "a.wav"), False),
        (str(place / "pump" / "a.wav"), True),
    ]
    logged = [(logs / f"{name}.jsonl").read_text() for name in ("fan", "pump")]
    assert (logged, told[1]) == ([f"{line}\n" for line in told[0]], [])
    (place / "pump").rename(place / "pomp")
    assert cli.main([*own, "--log", str(logs)]) == 2
    assert f"{place / 'pump'}: cannot be watched" in capsys.readouterr().err
    assert cli.main(["watch", str(place), str(place), "--once"]) == 2
    assert "holds no model file of asd fit" in capsys.readouterr().err
