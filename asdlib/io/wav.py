"""One recording: from the bytes of a file to samples, and what keeps it from being used."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

from asdlib.io.files import read_bytes
from asdlib.runtime.errors import AsdError

MOST_BYTES = 2**30
"""Of a recording: four hours of 16 bits."""

_MOST_VALUES = MOST_BYTES // 2  # samples of all channels together
_UNWRITTEN = 0x7FFF0000  # bytes of sound; from here on, what a recorder writes that streams
_HEAD = 4096  # bytes of a file in which the sound begins
_EMPTY = b"data" + bytes(4)  # of a WAV whose recorder was switched off
# what libsndfile remarks about a header
_LENGTHS = {
    "bytes of sound": re.compile(
        r"^ *(data|SSND|Data Size) *: (?P<announced>\d+) \(should be (?P<held>\d+)\)", re.MULTILINE
    ),
    "bytes": re.compile(r"^riff : (?P<announced>\d+) \(should be (?P<held>\d+)\)", re.MULTILINE),
    "samples per channel": re.compile(
        r"frame count (?P<held>\d+) does not match .*'ds64' chunk of (?P<announced>\d+)"
    ),
}
_STATED = re.compile(r"^ *(data|SSND|Data Size) *: (?P<length>-?\d+)\b", re.MULTILINE)
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
    return read_bytes(Path(path), MOST_BYTES)


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
    with _opened(content) as file:
        for unit, length in _LENGTHS.items():
            found = length.search(file.extra_info)
            if found and int(found["held"]) < int(found["announced"]) < _UNWRITTEN:
                raise _truncated(found["announced"], unit, found["held"])
        return _samples(file), file.samplerate


def is_finished(content: bytes) -> bool:
    """Tell whether the header of a file says how long its sound is.

    Raises
    ------
    AsdError
        For what is no audio.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.zeros((16000, 2)), 16000, format="WAV")
    >>> content = file.getvalue()
    >>> is_finished(content), is_finished(content[:40] + bytes(4) + content[44:])
    (True, False)
    """
    with _opened(content) as file:
        stated = _STATED.search(file.extra_info)
        written = stated is None or 0 < int(stated["length"]) < _UNWRITTEN
        return written and 0 < file.frames < _NONE and _empty_length(content) is None


def _opened(content: bytes) -> soundfile.SoundFile:
    """Open the bytes of a file; of a WAV whose length was left 0, all there is counts."""
    if content.startswith(b"BW64"):  # of ITU-R BS.2088: RF64 under another name
        content = b"RF64" + content[4:]
    if (place := _empty_length(content)) is not None:
        length = (len(content) - place - 4).to_bytes(4, "little")
        content = content[:place] + length + content[place + 4 :]
    try:
        return soundfile.SoundFile(_Bytes(content))
    except soundfile.LibsndfileError as error:
        raise AsdError(f"cannot be read as audio ({_reason(error)}).") from None


def _samples(file: soundfile.SoundFile) -> Float[np.ndarray, "channel sample"]:
    """Decode block by block: what a header promises takes no memory before it is written."""
    most = _MOST_VALUES // file.channels
    if file.frames > _NONE:
        raise AsdError(
            "the header announces no length; 'ffmpeg -i OLD NEW.wav' writes a whole file."
        )
    if file.frames > most:
        what = f"the header announces {file.frames} samples per channel"
        raise AsdError(f"{what}; at most {most} can be read.")
    samples, held = np.empty((file.channels, file.frames), np.float32), 0
    while held < file.frames:
        size = min(file.frames - held, max(_BLOCK // file.channels, 1))
        try:
            block = file.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AsdError(f"truncated or damaged ({_reason(error)}).") from None
        samples[:, held : held + len(block)] = block.T
        held += len(block)
        if len(block) < size:
            raise _truncated(file.frames, "samples per channel", held)
    return samples


def _truncated(announced: int | str, unit: str, held: int | str) -> AsdError:
    said = f"truncated; the header announces {announced} {unit}, the file holds {held}."
    return AsdError(said)


def _empty_length(content: bytes) -> int | None:
    """Place of the length of the sound in a WAV, where it was left 0."""
    place = content[:_HEAD].find(_EMPTY)
    return place + 4 if place >= 0 and content[:4] == b"RIFF" else None


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
