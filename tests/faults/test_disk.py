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


def points(config, count, number, of):
    """Accesses to try: all of them, or one that is this far on the way."""
    if config.getoption("--every-fault"):
        return range(1, count + 1)
    return [1 + (count - 1) * number // (of - 1)]


@pytest.mark.parametrize("fault", disk.ERRORS)
@pytest.mark.parametrize("name", _WRITING)
def test_a_write_fails(name, fault, trial, tell, pytestconfig):
    number = list(disk.ERRORS).index(fault)
    every = pytestconfig.getoption("--every-fault")
    if number >= walks.SLOW.get(name, len(disk.ERRORS)) and not every:
        return
    own = trial(name)
    for lasting in (False, True) if every else (number % 2 == 1,):
        chosen = points(pytestconfig, own.counts["write"], number + 1, 5)
        found = [own.fault(fault=fault, at=at, lasting=lasting) for at in chosen]
        tell(name, f"write {fault}{', lasting' if lasting else ''}", found)


@pytest.mark.parametrize("fault", ["EACCES", "EIO"])
@pytest.mark.parametrize("name", walks.WALKS)
def test_a_read_fails(name, fault, trial, tell, pytestconfig):
    number = 1 + (fault == "EIO")
    if name in walks.SLOW and not pytestconfig.getoption("--every-fault"):
        return
    own = trial(name)
    chosen = points(pytestconfig, own.counts["read"], number, 4)
    tell(name, f"read {fault}", [own.fault(kind="read", fault=fault, at=at) for at in chosen])


@pytest.mark.parametrize("name", [name for name in _WRITING if name != "picture"])
def test_nothing_is_written_past_the_faults(name, trial):
    own = trial(name)
    names = {Path(path).name for path in own.seen}  # a folder is renamed as a whole
    assert {name for name in own.new if Path(name).name not in names} == set()
