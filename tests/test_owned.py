"""A run replaces and removes what it wrote, and nothing else."""

import errno
import os

import pytest

from asdlib.compare import submission
from asdlib.io import owned
from asdlib.params import AsdError, load


def test_a_package_refuses_a_folder_of_the_users(tmp_path):
    (tmp_path / "task2").mkdir()
    (tmp_path / "task2" / "mine.csv").write_text("by hand")
    with pytest.raises(AsdError, match="holds files that asd did not write"):
        submission.write_all(tmp_path, {}, [], load({"name": "x"}))
    assert (tmp_path / "task2" / "mine.csv").exists()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../x", "/abs", "a/b", "a\\b", ".hidden", "units", "Floors", "a\n"]
)
def test_only_plain_names_name_a_study(name):
    with pytest.raises(AsdError, match="name is"):
        load({"name": name})


def test_names_of_every_language_name_a_study():
    for name in ("pump 2", "ポンプ", "a.b-c_d", "scenes", "x" * 80):
        assert load({"name": name}).name == name


def test_what_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AsdError, match="file: cannot be written"):
        owned.folder(tmp_path / "file", owned.OUT)
    with (
        pytest.raises(AsdError, match="cannot be written"),
        owned.replacing(tmp_path / "file" / "fig-a.svg", owned.FIGURES),
    ):
        raise AssertionError("nothing can be written below a file")


def test_a_folder_whose_mark_could_not_be_written_is_taken_again(tmp_path):
    (tmp_path / "own" / owned.MARK).mkdir(parents=True)
    assert owned.folder(tmp_path / "own", owned.OUT) == tmp_path / "own"


def test_what_could_not_be_removed_keeps_its_mark(tmp_path, monkeypatch):
    own, unlink, gone = tmp_path / "own", os.unlink, []
    own.mkdir()
    (own / "first").write_text("")
    mark = owned.folder(tmp_path / "marked", owned.OUT) / owned.MARK
    mark.replace(own / owned.MARK)  # between the two, in whichever order they are listed
    (own / "last").write_text("")

    def fails(path, **keys):
        if os.path.basename(path) in ("first", "last"):
            gone.append(path)
            if len(gone) == 2:
                raise OSError(errno.EIO, "Input/output error")
        unlink(path, **keys)

    with monkeypatch.context() as broken:
        broken.setattr(os, "unlink", fails)
        with pytest.raises(OSError, match="Input/output error"):
            owned.emptied(own, owned.OUT)
    assert [path.name for path in owned.emptied(own, owned.OUT).iterdir()] == [owned.MARK]


def test_a_name_that_could_not_be_written_is_the_users_again(tmp_path):
    path = tmp_path / "fig-a.svg"
    with (
        pytest.raises(AsdError, match=r"fig-a\.svg: cannot be written \(No space left"),
        owned.replacing(path, owned.FIGURES),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    path.write_text("by hand")
    with pytest.raises(AsdError, match="was not written by asd"):
        owned.refuse_foreign(path, owned.FIGURES)


def written(folder, name):
    """Write one file into what takes the place of a folder."""
    with owned.replacing_folder(folder, owned.OUT) as beside:
        (beside / name).write_text(name)


def pages(folder):
    """What lies in a folder and beside it, marks left out."""
    beside = [path.name for path in folder.parent.iterdir() if path != folder]
    return sorted(path.name for path in folder.iterdir() if path.name != owned.MARK), beside


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    html = tmp_path / "html"
    written(html, "old.html")
    with pytest.raises(ZeroDivisionError), owned.replacing_folder(html, owned.OUT) as beside:
        (beside / "half.html").write_text("")
        raise ZeroDivisionError
    assert pages(html) == (["old.html"], [])
    written(html, "new.html")
    assert pages(html) == (["new.html"], [])


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(tmp_path, monkeypatch):
    html, replace = tmp_path / "html", os.replace
    written(html, "old.html")

    def failing(source, target):
        if "new.html" in os.listdir(source):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(source), None, str(target))
        replace(source, target)

    monkeypatch.setattr("os.replace", failing)
    with pytest.raises(OSError, match="html") as told:
        written(html, "new.html")
    assert told.value.filename == str(html)
    assert pages(html) == (["old.html"], [])


@pytest.mark.parametrize("restored", [True, False])
def test_stopped_between_two_renames_the_old_folder_is_not_lost(tmp_path, monkeypatch, restored):
    html, replace, done = tmp_path / "html", os.replace, []
    written(html, "old.html")

    def stopping(source, target):
        done.append(target)
        if len(done) == 2:
            raise KeyboardInterrupt
        if len(done) == 3 and not restored:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(source, target)

    monkeypatch.setattr("os.replace", stopping)
    with pytest.raises(KeyboardInterrupt if restored else OSError):
        written(html, "new.html")
    assert [path.name for path in tmp_path.rglob("old.html")] == ["old.html"]
    assert html.exists() == restored


def test_a_folder_behind_a_link_is_written_in_place(tmp_path):
    (tmp_path / "served").mkdir()
    html = tmp_path / "out" / "html"
    html.parent.mkdir()
    html.symlink_to(tmp_path / "served")
    written(html, "new.html")
    assert html.is_symlink()
    assert (tmp_path / "served" / "new.html").exists()


def test_a_folder_of_the_users_is_not_replaced(tmp_path):
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "mine.html").write_text("")
    with pytest.raises(AsdError, match="asd did not write"):
        written(tmp_path / "html", "new.html")
    assert pages(tmp_path / "html") == (["mine.html"], [])
