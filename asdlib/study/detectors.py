"""Which scores a study can ask for, and which of them need an autoencoder.

Notebooks: 02_seed_study, 03_without_training, 05_variants.
"""

from __future__ import annotations

from asdlib.clipstats import VIEWS
from asdlib.frontends import trained_front_ends
from asdlib.params import AsdError, Params
from asdlib.scorers import SCORERS, VARIANTS
from asdlib.study import baseline

BOTTLENECK = ("flow", "knn")
"""A normalising flow and nearest neighbours at the autoencoder's bottleneck."""

EQ1 = {**SCORERS, **VARIANTS}
"""Scores of eq. 1 of the paper and what may vary in them."""


def check(params: Params) -> None:
    """Refuse scorers that are not known, or that the training objective does not allow.

    Raises
    ------
    AsdError
        For the first of them.
    """
    known = [*EQ1, *baseline.SCORERS, *BOTTLENECK, *VIEWS]
    for name in params.scorers:
        front_end, _, scorer = name.rpartition("/")
        if scorer not in known or (front_end and scorer not in VIEWS):
            raise AsdError(
                f"Unknown scorer {name!r}; known are {', '.join(known)}, and a front-end may be "
                f"named before {', '.join(VIEWS)} only."
            )
        if scorer in baseline.SCORERS and params.training.objective != "reconstruct":
            raise AsdError(
                f"scorer {name!r} looks at whole vectors and training.objective is "
                f"{params.training.objective!r}; it needs 'reconstruct'."
            )


def trained(params: Params) -> Params:
    """Return the same study with only the scorers that need an autoencoder; maybe none."""
    names = tuple(name for name in params.scorers if name.rpartition("/")[2] not in VIEWS)
    return params.model_copy(update={"scorers": names})


def wanted(params: Params) -> list[tuple[str, str]]:
    """Front-end and scorer of every detector without training of a study.

    A scorer such as ``pmsd`` belongs to every front-end of the study, one such as ``adals/pmsd`` to
    the front-end that it names.

    Raises
    ------
    AsdError
        For a front-end that is not known.
    """
    pairs = [name.rpartition("/")[::2] for name in params.scorers]
    found = [
        (own, scorer)
        for front_end, scorer in pairs
        if scorer in VIEWS
        for own in trained_front_ends([front_end] if front_end else params.front_ends)
    ]
    return list(dict.fromkeys(found))
