"""A folder of final tables belongs to one data set."""

import shutil

import pytest
from conftest import machine_folder, small_params, two_channels, write_wav

from asdlib import cli, study
from asdlib.params import AsdError


def placed(folder, data, **changes):
    own = small_params(folder, data=data and str(data), **changes)
    return study.place(own, study.open_recordings(own))


def test_other_recordings_are_refused_and_the_same_go_on(tmp_path, rng, capsys):
    one = machine_folder(tmp_path / "one", rng)
    other = machine_folder(tmp_path / "other", rng)
    folder = placed(tmp_path, one)
    assert folder == tmp_path / "results" / "small"
    with pytest.raises(AsdError) as error:
        placed(tmp_path, other)
    for part in ("results/small: holds", "the folder one, 8 clips", "the folder other, 8 clips"):
        assert part in str(error.value)
    write_wav(one / "fan/train/section_00_source_train_normal_0077_a.wav", two_channels(rng))
    placed(tmp_path, one)  # has grown
    placed(tmp_path, one.rename(tmp_path / "moved"))
    with pytest.raises(AsdError, match="the folder moved, 9 clips"):
        placed(tmp_path, other)
    (folder / "data.json").write_text("{cut")  # claims nothing
    placed(tmp_path, other)
    assert "data.json: damaged" in capsys.readouterr().err
    scenes = {"seconds": 1.0, "train_source": 2, "train_target": 0, "test_per_cell": 1}
    with pytest.raises(AsdError, match="the embedded simulated scenes"):
        placed(tmp_path, None, scenes=scenes | {"machines": ["SimFan"]})


@pytest.mark.parametrize("command", ["study", "report"])
def test_it_is_refused_before_any_work(tmp_path, rng, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text("seeds: [0]\n")
    placed(tmp_path, machine_folder(tmp_path / "one", rng))
    for name in ("asdlib.study.forecast", "asdlib.study.everything"):
        monkeypatch.setattr(name, lambda *_: pytest.fail("work"))
    other = machine_folder(tmp_path / "other", rng)
    arguments = [command, "--params", "small.yaml", "--data", str(other)]
    assert cli.main(arguments) == 2
    assert "holds the tables of other recordings" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "results" / "small")
    monkeypatch.setattr("asdlib.study.forecast", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(arguments)
