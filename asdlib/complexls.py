"""The complex filter from the far to the near channel, and the residual of the near channel.

R = N - sum_j H_j F(t - j), with complex weights H per bin that are fitted on the clip itself. Phase
counts, unlike in the subtraction of powers.

:func:`far_filter` is plain least squares. It finds the noise's transfer only where the far channel
does not hear the machine. Elsewhere the filter is pulled towards the machine's transfer and removes
machine sound. In :func:`gated_filter` two gates, decided per bin from the clip alone, find the bins
where a line or impulses of the machine would pull the fit. The fit is repeated there: on what a
linear prediction leaves, or with weights that are small where the residual is large.

Limit: in a reverberant room a line of the noise may be louder at the near microphone than the rest
of the noise is. The line gate takes it for the machine's, and less of the noise is removed.
Notebook: 04_phase.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Complex

from asdlib.params import Denoising
from asdlib.spectra import Power, Spectrum, power

# frames that a frame is predicted from; the windows of t and t - 1 overlap, so that frame t - 1
# predicts some of any noise
_LAGS = (2, 3, 4)
_FIRST = max(_LAGS)  # frame that has all of them
_PREDICTION = Denoising(context=len(_LAGS), ridge=1e-3)
_LEAST_FRAMES = 32  # 1 s; in fewer, too much is predicted by chance
_LINE_LEVEL = 10**0.1  # 1 dB, in power
_LINE_SHARE = 1 / 3  # of the near power that has to be predictable
_KURTOSIS = 2.5  # E|R|^4 / (E|R|^2)^2; complex Gaussian: 2, a tone: 1
_IMPULSE_LEVEL = 10**0.3  # 3 dB, in power
_ROUNDS = 5  # of the reweighted fit
_QUIET = 0.01  # share of the mean power that bounds the weights

Gate = Bool[np.ndarray, " frequency"]
Filter = Complex[np.ndarray, "frequency context"]
Residual = Complex[np.ndarray, "frequency frame"]
Delayed = Complex[np.ndarray, "frequency context frame"]
Gram = Complex[np.ndarray, "frequency context context"]  # of the delayed far frames
Cross = Complex[np.ndarray, "frequency context 1"]  # of the delayed far frames and the near ones


def far_filter(spectrum: Spectrum, constants: Denoising = Denoising()) -> Filter:
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
    spectrum: Spectrum, constants: Denoising = Denoising(), *, weights: Power | None = None
) -> tuple[Gram, Cross]:
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
    return _products(near, _delayed(far, constants.context), weights)


def _products(near: Residual, inputs: Delayed, weights: Power | None = None) -> tuple[Gram, Cross]:
    """Gram matrix of the inputs, and their products with the near frames."""
    left = inputs.conj()
    if weights is not None:
        left = left * weights[:, None].astype(left.real.dtype)
    gram, cross = left @ inputs.mT, left @ near[:, :, None]
    return gram.astype(np.complex128), cross.astype(np.complex128)


def solve_filter(gram: Gram, cross: Cross, constants: Denoising = Denoising()) -> Filter:
    """Filter of :func:`far_filter` from correlations, which may be summed over clips.

    >>> solve_filter(np.array([[[4 + 0j]]]), np.array([[[2j]]])).round(3)
    array([[0.+0.5j]])
    """
    diagonal = np.trace(gram, axis1=1, axis2=2).real / constants.context
    share = np.where(diagonal > 0, constants.ridge * diagonal, 1)
    regular = gram + share[:, None, None] * np.eye(constants.context)
    return np.linalg.solve(regular, cross)[:, :, 0]


def subtract(spectrum: Spectrum, fit: Filter) -> Residual:
    """Residual R of the near spectrum: N - sum_j H_j F(t - j), with a filter H.

    >>> subtract(np.array([[[5.0, 5.0]], [[1.0, 2.0]]]) + 0j, np.array([[2 + 0j]]))
    array([[3.+0.j, 1.+0.j]])
    """
    near, far = spectrum
    filtered = fit.astype(near.dtype)[:, None] @ _delayed(far, fit.shape[1])
    return near - filtered[:, 0]


def gated_filter(spectrum: Spectrum, constants: Denoising = Denoising()) -> Filter:
    """Complex filter from the far to the near channel, per bin, with a line and an impulse gate.

    Equal to :func:`far_filter` in bins where no gate opens, and in clips of fewer
    than 32 frames. It is to be applied to the raw far frames.

    Parameters
    ----------
    spectrum : (2, frequency, frame) complex, near and far; windows overlap by half at most.

    Returns
    -------
    (frequency, context) : ``context`` frames, the present one first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise, broad = rng.standard_normal((2, 1, 300)) + 1j * rng.standard_normal((2, 1, 300))
    >>> machine = 9 * np.exp(1.3j * np.arange(300))[None] + 0.1 * broad  # a line
    >>> clip = np.stack([machine + 0.5 * noise, 0.3 * machine + noise])  # the far channel hears it
    >>> bool(far_filter(clip).real > 2), bool(abs(gated_filter(clip) - 0.5) < 0.1)
    (True, True)
    """
    fit = far_filter(spectrum, constants)
    if spectrum.shape[-1] < _LEAST_FRAMES:
        return fit
    rest = remainders(spectrum)
    lines = machine_lines(spectrum, rest)
    fit[lines] = far_filter(rest[:, lines], constants)
    fitted = np.where(lines[:, None], rest, spectrum)
    impulses = machine_impulses(fitted, subtract(fitted, fit))
    fit[impulses] = reweighted_filter(fitted[:, impulses], fit[impulses], constants)
    return fit


def remainders(spectrum: Spectrum) -> Spectrum:
    """What a linear prediction of each channel from its own frames t - 2 to t - 4 leaves of it.

    The prediction is a least-squares fit per channel and bin; tones of constant amplitude are
    predicted, noise is not.

    Returns
    -------
    (2, frequency, frame) : 0 in the first four frames, which nothing is predicted from.

    Examples
    --------
    >>> tone = np.exp(0.7j * np.arange(50.0))[None]
    >>> float(np.abs(remainders(np.stack([tone, 3 * tone]))).max().round(3))
    0.001
    """
    frames = spectrum.shape[-1]
    rest = np.zeros_like(spectrum)
    for channel, left in zip(spectrum, rest, strict=True):
        now = channel[:, _FIRST:]
        past = np.stack([channel[:, _FIRST - lag : frames - lag] for lag in _LAGS], axis=1)
        weights = solve_filter(*_products(now, past), _PREDICTION)
        left[:, _FIRST:] = now - (weights.astype(now.dtype)[:, None] @ past)[:, 0]
    return rest


def machine_lines(spectrum: Spectrum, rest: Spectrum) -> Gate:
    """Bins in which a line of the machine would pull the fit.

    Where the near/far level ratio of the predictable part exceeds that of the remainder by 1 dB,
    the line comes from nearer to the near microphone than the rest does: it is the machine's. A
    third of the near power has to be predictable; the filter on remainders is the worse one
    elsewhere.

    Parameters
    ----------
    rest : of :func:`remainders`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((1, 300)) + 1j * rng.standard_normal((1, 300))
    >>> line = 3 * np.exp(1.3j * np.arange(300))[None]
    >>> clips = [np.stack([near * line + noise, line + noise]) for near in (1, 2)]
    >>> [machine_lines(clip, remainders(clip)).item() for clip in clips]
    [False, True]
    """
    rest = rest[:, :, _FIRST:]
    (line_near, line_far), (rest_near, rest_far) = (
        power(part).sum(axis=-1, dtype=np.float64)
        for part in (spectrum[:, :, _FIRST:] - rest, rest)
    )
    enough = line_near > _LINE_SHARE * (line_near + rest_near)
    return enough & (line_near * rest_far > _LINE_LEVEL * line_far * rest_near)


def machine_impulses(spectrum: Spectrum, residual: Residual) -> Gate:
    """Bins in which impulses of the machine would pull the fit.

    The residual R of the first fit has E|R|^4 / (E|R|^2)^2 > 2.5, and the near/far level ratio of
    the frames that it is large in exceeds that of the other frames by 3 dB. Impulses of the noise
    leave residuals too, but they are as loud at the far microphone as other noise is. Impulses that
    are louder than the noise at the far microphone are not found: the first fit cancels them.

    Parameters
    ----------
    spectrum : what the filter was fitted on.
    residual : (frequency, frame), what the filter leaves of its near channel.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((1, 300)) + 1j * rng.standard_normal((1, 300))
    >>> blows = np.where(np.arange(300) % 20 == 0, 20, 0.1)[None]
    >>> clip = np.stack([blows + noise, 0.1 * blows + noise])
    >>> machine_impulses(clip, clip[0] - clip[1]).item()
    True
    """
    left = power(residual).astype(np.float64)
    mean = left.mean(axis=-1)
    impulsive = (left**2).mean(axis=-1) > _KURTOSIS * mean**2
    near, far = power(spectrum)
    quiet = _weights(left)
    peaks = (left * near).sum(axis=-1) * (quiet * far).sum(axis=-1)
    others = (left * far).sum(axis=-1) * (quiet * near).sum(axis=-1)
    return impulsive & (peaks > _IMPULSE_LEVEL * others)


def reweighted_filter(
    spectrum: Spectrum, fit: Filter, constants: Denoising = Denoising()
) -> Filter:
    """Fit again, five times, with weights 1 / (|R|^2 + 0.01 mean |R|^2) of the last residual R.

    Iteratively reweighted least squares: Holland and Welsch 1977.

    Parameters
    ----------
    fit : filter that the first residual comes from.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((1, 300)) + 1j * rng.standard_normal((1, 300))
    >>> blows = np.where(np.arange(300) % 20 == 0, 20, 0.1)[None]
    >>> clip = np.stack([blows + 0.5 * noise, 0.5 * blows + noise])
    >>> bool(far_filter(clip).real > 1.5)
    True
    >>> bool(abs(reweighted_filter(clip, far_filter(clip)) - 0.5) < 0.1)
    True
    """
    for _ in range(_ROUNDS):
        weights = _weights(power(subtract(spectrum, fit)).astype(np.float64))
        fit = solve_filter(*correlations(spectrum, constants, weights=weights), constants)
    return fit


def _weights(left: Power) -> Power:
    """Weights of frames by the power of their residual, with a mean of 1; 1 without a residual."""
    bounded = left + _QUIET * left.mean(axis=-1, keepdims=True)
    weights = np.divide(1, bounded, out=np.ones_like(left), where=bounded > 0)
    return weights / weights.mean(axis=-1, keepdims=True)


def _delayed(far: Residual, context: int) -> Delayed:
    """Far frames t, t - 1, ...; zeros before the clip."""
    padded = np.pad(far, [(0, 0), (context - 1, 0)])
    return np.lib.stride_tricks.sliding_window_view(padded, far.shape[1], axis=1)[:, ::-1]
