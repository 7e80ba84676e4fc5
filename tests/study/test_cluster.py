"""A study on a Dask cluster: the same table, and one sentence where it cannot be."""

import os
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
from conftest import ROOT, SMALL, two_machines

from asdlib import params, study
from asdlib.params import AsdError
from asdlib.study import cluster

distributed = pytest.importorskip("distributed")
FEW = {"name": "tiny", "front_ends": ["near"], "scorers": ["eq1"], "baseline": False, "extras": []}


@pytest.fixture
def tiny(tmp_path):
    data = two_machines(tmp_path / "data")
    return params.load({**SMALL, **FEW, "data": str(data), "results": str(tmp_path / "results")})


def elsewhere(tiny, tmp_path, address, **changes):
    return params.load(tiny, results=str(tmp_path / "there"), cluster=address, **changes)


def test_a_cluster_gives_the_same_table(tiny, tmp_path):
    local = study.run(tiny)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as there:
        own = elsewhere(tiny, tmp_path, there.scheduler_address)
        pd.testing.assert_frame_equal(local, study.run(own))
    left = {path.name for path in (tmp_path / "there").iterdir() if "seen" in path.name}
    assert left == set()


def test_processes_of_this_machine_give_the_same_table(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(1))  # one process and thread
    table = study.run(elsewhere(tiny, tmp_path, "local"))
    local = study.run(tiny)
    pd.testing.assert_frame_equal(table, local)


@pytest.mark.parametrize("address", ["localhost", "http://127.0.0.1:8786", "tcp://127.0.0.1", "/x"])
def test_what_is_no_address_is_said_at_once(tiny, tmp_path, address):
    with pytest.raises(AsdError, match=r"cluster is .*; tcp://host:8786 of a Dask scheduler, the "):
        study.run(elsewhere(tiny, tmp_path, address))


def test_where_no_scheduler_answers_there_is_one_sentence(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS", 1)
    with pytest.raises(AsdError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        study.run(elsewhere(tiny, tmp_path, "tcp://127.0.0.1:9"))


def test_a_cluster_without_a_worker_is_one_sentence(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS", 0.1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as there,
        pytest.raises(AsdError, match=r"has no worker after 0\.1 s; start one \(dask worker "),
    ):
        study.run(elsewhere(tiny, tmp_path, there.scheduler_address))


def test_a_worker_that_sees_or_is_something_else_is_named(tmp_path):
    same = {"asked": "t", "answer": "a", "versions": cluster.versions()}
    assert cluster._problem(same, True, tmp_path) == ""
    other = same | {"versions": cluster.versions() | {"torch": "1.0"}}
    told = cluster._problem(other, True, tmp_path)
    assert told.startswith("it has other versions (torch 1.0 there, ")
    assert "does not arrive here" in cluster._problem(same, False, tmp_path)
    assert cluster._problem(OSError("gone"), False, tmp_path) == "OSError: gone"
    clip = tmp_path / "a.wav"
    for wrong in (
        cluster._seen(str(tmp_path / "absent"), "token", str(clip), ""),
        cluster._seen(str(tmp_path), "token", str(clip), ""),
    ):
        told = cluster._problem(wrong, False, tmp_path)
        assert told.startswith("it does not see the same files (")
        assert told.endswith("No such file or directory)")
    (tmp_path / "token").write_text("token")
    clip.write_bytes(b"other")
    wrong = cluster._seen(str(tmp_path), "token", str(clip), "0f")
    assert wrong == {"problem": f"{clip} holds something else there"}


class Processes:
    """A scheduler and workers, each a process of its own that works in another folder."""

    def __init__(self, folder):
        self.folder, self.file, self.started = folder, folder / "scheduler.json", []
        folder.mkdir()
        file = ["--scheduler-file", str(self.file)]
        self.scheduler = self.start(
            "dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard", *file
        )
        while not self.file.exists():
            time.sleep(0.05)
            assert self.scheduler.poll() is None
        self.workers = [self.worker() for _ in range(2)]

    def worker(self):
        file = ["--scheduler-file", str(self.file)]
        return self.start("dask_worker", *file, "--nthreads", "1", "--no-nanny", "--no-dashboard")

    def start(self, program, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{program}", *arguments],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.started.append(process)
        return process

    def end(self):
        for process in self.started:
            process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path):
    made = Processes(tmp_path / "cluster")
    yield made
    made.end()


def after_a_step(monkeypatch, action):
    """Do something once, after the first step that is told."""
    seen = threading.Event()
    run = cluster._run

    def watched(client, where, tasks, tick):
        def told(done):
            tick(done)
            if not seen.is_set():
                seen.set()
                action()

        run(client, where, tasks, told)

    monkeypatch.setattr(cluster, "_run", watched)
    return seen


def test_a_worker_that_is_killed_costs_nothing_but_time(tiny, tmp_path, processes, monkeypatch):
    monkeypatch.chdir(tmp_path)
    long = {**SMALL["training"], "epochs": 30, "checkpoint_seconds": 0}
    own = params.load(
        tiny, results="there", data="data", cluster=str(processes.file), training=long
    )
    killed = after_a_step(monkeypatch, processes.workers[0].kill)
    table = study.run(own)
    assert killed.is_set()
    assert not (processes.folder / "there").exists()  # relative paths are this process's
    local = study.run(params.load(tiny, training=long))
    pd.testing.assert_frame_equal(table, local)


@pytest.mark.parametrize("who", ["scheduler", "workers"])
def test_who_is_gone_is_one_sentence_and_the_next_run_goes_on(
    tiny, tmp_path, processes, monkeypatch, who
):
    monkeypatch.setattr(cluster, "_SECONDS", 5)
    long = {**SMALL["training"], "epochs": 500, "checkpoint_seconds": 0}
    gone = [processes.scheduler] if who == "scheduler" else processes.workers

    def stop():
        for process in gone:
            os.kill(process.pid, signal.SIGKILL)

    after_a_step(monkeypatch, stop)
    told = {"scheduler": "went away", "workers": "has lost its workers; 2 units left"}[who]
    with pytest.raises(AsdError, match=f"{told}. What was computed stays"):
        study.run(elsewhere(tiny, tmp_path, str(processes.file), training=long))
    short = {**long, "epochs": 2}
    table = study.run(params.load(tiny, results=str(tmp_path / "there"), training=short))
    assert len(table)
