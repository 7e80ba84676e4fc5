"""The ``asd`` command as it is typed: exit codes, what is printed, what is written."""

import itertools
import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import soundfile
import yaml
from conftest import SMALL, machine_folder, two_channels, write_wav

from asdlib import cli, dataset
from asdlib.io import files


def written(tmp_path, **changes):
    """A parameter file of a small study in ``tmp_path``."""
    path = tmp_path / "mine.yaml"
    places = {name: str(tmp_path / name) for name in ("results", "figures")}
    path.write_text(yaml.safe_dump({**SMALL, **places, "name": "mine", **changes}))
    return path


def lean(tmp_path):
    """With what S1 to S3 need, and no more."""
    return written(tmp_path, extras=[], baseline=False)


def pump(tmp_path, rng):
    """Recordings of one's own machine, with other names than those of DCASE."""
    for split, names in (("train", "abcd"), ("test", "xy")):
        for name in names:
            write_wav(tmp_path / "pump" / split / f"{name}.wav", two_channels(rng))
    return tmp_path / "pump"


def asd(*words):
    return cli.main([str(word) for word in words])


def refused(capsys, *words):
    """Return the sentences on standard error of a command that must end with 2."""
    assert asd(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.strip().splitlines()[-1]


def test_the_command_is_installed_and_helps():
    done = subprocess.run(
        [sys.executable, "-m", "asdlib.cli", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("scenes", "doctor", "study", "report", "metrics", "validate"):
        assert command in done.stdout


def test_scenes_are_written_and_named(tmp_path, capsys):
    path = tmp_path / "few.yaml"
    small = {
        "seconds": 1.0,
        "train_source": 2,
        "train_target": 1,
        "test_per_cell": 1,
        "machines": ["SimValve"],
    }
    path.write_text(yaml.safe_dump({"scenes": small}))
    assert asd("scenes", tmp_path / "out", "--params", path, "--seed", 5, "--truth") == 0
    printed = capsys.readouterr().out
    stored = json.loads((tmp_path / "out" / "scenes.json").read_text())
    assert f"seed 5, manifest {stored['manifest']}" in printed
    assert (tmp_path / "out" / "SimValve" / "truth" / "labels.csv").exists()
    assert len(dataset.scan(tmp_path / "out")) == 7
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    line = refused(capsys, "scenes", tmp_path / "mine", "--params", path)
    assert "holds files that asd did not write" in line


def test_a_study_of_ones_own_machine_gives_scores_and_a_threshold(tmp_path, rng, capsys):
    study = ("study", "--params", lean(tmp_path), "--data", pump(tmp_path, rng))
    assert asd(*study) == 0
    out, err = capsys.readouterr()
    assert "units to compute: about" in err
    assert "S1 pump: " in out
    table = pd.read_csv(tmp_path / "results" / "mine" / "decisions.csv")
    s1 = table[table["system"] == "S1"]
    assert s1["name"].tolist() == ["x.wav", "y.wav"]
    assert s1["threshold"].nunique() == 1
    assert (s1["decision"] == (s1["score"] > s1["threshold"])).all()
    assert set(table["system"]) == {"S1", "S2", "S3", "S5"}  # S4 needs labels to be chosen
    assert asd(*study) == 0
    assert "Everything is computed already" in capsys.readouterr().err


def test_the_doctor_says_what_is_there_and_what_is_wrong(tmp_path, rng, capsys):
    machine_folder(tmp_path / "data", rng, "fan", domains=("source", "target"))
    assert asd("doctor", tmp_path / "data", "--params", written(tmp_path)) == 0
    printed = capsys.readouterr().out
    for part in ("16000", "all 16 clips can be read", "median G", "38 units to compute"):
        assert part in printed
    lean_file = written(tmp_path, extras=[], front_ends=["near"])
    same = two_channels(rng)
    same[:, 1] = same[:, 0]
    for i in range(2):
        write_wav(tmp_path / f"data/twin/train/{i}.wav", same * (1 + i))
    assert asd("doctor", tmp_path / "data", "--params", lean_file) == 0
    assert "both channels are the same signal" in capsys.readouterr().out
    (tmp_path / "data/fan/train/section_00_source.wav").write_bytes(b"")
    (tmp_path / "data/fan/test/section_00_0001.wav").write_bytes(b"")
    write_wav(tmp_path / "data/fan/test/section_00_0002.wav", two_channels(rng)[:, 0])
    assert asd("doctor", tmp_path / "data", "--params", lean_file) == 2
    sentences = capsys.readouterr().err.strip().splitlines()
    found = [s for s in sentences if ".wav" in s]
    assert len(found) == 3
    assert all(s.endswith(".") for s in found)


def test_broken_recordings_stop_a_report_before_any_work(tmp_path, rng, capsys):
    machine_folder(tmp_path / "data", rng, "fan")
    soundfile.write(
        tmp_path / "data/fan/train/section_00_source_train_normal_0099_x.wav",
        two_channels(rng),
        44100,
    )
    line = refused(capsys, "report", "--params", written(tmp_path), "--data", tmp_path / "data")
    assert "0099_x.wav: sample rate 44100 Hz; 16000 Hz is needed" in line
    assert not list((tmp_path / "results").glob("units/*"))


def test_metrics_of_real_scores(real, capsys):
    path = real / "dcase2026_scores" / "official_baseline_mse_dev.csv"
    assert asd("metrics", path) == 0
    printed = capsys.readouterr().out
    assert float(printed.split()[-2]) == pytest.approx(57.19418133424542, abs=1e-12)


def test_validate_takes_the_test_clips_of_recordings(tmp_path, rng, capsys):
    data = tmp_path / "data"
    for i in range(3):
        write_wav(data / f"Sander/train/{i}.wav", two_channels(rng))
        write_wav(data / f"Sander/test/section_00_{i:04d}.wav", two_channels(rng))
    label = tmp_path / "task2" / "Doe_Uni_task2_1"
    label.mkdir(parents=True)
    for kind, value in (("anomaly_score", "1.5"), ("decision_result", "1")):
        lines = "".join(f"section_00_{i:04d}.wav,{value}\n" for i in range(2))
        (label / f"{kind}_Sander_section_00_test.csv").write_text(lines)
    assert asd("validate", tmp_path / "task2", "--data", data) == 2
    err = capsys.readouterr().err
    assert err.count("1 clip missing, such as section_00_0002.wav") == 2
    assert "Doe_Uni_task2_1.meta.yaml: missing" in err


def test_what_a_killed_run_left_long_ago_goes_before_any_work(tmp_path, capsys):
    name = files.part_of(tmp_path / "x").name
    for place in ("results/units/fan.near.0123", "results/mine/submission/task2"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / name).write_text("half")
        os.utime(tmp_path / place / name, (0, 0))
    words = ["--params", written(tmp_path), "--data", tmp_path / "nowhere"]
    assert "no such folder" in refused(capsys, "study", *words)
    assert not list(tmp_path.rglob(name))


def test_a_full_disk_behind_standard_output_is_one_sentence(tmp_path):
    scores = tmp_path / "scores.csv"
    cells = itertools.product(("source", "target"), ("normal", "anomaly"))
    lines = [f"fan/section_00_{domain}_test_{label}_0000_a.wav,1" for domain, label in cells]
    scores.write_text("\n".join(["file,score", *lines]))
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "asdlib.cli", "metrics", str(scores)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("standard output: cannot be read or written (No space left")
    assert len(done.stderr.splitlines()) == 1
