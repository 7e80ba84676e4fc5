"""Damaged and odd input is a result or one sentence: never another exception, never a hang.

The mutations are the same at every run: of ``make test`` few, of ``make faults`` many.
"""

import contextlib
import io
import os
import signal
import time
import zipfile

import numpy as np
import pytest
import soundfile
import yaml
from conftest import SMALL, machine_folder, two_channels, write_wav

from asdlib import cli, dataset, metrics
from asdlib.compare import score_files, submission, validation
from asdlib.guard import PerClip
from asdlib.io import wav
from asdlib.monitor import Monitor
from asdlib.params import AsdError, load
from asdlib.spectra import problem_of

_LONGEST = 5.0  # s of one input; all of them take milliseconds
_MOST_LETTERS = 1000  # of a sentence
NUMBERS = [b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x01\x00\x00\x00"]
IN_YAML = [
    b"&a [*a]",
    b"!!python/object:os.system",
    b"1e999",
    b".nan",
    b"'",
    b"\xff\xfe",
    b"[" * 99,
]
IN_CSV = [b'"', b",", b",,,", b"nan", b"inf", b"\r", b"\x00", b"1e999", b"\\", b";"]
FORMATS = (
    "WAV/PCM_16 WAVEX/FLOAT RF64/PCM_24 FLAC/PCM_16 W64/PCM_16 AIFF/PCM_16 CAF/PCM_16 AU/PCM_16"
)
NO_FILE = {
    "pipe": os.mkfifo,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path.name),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "folder": lambda path: path.mkdir(),
}

pytestmark = pytest.mark.kind("damaged input")


def mutated(content, rng, words):
    """Change one to three places of some bytes, rather at the beginning."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(len(content) * rng.random() ** rng.choice([1, 6]))
        other = int(len(content) * rng.random())
        changes = [
            (len(content), b""),
            (place + rng.integers(1, 40), b""),
            (place + 4, NUMBERS[rng.integers(len(NUMBERS))]),
            (place, rng.bytes(rng.integers(1, 9))),
            (place + 16, content[other : other + 16]),
            (place + 1, bytes(b ^ 1 << rng.integers(8) for b in content[place : place + 1])),
            (place, words[rng.integers(len(words))]),
        ]
        end, new = changes[rng.integers(len(changes))]
        content[place:end] = new
    return bytes(content)


@contextlib.contextmanager
def bounded(seconds):
    """Interrupt what takes too long."""

    def late(number, frame):
        raise TimeoutError(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def problem(content, use):
    """Return how the use of some bytes ended, if neither well nor with short sentences."""
    try:
        with bounded(_LONGEST):
            told = use(content) or []
    except AsdError as error:
        told = str(error).splitlines()
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    long = [line for line in told if len(line) > _MOST_LETTERS or not line.endswith((".", ")"))]
    return long[0][:300] if long else ""


@pytest.fixture
def fuzz(pytestconfig):
    """Use mutations of some contents; each has to end with a result or sentences."""
    every = pytestconfig.getoption("--every-fault")

    def fuzz(contents, use, words=(b"",), few=40):
        began, wrong = time.monotonic(), []
        for number in range(100 * few if every else few):
            if number and time.monotonic() - began > (120 if every else 5):
                break
            content = contents[number % len(contents)]
            content = mutated(content, np.random.default_rng(number), words)
            if told := problem(content, use):
                wrong.append(f"{number}: {told}")
        assert not wrong, "\n".join(wrong[:20])

    return fuzz


def encoded(rng, kind):
    format, subtype = kind.split("/")
    file = io.BytesIO()
    soundfile.write(file, two_channels(rng, 0.2), 16000, format=format, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("kind", [*FORMATS.split(), "OGG/VORBIS"])
def test_recordings(kind, rng, fuzz):
    fuzz([encoded(rng, kind)], lambda content: filter(None, [problem_of(*wav.decode(content))]))


def test_recordings_and_attributes_of_a_data_set(tmp_path, rng, fuzz):
    machine_folder(tmp_path, rng, seconds=0.2)
    names = [path.name for path in tmp_path.rglob("*.wav")]
    clip = tmp_path / "fan" / "train" / "section_00_source_train_normal_0099_a.wav"
    table = tmp_path / "fan" / "attributes_00.csv"

    def check(content):
        clip.write_bytes(content)
        clips, problems = dataset.survey(tmp_path)
        return problems + dataset.check(clips)[1]

    def survey(content):
        table.write_bytes(content)
        return dataset.survey(tmp_path)[1]

    fuzz([encoded(rng, "WAV/PCM_16"), encoded(rng, "FLAC/PCM_16")], check, few=20)
    clip.unlink()
    rows = "".join(f"fan/train/{name},spd,{i}\n" for i, name in enumerate(names))
    fuzz([f"file_name,d1p,d1v\n{rows}".encode()], survey, IN_CSV)


def test_parameter_files_and_score_tables(tmp_path, fuzz):
    path = tmp_path / "mine"

    def read(content):
        path.write_bytes(content)
        load(path)

    def evaluate(content):
        path.write_bytes(content)
        metrics.evaluate(score_files.read_table(path))

    every = {**SMALL, "data": "x", "scenes": {"machines": ["SimFan"]}, "scoring": {"quantile": 0.9}}
    texts = [yaml.safe_dump(every, default_flow_style=flow).encode() for flow in (False, True)]
    fuzz(texts, read, IN_YAML, few=150)
    kinds = [(domain, label) for domain in ("source", "target") for label in ("normal", "anomaly")]
    rows = [f"fan/section_00_{domain}_test_{label}_0000_a.wav,1.5" for domain, label in kinds]
    fuzz(["\n".join(["file,score", *rows]).encode()], evaluate, IN_CSV)


def test_packages(tmp_path, rng, fuzz):
    names, label = [f"section_00_{i:04d}.wav" for i in range(6)], "Doe_Uni_task2_1"
    scores = PerClip(rng.standard_normal(6), names)
    about = {**validation.META, "submission": {**validation.META["submission"], "label": label}}
    submission.write_system(tmp_path, label, {"fan": scores}, {"fan": scores > 0.0}, about)
    package = submission.pack(tmp_path)

    def validate(content, path=package):
        path.write_bytes(content)
        return validation.validate(package if path == package else tmp_path)

    stored = io.BytesIO()
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    fuzz([package.read_bytes(), stored.getvalue()], validate, few=60)
    for path in [path for path in (tmp_path / "task2").rglob("*") if path.is_file()]:
        content = path.read_bytes()
        words = [*IN_YAML, b"- 2020-01-01", b"? {", b'"', b",", b"\n\n"]
        fuzz([content], lambda changed, path=path: validate(changed, path), words, few=30)
        path.write_bytes(content)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file of few recordings."""
    folder, rng = tmp_path_factory.mktemp("model"), np.random.default_rng(0)
    for number in range(4):
        write_wav(folder / "clips" / f"{number}.wav", two_channels(rng))
    Monitor.fit(folder / "clips").save(folder / "pump.safetensors")
    return folder / "pump.safetensors"


