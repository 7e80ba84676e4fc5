import os
import unicodedata

import pytest
from conftest import two_channels, write_wav

from asdlib import dataset
from asdlib.compare import validation
from asdlib.dataset import Problems
from asdlib.io import listing
from asdlib.monitor import recordings, watch
from asdlib.params import Spectra
from asdlib.simulate import rooms

LEFT = ("._a.wav", "@eaDir/a.wav", "__MACOSX/._a.wav", ".DS_Store", "Thumbs.db", "#recycle/a.wav")
NFC, NFD = (unicodedata.normalize(form, "Lüfter") for form in ("NFC", "NFD"))


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
    assert listing.wavs_below(tmp_path) == [tmp_path / "a" / "one.wav"]
