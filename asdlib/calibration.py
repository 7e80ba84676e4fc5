"""From A to z: the gamma distribution of training-normal scores, and scores that are held out.

z = (A - mean) / std of the fitted gamma distribution. The p value of a clip is (1 + held-out scores
at or above its own) / (n + 1), and p <= q is an alarm.

The gamma distribution and the decision threshold are those of the paper (section 3.1). A model
gives the clips that it was fitted on lower scores than other normal clips. Therefore held-out
scores come from models that were fitted without the clip's fold.

Notebook: 05_variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from jaxtyping import Bool, Float, Int, Shaped

from asdlib.params import AsdError, Scoring
from asdlib.runtime.errors import plural

Scores = Float[np.ndarray, " clip"]
Folds = Int[np.ndarray, " clip"]  # number of the fold of every clip
Values = Float[np.ndarray, "*shape"]

_UNDERFLOW = -600.0  # of a log probability; the library's values are exact above
_TERMS = 200  # of series and continued fraction
_NARROW = 1e-5  # standard deviation over mean
_STEEPEST = 1e12  # shape of a gamma distribution
_MOST_Z = 30.0  # of a score that is joined with others


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
        cls, scores: Scores, quantile: float = Scoring().quantile, mode: str = Scoring().standardise
    ) -> Calibration:
        """Fit to the training-normal clips' A, by maximum likelihood.

        Where A hardly differs between clips, the maximum is lost in rounding. The shape is then
        mean^2 / variance, which the maximum tends to, and 1e12 at most.

        Raises
        ------
        AsdError
            For scores that are not positive and finite.
        """
        from scipy.stats import gamma  # half a second to import

        scores = np.asarray(scores, np.float64)
        _refuse(scores)
        mean, narrow = scores.mean(), scores.std() / scores.mean()
        if narrow < _NARROW:
            shape = min(narrow**-2, _STEEPEST) if narrow > 0 else _STEEPEST
            return cls(float(shape), float(mean / shape), quantile, mode)
        shape, _, scale = gamma.fit(scores, floc=0)
        return cls(float(shape), float(scale), quantile, mode)

    def standardise(self, scores: Values | float) -> Values:
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
        return float(scipy.special.gammaincinv(self.shape, self.quantile) * self.scale)


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

    scores: Scores
    logarithmic: bool = False

    @classmethod
    def fit(cls, scores: Scores) -> HeldOut:
        """Take the logarithms of the held-out training clips' A.

        Raises
        ------
        AsdError
            For scores that are not positive and finite.
        """
        _refuse(scores)
        return cls(np.log(scores), logarithmic=True)

    @property
    def z(self) -> Scores:
        """The held-out scores themselves, standardised."""
        return self.standardise(np.exp(self.scores) if self.logarithmic else self.scores)

    def standardise(self, scores: Values) -> Values:
        """Return z: (score - mean) / std of the held-out scores.

        The mean counts as 0 without any score, and the standard deviation as 1 where they do not
        differ.
        """
        values = np.log(scores) if self.logarithmic else scores
        mean, std = (self.scores.mean(), self.scores.std()) if len(self.scores) else (0.0, 0.0)
        return (values - mean) / (std if std > 1e-12 * max(abs(mean), 1.0) else 1.0)


def surprise(z: Any) -> Any:
    """-log(1 - Phi(z)), of which Fisher's method takes the sum over independent scores.

    The sum follows the scores that see something, where their mean is pulled down by the others.

    Parameters
    ----------
    z : standard scores; above 30 they count as 30.

    References
    ----------
    R. A. Fisher, Statistical Methods for Research Workers, 4th ed., 1932.

    Examples
    --------
    >>> surprise(np.array([0.0, 3.0, 99.0])).round(2).tolist()
    [0.69, 6.61, 454.32]
    """
    return -scipy.special.log_ndtr(-np.minimum(z, _MOST_Z))


def _refuse(scores: Scores) -> None:
    """Raise an error for scores that no distribution can be fitted to."""
    if not (np.isfinite(scores) & (scores > 0)).all():
        found = f"{scores.min():.3g} to {scores.max():.3g}"
        why = "the training clips are all the same, or the training diverged"
        raise AsdError(f"Training scores must be positive and finite; found {found}: {why}.")


@dataclass(frozen=True)
class Alarm:
    """When a score is an alarm, so that at most a wanted share of normal clips is one.

    The p value of a clip is (1 + held-out scores at or above its own) / (n + 1). Where a normal
    clip and the n held-out clips could change places, p <= q holds for at most a share q of normal
    clips (conformal prediction). An alarm is p <= q.

    Attributes
    ----------
    held_out : n scores of training-normal clips by models that were fitted without them.
    rate : q, the wanted share of false alarms; above 0 and below 1.

    References
    ----------
    V. Vovk, A. Gammerman and G. Shafer, Algorithmic Learning in a Random World, Springer, 2005.

    Examples
    --------
    >>> alarm = Alarm(np.arange(19.0), rate=0.1)
    >>> alarm.p_values(np.array([18.5, 17.5, 16.5]))
    array([0.05, 0.1 , 0.15])
    >>> alarm(np.array([18.5, 17.5, 16.5])), alarm.threshold
    (array([ True,  True, False]), 17.0)
    >>> [round(bound, 2) for bound in alarm.interval]  # one of 19 held-out clips is an alarm
    [0.0, 0.26]
    """

    held_out: Scores
    rate: float = 1 - Scoring().quantile

    def p_values(self, scores: Values) -> Values:
        """Share of normal clips, at most, that score as high."""
        ordered = np.sort(self.held_out)
        above = len(ordered) - np.searchsorted(ordered, scores, side="left")
        return np.asarray((1 + above) / (len(ordered) + 1))

    def __call__(self, scores: Values) -> Bool[np.ndarray, "*shape"]:
        """Return whether each score is an alarm."""
        return np.asarray(np.asarray(scores) > self.threshold)

    @property
    def expected(self) -> int:
        """Held-out clips that are alarms themselves, at most; -1 where no clip can be one."""
        return int(np.floor(self.rate * (len(self.held_out) + 1) + 1e-9)) - 1

    @property
    def threshold(self) -> float:
        """Score above which a clip is an alarm; infinite where none can be one."""
        if self.expected < 0:
            return np.inf
        return float(np.sort(self.held_out)[::-1][self.expected])

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of the false-alarm rate, 95 %: of ``expected`` alarms in n clips."""
        return proportion_interval(max(self.expected, 0), len(self.held_out))

    @property
    def remark(self) -> str:
        """One sentence where no alarm can be promised; empty otherwise."""
        n = len(self.held_out)
        if self.expected >= 0:
            return ""
        least = int(np.ceil(1 / self.rate - 1e-9)) - 1
        few = f"{plural(n, 'held-out normal clip')} cannot promise a false-alarm rate of"
        return f"{few} {self.rate:g}; at least {least} are needed, so no clip is an alarm."


