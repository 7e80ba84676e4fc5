"""A chapter's setup, its figures and tables."""

import numpy as np
import pandas as pd
import pytest
from conftest import machine_folder
from matplotlib import pyplot as plt

from asdlib.params import AsdError
from asdlib.report import panels, provenance, style, tables
from asdlib.report.chapter import Chapter


@pytest.fixture
def shown(monkeypatch):
    """What has been displayed, newest last."""
    bundles = []
    for module in (style, tables, panels):
        monkeypatch.setattr(module, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


@pytest.fixture
def chapter(tmp_path, rng, shown):
    data = machine_folder(tmp_path / "data", rng)
    own = {"name": "mine", "data": str(data), "figures": str(tmp_path / "figures")}
    return Chapter.open(own)


def drawn(table, height=1.0):
    """A figure whose height tells that it was drawn."""
    assert len(table)
    return plt.figure(figsize=(2, height))


def test_a_chapter_opens_with_where_its_numbers_come_from(chapter, shown, tmp_path):
    assert chapter.params.name == "mine"
    assert list(chapter.recordings.machines) == ["fan"]
    assert chapter.folder == tmp_path / "figures"
    source = tables.escape(chapter.recordings.describe())
    first = f"*The numbers on this page come from {source}.*"
    assert [bundle["text/markdown"] for bundle in shown] == [first]
    values = {"name": "mine", "data": chapter.params.data}
    Chapter.open(values, players=True)
    assert "<script>" in shown[1]["text/html"]
    with pytest.raises(AsdError, match="unknown key 'epoch'"):
        Chapter.open(values | {"epoch": 3})


@pytest.mark.parametrize(
    ("data", "there"),
    [
        ([1], True),
        ({}, False),
        (pd.DataFrame(), False),
        (pd.DataFrame({"a": [np.nan]}), False),
        (pd.DataFrame({"a": [np.nan, 1.0], "b": [np.nan] * 2}), True),
    ],
)
def test_a_figure_without_data_is_one_sentence(chapter, shown, data, there):
    file = style.save_figure(drawn([1]), "fig-x", chapter.folder)  # of the last run
    chapter.figure(drawn, data, height=3.0, label="fig-x", caption="Look.", missing="No fan.")
    text = shown[-1]["text/markdown"]
    assert file.exists() == there
    assert (":name: fig-x" in text) == ("Look." in text) == there
    assert (text == "No fan.\n\n<!-- left out: fig-x -->") == (not there)


@pytest.mark.parametrize("column", ["machine", "name"])  # the index has another name or none
def test_a_figure_shows_so_many_at_once_and_unfolds_the_others(chapter, shown, column):
    parts = []

    def keep(table):
        parts.append(table["machine"].tolist())
        return plt.figure()

    table = pd.DataFrame({"machine": list("aabbcd")}, index=list("aabbcd"))
    chapter.figure(keep, table, most={column: 2}, label="fig-x", caption="Look.")
    assert parts == [list("aabb"), list("cd")]
    first, others = (bundle["text/markdown"] for bundle in shown[-2:])
    assert ":name: fig-x" in first
    assert "<details>" in others
    assert "(/figures/more-fig-x.svg)" in others
    chapter.figure(keep, table, most={column: 4}, label="fig-x", caption="Look.")
    assert parts[2:] == [list("aabbcd")]
    result = "It lies between 1 (d) and 2 (a after c)."  # what it names is seen
    chapter.figure(keep, table, result=result, most={column: 2}, label="fig-x", caption="Look.")
    assert parts[3:] == [list("aad"), list("bbc")]


def test_a_chapters_figures_and_tables_are_files_in_its_folder(chapter, shown):
    chapter.figure(drawn, [1], label="fig-x", caption="Look.")
    rows = pd.DataFrame({"mean": [0.5], "std": [0.1]})
    chapter.table(rows, columns=["mean ± std"], label="tab-x", caption="Rows.")
    assert "| 0.500 ± 0.100 |" in shown[-1]["text/markdown"]
    held = {path.name for path in chapter.folder.iterdir() if path.is_file()}
    assert held == {"fig-x.svg", "tab-x.csv"}
    chapter.table(pd.DataFrame(), label="tab-x", caption="Rows.", empty="No clip.")
    assert shown[-1]["text/markdown"] == "No clip.\n\n<!-- left out: tab-x -->"
    chapter.table(pd.DataFrame(), label="tab-y", caption="Rows.", empty="")  # said already
    assert shown[-1]["text/markdown"] == "<!-- left out: tab-y -->"
    assert [path.name for path in chapter.folder.iterdir() if path.is_file()] == ["fig-x.svg"]


def test_the_papers_figures_keep_their_digits_and_stay_with_its_machines():
    assert provenance.reported_table("table_4")["median_G"].tolist()[:2] == ["44.1", "2.20"]
    machines = provenance.reported_table("table_4")["machine"].tolist()[:-1]
    assert provenance.reported_baseline(machines) == provenance.reported()["baseline"]["mahala"]
    assert provenance.reported_baseline(machines[:-1]) is None
