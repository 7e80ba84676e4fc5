"""The walk of one clip from its file to z, in the order of the method.

file -> complex spectra -> front-end -> log-mel frames -> stacked vectors -> A -> z. A detector
computes A from the vectors; that of the paper by the autoencoder's residuals and eq. 1
(:mod:`asdlib.scoring`). A detector without training takes another way from the frames to z, over
clip statistics and their distance to normal clips (:mod:`asdlib.clipstats`).

What the walk needs of a machine is learnt in :mod:`asdlib.study`. The ensemble over seeds, the
fusion of views and the decision are made of z in :mod:`asdlib.compare.systems`. The study, the
scoring of one file alone, the failure gallery, the monitor and the explorer take this walk.
Notebook: 02_seed_study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import clipstats, dataset
from asdlib.calibration import Calibration, HeldOut
from asdlib.frontends import FrontEnd
from asdlib.noise import expected_noise
from asdlib.params import Spectra, Statistics
from asdlib.runtime.parallel import one_thread
from asdlib.spectra import Frames, Power, Spectrum, Standardiser, istft, log_mel, power, stft

Sound = Float[np.ndarray, "channel=2 sample"]
Values = Float[np.ndarray, " value"]
Scores = dict[str, Float[np.ndarray, " seed"]]

Denoiser = Callable[[Spectrum], Power]
"""A fitted front-end: the complex spectra of one clip to one near power spectrum."""

Detector = Callable[[Float[np.ndarray, "vector value"]], dict[str, Float[np.ndarray, " seed"]]]
"""The stacked vectors of one clip to its A by name of the scorer, one value per seed."""


def spectrum(
    path: str | Path, spectra: Spectra = Spectra(), content: str | None = None
) -> Spectrum:
    """Read a clip and transform both channels.

    Parameters
    ----------
    path : a two-channel recording.
    content : hash that the file must have, see :func:`asdlib.dataset.read`.

    Returns
    -------
    (2, frequency, frame), near and far.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> path = Path(tempfile.mkdtemp()) / "clip.wav"
    >>> soundfile.write(path, np.zeros((16000, 2)), 16000)
    >>> spectrum(path).shape
    (2, 513, 32)
    """
    return stft(dataset.read(path, spectra, content=content), spectra)


def frames(
    clip: Spectrum,
    front_end: Denoiser,
    spectra: Spectra = Spectra(),
    transfer: Float[np.ndarray, " frequency"] | None = None,
) -> Float[np.ndarray, "frame value"]:
    """Denoise a clip and take its log-mel frames.

    Parameters
    ----------
    clip : complex spectra of both channels.
    transfer : G_m, only for the training objective ``denoise`` of chapter 05. Every frame then also
        holds the bands of the near power with the expected noise added once more.

    Returns
    -------
    (frame, band) in dB, or (frame, 2 band) with a transfer.

    Examples
    --------
    >>> silence = np.zeros((2, 513, 32), np.complex64)
    >>> found = frames(silence, lambda clip: np.abs(clip[0]) ** 2)
    >>> found.shape, round(float(found.max()), 3)
    ((32, 128), -160.0)
    """
    powers = [front_end(clip)]
    if transfer is not None:
        near, far = power(clip)
        powers.append(near + expected_noise(far, transfer))
    return np.hstack([log_mel(own, spectra) for own in powers])


@dataclass(frozen=True)
class Fitted:
    """All that training-normal clips have taught about one machine behind one front-end.

    Attributes
    ----------
    front_end : fitted on the machine.
    spectra : sizes of spectra and frames.
    transfer : see :func:`frames`.
    standardise : of log-mel values, by their mean and standard deviation.
    detectors : each has scorers of its own.
    gammas : calibration of A, by scorer and seed; the seeds in the order of the detectors.

    Examples
    --------
    >>> fitted = Fitted(
    ...     front_end=lambda clip: np.abs(clip[0]) ** 2,
    ...     spectra=Spectra(),
    ...     transfer=None,
    ...     standardise=Standardiser(mean=np.zeros(1), std=np.ones(1)),
    ...     detectors=[lambda vectors: {"level": np.array([vectors.max()], float)}],
    ...     gammas={("level", 0): Calibration(shape=4.0, scale=1.0)},
    ... )
    >>> vectors = fitted.vectors(np.full((10, 128), 8.0))
    >>> vectors.shape
    (6, 640)
    >>> fitted.z(fitted.a(vectors))  # the gamma distribution has mean 4, standard deviation 2
    {('level', 0): 2.0}
    """

    front_end: Denoiser
    spectra: Spectra
    transfer: Float[np.ndarray, " frequency"] | None
    standardise: Standardiser
    detectors: Sequence[Detector]
    gammas: Mapping[tuple[str, int], Calibration | HeldOut]

    def __call__(
        self, path: str | Path, content: str | None = None
    ) -> dict[tuple[str, int], float]:
        """Score one file alone: z by scorer and seed."""
        with one_thread():  # as in the study, so that the bytes are the same
            clip = spectrum(path, self.spectra, content)
            return self.z(self.a(self.vectors(self.frames(clip))))

    def frames(self, clip: Spectrum) -> Float[np.ndarray, "frame value"]:
        """Log-mel frames behind the front-end, in dB."""
        return frames(clip, self.front_end, self.spectra, self.transfer)

    def vectors(self, frames: Float[np.ndarray, "frame value"]) -> Float[np.ndarray, "vector _"]:
        """Standardised frames, ``stack`` of them in every vector."""
        return Frames.join([self.standardise(frames)], self.spectra.stack).clip(0)

    def a(self, vectors: Float[np.ndarray, "vector value"]) -> Scores:
        """A(x) by all detectors, per scorer and seed."""
        return {name: a for detector in self.detectors for name, a in detector(vectors).items()}

    def z(self, a: Scores) -> dict[tuple[str, int], float]:
        """A(x) standardised by the training-normal clips' A, see :class:`Calibration`."""
        seeds = list(dict.fromkeys(seed for _, seed in self.gammas))
        return {
            (name, seed): self.gammas[name, seed].standardise(value).item()
            for name, values in a.items()
            for seed, value in zip(seeds, values, strict=True)
        }


