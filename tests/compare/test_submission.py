import shutil
import unicodedata
import zipfile

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import small_params
from known_scores import HALF, PERFECT, joined, rows

from asdlib.compare import submission, systems, validation
from asdlib.compare.statistics import Results
from asdlib.guard import PerClip
from asdlib.params import AsdError

NAMES = [f"section_00_{i:04d}.wav" for i in range(6)]
EXPECTED = {"Sander": NAMES, "ToyDrone": NAMES}
LABELS = ("Doe_Uni_task2_1", "Doe_Uni_task2_2")


def described(label):
    return {**validation.META, "submission": {**validation.META["submission"], "label": label}}


@pytest.fixture
def package(tmp_path, rng):
    for label in LABELS:
        scores = {m: PerClip(rng.standard_normal(6), NAMES) for m in EXPECTED}
        decisions = {m: s > 0.0 for m, s in scores.items()}
        submission.write_system(tmp_path, label, scores, decisions, described(label))
    return tmp_path


def system(package):
    return package / "task2" / LABELS[0]


SCORES, DECISIONS = (f"{kind}_Sander_section_00_test.csv" for kind in validation.KINDS)
META = f"{LABELS[0]}.meta.yaml"


def test_files_are_as_the_evaluator_reads_them(package):
    lines = (system(package) / SCORES).read_bytes().split(b"\n")
    assert (len(lines), lines[-1]) == (7, b"")
    table, decided = (pd.read_csv(system(package) / n, header=None) for n in (SCORES, DECISIONS))
    assert table[0].tolist() == NAMES
    assert decided[1].tolist() == (table[1] > 0).astype(int).tolist()
    text = (system(package) / META).read_text()
    assert "data_augmentation: !!null" in text
    assert yaml.safe_load(text)["submission"]["label"] == LABELS[0]


def test_a_good_package_has_no_problem_however_it_is_given(package):
    archive = submission.pack(package)
    first = archive.read_bytes()
    assert submission.pack(package).read_bytes() == first
    for given in (package, package / "task2", system(package), archive):
        assert validation.validate(given, EXPECTED) == []
        assert validation.validate(given) == []
    text = (system(package) / SCORES).read_text()
    (system(package) / SCORES).write_bytes(text.replace("\n", "\r\n").encode())
    assert validation.validate(package, EXPECTED) == []


def line(number, text, file=SCORES):
    """Put another line in place of one."""

    def damage(package):
        lines = (system(package) / file).read_text().splitlines()
        lines[number : number + 1] = [text] if isinstance(text, str) else text(lines[number])
        (system(package) / file).write_text("\n".join([*lines, ""]))

    return damage


def content(change, file=SCORES):
    """Change the bytes of a file."""

    def damage(package):
        path = system(package) / file
        path.write_bytes(change(path.read_bytes()))

    return damage


def misname(package):
    for path in list(system(package).iterdir()):
        other = path.name.replace("_section_00_", "_section_01_").replace(".yaml", ".yml")
        path.rename(path.with_name(other))


def move(*to):
    return lambda package: shutil.move(system(package), package.joinpath("task2", *to))


