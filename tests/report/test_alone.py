"""One report at a time in a folder."""

import subprocess
import sys
import threading

import pytest

from asdlib.params import AsdError
from asdlib.report.alone import alone

HOLD = """
import sys
from pathlib import Path
from asdlib.report.alone import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_report_waits_for_the_first_and_says_so(tmp_path, capsys):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "held\n"
    entered = threading.Event()

    def second():
        with alone(tmp_path):
            entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not entered.wait(1.0)
    with alone(tmp_path / "elsewhere"):
        pass
    first.kill()  # its lock goes with it
    assert entered.wait(30.0)
    thread.join()
    first.communicate()
    told = f"{tmp_path}: another report is being built there; this one goes on after it.\n"
    assert capsys.readouterr().err == told


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AsdError, match="file: cannot be written"), alone(tmp_path / "file"):
        pass
