"""How tables are laid out: every column that a chapter shows has one head and one way to write it.

All but differences of two columns are computed elsewhere. A level that is not known is None, which
a table shows as n/a; a difference without anything to compare with is blank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from asdlib.report.style import NAMES, SCORER_NAMES, system_name

Cells = Callable[[pd.DataFrame], Sequence[object]]
"""Makes the cells of one column from a table."""


def lay_out(table: pd.DataFrame, heads: Sequence[str]) -> pd.DataFrame:
    """Lay out a table for reading.

    Parameters
    ----------
    heads : of the columns shown, in order: keys of ``COLUMNS``, or columns of the table.

    >>> table = pd.DataFrame({"mean": [0.5, np.nan], "std": [0.01, np.nan], "seeds": [10, 0]})
    >>> print(lay_out(table, ["mean ± std", "seeds"]).to_string(index=False))
         mean ± std  seeds
    0.5000 ± 0.0100     10
                NaN      0
    """
    if table.empty:
        return table
    made = {head: COLUMNS.get(head, head) for head in heads}
    return pd.DataFrame(
        {
            head: list(table[own] if isinstance(own, str) else own(table))
            for head, own in made.items()
        }
    )


def value(column: str, std: str = "", form: str = ".4f", *, missing: str | None = None) -> Cells:
    """Cells with one value, and its standard deviation where that is known."""

    def cell(own: float, spread: float) -> str | None:
        scatter = f" ± {spread:.4f}" if np.isfinite(spread) else ""
        return f"{own:{form}}{scatter}" if np.isfinite(own) else missing

    def cells(table: pd.DataFrame) -> list[str | None]:
        spreads = table[std] if std else [np.nan] * len(table)
        return list(map(cell, table[column], spreads))

    return cells


def change(column: str, std: str = "") -> Cells:
    """Cells with a difference; blank where there is nothing to compare with."""
    return value(column, std, "+.4f", missing="")


def interval(form: str) -> Cells:
    """Cells with the columns low and high, blank where they are not known."""
    return lambda table: [
        f"{low:{form}} to {high:{form}}" if np.isfinite(low) else ""
        for low, high in zip(table["low"], table["high"], strict=True)
    ]


def difference(table: pd.DataFrame) -> list[str]:
    """Cells with the columns mean, low and high, blank where they are not known."""
    return [
        f"{mean:+.4f} ({low:+.3f} to {high:+.3f})" if np.isfinite(mean + low) else ""
        for mean, low, high in zip(table["mean"], table["low"], table["high"], strict=True)
    ]


def named(column: str, names: Mapping[Any, str]) -> Cells:
    """Cells with names in place of keys; a key without one stands as it is, a missing one blank."""
    return lambda table: ["" if pd.isna(key) else names.get(key, key) for key in table[column]]


def system(column: str) -> Cells:
    """Cells with the name of a system, where it is a pair of front-end and scorer."""
    return lambda table: [
        system_name(*own) if isinstance(own, tuple) else own for own in table[column]
    ]


def measured(table: pd.DataFrame) -> list[str]:
    """Cells with three digits of a value, and its unit."""
    return [
        f"{own:{',.0f' if abs(own) >= 100 else '.3g'}} {unit}".strip()
        for own, unit in zip(table["value"], table["unit"], strict=True)
    ]


COLUMNS: dict[str, str | Cells] = {
    "system": system("system"),
    "against": system("against"),
    "autoencoder": system("autoencoder"),
    "no training": system("untrained"),
    "front-end": named("front_end", NAMES),
    "score": named("scorer", SCORER_NAMES),
    "training": named("trained", {True: "autoencoder", False: "none"}),
    "source AUC": "auc_source",
    "target AUC": "auc_target",
    "pAUC": "pauc",
    "Ω": "omega",
    "Ω ± std": value("omega", "omega_std"),
    "mean ± std": value("mean", "std"),
    "95 % interval of the mean": interval(".3f"),
    "reported mean ± std": value("reported mean", "reported std"),
    "difference": change("mean", "std"),
    "change": change("mean", "std"),
    "difference ± std": change("difference", "difference_std"),
    "difference, eq. 1": change("eq1", "eq1_std"),
    "difference (95 % interval)": difference,
    "95 % interval": interval("+.4f"),
    "p": value("p_t", missing=""),
    "p (t)": "p_t",
    "p (Holm)": "p_holm",
    "p (Wilcoxon)": "p_wilcoxon",
    "verdict": named("verdict", {}),
    "in place of the champion": named("verdict", {}),
    "gain": change("gain"),
    "largest at one seed": change("most"),
    "seeds outside the band": "outside",
    "one seed": "one_seed",
    "ten seeds": "ten_seeds",
    "median G": "median_G",
    "AdaSub": "adasub",
    "CohGate": "cohgate",
    "noise removed (dB)": "noise",
    "anomaly removed (dB)": "anomaly",
    "difference (dB)": "difference",
    "what": "name",
    "measured": measured,
    "target": named("target", {}),
    "result": named("met", {True: "met", False: "missed"}),
}
"""Head to the column it shows, or to what makes its cells."""
_PARTS = ("source AUC", "target AUC", "pAUC", "Ω")
_COMPARED = ("mean ± std", "difference ± std", "95 % interval", "p", "verdict")
STEPS = ("score", *_PARTS, *_COMPARED)
"""Of :func:`asdlib.compare.findings.steps`."""


def snr_gain(removed: pd.DataFrame) -> pd.DataFrame:
    """Gain in signal-to-noise ratio, in dB: noise removed minus machine sound lost.

    Parameters
    ----------
    removed : of :func:`asdlib.measure.removal.removal`.

    Returns
    -------
    DataFrame with machine and a column per front-end.
    """
    gain = removed.assign(gain=removed["noise"] - removed["machine_sound"])
    wide = gain.pivot(index="machine", columns="front_end", values="gain")
    return wide[[name for name in NAMES if name in wide]].rename(columns=NAMES).reset_index()


def front_ends(
    names: Sequence[str],
    measured: Mapping[str, Sequence[Mapping[str, float]]],
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
    verdicts = {own[0]: verdict for own, verdict in compared[["system", "verdict"]].to_numpy()}
    spread = value("mean", "std")
    return pd.DataFrame(
        {
            "front-end": [NAMES[name] for name in names],
            **{head: spread(pd.DataFrame(rows)) for head, rows in measured.items()},
            "verdict": [verdicts.get(name, "") for name in names],
            "reported, all": spread(given),
            "reported, fan": value("fan_mean", "fan_std")(given),
        }
    )


def alarms(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.alarms.by_domain`: a row per rule and domain."""
    if table.empty:
        return table
    cells = [
        f"{row.alarms} of {row.clips}: {row.share:.0%} ({row.low:.0%} to {row.high:.0%})"
        for row in table.itertuples()
    ]
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
    systems = [
        f"{system_name(front_end, scorer)}{', level-free' if free else ''}"
        for scorer, free in zip(table["scorer"], table["level_free"], strict=True)
    ]
    shown = table.drop(columns=["scorer", "level_free"])
    shown = shown.rename(columns={gain: f"{gain:+g} dB" if gain else "0 dB" for gain in shown})
    shown.insert(0, "system", systems)
    return shown
