"""One kernel for many chapters."""

import json
import os
import sys
import tempfile

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from asdlib.report.kernels import Kernel


def executed(kernel, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    return NotebookClient(notebook, km=kernel.fresh()).execute().cells


def test_the_next_chapter_knows_no_name_of_the_last_one():
    with Kernel() as kernel:
        first = executed(kernel, "known = 1", "import os\nprint(os.getpid())")
        second = executed(kernel, "import os\nprint(os.getpid())")
        assert second[0].outputs == first[1].outputs  # the same process
        assert second[0].execution_count == 1
        with pytest.raises(CellExecutionError, match="name 'known' is not defined"):
            executed(kernel, "known")
        assert executed(kernel, "1 + 1")[0].outputs[0]["data"]["text/plain"] == "2"
    with pytest.raises(ProcessLookupError):
        os.kill(int(first[1].outputs[0]["text"]), 0)


def test_a_foreign_kernel_and_a_long_temporary_folder_are_not_used(tmp_path, monkeypatch):
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with Kernel() as kernel:
        (cell,) = executed(kernel, "import sys\nprint(sys.executable)")
    assert cell.outputs[0]["text"].strip() == sys.executable
