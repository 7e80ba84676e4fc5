"""The clip score, eq. 1 of the paper: percentiles of Mahalanobis distance and energy over frames.

A(x) = (1 - alpha) P90{(e_i - mu)^T Sigma^-1 (e_i - mu)} + alpha P90{|e_i|^2}, with residuals e_i of
the clip's stacked vectors, and mean mu and covariance Sigma of the training-normal residuals.
A re-scoring is a value of :class:`asdlib.scorers.Scorer`; none of them trains anything again. Every
clip is scored alone, so a clip's score is the same bytes whatever is scored beside it.
Notebook: 05_variants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asdlib.moments import Matrix, Moments, Residuals
from asdlib.params import AsdError, Scoring
from asdlib.runtime.parallel import clip_by_clip, one_thread
from asdlib.scorers import SCORERS, Scorer

Vectors = Float[np.ndarray, "vector value"]  # stacked frames of one clip
Scores = dict[str, Float[np.ndarray, " seed"]]  # A(x) of one clip by name of the scorer


class Reference(NamedTuple):
    """What a clip is scored against: a covariance by its clips, its ridge, and a centre."""

    covariance: str
    ridge: float
    centre: str


_ALL = "all"  # both domains together
_LEDOIT_WOLF = "Ledoit-Wolf"  # both domains together, shrunk
_LEAST = 1e-12  # variance, where there is no residual at all


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

    residual: Callable[[Vectors], Residuals]
    moments: Mapping[str, Moments]
    scorers: Mapping[str, Scorer]
    constants: Scoring = Scoring()
    _known: dict[str, Moments] = field(init=False, repr=False)
    _factors: dict[tuple[str, float], Tensor] = field(init=False, repr=False)
    _white_centres: dict[Reference, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Factor every covariance that a scorer needs: one Cholesky each, no inverse."""
        self._known = {_ALL: sum(self.moments.values(), start=Moments()), **self.moments}
        references = [r for scorer in self.scorers.values() for r in self._references(scorer)]
        wanted = dict.fromkeys(reference[:2] for reference in references)
        self._factors = {key: self._factor(*key) for key in wanted}
        with one_thread():  # the same bytes as the clips' own products
            self._white_centres = {
                r: _solve(self._factors[r[:2]], self._known[r.centre].mean.float()[:, :, None])
                for r in dict.fromkeys(references)
            }

    @classmethod
    def fit(
        cls,
        residual: Callable[[Vectors], Residuals],
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

        def own(clip: tuple[str, np.ndarray]) -> tuple[str, Moments]:
            return clip[0], _moments(residual(clip[1]), scorers)

        moments: dict[str, Moments] = {}
        for domain, found in clip_by_clip(own, clips, workers=workers):
            moments[domain] = moments.get(domain, Moments()) + found
        if not moments:
            raise AsdError("Residual statistics need at least one training-normal clip.")
        return cls(residual, moments, scorers, constants)

    def held_out(
        self,
        clips: Callable[[int], Vectors],
        domains: Sequence[str],
        folds: Sequence[int],
        *,
        workers: int | None = None,
    ) -> list[Scores]:
        """A of the training clips, each by residual statistics without the clips of its fold.

        The model itself has seen them: this is the cheap form, which trains nothing again. A clip
        whose fold holds all the others too is scored by the statistics of all.

        Parameters
        ----------
        clips : gives the stacked vectors of a clip by its number.
        domains, folds : of every clip that the statistics were taken from.
        """
        found: dict[int, Scores] = {}
        for fold in dict.fromkeys(folds):
            own = [number for number, other in enumerate(folds) if other == fold]
            left = dict(self.moments)
            for number in own:
                left[domains[number]] -= _moments(self.residual(clips(number)), self.scorers)
            left = {domain: moments for domain, moments in left.items() if moments.count}
            rest = replace(self, moments=left) if left else self
            found |= zip(own, clip_by_clip(rest, map(clips, own), workers=workers), strict=True)
        return [found[number] for number in range(len(folds))]

    def __call__(self, vectors: Vectors) -> Scores:
        """A(x) of one clip, eq. 1 of the paper, per scorer and seed, in float64."""
        return self.from_residuals(self.residual(vectors))

    def from_residuals(self, residuals: Residuals) -> Scores:
        """A(x) of one clip from its residuals e_i, per scorer and seed, in float64."""
        terms, scores = self._terms(residuals), {}
        for name, scorer in self.scorers.items():
            own = np.stack([terms[reference] for reference in self._references(scorer)])
            distance, energy = np.swapaxes(self._over_frames(own, scorer), 0, 1)
            alpha = self.constants.alpha if scorer.alpha is None else scorer.alpha
            scores[name] = ((1 - alpha) * distance + alpha * energy).min(0)
        return scores

    def _over_frames(self, terms: np.ndarray, scorer: Scorer) -> np.ndarray:
        """Reduce over the frames of a clip: P90 as in eq. 1 of the paper, P95, mean or maximum."""
        if scorer.over_frames in ("mean", "max"):  # as methods of arrays are named
            return getattr(terms, scorer.over_frames)(-1)
        q = self.constants.sharp_percentile if scorer.sharp else self.constants.percentile
        return np.percentile(terms, q, axis=-1)

    def _terms(self, residuals: Residuals) -> dict[Reference, Float[np.ndarray, "2 seed vector"]]:
        """Both terms of eq. 1 of the paper for every vector: Mahalanobis distance and energy.

        With Sigma = L L^T, the distance is ||L^-1 e_i - L^-1 mu||^2. The products L^-1 e_i are the
        expensive part: one per covariance.
        """
        whitened: dict[tuple[str, float], Tensor] = {}
        energies: dict[str, Tensor] = {}
        terms = []
        for reference in self._white_centres:
            key, centre = reference[:2], reference.centre
            if key not in whitened:
                whitened[key] = _solve(self._factors[key], residuals.mT)
            if centre not in energies:  # ||e_i||^2, or with DM ||e_i - mu_d||^2
                shift = 0 if centre == _ALL else self._known[centre].mean.float()[:, None]
                offset = residuals - shift
                energies[centre] = offset.square().sum(2)
            offset = whitened[key] - self._white_centres[reference]
            terms.append(torch.stack([offset.square().sum(1), energies[centre]]))
        both = torch.stack(terms).double().cpu().numpy()  # one transfer from a GPU
        return dict(zip(self._white_centres, both, strict=True))

    def _references(self, scorer: Scorer) -> list[Reference]:
        """What a scorer compares a clip with; the smallest of the scores counts."""
        ridge = self.constants.ridge if scorer.ridge is None else scorer.ridge
        if not (scorer.domain_mean or scorer.shrink):
            return [Reference(_LEDOIT_WOLF if scorer.ledoit_wolf else _ALL, ridge, _ALL)]
        return [
            Reference(
                domain if scorer.shrink else _ALL, ridge, domain if scorer.domain_mean else _ALL
            )
            for domain in self.moments
        ]

    def _factor(self, name: str, ridge: float) -> Matrix:
        """Cholesky factor of a covariance, with the ridge on its diagonal where it needs one."""
        pooled = self._known[_ALL]
        if name == _LEDOIT_WOLF:  # regular already
            return _cholesky(pooled.ledoit_wolf, pooled)
        covariance = self._known[name].covariance
        if name == "target" and "source" in self.moments:
            rho = self.constants.rho
            covariance.mul_(1 - rho).add_(self.moments["source"].covariance.mul_(rho))
        diagonal = covariance.diagonal(dim1=1, dim2=2)
        diagonal += ridge * diagonal.mean(1, keepdim=True)
        return _cholesky(covariance, pooled)


def _moments(residuals: Residuals, scorers: Mapping[str, Scorer]) -> Moments:
    """One clip's moments, as far as the scorers need them."""
    return Moments.of(residuals, ledoit_wolf=any(s.ledoit_wolf for s in scorers.values()))


def _cholesky(covariance: Matrix, moments: Moments) -> Matrix:
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


def _solve(factor: Tensor, columns: Tensor) -> Tensor:
    """L^-1 of the columns."""
    return torch.linalg.solve_triangular(factor, columns, upper=False)
