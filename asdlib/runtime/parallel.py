"""Clip by clip on all cores.

Every clip is computed by one thread, so that its bytes do not depend on how many threads there are
or on what is computed beside it. Notebook: 98_performance.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TypeVar

import threadpoolctl
import torch

from asdlib.runtime.hardware import keep_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let every matrix product in here run on the calling thread alone.

    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _libraries(len(sys.modules)).limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


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
    workers = workers or torch.get_num_threads()
    keep_memory()  # every clip needs the same blocks again
    with one_thread():
        if workers == 1:
            yield from map(function, items)
            return
        pending: deque[Future[Result]] = deque()
        with ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1)) as pool:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
