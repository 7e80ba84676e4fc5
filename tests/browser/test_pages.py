"""Every page of a report in a real browser, from file://, with the network closed.

Which report: the folder in ASD_HTML, or a small one that is built for these tests.
"""

import re

import pytest
from conftest import HOSTILE

from asdlib.report import api

NAMES = (
    "index",
    "notebooks/01_noise_floor",
    "notebooks/02_front_ends",
    "notebooks/03_phase",
    "notebooks/04_seed_study",
    "notebooks/05_without_training",
    "notebooks/06_rescoring",
    "notebooks/07_negative_results",
    "notebooks/08_submission",
    "notebooks/09_own_machine",
    "notebooks/98_performance",
    "notebooks/99_provenance",
    "bibliography",
    "search",
    "genindex",
    "api/index",
    "api/noise",
    "api/study",
)


MARKUP = """[...document.querySelectorAll(
    'img[src="x"], svg[onload], b > b, [onerror], a[href^="javascript:"]')].map(e => e.outerHTML)"""


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_numbers_what_it_shows_and_fits_a_phone(visit, name):
    open_page, wrong = visit
    page = open_page(name)
    assert page.title()
    broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
    assert page.evaluate(broken) == []
    assert page.evaluate(MARKUP) == []  # names of machines and clips are text
    captions = page.locator("figcaption .caption-text, table caption").count()
    numbers = page.locator("figcaption .caption-number, table .caption-number").all_inner_texts()
    assert len(numbers) == captions
    if name == "notebooks/98_performance":  # of this report nothing was measured
        assert numbers or "make bench" in page.locator("article").inner_text()
    else:
        assert bool(numbers) == (name == "index" or name.startswith("notebooks/"))
    assert all(re.match(r"(Fig\.|Table) \d+", number) for number in numbers)
    texts = page.locator("figure img").evaluate_all("images => images.map(i => i.alt.length)")
    assert all(length > 20 for length in texts)
    assert name.startswith("api/") or page.get_by_text("Traceback").count() == 0
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
    assert wrong == []


def test_no_page_was_forgotten(pages):
    found = {p.relative_to(pages).with_suffix("").as_posix() for p in pages.rglob("*.html")}
    expected = {*NAMES, *(f"api/{name}" for name in api.pages())}
    assert {name for name in found if not name.startswith("_static/")} == expected


def test_equations_are_typeset(visit):
    page = visit[0]("notebooks/04_seed_study")
    page.wait_for_selector("mjx-container svg")
    assert page.locator("mjx-container").count() > 3
    assert page.locator("mjx-merror").count() == 0


@pytest.mark.parametrize("name", ["notebooks/02_front_ends", "notebooks/08_submission"])
def test_every_player_has_a_name_and_a_duration(visit, name):
    page = visit[0](name)
    players = page.locator("audio")
    assert players.count() >= 4
    for i in range(players.count()):
        player = players.nth(i)
        assert player.get_attribute("aria-label")
        seconds = player.evaluate(
            """async audio => {
                if (!(audio.readyState >= 1))
                    await new Promise(done => audio.addEventListener("loadedmetadata", done));
                return audio.duration;
            }"""
        )
        assert seconds > 0.5


PLAYHEAD = """Bokeh.documents.map(d => d.get_model_by_name("one-clip playhead"))
    .find(model => model != null).location"""


SHOWN = """[...Bokeh.index.roots].map(view => view.model)
    .find(model => model.document.get_model_by_name("one-clip buttons"))
    .children[1].renderers.flatMap((image, i) => image.visible ? [i] : [])"""


def test_a_panel_plays_seeks_and_switches_in_place(visit):
    open_page, wrong = visit
    page = open_page("notebooks/02_front_ends")
    player = page.locator("#one-clip-audio")
    panel = page.locator(".asd-live").filter(has=player)
    panel.locator(".bk-Figure").scroll_into_view_if_needed()
    player.evaluate(
        """async audio => {
            audio.muted = true;
            await audio.play();
            for (let look = 0; look < 100 && audio.currentTime < 0.2; look++)
                await new Promise(done => setTimeout(done, 50));
            audio.pause();
        }"""
    )
    assert page.evaluate(PLAYHEAD) == pytest.approx(player.evaluate("a => a.currentTime"), abs=0.1)
    assert page.evaluate(PLAYHEAD) > 0.1

    box = panel.locator(".bk-Figure").bounding_box()
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_timeout(200)
    place = player.evaluate("a => a.currentTime")
    length = player.evaluate("a => a.duration")
    assert 0.4 * length < place < 0.8 * length
    assert page.evaluate(PLAYHEAD) == pytest.approx(place, abs=0.01)

    sound = player.evaluate("a => a.src")
    assert page.evaluate(SHOWN) == [0]
    button = panel.get_by_role("button", name="far microphone")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    assert player.evaluate("a => a.src") != sound
    assert player.evaluate("a => a.currentTime") == pytest.approx(place, abs=0.01)
    assert page.evaluate(SHOWN) == [1]
    assert wrong == []


