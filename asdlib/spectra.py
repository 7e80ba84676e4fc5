"""Complex spectra, power, log-mel frames and stacked frames (paper, section 3.1).

L(b, t) = 10 log10(max(M(b, t), 1e-16)) dB, with M the mel bands of the power P(k, t) = |X(k, t)|^2
and X the short-time spectrum; frequency k, band b, frame t. A vector stacks 5 frames in time order.
Notebook: 01_far_microphone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float, Int

from asdlib.params import AsdError, Spectra
from asdlib.runtime.errors import plural

Spectrum = Complex[np.ndarray, "channel=2 frequency frame"]  # near and far microphone
Power = Float[np.ndarray, "frequency frame"]
Signal = Float[np.ndarray, "channel sample"]
LogMel = Float[np.ndarray, "frame band"]  # dB

_SMALLEST_POWER = 1e-16  # floor under the logarithm: -160 dB
_SILENCE = 1e-6  # peak of full scale; one step of PCM 16 is 3e-5
_LOUDEST = 1e15  # of full scale; the square of a spectrum still is a float32
_MEL = 200 / 3  # Hz, below 1 kHz
_RATES = 1000, 1_000_000  # Hz; what is outside is no recorder's


def problem_of(signal: Signal, rate: int, spectra: Spectra = Spectra(), shortest: int = 1) -> str:
    """Say what keeps a recording from being used; empty where nothing does.

    Parameters
    ----------
    rate : sample rate in Hz.
    shortest : samples that are needed, at the sample rate of the spectra.

    Examples
    --------
    >>> problem_of(np.ones((1, 16000)), 16000)
    "1 channel; near and far (2 channels) are needed: 'sox -M NEAR.wav FAR.wav NEW.wav' (asd fit \
--mono does with one microphone)."
    """
    if signal.shape[1] == 0:
        return "holds no samples."
    if wrong := format_problem(rate, len(signal), spectra):
        return wrong
    if not np.isfinite(signal).all():
        return f"{np.count_nonzero(~np.isfinite(signal))} samples are NaN or infinite."
    if (peak := float(max(signal.max(), -signal.min()))) > _LOUDEST:
        return f"samples of up to {peak:.0e}; full scale is 1, at most {_LOUDEST:.0e} is allowed."
    flat = np.ptp(signal, axis=1) < _SILENCE  # a constant offset is silence too
    if flat.any():
        silent = [name for name, is_flat in zip(("near", "far"), flat, strict=False) if is_flat]
        return f"the {' and '.join(silent)} channel is silent."
    if (samples := signal.shape[1] * spectra.sample_rate // rate) < shortest:
        return f"{samples} samples long; at least {shortest} are needed for one vector."
    return ""


def format_problem(rate: int, channels: int, spectra: Spectra) -> str:
    """Say which number of channels or sample rate is wrong; empty where both are right.

    >>> format_problem(8000, 2, Spectra()).partition(" (")[0]
    'sample rate 8000 Hz; 16000 Hz is needed'
    """
    wanted, found = spectra.sample_rate, plural(channels, "channel")
    if spectra.mono and channels != 1:
        return f"{found}; one is wanted (mono): 'sox OLD.wav NEW.wav remix 1'."
    if channels != 2 and not spectra.mono:
        how = "'sox OLD.wav NEW.wav remix 1 2'"
        if channels == 1:
            how = "'sox -M NEAR.wav FAR.wav NEW.wav' (asd fit --mono does with one microphone)"
        return f"{found}; near and far (2 channels) are needed: {how}."
    if rate != wanted and not spectra.resample:
        how = "asd fit --resample or spectra.resample: true converts"
        return f"sample rate {rate} Hz; {wanted} Hz is needed ({how})."
    if not _RATES[0] <= rate <= _RATES[1]:
        return f"sample rate {rate} Hz; {_RATES[0]} to {_RATES[1]} Hz can be converted."
    return ""


def resampled(signal: Signal, rate: int, spectra: Spectra = Spectra()) -> Float[np.ndarray, "_ _"]:
    """Return a signal at the sample rate of the spectra, in an order that is fast to read.

    Where there is one microphone (``spectra.mono``), its signal is both channels.

    >>> resampled(np.zeros((2, 48000), np.float32), 48000).shape
    (2, 16000)
    """
    if rate != spectra.sample_rate:
        import soxr

        signal = soxr.resample(signal.T, rate, spectra.sample_rate).T
    return np.ascontiguousarray(np.repeat(signal, 2, axis=0) if spectra.mono else signal)


def stft(
    signal: Float[np.ndarray, "*channels sample"], spectra: Spectra = Spectra()
) -> Complex[np.ndarray, "*channels frequency frame"]:
    """Short-time Fourier transform: periodic Hann window, centred frames, zero padding.

    Parameters
    ----------
    signal : (..., sample), full scale is 1.
    spectra : ``n_fft`` and ``hop_length`` in samples.

    Returns
    -------
    (..., n_fft // 2 + 1, 1 + sample // hop_length), complex64 for float32 input.

    Examples
    --------
    >>> spectrum = stft(np.ones((2, 16000), np.float32))
    >>> spectrum.shape, spectrum.dtype.name
    ((2, 513, 32), 'complex64')
    """
    half = spectra.n_fft // 2
    padded = np.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(half, half)])
    framed = np.lib.stride_tricks.sliding_window_view(padded, spectra.n_fft, axis=-1)
    framed = framed[..., :: spectra.hop_length, :]
    window = hann(spectra.n_fft).astype(signal.dtype)
    frames = scipy.fft.rfft(framed * window, axis=-1)
    return np.ascontiguousarray(np.swapaxes(frames, -1, -2))  # what follows runs along time


def istft(
    spectrum: Complex[np.ndarray, "frequency frame"], samples: int, spectra: Spectra = Spectra()
) -> Float[np.ndarray, " sample"]:
    """Invert :func:`stft` by windowed overlap-add, cut or padded to ``samples``.

    >>> signal = np.sin(np.arange(4000) / 10)
    >>> bool(np.allclose(istft(stft(signal), 4000), signal, atol=1e-6))
    True
    """
    n_fft, hop = spectra.n_fft, spectra.hop_length
    window, count = hann(n_fft), spectrum.shape[1]
    frames = scipy.fft.irfft(spectrum.T, n_fft) * window
    sound = np.zeros((max(count - 1, 0) * hop + n_fft), spectrum.real.dtype)
    weight = np.zeros_like(sound)
    for start, frame in zip(range(0, count * hop, hop), frames, strict=True):
        sound[start : start + n_fft] += frame
        weight[start : start + n_fft] += window**2
    sound /= np.where(weight > np.finfo(weight.dtype).tiny, weight, 1)
    sound = sound[n_fft // 2 :][:samples]
    return np.pad(sound, (0, samples - len(sound)))


def frequencies(spectra: Spectra = Spectra()) -> Float[np.ndarray, " frequency"]:
    """Return the centre frequencies of the bins of :func:`stft`, in Hz.

    >>> frequencies(Spectra(sample_rate=16000, n_fft=4, n_mels=2)).tolist()
    [0.0, 4000.0, 8000.0]
    """
    return np.fft.rfftfreq(spectra.n_fft, 1 / spectra.sample_rate)


def power(spectrum: Complex[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Squared magnitude: P = |X|^2.

    >>> power(np.array([3 + 4j]))
    array([25.])
    """
    return spectrum.real**2 + spectrum.imag**2


def decibels(power: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"]:
    """Return 10 log10(max(power, 1e-16)): a power or a ratio of powers in dB, at least -160 dB.

    >>> decibels(np.array([100.0, 0.0]))
    array([  20., -160.])
    """
    return np.asarray(10 * np.log10(np.maximum(power, _SMALLEST_POWER)))


def log_mel(power: Power, spectra: Spectra = Spectra()) -> LogMel:
    """Log-mel energies in dB: 10 log10(max(mel power, 1e-16)), Slaney bands up to sr / 2.

    Parameters
    ----------
    power : (frequency, frame).

    Returns
    -------
    (frame, band), dB, as librosa's ``power_to_db(melspectrogram(...), top_db=None)``.

    Examples
    --------
    >>> log_mel(np.zeros((513, 32))).shape, float(log_mel(np.zeros((513, 32))).max())
    ((32, 128), -160.0)
    """
    filters = mel_filters(spectra.sample_rate, spectra.n_fft, spectra.n_mels)
    return decibels(power.T @ filters.T.astype(power.dtype))


def mel_frequencies(count: int, highest: float) -> Float[np.ndarray, " count"]:
    """Frequencies in equal steps of Slaney's mel scale, from 0 to the highest, in Hz.

    A mel is 200/3 Hz up to 1 kHz; above, 27 of them are a factor of 6.4.

    >>> mel_frequencies(4, 6400).round().tolist()
    [0.0, 933.0, 2444.0, 6400.0]
    """
    knee, step = 1000 / _MEL, np.log(6.4) / 27
    top = highest / _MEL if highest < 1000 else knee + np.log(highest / 1000) / step
    mels = np.linspace(0, top, count)
    return np.where(mels < knee, _MEL * mels, 1000 * np.exp(step * (mels - knee)))


@lru_cache
def mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> Float[np.ndarray, "band frequency"]:
    """Slaney-normalised triangular mel filters, the same bytes as librosa's.

    >>> mel_filters(16000, 1024, 128).shape
    (128, 513)
    """
    hertz = mel_frequencies(n_mels + 2, sample_rate / 2)
    ramps = np.subtract.outer(hertz, np.fft.rfftfreq(n_fft, 1 / sample_rate))
    widths = np.diff(hertz)[:, None]
    triangles = np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:])
    heights = 2 / (hertz[2:] - hertz[:-2])[:, None]
    return (np.maximum(triangles, 0).astype(np.float32) * heights).astype(np.float32)


