"""Reports of studies that lack nearly everything: a sentence in place of what is missing."""

import re
import warnings

import jupytext
import nbformat
import pandas as pd
import pytest
from conftest import small_params, small_report, two_channels, write_wav
from nbformat.v4 import new_output
from whole import LABELS, OF_VIEWS, drawn, said

from asdlib.io import files
from asdlib.report import build, chapter, execution, panels, style, tables


@pytest.fixture
def without_kernels(monkeypatch):
    """Execute chapters in this process: the report on scenes shows that kernels do the same."""
    shown = []
    for module in (panels, style, tables):
        monkeypatch.setattr(
            module, "display", lambda data, raw: shown.append(new_output("display_data", data))
        )

    def execute(chapter, chosen, folder):
        notebook = jupytext.reads(execution.read(chapter), "py:percent")
        namespace, values = {}, chosen.model_dump(mode="json")
        for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
            with warnings.catch_warnings(action="ignore"):  # a kernel's are not shown either
                exec(compile(cell.source, chapter, "exec"), namespace)
            namespace |= values if "parameters" in cell.metadata.get("tags", []) else {}
            cell.outputs, shown[:] = list(shown), []
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / f"{chapter}.ipynb")

    def execute_all(chosen, folder, *_):  # what draws belongs in the main thread
        for name in build.CHAPTERS:
            execute(name, chosen, folder)

    monkeypatch.setattr(execution, "execute", execute)
    monkeypatch.setattr(build, "execute_all", execute_all)
    monkeypatch.setattr(build, "html", lambda out: out / "html" / "index.html")


@pytest.fixture
def chapters(tmp_path, without_kernels):
    """Execute every chapter; return what they say, and what is shown and left out."""

    def make(**changes):
        chosen, pages = small_report(tmp_path, baseline=False, **changes)
        text = said(pages.parent / "notebooks")
        assert set(text) == set(build.CHAPTERS)
        left_out = set(re.findall(r"<!-- left out: ([\w-]+) -->", "".join(text.values())))
        shown = drawn(files.resolve(chosen.figures))
        assert shown.isdisjoint(left_out)
        assert shown | left_out | OF_VIEWS == LABELS
        return text, shown, left_out

    return make


def test_recordings_of_ones_own_get_every_chapter(tmp_path, rng, chapters):
    data = tmp_path / "pump <b>"
    for i in range(3):
        write_wav(data / f"train/monday {i}.wav", two_channels(rng, 1 + i / 4))
    text, shown, left_out = chapters(data=str(data), front_ends=["near"], scorers=["eq1"])
    assert {"fig-transfer", "fig-learning", "tab-recordings", "tab-units"} <= shown
    assert {"fig-machines", "fig-removal", "tab-decisions", "fig-enough"} <= left_out
    assert "Nothing was scored" in text["97_checks"]
    assert "No ground truth lies beside these recordings" in text["01_far_microphone"]
    assert "pump <b>" not in "".join(text.values())
    assert tables.escape("pump <b>") in text["99_provenance"]

    paths = tmp_path.glob("build/notebooks/*.ipynb")
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in paths}
    chapter.resolve_references(notebooks)
    texts = [
        cell.source
        for own in notebooks.values()
        for cell in own.cells
        if cell.cell_type == "markdown"
    ]
    referred = set(re.findall(r"{numref}`([\w-]+)`", "".join(texts)))
    assert referred
    assert referred <= shown
    assert "table that is left out" in "".join(texts)
    first = "".join(place[key] for place, key in chapter._texts(notebooks["index"]))
    assert re.search(r"/02_seed_study` \|.*\| \d+ of \d+ \|\n", first)


def test_embedded_scenes_without_autoencoders_get_every_chapter(tmp_path, chapters):
    sizes = {"train_source": 5, "train_target": 3, "test_per_cell": 2, "truth": 1}
    scenes = {"seconds": 1.0, "machines": ["SimFan"], **sizes}
    detectors = {"front_ends": ["near", "adasub"], "scorers": ["pmsd", "adasub/fine", "near/psd"]}
    text, shown, left_out = chapters(scenes=scenes, **detectors, extras=[])
    assert not [*tmp_path.glob("results/**/model.safetensors")]
    assert {"fig-distance", "fig-room", "fig-sources", "tab-untrained"} | OF_VIEWS <= shown
    assert {"fig-learning", "tab-units"} <= left_out
    assert "No autoencoder was trained here" in text["02_seed_study"]
    assert "there is nothing to re-score" in text["05_variants"]
    assert "this study has no models" in text["99_provenance"]
    ladder = pd.read_csv(tmp_path / "figures" / "tab-ladder.csv").set_index("system")["ensemble"]
    assert ladder[["AdaSub, statistics pmsd", "AdaSub, fine statistics"]].notna().all()
    assert ladder[["AE ch1", "S5"]].isna().all()


def test_a_machine_of_ones_own_with_few_real_recordings_gets_its_chapter(
    real, tmp_path, without_kernels
):
    chosen = small_params(tmp_path, data=str(real / "mimii_two_mic"))
    execution.execute("07_own_machine", chosen, tmp_path / "notebooks")
    assert drawn(files.resolve(chosen.figures)) == {
        *("tab-monitor", "fig-reading", "tab-faults", "tab-promised")
    }
    text = said(tmp_path / "notebooks")["07_own_machine"]
    assert "6 held-out normal clips cannot promise a false-alarm rate of 0.1" in text
    assert "There are too few normal recordings to fit on fewer of them." in text
