"""Tables of the report: data in, a numbered table out.

Values are laid out here; all but differences of two columns are computed elsewhere.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import display

from asdlib.io import owned


def show_table(
    df: pd.DataFrame,
    label: str,
    caption: str,
    *,
    folder: Path,
    decimals: int = 4,
    missing: str = "n/a",
    empty: str = "nothing to show",
) -> None:
    """Write ``<folder>/<label>.csv`` and show the table: numbered in the report, plain in Lab.

    Parameters
    ----------
    df : shown as it is, without its index.
    label : file name and cross-reference name, such as ``tab-ladder``.
    decimals : of floating-point values.
    missing : stands where a number cannot be computed.
    empty : stands in place of the rows where there are none, and says why.
    """
    if df.empty:
        df = pd.DataFrame({"": [empty]})
    with owned.replacing(folder / f"{label}.csv", owned.FIGURES) as beside:
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


def plus_minus(
    mean: float, std: float, decimals: int = 4, missing: str = "n/a", *, sign: str = ""
) -> str:
    """Mean and standard deviation in one cell; ``sign="+"`` for differences."""
    if not np.isfinite(mean):
        return missing
    spread = f" ± {std:.{decimals}f}" if np.isfinite(std) else ""
    return f"{mean:{sign}.{decimals}f}{spread}"


def steps(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.findings.steps` for reading: spreads beside their means.

    Parameters
    ----------
    names : what each scorer is called.
    """
    if table.empty:
        return table
    columns = {
        "score": table["scorer"].map(names),
        "source AUC": table["auc_source"],
        "target AUC": table["auc_target"],
        "pAUC": table["pauc"],
        "Ω": table["omega"],
        "mean ± std": _spread(table, "mean", "std", missing="n/a"),
        "difference ± std": _spread(table, "difference", "difference_std", "+"),
        "95 % interval": _interval(table, "+.4f"),
        "p": _p(table),
        "verdict": table["verdict"],
    }
    return pd.DataFrame(columns)


