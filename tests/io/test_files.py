"""Files are whole or not there, errors of the system name them, and digests name values."""

import errno
import os
import pickle
import time

import pytest

from asdlib import params
from asdlib.io import files
from asdlib.params import Params
from asdlib.runtime.errors import AsdError, FileError, sentence


def test_digest_depends_on_every_value():
    base = Params()
    assert files.digest(base) == files.digest(Params())
    assert files.digest(base) != files.digest(params.load(base, seeds=(0,)))


@pytest.mark.parametrize("there", [True, False], ids=["a file", "nothing yet"])
def test_what_a_link_leads_to_is_written_and_the_link_stays(tmp_path, there):
    target, link = tmp_path / "disk" / "model.asd", tmp_path / "model.asd"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to("disk/model.asd")
    files.write_text("new", link)
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["disk", "model.asd", "model.asd"]


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with pytest.raises(AsdError) as caught, files.replacing(path) as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")  # a failing write names no file
    assert str(caught.value) == f"{path}: cannot be written (No space left on device)."
    assert caught.value.errno == errno.ENOSPC
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # of a worker
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]
    assert path.read_text() == "old"


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileError) as caught, files.replacing(tmp_path / "b") as part:
        part.write_bytes(files.read_bytes(tmp_path / "a"))
    assert str(caught.value) == f"{tmp_path / 'a'}: cannot be read (No such file or directory)."


def test_what_is_no_file_or_too_long_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(bytes(11))
    for name, told in {
        "pipe": "not a file, but a folder",
        "": "not a file",
        "long": "11 bytes",
    }.items():
        with pytest.raises(FileError, match=told):
            files.read_bytes(tmp_path / name, most=10)


def test_an_error_without_a_name_or_a_number_is_a_sentence():
    said = sentence(OSError("encoder error -2."))
    assert said == "The system reports an error (encoder error -2)."


@pytest.mark.kind("two that share a folder")
def test_what_killed_runs_left_goes_after_a_day_and_nothing_else(tmp_path):
    deep = tmp_path / "units" / "fan"
    (deep / ".asd-part-0123abcd.clips").mkdir(parents=True)
    part = files.part_of(deep / "scores.parquet")
    for path in (part, deep / ".asd-mine", deep / "scores.parquet"):
        path.write_text("half")
    (tmp_path / "link").symlink_to(deep)
    for name in os.listdir(deep):
        os.utime(deep / name, (time.time() - 90000,) * 2)
    young = files.part_of(deep / "table.csv")
    young.write_text("half")
    files.sweep(tmp_path, depth=1)
    assert len(list(deep.iterdir())) == 5  # too deep, and links are not followed
    files.sweep(tmp_path, depth=2)
    assert {path.name for path in deep.iterdir()} == {".asd-mine", "scores.parquet", young.name}
