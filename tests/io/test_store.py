"""Computed files are read as they were written or not at all; keys hold the code behind them."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from asdlib.io import store
from asdlib.params import AsdError
from asdlib.runtime.errors import FileError

TABLE = pd.DataFrame({"name": ["a.wav", "b.wav"], "score": [0.5, 1.5]})
NOTED = TABLE.copy()
NOTED.attrs = {"made_on": "torch 2 on cpu"}
VALUES = {
    "told.json": {"losses": [0.5, 0.25], "products": "float32"},
    "scores.parquet": NOTED,
    "model.safetensors": {"weight": np.arange(6.0).reshape(2, 3)},
}


def same(found, value):
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(found, value)
        return found.attrs == value.attrs
    if isinstance(value, dict) and "weight" in value:
        return np.array_equal(found["weight"], value["weight"])
    return found == value


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def of_another(path):
    other = path.with_name(f"other{path.suffix}")
    store.save(VALUES[path.name], other)
    other.replace(path)
    other.with_name(f"{other.name}.sha256").replace(path.with_name(f"{path.name}.sha256"))


DAMAGES = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "flipped": flip,
    "another file": of_another,
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_told_and_made_again(tmp_path, name, damage, capsys):
    path = tmp_path / name
    store.save(VALUES[name], path)
    assert same(store.load(path), VALUES[name])
    DAMAGES[damage](path)
    assert store.load(path) is None
    assert capsys.readouterr().err == (
        f"{path}: damaged; it is set aside as {name}.damaged and computed again.\n"
    )
    assert same(store.made(path, lambda: VALUES[name]), VALUES[name])
    assert path.with_name(f"{name}.damaged").exists()


def test_a_file_without_its_checksum_is_unfinished_and_counts_as_missing(tmp_path, capsys):
    store.save([1], path := tmp_path / "one.json")
    (tmp_path / "one.json.sha256").unlink()
    assert store.load(path) is None
    assert store.made(path, lambda: [2]) == [2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_file_that_vanishes_while_it_is_read_counts_as_missing(tmp_path, monkeypatch, is_gone):
    store.save([1], path := tmp_path / "one.json")

    def fails(own, most):
        if is_gone:
            path.unlink()  # as another process does that writes it anew
        raise FileError(own, FileNotFoundError(2, "No such file or directory"), "read")

    monkeypatch.setattr(store, "read_bytes", fails)
    with contextlib.nullcontext() if is_gone else pytest.raises(FileError):
        assert store.load(path) is None


def test_the_checksum_is_the_one_of_sha256sum(tmp_path):
    store.save([1], tmp_path / "one.json")
    subprocess.run(["sha256sum", "--check", "one.json.sha256"], cwd=tmp_path, check=True)
    store.remove(tmp_path / "one.json")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_changes_what_is_written_is_told(tmp_path, monkeypatch):
    whole = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, content: whole(path, content[1:]))
    with pytest.raises(AsdError, match="is damaged right after writing; check the disk"):
        store.made(tmp_path / "one.json", lambda: [1])


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package itself, to be edited."""
    root = tmp_path_factory.mktemp("copy") / "asdlib"
    shutil.copytree(ROOT / "asdlib", root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("noise.py", "np.mean(clips", "np.median(clips", True),
        ("spectra.py", "import numpy", "import math\nimport numpy", False),
        ("noise.py", "import numpy", "from asdlib import metrics\nimport numpy", False),
        ("dataset.py", '"""Read a two', '"""Read the two', False),
        ("dataset.py", "# ", "# really ", False),
        ("dataset.py", "has changed since", "changed after", False),  # a raised sentence
        ("dataset.py", "return resampled(signal", "return resampled(-signal", True),
        ("io/wav.py", "file.read(size", "-file.read(size", True),
        ("io/files.py", "sort_keys=True", "sort_keys=False", False),
        ("runtime/parallel.py", "yield pending.popleft", "yield pending.pop", False),
        ("params.py", "= 1024", "= 2048", False),  # keys hold the values
        ("metrics.py", "max_fpr", "max_rate", False),  # is not behind a front-end
    ],
)
def test_a_key_holds_the_code_that_can_change_a_number(package, file, old, new, counts):
    path = package / file
    text = path.read_text()
    assert old in text
    before = store.code("pipeline", package=package)
    path.write_text(text.replace(old, new))
    store.code.cache_clear()
    after = store.code("pipeline", package=package)
    path.write_text(text)
    store.code.cache_clear()
    assert (before != after) == counts


def test_code_that_is_not_there_is_an_error():
    with pytest.raises(LookupError, match="nowhere is no module of asdlib"):
        store.code("nowhere")
