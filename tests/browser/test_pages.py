"""Every page of a report in a real browser, from file://, with the network closed.

Which report: the folder in ASD_HTML, or a small one that is built for these tests.
"""

import re

import pytest

playwright = pytest.importorskip("playwright.sync_api")
NAMES = (
    "index", "notebooks/01_noise_floor", "notebooks/02_front_ends", "notebooks/03_seed_study",
    "notebooks/04_rescoring", "notebooks/05_submission",
    "notebooks/06_negative_results", "notebooks/07_performance", "notebooks/99_provenance",
    "bibliography", "search", "genindex",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(chromium):
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-background-networking",
                  "--autoplay-policy=no-user-gesture-required"],
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, pages):
    """Open a page in a fresh profile; what went wrong on it is collected."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    wrong = []

    def open_page(name, width=1280):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url[:200]))
        page.on(
            "request",
            lambda r: None if re.match("(file|data|blob):", r.url) else wrong.append(r.url),
        )
        page.goto((pages / f"{name}.html").as_uri(), wait_until="load")
        page.wait_for_timeout(300)
        return page

    yield open_page, wrong
    context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_without_error_or_network(visit, name):
    open_page, wrong = visit
    page = open_page(name)
    assert page.title()
    broken = page.evaluate(
        "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
    )
    assert broken == []
    assert wrong == []


def test_no_page_was_forgotten(pages):
    found = {p.relative_to(pages).with_suffix("").as_posix() for p in pages.rglob("*.html")}
    assert {name for name in found if not name.startswith("_static/")} == set(NAMES)


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("notebooks/")])
def test_figures_and_tables_are_numbered_and_described(visit, name):
    page = visit[0](name)
    captions = page.locator("figcaption .caption-text, table caption").all_inner_texts()
    numbers = page.locator("figcaption .caption-number, table .caption-number").all_inner_texts()
    assert len(numbers) == len(captions) > 0
    assert all(re.match(r"(Fig\.|Table) \d+", number) for number in numbers)
    images = page.locator("figure img")
    for i in range(images.count()):
        assert len(images.nth(i).get_attribute("alt")) > 20
    assert page.get_by_text("Traceback").count() == 0


def test_equations_are_typeset(visit):
    page = visit[0]("notebooks/03_seed_study")
    page.wait_for_selector("mjx-container svg")
    assert page.locator("mjx-container").count() > 3
    assert page.locator("mjx-merror").count() == 0


def test_players_play(visit):
    page = visit[0]("notebooks/02_front_ends")
    players = page.locator("audio")
    assert players.count() >= 4
    for i in range(players.count()):
        player = players.nth(i)
        assert player.get_attribute("aria-label")
        moved = player.evaluate(
            """async audio => {
                if (!(audio.readyState >= 1))
                    await new Promise(done => audio.addEventListener("loadedmetadata", done));
                audio.muted = true;
                await audio.play();
                await new Promise(done => setTimeout(done, 400));
                audio.pause();
                return [audio.duration, audio.currentTime];
            }"""
        )
        assert moved[0] > 0.5
        assert moved[1] > 0


def test_chapters_link_to_one_another(visit, pages):
    page = visit[0]("index")
    page.locator("article a", has_text="The seed study").first.click()
    page.wait_for_load_state()
    assert page.url == (pages / "notebooks" / "03_seed_study.html").as_uri()


def test_a_phone_needs_no_sideways_scrolling(visit):
    for name in ("index", "notebooks/05_submission"):
        page = visit[0](name, width=390)
        assert page.evaluate("document.documentElement.scrollWidth") <= 391
