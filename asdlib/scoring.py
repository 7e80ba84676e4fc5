"""The clip score: residual statistics, Mahalanobis and energy, percentile, gamma (eq. 1).

A re-scoring is a value of :class:`Scorer`; none of them trains anything again. Every clip is
scored alone, so a clip's score is the same bytes whatever is scored beside it.
Notebook: 04_rescoring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.stats
import torch
from jaxtyping import Float
from torch import Tensor

from asdlib.guard import PerClip
from asdlib.params import AsdError, Scoring


@dataclass(frozen=True)
class Scorer:
    """Which of the report's three re-scorings are on (section 4.2).

    Attributes
    ----------
    domain_mean : DM. Score once per training domain d with mu_d in both terms, keep the smaller.
    shrink : score once per training domain with its own covariance, the target's shrunk towards
        the source's by rho; keep the smaller.
    sharp : P95 in place of P90.
    """

    domain_mean: bool = False
    shrink: bool = False
    sharp: bool = False


SCORERS: dict[str, Scorer] = {
    "eq1": Scorer(),
    "dm": Scorer(domain_mean=True),
    "shrink": Scorer(shrink=True),
    "p95": Scorer(sharp=True),
    "dm_shrink": Scorer(domain_mean=True, shrink=True),
    "s1": Scorer(domain_mean=True, shrink=True, sharp=True),
}
"""Names of the scorers that a study can run; ``s1`` is the champion's stack."""


_ALL = "all"  # both domains together


def _nothing() -> Tensor:
    return torch.zeros((), dtype=torch.float64)


@dataclass
class Moments:
    """Running first and second moments of residuals, in float64: per seed, one domain."""

    count: int = 0
    first: Float[Tensor, "*seed_value"] = field(default_factory=_nothing)
    second: Float[Tensor, "*seed_value_value"] = field(default_factory=_nothing)

    def update(self, residuals: Float[Tensor, "seed vector value"]) -> None:
        """Take in one clip's residuals."""
        self.count += residuals.shape[1]
        self.first = self.first + residuals.sum(1, dtype=torch.float64)
        self.second = self.second + torch.bmm(residuals.mT, residuals).double()

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count, self.first + other.first, self.second + other.second
        )

    @property
    def mean(self) -> Float[Tensor, "seed value"]:
        """mu, in float64."""
        return self.first / self.count

    @property
    def covariance(self) -> Float[Tensor, "seed value value"]:
        """Full sample covariance, in float64."""
        outer = self.mean[:, :, None] * self.mean[:, None, :]
        return (self.second - self.count * outer) / max(self.count - 1, 1)


