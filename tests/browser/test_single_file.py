"""The report in one file: copied alone to an empty folder, opened with the network closed."""

import re
import shutil

import pytest

from asdlib.report import build

CAPTIONS = re.compile(r'class="caption-number">((?:Fig\.|Table) \d+) ?<')


@pytest.fixture(scope="module")
def alone(pages, tmp_path_factory):
    made = build.one_file(pages.parent)
    return shutil.move(made, tmp_path_factory.mktemp("alone") / "mailed 100% <&>.html")


def arrive(page, name):
    """Wait until the chapter is at the top of the window; the page scrolls there smoothly."""
    top = f"document.getElementById('{name}').querySelector('h1').getBoundingClientRect().top"
    page.wait_for_function(f"0 <= {top} && {top} < 150", timeout=10000)


def test_all_of_the_pages_is_in_it_every_link_arrives_and_a_phone_has_both_menus(
    opened, alone, pages
):
    page = opened(alone)
    assert page.evaluate("[...document.images].filter(i => !i.naturalWidth).length") == 0
    assert page.locator("math").count() > 20
    assert page.locator("script", has_text="fontawesome").count() == 0  # a style sheet draws them

    found = page.locator(".caption-number").all_text_contents()
    site = [p.read_text("utf-8") for p in pages.rglob("*.html") if "_static" not in p.parts]
    expected = [number for text in site for number in CAPTIONS.findall(text)]
    assert len(expected) > 30
    assert sorted(number.strip() for number in found) == sorted(expected)
    for kind, mark in (("svg[role=img]", '<svg role="img"'), ("audio", "<audio")):
        parts = sum(text.count(mark) for text in site)
        assert page.locator(f"article {kind}").count() == parts > 4
    sources = page.locator("article :is(img, audio[src])").evaluate_all("es => es.map(e => e.src)")
    assert all(source.startswith("data:") for source in sources)
    links = page.evaluate(
        """[...document.querySelectorAll("a[href]")].map(a => a.getAttribute("href"))
            .filter(href => !/^(https?:|data:|mailto:)/.test(href))
            .map(href => [href, href[0] == "#" && !!document.getElementById(href.slice(1))])"""
    )
    assert len(links) > 100
    assert [href for href, arrives in links if not arrives] == []
    ids = page.evaluate("[...document.querySelectorAll('article [id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))

    page.locator(".bd-sidebar-primary a", has_text="Is the gain larger").click()
    arrive(page, "is-the-gain-larger-than-the-chance-of-a-seed")
    assert page.locator("#pst-page-toc-nav").get_by_text("The ladder").is_visible()
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
    for menu in ("primary", "secondary"):
        page.locator(f".{menu}-toggle").locator("visible=true").click()
        page.locator("dialog[open] a", has_text="Variants of the autoencoder").click()
        arrive(page, "variants-of-the-autoencoder")
        assert page.locator("dialog[open]").count() == 0
        page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
