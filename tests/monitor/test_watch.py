"""A watched folder: what arrives, what is wrong with it, and what a restart leaves out."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from conftest import ROOT, shared_folder, two_channels, write_wav

from asdlib import cli
from asdlib.io.files import content_digest
from asdlib.monitor import Monitor, watch
from asdlib.monitor.log import Log, _is_at
from asdlib.params import AsdError

DEADLINE = 60  # s; nothing here takes that long on an idle machine


@pytest.fixture(scope="session")
def model(tmp_path_factory, worker_id):
    """The file of a monitor of noise."""

    def make(folder):
        rng = np.random.default_rng(0)
        for i in range(12):
            write_wav(folder / "normal" / f"{i:02d}.wav", two_channels(rng))
        Monitor.fit(folder / "normal").save(folder / "noise.safetensors")

    return shared_folder(tmp_path_factory, worker_id, "noise", make) / "noise.safetensors"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def watched(model, folder, tmp_path):
    """Start watchers of the folder; those that still run at the end of the test are ended."""
    started = []

    def start(*words):
        started.append(Watcher(model, folder, tmp_path / f"out{len(started)}", words))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


class Watcher:
    """The command in a process of its own, with its standard output in a file."""

    def __init__(self, model, folder, out, words):
        command = [sys.executable, "-m", "asdlib.cli", "watch", model, folder, "--every", "0.1"]
        self.out, self.errors = out, out.with_suffix(".err")
        with self.out.open("wb") as stdout, self.errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                [str(word) for word in (*command, *words)], stdout=stdout, stderr=stderr, cwd=ROOT
            )

    def lines(self):
        """What has been said so far, a half line left out."""
        whole = self.out.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.split(b"\n") if line]

    def wait(self, count):
        """The lines, as soon as there are so many."""
        until(lambda: len(self.lines()) >= count, self)
        return self.lines()

    def end(self, number=None):
        """Exit code, after a signal if one is given."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)


def until(true, watcher=None):
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end, watcher and (watcher.lines(), watcher.errors.read_text())
        time.sleep(0.02)


