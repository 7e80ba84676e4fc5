"""Which files of a folder count and under which name; folders that are asd's own."""

import os
import unicodedata

import pytest
from conftest import machine_folder, two_channels, write_wav

from asdlib import cli, dataset
from asdlib.compare import validation
from asdlib.dataset import Problems
from asdlib.io import files, folders
from asdlib.monitor import Monitor, recordings, watch, watch_log
from asdlib.params import AsdError, Spectra
from asdlib.runtime.errors import FileError

LEFT = ("._a.wav", "@eaDir/a.wav", "__MACOSX/._a.wav", ".DS_Store", "Thumbs.db", "#recycle/a.wav")
NFC, NFD = (unicodedata.normalize(form, "Lüfter") for form in ("NFC", "NFD"))


def replaced(path, hint):
    with folders.replacing_folder(path, hint):
        pass


def leave(folder):
    for name in LEFT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\0\5\x16\7 of a system")


def test_what_systems_leave_behind_is_no_recording_and_no_part_of_a_package(tmp_path, rng):
    train, label = tmp_path / "set" / "fan" / "train", "A_B_task2_1"
    for name in ("a.wav", "b.wav"):
        write_wav(train / name, two_channels(rng, 0.2))
    write_wav(tmp_path / "set" / "@eaDir" / "train" / "c.wav", two_channels(rng, 0.2))
    package = tmp_path / "package" / "task2" / label
    for folder in (tmp_path / "set", train.parent, train, tmp_path / "package", package):
        leave(folder)
    (package / f"{label}.meta.yaml").write_text("a: 1")
    assert dataset.scan(tmp_path / "set")["name"].tolist() == ["a.wav", "b.wav"]
    assert recordings.collect(train, Spectra())["name"].tolist() == ["a.wav", "b.wav"]
    assert [path.name for path in folders.some_below(train)] == ["a.wav", "b.wav"]
    assert set(watch_log.look(train)) == {"a.wav", "b.wav"}
    told = validation.validate(tmp_path / "package")
    assert told
    assert not [line for line in told if "not a file of" in line or "elsewhere" in line]


@pytest.mark.kind("files that are no recordings")
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


def test_a_name_that_is_no_utf_8_is_one_sentence_and_links_are_not_followed(tmp_path, rng):
    train = tmp_path / "m" / "train"
    for name in ("a.wav", "b.wav"):
        write_wav(train / name, two_channels(rng, 0.2))
    os.rename(train / "a.wav", train / os.fsdecode(b"\x83|\x83v.wav"))
    (train / "loop").symlink_to(tmp_path)
    table, problems = dataset.survey(tmp_path)
    assert table["name"].tolist() == ["b.wav"]
    with pytest.raises(Problems, match="the name is not UTF-8; rename it"):
        recordings.collect(train, Spectra())
    assert [p.split(": ")[1] for p in problems] == [
        "the name is not UTF-8; rename it, as 'convmv' does for many."
    ]


def asd(*arguments):
    return cli.main([str(argument) for argument in arguments])


