"""A study on a Dask cluster: the same table, and one sentence where it cannot be."""

import os
import signal
import threading
import time

import pandas as pd
import pytest
from conftest import SMALL, two_machines

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


def test_processes_of_this_machine_give_the_same_table(tiny, tmp_path, monkeypatch):
    """Whatever a site has set for Dask."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(1))  # one process and thread
    monkeypatch.setenv("DASK_TEMPORARY_DIRECTORY", "/proc/nowhere")
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__PRELOAD", '["no_such_module"]')
    pytest.importorskip("dask.config").refresh()
    own = params.load(tiny, scorers=["eq1", "pm"])
    table = study.run(elsewhere(own, tmp_path, "local"))
    pd.testing.assert_frame_equal(table, study.run(own))
    assert not list((tmp_path / "there").glob(".asd-*"))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (
            "localhost",
            r"cluster is 'localhost', and no Dask scheduler answers there \(missing port",
        ),
        ("tcp://127.0.0.1:9", r"there \(.*\); tcp://host:8786, the path of a scheduler file, or "),
    ],
)
def test_what_is_no_scheduler_is_one_sentence(tiny, tmp_path, monkeypatch, address, told):
    monkeypatch.setattr(cluster, "_SECONDS", 1)
    with pytest.raises(AsdError, match=told):
        study.run(elsewhere(tiny, tmp_path, address))


def test_a_cluster_without_a_worker_is_one_sentence(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS", 0.1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as there,
        pytest.raises(AsdError, match=r"has no worker after 0\.1 s; start one \(dask worker "),
    ):
        study.run(elsewhere(tiny, tmp_path, there.scheduler_address))


def test_workers_that_go_are_one_sentence(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS", 3)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as there:
        monkeypatch.setattr(cluster, "_check_workers", lambda *_: there.scale(0))
        with pytest.raises(AsdError, match=r"has lost its workers; 2 jobs left\. What was"):
            study.run(elsewhere(tiny, tmp_path, there.scheduler_address))


def test_a_worker_that_sees_or_is_something_else_is_named(tmp_path):
    clip, token = tmp_path / "a.wav", tmp_path / "token"
    for file in (clip, token):
        file.write_text(file.name)
    files = [str(token), str(clip)]
    here = cluster._seen(files)
    assert cluster._problem(here, here) == ""
    told = cluster._problem(here | {"torch": "1.0"}, here)
    assert told == f"torch is 1.0 there, {here['torch']} here"
    assert cluster._problem(OSError("gone"), here) == "OSError: gone"
    clip.write_text("other")
    assert f"{clip} is " in cluster._problem(cluster._seen(files), here)
    token.unlink()
    with pytest.raises(AsdError, match="token: cannot be read") as error:
        cluster._seen(files)
    told = cluster._problem(error.value, here)  # as it comes from a worker
    assert told == f"{token}: cannot be read (No such file or directory)"


def once_training(folder, action):
    """Do something as soon as a model is being trained."""

    def watch():
        while not list(folder.rglob("checkpoint.safetensors")):
            time.sleep(0.02)
        action()

    threading.Thread(target=watch, daemon=True).start()


LONG = {**SMALL["training"], "epochs": 60, "checkpoint_seconds": 0}


def test_a_worker_that_is_killed_costs_nothing_but_time(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # relative paths are this process's
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as there,
        distributed.Client(there) as client,
    ):
        client.write_scheduler_file("scheduler.json")
        victim = there.workers[0].process.pid
        once_training(tmp_path / "there", lambda: os.kill(victim, signal.SIGKILL))
        own = {"results": "there", "data": "data", "cluster": "scheduler.json"}
        table = study.run(params.load(tiny, **own, training=LONG))
        assert there.workers[0].process.pid != victim
    pd.testing.assert_frame_equal(table, study.run(params.load(tiny, training=LONG)))