def wav(rng, **changes):
    """Bytes of a recording of noise."""
    file = io.BytesIO()
    soundfile.write(file, two_channels(rng, **changes), 16000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def once(model, folder, **changes):
    """Lines of a watcher in this process that ends when it has told all that is there."""
    how = {"every": 0.02, "patience": 0.02, "once": True} | changes
    return [json.loads(line) for line in watch.watch(Monitor.load(model), folder, **how)]


def names(lines):
    return [line["name"] for line in lines]


def test_what_arrives_is_scored_as_by_hand(watched, model, folder, rng):
    watcher = watched()
    write_wav(folder / "a.wav", two_channels(rng))
    watcher.wait(1)
    write_wav(folder / "2026" / "b.WAV", 4 * two_channels(rng))
    first, second = watcher.wait(2)
    assert names([first, second]) == ["a.wav", "2026/b.WAV"]
    monitor = Monitor.load(model)
    for line, path in ((first, folder / "a.wav"), (second, folder / "2026" / "b.WAV")):
        told = json.loads(monitor.score(path, name=line["name"]).json())
        assert {key: line[key] for key in told} == told
        assert line["size"] == path.stat().st_size
    assert second["alarm"]
    assert watcher.end(signal.SIGTERM) == 0
    assert len(watcher.lines()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_watch_after_the_recording_at_hand(watched, folder, rng, number):
    for i in range(60):
        (folder / f"{i:02d}.wav").write_bytes(wav(rng))
    watcher = watched()
    watcher.wait(2)
    assert watcher.end(number) == 0
    assert 2 <= len(watcher.lines()) < 60
    assert watcher.out.read_bytes().endswith(b"}\n")
    assert "Traceback" not in watcher.errors.read_text()


def test_a_half_written_file_waits_until_it_is_whole(watched, folder, rng):
    content = wav(rng)
    watcher = watched("--patience", "600")
    for length in (0, 20, 1000, 30000):
        (folder / "slow.wav").write_bytes(content[:length])
        (folder / f"after{length}.wav").write_bytes(content)
        lines = watcher.wait(1)  # those that are whole go on
        until(lambda length=length: f"after{length}.wav" in names(watcher.lines()), watcher)
    assert "slow.wav" not in names(watcher.lines())
    with (folder / "slow.wav").open("ab") as file:
        file.write(content[30000:])
    lines = watcher.wait(5)
    assert names(lines)[4] == "slow.wav"
    assert lines[4]["score"] == lines[0]["score"]  # the same sound


def test_where_the_header_announces_nothing_stillness_decides(watched, folder, rng, model):
    content = wav(rng)
    for announced in (0, 0xFFFFFFFF):
        length = announced.to_bytes(4, "little")
        streamed = content[:4] + length + content[8:40] + length + content[44:]
        (folder / f"{announced}.wav").write_bytes(streamed)
    (folder / "whole.wav").write_bytes(content)
    watcher = watched("--patience", "600")
    assert names(watcher.wait(1)) == ["whole.wav"]
    found = once(model, folder)
    assert names(found) == ["0.wav", "4294967295.wav", "whole.wav"]
    assert len({line["score"] for line in found}) == 1
    assert names(watcher.lines()) == ["whole.wav"]


def test_a_bad_file_is_a_line_and_neither_an_end_nor_a_hang(model, folder, rng, monkeypatch):
    noise = two_channels(rng)
    holed = noise.copy()
    holed[5] = np.nan
    content = wav(rng)
    for name, signal_, rate in (("mono", noise[:, 0], 16000), ("rate", noise, 44100)):
        write_wav(folder / f"{name}.wav", signal_, rate)
    write_wav(folder / "nan.wav", holed, subtype="FLOAT")
    write_wav(folder / "loud.wav", 1e30 * noise, subtype="FLOAT")
    (folder / "text.wav").write_text("no sound")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "cut.wav").write_bytes(content[:30000])
    (folder / "closed.wav").write_bytes(content)
    (folder / "large.wav").touch()
    os.truncate(folder / "large.wav", 2**40)
    os.mkfifo(folder / "pipe.wav")
    (folder / "broken.wav").symlink_to("nowhere.wav")
    (folder / "folder.wav").mkdir()
    (folder / "folder.wav" / "round").symlink_to("..")
    (folder / "folder.wav" / "good.wav").write_bytes(content)
    (folder / ".hidden.wav").write_bytes(content)
    (folder / "notes.txt").write_text("no recording")
    real = os.open

    def refusing(path, *rest):
        if str(path).endswith("closed.wav"):
            raise PermissionError(13, "Permission denied")  # which the tests' user may not have
        return real(path, *rest)

    monkeypatch.setattr(watch.os, "open", refusing)
    found = {line["name"]: line for line in once(model, folder)}
    assert found.pop("folder.wav/good.wav")["score"]
    problems = {name.removesuffix(".wav"): line["problem"] for name, line in found.items()}
    assert problems.pop("loud").startswith("Samples of up to")
    assert problems == {
        "mono": "1 channel; near and far (2 channels) are needed.",
        "rate": "Sample rate 44100 Hz; 16000 Hz is needed (asd fit --resample or "
        "spectra.resample: true converts).",
        "nan": "2 samples are NaN or infinite.",
        "text": "Cannot be read as audio (Format not recognised).",
        "empty": "The file is empty (0 bytes).",
        "cut": "Truncated; the header announces 64000 bytes of sound, the file holds 29956.",
        "closed": "Cannot be read (Permission denied).",
        "large": f"Holds {2**40} bytes; a recording may have {2**30}.",
        "pipe": "Is not a file, but a folder, a pipe or a device.",
        "broken": "Is a broken link.",
        "folder": "Is not a file, but a folder, a pipe or a device.",
    }


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(model, folder, rng):
    for name in "ab":
        (folder / f"{name}.wav").write_bytes(wav(rng))
    lines = watch.watch(Monitor.load(model), folder, every=0.02, patience=0.02, once=True)
    assert json.loads(next(lines))["name"] == "a.wav"
    (folder / "b.wav").unlink()
    os.mkfifo(folder / "b.wav")  # after the look that found b.wav
    assert [json.loads(line)["problem"][:13] for line in lines] == ["Is not a file"]


def test_a_file_that_is_removed_before_its_turn_is_a_line(model, folder, rng):
    for name in "abc":
        (folder / f"{name}.wav").write_bytes(wav(rng))
    lines = watch.watch(Monitor.load(model), folder, every=0.02, once=True)
    assert json.loads(next(lines))["name"] == "a.wav"
    (folder / "b.wav").unlink()
    second, third = (json.loads(line) for line in lines)
    assert (second["name"], second["problem"]) == (
        "b.wav",
        "Was removed before it could be scored.",
    )
    assert third["name"] == "c.wav"
    assert "score" in third


def test_a_file_that_always_grows_is_a_problem_of_once(model, folder, rng, monkeypatch):
    (folder / "a.wav").write_bytes(wav(rng))
    real = watch._look

    def growing(place):
        with (folder / "a.wav").open("ab") as file:
            file.write(b"more")
        return real(place)

    monkeypatch.setattr(watch, "_look", growing)
    assert [line["problem"] for line in once(model, folder)] == ["Is still being written."]


def looks_that_change(monkeypatch, change):
    """Looks at a folder that are counted, with a change after each of them."""
    real, looks = watch._look, []

    def look(place):
        looks.append(real(place))
        change(len(looks))
        return looks[-1]

    monkeypatch.setattr(watch, "_look", look)
    return looks


def test_once_does_not_wait_for_a_file_that_is_gone(model, folder, rng, monkeypatch):
    cut = folder / "cut.wav"
    cut.write_bytes(wav(rng)[:1000])
    looks = looks_that_change(monkeypatch, lambda _: cut.unlink(missing_ok=True))
    assert once(model, folder, patience=600, stop=lambda: len(looks) > 5) == []
    assert len(looks) == 2


def test_once_does_not_wait_for_what_comes_after_the_first_look(model, folder, rng, monkeypatch):
    content = wav(rng)
    (folder / "a.wav").write_bytes(content)

    def more(number):
        (folder / f"cut{number}.wav").write_bytes(content[:1000])

    looks = looks_that_change(monkeypatch, more)
    found = once(model, folder, patience=600, stop=lambda: len(looks) > 5)
    assert names(found) == ["a.wav"]
    assert len(looks) == 2


def test_a_file_that_is_touched_does_not_hold_up_once(model, folder, tmp_path, rng):
    path, log = folder / "a.wav", tmp_path / "log.jsonl"
    path.write_bytes(wav(rng))
    assert names(once(model, folder, log=log)) == ["a.wav"]
    os.utime(path)
    end = time.monotonic() + 5
    assert once(model, folder, log=log, stop=lambda: time.monotonic() > end) == []
    assert time.monotonic() < end


def test_a_file_that_is_written_over_after_the_first_look_is_scored_once(
    model, folder, rng, monkeypatch
):
    path, content, rests = folder / "a.wav", wav(rng, seconds=1.5), []
    path.write_bytes(wav(rng))

    def rest(*_):
        if not rests:
            path.write_bytes(content)
        rests.append(1)

    monkeypatch.setattr(watch, "_rest", rest)
    (line,) = once(model, folder, patience=600)
    assert line["content"] == content_digest(content)
    assert len(rests) == 2


def test_a_file_that_has_a_line_in_the_log_is_not_read_again(
    model, folder, tmp_path, rng, monkeypatch
):
    (folder / "a.wav").write_bytes(wav(rng))
    assert names(once(model, folder, log=tmp_path / "log")) == ["a.wav"]
    read = []
    monkeypatch.setattr(watch, "_content", lambda path, _: read.append(path))
    end = time.monotonic() + 5
    once(model, folder, log=tmp_path / "log", stop=lambda: read or time.monotonic() > end)
    assert read == []


def test_of_a_subfolder_only_what_is_there_and_closed_is_a_problem(model, folder, rng, monkeypatch):
    for name in ("closed", "gone", "open"):
        (folder / name).mkdir()
        (folder / name / "a.wav").write_bytes(wav(rng))
    real = os.scandir

    def scandir(path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        if path.name == "gone":
            raise FileNotFoundError(2, "No such file or directory")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    told = {line["name"]: line.get("problem") for line in once(model, folder)}
    assert told == {
        "closed/": "The folder cannot be listed (Permission denied).",
        "open/a.wav": None,
    }


def test_a_file_that_changes_while_it_is_read_is_read_again(model, folder, rng, monkeypatch):
    path, content = folder / "a.wav", wav(rng)
    path.write_bytes(content)
    real, checks = watch._is, []

    def changing(file, found):
        checks.append(real(file, found))
        if len(checks) == 1:
            with path.open("r+b") as other:
                other.write(content)
        return checks[-1]

    monkeypatch.setattr(watch, "_is", changing)
    (line,) = once(model, folder, patience=600)
    assert line["changed_ns"] == path.stat().st_ctime_ns
    assert checks == [True, False, True, True]


def test_a_file_that_gives_fewer_bytes_than_its_size_is_a_problem(model, folder, rng, monkeypatch):
    path = folder / "a.wav"
    path.write_bytes(wav(rng))
    monkeypatch.setattr(watch, "_is", lambda *_: os.truncate(path, 1000) is None)
    (line,) = once(model, folder, patience=0)
    assert line["problem"] == "Gives 1000 bytes, but has a size of 64044."


def test_a_score_that_is_no_number_is_a_problem_and_not_in_the_log(
    model, folder, tmp_path, rng, monkeypatch
):
    (folder / "a.wav").write_bytes(wav(rng))
    real, log = Monitor.score, tmp_path / "log.jsonl"
    monkeypatch.setattr(
        Monitor, "score", lambda *given, name: replace(real(*given, name=name), score=float("nan"))
    )
    (line,) = once(model, folder, log=log)
    assert line["problem"].startswith("Cannot be scored (ValueError: Out of range float values")
    assert b"NaN" not in log.read_bytes()


def test_a_request_to_stop_ends_a_long_rest(model, folder, monkeypatch):
    naps = []

    def nap(seconds):
        assert seconds <= 0.1
        assert len(naps) < 3
        naps.append(seconds)

    monkeypatch.setattr(watch.time, "sleep", nap)
    lines = watch.watch(Monitor.load(model), folder, every=600, stop=lambda: len(naps) == 3)
    assert list(lines) == []


def test_the_rest_is_no_shorter_than_the_look(model, folder, monkeypatch):
    rests = []
    looks_that_change(monkeypatch, lambda _: time.sleep(0.05))
    monkeypatch.setattr(watch, "_rest", lambda seconds, stop: rests.append(seconds))
    list(watch.watch(Monitor.load(model), folder, every=1e-3, stop=lambda: bool(rests)))
    assert rests[0] >= 0.05


def test_an_error_of_ours_is_a_line_too(model, folder, rng, monkeypatch):
    for name in "ab":
        (folder / f"{name}.wav").write_bytes(wav(rng))
    real = Monitor.score

    def failing(self, *given, name):
        if name == "a.wav":
            raise ZeroDivisionError("by zero")
        return real(self, *given, name=name)

    monkeypatch.setattr(Monitor, "score", failing)
    a, b = sorted(once(model, folder), key=lambda line: line["name"])
    assert a["problem"] == "Cannot be scored (ZeroDivisionError: by zero)."
    assert "score" in b


def test_a_file_whose_content_changes_is_scored_again(watched, folder, rng):
    watcher = watched("--patience", "0.2")
    quiet, loud = two_channels(rng), 4 * two_channels(rng)
    write_wav(folder / "a.wav", quiet)
    watcher.wait(1)
    write_wav(folder / "a.wav", loud)
    watcher.wait(2)
    os.utime(folder / "a.wav")  # the content stays
    (folder / "b.wav").write_text("no sound")
    watcher.wait(3)
    write_wav(folder / "b.wav", quiet)
    watcher.wait(4)
    write_wav(folder / "a.wav", quiet)  # back again
    lines = watcher.wait(5)
    assert watcher.end(signal.SIGTERM) == 0
    told = [(line["name"], line.get("alarm")) for line in watcher.lines()]
    assert [name for name, _ in told] == ["a.wav", "a.wav", "b.wav", "b.wav", "a.wav"]
    assert told[1] == ("a.wav", True)
    assert lines[0]["score"] == lines[3]["score"] == lines[4]["score"]


WEIRD = [
    "line\nfeed\r.wav",
    "\x1b[31mred\x7f.wav",
    "two\u2028lines\x85.wav",
    'quote"\\.wav',
    "\U0001f600 ü.wav",
    os.fsdecode(b"\xff\xfe no utf-8 \xed\xa0\x80.wav"),
    "-.wav",
]


def test_any_name_is_one_line_of_json_and_is_known_again(watched, model, folder, tmp_path, rng):
    for name in WEIRD:
        (folder / name).write_bytes(wav(rng))
    log = tmp_path / "log.jsonl"
    watcher = watched("--once", "--log", log)
    assert watcher.end() == 0
    lines = watcher.out.read_bytes().decode("ascii").splitlines()
    assert sorted(names(map(json.loads, lines))) == sorted(WEIRD)
    assert all("score" in json.loads(line) for line in lines)
    assert log.read_text().splitlines() == lines
    assert once(model, folder, log=log) == []


def test_after_kill_9_no_file_is_scored_twice_and_none_is_lost(watched, folder, tmp_path, rng):
    expected = [f"{i:02d}.wav" for i in range(30)]
    for name in expected[:20]:
        (folder / name).write_bytes(wav(rng))
    (folder / expected[3]).write_bytes(b"no sound")
    log = tmp_path / "log.jsonl"
    for attempt in range(2):
        watcher = watched("--log", log, "--patience", "0")
        watcher.wait(2)
        assert watcher.end(signal.SIGKILL) == -signal.SIGKILL
        assert len(log.read_bytes().splitlines()) < 30
        if attempt == 1:  # as if the kill had come within a write
            whole = log.read_bytes()
            log.write_bytes(whole[: whole.rindex(b"alarm")])
        for name in expected[20:]:
            (folder / name).write_bytes(wav(np.random.default_rng(int(name[:2]))))
    assert watched("--log", log, "--patience", "0", "--once").end() == 0
    told, broken = [], 0
    for line in log.read_bytes().splitlines():
        try:
            told.append(json.loads(line)["name"])
        except ValueError:
            broken += 1
    assert sorted(told) == expected
    assert broken == 1


def test_of_two_watchers_with_one_log_the_second_gives_way(watched, model, folder, tmp_path, rng):
    log, link = tmp_path / "log.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(log)
    first = watched("--log", log)
    (folder / "a.wav").write_bytes(wav(rng))
    first.wait(1)
    holder = f"in use by process {first.process.pid} on "
    second = watched("--log", log)
    assert second.end() == 2
    assert f"{log}: {holder}" in second.errors.read_text().splitlines()[-1]
    assert second.out.read_bytes() == b""
    with pytest.raises(AsdError, match=holder):
        once(model, folder, log=link)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    (folder / "b.wav").write_bytes(wav(rng))
    assert names(once(model, folder, log=link)) == ["b.wav"]  # the lock went with its process
    assert names(map(json.loads, log.read_text().splitlines())) == ["a.wav", "b.wav"]


def test_without_a_log_two_watchers_do_not_know_of_each_other(model, folder, rng):
    (folder / "a.wav").write_bytes(wav(rng))
    one, other = (watch.watch(Monitor.load(model), folder, every=0.02) for _ in range(2))
    assert next(one) == next(other)


def test_a_folder_that_vanishes_is_waited_for_and_said_once(model, folder, rng):
    (folder / "a.wav").write_bytes(wav(rng))
    away, told = folder.with_name("elsewhere"), []

    def say(sentence):
        told.append(sentence)
        if len(told) == 1:
            (away / "b.wav").write_bytes(wav(rng))
            threading.Timer(0.3, away.rename, [folder]).start()

    end = time.monotonic() + DEADLINE
    lines = watch.watch(
        Monitor.load(model), folder, every=0.02, stop=lambda: time.monotonic() > end, say=say
    )
    assert json.loads(next(lines))["name"] == "a.wav"
    folder.rename(away)
    assert json.loads(next(lines))["name"] == "b.wav"
    assert told == [
        f"{folder}: the folder cannot be watched (No such file or directory). The watch goes on as "
        "soon as it can.",
        f"{folder}: the folder is there again.",
    ]


def test_a_watch_ends_while_its_folder_is_gone(model, folder, rng):
    (folder / "a.wav").write_bytes(wav(rng))
    told = []
    lines = watch.watch(
        Monitor.load(model), folder, every=0.02, stop=lambda: bool(told), say=told.append
    )
    next(lines)
    folder.rename(folder.with_name("elsewhere"))
    assert list(lines) == []


def test_once_does_not_wait_for_a_folder(model, folder, rng, monkeypatch):
    (folder / "a.wav").write_bytes(wav(rng))
    rest = watch._rest

    def resting(*arguments):
        folder.rename(folder.with_name("elsewhere"))
        rest(*arguments)

    monkeypatch.setattr(watch, "_rest", resting)
    with pytest.raises(AsdError, match="in: the folder cannot be watched"):
        list(watch.watch(Monitor.load(model), folder, every=0.02, once=True))


def test_the_lock_of_a_log_goes_with_the_watch(tmp_path):
    path = tmp_path / "log"
    with Log(path):
        lock = os.open(f"{path}.lock", os.O_RDWR)
        with pytest.raises(AsdError, match="in use by process"):
            Log(path)
        assert _is_at(f"{path}.lock", lock)
    assert [file.name for file in tmp_path.iterdir()] == ["log"]
    assert not _is_at(f"{path}.lock", lock)  # who has opened it by now opens the next one
    os.close(lock)
    with pytest.raises(AsdError, match="Is a directory"):
        Log(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["log"]


def test_a_model_that_is_replaced_is_kept_as_it_was(model, folder, tmp_path, rng):
    own = tmp_path / "own.safetensors"
    own.write_bytes(model.read_bytes())
    content = wav(rng)
    (folder / "a.wav").write_bytes(content)
    lines = watch.watch(Monitor.load(own), folder, every=0.02)
    first = json.loads(next(lines))
    own.write_bytes(b"\0" * own.stat().st_size)
    (folder / "b.wav").write_bytes(content)
    second = json.loads(next(lines))
    assert second == first | {"name": "b.wav", "changed_ns": second["changed_ns"]}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"every": 0.0}, "A look every 0 s was asked for"),
        ({"every": float("nan")}, "A look every nan s was asked for"),
        ({"patience": -1.0}, "A patience of -1 s was given"),
        ({"log": "a.wav"}, "a.wav: named as a recording"),
    ],
)
def test_numbers_and_names_out_of_range_are_refused(model, folder, changes, sentence):
    with pytest.raises(AsdError, match=sentence):
        once(model, folder, **changes)


