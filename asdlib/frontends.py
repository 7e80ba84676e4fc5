"""Front-ends: two complex spectra in, one denoised near power spectrum out.

``fit`` takes the training-normal clips of one machine. A call denoises one clip, (2, frequency,
frame) complex to (frequency, frame) power, from that clip and the fitted statistics alone. Except
for the far microphone itself, each front-end is a gain on the near power, P_out = gain P_n with
0 <= gain <= 1: from the expected noise G_m P_f (eq. 3 of the paper), from the coherence of the
channels (eq. 4 of the paper), or from the residual of a complex fit. Notebook: 01_far_microphone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.special
from jaxtyping import Float

from asdlib.complexls import Residual, far_filter, gated_filter, subtract
from asdlib.noise import Floors, Levels, expected_noise, levels
from asdlib.params import AsdError, Denoising
from asdlib.spectra import Power, Spectrum, power

_MOST_SNR = 1e10  # 100 dB: keeps squares finite in float32
_LEAST_V = 1e-30  # E1 is infinite at 0

Ratio = Float[np.ndarray, "*shape"] | float  # of powers


def coherence(spectrum: Spectrum, constants: Denoising = Denoising()) -> Power:
    """Magnitude-squared coherence of the two channels, recursively smoothed over time.

    MSC = |S_nf|^2 / (S_nn S_ff) with S(t) = c S(t-1) + (1-c) X(t), started from the mean of the
    first frames; 0 where a channel is silent.

    Parameters
    ----------
    spectrum : (2, frequency, frame) complex.

    Returns
    -------
    (frequency, frame), 0 to 1 up to rounding.

    Examples
    --------
    >>> near = np.exp(1j * np.arange(40.0))[None]
    >>> coherence(np.stack([near, 0.3 * near])).round(6).min()
    np.float64(1.0)
    """
    near, far = spectrum
    s_nn, s_ff = _smooth(power(near), constants), _smooth(power(far), constants)
    cross = np.abs(_smooth(near * far.conj(), constants))
    heard = (s_nn > 0) & (s_ff > 0)
    # two ratios instead of one product: the product of two quiet powers underflows in float32
    to_near = np.divide(cross, s_nn, out=np.zeros_like(s_nn), where=heard)
    to_far = np.divide(cross, s_ff, out=np.zeros_like(s_ff), where=heard)
    return to_near * to_far


def _smooth(values: np.ndarray, constants: Denoising) -> np.ndarray:
    import scipy.signal  # half a second to import, needed nowhere else

    keep = np.asarray(constants.smoothing, values.real.dtype)
    start = keep * values[:, : constants.start_frames].mean(axis=1, keepdims=True)
    one = np.ones((), keep.dtype)
    numerator, denominator = np.array([one - keep]), np.array([one, -keep])
    return scipy.signal.lfilter(numerator, denominator, values, axis=1, zi=start)[0]


def wiener_gain(prior: Ratio) -> Ratio:
    """Amplitude gain xi / (1 + xi) from the a-priori SNR xi.

    >>> wiener_gain(3.0)
    0.75
    """
    return prior / (1 + prior)


def lsa_gain(prior: Ratio, posterior: Ratio) -> Ratio:
    """Best gain for the log-spectral amplitude, at most 1 (Ephraim and Malah 1985).

    xi / (1 + xi) exp(E1(v) / 2) with v = xi gamma / (1 + xi).

    Parameters
    ----------
    prior, posterior : the SNR xi and gamma, as ratios of power.

    Examples
    --------
    >>> float(round(lsa_gain(3.0, 4.0), 4))
    0.7549
    """
    wiener = wiener_gain(prior)
    v = np.maximum(wiener * posterior, _LEAST_V)
    return np.minimum(wiener * np.exp(scipy.special.exp1(v) / 2), 1.0)


def decision_directed(
    near: Power, noise: Power, constants: Denoising, *, log_spectral: bool
) -> Power:
    """Filter one clip, frame after frame, by gains that depend on the frame before.

    The a-priori SNR of a frame is a weighted mean of the filter's own estimate from the frame
    before and of this frame's a-posteriori SNR minus 1 (Ephraim and Malah 1984).

    Parameters
    ----------
    near, noise : (frequency, frame), power.
    constants : ``dd_weight`` of the frame before, and ``beta``, lower bound of the power gain.
    log_spectral : LSA's gain instead of Wiener's.

    Returns
    -------
    (frequency, frame), power; unchanged where there is no noise.

    Examples
    --------
    >>> near = np.array([[1.0, 1.0, 9.0, 9.0, 9.0]])
    >>> noise = np.array([[1.0, 1.0, 1.0, 1.0, 0.0]])
    >>> decision_directed(near, noise, Denoising(dd_weight=0.5), log_spectral=True).round(2)
    array([[0.25, 0.1 , 5.78, 6.86, 9.  ]])
    """
    noisy = noise > 0
    with np.errstate(over="ignore"):  # an infinite ratio is bounded next
        ratio = np.divide(near, noise, out=np.ones_like(near), where=noisy)
    # float64, and a frame's frequencies side by side in memory
    posterior = np.ascontiguousarray(np.minimum(ratio, _MOST_SNR).T, np.float64)
    gain, weight = np.empty_like(posterior), constants.dd_weight  # gain in power
    past = np.ones(len(near))  # clean power over noise before the first frame: equally loud
    for t, gamma in enumerate(posterior):
        prior = weight * past + (1 - weight) * np.maximum(gamma - 1, 0)
        gain[t] = (lsa_gain(prior, gamma) if log_spectral else wiener_gain(prior)) ** 2
        past = gain[t] * gamma
    filtered = near * np.clip(gain.T, constants.beta, 1)
    return np.where(noisy, filtered, near).astype(near.dtype)


class FrontEnd:
    """What all front-ends share.

    Parameters
    ----------
    constants : the paper's by default.
    floors : fitted noise floors of the machine, instead of a call of ``fit``.

    Examples
    --------
    >>> FRONT_ENDS["refsub"]().fit([np.ones((2, 3, 5), complex)]).floors.transfer
    array([1., 1., 1.])
    """

    title = ""  # what figures and tables call it
    reads: tuple[str, ...] = ()  # constants that it depends on, besides the percentile
    needs_floors = False  # whether fit takes noise floors
    uses_own_floors = False  # its floors are not those of the two microphones
    channel: int | None = None  # the one that it passes on as it is
    fit_filter = staticmethod(far_filter)  # of those on the residual of a complex fit

    def __init__(self, constants: Denoising = Denoising(), *, floors: Floors | None = None):
        self.constants = constants
        self.floors = floors

    def fit(self, spectra: Iterable[Spectrum]) -> FrontEnd:
        """Take the noise floors from training-normal clips, if the front-end needs them."""
        if self.needs_floors:
            self.floors = Floors.average(map(self.levels, spectra), self.constants)
        return self

    def levels(self, spectrum: Spectrum) -> Levels:
        """One clip's levels, from which :meth:`asdlib.noise.Floors.average` takes the floors."""
        return levels(self.floor_inputs(spectrum), self.constants.percentile)

    def floor_inputs(self, spectrum: Spectrum) -> Spectrum:
        """Two spectra from whose levels the floors are taken: those of the microphones."""
        return spectrum

    def __call__(self, spectrum: Spectrum) -> Power:
        """Denoise one clip: (2, frequency, frame) complex to (frequency, frame) power."""
        raise TypeError("FrontEnd is abstract: take one of FRONT_ENDS.")

    def residual(self, spectrum: Spectrum) -> Residual:
        """Residual R of the near spectrum after subtraction with the clip's own complex filter."""
        return subtract(spectrum, self.fit_filter(spectrum, self.constants))

    def denoised(self, spectrum: Spectrum) -> Residual:
        """Spectrum of the denoised sound: the near one after the front-end's gain, phase kept."""
        near = spectrum[0]
        return np.sqrt(gain(self(spectrum), power(near))) * near