def test_what_is_not_read_is_named(tmp_path, rng):
    with pytest.raises(AsdError, match="no such folder"):
        dataset.scan(tmp_path / "none")
    (tmp_path / "dev_valve.zip").touch()
    (tmp_path / "a.flac").touch()
    there = r"found no machine folder(.|\n)*valve.zip: still packed(.|\n)*not read \(1 .flac\)"
    with pytest.raises(AsdError, match=there):
        dataset.scan(tmp_path)
    write_wav(tmp_path / "own" / "monday" / "a.wav", two_channels(rng, 0.2))
    with pytest.raises(AsdError, match="Recordings without these folders are for asd fit"):
        dataset.scan(tmp_path / "own")
    machine_folder(tmp_path, rng, "fan")
    machine_folder(tmp_path / "dev_ToyCar", rng, "ToyCar")
    machine_folder(tmp_path, rng, "Pump")
    (tmp_path / "Pump" / "train").rename(tmp_path / "Pump" / "Train")
    write_wav(tmp_path / "fan" / "test" / "late" / "c.wav", two_channels(rng, 0.2))
    (tmp_path / "dev_fan.zip").touch()
    table, problems = dataset.survey(tmp_path)
    assert set(table["machine"]) == {"fan", "Pump"}
    assert sorted(problem.removeprefix(f"{tmp_path}/") for problem in problems) == [
        "Pump/Train: rename it to train; it is not read so.",
        "Pump: no wav in train/; training needs normal clips there.",
        "dev_ToyCar/ToyCar: lies one folder too deep and is not read; move it to "
        f"{tmp_path}/ToyCar.",
        "dev_valve.zip: still packed; unzip it, or move it out of this folder.",
        "fan: wav in folders below test/; clips lie in it itself.",
    ]
    machine_folder(tmp_path, rng, "valve")
    assert dataset.survey(tmp_path, ["valve"])[1] == []


def test_odd_clips_are_remarked(tmp_path, rng):
    machine_folder(tmp_path, rng, "fan")
    clip = next((tmp_path / "fan" / "test").iterdir())
    clip.with_stem(f"{clip.stem} (1)").write_bytes(clip.read_bytes())
    write_wav(tmp_path / "valve" / "train" / "a.wav", two_channels(rng))
    table = dataset.scan(tmp_path)
    (tmp_path / "fan" / "train" / "b.flac").touch()
    told = folders.remarks(table.assign(hash=dataset.check(table)[0]), tmp_path)
    assert [sentence.partition(";")[0] for sentence in told] == [
        f"{tmp_path}: 1 recording of other kinds not read (1 .flac): only WAV is",
        "fan: 1 clip with the content of another one.",
        "valve: no clip in test/",
        "valve: 1 clip without a DCASE name",
    ]


def test_the_doctor_and_fit_say_what_they_saw_of_one_machine(tmp_path, rng, capsys):
    for number in range(10):
        write_wav(tmp_path / "pump" / f"day{number % 2}" / f"{number}.wav", two_channels(rng))
    fit = ("fit", tmp_path / "pump", "--out", tmp_path / "pump.safetensors")
    for command in (("doctor", tmp_path / "pump"), fit):
        assert asd(*command) == 0
        printed = capsys.readouterr().out
        assert "10 different recordings in 2 sessions (subfolders)." in printed
        assert ("asd fit" in printed) == (command[0] == "doctor")
    write_wav(tmp_path / "pump" / "day1" / "b.wav", two_channels(rng)[:, 0])
    for command in (("doctor", tmp_path / "pump"), fit):
        assert asd(*command) == 2
        *_, told, closing = capsys.readouterr().err.splitlines()
        assert "day1/b.wav: 1 channel" in told
        assert closing.startswith("1 of 11 recordings cannot be used. Repair it or move it away")


