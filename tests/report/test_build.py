"""Chapters become pages: whole, once, alone, and never at the cost of a user's files."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT, SMALL, small_params, two_machines
from whole import LABELS, drawn, text_of

from asdlib import params, study
from asdlib.compare import validation
from asdlib.io import files
from asdlib.params import AsdError
from asdlib.report import build, execution, provenance

LEFT_OUT = {
    "fig-enough",  # few clips
    *("fig-distance", "fig-room", "fig-sources", "fig-harder", "tab-scenes"),  # not embedded
    "tab-longer",  # hours of training
}


def test_a_report_on_scenes_is_whole(scenes_report):
    chosen, pages = scenes_report
    folder = files.resolve(chosen.figures)
    assert len(LABELS) > 50
    assert drawn(folder) == LABELS - LEFT_OUT
    paths = [pages / "index.html", *pages.glob("notebooks/*.html")]
    html = {path.stem: path.read_text() for path in paths}
    chapters = "".join(html[name] for name in build.CHAPTERS)
    for label in LABELS:
        assert chapters.count(f'id="{label}"') == (label not in LEFT_OUT), label
    for name in build.CHAPTERS:
        first = html[name].partition("</h1>")[2].partition("</p>")[0]
        assert "The numbers on this page come from" in first
        assert "manifest" in first
    first_page = BeautifulSoup(html["index"], "html.parser").get_text()
    for name in build.CHAPTERS[1:8]:  # the first page has the result of each
        result = BeautifulSoup(html[name], "html.parser").select_one("article p strong")
        told = re.sub(r" \([^()]*\)", "", result.get_text())  # how sure, which the chapter says
        assert told in first_page
    ladder = pd.read_csv(folder / "tab-ladder.csv").set_index("system")["ensemble"]
    assert ladder.notna().all()
    assert [*ladder.index[:3], ladder.index[-1]] == [
        *("Baseline MSE", "Baseline MAHALA", "AE ch1", "S5")
    ]
    again = text_of(pages / "notebooks" / "97_checks.html")
    assert "SimPump: 3 clips by S1, S2, S3, S4, S5, the same bytes as in the score files" in again
    package = files.resolve(chosen.results) / "small" / "submission" / "task2.zip"
    clips = study.open_recordings(chosen).clips("SimPump", "test")
    assert validation.validate(package, {"SimPump": set(clips["name"])}) == []


def test_a_second_report_executes_nothing(scenes_report, monkeypatch):
    chosen, pages = scenes_report
    monkeypatch.setattr(build, "html", lambda out: out / "html" / "index.html")
    monkeypatch.setattr(execution.Kernel, "fresh", lambda _: pytest.fail("executed"))
    assert build.report(chosen, pages.parent, progress=False) == pages / "index.html"
    cost = build.forecast(chosen, study.open_recordings(chosen), pages.parent)
    assert (cost.units, cost.chapters) == (0, 0)
    assert str(cost).startswith("Only pages to compute: about ")
    took = provenance.seconds(chosen).set_index("stage")["seconds"]
    assert took.filter(like="chapter ").size == len(build.CHAPTERS) - 2
    assert (took > 0).all()


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Execute a chapter that writes on standard error too, in a project of its own."""
    folder = tmp_path_factory.mktemp("chapter")
    (folder / "notebooks").mkdir()
    text = (ROOT / "notebooks" / "99_provenance.py").read_text()
    text += "\n# %%\nimport sys\n_ = sys.stderr.write('libgomp: Invalid value')\nprint('numbers')\n"
    (folder / "notebooks" / "99_provenance.py").write_text(text)
    data = str(two_machines(folder / "data"))
    scorers = {"front_ends": ["near"], "scorers": ["near/pm"], "extras": []}
    chosen = small_params(folder, data=data, baseline=False, **scorers)
    with execution.kernel() as own:

        def execute():
            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.setattr(execution.files, "shipped", folder.joinpath)
                return execution.execute("99_provenance", chosen, folder / "out", "key", own)

        yield execute


def test_a_chapter_is_executed_once_and_again_where_it_is_damaged(executed, capsys, caplog):
    done = executed()
    # what the environment says is told, and spoils no chapter
    assert capsys.readouterr().err == "99_provenance said:\nlibgomp: Invalid value\n"
    assert "numbers" in done.read_text()
    assert '"stderr"' not in done.read_text()
    assert "unknown parameter" not in caplog.text  # of the keys that the cell does not name
    assert [path.name for path in done.parent.glob(".*")] == []
    executed()
    assert capsys.readouterr().err == ""
    files = [done, done.parents[1] / "figures" / "tab-versions.csv"]
    held = [path.read_text().count("processor") for path in files]
    for path in files:
        path.write_text(path.read_text().replace("processor", "processer"))
    executed()
    told = [f"{path}: damaged; 99_provenance is executed again." for path in files]
    told += ["99_provenance said:", "libgomp: Invalid value"]
    assert capsys.readouterr().err.splitlines() == told
    assert [path.read_text().count("processor") for path in files] == held
    assert min(held) > 0


