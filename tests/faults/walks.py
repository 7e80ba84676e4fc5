"""Commands to try with faults: small ones, each in a folder that another one has left."""

import contextlib
import io
import re
import sys
import tempfile
from typing import NamedTuple
from unittest import mock

import numpy as np
import yaml
from conftest import SMALL, two_channels, write_wav

from asdlib import cli
from asdlib.compare import statistics, submission
from asdlib.params import AsdError, load
from asdlib.runtime import errors
from asdlib.study import open_recordings

SCENES = {
    "seconds": 1.0,
    "train_source": 2,
    "train_target": 1,
    "test_per_cell": 1,
    "machines": ["SimValve"],
}
LEAN = {"seeds": [0], "baseline": False, "extras": [], "front_ends": ["adasub"], "scorers": ["s1"]}
_PROGRESS = re.compile(
    r"\d+%\||\d+(clip|step|view)\b|\[\d\d:\d\d|^Recordings: |\.\.\.$|: \d+ %, [\d:?]+ left$"
)


class Outcome(NamedTuple):
    """Exit code of a command, and its lines on standard error."""

    code: int
    told: list[str]


def recordings(data):
    """Write what all commands read, and none may change."""
    rng = np.random.default_rng(0)
    for split, names in (("train", "abcdefgh"), ("test", "xy")):
        for name in names:
            write_wav(data / "pump" / split / f"{name}.wav", two_channels(rng, 0.6))
    places = {name: str(data.parent / "work" / name) for name in ("results", "figures")}
    for name, changes in {
        "study": {**SMALL, **LEAN, **places},
        "report": {**SMALL, **LEAN, **places, "scenes": SCENES},
        "scenes": {"scenes": SCENES},
    }.items():
        (data / f"{name}.yaml").write_text(yaml.safe_dump(changes))


def run(name, data, work):
    """Call a command with its temporary files in its own folder."""
    err = io.StringIO()
    with (
        mock.patch.object(tempfile, "tempdir", str(work / "tmp")),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(err),
    ):
        code = WALKS[name][1](data, work)
    lines = re.split(r"[\r\n]+", err.getvalue())
    return Outcome(code, [line for line in lines if line.strip() and not _PROGRESS.search(line)])


def asd(words):
    """Return a function that calls a command as it is typed."""
    return lambda data, work: cli.main(words.format(data=data, work=work).split())


def package(data, work):
    """Write the package of a study as the chapter on it does."""
    try:
        params = load(data / "study.yaml", data=str(data / "pump"))
        own = open_recordings(params)
        results = statistics.results(params, own)
        submission.write_all(work / "submission", results, own.machines, params)
    except (AsdError, OSError) as error:
        print(error if isinstance(error, AsdError) else errors.sentence(error), file=sys.stderr)
        return 2
    return 0


STUDY = asd("study --params {data}/study.yaml --data {data}/pump")
REPORT = asd("report --params {data}/report.yaml --out {work}/build")
SCORE = "score {work}/own/pump.safetensors {data}/pump/test/x.wav"
WATCH = "watch {work}/own/pump.safetensors {data}/pump/test --once --every .01 --patience .03"
PAGE = "report --machine {work}/own/pump.safetensors"
WALKS = {
    "study": (None, STUDY),
    "study again": ("study", STUDY),
    "scenes": (None, asd("scenes {work}/scenes --params {data}/scenes.yaml --truth")),
    "fit": (None, asd("fit {data}/pump/train --out {work}/own/pump.safetensors")),
    "score": ("fit", asd(SCORE)),
    "picture": ("fit", asd(SCORE + " --picture {work}/x.png")),
    "watch": ("fit", asd(WATCH + " --log {work}/log.jsonl")),
    "page": ("watch", asd(PAGE + " --log {work}/log.jsonl --out {work}/page/log.html")),
    "package": ("study", package),
    "validate": ("package", asd("validate {work}/submission/task2.zip")),
    "validate folder": ("package", asd("validate {work}/submission")),
    "first report": (None, REPORT),
    "report": ("first report", REPORT),
}
"""By name: the walk before it, and the command."""
READING = ("score", "validate", "validate folder")  # write nothing
SLOW = ("picture", "report")
UNTRIED = ("first report",)  # its chapters would take minutes for every fault
