"""Panels and the clip browser on odd data: silence, and names that look like markup."""

import numpy as np
import pandas as pd
import pytest

from asdlib import params, spectra
from asdlib.report import browse, build, panels

EVIL = "</script><script>alert(1)</script> `$x$` <img src=x onerror=alert(2)>.wav"
SPECTRA = params.Spectra()


@pytest.fixture
def page_of(tmp_path, monkeypatch):
    """What was shown so far, as a page of its own."""
    shown = []
    monkeypatch.setattr(panels, "display", lambda bundle, raw: shown.append(bundle))

    def write():
        scripts = "".join(f"<script>{path.read_text()}</script>" for path in build._bokeh())
        body = "".join(bundle["text/html"] for bundle in shown)
        path = tmp_path / "page.html"
        path.write_text(f"<!doctype html><meta charset=utf-8><title>x</title>{scripts}{body}")
        return path

    return write


def track(signal):
    signal = signal.astype(np.float32)
    return signal, spectra.power(spectra.stft(signal, SPECTRA))


@pytest.mark.parametrize("samples", [3200, 32000])
def test_silence_short_clips_and_names_like_markup_give_a_panel(opened, page_of, rng, samples):
    open_page, wrong = opened
    tracks = {EVIL: track(0.1 * rng.standard_normal(samples)), "far": track(np.zeros(samples))}
    panels.show_panel(tracks, spectra=SPECTRA, label="evil", title=EVIL)
    page = open_page(page_of())
    assert page.get_by_role("button", name="alert(1)").inner_text() == EVIL
    page.get_by_role("button", name="far").click()
    page.wait_for_timeout(200)
    assert page.locator("audio").evaluate("a => a.duration") == pytest.approx(samples / 16000)
    assert page.locator("audio").get_attribute("aria-label").startswith(EVIL)
    assert page.locator("img").count() == 0
    assert page.locator(".asd-title").inner_text() == EVIL
    assert wrong == []


def test_names_like_markup_are_text_in_the_clip_browser(opened, page_of, rng):
    open_page, wrong = opened
    clips = pd.DataFrame(
        [
            (EVIL, domain, label, f"{i} {domain} {label} {EVIL}", float(i))
            for domain in ("source", "target")
            for label in ("normal", "anomaly")
            for i in range(3)
        ],
        columns=["machine", "domain", "label", "name", "score"],
    )
    limits = {EVIL: 0.5}
    sounds = {"near": panels.encode(0.1 * rng.standard_normal(8000), 16000, lossless=False)}
    heard = dict.fromkeys(browse.worst(clips, limits), sounds)
    browse.show_clips(clips, limits, heard)
    page = open_page(page_of())
    rows = page.get_by_role("table").locator("tbody tr")
    assert rows.first.locator("td").all_inner_texts() == [
        EVIL,
        "source",
        "0.50",
        "2 of 3",
        "1 of 3",
        "0.57",
    ]
    assert page.locator("audio").count() == len(heard) == 5  # three false alarms, two misses
    assert page.locator("img").count() == 0
    assert page.locator(".asd-clips").inner_text().count("alert(1)") >= 5
    assert wrong == []
