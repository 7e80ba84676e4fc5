"""One recording: from the bytes of a file to samples, and what keeps it from being used."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

from asdlib.params import AsdError, Spectra

_SILENCE = 1e-6  # peak of full scale; one step of PCM 16 is 3e-5
_LOUDEST = 1e15  # of full scale; the square of a spectrum still is a float32


def content_of(path: str | Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    AsdError
        For a folder, a pipe, a device or a broken link, and where reading is not allowed.

    Examples
    --------
    >>> try:
    ...     content_of("nowhere.wav")
    ... except AsdError as error:
    ...     print(error)
    nowhere.wav: cannot be read (No such file or directory).
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for its writer
            raise AsdError(f"{path}: not a file (a folder, a pipe or a device).")
        return path.read_bytes()
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
    if wrong := truncation(content):
        raise AsdError(wrong)
    place, announced = sound_chunk(content) or (0, None)
    if place and announced is None:  # the decoder takes 0 at its word
        length = min(len(content) - place, 0xFFFFFFFF)
        content = content[: place - 4] + length.to_bytes(4, "little") + content[place:]
    try:
        signal, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise AsdError(f"cannot be read as audio ({reason}).") from None
    return signal.T, rate


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
    '1 channel(s); near and far (2 channels) are needed.'
    """
    if signal.shape[1] == 0:
        return "holds no samples."
    wrong = format_problem(rate, len(signal), spectra)
    if wrong:
        return wrong
    if not np.isfinite(signal).all():
        return f"{np.count_nonzero(~np.isfinite(signal))} samples are NaN or infinite."
    if (peak := float(np.abs(signal).max())) > _LOUDEST:
        return f"samples of up to {peak:.0e}, where full scale is 1."
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
        return f"{channels} channel(s); near and far (2 channels) are needed."
    if rate != spectra.sample_rate and not spectra.resample:
        return (
            f"sample rate {rate} Hz; {spectra.sample_rate} Hz is needed "
            "(asd fit --resample or spectra.resample: true converts)."
        )
    return ""


def _silent(channel: Float[np.ndarray, " sample"]) -> bool:
    return bool(np.ptp(channel) < _SILENCE)  # a constant offset is silence too


def sound_chunk(content: bytes) -> tuple[int, int | None] | None:
    """Find the sound in the bytes of a WAV file, whole or not.

    Returns
    -------
    place of the first byte of sound, and how many bytes the header announces; None for a number
    that says nothing: 0 and 0xFFFFFFFF come from recorders that stream and never return to the
    header. None alone for other formats, or where the file ends before its sound.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.zeros((16000, 2)), 16000, format="WAV")
    >>> sound_chunk(file.getvalue()[:1000])
    (44, 64000)
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    place = 12
    while place + 8 <= len(content):
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        if content[place : place + 4] == b"data":
            return place + 8, None if length in (0, 0xFFFFFFFF) else length
        place += 8 + length + length % 2
    return None


def truncation(content: bytes) -> str:
    """Say how much a WAV file lacks of what its header announces; empty where nothing.

    >>> truncation(b"RIFF....WAVEdata" + bytes([8, 0, 0, 0]) + b"12")
    'truncated; the header announces 8 bytes of sound, the file holds 2.'
    """
    place, announced = sound_chunk(content) or (0, None)
    held = len(content) - place
    if announced is None or announced <= held:
        return ""
    return f"truncated; the header announces {announced} bytes of sound, the file holds {held}."
