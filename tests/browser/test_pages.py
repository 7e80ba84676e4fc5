"""Every page of a report in a real browser, from file://, with the network closed.

Which report: the folder in ASD_HTML, or a small one that is built for these tests.
"""

import re

import pytest
from conftest import ROOT

from asdlib.report import build

NAMES = (
    "index",
    *(f"notebooks/{chapter}" for chapter in build.CHAPTERS[1:]),
    *("bibliography", "search", "genindex", "api/index", "api/noise", "api/study"),
)
PLAYERS = ("notebooks/01_far_microphone", "notebooks/06_decisions")
MARKUP = """[...document.querySelectorAll(
    'img[src="x"], svg[onload], b > b, [onerror], a[href^="javascript:"]')].map(e => e.outerHTML)"""
SECONDS = """players => Promise.all(players.map(audio => new Promise(done => {
    if (audio.readyState) done(audio.duration);
    audio.addEventListener("loadedmetadata", () => done(audio.duration));
    audio.preload = "metadata";
})))"""
VISIBLE = "[...document.querySelectorAll({!r})].filter(e => e.checkVisibility()).length"
HIDDEN = """[...document.querySelectorAll(".bd-article *")].filter(e => e.clientWidth
    && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX == "hidden"
    && !e.matches(".asd-live *")).map(e => e.outerHTML.slice(0, 200))"""
# words of drawings: size in px as shown, and contrast with what is behind them; in dark pages the
# style sheet turns all colours, as the second function does
WORDS = """() => {
  const luminance = colour => colour
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const turned = colour => {
    const [r, g, b] = colour.map(v => 0.92 - 0.84 * v);
    return [-0.574 * r + 1.43 * g + 0.144 * b, 0.426 * r + 0.43 * g + 0.144 * b,
            0.426 * r + 1.43 * g - 0.856 * b].map(v => Math.min(1, Math.max(0, v)));
  };
  const dark = document.documentElement.dataset.theme == "dark";
  document.querySelectorAll("details").forEach(folded => { folded.open = true; });
  return [...document.querySelectorAll("svg[role=img] :is(text, tspan)")]
    .filter(word => !word.querySelector("tspan") && word.textContent.trim())
    .map(word => {
      const style = getComputedStyle(word), own = word.getScreenCTM();
      const colours = [style.fill.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255), [1, 1, 1]];
      const [low, high] = colours.map(c => luminance(dark ? turned(c) : c)).sort((a, b) => a - b);
      const box = word.getBoundingClientRect();
      const whole = word.closest("svg").getBoundingClientRect();
      return {
        text: word.textContent,
        px: parseFloat(style.fontSize) * Math.hypot(own.a, own.b),
        contrast: (high + 0.05) / (low + 0.05),
        cut: box.left < whole.left - 1 || box.right > whole.right + 1,
      };
    });
}"""


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_numbers_what_it_shows_and_can_be_read_at_any_width(visit, name):
    page = visit(name)
    assert page.title()
    broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
    assert page.evaluate(broken) == []
    assert page.evaluate(MARKUP) == []  # names of machines and clips are text
    captions = page.locator("figcaption .caption-text, table caption").count()
    numbers = page.locator("figcaption .caption-number, table .caption-number").all_inner_texts()
    assert len(numbers) == captions
    if name != "notebooks/97_checks":  # it has sentences alone
        assert bool(numbers) == (name == "index" or name.startswith("notebooks/"))
    assert all(re.match(r"(Fig\.|Table) \d+", number) for number in numbers)
    figures = page.locator("figure > svg").evaluate_all("all => all.map(f => f.ariaLabel)")
    assert len(figures) == page.locator("figure").count()
    assert all(len(told) > 20 for told in figures)
    assert name.startswith("api/") or page.get_by_text("Traceback").count() == 0
    seconds = page.locator("audio[aria-label]").evaluate_all(SECONDS)
    assert len(seconds) == page.locator("audio").count()
    assert len(seconds) >= 4 * (name in PLAYERS)
    assert all(length > 0.5 for length in seconds)
    for width, least in ((1280, 11), (390, 9)):
        page.set_viewport_size({"width": width, "height": 900})
        search = "main form.bd-search, .search-button, .search-button-field"
        assert page.evaluate(VISIBLE.format(search)) == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 1
        assert page.evaluate(HIDDEN) == []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"document.documentElement.dataset.theme == {scheme!r}")
            words = page.evaluate(WORDS)
            assert len(words) >= 5 * len(figures)
            small = [word for word in words if word["px"] < least]
            assert small + [w for w in words if w["contrast"] < 4.5 or w["cut"]] == []


def test_no_page_was_forgotten(pages):
    found = {p.relative_to(pages).with_suffix("").as_posix() for p in pages.rglob("*.html")}
    expected = {*NAMES, *(f"api/{path.stem}" for path in (ROOT / "asdlib").glob("[!_]*"))}
    assert {name for name in found if not name.startswith("_static/")} == expected


