"""Scores that others left, beside our own: official files, truth by names or by path."""

import numpy as np
import pandas as pd
import pytest
import yaml

from asdlib import cli, metrics
from asdlib.compare import score_files
from asdlib.params import AsdError

KINDS = [(d, k) for d in ("source", "target") for k in ("normal", "anomaly")]


def clips(count=6):
    return [
        (domain, kind, f"section_00_{domain}_test_{kind}_{i:04d}_spd_1.wav")
        for domain, kind in KINDS
        for i in range(count)
    ]


def scores(machine, gain, seed=0):
    """Names and scores, anomalies higher by ``gain``."""
    rng = np.random.default_rng([seed, *machine.encode()])
    return [(name, rng.normal() + gain * (kind == "anomaly")) for _, kind, name in clips()]


def left(folder, machine, rows, tail="", prefix=""):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"anomaly_score_{prefix}{machine}_section_00_test{tail}.csv"
    path.write_text("".join(f"{name},{value}\n" for name, value in rows))
    return path


@pytest.fixture
def team(tmp_path):
    """Two systems of a team and the baseline's files of one seed."""
    for machine in ("fan", "valve"):
        left(tmp_path / "team" / "one", machine, scores(machine, 3))
        left(tmp_path / "team" / "two", machine, scores(machine, 0.5))
        rows = [(f"data/test/{name}", value) for name, value in scores(machine, 1)]
        left(tmp_path / "team" / "base", machine, rows, "_seed13711_Eval", "DCASE2026T2")
    return tmp_path / "team"


def test_systems_are_what_lies_in_one_folder_and_ends_alike(team):
    found = score_files.read(team)
    assert found.groupby(["system", "machine", "domain", "label"]).size().tolist() == [6] * 24
    assert list(found["system"].unique()) == ["base seed13711 Eval", "one", "two"]
    assert set(score_files.read(team / "one")["system"]) == {"one"}


def test_values_are_the_official_ones_and_differences_are_paired(team):
    found = score_files.read(team)
    table = score_files.compare(found, "two")
    assert table.index.tolist() == ["one", "base seed13711 Eval", "two"]
    for name, own in found.groupby("system"):
        values = metrics.evaluate(own)
        assert table.loc[name, "omega"] == metrics.omega(values)
        assert table.loc[name, "auc_source"] == pytest.approx(values["auc_source"].mean())
        assert table.loc[name, "low"] < table.loc[name, "omega"] < table.loc[name, "high"]
    gain = table.loc["one", "omega"] - table.loc["two", "omega"]
    assert table.loc["one", "change"] == pytest.approx(gain)
    assert table.loc["one", "verdict"] == "helps"
    assert table.loc["two", ["change", "change_low", "change_high"]].isna().all()
    turned = score_files.compare(found, "one")
    assert turned.loc["two", "change_low"] == pytest.approx(-table.loc["one", "change_high"])
    assert turned.loc["two", "verdict"] == "harms"
    table = score_files.compare(found[found["domain"] == "source"], "one")
    assert table["auc_source"].notna().all()
    assert table[["omega", "low", "change_high"]].isna().all(axis=None)
    assert table["verdict"]["two"] == "Ω cannot be computed from these labels"


@pytest.mark.kind("official data as shipped")
def test_concealed_clips_need_the_organisers_ground_truth_by_path(tmp_path):
    """Read as it is: official names, or 0 and 1, links, what a Mac and Jupyter leave."""
    hidden = {name: f"section_00_{i:04d}.wav" for i, (*_, name) in enumerate(clips())}
    us = left(tmp_path / "us", "fan", [(hidden[n], v) for n, v in scores("fan", 2)])
    nothing = r"line 1: nothing tells the {} of 'section_00_0000\.wav'"
    with pytest.raises(AsdError, match=nothing.format("label")):
        score_files.read(tmp_path / "us")
    spreadsheet = "\r\n".join(us.read_text().replace(",", ";").replace(".", ",").splitlines())
    us.write_text(spreadsheet.replace(",wav", ".wav"), encoding="utf-16")
    truth, links = tmp_path / "truth", tmp_path / "links"
    values = {
        "data": lambda name: int("anomaly" in name),
        "domain": lambda name: int("target" in name),
        "attributes": lambda name: name.removesuffix(".wav"),
    }
    for kind, value in values.items():
        name = f"ground_truth_{'DCASE2026T2' * (kind == 'data')}fan_section_00_test.csv"
        (path := truth / f"ground_truth_{kind}" / name).parent.mkdir(parents=True)
        path.write_text("".join(f"{hidden[name]},{value(name)}\r\n" for name in hidden))
        (path.parent / f"._{name}").write_bytes(b"\0\5\x16\7")
        (path.parent / ".ipynb_checkpoints").mkdir()
        (path.parent / ".ipynb_checkpoints" / name).write_text("a,b")
    links.mkdir()
    for kind in ("data", "domain"):
        (links / kind).symlink_to(truth / f"ground_truth_{kind}")
    left(tmp_path / "open", "fan", [(name[:-4], value) for name, value in scores("fan", 2)])
    expected = score_files.read(tmp_path / "open").drop(columns=["system", "name"])
    for folder in (truth, truth / "ground_truth_attributes", links):
        found = score_files.read(tmp_path / "us", folder).drop(columns=["system", "name"])
        pd.testing.assert_frame_equal(found, expected)
    half = [(hidden[name], value) for name, value in scores("fan", 2)[::2]]
    left(tmp_path / "half", "fan", half)
    told = f"half: has no score of fan/section_00_0001.wav, .* .{len(half)} clips missing"
    with pytest.raises(AsdError, match=told):
        score_files.read(tmp_path / "half", truth)
    (links / "domain").unlink()
    with pytest.raises(AsdError, match=nothing.format("domain")):
        score_files.read(tmp_path / "us", links)


