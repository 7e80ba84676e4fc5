"""Chapters executed by papermill, and the kernel that executes one after the other.

An executed chapter is used again as long as its text, what it depends on and all that it wrote are
the same.

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
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
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

from asdlib import study
from asdlib.io import files, store
from asdlib.io.files import content_digest, digest, project_root, replacing, temporary_folder
from asdlib.params import AsdError, Params
from asdlib.runtime.process import clock

CHAPTERS = (
    "index",
    "01_far_microphone",
    "02_seed_study",
    "03_without_training",
    "04_phase",
    "05_variants",
    "06_decisions",
    "07_own_machine",
    "97_checks",
    "98_official_baseline",
    "99_provenance",
)
AT_A_TIME = 2
"""Chapters that run beside one another: each kernel holds the study's table in memory."""
_LONG = ("04_phase", "01_far_microphone")  # begun first, so that no one waits for them at the end
_LAST = ("index", "99_provenance")  # they tell how long the others took

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


def execute_all(params: Params, folder: Path, key: str, place: Path, bar: tqdm) -> None:
    """Execute the chapters, some beside one another; after an error no other one is begun."""
    others = [name for name in CHAPTERS if name not in (*_LONG, *_LAST)]
    rounds = [iter([*_LONG, *others]), iter(_LAST)]
    kernels: list[Kernel] = []
    # times are remembered before the last chapters read them
    between = threading.Barrier(AT_A_TIME, lambda: study.remember(place))

    def work() -> None:
        with kernel() as own, suppress(threading.BrokenBarrierError):  # the other worker says why
            kernels.append(own)
            for number, waiting in enumerate(rounds):
                if number:
                    between.wait()
                for chapter in waiting:
                    execute(chapter, params, folder, key, own)
                    bar.update()

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        workers = [pool.submit(work) for _ in range(AT_A_TIME)]
        try:
            for worker in as_completed(workers):
                worker.result()
        except BaseException as error:
            for waiting in rounds:
                list(waiting)
            between.abort()
            while isinstance(error, KeyboardInterrupt) and wait(workers, timeout=0.1).not_done:
                for started in kernels:
                    started.kill()
            raise


def execute(chapter: str, params: Params, folder: Path, key: str, executor: Kernel) -> Path:
    """Execute one chapter with papermill, unless the very same is there already.

    Parameters
    ----------
    key : what the chapter depends on besides its text and the parameters.
    executor : the kernel of other chapters.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    done, record = folder / f"{chapter}.ipynb", folder / f"{chapter}.json"
    last, now = store.load(record) or {}, _state(chapter, params, folder, key)
    if last == now:
        return done
    for file, content in last["files"].items() if last.get("key") == now["key"] else ():
        if now["files"].get(file, content) != content:
            tqdm.write(f"{file}: damaged; {chapter} is executed again.", file=sys.stderr)
    # its warning of keys that the cell does not name: the chapter checks them all
    logging.getLogger("papermill").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{chapter}.part.ipynb"
    try:
        with clock(f"chapter {chapter}"):
            executed = papermill.execute_notebook(
                jupytext.reads(read(chapter), "py:percent"),
                str(part).replace("{", "{{").replace("}", "}}"),  # papermill fills in braces
                parameters=params.model_dump(mode="json"),
                progress_bar=False,
                km=executor.fresh(),
            )
    except PapermillExecutionError as error:
        what = f"{error.ename}: {error.evalue} (the notebook up to there: {part})"
        raise AsdError(f"Chapter {chapter} failed in cell {error.exec_count}: {what}.") from None
    except DeadKernelError:
        why = "its process was ended by the system or another program, perhaps for lack of memory"
        raise AsdError(f"Chapter {chapter}: {why}; the same command resumes.") from None
    if said := tidied(executed):
        tqdm.write(f"{chapter} said:\n{said}", file=sys.stderr)
    with replacing(done) as beside:
        nbformat.write(executed, beside)
    part.unlink()
    store.save(_state(chapter, params, folder, key), record)
    return done


def is_done(chapter: str, params: Params, folder: Path, key: str) -> bool:
    """Whether :func:`execute` would leave a chapter as it is."""
    record = store.load(folder / f"{chapter}.json")
    return bool(record == _state(chapter, params, folder, key))


def _state(chapter: str, params: Params, folder: Path, key: str) -> dict[str, Any]:
    """What a chapter is executed for, and the content of what it wrote."""
    text = read(chapter)
    labels = sorted(set(LABEL.findall(text)))
    names = [f"{own}.{'svg' if own.startswith('fig') else 'csv'}" for own in labels]
    written = [folder / f"{chapter}.ipynb", *(Path(params.figures) / name for name in names)]
    found = {str(file): content_digest(file.read_bytes()) for file in written if file.exists()}
    return {"key": digest([text, params.model_dump(mode="json"), key]), "files": found}


def read(chapter: str) -> str:
    """Return the text of a chapter.

    Raises
    ------
    AsdError
        Where it is missing, and without exactly one cell of parameters, after which papermill
        injects.
    """
    path = files.shipped("notebooks", f"{chapter}.py")
    if not path.exists():
        raise AsdError(f"{path}: no such chapter; install asdlib again, not editable.")
    text = path.read_text(encoding="utf-8")
    cells = jupytext.reads(text, "py:percent").cells
    tagged = sum("parameters" in cell.metadata.get("tags", []) for cell in cells)
    if tagged != 1:
        raise AsdError(f"{path}: {tagged} cells are tagged 'parameters'; one is needed.")
    return text


def tidied(notebook: nbformat.NotebookNode) -> str:
    """Mark code that pages hide, take out what the environment says, and return that text.

    >>> cell = nbformat.v4.new_code_cell(outputs=[
    ...     nbformat.v4.new_output("stream", name="stderr", text="building the font cache")])
    >>> tidied(nbformat.v4.new_notebook(cells=[cell]))
    'building the font cache'
    >>> cell.outputs, cell.metadata["tags"]
    ([], ['hide-input'])
    """
    told = ""
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        tags = cell.metadata.setdefault("tags", [])
        if "parameters" in tags or "injected-parameters" in tags:
            tags.append("remove-cell")  # they stand in the chapter on provenance
        else:  # of the setup the output is shown: the data set is the first line
            tags.append("remove-input" if "setup" in tags else "hide-input")
        told += "".join(o["text"] for o in cell.outputs if o.get("name") == "stderr")
        cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    return told.strip()
