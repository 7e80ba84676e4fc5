"""The paper's scores by name, and what may vary in them. Notebook: 05_variants."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scorer:
    """Which of the paper's three re-scorings are on (section 4.2), and what else may vary.

    Attributes
    ----------
    domain_mean : DM. Score once per training domain d with mu_d in both terms, keep the smaller.
    shrink : score once per training domain with its own covariance, the target's shrunk towards
        the source's by rho; keep the smaller.
    sharp : P95 in place of P90.
    ledoit_wolf : the covariance shrunk towards a multiple of the identity, by Ledoit and Wolf 2004.
    over_frames : "percentile", "mean" or "max" over the frames of a clip.
    alpha, ridge : weight of the energy term, and the ridge; none: those of the constants.
    """

    domain_mean: bool = False
    shrink: bool = False
    sharp: bool = False
    ledoit_wolf: bool = False
    over_frames: str = "percentile"
    alpha: float | None = None
    ridge: float | None = None


SCORERS: dict[str, Scorer] = {
    "eq1": Scorer(),
    "dm": Scorer(domain_mean=True),
    "shrink": Scorer(shrink=True),
    "p95": Scorer(sharp=True),
    "dm_shrink": Scorer(domain_mean=True, shrink=True),
    "s1": Scorer(domain_mean=True, shrink=True, sharp=True),
}
"""The paper's scores and re-scorings by name; ``s1`` is the champion's stack."""

VARIANTS: dict[str, Scorer] = {
    "ledoit_wolf": Scorer(ledoit_wolf=True),
    "mean": Scorer(over_frames="mean"),
    "max": Scorer(over_frames="max"),
    **{f"alpha_{a:g}": Scorer(alpha=a) for a in (0.0, 0.1, 0.4, 0.7, 1.0)},
    **{f"ridge_{r:g}": Scorer(ridge=r) for r in (0.01, 0.1, 1.0)},
}
"""Eq. 1 of the paper with one of its choices changed: for the sensitivity figure of chapter 05."""
