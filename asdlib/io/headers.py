"""How much sound the header of a recording announces, and how much the file holds.

WAV in all its kinds (RIFF, RIFX, RF64, Wave64), AIFF, CAF and AU keep samples in one chunk with
its length before it. A recorder that streams, or was switched off, leaves that number unwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

_UNWRITTEN = {4: 0x7FFF0000, 8: 2**62}  # a length from here on is none, by its width in bytes
_MOST_CHUNKS = 10000
_MADE_AFTERWARDS = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"cue ", b"smpl", b"PEAK", b"JUNK")

Order = Literal["little", "big"]


class Sound(NamedTuple):
    """The sound in the bytes of a file.

    Attributes
    ----------
    start : place of its first byte.
    announced : bytes of sound by the header; None where it says nothing, with 0 or a number from
        0x7FFF0000 on.
    held : bytes of sound that are there.
    place, width, order : of the number in the header.
    beside : bytes that this number counts beside the sound.
    """

    start: int
    announced: int | None
    held: int
    place: int
    width: int
    order: Order
    beside: int = 0


@dataclass(frozen=True)
class _Layout:
    """How a family of formats puts one chunk after the other.

    Attributes
    ----------
    first : place of the first chunk.
    name : of the chunk with the sound.
    width, order : of the length that follows a chunk's name.
    counted : bytes of its own name and length that this length counts.
    before : bytes between the length and the sound.
    step : chunks begin at multiples of it.
    """

    first: int
    name: bytes
    width: int = 4
    order: Order = "little"
    counted: int = 0
    before: int = 0
    step: int = 2


_WAVE64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # ends the names of its chunks
_AIFF = _Layout(12, b"SSND", order="big", before=8)
_LAYOUTS = {
    (b"RIFF", b"WAVE"): _Layout(12, b"data"),
    (b"RF64", b"WAVE"): _Layout(12, b"data"),
    (b"RIFX", b"WAVE"): _Layout(12, b"data", order="big"),
    (b"FORM", b"AIFF"): _AIFF,
    (b"FORM", b"AIFC"): _AIFF,
    (b"caff", b"desc"): _Layout(8, b"data", width=8, order="big", before=4, step=1),
    (b"riff", b"\xa5\xd6\x28\xdb"): _Layout(40, b"data" + _WAVE64, width=8, counted=24, step=8),
}
_AU: dict[bytes, Order] = {b".snd": "big", b"dns.": "little"}


def sound_chunk(content: bytes) -> Sound | None:
    """Find the sound in the bytes of a file, whole or not.

    Returns
    -------
    None for other formats, or where the file ends before its sound.

    Examples
    --------
    >>> head = b"RIFF....WAVEdata" + (64000).to_bytes(4, "little")
    >>> sound = sound_chunk(head + bytes(1000))
    >>> sound.start, sound.announced, sound.held
    (20, 64000, 1000)
    """
    if content[:4] in _AU and len(content) >= 24:
        order = _AU[content[:4]]
        return _sound(content, int.from_bytes(content[4:8], order), 8, 4, order)
    layout = _LAYOUTS.get((content[:4], content[8:12]))
    return None if layout is None else _chunk(content, layout)


def truncation(content: bytes) -> str:
    """Say how much a file lacks of what its header announces; empty where nothing.

    >>> truncation(b"RIFF....WAVEdata" + bytes([8, 0, 0, 0]) + b"12")
    'truncated; the header announces 8 bytes of sound, the file holds 2.'
    """
    sound = sound_chunk(content)
    if sound is None or sound.announced is None or sound.announced <= sound.held:
        return ""
    return (
        f"truncated; the header announces {sound.announced} bytes of sound, the file holds "
        f"{sound.held}."
    )


def finished(content: bytes) -> bytes:
    r"""Write the length of the sound into a header that has none; other content stays as it is.

    >>> finished(b"RIFF....WAVEdata" + bytes(4) + b"1234")[16:]
    b'\x04\x00\x00\x001234'
    """
    sound = sound_chunk(content)
    if sound is None or sound.announced is not None:
        return content
    length = (sound.held + sound.beside).to_bytes(sound.width, sound.order)
    return content[: sound.place] + length + content[sound.place + sound.width :]


def _chunk(content: bytes, layout: _Layout) -> Sound | None:
    """Walk from chunk to chunk until the one with the sound."""
    place, named = layout.first, len(layout.name)
    long = 0  # place of the length that RF64 keeps elsewhere
    for _ in range(_MOST_CHUNKS):
        if (start := place + named + layout.width) > len(content):
            break
        name, length = content[place : place + named], content[place + named : start]
        if name == layout.name and length == b"\xff" * 4 and long:
            return _sound(content, start, long, 8, layout.order)
        if name == layout.name:
            beside = layout.counted + layout.before
            begin = start + layout.before
            return _sound(content, begin, place + named, layout.width, layout.order, beside)
        if name == b"ds64":
            long = start + 8
        place = start + max(int.from_bytes(length, layout.order) - layout.counted, 0)
        place += -place % layout.step
    return None


def _sound(
    content: bytes, start: int, place: int, width: int, order: Order, beside: int = 0
) -> Sound | None:
    """The sound from ``start`` on, by the number at ``place``; None where the file ends before."""
    if start > len(content):
        return None
    length = int.from_bytes(content[place : place + width], order)
    if beside < length < _UNWRITTEN[width]:
        announced, end = length - beside, len(content)
    else:
        announced, end = None, _end(content, start, order)
    return Sound(start, announced, end - start, place, width, order, beside)


def _end(content: bytes, start: int, order: Order) -> int:
    """Where sound without a length ends: before the whole chunks that end with the file."""
    end = len(content)
    while True:
        place = max(content.rfind(name, start, end) for name in _MADE_AFTERWARDS)
        if place < 0:
            return end
        length = int.from_bytes(content[place + 4 : place + 8], order)
        if place + 8 + length + length % 2 != end:
            return end
        end = place
