"""Chapters that are executed, one after the other, by one kernel."""

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from tqdm import tqdm

from asdlib.params import AsdError, Params
from asdlib.report import execution
from asdlib.report.execution import kernel

WHO = """import os, sys, matplotlib.pyplot
print(os.getpid(), sys.executable, 'mine' in globals(), sep='\\n')
"""


def executed(own, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    return NotebookClient(notebook, km=own.fresh()).execute().cells


def test_a_kernel_knows_no_other_chapter_and_no_users_settings(tmp_path, monkeypatch):
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    startup = tmp_path / "profile_default" / "startup" / "mine.py"
    deep = tmp_path / ("x" * 90)  # too long for the name of a socket
    for folder in (spec.parent, startup.parent, deep):
        folder.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    startup.write_text("mine = 1")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup))
    monkeypatch.setenv("MPLBACKEND", "module://nobodys")
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with kernel() as own:
        first = executed(own, "known = 1", WHO)
        second = executed(own, WHO)
        assert second[0].outputs == first[1].outputs  # the same process
        assert second[0].execution_count == 1
        with pytest.raises(CellExecutionError, match="name 'known' is not defined"):
            executed(own, "known")
    number, *others = first[1].outputs[0]["text"].splitlines()
    assert others == [sys.executable, "False"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)


def test_a_killed_kernel_ends_what_it_executes(tmp_path):
    begun, kernels = tmp_path / "begun", []

    def chapter():
        with kernel() as own:
            kernels.append(own)
            executed(own, f"open({str(begun)!r}, 'w').close()\nimport time\ntime.sleep(600)")

    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(chapter)
        while not begun.exists():
            time.sleep(0.05)
        kernels[0].kill()
        assert isinstance(failing.exception(60), DeadKernelError)


def test_the_error_between_the_rounds_is_what_is_told(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(execution, "execute", lambda name, *_: begun.append(name))

    def full(place):
        raise AsdError(f"{place}: cannot be written (No space left on device).")

    monkeypatch.setattr(execution.study, "remember", full)
    with pytest.raises(AsdError, match="No space left"):
        execution.execute_all(Params(), tmp_path, "key", tmp_path, tqdm(disable=True))
    assert not {*begun} & {*execution._LAST}
