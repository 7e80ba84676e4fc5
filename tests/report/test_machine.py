"""The page of a machine of one's own: what it says, and what it refuses."""

import json
import re
import shutil
from html import unescape

import pytest
from conftest import SCRIPTED

from asdlib import cli
from asdlib.monitor import Monitor


@pytest.fixture
def own(watched, tmp_path):
    """Model and log of a watch in a folder of one's own; the recordings stay where they are."""
    for name in ("noise.safetensors", "log.jsonl"):
        shutil.copy(watched / name, tmp_path)
    return tmp_path


def page(own, *more):
    words = ["report", "--machine", own / "noise.safetensors", "--log", own / "log.jsonl", *more]
    return cli.main([str(word) for word in words])


def told(path):
    """Text of a page, without its markup."""
    text = re.sub(r"<style>.*</style>", "", path.read_text("utf-8"), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def lines(own):
    return [json.loads(line) for line in (own / "log.jsonl").read_text().splitlines()]


def written(own, *lines):
    (own / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_the_page_says_the_result_first_and_then_shows_it(own, capsys):
    assert page(own) == 0
    assert capsys.readouterr().out == f"{own}/log.html\n"
    text, html = told(own / "log.html"), (own / "log.html").read_text("utf-8")
    assert text.startswith(
        "noise noise 6 recordings from 5 May 2026 to 10 May 2026: 3 alarms among the 6 with a "
        "verdict (50 %); the model promises at most 10 % among normal ones."
    )
    promise = Monitor.load(own / "noise.safetensors").decision.promise.splitlines()
    for said in (*promise[:2], "3 of 6 recordings (50.0%;", "0.0% to 100.0% of a day, on 6 days;"):
        assert said in text
    assert re.search(r"Recording faults fault .* channel is clipped: .* 3 2026-05-08 .*", text)
    assert (html.count("<audio"), html.count("image/png"), html.count("image/svg")) == (6, 3, 1)
    assert "<script" not in html
    shown = [text.index(f"{name} 2026-05-{day}") for name, day in ((SCRIPTED, 10), ("e.wav", "09"))]
    assert sorted(shown) == shown  # the latest one first
    assert SCRIPTED not in html
    assert "asd refit" in text


def test_what_is_not_there_is_a_sentence_in_the_page(own):
    first, *_, late, later, latest = lines(own)
    gone = str(own / "gone.wav")
    odd = [
        late | {"path": gone, "name": "no \udcff text", "reasons": ["\udcff"]},
        later | {"content": "0"},
        latest | {"path": "a\0.wav"},
    ]
    written(own, first, *odd, {"name": "\udcff", "problem": "Empty.", "model": first["model"]}, 7)
    assert page(own) == 0
    text = told(own / "log.html")
    assert f"No picture and no sound: {gone}: cannot be read (No such file or directory)." in text
    assert "was changed after it was scored." in text
    assert text.count("No picture and no sound") == 2
    assert "Left out of the log: 2 lines that cannot be read." in text
    assert "Empty. 1 1970" in text
    assert r"no \udcff text" in text
    assert "<audio" not in (own / "log.html").read_text("utf-8")


def test_a_log_of_normal_recordings_of_problems_and_without_a_verdict_has_its_page(own):
    first = lines(own)[0]
    for some, said in (
        ({}, "1 recording from 5 May 2026: no alarm among the 1 with a verdict (0 %);"),
        ({"alarm": None, "verdict": "no verdict"}, "1 recording from 5 May 2026: no verdict."),
    ):
        written(own, first | some)
        assert page(own) == 0
        assert said in told(own / "log.html")
    written(own, {"name": "x.wav", "problem": "Empty.", "model": first["model"]})
    assert page(own) == 0
    assert "noise No recording could be scored." in told(own / "log.html")


def test_what_cannot_be_shown_is_refused_and_nothing_of_the_user_is_lost(own, capsys):
    def refused(*more):
        assert page(own, *more) == 2
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1)
        return err

    (own / "log.html").write_text("<!doctype html>mine")
    assert "log.html: is there and is no page of asd report --machine" in refused()
    assert (own / "log.html").read_text() == "<!doctype html>mine"
    for taken in ("log.jsonl", "noise.safetensors"):
        before = (own / taken).read_bytes()
        assert "is there and is no page" in refused("--out", own / taken)
        assert (own / taken).read_bytes() == before
    assert page(own, "--out", own / "new" / "page.html") == 0
    assert page(own, "--out", own / "new" / "page.html") == 0  # its own page is replaced
    capsys.readouterr()
    assert "of another model, or of another --false-alarms" in refused("--false-alarms", "0.2")
    (own / "log.jsonl").write_bytes(b"")
    assert "holds no line of this model; it has no line at all." in refused()
    (own / "log.jsonl").unlink()
    assert "log.jsonl: cannot be read (No such file or directory)" in refused()
    (own / "noise.safetensors").write_bytes(b"no model")
    assert "not a model file of asd fit" in refused()
    assert cli.main(["report", "--machine", str(own / "noise.safetensors")]) == 2
    assert "--machine MODEL and --log LOG go together." in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["report"])
    assert "required: --params" in capsys.readouterr().err


def test_a_model_learns_false_alarms_by_the_names_of_the_log(own, watched, capsys):
    model, new = str(own / "noise.safetensors"), str(own / "new.safetensors")
    log = ["--log", str(own / "log.jsonl"), "--out", new]
    assert cli.main(["refit", model, "--accept", "d.wav", SCRIPTED, *log]) == 0
    assert "2 recordings more than" in capsys.readouterr().out
    assert sorted(Monitor.load(new).known["name"].tolist()[-2:]) == [SCRIPTED, "d.wav"]
    assert cli.main(["refit", model, "--accept", "z.wav", *log]) == 2
    assert "log.jsonl: has no recording z.wav" in capsys.readouterr().err
    for wrong in ([model, *log], [model, str(own), *log, "--accept", "d.wav"]):
        assert cli.main(["refit", *wrong]) == 2
        assert "--log stands in place of a folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["refit", model, "--out", new])
    (own / "new.safetensors").unlink()
    assert cli.main(["refit", model, "--out", new, str(watched / "in")]) == 0  # in any order
    assert "required: folder" in capsys.readouterr().err
