"""What the report in one file puts inside; that it opens alone, tests/browser shows."""

import re

import pytest
from bs4 import BeautifulSoup

from asdlib.params import AsdError
from asdlib.report import single

CHAPTER = """<span id="document-{name}"></span><section id="{title}"><h3>{title}</h3>
<p id="same">here</p><a href="#same">own</a>{text}</section>"""
PAGE = """<html><head><title>t</title><link rel="stylesheet" href="styles/style.css">
<script src="early.js"></script><script defer src="late.js?v=2"></script>
<link rel="preload" href="late.js"><link rel="search" href="search.html"></head><body>
<a href="#">home</a>
<nav class="bd-links"><ul class="bd-sidenav__home-link"></ul><ul></ul></nav>
<article><section id="start"><h1>start</h1><section id="symbols"><h2>symbols</h2>
<a href="#document-two#same">to two</a><a href="#document-notebooks/one">to one</a>
<a href="https://example.org/">far</a>
<div class="toctree-wrapper">{chapters}</div></section></section></article>
<div id="pst-page-toc-nav"><ul><li><a href="#document-two">Two</a><ul class="shown"></ul></li></ul>
</div><div class="search-button__button">find</div>
<script>inline("<b>&amp;")</script></body></html>"""


@pytest.fixture
def folder(tmp_path):
    """A merged page that uses all there is to put inside."""
    pages = tmp_path / "pages"
    (pages / "styles").mkdir(parents=True)
    one = CHAPTER.format(name="notebooks/one", title="one", text="<h4>deeper</h4>")
    image = '<img src="50%25%20%22%3C%27.svg" alt="">'
    two = CHAPTER.format(name="two", title="two", text=image)
    files = {
        "index.html": PAGE.format(chapters=one + two),
        "styles/style.css": '@import "../more.css"; /* url(gone.png) */'
        "p { background: url( 'a%20(1).png' ) } a { fill: url(#gradient) }"
        'i { background: url("data:image/png;base64,AA(") }',
        "styles/a (1).png": "png",
        "more.css": "@font-face { src: url(font.woff2?v=1) }",
        "font.woff2": "font",
        "early.js": 'order.push("</script><!-- <SCRIPT>");\n//# sourceMappingURL=early.js.map',
        "late.js": 'order.push("late")',
        "50% \"<'.svg": "<svg/>",
    }
    for name, text in files.items():
        (pages / name).write_text(text)
    return pages


@pytest.fixture
def page(folder, tmp_path):
    path = single.write(folder / "index.html", tmp_path / "out" / "report.html")
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_nothing_is_left_to_load(page):
    assert page.select("script[src], link, .search-button__button") == []
    assert page.img["src"] == "data:image/svg+xml;base64,PHN2Zy8+"
    style = page.style.string
    assert style.startswith('@font-face { src: url("data:font/woff2;base64,Zm9udA==")')
    found = re.findall(r"url\(\"?([a-z#]+)", style)
    assert found == ["data", "data", "#gradient", "data"]


def test_scripts_keep_their_order_and_cannot_end_early(page):
    first, inline, last = (script.string for script in page.select("script"))
    assert first == r'order.push("\x3C/script>\x3C!-- \x3CSCRIPT>");' + "\n"
    assert inline == 'inline("<b>&amp;")'
    assert last == 'order.push("late")'


def test_chapters_stand_side_by_side_and_links_arrive(page):
    chapters = page.article.find_all("section", recursive=False)
    assert [own["id"] for own in chapters] == ["start", "one", "two"]
    headings = page.select("#one > h1, #one > h2, #two > h1")
    assert [tag.name for tag in headings] == ["h1", "h2", "h1"]
    assert [tag["id"] for tag in page.select("p[id]")] == ["one-same", "document-two-same"]
    links = {(a.string, a["href"]) for a in page.select("a")}
    assert links == {
        ("home", "#start"),
        ("Two", "#document-two"),
        ("to two", "#document-two-same"),
        ("to one", "#document-notebooks/one"),
        ("far", "https://example.org/"),
        ("own", "#one-same"),
        ("own", "#document-two-same"),
    }


def test_what_cannot_come_along_is_named(folder, tmp_path):
    path, whole = folder / "index.html", (folder / "index.html").read_text()
    for text, problem in (
        ('<img src="gone%20now.png">', r"gone now\.png: the report needs this file"),
        ('<script src="//x.org/a.js"></script>', r"//x\.org/a\.js: the report needs this from"),
    ):
        path.write_text(whole.replace("</h1>", f"</h1>{text}"))
        with pytest.raises(AsdError, match=problem):
            single.write(path, tmp_path / "report.html")
        assert not (tmp_path / "report.html").exists()
