"""How pages look on screen and on paper: one search, captions, figures that stay whole."""

import pytest

CHAPTER = "notebooks/02_front_ends"
VISIBLE = "[...document.querySelectorAll({!r})].filter(e => e.checkVisibility()).length"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_search_and_captions(visit, width, colours):
    open_page, wrong = visit
    page = open_page(CHAPTER, width)
    page.emulate_media(color_scheme=colours)
    page.wait_for_function(f"document.documentElement.dataset.theme == '{colours}'")
    assert page.evaluate(VISIBLE.format(".search-button, .search-button-field")) == 1
    text = page.locator("article p").first.bounding_box()["width"]
    captions = page.locator("article :is(figcaption, table caption)").all()
    assert len(captions) > 5
    for caption in captions:
        assert caption.bounding_box()["width"] == pytest.approx(text, abs=2)
    code = page.locator("details.hide p.collapsed").first
    title = page.locator("figcaption").first
    size = "e => parseFloat(getComputedStyle(e).fontSize)"
    assert code.evaluate(size) < title.evaluate(size)
    assert code.evaluate("e => getComputedStyle(e).fontWeight") == "400"
    assert wrong == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_of_results_has_one_search_too(visit, width):
    page = visit[0]("search", width)
    fields = "main form.bd-search, .search-button, .search-button-field"
    assert page.evaluate(VISIBLE.format(fields)) == 1


def test_a_printed_chapter_has_neither_menus_nor_closed_code_and_cuts_no_figure(visit, tmp_path):
    page = visit[0](CHAPTER)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("html").get_attribute("data-theme") == "light"
    for gone in (".bd-sidebar-primary", ".bd-sidebar-secondary", "details", "audio", ".btn"):
        assert page.evaluate(VISIBLE.format(gone)) == 0, gone
    breaks = "es => [...new Set(es.map(e => getComputedStyle(e).breakInside))]"
    whole = page.locator("article :is(figure, table tr, .asd-live)")
    assert whole.evaluate_all(breaks) == ["avoid"]
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("html").get_attribute("data-theme") == "dark"
