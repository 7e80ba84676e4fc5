"""What the chapters share: parameters, recordings, and numbered figures and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from asdlib import study
from asdlib.io import owned
from asdlib.io.files import resolve
from asdlib.params import Params, from_notebook
from asdlib.report import layouts, left_out, panels, style, tables

_NOTHING = "These recordings do not have what this figure needs."
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
    def open(
        cls, namespace: Mapping[str, Any], *, numbers_from: str = "{}", players: bool = False
    ) -> Chapter:
        """Read the parameters, check the recordings, set the style and say where numbers come from.

        Parameters
        ----------
        namespace : ``globals()`` of the notebook.
        numbers_from : what the chapter's numbers are measured on; ``{}`` is replaced by the
            description of the recordings.
        players : whether the chapter plays sound or has charts that answer.

        Raises
        ------
        AsdError
            For a parameter or a recording that cannot be used.
        """
        params = from_notebook(namespace)
        chapter = cls(params, study.open_recordings(params), resolve(params.figures))
        style.style()
        if players:
            panels.start()
        source = numbers_from.format(tables.escape(chapter.recordings.describe()))
        chapter.say(f"*The numbers on this page come from {source}.*")
        return chapter

    def figure(
        self,
        draw: Callable[..., Any],
        *data: Any,
        label: str,
        caption: str,
        needs: str | None = None,
        missing: str = _NOTHING,
        **options: Any,
    ) -> None:
        """Draw a figure and show it; without data, say why in one sentence, without a number.

        Parameters
        ----------
        draw : makes a figure; called as ``draw(*data, **options)`` where the first of ``data`` is
            a table with a value, or any other container that is not empty.
        label : file name and cross-reference name, such as ``fig-noise-floors``.
        caption : what to look at; MyST text.
        needs : a column of that table in which there has to be a value.
        missing : the reason why the figure cannot be drawn, in one sentence.
        """
        if not _holds(data[0], needs):
            self._leave_out(label, missing)
            return
        style.show_figure(draw(*data, **options), label, caption, folder=self.folder)

    def table(
        self,
        df: pd.DataFrame,
        *,
        label: str,
        caption: str,
        columns: Mapping[str, layouts.Column] | None = None,
        empty: str = _NO_ROWS,
        **options: Any,
    ) -> None:
        """Show a table, as :func:`asdlib.report.tables.show_table` does; without rows, say why.

        Parameters
        ----------
        columns : which columns are shown, and how: of :mod:`asdlib.report.layouts`; all by default.
        empty : the reason why there are no rows, in one sentence.
        """
        if columns is not None:
            df = layouts.lay_out(df, columns)
        if df.empty:
            self._leave_out(label, empty)
            return
        tables.show_table(df, label, caption, folder=self.folder, **options)

    def _leave_out(self, label: str, why: str) -> None:
        """Say why a figure or table is not there, and let the pages know."""
        for last in self.folder.glob(f"{label}.*"):  # of a run that had it
            owned.remove(last)
        self.say(f"{why}\n\n{left_out.mark(label)}".lstrip())

    def say(self, text: str) -> None:
        """Show a paragraph of MyST text with measured values in it."""
        tables.say(text)


def _holds(data: Any, column: str | None) -> bool:
    if not len(data) or not isinstance(data, pd.DataFrame):
        return len(data) > 0
    return bool((data if column is None else data[[column]]).notna().any(axis=None))