DAMAGES = {
    "duplicate": (line(2, lambda x: [x, x]), f"{SCORES}: section_00_0002.wav is listed more than"),
    "missing clip": (line(5, lambda x: []), ": 1 clip missing, such as section_00_0005.wav"),
    "extra clip": (
        line(5, lambda x: [x, "section_00_0099.wav,1.0"]),
        ": 1 clip too many, such as section_00_0099.wav",
    ),
    "header": (line(0, lambda x: ["file,score", x]), "line 1: 'file' is not a wav name"),
    "blank line": (line(3, ""), "line 4: blank line"),
    "nan": (line(0, "section_00_0000.wav,nan"), "line 1: score 'nan' is not a finite number"),
    "infinite": (line(0, "section_00_0000.wav,-inf"), "score '-inf' is not a finite number"),
    "word": (line(0, "section_00_0000.wav,high"), "score 'high' is not a finite number"),
    "path": (line(0, "test/section_00_0000.wav,1"), "'test/section_00_0000.wav' has a path"),
    "columns": (line(0, "section_00_0000.wav,1,2"), "line 1: 3 columns; 2 are needed"),
    "long field": (line(0, 2**18 * "x" + ".wav,1"), ": not a table in UTF-8 text (field larger"),
    "decision": (line(5, "section_00_0005.wav,2", DECISIONS), "decision '2'; allowed are 0 and 1"),
    "fraction": (line(5, "section_00_0005.wav,1.0", DECISIONS), "line 6: decision '1.0'; allowed"),
    "empty": (content(lambda old: b""), ": empty"),
    "latin-1": (content(lambda old: b"\xe9.wav,1\n"), ": not a table in UTF-8 text ('utf-8' codec"),
    "mark": (content(lambda old: b"\xef\xbb\xbf" + old), ": begins with a byte order mark"),
    "no score file": (lambda p: (system(p) / SCORES).unlink(), f"{SCORES}: missing; the evaluator"),
    "no decisions": (lambda p: (system(p) / DECISIONS).unlink(), "missing; the evaluator"),
    "no meta": (lambda p: (system(p) / META).unlink(), "yaml: missing"),
    "label in meta": (
        content(lambda old: old.replace(b"Doe_", b"Else_"), META),
        "label 'Else_Uni_task2_1' differs from its folder's name",
    ),
    "keys of meta": (
        content(lambda old: b"submission: {}", META),
        "submission lacks abbreviation, authors, label, name",
    ),
    "broken meta": (content(lambda old: b"a: [", META), "cannot be read"),
    "folder name": (move("Doe_University_of_X_task2_1"), "not a label of the form Name_INST_task2"),
    "stray file": (
        lambda p: (system(p) / "notes.txt").write_text("x"),
        "notes.txt: not a file of a submission",
    ),
    "all files misnamed": (misname, "_section_01_test.csv: not a file of a submission"),
    "a system too deep": (
        move("more", LABELS[0]),
        f"task2/more/{LABELS[0]}/{SCORES}: lies elsewhere; a system's files lie in task2/<label>/.",
    ),
}
"""What is wrong, and what is said."""


@pytest.mark.parametrize("name", DAMAGES)
def test_whatever_the_evaluator_would_pass_over_is_said(package, name):
    damage, sentence = DAMAGES[name]
    damage(package)
    for given in (package, submission.pack(package)):
        problems = validation.validate(given, EXPECTED)
        assert any(sentence in problem for problem in problems), problems
        assert all(problem.count("\n") == 0 for problem in problems)


def test_systems_are_held_against_each_other_and_against_the_recordings(package):
    problems = validation.validate(package, {"Sander": NAMES, "fan": NAMES})
    assert any("ToyDrone is not an expected machine" in p for p in problems)
    assert any("anomaly_score_fan_section_00_test.csv: missing" in p for p in problems)
    line(0, lambda old: [])(package)
    assert any("too many" in p for p in validation.validate(package))
    for name in "abcde":
        copy = package / "task2" / f"Doe{name}_Uni_task2_1"
        copy.mkdir()
        (copy / SCORES).write_text("x")
    assert any("7 systems; at most 4" in p for p in validation.validate(package))


def test_names_with_commas_and_capitals_are_read_as_they_were_written(tmp_path):
    names = ["ZOOM0001.WAV", "rec, left.wav", 'a "b".wav', "two\nlines.wav"]
    scores = PerClip(np.arange(4.0), names)
    decisions = {"fan": scores > 1}
    submission.write_system(tmp_path, LABELS[0], {"fan": scores}, decisions, described(LABELS[0]))
    assert validation.validate(tmp_path, {"fan": set(names)}) == []
    read = dict(submission.read_scores(tmp_path, LABELS[0], "fan").items())
    assert read == dict(scores.items())


def test_what_file_managers_leave_is_no_system(package):
    for name in (".asd/x.csv", "__MACOSX/task2/._x.csv", f"without/task2/{LABELS[0]}/x.csv"):
        (package / name).parent.mkdir(parents=True)
        (package / name).write_text("")
    assert validation.validate(package, EXPECTED) == []


