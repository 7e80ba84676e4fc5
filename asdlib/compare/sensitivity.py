"""How much Omega changes when one choice of the champion's front-end and score changes.

Notebook: 06_rescoring.
"""

from __future__ import annotations

import pandas as pd

from asdlib.compare import comparison
from asdlib.params import Params
from asdlib.study import run
from asdlib.study.recordings import Recordings
from asdlib.study.variants import CHAMPION, gamma_normal, lacking, per_band, rescored


def changes(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Change of Omega when one choice of the champion's front-end and eq. 1 changes.

    Returns
    -------
    DataFrame with variant, mean and std (paired per-seed differences to the frozen defaults) and
    ensemble (difference of the ensembles); no rows where the front-end was not run under eq. 1.
    """
    if lacking(params, "rescored"):
        return pd.DataFrame(columns=["variant", "mean", "std", "ensemble"])
    base = comparison.summary(run(rescored(params), recordings=recordings))
    rows = [
        {"variant": scorer, **_difference(base, base, scorer)}
        for scorer in rescored(params).scorers
        if scorer != "eq1"
    ]
    normal = comparison.summary(run(gamma_normal(params), recordings=recordings))
    rows.append({"variant": "gamma_normal", **_difference(normal, base, "eq1")})
    if "per_band" in params.extras:
        banded = comparison.summary(run(per_band(params), recordings=recordings))
        rows.append({"variant": "per_band", **_difference(banded, base, "eq1")})
    return pd.DataFrame(rows)


def _difference(
    varied: comparison.Summary, base: comparison.Summary, scorer: str
) -> dict[str, float]:
    """Differences of one scorer of ``varied`` to eq. 1 of ``base``."""
    system, against = (CHAMPION, scorer), (CHAMPION, "eq1")
    paired = comparison.seed_difference(varied.per_seed, system, base.per_seed, against)
    ensembles = (
        comparison.row(varied, *system)["ensemble"],
        comparison.row(base, *against)["ensemble"],
    )
    return {"mean": paired["mean"], "std": paired["std"], "ensemble": ensembles[0] - ensembles[1]}
