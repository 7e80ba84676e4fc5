"""One recording: from the bytes of a file to samples, and what keeps it from being used."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

from asdlib.io import headers
from asdlib.io.files import read_bytes
from asdlib.params import AsdError, Spectra
from asdlib.runtime.errors import plural

MOST_BYTES = 2**30
"""Of a recording: four hours of 16 bits."""

_MOST_VALUES = MOST_BYTES // 2  # samples of all channels together
_NONE = 2**60  # samples; from here on, what a decoder says of a stream without a length
_BLOCK = 2**22  # values that are decoded at once
_SILENCE = 1e-6  # peak of full scale; one step of PCM 16 is 3e-5
_LOUDEST = 1e15  # of full scale; the square of a spectrum still is a float32
_RATES = 1000, 1_000_000  # Hz; what is outside is no recorder's


def content_of(path: str | Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    AsdError
        For a folder, a pipe, a device or a broken link, a file that is too long, and where reading
        is not allowed.

    Examples
    --------
    >>> try:
    ...     content_of("nowhere.wav")
    ... except AsdError as error:
    ...     print(error)
    nowhere.wav: cannot be read (No such file or directory).
    """
    try:
        return read_bytes(Path(path), MOST_BYTES)
    except OSError as error:
        raise AsdError(f"{path}: cannot be read ({error.strerror or error}).") from None


def decode(content: bytes) -> tuple[Float[np.ndarray, "channel sample"], int]:
    """Turn the bytes of a file into samples and a sample rate in Hz.

    A header that announces no length, as recorders leave it that stream, counts as one that
    announces all there is.

    Raises
    ------
    AsdError
        For an empty file, one that is cut short, or one that is no audio.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.zeros((16000, 2)), 16000, format="WAV")
    >>> signal, rate = decode(file.getvalue())
    >>> signal.shape, rate
    ((2, 16000), 16000)
    """
    if not content:
        raise AsdError("the file is empty (0 bytes).")
    if wrong := headers.truncation(content):
        raise AsdError(wrong)
    try:
        file = soundfile.SoundFile(_Bytes(headers.finished(content)))
    except soundfile.LibsndfileError as error:
        raise AsdError(f"cannot be read as audio ({_reason(error)}).") from None
    with file:
        return _samples(file).T, file.samplerate


def _samples(file: soundfile.SoundFile) -> Float[np.ndarray, "sample channel"]:
    """Decode block by block: what a header promises takes no memory before it is there."""
    most = _MOST_VALUES // file.channels
    if file.frames > _NONE:
        raise AsdError(
            "the header announces no length, as that of an unfinished file; 'ffmpeg -i OLD "
            "NEW.wav' writes a whole one."
        )
    if file.frames > most:
        raise AsdError(
            f"the header announces {file.frames} samples per channel; at most {most} can be read."
        )
    blocks = [np.zeros((0, file.channels), np.float32)]
    held = 0
    while held < file.frames:
        size = min(file.frames - held, max(_BLOCK // file.channels, 1))
        try:
            blocks.append(file.read(size, dtype="float32", always_2d=True))
        except soundfile.LibsndfileError as error:
            raise AsdError(f"truncated or damaged ({_reason(error)}).") from None
        held += len(blocks[-1])
        if len(blocks[-1]) < size:
            raise AsdError(
                f"truncated; the header announces {file.frames} samples per channel, the file "
                f"holds {held}."
            )
    return np.concatenate(blocks) if len(blocks) > 2 else blocks[-1]


class _Bytes(io.BytesIO):
    """Bytes as a file, where a damaged header may ask for any place."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):  # the decoder sees that the place is another one
            return self.tell()


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").rstrip(".")


def header(path: Path) -> dict[str, float | int]:
    """Seconds, sample rate in Hz and channels of a file; zeros where it cannot be read.

    >>> header(Path("nowhere.wav"))
    {'seconds': 0.0, 'sample_rate': 0, 'channels': 0}
    """
    try:
        info = soundfile.info(path)
        frames, rate, channels = info.frames, info.samplerate, info.channels
        if not 0 < frames < _NONE:  # an unfinished header
            signal, rate = decode(content_of(path))
            channels, frames = signal.shape
    except (soundfile.LibsndfileError, OSError, AsdError):
        return {"seconds": 0.0, "sample_rate": 0, "channels": 0}
    return {"seconds": frames / rate, "sample_rate": rate, "channels": channels}


def resampled(
    signal: Float[np.ndarray, "channel sample"], rate: int, spectra: Spectra = Spectra()
) -> Float[np.ndarray, "channel _"]:
    """Return a signal at the sample rate of the spectra, in an order that is fast to read.

    >>> resampled(np.zeros((2, 48000), np.float32), 48000).shape
    (2, 16000)
    """
    if rate != spectra.sample_rate:
        import soxr

        signal = soxr.resample(signal.T, rate, spectra.sample_rate).T
    return np.ascontiguousarray(signal)


def problem_of(
    signal: Float[np.ndarray, "channel sample"],
    rate: int,
    spectra: Spectra = Spectra(),
    shortest: int = 1,
) -> str:
    """Say what keeps a decoded recording from being used; empty where nothing does.

    Parameters
    ----------
    rate : sample rate in Hz.
    shortest : samples that are needed, at the sample rate of the spectra.

    Examples
    --------
    >>> problem_of(np.ones((1, 16000)), 16000)
    '1 channel; near and far (2 channels) are needed.'
    """
    if signal.shape[1] == 0:
        return "holds no samples."
    wrong = format_problem(rate, len(signal), spectra)
    if wrong:
        return wrong
    if not np.isfinite(signal).all():
        return f"{np.count_nonzero(~np.isfinite(signal))} samples are NaN or infinite."
    if (peak := float(np.abs(signal).max())) > _LOUDEST:
        return f"samples of up to {peak:.0e}; full scale is 1, at most {_LOUDEST:.0e} is allowed."
    silent = [name for name, x in zip(("near", "far"), signal, strict=True) if _silent(x)]
    if silent:
        return f"the {' and '.join(silent)} channel is silent."
    samples = signal.shape[1] * spectra.sample_rate // rate
    if samples < shortest:
        return f"{samples} samples long; at least {shortest} are needed for one vector."
    return ""


def format_problem(rate: int, channels: int, spectra: Spectra) -> str:
    """Say which number of channels or sample rate is wrong; empty where both are right.

    >>> format_problem(8000, 2, Spectra()).partition(" (")[0]
    'sample rate 8000 Hz; 16000 Hz is needed'
    """
    if channels != 2:
        return f"{plural(channels, 'channel')}; near and far (2 channels) are needed."
    if rate != spectra.sample_rate and not spectra.resample:
        return (
            f"sample rate {rate} Hz; {spectra.sample_rate} Hz is needed "
            "(asd fit --resample or spectra.resample: true converts)."
        )
    if not _RATES[0] <= rate <= _RATES[1]:
        return f"sample rate {rate} Hz; {_RATES[0]} to {_RATES[1]} Hz can be converted."
    return ""


def _silent(channel: Float[np.ndarray, " sample"]) -> bool:
    return bool(np.ptp(channel) < _SILENCE)  # a constant offset is silence too
