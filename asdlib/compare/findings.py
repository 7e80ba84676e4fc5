"""What a study answers: the comparisons, and the submission, that the first page tells.

Notebook: index.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from asdlib.compare import choice, comparison, systems

UNTRAINED = (systems.UNTRAINED.name, systems.FUSED)
"""S5 as front-end and scorer, see :func:`asdlib.compare.trained_or_not.with_fused`."""

_SUBMITTED = {
    own.name: own.views[0] if len(own.views) == 1 else (own.name, systems.FUSED)
    for own in systems.SYSTEMS
    if not own.selected  # by the labels that it would be compared with
}


class Submission(NamedTuple):
    """The system to submit, by the labels at hand.

    Attributes
    ----------
    name, omega : of the system with the highest Omega (mean over seeds); "" and NaN where Omega
        cannot be computed.
    against : its paired differences to the other systems, indexed by their names; the columns of
        :func:`asdlib.compare.comparison.paired`.
    """

    name: str
    omega: float
    against: pd.DataFrame


def questions(scorers: Collection[str]) -> dict[str, tuple[tuple[str, str], tuple[str, str]]]:
    """Return what is compared with what, by the name of the question.

    Parameters
    ----------
    scorers : of a study; without autoencoders, front-ends are compared by clip statistics.

    Examples
    --------
    >>> questions(["eq1", "s1", "pmsd"])["far"]
    (('adasub', 'eq1'), ('near', 'eq1'))
    """
    by = choice.common_scorer(scorers)
    adasub = (choice.ADASUB, by)
    return {
        "far": (adasub, ("near", by)),
        "champion": (comparison.CHAMPION, comparison.ADASUB),
        "untrained": (UNTRAINED, comparison.ADASUB),
        "untrained_champion": (UNTRAINED, comparison.CHAMPION),
        "phase": (("adals", by), adasub),
    }


def compared(
    summary: comparison.Summary, table: pd.DataFrame, scorers: Collection[str]
) -> pd.DataFrame:
    """Answer every question that the study can answer.

    Parameters
    ----------
    table : that the summary was made of, see :func:`asdlib.compare.trained_or_not.with_fused`.
    scorers : of the study.

    Returns
    -------
    DataFrame indexed by question, with the columns of :func:`asdlib.compare.comparison.paired`;
    questions without an answer are left out.
    """
    asked = questions(scorers)
    found = comparison.paired(summary.per_seed, list(asked.values()), table)
    names = {pair: name for name, pair in asked.items()}
    pairs = zip(found["system"], found["against"], strict=True)
    found.index = pd.Index([names[pair] for pair in pairs], name="question", dtype=object)
    return found[found["mean"].notna()]


def submission(summary: comparison.Summary, table: pd.DataFrame) -> Submission:
    """Return which of the submitted systems has the highest Omega, and how sure that is.

    Parameters
    ----------
    table : that the summary was made of, see :func:`asdlib.compare.trained_or_not.with_fused`.
    """
    per_seed = summary.per_seed
    omegas = {
        name: comparison.seed_values(per_seed, *own).mean() for name, own in _SUBMITTED.items()
    }
    known = pd.Series(omegas, dtype=float).dropna()
    if known.empty:
        return Submission("", np.nan, pd.DataFrame())
    best = str(known.idxmax())
    others = [name for name in known.index if name != best]
    pairs = [(_SUBMITTED[best], _SUBMITTED[name]) for name in others]
    found = comparison.paired(per_seed, pairs, table)
    return Submission(best, float(known[best]), found.set_axis(pd.Index(others, dtype=object)))


def highest(
    summary: comparison.Summary, table: pd.DataFrame, submitted: str
) -> dict[str, Any] | None:
    """Return the front-end and scorer with the highest Omega of all, by the labels; none without.

    Parameters
    ----------
    summary : with S5, see :func:`asdlib.compare.trained_or_not.with_fused`.
    table : that the summary was made of.
    submitted : name of the system that is submitted; may be empty.

    Returns
    -------
    system (front-end and scorer) and omega; where another system is submitted, the values of
    :func:`asdlib.compare.comparison.paired` against it too.
    """
    means = summary.per_seed.groupby(["front_end", "scorer"], sort=False)["omega"].mean().dropna()
    if means.empty:
        return None
    best: Any = means.idxmax()
    found = {"system": best, "omega": float(means.max())}
    own = _SUBMITTED.get(submitted)
    if own is None or own == best:
        return found
    paired = comparison.paired(summary.per_seed, [(best, own)], table)
    return dict(paired.iloc[0]) | found
