import shutil
import unicodedata
import zipfile

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import small_params
from known_scores import HALF, PERFECT, rows

from asdlib.compare import submission, systems
from asdlib.compare.statistics import Results
from asdlib.guard import PerClip
from asdlib.params import AsdError

NAMES = [f"section_00_{i:04d}.wav" for i in range(6)]
EXPECTED = {"Sander": NAMES, "ToyDrone": NAMES}
LABELS = ("Doe_Uni_task2_1", "Doe_Uni_task2_2")


@pytest.fixture
def package(tmp_path, rng):
    for label in LABELS:
        scores = {m: PerClip(rng.standard_normal(6), NAMES) for m in EXPECTED}
        decisions = {m: s > 0.0 for m, s in scores.items()}
        results = pd.DataFrame(
            {"auc_source": [0.71234, np.nan], "auc_target": 0.5, "pauc": 0.5}, index=["fan", "x"]
        )
        about = submission.meta(
            label,
            name="Test",
            abbreviation="T",
            description={"front_end": "adasub"},
            total_parameters=7,
            results=results,
        )
        submission.write_system(tmp_path, label, scores, decisions, about)
    return tmp_path


def system(package, number=0):
    return package / "task2" / LABELS[number]


def score_file(package):
    return system(package) / "anomaly_score_Sander_section_00_test.csv"


def meta_file(package):
    return system(package) / f"{LABELS[0]}.meta.yaml"


def decision_file(package):
    return system(package) / "decision_result_Sander_section_00_test.csv"


def test_files_are_as_the_evaluator_reads_them(package):
    lines = score_file(package).read_bytes().split(b"\n")
    assert lines[-1] == b""
    assert len(lines) == 7
    table = pd.read_csv(score_file(package), header=None)
    assert table[0].tolist() == NAMES
    assert table[1].dtype == float
    decided = pd.read_csv(decision_file(package), header=None)[1]
    assert decided.tolist() == (table[1] > 0).astype(int).tolist()


def test_the_meta_file_has_its_keys_and_writes_nulls_as_2026(package):
    text = meta_file(package).read_text()
    assert "data_augmentation: !!null" in text
    content = yaml.safe_load(text)
    assert content["results"]["development_dataset"] == {
        "fan": {"auc_source": 71.23, "auc_target": 50.0, "pauc": 50.0}
    }
    assert content["system"]["complexity"]["total_parameters"] == 7
    assert content["system"]["description"]["front_end"] == "adasub"
    assert content["submission"]["label"] == LABELS[0]


def test_a_good_package_has_no_problem_however_it_is_given(package):
    archive = submission.pack(package)
    for given in (package, package / "task2", system(package), archive):
        assert submission.validate(given, EXPECTED) == []
        assert submission.validate(given) == []


def test_the_zip_is_the_same_bytes_every_time_and_carriage_returns_are_fine(package):
    first = submission.pack(package).read_bytes()
    assert submission.pack(package).read_bytes() == first
    text = score_file(package).read_text()
    score_file(package).write_bytes(text.replace("\n", "\r\n").encode())
    assert submission.validate(package, EXPECTED) == []


NAME = "anomaly_score_Sander_section_00_test.csv"


def put(index, value):
    return lambda lines: lines.__setitem__(index, value)


LINES = {
    "duplicate": (lambda x: x.append(x[2]), "line 7: section_00_0002.wav is listed more than once"),
    "missing clip": (lambda x: x.pop(), ": 1 clip missing, such as section_00_0005.wav"),
    "extra clip": (
        lambda x: x.append("section_00_0099.wav,1.0"),
        ": 1 clip too many, such as section_00_0099.wav",
    ),
    "header": (lambda x: x.insert(0, "file,score"), "line 1: a header ('file')"),
    "blank line": (lambda x: x.insert(3, ""), "line 4: blank line"),
    "blank last line": (lambda x: x.append(""), "line 7: blank line"),
    "nan": (put(0, "section_00_0000.wav,nan"), "line 1: score 'nan' is not finite"),
    "infinite": (put(0, "section_00_0000.wav,-inf"), "line 1: score '-inf' is not finite"),
    "word": (put(0, "section_00_0000.wav,high"), "line 1: score 'high' is not a number"),
    "path": (put(0, "test/section_00_0000.wav,1"), "line 1: 'test/section_00_0000.wav' has a path"),
    "columns": (put(0, "section_00_0000.wav,1,2"), "line 1: 3 columns; 2 are needed"),
    "no wav": (put(2, "section_00_0002,1"), "line 3: not a wav name"),
    "long field": (put(0, 2**18 * "x" + ".wav,1"), ": not a CSV table (field larger"),
}
"""What is wrong with the lines of a score file, and what is said."""
BYTES = {
    "empty": (lambda content: b"", ": empty"),
    "latin-1": (lambda content: b"\xe9.wav,1\n", ": not a CSV table ('utf-8' codec"),
    "mark": (lambda content: b"\xef\xbb\xbf" + content, ": begins with a byte order mark"),
}