def test_a_printed_chapter_is_light_and_has_neither_menus_nor_closed_code(visit):
    page = visit("notebooks/02_seed_study")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("html").get_attribute("data-theme") == "light"
    for gone in (".bd-sidebar-primary", ".bd-sidebar-secondary", "details", "audio", ".btn"):
        assert page.evaluate(VISIBLE.format(gone)) == 0, gone
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("html").get_attribute("data-theme") == "dark"


PLAYHEAD = """Bokeh.documents.map(d => d.get_model_by_name("one-clip playhead"))
    .find(model => model != null).location"""
SHOWN = """[...Bokeh.index.roots].map(view => view.model)
    .find(model => model.document.get_model_by_name("one-clip buttons"))
    .children[1].renderers.flatMap((image, i) => image.visible ? [i] : [])"""


def test_a_panel_plays_seeks_and_switches_in_place(visit):
    page = visit("notebooks/01_far_microphone")
    player = page.locator("#one-clip-audio")
    panel = page.locator(".asd-live").filter(has=player)
    panel.locator(".bk-Figure").scroll_into_view_if_needed()
    player.evaluate("audio => { audio.muted = true; return audio.play(); }")
    page.wait_for_function(f"{PLAYHEAD} > 0.1")
    player.evaluate("audio => audio.pause()")
    box = panel.locator(".bk-Figure").bounding_box()
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_timeout(200)
    place, length = player.evaluate("a => [a.currentTime, a.duration]")
    assert 0.4 * length < place < 0.8 * length
    assert page.evaluate(PLAYHEAD) == pytest.approx(place, abs=0.01)

    sound = player.evaluate("a => a.src")
    assert page.evaluate(SHOWN) == [0]
    panel.get_by_role("button", name="far microphone").focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    assert player.evaluate("a => a.src") != sound
    assert player.evaluate("a => a.currentTime") == pytest.approx(place, abs=0.01)
    assert page.evaluate(SHOWN) == [1]


def cells(table):
    return [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]


def live_rows(page, head):
    """Rows of the table of a live chart that has this head."""
    return cells(page.locator(".asd-live").get_by_role("table").filter(has_text=head))


def counts(page):
    """Machine and domain to false alarms, misses and F1, of the clip browser."""
    table = page.get_by_role("table").filter(has_text="misses").last
    return {
        (r[0], r[1]): (r[3].split(" of ")[0], r[4].split(" of ")[0], r[5]) for r in cells(table)
    }


def test_the_threshold_changes_the_counts_and_begins_at_those_of_the_table(visit):
    page = visit("notebooks/06_decisions")
    table = page.locator("table#tab-decisions")
    heads = table.locator("thead th").all_inner_texts()
    asked = [heads.index(name) for name in ("machine", "domain", "false alarms", "misses", "F1")]
    filed = {(r[asked[0]], r[asked[1]]): tuple(r[i] for i in asked[2:]) for r in cells(table)}
    before = counts(page)
    assert before == filed

    chosen = page.locator("select").input_value()
    other = next(m for m, _ in before if m != chosen)
    browser = page.locator(".asd-live").filter(has=page.locator(".asd-clips"))
    browser.locator(".noUi-handle").focus()
    for key, column in (("End", 0), ("Home", 1)):  # no alarm, no miss
        page.keyboard.press("ArrowRight")
        page.keyboard.press(key)
        page.wait_for_timeout(300)
        after = counts(page)
        assert {after[own][column] for own in after if own[0] == chosen} == {"0"}
    assert {own[0] for own in after if after[own] != before[own]} == {chosen}

    page.locator("select").select_option(other)
    page.wait_for_timeout(300)
    assert counts(page) == after
    assert page.locator(f'[data-machine="{other}"]').is_visible()
    assert not page.locator(f'[data-machine="{chosen}"]').is_visible()

    filed = {(f"{r[0]}, {r[1]}", r[2]): r[3] for r in cells(page.locator("#tab-rules"))}
    (_, *promised), *found = live_rows(page, "false alarms, source")
    assert promised == ["10 %", "10 %", ""]
    for name, *rates, _ in found:  # of the other chart: nothing has moved there
        for domain, rate in zip(("source", "target"), rates, strict=True):
            assert filed.pop((name, domain)) == rate.rsplit(",", 1)[0]
    assert filed == {}


def test_links_a_phones_menu_and_the_search_lead_to_chapters_and_functions(visit, pages):
    page = visit("index", width=390)
    page.locator("article a", has_text="Is the gain larger").first.click()
    page.wait_for_load_state()
    assert page.url == (pages / "notebooks" / "02_seed_study.html").as_uri()
    page.locator(".primary-toggle:visible").first.click()
    page.get_by_role("link", name="What the far microphone gives").first.click()
    page.locator("article a", has_text="asdlib.noise.noise_transfer").click()
    page.wait_for_load_state()
    assert page.url == (pages / "api/noise.html").as_uri() + "#asdlib.noise.noise_transfer"
    assert page.locator("dt.sig", has_text="noise_transfer").is_visible()
    page.goto(f"{(pages / 'search.html').as_uri()}?q=coherence")
    page.wait_for_selector("#search-results li a")
