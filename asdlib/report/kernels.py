"""A Jupyter kernel that executes one chapter after the other.

To start a kernel and to import the package takes longer than most chapters do. Between chapters its
names are forgotten and its cells are counted from 1 again, as in a kernel of a chapter's own.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync

from asdlib.io import files
from asdlib.io.files import project_root
from asdlib.params import AsdError

_LONGEST = 50  # characters of a folder; the whole name of a socket may have about 100
_OF_SHELLS = ("MPLBACKEND", "PYTHONSTARTUP", "PYTHONWARNINGS")  # what a user has set for their own
_FORGET = "get_ipython().reset(new_session=True)"


class Kernel:
    """One kernel, started by the first chapter that needs it; to be used by one thread.

    Examples
    --------
    >>> with Kernel() as kernel:  # nothing was executed, so nothing is started
    ...     kernel.started
    False
    """

    def __init__(self) -> None:
        self._manager: _Manager | None = None
        self._killed = False
        # by default the kernel's files lie in the working folder, where another report has the same
        long = len(tempfile.gettempdir()) > _LONGEST
        self._at_end = ExitStack()
        self._own = self._at_end.enter_context(files.temporary_folder("/tmp" if long else None))

    @property
    def started(self) -> bool:
        """Whether there is a process."""
        return self._manager is not None

    def fresh(self) -> AsyncKernelManager:
        """Return its manager; no name of an earlier chapter is known to the kernel.

        Raises
        ------
        AsdError
            If the kernel of an earlier chapter does not answer.
        """
        if self._manager is None:
            self._manager = _Manager(connection_file=f"{self._own}/kernel.json")
            self._manager._kernel_spec = KernelSpec(**get_kernel_dict())  # of this Python
            kept = {name: v for name, v in os.environ.items() if name not in _OF_SHELLS}
            kept["IPYTHONDIR"] = f"{self._own}/profile"  # a user's start-up files stay out
            run_sync(self._manager.start_kernel)(cwd=project_root(), env=kept)
            if self._killed:  # meanwhile
                self.kill()
            return self._manager
        client = self._manager.client()
        client.start_channels()
        run_sync(client.wait_for_ready)(timeout=60)
        reply = run_sync(client.execute_interactive)(_FORGET, store_history=False, timeout=60)
        if reply["content"]["status"] != "ok":
            raise AsdError(f"The kernel of the last chapter answers: {reply['content']}.")
        return self._manager

    def kill(self) -> None:
        """End the process at once, from any thread; what it executes fails."""
        self._killed, manager = True, self._manager
        if manager is not None and manager.process is not None:
            with suppress(ProcessLookupError):
                os.kill(manager.process, signal.SIGKILL)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the process; with it ends the event loop of a thread that is not the main one."""
        if self._manager is not None:
            self._manager.leave()
            run_sync(self._manager.shutdown_kernel)(now=True)
            if threading.current_thread() is not threading.main_thread():
                ensure_event_loop().close()
        self._at_end.close()


class _Manager(AsyncKernelManager):
    """Talks to the kernel through files of its own, not through open TCP ports."""

    transport = "ipc"
    _last: Any = None

    @property
    def process(self) -> int | None:
        """Its number, where there is one."""
        return getattr(self.provisioner, "pid", None)

    async def _async_interrupt_kernel(self) -> None:
        """Not before the end: the kernel would call it an error."""
        if not self.shutting_down:
            await super()._async_interrupt_kernel()

    def client(self, **options: Any) -> Any:
        """Return a new client, in place of the one before."""
        self.leave()
        self._last = super().client(**options)
        return self._last

    def leave(self) -> None:
        """Close the channels of the last client."""
        if self._last is not None:
            self._last.stop_channels()
