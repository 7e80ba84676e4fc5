"""What a whole report has: every figure and table of the chapters, once or said to be missing."""

import re

import nbformat

from asdlib.report import build, execution

LABELS = {
    label
    for chapter in build.CHAPTERS
    for label in execution.LABEL.findall(execution.read(chapter))
}
OF_VIEWS = {"tab-level", "tab-ablation", "fig-clips", "tab-gain"}
"""Without detectors that are not trained, one sentence stands for all of these."""


def text_of(page):
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


def drawn(folder):
    """Labels of the figures and tables in a folder."""
    return {path.stem for pattern in ("fig-*.svg", "tab-*.csv") for path in folder.glob(pattern)}


def said(folder):
    """What executed chapters show, as MyST, by chapter."""
    return {
        path.stem: "\n".join(
            output["data"].get("text/markdown", "")
            for cell in nbformat.read(path, as_version=4).cells
            for output in cell.get("outputs", ())
            if "data" in output
        )
        for path in folder.glob("*.ipynb")
    }
