"""Clip statistics: detectors without training.

A few numbers x describe a clip: its level and its scatter over time in every band, dB. Its distance
to the normal clips of domain d is D_d(x) = sqrt((x - c_d)^T S^-1 (x - c_d)), with their centre c_d
and one covariance S. Normal clips of a domain with few clips lie further from its centre, so that
log D_d counts from m_d, its mean over held-out clips of d. The score is
z = (min over d of (log D_d - m_d) - mean) / std, with mean and std of held-out clips.
Nothing is trained and there is no seed. Notebook: 03_without_training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from itertools import pairwise

import numpy as np
import scipy.fft
import scipy.linalg
from jaxtyping import Float, Shaped

from asdlib.calibration import Folds, HeldOut, clusters
from asdlib.params import AsdError, Spectra, Statistics
from asdlib.runtime.parallel import one_thread
from asdlib.spectra import Power, decibels, frequencies, hann, mel_filters

NAMES = ("p", "m", "s", "d")
"""Statistics over the frames of a clip, in the order of :func:`over_time`."""

Vector = Float[np.ndarray, " value"]  # statistics of one clip
Table = Float[np.ndarray, "clip value"]
OfClips = Float[np.ndarray, " clip"]
Domains = Sequence[str] | Shaped[np.ndarray, " clip"]
Matrix = Float[np.ndarray, "value value"]

Sound = Float[np.ndarray, " sample"]
Bands = Float[np.ndarray, " band"]
OfBands = Float[np.ndarray, "statistic=4 band"]

_JITTER = 1e-6  # of the mean variance: keeps the covariance of few clips regular


@dataclass(frozen=True)
class StatisticSet:
    """What a detector without training looks at.

    Attributes
    ----------
    kind : "mel" (mel bands of the usual window), "fine" (logarithmic bands of a window twice as
        long) or "psd" (Welch spectrum of the sound).
    statistics : letters of :data:`NAMES`; none for "psd".
    """

    kind: str
    statistics: str = ""


VIEWS: Mapping[str, StatisticSet] = {
    "pm": StatisticSet("mel", "pm"),
    "pms": StatisticSet("mel", "pms"),
    "pmsd": StatisticSet("mel", "pmsd"),
    "fine": StatisticSet("fine", "pm"),
    "psd": StatisticSet("psd"),
}
"""Detectors without training by the name of their scorer."""

S5 = (("checkedsub", "fine"), ("checkedls", "pmsd"))
"""Front-ends and statistics of S5, the system without training. The last one has mel bands."""
S5_FUSION = "fisher"
"""How they are joined, see :func:`asdlib.calibration.surprise`."""


def chosen(
    values: Float[np.ndarray, "*clips statistic_band"], wanted: str, held: str = "pmsd"
) -> Float[np.ndarray, "*clips value"]:
    """Pick the values of some statistics.

    Parameters
    ----------
    values : (..., statistic band), all bands of the first statistic before those of the next.
    wanted : letters of :data:`NAMES`; none: all values, such as those of a Welch spectrum.
    held : the statistics that the values hold, in their order.

    Examples
    --------
    >>> chosen(np.arange(8.0), "pd")
    array([0., 1., 6., 7.])
    """
    if not wanted:
        return values
    bands = values.shape[-1] // len(held)
    places = [held.index(name) * bands + np.arange(bands) for name in wanted]
    return values[..., np.concatenate(places)]


def over_time(levels: Float[np.ndarray, "frame band"]) -> OfBands:
    """Level and scatter over time of every band.

    Parameters
    ----------
    levels : (frame, band), dB, such as :func:`asdlib.spectra.log_mel` gives.

    Returns
    -------
    (4, band), dB. p: level of the mean power, where peaks count. m: mean level, where they hardly
    count. s: standard deviation of the level. d: standard deviation of the difference from one
    frame to the next; 0 for a single frame.

    Examples
    --------
    >>> over_time(np.array([[0.0, 0.0], [0.0, 20.0]])).round(2).tolist()
    [[0.0, 17.03], [0.0, 10.0], [0.0, 10.0], [0.0, 0.0]]
    """
    levels = np.asarray(levels, np.float64)
    p = decibels(np.mean(10 ** (levels / 10), axis=0))
    steps = np.diff(levels, axis=0)
    d = steps.std(axis=0) if len(steps) else np.zeros(levels.shape[1])
    return np.stack([p, levels.mean(axis=0), levels.std(axis=0), d])


def sizes(kind: str, spectra: Spectra = Spectra()) -> Spectra:
    """Sizes of the spectra that a view is made of.

    The "fine" view has a window twice as long, and half of it overlaps.

    >>> sizes("mel").n_fft, sizes("fine").n_fft, sizes("fine").hop_length
    (1024, 2048, 1024)
    """
    if kind != "fine":
        return spectra
    n_fft = 2 * spectra.n_fft
    return spectra.model_copy(update={"n_fft": n_fft, "hop_length": n_fft // 2})


def fine(
    power: Power, spectra: Spectra = Spectra(), constants: Statistics = Statistics()
) -> OfBands:
    """Statistics of single frequency bins, averaged in dB over logarithmic bands.

    The mean in dB over the bins of a band does not let one strong line hide the weak ones beside
    it, as the sum of powers in a mel band does.

    Parameters
    ----------
    power : (frequency, frame), of a front-end on spectra of :func:`sizes`.
    spectra : sizes of these spectra.
    constants : number and range of the bands.

    Returns
    -------
    (4, band), dB, see :func:`over_time`.

    Examples
    --------
    >>> fine(np.ones((1025, 8)), sizes("fine")).shape
    (4, 64)
    """
    bands = _bands(spectra.sample_rate, spectra.n_fft, constants.fine_bands, constants.lowest)
    return over_time(decibels(power).T) @ bands.T


def psd(signal: Sound, spectra: Spectra = Spectra(), constants: Statistics = Statistics()) -> Bands:
    """Welch spectrum in logarithmic bands, without the clip's level.

    Lines that share a mel band are told apart: a segment of 8192 samples resolves 2 Hz at 16 kHz.

    Parameters
    ----------
    signal : (sample,).
    spectra : its sample rate.
    constants : length of a segment in samples; number and range of the bands.

    Returns
    -------
    (band,), log10 of the power density minus the clip's mean over bands.

    References
    ----------
    P. D. Welch, IEEE Trans. Audio Electroacoust. 15(2), 1967.

    Examples
    --------
    >>> signal = np.random.default_rng(0).normal(size=16000)
    >>> quiet, loud = psd(0.1 * signal), psd(signal)
    >>> quiet.shape, bool(np.allclose(quiet, loud))
    ((96,), True)
    """
    segment = min(constants.psd_segment, len(signal))
    density = welch(signal, spectra.sample_rate, segment)
    bands = _bands(spectra.sample_rate, segment, constants.psd_bands, constants.lowest)
    levels = np.log10(np.maximum(bands @ density.astype(np.float64), 1e-20))
    return levels - levels.mean()


def welch(signal: Sound, sample_rate: int, segment: int) -> Float[np.ndarray, " frequency"]:
    """Mean periodogram of Hann windows that overlap by half; a shorter signal gets zeros.

    The same as :func:`scipy.signal.welch`, at a third of its time.

    >>> welch(np.zeros(16000), 16000, 8192).shape
    (4097,)
    """
    length = min(segment, len(signal))
    framed = np.lib.stride_tricks.sliding_window_view(signal, length)[:: length - length // 2]
    window = hann(length).astype(signal.dtype)
    spectra = scipy.fft.rfft((framed - framed.mean(axis=1, keepdims=True)) * window, segment)
    density = (spectra.real**2 + spectra.imag**2).mean(axis=0) / (sample_rate * (window**2).sum())
    density[1 : (segment + 1) // 2] *= 2  # both signs of a frequency
    return density


def _edges(sample_rate: int, count: int, lowest: float) -> Float[np.ndarray, " edge"]:
    """Edges of logarithmic bands, in Hz; some of the lowest bands have no bin of their own.

    Wider low bands, each with a bin of its own, cost S5 Omega on four of six sets of scenes.
    """
    return np.geomspace(lowest, 0.4875 * sample_rate, count + 1)  # up to 7.8 kHz at 16 kHz


@lru_cache
def _bands(
    sample_rate: int, n_fft: int, count: int, lowest: float
) -> Float[np.ndarray, "band frequency"]:
    """Mean over the bins of every logarithmic band; of a band without any, the nearest bin."""
    of_bin = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    edges = _edges(sample_rate, count, lowest)
    weights = np.zeros((count, len(of_bin)))
    for band, (low, high) in enumerate(pairwise(edges)):
        inside = (of_bin >= low) & (of_bin < high)
        if not inside.any():
            inside[np.abs(of_bin - np.sqrt(low * high)).argmin()] = True
        weights[band, inside] = 1 / inside.sum()
    return weights


def centres(
    scorer: str, spectra: Spectra = Spectra(), constants: Statistics = Statistics()
) -> Bands:
    """Return the centre frequency of every band of a view, in Hz.

    >>> centres("psd")[[0, -1]].round().tolist()
    [10.0, 7534.0]
    """
    if VIEWS[scorer].kind == "mel":
        filters = mel_filters(spectra.sample_rate, spectra.n_fft, spectra.n_mels)
        total = np.maximum(filters.sum(axis=1), 1e-12)
        return filters @ frequencies(spectra) / total
    count = constants.fine_bands if VIEWS[scorer].kind == "fine" else constants.psd_bands
    edges = _edges(spectra.sample_rate, count, constants.lowest)
    return np.sqrt(edges[1:] * edges[:-1])


@dataclass(frozen=True)
class Normal:
    """What the statistics of normal clips look like: one centre per domain, one covariance.

    Attributes
    ----------
    mean, std : of every value over the training-normal clips; where a value never changes, its
        standard deviation counts as 1.
    centres : (domain, value), mean of the standardised values in every training domain.
    whitening : (value, value), W with S^-1 = W W^T, where S is the covariance of the standardised
        values about the centre of their own domain, shrunk by Ledoit and Wolf.
    means : (domain,), m_d: mean log distance of a domain's held-out clips to their own centre.
    held_out : scores, min over d of log D_d - m_d, of the training clips, each by a model without
        its fold.
    by_domain : (clip, domain), log D_d - m_d of the training clips, in the same way.
    to_own : (clip,), that to the clip's own domain.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(40, 3))
    >>> normal = Normal.fit(values, ["source"] * 40, np.arange(40) // 4)
    >>> normal.distance(values + [0, 0, 9]).min() > normal.distance(values).max()
    np.True_
    >>> strange = normal.contributions(np.array([0.0, 0.0, 9.0]))
    >>> int(strange.argmax()), bool(np.isclose(strange.sum(), normal.distance(
    ...     np.array([[0.0, 0.0, 9.0]])).item() ** 2))
    (2, True)
    """

    mean: Vector
    std: Vector
    centres: Float[np.ndarray, "domain value"]
    whitening: Matrix
    means: Float[np.ndarray, " domain"]
    held_out: HeldOut
    by_domain: Float[np.ndarray, "clip domain"] | None = None
    to_own: OfClips = field(default_factory=partial(np.zeros, 0))

    @classmethod
    def fit(cls, values: Table, domains: Domains, folds: Folds | int | None = None) -> Normal:
        """Take centres and covariance from training-normal clips.

        Parameters
        ----------
        values : one row of statistics per clip.
        domains : of every clip.
        folds : number of the fold of every clip, or how many clusters of these clips are held
            out, see :func:`asdlib.calibration.clusters`. Without them, nothing is held out and
            scores are not standardised.

        Raises
        ------
        AsdError
            If there is no clip, or a value is not finite.

        References
        ----------
        O. Ledoit and M. Wolf, J. Multivariate Anal. 88(2), 2004.
        """
        values, domains = np.asarray(values, np.float64), np.asarray(domains)
        if not len(values) or not np.isfinite(values).all():
            raise AsdError("Clip statistics need at least one training clip, and finite values.")
        with one_thread():
            whole = cls._fit(values, domains)
            if folds is None:
                return whole
            if isinstance(folds, int):
                folds = clusters(values, domains, folds)
            names, of_clip = np.unique(domains, return_inverse=True)
            found = np.full((len(values), len(names)), np.inf)
            for fold in np.unique(folds):
                own = folds == fold
                rest = cls._fit(values[~own], domains[~own]) if not own.all() else whole
                left = np.isin(names, domains if own.all() else domains[~own])
                found[np.ix_(own, left)] = rest.log_distances(values[own])
        to_own = found[np.arange(len(found)), of_clip]
        to_own = np.where(np.isfinite(to_own), to_own, found.min(axis=1))  # alone in its domain
        means = np.bincount(of_clip, to_own) / np.bincount(of_clip)
        by_domain = found - means
        held_out = HeldOut(by_domain.min(axis=1))
        to_own = to_own - means[of_clip]
        return replace(whole, means=means, held_out=held_out, by_domain=by_domain, to_own=to_own)

    @classmethod
    def _fit(cls, values: np.ndarray, domains: np.ndarray) -> Normal:
        mean, std = values.mean(axis=0), values.std(axis=0)
        std = np.where(std > 1e-9 * np.maximum(np.abs(mean), 1), std, 1.0)
        z = (values - mean) / std
        names, of_clip = np.unique(domains, return_inverse=True)
        centres = np.stack([z[of_clip == d].mean(axis=0) for d in range(len(names))])
        factor = scipy.linalg.cholesky(_shrunk(z - centres[of_clip]), lower=True)
        inverse = scipy.linalg.solve_triangular(factor, np.eye(len(factor)), lower=True)
        whitening, means = np.ascontiguousarray(inverse.T), np.zeros(len(names))
        return cls(mean, std, centres, whitening, means, HeldOut(np.zeros(0)))

    def log_distances(self, values: Table) -> Float[np.ndarray, "clip domain"]:
        """Return log D_d - m_d of every clip, of distances that are at least 1e-6.

        A clip's distance is the same bytes alone and among others.
        """
        distances = np.sqrt(np.square(self._whitened(values)).sum(axis=2))
        return np.log(np.maximum(distances, 1e-6)) - self.means

    def distance(self, values: Table) -> OfClips:
        """D_d(x) of the nearest domain, by log D_d - m_d."""
        found = self.log_distances(values)
        return np.exp(found.min(axis=1) + self.means[found.argmin(axis=1)])

    def z(self, values: Table) -> OfClips:
        """Smallest log D_d - m_d of every clip, standardised by the held-out training clips'."""
        return self.held_out.standardise(self.log_distances(values).min(axis=1))

    def contributions(self, values: Vector) -> Vector:
        """Share of every value in the squared distance of one clip.

        With S the covariance, D^2 is the squared length of S^(-1/2) (x - c). Its elements belong to
        the values: this root keeps them closest to the standardised values (Kessy, Lewin and
        Strimmer, Am. Stat. 72(4), 2018).

        Returns
        -------
        (value,), each at least 0; their sum is the square of :meth:`distance`.
        """
        with one_thread():
            return np.square(self._root @ self.deviation(values))

    @cached_property
    def _root(self) -> Matrix:
        """S^(-1/2), symmetric."""
        eigenvalues, vectors = scipy.linalg.eigh(self.whitening @ self.whitening.T)
        return (vectors * np.sqrt(np.maximum(eigenvalues, 0))) @ vectors.T

    def deviation(self, values: Vector) -> Vector:
        """Distance of every value of one clip from the centre of the nearest domain, with its sign.

        Returns
        -------
        (value,), in standard deviations over the training-normal clips.
        """
        nearest = self.log_distances(values[None])[0].argmin()
        return (values - self.mean) / self.std - self.centres[nearest]

    @property
    def remark(self) -> str:
        """One sentence where the scores mean little; empty otherwise."""
        clips = len(self.held_out.scores)
        if clips < 2:
            return f"{clips} training clip: how far normal clips lie from it is not known."
        if not np.ptp(self.held_out.scores) > 0:
            return f"{clips} training clips with the same statistics: nothing scatters."
        return ""

    def _whitened(self, values: Table) -> Float[np.ndarray, "clip domain value"]:
        """W^T (x - c_d): a product of its own for every clip, so that no other one matters."""
        offsets = ((values - self.mean) / self.std)[:, None] - self.centres
        with one_thread():
            return np.matmul(offsets[:, :, None], self.whitening)[:, :, 0]


def _shrunk(offsets: Table) -> Matrix:
    """Covariance of the offsets, shrunk by Ledoit and Wolf; the identity where nothing scatters."""
    from sklearn.covariance import ledoit_wolf  # a second to import

    if len(offsets) > 1:
        covariance, _ = ledoit_wolf(offsets, assume_centered=True)
        scale = np.trace(covariance) / len(covariance)
        if scale > 0:  # few clips may be shrunk by nothing at all
            return np.asarray(covariance + _JITTER * scale * np.eye(len(covariance)))
    return np.eye(offsets.shape[1])
