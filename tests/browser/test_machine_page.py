"""The page of a machine of one's own, with ten thousand lines of log, in a browser."""

import json
import shutil
from datetime import datetime, timedelta

import pytest
from conftest import SCRIPTED

from asdlib.report import machine

LINES = 10_000


@pytest.fixture(scope="module")
def path(watched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    model = shutil.copy(watched / "noise.safetensors", folder / f"{SCRIPTED[:-4]}.safetensors")
    told = [json.loads(line) for line in (watched / "log.jsonl").read_text().splitlines()]
    times = (datetime(2026, 1, 1) + timedelta(hours=i) for i in range(LINES))
    lines = [told[i % 6] | {"time": time.isoformat()} for i, time in enumerate(times)]
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return machine.write(model, folder / "log.jsonl", None)


def test_ten_thousand_lines_are_one_small_page_that_is_shown_without_network(opened, path):
    assert path.stat().st_size < 3e6
    page = opened(path)
    assert page.evaluate("document.querySelectorAll('*').length") < 500
    assert page.locator("h1").text_content() == SCRIPTED[:-4]
    assert (
        page.locator("p").first.text_content().startswith("10,000 recordings from 1 January 2026")
    )
    assert page.locator("h3").first.is_visible()
    assert page.locator("h3", has_text=SCRIPTED).count() == 2
    assert page.evaluate("[...document.images].map(i => i.naturalWidth > 300)") == [True] * 6
    audio = page.locator("audio").first
    audio.evaluate("a => a.play()")
    page.wait_for_function("document.querySelector('audio').currentTime > 0")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
