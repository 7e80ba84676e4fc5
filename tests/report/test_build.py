import shutil

import damaged
import jupytext
import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import (
    ROOT,
    SMALL,
    machine_folder,
    small_params,
    two_machines,
)
from whole import FEW_CLIPS, assert_whole, text_of

from asdlib import params, study
from asdlib.compare import submission
from asdlib.io import files
from asdlib.params import AsdError
from asdlib.report import build


def test_a_report_on_scenes_is_whole(scenes_report):
    chosen, pages = scenes_report
    html = assert_whole(chosen, pages, FEW_CLIPS)
    assert "embedded simulated scenes" in html["04_seed_study"]
    ladder = pd.read_csv(files.resolve(chosen.figures) / "tab-ladder.csv")
    per_seed = pd.read_csv(files.resolve(chosen.figures) / "tab-front-ends.csv")
    assert ladder["ensemble"].notna().all()
    assert ladder["system"].iloc[-1] == "S5"
    assert ladder["system"].tolist()[:3] == ["Baseline MSE", "Baseline MAHALA", "AE ch1"]
    measured = pd.read_csv(files.resolve(chosen.figures) / "tab-benchmarks.csv")
    assert measured["measured"].tolist() == ["0.05 s", "2.5 times", "1,761 times"]
    assert measured["target"].tolist()[1] == ">= 3"
    assert "Exponents of time: 0.97 with clips" in text_of(pages / "notebooks/98_performance.html")
    assert per_seed["SimFan"].str.contains("±").all()
    again = text_of(pages / "notebooks" / "08_submission.html")
    assert "SimPump: 5 clips by S1, S2, S3, S4, S5, the same bytes as in the score files" in again
    assert "reports: no problems found." in html["08_submission"]
    package = files.resolve(chosen.results) / "small" / "submission" / "task2.zip"
    recordings = study.open_recordings(chosen)
    expected = {"SimPump": set(recordings.clips("SimPump", "test")["name"])}
    assert submission.validate(package, expected) == []


def test_a_second_report_executes_nothing(scenes_report, monkeypatch):
    chosen, pages = scenes_report
    folder = pages.parent / "notebooks"
    before = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.ipynb")}
    monkeypatch.setattr(build, "html", lambda out: out / "html" / "index.html")
    build.report(chosen, pages.parent, progress=False)
    assert {p.name: p.stat().st_mtime_ns for p in folder.glob("*.ipynb")} == before


def test_a_failing_chapter_is_named_and_the_rest_stays(tmp_path, monkeypatch, caplog):
    chapters = tmp_path / "notebooks"
    chapters.mkdir()
    text = (ROOT / "notebooks" / "99_provenance.py").read_text()
    (chapters / "99_provenance.py").write_text(text + "\n# %%\nraise ValueError('burnt')\n")
    monkeypatch.setattr(build, "project_root", lambda: tmp_path)
    chosen = params.load(
        {**SMALL, "data": str(machine_folder(tmp_path / "d", np.random.default_rng(0)))},
        results=str(tmp_path / "results"),
        figures=str(tmp_path / "figures"),
        front_ends=["near"],
        scorers=["eq1"],
    )
    study.run(chosen)
    with pytest.raises(AsdError, match=r"99_provenance failed in cell .*ValueError: burnt"):
        build.execute("99_provenance", chosen, tmp_path / "out")
    assert "unknown parameter" not in caplog.text  # of the keys that the cell does not name
    assert (tmp_path / "out" / ".99_provenance.part.ipynb").exists()
    assert not (tmp_path / "out" / "99_provenance.ipynb").exists()


def test_outside_the_project_nothing_is_computed_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study, "run", None)
    with pytest.raises(AsdError, match="no such chapter; run asd report inside the project"):
        build.report(params.load(SMALL), tmp_path)


