"""Commands to try with faults: small ones, each in a folder of its own."""

import contextlib
import io
import re
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import yaml
from conftest import SMALL, two_channels, write_wav

from asdlib import cli
from asdlib.compare import statistics, submission, systems
from asdlib.params import AsdError, load
from asdlib.runtime import errors
from asdlib.study import everything, open_recordings

SCENES = {
    "seconds": 1.0,
    "train_source": 2,
    "train_target": 1,
    "test_per_cell": 1,
    "machines": ["SimValve"],
}
LEAN = {"seeds": [0], "baseline": False, "extras": [], "front_ends": ["adasub"], "scorers": ["s1"]}
_PROGRESS = re.compile(r"\d+%\||\d+(clip|step|view)\b|\[\d\d:\d\d|^Recordings: |\.\.\.$")


class Walk(NamedTuple):
    """One command: what lies there before, and what is called."""

    prepare: Callable[[Path, Path], None]
    command: Callable[[Path, Path], int]


class Outcome(NamedTuple):
    """Exit code of a command, and its lines on standard error."""

    code: int
    told: list[str]


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


def run(walk, data, work):
    """Call a command with its temporary files in its own folder."""
    err = io.StringIO()
    with (
        mock.patch.object(tempfile, "tempdir", str(work / "tmp")),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = walk.command(data, work)
        except AsdError as error:  # of what is no command
            code = 2
            print(error, file=err)
        except OSError as error:
            code = 2
            print(errors.sentence(error), file=err)
    lines = re.split(r"[\r\n]+", err.getvalue())
    return Outcome(code, [line for line in lines if line.strip() and not _PROGRESS.search(line)])


def recordings(data):
    """What all commands read, and none may change."""
    rng = np.random.default_rng(0)
    for split, names in (("train", "abcdefgh"), ("test", "xy")):
        for name in names:
            write_wav(data / "pump" / split / f"{name}.wav", two_channels(rng, 0.6))
    (data / "study.yaml").write_text(yaml.safe_dump({**SMALL, **LEAN, **places(data.parent)}))
    whole = {**SMALL, **LEAN, **places(data.parent), "scenes": SCENES}
    (data / "report.yaml").write_text(yaml.safe_dump(whole))
    (data / "scenes.yaml").write_text(yaml.safe_dump({"scenes": SCENES}))


def places(root):
    """Where the files of a study go."""
    return {name: str(root / "work" / name) for name in ("results", "figures")}


def asd(*words):
    """The command as it is typed."""
    return lambda data, work: cli.main([str(w).format(data=data, work=work) for w in words])


def nothing(data, work):
    """Prepare nothing but a file of the user's own."""
    (work / "tmp").mkdir()
    (work / "notes.txt").write_text("of the user")


def model(data, work):
    """A model file."""
    nothing(data, work)
    assert run(WALKS["fit"], data, work).code == 0


def package(data, work):
    """Write the package of a study as the chapter on it does."""
    params = load(data / "study.yaml", data=str(data / "pump"))
    own = open_recordings(params)
    table = everything(params, own)
    results = systems.apply_all(statistics.Results(table), params.scoring.quantile)
    submission.write_all(work / "submission", results, own.machines, params)
    return 0


def computed(data, work):
    """Everything of a study, so that only what follows is tried."""
    kept = data.parent / "computed"
    if not kept.exists():
        nothing(data, work)
        assert run(WALKS["study"], data, work).code == 0
        shutil.copytree(work, kept)
    shutil.copytree(kept, work, dirs_exist_ok=True)


def packed(data, work):
    """A folder with a package."""
    computed(data, work)
    assert package(data, work) == 0


def reported(data, work):
    """A report whose chapters are kept, so that the study, the pages and the figures are tried."""
    nothing(data, work)
    said = run(WALKS["report"], data, work)
    assert said.code == 0, said.told


STUDY = ("study", "--params", "{data}/study.yaml", "--data", "{data}/pump")
SCORE = ("score", "{work}/own/pump.safetensors", "{data}/pump/test/x.wav")
WALKS = {
    "study": Walk(nothing, asd(*STUDY)),
    "study again": Walk(computed, asd(*STUDY)),
    "scenes": Walk(
        nothing, asd("scenes", "{work}/scenes", "--params", "{data}/scenes.yaml", "--truth")
    ),
    "fit": Walk(nothing, asd("fit", "{data}/pump/train", "--out", "{work}/own/pump.safetensors")),
    "score": Walk(model, asd(*SCORE)),
    "picture": Walk(
        model,
        asd(*SCORE, "--picture", "{work}/x.png"),
    ),
    "watch": Walk(
        model,
        asd(
            "watch",
            "{work}/own/pump.safetensors",
            "{data}/pump/test",
            "--once",
            "--every",
            0.01,
            "--patience",
            0.03,
            "--log",
            "{work}/log.jsonl",
        ),
    ),
    "package": Walk(computed, package),
    "report": Walk(
        reported, asd("report", "--params", "{data}/report.yaml", "--out", "{work}/build")
    ),
    "validate": Walk(packed, asd("validate", "{work}/submission/task2.zip")),
    "validate folder": Walk(packed, asd("validate", "{work}/submission")),
}
READING = ("score", "validate", "validate folder")
"""Those that write nothing."""
SLOW = {"fit": 1, "picture": 0, "report": 0}
"""How many of the errors a sample tries with those that take long."""
MOST = {"report": 2}
"""How many accesses are tried with each error at most: others with every one."""