@pytest.mark.parametrize("name", [*LINES, *BYTES])
def test_whatever_is_wrong_with_a_file_is_said(package, name):
    path = score_file(package)
    if name in LINES:
        change, sentence = LINES[name]
        lines = path.read_text().splitlines()
        change(lines)
        path.write_text("\n".join(lines) + "\n")
    else:
        change, sentence = BYTES[name]
        path.write_bytes(change(path.read_bytes()))
    assert_said(package, f"{NAME}, {sentence}" if sentence[0] != ":" else NAME + sentence)


def assert_said(package, sentence):
    """In the folder, and in a zip of it."""
    for given in (package, submission.pack(package)):
        problems = submission.validate(given, EXPECTED)
        assert any(sentence in problem for problem in problems), problems
        assert all(problem.count("\n") == 0 for problem in problems)


@pytest.mark.parametrize("value", ["2", "1.0"])
def test_decisions_are_0_or_1(package, value):
    lines = decision_file(package).read_text().replace(",0\n", ",1\n").splitlines()
    decision_file(package).write_text("\n".join([*lines[:-1], f"section_00_0005.wav,{value}"]))
    assert_said(package, f"line 6: decision '{value}'; allowed are 0 and 1")


def misname(package):
    for path in list(system(package).iterdir()):
        other = path.name.replace("_section_00_", "_section_01_").replace(".yaml", ".yml")
        path.rename(path.with_name(other))


BREAK = {
    "missing score file": (lambda p: score_file(p).unlink(), f"{NAME}: missing; the evaluator"),
    "missing decision file": (lambda p: decision_file(p).unlink(), "missing; the evaluator"),
    "missing meta": (lambda p: meta_file(p).unlink(), "yaml: missing"),
    "label in meta": (
        lambda p: meta_file(p).write_text(meta_file(p).read_text().replace("Doe_", "Else_")),
        "label 'Else_Uni_task2_1' differs from its folder's name",
    ),
    "keys of meta": (
        lambda p: meta_file(p).write_text("submission: {}"),
        "submission lacks abbreviation, authors, label, name",
    ),
    "broken meta": (lambda p: meta_file(p).write_text("a: ["), "cannot be read"),
    "folder name": (
        lambda p: system(p).rename(p / "task2" / "Doe_University_of_X_task2_1"),
        "not a label of the form Name_INST_task2_N",
    ),
    "stray file": (
        lambda p: (system(p) / "notes.txt").write_text("x"),
        "notes.txt: not a file of a submission",
    ),
    "all files of a system misnamed": (misname, "_section_01_test.csv: not a file of a submission"),
    "a system too deep": (
        lambda p: shutil.move(system(p), p / "task2" / "more" / LABELS[0]),
        f"task2/more/{LABELS[0]}/{NAME}: lies elsewhere; a system's files lie in task2/<label>/.",
    ),
    "a label twice": (
        lambda p: shutil.copytree(system(p), p / "task2" / "again" / LABELS[0]),
        f"task2/again/{LABELS[0]}/{NAME}: lies elsewhere",
    ),
    "a foreign folder": (
        lambda p: shutil.copytree(system(p), p / "task2" / "results"),
        "results: not a label of the form",
    ),
}


@pytest.mark.parametrize("name", BREAK)
def test_whatever_the_evaluator_would_pass_over_is_said(package, name):
    damage, sentence = BREAK[name]
    damage(package)
    assert_said(package, sentence)


def test_systems_are_held_against_each_other_and_against_the_recordings(package):
    problems = submission.validate(package, {"Sander": NAMES, "fan": NAMES})
    assert any("ToyDrone is not an expected machine" in p for p in problems)
    assert any("anomaly_score_fan_section_00_test.csv: missing" in p for p in problems)
    score_file(package).write_text(score_file(package).read_text().partition("\n")[2])
    assert any("too many" in p for p in submission.validate(package))
    for name in "abcde":
        copy = package / "task2" / f"Doe{name}_Uni_task2_1"
        copy.mkdir()
        (copy / NAME).write_text("x")
    assert any("7 systems; at most 4" in p for p in submission.validate(package))


def test_names_with_commas_and_capitals_are_read_as_they_were_written(tmp_path):
    names = ["ZOOM0001.WAV", "rec, left.wav", 'a "b".wav', "two\nlines.wav"]
    scores = PerClip(np.arange(4.0), names)
    description = submission.meta(
        LABELS[0], name="a", abbreviation="a", description={}, total_parameters=0
    )
    submission.write_system(tmp_path, LABELS[0], {"fan": scores}, {"fan": scores > 1}, description)
    assert submission.validate(tmp_path, {"fan": set(names)}) == []
    read = dict(submission.read_scores(tmp_path, LABELS[0], "fan").items())
    assert read == dict(scores.items())


def test_what_file_managers_leave_is_no_system(package):
    (package / ".asd").mkdir()
    (package / ".asd" / "x.csv").write_text("")
    (package / "__MACOSX" / "task2").mkdir(parents=True)
    (package / "__MACOSX" / "task2" / "._x.csv").write_text("")
    (package / "without" / "task2" / "Doe_Uni_task2_1").mkdir(parents=True)
    (package / "without" / "task2" / "Doe_Uni_task2_1" / "x.csv").write_text("")
    assert submission.validate(package, EXPECTED) == []


