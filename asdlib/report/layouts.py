"""How tables are laid out for reading: which columns they show, and how their cells are written.

All but differences of two columns are computed elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from asdlib.report.style import NAMES, SCORER_NAMES, system_name

Column = str | Callable[[pd.DataFrame], Sequence[object]]
"""A column of a table by its name, or what makes the cells of one."""


def lay_out(table: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Lay out a table for reading.

    Parameters
    ----------
    columns : head of every column shown to the column that it shows, or to what makes its cells.

    >>> table = pd.DataFrame({"mean": [0.5, np.nan], "std": [0.01, np.nan], "seeds": [10, 0]})
    >>> print(lay_out(table, {"Ω": spread("mean", "std"), "seeds": "seeds"}).to_string(index=False))
                  Ω  seeds
    0.5000 ± 0.0100     10
                         0
    """
    if table.empty:
        return table
    cells = {
        head: table[own].to_list() if isinstance(own, str) else own(table)
        for head, own in columns.items()
    }
    return pd.DataFrame(cells)


def spread(mean: str, std: str, *, sign: str = "", missing: str = "") -> Column:
    """Cells with a mean and its standard deviation; ``sign="+"`` for differences."""

    def cell(m: float, s: float) -> str:
        scatter = f" ± {s:.4f}" if np.isfinite(s) else ""
        return f"{m:{sign}.4f}{scatter}" if np.isfinite(m) else missing

    return lambda table: list(map(cell, table[mean], table[std]))


def interval(form: str) -> Column:
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


def number(column: str, form: str = ".4f") -> Column:
    """Cells with one number, blank where there is none."""
    return lambda table: [
        f"{value:{form}}" if np.isfinite(value) else "" for value in table[column]
    ]


def named(column: str, names: Mapping[Any, str]) -> Column:
    """Cells with names in place of keys; a key without one stands as it is."""
    return lambda table: [
        "" if key is None or key != key else names.get(key, key) for key in table[column]
    ]


def system(column: str) -> Column:
    """Cells with the name of a system, a pair of front-end and scorer."""
    return lambda table: [system_name(*own) for own in table[column]]


