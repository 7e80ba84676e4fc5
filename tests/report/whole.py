"""What a whole report has: every figure and table, numbered once or said to be missing."""

import re

import nbformat

from asdlib.io import files
from asdlib.report import build
from asdlib.report.left_out import mark, resolve

FIGURES = {
    "fig-ladder",
    "fig-noise-floors",
    "fig-transfer",
    "fig-percentile",
    "fig-spectrograms",
    "fig-attenuation",
    "fig-removal",
    "fig-retention",
    "fig-learning",
    "fig-sensitivity",
    "fig-aggressiveness",
    "fig-seeds",
    "fig-decomposition",
    "fig-machines",
    "fig-failures",
    "fig-enough",
    "fig-reading",
    "fig-build-up",
    "fig-negative",
    "fig-growth",
    "fig-bound",
    "fig-context",
    "fig-length",
    "fig-leak",
    "fig-distance",
    "fig-room",
    "fig-sources",
    "fig-phase-machines",
}
TABLES = {
    "tab-transfer",
    "tab-transfer-reported",
    "tab-snr-gain",
    "tab-retention",
    "tab-front-ends",
    "tab-choice",
    "tab-choice-reported",
    "tab-ladder",
    "tab-paired",
    "tab-steps",
    "tab-alone",
    "tab-steps-reported",
    "tab-systems",
    "tab-systems-reported",
    "tab-decisions",
    "tab-rules",
    "tab-promised",
    "tab-monitor",
    "tab-found",
    "tab-fixed",
    "tab-gates",
    "tab-phase",
    "tab-baseline",
    "tab-rule",
    "tab-recordings",
    "tab-parameters",
    "tab-versions",
    "tab-units",
    "tab-build-up",
    "tab-negative",
    "tab-negative-reported",
    "tab-benchmarks",
    "tab-untrained",
    "tab-autoencoder",
}
OF_VIEWS = {"fig-level", "tab-level", "tab-ablation", "fig-clips", "tab-gain"}
"""Only where detectors without training were run, and Ω can be computed."""


def text_of(page):
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


NOT_TRAINED = {
    *("fig-learning", "fig-seeds", "tab-paired", "tab-baseline", "tab-rule", "tab-units"),
    *("tab-steps", "tab-alone", "fig-decomposition", "fig-sensitivity", "tab-autoencoder"),
    *("fig-build-up", "tab-build-up", "fig-negative", "tab-negative"),
}
NO_PHASE = {"tab-phase", "fig-phase-machines"}
NOT_MEASURED = {"tab-benchmarks", "fig-growth"}
NO_OMEGA = {
    *("fig-ladder", "fig-phase-machines", "tab-autoencoder"),
    *("fig-seeds", "fig-decomposition", "fig-sensitivity", "fig-aggressiveness", "fig-machines"),
    *("fig-build-up", "tab-build-up", "fig-negative"),
    *OF_VIEWS,
}
NO_SYSTEM = {"fig-failures", "fig-machines", "tab-decisions", "tab-found", "tab-rules"}
NO_TEST_CLIP = {
    "fig-ladder",
    *("fig-attenuation", "tab-choice", "tab-untrained", "tab-monitor", "fig-reading"),
    *NOT_TRAINED - {"fig-learning", "tab-units"},
}
FEW_CLIPS = {"fig-enough"}
NO_TRUTH = {
    *("fig-removal", "tab-snr-gain", "fig-retention", "tab-retention"),
    *("fig-bound", "fig-context", "fig-length", "fig-leak", "tab-fixed", "tab-gates"),
    *("fig-distance", "fig-room", "fig-sources"),
}


def assert_whole(chosen, pages, left_out):
    """Every chapter is there, and every figure and table is numbered once or said to be missing."""
    paths = [pages / "index.html", *(pages / "notebooks").glob("*.html")]
    html = {path.stem: path.read_text(encoding="utf-8") for path in paths}
    first = {
        stem: re.search(r"</h1>.*?<p>(.*?)</p>", page, re.DOTALL)[1] for stem, page in html.items()
    }
    _assert_labels(chosen, html, left_out, 'id="{}"')
    _assert_sources(first)
    assert (pages / "_images" / "pipeline.svg").exists()
    return html


def assert_chapters(chosen, folder, left_out):
    """The same of executed chapters, and that they refer to nothing that is left out."""
    chapters = {path.stem: nbformat.read(path, as_version=4) for path in folder.glob("*.ipynb")}
    outputs = {
        stem: [out["data"] for cell in own.cells for out in cell.get("outputs", ())]
        for stem, own in chapters.items()
    }
    said = {stem: [d.get("text/markdown", "") for d in own] for stem, own in outputs.items()}
    _assert_labels(
        chosen, {stem: "\n".join(own) for stem, own in said.items()}, left_out, ":name: {}\n"
    )
    _assert_sources({stem: "".join(own) for stem, own in said.items()})
    resolve(chapters.values())
    prose = {
        stem: [cell.source for cell in own.cells if cell.cell_type == "markdown"]
        for stem, own in chapters.items()
    }
    text = {
        stem: "\n".join([*prose[stem], *(d.get("text/markdown", "") for d in outputs[stem])])
        for stem in chapters
    }
    referred = set(re.findall(r"{numref}`([\w-]+)`", "".join(text.values())))
    assert referred
    assert referred <= (FIGURES | TABLES | OF_VIEWS) - left_out
    return text


def _assert_labels(chosen, text, left_out, numbered):
    assert set(text) == set(build.CHAPTERS)
    whole = "\n".join(text.values())
    folder = files.resolve(chosen.figures)
    drawn = {p.stem for p in folder.glob("fig-*.svg")} | {p.stem for p in folder.glob("tab-*.csv")}
    assert drawn == (FIGURES | TABLES | OF_VIEWS) - left_out
    for label in FIGURES | TABLES | OF_VIEWS:
        assert whole.count(numbered.format(label)) == (label not in left_out), label
        assert whole.count(mark(label)) == (label in left_out - OF_VIEWS), label


def _assert_sources(first):
    for stem, sentence in first.items():
        assert "The numbers on this page come from" in sentence, stem
        assert "manifest" in sentence, stem