def test_model_files(model, tmp_path, fuzz):
    path = tmp_path / "damaged"

    def read(content):
        path.write_bytes(content)
        Monitor.load(path)

    fuzz([model.read_bytes()], read)


LOG = "watch {model} {folder} --once --log {path}"
COMMANDS = [
    "metrics {path}",
    "validate {path}",
    "study --params {path}",
    "score {path} {clip}",
    "score {model} {path}",
    "watch {path} {folder} --once",
    LOG,
    "report --machine {path} --log {clip}",
    "refit {model} --accept a --log {path} --out {folder}/b",
    "fit {folder} --out {path}",
    "fit {path} --out {folder}/b",
    "doctor {path}",
    "scenes {folder}/new --noise {path}",
]
NO_FILES = [(kind, command) for kind in NO_FILE for command in COMMANDS]
NO_FILES.remove(("dangling", LOG))  # a link to a log that is made


@pytest.mark.parametrize(("kind", "command"), NO_FILES)
def test_what_is_no_file_is_one_sentence(kind, command, model, tmp_path, rng, capsys):
    path = tmp_path / "odd"
    NO_FILE[kind](path)
    places = {"path": path, "folder": tmp_path / "clips", "model": model}
    places["clip"] = write_wav(tmp_path / "clips" / "a.wav", two_channels(rng))
    with bounded(4 * _LONGEST):
        assert cli.main(command.format(**places).split()) == 2
    promise = Monitor.load(model).promise.splitlines()
    lines = [line for line in capsys.readouterr().err.splitlines() if line not in promise]
    assert 1 <= len(lines) <= 2  # of a recording, and that one of them could not be used
    assert lines[0].startswith(str(tmp_path))
    assert all(line.endswith(".") for line in lines)
