"""Names of folders, files and studies are data: a report of hostile ones runs none of them."""

import numpy as np
import pytest
from conftest import small_params, two_channels, write_wav

from asdlib.report import build

SCRIPT = "<img src=x onerror=alert(1)>"
MACHINES = (SCRIPT, r"p$\frac$ `<b>` [x](javascript:alert(2)) {{x}}")
CLIP = "{split} {i} <svg onload=alert(3)>\n`$\\frac$` 'a\" *b*.wav"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    data, rng = root / f"data {SCRIPT}", np.random.default_rng(0)
    for machine in MACHINES:
        for split, count in (("train", 12), ("test", 3)):
            for i in range(count):
                name = CLIP.format(split=split, i=i)
                write_wav(data / machine / split / name, two_channels(rng))
        for domain in ("source", "target"):
            for label in ("normal", "anomaly"):
                name = f"section_00_{domain}_test_{label}_0000_<img src=x onerror=alert(4)>.wav"
                write_wav(data / machine / "test" / name, two_channels(rng))
    chosen = small_params(
        root,
        data=str(data),
        seeds=[0],
        front_ends=["near", "adasub"],
        scorers=["eq1", "s1", "pmsd", "adasub/fine"],
        extras=[],
    )
    return build.report(chosen, root / "build", progress=False, single_file=True)


def test_no_name_runs_and_every_chapter_is_there(hostile, opened):
    visit, wrong = opened
    html = hostile.parent / "html"
    chapters = [html / "notebooks" / f"{name}.html" for name in build.CHAPTERS[1:]]
    for page in (hostile, html / "index.html", *chapters):
        tab = visit(page)
        found = tab.evaluate(
            """() => [...document.querySelectorAll(
                'img[src="x"], svg[onload], b > b, [onerror], a[href^="javascript:"]')]
                .map(e => e.outerHTML)"""
        )
        assert found == [], page
        assert wrong == [], page
        tab.close()
