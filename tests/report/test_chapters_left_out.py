"""Chapters on recordings that lack something: a sentence in place of every figure and table."""

import warnings
from concurrent.futures import Future, ThreadPoolExecutor

import jupytext
import nbformat
import pandas as pd
import pytest
from conftest import (
    ROOT,
    machine_folder,
    small_params,
    small_report,
    two_channels,
    two_machines,
    write_wav,
)
from nbformat.v4 import new_output
from whole import (
    FEW_CLIPS,
    NO_OMEGA,
    NO_PHASE,
    NO_SYSTEM,
    NO_TEST_CLIP,
    NO_TRUTH,
    NOT_MEASURED,
    NOT_TRAINED,
    OF_VIEWS,
    assert_chapters,
)

from asdlib.io import files
from asdlib.report import build, panels, style, tables


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


@pytest.fixture
def chapters(tmp_path, monkeypatch, without_kernels):
    """Execute every chapter of a small report, and return its parameters and their folder."""
    monkeypatch.setattr(build, "html", lambda out: out / "html" / "index.html")

    def run(**changes):
        chosen, pages = small_report(tmp_path, **changes)
        return chosen, pages.parent / "notebooks"

    return run


def test_recordings_of_one_domain_without_truth_get_every_chapter(tmp_path, rng, chapters):
    machine_folder(tmp_path / "data", rng, "fan", train=5, test=4)
    made = chapters(data=str(tmp_path / "data"), extras=[])
    text = assert_chapters(*made, NOT_MEASURED | NO_TRUTH | NO_OMEGA | FEW_CLIPS)
    assert "the folder data, 13 clips of 1 machine, manifest" in text["04_seed_study"]
    folder = tmp_path / "figures"
    assert pd.read_csv(folder / "tab-ladder.csv")["ensemble"].isna().all()
    assert pd.read_csv(folder / "tab-systems.csv")["overall"].isna().all()
    assert pd.read_csv(folder / "tab-steps.csv")["source AUC"].between(0, 1).all()
    assert len(pd.read_csv(folder / "tab-decisions.csv")) == 1
    assert "No ground truth lies beside these recordings" in text["02_front_ends"]


def test_recordings_of_ones_own_and_few_systems_get_every_chapter(tmp_path, rng, chapters):
    for i in range(3):
        write_wav(tmp_path / f"pump <b>/train/monday {i}.wav", two_channels(rng, 1 + i / 4))
    made = chapters(
        data=str(tmp_path / "pump <b>"), front_ends=["near"], scorers=["eq1"], baseline=False
    )
    nothing = NO_TRUTH | NO_OMEGA | NO_SYSTEM | NO_TEST_CLIP
    text = assert_chapters(*made, nothing | NO_PHASE | NOT_MEASURED | FEW_CLIPS)
    assert "Nothing was scored" in text["08_submission"]
    assert "pump <b>" not in "".join(text.values())
    assert tables.escape("pump <b>") in text["99_provenance"]


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


def test_a_report_without_autoencoders_has_sentences_in_place_of_empty_figures(tmp_path, chapters):
    made = chapters(
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
    text = assert_chapters(*made, left_out)
    assert not (tmp_path / "results" / "units").exists()
    assert "No autoencoder was trained here" in text["04_seed_study"]
    assert "there is nothing to re-score" in text["06_rescoring"]
    assert "every idea needs adasub with the scorers s1 and eq1" in text["07_negative_results"]
    assert "this study has no models" in text["99_provenance"]
    assert "the table that is left out" in text["04_seed_study"]
    ladder = pd.read_csv(tmp_path / "figures" / "tab-ladder.csv").set_index("system")
    assert (
        ladder.loc[["AdaSub, statistics pmsd", "AdaSub, fine statistics"], "ensemble"].notna().all()
    )
    assert ladder.loc[["AE ch1", "S5"], "ensemble"].isna().all()
    compared = pd.read_csv(tmp_path / "figures" / "tab-front-ends.csv")
    run = compared.set_index("front-end").loc[["AE ch1", "AdaSub", "CohGate"], "all machines"]
    assert run.notna().all()
    assert "scored by statistics pmsd (no seed)" in text["02_front_ends"]


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
    assert "6 held-out normal clips cannot promise a false-alarm rate of 0.1" in said
    assert "There are too few normal recordings to fit on fewer of them." in said
    assert "interval: 6 recordings: 0% to 46%. The share of anomalies that are found is" in said