def proportion_interval(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a probability from ``count`` successes in ``total`` trials, never too short.

    Returns
    -------
    (low, high) : (0, 1) without any trial.

    References
    ----------
    C. J. Clopper and E. S. Pearson, Biometrika 26(4), 1934.

    Examples
    --------
    >>> [round(bound, 3) for bound in proportion_interval(2, 20)]
    [0.012, 0.317]
    """
    if not total:
        return 0.0, 1.0
    tail, quantile = (1 - confidence) / 2, scipy.special.betaincinv
    low = quantile(count, total - count + 1, tail) if count else 0.0
    high = quantile(count + 1, total - count, 1 - tail) if count < total else 1.0
    return float(low), float(high)


def folds(
    names: Sequence[str],
    domains: Sequence[str],
    groups: Sequence[str],
    count: int = 10,
    *,
    sessions: bool = False,
) -> Folds:
    """Divide the clips of every domain into blocks of neighbours.

    Recordings made one after the other resemble each other. A clip and its neighbours in name order
    therefore share a fold. Clips of one attribute group are neighbours.

    Parameters
    ----------
    names, domains, groups : of every clip; a group holds the clips with the same attributes.
    count : folds per domain; fewer where the domain has fewer clips.
    sessions : whether a group is one session, all of whose clips share a fold. A domain with a
        single session is divided as without sessions.

    Returns
    -------
    (clip,), the number of the fold; the folds of all domains are counted together, so that every
    fold holds clips of each.

    Examples
    --------
    >>> folds(["b", "a", "d", "c"], ["source"] * 4, [""] * 4, count=2).tolist()
    [0, 0, 1, 1]
    >>> folds(list("abcd"), ["source"] * 4, ["x", "y", "y", "y"], sessions=True).tolist()
    [0, 1, 1, 1]
    """
    found = np.zeros(len(names), int)
    for domain in set(domains):
        own = [i for i, other in enumerate(domains) if other == domain]
        own.sort(key=lambda i: (groups[i], names[i]))
        place, total = np.arange(len(own)), len(own)
        _, session = np.unique([groups[i] for i in own], return_inverse=True)
        if sessions and session.max() > 0:
            place, total = session, int(session.max()) + 1
        found[own] = place * min(count, total) // total
    return found


def clusters(
    values: Float[np.ndarray, "clip value"], domains: Shaped[np.ndarray, " clip"], count: int = 10
) -> Folds:
    """Divide the clips of every domain into folds of clips that resemble each other.

    Clips cut from one recording, or recorded in one hour, resemble each other whatever their names
    are. A model fitted on one of them knows the others, so they are held out together: the clusters
    of Ward's linkage on standardised values.

    Parameters
    ----------
    values : a row per clip.
    domains : of every clip.
    count : clusters per domain at least; one with no more clips has one for each. There are more
        where a cluster would hold over 2/count of the domain's clips.

    Returns
    -------
    (clip,), the number of the fold; the folds of all domains are counted together.

    References
    ----------
    J. H. Ward, J. Am. Stat. Assoc. 58(301), 1963.

    Examples
    --------
    >>> values = np.array([[0.0], [0.1], [7.0], [7.1], [3.0], [3.1]])
    >>> clusters(values, np.array(["source"] * 6), count=3).tolist()
    [1, 1, 0, 0, 2, 2]
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    found = np.zeros(len(values), int)
    for domain in set(domains):
        own = np.flatnonzero(domains == domain)
        if len(own) <= count:
            found[own] = np.arange(len(own))
            continue
        std = values[own].std(axis=0)
        tree = linkage(values[own] / np.where(std > 0, std, 1.0), "ward")
        for wanted in range(count, len(own) + 1):
            found[own] = fcluster(tree, wanted, "maxclust") - 1
            if count * np.bincount(found[own]).max() <= 2 * len(own):
                break
    return found


def log_gamma_tails(shape: float, x: Values) -> tuple[Values, Values]:
    """Log of the regularised incomplete gamma functions P(shape, x) and Q(shape, x).

    The library's values, and beyond their underflow the series of P and the continued fraction of
    Q (Abramowitz and Stegun 6.5.29 and 6.5.31), where both converge in a few terms. With a = shape,
    P = h (1/a + x/(a (a+1)) + x^2/(a (a+1) (a+2)) + ...), h = x^a exp(-x) / Gamma(a), and
    Q = h / (x + 1 - a - f_1), f_n = n (n - a) / (x + 2n + 1 - a - f_(n+1)).

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
