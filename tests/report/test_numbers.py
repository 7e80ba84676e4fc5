"""What a reader finds on the pages of a report: numbers, words, sizes."""

import re

import pytest
from bs4 import BeautifulSoup

from asdlib import metrics
from asdlib.report import build

RESULT = re.compile(r"[-+]?\d+\.\d{3}\b|\d+ of \d+ \(|\d+\.\d dB")
CONSTANTS = {f"{metrics.SEED_BAND}"}


def parsed(pages, chapter):
    """The page of a chapter."""
    path = pages / f"{chapter}.html" if chapter == "index" else pages / f"notebooks/{chapter}.html"
    return BeautifulSoup(path.read_text(), "html.parser")


def numbers_missing(page):
    """Results in the sentences of a page that no table and no figure of it has."""
    article = page.select_one("article")
    for live in article.select(".asd-live, script, details"):
        live.decompose()
    figures = [drawing.extract().get_text(" ") for drawing in article.select("svg[role=img]")]
    tables = [table.extract().get_text(" ") for table in article.select("table tbody")]
    shown = " ".join([*tables, *figures])
    said = " ".join(tag.get_text() for tag in article.select("p, li"))
    results = [found.removesuffix(" dB") for found in RESULT.findall(said)]
    return [found for found in results if found not in shown and found not in CONSTANTS]


def test_every_number_in_a_sentence_is_in_a_table_or_figure_of_its_page(scenes_report):
    found = {name: parsed(scenes_report[1], name) for name in build.CHAPTERS}
    assert sum(len(RESULT.findall(page.get_text())) for page in found.values()) > 100
    missing = {name: numbers_missing(page) for name, page in found.items()}
    assert {name: own for name, own in missing.items() if own} == {}


@pytest.mark.parametrize(("said", "missing"), [("0.500", []), ("0.501", ["0.501"])])
def test_a_number_that_no_table_has_is_found(said, missing):
    text = f"<article><p>{said}</p><table><tbody><tr><td>0.500</td></tr></tbody></table></article>"
    assert numbers_missing(BeautifulSoup(text, "html.parser")) == missing


def test_the_first_page_is_short_and_no_page_is_heavy(scenes_report):
    pages = scenes_report[1]
    article = parsed(pages, "index").select_one("article")
    for code in article.select("details, script, svg"):  # hidden there, and drawings
        code.decompose()
    words = re.findall(r"[^\W\d_]{2,}", article.get_text(" "))
    assert 200 < len(words) <= 700
    scripts = {file.name: file.stat().st_size for file in (pages / "_static").rglob("*.js")}
    for file in (pages / "index.html", *pages.glob("notebooks/*.html")):
        text = file.read_text()
        own = [size for name, size in scripts.items() if f"/{name}" in text]
        assert len(text) + sum(own) < 2.5e6, file  # style sheets and fonts are half a megabyte
        assert ("bokeh.min.js" in text) == ("asd-live" in text)
    assert [*(pages / "_sounds").glob("*.flac")]
