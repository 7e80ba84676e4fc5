"""What is no file where one belongs, and names that are unusual: one sentence, never a hang."""

import os
import shutil

import pytest
import walks
from conftest import machine_folder, two_channels, write_wav

from asdlib import cli, dataset
from asdlib.monitor import recordings
from asdlib.params import AsdError, Spectra
from asdlib.simulate import scenes

_LONGEST = 20.0  # s of a command
NO_FILE = {
    "pipe": os.mkfifo,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path.name),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "folder": lambda path: path.mkdir(),
}
NOT_TEXT = os.fsdecode(b"\x83|\x83\x93.wav")


@pytest.mark.parametrize("kind", NO_FILE)
@pytest.mark.parametrize(
    "words",
    [
        ("metrics", "{path}"),
        ("validate", "{path}"),
        ("study", "--params", "{path}"),
        ("score", "{path}", "{clip}"),
        ("score", "{model}", "{path}"),
        ("watch", "{path}", "{folder}", "--once"),
        ("watch", "{model}", "{folder}", "--once", "--log", "{path}"),
        ("fit", "{folder}", "--out", "{path}"),
        ("fit", "{path}", "--out", "{model}"),
        ("doctor", "{path}"),
        ("scenes", "{folder}/new", "--noise", "{path}"),
    ],
    ids=" ".join,
)
def test_what_is_no_file_is_one_sentence(kind, words, tmp_path, rng, capsys):
    path = tmp_path / "odd"
    NO_FILE[kind](path)
    places = {"path": path, "folder": tmp_path / "clips", "model": tmp_path / "no.safetensors"}
    places["clip"] = write_wav(tmp_path / "clips" / "a.wav", two_channels(rng))
    with walks.bounded(_LONGEST):
        assert cli.main([word.format(**places) for word in words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 2  # of a recording, and that one of them could not be used
    assert lines[0].startswith(str(tmp_path))
    assert all(line.endswith(".") for line in lines)


@pytest.mark.parametrize("name", [f"sub/{NOT_TEXT}", f"{NOT_TEXT}/a.wav"])
def test_a_recording_of_ones_own_or_its_folder_whose_name_is_no_text(name, tmp_path, rng):
    write_wav(tmp_path / "good.wav", two_channels(rng))
    (tmp_path / name).parent.mkdir()
    shutil.copy(tmp_path / "good.wav", tmp_path / name)
    with pytest.raises(dataset.Problems, match="the name is not UTF-8; rename it"):
        recordings.collect(tmp_path, Spectra())


def test_a_machine_whose_name_is_no_text(tmp_path, rng):
    root = machine_folder(tmp_path, rng)
    (root / "fan").rename(root / NOT_TEXT)
    _, problems = dataset.survey(root)
    assert all("the name is not UTF-8" in problem for problem in problems)
    assert len(problems) == sum(path.is_file() for path in root.rglob("*"))
    with pytest.raises(AsdError, match="the name is not UTF-8"):
        dataset.survey(root / NOT_TEXT)


def test_long_names_are_written_and_read(tmp_path, rng, capsys):
    for number in range(4):
        write_wav(tmp_path / "clips" / f"{number}{'x' * 249}.wav", two_channels(rng))
    model = tmp_path / f"{'ü' * 119}.safetensors"  # 250 bytes, 255 are allowed
    assert cli.main(["fit", str(tmp_path / "clips"), "--out", str(model)]) == 0
    assert model.exists()
    too_long = tmp_path / f"{'x' * 300}.safetensors"
    assert cli.main(["fit", str(tmp_path / "clips"), "--out", str(too_long)]) == 2
    assert "File name too long" in capsys.readouterr().err


def test_scenes_refuse_a_disk_of_its_own_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path / "disk")
    monkeypatch.setattr(scenes, "room_of", None)
    assert cli.main(["scenes", str(tmp_path / "disk")]) == 2
    assert "another disk; give a folder in it" in capsys.readouterr().err
