"""One kernel for many chapters."""

import os

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
