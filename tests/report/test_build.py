import re
import shutil
import warnings
from concurrent.futures import Future, ThreadPoolExecutor

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
    small_report,
    two_channels,
    two_machines,
    write_wav,
)
from nbformat.v4 import new_output

from asdlib import files, params, study
from asdlib.compare import submission
from asdlib.params import AsdError
from asdlib.report import build, panels, style, tables

FIGURES = {
    "fig-noise-floors",
    "fig-transfer",
    "fig-percentile",
    "fig-spectrograms",
    "fig-attenuation",
    "fig-removal",
    "fig-retention",
    "fig-learning",
    "fig-sensitivity",
    "fig-aggressiveness",
    "fig-seeds",
    "fig-decomposition",
    "fig-machines",
    "fig-failures",
    "fig-enough",
    "fig-reading",
    "fig-build-up",
    "fig-negative",
    "fig-growth",
    "fig-bound",
    "fig-context",
    "fig-length",
    "fig-leak",
    "fig-distance",
    "fig-room",
    "fig-sources",
    "fig-phase-machines",
}
TABLES = {
    "tab-transfer",
    "tab-transfer-reported",
    "tab-snr-gain",
    "tab-retention",
    "tab-front-ends",
    "tab-choice",
    "tab-choice-reported",
    "tab-ladder",
    "tab-paired",
    "tab-steps",
    "tab-alone",
    "tab-steps-reported",
    "tab-systems",
    "tab-systems-reported",
    "tab-decisions",
    "tab-rules",
    "tab-promised",
    "tab-monitor",
    "tab-found",
    "tab-fixed",
    "tab-gates",
    "tab-phase",
    "tab-rule-phase",
    "tab-baseline",
    "tab-rule",
    "tab-recordings",
    "tab-parameters",
    "tab-versions",
    "tab-units",
    "tab-build-up",
    "tab-negative",
    "tab-negative-reported",
    "tab-benchmarks",
    "tab-untrained",
}
OF_VIEWS = {"fig-level", "tab-level", "tab-ablation", "fig-clips", "tab-gain"}
"""Only where detectors without training were run, and Ω can be computed."""


def text_of(page):
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


NOT_TRAINED = {
    *("fig-learning", "fig-seeds", "tab-paired", "tab-baseline", "tab-rule", "tab-units"),
    *("tab-steps", "tab-alone", "fig-decomposition", "fig-sensitivity"),
    *("fig-build-up", "tab-build-up", "fig-negative", "tab-negative"),
}
NO_PHASE = {"tab-phase", "fig-phase-machines", "tab-rule-phase"}
NOT_MEASURED = {"tab-benchmarks", "fig-growth"}
NO_OMEGA = {
    *("fig-seeds", "fig-decomposition", "fig-sensitivity", "fig-aggressiveness", "fig-machines"),
    *("fig-build-up", "tab-build-up", "fig-negative"),
    *OF_VIEWS,
}
NO_SYSTEM = {"fig-failures", "fig-machines", "tab-decisions", "tab-found", "tab-rules"}
NO_TEST_CLIP = {
    *("fig-attenuation", "tab-choice", "tab-untrained", "tab-monitor", "fig-reading"),
    *NOT_TRAINED - {"fig-learning", "tab-units"},
}
FEW_CLIPS = {"fig-enough"}
NO_TRUTH = {
    *("fig-removal", "tab-snr-gain", "fig-retention", "tab-retention"),
    *("fig-bound", "fig-context", "fig-length", "fig-leak", "tab-fixed", "tab-gates"),
    *("fig-distance", "fig-room", "fig-sources"),
}