def test_what_is_far_too_large_is_not_read(package, tmp_path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(5):
            archive.writestr(f"task2/{LABELS[0]}/{i}.csv", bytes(2**26))
    with (system(package) / "recording.wav").open("wb") as file:
        file.truncate(2**28)
    for given in (bomb, package):
        told = submission.validate(given)
        assert told == [f"{given}: holds more than 268,435,456 bytes; no package does."]


def test_bad_archives(tmp_path):
    with pytest.raises(AsdError, match="cannot be read"):
        submission.validate(tmp_path / "none.zip")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK not really")
    assert "not a readable zip" in submission.validate(broken)[0]
    outside = tmp_path / "outside.zip"
    with zipfile.ZipFile(outside, "w") as archive:
        archive.writestr("../x.csv", "1")
    assert "points out of the package" in submission.validate(outside)[0]
    (tmp_path / "nothing").mkdir()
    assert "holds no system" in submission.validate(tmp_path / "nothing")[0]


@pytest.mark.parametrize(
    "text",
    [
        "submission: [label, name]",
        "submission: {label: [a]}\nsystem: 2026-01-01\nresults: {development_dataset: 1}",
        "2026-01-01: {2: [3]}",
        "submission: 2026-13-45",
        "a: &a [*a]\nsubmission: {label: *a}",
        "a: " + 2000 * "[",
        "a: !!int ''",
        "a: !!bool x",
        "a: !!timestamp x",
        "submission: " + 50000 * "x",
    ],
)
def test_whatever_a_meta_file_holds_gets_short_sentences(package, text):
    meta_file(package).write_text(text)
    found = submission.validate(package, EXPECTED)
    assert found
    assert all("meta.yaml" in told and len(told) < 400 for told in found)


def test_names_in_another_form_are_the_same_names(package):
    composed, other = (unicodedata.normalize(form, "Lüfter") for form in ("NFC", "NFD"))
    for folder in (package / "task2").iterdir():
        for file in folder.glob("*ToyDrone*"):
            text = file.read_text().replace("section_00_0003", other)
            file.unlink()
            (folder / file.name.replace("ToyDrone", other)).write_text(text)
    names = [name.replace("section_00_0003", composed) for name in NAMES]
    expected = {"Sander": NAMES, composed: names}
    assert submission.validate(package, expected) == []
    first = next(system(package).glob(f"*{other}*"))
    shutil.copy(first, first.with_name(unicodedata.normalize("NFC", first.name)))
    assert any("two of this name" in told for told in submission.validate(package, expected))


def test_only_guarded_scores_under_a_good_label_can_be_written(tmp_path):
    with pytest.raises(AsdError, match="only PerClip can be submitted"):
        submission.write_system(tmp_path, LABELS[0], {"fan": np.zeros(3)}, {}, {})
    with pytest.raises(AsdError, match="institute at most 10 characters"):
        submission.write_system(tmp_path, "Doe_InstituteTooLong_task2_1", {}, {}, {})


def test_the_system_without_training_is_handed_in_apart(tmp_path):
    table = pd.concat(
        [
            rows("fan", "adasub", "s1", {0: HALF, 1: HALF}, train=[0.0, 1.0]),
            rows("fan", "near", "fine", {0: PERFECT}, train=[0.0, 1.0]),
            rows("fan", "adasub", "fine", {0: PERFECT}, train=[0.0, 1.0]),
            rows("fan", "adals", "pmsd", {0: HALF}, train=[0.0, 1.0]),
        ],
        ignore_index=True,
    )
    table["name"] += ".wav"
    applied = systems.apply_all(Results(table), 0.9)
    chosen, expected = small_params(tmp_path), {"fan": [f"{name}.wav" for name in HALF]}
    own = (systems.UNTRAINED,)
    apart = tmp_path / "package" / "without_training"
    paper = submission.write_all(tmp_path / "package", applied, ["fan"], chosen)
    written = submission.write_all(apart, applied, ["fan"], chosen, own)
    submission.write_all(tmp_path / "package", applied, ["fan"], chosen)  # again: S5 stays
    for archive in (paper, written):
        assert submission.validate(archive, expected) == []
    label = submission.label_of(systems.UNTRAINED, chosen)
    assert [folder.name for folder in (apart / "task2").iterdir()] == [label]
    assert [folder.name for folder in (tmp_path / "package" / "task2").iterdir()] == [label]
    filed = dict(submission.read_scores(apart, label, "fan").items())
    assert filed == dict(applied["S5"].scored["fan"].scores.items())
    assert filed != dict(applied["S1"].scored["fan"].scores.items())
    about = yaml.safe_load((apart / "task2" / label / f"{label}.meta.yaml").read_text())
    assert about["submission"]["abbreviation"] == "S5"
    assert about["system"]["complexity"]["total_parameters"] == 0
    assert about["system"]["description"]["machine_learning_method"] == "Mahalanobis distance"
    assert about["system"]["description"]["ensemble_method_subsystem_count"] == 3
