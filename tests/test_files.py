"""Files are whole or not there, and digests name values."""

import errno

import pandas as pd
import pytest

from asdlib import params
from asdlib.io import files
from asdlib.params import Params


def test_digest_depends_on_every_value():
    base = Params()
    changed = params.load(base, seeds=(0,))
    assert files.digest(base) == files.digest(Params())
    assert files.digest(base) != files.digest(changed)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "table.csv"
    files.write_table(pd.DataFrame({"a": [1]}), path)
    with pytest.raises(ZeroDivisionError), files.replacing(path) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "a\n1\n"
    assert list(path.parent.iterdir()) == [path]


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
    with pytest.raises(OSError, match="No space left") as caught, files.replacing(path) as beside:
        beside.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")  # a failing write names no file
    assert files.sentence(caught.value) == (
        f"{path}: cannot be read or written (No space left on device); mend that and run the same "
        "command again."
    )
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]
    assert path.read_text() == "old"


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, files.replacing(tmp_path / "b") as beside:
        beside.write_bytes((tmp_path / "a").read_bytes())
    assert caught.value.filename == str(tmp_path / "a")


def test_an_error_without_a_name_or_a_number_is_a_sentence():
    assert files.sentence(OSError("encoder error -2.")).startswith(
        "The system reports an error (encoder error -2);"
    )
