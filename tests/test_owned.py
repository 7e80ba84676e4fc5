"""A run replaces and removes what it wrote, and nothing else."""

import errno
import os
from pathlib import Path

import pandas as pd
import pytest
from conftest import small_params

from asdlib.compare import submission
from asdlib.io import owned
from asdlib.params import AsdError, load
from asdlib.report import build, tables
from asdlib.report.chapter import Chapter
from asdlib.study.recordings import Recordings

NOTHING = Recordings(Path("data"), pd.DataFrame(), "", embedded=False)


@pytest.mark.parametrize("name", ["source", "html", "notebooks", "figures", "doctrees"])
def test_a_report_refuses_a_folder_of_the_users_before_any_work(tmp_path, name):
    out = tmp_path / "out"
    (out / name).mkdir(parents=True)
    (out / name / "thesis.txt").write_text("years of work")
    chosen = small_params(tmp_path, data=str(tmp_path / "nowhere"))  # not even looked for
    with pytest.raises(AsdError, match=f"out/{name}: holds files that asd did not write"):
        build.report(chosen, out, progress=False)
    assert (out / name / "thesis.txt").read_text() == "years of work"


def test_figures_go_among_the_users_own_files_and_replace_only_their_own(tmp_path):
    made, mine = tmp_path / "made", tmp_path / "mine"
    for folder in (made, mine):
        folder.mkdir()
    (mine / "fig-mine.svg").write_text("by hand")
    (made / "fig-a.svg").write_text("first")
    (made / "tab-b.csv").write_text("first")
    build._publish(made, mine)
    (made / "fig-a.svg").write_text("second")
    (made / "tab-b.csv").unlink()
    build._publish(made, mine)
    held = {path.name: path.read_text() for path in mine.iterdir() if path.is_file()}
    assert held == {"fig-mine.svg": "by hand", "fig-a.svg": "second"}
    (made / "fig-mine.svg").write_text("of a chapter")
    with pytest.raises(AsdError, match=r"fig-mine\.svg: was not written by asd"):
        build._publish(made, mine)
    assert (mine / "fig-mine.svg").read_text() == "by hand"


def test_a_report_refuses_a_figure_of_the_users_before_any_work(tmp_path):
    own = tmp_path / "figures" / "fig-noise-floors.svg"
    own.parent.mkdir()
    own.write_text("by hand")
    chosen = small_params(tmp_path, data=str(tmp_path / "nowhere"))
    with pytest.raises(AsdError, match=r"fig-noise-floors\.svg: was not written by asd"):
        build.report(chosen, tmp_path / "build", progress=False)
    assert own.read_text() == "by hand"


def test_a_chapter_by_hand_keeps_the_users_tables(tmp_path):
    own = tmp_path / "tab-mine.csv"
    own.write_text("by hand")
    table = pd.DataFrame({"a": [1]})
    with pytest.raises(AsdError, match=r"tab-mine\.csv: was not written by asd"):
        tables.show_table(table, "tab-mine", "Mine.", folder=tmp_path)
    chapter = Chapter(load({"name": "x"}), NOTHING, tmp_path)
    chapter.table(table[:0], label="tab-mine", caption="Mine.")
    assert own.read_text() == "by hand"
    tables.show_table(table, "tab-theirs", "Theirs.", folder=tmp_path)
    chapter.table(table[:0], label="tab-theirs", caption="Theirs.")
    assert not (tmp_path / "tab-theirs.csv").exists()


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
