"""Which files of a folder count and under which name; folders that are asd's own."""

import os
import unicodedata

import pytest
from conftest import machine_folder, two_channels, write_wav

from asdlib import cli, dataset
from asdlib.compare import validation
from asdlib.dataset import Problems
from asdlib.io import files, folders
from asdlib.monitor import recordings, watch
from asdlib.params import AsdError, Spectra
from asdlib.runtime.errors import FileError
from asdlib.simulate import rooms

LEFT = ("._a.wav", "@eaDir/a.wav", "__MACOSX/._a.wav", ".DS_Store", "Thumbs.db", "#recycle/a.wav")
NFC, NFD = (unicodedata.normalize(form, "Lüfter") for form in ("NFC", "NFD"))


def replaced(path, hint):
    with folders.replacing_folder(path, hint):
        pass


def leave(folder):
    for name in LEFT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\0\5\x16\7 of a system")


def test_what_systems_leave_behind_is_no_recording(tmp_path, rng):
    train = tmp_path / "set" / "fan" / "train"
    for name in ("a.wav", "b.wav"):
        write_wav(train / name, two_channels(rng, 0.2))
    write_wav(tmp_path / "set" / "@eaDir" / "train" / "c.wav", two_channels(rng, 0.2))
    for folder in (tmp_path / "set", train.parent, train):
        leave(folder)
    table = dataset.scan(tmp_path / "set")
    assert table["name"].tolist() == ["a.wav", "b.wav"]
    assert recordings.collect(train, Spectra())["name"].tolist() == ["a.wav", "b.wav"]
    assert [path.name for path in rooms.wavs(train)] == ["a.wav", "b.wav"]
    assert set(watch._look(train)) == {"a.wav", "b.wav"}


def test_what_systems_leave_behind_is_no_part_of_a_package(tmp_path):
    label = "A_B_task2_1"
    leave(tmp_path / "task2" / label)
    leave(tmp_path)
    (tmp_path / "task2" / label / f"{label}.meta.yaml").write_text("a: 1")
    assert not [
        p for p in validation.validate(tmp_path) if "not a file of" in p or "elsewhere" in p
    ]


def test_names_are_compared_in_one_form(tmp_path, rng):
    folder = tmp_path / NFD
    for number in range(2):
        write_wav(folder / "train" / f"{NFD}{number}.wav", two_channels(rng, 0.2))
    (folder / "attributes_00.csv").write_text(
        "file_name,d1p,d1v\n" + "".join(f"{NFC}/train/{NFC}{n}.wav,spd,{n}\n" for n in range(2))
    )
    for wanted in (NFC, NFD):
        table, problems = dataset.survey(tmp_path, [wanted])
        assert problems == []
        assert table["machine"].tolist() == [NFC, NFC]
        assert table["name"].tolist() == [f"{NFC}0.wav", f"{NFC}1.wav"]
        assert table["attributes"].tolist() == ["spd_0", "spd_1"]
    assert dataset.check(table)[1] == []


def test_names_that_differ_in_their_form_alone_are_refused(tmp_path, rng):
    for machine in (NFC, NFD):
        for name in (NFC, NFD):
            write_wav(tmp_path / machine / "train" / f"{name}.wav", two_channels(rng, 0.2))
    _, problems = dataset.survey(tmp_path)
    assert len(problems) == 3
    assert all("there are two of this name" in problem for problem in problems)
    with pytest.raises(Problems, match="there are two of this name"):
        recordings.collect(tmp_path / NFC / "train", Spectra())


def test_a_name_that_is_no_utf_8_is_one_sentence(tmp_path, rng):
    train = tmp_path / "m" / "train"
    for name in ("a.wav", "b.wav"):
        write_wav(train / name, two_channels(rng, 0.2))
    os.rename(train / "a.wav", train / os.fsdecode(b"\x83|\x83v.wav"))
    table, problems = dataset.survey(tmp_path)
    assert table["name"].tolist() == ["b.wav"]
    assert [p.split(": ")[1] for p in problems] == [
        "the name is not UTF-8; rename it, as 'convmv' does for many."
    ]


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.wav").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    assert folders.wavs_below(tmp_path) == [tmp_path / "a" / "one.wav"]


def asd(*arguments):
    return cli.main([str(argument) for argument in arguments])


def test_machines_that_are_not_read_are_named(tmp_path, rng):
    machine_folder(tmp_path, rng, "fan")
    machine_folder(tmp_path / "dev_ToyCar", rng, "ToyCar")
    machine_folder(tmp_path, rng, "Pump")
    (tmp_path / "Pump" / "train").rename(tmp_path / "Pump" / "Train")
    for name in ("dev_valve.zip", "dev_fan.zip"):
        (tmp_path / name).touch()
    table, problems = dataset.survey(tmp_path)
    assert set(table["machine"]) == {"fan", "Pump"}
    assert problems == [
        f"{tmp_path}/Pump/Train: rename it to train; it is not read so.",
        f"{tmp_path}/dev_ToyCar/ToyCar: lies one folder too deep and is not read; move it to "
        f"{tmp_path}/ToyCar.",
        f"{tmp_path}/dev_valve.zip: still packed; unzip it, or move it out of this folder.",
        f"{tmp_path}/Pump: no wav in train/; training needs normal clips there.",
    ]
    assert dataset.survey(tmp_path, ["fan"])[1] == []