@pytest.mark.kind("what is called normal is not")
def test_what_is_named_as_an_anomaly_is_learnt_only_where_it_is_asked_for(tmp_path, rng, capsys):
    normal = ("default/b.wav", "long/c.wav", "no_fault/e.wav", "defect-free.wav", "undamaged.wav")
    named = (
        "abnormal/d.wav",
        "Anomaly-1.wav",
        "pump_NG_1.wav",
        "no_fault/f_NOK.wav",
        "x_faulty.wav",
    )
    concealed = ("Test/section_00_0003.wav",)
    for name in (*normal, *named, *concealed):
        write_wav(tmp_path / "pump" / name, two_channels(rng))
    asked = ("fit", tmp_path / "pump", "--out", tmp_path / "pump.safetensors")
    for more, count in (((), 5), (("--all",), 11)):
        assert asd(*asked, *more) == 0
        out = capsys.readouterr().out
        assert f"{count} different recordings in " in out
        told = "Anomaly-1.wav: named as an anomaly, or as a test clip without its label; not learnt"
        assert (f"{told} (6 recordings in all); " in out) == (not more)
    for name in ("abnormal", "Test"):
        assert asd("fit", tmp_path / "pump" / name, *asked[2:]) == 2
        assert "(1 recording in all); asd fit --all learns" in capsys.readouterr().err
    (tmp_path / "set" / "fan").mkdir(parents=True)
    (tmp_path / "pump").rename(tmp_path / "set" / "fan" / "train")
    assert "x_faulty.wav: named as an anomaly, in train/" in "".join(
        dataset.survey(tmp_path / "set")[1]
    )
    (tmp_path / "set" / "fan" / "train").rename(tmp_path / "set" / "fan" / "test")
    assert asd("fit", tmp_path / "set" / "fan", *asked[2:]) == 2
    told = capsys.readouterr().err
    assert "fan: no wav in train/" in told
    assert "cannot be used" not in told  # it is no recording that is wrong


@pytest.mark.kind("files that are no recordings")
def test_a_folder_behind_links_is_walked_once_and_other_kinds_are_counted(tmp_path, rng, capsys):
    pump, disk = tmp_path / "pump", tmp_path / "disk"
    for name in ("monday/a.wav", "monday/b.wav"):
        write_wav(pump / name, two_channels(rng))
    write_wav(disk / "c.wav", two_channels(rng))
    for name in ("d.flac", "e.FLAC", "f.mp3", "._g.flac"):
        (disk / name).touch()
    (disk / "back").symlink_to(pump)
    for name, place in (("disk", disk), ("again", disk), ("latest", "monday"), ("up", "..")):
        (pump / name).symlink_to(place)
    found = [str(path.relative_to(pump)) for path in folders.below(pump)]
    assert found == ["again/c.wav", "monday/a.wav", "monday/b.wav"]
    told = "3 recordings of other kinds not read (2 .flac, 1 .mp3): only WAV is"
    model = tmp_path / "pump.safetensors"
    for words in (("doctor", pump), ("fit", pump, "--out", model), ("score", model, pump)):
        assert asd(*words) == 0
        assert told in "".join(capsys.readouterr())
    says = []
    list(watch.watch(Monitor.load(model), pump, once=True, every=0.01, say=says.append))
    assert told in says[0]
    assert len(says) == 1


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
    for killed in (files.part_of(own), files.part_of(own / "page.html")):
        killed.touch()
        os.utime(killed, (0, 0))
    folders.managed(own, "--out")
    assert {path.name for path in own.iterdir()} == {folders.MARK, "below", "link"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "mine"}
    folders.emptied(own, "--out")
    assert [path.name for path in own.iterdir()] == [folders.MARK]
    assert (tmp_path / "mine" / "thesis.tex").exists()
    assert folders.managed(own, "--out") == own


def test_a_folder_is_replaced_whole_or_not_at_all_and_a_link_in_place(tmp_path):
    own = folders.managed(tmp_path / "html", "--out")
    (own / "old.html").touch()
    with pytest.raises(ZeroDivisionError), folders.replacing_folder(own, "--out") as part:
        (part / "new.html").touch()
        raise ZeroDivisionError
    assert (own / "old.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["html"]
    (tmp_path / "link").symlink_to(own)
    with folders.replacing_folder(tmp_path / "link", "--out") as part:
        (part / "new.html").touch()
    assert (tmp_path / "link").is_symlink()
    assert (own / "new.html").exists()


def test_what_fails_in_a_part_of_a_folder_names_the_folder(tmp_path):
    with (
        pytest.raises(FileError) as caught,
        folders.replacing_folder(tmp_path / "scenes", "OUT") as part,
    ):
        files.read_bytes(part / "a.wav")
    wanted = f"{tmp_path / 'scenes'}: cannot be written (No such file or directory)."
    assert str(caught.value) == wanted
