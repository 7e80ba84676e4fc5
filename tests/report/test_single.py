import re

import pytest
from bs4 import BeautifulSoup

from asdlib import cli, study
from asdlib.params import AsdError
from asdlib.report import build, single

PAGE = """<html><head><title>t</title>{head}</head><body>
<nav class="bd-links"><a class="internal" href="#">Start</a>
<a class="internal" href="{up}index.html">Start</a>
<a class="internal" href="{up}notebooks/one%20%2520.html">One</a>
<ul><li><a class="internal" href="{up}api/index.html">API</a>
<ul><li><a class="internal" href="{up}api/noise.html">noise</a></li></ul></li></ul></nav>
<article><section id="{name}"><h1>{name}<a href="#{name}">#</a></h1>{body}</section></article>
<div id="shell"></div>{end}</body></html>"""


@pytest.fixture
def folder(tmp_path):
    """Two pages that use all there is to put inside; one chapter's name is odd."""
    pages = tmp_path / "pages"
    (pages / "notebooks").mkdir(parents=True)
    files = {
        "style.css": '@import "more.css" print; /* url(gone.png) */ b { content: "url(x)" }'
        "p { background: url( 'a%20(1).png' ) }"
        'i { background: url("data:image/png;base64,AA(") }',
        "more.css": "@font-face { src: url(font.woff2?v=1) }",
        "font.woff2": "font",
        "a (1).png": "png",
        "early.js": 'order.push("</script><!-- <SCRIPT>");\n//# sourceMappingURL=early.js.map',
        "late.js": 'order.push("late")',
        "math.js": "order.push('math')",
        "50% \"<'.svg": "<svg/>",
        "genindex.html": "",
        "api/noise.html": "<article><h1>noise</h1></article>",
        "table.csv": "a,b",
    }
    (pages / "api").mkdir()
    for name, text in files.items():
        (pages / name).write_text(text)
    early = '<script src="early.js"></script><script defer src="late.js?v=2"></script>'
    (pages / "index.html").write_text(
        PAGE.format(
            up="",
            name="start",
            head=f'<link rel="stylesheet" href="style.css">{early}'
            '<link rel="preload" href="late.js"><link rel="search" href="search.html">',
            body='<p id="same">1 &lt; 2</p><a href="notebooks/one%20%2520.html#same">to one</a>'
            '<a href="genindex.html">index</a><a href="api/noise.html#floor">code</a>'
            '<a href="table.csv">csv</a>'
            '<a href="https://example.org/">far</a>',
            end='<div class="search-button__button">find</div>',
        )
    )
    (pages / "notebooks" / "one %20.html").write_text(
        PAGE.format(
            up="../",
            name="one",
            head='<script src="../math.js" defer></script>',
            body='<b id="same" aria-labelledby="same start"></b><a href="#same">here</a>'
            '<a href="../index.html#same">there</a><img src="../50%25%20%22%3C%27.svg" alt="">'
            '<p style="background: url(../font.woff2)"></p><script>inline("<b>&amp;")</script>',
            end="",
        )
    )
    return pages


@pytest.fixture
def page(folder, tmp_path):
    text = single.write(folder, tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    return BeautifulSoup(text, "html.parser")


def loading(page):
    """Every address that a browser would load by itself."""
    found = [tag[name] for name in ("src", "poster", "data") for tag in page.select(f"[{name}]")]
    found += [tag["href"] for tag in page.select("link[href]")]
    text = "".join(tag.string for tag in page.select("style"))
    return found + re.findall(r"url\([\"']?(.*?)[\"']?\)", text.replace('"url(x)"', ""))


def test_nothing_is_left_to_load(page):
    assert len(loading(page)) == 4
    assert all(address.startswith("data:") for address in loading(page))


def test_styles_hold_what_they_load(page):
    text = page.select_one("style").string
    assert text.startswith('@media print {@font-face { src: url("data:font/woff2;base64,Zm9udA==")')
    assert "gone.png" not in text
    assert 'content: "url(x)"' in text
    assert 'url("data:image/png;base64,cG5n")' in text
    assert 'url("data:image/png;base64,AA(")' in text
    assert 'url("data:font/woff2;' in page.select_one("p[style]")["style"]


def test_scripts_keep_their_order_and_cannot_end_early(page):
    scripts = [script.string for script in page.select("script")]
    wanted = [
        r"\x3C/script>\x3C!-- \x3CSCRIPT>",
        'inline("<b>&amp;")',
        '"late"',
        "'math'",
        "dialog",
    ]
    assert len(scripts) == len(wanted)
    assert all(part in script for part, script in zip(wanted, scripts, strict=True))
    assert "sourceMappingURL" not in scripts[0]
    last = page.select("body > *")[-3:]
    assert [tag.name for tag in last] == ["script"] * 3


def test_images_of_any_name_and_kind_come_along(page):
    assert page.img["src"] == "data:image/svg+xml;base64,PHN2Zy8+"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.PNG", "image/png"),
        ("b.jpg", "image/jpeg"),
        ("c.svg", "image/svg+xml"),
        ("d.gif", "image/gif"),
        ("e.flac", "audio/flac"),
        ("f.unheard", "application/octet-stream"),
    ],
)
def test_a_file_keeps_its_kind(tmp_path, name, kind):
    (tmp_path / name).write_bytes(b"\0\xff")
    page = BeautifulSoup(f"<p><img src='{name}'></p>", "html.parser")
    single.embed(page, tmp_path)
    assert page.img["src"] == f"data:{kind};base64,AP8="