def test_what_is_far_too_large_is_not_read(package, tmp_path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(5):
            archive.writestr(f"task2/{LABELS[0]}/{i}.csv", bytes(2**26))
    with (system(package) / "recording.wav").open("wb") as file:
        file.truncate(2**28)
    for given in (bomb, package):
        with pytest.raises(AsdError, match="holds more than 268,435,456 bytes; no package does"):
            validation.validate(given)


def test_what_is_no_package_is_told(tmp_path):
    (broken := tmp_path / "broken.zip").write_bytes(b"PK not really")
    for path, sentence in ((tmp_path / "none.zip", "cannot be read"), (broken, "not a readable")):
        with pytest.raises(AsdError, match=sentence):
            validation.validate(path)
    with zipfile.ZipFile(tmp_path / "outside.zip", "w") as archive:
        archive.writestr("../x.csv", "1")
    (tmp_path / "nothing").mkdir()
    for name in ("outside.zip", "nothing"):
        assert "holds no system" in validation.validate(tmp_path / name)[0]


@pytest.mark.parametrize(
    "text",
    [
        "submission: [label, name]",
        "submission: {label: [a]}\nsystem: 2026-01-01\nresults: {development_dataset: 1}",
        "2026-01-01: {2: [3]}",
        "a: &a [*a]\nsubmission: {label: *a}",
        "a: " + 2000 * "[",
        "a: !!int ''",
        "submission: " + 50000 * "x",
    ],
)
def test_whatever_a_meta_file_holds_gets_short_sentences(package, text):
    (system(package) / META).write_text(text)
    found = validation.validate(package, EXPECTED)
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
    assert validation.validate(package, expected) == []
    first = next(system(package).glob(f"*{other}*"))
    shutil.copy(first, first.with_name(unicodedata.normalize("NFC", first.name)))
    assert any("two of this name" in told for told in validation.validate(package, expected))


def test_only_guarded_scores_under_a_good_label_can_be_written(tmp_path):
    with pytest.raises(AsdError, match="only PerClip can be submitted"):
        submission.write_system(tmp_path, LABELS[0], {"fan": np.zeros(3)}, {}, {})
    with pytest.raises(AsdError, match="institute at most 10 characters"):
        submission.write_system(tmp_path, "Doe_InstituteTooLong_task2_1", {}, {}, {})


def test_the_system_without_training_is_handed_in_apart(tmp_path):
    table = joined(
        rows("fan", "adasub", "s1", {0: HALF, 1: HALF}, train=[0.0, 1.0]),
        rows("fan", "checkedsub", "fine", {0: PERFECT}, train=[0.0, 1.0]),
        rows("fan", "checkedls", "pmsd", {0: HALF}, train=[0.0, 1.0]),
    )
    table["name"] += ".wav"
    results = Results(table)
    decided = systems.decisions(results, 0.9)
    chosen, expected = small_params(tmp_path), {"fan": [f"{name}.wav" for name in HALF]}
    own = (systems.UNTRAINED,)
    apart = tmp_path / "package" / "without_training"
    paper = submission.write_all(tmp_path / "package", results, ["fan"], chosen)
    written = submission.write_all(apart, results, ["fan"], chosen, own)
    submission.write_all(tmp_path / "package", results, ["fan"], chosen)  # again: S5 stays
    for archive in (paper, written):
        assert validation.validate(archive, expected) == []
    label = submission.label_of(systems.UNTRAINED, chosen)
    assert [folder.name for folder in (apart / "task2").iterdir()] == [label]
    assert [folder.name for folder in (tmp_path / "package" / "task2").iterdir()] == [label]
    filed = dict(submission.read_scores(apart, label, "fan").items())
    assert filed == dict(systems.guarded(decided, "S5", "fan").items())
    assert filed != dict(systems.guarded(decided, "S1", "fan").items())
    about = yaml.safe_load((apart / "task2" / label / f"{label}.meta.yaml").read_text())
    assert about["submission"]["abbreviation"] == "S5"
    described, sizes = about["system"]["description"], about["system"]["complexity"]
    assert described["machine_learning_method"] == "Mahalanobis distance"
    assert (described["ensemble_method_subsystem_count"], sizes["total_parameters"]) == (2, 0)
    trained = submission.describe(systems.PAPER[0], results, LABELS[0], chosen)
    assert trained["system"]["complexity"]["total_parameters"] > 0
    values = [own["results"]["development_dataset"] for own in (about, trained)]
    assert values == [
        {"fan": {"auc_source": 100.0, "auc_target": 100.0, "pauc": 100.0}},
        {"fan": {"auc_source": 100.0, "auc_target": 50.0, "pauc": 73.68}},
    ]
