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


@pytest.fixture
def visit(browser, alone):
    """Open the file in a fresh profile; what went wrong, or was asked for, is collected."""
    context = browser.new_context(offline=True)
    wrong = []

    def open_file(width=1280):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url[:200]))
        page.on(
            "request",
            lambda r: (
                None
                if r.url.startswith((alone.as_uri(), "data:", "blob:"))
                else wrong.append(r.url[:200])
            ),
        )
        page.goto(alone.as_uri(), wait_until="load")
        page.wait_for_selector("mjx-container svg")
        return page

    yield open_file, wrong
    context.close()


def arrive(page, name):
    """Wait until the chapter is at the top of the window; the page scrolls there smoothly."""
    top = f"document.getElementById('{name}').querySelector('h1').getBoundingClientRect().top"
    page.wait_for_function(f"0 <= {top} && {top} < 150", timeout=10000)


def test_it_opens_without_error_network_or_another_file(visit):
    open_file, wrong = visit
    page = open_file()
    page.wait_for_timeout(1000)
    page.keyboard.press("Control+k")  # the site's search, which is not in the file
    page.keyboard.press("/")
    assert page.evaluate("[...document.images].filter(i => !i.naturalWidth).length") == 0
    assert page.locator("mjx-container svg").count() > 20
    assert page.locator("mjx-merror").count() == 0
    assert page.locator("i.fa-solid, span.fa-solid").count() == 0  # drawn: all are svg by now
    lengths = page.evaluate(
        """Promise.all([...document.querySelectorAll("audio[src]")].map(audio =>
            new Promise(done => {
                if (audio.readyState) done(audio.duration);
                audio.addEventListener("loadedmetadata", () => done(audio.duration));
                audio.addEventListener("error", () => done(0));
                audio.preload = "metadata";
                audio.load();
            })))"""
    )
    assert len(lengths) >= 4
    assert min(lengths) > 0.5
    assert wrong == []


def test_figures_and_tables_have_the_numbers_of_the_pages(visit, pages):
    page = visit[0]()
    found = page.locator(".caption-number").all_text_contents()
    site = [p for p in pages.rglob("*.html") if "_static" not in p.parts]
    expected = [n for p in site for n in CAPTIONS.findall(p.read_text(encoding="utf-8"))]
    assert len(expected) > 30
    assert sorted(n.strip() for n in found) == sorted(expected)
    images = sum(p.read_text(encoding="utf-8").count("<img") for p in site)
    assert page.locator("article img").count() == images
    assert all(page.locator("article :is(figcaption, caption) .caption-text").all_text_contents())


def test_it_prints_every_title(visit):
    page = visit[0]()
    page.emulate_media(media="print")
    hidden = "titles => titles.filter(e => !e.checkVisibility()).map(e => e.innerText)"
    assert len(page.locator("article h1").evaluate_all(hidden)) == 1  # the first one stands apart


def test_every_link_inside_arrives(visit):
    page = visit[0]()
    links = page.evaluate(
        """[...document.querySelectorAll("a[href]")].map(a => a.getAttribute("href"))
            .filter(href => !/^(https?:|data:|mailto:)/.test(href))
            .map(href => [href, href[0] == "#" && !!document.getElementById(href.slice(1))])"""
    )
    assert len(links) > 100
    assert [href for href, arrives in links if not arrives] == []
    ids = page.evaluate("[...document.querySelectorAll('article [id]')].map(e => e.id)")
    own = [i for i in ids if not i.startswith(("MJX", "mjx"))]
    assert len(own) == len(set(own))


def test_the_menu_jumps_and_the_colours_change(visit):
    open_file, wrong = visit
    page = open_file()
    page.locator(".bd-sidebar-primary a", has_text="The seed study").click()
    arrive(page, "the-seed-study")
    assert page.locator("#pst-page-toc-nav").get_by_text("The ladder").is_visible()
    page.locator(".theme-switch-button").click()
    page.locator(".theme-change-button[data-mode=dark]").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert wrong == []


def test_a_phone_needs_no_sideways_scrolling_and_has_both_menus(visit):
    open_file, wrong = visit
    page = open_file(width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
    for menu in ("primary", "secondary"):
        page.locator(f".{menu}-toggle").locator("visible=true").click()
        page.locator("dialog[open] a", has_text="Negative results").click()
        arrive(page, "negative-results")
        assert page.locator("dialog[open]").count() == 0
        page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
    assert wrong == []