def test_where_nothing_is_a_machine_the_reason_is_told(tmp_path, rng):
    (tmp_path / "dev_fan.zip").touch()
    with pytest.raises(AsdError, match=r"found no machine folder(.|\n)*dev_fan.zip: still packed"):
        dataset.scan(tmp_path)
    write_wav(tmp_path / "own" / "monday" / "a.wav", two_channels(rng, 0.2))
    with pytest.raises(AsdError, match="Recordings without these folders are for asd fit"):
        dataset.scan(tmp_path / "own")


def test_clips_in_folders_below_a_split_are_told(tmp_path, rng):
    for name in ("train/2026-01-01/a.wav", "test/b.wav", "test/late/c.wav"):
        write_wav(tmp_path / "pump" / name, two_channels(rng, 0.2))
    _, problems = dataset.survey(tmp_path)
    folder = tmp_path / "pump"
    assert problems == [
        f"{folder}/train: 1 wav in folders below it, such as {folder}/train/2026-01-01/a.wav; "
        "clips lie in train/ itself.",
        f"{folder}: no wav in train/; training needs normal clips there.",
        f"{folder}/test: 1 wav in folders below it, such as {folder}/test/late/c.wav; clips lie in "
        "test/ itself.",
    ]


def test_odd_clips_are_remarked(tmp_path, rng):
    machine_folder(tmp_path, rng, "fan")
    clip = next((tmp_path / "fan" / "test").iterdir())
    clip.with_stem(f"{clip.stem} (1)").write_bytes(clip.read_bytes())
    write_wav(tmp_path / "fan" / "test" / "x.wav", two_channels(rng))
    write_wav(tmp_path / "valve" / "train" / "a.wav", two_channels(rng))
    table = dataset.scan(tmp_path)
    count = (table["machine"] == "fan").sum()
    told = folders.remarks(table.assign(hash=dataset.check(table)[0]))
    assert [sentence.partition(",")[0] for sentence in told] == [
        f"fan: 1 of {count} clips have no DCASE name",
        "fan: 1 clip has the content of another one",
        "valve: no clip in test/; the machine can be learnt",
        "valve: 1 of 1 clips have no DCASE name",
    ]


def test_the_doctor_looks_at_a_folder_for_fit(tmp_path, rng, capsys):
    for name in ("monday/a.wav", "monday/b.wav", "tuesday/a.wav"):
        write_wav(tmp_path / "pump" / name, two_channels(rng))
    assert asd("doctor", tmp_path / "pump") == 0
    printed = capsys.readouterr().out
    assert "as asd fit reads them; all can be used." in printed
    assert "3 different recordings in 2 sessions (subfolders)." in printed
    assert f"'asd fit {tmp_path / 'pump'} --out pump.safetensors'" in printed
    write_wav(tmp_path / "pump" / "tuesday" / "b.wav", two_channels(rng)[:, 0])
    assert asd("doctor", tmp_path / "pump") == 2
    *_, told, closing = capsys.readouterr().err.splitlines()
    assert "tuesday/b.wav: 1 channel" in told
    assert closing == (
        "1 of 4 recordings cannot be used. Repair it or move it out of the folder, then run the "
        "same command again."
    )


def test_fit_says_what_it_saw(tmp_path, rng, capsys):
    for number in range(10):
        write_wav(tmp_path / "pump" / f"day{number % 2}" / f"{number}.wav", two_channels(rng))
    assert asd("fit", tmp_path / "pump", "--out", tmp_path / "pump.safetensors") == 0
    assert "10 different recordings in 2 sessions (subfolders)." in capsys.readouterr().out
    for number in range(2):
        (tmp_path / "pump" / f"{number}.wav").write_text("no sound")
    assert asd("fit", tmp_path / "pump", "--out", tmp_path / "pump.safetensors") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("2 of 12 recordings cannot be used. Repair them or move them out")


@pytest.mark.parametrize("write", [folders.managed, folders.emptied, replaced])
def test_a_folder_with_files_of_the_users_is_refused_and_left(tmp_path, write):
    mine = tmp_path / "out" / "thesis.tex"
    mine.parent.mkdir()
    mine.write_text("years of work")
    with pytest.raises(AsdError, match="out: holds files that asd did not write"):
        write(tmp_path / "out", "--out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.tex"]


def test_a_folder_of_asds_is_emptied_and_stays_marked(tmp_path):
    own = folders.managed(tmp_path / "out", "--out")
    (own / "below").mkdir()
    (own / "below" / "page.html").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    (own / "link").symlink_to(tmp_path / "mine")
    folders.emptied(own, "--out")
    assert [path.name for path in own.iterdir()] == [folders.MARK]
    assert (tmp_path / "mine" / "thesis.tex").exists()
    assert folders.managed(own, "--out") == own


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    own = folders.managed(tmp_path / "html", "--out")
    (own / "old.html").touch()
    with pytest.raises(ZeroDivisionError), folders.replacing_folder(own, "--out") as part:
        (part / "new.html").touch()
        raise ZeroDivisionError
    assert (own / "old.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["html"]


def test_a_link_to_a_folder_is_written_in_place(tmp_path):
    own = folders.managed(tmp_path / "disk", "--out")
    (tmp_path / "html").symlink_to(own)
    with folders.replacing_folder(tmp_path / "html", "--out") as part:
        (part / "new.html").touch()
    assert (tmp_path / "html").is_symlink()
    assert (own / "new.html").exists()


def test_what_fails_in_a_part_of_a_folder_names_the_folder(tmp_path):
    with (
        pytest.raises(FileError) as caught,
        folders.replacing_folder(tmp_path / "scenes", "OUT") as part,
    ):
        files.read_bytes(part / "a.wav")
    wanted = f"{tmp_path / 'scenes'}: cannot be written (No such file or directory)."
    assert str(caught.value) == wanted