def test_what_is_no_log_is_left_as_it_is(model, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(model.read_bytes())
    os.mkfifo(tmp_path / "pipe")
    for path in (copy, tmp_path, tmp_path / "pipe", tmp_path / "none" / "log.jsonl"):
        with pytest.raises(AsdError):
            Log(path)
    assert copy.read_bytes() == model.read_bytes()
    assert not list(tmp_path.glob("*.lock"))


def test_lines_of_a_log_that_say_nothing_are_passed_over(tmp_path):
    good = b'{"name": "a.wav", "size": 1, "changed_ns": 2, "content": "0f"}\n'
    odd = [b"{\n", good, b"[1]\n", b"\xff\n", b'{"name": 1}\n', b"[" * 10**5 + b"\n"]
    (tmp_path / "log").write_bytes(b"".join(odd) + b'{"name": "b.wav", "si')
    with Log(tmp_path / "log") as log:
        assert list(log.known) == ["a.wav"]
        log.append(good.decode().strip())
    assert (tmp_path / "log").read_bytes().splitlines()[-2:] == [
        b'{"name": "b.wav", "si',
        good[:-1],
    ]


def test_a_line_is_in_the_log_and_on_the_disk_before_it_is_told(
    model, folder, tmp_path, rng, monkeypatch
):
    (folder / "a.wav").write_bytes(wav(rng))
    log, kept = tmp_path / "log.jsonl", []
    monkeypatch.setattr(os, "fsync", lambda _: kept.append(log.read_text()))
    lines = watch.watch(Monitor.load(model), folder, every=0.02, log=log)
    assert [f"{next(lines)}\n"] == kept
    lines.close()


def test_a_full_disk_is_one_sentence_and_the_log_is_used_again(tmp_path, monkeypatch):
    line = '{"name": "a.wav", "size": 1, "changed_ns": 2, "content": "0f"}'
    room, real = [7, 7, 7], os.write

    def write(file, content):
        if not room:
            raise OSError(28, "No space left on device")
        return real(file, content[: room.pop()])

    with Log(tmp_path / "log") as log, monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(AsdError, match=r"log: cannot be written \(No space left on device\)"):
            log.append(line)
    with Log(tmp_path / "log") as log:
        assert log.known == {}
        log.append(line)
    assert (tmp_path / "log").read_text().splitlines() == [line[:21], line]


def test_the_lock_names_its_process_alone(tmp_path):
    (tmp_path / "log.lock").write_text("process 4194304 on a machine with a long name" * 9)
    with Log(tmp_path / "log"):
        told = (tmp_path / "log.lock").read_text()
    assert told == f"process {os.getpid()} on {socket.gethostname()}"


def test_a_reader_that_goes_away_is_one_sentence(model, folder, rng):
    for i in range(5):
        (folder / f"{i}.wav").write_bytes(wav(rng))
    command = [sys.executable, "-m", "asdlib.cli", "watch", model, folder, "--every", "0.1"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    said = process.stderr.read().splitlines()
    process.stderr.close()
    assert process.wait(DEADLINE) == 2
    assert said[-1] == "Nobody reads standard output any more."
    assert len(said) == 2


def test_the_command_refuses_a_folder_that_is_not_there(model, tmp_path, capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["watch", str(model), str(tmp_path / "none")]) == 2
    assert "none: no such folder" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
