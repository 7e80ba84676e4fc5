"""Progress: a bar on a terminal, one line in a log, nothing where nothing is done."""

import sys

import pytest

from asdlib.runtime.progress import bar


def test_a_log_gets_one_line(capsys):
    with bar("checking clips", 1200, "clip") as shown:
        for _ in range(3):
            shown.update()
    with bar("chapters", 1, "chapter"):
        pass
    err = capsys.readouterr().err
    assert err == "checking clips (1,200 clips) ...\nchapters (1 chapter) ...\n"


@pytest.mark.parametrize(("total", "progress"), [(0, True), (5, False)])
def test_nothing_is_said_of_nothing(total, progress, capsys):
    with bar("checking clips", total, "clip", progress=progress) as shown:
        shown.update()
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with bar("checking clips", 2, "clip") as shown:
        shown.update(2)
    err = capsys.readouterr().err
    assert "checking clips:" in err
    assert "2/2" in err or "0/2" in err
    assert "..." not in err
