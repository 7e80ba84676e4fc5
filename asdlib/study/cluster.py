"""Autoencoders of a study on a Dask cluster whose workers share this machine's files.

Before any work every worker is asked for its versions and whether it sees the same files. If a
worker dies, another one repeats its job.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asdlib.io import store
from asdlib.io.files import content_digest, read_bytes, resolve, write_text
from asdlib.runtime.errors import AsdError, plural
from asdlib.study import scores
from asdlib.study.stages import Task, Tick, branch_of

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
"""In place of an address: a cluster on this machine, with one process per two cores."""

_SECONDS = 20  # to wait for a scheduler, or for a worker
_LOOK = 2.0  # s between two looks at the workers
_LOST = "What was computed stays, and the same command resumes."


def compute(where: str, tasks: Sequence[Task], tick: Tick) -> None:
    """Compute tasks on a cluster; those that share a machine's frames are one job.

    Parameters
    ----------
    where : address of a scheduler (``tcp://host:8786``), the path of its scheduler file, or
        :data:`LOCAL`.
    tick : called after every job, with the number of steps done.

    Raises
    ------
    AsdError
        For an address or a cluster that cannot be used, or one that goes away.
    """
    own = list(map(_absolute, tasks))  # workers may run in another folder
    jobs = scores.grouped(own, lambda task: (task.machine, branch_of(task)))
    with _client(where) as client:
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker

        try:
            client.wait_for_workers(1, timeout=_SECONDS)
        except TimeoutError:
            raise AsdError(
                f"The Dask scheduler at {where} has no worker after {_SECONDS} s; start one "
                f"(dask worker {where}) and run the same command again."
            ) from None
        _check_workers(client, own[0])
        try:
            _run(client, where, list(jobs.values()), tick)
        except KilledWorker as error:
            failed = f"The workers of {where} failed repeatedly on one job ({error.task})"
            raise AsdError(f"{failed}, perhaps for lack of memory. {_LOST}") from None
        except (CancelledError, OSError) as error:
            if isinstance(error, AsdError) or client.status == "running":
                raise  # of a job
            raise AsdError(f"The Dask scheduler at {where} went away. {_LOST}") from None


def _absolute(task: Task) -> Task:
    results = str(resolve(task.params.results).absolute())
    params = task.params.model_copy(update={"results": results, "cluster": None})
    paths = [str(Path(path).absolute()) for path in task.clips["path"]]
    return task._replace(params=params, clips=task.clips.assign(path=paths))


@contextmanager
def _client(where: str) -> Iterator[Client]:
    """A connection to the scheduler; of a cluster on this machine, the cluster too.

    What a site or a user has set for Dask is for other clusters than that of this machine.
    """
    if where == LOCAL:
        for name in [name for name in os.environ if name.startswith("DASK_")]:
            del os.environ[name]
    try:
        import dask.config
        from distributed import Client, LocalCluster
    except ImportError:
        needed = "cluster is set, but Dask is not installed: pip install 'asdlib[cluster]'."
        raise AsdError(needed) from None
    except ValueError as error:
        said = " ".join(str(error).split())
        raise AsdError(f"Dask's settings cannot be read ({said}); repair that file.") from None
    place: dict[str, Any] = {"scheduler_file" if Path(where).is_file() else "address": where}
    with ExitStack() as stack:
        if where == LOCAL:
            dask.config.refresh(paths=[], env={})
            cores = len(os.sched_getaffinity(0))
            workers = max(1, cores // 2)
            own = {"threads_per_worker": 1, "env": {"OMP_NUM_THREADS": str(cores // workers)}}
            local = LocalCluster(n_workers=workers, dashboard_address=None, **own)
            place = {"address": stack.enter_context(local)}
        try:
            client = Client(**place, timeout=_SECONDS)
        except (OSError, ValueError) as error:
            raise AsdError(
                f"cluster is {where!r}, and no Dask scheduler answers there ({error}); "
                f"tcp://host:8786, the path of a scheduler file, or {LOCAL} is needed."
            ) from None
        yield stack.enter_context(client)


def _seen(files: Sequence[str]) -> dict[str, str]:
    """Versions that a process runs, and what it finds in some files."""
    return {
        "Python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "the code of asdlib": store.code("study.scores"),
        **{file: content_digest(read_bytes(Path(file))) for file in files},
    }


def _check_workers(client: Client, task: Task) -> None:
    """Refuse workers that would compute something else, or somewhere else."""
    token = Path(task.params.results) / f".asd-{secrets.token_hex(8)}"
    files = [str(token), task.clips["path"].iloc[0]]
    try:
        write_text(token.name, token)
        here, there = _seen(files), client.run(_seen, files, on_error="return")
    finally:
        store.remove(token)
    for worker, seen in there.items():
        if problem := _problem(seen, here):
            need = "every worker needs the same versions and the same folders"
            told = f"The Dask worker {worker} cannot compute this study: {problem}; {need}."
            raise AsdError(told)


def _problem(seen: Any, here: Mapping[str, str]) -> str:
    """Why a worker cannot be used; empty where it can."""
    if isinstance(seen, Exception):
        kind = "" if isinstance(seen, AsdError) else f"{type(seen).__name__}: "
        return f"{kind}{seen}".rstrip(".")
    differ = [name for name in here if seen[name] != here[name]]
    return "; ".join(f"{name} is {seen[name]} there, {here[name]} here" for name in differ)


def _run(client: Client, where: str, jobs: Sequence[list[Task]], tick: Tick) -> None:
    """Submit all jobs and wait for them as long as there are workers."""
    from distributed import wait

    waiting = {client.submit(scores.compute, job, pure=False): job for job in jobs}
    seen = time.monotonic()
    while waiting:
        with suppress(TimeoutError):
            for future in wait(list(waiting), timeout=_LOOK, return_when="FIRST_COMPLETED").done:
                future.result()
                for task in waiting.pop(future):
                    tick(f"{task.machine} {task.name}", 1 + task.params.training.epochs)
        if client.ncores():
            seen = time.monotonic()
        elif time.monotonic() - seen > _SECONDS:
            left = f"{plural(len(waiting), 'job')} left. {_LOST}"
            raise AsdError(f"The Dask scheduler at {where} has lost its workers; {left}")