def edges(centres: Float[np.ndarray, " band"]) -> Float[np.ndarray, " edge"]:
    """Edges between bands on a logarithmic axis, and the outer two.

    Parameters
    ----------
    centres : of at least two bands, rising, in any unit.

    >>> edges(np.array([1.0, 4.0, 16.0])).tolist()
    [0.5, 2.0, 8.0, 32.0]
    """
    inner = np.sqrt(centres[1:] * centres[:-1])
    return np.concatenate([centres[:1] ** 2 / inner[:1], inner, centres[-1:] ** 2 / inner[-1:]])


@lru_cache
def hann(length: int) -> Float[np.ndarray, " sample"]:
    """Periodic Hann window.

    >>> hann(4).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    return 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, length + 1)[:-1])


@dataclass(frozen=True)
class Frames:
    """Log-mel frames of many clips in one flat array, and where each clip begins.

    Clips may differ in length. Stacked frames are views of the flat array, never copies.

    Attributes
    ----------
    values : (frame, band), float32, all clips one after the other.
    offsets : (clip + 1,), first frame of every clip, and the end.
    stack : frames in one vector.

    Examples
    --------
    >>> frames = Frames.join([np.zeros((7, 128)), np.zeros((5, 128))])
    >>> len(frames), frames.starts().tolist(), frames.clip(0).shape
    (2, [0, 1, 2, 7], (3, 640))
    """

    values: Float[np.ndarray, "frame band"]
    offsets: Int[np.ndarray, " clips_plus_one"]
    stack: int = Spectra().stack

    @classmethod
    def join(
        cls, clips: Sequence[Float[np.ndarray, "_ band"]], stack: int = Spectra().stack
    ) -> Frames:
        """Lay the clips' frames one after the other, as float32."""
        lengths = [len(clip) for clip in clips]
        if not lengths or min(lengths) < stack:
            fewest = min(lengths, default=0)
            raise AsdError(f"A clip has {fewest} frames; one vector needs {stack} (spectra.stack).")
        values = np.concatenate(clips, dtype=np.float32)
        return cls(values, np.concatenate([[0], np.cumsum(lengths)]), stack)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def windows(self) -> Float[np.ndarray, "start value"]:
        """Return all stacked vectors (frame - stack + 1, stack * band), as a view in time order.

        Vectors that begin in the last frames of a clip run into the next one: pick rows with
        :meth:`starts`.
        """
        flat, bands = self.values.reshape(-1), self.values.shape[1]
        return np.lib.stride_tricks.sliding_window_view(flat, self.stack * bands)[::bands]

    def starts(self) -> Int[np.ndarray, " vector"]:
        """Rows of :meth:`windows` that lie within one clip: T - stack + 1 of each."""
        ends = self.offsets[1:] - self.stack + 1
        return np.concatenate([np.arange(a, b) for a, b in zip(self.offsets, ends, strict=False)])

    def clip(self, c: int) -> Float[np.ndarray, "vector value"]:
        """Return the stacked vectors of clip ``c``, as a view."""
        return self.windows()[self.offsets[c] : self.offsets[c + 1] - self.stack + 1]


@dataclass(frozen=True)
class Standardiser:
    """Mean and standard deviation of training-normal log-mel values, scalar or per band.

    >>> frames = Frames.join([np.arange(10, dtype=np.float32).reshape(5, 2)])
    >>> standardise = Standardiser.fit(frames)
    >>> standardise.mean, standardise(frames.values).std().round(6)
    (array([4.5]), np.float32(1.0))
    """

    mean: Float[np.ndarray, " _"]
    std: Float[np.ndarray, " _"]

    @classmethod
    def fit(cls, frames: Frames, mode: str = Spectra().standardise) -> Standardiser:
        """Take the statistics from training-normal frames, in float64."""
        axis = 0 if mode == "per_band" else None
        mean = np.atleast_1d(frames.values.mean(axis, dtype=np.float64))
        std = np.atleast_1d(frames.values.std(axis, dtype=np.float64))
        return cls(mean, np.maximum(std, 1e-8))

    def __call__(self, values: LogMel, *, out: LogMel | None = None) -> LogMel:
        """Standardise, in float32; into ``out`` where it is given, which may be ``values``."""
        centred = np.subtract(values, self.mean.astype(np.float32), out=out)
        return np.divide(centred, self.std.astype(np.float32), out=centred)