def test_a_chapter_needs_one_cell_of_parameters():
    path = ROOT / "notebooks" / "01_noise_floor.py"
    notebook = jupytext.read(path)
    build.check_parameters(path, notebook)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    notebook.cells.append(cell)
    with pytest.raises(AsdError, match="2 cells are tagged 'parameters'; one is needed"):
        build.check_parameters(path, notebook)
    notebook.cells = []
    with pytest.raises(AsdError, match="0 cells are tagged 'parameters'"):
        build.check_parameters(path, notebook)


def copied(pages, out, chapter, cell):
    """The executed chapters of a report with one more cell, and its figures, in a new folder."""
    shutil.copytree(pages.parent / "notebooks", out / "notebooks")
    shutil.copytree(pages.parent / "figures", out / "figures")
    path = out / "notebooks" / f"{chapter}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(cell)
    nbformat.write(notebook, path)


def test_what_the_environment_says_is_told_and_spoils_no_chapter(tmp_path, monkeypatch, capsys):
    text = (ROOT / "notebooks" / "99_provenance.py").read_text()
    text += "\n# %%\nimport sys\n_ = sys.stderr.write('libgomp: Invalid value')\nprint('numbers')\n"
    monkeypatch.setattr(build, "_notebook", lambda chapter: written(tmp_path, text))
    chosen = small_params(tmp_path, data=str(two_machines(tmp_path / "data")), baseline=False)
    done = build.execute("99_provenance", chosen, tmp_path / "notebooks")
    assert "99_provenance said:\nlibgomp: Invalid value" in capsys.readouterr().err
    whole = done.read_text()
    assert "numbers" in whole
    assert '"stderr"' not in whole
    build.execute("99_provenance", chosen, tmp_path / "notebooks")
    assert "said" not in capsys.readouterr().err


def written(folder, text):
    path = folder / "99_provenance.py"
    path.write_text(text)
    return path


def test_an_unclean_build_fails(scenes_report, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "CHAPTERS", ["index", "01_noise_floor"])
    cell = nbformat.v4.new_markdown_cell("{numref}`fig-nowhere`")
    copied(scenes_report[1], tmp_path, "01_noise_floor", cell)
    with pytest.raises(AsdError, match="undefined label: 'fig-nowhere'"):
        build.html(tmp_path)


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """An executed chapter, its key, and its folder of tables."""
    folder = tmp_path_factory.mktemp("chapter")
    data = str(two_machines(folder / "data"))
    scorers = {"front_ends": ["near"], "scorers": ["near/pm"], "extras": []}
    chosen = small_params(folder, data=data, baseline=False, **scorers)
    done = build.execute("99_provenance", chosen, folder / "notebooks")
    key = nbformat.read(done, as_version=4).metadata["asd"]["key"]
    return done, key, files.resolve(chosen.figures)


@pytest.mark.parametrize("name", ["notebooks/99_provenance.ipynb", "figures/tab-versions.csv"])
@pytest.mark.parametrize("how", [*damaged.KINDS, "letter"])
def test_a_damaged_chapter_or_table_is_told_and_not_used(chapter, tmp_path, name, how, capsys):
    done, key, figures = chapter
    for folder in (done.parent, figures):
        shutil.copytree(folder, tmp_path / folder.name)
    done, figures = tmp_path / "notebooks" / done.name, tmp_path / "figures"
    assert build._is_done(done, key, figures)
    assert not build._is_done(done, "other", figures)
    path = tmp_path / name
    if how == "letter":
        path.write_text(path.read_text().replace("processor", "processer"))
    else:
        damaged.damage(path, how)
    assert not build._is_done(done, key, figures)
    assert capsys.readouterr().err == (
        f"{path}: damaged; it is set aside as {path.name}.damaged and computed again.\n"
    )
    assert path.with_name(f"{path.name}.damaged").exists()
    build._publish(figures, tmp_path / "published")
    assert not list((tmp_path / "published").glob("*.damaged"))
