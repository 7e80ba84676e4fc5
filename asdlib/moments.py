"""Moments of residuals, from clip to clip: count, sums, sums of products.

mu = sum e / n and Sigma = (sum e e^T - n mu mu^T) / (n - 1), in float64 and per seed. Moments of
clips add up, and those of a clip can be taken away again. Notebook: 05_variants.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Residuals = Float[Tensor, "seed vector value"]
Matrix = Float[Tensor, "seed value value"]


_NOTHING = torch.zeros((), dtype=torch.float64)


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
    first: Float[Tensor, "*seed_value"] = _NOTHING
    second: Float[Tensor, "*seed_value_value"] = _NOTHING
    third: Float[Tensor, "*asked_seed_value"] = _NOTHING
    norm: Float[Tensor, "*asked_seed"] = _NOTHING
    norm_square: Float[Tensor, "*asked_seed"] = _NOTHING

    @classmethod
    def of(cls, residuals: Residuals, *, ledoit_wolf: bool = False) -> Moments:
        """Moments of one clip's residuals; the products are summed, and kept, in float32.

        Parameters
        ----------
        ledoit_wolf : take the moments of :attr:`ledoit_wolf` too.
        """
        first, second = residuals.sum(1, dtype=torch.float64), torch.bmm(residuals.mT, residuals)
        own = cls(residuals.shape[1], first, second)
        if ledoit_wolf:
            norms = residuals.square().sum(2)
            own.third = torch.einsum("svx,sv->sx", residuals, norms).double()
            own.norm = norms.sum(1, dtype=torch.float64)
            own.norm_square = norms.double().square().sum(1)
        return own

    def __add__(self, other: Moments) -> Moments:
        return self._with(other, operator.add)

    def __sub__(self, other: Moments) -> Moments:
        return self._with(other, operator.sub)

    def _with(self, other: Moments, operation: Callable[[Any, Any], Any]) -> Moments:
        pairs = [(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)[1:]]
        sums = (operation(own.double(), others.double()) for own, others in pairs)
        return Moments(operation(self.count, other.count), *sums)

    @property
    def mean(self) -> Float[Tensor, "seed value"]:
        """mu, in float64."""
        return self.first / self.count

    @property
    def covariance(self) -> Matrix:
        """Full sample covariance, in float64."""
        outer = self.mean[:, :, None] * self.mean[:, None, :] * self.count
        return torch.sub(self.second, outer, out=outer).div_(max(self.count - 1, 1))

    @property
    def ledoit_wolf(self) -> Matrix:
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
        s = self.second.double() / n - outer
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
