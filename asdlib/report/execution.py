"""Chapters executed by papermill, and the kernel that executes one after the other.

An executed chapter is used again as long as its text, the package, the parameters, the recordings
and all that it wrote are the same.

Starting a kernel and importing the package takes longer than most chapters: a report of the smoke
study takes 61 s of processor time for its chapters this way, and 121 s with a kernel for each.
Between chapters its names are forgotten and its cells are counted from 1 again.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync
from tqdm import tqdm

import asdlib
from asdlib.io import store
from asdlib.io.files import (
    content_digest,
    digest,
    project_root,
    replacing,
    temporary_folder,
)
from asdlib.params import AsdError, Params

LABEL = re.compile(r'"((?:fig|tab)-[\w-]+)"')
_LONGEST = 50  # characters of a folder; the whole name of a socket may have about 100
_NEUTRAL = {"MPLBACKEND": "agg", "PYTHONSTARTUP": "", "PYTHONWARNINGS": ""}  # not what a user set
_FORGET = "get_ipython().reset(new_session=True)"


class Kernel(AsyncKernelManager):
    """A process of this Python, without what its user has set for other sessions."""

    _client: Any = None

    def __init__(self, folder: Path) -> None:
        super().__init__(connection_file=f"{folder}/kernel.json", transport="ipc")
        own = {"IPYTHONDIR": f"{folder}/profile"}  # without a user's start-up files
        self._kernel_spec = KernelSpec(**get_kernel_dict(), env=_NEUTRAL | own)

    def client(self, **options: Any) -> Any:
        """Return a new client, in place of the one before."""
        self.leave()
        self._client = super().client(**options)
        return self._client

    def leave(self) -> None:
        """Close the channels of the last client."""
        if self._client is not None:
            self._client.stop_channels()

    def fresh(self) -> Kernel:
        """Start the process for its first chapter; forget every name before a later one."""
        if not self.has_kernel:
            run_sync(self.start_kernel)(cwd=project_root())
            return self
        client = self.client()
        client.start_channels()
        run_sync(client.wait_for_ready)(timeout=60)
        run_sync(client.execute_interactive)(_FORGET, store_history=False, timeout=60)
        return self

    def kill(self) -> None:
        """End the process at once, from any thread; what it executes fails."""
        if pid := getattr(self.provisioner, "pid", None):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def kernel() -> Iterator[Kernel]:
    """Give a thread a kernel, and stop it at the end.

    Examples
    --------
    >>> with kernel() as own:  # nothing was executed, so nothing is started
    ...     own.has_kernel
    False
    """
    long = len(tempfile.gettempdir()) > _LONGEST
    with temporary_folder("/tmp" if long else None) as folder:
        own = Kernel(folder)
        try:
            yield own
        finally:
            own.leave()
            if own.has_kernel:
                run_sync(own.shutdown_kernel)(now=True)
            if threading.current_thread() is not threading.main_thread():
                ensure_event_loop().close()


def execute(
    chapter: str, params: Params, folder: Path, key: str = "", executor: Kernel | None = None
) -> Path:
    """Execute one chapter with papermill, unless the very same is there already.

    Parameters
    ----------
    key : what the chapter depends on besides its text, the parameters and the package.
    executor : the kernel of other chapters; one of its own by default.
    """
    if executor is None:
        with kernel() as own:
            return execute(chapter, params, folder, key, own)
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    path = path_of(chapter)
    text = path.read_text(encoding="utf-8")
    values = params.model_dump(mode="json")
    key = digest([text, values, key, _package_digest()])
    done, record = folder / f"{chapter}.ipynb", folder / f"{chapter}.json"
    files = [done, *(Path(params.figures) / name for name in _names(text))]
    if store.load(record) == _state(key, files):
        return done
    logging.getLogger("papermill").addFilter(_not_of_parameters)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{chapter}.part.ipynb"
    try:
        executed = papermill.execute_notebook(
            jupytext.reads(text, "py:percent"),
            str(part).replace("{", "{{").replace("}", "}}"),  # papermill fills in braces
            parameters=values,
            progress_bar=False,
            km=executor.fresh(),
        )
    except PapermillExecutionError as error:
        raise AsdError(
            f"Chapter {chapter} failed in cell {error.exec_count}: {error.ename}: "
            f"{error.evalue} (the notebook up to there: {part})."
        ) from None
    except DeadKernelError:
        raise AsdError(
            f"Chapter {chapter}: its process was ended by the system or another program, "
            "perhaps for lack of memory; the same command resumes."
        ) from None
    if said := without_stderr(executed):
        tqdm.write(f"{chapter} said:\n{said}", file=sys.stderr)
    for cell in executed.cells:
        if cell.cell_type == "code":
            tags = {*cell.metadata.get("tags", [])}
            cell.metadata["tags"] = sorted(tags | {shown(tags)})
    with replacing(done) as beside:
        nbformat.write(executed, beside)
    part.unlink()
    store.save(_state(key, files), record)
    return done


def _state(key: str, files: list[Path]) -> dict[str, object]:
    """What a chapter was executed for, and the content of what it wrote."""
    found = {file.name: content_digest(file.read_bytes()) for file in files if file.exists()}
    return {"key": key, "files": found}


def _not_of_parameters(record: logging.LogRecord) -> bool:
    """Drop papermill's warning of keys that the cell does not name: the chapter checks them all."""
    return not record.getMessage().startswith("Passed unknown parameter")


def shown(tags: set[str]) -> str:
    """How much of a code cell the pages show."""
    if tags & {"parameters", "injected-parameters"}:
        return "remove-cell"  # they stand in the chapter on provenance
    return "remove-input" if "setup" in tags else "hide-input"  # the data set is the first line


def check_parameters(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Refuse a chapter without exactly one parameters cell, after which papermill injects."""
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise AsdError(f"{path}: {len(tagged)} cells are tagged 'parameters'; one is needed.")


def without_stderr(notebook: nbformat.NotebookNode) -> str:
    """Take out of a chapter what its environment says, and return that text.

    >>> cell = nbformat.v4.new_code_cell(outputs=[
    ...     nbformat.v4.new_output("stream", name="stderr", text="building the font cache")])
    >>> without_stderr(nbformat.v4.newnotebook(cells=[cell]))
    'building the font cache'
    >>> cell.outputs
    []
    """
    told = ""
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        told += "".join(o["text"] for o in outputs if o.get("name") == "stderr")
        outputs[:] = [o for o in outputs if o.get("name") != "stderr"]
    return told.strip()


def _names(text: str) -> set[str]:
    """Files that a chapter may write, by the labels in its text."""
    return {
        f"{label}.{'svg' if label.startswith('fig') else 'csv'}" for label in LABEL.findall(text)
    }


def path_of(chapter: str) -> Path:
    """Return the file of a chapter, or raise :class:`AsdError` outside the project."""
    path = project_root() / "notebooks" / f"{chapter}.py"
    if not path.exists():
        raise AsdError(f"{path}: no such chapter; run asd report inside the project's folder.")
    return path


def _package_digest() -> str:
    folder = Path(asdlib.__file__).parent
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".js"))
    return content_digest(b"".join(file.read_bytes() for file in files))