def test_a_failing_chapter_is_named_and_the_rest_stays(executed):
    done = executed()
    path = done.parents[1] / "notebooks" / "99_provenance.py"
    whole = path.read_text()
    path.write_text(whole + "\n# %%\nraise ValueError('burnt')\n")
    with pytest.raises(AsdError, match=r"99_provenance failed in cell .*ValueError: burnt"):
        executed()
    assert "numbers" in (done.parent / ".99_provenance.part.ipynb").read_text()
    path.write_text(whole)


def test_without_docstrings_a_report_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(build.sys, "flags", SimpleNamespace(optimize=2))
    with pytest.raises(AsdError, match=r"Python runs without docstrings \(-OO, PYTHONOPTIMIZE=2"):
        build.report(params.load(SMALL), tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_chapter_has_one_cell_of_parameters_or_nothing_is_computed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AsdError, match="no such chapter; install asdlib again"):
        build.report(params.load(SMALL), tmp_path)
    monkeypatch.setattr(execution.files, "shipped", tmp_path.joinpath)
    path, cell = tmp_path / "notebooks" / "one.py", '# %% tags=["parameters"]\nname = "a"\n\n'
    path.parent.mkdir()
    for count in (0, 2):
        path.write_text("# %% [markdown]\n# # One\n\n" + count * cell)
        with pytest.raises(AsdError, match=f"{count} cells are tagged 'parameters'; one is needed"):
            execution.read("one")


def test_an_unclean_build_fails_and_the_last_pages_stay(scenes_report, tmp_path, monkeypatch):
    out = scenes_report[1].parent
    monkeypatch.setattr(build, "CHAPTERS", ["index", "01_far_microphone"])
    monkeypatch.setattr(build, "write_api", lambda folder: None)
    for folder in ("notebooks", "figures"):
        shutil.copytree(out / folder, tmp_path / folder)
    build.managed(tmp_path / "html", "--out").joinpath("index.html").write_text("of the last run")
    path = tmp_path / "notebooks" / "01_far_microphone.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("{numref}`fig-nowhere`"))
    nbformat.write(notebook, path)
    with pytest.raises(AsdError, match="undefined label: 'fig-nowhere'"):
        build.html(tmp_path)
    assert (tmp_path / "html" / "index.html").read_text() == "of the last run"


def test_what_sphinx_remembers_and_cannot_read_is_told_in_one_sentence(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "conf.py").touch()
    (tmp_path / "source" / "index.rst").write_text("Title\n=====\n")
    build._sphinx(tmp_path, "html", tmp_path / "html", nitpicky=True)
    (tmp_path / "doctrees" / "index.doctree").write_bytes(b"damaged")
    with pytest.raises(AsdError, match=r"cannot be built there \(.*\)\.$"):
        build._sphinx(tmp_path, "singlehtml", tmp_path / "one")


@pytest.mark.parametrize("name", ["out/source", "out/html", "out/figures", "figures"])
def test_a_report_refuses_a_folder_of_the_users_before_any_work(tmp_path, name):
    own = tmp_path / name
    own.mkdir(parents=True)
    (own / "thesis.tex").write_text("years of work")
    chosen = small_params(tmp_path, data=str(tmp_path / "nowhere"))  # not even looked for
    with pytest.raises(AsdError, match=f"{name}: holds files that asd did not write"):
        build.report(chosen, tmp_path / "out", progress=False)
    assert (own / "thesis.tex").read_text() == "years of work"


def test_the_second_report_waits_for_the_first_and_says_so(tmp_path, capsys):
    def second():
        with build.alone(tmp_path):
            return "entered"

    with ThreadPoolExecutor(1) as pool:
        with build.alone(tmp_path):
            waiting = pool.submit(second)
            with pytest.raises(TimeoutError):
                waiting.result(1)
        assert waiting.result(30) == "entered"
    told = f"{tmp_path}: another report is being built there; this one goes on after it.\n"
    assert capsys.readouterr().err == told


def test_every_module_and_room_has_a_page_of_the_package(tmp_path):
    build.write_api(tmp_path)
    pages = {path.stem: path.read_text() for path in tmp_path.iterdir()}
    documented = set(re.findall(r"automodule:: (\S+)", "".join(pages.values())))
    files = [p.relative_to(ROOT).with_suffix("") for p in (ROOT / "asdlib").rglob("[!_]*.py")]
    assert {".".join(file.parts) for file in files} | {"asdlib.study"} <= documented
    assert pages["noise"].startswith("# asdlib.noise\n")
    assert pages["study"].count("\n## ") > 3


def test_descriptions_stand_below_their_names():
    parameters = "Parameters\n----------\na, b : |two| of ``|x|``\n    them.\n\n"
    returns = "Returns\n-------\nc : one of\n    two.\nd : another.\n\n"
    raises = "Raises\n------\nAsdError\n    Always : so.\n"
    assert build.described(parameters + returns + raises) == (
        "Parameters\n----------\na, b\n    \\|two\\| of ``|x|``\n    them.\n\n"
        "\n:returns:\n    * **c**: one of\n      two.\n    * **d**: another.\n\n"
        f"{raises}\n"
    )
