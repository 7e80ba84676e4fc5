"""Tables of the report: how each is laid out, and shown with a number; nothing is computed here.

Every column that a chapter shows has one head and one way to write it. All but differences of two
columns are computed elsewhere. A level that is not known is None, which a table shows as n/a; a
difference without anything to compare with is blank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import display

from asdlib.compare import findings
from asdlib.io import files
from asdlib.report.style import NAMES, SCORER_NAMES, system_name
from asdlib.runtime.errors import p_text

_MOST_ROWS = 10  # that are shown at once
_OF_SYSTEM = {
    "usual": "false alarms: usual",
    "changed": "changed",
    "found": "found",
    "unlabelled": "alarms among unlabelled clips",
}
_NAMES: dict[str, dict[Any, str]] = {
    "front_end": NAMES,
    "scorer": SCORER_NAMES,
    "trained": {True: "autoencoder", False: "none"},
}
"""Column to the names of its keys."""
COLUMNS = {
    "no training": "untrained",
    "front-end": "front_end",
    "score": "scorer",
    "training": "trained",
    "source AUC": "auc_source",
    "target AUC": "auc_target",
    "pAUC": "pauc",
    "Ω": "omega",
    "Ω before": "omega_against",
    "Ω of S5": "s5",
    "S5's lead (95 % interval)": "{lead mean:+.3f} ({lead low:+.3f} to {lead high:+.3f})|",
    "Ω without the check": "{unchecked:.3f}|",
    "Ω ± std": "{omega:.3f} ± {omega_std:.3f}|{omega:.3f}",
    "mean ± std": "{mean:.3f} ± {std:.3f}|{mean:.3f}",
    "95 % interval of the mean": "{low:.3f} to {high:.3f}|",
    "reported mean ± std": "{reported mean:.3f} ± {reported std:.3f}|{reported mean:.3f}",
    "difference": "{mean:+.3f} ± {std:.3f}|{mean:+.3f}|",
    "difference ± std": "{difference:+.3f} ± {difference_std:.3f}|{difference:+.3f}|",
    "difference, eq. 1 of the paper": "{eq1:+.3f} ± {eq1_std:.3f}|{eq1:+.3f}|",
    "difference (95 % interval)": "{mean:+.3f} ({low:+.3f} to {high:+.3f})|",
    "95 % interval": "{low:+.3f} to {high:+.3f}|",
    "p": "{p_t}|",
    "p (t)": "p_t",
    "p (Holm)": "p_holm",
    "p (Wilcoxon)": "p_wilcoxon",
    "in place of the champion": "verdict",
    "gain": "{gain:+.3f}|",
    "largest at one seed": "{most:+.3f}|",
    "seeds outside the band": "outside",
    "one seed": "one_seed",
    "ten seeds": "ten_seeds",
    "median G": "median_G",
    "AdaSub": "adasub",
    "CohGate": "cohgate",
    "noise removed (dB)": "noise",
    "machine sound lost (dB)": "machine_sound",
    "anomaly removed (dB)": "anomaly",
    "difference (dB)": "difference",
}
"""Head to the column that it shows, or to a form of :func:`written`."""
STEPS = (
    *("score", "source AUC", "target AUC", "pAUC", "Ω"),
    *("mean ± std", "difference ± std", "95 % interval", "p", "verdict"),
)
"""Of :func:`asdlib.compare.findings.steps`."""


def lay_out(table: pd.DataFrame, heads: Sequence[str]) -> pd.DataFrame:
    """Lay out a table for reading; pairs of front-end and scorer become the names of systems.

    Parameters
    ----------
    heads : of the columns shown, in order: keys of ``COLUMNS``, or columns of the table.

    >>> table = pd.DataFrame({"mean": [0.5, np.nan], "std": [0.01, np.nan], "seeds": [10, 0]})
    >>> print(lay_out(table, ["mean ± std", "seeds"]).to_string(index=False))
       mean ± std  seeds
    0.500 ± 0.010     10
              NaN      0
    """
    if table.empty:
        return table
    of_tests = table.filter(regex="^p_").map(p_text, na_action="ignore")
    table = table.assign(**of_tests.replace("< 0.001", "<\N{NO-BREAK SPACE}0.001"))
    shown: dict[str, list[Any]] = {}
    for head in heads:
        column = COLUMNS.get(head, head)
        if "{" in column:
            shown[head] = written(table, column)
        else:
            names = _NAMES.get(column, {})
            shown[head] = [
                system_name(*key) if isinstance(key, tuple) else names.get(key, key)
                for key in table[column]
            ]
    return pd.DataFrame(shown)


def written(table: pd.DataFrame, form: str) -> list[str | None]:
    """Return a cell a row, by the first of some formats whose columns all have a value, or None.

    Parameters
    ----------
    form : formats with the columns' names, divided by ``|``; an empty last one leaves a blank.

    >>> table = pd.DataFrame({"mean": [0.5, np.nan], "std": [np.nan, np.nan]})
    >>> written(table, "{mean:.2f} ± {std:.2f}|{mean:.2f}")
    ['0.50', None]
    """

    def cell(row: dict[Any, Any]) -> str | None:
        known = {name: value for name, value in row.items() if np.all(pd.notna(value))}
        for one in form.split("|"):
            with suppress(KeyError):
                return one.format_map(known)
        return None

    return [cell(row) for row in table.to_dict("records")]


def front_ends(
    names: Sequence[str],
    measured: Mapping[str, pd.DataFrame],
    compared: pd.DataFrame,
    reported: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    """Put the measured Omega of every front-end beside the reported one.

    Parameters
    ----------
    measured : head of a column to mean and std of every front-end in ``names``.
    compared : of :meth:`asdlib.compare.statistics.Results.paired`, each with the near microphone.
    reported : rows of the paper's Table 2.
    """
    given = pd.DataFrame(reported).set_index("front_end").reindex(list(names))
    spread = COLUMNS["mean ± std"]
    verdicts = {own[0]: verdict for own, verdict in compared[["system", "verdict"]].to_numpy()}
    return pd.DataFrame(
        {
            "front-end": [NAMES[name] for name in names],
            **{head: written(rows, spread) for head, rows in measured.items()},
            "verdict": [verdicts.get(name, "") for name in names],
            "reported, all": written(given, spread),
            "reported, fan": written(given, "{fan_mean:.3f} ± {fan_std:.3f}"),
        }
    )


def percent(share: float) -> str:
    """Return a share in percent, with one decimal where it is not whole; halves are rounded up.

    The pages' scripts do the same.

    >>> [percent(share) for share in (0.1, 0.125, 0.0125, 1)]
    ['10 %', '12.5 %', '1.3 %', '100 %']
    """
    return f"{np.floor(1000 * share + 0.5) / 10:g} %"


def of(count: int, whole: int) -> str:
    """Return a count, its whole and its share.

    >>> of(12, 96)
    '12 of 96 (12.5 %)'
    """
    return f"{count} of {whole} ({percent(count / whole)})"


def entries(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Index and name of every row of :func:`asdlib.compare.findings.overview`."""
    found = []
    for key, row in table.iterrows():
        name = system_name(*row["title"].split("/")) if key == "highest" else str(key)
        found.append((str(key), f"{name}, by labels" if row["by_labels"] else name))
    return found


