"""The clip score: residual statistics, Mahalanobis and energy, percentile (eq. 1).

A re-scoring is a value of :class:`Scorer`; none of them trains anything again. Every clip is
scored alone, so a clip's score is the same bytes whatever is scored beside it.
Notebook: 04_rescoring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asdlib.guard import PerClip
from asdlib.parallel import clip_by_clip
from asdlib.params import AsdError, Scoring


@dataclass(frozen=True)
class Scorer:
    """Which of the report's three re-scorings are on (section 4.2), and what else may vary.

    Attributes
    ----------
    domain_mean : DM. Score once per training domain d with mu_d in both terms, keep the smaller.
    shrink : score once per training domain with its own covariance, the target's shrunk towards
        the source's by rho; keep the smaller.
    sharp : P95 in place of P90.
    ledoit_wolf : the covariance shrunk towards a multiple of the identity, by Ledoit and Wolf 2004.
    over_frames : "percentile", "mean" or "max" over the frames of a clip.
    alpha : weight of the energy term; none: that of the constants.
    """

    domain_mean: bool = False
    shrink: bool = False
    sharp: bool = False
    ledoit_wolf: bool = False
    over_frames: str = "percentile"
    alpha: float | None = None


SCORERS: dict[str, Scorer] = {
    "eq1": Scorer(),
    "dm": Scorer(domain_mean=True),
    "shrink": Scorer(shrink=True),
    "p95": Scorer(sharp=True),
    "dm_shrink": Scorer(domain_mean=True, shrink=True),
    "s1": Scorer(domain_mean=True, shrink=True, sharp=True),
}
"""The report's scores and re-scorings by name; ``s1`` is the champion's stack."""

VARIANTS: dict[str, Scorer] = {
    "ledoit_wolf": Scorer(ledoit_wolf=True),
    "mean": Scorer(over_frames="mean"),
    "max": Scorer(over_frames="max"),
    **{f"alpha_{a:g}": Scorer(alpha=a) for a in (0.0, 0.1, 0.4, 0.7, 1.0)},
}
"""What eq. 1 would be with one of its choices changed: for the sensitivity figure of chapter 04."""


_ALL = "all"  # both domains together
_LEDOIT_WOLF = "Ledoit-Wolf"  # both domains together, shrunk


def _nothing() -> Tensor:
    return torch.zeros((), dtype=torch.float64)


@dataclass
class Moments:
    """Running moments of residuals, in float64: per seed, one domain.

    With a = |e|^2: count, sum of e, of e e^T, of a e, of a and of a^2. The last three are what the
    Ledoit-Wolf shrinkage needs besides the covariance.
    """

    count: int = 0
    first: Float[Tensor, "*seed_value"] = field(default_factory=_nothing)
    second: Float[Tensor, "*seed_value_value"] = field(default_factory=_nothing)
    third: Float[Tensor, "*seed_value"] = field(default_factory=_nothing)
    norm: Float[Tensor, "*seed"] = field(default_factory=_nothing)
    norm_square: Float[Tensor, "*seed"] = field(default_factory=_nothing)

    @classmethod
    def of(cls, residuals: Float[Tensor, "seed vector value"]) -> Moments:
        """Moments of one clip's residuals; the products are summed in float32."""
        norms = residuals.square().sum(2)
        return cls(
            residuals.shape[1],
            residuals.sum(1, dtype=torch.float64),
            torch.bmm(residuals.mT, residuals),
            torch.einsum("svx,sv->sx", residuals, norms),
            norms.sum(1, dtype=torch.float64),
            norms.double().square().sum(1),
        )

    def __add__(self, other: Moments) -> Moments:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Moments(*(a + b for a, b in pairs))

    def __iadd__(self, other: Moments) -> Moments:
        if not self.count:
            whole = (getattr(other, f.name).to(torch.float64, copy=True) for f in fields(self)[1:])
            return Moments(other.count, *whole)
        self.count += other.count
        for f in fields(self)[1:]:
            getattr(self, f.name).add_(getattr(other, f.name))
        return self

    @property
    def mean(self) -> Float[Tensor, "seed value"]:
        """mu, in float64."""
        return self.first / self.count

    @property
    def covariance(self) -> Float[Tensor, "seed value value"]:
        """Full sample covariance, in float64."""
        outer = self.mean[:, :, None] * self.mean[:, None, :]
        return (self.second - self.count * outer) / max(self.count - 1, 1)

    @property
    def ledoit_wolf(self) -> Float[Tensor, "seed value value"]:
        """Covariance shrunk as scikit-learn's ``ledoit_wolf`` does, from moments alone.

        With S = sum of c c^T / n over the centred c: (1 - s) S + s m I, where m is the mean
        diagonal of S and s = min(sum of (|c|^4) / n - |S|^2, n |S - m I|^2) / (n |S - m I|^2).
        """
        n, mean = self.count, self.mean
        outer = mean[:, :, None] * mean[:, None, :]
        s = self.second / n - outer
        m = s.diagonal(dim1=1, dim2=2).mean(1)
        # |c|^2 = a - 2 b + k with b = mu . e and k = |mu|^2
        k = mean.square().sum(1)
        b = n * k
        ab = (mean * self.third).sum(1)
        bb = torch.einsum("sx,sxy,sy->s", mean, self.second, mean)
        fourth = self.norm_square - 4 * ab + 4 * bb + 2 * k * self.norm - 4 * k * b + n * k**2
        square = s.square().sum(dim=(1, 2))
        delta = square - s.shape[1] * m**2
        beta = torch.minimum((fourth / n - square) / n, delta)
        share = torch.where(delta > 0, beta / delta, torch.zeros_like(delta))[:, None, None]
        identity = torch.eye(s.shape[1], dtype=s.dtype, device=s.device)
        return (1 - share) * s + share * m[:, None, None] * identity


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
        if any(scorer.ledoit_wolf for scorer in self.scorers.values()):
            covariances[_LEDOIT_WOLF] = pooled.ledoit_wolf
        for domain, moments in self.moments.items():
            self._centres[domain] = moments.mean
            if any(scorer.shrink for scorer in self.scorers.values()):
                covariances[domain] = moments.covariance
        if "target" in covariances and "source" in covariances:
            rho = self.constants.rho
            covariances["target"] = (1 - rho) * covariances["target"] + rho * covariances["source"]
        for name, covariance in covariances.items():
            diagonal = covariance.diagonal(dim1=1, dim2=2)
            share = 0.0 if name == _LEDOIT_WOLF else self.constants.ridge  # regular already
            ridge = share * diagonal.mean(1, keepdim=True)
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
        workers: int | None = None,
    ) -> Detector:
        """Take residual statistics from training-normal clips, given as (domain, vectors)."""

        def own(clip: tuple[str, np.ndarray]) -> tuple[str, Moments]:
            return clip[0], Moments.of(residual(clip[1]))

        moments: dict[str, Moments] = {}
        for domain, found in clip_by_clip(own, clips, workers=workers):
            moments[domain] = moments.get(domain, Moments())
            moments[domain] += found
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

        def score(covariance: str, centre: str, scorer: Scorer) -> np.ndarray:
            terms = np.stack([distance(covariance, centre), energy(centre)])
            mahalanobis, mean_square = self._over_frames(terms, scorer)
            alpha = self.constants.alpha if scorer.alpha is None else scorer.alpha
            return (1 - alpha) * mahalanobis + alpha * mean_square

        return {name: self._clip_score(scorer, score) for name, scorer in self.scorers.items()}

    def _over_frames(self, terms: np.ndarray, scorer: Scorer) -> np.ndarray:
        if scorer.over_frames != "percentile":
            return terms.mean(-1) if scorer.over_frames == "mean" else terms.max(-1)
        q = self.constants.sharp_percentile if scorer.sharp else self.constants.percentile
        return np.percentile(terms, q, axis=-1)

    def _clip_score(self, scorer: Scorer, score: Callable[..., np.ndarray]) -> np.ndarray:
        return np.minimum.reduce([score(*parts, scorer) for parts in self._candidates(scorer)])

    def _candidates(self, scorer: Scorer) -> list[tuple[str, str]]:
        """Covariance and centre of every score of which the smallest counts."""
        if not (scorer.domain_mean or scorer.shrink):
            return [(_LEDOIT_WOLF if scorer.ledoit_wolf else _ALL, _ALL)]
        return [
            (domain if scorer.shrink else _ALL, domain if scorer.domain_mean else _ALL)
            for domain in self.moments
        ]

    def over_time(
        self, vectors: Float[np.ndarray, "vector value"], name: str
    ) -> tuple[Float[np.ndarray, "seed vector"], Float[np.ndarray, "seed vector value"]]:
        """What a clip's score is made of, frame by frame: for looking at, not for scoring.

        Returns
        -------
        terms : (1 - alpha) Mahalanobis + alpha energy of every stacked vector, under the domain
            whose score counts.
        residuals : e_i.
        """
        scorer, residuals = self.scorers[name], self.residual(vectors)
        alpha = self.constants.alpha if scorer.alpha is None else scorer.alpha
        terms = []
        for covariance, centre in self._candidates(scorer):
            white = _solve(self._factors[covariance], residuals.mT)
            white = white - self._white_centre(covariance, centre)
            offset = residuals - (0 if centre == _ALL else self._centres[centre].float()[:, None])
            energy = torch.einsum("stv,stv->st", offset, offset)
            distance = torch.einsum("svt,svt->st", white, white)
            terms.append(_numpy((1 - alpha) * distance + alpha * energy))
        each = np.stack(terms)
        counts = self._over_frames(each, scorer).argmin(0)
        return each[counts, np.arange(each.shape[1])], _numpy(residuals)

    def level(self, terms: Float[np.ndarray, "*shape vector"], name: str) -> np.ndarray:
        """Reduce terms over frames as a scorer does: P90, P95, mean or maximum."""
        return self._over_frames(terms, self.scorers[name])

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


def ensemble(parts: Sequence[PerClip]) -> PerClip:
    """Mean over models of the standardised scores, clip by clip."""
    return PerClip.combine(parts)