def assert_whole(chosen, pages, left_out):
    """Every chapter is there, and every figure and table is numbered once or said to be missing."""
    html = {p.stem: p.read_text(encoding="utf-8") for p in (pages / "notebooks").glob("*.html")}
    assert set(html) == set(build.CHAPTERS)
    whole = "".join(html.values())
    folder = files.resolve(chosen.figures)
    drawn = {p.stem for p in folder.glob("fig-*.svg")} | {p.stem for p in folder.glob("tab-*.csv")}
    assert drawn == (FIGURES | TABLES | OF_VIEWS) - left_out
    for label in FIGURES | TABLES | OF_VIEWS:
        assert len(re.findall(f'id="{label}"', whole)) == (label not in left_out), label
        assert (f"<!-- left out: {label} -->" in whole) == (label in left_out - OF_VIEWS), label
    assert (folder / "pipeline.svg").exists()
    for stem in build.CHAPTERS:
        first = re.search(r"</h1>.*?<p>(.*?)</p>", html[stem], re.DOTALL)[1]
        assert "The numbers of this chapter come from" in first
        assert "manifest" in first
    return html


class AtOnce(ThreadPoolExecutor):
    """Runs everything where it is asked for: what draws belongs in the main thread."""

    def submit(self, function, *arguments):
        done = Future()
        done.set_result(function(*arguments))
        return done


@pytest.fixture
def without_kernels(monkeypatch):
    """Execute chapters in this process: the report on scenes shows that kernels do the same."""
    shown = []
    for module in (panels, style, tables):
        monkeypatch.setattr(
            module, "display", lambda data, raw: shown.append(new_output("display_data", data))
        )

    def execute(chapter, chosen, folder, key="", kernel=None):
        notebook = jupytext.read(ROOT / "notebooks" / f"{chapter}.py")
        namespace, values = {}, chosen.model_dump(mode="json")
        for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
            tags = cell.metadata.get("tags", [])
            with warnings.catch_warnings(action="ignore"):  # a kernel's are not shown either
                exec(compile(cell.source, chapter, "exec"), namespace)
            namespace |= values if "parameters" in tags else {}
            cell.outputs, shown[:] = list(shown), []
            cell.metadata["tags"] = [*tags, build.shown(set(tags))]
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / f"{chapter}.ipynb")

    monkeypatch.setattr(build, "execute", execute)
    monkeypatch.setattr(build, "ThreadPoolExecutor", AtOnce)


def test_a_report_on_scenes_is_whole(scenes_report):
    chosen, pages = scenes_report
    html = assert_whole(chosen, pages, NO_PHASE | FEW_CLIPS)
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
    build.report(chosen, pages.parent, progress=False)
    assert {p.name: p.stat().st_mtime_ns for p in folder.glob("*.ipynb")} == before


def test_recordings_of_one_domain_without_truth_get_every_chapter(tmp_path, rng, without_kernels):
    machine_folder(tmp_path / "data", rng, "fan", train=5, test=4)
    made = small_report(tmp_path, data=str(tmp_path / "data"), extras=[])
    html = assert_whole(*made, NO_PHASE | NOT_MEASURED | NO_TRUTH | NO_OMEGA | FEW_CLIPS)
    assert "the folder data, 13 clips of 1 machine, manifest" in html["04_seed_study"]
    folder = tmp_path / "figures"
    assert pd.read_csv(folder / "tab-ladder.csv")["ensemble"].isna().all()
    assert pd.read_csv(folder / "tab-systems.csv")["overall"].isna().all()
    assert pd.read_csv(folder / "tab-steps.csv")["source AUC"].between(0, 1).all()
    assert len(pd.read_csv(folder / "tab-decisions.csv")) == 1
    assert "No ground truth lies beside these recordings" in html["02_front_ends"]


def test_recordings_of_ones_own_and_few_systems_get_every_chapter(tmp_path, rng, without_kernels):
    for i in range(3):
        write_wav(tmp_path / f"pump <b>/train/monday {i}.wav", two_channels(rng, 1 + i / 4))
    chosen, pages = small_report(
        tmp_path,
        data=str(tmp_path / "pump <b>"),
        front_ends=["near"],
        scorers=["eq1"],
        baseline=False,
    )
    nothing = NO_TRUTH | NO_OMEGA | NO_SYSTEM | NO_TEST_CLIP
    html = assert_whole(chosen, pages, nothing | NO_PHASE | NOT_MEASURED | FEW_CLIPS)
    assert "Nothing was scored" in html["08_submission"]
    assert "pump <b>" not in "".join(html.values())
    assert "pump <b>" in text_of(pages / "notebooks" / "99_provenance.html").replace(
        "&lt;", "<"
    ).replace("&gt;", ">")