def gain(out: Power, near: Power) -> Power:
    """Gain of a front-end in power: out / P_n, 0 where the near microphone is silent.

    >>> gain(np.array([[1.0, 0.0]]), np.array([[4.0, 0.0]])).tolist()
    [[0.25, 0.0]]
    """
    return np.divide(out, near, out=np.zeros_like(near), where=near > 0)


class Near(FrontEnd):
    """The near microphone as it is: P_n ("AE ch1" of the paper).

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> Near()(clip).round(3)
    array([[4., 1.]])
    """

    title = "AE ch1"
    channel = 0

    def __call__(self, spectrum: Spectrum) -> Power:
        """Return the power of the channel."""
        return power(spectrum[self.channel])


class Far(Near):
    """The far microphone as it is: P_f, for comparison.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> Far()(clip).round(3)
    array([[1., 1.]])
    """

    title = "AE ch2 (far)"
    channel = 1


class RefSub(FrontEnd):
    """Floored power subtraction of the transferred far spectrum, eq. 3 of the paper.

    max(P_n - a_s G_m P_f, beta P_n). Boll 1979; Berouti et al. 1979.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> RefSub(floors=Floors(np.ones(1), np.ones(1)))(clip).round(3)
    array([[2.5, 0.1]])
    """

    title = "RefSub"
    reads: tuple[str, ...] = ("a_s", "beta")
    needs_floors = True

    def expected_noise(self, spectrum: Spectrum) -> Power:
        """Noise power expected at the near microphone: G_m(k) P_f(k, t)."""
        if self.floors is None:
            raise AsdError(f"{self.title} has no noise floors yet; call fit with normal clips.")
        far, transfer = power(spectrum[1]), self.floors.transfer
        if len(transfer) != len(far):
            bins = f"{len(transfer)} frequency bins and got {len(far)}"
            raise AsdError(f"{self.title} was fitted on {bins}; use one n_fft.")
        return expected_noise(far, transfer)

    def over_subtraction(self, near: Power, noise: Power) -> Power | float:
        """a_s, the same everywhere."""
        return self.constants.a_s

    def __call__(self, spectrum: Spectrum) -> Power:
        """Return the denoised near power."""
        near, noise = power(spectrum[0]), self.expected_noise(spectrum)
        clean = near - self.over_subtraction(near, noise) * noise
        return np.maximum(clean, near.dtype.type(self.constants.beta) * near)


