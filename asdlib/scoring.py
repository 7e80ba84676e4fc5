"""The clip score: residual statistics, Mahalanobis and energy, percentile (eq. 1).

A re-scoring is a value of :class:`Scorer`; none of them trains anything again. Every clip is
scored alone, so a clip's score is the same bytes whatever is scored beside it.
Notebook: 06_rescoring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asdlib.params import AsdError, Scoring
from asdlib.runtime.parallel import clip_by_clip, one_thread

Term = TypeVar("Term", np.ndarray, Tensor)


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
"""What eq. 1 would be with one of its choices changed: for the sensitivity figure of chapter 06."""


class Covariance(NamedTuple):
    """Clips that a covariance is taken from, and its ridge; none: that of the constants."""

    taken_from: str
    ridge: float | None = None


class Reference(NamedTuple):
    """Covariance and name of the centre that a clip is scored against."""

    covariance: Covariance
    centre: str


_ALL = "all"  # both domains together
_LEDOIT_WOLF = "Ledoit-Wolf"  # both domains together, shrunk
_LEAST = 1e-12  # variance, where there is no residual at all


def _nothing() -> Tensor:
    return torch.zeros((), dtype=torch.float64)


@dataclass
class Moments:
    """Running moments of residuals, in float64: per seed, one domain.

    Attributes
    ----------
    count : number of residuals e.
    first, second : sums of e and of e e^T.
    third, norm, norm_square : with a = |e|^2, sums of a e, of a and of a^2. The Ledoit-Wolf
        shrinkage needs them besides the covariance; 0 unless they were asked for.

    Examples
    --------
    >>> moments = Moments.of(torch.tensor([[[1.0, 0.0], [3.0, 4.0]]]))
    >>> moments.mean.tolist()
    [[2.0, 2.0]]
    >>> moments.covariance.tolist()
    [[[2.0, 4.0], [4.0, 8.0]]]
    """

    count: int = 0
    first: Float[Tensor, "*seed_value"] = field(default_factory=_nothing)
    second: Float[Tensor, "*seed_value_value"] = field(default_factory=_nothing)
    third: Float[Tensor, "*asked_seed_value"] = field(default_factory=_nothing)
    norm: Float[Tensor, "*asked_seed"] = field(default_factory=_nothing)
    norm_square: Float[Tensor, "*asked_seed"] = field(default_factory=_nothing)

    @classmethod
    def of(
        cls, residuals: Float[Tensor, "seed vector value"], *, ledoit_wolf: bool = False
    ) -> Moments:
        """Moments of one clip's residuals; the products are summed in float32.

        Parameters
        ----------
        ledoit_wolf : take the moments of :attr:`ledoit_wolf` too.
        """
        first, second = residuals.sum(1, dtype=torch.float64), torch.bmm(residuals.mT, residuals)
        if not ledoit_wolf:
            return cls(residuals.shape[1], first, second)
        norms = residuals.square().sum(2)
        return cls(
            residuals.shape[1],
            first,
            second,
            torch.einsum("svx,sv->sx", residuals, norms),
            norms.sum(1, dtype=torch.float64),
            norms.double().square().sum(1),
        )

    def __add__(self, other: Moments) -> Moments:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Moments(*(a + b for a, b in pairs))

    def __sub__(self, other: Moments) -> Moments:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Moments(*(a - b for a, b in pairs))

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

        Raises
        ------
        ValueError
            If the moments were taken without ``ledoit_wolf``.
        """
        if self.norm.ndim == 0:
            raise ValueError("Take the moments with Moments.of(residuals, ledoit_wolf=True).")
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
        share = torch.where(delta > 0, beta / delta, torch.zeros_like(delta)).clamp(0, 1)
        share = share[:, None, None]  # rounding alone leaves the range, where vectors are equal
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

    Examples
    --------
    >>> def residual(vectors):  # of a model with one seed that reconstructs zeros
    ...     return torch.from_numpy(vectors)[None]
    >>> normal = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)  # 4 vectors
    >>> detector = Detector.fit(residual, [("source", normal)], workers=1)
    >>> scores = detector(np.array([[2, 0]], np.float32))
    >>> scores["eq1"].round(1)  # 0.8 * 6.0 + 0.2 * 4.0
    array([5.6])
    """

    residual: Callable[[Float[np.ndarray, "vector value"]], Float[Tensor, "seed vector value"]]
    moments: Mapping[str, Moments]
    scorers: Mapping[str, Scorer]
    constants: Scoring = Scoring()
    _centres: dict[str, Tensor] = field(init=False, repr=False)
    _factors: dict[Covariance, Tensor] = field(init=False, repr=False)
    _white_centres: dict[Reference, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Factor every covariance that a scorer needs: one Cholesky each, no inverse."""
        pooled = sum(self.moments.values(), start=Moments())
        centres = {_ALL: pooled, **self.moments}
        self._centres = {name: moments.mean for name, moments in centres.items()}
        references = dict.fromkeys(
            reference for scorer in self.scorers.values() for reference in self._references(scorer)
        )
        names = dict.fromkeys(reference.covariance for reference in references)
        self._factors = {name: self._factor(name, pooled) for name in names}
        with one_thread():  # the same bytes as the clips' own products
            self._white_centres = {
                reference: _solve(
                    self._factors[reference.covariance],
                    self._centres[reference.centre].float()[:, :, None],
                )
                for reference in references
            }

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
        """Take residual statistics from training-normal clips.

        Parameters
        ----------
        residual : as of :class:`Detector`.
        clips : (domain, stacked vectors) of every clip.
        workers : clips at a time, as of :func:`asdlib.runtime.parallel.clip_by_clip`.

        Raises
        ------
        AsdError
            If there is no clip.
        """
        ledoit_wolf = any(scorer.ledoit_wolf for scorer in scorers.values())

        def own(clip: tuple[str, np.ndarray]) -> tuple[str, Moments]:
            return clip[0], Moments.of(residual(clip[1]), ledoit_wolf=ledoit_wolf)

        moments: dict[str, Moments] = {}
        for domain, found in clip_by_clip(own, clips, workers=workers):
            moments[domain] = moments.get(domain, Moments())
            moments[domain] += found
        if not moments:
            raise AsdError("Residual statistics need at least one training-normal clip.")
        return cls(residual, moments, scorers, constants)

    def held_out(
        self,
        clips: Callable[[int], Float[np.ndarray, "vector value"]],
        domains: Sequence[str],
        folds: Sequence[int],
        *,
        workers: int | None = None,
    ) -> list[dict[str, Float[np.ndarray, " seed"]]]:
        """A of the training clips, each by residual statistics without the clips of its fold.

        The model itself has seen them: this is the cheap form, which trains nothing again. A clip
        whose fold holds all the others too is scored by the statistics of all.

        Parameters
        ----------
        clips : gives the stacked vectors of a clip by its number.
        domains, folds : of every clip that the statistics were taken from.
        """
        ledoit_wolf = any(scorer.ledoit_wolf for scorer in self.scorers.values())
        found: list[dict[str, np.ndarray]] = [{} for _ in folds]
        for fold in dict.fromkeys(folds):
            own = [number for number, other in enumerate(folds) if other == fold]
            left = dict(self.moments)
            for number in own:
                part = Moments.of(self.residual(clips(number)), ledoit_wolf=ledoit_wolf)
                left[domains[number]] = left[domains[number]] - part
            left = {domain: moments for domain, moments in left.items() if moments.count}
            rest = Detector(self.residual, left, self.scorers, self.constants) if left else self
            scores = clip_by_clip(rest, map(clips, own), workers=workers)
            for number, a in zip(own, scores, strict=True):
                found[number] = a
        return found

    def __call__(
        self, vectors: Float[np.ndarray, "vector value"]
    ) -> dict[str, Float[np.ndarray, " seed"]]:
        """A(x) of one clip, eq. 1, per scorer and seed, in float64."""
        return self.from_residuals(self.residual(vectors))

    def from_residuals(
        self, residuals: Float[Tensor, "seed vector value"]
    ) -> dict[str, Float[np.ndarray, " seed"]]:
        """A(x) of one clip from its residuals e_i, per scorer and seed, in float64."""
        terms = self._terms(residuals, self._white_centres)
        return {name: self._score(scorer, terms) for name, scorer in self.scorers.items()}

    def _score(
        self, scorer: Scorer, terms: Mapping[Reference, tuple[Tensor, Tensor]]
    ) -> Float[np.ndarray, " seed"]:
        """A(x) by one scorer: eq. 1 against each of its references, the smallest of them."""
        scores = []
        for reference in self._references(scorer):
            distance, energy = (self._over_frames(_numpy(x), scorer) for x in terms[reference])
            scores.append(self._weighted(distance, energy, scorer))
        return np.minimum.reduce(scores)

    def over_time(
        self, vectors: Float[np.ndarray, "vector value"], name: str
    ) -> tuple[Float[np.ndarray, "seed vector"], Float[np.ndarray, "seed vector value"]]:
        """Contribution of every stacked vector to a clip's score: for figures, not for scoring.

        Returns
        -------
        terms : (1 - alpha) Mahalanobis + alpha energy of every stacked vector, against the
            reference whose score is the smallest.
        residuals : e_i.
        """
        scorer, residuals = self.scorers[name], self.residual(vectors)
        terms = self._terms(residuals, self._references(scorer)).values()
        each = np.stack([_numpy(self._weighted(*pair, scorer)) for pair in terms])
        smallest = self._over_frames(each, scorer).argmin(0)
        return each[smallest, np.arange(each.shape[1])], _numpy(residuals)

    def level(
        self, terms: Float[np.ndarray, "*shape vector"], name: str
    ) -> Float[np.ndarray, "*shape"]:
        """Reduce terms over frames as a scorer does: P90, P95, mean or maximum."""
        return self._over_frames(terms, self.scorers[name])

    def _terms(
        self, residuals: Float[Tensor, "seed vector value"], references: Iterable[Reference]
    ) -> dict[Reference, tuple[Float[Tensor, "seed vector"], Float[Tensor, "seed vector"]]]:
        """Both terms of eq. 1 for every vector: Mahalanobis distance and energy.

        With Sigma = L L^T, the distance is ||L^-1 e_i - L^-1 mu||^2. The products L^-1 e_i are the
        expensive part: one per covariance.
        """
        whitened: dict[Covariance, Tensor] = {}
        energies: dict[str, Tensor] = {}
        terms = {}
        for reference in references:
            covariance, centre = reference
            if covariance not in whitened:
                whitened[covariance] = _solve(self._factors[covariance], residuals.mT)
            if centre not in energies:  # ||e_i||^2, or with DM ||e_i - mu_d||^2
                shift = 0 if centre == _ALL else self._centres[centre].float()[:, None]
                offset = residuals - shift
                energies[centre] = torch.einsum("stv,stv->st", offset, offset)
            offset = whitened[covariance] - self._white_centres[reference]
            terms[reference] = torch.einsum("svt,svt->st", offset, offset), energies[centre]
        return terms

    def _weighted(self, distance: Term, energy: Term, scorer: Scorer) -> Term:
        """Sum of both terms in eq. 1: (1 - alpha) distance + alpha energy."""
        alpha = self.constants.alpha if scorer.alpha is None else scorer.alpha
        return (1 - alpha) * distance + alpha * energy

    def _over_frames(
        self, terms: Float[np.ndarray, "*shape vector"], scorer: Scorer
    ) -> Float[np.ndarray, "*shape"]:
        """Reduce over the frames of a clip: P90 in eq. 1."""
        if scorer.over_frames == "mean":
            return terms.mean(-1)
        if scorer.over_frames == "max":
            return terms.max(-1)
        q = self.constants.sharp_percentile if scorer.sharp else self.constants.percentile
        return np.percentile(terms, q, axis=-1)

    def _references(self, scorer: Scorer) -> list[Reference]:
        """What a scorer compares a clip with; the smallest of the scores counts."""
        if scorer.domain_mean or scorer.shrink:
            return [
                Reference(
                    Covariance(domain if scorer.shrink else _ALL, scorer.ridge),
                    domain if scorer.domain_mean else _ALL,
                )
                for domain in self.moments
            ]
        name = _LEDOIT_WOLF if scorer.ledoit_wolf else _ALL
        return [Reference(Covariance(name, scorer.ridge), _ALL)]

    def _factor(self, wanted: Covariance, pooled: Moments) -> Float[Tensor, "seed value value"]:
        """Cholesky factor of a covariance, with the ridge on its diagonal where it needs one."""
        name, share = wanted
        if name == _LEDOIT_WOLF:  # regular already
            return _cholesky(pooled.ledoit_wolf, pooled)
        covariance = pooled.covariance if name == _ALL else self.moments[name].covariance
        if name == "target" and "source" in self.moments:
            rho = self.constants.rho
            covariance = (1 - rho) * covariance + rho * self.moments["source"].covariance
        diagonal = covariance.diagonal(dim1=1, dim2=2)
        share = self.constants.ridge if share is None else share
        ridge = share * diagonal.mean(1, keepdim=True)
        regular = covariance + torch.diag_embed(ridge.expand_as(diagonal))
        return _cholesky(regular, pooled)


def _cholesky(
    covariance: Float[Tensor, "seed value value"], moments: Moments
) -> Float[Tensor, "seed value value"]:
    """Cholesky factor; where residuals do not differ enough for one, with more on the diagonal.

    That is the ridge's share, not of the variance, which is lost in rounding, but of the mean
    square of all residuals.
    """
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed.any():
        square = moments.second.diagonal(dim1=1, dim2=2).mean(1) / moments.count
        more = Scoring().ridge * square + _LEAST
        identity = torch.eye(covariance.shape[1], dtype=more.dtype, device=more.device)
        factor = torch.linalg.cholesky(covariance + more[:, None, None] * identity)
    return factor.float()


def _numpy(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()


def _solve(factor: Tensor, columns: Tensor) -> Tensor:
    """L^-1 of the columns."""
    return torch.linalg.solve_triangular(factor, columns, upper=False)