def test_detectors_without_training_are_shown_as_far_as_they_were_run(
    tmp_path, rng, without_kernels
):
    machine_folder(tmp_path / "one domain", rng)
    for data, found in ((two_machines(tmp_path / "data"), OF_VIEWS), (tmp_path / "one domain", {})):
        chosen = small_params(
            tmp_path,
            data=str(data),
            figures=str(tmp_path / data.name / "figures"),
            front_ends=["near"],
            scorers=["pmsd", "near/psd"],
            baseline=False,
        )
        build.execute("05_without_training", chosen, tmp_path / data.name / "notebooks")
        written = {path.stem for path in files.resolve(chosen.figures).glob("*-*")}
        assert written == {"tab-untrained", *found}


def test_a_report_without_autoencoders_has_sentences_in_place_of_empty_figures(
    tmp_path, without_kernels
):
    chosen, pages = small_report(
        tmp_path,
        scenes={
            "seconds": 1.5,
            "train_source": 5,
            "train_target": 3,
            "test_per_cell": 2,
            "truth": 1,
            "machines": ["SimFan", "SimValve"],
        },
        front_ends=["near", "adasub", "cohgate"],
        scorers=["pmsd", "adasub/fine", "near/psd"],
        baseline=False,
    )
    left_out = NOT_TRAINED | NO_PHASE | NOT_MEASURED | NO_SYSTEM | FEW_CLIPS
    html = assert_whole(chosen, pages, left_out)
    assert not (tmp_path / "results" / "units").exists()
    assert "No autoencoder was trained here" in html["04_seed_study"]
    assert "there is nothing to re-score" in html["06_rescoring"]
    assert "every idea needs adasub with the scorers s1 and eq1" in html["07_negative_results"]
    assert "this study has no models" in html["99_provenance"]
    assert "the table that is left out" in text_of(pages / "notebooks" / "04_seed_study.html")
    ladder = pd.read_csv(tmp_path / "figures" / "tab-ladder.csv").set_index("system")
    assert (
        ladder.loc[["AdaSub, statistics pmsd", "AdaSub, fine statistics"], "ensemble"].notna().all()
    )
    assert ladder.loc[["AE ch1", "S5"], "ensemble"].isna().all()
    compared = pd.read_csv(tmp_path / "figures" / "tab-front-ends.csv")
    run = compared.set_index("front-end").loc[["AE ch1", "AdaSub", "CohGate"], "all machines"]
    assert run.notna().all()
    assert "scored by statistics pmsd (no seed)" in html["02_front_ends"]


def test_a_machine_of_ones_own_with_few_real_recordings_gets_its_chapter(
    real, tmp_path, without_kernels
):
    chosen = small_params(tmp_path, data=str(real / "mimii_two_mic"))
    build.execute("09_own_machine", chosen, tmp_path / "notebooks")
    written = {path.stem for path in files.resolve(chosen.figures).glob("*-*")}
    assert written == {"tab-monitor", "fig-reading"}
    notebook = nbformat.read(tmp_path / "notebooks" / "09_own_machine.ipynb", as_version=4)
    shown = [o["data"] for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    said = " ".join(data.get("text/markdown", "") for data in shown)
    assert "6 held-out normal clip(s) cannot promise a false-alarm rate of 0.1" in said
    assert "There are too few normal recordings to fit on fewer of them." in said
    assert "with 6 recordings between 0% and 46%. The share of anomalies that are found is" in said


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


def test_an_unclean_build_fails(scenes_report, tmp_path):
    cell = nbformat.v4.new_markdown_cell("{numref}`fig-nowhere`")
    copied(scenes_report[1], tmp_path, "01_noise_floor", cell)
    with pytest.raises(AsdError, match="undefined label: 'fig-nowhere'"):
        build.html(tmp_path)