def overview(table: pd.DataFrame, best: str) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.findings.overview` for the first page.

    Parameters
    ----------
    best : the system that the differences are to.
    """
    if table.empty:
        return table
    shown = findings.by_machine(table).T.round(3)
    if len(shown.columns) > 1 and best:
        shown["all"] = table["overall"].round(3)
    if best:
        difference = COLUMNS["difference (95 % interval)"]
        shown[f"{best} minus it (95 %)"] = written(table, difference)
    for kind, head in _OF_SYSTEM.items():
        if kind in table and not (kind == "unlabelled" and best):
            cells = [of(*own) if isinstance(own, tuple) else "" for own in table[kind]]
            shown[head] = [cell.replace(" %", "\N{NO-BREAK SPACE}%") for cell in cells]
    titles = [
        own if table["by_labels"][key] else f"{own}: {table['title'][key]}"
        for key, own in entries(table)
    ]
    shown.insert(0, "system", titles)
    return shown


def alarms(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.alarms.by_domain`: a row per rule and domain."""
    if table.empty:
        return table
    values: Any = table[["alarms", "clips", "low", "high"]].itertuples(index=False)
    cells = [f"{of(a, n)[:-1]}, {percent(low)} to {percent(high)})" for a, n, low, high in values]
    names = {"normal": "false alarms", "anomaly": "hits"}
    rows = table.assign(cells=cells).pivot_table(
        "cells", ["system", "rule", "domain"], "label", aggfunc="first", sort=False
    )
    return rows.rename(columns=names).reindex(columns=list(names.values())).reset_index()


def by_machine(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out a table indexed by machine and ``overall``: the official score is the last row."""
    return table.rename(index={"overall": "all"}).rename_axis("machine").reset_index()


