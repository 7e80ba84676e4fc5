"""Recordings of every format are whole, cut short or unfinished, and damaged ones are refused."""

import io
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import two_channels, write_wav

from asdlib import dataset
from asdlib.io import wav
from asdlib.params import AsdError

FORMATS = {
    "wav": ("WAV", "PCM_24"),
    "extensible": ("WAVEX", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "wave64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "aiff-c": ("AIFF", "ULAW"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
}


def encoded(rng, kind="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, two_channels(rng, 0.2), 16000, format=kind, subtype=subtype)
    return file.getvalue()


def with_length(content, length, place=40):
    return content[:place] + struct.pack("<I", length) + content[place + 4 :]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_of_every_format_is_whole_or_cut_short(rng, kind):
    content = encoded(rng, *FORMATS[kind])
    whole, rate = wav.decode(content)
    assert (whole.shape, rate) == ((2, 3200), 16000)
    assert wav.is_finished(content)
    with pytest.raises(AsdError, match=r"truncated|cannot be read as audio") as error:
        wav.decode(content[: len(content) // 2])
    assert kind in ("caf", "flac") or "the header announces" in str(error.value)


def test_bw64_is_rf64_under_another_name(rng):
    content = encoded(rng, "RF64")
    np.testing.assert_array_equal(wav.decode(b"BW64" + content[4:])[0], wav.decode(content)[0])


@pytest.mark.parametrize(
    "length", [0, 0x7FFF0000, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF]
)
def test_placeholders_of_recorders_are_no_lengths(rng, length):
    content = encoded(rng)
    streamed = with_length(with_length(content, length), length, place=4)
    np.testing.assert_array_equal(wav.decode(streamed)[0], wav.decode(content)[0])
    assert not wav.is_finished(streamed)


def test_chunks_of_odd_sizes_are_passed(rng):
    content = encoded(rng)
    extra = b"bext" + struct.pack("<I", 603) + bytes(604)
    padded = content[:12] + extra + content[12:]
    np.testing.assert_array_equal(wav.decode(padded)[0], wav.decode(content)[0])
    with pytest.raises(AsdError, match="truncated"):
        wav.decode(padded[:-4])


def peak_memory():
    """Most bytes that this process has had in memory since it was last set back."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def test_a_promise_takes_no_memory(rng):
    flac = bytearray(encoded(rng, "FLAC"))
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back
    before = peak_memory()
    for samples, told in (
        (0, "announces no length"),
        (100 * 3600 * 16000, "announces 5760000000 samples per channel"),
        (100 * 60 * 16000, "truncated or damaged"),
    ):
        flac[21] = flac[21] & 0xF0 | samples >> 32
        flac[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
        with pytest.raises(AsdError, match=told):
            wav.decode(bytes(flac))
    assert peak_memory() - before < 6 * wav._BLOCK  # 768 MB were promised


def test_what_is_no_whole_file_is_not_read(tmp_path, rng):
    content = write_wav(tmp_path / "clip.wav", two_channels(rng, 0.2)).read_bytes()
    (tmp_path / "clip.wav").write_bytes(content[:-4])
    (tmp_path / "empty.wav").touch()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to("nowhere")
    with (tmp_path / "long.wav").open("wb") as file:
        file.truncate(wav.MOST_BYTES + 1)
    told = {
        "clip.wav": "truncated; the header announces 12800 bytes of sound, the file holds 12796.",
        "empty.wav": "the file is empty (0 bytes).",
        "pipe.wav": "cannot be read (not a file, but a folder, a pipe or a device).",
        "link.wav": "cannot be read (No such file or directory).",
        "long.wav": "cannot be read (1,073,741,825 bytes, where at most 1,073,741,824 are "
        "allowed).",
    }
    for name, sentence in told.items():
        with pytest.raises(AsdError) as raised:
            dataset.read(tmp_path / name)
        assert str(raised.value) == f"{tmp_path / name}: {sentence}"


def test_floats_that_are_no_sound_name_the_range(tmp_path, rng):
    signal = two_channels(rng, 0.2)
    signal[7, 1] = 1e25
    path = write_wav(tmp_path / "m/train/a.wav", signal, subtype="FLOAT")
    _, problems = dataset.check(dataset.scan(tmp_path))
    assert f"{path}: samples of up to 1e+25; full scale is 1, at most 1e+15 is allowed." in problems
