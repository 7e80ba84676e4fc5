"""Panels and the clip browser on odd data: silence, and names that look like markup."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from asdlib import params, spectra
from asdlib.compare import alarms, failures
from asdlib.report import build, controls, panels

EVIL = "</script><script>alert(1)</script> `$x$` <img src=x onerror=alert(2)>.wav"
SPECTRA = params.Spectra()


@pytest.fixture
def open_shown(tmp_path, monkeypatch, opened):
    """Open what was shown so far as a page on a phone; it fits, and no name in it is markup."""
    shown = []
    monkeypatch.setattr(panels, "display", lambda bundle, raw: shown.append(bundle))

    def page():
        style = f"<style>{(ROOT / 'report/_static/report.css').read_text()}</style>"
        scripts = "".join(f"<script>{path.read_text()}</script>" for path in build._bokeh())
        body = "".join(bundle["text/html"] for bundle in shown)
        path = tmp_path / "page.html"
        path.write_text(f"<!doctype html><meta charset=utf-8>{style}{scripts}{body}")
        page = opened(path, 390)
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 391
        return page

    return page


def track(signal):
    signal = signal.astype(np.float32)
    return signal, spectra.power(spectra.stft(signal, SPECTRA))


def test_silence_short_clips_and_names_like_markup_give_a_panel(open_shown, rng):
    samples = 3200
    tracks = {EVIL: track(0.1 * rng.standard_normal(samples)), "far": track(np.zeros(samples))}
    panels.show_panel(tracks, spectra=SPECTRA, label="evil", title=EVIL)
    page = open_shown()
    assert page.get_by_role("button", name="alert(1)").inner_text() == EVIL
    page.get_by_role("button", name="far").click()
    page.wait_for_timeout(200)
    assert page.locator("audio").evaluate("a => a.duration") == pytest.approx(samples / 16000)
    assert page.locator("audio").get_attribute("aria-label").startswith(EVIL)
    assert page.locator(".asd-title").inner_text() == EVIL


@pytest.mark.parametrize("least", [0.0, 1.0])  # positive scores are on a logarithmic axis
def test_names_like_markup_are_text_in_the_clip_browser(open_shown, rng, least):
    rows = [
        (EVIL, domain, label, f"{i} {domain} {label} {EVIL}", least + i, least + 0.5, int(i > 0))
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
        for i in range(3)
    ]
    columns = ["machine", "domain", "label", "name", "score", "threshold", "decision"]
    clips = pd.DataFrame(rows, columns=columns)
    sounds = {"near": panels.encode(0.1 * rng.standard_normal(8000), 16000, lossless=False)}
    heard = dict.fromkeys(failures.worst(clips), sounds)
    controls.show_clips(clips, failures.errors(clips), heard)
    page = open_shown()
    assert cells(page)[1] == [EVIL, "source", f"{least + 0.5:.2f}", "2 of 3", "1 of 3", "0.57"]
    assert page.get_by_text(f"threshold: {least + 0.5:.2f}").count() == 1
    view = page.evaluate(
        """() => {
            const plot = [...Bokeh.index.roots][0].model.children[1];
            const line = plot.center.find(model => model.type == "Span");
            return [line.location, plot.x_range.start, plot.x_range.end, plot.x_scale.type];
        }"""
    )
    assert view[0] == pytest.approx(least + 0.5)
    assert view[1] < least < least + 2 < view[2]
    assert view[3] == ("LogScale" if least else "LinearScale")
    assert page.locator("audio").count() == len(heard) == 5  # three false alarms, two misses
    assert page.locator(".asd-clips").inner_text().count("alert(1)") >= 5


def cells(page):
    """Texts of the one table of the page, row by row."""
    rows = page.get_by_role("table").locator("tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def counted(system, what, alarms_at, clips, *, able=True):
    """Alarms of two machines at three rates."""
    domain, label = what
    rule = "paper" if system == "S1" else "held out"
    shared = {"system": system, "rule": rule, "domain": domain, "label": label, "clips": clips}
    return [
        {**shared, "machine": machine, "rate": rate, "alarms": count}
        | {"able": able or rate > 0.1 or machine == "pump"}
        for machine in ("fan", "pump")
        for rate, count in zip((0.1, 0.2, 0.3), alarms_at, strict=True)
    ]


def test_the_wanted_rate_moves_the_line_the_dots_and_the_numbers(open_shown):
    rows = [
        *counted("S1", ("source", "normal"), (8, 9, 10), 10),
        *counted("S1", ("target", "normal"), (1, 2, 3), 10),
        *counted("S1", ("source", "anomaly"), (9, 10, 10), 10),
        *counted("S5", ("source", "normal"), (0, 0, 0), 20, able=False),
        *counted("S5", ("target", "anomaly"), (0, 7, 8), 10, able=False),
    ]
    controls.show_rates(alarms.by_rate(pd.DataFrame(rows)), 0.12)
    page = open_shown()
    none = ["S5, held out", "0 of 40 (0 %, 0 % to 8.8 %), fewer than promised", ""]
    source = "16 of 20 (80 %, 56.3 % to 94.3 %), more than promised"
    target = "2 of 20 (10 %, 1.2 % to 31.7 %), in agreement"
    assert cells(page) == [
        ["", "false alarms, source", "false alarms, target", "hits"],
        ["promised", "10 %", "10 %", ""],
        ["S1, paper", source, target, "18 of 20 (90 %, 68.3 % to 98.8 %)"],
        [*none, "0 of 20 (0 %, 0 % to 16.8 %)"],
    ]
    short = page.get_by_text("too few training clips")
    assert short.inner_text().startswith(
        "S5, held out: too few training clips to promise 10 % on 1"
    )
    page.locator(".noUi-handle").focus()
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    source = "20 of 20 (100 %, 83.2 % to 100 %), more than promised"
    target = "6 of 20 (30 %, 11.9 % to 54.3 %), in agreement"
    assert cells(page)[1:] == [
        ["promised", "30 %", "30 %", ""],
        ["S1, paper", source, target, "20 of 20 (100 %, 83.2 % to 100 %)"],
        [*none, "16 of 20 (80 %, 56.3 % to 94.3 %)"],
    ]
    assert short.count() == 0
    shown = page.evaluate(
        """() => {
            const plot = [...Bokeh.index.roots][0].model.children[1];
            const {share, low, high} = plot.renderers[0].data_source.data;
            const line = plot.center.find(model => model.type == "Span");
            return [line.location, share[1], low[1].toFixed(3), high[1].toFixed(3)];
        }"""
    )
    assert shown == [0.3, 0.3, "0.119", "0.543"]
