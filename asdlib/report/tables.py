"""Tables of the report: data in, a numbered table out; nothing is computed here."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import display

from asdlib.io import files


def show_table(
    df: pd.DataFrame,
    label: str,
    caption: str,
    *,
    folder: Path,
    decimals: int = 4,
    missing: str = "n/a",
) -> None:
    """Write ``<folder>/<label>.csv`` and show the table: numbered in the report, plain in Lab.

    Parameters
    ----------
    df : shown as it is, without its index.
    label : file name and cross-reference name, such as ``tab-ladder``.
    decimals : of floating-point values.
    missing : stands where a number cannot be computed.
    """
    with files.replacing(folder / f"{label}.csv") as beside:
        df.to_csv(beside, index=False)
    cells = [[_text(value, decimals, missing) for value in row] for row in df.to_numpy(object)]
    heads = [str(column) for column in df.columns]
    numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in df.dtypes]
    rule = ["---:" if number else ":---" for number in numeric]
    lines = [_line(map(escape, heads)), _line(rule), *(_line(map(escape, row)) for row in cells)]
    block = f"```{{table}} {caption}\n:name: {label}\n\n" + "\n".join(lines) + "\n```"
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells
    )
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    plain = f"<p>{caption}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    display({"text/markdown": block, "text/html": plain, "text/plain": caption}, raw=True)


def say(text: str) -> None:
    """Prose with measured values in it, as MyST text."""
    display({"text/markdown": text, "text/plain": text}, raw=True)


def _text(value: object, decimals: int, missing: str) -> str:
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return missing
    if isinstance(value, float | np.floating):
        return f"{value:.{decimals}f}"
    return str(value)


def _line(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def escape(text: str) -> str:
    r"""Return text in which nothing is markup: names of files and machines are data.

    >>> print(escape("<b> of a\nname"))
    \<b\> of a\\x0aname
    """
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    for mark in "\\|*_`[]<>{}$#":
        text = text.replace(mark, "\\" + mark)
    return text
