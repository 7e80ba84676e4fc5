"""Every access to the disk fails once: one sentence, nothing half-written, the next run as usual.

``make faults`` tries every access with every error, as SQLite's tests do; ``make test`` one access
of each command with each error, by turns one that passes and one that lasts. Another one every day,
so that all are tried in the course of time.
"""

import contextlib
import json
import os
import re
import shutil
import time
from pathlib import Path

import disk
import pytest
import walks

FAULTS = [*(("write", error) for error in disk.ERRORS), ("read", "EACCES"), ("read", "EIO")]
_SETTLED = 2.1  # s: younger recordings are examined at every run
_DAY = int(time.time() // 86400)  # chooses the accesses
_STRIDE = 7919  # a prime: multiples of it reach every access before they repeat one
_SPHINX = "The HTML build failed:"  # and what Sphinx says
_PART = re.compile(r"\.?asd-part-\w{8}\.?")
# parts, which may stay where they cannot be removed; of no run; Sphinx's memory; times of files
_PASSING = re.compile(r"(^|/)\.(?!asd/)|^tmp/|^build/doctrees/|\.lock$|/checkpoint\.|/checked-")

pytestmark = pytest.mark.kind("a disk that fails")


class Trial:
    """A command in a folder that is put back before every fault.

    Attributes
    ----------
    counting : the disk of an undisturbed run.
    before, after : what it finds and leaves, and ``end`` a copy of the latter.
    """

    def __init__(self, base, name, start):
        self.name, self.start, self.end = name, start, base / f"after {name}"
        self.data, self.work = base / "data", base / "work"
        self.own = held(self.data)
        self.counting = disk.Disk(self.data, self.work)
        self.before = self._restored()
        with self.counting.mounted():
            self.said = walks.run(name, self.data, self.work)
        assert self.said.code == 0, self.said.told
        self.after = held(self.work)
        shutil.copytree(self.work, self.end, symlinks=True)

    def fault(self, lasting, **fault):
        """Return what is wrong after a fault and after the next run without it."""
        self._restored()
        failing = disk.Disk(self.data, self.work, lasting=lasting, **fault)
        try:
            with failing.mounted():
                said = walks.run(self.name, self.data, self.work)
        except Exception as error:
            return [f"{failing.failed}: {type(error).__name__}: {error}"]
        if not failing.failed:  # threads and logs count differently at times
            return []
        wrong = self._sentence(said, Path(failing.failed[1]), lasting)
        if said.code:
            wrong += [
                told
                for told in self._changed(self.before, self.after)
                if not told.startswith("build/source/")  # made anew by every report
            ]
        else:
            wrong += self._changed(self.after)
        again = walks.run(self.name, self.data, self.work)
        if again != self.said:
            wrong.append(f"the next run says {again}")
        wrong += [f"{told} after the next run" for told in self._changed(self.after, whole=True)]
        if held(self.data) != self.own:
            wrong.append("the recordings were changed")
        return [f"{' '.join(failing.failed)}: {'; '.join(wrong)}"] if wrong else []

    def _restored(self):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.start, self.work, symlinks=True)
        return held(self.work)

    def _sentence(self, said, path, lasting):
        """There is one sentence, and it names what failed or the folder that it belongs to."""
        told = [line for line in said.told if line not in self.said.told]
        if said.code == 0:
            return [f"it ended well, but said {told}"] if told else []
        path, is_part = Path(_PART.sub("", str(path))), _PART.search(str(path)) is not None
        named = [own for own in (path, *path.parents) if {self.work, self.data} & {*own.parents}]
        named += [self.work / "tmp"] * lasting  # a library's log of the first one fails too
        # a part is removed and a cache is given up in silence, and what fails next is named
        is_check = path.name.startswith("checked-") or path == self.work / "results"
        if lasting and (is_part or is_check):
            named.append(self.work)
        one = len(told) <= 2 and all(line.endswith(".") for line in told)  # of a clip, and in all
        if said.code == 2 and one and any(str(own) in told[0] for own in named):
            return []
        sphinx = any(path.name in line for line in told[1:])
        if said.code == 2 and told[:1] == [_SPHINX] and sphinx:
            return []
        return [f"exit code {said.code}, and it said {told}"]

    def _changed(self, *allowed, whole=False):
        """Return the files that are as in none of some states of the folder."""
        now = held(self.work)
        return [
            f"{name} is {'not the same' if name in now else 'missing'}"
            for name in sorted(set().union(now, *allowed))
            if not _PASSING.search(name)
            and not any(same(name, now.get(name), files.get(name), whole) for files in allowed)
        ]


def held(root):
    """Content of every file below a folder by its path; of a link, where it leads.

    How long stages took is left out: it is never the same.
    """
    return {
        path.relative_to(root).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        for path in root.rglob("*")
        if (path.is_symlink() or path.is_file()) and not path.name.startswith("seconds.json")
    }


def same(name, found, wanted, whole):
    """Compare the content of a file; of a log its lines, all of them if it must be whole."""
    if not name.endswith((".jsonl", ".jsonl.known")):
        return found == wanted
    found, wanted = lines(found), lines(wanted)
    return found == wanted if whole else found.items() <= wanted.items()


def lines(log):
    """The last line about every recording; one that was cut, or tells of an error, says nothing."""
    known = {}
    for line in (log or b"").splitlines():
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if "problem" not in told and told.get("content"):
                known[told["name"]] = line
    return known


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Return the trial of a command; all of them read the same recordings."""
    base, known = tmp_path_factory.mktemp("faults").resolve(), {}
    (base / "data").mkdir()
    (base / "empty" / "tmp").mkdir(parents=True)
    (base / "empty" / "notes.txt").write_text("of the user")
    walks.recordings(base / "data")
    time.sleep(_SETTLED)

    def trial(name):
        if name not in known:
            before = walks.WALKS[name][0]
            start = trial(before).end if before else base / "empty"
            known[name] = Trial(base, name, start)
        return known[name]

    return trial


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(name, number, marks=[pytest.mark.slow] * (name in walks.SLOW))
        for name in walks.WALKS
        for number, (kind, _) in enumerate(FAULTS)
        if name not in walks.UNTRIED and (kind == "read" or name not in walks.READING)
    ],
)
def test_an_access_fails(name, number, trial, pytestconfig):
    every, turn = pytestconfig.getoption("--every-fault"), _DAY + number
    if name == "report" and not every and turn % 5:
        pytest.skip("a fault of a report takes a minute: each error is tried every fifth day")
    (kind, error), own, wrong = FAULTS[number], trial(name), []
    count = own.counting.reached(kind, error)
    start = _DAY * _STRIDE + number * count // len(FAULTS)  # every error somewhere else
    chosen = range(1, count + 1) if every and name != "report" else [1 + start % count]
    both = [False, True] if every else [turn % 2 == 1]
    faults = [(at, lasting) for lasting in (both if kind == "write" else [False]) for at in chosen]
    for at, lasting in faults:
        print(f"{name}: {kind} {at} of {count} fails with {error}{', lasting' * lasting}")
        wrong += own.fault(lasting, kind=kind, error=error, at=at)
    assert not wrong, f"{len(wrong)} of {len(faults)}:\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("name", [n for n in walks.WALKS if n not in (*walks.SLOW, *walks.UNTRIED)])
def test_nothing_is_written_past_the_faults(name, trial):
    own = trial(name)
    new = {Path(n).name for n, content in own.after.items() if content != own.before.get(n, b"")}
    assert not {n for n in new if not any(n in part for part in own.counting.written)}
