import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from asdlib.params import AsdError
from asdlib.runtime import process
from asdlib.runtime.parallel import CAN_FORK, in_processes

CHILD = """
import numpy, threadpoolctl
from asdlib.runtime.parallel import one_thread

def threads():
    own = [one for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
    return {one["num_threads"] for one in own}, len(own)

with threadpoolctl.threadpool_limits(2, user_api="blas"):
    with one_thread():
        first = threads()
    import scipy.linalg  # brings a library of its own
    with one_thread():
        assert threads()[0] == {1}, threads()
        with one_thread():
            pass
        assert threads()[0] == {1}, threads()
    assert first[0] == {1} and threads()[1] > first[1], (first, threads())
"""


def test_every_library_runs_on_one_thread_even_one_that_is_loaded_later():
    two = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", CHILD], env=two, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def work(item, tell):
    """A job of a process; what is to happen is its item."""
    if item == "fail":
        raise AsdError("a sentence")
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    with process.clock("waiting"):
        for _ in range(500 if item == "long" else 1):
            tell(item, os.getpid(), torch.get_num_threads())
            time.sleep(0.02)


@pytest.fixture
def told():
    if not CAN_FORK:
        pytest.skip("this system has no fork that libraries survive")
    yield []
    process.seconds.pop("waiting", None)


def test_processes_tell_what_they_do_and_how_long_it_took(told):
    in_processes(work, "abc", lambda *what: told.append(what), 2)
    assert sorted(item for item, *_ in told) == ["a", "b", "c"]
    assert {threads for *_, threads in told} == {1}
    assert os.getpid() not in {pid for _, pid, _ in told}
    assert process.seconds["waiting"] > 0.05


@pytest.mark.parametrize(("last", "said"), [("fail", "a sentence"), ("die", "the same command")])
def test_an_error_stops_all_processes(told, last, said):
    with pytest.raises(AsdError, match=said):
        in_processes(work, ["long", last], lambda *what: told.append(what), 2)
    assert [item for item, *_ in told].count("long") < 500  # what it would tell in all
    assert not multiprocessing.active_children()
