"""A Jupyter kernel that executes one chapter after the other.

Starting a kernel and importing the package takes longer than most chapters: a report of the smoke
study takes 61 s of processor time for its chapters this way, and 121 s with a kernel for each.
Between chapters its names are forgotten and its cells are counted from 1 again.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync

from asdlib.io.files import project_root, temporary_folder

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
