"""The share of alarms over time."""

import numpy as np
import pytest
from test_monitor import write

from asdlib import cli
from asdlib.calibration import proportion_interval
from asdlib.monitor import Monitor, drift


def test_the_share_is_that_of_the_last_recordings():
    p_values = np.random.default_rng(0).random(70).tolist()
    table = drift.shares(p_values, 0.1, window=30)
    assert table["recordings"].tolist() == [*range(1, 31), *[30] * 40]
    for place in (0, 29, 30, 69):
        own = np.array(p_values[max(place - 29, 0) : place + 1])
        row = table.iloc[place]
        assert row["alarms"] == (own <= 0.1).sum()
        assert (row["low"], row["high"]) == proportion_interval(int(row["alarms"]), len(own))


def test_normal_recordings_fit_and_changed_ones_do_not():
    uniform = np.arange(1, 101) / 100
    mixed = np.random.default_rng(0).permutation(uniform).tolist()
    assert drift.sentence(mixed, 0.1).endswith(": they fit.")
    changed = [*mixed, *(p / 4 for p in mixed[:50])]
    assert "the microphones have changed: fit again" in drift.sentence(changed, 0.1)
    assert drift.sentence(changed[:19], 0.1) == ""


@pytest.mark.parametrize(("gain", "told"), [(1.0, "they fit"), (2.0, "fit again with recordings")])
def test_the_command_says_whether_recordings_still_fit(tmp_path, capsys, gain, told):
    Monitor.fit(write(tmp_path / "normal", range(40))).save(tmp_path / "model")
    folder = tmp_path / "new"
    write(folder, range(100, 120), gain=gain)
    assert cli.main(["score", str(tmp_path / "model"), str(folder)]) == 0
    assert told in capsys.readouterr().out
