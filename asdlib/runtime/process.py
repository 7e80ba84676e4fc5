"""What a process is started with: variables, signals and standard streams; how it shows progress.

A batch job, a container or a service has no home to write to, no terminal, odd variables. Libraries
read the variables when they are loaded, so the package sets them first of all.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asdlib.runtime.errors import AsdError, plural, printable

_THREADS = re.compile(r" *[1-9][0-9]*( *, *[1-9][0-9]*)* *")
_FOLDERS = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache"}
"""Variables that name folders that matplotlib writes to; without them, the folders at home."""

_SPARE, _LIBRARIES = 16, 3  # threads of their own; libraries that start one per core
_EPOCHS = 315_532_800, 4_102_444_800  # s since 1970: of 1980 and 2100
_PROBE = 2**16  # bytes that a folder for caches must have room for

LINE_SECONDS = 30.0
"""Between two lines of progress in a log file."""

_LINE = "{desc}: {percentage:.0f} %, {remaining} left"

seconds: defaultdict[str, float] = defaultdict(float)
"""Time that this process has spent in each stage, see :func:`clock`."""


def prepare() -> None:
    """Set the variables that libraries read, where theirs would stop a command or slow it down.

    >>> prepare()
    """
    if not _THREADS.fullmatch(os.environ.get("OMP_NUM_THREADS", "1")):
        del os.environ["OMP_NUM_THREADS"]  # "" or "auto": as if it were not set
    # By default torch's threads wait for one another at full speed; on a machine that others use as
    # well, one thread then waits for a core and the rest burn theirs: 60 times slower, measured on
    # two cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Rounds of waiting at full speed all the same, for the next operation is near. Beside two busy
    # processes on two cores a training takes 3 times its idle time; with 10,000 rounds 4 to 8.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Sphinx and matplotlib take it for the date of pages and figures, and a zip file begins in 1980
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not (epoch.isdecimal() and _EPOCHS[0] <= int(epoch) <= _EPOCHS[1]):
        os.environ.pop("SOURCE_DATE_EPOCH", None)
    home = Path(os.path.expanduser("~"))  # stays "~" where there is none
    used = [Path(os.environ.get(name) or home / below) for name, below in _FOLDERS.items()]
    if "MPLCONFIGDIR" in os.environ:
        used = [Path(os.environ["MPLCONFIGDIR"])]
    if not all(map(_writable, used)) and (own := _own_folder()):
        os.environ["MPLCONFIGDIR"] = str(own)


def _writable(path: Path) -> bool:
    """Whether a folder can be written, or made where there is none, and the disk is not full."""
    if not path.is_absolute():
        return path.parts[:1] != ("~",)
    while not os.path.lexists(path):
        path = path.parent
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            return file.write(bytes(_PROBE)) == _PROBE
    except OSError:
        return False


def _own_folder() -> Path | None:
    """A folder for caches of this user alone; what others put there would be executed."""
    with suppress(OSError):  # the command tells it, where it needs such a folder
        path = Path(tempfile.gettempdir(), f"asd-caches-{os.getuid()}")
        path.mkdir(mode=0o700, exist_ok=True)
        if path.lstat().st_uid == os.getuid() and not path.is_symlink():  # nobody else's
            return path
        return Path(tempfile.mkdtemp(prefix="asd-caches-"))
    return None


def run_aside(command: str, line: str) -> None:
    """Run a command of the shell with a line on its standard input, without waiting for it.

    That it fails is said on standard error.

    >>> run_aside("cat > /dev/null", "a line")
    """
    child = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, text=True)
    with suppress(BrokenPipeError), child.stdin or nullcontext() as pipe:
        print(line, file=pipe)  # shorter than a pipe holds; the command need not read it

    def wait() -> None:
        if code := child.wait():
            say(f"{command}: ended with {code}.")

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def stoppable(*, patient: bool = False) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt with the signal's number, whatever error the first signal causes.

    Parameters
    ----------
    patient : raise nothing; what is yielded holds the numbers of the signals that have come. The
        end of a terminal (SIGHUP), which is also a request to open logs anew, is no request to end.

    Examples
    --------
    >>> with stoppable(patient=True) as stopped:
    ...     signal.raise_signal(signal.SIGTERM)
    >>> stopped
    [15]
    """
    stopped: list[int] = []

    def stop(number: int, _: Any) -> None:
        if number == signal.SIGHUP:
            return
        stopped.append(number)
        if len(stopped) == 1 and not patient:  # a second one must not break the end
            raise KeyboardInterrupt

    able = threading.current_thread() is threading.main_thread()
    asked = [signal.SIGINT, signal.SIGTERM] + [signal.SIGHUP] * patient if able else []
    numbers = [number for number in asked if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield stopped
    except BaseException:
        if stopped and not patient:
            raise KeyboardInterrupt(stopped[0]) from None
        raise
    finally:
        if patient or not stopped:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def open_streams() -> None:
    """Give a process that was started without standard streams some that lead nowhere.

    A letter that a terminal does not know is escaped. Warnings are shown as Python does, whatever
    a user has set for programs of the user's: as errors, they would end long work.

    >>> open_streams()
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # else a data file gets its number
        pass
    os.close(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not know every letter
            stream.reconfigure(errors="backslashreplace")
    if os.environ.pop("PYTHONWARNINGS", ""):
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)


def check_threads() -> None:
    """Let libraries start only as many threads as the system allows, before they are loaded.

    Some of them hang, or interrupt the process, where they can start none.

    Raises
    ------
    AsdError
        Where even few are too many.

    Examples
    --------
    >>> check_threads()
    """
    started, end = list[threading.Thread](), threading.Event()
    try:
        for _ in range(_SPARE + _LIBRARIES * (os.cpu_count() or 1)):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        able = len(started)
        if able < _SPARE:
            how = "allow more (--pids-limit of a container, TasksMax of a service, ulimit -u)"
            told = f"Only {able} threads can be started here, and {_SPARE} are needed; {how}."
            raise AsdError(told) from None
        os.environ["OMP_NUM_THREADS"] = str(max(1, (able - _SPARE) // _LIBRARIES))
    finally:
        end.set()
        for thread in started:
            thread.join()


def say(text: str) -> None:
    """Write a sentence to standard error at once.

    >>> say("")
    """
    print(printable(text), file=sys.stderr, flush=True)


def output_error() -> OSError | None:
    """Return what keeps standard output from being written; what waits for it is dropped then.

    >>> output_error() is None
    True
    """
    try:
        print(end="", flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        error.filename = "standard output"
        return error
    return None


@contextmanager
def clock(stage: str) -> Iterator[None]:
    """Add the time of a block to :data:`seconds`.

    Examples
    --------
    >>> with clock("nothing"):
    ...     pass
    >>> 0 < seconds.pop("nothing") < 1
    True
    """
    start = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - start


class _Lines(tqdm):
    """In a log file, a line in place of a bar that would be repeated."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write the share that is done, with the time left, on a line of its own."""
        if self.n:
            print(self if msg is None else msg, file=self.fp, flush=True)

    def close(self) -> None:
        """End without clearing a line, as if none had been shown."""
        self.last_print_t = 0.0
        super().close()


@contextmanager
def bar(what: str, total: int, unit: str, *, progress: bool = True) -> Iterator[tqdm]:
    """Show the progress of a stage: a bar on a terminal; in a log file a line every half minute.

    Its time is added to :data:`seconds`.

    Parameters
    ----------
    what : is done; stands before the bar.
    total : number of steps.
    unit : what a step is, such as "clip"; "B" for bytes.
    progress : nothing is shown where this is false, or where there is no step.

    Examples
    --------
    >>> with bar("checking", 2, "clip", progress=False) as shown:
    ...     _ = shown.update(2)
    >>> 0 < seconds.pop("checking") < 1
    True
    """
    shown, terminal, is_size = progress and total > 0, sys.stderr.isatty(), unit == "B"
    if shown and not terminal:
        size = f"{total / 1e6:,.1f} MB" if is_size else plural(total, unit)
        print(f"{what} ({size}) ...", file=sys.stderr, flush=True)
    own: dict[str, Any] = {"total": total, "desc": what, "disable": not shown, "leave": False}
    if terminal:
        made = tqdm(unit=unit, unit_scale=is_size, **own)
    else:
        made = _Lines(mininterval=LINE_SECONDS, bar_format=_LINE, **own)
    with made, clock(what) if total else nullcontext():
        yield made