@dataclass
class Detector:
    """Scores clips of one machine and front-end, for all its seeds.

    Attributes
    ----------
    residual : the trained model's residuals of one clip's stacked vectors.
    moments : residual moments per training domain.
    scorers : the scores to compute, by name.
    constants : alpha, percentiles, ridge, rho.
    """

    residual: Callable[[Float[np.ndarray, "vector value"]], Float[Tensor, "seed vector value"]]
    moments: Mapping[str, Moments]
    scorers: Mapping[str, Scorer]
    constants: Scoring = Scoring()
    _factors: dict[str, Tensor] = field(default_factory=dict, repr=False)
    _centres: dict[str, Tensor] = field(default_factory=dict, repr=False)
    _white_centres: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Factor every covariance that a scorer needs: one Cholesky each, no inverse."""
        pooled = sum(self.moments.values(), start=Moments())
        self._centres[_ALL] = pooled.mean
        covariances = {_ALL: pooled.covariance}
        for domain, moments in self.moments.items():
            self._centres[domain] = moments.mean
            if any(scorer.shrink for scorer in self.scorers.values()):
                covariances[domain] = moments.covariance
        if "target" in covariances and "source" in covariances:
            rho = self.constants.rho
            covariances["target"] = (1 - rho) * covariances["target"] + rho * covariances["source"]
        for name, covariance in covariances.items():
            diagonal = covariance.diagonal(dim1=1, dim2=2)
            ridge = self.constants.ridge * diagonal.mean(1, keepdim=True)
            regular = covariance + torch.diag_embed(ridge.expand_as(diagonal))
            self._factors[name] = torch.linalg.cholesky(regular).float()

    @classmethod
    def fit(
        cls,
        residual: Callable[[Float[np.ndarray, "vector value"]], Float[Tensor, "seed vector value"]],
        clips: Iterable[tuple[str, Float[np.ndarray, "_ value"]]],
        *,
        scorers: Mapping[str, Scorer] = SCORERS,
        constants: Scoring = Scoring(),
    ) -> Detector:
        """Take residual statistics from training-normal clips, given as (domain, vectors)."""
        moments: dict[str, Moments] = {}
        for domain, vectors in clips:
            moments.setdefault(domain, Moments()).update(residual(vectors))
        if not moments:
            raise AsdError("Residual statistics need at least one training-normal clip.")
        return cls(residual, moments, scorers, constants)

    def __call__(
        self, vectors: Float[np.ndarray, "vector value"]
    ) -> dict[str, Float[np.ndarray, " seed"]]:
        """A(x) of one clip, eq. 1, per scorer and seed, in float64."""
        residuals = self.residual(vectors)
        whitened: dict[str, Tensor] = {}
        distances: dict[tuple[str, str], np.ndarray] = {}
        energies: dict[str, np.ndarray] = {}

        def distance(covariance: str, centre: str) -> np.ndarray:
            if covariance not in whitened:
                whitened[covariance] = _solve(self._factors[covariance], residuals.mT)
            if (covariance, centre) not in distances:
                offset = whitened[covariance] - self._white_centre(covariance, centre)
                distances[covariance, centre] = _numpy(torch.einsum("svt,svt->st", offset, offset))
            return distances[covariance, centre]

        def energy(centre: str) -> np.ndarray:
            if centre not in energies:
                shift = 0 if centre == _ALL else self._centres[centre].float()[:, None]
                offset = residuals - shift
                energies[centre] = _numpy(torch.einsum("stv,stv->st", offset, offset))
            return energies[centre]

        def score(covariance: str, centre: str, q: float) -> np.ndarray:
            terms = np.stack([distance(covariance, centre), energy(centre)])
            mahalanobis, mean_square = np.percentile(terms, q, axis=-1)
            alpha = self.constants.alpha
            return (1 - alpha) * mahalanobis + alpha * mean_square

        return {name: self._clip_score(scorer, score) for name, scorer in self.scorers.items()}

    def _clip_score(self, scorer: Scorer, score: Callable[..., np.ndarray]) -> np.ndarray:
        q = self.constants.sharp_percentile if scorer.sharp else self.constants.percentile
        if not (scorer.domain_mean or scorer.shrink):
            return score(_ALL, _ALL, q)
        per_domain = [
            score(domain if scorer.shrink else _ALL, domain if scorer.domain_mean else _ALL, q)
            for domain in self.moments
        ]
        return np.minimum.reduce(per_domain)

    def _white_centre(self, covariance: str, centre: str) -> Tensor:
        key = f"{covariance} {centre}"
        if key not in self._white_centres:
            mean = self._centres[centre].float()[:, :, None]
            self._white_centres[key] = _solve(self._factors[covariance], mean)
        return self._white_centres[key]


def _numpy(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()


def _solve(factor: Tensor, columns: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(factor, columns, upper=False)


@dataclass(frozen=True)
class Calibration:
    """The gamma distribution of training-normal scores, and what follows from it.

    Attributes
    ----------
    shape, scale : of the gamma distribution with location 0.
    quantile : of the decision threshold.
    """

    shape: float
    scale: float
    quantile: float = Scoring().quantile

    @classmethod
    def fit(
        cls, scores: Float[np.ndarray, " clip"], quantile: float = Scoring().quantile
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
            return cls(shape, float(scores.mean() / shape), quantile)
        shape, _, scale = scipy.stats.gamma.fit(scores, floc=0)
        return cls(float(shape), float(scale), quantile)

    def standardise(
        self, scores: Float[np.ndarray, "*shape"] | float
    ) -> Float[np.ndarray, "*shape"]:
        """Z = (A - mean) / std of the gamma distribution (``gamma_z``)."""
        z = (scores - self.shape * self.scale) / (np.sqrt(self.shape) * self.scale)
        return np.asarray(z)

    @property
    def threshold(self) -> float:
        """Decision threshold on z: where the gamma distribution has its quantile."""
        return float(
            self.standardise(
                np.array(scipy.stats.gamma.ppf(self.quantile, self.shape) * self.scale)
            )
        )


def ensemble(parts: Sequence[PerClip]) -> PerClip:
    """Mean over models of the standardised scores, clip by clip."""
    return PerClip.combine(parts)
