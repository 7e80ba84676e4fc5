"""What the report in one file puts inside; that every link arrives there, tests/browser shows."""

import re

import pytest
from bs4 import BeautifulSoup

from asdlib.params import AsdError
from asdlib.report import single

CHAPTER = """<span id="document-{name}"></span><section id="{name}"><h3>{name}</h3>
<p id="same">here</p><a href="#same">own</a></section>"""
PAGE = f"""<html><head><title>t</title><link rel="stylesheet" href="styles/style.css">
<script src="early.js"></script><script defer src="late.js?v=2"></script>
<link rel="preload" href="late.js"><link rel="search" href="search.html"></head><body>
<article><section id="start"><h1>start</h1><a href="#document-two#same">to two</a>
<img src="50%25%20%22%3C%27.svg" alt="">
{CHAPTER.format(name="one")}{CHAPTER.format(name="two")}</section></article>
<script>inline("<b>&amp;")</script></body></html>"""
FILES = {
    "index.html": PAGE,
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


@pytest.fixture
def folder(tmp_path):
    """A merged page that uses all there is to put inside."""
    (tmp_path / "styles").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_all_is_inside_scripts_keep_their_order_and_links_arrive(folder):
    path = single.write(folder / "index.html", folder / "out" / "report.html")
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    assert page.select("script[src], link") == []
    assert page.img["src"] == "data:image/svg+xml;base64,PHN2Zy8+"
    style = page.style.string
    assert style.startswith('@font-face { src: url("data:font/woff2;base64,Zm9udA==")')
    found = re.findall(r"url\(\"?([a-z#]+)", style)
    assert found == ["data", "data", "#gradient", "data"]
    assert [script.string for script in page.select("script")] == [
        r'order.push("\x3C/script>\x3C!-- \x3CSCRIPT>");' + "\n",  # cannot end early
        'inline("<b>&amp;")',
        'order.push("late")',
    ]
    chapters = page.article.find_all("section", recursive=False)
    assert [own["id"] for own in chapters] == ["start", "one", "two"]
    assert [tag.name for tag in page.select("#one > h1, #two > h1")] == ["h1", "h1"]
    ids = ["document-one-same", "document-two-same"]
    assert [tag["id"] for tag in page.select("p[id]")] == ids
    links = [a["href"].removeprefix("#") for a in page.select("a")]
    assert links == ["document-two-same", *ids]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<img src="gone%20now.png">', r"gone now\.png: the report needs this file"),
        ('<script src="//x.org/a.js"></script>', r"//x\.org/a\.js: the report needs this from"),
    ],
)
def test_what_cannot_come_along_is_named(folder, text, problem):
    path = folder / "index.html"
    path.write_text(PAGE.replace("</h1>", f"</h1>{text}"))
    with pytest.raises(AsdError, match=problem):
        single.write(path, folder / "report.html")
    assert not (folder / "report.html").exists()
