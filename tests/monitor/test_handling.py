"""What people do by mistake with a monitor: nothing of theirs is lost, and they are told."""

import json
import os
import subprocess
import sys

import pytest
from test_monitor import write

from asdlib import cli
from asdlib.monitor import Monitor
from asdlib.params import AsdError


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A model of five recordings, which cannot promise a rate of .1."""
    folder = tmp_path_factory.mktemp("few")
    path = folder / "few.safetensors"
    Monitor.fit(write(folder / "normal", range(5))).save(path)
    return path


@pytest.mark.parametrize("name", ["mine.wav", "notes.txt", "folder", "pipe", "new.WAV"])
def test_a_model_replaces_models_alone(few, tmp_path, name, capsys):
    write(tmp_path, [7])
    (tmp_path / "007.wav").rename(tmp_path / "mine.wav")
    (tmp_path / "notes.txt").write_text("by hand")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = (tmp_path / "mine.wav").read_bytes()
    asked = ["fit", str(few.parent / "normal"), "--out", str(tmp_path / name)]
    assert cli.main(asked) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert (tmp_path / "mine.wav").read_bytes() == before
    assert (tmp_path / "notes.txt").read_text() == "by hand"
    with pytest.raises(AsdError):
        Monitor.load(few).save(tmp_path / name)


def test_a_model_that_is_there_is_replaced_and_others_may_read_it(few, tmp_path):
    path = tmp_path / "own.safetensors"
    before = os.umask(0o022)
    try:
        for _ in range(2):
            Monitor.load(few).save(path)
    finally:
        os.umask(before)
    assert path.read_bytes() == few.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o644


def test_too_few_recordings_give_no_verdict(few, tmp_path, capsys):
    loud = write(tmp_path, [9], gain=9)
    assert cli.main(["score", str(few), str(loud)]) == 0
    told = capsys.readouterr().out
    assert "no verdict  z" in told
    assert "normal  z" not in told
    assert cli.main(["score", str(few), str(loud), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alarm"] is None
    assert cli.main(["score", str(few), str(loud), "--fail-on-alarm"]) == 2
    assert "cannot promise a false-alarm rate of 0.1" in capsys.readouterr().err


def test_mistaken_arguments_are_told(few, tmp_path, capsys, monkeypatch):
    clip = write(tmp_path / "normal", range(3)) / "000.wav"
    for asked, sentence in (
        (["score", str(tmp_path / "normal"), str(clip)], "is a folder; the model file comes first"),
        (["watch", str(few), str(clip)], "not a folder; give the one in which recordings arrive"),
        (["fit", str(clip), "--out", str(tmp_path / "m")], "not a folder; give a folder of normal"),
        (
            ["watch", str(few), str(tmp_path), "--once", "--log", str(tmp_path / "no" / "log")],
            "no such folder for a log",
        ),
    ):
        assert cli.main(asked) == 2
        assert sentence in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for a user who is not root
    for asked in (["fit", str(tmp_path / "normal"), "--out", str(tmp_path / "m")],):
        assert cli.main(asked) == 2
        assert "nothing may be written into this folder" in capsys.readouterr().err
    with pytest.raises(AsdError, match="this folder may not be read"):
        Monitor.fit(tmp_path / "normal")


def test_clips_beside_a_training_folder_are_said_to_be_left_out(tmp_path, capsys):
    write(tmp_path / "fan" / "train", range(3))
    assert cli.main(["fit", str(tmp_path / "fan"), "--out", str(tmp_path / "m")]) == 0
    assert f"Only the clips of {tmp_path / 'fan' / 'train'} were taken." in capsys.readouterr().out


def test_a_reader_who_leaves_is_no_traceback(few, tmp_path):
    folder = write(tmp_path, range(40))
    command = [sys.executable, "-m", "asdlib.cli", "score", str(few), str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as score:
        score.stdout.readline()
        score.stdout.close()
        assert score.stderr.read() == "Nobody reads standard output any more.\n"
    assert score.returncode == 2
