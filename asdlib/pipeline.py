"""The walk of one clip from its file to z, in the order of the method.

file -> complex spectra -> front-end -> log-mel frames -> stacked vectors -> residuals -> A -> z.
The study, the scoring of one file alone, the failure gallery and the explorer all take it.
Notebook: 03_seed_study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Complex, Float

from asdlib import dataset, noise
from asdlib.calibration import Calibration
from asdlib.parallel import one_thread
from asdlib.params import Spectra
from asdlib.spectra import Frames, Standardiser, log_mel, stft

Spectrum = Complex[np.ndarray, "channel=2 frequency frame"]
FrontEnd = Callable[[Spectrum], Float[np.ndarray, "frequency frame"]]
Detector = Callable[[Float[np.ndarray, "vector value"]], dict[str, Float[np.ndarray, " seed"]]]
"""From the stacked vectors of one clip to its A, per scorer and seed."""


def spectrum(
    path: str | Path, spectra: Spectra = Spectra(), content: str | None = None
) -> Spectrum:
    """Read a clip and transform both channels.

    Parameters
    ----------
    path : a two-channel recording.
    content : digest that the file must have, see :func:`asdlib.dataset.read`.

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
    spectrum: Spectrum,
    front_end: FrontEnd,
    spectra: Spectra = Spectra(),
    transfer: Float[np.ndarray, " frequency"] | None = None,
) -> Float[np.ndarray, "frame value"]:
    """Denoise a clip and take its log-mel frames.

    Parameters
    ----------
    transfer : G_m, for the objective ``denoise`` only: every frame then also holds the bands of the
        near power with the expected noise added once more.

    Returns
    -------
    (frame, band) in dB, or (frame, 2 band) with a transfer.

    Examples
    --------
    >>> silence = np.zeros((2, 513, 32), np.complex64)
    >>> found = frames(silence, lambda spectrum: np.abs(spectrum[0]) ** 2)
    >>> found.shape, float(found.max())
    ((32, 128), -160.0)
    """
    powers = [front_end(spectrum)]
    if transfer is not None:
        powers.append(noise.noisier(spectrum, transfer))
    return np.hstack([log_mel(power, spectra) for power in powers])


@dataclass(frozen=True)
class Fitted:
    """All that training-normal clips have taught about one machine behind one front-end.

    Attributes
    ----------
    front_end : from two complex spectra to one near power spectrum.
    spectra : sizes of spectra and frames.
    transfer : see :func:`frames`.
    standardise : of log-mel values.
    detectors : from stacked vectors to A.
    gammas : calibration of every scorer and seed.

    Examples
    --------
    >>> fitted = Fitted(
    ...     front_end=lambda spectrum: np.abs(spectrum[0]) ** 2,
    ...     spectra=Spectra(),
    ...     transfer=None,
    ...     standardise=Standardiser(mean=np.zeros(1), std=np.ones(1)),
    ...     detectors=[lambda vectors: {"level": np.array([vectors.max()], float)}],
    ...     gammas={("level", 0): Calibration(shape=4.0, scale=1.0)},
    ... )
    >>> vectors = fitted.vectors(np.full((10, 128), 8.0))
    >>> vectors.shape
    (6, 640)
    >>> fitted.z(fitted.scores(vectors))  # the gamma distribution has mean 4, standard deviation 2
    {('level', 0): 2.0}
    """

    front_end: FrontEnd
    spectra: Spectra
    transfer: Float[np.ndarray, " frequency"] | None
    standardise: Standardiser
    detectors: Sequence[Detector]
    gammas: Mapping[tuple[str, int], Calibration]

    def __call__(
        self, path: str | Path, content: str | None = None
    ) -> dict[tuple[str, int], float]:
        """Score one file alone: z by scorer and seed."""
        with one_thread():
            spectra = spectrum(path, self.spectra, content)
            return self.z(self.scores(self.vectors(self.frames(spectra))))

    def frames(self, spectrum: Spectrum) -> Float[np.ndarray, "frame value"]:
        """Log-mel frames behind the front-end, in dB."""
        return frames(spectrum, self.front_end, self.spectra, self.transfer)

    def vectors(self, frames: Float[np.ndarray, "frame value"]) -> Float[np.ndarray, "vector _"]:
        """Standardised frames, ``stack`` of them in every vector."""
        return Frames.join([self.standardise(frames)], self.spectra.stack).clip(0)

    def scores(self, vectors: Float[np.ndarray, "vector value"]) -> dict[str, np.ndarray]:
        """A(x) by all detectors: (seed,) per scorer."""
        return {name: a for detector in self.detectors for name, a in detector(vectors).items()}

    def z(self, scores: Mapping[str, np.ndarray]) -> dict[tuple[str, int], float]:
        """Standardise A by the gamma distribution of the training-normal clips."""
        seeds = list(dict.fromkeys(seed for _, seed in self.gammas))
        return {
            (name, seed): self.gammas[name, seed].standardise(a).item()
            for name, values in scores.items()
            for seed, a in zip(seeds, values, strict=True)
        }
