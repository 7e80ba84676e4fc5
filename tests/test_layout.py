import pytest
from conftest import machine_folder, two_channels, write_wav

from asdlib import cli, dataset
from asdlib.io import layout
from asdlib.params import AsdError


def asd(*arguments):
    return cli.main([str(argument) for argument in arguments])


def test_machines_that_are_not_read_are_named(tmp_path, rng):
    machine_folder(tmp_path, rng, "fan")
    machine_folder(tmp_path / "dev_ToyCar", rng, "ToyCar")
    machine_folder(tmp_path, rng, "Pump")
    (tmp_path / "Pump" / "train").rename(tmp_path / "Pump" / "Train")
    for name in ("dev_valve.zip", "dev_fan.zip"):
        (tmp_path / name).touch()
    table, problems = dataset.survey(tmp_path)
    assert set(table["machine"]) == {"fan", "Pump"}
    assert problems == [
        f"{tmp_path}/Pump/Train: rename it to train; it is not read so.",
        f"{tmp_path}/dev_ToyCar/ToyCar: lies one folder too deep and is not read; move it to "
        f"{tmp_path}/ToyCar.",
        f"{tmp_path}/dev_valve.zip: still packed; unzip it, or move it out of this folder.",
        f"{tmp_path}/Pump: no wav in train/; training needs normal clips there.",
    ]
    assert dataset.survey(tmp_path, ["fan"])[1] == []


def test_where_nothing_is_a_machine_the_reason_is_told(tmp_path, rng):
    (tmp_path / "dev_fan.zip").touch()
    with pytest.raises(AsdError, match=r"found no machine folder(.|\n)*dev_fan.zip: still packed"):
        dataset.scan(tmp_path)
    write_wav(tmp_path / "own" / "monday" / "a.wav", two_channels(rng, 0.2))
    with pytest.raises(AsdError, match="Recordings without these folders are for asd fit"):
        dataset.scan(tmp_path / "own")


def test_clips_in_folders_below_a_split_are_told(tmp_path, rng):
    for name in ("train/2026-01-01/a.wav", "test/b.wav", "test/late/c.wav"):
        write_wav(tmp_path / "pump" / name, two_channels(rng, 0.2))
    _, problems = dataset.survey(tmp_path)
    folder = tmp_path / "pump"
    assert problems == [
        f"{folder}/train: 1 wav in folders below it, such as {folder}/train/2026-01-01/a.wav; "
        "clips lie in train/ itself.",
        f"{folder}: no wav in train/; training needs normal clips there.",
        f"{folder}/test: 1 wav in folders below it, such as {folder}/test/late/c.wav; clips lie in "
        "test/ itself.",
    ]


def test_odd_clips_are_remarked(tmp_path, rng):
    machine_folder(tmp_path, rng, "fan")
    clip = next((tmp_path / "fan" / "test").iterdir())
    clip.with_stem(f"{clip.stem} (1)").write_bytes(clip.read_bytes())
    write_wav(tmp_path / "fan" / "test" / "x.wav", two_channels(rng))
    write_wav(tmp_path / "valve" / "train" / "a.wav", two_channels(rng))
    table = dataset.scan(tmp_path)
    count = (table["machine"] == "fan").sum()
    told = layout.remarks(table.assign(hash=dataset.check(table)[0]))
    assert [sentence.partition(",")[0] for sentence in told] == [
        f"fan: 1 of {count} clips have no DCASE name",
        "fan: 1 clip has the content of another one",
        "valve: no clip in test/; the machine can be learnt",
        "valve: 1 of 1 clips have no DCASE name",
    ]


def test_the_doctor_looks_at_a_folder_for_fit(tmp_path, rng, capsys):
    for name in ("monday/a.wav", "monday/b.wav", "tuesday/a.wav"):
        write_wav(tmp_path / "pump" / name, two_channels(rng))
    assert asd("doctor", tmp_path / "pump") == 0
    printed = capsys.readouterr().out
    assert "as asd fit reads them; all can be used." in printed
    assert "3 different recordings in 2 sessions (subfolders)." in printed
    assert f"'asd fit {tmp_path / 'pump'} --out pump.safetensors'" in printed
    write_wav(tmp_path / "pump" / "tuesday" / "b.wav", two_channels(rng)[:, 0])
    assert asd("doctor", tmp_path / "pump") == 2
    *_, told, closing = capsys.readouterr().err.splitlines()
    assert "tuesday/b.wav: 1 channel" in told
    assert closing == (
        "1 of 4 recordings cannot be used. Repair it or move it out of the folder, then run the "
        "same command again."
    )


def test_fit_says_what_it_saw(tmp_path, rng, capsys):
    for number in range(10):
        write_wav(tmp_path / "pump" / f"day{number % 2}" / f"{number}.wav", two_channels(rng))
    assert asd("fit", tmp_path / "pump", "--out", tmp_path / "pump.safetensors") == 0
    assert "10 different recordings in 2 sessions (subfolders)." in capsys.readouterr().out
    for number in range(2):
        (tmp_path / "pump" / f"{number}.wav").write_text("no sound")
    assert asd("fit", tmp_path / "pump", "--out", tmp_path / "pump.safetensors") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("2 of 12 recordings cannot be used. Repair them or move them out")
