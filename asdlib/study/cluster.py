"""Units of a study on a Dask cluster whose workers share this machine's files.

Before any work every worker is asked for its versions and whether it sees the same files. What a
worker that dies had begun is begun again elsewhere.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from asdlib.io import files
from asdlib.io.files import content_digest, resolve
from asdlib.io.keys import code_digest
from asdlib.params import AsdError
from asdlib.runtime.errors import plural
from asdlib.study.unit import Unit

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
"""In place of an address: a cluster on this machine, with one process per two cores."""

_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://\S+:\d+|inproc://\S+")
_SECONDS = 20  # to wait for a scheduler, or for a worker
_LOOK = 2.0  # s between two looks at the workers
_TOPIC = "asd-steps"
_LOST = "What was computed stays, and the same command resumes."


def compute(where: str, tasks: Sequence[Unit], tick: Callable[[int], Any]) -> None:
    """Compute units on a cluster.

    Parameters
    ----------
    where : address of a scheduler (``tcp://host:8786``), the path of its scheduler file, or
        :data:`LOCAL`.
    tick : called with the number of steps done so far, of all units together.

    Raises
    ------
    AsdError
        For an address or a cluster that cannot be used, or one that goes away.

    Examples
    --------
    >>> compute("localhost", [], print)
    Traceback (most recent call last):
    asdlib.runtime.errors.AsdError: cluster is 'localhost'; tcp://host:8786 of a Dask scheduler, ...
    """
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
        absolute = [_absolute(unit) for unit in tasks]
        _check_workers(client, absolute)
        try:
            _run(client, where, absolute, tick)
        except KilledWorker as error:
            raise AsdError(
                f"Workers of {where} died again and again over one unit ({error.task}), perhaps "
                f"for lack of memory. {_LOST}"
            ) from None
        except (CancelledError, OSError) as error:
            if isinstance(error, OSError) and (error.filename or client.status == "running"):
                raise  # of a unit
            raise AsdError(f"The Dask scheduler at {where} went away. {_LOST}") from None
    if missing := [unit for unit in absolute if not unit.done]:
        raise AsdError(
            f"{missing[0].scores_file}: not there after the workers of {where} were done; they "
            "need this version of asdlib and this folder of results."
        )


@contextmanager
def _client(where: str) -> Iterator[Client]:
    """A connection to the scheduler; of a cluster on this machine, the cluster too."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise AsdError(
            "cluster is set, but Dask is not installed: pip install asdlib[cluster]."
        ) from None
    if where == LOCAL:
        cores = len(os.sched_getaffinity(0))
        workers = max(1, cores // 2)
        threads = {"OMP_NUM_THREADS": str(cores // workers)}
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, env=threads
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    is_file = not _ADDRESS.fullmatch(where)
    if is_file and not Path(where).is_file():
        raise AsdError(
            f"cluster is {where!r}; tcp://host:8786 of a Dask scheduler, the path of its scheduler "
            f"file, or {LOCAL} is needed."
        )
    try:
        options = {"scheduler_file": where} if is_file else {"address": where}
        client = Client(**options, timeout=_SECONDS)
    except (OSError, ValueError) as error:
        raise AsdError(f"No Dask scheduler answers at {where} ({error}).") from None
    with client:
        yield client


def _absolute(unit: Unit) -> Unit:
    """The same unit for a process that works in another folder."""
    results = str(resolve(unit.params.results).absolute())
    paths = [str(Path(path).absolute()) for path in unit.clips["path"]]
    return replace(
        unit,
        params=unit.params.model_copy(update={"results": results, "cluster": None}),
        clips=unit.clips.assign(path=paths),
    )


def versions() -> dict[str, str]:
    """Return what has to be equal on all machines.

    >>> sorted(versions())
    ['asdlib', 'python', 'torch']
    """
    own = code_digest("study.unit.Unit.compute", "study.unit.Unit.train_models")
    return {"python": platform.python_version(), "torch": torch.__version__, "asdlib": own}


def _seen(folder: str, token: str, clip: str, content: str) -> dict[str, Any]:
    """What a worker sees; runs there."""
    answer = Path(folder, f"{token}-{secrets.token_hex(4)}")
    try:
        asked = Path(folder, token).read_text(encoding="utf-8")
        if content_digest(Path(clip).read_bytes()) != content:
            return {"problem": f"{clip} holds something else there"}
        answer.write_text(token, encoding="utf-8")
    except OSError as error:
        return {"problem": f"{error.filename}: {error.strerror}"}
    return {"asked": asked, "answer": answer.name, "versions": versions()}


def _check_workers(client: Client, tasks: Sequence[Unit]) -> None:
    """Refuse workers that would compute something else, or somewhere else."""
    found = client.run(importlib.util.find_spec, "asdlib", on_error="return")
    if lacking := [name for name, spec in found.items() if not isinstance(spec, ModuleSpec)]:
        raise AsdError(
            f"The Dask {_workers(lacking)} {'has' if len(lacking) == 1 else 'have'} no asdlib; "
            "start them in an environment that has it, and run the same command again."
        )
    first = tasks[0]
    results, clip = Path(first.params.results), first.clips.iloc[0]
    results.mkdir(parents=True, exist_ok=True)
    asked = files.part_of(results / "seen")
    asked.write_text(asked.name, encoding="utf-8")
    try:
        seen = client.run(
            _seen, str(results), asked.name, clip["path"], clip["hash"], on_error="return"
        )
        answered = {name for name, own in seen.items() if _is_answer(results, asked.name, own)}
    finally:
        for path in [asked, *results.glob(f"{asked.name}-*")]:
            with suppress(OSError):
                path.unlink()
    for name, own in seen.items():
        if problem := _problem(own, name in answered, results):
            raise AsdError(f"The Dask {_workers([name])} cannot compute this study: {problem}.")


def _is_answer(results: Path, token: str, seen: Any) -> bool:
    """Whether what a worker wrote arrived here."""
    if not isinstance(seen, dict) or seen.get("asked") != token:
        return False
    return (results / seen["answer"]).exists()


def _problem(seen: Any, answered: bool, results: Path) -> str:
    """Why a worker cannot be used; empty where it can."""
    if not isinstance(seen, Mapping):
        return f"{type(seen).__name__}: {seen}"
    if "problem" in seen:
        return f"it does not see the same files ({seen['problem']})"
    if not answered:
        return f"what it writes to {results} does not arrive here"
    here = versions()
    differ = [
        f"{name} {seen['versions'][name]} there, {here[name]} here"
        for name in here
        if seen["versions"][name] != here[name]
    ]
    return f"it has other versions ({'; '.join(differ)})" if differ else ""


def _workers(names: Sequence[str]) -> str:
    return f"worker{'s' * (len(names) > 1)} {', '.join(names)}"


def _run(client: Client, where: str, tasks: Sequence[Unit], tick: Callable[[int], Any]) -> None:
    """Submit all units and wait for them as long as there are workers."""
    from distributed import wait

    steps = [0] * len(tasks)

    def told(event: tuple[float, tuple[int, int]]) -> None:
        number, step = event[1]
        steps[number] = max(steps[number], step)  # of a unit that is begun again
        tick(sum(steps))

    client.subscribe_topic(_TOPIC, told)
    waiting = {client.submit(_compute, n, unit, pure=False) for n, unit in enumerate(tasks)}
    seen = time.monotonic()
    try:
        while waiting:
            with suppress(TimeoutError):
                for future in wait(waiting, timeout=_LOOK, return_when="FIRST_COMPLETED").done:
                    waiting.discard(future)
                    future.result()
            if client.ncores():
                seen = time.monotonic()
            elif time.monotonic() - seen > _SECONDS:
                raise AsdError(
                    f"The Dask scheduler at {where} has lost its workers; "
                    f"{plural(len(waiting), 'unit')} left. {_LOST}"
                )
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.unsubscribe_topic(_TOPIC)


def _compute(number: int, unit: Unit) -> None:
    """Compute a unit and tell every step; runs on a worker."""
    from distributed import get_worker

    done = 0

    def tick(_: str) -> None:
        nonlocal done
        done += 1
        get_worker().log_event(_TOPIC, (number, done))

    unit.compute(tick)
