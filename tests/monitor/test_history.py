"""What the log of a watcher tells over time, and since when recordings no longer fit."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asdlib.io.files import content_digest
from asdlib.monitor import history, watch_log
from asdlib.params import AsdError


def line(name="a.wav", model="one", **changes):
    told = {"name": name, "model": model, "score": 3.0, "p_value": 0.5, "alarm": False}
    told |= {"verdict": "normal", "time": "2026-05-04T08:00:00", "content": "", "reasons": []}
    return json.dumps(told | changes)


def log(folder, *lines):
    (folder / "log.jsonl").write_text("\n".join(lines))
    return folder / "log.jsonl"


@pytest.mark.kind("numbers and order in sentences")
def test_lines_are_read_in_the_order_of_time_and_what_is_left_out_is_counted(tmp_path):
    odd = ["{", "[1]", "7", '{"name": 1}', "[" * 10**5, line(score="nan"), line(p_value=2)]
    odd += [line(reasons="x"), line(time="9999-12-31T00:00:00"), line(changed_ns=10**30)]
    odd += ['{"name": "a.wav", "size": 1, "changed_ns": 2}', line(verdict="<b>")]
    odd_one = {"path": "/far/\udcff.wav", "health": ["\udcff 1: a", "\udcff 2: b"]}
    late = line("late\udcff.wav", time="2026-05-05T08:00:00", **odd_one)
    old = line("old.wav", time=None, changed_ns=10**18)
    wrong = json.dumps({"name": "b.wav", "problem": "Empty.", "model": "one"})
    table, told = history.read(log(tmp_path, late, *odd, line(model="two"), old, "", wrong), "one")
    assert table["name"].tolist() == ["b.wav", "old.wav", r"late\udcff.wav"]
    assert table["path"].tolist()[1:] == [Path("old.wav"), Path("/far/\udcff.wav")]
    assert table["time"][1] == datetime.fromtimestamp(10**9)
    assert history.faults(table)["recordings"].tolist() == [2, 1]
    assert history.reasons(table).empty
    assert told == (
        "Left out of the log: 1 line of another model, or of another --false-alarms, 12 lines that "
        "cannot be read."
    )
    assert history.read(log(tmp_path, line()), "one")[1] == ""


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "it has no line at all."),
        (["", "no log"], "it has 1 line that cannot be read."),
        ([line(model="two")] * 3, "it has 3 lines of another model, or of another --false-alarms."),
    ],
)
def test_a_log_without_a_line_of_the_model_is_one_sentence(tmp_path, lines, told):
    with pytest.raises(AsdError) as error:
        history.read(log(tmp_path, *lines), "one")
    assert str(error.value) == f"{tmp_path}/log.jsonl: holds no line of this model; {told}"


def test_recordings_are_found_by_the_names_of_the_log_unless_they_changed(tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"no sound")
    about = {"content": content_digest(b"no sound")}
    lines = [line(name, path=str(tmp_path / name), **about) for name in ("a.wav", "b.wav")]
    own = log(tmp_path, *lines, line("c.wav", path=str(tmp_path / "c.wav")))
    for names, told in (
        (["a.wav", "d.wav"], "has no recording d.wav; --accept takes names as the log has them."),
        (["c.wav"], "c.wav: cannot be read (No such file or directory)."),
        (["a.wav"], "annot be read as audio"),
    ):
        with pytest.raises(AsdError) as error:
            history.located(own, names)
        assert told in str(error.value)
    (tmp_path / "b.wav").write_bytes(b"another")
    with pytest.raises(AsdError, match=r"b\.wav: was changed after it was scored"):
        history.located(own, ["b.wav"])


def test_reasons_have_a_kind_and_a_frequency_and_odd_ones_are_left_out():
    said = [
        ("less steady than normal: around 495 Hz, by 3.0 standard deviations.",),
        ("louder than normal: a line at 3,000.5 Hz, 23 dB above its neighbours.", "<b>: 9 Hz"),
        ("quieter than normal: 0 to 60 Hz, by 1.3 standard deviations.",),
        (),
    ]
    found = history.reasons(pd.DataFrame({"time": range(4), "reasons": said}))
    assert found.to_numpy().tolist() == [
        [0, "less steady", 495.0],
        [1, "louder", 3000.0],
        [2, "quieter", 20.0],
    ]
    assert history.reasons(pd.DataFrame({"time": [], "reasons": []})).empty


def test_the_day_since_when_recordings_no_longer_fit_is_told():
    rng, begin = np.random.default_rng(0), datetime(2026, 3, 1, 12)
    times = [(begin + timedelta(days=i)).isoformat() for i in range(300)]
    normal = rng.uniform(size=240).tolist()

    def since(strange):
        changed, told = history.drift([*normal, *strange], 0.1, times)
        return changed and datetime.strptime(told.split("since ")[1], "%d %B %Y.")

    change = datetime(2026, 3, 1) + timedelta(days=240)
    many = np.where(rng.uniform(size=60) < 0.5, 0.01, rng.uniform(size=60))
    for strange in ([0.01] * 60, many.tolist(), (rng.uniform(size=60) / 3).tolist()):
        assert abs(since(strange) - change) <= timedelta(days=5)
    assert "since" not in history.drift(normal, 0.1, times[:240])[1]
    assert "since" not in history.drift([*normal, *[0.01] * 60], 0.1)[1]
    assert "since" not in history.drift([0.01] * 30, 0.1, [None] * 30)[1]


MIXED = np.random.default_rng(0).permutation(np.arange(1, 101) / 100)


@pytest.mark.parametrize(
    ("p_values", "changed", "told"),
    [
        (MIXED, False, ": they fit."),
        ([*MIXED, *MIXED[:50] / 4], True, "more than normal recordings would raise"),
        ([p / 3 for p in MIXED[:50] if p > 0.31], True, "but all are a little"),
        (1 - MIXED[:50] / 5, False, "more than new ones do"),
        ([0.01] * 19, False, ""),
    ],
)
def test_normal_recordings_fit_and_changed_ones_do_not(p_values, changed, told):
    found = history.drift([*map(float, p_values)], 0.1)
    assert found[0] == changed
    assert told in found[1]
    assert bool(told) == bool(found[1])


def test_a_recording_is_placed_by_its_path_and_its_last_change(tmp_path, monkeypatch):
    (tmp_path / "a.wav").touch()
    monkeypatch.chdir(tmp_path)
    where = watch_log.placed(Path("a.wav"))
    assert where["path"] == str(tmp_path / "a.wav")
    age = datetime.now() - datetime.fromisoformat(where["time"])
    assert timedelta(0) <= age < timedelta(minutes=1)
