"""A command works in a batch job, a container or a service: odd variables, streams, signals."""

import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import pytest

from asdlib.params import AsdError
from asdlib.runtime import process
from asdlib.runtime.process import bar

SHOWN = "import asdlib, os\nfor name in {}: print(os.environ.get(name, 'not set'))"


def seen(*names, **variables):
    """Values of variables after the package is imported."""
    kept = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", SHOWN.format(names)],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def home(tmp_path, *files):
    """A home; where files are in the place of folders, not even root can write there."""
    made = tmp_path / "home"
    made.mkdir()
    for name in files:
        (made / name).write_text("")
    return {"HOME": str(made), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""}


def test_only_a_home_that_cannot_be_written_is_replaced_by_a_folder_of_the_users_alone(tmp_path):
    (tmp_path / "free").mkdir()
    assert seen("MPLCONFIGDIR", **home(tmp_path / "free")) == ["not set"]
    own = tmp_path / f"asd-caches-{os.getuid()}"
    assert seen("MPLCONFIGDIR", **home(tmp_path, ".cache", ".config")) == [str(own)]
    assert stat.S_IMODE(own.stat().st_mode) == 0o700


def test_caches_are_never_read_where_someone_else_put_them(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"asd-caches-{os.getuid()}").symlink_to(tmp_path / "theirs")
    (used,) = seen("MPLCONFIGDIR", **home(tmp_path, ".cache", ".config"))
    assert used.startswith(f"{tmp_path}/asd-caches-")
    assert not used.endswith(f"-{os.getuid()}")


@pytest.mark.kind("signals and settings of a library")
@pytest.mark.parametrize(("most", "told"), [(3, "3 threads can be"), (20, None)])
def test_where_few_threads_may_be_started_libraries_start_few_or_none(monkeypatch, most, told):
    real, begun = threading.Thread.start, []

    def start(thread):
        if len(begun) == most:
            raise RuntimeError("can't start new thread")
        begun.append(real(thread))

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    with pytest.raises(AsdError, match=told) if told else nullcontext():
        process.check_threads()
    assert (os.environ["OMP_NUM_THREADS"] == "1") == (told is None)


@pytest.mark.kind("no place to write")
def test_without_any_place_to_write_nothing_is_cached(tmp_path, monkeypatch):
    """As on a full disk, and with a root that is read-only."""

    def full(*given, **named):
        raise OSError(28, "No space left on device")

    variables = {"MPLCONFIGDIR": str(tmp_path)}
    monkeypatch.setattr(os, "environ", variables)
    monkeypatch.setattr(process.tempfile, "TemporaryFile", full)
    monkeypatch.setattr(process.tempfile, "gettempdir", full)
    process.prepare()
    assert variables["MPLCONFIGDIR"] == str(tmp_path)


@pytest.mark.kind("the user's environment")
@pytest.mark.parametrize(
    ("given", "kept"),
    [("today", "not set"), ("0", "not set"), ("9" * 20, "not set"), ("1700000000", "1700000000")],
)
def test_a_date_of_builds_that_is_none_counts_as_not_set(given, kept):
    assert seen("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH=given) == [kept]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", "not set"), ("auto", "not set"), ("0", "not set"), ("2", "2"), ("4, 2", "4, 2")],
)
def test_a_number_of_threads_that_is_none_counts_as_not_set(given, kept):
    assert seen("OMP_NUM_THREADS", OMP_NUM_THREADS=given) == [kept]


@pytest.mark.kind("the user's environment")
def test_warnings_are_no_errors_where_a_user_has_made_them_so():
    code = "from asdlib.runtime.process import open_streams; open_streams(); import warnings\n"
    code += "warnings.warn('old', DeprecationWarning); warnings.warn('odd'); print('done')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "done\n"
    assert "odd" in done.stderr
    assert "old" not in done.stderr


def test_without_standard_streams_no_file_gets_their_numbers(tmp_path):
    code = """
import sys
from asdlib.runtime.process import open_streams as opened
opened()
print("lost")
print("lost", file=sys.stderr)
with open(sys.argv[1], "w") as file:
    file.write(f"{file.fileno() > 2} {sys.stdin.read()!r}")
"""
    command = 'exec "$0" -c "$1" "$2" <&- >&- 2>&-'
    subprocess.run(["sh", "-c", command, sys.executable, code, tmp_path / "told"], check=True)
    assert (tmp_path / "told").read_text() == "True ''"


def writing_scenes(folder):
    """A command that has begun to write."""
    command = [sys.executable, "-m", "asdlib.cli", "scenes", folder / "scenes"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(folder.glob(".asd-part-*/*/*/*.wav")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_end_is_answered_and_leaves_nothing(tmp_path, number):
    process = writing_scenes(tmp_path)
    process.send_signal(number)
    process.send_signal(number)  # as timeout does
    said = process.communicate()[1].splitlines()
    assert (said[-1], process.returncode) == ("Stopped.", 128 + number)
    assert not list(tmp_path.iterdir())


def test_a_log_gets_lines_and_a_terminal_a_bar(capsys, monkeypatch):
    with bar("checking clips", 1200, "clip") as shown:
        shown.update()
    with bar("nothing", 0, "clip"), bar("unseen", 5, "clip", progress=False):
        pass
    assert capsys.readouterr().err == "checking clips (1,200 clips) ...\n"
    monkeypatch.setattr(process, "LINE_SECONDS", 0)
    with bar("checking clips", 4, "clip") as shown:
        shown.update(2)
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"checking clips \(4 clips\) \.\.\.\nchecking clips: 50 %, \S+ left\n", said
    )
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with bar("checking clips", 2, "clip") as shown:
        shown.update(2)
    err = capsys.readouterr().err
    assert "checking clips:" in err
    assert "..." not in err