def test_links_become_jumps_that_arrive(page):
    ids = [tag["id"] for tag in page.select("[id]")]
    assert sorted(ids) == sorted({"start", "one", "same", "one %20-same", "shell"})
    links = {a.string: a.get("href") for a in page.select("a")}
    assert links["to one"] == links["here"] == "#one %20-same"
    assert links["there"] == "#same"
    assert links["Start"] == "#start"
    assert links["One"] == "#one"
    assert links["far"] == "https://example.org/"
    assert links["index"] is None
    assert links["code"] is None  # the reference stays out
    assert "API" not in links and "noise" not in links
    assert page.b["aria-labelledby"] == "one %20-same start"
    assert page.select_one("[download]")["download"] == "table.csv"
    assert "search" not in str(page.select("link, div"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<img src="gone%20now.png">', r"gone now\.png: the report needs this file"),
        ('<script src="../gone.js"></script>', r"gone\.js: the report needs this file"),
        ('<img src="https://x.org/a.png">', r"https://x\.org/a\.png: the report needs this from"),
        ('<script src="//x.org/a.js"></script>', r"//x\.org/a\.js: the report needs this from"),
        ('<a href="gone.csv">x</a>', r"gone\.csv: the report needs this file"),
        ('<a href="#nowhere">x</a>', r"one %20\.html: the link to #nowhere leads nowhere"),
        ('<a href="../index.html#no">x</a>', r"the link to \.\./index\.html#no leads nowhere"),
    ],
)
def test_what_cannot_come_along_is_named(folder, tmp_path, text, problem):
    path = folder / "notebooks" / "one %20.html"
    path.write_text(path.read_text().replace("</h1>", f"</h1>{text}"))
    with pytest.raises(AsdError, match=problem):
        single.write(folder, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_missing_file_of_a_style_is_named(folder, tmp_path):
    (folder / "font.woff2").unlink()
    with pytest.raises(AsdError, match=r"font\.woff2: the report needs this file"):
        single.write(folder, tmp_path / "report.html")


def test_a_place_that_cannot_be_written_is_one_sentence(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AsdError, match=r"report\.html cannot be written \(.*\); choose another"):
        single.write(folder, tmp_path / "file" / "report.html")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(AsdError, match=r"cannot be written"):
        single.write(folder, tmp_path / "report.html")
    assert not list(tmp_path.glob(".*"))


def test_the_command_prints_where_the_file_is(tmp_path, monkeypatch, capsys):
    seen = {}

    def report(params, out, **options):
        seen.update(options)
        return out / "report.html"

    monkeypatch.setattr(build, "report", report)
    monkeypatch.setattr("asdlib.study.forecast", lambda *_: "")
    monkeypatch.setattr(
        study, "open_recordings", lambda *_, **__: type("S", (), {"describe": str})()
    )
    monkeypatch.setattr(study, "place", lambda *_: tmp_path)
    (tmp_path / "p.yaml").write_text("name: p\n")
    arguments = ["report", "--params", str(tmp_path / "p.yaml"), "--out", str(tmp_path)]
    assert cli.main([*arguments, "--single-file"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    assert seen["single_file"] is True
    assert cli.main(arguments) == 0
    assert seen["single_file"] is False
