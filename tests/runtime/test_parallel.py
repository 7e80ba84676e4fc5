import os
import subprocess
import sys

CHILD = """
import threadpoolctl
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
