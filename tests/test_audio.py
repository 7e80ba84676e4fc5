import os

import numpy as np
import pytest
from conftest import two_channels, write_wav

from asdlib import dataset
from asdlib.io import headers, wav
from asdlib.params import AsdError

START = 44  # of the sound, in what soundfile writes as 16 bits


@pytest.fixture
def clip(tmp_path, rng):
    write_wav(tmp_path / "clip.wav", two_channels(rng, 0.2))
    return tmp_path / "clip.wav"


@pytest.mark.parametrize("announced", [0, 0xFFFFFFFF])
def test_a_header_without_a_length_counts_as_all_there_is(clip, announced):
    content, length = clip.read_bytes(), announced.to_bytes(4, "little")
    assert headers.sound_chunk(content)[0] == START
    streamed = content[:4] + length + content[8 : START - 4] + length + content[START:]
    whole, rate = wav.decode(content)
    signal, same = wav.decode(streamed)
    np.testing.assert_array_equal(signal, whole)
    assert (whole.shape, rate) == ((2, 3200), same)


def test_what_is_no_whole_file_is_not_read(clip, tmp_path):
    content = clip.read_bytes()
    clip.write_bytes(content[:-4])
    (tmp_path / "empty.wav").touch()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to("nowhere")
    told = {
        "clip.wav": "truncated; the header announces 12800 bytes of sound, the file holds 12796.",
        "empty.wav": "the file is empty (0 bytes).",
        "pipe.wav": "cannot be read (not a file, but a folder, a pipe or a device).",
        "link.wav": "cannot be read (No such file or directory).",
        "": "cannot be read (not a file, but a folder, a pipe or a device).",
    }
    for name, sentence in told.items():
        with pytest.raises(AsdError) as raised:
            dataset.read(tmp_path / name)
        assert str(raised.value) == f"{tmp_path / name}: {sentence}"