_PARTS: dict[str, Column] = {
    "source AUC": "auc_source",
    "target AUC": "auc_target",
    "pAUC": "pauc",
}
_OMEGA = spread("omega", "omega_std")
_CHANGE = spread("mean", "std", sign="+")
_VERDICT = named("verdict", {})
STEPS: dict[str, Column] = {
    "score": named("scorer", SCORER_NAMES),
    **_PARTS,
    "Ω": "omega",
    "mean ± std": spread("mean", "std", missing="n/a"),
    "difference ± std": spread("difference", "difference_std", sign="+"),
    "95 % interval": interval("+.4f"),
    "p": number("p_t"),
    "verdict": "verdict",
}
"""Of :func:`asdlib.compare.findings.steps`."""
RETENTION: dict[str, Column] = {
    "machine": "machine",
    "front-end": named("front_end", NAMES),
    "noise removed (dB)": "noise",
    "anomaly removed (dB)": "anomaly",
    "difference (dB)": "difference",
}
"""Of :func:`asdlib.measure.removal.overall`."""
LADDER: dict[str, Column] = {
    "system": "system",
    "mean ± std": spread("mean", "std", missing="n/a"),
    "95 % interval": interval(".3f"),
    "ensemble": "ensemble",
    "in place of the champion": "verdict",
    "reported mean ± std": spread("reported mean", "reported std", missing="n/a"),
    "reported ensemble": "reported ensemble",
}
"""Of :func:`asdlib.compare.findings.ladder`."""
PAIRED: dict[str, Column] = {
    "system": system("system"),
    "against": system("against"),
    "difference": _CHANGE,
    "p (t)": "p_t",
    "p (Holm)": "p_holm",
    "p (Wilcoxon)": "p_wilcoxon",
    "95 % interval": interval("+.4f"),
    "verdict": "verdict",
}
"""Of :meth:`asdlib.compare.statistics.Results.paired`."""
CHAMPION: dict[str, Column] = {
    "idea": "idea",
    "Ω": _OMEGA,
    "difference": _CHANGE,
    "p": number("p_t"),
    "95 % interval": interval("+.4f"),
    "difference, eq. 1": spread("eq1", "eq1_std", sign="+"),
    "verdict": "verdict",
}
"""Of :func:`asdlib.compare.negative.against_champion`; blank where an idea was not run."""
UNTRAINED: dict[str, Column] = {
    "system": system("system"),
    "training": named("trained", {True: "autoencoder", False: "none"}),
    **_PARTS,
    "Ω": "omega",
    "difference (95 % interval)": difference,
    "verdict": _VERDICT,
}
"""Of :func:`asdlib.compare.untrained.against_autoencoders`."""
GAIN: dict[str, Column] = {
    "machine": "machine",
    "autoencoder": system("autoencoder"),
    "no training": system("untrained"),
    "difference": number("gain", "+.4f"),
}
"""Of :func:`asdlib.compare.untrained.autoencoder_gain`."""
BUILD_UP: dict[str, Column] = {
    "step": "step",
    "Ω": _OMEGA,
    "change": _CHANGE,
    "p": number("p_t"),
    "largest at one seed": number("most", "+.4f"),
    "seeds outside the band": "outside",
}
"""Of :func:`asdlib.compare.negative.build_up_steps`."""
ADASUB: dict[str, Column] = {
    "score": named("scorer", SCORER_NAMES),
    "front-end": named("front_end", NAMES),
    "Ω": spread("omega", "std"),
    "ensemble": "ensemble",
    **_PARTS,
    "against AdaSub": difference,
    "p": number("p_t"),
    "verdict": _VERDICT,
}
"""Of :func:`asdlib.compare.findings.against_adasub`."""
BENCHMARKS: dict[str, Column] = {
    "what": "name",
    "measured": lambda table: [
        f"{value:{',.0f' if abs(value) >= 100 else '.3g'}} {unit}".strip()
        for value, unit in zip(table["value"], table["unit"], strict=True)
    ],
    "target": named("target", {}),
    "": named("met", {True: "met", False: "missed"}),
}
"""Of what ``make bench`` measured: name, value, unit, target, and whether it is met."""


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
    entries: Sequence[Mapping[str, Any]],
    measured: Mapping[str, Sequence[Mapping[str, float]]],
    compared: pd.DataFrame,
) -> pd.DataFrame:
    """Put the measured Omega of every front-end beside the reported one.

    Parameters
    ----------
    entries : of :func:`asdlib.report.paper.table_2`.
    measured : head of a column to mean and std of every entry's front-end.
    compared : of :meth:`asdlib.compare.statistics.Results.paired`, each with the near microphone.
    """
    verdicts = {own[0]: verdict for own, verdict in compared[["system", "verdict"]].to_numpy()}
    columns: dict[str, Column] = {
        "front-end": named("front_end", NAMES),
        **{head: spread(f"{head} mean", f"{head} std", missing="n/a") for head in measured},
        "verdict": _VERDICT,
        "reported, all": spread("mean", "std", missing="n/a"),
        "reported, fan": spread("fan_mean", "fan_std", missing="n/a"),
    }
    parts = [pd.DataFrame(rows).add_prefix(f"{head} ") for head, rows in measured.items()]
    table = pd.concat([pd.DataFrame(entries), *parts], axis=1)
    return lay_out(table.assign(verdict=table["front_end"].map(verdicts)), columns)


def alarms(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.alarms.by_domain`: a row per rule and domain."""
    if table.empty:
        return table
    told = [
        f"{row.alarms} of {row.clips}: {row.share:.0%} ({row.low:.0%} to {row.high:.0%})"
        for row in table.itertuples()
    ]
    names = {"normal": "false alarms", "anomaly": "hits"}
    rows = table.assign(told=told).pivot_table(
        "told", ["system", "rule", "domain"], "label", aggfunc="first", sort=False
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