class AdaSub(RefSub):
    """Subtraction with more of it where the local SNR is low (paper, section 3.2).

    a(k, t) = clip(a_0 - 0.1 gamma_dB, a_min, a_max), gamma_dB = 10 log10(P_n / (G_m P_f)).

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> AdaSub(floors=Floors(np.ones(1), np.ones(1)))(clip).round(3)
    array([[1.602, 0.1  ]])
    """

    title = "AdaSub"
    reads: tuple[str, ...] = ("beta", "a_0", "a_min", "a_max")

    def over_subtraction(self, near: Power, noise: Power) -> Power:
        """a(k, t), from the local a-posteriori SNR; a_min where there is no noise."""
        c = self.constants
        snr = np.divide(near, noise, out=np.full_like(near, np.inf), where=noise > 0)
        with np.errstate(divide="ignore"):  # a silent near bin: log10(0) clips to a_max
            return np.clip(c.a_0 - np.log10(snr), c.a_min, c.a_max).astype(near.dtype)


class CohGate(FrontEnd):
    """Coherence gate: the part that both microphones share counts as noise, eq. 4 of the paper.

    H P_n with H = clip(1 - MSC, beta, 1). Yousefian and Loizou 2012.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> CohGate()(clip).round(3)
    array([[0.4  , 0.101]])
    """

    title = "CohGate"
    reads: tuple[str, ...] = ("beta", "smoothing", "start_frames")

    def __call__(self, spectrum: Spectrum) -> Power:
        """Return the gated near power."""
        near = power(spectrum[0])
        gate = np.clip(1 - coherence(spectrum, self.constants), self.constants.beta, 1)
        return gate.astype(near.dtype) * near


