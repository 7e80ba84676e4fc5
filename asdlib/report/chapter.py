"""What the chapters share: parameters, recordings, and numbered figures and tables.

Where a figure or a table is left out, because what it shows was not run, a sentence says why. Text
that refers to it, in any chapter, gets words in place of its number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from asdlib import study
from asdlib.io.files import resolve
from asdlib.io.folders import managed
from asdlib.params import Params, from_notebook
from asdlib.report import panels, style, tables

FIGURES = "the parameter figures"
"""How another folder for figures is given, for a sentence."""

_MARK = re.compile(r"<!-- left out: ([\w-]+) -->")  # readers do not see it
_RESULT = re.compile(r"\*\*(.+)\*\*\n\n<!-- result -->")
_ASIDE = re.compile(r" \([^()]*\)")  # how sure, which the chapter says
CONTENTS = "<!-- chapters -->"
"""Where the first page has the chapters with their results."""
_REFERENCE = re.compile(r"(\A|\n\n|[.?]\s+)?\{numref\}`([\w-]+)`")
_LABELLED = re.compile(r"^:name: (?:fig|tab)-", re.MULTILINE)
_NOTHING = "These recordings do not have what this figure needs."
_UNFOLDED = "<details><summary>Show the others</summary>\n\n![The same]({})\n\n</details>"
_NO_ROWS = "There is nothing to show here."


@dataclass(frozen=True)
class Chapter:
    """One chapter of the report, executed by papermill or open in JupyterLab.

    Attributes
    ----------
    params : of the study, from the parameters cell.
    recordings : the checked recordings of the study.
    folder : where the chapter's figures (SVG) and tables (CSV) are written.
    """

    params: Params
    recordings: study.Recordings
    folder: Path

    @classmethod
    def open(cls, namespace: Mapping[str, Any], *, players: bool = False) -> Chapter:
        """Read the parameters, check the recordings, set the style and say where numbers come from.

        Parameters
        ----------
        namespace : ``globals()`` of the notebook.
        players : whether the chapter plays sound or has charts that answer.

        Raises
        ------
        AsdError
            For a parameter or a recording that cannot be used.
        """
        params = from_notebook(namespace)
        folder = managed(resolve(params.figures), FIGURES)
        chapter = cls(params, study.open_recordings(params), folder)
        style.style()
        if players:
            panels.start()
        source = tables.escape(chapter.recordings.describe())
        chapter.say(f"*The numbers on this page come from {source}.*")
        return chapter

    def figure(
        self,
        draw: Callable[..., Any],
        *data: Any,
        label: str,
        caption: str,
        result: str = "",
        missing: str = _NOTHING,
        most: Mapping[str, int] | None = None,
        **options: Any,
    ) -> None:
        """Draw a figure and show it; without data, say why in one sentence, without a number.

        Parameters
        ----------
        draw : makes a figure; called as ``draw(*data, **options)`` where the first of ``data`` is
            a table with a value, or any other container that is not empty.
        label : file name and cross-reference name, such as ``fig-noise-floors``.
        caption : what to look at; MyST text.
        result : what the figure says, in one sentence before the caption; may be empty.
        missing : the reason why the figure cannot be drawn, in one sentence.
        most : a column of that table, or its index, to the number of its values that are shown at
            once, first those that the result names; the others are in a drawing that readers
            unfold.
        """
        if not _holds(data[0]):
            self._leave_out(label, missing)
            return
        caption = f"**{result}** {caption}" if result else caption
        first, others = _divided(data[0], most or {}, result)
        style.show_figure(draw(first, *data[1:], **options), label, caption, folder=self.folder)
        if others is not None:
            drawn = draw(others, *data[1:], **options)
            rest = style.save_figure(drawn, f"more-{label}", self.folder)
            self.say(_UNFOLDED.format(f"/figures/{rest.name}"))

    def table(
        self,
        df: pd.DataFrame,
        *,
        label: str,
        caption: str,
        columns: Sequence[str] = (),
        empty: str = _NO_ROWS,
        **options: Any,
    ) -> None:
        """Show a table, as :func:`asdlib.report.tables.show_table` does; without rows, say why.

        Parameters
        ----------
        columns : heads of those shown, of :mod:`asdlib.report.tables`; all as they are by default.
        empty : the reason why there are no rows, in one sentence.
        """
        if columns:
            df = tables.lay_out(df, columns)
        if df.empty:
            self._leave_out(label, empty)
            return
        tables.show_table(df, label, caption, folder=self.folder, **options)

    def _leave_out(self, label: str, why: str) -> None:
        """Say why a figure or table is not there, and let the pages know."""
        for last in self.folder.glob(f"{label}.*"):  # of a run that had it
            last.unlink()
        self.say(f"{why}\n\n<!-- left out: {label} -->".lstrip())

    say = staticmethod(tables.say)

    def result(self, text: str) -> None:
        """Show a chapter's result; the first page repeats it. Without one, nothing is shown."""
        if text:
            self.say(f"**{text}**\n\n<!-- result -->")


