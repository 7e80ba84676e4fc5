"""The report of recordings that lack nearly everything: a sentence in place of what is missing."""

import re
import warnings
from concurrent.futures import Future, ThreadPoolExecutor

import jupytext
import nbformat
import pytest
from conftest import ROOT, small_params, small_report, two_channels, write_wav
from nbformat.v4 import new_output
from whole import LABELS, OF_VIEWS, drawn, said

from asdlib.io import files
from asdlib.report import build, chapter, execution, panels, style, tables


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

    def execute(chapter, chosen, folder, key="", executor=None):
        notebook = jupytext.read(ROOT / "notebooks" / f"{chapter}.py")
        namespace, values = {}, chosen.model_dump(mode="json")
        for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
            tags = cell.metadata.get("tags", [])
            with warnings.catch_warnings(action="ignore"):  # a kernel's are not shown either
                exec(compile(cell.source, chapter, "exec"), namespace)
            namespace |= values if "parameters" in tags else {}
            cell.outputs, shown[:] = list(shown), []
            cell.metadata["tags"] = [*tags, execution.shown(set(tags))]
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / f"{chapter}.ipynb")

    monkeypatch.setattr(build, "execute", execute)
    monkeypatch.setattr(build, "ThreadPoolExecutor", AtOnce)


def test_recordings_of_ones_own_get_every_chapter(tmp_path, rng, monkeypatch, without_kernels):
    for i in range(3):
        write_wav(tmp_path / f"pump <b>/train/monday {i}.wav", two_channels(rng, 1 + i / 4))
    monkeypatch.setattr(build, "html", lambda out: out / "html" / "index.html")
    chosen, pages = small_report(
        tmp_path,
        data=str(tmp_path / "pump <b>"),
        front_ends=["near"],
        scorers=["eq1"],
        baseline=False,
    )
    text = said(pages.parent / "notebooks")
    assert set(text) == set(build.CHAPTERS)
    left_out = set(re.findall(r"<!-- left out: ([\w-]+) -->", "".join(text.values())))
    shown = drawn(files.resolve(chosen.figures))
    assert shown.isdisjoint(left_out)
    assert shown | left_out | OF_VIEWS == LABELS
    assert {"fig-noise-floors", "fig-learning", "tab-recordings", "tab-units"} <= shown
    assert {"fig-ladder", "fig-removal", "tab-decisions", "fig-enough"} <= left_out
    assert "Nothing was scored" in text["08_submission"]
    assert "No ground truth lies beside these recordings" in text["02_front_ends"]
    assert "pump <b>" not in "".join(text.values())
    assert tables.escape("pump <b>") in text["99_provenance"]

    notebooks = [
        nbformat.read(path, as_version=4) for path in pages.parent.glob("notebooks/*.ipynb")
    ]
    chapter.resolve_references(notebooks)
    texts = [cell.source for own in notebooks for cell in own.cells if cell.cell_type == "markdown"]
    referred = set(re.findall(r"{numref}`([\w-]+)`", "".join(texts)))
    assert referred
    assert referred <= shown
    assert "the table that is left out" in "".join(texts)


def test_a_machine_of_ones_own_with_few_real_recordings_gets_its_chapter(
    real, tmp_path, without_kernels
):
    chosen = small_params(tmp_path, data=str(real / "mimii_two_mic"))
    build.execute("09_own_machine", chosen, tmp_path / "notebooks")
    assert drawn(files.resolve(chosen.figures)) == {"tab-monitor", "fig-reading"}
    text = said(tmp_path / "notebooks")["09_own_machine"]
    assert "6 held-out normal clips cannot promise a false-alarm rate of 0.1" in text
    assert "There are too few normal recordings to fit on fewer of them." in text
    assert "interval: 6 recordings: 0% to 46%. The share of anomalies that are found is" in text


def test_within_a_sentence_a_reference_is_not_capitalised():
    text = "a line\n{numref}`fig-a` of it"
    assert chapter.unnumbered(text, {"fig-a"}) == "a line\nthe figure that is left out of it"
    assert chapter.unnumbered(text, {"fig-b"}) == text