def statistics(
    signal: Sound,
    kind: str,
    front_end: FrontEnd,
    spectra: Spectra = Spectra(),
    constants: Statistics = Statistics(),
    spectrum: Spectrum | None = None,
) -> Values:
    """All statistics of one clip that one kind of view has.

    Parameters
    ----------
    signal : near and far channel.
    kind : of :class:`asdlib.clipstats.StatisticSet`.
    front_end : fitted on spectra of the sizes that this kind has.
    spectra, constants : of the study.
    spectrum : the signal's, of :func:`asdlib.clipstats.sizes`, where it is at hand.

    Returns
    -------
    (value,) : (4 band,) of :func:`asdlib.clipstats.over_time`, or (band,) for "psd".

    Examples
    --------
    >>> from asdlib.frontends import FRONT_ENDS
    >>> noise = np.random.default_rng(0).normal(size=(2, 16000)).astype(np.float32)
    >>> [statistics(noise, kind, FRONT_ENDS["near"]()).shape for kind in ("mel", "fine", "psd")]
    [(512,), (256,), (96,)]
    """
    own = clipstats.sizes(kind, spectra)
    if kind == "psd" and front_end.channel is not None:
        return clipstats.psd(signal[front_end.channel], spectra, constants)
    clip = stft(signal, own) if spectrum is None else spectrum
    if kind == "psd":
        sound = istft(front_end.denoised(clip), signal.shape[1], own)
        return clipstats.psd(sound, spectra, constants)
    if kind == "fine":
        return clipstats.fine(front_end(clip), own, constants).ravel()
    return clipstats.over_time(frames(clip, front_end, own)).ravel()


@dataclass(frozen=True)
class FittedView:
    """A detector without training, fitted on one machine behind one front-end.

    Attributes
    ----------
    scorer : name in :data:`asdlib.clipstats.VIEWS`.
    front_end : fitted on the machine, with spectra of the view's sizes.
    normal : the training-normal clips' statistics.
    spectra, constants : of the study.

    Examples
    --------
    >>> from asdlib.frontends import FRONT_ENDS
    >>> clips = np.random.default_rng(0).normal(size=(6, 2, 16000)).astype(np.float32)
    >>> near = FRONT_ENDS["near"]()
    >>> values = np.stack([statistics(clip, "psd", near) for clip in clips])
    >>> normal = clipstats.Normal.fit(values, ["source"] * 6, np.arange(6))
    >>> fitted = FittedView("psd", near, normal)
    >>> fitted.z(10 * clips[0]).round(3) == fitted.z(clips[0]).round(3)  # the level does not count
    np.True_
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> table = fitted.explain(clips[0] + tone.astype(np.float32))
    >>> table.columns.tolist()
    ['statistic', 'frequency', 'contribution', 'deviation']
    >>> most = table.loc[table["contribution"].idxmax()]
    >>> most["statistic"], bool(900 < most["frequency"] < 1100)
    ('psd', True)
    """

    scorer: str
    front_end: FrontEnd
    normal: clipstats.Normal
    spectra: Spectra = Spectra()
    constants: Statistics = Statistics()

    def __call__(self, path: str | Path, content: str | None = None) -> float:
        """Score one file alone: z."""
        with one_thread():  # as in the study, so that the bytes are the same
            return float(self.z(dataset.read(path, self.spectra, content=content)))

    def values(self, signal: Sound, spectrum: Spectrum | None = None) -> Values:
        """Statistics of the clip that this view looks at.

        Parameters
        ----------
        spectrum : the signal's, see :func:`statistics`, where it is at hand.
        """
        view = clipstats.VIEWS[self.scorer]
        found = statistics(
            signal, view.kind, self.front_end, self.spectra, self.constants, spectrum
        )
        return clipstats.chosen(found, view.statistics)

    def z(self, signal: Sound) -> np.float64:
        """Score of one clip."""
        return self.normal.z(self.values(signal)[None])[0]

    def explain(self, signal: Sound) -> pd.DataFrame:
        """Share of every band and statistic in the squared distance of one clip.

        Returns
        -------
        DataFrame with statistic (a letter of :data:`asdlib.clipstats.NAMES`, or "psd"), frequency
        (centre of the band, Hz), contribution (at least 0; the sum is D(x)^2) and deviation (from
        the centre of the nearest domain, in standard deviations over the training clips).
        """
        return self.explained(self.values(signal))

    def explained(self, values: Values) -> pd.DataFrame:
        """Do the same with statistics that are at hand, of :meth:`values`."""
        names = list(clipstats.VIEWS[self.scorer].statistics) or [self.scorer]
        bands = clipstats.centres(self.scorer, self.spectra, self.constants)
        return pd.DataFrame(
            {
                "statistic": np.repeat(names, len(bands)),
                "frequency": np.tile(bands, len(names)),
                "contribution": self.normal.contributions(values),
                "deviation": self.normal.deviation(values),
            }
        )
