"""The paper's own figures (``params/reported.yaml``), never mixed with measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import yaml

from asdlib.io.files import project_root


def load() -> dict[str, Any]:
    """Read the paper's figures; all are for DCASE 2026 Task 2 development data."""
    return yaml.safe_load(_text())


def printed() -> dict[str, Any]:
    """Return the same as text, with the digits that the paper prints."""
    return yaml.load(_text(), yaml.BaseLoader)  # every value of it is a string


def _text() -> str:
    return (project_root() / "params" / "reported.yaml").read_text(encoding="utf-8")


def baseline(machines: Sequence[str]) -> float | None:
    """Omega of the reported baseline, where the machines are the paper's; else none."""
    values = load()
    return (
        values["baseline"]["mahala"] if set(machines) == set(values["table_4"]["machine"]) else None
    )


def transfers(values: dict[str, Any]) -> pd.DataFrame:
    """Median G_m per development machine."""
    table = values["table_4"]
    return pd.DataFrame({"machine": table["machine"], "median G": table["median_G"]})


def table_2(values: dict[str, Any], front_ends: Sequence[str]) -> list[dict[str, Any]]:
    """The paper's rows by front-end, then empty ones for those that it gives no figures for."""
    rows = list(values["table_2"])
    known = {row["front_end"] for row in rows}
    empty = dict.fromkeys(("mean", "std", "fan_mean", "fan_std"), float("nan"))
    return rows + [{"front_end": name, **empty} for name in front_ends if name not in known]


def decomposition(values: dict[str, Any]) -> pd.DataFrame:
    """Parts of the score of the two ensembles, before and after the re-scorings."""
    heads = {"auc_source": "source AUC", "auc_target": "target AUC", "pauc": "pAUC"}
    table = pd.DataFrame(values["decomposition"]).drop(columns="scorer")
    return table.rename(columns={**heads, "omega": "ensemble Ω"})


def negative(values: dict[str, Any]) -> pd.DataFrame:
    """What the paper says of its negative results: changes at one and at ten seeds, and Omega."""
    names = {"idea": "idea", "one_seed": "one seed", "ten_seeds": "ten seeds", "omega": "Ω"}
    return pd.DataFrame(values["negative"])[list(names)].rename(columns=names).fillna("")


def table_3(values: dict[str, Any]) -> pd.DataFrame:
    """Omega per machine and overall of the baseline and the four submitted systems."""
    table = dict(values["table_3"])
    columns = table.pop("columns")
    return pd.DataFrame.from_dict(table, orient="index", columns=columns).reset_index(
        names="system"
    )


def table_4(values: dict[str, Any]) -> pd.DataFrame:
    """Median G_m, and Omega of AdaSub and CohGate, per machine."""
    table = dict(values["table_4"])
    whole = table.pop("ensemble")
    rows = pd.DataFrame(table).rename(
        columns={"median_G": "median G", "adasub": "AdaSub", "cohgate": "CohGate"}
    )
    last = {"machine": "all", "AdaSub": whole["adasub"], "oracle": whole["oracle"]}
    return pd.concat([rows, pd.DataFrame([last])], ignore_index=True)
