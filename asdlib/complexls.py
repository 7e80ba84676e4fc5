"""The complex filter from the far to the near channel, and the residual of the near channel.

The far spectrum, filtered by complex weights per bin, is subtracted from the near spectrum. Phase
counts, unlike in the subtraction of powers. Notebook: 03_phase.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Float

from asdlib.params import Denoising
from asdlib.spectra import Spectrum


def far_filter(
    spectrum: Spectrum, constants: Denoising = Denoising()
) -> Complex[np.ndarray, "frequency context"]:
    """Complex filter from the far to the near channel, per bin, by regularised least squares.

    H(k) = argmin sum_t abs(N - sum_j H_j F(t - j))^2 + ridge m |H|^2, with m the mean diagonal of
    the far channel's Gram matrix; 0 where the far channel is silent.

    Returns
    -------
    (frequency, context) : ``context`` frames, the present one first.

    Examples
    --------
    >>> far = np.array([[1.0, 2j, -1.0]])
    >>> far_filter(np.stack([0.5j * far, far])).round(3)
    array([[0.+0.5j]])
    """
    return solve_filter(*correlations(spectrum, constants), constants)


def correlations(
    spectrum: Spectrum,
    constants: Denoising = Denoising(),
    *,
    weights: Float[np.ndarray, "frequency frame"] | None = None,
) -> tuple[
    Complex[np.ndarray, "frequency context context"], Complex[np.ndarray, "frequency context 1"]
]:
    """Gram matrix of the delayed far frames, and their products with the near ones.

    Parameters
    ----------
    weights : of the terms of both sums over frames; none: all are 1.

    Examples
    --------
    >>> gram, cross = correlations(np.array([[[1j, 2j]], [[1.0, 2.0]]]))
    >>> gram.tolist(), cross.tolist()
    ([[[(5+0j)]]], [[[5j]]])
    """
    near, far = spectrum
    delayed = _delayed(far, constants.context)
    left = delayed.conj()
    if weights is not None:
        left = left * weights[:, None].astype(far.real.dtype)
    gram, cross = left @ delayed.mT, left @ near[:, :, None]
    return gram.astype(np.complex128), cross.astype(np.complex128)


def solve_filter(
    gram: Complex[np.ndarray, "frequency context context"],
    cross: Complex[np.ndarray, "frequency context 1"],
    constants: Denoising = Denoising(),
) -> Complex[np.ndarray, "frequency context"]:
    """Filter of :func:`far_filter` from correlations, which may be summed over clips.

    >>> solve_filter(np.array([[[4 + 0j]]]), np.array([[[2j]]])).round(3)
    array([[0.+0.5j]])
    """
    diagonal = np.trace(gram, axis1=1, axis2=2).real / constants.context
    share = np.where(diagonal > 0, constants.ridge * diagonal, 1)
    regular = gram + share[:, None, None] * np.eye(constants.context)
    return np.linalg.solve(regular, cross)[:, :, 0]


def subtract(
    spectrum: Spectrum, fit: Complex[np.ndarray, "frequency context"]
) -> Complex[np.ndarray, "frequency frame"]:
    """Near spectrum minus the filtered far one: N - sum_j H_j F(t - j).

    >>> subtract(np.array([[[5.0, 5.0]], [[1.0, 2.0]]]) + 0j, np.array([[2 + 0j]]))
    array([[3.+0.j, 1.+0.j]])
    """
    near, far = spectrum
    filtered = fit.astype(near.dtype)[:, None] @ _delayed(far, fit.shape[1])
    return near - filtered[:, 0]


def unpredicted(
    spectrum: Spectrum, constants: Denoising = Denoising()
) -> Complex[np.ndarray, "frequency frame"]:
    """Residual R of the near spectrum after subtraction with the clip's own filter.

    >>> far = np.array([[1.0, 2j, -1.0]])
    >>> float(np.abs(unpredicted(np.stack([0.5j * far, far]))).max().round(3))
    0.001
    """
    return subtract(spectrum, far_filter(spectrum, constants))


def _delayed(
    far: Complex[np.ndarray, "frequency frame"], context: int
) -> Complex[np.ndarray, "frequency context frame"]:
    """Far frames t, t - 1, ...; zeros before the clip."""
    padded = np.pad(far, [(0, 0), (context - 1, 0)])
    return np.lib.stride_tricks.sliding_window_view(padded, far.shape[1], axis=1)[:, ::-1]
