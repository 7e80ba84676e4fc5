"""Damaged input is a result or one sentence: never another exception, never a hang.

The mutations are the same at every run: of ``make test`` few, of ``make faults`` many in some time.
"""

import io
import time
import zipfile

import numpy as np
import pytest
import soundfile
import yaml
from conftest import SMALL, machine_folder, two_channels, write_wav
from walks import bounded

from asdlib import dataset, metrics
from asdlib.compare import score_files, submission
from asdlib.guard import PerClip
from asdlib.io import wav
from asdlib.monitor import Monitor
from asdlib.params import AsdError, load
from asdlib.spectra import problem_of

_LONGEST = 5.0  # s of one input; all of them take milliseconds
_NUMBERS = [b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x01\x00\x00\x00"]
_WORDS = [b"&a [*a]", b"!!python/object:os.system", b"1e999", b".nan", b"'", b"\xff\xfe", b"[" * 99]
_MOST_LETTERS = 1000  # of a sentence


def mutated(content, rng, words=()):
    """Change one to three places of some bytes, rather at the beginning."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(len(content) * rng.random() ** rng.choice([1, 6]))
        kind = rng.integers(0, 7)
        if kind == 0:
            del content[place:]
        elif kind == 1:
            content[place : place + 4] = _NUMBERS[rng.integers(len(_NUMBERS))]
        elif kind == 2:
            content[place:place] = rng.bytes(rng.integers(1, 9))
        elif kind == 3:
            del content[place : place + rng.integers(1, 40)]
        elif kind == 4:
            other = int(len(content) * rng.random())
            content[place : place + 16] = content[other : other + 16]
        elif kind == 5 and words:
            content[place:place] = words[rng.integers(len(words))]
        elif place < len(content):
            content[place] ^= 1 << rng.integers(0, 8)
    return bytes(content)


@pytest.fixture
def fuzz(tell, pytestconfig):
    """Try mutations of some contents, and tell of those that ended in another way."""

    def fuzz(what, contents, use, *, few=60, words=()):
        every, began, found = pytestconfig.getoption("--every-fault"), time.monotonic(), []
        for number in range(100 * few if every else few):
            if time.monotonic() - began > (120 if every else 5):
                break
            content = contents[number % len(contents)]
            found.append(
                _wrong(number, mutated(content, np.random.default_rng(number), words), use)
            )
        tell(what, "mutation", found)

    return fuzz


def _wrong(number, content, use):
    try:
        with bounded(_LONGEST):
            told = use(content) or []
    except AsdError as error:
        told = str(error).splitlines()
    except BaseException as error:
        return f"{number}: {type(error).__name__}: {str(error)[:300]}"
    long = [line for line in told if len(line) > _MOST_LETTERS or not line.endswith((".", ")"))]
    return f"{number}: {long[0][:300]}" if long else ""


def encoded(rng, format, subtype, **keys):
    file = io.BytesIO()
    soundfile.write(file, two_channels(rng, 0.2), 16000, format=format, subtype=subtype, **keys)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAVEX", "FLOAT"),
        ("RF64", "PCM_24"),
        ("FLAC", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("CAF", "PCM_16"),
        ("AU", "PCM_16"),
        ("OGG", "VORBIS"),
    ],
)
def test_recordings(format, subtype, rng, fuzz):
    def use(content):
        told = problem_of(*wav.decode(content))
        return [told] if told else []

    fuzz(f"{format} in memory", [encoded(rng, format, subtype)], use)


def test_recordings_of_a_data_set(tmp_path, rng, fuzz):
    machine_folder(tmp_path, rng, seconds=0.2)
    path = tmp_path / "fan" / "train" / "section_00_source_train_normal_0099_a.wav"

    def use(content):
        path.write_bytes(content)
        table, problems = dataset.survey(tmp_path)
        return problems + dataset.check(table)[1]

    contents = [encoded(rng, "WAV", "PCM_16"), encoded(rng, "FLAC", "PCM_16")]
    fuzz("recordings of a data set", contents, use, few=20)


def test_attributes(tmp_path, rng, fuzz):
    machine_folder(tmp_path, rng, seconds=0.2)
    path = tmp_path / "fan" / "attributes_00.csv"
    rows = "".join(f"fan/train/{p.name},spd,{i}\n" for i, p in enumerate(tmp_path.rglob("*.wav")))

    def use(content):
        path.write_bytes(content)
        return dataset.survey(tmp_path)[1]

    words = [b'"', b",,,", b"\r", b"\x00", b"\\", b";"]
    fuzz("attribute tables", [f"file_name,d1p,d1v\n{rows}".encode()], use, few=40, words=words)


def test_parameter_files(tmp_path, fuzz):
    path = tmp_path / "mine.yaml"

    def use(content):
        path.write_bytes(content)
        load(path)

    every = {**SMALL, "data": "x", "scenes": {"machines": ["SimFan"]}, "scoring": {"quantile": 0.9}}
    texts = [yaml.safe_dump(every), yaml.safe_dump(every, default_flow_style=True)]
    fuzz("parameter files", [text.encode() for text in texts], use, few=200, words=_WORDS)


def test_score_tables(tmp_path, fuzz):
    path = tmp_path / "scores.csv"
    kinds = [(domain, label) for domain in ("source", "target") for label in ("normal", "anomaly")]
    rows = [f"fan/section_00_{domain}_test_{label}_0000_a.wav,1.5" for domain, label in kinds]

    def use(content):
        path.write_bytes(content)
        metrics.evaluate(score_files.read_table(path))

    words = [b'"', b",", b"nan", b"inf", b"\x00", b"1e999"]
    fuzz("score tables", ["\n".join(["file,score", *rows]).encode()], use, few=40, words=words)


@pytest.fixture
def package(tmp_path, rng):
    """A package as this project writes it."""
    names, label = [f"section_00_{i:04d}.wav" for i in range(6)], "Doe_Uni_task2_1"
    scores = PerClip(rng.standard_normal(6), names)
    about = submission.meta(
        label, name="Test", abbreviation="T", description={}, total_parameters=7, results=None
    )
    submission.write_system(tmp_path, label, {"fan": scores}, {"fan": scores > 0.0}, about)
    return submission.pack(tmp_path)


def test_packages_as_zips(package, fuzz):
    def use(content):
        package.write_bytes(content)
        return submission.validate(package)

    stored = io.BytesIO()
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    fuzz("packages as zips", [package.read_bytes(), stored.getvalue()], use)


def test_files_of_a_package(package, fuzz):
    paths = [path for path in (package.parent / "task2").rglob("*") if path.is_file()]
    for path in paths:
        content = path.read_bytes()

        def use(changed, path=path):
            path.write_bytes(changed)
            return submission.validate(package.parent)

        words = [*_WORDS, b"- 2020-01-01", b"? {", b'"', b",", b"\n\n"]
        fuzz(f"{path.suffix} of a package", [content], use, few=30, words=words)
        path.write_bytes(content)


def test_model_files(tmp_path, rng, fuzz):
    for number in range(4):
        write_wav(tmp_path / "clips" / f"{number}.wav", two_channels(rng, 1.0))
    path = tmp_path / "pump.safetensors"
    Monitor.fit(tmp_path / "clips").save(path)

    def use(content):
        path.write_bytes(content)
        Monitor.load(path)

    fuzz("model files", [path.read_bytes()], use, few=40)
