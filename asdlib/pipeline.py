"""The walk of one clip from its file to z, in the order of the method.

file -> complex spectra -> front-end -> log-mel frames -> stacked vectors -> A -> z. A detector
computes A from the vectors; that of the paper by the autoencoder's residuals and eq. 1
(:mod:`asdlib.scoring`). What the walk needs of a machine is learnt in :mod:`asdlib.study.unit`; the
ensemble over seeds and its decision are made of z in :mod:`asdlib.compare.systems`.

The study, the scoring of one file alone, the failure gallery and the explorer take this walk.
Notebook: 03_seed_study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from asdlib import dataset
from asdlib.calibration import Calibration
from asdlib.noise import noisier
from asdlib.parallel import one_thread
from asdlib.params import Spectra
from asdlib.spectra import Frames, Power, Spectrum, Standardiser, log_mel, stft

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
    transfer : G_m, only for the training objective ``denoise`` of chapter 06. Every frame then also
        holds the bands of the near power with the expected noise added once more.

    Returns
    -------
    (frame, band) in dB, or (frame, 2 band) with a transfer.

    Examples
    --------
    >>> silence = np.zeros((2, 513, 32), np.complex64)
    >>> found = frames(silence, lambda clip: np.abs(clip[0]) ** 2)
    >>> found.shape, float(found.max())
    ((32, 128), -160.0)
    """
    powers = [front_end(clip)]
    if transfer is not None:
        powers.append(noisier(clip, transfer))
    return np.hstack([log_mel(power, spectra) for power in powers])


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
    gammas: Mapping[tuple[str, int], Calibration]

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

    def a(
        self, vectors: Float[np.ndarray, "vector value"]
    ) -> dict[str, Float[np.ndarray, " seed"]]:
        """A(x) by all detectors, per scorer and seed."""
        return {name: a for detector in self.detectors for name, a in detector(vectors).items()}

    def z(self, a: Mapping[str, Float[np.ndarray, " seed"]]) -> dict[tuple[str, int], float]:
        """A(x) standardised by the gamma distribution of the training-normal clips' A."""
        seeds = list(dict.fromkeys(seed for _, seed in self.gammas))
        return {
            (name, seed): self.gammas[name, seed].standardise(value).item()
            for name, values in a.items()
            for seed, value in zip(seeds, values, strict=True)
        }