def by_gain(table: pd.DataFrame, front_end: str) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.untrained.by_gain`: a column per gain.

    Parameters
    ----------
    front_end : that all rows have.
    """
    kinds = zip(table["scorer"], table["level_free"], strict=True)
    systems = [system_name(front_end, own) + ", level-free" * free for own, free in kinds]
    shown = table.drop(columns=["scorer", "level_free"])
    shown = shown.rename(columns=lambda gain: f"{gain:+g} dB" if gain else "0 dB")
    shown.insert(0, "system", systems)
    return shown


def show_table(
    df: pd.DataFrame,
    label: str,
    caption: str,
    *,
    folder: Path,
    decimals: int = 3,
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

    def text(value: object) -> str:
        if isinstance(value, float | np.floating):
            return f"{value:.{decimals}f}" if np.isfinite(value) else missing
        return missing if value is None else str(value)

    with files.replacing(folder / f"{label}.csv") as beside:
        df.to_csv(beside, index=False)
    shown = df.astype(object).map(text)
    rule = ["---:" if pd.api.types.is_numeric_dtype(dtype) else ":---" for dtype in df.dtypes]
    rows = [map(escape, map(str, df.columns)), rule, *(map(escape, r) for r in shown.to_numpy())]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    few = 2 + (_MOST_ROWS if len(df) > 1.2 * _MOST_ROWS else len(df))  # head and rule count
    with pd.option_context("display.max_colwidth", None):
        plain = f"<p>{caption}</p>{shown.to_html(index=False)}"
    table = "\n".join([f"~~~{{table}} {caption}", f":name: {label}", "", *lines[:few], "~~~"])
    block = f"{table}\n\n{{download}}`CSV </figures/{label}.csv>`"
    if others := lines[few:]:
        folded = "\n".join([*lines[:2], *others])
        block += (
            f"\n\n<details><summary>Show {len(others)} more</summary>\n\n{folded}\n\n</details>"
        )
    display({"text/markdown": block, "text/html": plain, "text/plain": caption}, raw=True)


def say(text: str) -> None:
    """Prose with measured values in it, as MyST text."""
    display({"text/markdown": text, "text/plain": text}, raw=True)


def escape(text: str) -> str:
    r"""Return text in which nothing is markup: names of files and machines are data.

    >>> print(escape("<b> of a\nname"))
    \<b\> of a\\x0aname
    """
    text = "".join(c if c.isprintable() or c == "\xa0" else f"\\x{ord(c):02x}" for c in text)
    for mark in "\\|*_`[]<>{}$#":
        text = text.replace(mark, "\\" + mark)
    return text