def _holds(data: Any) -> bool:
    return bool(data.notna().any(axis=None) if isinstance(data, pd.DataFrame) else len(data))


def _divided(data: Any, most: Mapping[str, int], result: str) -> tuple[Any, Any]:
    """Return what a figure shows at once, and what else there is, or None."""
    for column, count in most.items():
        keys = data.get(column, data.index.to_series())
        named = sorted(keys.unique(), key=lambda key: f"({tables.escape(str(key))}" not in result)
        at_once = keys.isin(named[:count])
        if not at_once.all():
            return data[at_once], data[~at_once]
    return data, None


def resolve_references(chapters: Mapping[str, Any]) -> None:
    """Change every reference to what is left out, and list the chapters where the first page does.

    Parameters
    ----------
    chapters : executed notebooks as nbformat reads them, by their names.
    """
    texts = {name: list(_texts(notebook)) for name, notebook in chapters.items()}
    missing, rows = set[str](), ["| chapter | result | figures and tables |", "|---|---|---|"]
    for name, own in texts.items():
        whole = "\n".join(place[key] for place, key in own)
        there, left_out = len(_LABELLED.findall(whole)), _MARK.findall(whole)
        missing.update(left_out)
        status = f"{there} of {there + len(left_out)}" if left_out else f"all {there}" * (there > 0)
        result = _ASIDE.sub("", next(iter(_RESULT.findall(whole)), "")).replace("|", "\\|")
        if name != "index":
            rows.append(f"| {{doc}}`/notebooks/{name}` | {result} | {status} |")
    for place, key in (text for own in texts.values() for text in own):
        place[key] = unnumbered(place[key].replace(CONTENTS, "\n".join(rows)), missing)


def _texts(notebook: Any) -> Iterator[tuple[Any, str]]:
    """Where a notebook has MyST text, its own and what its code has shown."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield cell, "source"
        for output in cell.get("outputs", []):
            if "text/markdown" in output.get("data", {}):
                yield output["data"], "text/markdown"


def unnumbered(text: str, missing: set[str]) -> str:
    r"""Put words in place of references to what is left out.

    Parameters
    ----------
    text : MyST.
    missing : labels; all other references stay.

    Examples
    --------
    >>> unnumbered("See {numref}`fig-a` and\n{numref}`tab-b`. {numref}`tab-b` ends.", {"tab-b"})
    'See {numref}`fig-a` and\nthe table that is left out. The table that is left out ends.'
    """

    def words(found: re.Match[str]) -> str:
        if found[2] not in missing:
            return found[0]
        kind = "figure" if found[2].startswith("fig") else "table"
        first = "the" if found[1] is None else f"{found[1]}The"
        return f"{first} {kind} that is left out"

    return _REFERENCE.sub(words, text)
