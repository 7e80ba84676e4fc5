"""Studies beside the main one: one choice of the method changed, everything else as it is.

Each is a value of :class:`asdlib.params.Params`, run and kept like any other study.
Notebooks: 02_front_ends, 04_rescoring.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from asdlib import systems
from asdlib.params import Params
from asdlib.scoring import VARIANTS
from asdlib.study import Source, run

CHAMPION = "adasub"  # the front-end whose choices are varied


def rescored(params: Params) -> Params:
    """Other percentiles, weights and covariances on the same autoencoders."""
    return _varied(params, scorers=("eq1", "p95", *VARIANTS))


def gamma_normal(params: Params) -> Params:
    """Scores mapped to normal quantiles instead of standardised."""
    scoring = params.scoring.model_copy(update={"standardise": "gamma_normal"})
    return rescored(params).model_copy(update={"scoring": scoring})


def per_band(params: Params) -> Params:
    """Log-mel values standardised band by band; trains again."""
    spectra = params.spectra.model_copy(update={"standardise": "per_band"})
    return _varied(params, scorers=("eq1",)).model_copy(update={"spectra": spectra})


def studies(params: Params) -> list[Params]:
    """All that the chapters need besides the main study."""
    if CHAMPION not in params.front_ends:
        return []
    return [rescored(params), *([per_band(params)] if "per_band" in params.extras else [])]


def sensitivity(params: Params, source: Source) -> pd.DataFrame:
    """Change of Omega when one choice of the champion's front-end and eq. 1 changes.

    Returns
    -------
    DataFrame with variant, mean and std (paired per-seed differences to the frozen defaults) and
    ensemble (difference of the ensembles); no rows where the front-end was not run.
    """
    if CHAMPION not in params.front_ends:
        return pd.DataFrame(columns=["variant", "mean", "std", "ensemble"])
    base = systems.summary(run(rescored(params), source=source))
    rows = _differences(base, base, [s for s in rescored(params).scorers if s != "eq1"])
    normal = systems.summary(run(gamma_normal(params), source=source))
    rows += _differences(normal, base, ["eq1"], "gamma_normal")
    if "per_band" in params.extras:
        banded = systems.summary(run(per_band(params), source=source))
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


def _varied(params: Params, scorers: tuple[str, ...]) -> Params:
    changes = {"front_ends": (CHAMPION,), "scorers": scorers, "baseline": False}
    return params.model_copy(update=changes)
