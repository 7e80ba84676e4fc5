"""The table of a study, and that it resumes, repeats and depends on no other clip."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import damaged
import numpy as np
import pandas as pd
import pytest
from conftest import SMALL, two_channels, two_machines, write_wav

from asdlib import dataset, params, study
from asdlib.compare import systems
from asdlib.compare.statistics import Results
from asdlib.guard import rederive
from asdlib.io import store
from asdlib.params import AsdError
from asdlib.report import provenance
from asdlib.runtime import hardware
from asdlib.study import scores, stages

RUN = "import json, sys; from asdlib import study; study.run(json.loads(sys.argv[1]))"


@pytest.fixture
def data_folder(tmp_path):
    return two_machines(tmp_path / "data")


@pytest.fixture
def tiny(tmp_path, data_folder):
    chosen = {"name": "tiny", "data": str(data_folder), "results": str(tmp_path / "results")}
    return params.load({**SMALL, **chosen})


def files(root):
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return {name: content for name, content in found.items() if "checked" not in name}


def test_the_table_holds_every_clip_of_every_system(trained):
    table = study.run(trained)
    assert list(table.columns) == scores.COLUMNS
    words = table.columns.drop(["seed", "score"])
    assert {table[name].dtype.name for name in words} == {"category"}  # a byte or two a row
    rows = table.groupby(["machine", "front_end", "scorer", "seed"]).size().unstack("machine")
    # five front-ends with four views, the baseline with its scores and eq. 1, and four more views
    assert len(rows) == 5 * 6 * 2 + 4 * 2 + 5 * 4 + 4
    assert (rows["fan"] == 16).all()
    assert (rows["valve"] == 17).all()
    assert np.isfinite(table["score"]).all()


def test_a_study_without_training_does_without_torch(tiny):
    views = {"scorers": ["pm", "near/fine"], "baseline": False, "extras": []}
    own = params.load(tiny, **views).model_dump_json()
    command = [sys.executable, "-c", f"{RUN}; print(*sys.modules)", own]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "scipy.signal" in done.stdout
    assert "torch" not in done.stdout.split()


def test_scores_are_standardised_and_a_combination_is_the_mean_of_its_parts(trained):
    table = study.run(trained)
    train = table[(table["split"] == "train") & (table["front_end"] != "combo")]
    assert "baseline" in set(train["front_end"])
    means = train.groupby(["machine", "front_end", "scorer", "seed"])["score"].mean()
    assert np.abs(means).max() < 1e-6
    table = table.set_index(["machine", "scorer", "seed", "name"])
    score = {f: rows["score"].sort_index() for f, rows in table.groupby("front_end")}
    assert np.allclose(score["combo"], (score["adasub"] + score["cohgate"]) / 2)


def test_a_second_run_computes_and_merges_nothing_unless_scores_changed(trained, monkeypatch):
    first = study.run(trained)
    for name in ("training.train", "dataset.read", "study.runs._merged"):
        monkeypatch.setattr(f"asdlib.{name}", None)
    pd.testing.assert_frame_equal(first, study.run(trained), check_exact=True)
    for other in ({"scoring": {"quantile": 0.5}}, {"front_ends": ["adasub", "near"]}):
        with pytest.raises(TypeError, match="NoneType"):
            study.run(params.load(trained, **other))
    monkeypatch.undo()
    one = study.tasks(trained, study.open_recordings(trained))[1]
    table = store.load(scores.scores_file(one))
    store.save(table.assign(A=table["A"] * 1.001), scores.scores_file(one))  # computed elsewhere
    changed = (first["score"] != study.run(trained)["score"]).groupby(first["machine"]).sum()
    assert changed[one.machine] == changed.sum() > 0


def test_training_clips_and_constants_train_again_scorers_and_test_clips_do_not(
    trained, rng, monkeypatch
):
    def folders(own):
        return {stages.model_folder(t) for t in study.tasks(own, study.open_recordings(own))}

    monkeypatch.setattr("asdlib.training.train", None)
    more = study.run(params.load(trained, scorers=["eq1", "s1", "mean"], baseline=False))
    assert set(more["scorer"]) == {"eq1", "s1", "mean"}
    name = "section_00_source_{}_normal_0077_noAttribute.wav"
    write_wav(Path(trained.data) / "fan/test" / name.format("test"), two_channels(rng))
    assert name.format("test") in set(study.run(trained)["name"])
    before = folders(trained)
    assert not before & folders(params.load(trained, denoising={"beta": 0.2}))
    write_wav(Path(trained.data) / "fan/train" / name.format("train"), two_channels(rng))
    assert len(before & folders(trained)) == 5  # the other machine's


def test_machines_side_by_side_get_the_same_bytes(tiny, tmp_path):
    study.run(tiny)
    other = tiny.model_dump(mode="json") | {"results": str(tmp_path / "other")}
    two = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", RUN, json.dumps(other)], env=two, check=True)
    one, beside = files(Path(tiny.results)), files(tmp_path / "other")
    assert one == beside
    assert any(name.endswith("model.safetensors") for name in one)


def test_killed_in_the_middle_it_resumes_to_the_same_bytes(tiny, tmp_path):
    """What a run from nothing computes beside it is the same, file by file."""
    slow = tiny.model_dump(mode="json") | {
        "training": {"epochs": 12, "batch_size": 16, "checkpoint_seconds": 0},
        "front_ends": ["near", "adasub"],
    }
    cut = slow | {"results": str(tmp_path / "cut")}
    process = subprocess.Popen([sys.executable, "-c", RUN, json.dumps(cut)])
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cut").rglob("checkpoint.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    own = params.load(cut)
    tasks = study.tasks(own, study.open_recordings(own))
    assert not all(scores.scores_file(task).exists() for task in tasks)
    study.run(cut)
    study.run(slow | {"results": str(tmp_path / "whole")})
    ours, theirs = files(tmp_path / "cut"), files(tmp_path / "whole")
    assert len(ours) > 20
    assert ours == theirs


def test_a_bad_file_stops_everything_before_training(tiny, data_folder, monkeypatch):
    monkeypatch.setattr("asdlib.training.train", None)
    (data_folder / "valve/test/section_00_source_test_normal_0050_a.wav").write_bytes(b"")
    (data_folder / "fan/train/section_00_source.wav").write_bytes(b"")
    with pytest.raises(dataset.Problems) as error:
        study.run(tiny)
    assert len(error.value.sentences) == 2
    some = study.open_recordings(tiny, strict=False)
    assert [*some.problems] == error.value.sentences
    assert some.machines == ["fan", "valve"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"front_ends": ["nope"]}, "Unknown front-end 'nope'"),
        ({"scorers": ["nope"]}, "Unknown scorer 'nope'"),
        ({"machines": ["pump"]}, "no machine pump; it holds fan, valve"),
        ({"data": "nowhere"}, "no such folder"),
    ],
)
def test_bad_parameters_are_one_sentence(tiny, change, sentence):
    with pytest.raises(AsdError, match=sentence):
        study.run(params.load(tiny, **change))


def test_a_clip_scored_alone_from_its_file_is_the_same_bytes(trained):
    results, recordings = Results(study.run(trained)), study.open_recordings(trained)
    score = study.score_alone(trained, recordings, "valve")
    for system in systems.SYSTEMS:
        members, decided = (
            system.members(results.per_seed),
            systems.decisions(results, 0.9, [system]),
        )
        assert members
        alone = partial(systems.scored_alone, score, members, system.fusion)
        rederive(alone, systems.guarded(decided, system.name, "valve"))


def test_a_combination_needs_a_scorer_that_its_parts_share(tiny):
    """Views of single front-ends are no parts of a combination."""
    for scorers in (["adasub/fine"], ["adasub/fine", "cohgate/pm"]):
        few = params.load(tiny, front_ends=["combo"], scorers=scorers, baseline=False)
        assert "combo" not in set(study.run(few)["front_end"])
    both = params.load(tiny, front_ends=["combo"], scorers=["pm"], baseline=False)
    assert "combo" in set(study.run(both)["front_end"])


def test_scores_are_the_same_bytes_on_one_thread_and_on_two(tiny, tmp_path):
    """Weights are shared; features, statistics and scores are computed anew."""
    wide = tiny.model_dump(mode="json") | {
        "autoencoder": {"width": 64, "blocks": 1, "bottleneck": 4},
        "spectra": {"n_mels": 64},
        "front_ends": ["adasub"],
        "scorers": ["eq1", "s1", "ledoit_wolf", "flow", "knn", "pmsd"],
    }
    tables = []
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", RUN, json.dumps(wide)]
        subprocess.run(command, check=True, env=environment)
        found = [*sorted((tmp_path / "results").rglob("*.parquet"))]
        tables.append({file.name: pd.read_parquet(file) for file in found})
        for file in [*found, *(tmp_path / "results" / "floors").iterdir()]:
            file.unlink()
    assert len(tables[0]) == 2 * 3 + 2
    for one, two in zip(*(own.values() for own in tables), strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_what_models_and_scores_were_made_on_is_told(tiny, monkeypatch):
    few = params.load(tiny, front_ends=["near"], scorers=["eq1"], extras=[])
    recordings = study.open_recordings(few)
    assert provenance.trained_apart(few, recordings) == ""
    first, *rest = study.tasks(few, recordings)
    here = hardware.describe_training("cpu")
    monkeypatch.setattr(
        "asdlib.runtime.hardware.describe_training", lambda wanted: f"{here} of a cluster"
    )
    scores.compute([first])
    monkeypatch.undo()
    study.everything(few, recordings)
    told = provenance.trained_apart(few, recordings)
    assert f"{len(rest)} on {here}, such as " in told
    assert f"1 on {here} of a cluster, such as {stages.model_folder(first).name}" in told
    table = provenance.inventory(few, recordings)
    assert table["trained by"].tolist() == [f"{here} of a cluster", *[here] * len(rest)]
    assert provenance.made_elsewhere(few, recordings) == ""
    made_on = hardware.describe("cpu")
    monkeypatch.setattr("asdlib.runtime.hardware.describe", lambda wanted: "torch 9 on the moon")
    assert provenance.made_elsewhere(few, recordings) == made_on


def test_a_training_that_diverges_names_machine_system_seed_and_epoch(tiny):
    loop = {"learning_rate": 1e30, "epochs": 2}
    wild = params.load(tiny, training=loop, front_ends=["near"], baseline=False)
    told = "^fan with near: The training of seeds 0, 1 diverged: the loss of epoch "
    with pytest.raises(AsdError, match=told):
        study.run(wild)


@pytest.mark.parametrize("length", [2048, 4000])
def test_equal_clips_of_any_length_are_an_answer_or_a_sentence(tmp_path, length):
    for name in ("train/a", "train/b", "test/c"):
        signal = two_channels(np.random.default_rng(name == "test/c"), length / 16000)
        write_wav(tmp_path / "data/pump" / f"{name}.wav", signal)
    scorers = ["eq1", "s1", "ledoit_wolf", "flow", "knn", "pmsd", "near/psd"]
    places = {"data": str(tmp_path / "data"), "results": str(tmp_path / "results")}
    own = params.load({**SMALL, **places, "scorers": scorers})
    for standardise in ("gamma_z", "held_out"):
        chosen = params.load(own, scoring={"standardise": standardise}, front_ends=["near"])
        try:
            assert np.isfinite(study.run(chosen)["score"]).all()
        except AsdError as error:
            told = str(error)
            assert "seed 0: Training scores must be positive and finite" in told
            assert "the training clips are all the same" in told


def test_the_official_threshold_rule_is_told_beside_the_one_over_clips(trained):
    table = study.official_thresholds(trained, study.open_recordings(trained))
    assert table["rule"].tolist() == ["minibatch losses", "clip scores"] * 2
    assert table[["training", "normal", "anomaly"]].stack().between(0, 1).all()
    without = params.load(trained, baseline=False)
    assert study.official_thresholds(without, study.open_recordings(without)).empty


def test_gamma_normal_is_read_from_the_same_scores(trained, monkeypatch):
    plain = study.run(trained)
    monkeypatch.setattr("asdlib.dataset.read", None)
    normal = study.run(params.load(trained, scoring={"standardise": "gamma_normal"}))
    keys = ["machine", "front_end", "scorer", "seed"]
    both = plain[plain["front_end"] != "combo"].merge(normal, on=[*keys, "name"])
    assert not np.allclose(both["score_x"], both["score_y"])
    ranks = both.groupby(keys)[["score_x", "score_y"]].rank()
    assert np.array_equal(ranks["score_x"], ranks["score_y"])


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_clip_that_changes_after_the_check_leaves_nothing(tiny, data_folder, rng, split):
    own = params.load(tiny, front_ends=["near"], scorers=["eq1", "pm"])
    recordings = study.open_recordings(own)
    clip = next(iter((data_folder / "fan" / split).iterdir()))
    for other in (two_channels(rng), np.full((16000, 2), np.nan)):
        write_wav(clip, other, subtype="FLOAT")
        with pytest.raises(AsdError, match=f"{clip.name}: the file has changed"):
            study.run(own, recordings=recordings)
        assert not [name for name in files(data_folder.parent / "results") if "floors" not in name]


def test_all_files_damaged_at_once_are_as_good_as_none(trained, tmp_path, capsys):
    table = study.run(trained)
    undisturbed = files(tmp_path / "results")
    inventory = provenance.inventory(trained, study.open_recordings(trained))
    paths = [
        path
        for path in (tmp_path / "results").rglob("*")
        if path.is_file() and path.suffix != ".sha256" and "exposure" not in path.parts
    ]
    for number, path in enumerate(paths):
        damaged.damage(path, damaged.KINDS[number % len(damaged.KINDS)])
    recordings = study.open_recordings(trained)
    pd.testing.assert_frame_equal(study.everything(trained, recordings), table)
    told = capsys.readouterr().err
    assert "checked-" in told
    pd.testing.assert_frame_equal(provenance.inventory(trained, recordings), inventory)
    again = files(tmp_path / "results")
    assert {name for name in undisturbed if again.get(name) != undisturbed[name]} == set()


def test_files_whose_checksum_was_never_written_are_computed_again(trained, tmp_path):
    table = study.run(trained)
    for path in (tmp_path / "results").rglob("*.sha256"):
        path.unlink()  # as where the disk was full by then
    recordings = study.open_recordings(trained)
    pd.testing.assert_frame_equal(study.everything(trained, recordings), table)


def test_models_that_are_lost_are_trained_again_with_their_scores(trained, capsys):
    table = study.run(trained)
    recordings = study.open_recordings(trained)
    one, two = study.tasks(trained, recordings)[1:3]
    damaged.damage(stages.model_folder(one) / "model.safetensors", "cut")
    (stages.model_folder(two) / "training.json").unlink()
    scores.fitted(one)
    assert len(provenance.losses(trained, recordings)) == 2 * 5 * 2 * 2
    assert not scores.scores_file(two).exists()
    pd.testing.assert_frame_equal(study.run(trained), table, check_exact=True)
    assert capsys.readouterr().err.count("model.safetensors: damaged") == 1
