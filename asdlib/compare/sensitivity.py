"""How much Omega changes when one choice of the champion's front-end and score changes.

Notebook: 04_rescoring.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from asdlib.compare import systems
from asdlib.params import Params
from asdlib.study import run
from asdlib.study.recordings import Recordings
from asdlib.study.variants import CHAMPION, gamma_normal, per_band, rescored


def changes(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Change of Omega when one choice of the champion's front-end and eq. 1 changes.

    Returns
    -------
    DataFrame with variant, mean and std (paired per-seed differences to the frozen defaults) and
    ensemble (difference of the ensembles); no rows where the front-end was not run.
    """
    if CHAMPION not in params.front_ends:
        return pd.DataFrame(columns=["variant", "mean", "std", "ensemble"])
    base = systems.summary(run(rescored(params), recordings=recordings))
    rows = _differences(base, base, [s for s in rescored(params).scorers if s != "eq1"])
    normal = systems.summary(run(gamma_normal(params), recordings=recordings))
    rows += _differences(normal, base, ["eq1"], "gamma_normal")
    if "per_band" in params.extras:
        banded = systems.summary(run(per_band(params), recordings=recordings))
        rows += _differences(banded, base, ["eq1"], "per_band")
    return pd.DataFrame(rows)


def _differences(
    varied: pd.DataFrame, base: pd.DataFrame, scorers: Sequence[str], name: str | None = None
) -> list[dict]:
    rows = []
    first = systems.row(base, CHAMPION)
    for scorer in scorers:
        against = systems.seed_difference(varied, (CHAMPION, scorer), base, (CHAMPION, "eq1"))
        ensemble = systems.row(varied, CHAMPION, scorer)["ensemble"] - first["ensemble"]
        rows.append(
            {
                "variant": name or scorer,
                "mean": against["mean"],
                "std": against["std"],
                "ensemble": ensemble,
            }
        )
    return rows
