"""One recording: from the bytes of a file to samples, and what keeps it from being used."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

from asdlib.io import headers
from asdlib.io.files import read_bytes
from asdlib.runtime.errors import AsdError

MOST_BYTES = 2**30
"""Of a recording: four hours of 16 bits."""

_MOST_VALUES = MOST_BYTES // 2  # samples of all channels together
_NONE = 2**60  # samples; from here on, what a decoder says of a stream without a length
_BLOCK = 2**22  # values that are decoded at once


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