@pytest.mark.kind("one thing pooled with another")
def test_several_sections_of_a_machine_are_refused(tmp_path):
    own = scores("fan", 2)
    other = [(name.replace("section_00", "section_01"), value) for name, value in own]
    first = left(tmp_path / "us", "fan", other)
    first.rename(first.with_name("anomaly_score_fan_section_01_test.csv"))
    left(tmp_path / "us", "fan", own)
    with pytest.raises(AsdError, match="us fan: clips of the sections 00, 01; a section is a mach"):
        score_files.read(tmp_path / "us")
    table = tmp_path / "table.csv"
    table.write_text("file,score\n" + "".join(f"fan/{n},{v}\n" for n, v in own + other))
    with pytest.raises(AsdError, match=r"table.csv: fan: clips of the sections 00, 01"):
        score_files.read_table(table)


GOOD = "fan/test/section_00_source_test_normal_0000_a.wav,1.0\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a.wav\n", "line 1: 'a.wav'; a file and a value are needed"),
        (GOOD.replace("1.0", "high"), "line 1: 'high' is not a number"),
        (GOOD + GOOD, "is listed more than once"),
        (GOOD.replace("1.0", "nan"), "1 score not finite"),
        ("x.wav,1\n", "line 1: nothing tells the label of 'x.wav'"),
        ("\x00\xff", "not a table"),
    ],
)
def test_what_is_no_score_is_named(tmp_path, text, sentence):
    """In files of the evaluator, and one line later in a table."""
    path = left(tmp_path / "team", "fan", [])
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(AsdError, match=f"{path.name}.*{sentence}"):
        score_files.read(tmp_path / "team")
    path.write_bytes(b"file,score\n" + text.encode("latin-1"))
    with pytest.raises(AsdError, match=f"{path.name}.*{sentence.replace('line 1', 'line 2')}"):
        score_files.read_table(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,score\n" + GOOD, "lacks the column file"),
        ("file,score\n", "no scores"),
        ("", "lacks the columns file, score"),
    ],
)
def test_a_table_begins_with_its_columns(tmp_path, text, sentence):
    (path := tmp_path / "scores.csv").write_text(text)
    with pytest.raises(AsdError, match=sentence):
        score_files.read_table(path)


@pytest.mark.parametrize(
    ("scored", "truth", "sentence"),
    [
        ("nowhere", None, "nowhere: no such folder"),
        ("empty", None, "empty: holds no scores"),
        ("team", "empty", "empty: holds no ground truth"),
        ("team", "nowhere", "nowhere: no such folder"),
        ("team", "bad", "line 1: 'perhaps'; 0, 1 or the clip's official name"),
    ],
)
def test_folders_without_scores_or_truth_are_told(tmp_path, team, scored, truth, sentence):
    for name in ("empty", "bad"):
        (tmp_path / name).mkdir()
    (tmp_path / "bad" / "ground_truth_fan_section_00_test.csv").write_text("a.wav,perhaps\n")
    with pytest.raises(AsdError, match=sentence):
        score_files.read(tmp_path / scored, truth and tmp_path / truth)


def test_only_what_all_systems_have_is_compared(team):
    found = score_files.read(team)
    found = found[(found["system"] != "one") | (found["machine"] == "fan")]
    kept, told = score_files.in_common(found)
    assert set(kept["machine"]) == {"fan"}
    assert told == [
        f"{n}: valve left out; not all systems have it." for n in ("base seed13711 Eval", "two")
    ]
    lacking = found.drop(index=found.index[found["system"] == "one"][0])
    with pytest.raises(AsdError, match=r"one: has no score of fan/section.*which base.*1 clip mis"):
        score_files.in_common(lacking)
    alone = found.assign(machine=found["machine"].where(found["system"] != "one", "pump"))
    with pytest.raises(AsdError, match=r"no machine that all systems have \(base.*; one: pump;"):
        score_files.in_common(alone)
    twice = [*scores("fan", 1), *scores("fan", 1)[:1]]
    left(team / "one", "fan", twice[:-1], "_a")
    left(team / "one a", "fan", twice[-1:])
    with pytest.raises(AsdError, match=r"one a: section_00.* of fan is listed more than once"):
        score_files.read(team)


def test_the_command_puts_a_study_beside_them(trained, tmp_path, capsys):
    settings = tmp_path / "small.yaml"
    settings.write_text(yaml.safe_dump(trained.model_dump(mode="json")))
    rows = {}
    for path in sorted((tmp_path / "data").rglob("test/*.wav")):
        rows.setdefault(path.parts[-3], []).append((path.name, len(rows) + len(path.name)))
    for machine, own in rows.items():
        left(tmp_path / "theirs", machine, own)
    arguments = ["compare", str(tmp_path / "theirs"), "--params", str(settings)]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert {line.split()[0] for line in printed.splitlines() if line} >= {"S1", "S5", "theirs"}
    assert "change and verdict: in place of S1." in printed


def test_real_scores_of_the_baseline(real):
    expected = {"mse": 57.19418133424542, "mahala": 57.20483897712284}
    names = [f"official_baseline_{mode}_dev" for mode in expected]
    found = score_files.read(real / "dcase2026_scores")
    table = score_files.compare(found[found["system"].isin(names)], names[0])
    omegas = 100 * table.loc[names, "omega"]
    assert omegas.tolist() == pytest.approx(list(expected.values()), abs=1e-12, rel=0)
    assert set(table["verdict"]) == {"", "no robust difference"}
