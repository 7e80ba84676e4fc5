"""Every access to the file system fails once: one sentence, nothing half-written, all as before.

``make faults`` tries every access with every error, as SQLite's tests do; ``make test`` a few.
"""

import time
from pathlib import Path

import disk
import pytest
import walks
from trial import Trial

_SETTLED = 2.1  # s: younger recordings are examined at every run
_SAMPLE = (0, 3, 4, 7)  # every error once, and every other one for good
_WRITING = [name for name in walks.WALKS if name not in walks.READING]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Return the trial of a command; all of them read the same recordings."""
    base, known = tmp_path_factory.mktemp("faults").resolve(), {}
    (base / "data").mkdir()
    walks.recordings(base / "data")
    time.sleep(_SETTLED)

    def trial(name):
        if name not in known:
            known[name] = Trial(base, name)
        return known[name]

    return trial


@pytest.fixture
def tried(trial, tell, pytestconfig):
    """Let accesses of a command fail with one of eight errors: all, or of a sample one or none."""
    every = pytestconfig.getoption("--every-fault")

    def tried(name, kind, number, **fault):
        if not every and number not in _SAMPLE[: walks.SLOW.get(name)]:
            return
        own = trial(name)
        count = own.counts[kind]
        most = walks.MOST.get(name, count) if every else 1
        chosen = {1 + int(count * (i + (number + 0.5) / 8) / most) for i in range(most)}
        found = [own.fault(kind=kind, at=at, **fault) for at in sorted(chosen)]
        lasting = ", lasting" if fault.get("lasting") else ""
        tell(name, f"{kind} {fault['fault']}{lasting}", found)

    return tried


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("fault", disk.ERRORS)
@pytest.mark.parametrize("name", _WRITING)
def test_a_write_fails(name, fault, lasting, tried):
    number = 2 * list(disk.ERRORS).index(fault) + lasting
    tried(name, "write", number, fault=fault, lasting=lasting)


@pytest.mark.parametrize("fault", ["EACCES", "EIO"])
@pytest.mark.parametrize("name", walks.WALKS)
def test_a_read_fails(name, fault, tried):
    tried(name, "read", 3 if fault == "EACCES" else 4, fault=fault)


@pytest.mark.parametrize("name", [name for name in _WRITING if name not in walks.SLOW])
def test_nothing_is_written_past_the_faults(name, trial):
    own = trial(name)
    filled = {Path(name).name for name in own.new if own.after[name]}
    assert {name for name in filled if not any(name in part for part in own.seen)} == set()