class CohSub(RefSub):
    """RefSub with a subtraction in proportion to the coherence of the channels.

    max(P_n - a_s MSC G_m P_f, beta P_n).

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> CohSub(floors=Floors(np.ones(1), np.ones(1)))(clip).round(3)
    array([[2.64, 0.1 ]])
    """

    title = "CohSub"
    reads: tuple[str, ...] = ("a_s", "beta", "smoothing", "start_frames")

    def expected_noise(self, spectrum: Spectrum) -> Power:
        """Noise power that both microphones share: MSC G_m P_f."""
        shared = coherence(spectrum, self.constants)
        return np.clip(shared, 0, 1) * super().expected_noise(spectrum)


class Wiener(RefSub):
    """Wiener filter with the decision-directed a-priori SNR; the noise power is G_m P_f.

    Ephraim and Malah 1984. The recursion uses the filter's own gain, without a lower bound; the
    output is not below beta P_n.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> Wiener(floors=Floors(np.ones(1), np.ones(1)))(clip).round(3)
    array([[1.04 , 0.255]])
    """

    title = "Wiener"
    reads: tuple[str, ...] = ("beta", "dd_weight")
    log_spectral = False

    def __call__(self, spectrum: Spectrum) -> Power:
        """Return the filtered near power."""
        near, noise = power(spectrum[0]), self.expected_noise(spectrum)
        return decision_directed(near, noise, self.constants, log_spectral=self.log_spectral)


class Lsa(Wiener):
    """As Wiener, with the gain that is best for the log-spectral amplitude.

    xi / (1 + xi) exp(E1(v) / 2) with v = xi gamma / (1 + xi). Ephraim and Malah 1985.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> Lsa(floors=Floors(np.ones(1), np.ones(1)))(clip).round(3)
    array([[1.089, 0.458]])
    """

    title = "LSA"
    log_spectral = True


class ComplexLS(FrontEnd):
    """Power of the near signal that a linear filter of the far channel does not predict.

    min(abs(N - sum_j H_j F(t - j))^2, P_n), with H of :func:`asdlib.complexls.far_filter`, which is
    fitted on the clip itself.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> ComplexLS()(clip).round(3)
    array([[0.252, 0.249]])
    """

    title = "ComplexLS"
    reads: tuple[str, ...] = ("context", "ridge")

    def __call__(self, spectrum: Spectrum) -> Power:
        """Return the power of the residual, nowhere above P_n."""
        return np.minimum(power(self.residual(spectrum)), power(spectrum[0]))

    def denoised(self, spectrum: Spectrum) -> Residual:
        """Return the residual, with a phase of its own."""
        return self.residual(spectrum)


class LsAda(AdaSub):
    """AdaSub on the residual R of the complex fit, with a transfer of its own.

    abs(R)^2 replaces P_n in the subtraction and in the near floor of the transfer.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> LsAda(floors=Floors(np.ones(1), np.ones(1)))(clip).round(3)
    array([[0.025, 0.025]])
    """

    title = "LSAda"
    reads: tuple[str, ...] = (*AdaSub.reads, *ComplexLS.reads)
    uses_own_floors = True

    def __call__(self, spectrum: Spectrum) -> Power:
        """Return the denoised power of the residual, nowhere above P_n."""
        return np.minimum(super().__call__(self.floor_inputs(spectrum)), power(spectrum[0]))

    def floor_inputs(self, spectrum: Spectrum) -> Spectrum:
        """The residual in place of the near microphone."""
        return np.stack([self.residual(spectrum), spectrum[1]])


