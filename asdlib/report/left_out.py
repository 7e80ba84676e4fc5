"""Figures and tables that a report leaves out, because what they show was not run.

A chapter says why in one sentence, see :class:`asdlib.report.chapter.Chapter`. Its text may still
refer to them, in that chapter and in others: such a reference becomes words without a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_MARK = re.compile(r"<!-- left out: ([\w-]+) -->")
_REFERENCE = re.compile(r"(\A|\n\n|[.?]\s+)?\{numref\}`([\w-]+)`")


def mark(label: str) -> str:
    """Return what a chapter writes in place of a figure or table; readers do not see it.

    >>> labels([mark("fig-learning")])
    {'fig-learning'}
    """
    return f"<!-- left out: {label} -->"


def labels(texts: Iterable[str]) -> set[str]:
    """All that is marked in these texts as left out."""
    return {label for text in texts for label in _MARK.findall(text)}


def unnumbered(text: str, missing: set[str]) -> str:
    """Put words in place of references to what is left out.

    Parameters
    ----------
    text : MyST.
    missing : labels, see :func:`labels`; all other references stay.

    Examples
    --------
    >>> unnumbered("See {numref}`fig-a` and {numref}`tab-b`. {numref}`tab-b` ends.", {"tab-b"})
    'See {numref}`fig-a` and the table that is left out. The table that is left out ends.'
    """

    def words(found: re.Match[str]) -> str:
        if found[2] not in missing:
            return found[0]
        kind = "figure" if found[2].startswith("fig") else "table"
        first = "the" if found[1] is None else f"{found[1]}The"
        return f"{first} {kind} that is left out"

    return _REFERENCE.sub(words, text)


def resolve(notebooks: Iterable[Any]) -> None:
    """Change every reference to what is left out, in executed chapters as nbformat reads them."""
    chapters = list(notebooks)
    outputs = [
        output["data"]
        for chapter in chapters
        for cell in chapter.cells
        for output in cell.get("outputs", [])
        if "text/markdown" in output.get("data", {})
    ]
    missing = labels(data["text/markdown"] for data in outputs)
    for data in outputs:
        data["text/markdown"] = unnumbered(data["text/markdown"], missing)
    for cell in (cell for chapter in chapters for cell in chapter.cells):
        if cell.cell_type == "markdown":
            cell.source = unnumbered(cell.source, missing)
