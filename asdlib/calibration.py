"""From A to z: the gamma distribution of training-normal scores, and scores that are held out.

The gamma distribution and the decision threshold are those of the paper (section 3.1). A model
gives the clips that it was fitted on lower scores than other normal clips. Therefore held-out
scores come from models that were fitted without the clip's fold.

Notebook: 05_rescoring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special
import scipy.stats
from jaxtyping import Float, Int

from asdlib.params import AsdError, Scoring

_UNDERFLOW = -600.0  # of a log probability; the library's values are exact above
_TERMS = 200  # of series and continued fraction


@dataclass(frozen=True)
class Calibration:
    """The gamma distribution of training-normal scores, and what follows from it.

    Attributes
    ----------
    shape, scale : of the gamma distribution with location 0.
    quantile : of the decision threshold.
    mode : ``gamma_z`` or ``gamma_normal``, see :meth:`standardise`.

    Examples
    --------
    >>> gamma = Calibration(shape=4.0, scale=2.0)  # mean 8, standard deviation 4
    >>> gamma.standardise(np.array([8.0, 12.0]))
    array([0., 1.])
    >>> round(gamma.threshold, 2)  # its 0.90 quantile
    1.34
    """

    shape: float
    scale: float
    quantile: float = Scoring().quantile
    mode: str = Scoring().standardise

    @classmethod
    def fit(
        cls,
        scores: Float[np.ndarray, " clip"],
        quantile: float = Scoring().quantile,
        mode: str = Scoring().standardise,
    ) -> Calibration:
        """Fit to the training-normal clips' A, by maximum likelihood."""
        scores = np.asarray(scores, np.float64)
        if not (np.isfinite(scores) & (scores > 0)).all():
            raise AsdError(
                "The gamma fit needs positive finite training scores; found "
                f"{scores.min():.3g} to {scores.max():.3g}: did the training diverge?"
            )
        if np.ptp(scores) <= 1e-9 * scores.mean():  # identical clips: any narrow gamma will do
            shape = 1e12
            return cls(shape, float(scores.mean() / shape), quantile, mode)
        shape, _, scale = scipy.stats.gamma.fit(scores, floc=0)
        return cls(float(shape), float(scale), quantile, mode)

    def standardise(
        self, scores: Float[np.ndarray, "*shape"] | float
    ) -> Float[np.ndarray, "*shape"]:
        """Return z: ``gamma_z`` is (A - mean) / std of the gamma distribution.

        ``gamma_normal`` is the normal quantile of A's gamma probability, in log space, so that no
        two extreme scores tie.
        """
        if self.mode == "gamma_normal":
            lower, upper = log_gamma_tails(self.shape, np.asarray(scores / self.scale))
            return np.where(
                lower < upper, scipy.special.ndtri_exp(lower), -scipy.special.ndtri_exp(upper)
            )
        z = (scores - self.shape * self.scale) / (np.sqrt(self.shape) * self.scale)
        return np.asarray(z)

    @property
    def threshold(self) -> float:
        """Decision threshold on z: where the gamma distribution has its quantile."""
        return float(self.standardise(self.raw_threshold))

    @property
    def raw_threshold(self) -> float:
        """Decision threshold on A."""
        return float(scipy.stats.gamma.ppf(self.quantile, self.shape) * self.scale)


@dataclass(frozen=True)
class HeldOut:
    """Scores of training-normal clips by models that were fitted without them.

    Attributes
    ----------
    scores : one per training clip.
    logarithmic : whether the scores are the logarithms of those that are standardised.

    Examples
    --------
    >>> HeldOut(np.array([1.0, 3.0])).standardise(np.array([4.0]))
    array([2.])
    """

    scores: Float[np.ndarray, " clip"]
    logarithmic: bool = False

    def standardise(self, scores: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return z: (score - mean) / std of the held-out scores.

        The mean counts as 0 without any score, and the standard deviation as 1 where they do not
        differ.
        """
        values = np.log(scores) if self.logarithmic else scores
        mean, std = (self.scores.mean(), self.scores.std()) if len(self.scores) else (0.0, 0.0)
        return (values - mean) / (std if std > 1e-12 * max(abs(mean), 1.0) else 1.0)


def folds(
    names: Sequence[str], domains: Sequence[str], groups: Sequence[str], count: int = 10
) -> Int[np.ndarray, " clip"]:
    """Divide the clips of every domain into blocks of neighbours.

    Recordings made one after the other resemble each other. A clip and its neighbours in name order
    therefore share a fold. Clips of one attribute group are neighbours.

    Parameters
    ----------
    names, domains, groups : of every clip; a group holds the clips with the same attributes.
    count : folds per domain; fewer where the domain has fewer clips.

    Returns
    -------
    (clip,), the number of the fold; the folds of all domains are counted together, so that every
    fold holds clips of each.

    Examples
    --------
    >>> folds(["b", "a", "d", "c"], ["source"] * 4, [""] * 4, count=2).tolist()
    [0, 0, 1, 1]
    """
    found = np.zeros(len(names), int)
    for domain in set(domains):
        own = [i for i, other in enumerate(domains) if other == domain]
        own.sort(key=lambda i: (groups[i], names[i]))
        found[own] = np.arange(len(own)) * min(count, len(own)) // len(own)
    return found


def log_gamma_tails(
    shape: float, x: Float[np.ndarray, "*shape"]
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """Log of the regularised incomplete gamma functions P(shape, x) and Q(shape, x).

    The library's values, and beyond their underflow the series of P and the continued fraction of
    Q (Abramowitz and Stegun 6.5.29 and 6.5.31), where both converge in a few terms.

    >>> lower, upper = log_gamma_tails(1.0, np.array([2.0]))  # an exponential distribution
    >>> lower.round(4), upper.round(4)
    (array([-0.1454]), array([-2.]))
    """
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):  # either form overflows where the other one is taken
        lower = np.log(scipy.special.gammainc(shape, x))
        upper = np.log(scipy.special.gammaincc(shape, x))
        head = shape * np.log(x) - x - scipy.special.gammaln(shape)
        total = term = np.full_like(x, 1 / shape)
        for n in range(1, _TERMS):
            term = term * x / (shape + n)
            total = total + term
        f = np.zeros_like(x)
        for n in range(_TERMS, 0, -1):
            f = n * (n - shape) / (x + 2 * n + 1 - shape - f)
        series, fraction = head + np.log(total), head - np.log(x + 1 - shape - f)
    lower = np.where(lower < _UNDERFLOW, series, lower)
    return lower, np.where(upper < _UNDERFLOW, fraction, upper)