def counts(page):
    """Machine and domain to false alarms and misses, of the clip browser."""
    rows = page.get_by_role("table").filter(has_text="misses").last.locator("tbody tr")
    cells = [row.locator("td").all_inner_texts() for row in rows.all()]
    return {(c[0], c[1]): (c[3].split(" of ")[0], c[4].split(" of ")[0], c[5]) for c in cells}


def test_the_threshold_changes_the_counts_and_begins_at_those_of_the_table(visit):
    open_page, wrong = visit
    page = open_page("notebooks/08_submission")
    table = page.locator("table#tab-decisions")
    heads = table.locator("thead th").all_inner_texts()
    asked = [heads.index(name) for name in ("machine", "domain", "false alarms", "misses", "F1")]
    rows = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
    filed = {(r[asked[0]], r[asked[1]]): tuple(r[i] for i in asked[2:]) for r in rows}
    before = counts(page)
    assert before == filed

    chosen = page.locator("select").input_value()
    browser = page.locator(".asd-live").filter(has=page.locator(".asd-clips"))
    browser.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    assert {own[0] for key, own in counts(page).items() if key[0] == chosen} == {"0"}  # no alarm
    page.keyboard.press("Home")
    page.wait_for_timeout(300)
    after = counts(page)
    assert {after[key][1] for key in after if key[0] == chosen} == {"0"}  # no miss
    assert {key for key in after if after[key] != before[key]} <= {
        key for key in after if key[0] == chosen
    }
    assert after != before

    other = next(m for m, _ in before if m != chosen)
    assert page.locator(f'[data-machine="{chosen}"]').is_visible()
    page.locator("select").select_option(other)
    page.wait_for_timeout(300)
    assert counts(page) == after
    assert page.locator(f'[data-machine="{other}"]').is_visible()
    assert not page.locator(f'[data-machine="{chosen}"]').is_visible()
    assert wrong == []


def live_rows(page, head):
    """Rows of the table of a live chart that has this head."""
    table = page.locator(".asd-live").get_by_role("table").filter(has_text=head)
    return [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]


def test_a_wanted_rate_is_moved_and_begins_at_the_counts_of_the_table(visit):
    open_page, wrong = visit
    page = open_page("notebooks/08_submission")
    rows = [r.locator("td").all_inner_texts() for r in page.locator("#tab-rules tbody tr").all()]
    filed = {(f"{r[0]}, {r[1]}", r[2]): r[3] for r in rows}
    (_, *promised), *found = live_rows(page, "false alarms, source")
    assert promised == ["10%", "10%", ""]
    shown = {
        (row[0], domain): row[1 + i].rsplit(",", 1)[0]
        for row in found
        for i, domain in enumerate(("source", "target"))
    }
    assert shown == filed
    chart = page.locator(".asd-live").filter(has_text="wanted share of false alarms")
    chart.locator(".noUi-handle").focus()
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    (_, *promised), *more = live_rows(page, "false alarms, source")
    assert promised == ["50%", "50%", ""]
    for row, last in zip(more, found, strict=True):
        of = [int(cell.split(" of ")[0]) for cell in row[1:]]
        assert all(n >= int(cell.split(" of ")[0]) for n, cell in zip(of, last[1:], strict=True))
    assert more != found
    assert wrong == []


def test_a_machine_and_a_fault_are_picked_and_the_shares_add_up(visit):
    open_page, wrong = visit
    page = open_page("notebooks/05_without_training")
    seen = []
    for name in ("SimFan", HOSTILE):
        machine, fault = page.locator(".asd-live select").all()
        machine.select_option(label=name)
        page.wait_for_timeout(300)
        for index in (0, fault.locator("option").count() - 1):
            fault.select_option(index=index)
            page.wait_for_timeout(300)
            *parts, (_, whole, _, _) = live_rows(page, "normal clips, mean")
            assert [row[0][0] for row in parts] == list("pmsd")
            assert sum(float(row[1]) for row in parts) == pytest.approx(float(whole), abs=0.3)
            assert f"D² = {whole}," in fault.input_value()
            seen.append(float(whole))
    assert len(set(seen)) == 4
    assert seen[0] > seen[1]
    assert seen[2] > seen[3]
    assert wrong == []


def test_chapters_link_to_one_another(visit, pages):
    page = visit[0]("index")
    page.locator("article a", has_text="The seed study").first.click()
    page.wait_for_load_state()
    assert page.url == (pages / "notebooks" / "04_seed_study.html").as_uri()


def test_a_chapter_links_to_the_functions_that_it_calls(visit, pages):
    page = visit[0]("notebooks/01_noise_floor")
    page.locator("article a", has_text="asdlib.noise.noise_transfer").click()
    page.wait_for_load_state()
    assert page.url == (pages / "api/noise.html").as_uri() + "#asdlib.noise.noise_transfer"
    assert page.locator("dt.sig", has_text="noise_transfer").is_visible()


def test_the_menu_opens_on_a_phone(visit):
    page = visit[0]("index", width=390)
    page.locator(".primary-toggle:visible").first.click()
    page.wait_for_timeout(500)
    assert page.get_by_role("link", name="Performance").first.is_visible()
