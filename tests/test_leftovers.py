"""What killed processes leave is removed at the next start, and nothing else."""

import os
import subprocess
import sys

import pytest

from asdlib.io import leftovers

MADE = """
import os, sys
from pathlib import Path
from asdlib.io import leftovers
beside = leftovers.beside(Path(sys.argv[1], "scores.parquet"))
beside.write_text("half")
with leftovers.folder(sys.argv[1]) as own:
    (own / "clip.wav").write_text("half")
    print(flush=True)
    sys.stdin.read(1)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_goes_when_it_is_gone(tmp_path):
    deep = tmp_path / "units" / "fan"
    deep.mkdir(parents=True)
    (deep / ".asd-mine").write_text("by hand")
    (deep / "scores.parquet").write_text("whole")
    child = subprocess.Popen(
        [sys.executable, "-c", MADE, deep], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.stdout.readline()
    leftovers.sweep(tmp_path, depth=2)
    assert len(list(deep.iterdir())) == 4  # it is running
    child.communicate(b"x")
    leftovers.sweep(tmp_path, depth=1)
    assert len(list(deep.iterdir())) == 4  # too deep
    leftovers.sweep(tmp_path, depth=2)
    assert {path.name for path in deep.iterdir()} == {".asd-mine", "scores.parquet"}


def test_what_another_machine_or_another_user_makes_stays(tmp_path, monkeypatch):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = tmp_path / f".asd-{leftovers._machine()}-{gone.pid}-00000000.model"
    elsewhere = tmp_path / f".asd-00000000-{gone.pid}-00000000.model"
    root = tmp_path / f".asd-{leftovers._machine()}-1-00000000.model"
    for path in (here, elsewhere, root):
        path.write_text("half")
    monkeypatch.setattr(os, "kill", refused_for_1(os.kill))
    leftovers.sweep(tmp_path)
    assert not here.exists()
    assert elsewhere.exists() and root.exists()


def refused_for_1(kill):
    def refused(process, number):
        if process == 1:
            raise PermissionError
        kill(process, number)

    return refused


def test_links_are_removed_but_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    name = f"asd-{leftovers._machine()}-{gone.pid}-00000000"
    (tmp_path / "look").mkdir()
    (tmp_path / "look" / name).symlink_to(tmp_path / "mine")
    (tmp_path / "mine" / name).write_text("half")
    (tmp_path / "look" / "link").symlink_to(tmp_path / "mine")
    leftovers.sweep(tmp_path / "look", depth=3)
    assert [path.name for path in (tmp_path / "look").iterdir()] == ["link"]
    assert (tmp_path / "mine" / name).exists()


@pytest.mark.parametrize("name", ["a.csv", "x" * 255, "é" * 127])
def test_a_name_beside_is_never_too_long(tmp_path, name):
    beside = leftovers.beside(tmp_path / name)
    beside.write_text("")
    assert beside.parent == tmp_path
    assert beside.exists()