def transfers(table: pd.DataFrame, snr: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`asdlib.measure.truth.transfer_table` for reading.

    Parameters
    ----------
    snr : of :func:`asdlib.measure.truth.true_snr`; no rows where the truth is not known, and
        then only the estimate is shown.
    """
    return table[["machine", "median G"]] if snr.empty else table.merge(snr, on="machine")


def snr_gain(removed: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Gain in signal-to-noise ratio, in dB: noise removed minus machine sound lost.

    Parameters
    ----------
    removed : of :func:`asdlib.measure.removal.removal`.
    names : what each front-end is called, in the order of the columns.

    Returns
    -------
    DataFrame with machine and a column per front-end.
    """
    gain = removed.assign(gain=removed["noise"] - removed["machine_sound"])
    wide = gain.pivot(index="machine", columns="front_end", values="gain")
    shown = [name for name in names if name in wide]
    return wide[shown].rename(columns=names).reset_index()


def retention(whole: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Lay out :func:`asdlib.measure.removal.overall` for reading.

    Parameters
    ----------
    names : what each front-end is called.
    """
    heads = ["machine", "front-end", "noise removed (dB)", "anomaly removed (dB)"]
    return whole.assign(front_end=whole["front_end"].map(names)).set_axis(
        [*heads, "difference (dB)"], axis=1
    )


def front_ends(
    entries: Sequence[Mapping[str, Any]],
    measured: Mapping[str, Sequence[Mapping[str, float]]],
    names: Mapping[str, str],
    compared: pd.DataFrame,
) -> pd.DataFrame:
    """Put the measured Omega of every front-end beside the reported one.

    Parameters
    ----------
    entries : of :func:`asdlib.report.reported.table_2`.
    measured : head of a column to mean and std of every entry's front-end.
    names : what each front-end is called.
    compared : of :meth:`asdlib.compare.statistics.Results.paired`, each with the near microphone.
    """
    said = {front_end: said for (front_end, _), said in compared[["system", "verdict"]].to_numpy()}
    columns = {
        "front-end": [names[entry["front_end"]] for entry in entries],
        **{
            head: _spread(pd.DataFrame(rows), "mean", "std", missing="n/a")
            for head, rows in measured.items()
        },
        "verdict": [said.get(entry["front_end"], "") for entry in entries],
    }
    given = pd.DataFrame(entries)
    columns["reported, all"] = _spread(given, "mean", "std", missing="n/a")
    columns["reported, fan"] = _spread(given, "fan_mean", "fan_std", missing="n/a")
    return pd.DataFrame(columns)


def ladder(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.findings.ladder` for reading."""
    columns = {
        "system": table["system"],
        "mean ± std": _spread(table, "mean", "std", missing="n/a"),
        "95 % interval": _interval(table, ".3f"),
        "ensemble": table["ensemble"],
        "in place of the champion": table["verdict"],
        "reported mean ± std": _spread(table, "reported mean", "reported std", missing="n/a"),
        "reported ensemble": table["reported ensemble"],
    }
    return pd.DataFrame(columns)


def fixed_filters(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`asdlib.measure.phase.fixed` for reading."""
    kinds = ("per clip", "trained")
    heads = [f"{what}, {kind}" for kind in kinds for what in ("noise", "machine")]
    return table.set_axis(["machine", *heads], axis=1)


def gates(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`asdlib.measure.phase.gates` for reading."""
    heads = [f"{what}, {kind}" for kind in ("plain", "gated") for what in ("noise", "machine")]
    return table.set_axis(["machine", "recordings", *heads], axis=1)


def paired(table: pd.DataFrame, name: Callable[..., str]) -> pd.DataFrame:
    """Lay out :meth:`asdlib.compare.statistics.Results.paired` for reading.

    Parameters
    ----------
    name : of a system, given its front-end and scorer.
    """
    if table.empty:
        return table
    columns = {
        "system": [name(*system) for system in table["system"]],
        "against": [name(*system) for system in table["against"]],
        "difference": _spread(table, "mean", "std", "+"),
        "p (t)": table["p_t"],
        "p (Holm)": table["p_holm"],
        "p (Wilcoxon)": table["p_wilcoxon"],
        "95 % interval": _interval(table, "+.4f"),
        "verdict": table["verdict"],
    }
    return pd.DataFrame(columns)


def against_champion(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.negative.against_champion`; blank where an idea was not run."""
    columns = {
        "idea": table["idea"],
        "Ω": _spread(table, "omega", "omega_std"),
        "difference": _spread(table, "mean", "std", "+"),
        "p": _p(table),
        "95 % interval": _interval(table, "+.4f"),
        "difference, eq. 1": _spread(table, "eq1", "eq1_std", "+"),
        "verdict": table["verdict"],
    }
    return pd.DataFrame(columns)


def without_training(table: pd.DataFrame, name: Callable[..., str]) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.untrained.against_autoencoders` for reading.

    Parameters
    ----------
    name : of a system, given its front-end and scorer.
    """
    if table.empty:
        return table
    known = table["mean"].notna()
    kinds = {True: "autoencoder", False: "none"}
    columns = {
        "system": [name(*system) for system in table["system"]],
        "training": table["trained"].map(kinds),
        "source AUC": table["auc_source"],
        "target AUC": table["auc_target"],
        "pAUC": table["pauc"],
        "Ω": table["omega"],
    }
    if known.any():
        columns["difference (95 % interval)"] = [
            f"{mean:+.4f} ({low:+.3f} to {high:+.3f})" if run else ""
            for mean, low, high, run in zip(
                table["mean"], table["low"], table["high"], known, strict=True
            )
        ]
        columns["verdict"] = table["verdict"].fillna("")
    return pd.DataFrame(columns)


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


def by_gain(table: pd.DataFrame, name: Callable[..., str], front_end: str) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.untrained.by_gain` for reading.

    Parameters
    ----------
    name : of a system, given its front-end and scorer.
    front_end : that all rows have.
    """
    forms = table["level_free"].map({True: ", level-free", False: ""})
    systems = [name(front_end, scorer) for scorer in table["scorer"]]
    shown = table.drop(columns=["scorer", "level_free"])
    shown = shown.rename(columns={gain: f"{gain:+g} dB" if gain else "0 dB" for gain in shown})
    shown.insert(0, "system", [f"{a}{b}" for a, b in zip(systems, forms, strict=True)])
    return shown


def build_up(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.negative.build_up_steps` for reading."""
    if table.empty:
        return table
    columns = {
        "step": table["step"],
        "Ω": _spread(table, "omega", "omega_std"),
        "change": _spread(table, "mean", "std", "+"),
        "p": _p(table),
        "largest at one seed": [f"{m:+.4f}" if np.isfinite(m) else "" for m in table["most"]],
        "seeds outside the band": table["outside"],
    }
    return pd.DataFrame(columns)


def against_adasub(
    table: pd.DataFrame, names: Mapping[str, str], scorers: Mapping[str, str]
) -> pd.DataFrame:
    """Lay out :func:`asdlib.compare.findings.against_adasub` for reading.

    Parameters
    ----------
    names, scorers : what each front-end and scorer is called.
    """
    if table.empty:
        return table
    known = table["mean"].notna()
    interval = [
        f"{mean:+.4f} ({low:+.3f} to {high:+.3f})" if run and np.isfinite(low) else ""
        for mean, low, high, run in zip(
            table["mean"], table["low"], table["high"], known, strict=True
        )
    ]
    columns = {
        "score": table["scorer"].map(scorers),
        "front-end": table["front_end"].map(names),
        "Ω": _spread(table, "omega", "std"),
        "ensemble": table["ensemble"],
        "source AUC": table["auc_source"],
        "target AUC": table["auc_target"],
        "pAUC": table["pauc"],
        "against AdaSub": interval,
        "p": _p(table),
        "verdict": table["verdict"].fillna(""),
    }
    return pd.DataFrame(columns)


def benchmarks(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Lay out what ``make bench`` measured: name, value, target, and whether it is met."""
    met = {True: "met", False: "missed", None: ""}
    return pd.DataFrame(
        [
            {
                "what": row["name"],
                "measured": f"{row['value']:{_digits(row['value'])}} {row['unit']}".strip(),
                "target": row["target"] or "",
                "": met[row.get("met")],
            }
            for row in rows
        ]
    )


def say(text: str) -> None:
    """Prose with measured values in it, as MyST text."""
    display({"text/markdown": text, "text/plain": text}, raw=True)


def _digits(value: float) -> str:
    """Three digits, and no exponent for large numbers."""
    return ",.0f" if abs(value) >= 100 else ".3g"


def _spread(
    table: pd.DataFrame, mean: str, std: str, sign: str = "", *, missing: str = ""
) -> list[str]:
    pairs = zip(table[mean], table[std], strict=True)
    return [plus_minus(m, s, missing=missing, sign=sign) for m, s in pairs]


def _interval(table: pd.DataFrame, form: str) -> list[str]:
    """The columns low and high in one cell, blank where they are not known."""
    return [
        f"{low:{form}} to {high:{form}}" if np.isfinite(low) else ""
        for low, high in zip(table["low"], table["high"], strict=True)
    ]


def _p(table: pd.DataFrame) -> list[str]:
    """P values of the paired t test; blank where there was no test."""
    return [f"{p:.4f}" if np.isfinite(p) else "" for p in table["p_t"]]


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