class AdaLS(AdaSub):
    """Product of two gains: that of AdaSub, and min(1, abs(R)^2 / P_n).

    Not below beta^2 P_n.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> AdaLS(floors=Floors(np.ones(1), np.ones(1)))(clip).round(3)
    array([[0.101, 0.025]])
    """

    title = "AdaLS"
    reads: tuple[str, ...] = (*AdaSub.reads, *ComplexLS.reads)

    def __call__(self, spectrum: Spectrum) -> Power:
        """Return the near power after both gains."""
        near = power(spectrum[0])
        share = np.minimum(gain(power(self.residual(spectrum)), near), 1)
        floor = near.dtype.type(self.constants.beta**2) * near
        return np.maximum(super().__call__(spectrum) * share, floor)


class GatedLS(ComplexLS):
    """ComplexLS with the gated fit of :func:`asdlib.complexls.gated_filter`.

    It keeps machine sound that the far microphone hears too. Equal to ComplexLS in clips of fewer
    than 32 frames.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> GatedLS()(clip).round(3)
    array([[0.252, 0.249]])
    """

    title = "GatedLS"
    fit_filter = staticmethod(gated_filter)


class GatedLsAda(LsAda):
    """LSAda on the residual of the gated fit, with a transfer of its own.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> GatedLsAda(floors=Floors(np.ones(1), np.ones(1)))(clip).round(3)
    array([[0.025, 0.025]])
    """

    title = "GatedLSAda"
    fit_filter = staticmethod(gated_filter)


class GatedAdaLS(AdaLS):
    """AdaLS with the gain of the gated fit.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> GatedAdaLS(floors=Floors(np.ones(1), np.ones(1)))(clip).round(3)
    array([[0.101, 0.025]])
    """

    title = "GatedAdaLS"
    fit_filter = staticmethod(gated_filter)


class CheckedSub(AdaSub):
    """AdaSub where the far microphone is a noise reference, else the near microphone as it is.

    See :attr:`asdlib.noise.Floors.far_is_reference`.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> CheckedSub(floors=Floors(np.ones(1), np.ones(1), follows=1.0))(clip).round(3)
    array([[4., 1.]])
    """

    title = "CheckedSub"

    def __call__(self, spectrum: Spectrum) -> Power:
        """Return the denoised near power, or P_n."""
        near = self.floors is not None and not self.floors.far_is_reference
        return power(spectrum[0]) if near else super().__call__(spectrum)


class CheckedLS(CheckedSub, AdaLS):
    """AdaLS where the far microphone is a noise reference, else the near microphone as it is.

    >>> clip = np.array([[[2.0, 1.0]], [[1.0, 1.0]]]) + 0j  # P_n is 4 and 1, P_f is 1
    >>> CheckedLS(floors=Floors(np.ones(1), np.ones(1), follows=1.0))(clip).round(3)
    array([[4., 1.]])
    """

    title = "CheckedLS"
    reads = AdaLS.reads


_KINDS = (
    *(Near, Far, RefSub, AdaSub, CohGate, CohSub, Wiener, Lsa),
    *(ComplexLS, LsAda, AdaLS, GatedLS, GatedLsAda, GatedAdaLS, CheckedSub, CheckedLS),
)
FRONT_ENDS: dict[str, type[FrontEnd]] = {kind.__name__.lower(): kind for kind in _KINDS}

COMBINATIONS: dict[str, tuple[str, ...]] = {"combo": ("adasub", "cohgate")}
"""Scores that are means of other front-ends' standardised scores, clip by clip."""


def trained_front_ends(names: Iterable[str]) -> list[str]:
    """Front-ends that have to be trained for these names, each once and in order.

    Raises
    ------
    AsdError
        For a name that is neither a front-end nor a combination.

    Examples
    --------
    >>> trained_front_ends(["near", "combo"])
    ['near', 'adasub', 'cohgate']
    """
    wanted: dict[str, None] = {}
    for name in names:
        if name not in FRONT_ENDS and name not in COMBINATIONS:
            known = ", ".join([*FRONT_ENDS, *COMBINATIONS])
            raise AsdError(f"Unknown front-end {name!r}; known are {known}.")
        wanted.update(dict.fromkeys(COMBINATIONS.get(name, (name,))))
    return list(wanted)
