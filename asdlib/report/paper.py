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


def table(name: str) -> pd.DataFrame:
    """Return one of its tables as text, with the digits that the paper prints."""
    values = yaml.load(_text(), yaml.BaseLoader)  # leaves all as text
    return pd.DataFrame(values[name])


def baseline(machines: Sequence[str]) -> float | None:
    """Omega of the reported baseline, where the machines are the paper's; else none."""
    values = load()
    theirs = values["table_3"].keys() - {"system", "overall"}
    return values["baseline"]["mahala"] if set(machines) == theirs else None


def _text() -> str:
    return (project_root() / "params" / "reported.yaml").read_text(encoding="utf-8")
