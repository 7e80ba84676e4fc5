import io
import struct

import numpy as np
import pytest
import soundfile
from conftest import two_channels, write_wav

from asdlib import dataset
from asdlib.io import headers, wav
from asdlib.params import AsdError

# a file's format and subtype; the chunk whose length counts; its place after the chunk's name,
# width and order; the bytes that it counts beside the sound
FORMATS = {
    "wav": ("WAV", "PCM_24", b"data", 4, "<I", 0),
    "extensible": ("WAVEX", "PCM_16", b"data", 4, "<I", 0),
    "rf64": ("RF64", "PCM_16", b"ds64", 16, "<Q", 0),
    "wave64": ("W64", "PCM_16", b"data", 16, "<Q", 24),
    "aiff": ("AIFF", "PCM_16", b"SSND", 4, ">I", 8),
    "aiff-c": ("AIFF", "ULAW", b"SSND", 4, ">I", 8),
    "caf": ("CAF", "PCM_16", b"data", 4, ">Q", 4),
    "au": ("AU", "PCM_16", b".snd", 8, ">I", 0),
}
LIST = b"LIST" + struct.pack("<I", 18) + b"INFOIART" + struct.pack("<I", 6) + b"abcde\0"


def encoded(rng, kind="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, two_channels(rng, 0.2), 16000, format=kind, subtype=subtype)
    return file.getvalue()


def with_length(content, length, name=b"data", place=4, form="<I"):
    """The same file, whose header announces another length."""
    place += content.index(name)
    width = struct.calcsize(form)
    return content[:place] + struct.pack(form, length % 2 ** (8 * width)) + content[place + width :]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_of_every_format_is_whole_cut_short_or_unfinished(rng, kind):
    container, subtype, *where, beside = FORMATS[kind]
    content = encoded(rng, container, subtype)
    whole, rate = wav.decode(content)
    assert (whole.shape, rate) == ((2, 3200), 16000)
    sound = headers.sound_chunk(content)
    cut = content[: sound.start + 1000]
    told = f"truncated; the header announces {sound.announced} bytes of sound, the file holds 1000."
    with pytest.raises(AsdError) as error:
        wav.decode(cut)
    assert str(error.value) == told
    for length in (0, beside, 0x7FFF0000 if where[2][1] == "I" else 2**62, -1):
        signal, _ = wav.decode(with_length(content, length, *where))
        np.testing.assert_array_equal(signal, whole)


@pytest.mark.parametrize("length", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB])
def test_placeholders_of_recorders_are_no_lengths(rng, length):
    content = encoded(rng)
    streamed = with_length(content, length)
    np.testing.assert_array_equal(wav.decode(streamed)[0], wav.decode(content)[0])


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_what_a_recorder_wrote_after_the_sound_is_none(rng, length):
    content = encoded(rng)
    whole, _ = wav.decode(content)
    signal, _ = wav.decode(with_length(content, length) + LIST + LIST)
    np.testing.assert_array_equal(signal, whole)
    assert wav.decode(with_length(content[: content.index(b"data") + 8], length) + LIST)[
        0
    ].shape == (2, 0)


def test_chunks_of_odd_sizes_are_passed(rng):
    content = encoded(rng)
    extra = b"bext" + struct.pack("<I", 603) + bytes(604)
    padded = content[:12] + extra + content[12:]
    np.testing.assert_array_equal(wav.decode(padded)[0], wav.decode(content)[0])
    with pytest.raises(AsdError, match="truncated"):
        wav.decode(padded[:-1])


def test_a_promise_takes_no_memory(rng, monkeypatch):
    flac = bytearray(encoded(rng, "FLAC"))
    sizes = []
    empty = np.empty
    monkeypatch.setattr(
        np, "empty", lambda shape, *a, **k: sizes.append(shape) or empty(shape, *a, **k)
    )
    for samples, told in (
        (0, "announces no length"),
        (100 * 3600 * 16000, "announces 5760000000 samples per channel"),
        (100 * 60 * 16000, "truncated or damaged"),
    ):
        flac[21] = flac[21] & 0xF0 | samples >> 32
        flac[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
        with pytest.raises(AsdError, match=told):
            wav.decode(bytes(flac))
    assert max(np.prod(shape) for shape in sizes) <= wav._BLOCK


def test_damaged_headers_are_read_or_refused(rng):
    """Never another error, whatever the first bytes are."""
    kinds = [(container, subtype) for container, subtype, *_ in FORMATS.values()]
    files = [encoded(rng, *kind) for kind in [*kinds, ("FLAC", "PCM_16"), ("WAV", "IMA_ADPCM")]]
    outcomes = set()
    for number in range(1500):
        content = bytearray(files[number % len(files)])
        for place in rng.integers(0, 120, rng.integers(1, 4)):
            width = int(rng.choice([1, 2, 4, 8]))
            content[place : place + width] = bytes([rng.choice([0, 1, 127, 128, 255])]) * width
        try:
            wav.decode(bytes(content))
            outcomes.add("read")
        except AsdError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_floats_that_are_no_sound_name_the_range(tmp_path, rng):
    signal = two_channels(rng, 0.2)
    signal[7, 1] = 1e25
    path = write_wav(tmp_path / "m/train/a.wav", signal, subtype="FLOAT")
    _, problems = dataset.check(dataset.scan(tmp_path))
    assert f"{path}: samples of up to 1e+25; full scale is 1, at most 1e+15 is allowed." in problems


def test_the_overview_knows_unfinished_files(tmp_path, rng):
    path = write_wav(tmp_path / "m/train/a.wav", two_channels(rng, 0.5))
    path.write_bytes(with_length(path.read_bytes(), 0))
    assert dataset.scan(tmp_path)["seconds"].tolist() == [0.5]


def test_a_file_that_is_too_long_is_not_read(tmp_path):
    with (tmp_path / "a.wav").open("wb") as file:
        file.truncate(wav.MOST_BYTES + 1)
    with pytest.raises(AsdError, match="1,073,741,825 bytes, where at most 1,073,741,824"):
        wav.content_of(tmp_path / "a.wav")
