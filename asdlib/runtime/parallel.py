"""Clip by clip in threads, or machine by machine in processes, on all cores.

Each is computed by one thread, so that its bytes do not depend on how many threads there are or on
what is computed beside it. Notebook: 99_provenance.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, TypeVar

import threadpoolctl

from asdlib.runtime import process
from asdlib.runtime.errors import AsdError

Item = TypeVar("Item")
Result = TypeVar("Result")
Tell = Callable[..., None]
CAN_FORK = sys.platform == "linux"
"""Whether :func:`in_processes` works here: elsewhere a library may not survive a fork."""

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_MALLOPT = {-1: 2**30, -3: 24 * 2**20}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD: bytes
_cores = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
_LOOK = 0.2  # seconds between two looks at what the processes tell
_parent: Any = None  # of a process of a pool: queue and event


@contextmanager
def one_thread() -> Iterator[None]:
    """Let every matrix product in here run on the calling thread alone.

    >>> import torch
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    before = threads()
    _use(1)
    try:
        with _libraries(len(sys.modules)).limit(limits=1, user_api="blas"):
            yield
    finally:
        _use(before)


def threads() -> int:
    """Threads that a computation may have: torch's number, or what it would be.

    torch is not imported for it: that takes seconds, and detectors without training need none.

    >>> threads() > 0
    True
    """
    if torch := sys.modules.get("torch"):
        return torch.get_num_threads()
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(wanted) if wanted.strip() else len(_cores(0))


def _use(count: int) -> None:
    """Give torch so many threads, where it is there."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)


@lru_cache(maxsize=1)
def _libraries(modules: int) -> threadpoolctl.ThreadpoolController:
    """Libraries that have threads of their own; looked for again after an import brought more."""
    return threadpoolctl.ThreadpoolController()


def clip_by_clip(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Iterator[Result]:
    """Apply a function to every item, as many at a time as there are threads, in order.

    About twice as many results as threads wait in memory. Between results, the caller's own
    computations run on one thread too.

    Parameters
    ----------
    workers : threads; torch's number by default.

    Examples
    --------
    >>> list(clip_by_clip(str.upper, ["a", "b", "c"], workers=2))
    ['A', 'B', 'C']
    """
    workers = workers or threads()
    keep_memory()  # every clip needs the same blocks again
    with one_thread():
        if workers == 1:
            yield from map(function, items)
            return
        pending: deque[Future[Result]] = deque()
        with ThreadPoolExecutor(workers, initializer=partial(_use, 1)) as pool:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()


def in_processes(
    function: Callable[[Item, Tell], None], items: Iterable[Item], tell: Tell, workers: int
) -> None:
    """Call a function with every item, in processes of one thread each, copies of this one.

    For small work in many calls, which keeps threads of one process waiting for each other.

    Parameters
    ----------
    function : is given an item, and what it can call to tell how far it is. Results are what it
        writes.
    tell : is called here with what a process tells.
    workers : processes.

    Raises
    ------
    AsdError
        If a process was ended from outside.
    """
    context = multiprocessing.get_context("fork")
    told, stop = context.SimpleQueue(), context.Event()
    with ProcessPoolExecutor(workers, context, _begin, (told, stop)) as pool:
        try:
            waiting = {pool.submit(_apply, function, item) for item in items}
            while waiting:
                done, waiting = wait(waiting, timeout=_LOOK)
                while not told.empty():
                    tell(*told.get())
                for job in done:
                    for stage, took in job.result().items():
                        process.seconds[stage] += took
        except BrokenProcessPool:
            why = "by the system or another program, perhaps for lack of memory"
            raise AsdError(f"A process was ended {why}; the same command resumes.") from None
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _begin(told: Any, stop: Any) -> None:
    global _parent
    _parent = told, stop
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody would stop it later
    _use(1)


def _apply(function: Callable[[Item, Tell], None], item: Item) -> dict[str, float]:
    """Run a job of :func:`in_processes`, and return the time of its stages."""
    told, stop = _parent

    def tell(*what: Any) -> None:
        if stop.is_set():
            raise CancelledError
        told.put(what)

    process.seconds.clear()
    with one_thread():
        function(item, tell)
    return dict(process.seconds)


def keep_memory() -> None:
    """Return freed memory to the system once, then stop the allocator from doing so every step.

    Every step of a training and every clip of a walk allocates the same blocks again. Returning
    them to the system and faulting them in anew costs a quarter of a step, and more than half of a
    clip, with glibc's own thresholds. Larger blocks, such as moments of ten seeds, would lie there
    in pieces, and are returned. Other C libraries are left alone.

    >>> keep_memory()
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        for option, value in _MALLOPT.items():
            libc.mallopt(option, value)
