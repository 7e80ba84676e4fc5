"""A computed file gives what was written, or counts as not there; nothing between."""

import errno
from pathlib import Path

import damaged
import numpy as np
import pandas as pd
import pytest
import torch

from asdlib.io import kept
from asdlib.params import AsdError

TABLE = pd.DataFrame({"name": ["a.wav", "b.wav"] * 3, "seed": range(6), "A": np.arange(6) / 7})
TABLE.attrs = {"made_on": "here", "batch_losses": [[0.5, 0.25]]}
TENSORS = {"x": torch.arange(6.0).view(2, 3), "step": torch.tensor(3.0)}

KINDS = {
    "one.parquet": (lambda path: kept.write_table(TABLE, path), kept.table),
    "one.safetensors": (lambda path: kept.write_tensors(TENSORS, path, told=1), kept.tensors),
    "one.json": (lambda path: kept.write_json({"a": ["b", ""]}, path), kept.json_value),
}


def same(value):
    """What was written, without what cannot be compared."""
    if isinstance(value, pd.DataFrame):
        return value.equals(TABLE) and value.attrs == TABLE.attrs
    if isinstance(value, tuple):
        equal = all(torch.equal(value[0][name], TENSORS[name]) for name in TENSORS)
        return equal and value[1] == {"told": 1}
    return value == {"a": ["b", ""]}


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    """A file, and what reads it."""
    write, reader = KINDS[request.param]
    path = tmp_path / "unit" / request.param
    write(path)
    assert same(reader(path))
    return path, reader


@pytest.mark.parametrize("how", damaged.KINDS)
def test_a_damaged_file_is_told_and_set_aside(kind, how, capsys):
    path, reader = kind
    damaged.damage(path, how)
    content = path.read_bytes()
    assert reader(path) is None
    aside = path.with_name(f"{path.name}.damaged")
    assert aside.read_bytes() == content
    assert not path.exists()
    told = capsys.readouterr().err
    assert told == f"{path}: damaged; it is set aside as {aside.name} and computed again.\n"


def test_no_changed_byte_changes_a_value(kind, capsys):
    path, reader = kind
    good = path.read_bytes()
    for place in range(0, len(good), 3):
        content = bytearray(good)
        content[place] ^= 1 + place % 255
        path.write_bytes(content)
        found = reader(path)
        assert found is None or same(found), place
    assert "damaged" in capsys.readouterr().err


def test_the_file_of_another_unit_is_not_this_ones(tmp_path):
    one, other = tmp_path / "fan" / "model.safetensors", tmp_path / "pump" / "model.safetensors"
    kept.write_tensors(TENSORS, one)
    kept.write_tensors(TENSORS, other)
    one.write_bytes(other.read_bytes())
    assert kept.told(one) is None
    assert kept.told(other) == {}


def test_a_file_that_cannot_be_read_is_not_damaged(tmp_path):
    def reader(path):
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "one"
    path.touch()
    with pytest.raises(OSError, match="Input/output"):
        kept.read(path, reader)
    assert path.exists()


def test_what_another_process_has_written_anew_stays(tmp_path):
    path = tmp_path / "one.json"
    path.write_text("{cut")

    def reader(path):
        kept.write_json([1], path)  # as the other process does meanwhile
        raise ValueError

    assert kept.read(path, reader) is None
    assert kept.json_value(path) == [1]


def test_a_disk_that_damages_everything_is_one_sentence(tmp_path):
    path = tmp_path / "one.json"
    with pytest.raises(AsdError, match="damaged again right after it was written"):
        kept.made(path, kept.json_value, lambda: Path(path).write_text("{cut"))
